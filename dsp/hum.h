/* Mains hum in the pauses (voice-quality.md 5.5): power at 50 or 60 Hz and its next two harmonics, in
 * blocks of 1 s of neighbouring frames without speech, against the bins 10 Hz beside each.
 *
 *   20 ms of sound ─hum_decimate─> 16 samples at 800 Hz ─hum_frame─> 50 frames: a block
 *
 * The two halves are apart because whether there is speech is known later than the sound.
 * Plain state, no heap, one thread. */
#ifndef DSP_HUM_H
#define DSP_HUM_H

#include <stdint.h>

#include "dsp/kernels.h"

/* A comb filter of three stages down to 800 samples a second; what folds onto 150 Hz is 39 dB down, and
 * broadband sound falls on the neighbouring bins too. */
struct hum_decimator {
  uint64_t sum[3], before[3]; /* wrap around, and the differences are right all the same */
  uint32_t step;
  double scale;
};

/* rate_hz is a multiple of 800. */
void hum_decimate_init(struct hum_decimator *d, uint32_t rate_hz);
/* 20 ms of sound, that is 16 steps. */
void hum_decimate(struct hum_decimator *d, const int16_t *pcm, int16_t out[TONE_SAMPLES]);

enum { HUM_50, HUM_60, HUM_KINDS };

struct hum {
  double re[TONE_COUNT], im[TONE_COUNT];
  uint32_t frames; /* of the open block */
  uint32_t run[HUM_KINDS];
  double run_power[HUM_KINDS]; /* of the blocks of the run that are not counted yet, steps squared */
  double newest_power;         /* of the last block that had hum */
  uint64_t blocks, hum_blocks[HUM_KINDS];
  double hum_power[HUM_KINDS];
};

void hum_init(struct hum *h);
/* The next 20 ms without speech. */
void hum_frame(struct hum *h, const struct kernels *kernels, const int16_t pcm[TONE_SAMPLES]);
/* What follows does not adjoin what came: the open block is dropped. */
static inline void hum_break(struct hum *h) {
  h->frames = 0;
}
/* 50 or 60 while the last three blocks had it, else 0. */
uint32_t hum_hz(const struct hum *h);

#endif
