/* correlate() in AVX2; compiled with -mavx2 where the compiler is for x86 (Makefile), asked for only where
 * the processor has it. */
#include "dsp/correlate.h"

#ifdef __AVX2__

#include <immintrin.h>

enum { LANES = 16, PIECES = CORRELATE_SAMPLES / LANES, TOGETHER = 4 /* lags */ };

static inline __m256i load(const int16_t *pcm) {
  return _mm256_loadu_si256((const __m256i *)(const void *)pcm);
}

/* Pairs of products fill 32 bits, so their halves are added up apart: sum = high * 2^16 + low. */
static inline void one_lag(const int16_t *x, const __m256i y[PIECES], __m256i *high, __m256i *low) {
  const __m256i mask = _mm256_set1_epi32(0xffff);
  *high = *low = _mm256_setzero_si256();
  for (int i = 0; i < PIECES; i++) {
    __m256i products = _mm256_madd_epi16(load(x + i * LANES), y[i]);
    *high = _mm256_add_epi32(*high, _mm256_srai_epi32(products, 16));
    *low = _mm256_add_epi32(*low, _mm256_and_si256(products, mask));
  }
}

/* The sums of the lanes of four registers, in 64 bits. */
static inline __m256i four_sums(const __m256i v[TOGETHER]) {
  __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  return _mm256_cvtepi32_epi64(
      _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
}

static void correlate(const int16_t *x, const int16_t *y, size_t lags, int64_t *sums) {
  __m256i pieces[PIECES];
  for (int i = 0; i < PIECES; i++) pieces[i] = load(y + i * LANES);
  size_t l = 0;
  for (; l + TOGETHER <= lags; l += TOGETHER) {
    __m256i high[TOGETHER], low[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) one_lag(x + l + (size_t)k, pieces, &high[k], &low[k]);
    __m256i *to = (__m256i *)(void *)(sums + l);
    __m256i sum = _mm256_add_epi64(_mm256_slli_epi64(four_sums(high), 16), four_sums(low));
    _mm256_storeu_si256(to, _mm256_add_epi64(_mm256_loadu_si256(to), sum));
  }
  correlate_scalar(x + l, y, lags - l, sums + l);
}

correlate_kernel correlate_avx2(void) {
  return __builtin_cpu_supports("avx2") ? correlate : NULL;
}

#else

correlate_kernel correlate_avx2(void) {
  return NULL;
}

#endif
