#include "dsp/vad_model.h"

#include <string.h>

#include "dsp/four.h"
#include "dsp/vad_weights.h"

_Static_assert(VAD_FEATURES % LANES == 0, "whole fours");
_Static_assert((int)VAD_SETTLED_HIDDEN == (int)LAYER_WIDE && (int)VAD_INSTANT_HIDDEN == (int)LAYER_NARROW &&
                   VAD_INSTANT_INPUTS <= VAD_SETTLED_INPUTS,
               "the layers that the kernels know");

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

void vad_model_init(struct vad_model *m) {
  memset(m, 0, sizeof *m);
  m->kernels = kernels_best();
}

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

static float output(const float *hidden, const float *weights, int units, float bias) {
  float z = bias;
  for (int u = 0; u < units; u++) z += (hidden[u] > 0.0f ? hidden[u] : 0.0f) * weights[u];
  return z;
}

void vad_model_log_odds(const struct vad_model *m, struct vad_log_odds *out) {
  float settled_input[VAD_SETTLED_INPUTS], settled[VAD_SETTLED_HIDDEN];
  float instant_input[VAD_INSTANT_INPUTS], instant[VAD_INSTANT_HIDDEN];
  contexts(m, settled_spans, VAD_SETTLED_CONTEXTS - VAD_SLOW_MEANS, settled_input);
  contexts(m, instant_spans, VAD_INSTANT_CONTEXTS - VAD_SLOW_MEANS, instant_input);
  memcpy(settled, vad_settled_hidden_bias, sizeof settled);
  memcpy(instant, vad_instant_hidden_bias, sizeof instant);
  m->kernels->layers(&(struct layer){settled_input, vad_settled_input, VAD_SETTLED_INPUTS, settled},
                     &(struct layer){instant_input, vad_instant_input, VAD_INSTANT_INPUTS, instant});
  out->settled = output(settled, vad_settled_output, VAD_SETTLED_HIDDEN, vad_settled_output_bias);
  out->instant = output(instant, vad_instant_output, VAD_INSTANT_HIDDEN, vad_instant_output_bias);
}
