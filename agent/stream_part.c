/* What a stream knows: the facts that frames tell by themselves, and everything measured as a media part. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stream_internal.h"
#include "telnyx/timestamp.h"
#include "telnyx/utf8.h"

enum {
  ERRORS_MAX = 100,
  DIGITS_MAX = 4096,
  ERROR_TEXT_MAX_BYTES = 512,
  /* A cut one says nothing, so a longer one is left out; as a webhook's payload (8.4). */
  CLIENT_STATE_MAX_BYTES = 32 * 1024,
  /* Steps of sequence_number that are no loss: the sender counts anew. */
  SEQUENCE_BACK_MAX = 1000,
  SEQUENCE_LEAP_MAX = 3000
};

/* ---- what frames tell besides sound ---------------------------------------------------------- */

static void copy_text(char *out, size_t bytes, const char *text) {
  if (out[0] != '\0' || text == NULL) return;
  size_t kept = utf8_fit(text, bytes - 1);
  memcpy(out, text, kept);
  out[kept] = '\0';
}

void stream_note_start(struct stream *s, const struct moment *at, const struct frame *f) {
  struct part *p = &s->meta;
  if (p->start_ms == 0) p->start_ms = at->wall_us / 1000;
  copy_text(p->stream_id, sizeof p->stream_id, f->stream_id);
  copy_text(p->call_control_id, sizeof p->call_control_id, f->call_control_id);
  copy_text(p->call_session_id, sizeof p->call_session_id, f->call_session_id);
  copy_text(p->call_leg_id, sizeof p->call_leg_id, f->call_leg_id);
  copy_text(p->from, sizeof p->from, f->from);
  copy_text(p->to, sizeof p->to, f->to);
  bool fits = f->client_state != NULL && strlen(f->client_state) <= CLIENT_STATE_MAX_BYTES;
  if (p->client_state == NULL && fits) p->client_state = strdup(f->client_state);
}

void stream_note_encoding(struct stream *s, int track, const char *encoding) {
  char *out = s->meta.track[track].encoding;
  out[0] = '\0';
  copy_text(out, sizeof s->meta.track[track].encoding, encoding);
}

void stream_dtmf(struct stream *s, const struct moment *at, const struct frame *f) {
  int64_t us;
  if (f->digit == NULL || strlen(f->digit) != 1 || json_array_size(s->meta.dtmf) >= DIGITS_MAX) return;
  if (f->occurred_at == NULL || !timestamp_parse(f->occurred_at, &us)) us = at->wall_us;
  json_array_append_new(s->meta.dtmf,
                        json_pack("{s:s, s:I}", "digit", f->digit, "at_ms", (json_int_t)(us / 1000)));
  s->changed = true;
}

/* Cut at a character. New reference. */
static json_t *short_text(const char *text) {
  return text != NULL ? json_stringn(text, utf8_fit(text, ERROR_TEXT_MAX_BYTES)) : json_string("");
}

void stream_error(struct stream *s, const struct moment *at, const struct frame *f) {
  if (json_array_size(s->meta.errors) >= ERRORS_MAX) return;
  json_array_append_new(s->meta.errors,
                        json_pack("{s:I, s:o, s:o, s:I}", "code", (json_int_t)f->error_code, "title",
                                  short_text(f->error_title), "detail", short_text(f->error_detail), "at_ms",
                                  (json_int_t)(at->wall_us / 1000)));
  s->changed = true;
}

void stream_sequence(struct stream *s, uint64_t sequence) {
  bool restart = s->sequence_count > 0 && (sequence + SEQUENCE_BACK_MAX < s->sequence_high ||
                                           sequence > s->sequence_high + SEQUENCE_LEAP_MAX);
  if (s->sequence_count == 0 || restart) {
    s->sequence_first = s->sequence_high = sequence;
    s->sequence_count = 0;
    s->sequence_missing_before = s->meta.messages_missing;
  }
  s->sequence_count++;
  if (sequence > s->sequence_high) s->sequence_high = sequence;
  uint64_t expected = s->sequence_high - s->sequence_first + 1;
  uint64_t missing = expected > s->sequence_count ? expected - s->sequence_count : 0;
  s->meta.messages_missing = s->sequence_missing_before + missing;
}

void stream_fault(struct stream *s) {
  s->meta.parse_errors++;
  s->changed = true;
}

/* ---- what was measured ----------------------------------------------------------------------- */

static void part_copy_meta(struct part *p, const struct stream *s) {
  struct delivery_facts *delivery[TRACK_COUNT] = {p->track[0].delivery, p->track[1].delivery};
  struct speech_facts *speech = p->speech;
  json_decref(p->dtmf);
  json_decref(p->errors);
  *p = s->meta;
  for (int i = 0; i < TRACK_COUNT; i++) p->track[i].delivery = delivery[i];
  p->speech = speech;
  p->dtmf = json_copy(s->meta.dtmf);
  p->errors = json_copy(s->meta.errors);
  p->client_state = s->meta.client_state != NULL ? strdup(s->meta.client_state) : NULL;
}

static struct delivery_facts *track_facts(const struct stream *s, int track) {
  struct delivery_facts *f = malloc(sizeof *f);
  if (f == NULL) return NULL;
  delivery_facts(s->track[track].delivery, f);
  f->origin_us = s->meta.first_frame_ms * 1000 + s->track[track].origin_us;
  f->missing_unassigned = timebase_unassigned(&s->timebase);
  f->chunk_scope = s->meta.track[track].chunk_scope;
  f->ts_unit = s->meta.track[track].ts_unit;
  return f;
}

struct part *stream_part(struct stream *s) {
  struct part *p = part_new();
  if (p == NULL) return NULL;
  part_copy_meta(p, s);
  p->n = ++s->meta.n;
  int64_t end_us = 0;
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].begun) continue;
    if (s->track[i].end_us > end_us) end_us = s->track[i].end_us;
    p->track[i].delivery = track_facts(s, i);
  }
  if (s->heard && end_us > 0) {
    p->speech = malloc(sizeof *p->speech);
    if (p->speech != NULL) {
      speech_facts(s->speech, end_us / 1000, p->speech);
      /* The rules are told of silence on a track that never came, so that they need not wait for it. */
      for (int i = 0; i < TRACK_COUNT; i++) p->speech->present[i] = s->meta.track[i].seen;
    }
  }
  s->changed = false;
  return p;
}

const char *stream_part_id(const struct stream *s) {
  return s->meta.id;
}

bool stream_changed(const struct stream *s) {
  return s->changed;
}

int stream_speaking(const struct stream *s) {
  int bits = 0;
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].quiet && hearing_instant(s->track[i].hearing)) bits |= 1 << i;
  }
  return bits;
}

double stream_newest_r(const struct stream *s, enum quality_consumer consumer, bool plc,
                       const char *leg_codec) {
  const struct delivery_view view = {plc, consumer, leg_codec_of(leg_codec, s->codec)};
  double worst = NAN;
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].begun) continue;
    double r = delivery_newest_r(s->track[i].delivery, &view);
    if (r > DELIVERY_R_ABSENT) worst = fmin(worst, r); /* fmin() passes a NaN over */
  }
  return worst;
}

int64_t stream_gap_us(struct stream *s, const struct moment *at) {
  if (s->arrival_us == 0) return 0;
  int64_t running_us = at->mono_us - s->arrival_us, longest_us = s->gap_us;
  s->gap_us = 0;
  return running_us > longest_us ? running_us : longest_us;
}
