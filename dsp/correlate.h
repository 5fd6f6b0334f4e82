/* Products of one piece of sound with another at many lags: the inner loop of dsp/echo. The plain C of
 * dsp/correlate.c is the definition; the vector variants give the same bits (tests/test_correlate.c).
 *
 * Use: correlate_best() once, and what it returned from then on. Pure, any thread. */
#ifndef DSP_CORRELATE_H
#define DSP_CORRELATE_H

#include <stddef.h>
#include <stdint.h>

enum { CORRELATE_SAMPLES = 80 }; /* of y */

/* sums[l] += sum over i of x[l + i] * y[i], i below CORRELATE_SAMPLES, exact. x has lags +
 * CORRELATE_SAMPLES - 1 samples. Samples are -32767 and up: two products must fit 32 bits. */
typedef void (*correlate_kernel)(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums);

void correlate_scalar(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums);
/* NULL where this build or this processor has none. */
correlate_kernel correlate_avx2(void);
correlate_kernel correlate_neon(void);
/* The fastest one this processor can run. */
correlate_kernel correlate_best(void);

#endif
