/* Windows of 10 s: voice-quality.md 3.10. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/windows.h"

static struct windows windows;
static struct delivery_facts facts;

static const struct window_frame good = {.has_jitter = true, .jitter_ms = 2};
static const struct window_frame lost = {.missing = true, .bad = {true, true}, .lost = {1, 1}};

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.10f, expected %.10f", value, expected);
}

static int setup(void **state) {
  (void)state;
  memset(&facts, 0, sizeof(facts));
  windows_init(&windows);
  windows.codec = codec_row(CODEC_PCMU);
  windows.ptime_us = 20000;
  return 0;
}

static void add(int64_t place_ms, const struct window_frame *frame, uint64_t n) {
  windows_add(&windows, &facts, place_ms * 1000, frame, n);
}

static void borders(void **state) {
  (void)state;
  add(0, &good, 1500);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(facts.windows[i].expected_frames, 500);
    assert_int_equal(facts.windows[i].start_us, (int64_t)i * WINDOW_US);
  }
}

static void the_newest_is_the_last_that_is_over(void **state) {
  (void)state;
  assert_true(windows_newest_r(&windows, CONSUMER_PLAYOUT, false) == DELIVERY_R_ABSENT);
  add(0, &good, 499);
  assert_true(windows_newest_r(&windows, CONSUMER_PLAYOUT, false) == DELIVERY_R_ABSENT); /* still going on */
  add(9980, &good, 1);
  add(10000, &lost, 100);
  near(windows_newest_r(&windows, CONSUMER_PLAYOUT, false), 93.2, 1e-9);
  add(12000, &good, 400);
  add(20000, &good, 1);
  double bad = windows_newest_r(&windows, CONSUMER_PLAYOUT, false);
  assert_true(bad < 60 && bad > DELIVERY_R_ABSENT);
  assert_true(windows_newest_r(&windows, CONSUMER_PLAYOUT, true) > bad); /* concealment helps */
  add(30000, &good, 1);
  assert_true(windows_newest_r(&windows, CONSUMER_PLAYOUT, false) ==
              DELIVERY_R_ABSENT); /* under 5 s of sound */
}

static void short_end_joins(void **state) {
  (void)state;
  add(0, &good, 1249); /* 4.98 s in the third */
  struct windows copy = windows;
  windows_finish(&copy, &facts);
  assert_int_equal(facts.window_count, 2);
  assert_int_equal(facts.windows[1].expected_frames, 749);
  memset(&facts, 0, sizeof(facts));
  setup(state);
  add(0, &good, 1250);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 3);
}

static void pauses_have_no_window(void **state) {
  (void)state;
  add(0, &good, 500);
  add(50000, &good, 500);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 2);
  assert_int_equal(facts.windows[1].start_us, 50000000);
}

static void each_from_its_own_loss(void **state) {
  (void)state;
  add(0, &good, 495);
  add(9900, &lost, 10); /* five in each */
  add(10100, &good, 495);
  add(20000, &good, 500);
  windows_finish(&windows, &facts);
  double r = 93.2 - 95.0 * 1 / (1 + 25.1); /* 1 %, one run: BurstR 1 */
  size_t model = delivery_model(CONSUMER_PLAYOUT, true);
  near(facts.windows[0].r[model], r, 1e-9);
  near(facts.windows[1].r[model], r, 1e-9);
  near(facts.windows[2].r[model], 93.2, 1e-9);
  near(facts.r_sum[model] / (double)facts.r_us[model], (2 * r + 93.2) / 3, 1e-9);
  near(facts.worst_r[model], r, 1e-9);
  assert_int_equal(facts.worst_start_us[model], 0);
  assert_int_equal(facts.below_r70_us[model], 0);
  assert_int_equal(facts.windows[0].jitter_count, 495);
}

static void found_later(void **state) {
  (void)state;
  add(0, &good, 400);
  add(8000, &lost, 1);
  add(8020, &good, 300);
  windows_found(&windows, 8000000);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.windows[0].missing_frames, 0);
  near(facts.windows[0].r[delivery_model(CONSUMER_ASR_STREAM, false)], 93.2, 1e-9);
  assert_true(facts.windows[0].r[delivery_model(CONSUMER_PLAYOUT, false)] < 93.2);
}

static void no_model_no_rating(void **state) {
  (void)state;
  static const enum codec_id codec[] = {CODEC_G722, CODEC_OPUS};
  for (size_t i = 0; i < 2; i++) {
    setup(state);
    windows.codec = codec_row(codec[i]);
    add(0, &good, 500);
    windows_finish(&windows, &facts);
    assert_true(facts.windows[0].r[0] == DELIVERY_R_ABSENT);
    assert_int_equal(facts.r_us[0], 0);
  }
}

static void all_lost(void **state) {
  (void)state;
  add(0, &lost, 2000);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 4);
  assert_int_equal(facts.below_r70_us[0], 40000000);
  assert_true(isfinite(facts.worst_r[0]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(borders, setup),
      cmocka_unit_test_setup(the_newest_is_the_last_that_is_over, setup),
      cmocka_unit_test_setup(short_end_joins, setup),
      cmocka_unit_test_setup(pauses_have_no_window, setup),
      cmocka_unit_test_setup(each_from_its_own_loss, setup),
      cmocka_unit_test_setup(found_later, setup),
      cmocka_unit_test_setup(no_model_no_rating, setup),
      cmocka_unit_test_setup(all_lost, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
