/* The kernels in AVX2; compiled with -mavx2 where the compiler is for x86 (Makefile), asked for only
 * where the processor has it. */
#include "dsp/kernels.h"

#ifdef __AVX2__

#include <immintrin.h>

enum { LANES = 16 }; /* 16-bit samples of a register */

/* Sixteen samples at any address. */
static inline __m256i load(const int16_t *pcm) {
  return _mm256_loadu_si256((const __m256i *)(const void *)pcm);
}

/* Eight lanes of 32 bits, each without sign, added up in 64. */
static inline uint64_t add_unsigned(__m256i v) {
  __m256i low = _mm256_set1_epi64x(0xffffffff);
  __m256i pairs = _mm256_add_epi64(_mm256_and_si256(v, low), _mm256_srli_epi64(v, 32));
  __m128i two = _mm_add_epi64(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  return (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_extract_epi64(two, 1);
}

static inline int32_t add_signed(__m256i v) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

static inline uint32_t greatest(__m256i v) {
  __m128i eight = _mm_max_epu16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  /* The least of what is left over of 65535. */
  __m128i least = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-1)));
  return 0xffff ^ ((uint32_t)_mm_cvtsi128_si32(least) & 0xffff);
}

static uint32_t block_sums(const int16_t *pcm, size_t block_samples, size_t blocks, struct block_sum *out) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i peaks = _mm256_setzero_si256();
  uint32_t peak = 0;
  for (size_t b = 0; b < blocks; b++, pcm += block_samples) {
    __m256i sums = _mm256_setzero_si256();
    uint64_t square = 0;
    size_t i = 0;
    for (; i + LANES <= block_samples; i += LANES) {
      __m256i x = load(pcm + i);
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(x, ones));
      /* Two squares of -32768 are 2^31: right as a number without sign. */
      square += add_unsigned(_mm256_madd_epi16(x, x));
      peaks = _mm256_max_epu16(peaks, _mm256_abs_epi16(x));
    }
    int32_t sum = add_signed(sums);
    for (; i < block_samples; i++) {
      int32_t x = pcm[i];
      uint32_t size = (uint32_t)(x < 0 ? -x : x);
      sum += x;
      square += (uint32_t)(x * x);
      peak = size > peak ? size : peak;
    }
    out[b] = (struct block_sum){.sum = sum, .square = square};
  }
  uint32_t wide = greatest(peaks);
  return wide > peak ? wide : peak;
}

/* Four rows at a time: their sums end up in the four lanes of one register. */
static void tones(const int16_t pcm[TONE_SAMPLES], int32_t out[TONE_COUNT][2]) {
  const int16_t *row = tone_table[0][0];
  int32_t *to = out[0];
  __m256i x = load(pcm);
  int r = 0;
  for (; r + 4 <= 2 * TONE_COUNT; r += 4, row += 4 * TONE_SAMPLES) {
    __m256i a = _mm256_madd_epi16(x, load(row)), b = _mm256_madd_epi16(x, load(row + TONE_SAMPLES));
    __m256i c = _mm256_madd_epi16(x, load(row + 2 * TONE_SAMPLES));
    __m256i d = _mm256_madd_epi16(x, load(row + 3 * TONE_SAMPLES));
    __m256i abcd = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(abcd), _mm256_extracti128_si256(abcd, 1));
    _mm_storeu_si128((__m128i *)(void *)(to + r), sums);
  }
  for (; r < 2 * TONE_COUNT; r++, row += TONE_SAMPLES) to[r] = add_signed(_mm256_madd_epi16(x, load(row)));
}

static const struct kernels table = {"AVX2", block_sums, tones};

const struct kernels *kernels_avx2(void) {
  return __builtin_cpu_supports("avx2") ? &table : NULL;
}

#else

const struct kernels *kernels_avx2(void) {
  return NULL;
}

#endif
