/* What tells music, tones and machines from speech (voice-quality.md 5.6): speech comes in syllables, so
 * its envelope moves at 2 to 8 Hz, and no peak of its spectrum lasts. Plain state, no heap, one thread.
 *
 * Measured on the labelled audio: 10 s windows of unbroken speech have a modulation of 0.45 to 0.92,
 * music 0.18 to 0.21 (rhythmic music 0.55), noise and tones 0 to 0.24. */
#ifndef DSP_STEADY_H
#define DSP_STEADY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/fft.h"

enum { STEADY_BLOCK = 64 /* frames of 20 ms: bins of 0.78 Hz */ };

struct steady {
  float size[STEADY_BLOCK]; /* root of the mean square of the open block's frames */
  uint32_t frames, blocks;
  double moved, sizes; /* sums over blocks: power of the modulation; of the means */
  uint32_t low_bin, high_bin;
  bool peak_before[FFT_POINTS / 2 + 1], any_before;
  uint32_t spectra;
  double lasting; /* sum over spectra: share of the power in peaks that lasted */
};

struct steady_result {
  bool enough;       /* at least 5 s were measured; else nothing is set */
  double modulation; /* root of the power at 2 to 8 Hz, over the mean */
  double lasting;    /* mean share of the power in bins that stood out now and 160 ms before */
};

void steady_init(struct steady *s, uint32_t rate_hz);
/* The next 20 ms. */
void steady_frame(struct steady *s, double mean_square);
/* The next FFT_POINTS samples, 160 ms after the last ones. */
void steady_spectrum(struct steady *s, const int16_t pcm[FFT_POINTS]);
/* What follows does not adjoin what came. */
void steady_break(struct steady *s);
/* What was found since the last call. */
struct steady_result steady_take(struct steady *s);

#endif
