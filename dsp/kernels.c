#include "dsp/kernels.h"

static uint32_t block_sums(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out) {
  uint32_t peak = 0;
  for (size_t b = 0; b < blocks; b++, pcm += block_samples) {
    int32_t sum = 0;
    uint64_t square = 0;
    for (size_t i = 0; i < block_samples; i++) {
      int32_t x = pcm[i];
      uint32_t size = (uint32_t)(x < 0 ? -x : x);
      sum += x;
      square += (uint32_t)(x * x);
      peak = size > peak ? size : peak;
    }
    out[b] = (struct block_sum){.sum = sum, .square = square};
  }
  return peak;
}

/* Fits: 16 products of at most 2^15 * 2^11. */
static void tones(const int16_t pcm[TONE_SAMPLES], int32_t out[TONE_COUNT][2]) {
  for (int t = 0; t < TONE_COUNT; t++)
    for (int part = 0; part < 2; part++) {
      int32_t sum = 0;
      for (int n = 0; n < TONE_SAMPLES; n++) sum += pcm[n] * tone_table[t][part][n];
      out[t][part] = sum;
    }
}

const struct kernels kernels_scalar = {"C", block_sums, tones};

const struct kernels *kernels_best(void) {
  const struct kernels *k = kernels_avx2();
  if (k == NULL) k = kernels_neon();
  return k != NULL ? k : &kernels_scalar;
}
