/* Vectors P-A to P-D of voice-quality.md 7.2, property 8 of 7.8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/pdv.h"
#include "dsp/playout.h"
#include "tests/seed.h"

enum { FRAME_US = 20000, FRAMES = 500 };

static struct pdv pdv;
static struct playout playout;
static int64_t late_us[FRAMES], delay_us[FRAMES]; /* r, and P after each frame */

static int64_t arrival_us(char which, int64_t n) {
  int64_t media_us = n * FRAME_US;
  if (which == 'A' && n >= 5 && n < 8) media_us = 8 * FRAME_US;
  if (which == 'B' && n >= 100 && n < 150) media_us = 3000000;
  if (which == 'C' && n >= 100 && n < 115) media_us = 2300000;
  if (which == 'D') media_us = 60000 * (n / 3 + 1);
  return 30000 + media_us;
}

static void run(char which, int64_t start_us) {
  pdv_init(&pdv, PDV_WINDOW_US);
  playout_init(&playout, FRAME_US, start_us);
  for (int64_t n = 0; n < FRAMES; n++) {
    late_us[n] = pdv_add(&pdv, arrival_us(which, n), n * FRAME_US);
    playout_add(&playout, late_us[n]);
    delay_us[n] = playout.delay_us;
  }
}

static int discarded_at(int64_t depth_us) {
  int discarded = 0;
  for (int64_t n = 0; n < FRAMES; n++) discarded += late_us[n] > depth_us;
  return discarded;
}

static void pa_three_wait_for_the_fourth(void **state) {
  (void)state;
  run('A', PLAYOUT_START_US);
  assert_int_equal(discarded_at(20000), 2);
  assert_int_equal(discarded_at(39000), 2);
  assert_int_equal(discarded_at(40000), 1);
  assert_int_equal(discarded_at(59000), 1);
  assert_int_equal(discarded_at(60000), 0);
  assert_int_equal(playout.concealed, 0);
  assert_int_equal(playout.discarded, 0);
  for (int n = 0; n < 5; n++) assert_int_equal(delay_us[n], 79000 - 1000 * n);
  assert_int_equal(delay_us[5], 75000);
  assert_int_equal(delay_us[18], 75000); /* 19 frames: the percentile is still the largest */
  assert_int_equal(delay_us[19], 74000);
  assert_int_equal(delay_us[FRAMES - 1], 20000);
  run('A', 20000);
  assert_int_equal(playout.concealed, 2);
  assert_int_equal(playout.discarded, 0);
  assert_int_equal(delay_us[5], 60000);
}

static void pb_one_second(void **state) {
  (void)state;
  run('B', PLAYOUT_START_US);
  assert_int_equal(playout.fixed_discarded[0], 47);
  assert_int_equal(playout.fixed_discarded[1], 44);
  assert_int_equal(playout.fixed_discarded[2], 40);
  assert_int_equal(discarded_at(400000), 30);
  assert_int_equal(playout.concealed, 19);
  assert_int_equal(playout.discarded, 30);
}

static void pc_third_of_a_second(void **state) {
  (void)state;
  run('C', PLAYOUT_START_US);
  assert_int_equal(playout.fixed_discarded[0], 12);
  assert_int_equal(playout.fixed_discarded[1], 9);
  assert_int_equal(playout.fixed_discarded[2], 5);
  assert_int_equal(discarded_at(400000), 0);
  assert_int_equal(playout.concealed, 14);
  assert_int_equal(playout.discarded, 0);
  assert_int_equal(delay_us[100], 299000);
  assert_int_equal(delay_us[FRAMES - 1], 20000);
}

static void pd_bunches(void **state) {
  (void)state;
  run('D', PLAYOUT_START_US);
  static const int64_t depth_us[] = {0, 19000, 20000, 39000, 40000};
  static const int discarded[] = {332, 332, 166, 166, 0};
  for (size_t i = 0; i < 5; i++) assert_int_equal(discarded_at(depth_us[i]), discarded[i]);
  assert_int_equal(playout.concealed, 0);
  assert_int_equal(playout.discarded, 0);
  assert_int_equal(delay_us[FRAMES - 1], 60000);
}

static void beyond_the_longest_delay(void **state) {
  (void)state;
  playout_init(&playout, FRAME_US, PLAYOUT_START_US);
  assert_true(playout_add(&playout, PLAYOUT_MAX_US + 1).discarded);
  assert_int_equal(playout.delay_us, PLAYOUT_START_US);
  assert_int_equal(playout_add(&playout, PLAYOUT_MAX_US).concealed_frames, 16);
  playout_add_late(&playout, 10000);
  assert_int_equal(playout.discarded, 2);
  assert_int_equal(playout.count, 3);
}

static void any_frame_length(void **state) {
  (void)state;
  static const uint32_t ptime_us[] = {0, 1, 1000, 2500, 10000, 99000, 400000, 30000000};
  for (size_t i = 0; i < sizeof(ptime_us) / sizeof(ptime_us[0]); i++) {
    playout_init(&playout, ptime_us[i], PLAYOUT_START_US);
    for (int64_t late = 0; late <= PLAYOUT_MAX_US + 1000; late += 777) playout_add(&playout, late);
    assert_true(playout.delay_us >= PLAYOUT_MIN_US && playout.delay_us <= PLAYOUT_MAX_US);
  }
}

/* A stall of `length` frames before frame `first`, as lateness of the frames it holds back. */
static void stall(int64_t first, int64_t length) {
  for (int64_t n = first; n < first + length; n++) late_us[n] = (first + length - n) * FRAME_US;
}

/* What the three fixed emulators throw away of late_us. */
static void run_fixed(int64_t *discarded) {
  playout_init(&playout, FRAME_US, PLAYOUT_START_US);
  for (int64_t n = 0; n < FRAMES; n++) playout_add(&playout, late_us[n]);
  for (size_t i = 0; i < PLAYOUT_FIXED; i++) discarded[i] = (int64_t)playout.fixed_discarded[i];
}

/* Property 8 of 7.8. */
static void splitting_a_stall(void **state) {
  (void)state;
  for (int round = 0; round < 2000; round++) {
    int64_t parts = 2 + (int64_t)(seed_draw() % 4), whole[PLAYOUT_FIXED], split[PLAYOUT_FIXED], length = 0;
    memset(late_us, 0, sizeof(late_us));
    for (int64_t i = 0; i < parts; i++) {
      int64_t part = 1 + (int64_t)(seed_draw() % 40);
      stall(20 + 90 * i, part);
      length += part;
    }
    run_fixed(split);
    memset(late_us, 0, sizeof(late_us));
    stall(20, length);
    run_fixed(whole);
    for (size_t i = 0; i < PLAYOUT_FIXED; i++) {
      if (split[i] > whole[i] + parts) SEED_FAIL("round %d: splitting added discards\n", round);
      if (i > 0 && (split[i] > split[i - 1] || whole[i] > whole[i - 1]))
        SEED_FAIL("round %d: more discards at a larger depth\n", round);
    }
    int64_t before = FRAMES;
    for (int64_t depth_us = 0; depth_us <= 500000; depth_us += 7000) {
      int64_t discarded = discarded_at(depth_us);
      if (discarded > before) SEED_FAIL("round %d: more discards at %d us\n", round, (int)depth_us);
      before = discarded;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pa_three_wait_for_the_fourth),
      cmocka_unit_test(pb_one_second),
      cmocka_unit_test(pc_third_of_a_second),
      cmocka_unit_test(pd_bunches),
      cmocka_unit_test(beyond_the_longest_delay),
      cmocka_unit_test(any_frame_length),
      cmocka_unit_test_setup(splitting_a_stall, seed_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
