#include "dsp/vad_model.h"

#include <string.h>

#include "dsp/four.h"
#include "dsp/vad_weights.h"

enum { SETTLED_FOURS = VAD_SETTLED_HIDDEN / LANES, INSTANT_FOURS = VAD_INSTANT_HIDDEN / LANES };
_Static_assert(VAD_SETTLED_HIDDEN % LANES == 0 && VAD_INSTANT_HIDDEN % LANES == 0 &&
                   VAD_FEATURES % LANES == 0,
               "whole fours");
_Static_assert(VAD_INSTANT_INPUTS <= VAD_SETTLED_INPUTS, "one loop over both");

/* Ages of the frames of a context mean, counted back from the newest frame. */
struct span {
  unsigned youngest, oldest;
};

static const struct span settled_spans[] = {
    {VAD_LOOK_AHEAD - 1, VAD_LOOK_AHEAD + 1}, /* the decided frame and its neighbours */
    {VAD_LOOK_AHEAD - 4, VAD_LOOK_AHEAD - 2},
    {0, VAD_LOOK_AHEAD - 5},
    {VAD_LOOK_AHEAD + 2, VAD_LOOK_AHEAD + VAD_PAST},
};
static const struct span instant_spans[] = {{0, 2}, {3, 8}};

_Static_assert(sizeof settled_spans / sizeof *settled_spans + VAD_SLOW_MEANS == VAD_SETTLED_CONTEXTS,
               "as many contexts as the settled network was trained with");
_Static_assert(sizeof instant_spans / sizeof *instant_spans + VAD_SLOW_MEANS == VAD_INSTANT_CONTEXTS,
               "as many contexts as the instant network was trained with");

void vad_model_take(struct vad_model *m, const float features[VAD_FEATURES]) {
  static const float rate[VAD_SLOW_MEANS] = {1.0f / 20.0f, 1.0f / 60.0f};
  m->newest = (m->newest + 1) % VAD_RING;
  memcpy(m->ring[m->newest], features, sizeof m->ring[0]);
  for (int s = 0; s < VAD_SLOW_MEANS; s++) {
    for (int i = 0; i < VAD_FEATURES; i += LANES) {
      /* A mean that creeps to zero would end in denormal numbers, a hundred times slower: the constant
       * goes in and out again and rounds them off. */
      four slow = four_load(m->slow[s] + i), d = rate[s] * (four_load(features + i) - slow);
      four_store(m->slow[s] + i, slow + d + 1e-3f - 1e-3f);
    }
  }
}

void vad_model_repeat(struct vad_model *m) {
  float features[VAD_FEATURES];
  memcpy(features, m->ring[m->newest], sizeof features);
  vad_model_take(m, features);
}

static void context_mean(const struct vad_model *m, struct span span, float mean[VAD_FEATURES]) {
  float scale = 1.0f / (float)(span.oldest - span.youngest + 1);
  for (int i = 0; i < VAD_FEATURES; i += LANES) {
    four sum = {0};
    for (unsigned age = span.youngest; age <= span.oldest; age++)
      sum += four_load(m->ring[(m->newest + VAD_RING - age) % VAD_RING] + i);
    four_store(mean + i, sum * scale);
  }
}

static void contexts(const struct vad_model *m, const struct span *spans, int count, float *input) {
  for (int c = 0; c < count; c++) context_mean(m, spans[c], input + c * VAD_FEATURES);
  memcpy(input + count * VAD_FEATURES, m->slow, sizeof m->slow);
}

/* Each hidden unit is a sum over the inputs, one after the other; both networks go through theirs together,
 * since one alone waits for its own sums. */
static void hidden_sums(const float settled_input[VAD_SETTLED_INPUTS], four settled[SETTLED_FOURS],
                        const float instant_input[VAD_INSTANT_INPUTS], four instant[INSTANT_FOURS]) {
  four s[SETTLED_FOURS], n[INSTANT_FOURS]; /* in registers: the loops over them are unrolled */
  memcpy(s, vad_settled_hidden_bias, sizeof s);
  memcpy(n, vad_instant_hidden_bias, sizeof n);
  for (int i = 0; i < VAD_SETTLED_INPUTS; i++) {
    const four *row = (const four *)(vad_settled_input + i * VAD_SETTLED_HIDDEN);
#pragma GCC unroll 6
    for (int f = 0; f < SETTLED_FOURS; f++) s[f] += settled_input[i] * row[f];
    if (i >= VAD_INSTANT_INPUTS) continue;
    row = (const four *)(vad_instant_input + i * VAD_INSTANT_HIDDEN);
#pragma GCC unroll 2
    for (int f = 0; f < INSTANT_FOURS; f++) n[f] += instant_input[i] * row[f];
  }
  memcpy(settled, s, sizeof s);
  memcpy(instant, n, sizeof n);
}

static float output(const four *hidden, const float *weights, int fours, float bias) {
  float z = bias;
  for (int f = 0; f < fours; f++)
    for (int lane = 0; lane < LANES; lane++)
      z += (hidden[f][lane] > 0.0f ? hidden[f][lane] : 0.0f) * weights[f * LANES + lane];
  return z;
}

void vad_model_log_odds(const struct vad_model *m, struct vad_log_odds *out) {
  float settled_input[VAD_SETTLED_INPUTS], instant_input[VAD_INSTANT_INPUTS];
  four settled[SETTLED_FOURS], instant[INSTANT_FOURS];
  contexts(m, settled_spans, VAD_SETTLED_CONTEXTS - VAD_SLOW_MEANS, settled_input);
  contexts(m, instant_spans, VAD_INSTANT_CONTEXTS - VAD_SLOW_MEANS, instant_input);
  hidden_sums(settled_input, settled, instant_input, instant);
  out->settled = output(settled, vad_settled_output, SETTLED_FOURS, vad_settled_output_bias);
  out->instant = output(instant, vad_instant_output, INSTANT_FOURS, vad_instant_output_bias);
}
