#include "dsp/kernels.h"

#include <string.h>

#include "dsp/four.h"

static uint32_t block_sums(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out) {
  uint32_t peak = 0;
  for (size_t b = 0; b < blocks; b++, pcm += block_samples) {
    struct block_sum sum = {0};
    block_add(pcm, block_samples, &sum, &peak);
    out[b] = sum;
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

static void correlate(const int16_t *x, const int16_t y[CORRELATE_SAMPLES], size_t lags, int64_t *sums) {
  for (size_t l = 0; l < lags; l++) {
    int64_t sum = 0;
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) sum += (int32_t)x[l + i] * y[i];
    sums[l] += sum;
  }
}

static void layers(const struct layer *wide, const struct layer *narrow) {
  enum { WIDE = LAYER_WIDE / LANES, NARROW = LAYER_NARROW / LANES };
  four w[WIDE], n[NARROW]; /* in registers: the loops over them are unrolled */
  memcpy(w, wide->sums, sizeof w);
  memcpy(n, narrow->sums, sizeof n);
  for (size_t i = 0; i < wide->inputs; i++) {
    const float *row = wide->weights + i * LAYER_WIDE;
#pragma GCC unroll 6
    for (int f = 0; f < WIDE; f++) w[f] += wide->input[i] * four_load(row + f * LANES);
    if (i >= narrow->inputs) continue;
    row = narrow->weights + i * LAYER_NARROW;
#pragma GCC unroll 2
    for (int f = 0; f < NARROW; f++) n[f] += narrow->input[i] * four_load(row + f * LANES);
  }
  memcpy(wide->sums, w, sizeof w);
  memcpy(narrow->sums, n, sizeof n);
}

const struct kernels kernels_scalar = {
    .name = "C", .block_sums = block_sums, .tones = tones, .correlate = correlate, .layers = layers};

const struct kernels *kernels_best(void) {
  const struct kernels *k = kernels_avx2();
  if (k == NULL) k = kernels_neon();
  return k != NULL ? k : &kernels_scalar;
}
