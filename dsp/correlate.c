#include "dsp/correlate.h"

void correlate_scalar(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums) {
  for (size_t l = 0; l < lags; l++) {
    int64_t sum = 0;
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) sum += (int32_t)x[l + i] * y[i];
    sums[l] += sum;
  }
}

correlate_kernel correlate_best(void) {
  correlate_kernel kernel = correlate_avx2();
  if (kernel == NULL) kernel = correlate_neon();
  return kernel != NULL ? kernel : correlate_scalar;
}
