/* Rows, merging of parts, merging of windows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/delivery_feed.h"

static struct feed feed;
static struct delivery_facts facts, part;

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.10f, expected %.10f", value, expected);
}

static int setup(void **state) {
  (void)state;
  feed_clear(&feed);
  memset(&facts, 0, sizeof(facts));
  memset(&part, 0, sizeof(part));
  return 0;
}

/* Every byte but the windows' belongs to exactly one row. */
static void rows_cover_the_struct(void **state) {
  (void)state;
  size_t expected = 0;
  for (size_t i = 0; i < delivery_field_count; i++) {
    assert_int_equal(delivery_fields[i].offset, expected);
    expected += 8 * delivery_fields[i].count;
  }
  assert_int_equal(expected, offsetof(struct delivery_facts, windows));
  expected = 0;
  for (size_t i = 0; i < delivery_window_field_count; i++) {
    assert_int_equal(delivery_window_fields[i].offset, expected);
    expected += 8 * delivery_window_fields[i].count;
  }
  assert_int_equal(expected, sizeof(struct delivery_window));
}

static void parts_add_up(void **state) {
  (void)state;
  feed_even(&feed, 1, 99);
  feed_even(&feed, 105, 600);
  feed_facts(&feed, 0, &facts);
  feed_clear(&feed);
  feed_even(&feed, 1, 500);
  feed.frame[250].arrival_us += 19000;
  feed_facts(&feed, 0, &part);
  delivery_merge(&facts, &part);
  assert_int_equal(facts.expected_frames, 1100);
  assert_int_equal(facts.received_frames, 1095);
  assert_int_equal(facts.longest_run[0], 5);
  assert_int_equal(facts.end_us, 22000000);
  assert_int_equal(facts.pdv_max_us, 19000);
  assert_int_equal(facts.pdv[0], 1094);
  assert_int_equal(facts.window_us, 10000000);
  assert_int_equal(facts.window_count, 2);
  assert_int_equal(facts.windows[1].start_us, 12000000);
  assert_int_equal(facts.worst_start_us[0], 0);
  near(facts.r_sum[0] / (double)facts.r_us[0], (facts.windows[0].r[0] * 600 + 93.2 * 500) / 1100, 1e-9);
}

static void origins_keep_the_hole(void **state) {
  (void)state;
  feed_even(&feed, 1, 500);
  feed_facts(&feed, 0, &facts);
  part = facts;
  facts.origin_us = 1000000000;
  part.origin_us = 1000000000 + 60000000;
  part.worst_r[0] = 40;
  delivery_merge(&facts, &part);
  assert_int_equal(facts.origin_us, 1000000000);
  assert_int_equal(facts.end_us, 70000000);
  assert_int_equal(facts.windows[1].start_us, 60000000);
  assert_true(facts.worst_r[0] == 40);
  assert_int_equal(facts.worst_start_us[0], 60000000);
}

static void empty_parts(void **state) {
  (void)state;
  delivery_merge(&facts, &part);
  assert_int_equal(facts.expected_frames, 0);
  feed_even(&feed, 1, 500);
  feed_facts(&feed, 0, &part);
  delivery_merge(&facts, &part);
  assert_memory_equal(&facts, &part, sizeof(facts));
  memset(&part, 0, sizeof(part));
  delivery_merge(&facts, &part);
  assert_int_equal(facts.window_count, 1);
  assert_int_equal(facts.ptime_us, FRAME_US);
}

static void add_window(struct delivery_facts *f, int64_t index, double r) {
  struct delivery_window window = {
      .start_us = index * 10000000, .weight_us = 10000000, .expected_frames = 500, .lost_frames = {10, 5}};
  for (size_t i = 0; i < DELIVERY_MODELS; i++) window.r[i] = r;
  delivery_add_window(f, &window, 10000000);
}

static void windows_stay_bounded(void **state) {
  (void)state;
  for (int64_t i = 0; i < 2000; i++) add_window(&facts, i, i == 1234 ? 10 : i % 2 ? 90 : 80);
  assert_int_equal(facts.window_us, 40000000);
  assert_int_equal(facts.window_count, 500);
  assert_int_equal(facts.windows[0].expected_frames, 2000);
  assert_int_equal(facts.windows[0].lost_frames[CONSUMER_PLAYOUT], 40);
  assert_int_equal(facts.windows[0].lost_frames[CONSUMER_ASR_STREAM], 20);
  struct delivery_rating rating;
  assert_false(delivery_facts_next_rating(&facts, CONSUMER_PLAYOUT, false, -1, &rating)); /* merged */
  near(facts.windows[0].r[0], 85, 1e-9);
  assert_true(facts.worst_r[0] == 10);
  assert_int_equal(facts.worst_start_us[0], INT64_C(12340000000));
  assert_int_equal(facts.below_r70_us[0], 10000000);
}

static void lengths_are_made_equal(void **state) {
  (void)state;
  for (int64_t i = 0; i < 100; i++) add_window(&facts, i, 80);
  facts.received_frames = 1;
  facts.end_us = 1000000000;
  for (int64_t i = 0; i < 1000; i++) add_window(&part, i, 90);
  part.received_frames = 1;
  delivery_merge(&facts, &part);
  assert_int_equal(facts.window_us, 20000000);
  assert_int_equal(facts.window_count, 550);
  uint64_t expected = 0;
  for (size_t i = 0; i < facts.window_count; i++) expected += facts.windows[i].expected_frames;
  assert_int_equal(expected, 1100 * 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(rows_cover_the_struct, setup),
      cmocka_unit_test_setup(parts_add_up, setup),
      cmocka_unit_test_setup(origins_keep_the_hole, setup),
      cmocka_unit_test_setup(empty_parts, setup),
      cmocka_unit_test_setup(windows_stay_bounded, setup),
      cmocka_unit_test_setup(lengths_are_made_equal, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
