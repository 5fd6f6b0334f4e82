/* The weights of the two networks of the voice detector, made by tests/tools/train_vad.py. Layers are
 * input-major: the weights of one input to all hidden units stand side by side. */
#ifndef DSP_VAD_WEIGHTS_H
#define DSP_VAD_WEIGHTS_H

#include "dsp/vad_features.h"

enum {
  VAD_SETTLED_CONTEXTS = 6, /* four means around the frame and two slow ones */
  VAD_SETTLED_INPUTS = VAD_SETTLED_CONTEXTS * VAD_FEATURES,
  VAD_SETTLED_HIDDEN = 24,
  VAD_INSTANT_CONTEXTS = 4, /* two means of the past and two slow ones */
  VAD_INSTANT_INPUTS = VAD_INSTANT_CONTEXTS * VAD_FEATURES,
  VAD_INSTANT_HIDDEN = 8
};

extern const float vad_settled_input[VAD_SETTLED_INPUTS * VAD_SETTLED_HIDDEN];
extern const float vad_settled_hidden_bias[VAD_SETTLED_HIDDEN];
extern const float vad_settled_output[VAD_SETTLED_HIDDEN];
extern const float vad_settled_output_bias;

extern const float vad_instant_input[VAD_INSTANT_INPUTS * VAD_INSTANT_HIDDEN];
extern const float vad_instant_hidden_bias[VAD_INSTANT_HIDDEN];
extern const float vad_instant_output[VAD_INSTANT_HIDDEN];
extern const float vad_instant_output_bias;

#endif
