/* A stream at work: its life, its media frames on their way to the figures. stream_part.c has the facts. */
#include "agent/stream_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dsp/inspect.h"
#include "dsp/speech.h"
#include "telnyx/base64.h"

enum {
  /* With one track decided, so many frames are waited for the other before both are placed. */
  DECIDE_AT_LATEST = 2 * TIMEBASE_EVENTS,
  /* Timestamps of two tracks that are further apart than their arrivals by this have no common zero. */
  COMMON_ZERO_US = 2000000,
  QUIET_AFTER_US = 500000
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool create_track(struct stream *s, int index) {
  struct stream_track *t = &s->track[index];
  t->stream = s;
  t->index = index;
  t->delivery = malloc(delivery_bytes());
  if (t->delivery == NULL || !stream_sound_create(t)) return false;
  delivery_init(t->delivery);
  return true;
}

size_t stream_bytes(void) {
  return sizeof(struct stream) + TRACK_COUNT * (delivery_bytes() + hearing_bytes()) + speech_bytes() +
         HOLD_FRAMES * sizeof(struct hold_frame) + HOLD_BYTES + diagnosis_bytes();
}

struct stream *stream_create(const char *part_id, const struct moment *at, uint8_t *scratch,
                             struct metrics *metrics, const struct stream_options *options) {
  struct stream *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->metrics = metrics;
  s->options = *options;
  s->scratch = scratch;
  s->origin_arrival_us = -1;
  strncpy(s->meta.id, part_id, sizeof s->meta.id - 1);
  s->meta.opened_ms = at->wall_us / 1000;
  s->meta.dtmf = json_array();
  s->meta.errors = json_array();
  s->speech = malloc(speech_bytes());
  s->diagnosis = diagnosis_create(stream_sound_silence, s);
  if (s->diagnosis == NULL || !create_track(s, TRACK_INBOUND) || !create_track(s, TRACK_OUTBOUND) ||
      !hold_create(&s->hold) || s->speech == NULL || s->meta.dtmf == NULL || s->meta.errors == NULL) {
    stream_free(s);
    return NULL;
  }
  speech_init(s->speech, &speech_defaults);
  return s;
}

void stream_free(struct stream *s) {
  if (s == NULL) return;
  for (int i = 0; i < TRACK_COUNT; i++) {
    free(s->track[i].delivery);
    hearing_free(s->track[i].hearing);
  }
  hold_free(&s->hold);
  diagnosis_free(s->diagnosis);
  free(s->speech);
  free(s->meta.client_state);
  json_decref(s->meta.dtmf);
  json_decref(s->meta.errors);
  free(s);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void count_frame(struct stream *s, enum delivery_verdict verdict) {
  static const enum media_result result[] = {
      [DELIVERY_OK] = MEDIA_OK,
      [DELIVERY_DUPLICATE] = MEDIA_DUPLICATE,
      [DELIVERY_REORDERED] = MEDIA_REORDERED,
      [DELIVERY_LATE] = MEDIA_LATE,
      [DELIVERY_OUTLIER] = MEDIA_IGNORED,
  };
  s->metrics->media_frames[result[verdict]]++;
}

/* Where a track's first frame lies on the part's clock (speech-metrics.md 1): at its arrival, or by its
 * timestamp against the other track's when both count in a known unit from the same zero. */
static void place_origin(struct stream *s, const struct hold_frame *first) {
  struct stream_track *t = &s->track[first->track];
  const struct stream_track *other = &s->track[1 - first->track];
  t->origin_us = first->arrival_us - s->origin_arrival_us;
  t->timed = timebase_timestamp_us(&s->timebase, (enum track)first->track, &first->event, &t->first_media_us);
  if (other->placed && other->timed && t->timed) {
    int64_t by_media = other->origin_us + t->first_media_us - other->first_media_us;
    int64_t apart = by_media - t->origin_us;
    if (apart > -COMMON_ZERO_US && apart < COMMON_ZERO_US) t->origin_us = by_media < 0 ? 0 : by_media;
  }
  t->placed = true;
  diagnosis_origin(s->diagnosis, first->track, t->origin_us / 1000);
}

/* A frame whose place can be told: the common end of the live way and of the held one. */
static void run_frame(struct stream *s, const struct hold_frame *f, const uint8_t *payload) {
  struct stream_track *t = &s->track[f->track];
  struct timebase_place place;
  timebase_place(&s->timebase, (enum track)f->track, &f->event, &place);
  if (!t->placed) place_origin(s, f);
  struct codec_frame told;
  codec_inspect(s->codec, payload, f->event.payload_bytes, &told);
  const struct delivery_input input = {
      .number = place.number,
      .media_us = place.media_us,
      .arrival_us = f->arrival_us,
      .read_ordinal = f->read_ordinal,
      .duration_us = told.duration_us != 0 ? told.duration_us : s->timebase.track[f->track].ptime_us,
      .self_delayed = f->self_delayed,
      .upstream_bad = told.upstream_bad,
      .sid = told.sid,
      .coded = told.coded,
      .mode = told.mode,
      .payload_bytes = f->event.payload_bytes,
  };
  if (delivery_leaps(t->delivery, place.number)) assembler_flush(&t->assembler);
  struct delivery_result result = delivery_frame(t->delivery, &input);
  count_frame(s, result.verdict);
  if (result.verdict != DELIVERY_OK && result.verdict != DELIVERY_REORDERED) return;
  int64_t end_us = t->origin_us + result.place_us + input.duration_us;
  if (end_us > t->end_us) t->end_us = end_us;
  diagnosis_frame(s->diagnosis, f->track, (t->origin_us + result.place_us) / 1000, input.duration_us / 1000,
                  (f->arrival_us - s->origin_arrival_us) / 1000, result.stall_us / 1000);
  assembler_push(&t->assembler, result.place_us, f->arrival_us, payload, f->event.payload_bytes);
}

static void decide(struct stream *s, int track) {
  struct stream_track *t = &s->track[track];
  if (t->decided || hold_count(&s->hold, track) == 0) return;
  timebase_decide(&s->timebase, (enum track)track);
  t->decided = true;
  s->meta.track[track].chunk_scope = (uint8_t)s->timebase.track[track].chunk_scope;
  s->meta.track[track].ts_unit = (uint8_t)s->timebase.track[track].ts_unit;
  s->meta.track[track].ptime_us = s->timebase.track[track].ptime_us;
  assembler_begin(&t->assembler, s->codec); /* what waits is heard before its frames are settled */
  stream_sound_begin(t, s->codec, s->timebase.track[track].ptime_us);
  delivery_begin(t->delivery, s->codec, s->timebase.track[track].ptime_us);
  t->begun = true;
}

/* Runs what waits of the decided tracks, in order of arrival. */
static void run_held(struct stream *s) {
  struct hold_frame *f;
  for (size_t i = 0; (f = hold_at(&s->hold, i)) != NULL; i++) {
    if (f->done || !s->track[f->track].decided) continue;
    run_frame(s, f, hold_payload(&s->hold, f));
    f->done = true;
  }
  hold_compact(&s->hold);
}

static bool waits(const struct stream *s, int track) {
  return !s->track[track].decided && hold_count(&s->hold, track) > 0;
}

/* The earlier track first, so that the later one can be placed against it. */
static void decide_waiting(struct stream *s) {
  const struct hold_frame *first = hold_at(&s->hold, 0);
  if (first == NULL) return;
  int earlier = first->track;
  decide(s, earlier);
  decide(s, 1 - earlier);
  run_held(s);
}

static void decide_when_ready(struct stream *s) {
  bool all = true;
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (waits(s, i) && !timebase_ready(&s->timebase, (enum track)i)) all = false;
    if (hold_count(&s->hold, i) >= DECIDE_AT_LATEST) {
      all = true;
      break;
    }
  }
  if (all) decide_waiting(s);
}

/* A payload that tells its length in its head counts by that in the frame length to be decided. */
static void observe(struct stream *s, struct hold_frame *f, const uint8_t *payload) {
  struct codec_frame told;
  codec_inspect(s->codec, payload, f->event.payload_bytes, &told);
  f->event.duration_us = told.duration_us;
  timebase_observe(&s->timebase, (enum track)f->track, &f->event);
}

static void observe_held(struct stream *s) {
  struct hold_frame *f;
  for (size_t i = 0; (f = hold_at(&s->hold, i)) != NULL; i++) {
    observe(s, f, hold_payload(&s->hold, f));
  }
}

static void keep(struct stream *s, struct hold_frame *f, const uint8_t *payload) {
  while (!hold_put(&s->hold, f, payload)) {
    if (s->started) {
      decide_waiting(s); /* full: what is known by now must do */
      if (s->track[f->track].decided) {
        run_frame(s, f, payload);
        return;
      }
    }
    if (!hold_drop_oldest(&s->hold)) return;
    s->meta.frames_before_start_dropped++;
    s->metrics->media_frames[MEDIA_BEFORE_START]++;
  }
  if (s->started) {
    observe(s, f, payload);
    decide_when_ready(s);
  } else {
    uint64_t old = hold_drop_before(&s->hold, f->track, f->arrival_us - HOLD_US);
    s->meta.frames_before_start_dropped += old;
    s->metrics->media_frames[MEDIA_BEFORE_START] += old;
  }
}

static void note_arrival(struct stream *s, const struct moment *at, const struct media_frame *m,
                         size_t bytes) {
  if (s->origin_arrival_us < 0) {
    s->origin_arrival_us = at->mono_us;
    s->meta.first_frame_ms = at->wall_us / 1000;
    if (s->options.expects_inbound) diagnosis_expect(s->diagnosis, TRACK_INBOUND, 0);
  }
  s->meta.last_frame_ms = at->wall_us / 1000;
  if (s->arrival_us != 0 && !at->self_delayed && at->mono_us - s->arrival_us > s->gap_us)
    s->gap_us = at->mono_us - s->arrival_us;
  s->arrival_us = at->mono_us;
  s->track[m->track].arrival_us = at->mono_us;
  s->track[m->track].quiet = false;
  s->meta.track[m->track].seen = true;
  s->meta.track[m->track].payload_bytes += bytes;
  s->changed = true;
}

enum frame_fault stream_media(struct stream *s, const struct moment *at, const struct media_frame *m) {
  if (m->payload.bytes / 4 * 3 > STREAM_PAYLOAD_MAX + 2) return FRAME_TOO_LARGE;
  ssize_t bytes = base64_decode(m->payload.data, m->payload.bytes, s->scratch, STREAM_PAYLOAD_MAX);
  if (bytes < 0) return FRAME_BAD_BASE64;
  if (bytes == 0) return FRAME_NO_PAYLOAD;
  if (s->started && s->codec == NULL) {
    s->meta.frames_ignored++;
    s->metrics->media_frames[MEDIA_IGNORED]++;
    return FRAME_FINE;
  }
  note_arrival(s, at, m, (size_t)bytes);
  struct hold_frame f = {
      .track = m->track,
      .event = {.has_chunk = m->has_chunk,
                .has_timestamp = m->has_timestamp,
                .chunk = m->chunk,
                .timestamp = m->timestamp,
                .payload_bytes = (uint32_t)bytes},
      .arrival_us = at->mono_us,
      .read_ordinal = at->read_ordinal,
      .self_delayed = at->self_delayed,
  };
  if (s->track[m->track].decided) {
    run_frame(s, &f, s->scratch);
  } else {
    keep(s, &f, s->scratch);
  }
  return FRAME_FINE;
}

/* ---- what is no media ------------------------------------------------------------------------- */

void stream_leg_codec(struct stream *s, const char *name) {
  s->leg = codec_find(name, strlen(name), 0);
}

bool stream_start(struct stream *s, const struct moment *at, const struct frame *f) {
  if (s->started) decide_waiting(s); /* what came before keeps its own format */
  stream_note_start(s, at, f);
  const char *encoding = f->encoding != NULL ? f->encoding : "";
  s->codec = codec_find(encoding, strlen(encoding), f->sample_rate_hz);
  s->started = s->changed = true;
  s->meta.formats++;
  for (int i = 0; i < TRACK_COUNT; i++) {
    s->track[i].decided = false;
    /* What was measured stays readable: its facts go by the codec that they were made with. */
    if (s->codec == NULL && s->track[i].begun) continue;
    stream_note_encoding(s, i, s->codec != NULL ? s->codec->encoding : encoding);
    s->meta.track[i].sample_rate_hz = s->codec != NULL ? s->codec->sample_rate_hz : f->sample_rate_hz;
  }
  if (s->codec == NULL) {
    s->meta.frames_ignored += hold_clear(&s->hold);
    return false;
  }
  if (s->codec->decode != NULL) s->heard = true;
  timebase_init(&s->timebase, s->codec);
  observe_held(s);
  decide_when_ready(s);
  return true;
}

void stream_tick(struct stream *s, const struct moment *at) {
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].begun) continue;
    s->track[i].quiet = at->mono_us - s->track[i].arrival_us > QUIET_AFTER_US;
    delivery_tick(s->track[i].delivery, at->mono_us);
    assembler_tick(&s->track[i].assembler, at->mono_us);
    stream_sound_tick(&s->track[i]);
  }
  if (s->origin_arrival_us < 0) return;
  diagnosis_tick(s->diagnosis, (at->mono_us - s->origin_arrival_us) / 1000);
  uint64_t changes = diagnosis_changes(s->diagnosis);
  if (changes != s->findings_seen) s->changed = true; /* a stream that has gone quiet has findings, too */
  s->findings_seen = changes;
}

void stream_end(struct stream *s, const struct moment *at, enum part_state state) {
  if (s->started && s->codec != NULL) {
    decide_waiting(s);
  } else {
    uint64_t dropped = hold_clear(&s->hold);
    s->meta.frames_before_start_dropped += dropped;
    s->metrics->media_frames[MEDIA_BEFORE_START] += dropped;
  }
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].begun) continue;
    assembler_flush(&s->track[i].assembler);
    hearing_flush(s->track[i].hearing);
  }
  stream_sound_end(s);
  s->meta.state = state;
  s->meta.closed_ms = at->wall_us / 1000;
  s->changed = true;
}
