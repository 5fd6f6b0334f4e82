/* The Theil-Sen fit of voice-quality.md 3.4. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dsp/skew.h"

static struct skew skew;

static uint32_t next(uint32_t *x) {
  return *x = *x * 1664525 + 1013904223;
}

/* 20 ms frames with a drift and up to noise_us of delay on top. */
static void run(int64_t seconds, double ppm, uint32_t noise_us) {
  uint32_t x = 0x5eed0034;
  skew_reset(&skew);
  for (int64_t n = 0; n <= seconds * 50; n++) {
    int64_t media_us = n * 20000, delay_us = noise_us > 0 ? next(&x) >> 8 : 0;
    if (noise_us > 0) delay_us %= noise_us;
    skew_add(&skew, 777 + media_us + llround((double)media_us * ppm * 1e-6) + delay_us, 555 + media_us);
  }
}

static void drift_is_found(void **state) {
  (void)state;
  static const double ppm[] = {0, 200, -200, 37, 1000};
  for (size_t i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++) {
    run(120, ppm[i], 0);
    assert_true(skew.known);
    if (fabs(skew.ppm - ppm[i]) > 0.1) fail_msg("%g, expected %g", skew.ppm, ppm[i]);
  }
}

static void an_hour_in_sixty_points(void **state) {
  (void)state;
  run(3600, -75, 3000);
  assert_true(skew.known && fabs(skew.ppm + 75) < 0.5);
  assert_true(skew.count <= SKEW_POINTS);
  assert_true(skew.span_us > 3580000000LL);
}

static void not_before_a_minute(void **state) {
  (void)state;
  run(59, 100, 0);
  assert_false(skew.known);
  run(61, 100, 0);
  assert_true(skew.known);
}

static void no_line_no_skew(void **state) {
  (void)state;
  uint32_t x = 1;
  skew_reset(&skew);
  for (int64_t n = 0; n < 120; n++) skew_add(&skew, n * 1000000 + next(&x) % 50000, n * 1000000);
  assert_false(skew.known);
}

static void reset_forgets(void **state) {
  (void)state;
  run(120, 100, 0);
  skew_reset(&skew);
  assert_false(skew.known);
  assert_false(skew_add(&skew, 5, 5));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(drift_is_found),      cmocka_unit_test(an_hour_in_sixty_points),
      cmocka_unit_test(not_before_a_minute), cmocka_unit_test(no_line_no_skew),
      cmocka_unit_test(reset_forgets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
