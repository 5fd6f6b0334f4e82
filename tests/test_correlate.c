/* dsp/correlate*.c: exact sums, added to what is there, of every variant that this processor runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/correlate.h"
#include "tests/talker.h"

enum { LAGS_MAX = 500 };

static int16_t x[LAGS_MAX + CORRELATE_SAMPLES], y[CORRELATE_SAMPLES];
static int64_t sums[LAGS_MAX + 1];

static void check_one(correlate_kernel kernel, size_t lags) {
  if (kernel == NULL) return;
  for (size_t l = 0; l <= lags; l++) sums[l] = (int64_t)l - 7;
  kernel(x, y, lags, sums);
  for (size_t l = 0; l < lags; l++) {
    int64_t expected = (int64_t)l - 7;
    for (int i = 0; i < CORRELATE_SAMPLES; i++) expected += (int64_t)x[l + (size_t)i] * y[i];
    assert_int_equal(sums[l], expected);
  }
  assert_int_equal(sums[lags], (int64_t)lags - 7); /* not touched */
}

static void check(size_t lags) {
  check_one(correlate_scalar, lags);
  check_one(correlate_avx2(), lags);
  check_one(correlate_neon(), lags);
}

static void sums_are_exact(void **state) {
  (void)state;
  static const size_t lags[] = {0, 1, 2, 3, 7, 16, 17, 481, LAGS_MAX};
  uint32_t noise = 5;
  for (int32_t amplitude = 1; amplitude <= INT16_MAX; amplitude = amplitude * 7 + 3) {
    for (size_t i = 0; i < LAGS_MAX + CORRELATE_SAMPLES; i++) x[i] = (int16_t)talker_noise(&noise, amplitude);
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) y[i] = (int16_t)talker_noise(&noise, amplitude);
    for (size_t i = 0; i < sizeof lags / sizeof *lags; i++) check(lags[i]);
  }
}

static void full_scale_does_not_overflow(void **state) {
  (void)state;
  for (int sign = -1; sign <= 1; sign += 2) {
    for (size_t i = 0; i < LAGS_MAX + CORRELATE_SAMPLES; i++) x[i] = -INT16_MAX;
    for (size_t i = 0; i < CORRELATE_SAMPLES; i++) y[i] = (int16_t)(sign * INT16_MAX);
    check(481);
  }
}

static void the_best_is_one_of_them(void **state) {
  (void)state;
  correlate_kernel best = correlate_best();
  assert_non_null(best);
  assert_true(best == correlate_scalar || best == correlate_avx2() || best == correlate_neon());
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) assert_true(best == correlate_avx2() && best != correlate_scalar);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_exact),
                                     cmocka_unit_test(full_scale_does_not_overflow),
                                     cmocka_unit_test(the_best_is_one_of_them)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
