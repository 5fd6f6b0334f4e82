/* The loops over samples that a vector unit does faster, behind one table of functions. The plain C of
 * dsp/kernels.c is the definition; every variant is integer arithmetic and gives the same bits
 * (tests/test_kernels.c).
 *
 * Use: kernels_best() once, when a track begins, and its members from then on. A row of the table is
 * constant: no state, any thread. */
#ifndef DSP_KERNELS_H
#define DSP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Of one block of samples. */
struct block_sum {
  int64_t sum;
  uint64_t square;
};

enum { TONE_SAMPLES = 16, TONE_COUNT = 15 };

/* Multiples of 10 Hz around mains and its harmonics, at 800 samples a second. */
extern const uint16_t tone_hz[TONE_COUNT];
/* cos and sin of 2 pi tone_hz[t] n / 800, in steps of 2^-11. */
extern const int16_t tone_table[TONE_COUNT][2][TONE_SAMPLES];

struct kernels {
  const char *name;
  /* Sums over `blocks` neighbouring blocks of block_samples (at most 512) each; returns the greatest
     |sample| of all of them, 0 to 32768. */
  uint32_t (*block_sums)(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out);
  /* out[t] = sum of pcm[n] * tone_table[t][part][n]. */
  void (*tones)(const int16_t pcm[TONE_SAMPLES], int32_t out[TONE_COUNT][2]);
};

extern const struct kernels kernels_scalar;
/* NULL where this build or this processor has none. */
const struct kernels *kernels_avx2(void);
const struct kernels *kernels_neon(void);

/* The fastest one this processor can run. */
const struct kernels *kernels_best(void);

#endif
