/* The kernels in NEON, which every 64-bit ARM has. */
#include "dsp/kernels.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <arm_neon.h>

enum { LANES = 8 }; /* 16-bit samples of a register */

static uint32_t block_sums(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out) {
  uint16x8_t peaks = vdupq_n_u16(0);
  uint32_t peak = 0;
  for (size_t b = 0; b < blocks; b++, pcm += block_samples) {
    int32x4_t sums = vdupq_n_s32(0);
    uint64x2_t squares = vdupq_n_u64(0);
    size_t i = 0;
    for (; i + LANES <= block_samples; i += LANES) {
      int16x8_t x = vld1q_s16(pcm + i);
      /* |-32768| is 32768 as a number without sign. */
      uint16x8_t size = vreinterpretq_u16_s16(vabsq_s16(x));
      sums = vpadalq_s16(sums, x);
      squares = vpadalq_u32(squares, vmull_u16(vget_low_u16(size), vget_low_u16(size)));
      squares = vpadalq_u32(squares, vmull_high_u16(size, size));
      peaks = vmaxq_u16(peaks, size);
    }
    out[b] = (struct block_sum){.sum = vaddvq_s32(sums), .square = vaddvq_u64(squares)};
    block_add(pcm + i, block_samples - i, &out[b], &peak);
  }
  uint32_t wide = vmaxvq_u16(peaks);
  return wide > peak ? wide : peak;
}

static void tones(const int16_t pcm[TONE_SAMPLES], int32_t out[TONE_COUNT][2]) {
  int16x8_t low = vld1q_s16(pcm), high = vld1q_s16(pcm + LANES);
  for (int t = 0; t < TONE_COUNT; t++)
    for (int part = 0; part < 2; part++) {
      const int16_t *row = tone_table[t][part];
      int16x8_t a = vld1q_s16(row), b = vld1q_s16(row + LANES);
      int32x4_t sum = vmull_s16(vget_low_s16(low), vget_low_s16(a));
      sum = vmlal_high_s16(sum, low, a);
      sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(b));
      sum = vmlal_high_s16(sum, high, b);
      out[t][part] = vaddvq_s32(sum);
    }
}

static void correlate(const int16_t *x, const int16_t y[CORRELATE_SAMPLES], size_t lags, int64_t *sums) {
  for (size_t l = 0; l < lags; l++) {
    int64x2_t sum = vdupq_n_s64(0);
    for (size_t i = 0; i < CORRELATE_SAMPLES; i += LANES) {
      int16x8_t a = vld1q_s16(x + l + i), b = vld1q_s16(y + i);
      sum = vpadalq_s32(sum, vmull_s16(vget_low_s16(a), vget_low_s16(b)));
      sum = vpadalq_s32(sum, vmull_high_s16(a, b));
    }
    sums[l] += vaddvq_s64(sum);
  }
}

/* The plain C goes in fours, a register of NEON. */
static void layers(const struct layer *wide, const struct layer *narrow) {
  kernels_scalar.layers(wide, narrow);
}

static const struct kernels table = {
    .name = "NEON", .block_sums = block_sums, .tones = tones, .correlate = correlate, .layers = layers};

const struct kernels *kernels_neon(void) {
  return &table;
}

#else

const struct kernels *kernels_neon(void) {
  return NULL;
}

#endif
