/* correlate() in NEON, which every 64-bit ARM has. */
#include "dsp/correlate.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <arm_neon.h>

enum { LANES = 8 };

static void correlate(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums) {
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

correlate_kernel correlate_neon(void) {
  return correlate;
}

#else

correlate_kernel correlate_neon(void) {
  return NULL;
}

#endif
