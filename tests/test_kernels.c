/* Every variant of dsp/kernels gives the same bits as the plain C, whatever comes in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/kernel_cases.h"

enum { ROUNDS = 2000 };

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

/* The definition itself, by numbers that a hand can check. */
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
  assert_ptr_equal(kernels_best(), variant_count > 0 ? variants[0] : &kernels_scalar);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(block_sums_are_equal),  cmocka_unit_test(tones_are_equal),
      cmocka_unit_test(plain_c_is_right),      cmocka_unit_test(the_table_is_cosines_and_sines),
      cmocka_unit_test(the_best_one_is_there),
  };
  return cmocka_run_group_tests(tests, find_variants, NULL);
}
