/* dsp/noise: the histogram and what is read from it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/noise.h"

static uint64_t histogram[NOISE_BUCKETS];

static int setup(void **state) {
  (void)state;
  memset(histogram, 0, sizeof histogram);
  return 0;
}

static void put(double dbov, uint64_t frames) {
  histogram[noise_bucket(pow(10, dbov / 10) * 0x1p30)] += frames;
}

static void buckets_rise_and_end(void **state) {
  (void)state;
  assert_int_equal(noise_bucket(0), 0);
  assert_int_equal(noise_bucket(0.0624), 0);
  assert_int_equal(noise_bucket(0.0625), 1);
  assert_int_equal(noise_bucket(0x1p30 * 0.999), NOISE_BUCKETS - 2);
  assert_int_equal(noise_bucket(0x1p30), NOISE_BUCKETS - 1);
  assert_int_equal(noise_bucket(1e300), NOISE_BUCKETS - 1);
  assert_int_equal(noise_bucket(NAN), 0);
  size_t last = 1;
  for (double x = 0.0625; x < 0x1p30; x *= 1.01) {
    size_t bucket = noise_bucket(x);
    assert_true(bucket == last || bucket == last + 1);
    last = bucket;
  }
}

static void every_level_is_read_to_0_3_db(void **state) {
  (void)state;
  for (double dbov = -101; dbov < -0.1; dbov += 0.07) {
    setup(NULL);
    put(dbov, 50);
    struct noise_result r = noise_measure(histogram);
    assert_true(r.enough && !r.silent);
    if (fabs(r.level_dbov - dbov) > 0.3) fail_msg("%.3f read as %.3f", dbov, r.level_dbov);
    assert_true(r.spread_db < 1e-3);
  }
}

static void the_lowest_and_the_upper_half_do_not_count(void **state) {
  (void)state;
  put(-90, 10); /* exactly the lowest tenth */
  put(-60, 40);
  put(-20, 50);
  struct noise_result r = noise_measure(histogram);
  assert_true(fabs(r.level_dbov + 60) < 0.3);
  put(-90, 10);
  r = noise_measure(histogram); /* 20 at -90, 11 to 55: 9 of them, 35 at -60 */
  assert_true(fabs(r.level_dbov - (-60 + 10 * log10(35.0 / 44))) < 0.4);
}

static void a_second_is_needed(void **state) {
  (void)state;
  assert_false(noise_measure(histogram).enough);
  put(-50, 49);
  assert_false(noise_measure(histogram).enough);
  put(-50, 1);
  assert_true(noise_measure(histogram).enough);
}

static void digital_silence_has_no_level(void **state) {
  (void)state;
  put(-200, 60);
  struct noise_result r = noise_measure(histogram);
  assert_true(r.enough && r.silent);
  put(-50, 45); /* 105: frames 11 to 52 are still zeros */
  assert_true(noise_measure(histogram).silent);
}

static void spread_is_that_of_the_levels(void **state) {
  (void)state;
  put(-60, 500);
  put(-50, 500);
  assert_true(fabs(noise_measure(histogram).spread_db - 5) < 0.3);
}

static void a_day_of_frames(void **state) {
  (void)state;
  put(-50, (uint64_t)86400 * 50);
  put(-49, (uint64_t)86400 * 50);
  assert_true(fabs(noise_measure(histogram).level_dbov + 50) < 0.3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(buckets_rise_and_end, setup),
      cmocka_unit_test_setup(every_level_is_read_to_0_3_db, setup),
      cmocka_unit_test_setup(the_lowest_and_the_upper_half_do_not_count, setup),
      cmocka_unit_test_setup(a_second_is_needed, setup),
      cmocka_unit_test_setup(digital_silence_has_no_level, setup),
      cmocka_unit_test_setup(spread_is_that_of_the_levels, setup),
      cmocka_unit_test_setup(a_day_of_frames, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
