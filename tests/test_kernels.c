/* Every variant of dsp/kernels gives the same bits as the plain C, whatever comes in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/kernel_cases.h"
#include "tests/talker.h"

enum { ROUNDS = 2000, LAGS_MAX = 500 };

static const struct kernels *variants[2];
static int variant_count;

static int find_variants(void **state) {
  (void)state;
  if (kernels_avx2() != NULL) variants[variant_count++] = kernels_avx2();
  if (kernels_neon() != NULL) variants[variant_count++] = kernels_neon();
  for (int i = 0; i < variant_count; i++) print_message("compared with C: %s\n", variants[i]->name);
  return 0;
}

static void block_sums_are_equal(void **state) {
  (void)state;
  static int16_t pcm[KERNEL_SAMPLES_MAX + 16];
  uint32_t seed = 20261127;
  for (int c = 0; c < KERNEL_CASES; c++) {
    const struct kernel_case *k = &kernel_cases[c];
    for (int round = 0; round < ROUNDS; round++) {
      int16_t *at = pcm + round % 16; /* any address of a sample */
      struct block_sum expected[KERNEL_BLOCKS], found[KERNEL_BLOCKS];
      kernel_fill(k, &seed, at);
      uint32_t peak = kernels_scalar.block_sums(at, k->block_samples, KERNEL_BLOCKS, expected);
      for (int v = 0; v < variant_count; v++) {
        memset(found, 0xff, sizeof found);
        if (variants[v]->block_sums(at, k->block_samples, KERNEL_BLOCKS, found) != peak)
          fail_msg("%s, %s, round %d: another peak than %u", variants[v]->name, k->name, round, peak);
        if (memcmp(found, expected, sizeof found) != 0)
          fail_msg("%s, %s, round %d: other sums", variants[v]->name, k->name, round);
      }
    }
  }
}

static void tones_are_equal(void **state) {
  (void)state;
  static int16_t pcm[KERNEL_SAMPLES_MAX + 16];
  uint32_t seed = 5;
  for (int c = 0; c < KERNEL_CASES; c++)
    for (int round = 0; round < ROUNDS; round++) {
      int32_t expected[TONE_COUNT][2], found[TONE_COUNT][2];
      int16_t *at = pcm + round % 16;
      kernel_fill(&kernel_cases[c], &seed, at);
      kernels_scalar.tones(at, expected);
      for (int v = 0; v < variant_count; v++) {
        memset(found, 0xff, sizeof found);
        variants[v]->tones(at, found);
        assert_memory_equal(found, expected, sizeof found);
      }
    }
}

/* ---- correlate --------------------------------------------------------------------------------- */

static int16_t x[LAGS_MAX + CORRELATE_SAMPLES], y[CORRELATE_SAMPLES];
static int64_t sums[LAGS_MAX + 1];

static void check_one(const struct kernels *kernels, size_t lags) {
  for (size_t l = 0; l <= lags; l++) sums[l] = (int64_t)l - 7;
  kernels->correlate(x, y, lags, sums);
  for (size_t l = 0; l < lags; l++) {
    int64_t expected = (int64_t)l - 7;
    for (int i = 0; i < CORRELATE_SAMPLES; i++) expected += (int64_t)x[l + (size_t)i] * y[i];
    assert_int_equal(sums[l], expected);
  }
  assert_int_equal(sums[lags], (int64_t)lags - 7); /* not touched */
}

static void check(size_t lags) {
  check_one(&kernels_scalar, lags);
  for (int v = 0; v < variant_count; v++) check_one(variants[v], lags);
}

static void products_are_exact(void **state) {
  (void)state;
  static const size_t lags[] = {0, 1, 2, 3, 7, 16, 17, 481, LAGS_MAX};
  uint32_t noise = 5;
  for (int32_t amplitude = 1; amplitude <= INT16_MAX; amplitude = amplitude * 7 + 3) {
    for (size_t i = 0; i < LAGS_MAX + CORRELATE_SAMPLES; i++) x[i] = (int16_t)talker_noise(&noise, amplitude);
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) y[i] = (int16_t)talker_noise(&noise, amplitude);
    for (size_t i = 0; i < sizeof lags / sizeof *lags; i++) check(lags[i]);
  }
}

static void products_of_full_scale_fit(void **state) {
  (void)state;
  for (int sign = -1; sign <= 1; sign += 2) {
    for (size_t i = 0; i < LAGS_MAX + CORRELATE_SAMPLES; i++) x[i] = -INT16_MAX;
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) y[i] = (int16_t)(sign * INT16_MAX);
    check(481);
  }
}

/* ---- by hand ----------------------------------------------------------------------------------- */

/* The definition itself, by numbers that a hand can check. */
/* One number at a time. */
static void weigh(const float *input, const float *weights, size_t inputs, size_t units, float *to) {
  for (size_t i = 0; i < inputs; i++)
    for (size_t u = 0; u < units; u++) {
      volatile float product = input[i] * weights[i * units + u];
      to[u] += product;
    }
}

static void layers_are_equal(void **state) {
  (void)state;
  static struct layer_input given, expected, found;
  uint32_t seed = 6;
  for (int c = 0; c < LAYER_CASES; c++)
    for (int round = 0; round < 200; round++) {
      layer_fill(&given, &seed);
      expected = given;
      weigh(given.wide, given.wide_weights, layer_cases[c].wide, LAYER_WIDE, expected.wide_sums);
      weigh(given.narrow, given.narrow_weights, layer_cases[c].narrow, LAYER_NARROW, expected.narrow_sums);
      for (int v = -1; v < variant_count; v++) {
        found = given;
        layer_run(v < 0 ? &kernels_scalar : variants[v], &layer_cases[c], &found);
        assert_memory_equal(&found, &expected, sizeof expected);
      }
    }
}

static void plain_c_is_right(void **state) {
  (void)state;
  int16_t pcm[160] = {3, -4, [16] = -32768, [159] = 5};
  struct block_sum out[10];
  assert_int_equal(kernels_scalar.block_sums(pcm, 16, 10, out), 32768);
  assert_int_equal(out[0].sum, -1);
  assert_int_equal(out[0].square, 25);
  assert_int_equal(out[1].sum, -32768);
  assert_int_equal(out[1].square, 1073741824);
  assert_int_equal(out[9].square, 25);
  for (int i = 0; i < 160; i++) pcm[i] = -32768;
  kernels_scalar.block_sums(pcm, 80, 2, out);
  assert_int_equal(out[1].sum, -32768 * 80);
  assert_int_equal(out[1].square, 1073741824L * 80);
}

static void the_table_is_cosines_and_sines(void **state) {
  (void)state;
  for (int t = 0; t < TONE_COUNT; t++)
    for (int n = 0; n < TONE_SAMPLES; n++) {
      double turn = 2 * M_PI * tone_hz[t] * n / 800;
      assert_true(fabs(tone_table[t][0][n] - 2048 * cos(turn)) <= 0.5000001);
      assert_true(fabs(tone_table[t][1][n] - 2048 * sin(turn)) <= 0.5000001);
    }
}

static void the_best_one_is_there(void **state) {
  (void)state;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) assert_true(kernels_best() == kernels_avx2());
#endif
  assert_ptr_equal(kernels_best(), variant_count > 0 ? variants[0] : &kernels_scalar);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(block_sums_are_equal),
      cmocka_unit_test(tones_are_equal),
      cmocka_unit_test(layers_are_equal),
      cmocka_unit_test(plain_c_is_right),
      cmocka_unit_test(the_table_is_cosines_and_sines),
      cmocka_unit_test(products_are_exact),
      cmocka_unit_test(products_of_full_scale_fit),
      cmocka_unit_test(the_best_one_is_there),
  };
  return cmocka_run_group_tests(tests, find_variants, NULL);
}
