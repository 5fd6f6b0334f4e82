#include "agent/diagnosis.h"

#include <math.h>
#include <stdlib.h>

#include "dsp/presence.h"

/* In a window, else its active level is that of the room of somebody who listens. */
enum { SPEECH_MIN_MS = 1000 };

struct diagnosis_track {
  struct diagnosis *diagnosis;
  int index;
  struct signal *signal;
  uint32_t rate_hz;
  int64_t origin_ms;
  uint64_t windows; /* ordinal of the newest window judged */
  bool came;
  int64_t arrival_ms; /* of the newest frame */
};

struct diagnosis {
  diagnosis_sink sink;
  void *arg;
  struct echo *echo;
  struct diagnosis_track track[TRACK_COUNT];
  struct presence presence;
  bool over; /* presence has had its end */
  struct findings findings;
};

/* ---- what the meters say --------------------------------------------------------------------- */

static void on_presence(void *arg, const struct presence_note *note) {
  static const enum finding_kind kinds[] = {[PRESENCE_NO_MEDIA] = FINDING_NO_MEDIA,
                                            [PRESENCE_ONE_WAY] = FINDING_ONE_WAY,
                                            [PRESENCE_DEAD_AIR] = FINDING_DEAD_AIR};
  struct diagnosis *d = arg;
  enum finding_kind kind = kinds[note->kind];
  if (note->change == PRESENCE_TAKEN_BACK) {
    findings_retract(&d->findings, kind, note->track);
    return;
  }
  findings_open(&d->findings, kind, note->track, note->start_ms, (double)note->length_ms, NAN);
  if (note->change == PRESENCE_ENDED) findings_close(&d->findings, kind, note->track, note->end_ms);
}

/* Only inbound can hold an echo of what we send. */
static void on_echo(void *arg, const struct echo_verdict *v) {
  struct diagnosis *d = arg;
  findings_value(&d->findings, FINDING_ECHO, TRACK_INBOUND, v->start_ms, v->found ? v->erl_db : INFINITY,
                 v->found ? v->delay_ms : NAN);
}

static double known(const struct figure *figure) {
  return figure->absent ? NAN : figure->value;
}

static struct finding_values values_of(const struct signal_window *w) {
  struct finding_values v = finding_values_unknown();
  uint64_t frames = (w->measured_ms + w->missing_ms) / SIGNAL_FRAME_MS;
  if (!w->non_speech) v.noise_dbov = known(&w->noise_dbov); /* music is not the noise beneath speech */
  if (!w->non_speech && w->speech_ms >= SPEECH_MIN_MS) {
    v.active_level_dbov = known(&w->active_level_dbov);
    v.snr_db = known(&w->snr_db);
  }
  v.clip_pct = known(&w->clip_share) * 100;
  v.hum_dbov = w->hum_hz != 0 ? known(&w->hum_dbov) : -INFINITY;
  v.hum_hz = w->hum_hz != 0 ? (double)w->hum_hz : NAN;
  v.mute_gaps_per_min = known(&w->mute_gaps_per_min);
  v.dc = known(&w->dc);
  if (frames > 0) v.inserted_silence_pct = 100.0 * (double)w->inserted_silence_frames / (double)frames;
  return v;
}

static void judge_window(struct diagnosis *d, int track) {
  const struct signal_window *w = signal_window(d->track[track].signal);
  if (w->ordinal == d->track[track].windows) return;
  d->track[track].windows = w->ordinal;
  int64_t start_ms = d->track[track].origin_ms + w->start_ms, end_ms = d->track[track].origin_ms + w->end_ms;
  struct finding_values values = values_of(w);
  findings_window(&d->findings, track, start_ms, &values);
  if (w->measured_ms > 0) presence_level(&d->presence, track, start_ms, end_ms, known(&w->active_level_dbov));
}

static void on_silence(void *arg, int64_t start_us, int64_t end_us) {
  const struct diagnosis_track *t = arg;
  t->diagnosis->sink(t->diagnosis->arg, t->index, start_us, end_us);
}

/* ---- life ------------------------------------------------------------------------------------ */

size_t diagnosis_bytes(void) {
  return sizeof(struct diagnosis) + echo_bytes() + TRACK_COUNT * signal_bytes();
}

struct diagnosis *diagnosis_create(diagnosis_sink sink, void *arg) {
  struct diagnosis *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->sink = sink;
  d->arg = arg;
  d->echo = malloc(echo_bytes());
  bool whole = d->echo != NULL;
  for (int t = 0; t < TRACK_COUNT; t++) whole = (d->track[t].signal = malloc(signal_bytes())) && whole;
  if (!whole) {
    diagnosis_free(d);
    return NULL;
  }
  echo_init(d->echo, on_echo, d);
  for (int t = 0; t < TRACK_COUNT; t++) {
    d->track[t].diagnosis = d;
    d->track[t].index = t;
    signal_init(d->track[t].signal);
    if (sink) signal_on_silence(d->track[t].signal, on_silence, &d->track[t]);
  }
  presence_init(&d->presence, on_presence, d);
  findings_init(&d->findings);
  return d;
}

void diagnosis_free(struct diagnosis *d) {
  if (!d) return;
  for (int t = 0; t < TRACK_COUNT; t++) free(d->track[t].signal);
  free(d->echo);
  free(d);
}

void diagnosis_begin(struct diagnosis *d, int track, uint32_t rate_hz, uint32_t ptime_ms, int16_t ceiling,
                     int16_t idle) {
  d->track[track].rate_hz = rate_hz;
  signal_begin(d->track[track].signal, rate_hz, ceiling, idle);
  signal_ptime(d->track[track].signal, ptime_ms);
}

void diagnosis_origin(struct diagnosis *d, int track, int64_t origin_ms) {
  d->track[track].origin_ms = origin_ms;
}

/* ---- what comes ------------------------------------------------------------------------------ */

void diagnosis_pcm_8k(struct diagnosis *d, int track, int64_t position_samples, const int16_t *pcm,
                      size_t samples) {
  int64_t shared = d->track[track].origin_ms * (ECHO_RATE_HZ / 1000) + position_samples;
  echo_pcm(d->echo, track, shared, pcm, samples);
}

void diagnosis_pcm(struct diagnosis *d, int track, int64_t position_samples, const int16_t *pcm,
                   size_t samples) {
  signal_pcm(d->track[track].signal, position_samples, pcm, samples);
  if (d->track[track].rate_hz == ECHO_RATE_HZ) diagnosis_pcm_8k(d, track, position_samples, pcm, samples);
  judge_window(d, track);
}

void diagnosis_speech(struct diagnosis *d, int track, int64_t from_ms, int64_t to_ms, bool speech) {
  signal_speech(d->track[track].signal, from_ms, to_ms, speech);
  int64_t origin_ms = d->track[track].origin_ms;
  if (!d->over) presence_speech(&d->presence, track, origin_ms + from_ms, origin_ms + to_ms, speech);
  judge_window(d, track);
}

void diagnosis_expect(struct diagnosis *d, int track, int64_t at_ms) {
  if (!d->over) presence_expect(&d->presence, track, at_ms);
}

void diagnosis_frame(struct diagnosis *d, int track, int64_t place_ms, int64_t duration_ms,
                     int64_t arrival_ms, int64_t stall_ms) {
  d->track[track].came = true;
  d->track[track].arrival_ms = arrival_ms;
  if (!d->over) presence_frame(&d->presence, track, place_ms, duration_ms, arrival_ms);
  if (stall_ms > 0)
    findings_span(&d->findings, FINDING_STALL, track, arrival_ms - stall_ms, arrival_ms, (double)stall_ms,
                  NAN);
}

void diagnosis_delivery(struct diagnosis *d, int track, int64_t start_ms, double r, double loss_pct,
                        double ta_ms) {
  struct finding_values values = finding_values_unknown();
  values.r = r;
  values.loss_pct = loss_pct;
  values.ta_ms = ta_ms;
  findings_window(&d->findings, track, start_ms, &values);
}

void diagnosis_hold(struct diagnosis *d, int64_t at_ms, bool on) {
  if (!d->over) presence_hold(&d->presence, at_ms, on);
}

void diagnosis_over(struct diagnosis *d, int64_t at_ms) {
  if (!d->over) presence_end(&d->presence, at_ms);
  d->over = true;
}

/* A stall is told when it ends, from when it began: none can begin before the newest frame of its track. */
void diagnosis_tick(struct diagnosis *d, int64_t now_ms) {
  int64_t until_ms = now_ms;
  if (!d->over) presence_tick(&d->presence, now_ms);
  for (int t = 0; t < TRACK_COUNT; t++)
    if (d->track[t].came && d->track[t].arrival_ms < until_ms) until_ms = d->track[t].arrival_ms;
  findings_tick(&d->findings, until_ms);
}

void diagnosis_end(struct diagnosis *d, int64_t end_ms) {
  for (int t = 0; t < TRACK_COUNT; t++) {
    signal_flush(d->track[t].signal);
    judge_window(d, t);
  }
  diagnosis_over(d, end_ms);
  findings_end(&d->findings);
}

/* ---- facts ----------------------------------------------------------------------------------- */

void diagnosis_signal(const struct diagnosis *d, int track, struct signal_facts *out) {
  signal_facts(d->track[track].signal, out);
}

void diagnosis_echo(const struct diagnosis *d, struct echo_facts *out) {
  echo_facts(d->echo, out);
}

void diagnosis_findings(const struct diagnosis *d, struct finding_facts *out) {
  findings_facts(&d->findings, out);
}

uint64_t diagnosis_changes(const struct diagnosis *d) {
  const struct finding_facts *f = &d->findings.facts;
  uint64_t closed = 0;
  for (uint64_t i = 0; i < f->row_count; i++) closed += f->rows[i].end_ms >= 0;
  return f->row_count * (FINDING_ROWS_MAX + 1) + closed;
}
