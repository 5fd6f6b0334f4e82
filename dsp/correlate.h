/* Products of one piece of sound with another at many lags: the inner loop of dsp/echo. Pure. */
#ifndef DSP_CORRELATE_H
#define DSP_CORRELATE_H

#include <stddef.h>
#include <stdint.h>

enum { CORRELATE_SAMPLES = 80 }; /* of y */

/* sums[l] += sum over i of x[l + i] * y[i], i below CORRELATE_SAMPLES, exact. x has lags +
 * CORRELATE_SAMPLES - 1 samples. Samples are -32767 and up: two products must fit 32 bits. */
void correlate(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums);

#endif
