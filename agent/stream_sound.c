/* The sound of a stream: from the assembler to the detector, the conversation's rules and the diagnosis. */
#include <math.h>
#include <stdlib.h>

#include "agent/stream_internal.h"
#include "dsp/emodel.h"
#include "dsp/speech.h"
#include "dsp/windows.h"

/* A track that is this far behind the other is silent meanwhile: what the other said gets decided. */
enum { TRACK_LAG_MS = 10000 };

static void feed(struct stream *s, int track, int64_t from_ms, int64_t to_ms, bool speech) {
  struct stream_track *t = &s->track[track];
  if (from_ms < t->fed_ms) from_ms = t->fed_ms;
  if (to_ms <= from_ms) return;
  speech_feed(s->speech, track, from_ms, to_ms, speech);
  t->fed_ms = to_ms;
}

static void on_decision(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  (void)score;
  struct stream_track *t = arg;
  struct stream *s = t->stream;
  int64_t origin_ms = t->origin_us / 1000;
  diagnosis_speech(s->diagnosis, t->index, from_ms, to_ms, speech);
  feed(s, t->index, origin_ms + from_ms, origin_ms + to_ms, speech);
  const struct stream_track *other = &s->track[1 - t->index];
  if (other->fed_ms < t->fed_ms - TRACK_LAG_MS) {
    feed(s, 1 - t->index, other->fed_ms, t->fed_ms - TRACK_LAG_MS, false);
  }
}

/* ---- sound ----------------------------------------------------------------------------------- */

static void on_sound(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples) {
  struct stream_track *t = arg;
  diagnosis_pcm(t->stream->diagnosis, t->index, position_samples, pcm, samples);
  hearing_pcm(t->hearing, position_samples, pcm, samples);
}

bool stream_sound_create(struct stream_track *t) {
  t->judged_us = -1;
  t->hearing = hearing_create(on_decision, t);
  if (t->hearing == NULL) return false;
  assembler_init(&t->assembler, on_sound, t);
  return true;
}

void stream_sound_begin(struct stream_track *t, const struct codec *codec, uint32_t ptime_us) {
  const struct codec *leg = t->stream->leg;
  if (codec->decode == NULL) return;
  const struct codec *limits = codec->id == CODEC_L16_8K && leg != NULL ? leg : codec;
  diagnosis_begin(t->stream->diagnosis, t->index, codec->sample_rate_hz, ptime_us / 1000, limits->pcm_ceiling,
                  limits->pcm_idle);
}

/* Silence that was put into the sound before it reached us counts as lost (voice-quality.md 3.6). */
void stream_sound_silence(void *arg, int track, int64_t start_us, int64_t end_us) {
  struct stream *s = arg;
  delivery_inserted_silence(s->track[track].delivery, start_us, end_us);
}

/* ---- windows of the delivery ----------------------------------------------------------------- */

struct delivery_view stream_view(const struct stream *s, const char *leg_codec) {
  return (struct delivery_view){s->options.plc, s->options.consumer, leg_codec_of(leg_codec, s->codec)};
}

/* Mouth to ear so far; NaN: not known. */
static double ta_ms_of(const struct stream_track *t) {
  struct delivery_facts *facts = stream_track_facts(t->stream, t->index);
  struct delivery_figures figures;
  if (facts == NULL) return NAN;
  const struct delivery_view view = stream_view(t->stream, "");
  delivery_figures(facts, t->stream->codec, &view, &figures);
  free(facts);
  return figures.ta_ms.absent ? NAN : figures.ta_ms.value;
}

/* R below 70 is a finding of loss. Of a window without loss it is the codec's own, and no finding. */
static void judge(struct stream_track *t, const struct delivery_rating *w, double ta_ms) {
  double r = w->r > DELIVERY_R_ABSENT ? w->r : NAN;
  if (w->ppl_pct == 0) r = EMODEL_R_CEILING_NB;
  t->judged_us = w->start_us;
  diagnosis_delivery(t->stream->diagnosis, t->index, (t->origin_us + w->start_us) / 1000, r, w->ppl_pct,
                     ta_ms);
}

/* With one frame many windows can be over: one a tick, which is oftener than new ones come. */
void stream_sound_tick(struct stream_track *t) {
  const struct stream_options *o = &t->stream->options;
  struct delivery_rating w;
  if (delivery_next_rating(t->delivery, o->consumer, o->plc, t->judged_us, &w)) judge(t, &w, ta_ms_of(t));
}

/* ---- the end --------------------------------------------------------------------------------- */

static int64_t part_ms(const struct stream *s, const struct moment *at) {
  return s->origin_arrival_us < 0 ? 0 : (at->mono_us - s->origin_arrival_us) / 1000;
}

void stream_hold(struct stream *s, const struct moment *at, bool on) {
  diagnosis_hold(s->diagnosis, part_ms(s, at), on);
}

void stream_over(struct stream *s, const struct moment *at) {
  diagnosis_over(s->diagnosis, part_ms(s, at));
}

/* The last windows, which are over only now. */
static void judge_rest(struct stream_track *t) {
  const struct stream_options *o = &t->stream->options;
  struct delivery_facts *f = stream_track_facts(t->stream, t->index);
  if (f == NULL) return;
  struct delivery_rating w;
  while (delivery_facts_next_rating(f, o->consumer, o->plc, t->judged_us, &w)) judge(t, &w, NAN);
  free(f);
}

void stream_sound_end(struct stream *s) {
  int64_t end_us = 0;
  for (int i = 0; i < TRACK_COUNT; i++) {
    if (!s->track[i].begun) continue;
    stream_sound_tick(&s->track[i]);
    judge_rest(&s->track[i]);
    if (s->track[i].end_us > end_us) end_us = s->track[i].end_us;
  }
  if (s->origin_arrival_us >= 0) diagnosis_end(s->diagnosis, end_us / 1000);
}
