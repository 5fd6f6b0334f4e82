/* The limits of rules 1 to 3, one millisecond to either side, and when a ruling may be made.
 * That whole calls come out right is tested in test_speech.c and test_speech_random.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/overlap.h"

static struct ipu_lane lanes[2];

static int setup(void **state) {
  (void)state;
  memset(lanes, 0, sizeof lanes);
  return 0;
}

static void say(int track, int64_t start_ms, int64_t end_ms) {
  struct ipu closed;
  ipu_feed(&lanes[track], &speech_defaults, start_ms, end_ms, true, &closed);
}

static void hear_silence(int track, int64_t until_ms) {
  struct ipu closed;
  ipu_feed(&lanes[track], &speech_defaults, lanes[track].known_ms, until_ms, false, &closed);
}

static void end(void) {
  struct ipu closed;
  for (int t = 0; t < 2; t++) ipu_end(&lanes[t], &closed);
}

/* Decides IPUs in order of start up to the n-th (from 1) of track 1 and gives its ruling. */
static struct ruling rule_of(int n) {
  struct ruling r = {.fate = IPU_UNDECIDED};
  while (n > 0) {
    int64_t a = lanes[0].count ? ipu_at(&lanes[0], 0).start_ms : INT64_MAX;
    int t = a <= ipu_at(&lanes[1], 0).start_ms ? 0 : 1;
    r = overlap_rule(lanes, &speech_defaults, t);
    if (r.fate == IPU_UNDECIDED) return r;
    ipu_decided(&lanes[t], r.fate);
    n -= t == 1;
  }
  return r;
}

static void expect(struct ruling r, enum ipu_fate fate, int kind, uint32_t start_ms, uint32_t overlap_ms) {
  assert_int_equal(r.fate, fate);
  assert_int_equal(r.has_event, kind >= 0);
  if (kind < 0) return;
  assert_int_equal(r.event.kind, kind);
  assert_int_equal(r.event.by, kind == SPEECH_SIMULTANEOUS_START ? -1 : 1);
  assert_int_equal(r.event.start_ms, start_ms);
  assert_int_equal(r.event.overlap_ms, overlap_ms);
}

static void expect_turn(struct ruling r) {
  expect(r, IPU_TURN, -1, 0, 0);
}

/* Two IPUs of track 0 (the second from `again`, unless it is 0), and the words of track 1. */
static struct ruling words(int64_t until, int64_t again, int64_t start, int64_t stop) {
  setup(NULL);
  say(0, 0, until);
  if (again) say(0, again, again + 5000);
  say(1, start, stop);
  end();
  return rule_of(1);
}

static void test_backchannel_limits(void **state) {
  (void)state;
  expect(words(2000, 3500, 2500, 3500), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 2500, 1000);
  expect_turn(words(2000, 3501, 2499, 3500)); /* 1001 ms long */
  expect(words(2000, 4000, 3000, 3500), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 3000, 500);
  expect_turn(words(2000, 4000, 3001, 3500)); /* 1001 ms after the other */
  expect(words(2000, 3500, 2200, 2500), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 2200, 300);
  expect_turn(words(2000, 3501, 2200, 2500)); /* 1001 ms before the other */
  expect_turn(words(2000, 0, 2200, 2500));
}

static void test_speaking_at_the_end_is_going_on_after_it(void **state) {
  (void)state;
  expect(words(2001, 0, 1600, 2000), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 1600, 400);
  expect(words(2000, 0, 1600, 2000), IPU_ATTEMPT, SPEECH_ATTEMPT, 1600, 400);
  expect(words(2000, 0, 1600, 2001), IPU_TURN, SPEECH_OVERLAPPED_TRANSITION, 1600, 400);
}

static void test_a_group_is_one_backchannel(void **state) {
  (void)state;
  say(0, 0, 9000);
  say(1, 2000, 2300);
  say(1, 3299, 3600); /* 999 ms later: the same group */
  end();
  expect(rule_of(1), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 2000, 601);
  expect(rule_of(1), IPU_BACKCHANNEL, -1, 0, 0);
  setup(NULL);
  say(0, 0, 9000);
  say(1, 2000, 2300);
  say(1, 3300, 3600);
  end();
  expect(rule_of(1), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 2000, 300);
  expect(rule_of(1), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 3300, 300);
}

static void test_simultaneous_limits(void **state) {
  (void)state;
  setup(NULL);
  say(0, 1000, 5000);
  say(1, 1199, 1799);
  end();
  expect(rule_of(1), IPU_LOST, SPEECH_SIMULTANEOUS_START, 1199, 600);
  setup(NULL);
  say(0, 1000, 5000);
  say(1, 1200, 1800); /* 200 ms are time to hear the other */
  end();
  expect(rule_of(1), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 1200, 600);
}

static void test_who_loses_a_simultaneous_start(void **state) {
  (void)state;
  expect(words(5000, 0, 100, 1100), IPU_LOST, SPEECH_SIMULTANEOUS_START, 100, 1000);
  expect(words(5000, 0, 100, 1101), IPU_TURN, SPEECH_SIMULTANEOUS_START, 100, 1001); /* too long to lose */
  expect(words(801, 0, 100, 800), IPU_LOST, SPEECH_SIMULTANEOUS_START, 100, 700);
  expect(words(800, 0, 100, 800), IPU_TURN, SPEECH_SIMULTANEOUS_START, 100, 700); /* they end together */
  setup(NULL);
  say(0, 0, 700);
  say(1, 100, 900);
  end();
  assert_int_equal(overlap_rule(lanes, &speech_defaults, 0).fate, IPU_LOST); /* the earlier can lose too */
}

/* The later word of a backchannel starts together with the other: that is no second event. */
static void test_no_simultaneous_start_with_a_backchannel(void **state) {
  (void)state;
  say(0, 0, 2000);
  say(0, 3000, 6000);
  say(1, 2200, 2500);
  say(1, 3100, 3400);
  end();
  expect(rule_of(1), IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, 2200, 600);
  expect_turn(overlap_rule(lanes, &speech_defaults, 0));
  expect(rule_of(1), IPU_BACKCHANNEL, -1, 0, 0);
}

static void test_transition_limit(void **state) {
  (void)state;
  expect(words(4000, 0, 3500, 6000), IPU_TURN, SPEECH_OVERLAPPED_TRANSITION, 3500, 500);
  expect(words(4000, 0, 3499, 6000), IPU_TURN, SPEECH_INTERRUPTION, 3499, 501);
  expect_turn(words(4000, 0, 4000, 6000)); /* no gap, no overlap */
}

static void test_coming_back(void **state) {
  (void)state;
  expect(words(4000, 5000, 3000, 6000), IPU_TURN, SPEECH_INTERRUPTION, 3000, 1000);
  expect(words(4000, 4999, 3000, 6000), IPU_ATTEMPT, SPEECH_ATTEMPT, 3000, 1000);
  expect(words(4000, 4500, 3000, 4500), IPU_TURN, SPEECH_INTERRUPTION, 3000, 1000); /* silent until e */
  expect(words(4000, 4500, 3000, 9499), IPU_ATTEMPT, SPEECH_ATTEMPT, 3000, 1000);
  expect(words(4000, 4500, 3000, 9500), IPU_ATTEMPT, SPEECH_ATTEMPT, 3000, 1000); /* they end together */
  expect(words(4000, 4500, 3000, 9501), IPU_TURN, SPEECH_INTERRUPTION, 3000, 1000);
}

static void test_a_push_is_what_starts_inside(void **state) {
  (void)state;
  say(0, 0, 6000);
  say(1, 1000, 2500);
  say(1, 3000, 4000); /* the same push */
  say(1, 5000, 7000); /* a group of its own */
  end();
  expect(rule_of(1), IPU_ATTEMPT, SPEECH_ATTEMPT, 1000, 2500);
  assert_int_equal(lanes[1].last_gap_ms, 500);
  expect(rule_of(1), IPU_TURN, SPEECH_INTERRUPTION, 5000, 1000);
}

static void test_nothing_is_ruled_too_early(void **state) {
  (void)state;
  say(0, 0, 3000);
  hear_silence(1, 3000);
  say(1, 3000, 3001); /* track 1 is known not to have started with it */
  assert_int_equal(overlap_rule(lanes, &speech_defaults, 0).fate, IPU_TURN);
  ipu_decided(&lanes[0], IPU_TURN);
  say(1, 3001, 3500);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED); /* track 0 may go on through 3000 */
  hear_silence(0, 3199);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED);
  hear_silence(0, 3200);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED); /* short so far */
  hear_silence(1, 4499);
  hear_silence(0, 4500);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED); /* the group may go on, track 0 come back */
  hear_silence(1, 4500);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED);
  hear_silence(0, 4501);
  expect_turn(rule_of(1));
}

/* An interruption is final 1000 ms after the interrupted one's end, however long it goes on itself. */
static void test_an_interruption_is_ruled_while_it_speaks(void **state) {
  (void)state;
  say(0, 0, 4000);
  hear_silence(1, 3000);
  say(1, 3000, 6000);
  hear_silence(0, 4999);
  assert_int_equal(rule_of(1).fate, IPU_UNDECIDED);
  hear_silence(0, 5000);
  expect(rule_of(1), IPU_TURN, SPEECH_INTERRUPTION, 3000, 1000);
  assert_true(ipu_last(&lanes[1]).open);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_backchannel_limits, setup),
      cmocka_unit_test_setup(test_speaking_at_the_end_is_going_on_after_it, setup),
      cmocka_unit_test_setup(test_a_group_is_one_backchannel, setup),
      cmocka_unit_test_setup(test_simultaneous_limits, setup),
      cmocka_unit_test_setup(test_who_loses_a_simultaneous_start, setup),
      cmocka_unit_test_setup(test_no_simultaneous_start_with_a_backchannel, setup),
      cmocka_unit_test_setup(test_transition_limit, setup),
      cmocka_unit_test_setup(test_coming_back, setup),
      cmocka_unit_test_setup(test_a_push_is_what_starts_inside, setup),
      cmocka_unit_test_setup(test_nothing_is_ruled_too_early, setup),
      cmocka_unit_test_setup(test_an_interruption_is_ruled_while_it_speaks, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
