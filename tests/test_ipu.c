/* Raw runs to inter-pausal units: the limits of bridge and discard, and what is known when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/ipu.h"

static struct ipu_lane lane;
static struct ipu closed;

static int setup(void **state) {
  (void)state;
  memset(&lane, 0, sizeof lane);
  return 0;
}

static bool feed(int64_t from_ms, int64_t to_ms, bool speech) {
  return ipu_feed(&lane, &speech_defaults, from_ms, to_ms, speech, &closed);
}

static void expect_closed(uint32_t start_ms, uint32_t end_ms) {
  assert_int_equal(closed.start_ms, start_ms);
  assert_int_equal(closed.end_ms, end_ms);
}

static void test_gap_of_199_is_filled_and_of_200_kept(void **state) {
  (void)state;
  assert_false(feed(0, 500, true));
  assert_false(feed(699, 1000, true));
  assert_int_equal(lane.count, 1);
  assert_true(feed(1200, 1500, true));
  expect_closed(0, 1000);
  assert_int_equal(lane.count, 2);
}

static void test_run_of_99_is_dropped_and_of_100_kept(void **state) {
  (void)state;
  feed(0, 99, true);
  assert_false(feed(99, 400, false));
  assert_int_equal(lane.count, 0);
  feed(400, 500, true);
  assert_true(feed(500, 700, false));
  expect_closed(400, 500);
}

/* Bridge first, discard second: two clicks 150 ms apart are one run that stays. */
static void test_short_runs_are_bridged_before_they_are_dropped(void **state) {
  (void)state;
  feed(0, 30, true);
  feed(180, 210, true);
  assert_true(ipu_end(&lane, &closed));
  expect_closed(0, 210);
}

static void test_an_open_unit_only_grows(void **state) {
  (void)state;
  feed(0, 150, true);
  assert_true(ipu_at(&lane, 0).open);
  assert_int_equal(ipu_at(&lane, 0).end_ms, 150);
  feed(150, 349, false);
  assert_true(ipu_at(&lane, 0).open);
  assert_int_equal(ipu_at(&lane, 0).end_ms, 150);
  assert_true(feed(349, 350, false));
  assert_false(ipu_at(&lane, 0).open);
}

static void test_horizon_waits_for_a_run_that_may_be_dropped(void **state) {
  (void)state;
  assert_int_equal(ipu_horizon(&lane), 0);
  feed(0, 1000, false);
  assert_int_equal(ipu_horizon(&lane), 1000);
  feed(1000, 1090, true);
  assert_int_equal(ipu_horizon(&lane), 1000);
  feed(1090, 1100, true);
  assert_int_equal(ipu_horizon(&lane), 1100);
  feed(1100, 1400, false);
  feed(1400, 1450, true);
  feed(1450, 1650, false); /* dropped */
  assert_int_equal(ipu_horizon(&lane), 1650);
  ipu_end(&lane, &closed);
  assert_true(ipu_horizon(&lane) == INT64_MAX);
}

static void test_the_past_is_ignored(void **state) {
  (void)state;
  feed(0, 1000, false);
  assert_false(feed(200, 900, true));
  assert_int_equal(lane.count, 0);
  feed(800, 1200, true);
  assert_int_equal(ipu_at(&lane, 0).start_ms, 1000);
}

static void test_no_bridge_still_joins_what_touches(void **state) {
  (void)state;
  struct speech_parameters p = speech_defaults;
  p.bridge_ms = p.discard_ms = 0;
  for (int at = 0; at < 100; at += 10) ipu_feed(&lane, &p, at, at + 10, true, &closed);
  assert_int_equal(lane.count, 1);
  assert_true(ipu_feed(&lane, &p, 101, 110, true, &closed));
  expect_closed(0, 100);
}

static void test_decided_and_joined(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) feed(i * 1000, i * 1000 + 600, true);
  ipu_decided(&lane, IPU_TURN);
  assert_int_equal(lane.count, 3);
  assert_int_equal(ipu_last(&lane).end_ms, 600);
  ipu_join_front(&lane);
  assert_int_equal(ipu_at(&lane, 0).start_ms, 1000);
  assert_int_equal(ipu_at(&lane, 0).end_ms, 2600);
  assert_int_equal(lane.front_gap_ms, 400);
  ipu_decided(&lane, IPU_ATTEMPT);
  assert_int_equal(lane.last_gap_ms, 400);
  assert_int_equal(lane.front_gap_ms, 0);
  ipu_decided(&lane, IPU_TURN);
  assert_true(ipu_last(&lane).open); /* decided while it speaks */
  feed(3600, 5000, true);
  assert_int_equal(ipu_last(&lane).end_ms, 5000);
  assert_int_equal(lane.count, 0);
}

static void test_the_window_goes_round(void **state) {
  (void)state;
  for (int i = 0; i < 3 * IPU_WINDOW; i++) {
    feed(i * 1000, i * 1000 + 300, true);
    if (lane.count == IPU_WINDOW) ipu_decided(&lane, IPU_TURN);
    assert_int_equal(ipu_at(&lane, lane.count - 1u).start_ms, i * 1000);
  }
  assert_int_equal(ipu_at(&lane, 0).start_ms, ipu_last(&lane).start_ms + 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_gap_of_199_is_filled_and_of_200_kept, setup),
      cmocka_unit_test_setup(test_run_of_99_is_dropped_and_of_100_kept, setup),
      cmocka_unit_test_setup(test_short_runs_are_bridged_before_they_are_dropped, setup),
      cmocka_unit_test_setup(test_an_open_unit_only_grows, setup),
      cmocka_unit_test_setup(test_horizon_waits_for_a_run_that_may_be_dropped, setup),
      cmocka_unit_test_setup(test_the_past_is_ignored, setup),
      cmocka_unit_test_setup(test_no_bridge_still_joins_what_touches, setup),
      cmocka_unit_test_setup(test_decided_and_joined, setup),
      cmocka_unit_test_setup(test_the_window_goes_round, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
