/* The kernels in AVX2; compiled with -mavx2 where the compiler is for x86 (Makefile), asked for only
 * where the processor has it. */
#include "dsp/kernels.h"

#ifdef __AVX2__

#include <immintrin.h>

enum {
  LANES = 16, /* 16-bit samples of a register */
  PIECES = CORRELATE_SAMPLES / LANES,
  TOGETHER = 4 /* lags */
};

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
    out[b] = (struct block_sum){.sum = add_signed(sums), .square = square};
    block_add(pcm + i, block_samples - i, &out[b], &peak);
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

static void correlate(const int16_t *x, const int16_t y[CORRELATE_SAMPLES], size_t lags, int64_t *sums) {
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
  kernels_scalar.correlate(x + l, y, lags - l, sums + l);
}

static inline __m256 weigh(__m256 sums, float input, const float *weights) {
  return _mm256_add_ps(sums, _mm256_mul_ps(_mm256_set1_ps(input), _mm256_loadu_ps(weights)));
}

static void layers(const struct layer *wide, const struct layer *narrow) {
  enum { EIGHT = 8 };
  _Static_assert(LAYER_WIDE == 3 * EIGHT && (int)LAYER_NARROW == (int)EIGHT, "three registers and one");
  __m256 a = _mm256_loadu_ps(wide->sums), b = _mm256_loadu_ps(wide->sums + EIGHT);
  __m256 c = _mm256_loadu_ps(wide->sums + 2 * EIGHT), n = _mm256_loadu_ps(narrow->sums);
  for (size_t i = 0; i < wide->inputs; i++) {
    const float *row = wide->weights + i * LAYER_WIDE;
    a = weigh(a, wide->input[i], row);
    b = weigh(b, wide->input[i], row + EIGHT);
    c = weigh(c, wide->input[i], row + 2 * EIGHT);
    if (i < narrow->inputs) n = weigh(n, narrow->input[i], narrow->weights + i * LAYER_NARROW);
  }
  _mm256_storeu_ps(wide->sums, a);
  _mm256_storeu_ps(wide->sums + EIGHT, b);
  _mm256_storeu_ps(wide->sums + 2 * EIGHT, c);
  _mm256_storeu_ps(narrow->sums, n);
}

static const struct kernels table = {
    .name = "AVX2", .block_sums = block_sums, .tones = tones, .correlate = correlate, .layers = layers};

const struct kernels *kernels_avx2(void) {
  return __builtin_cpu_supports("avx2") ? &table : NULL;
}

#else

const struct kernels *kernels_avx2(void) {
  return NULL;
}

#endif
