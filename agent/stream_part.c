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

static void add_rtts(struct stream *s, enum rtt_source source, uint64_t count, uint64_t sum_us,
                     uint64_t least_us) {
  if (count == 0) return;
  if (s->rtt_count[source] == 0 || least_us < s->rtt_min_us[source]) s->rtt_min_us[source] = least_us;
  s->rtt_count[source] += count;
  s->rtt_sum_us[source] += sum_us;
}

static void at_least(uint64_t *greatest, uint64_t value) {
  if (value > *greatest) *greatest = value;
}

/* Does not count as a change: the facts go with the next frames', or the end's. */
void stream_evidence(struct stream *s, const struct socket_evidence *e) {
  struct socket_facts *f = &s->meta.socket;
  f->looks++;
  f->out_of_order_segments += e->out_of_order_segments;
  f->tcp_bytes += e->tcp_bytes;
  at_least(&f->rtt_var_max_us, e->tcp_rtt_var_us);
  at_least(&f->queued_max_bytes, e->queued_bytes);
  at_least(&f->pong_max_us, e->pong_max_us);
  /* The kernel says 0 before its first sample. */
  uint64_t least_us = e->tcp_rtt_min_us != 0 ? e->tcp_rtt_min_us : e->tcp_rtt_us;
  if (e->tcp_rtt_us != 0) add_rtts(s, RTT_TCP, 1, e->tcp_rtt_us, least_us);
  add_rtts(s, RTT_WS, e->pongs, e->pong_sum_us, e->pong_min_us);
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

struct delivery_facts *stream_track_facts(const struct stream *s, int track) {
  struct delivery_facts *f = malloc(sizeof *f);
  if (f == NULL) return NULL;
  delivery_facts(s->track[track].delivery, f);
  f->origin_us = s->meta.first_frame_ms * 1000 + s->track[track].origin_us;
  f->missing_unassigned = timebase_unassigned(&s->timebase);
  f->chunk_scope = s->meta.track[track].chunk_scope;
  f->ts_unit = s->meta.track[track].ts_unit;
  memcpy(f->rtt_count, s->rtt_count, sizeof f->rtt_count);
  memcpy(f->rtt_sum_us, s->rtt_sum_us, sizeof f->rtt_sum_us);
  memcpy(f->rtt_min_us, s->rtt_min_us, sizeof f->rtt_min_us);
  return f;
}

/* NULL: there is no decoder, or no memory. */
static struct signal_facts *track_sound(const struct stream *s, int track) {
  struct signal_facts *f = s->heard ? malloc(sizeof *f) : NULL;
  if (f != NULL) diagnosis_signal(s->diagnosis, track, f);
  return f;
}

static void put_findings(struct part *p, const struct stream *s) {
  if (s->heard) diagnosis_echo(s->diagnosis, &p->echo);
  p->findings = calloc(1, sizeof *p->findings);
  if (p->findings != NULL) diagnosis_findings(s->diagnosis, p->findings);
}

static void put_speech(struct part *p, const struct stream *s, int64_t end_us) {
  p->speech = malloc(sizeof *p->speech);
  if (p->speech == NULL) return;
  speech_facts(s->speech, end_us / 1000, p->speech);
  /* The rules are told of silence on a track that never came, so that they need not wait for it. */
  for (int i = 0; i < TRACK_COUNT; i++) p->speech->present[i] = s->meta.track[i].seen;
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
    p->track[i].signal = track_sound(s, i);
    p->track[i].delivery = stream_track_facts(s, i);
  }
  if (end_us > 0) put_findings(p, s);
  if (end_us > 0 && s->heard) put_speech(p, s, end_us);
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

double stream_newest_r(const struct stream *s, const char *leg_codec) {
  const struct delivery_view view = stream_view(s, leg_codec);
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
