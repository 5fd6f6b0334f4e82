#include "dsp/vad_model.h"

#include <string.h>

#include "dsp/vad_weights.h"

/* Four neighbouring floats at once, at any address of a float; the arithmetic is that of one. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
enum { LANES = 4, SETTLED_FOURS = VAD_SETTLED_HIDDEN / LANES, INSTANT_FOURS = VAD_INSTANT_HIDDEN / LANES };
_Static_assert(VAD_SETTLED_HIDDEN % LANES == 0 && VAD_INSTANT_HIDDEN % LANES == 0 &&
                   VAD_FEATURES % LANES == 0,
               "whole fours");

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
    for (int i = 0; i < VAD_FEATURES; i++) {
      /* A mean that creeps to zero would end in denormal numbers, a hundred times slower: the constant
       * goes in and out again and rounds them off. */
      float d = rate[s] * (features[i] - m->slow[s][i]);
      m->slow[s][i] = m->slow[s][i] + d + 1e-3f - 1e-3f;
    }
  }
}

void vad_model_repeat(struct vad_model *m) {
  float features[VAD_FEATURES];
  memcpy(features, m->ring[m->newest], sizeof features);
  vad_model_take(m, features);
}

static void context_mean(const struct vad_model *m, struct span span, float mean[VAD_FEATURES]) {
  four sum[VAD_FEATURES / LANES] = {{0}};
  for (unsigned age = span.youngest; age <= span.oldest; age++) {
    const four *frame = (const four *)m->ring[(m->newest + VAD_RING - age) % VAD_RING];
    for (int i = 0; i < VAD_FEATURES / LANES; i++) sum[i] += frame[i];
  }
  float scale = 1.0f / (float)(span.oldest - span.youngest + 1);
  for (int i = 0; i < VAD_FEATURES / LANES; i++) ((four *)mean)[i] = sum[i] * scale;
}

static void contexts(const struct vad_model *m, const struct span *spans, int count, float *input) {
  for (int c = 0; c < count; c++) context_mean(m, spans[c], input + c * VAD_FEATURES);
  memcpy(input + count * VAD_FEATURES, m->slow, sizeof m->slow);
}

static float output(const four *hidden, const float *weights, int fours, float bias) {
  float z = bias;
  for (int f = 0; f < fours; f++)
    for (int lane = 0; lane < LANES; lane++)
      z += (hidden[f][lane] > 0.0f ? hidden[f][lane] : 0.0f) * weights[f * LANES + lane];
  return z;
}

float vad_model_settled(const struct vad_model *m) {
  float input[VAD_SETTLED_INPUTS];
  four hidden[SETTLED_FOURS];
  contexts(m, settled_spans, VAD_SETTLED_CONTEXTS - VAD_SLOW_MEANS, input);
  memcpy(hidden, vad_settled_hidden_bias, sizeof hidden);
  for (int i = 0; i < VAD_SETTLED_INPUTS; i++) {
    const four *weights = (const four *)(vad_settled_input + i * VAD_SETTLED_HIDDEN);
    for (int f = 0; f < SETTLED_FOURS; f++) hidden[f] += input[i] * weights[f];
  }
  return output(hidden, vad_settled_output, SETTLED_FOURS, vad_settled_output_bias);
}

float vad_model_instant(const struct vad_model *m) {
  float input[VAD_INSTANT_INPUTS];
  four hidden[INSTANT_FOURS];
  contexts(m, instant_spans, VAD_INSTANT_CONTEXTS - VAD_SLOW_MEANS, input);
  memcpy(hidden, vad_instant_hidden_bias, sizeof hidden);
  for (int i = 0; i < VAD_INSTANT_INPUTS; i++) {
    const four *weights = (const four *)(vad_instant_input + i * VAD_INSTANT_HIDDEN);
    for (int f = 0; f < INSTANT_FOURS; f++) hidden[f] += input[i] * weights[f];
  }
  return output(hidden, vad_instant_output, INSTANT_FOURS, vad_instant_output_bias);
}
