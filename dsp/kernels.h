/* The loops over samples that a vector unit does faster, behind one table of functions. The plain C of
 * dsp/kernels.c is the definition; every variant is integer arithmetic, or float arithmetic in the same
 * order without a fused multiplication, and gives the same bits (tests/test_kernels.c).
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

enum { TONE_SAMPLES = 16, TONE_COUNT = 15, CORRELATE_SAMPLES = 80 };

/* Multiples of 10 Hz around mains and its harmonics, at 800 samples a second. */
extern const uint16_t tone_hz[TONE_COUNT];
/* cos and sin of 2 pi tone_hz[t] n / 800, in steps of 2^-11. */
extern const int16_t tone_table[TONE_COUNT][2][TONE_SAMPLES];

/* A layer of a network: `inputs` numbers, their weights input by input, and what the units add up to. */
enum { LAYER_WIDE = 24, LAYER_NARROW = 8 }; /* units */
struct layer {
  const float *input, *weights;
  size_t inputs;
  float *sums;
};

struct kernels {
  const char *name;
  /* Sums over `blocks` neighbouring blocks of block_samples (at most 512) each; returns the greatest
     |sample| of all of them, 0 to 32768. */
  uint32_t (*block_sums)(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out);
  /* out[t] = sum of pcm[n] * tone_table[t][part][n]. */
  void (*tones)(const int16_t pcm[TONE_SAMPLES], int32_t out[TONE_COUNT][2]);
  /* sums[l] += sum over i of x[l + i] * y[i], i below CORRELATE_SAMPLES, exact. x has lags +
     CORRELATE_SAMPLES - 1 samples. Samples are -32767 and up: two products must fit 32 bits. */
  void (*correlate)(const int16_t *x, const int16_t y[CORRELATE_SAMPLES], size_t lags, int64_t *sums);
  /* sums[u] += input[i] * weights[i * units + u], for i in ascending order, of two layers at once, as one alone
     waits for its own sums. wide->inputs is at least narrow->inputs. */
  void (*layers)(const struct layer *wide, const struct layer *narrow);
};

/* A block's samples in plain C: the definition of block_sums, and what is left over of a variant's
 * registers. */
static inline void block_add(const int16_t *pcm, size_t samples, struct block_sum *sum, uint32_t *peak) {
  for (size_t i = 0; i < samples; i++) {
    int32_t x = pcm[i];
    uint32_t size = (uint32_t)(x < 0 ? -x : x);
    sum->sum += x;
    sum->square += (uint32_t)(x * x);
    *peak = size > *peak ? size : *peak;
  }
}

extern const struct kernels kernels_scalar;
/* NULL where this build or this processor has none. */
const struct kernels *kernels_avx2(void);
const struct kernels *kernels_neon(void);

/* The fastest one this processor can run. */
const struct kernels *kernels_best(void);

#endif
