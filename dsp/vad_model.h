/* From features to log-odds of speech: context means and two small networks. Private to the voice
 * detector.
 *
 * Use: vad_model_init(), vad_model_take() each frame's features, then vad_model_log_odds(). */
#ifndef DSP_VAD_MODEL_H
#define DSP_VAD_MODEL_H

#include "dsp/kernels.h"
#include "dsp/vad_features.h"

enum {
  VAD_LOOK_AHEAD = 9, /* frames after the decided one that the settled network sees */
  VAD_PAST = 6,       /* frames before it */
  VAD_RING = 16,      /* VAD_LOOK_AHEAD + 1 + VAD_PAST, no power of two needed but it is one */
  VAD_SLOW_MEANS = 2  /* over about 20 and 60 frames */
};
_Static_assert(VAD_RING == VAD_LOOK_AHEAD + 1 + VAD_PAST, "the ring holds what the contexts reach");

/* Its members are its own; it can be copied. */
struct vad_model {
  const struct kernels *kernels; /* static */
  float ring[VAD_RING][VAD_FEATURES];
  unsigned newest; /* place in the ring */
  float slow[VAD_SLOW_MEANS][VAD_FEATURES];
};

/* Silence so far; the kernels of this processor. */
void vad_model_init(struct vad_model *m);
void vad_model_take(struct vad_model *m, const float features[VAD_FEATURES]);
/* The features of the frame before once more: for frames that never came and beyond the end. */
void vad_model_repeat(struct vad_model *m);
/* Of speech, natural logarithm: `instant` for the newest frame, `settled` for the one VAD_LOOK_AHEAD before. */
struct vad_log_odds {
  float settled, instant;
};
void vad_model_log_odds(const struct vad_model *m, struct vad_log_odds *out);

#endif
