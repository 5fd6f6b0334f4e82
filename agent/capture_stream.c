#include "agent/capture_stream.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dsp/inspect.h"
#include "dsp/ledger.h"
#include "dsp/rtcp_ledger.h"
#include "dsp/timebase.h"

#define NUMBER_ZERO (UINT64_C(1) << 32) /* room below the first number */

enum {
  TICK_US = 1000000,
  PTIME_MAX_US = 1000000,
  DEFAULT_PTIME_US = 20000,
  HEAD_MIN_BYTES =
      2 /* the mode of one frame of AMR-WB, the number of Opus's frames: of less, zeros would tell */
};

struct capture_stream *capture_stream_new(const struct capture_key *key, const struct capture_names *names) {
  struct capture_stream *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->key = *key;
  s->names = names;
  return s;
}

void capture_stream_free(struct capture_stream *s) {
  if (s == NULL) return;
  for (size_t i = 0; i < RTP_PAYLOAD_TYPES; i++) free(s->type[i]);
  capture_sound_free(s->sound);
  free(s->delivery);
  capture_digits_free(&s->digits);
  free(s);
}

/* Timestamps that jump by half their range at each packet add up; differences must not overflow. */
static int64_t bounded(int64_t value) {
  const int64_t most = TIMEBASE_MEDIA_MAX_US / 64;
  return value > most ? most : value < -most ? -most : value;
}

static int64_t ticks_us(int64_t ticks, uint32_t clock_hz) {
  int64_t hz = clock_hz;
  return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}

/* ---- payload types --------------------------------------------------------------------------- */

/* What has no row in the codec table is counted and timed, and not rated. */
static const struct codec *own_codec(struct capture_type *type) {
  uint32_t hz = type->name.clock_hz;
  type->own = (struct codec){.id = CODEC_COUNT,
                             .encoding = type->name.name,
                             .sample_rate_hz = hz,
                             .rtp_clock_hz = hz,
                             .scale = hz <= 8000    ? SCALE_NB
                                      : hz <= 16000 ? SCALE_WB
                                                    : SCALE_FB};
  return &type->own;
}

static void identify(struct capture_type *type) {
  const char *name = type->name.name;
  if (strcasecmp(name, "telephone-event") == 0) {
    type->kind = CAPTURE_EVENT;
  } else if (strcasecmp(name, "CN") == 0) {
    type->kind = CAPTURE_NOISE;
  } else if (type->name.clock_hz == 0) {
    type->kind = CAPTURE_UNNAMED;
    type->codec = own_codec(type);
  } else {
    type->kind = CAPTURE_AUDIO;
    type->codec = codec_find(name, strlen(name), type->name.clock_hz);
    if (type->codec == NULL || type->codec->rtp_clock_hz != type->name.clock_hz)
      type->codec = own_codec(type);
  }
}

/* NULL: no memory. */
static const struct capture_type *type_of(struct capture_stream *s, const struct capture_rtp *p) {
  struct capture_type *type = s->type[p->payload_type];
  if (type != NULL) return type;
  type = calloc(1, sizeof *type);
  if (type == NULL) return NULL;
  type->name = capture_names_find(s->names, &s->key.src, &s->key.dst, p->payload_type, p->wall_ns);
  identify(type);
  s->type[p->payload_type] = type;
  return type;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Of sound: without the numbers of packets that are none. */
static uint64_t sound_number(const struct capture_stream *s, uint64_t extended) {
  uint64_t out = s->out_before;
  for (size_t i = 0; i < s->out_count; i++) out += (int64_t)(s->out[i] - extended) < 0;
  return extended - out;
}

static bool is_out(const struct capture_stream *s, uint64_t extended) {
  for (size_t i = 0; i < s->out_count; i++) {
    if (s->out[i] == extended) return true;
  }
  return false;
}

static void put_out(struct capture_stream *s, uint64_t extended) {
  if (s->out_count == CAPTURE_OUT_MAX) {
    s->out_count--;
    s->out_before++;
    memmove(s->out, s->out + 1, s->out_count * sizeof *s->out);
  }
  s->out[s->out_count++] = extended;
}

/* The numbers begin anew: what was taken out before stays so. */
static void settle_out(struct capture_stream *s, uint64_t extended) {
  s->out_before = extended - sound_number(s, extended);
  s->out_count = 0;
}

/* ---- sound ----------------------------------------------------------------------------------- */

static void begin_hearing(struct capture_stream *s) {
  if (s->sound == NULL && capture_sound_can(s->begun->codec)) s->sound = capture_sound_new(s->delivery);
  if (s->sound != NULL) capture_sound_begin(s->sound, s->begun->codec, s->ptime_us);
}

static void hear(struct capture_stream *s, const struct capture_rtp *p, const struct capture_type *type,
                 const struct delivery_result *result) {
  bool useful = result->verdict == DELIVERY_OK || result->verdict == DELIVERY_REORDERED;
  bool clear = p->payload != NULL && !type->name.encrypted;
  if (s->sound == NULL || !useful || !clear || type->kind != CAPTURE_AUDIO) return;
  capture_sound_push(s->sound, result->place_us, s->arrival_us, p->payload, p->payload_bytes);
}

/* The sound's own type, or another from here on. What nobody names was taken for sound while there was nothing
 * else: named sound begins as if nothing had come. */
static bool begin_sound(struct capture_stream *s, const struct capture_type *type, uint32_t timestamp,
                        uint32_t ptime_us) {
  if (s->delivery == NULL) s->delivery = malloc(delivery_bytes());
  if (s->delivery == NULL) return false;
  if (s->begun == NULL || s->begun->kind == CAPTURE_UNNAMED) {
    delivery_init(s->delivery);
    s->sound_us = s->ticked_us = s->arrival_us;
    s->format_changes = 0;
  } else {
    s->format_changes++;
    s->base_us = bounded(s->base_us + ticks_us(s->ticks, s->begun->name.clock_hz) + s->ptime_us);
  }
  s->ticks = 0;
  s->timestamp = timestamp;
  s->begun = type;
  s->ptime_us = ptime_us;
  begin_hearing(s);
  delivery_begin(s->delivery, type->codec, ptime_us);
  return true;
}

/* Media time of a packet. Without a clock it is told by the number alone, which nobody must publish. */
static int64_t media_of(const struct capture_stream *s, uint64_t number, int64_t ticks) {
  uint32_t clock_hz = s->begun->name.clock_hz;
  if (clock_hz == 0) return (int64_t)(number - NUMBER_ZERO) * s->ptime_us;
  return s->base_us + ticks_us(ticks, clock_hz);
}

/* What the payload tells of itself; of an encrypted one, or of one that was not captured, only what its codec
 * tells of all. */
static struct codec_frame inspect(const struct capture_rtp *p, const struct capture_type *type) {
  uint8_t payload[2048]; /* modes are told by the beginning and the length */
  size_t bytes = p->payload_bytes < sizeof payload ? p->payload_bytes : sizeof payload;
  struct codec_frame frame = {.duration_us = 0};
  bool told = p->head_bytes >= HEAD_MIN_BYTES || p->head_bytes == p->payload_bytes;
  if (type->codec->has_modes && (type->name.encrypted || p->head_bytes == 0 || !told)) return frame;
  if (type->codec->has_modes) {
    memset(payload, 0, sizeof payload);
    memcpy(payload, p->head, p->head_bytes);
  }
  codec_inspect(type->codec, payload, bytes, &frame);
  return frame;
}

static void describe(const struct capture_rtp *p, const struct capture_type *type,
                     struct delivery_input *in) {
  if (type->kind == CAPTURE_NOISE) {
    in->sid = true;
    return;
  }
  struct codec_frame frame = inspect(p, type);
  in->sid = frame.sid;
  in->upstream_bad = frame.upstream_bad;
  in->coded = frame.coded;
  in->mode = frame.mode;
  in->payload_bytes = p->payload_bytes;
}

static struct delivery_result deliver(struct capture_stream *s, struct delivery_input *in) {
  in->arrival_us = s->arrival_us;
  in->read_ordinal = ++s->reads;
  in->duration_us = s->ptime_us;
  if (s->sound != NULL && delivery_leaps(s->delivery, in->number)) capture_sound_flush(s->sound);
  if (s->arrival_us - s->ticked_us >= TICK_US) {
    delivery_tick(s->delivery, s->arrival_us);
    s->ticked_us = s->arrival_us;
  }
  return delivery_frame(s->delivery, in);
}

/* A packet that came too late to be what it is, behind sound with a higher number: it only fills the hole it
 * has left. Its own times say nothing about that sound's. */
static void fill_hole(struct capture_stream *s, uint64_t extended) {
  uint64_t number = sound_number(s, extended);
  struct delivery_input in = {.number = number,
                              .media_us = media_of(s, number, s->ticks) + s->arrival_us - s->place_arrival_us,
                              .sid = true};
  deliver(s, &in);
}

static bool is_behind_sound(const struct capture_stream *s, uint64_t extended) {
  return s->begun != NULL && (int64_t)(extended - s->sound_high) < 0;
}

static void take_sound(struct capture_stream *s, const struct capture_rtp *p, const struct capture_type *type,
                       uint64_t extended) {
  bool other = type->kind != CAPTURE_NOISE && (s->begun == NULL || type->codec != s->begun->codec);
  bool soon_after = (int64_t)(s->sound_high - extended) <= LEDGER_DEPTH;
  if (other && is_behind_sound(s, extended) && soon_after) {
    fill_hole(s, extended);
    return;
  }
  if (other && !begin_sound(s, type, p->timestamp, s->ptime_us ? s->ptime_us : DEFAULT_PTIME_US)) return;
  uint64_t number = sound_number(s, extended);
  int64_t ticks = bounded(s->ticks + (int32_t)(p->timestamp - s->timestamp));
  struct delivery_input in = {.number = number, .media_us = media_of(s, number, ticks)};
  describe(p, type, &in);
  struct delivery_result result = deliver(s, &in);
  hear(s, p, type, &result);
  if (result.restarted) settle_out(s, extended);
  if (result.verdict != DELIVERY_OK) return;
  s->sound_high = s->high = extended;
  s->timestamp = p->timestamp;
  s->ticks = ticks;
  s->place_us = result.place_us;
  s->place_arrival_us = s->arrival_us;
}

/* A packet that is no sound. */
static void take_other(struct capture_stream *s, uint64_t extended) {
  if (is_out(s, extended)) return;
  if (is_behind_sound(s, extended)) {
    fill_hole(s, extended);
    return;
  }
  put_out(s, extended);
  int64_t step = (int64_t)(extended - s->high);
  if (step > 0 && step <= LEDGER_LEAP_FRAMES) s->high = extended;
}

/* ---- digits ---------------------------------------------------------------------------------- */

/* From the stream's first packet, by the event's own timestamp unless that contradicts its arrival, or counts
 * by another clock than the sound it is compared with. */
static int64_t event_start(const struct capture_stream *s, uint32_t timestamp, uint32_t clock_hz) {
  bool placed = s->delivery != NULL;
  int64_t from_us = placed ? s->sound_us + s->place_us : 0;
  int64_t arrived_us = placed ? from_us + s->arrival_us - s->place_arrival_us : s->arrival_us;
  int64_t ticks = (int32_t)(timestamp - (placed ? s->timestamp : s->first_timestamp));
  int64_t start_us = from_us + ticks_us(ticks, clock_hz), off_us = start_us - arrived_us;
  bool other_clock = placed && s->begun->name.clock_hz != clock_hz;
  if (other_clock || off_us > TICK_US || off_us < -TICK_US) start_us = arrived_us;
  return start_us > 0 ? start_us : 0;
}

static void take_event(struct capture_stream *s, const struct capture_rtp *p,
                       const struct capture_name *name) {
  struct rtp_event event;
  if (name->encrypted || !rtp_event_read(p->head, p->head_bytes, &event)) return;
  int64_t start_us = event_start(s, p->timestamp, name->clock_hz);
  capture_digits_take(&s->digits, &event, p->timestamp, name->clock_hz, start_us);
}

/* ---- a packet -------------------------------------------------------------------------------- */

static void book_as_peer(struct capture_stream *s, const struct capture_rtp *p,
                         const struct capture_type *type, int64_t base_ns) {
  const struct rtp_type *fixed = rtp_static_type(p->payload_type);
  uint32_t clock_hz = type->kind == CAPTURE_EVENT ? 0 : type->name.clock_hz;
  if (p->payload_type < RTP_DYNAMIC_FIRST) clock_hz = fixed != NULL ? fixed->clock_hz : 0;
  const struct rtp_peer_packet packet = {
      .time_ms = (double)(p->wall_ns - base_ns) / 1e6,
      .sequence = p->sequence,
      .timestamp = p->timestamp,
      .clock_hz = clock_hz,
      .marker = p->marker,
      .noise = p->payload_type == RTP_COMFORT_NOISE || p->payload_type == RTP_COMFORT_NOISE_OLD};
  rtp_peer_add(&s->peer, &packet);
}

void capture_stream_take(struct capture_stream *s, const struct capture_rtp *p, int64_t base_ns) {
  const struct capture_type *type = type_of(s, p);
  if (type == NULL) return;
  if (s->packets++ == 0) {
    s->first_ns = p->wall_ns;
    s->first_timestamp = p->timestamp;
    s->high = NUMBER_ZERO + p->sequence;
  }
  int64_t arrival_us = (p->wall_ns - s->first_ns) / 1000;
  if (arrival_us > s->arrival_us) s->arrival_us = arrival_us;
  book_as_peer(s, p, type, base_ns);

  uint64_t extended = sequence_extend(s->high, p->sequence);
  bool begun_by_name = s->begun != NULL && s->begun->kind == CAPTURE_AUDIO;
  if (type->kind == CAPTURE_EVENT) take_event(s, p, &type->name);
  if (type->kind == CAPTURE_AUDIO || (type->kind == CAPTURE_UNNAMED && !begun_by_name) ||
      (type->kind == CAPTURE_NOISE && s->begun != NULL)) {
    take_sound(s, p, type, extended);
  } else {
    take_other(s, extended);
  }
}

void capture_stream_end(struct capture_stream *s) {
  if (s->sound != NULL) capture_sound_end(s->sound);
}

/* ---- the first packets ----------------------------------------------------------------------- */

/* The step of the timestamp that most neighbours have; 0 without any. Of equally many, the smaller. */
static uint32_t usual_step(const struct capture_rtp *kept, size_t count, uint8_t payload_type) {
  uint32_t best = 0;
  size_t best_votes = 0;
  for (size_t i = 1; i < count; i++) {
    uint32_t step = kept[i].timestamp - kept[i - 1].timestamp;
    size_t votes = 0;
    for (size_t j = 1; j < count; j++) {
      bool neighbours = kept[j].sequence == (uint16_t)(kept[j - 1].sequence + 1) &&
                        kept[j].payload_type == payload_type && kept[j - 1].payload_type == payload_type;
      votes += neighbours && kept[j].timestamp - kept[j - 1].timestamp == step;
    }
    bool better = votes > best_votes || (votes > 0 && votes == best_votes && step < best);
    if (better && step > 0 && step < INT32_MAX) {
      best = step;
      best_votes = votes;
    }
  }
  return best;
}

static uint32_t find_ptime(const struct capture_rtp *kept, size_t count, const struct capture_type *type,
                           uint8_t payload_type) {
  if (type->name.clock_hz > 0) {
    int64_t us = ticks_us(usual_step(kept, count, payload_type), type->name.clock_hz);
    if (us > 0 && us <= PTIME_MAX_US) return (uint32_t)us;
  }
  return type->name.ptime_ms > 0 ? type->name.ptime_ms * 1000 : DEFAULT_PTIME_US;
}

void capture_stream_begin(struct capture_stream *s, const struct capture_rtp *kept, size_t count,
                          int64_t base_ns) {
  const struct capture_type *begin = NULL;
  size_t first = 0;
  /* Named sound, wherever it is among them; what nobody names is sound only if there is nothing else. */
  for (size_t i = 0; i < count; i++) {
    const struct capture_type *type = type_of(s, &kept[i]);
    bool sound = type != NULL && (type->kind == CAPTURE_AUDIO || type->kind == CAPTURE_UNNAMED);
    if (!sound || (begin != NULL && !(begin->kind == CAPTURE_UNNAMED && type->kind == CAPTURE_AUDIO)))
      continue;
    begin = type;
    first = i;
  }
  if (begin != NULL) {
    uint8_t payload_type = kept[first].payload_type;
    s->first_ns = kept[0].wall_ns;
    s->arrival_us = (kept[first].wall_ns - s->first_ns) / 1000;
    begin_sound(s, begin, kept[first].timestamp, find_ptime(kept, count, begin, payload_type));
    s->arrival_us = 0;
  }
  for (size_t i = 0; i < count; i++) capture_stream_take(s, &kept[i], base_ns);
}
