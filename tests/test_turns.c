/* Turns, FTOs and pauses out of IPUs in order of start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/turns.h"

enum { NOTES_MAX = 64 };

static struct turns turns;
static struct speech_facts facts;
static struct speech_note notes[NOTES_MAX];
static int note_count;

static void observe(void *arg, const struct speech_note *note) {
  assert_ptr_equal(arg, &turns);
  assert_true(note_count < NOTES_MAX);
  notes[note_count++] = *note;
}

static const struct speech_sink sink = {&facts, observe, &turns};

static int setup(void **state) {
  (void)state;
  turns_init(&turns);
  memset(&facts, 0, sizeof facts);
  note_count = 0;
  return 0;
}

static void take(int track, int64_t start_ms, int64_t end_ms) {
  turns_take(&turns, &speech_defaults, track, start_ms, end_ms, false, &sink);
}

static void expect_turns(uint64_t of_0, uint64_t of_1) {
  turns_finish(&turns, &sink);
  assert_int_equal(facts.turns[0], of_0);
  assert_int_equal(facts.turns[1], of_1);
}

static void test_joined_below_3000(void **state) {
  (void)state;
  take(0, 0, 1000);
  take(0, 3999, 5000);
  take(0, 8000, 9000);
  expect_turns(2, 0);
  assert_int_equal(facts.turn_ms[0], 6000);
  assert_int_equal(facts.longest_monologue_ms[0], 5000);
  assert_int_equal(facts.changes[0] + facts.changes[1], 0);
}

static void test_a_change_has_an_fto(void **state) {
  (void)state;
  take(0, 0, 1000);
  take(1, 800, 2000);
  take(0, 2300, 3000);
  take(1, 3000, 4000);
  expect_turns(2, 2);
  assert_int_equal(facts.fto_sum_ms[1], -200);
  assert_int_equal(facts.changes[1], 2);
  assert_int_equal(facts.responses[1], 0);
  assert_int_equal(facts.responses[0], 1);
  assert_int_equal(facts.response_sum_ms[0], 300);
}

static void test_pauses_belong_to_the_turn_that_goes_on(void **state) {
  (void)state;
  take(0, 0, 1000);
  turns_silence(&turns, 300);
  turns_silence(&turns, 400); /* the other's backchannel lay between */
  take(0, 2000, 3000);
  turns_silence(&turns, 500); /* a gap */
  take(1, 3500, 4000);
  turns_silence(&turns, 3000); /* too long for a pause */
  take(1, 7000, 8000);
  expect_turns(1, 2);
  assert_int_equal(facts.pauses[0], 2);
  assert_int_equal(facts.pause_ms[0], 700);
  assert_int_equal(facts.pauses[1], 0);
  assert_int_equal(notes[0].kind, SPEECH_PAUSE);
  assert_int_equal(notes[0].ms, 300);
  assert_int_equal(notes[1].ms, 400);
}

static void test_more_pauses_than_are_told(void **state) {
  (void)state;
  take(1, 0, 1000);
  for (int i = 0; i < 2 * TURN_PAUSES_TOLD; i++) turns_silence(&turns, 10);
  take(1, 3000, 4000);
  assert_int_equal(note_count, TURN_PAUSES_TOLD);
  assert_int_equal(facts.pauses[1], 2 * TURN_PAUSES_TOLD);
  assert_int_equal(facts.pause_ms[1], 20 * TURN_PAUSES_TOLD);
}

/* The end of a turn that is taken over while it speaks is known only later. */
static void test_owed_end(void **state) {
  (void)state;
  take(0, 1000, 2500);
  turns_take(&turns, &speech_defaults, 1, 1100, 2400, true, &sink);
  assert_true(turns.owed);
  assert_int_equal(note_count, 0);
  turns_follow(&turns, 0, 60000);
  turns_settle(&turns, &sink);
  assert_false(turns.owed);
  assert_int_equal(facts.fto_sum_ms[1], 1100 - 60000);
  assert_int_equal(facts.longest_monologue_ms[0], 59000);
  turns_settle(&turns, &sink);
  assert_int_equal(facts.turns[0], 1);
  expect_turns(1, 1);
}

static void test_equal_starts_have_no_fto(void **state) {
  (void)state;
  turns_take_both(&turns, &speech_defaults, 0, 2000, &sink);
  turns_silence(&turns, 500);
  turns_take_both(&turns, &speech_defaults, 2500, 4000, &sink); /* the same sound on both tracks */
  assert_int_equal(facts.pauses[0], 1);
  assert_int_equal(facts.pauses[1], 1);
  turns_take_both(&turns, &speech_defaults, 7000, 8000, &sink);
  expect_turns(2, 2);
  assert_int_equal(facts.changes[0] + facts.changes[1], 0);
  assert_int_equal(facts.longest_monologue_ms[0], 4000);
  assert_int_equal(facts.longest_monologue_ms[1], 4000);
}

static void test_taking_over_from_both(void **state) {
  (void)state;
  for (int t = 0; t < 2; t++) {
    setup(NULL);
    turns_take_both(&turns, &speech_defaults, 0, 2000, &sink);
    take(t, 2300, 3000);
    assert_int_equal(facts.fto_sum_ms[t], 300);
    assert_int_equal(facts.changes[1 - t], 0);
    expect_turns(t == 0 ? 2 : 1, t == 0 ? 1 : 2);
  }
}

static void test_no_observer(void **state) {
  (void)state;
  const struct speech_sink quiet = {&facts, NULL, NULL};
  turns_take(&turns, &speech_defaults, 0, 0, 1000, false, &quiet);
  turns_finish(&turns, &quiet);
  assert_int_equal(facts.turns[0], 1);
  assert_int_equal(note_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_joined_below_3000, setup),
      cmocka_unit_test_setup(test_a_change_has_an_fto, setup),
      cmocka_unit_test_setup(test_pauses_belong_to_the_turn_that_goes_on, setup),
      cmocka_unit_test_setup(test_more_pauses_than_are_told, setup),
      cmocka_unit_test_setup(test_owed_end, setup),
      cmocka_unit_test_setup(test_equal_starts_have_no_fto, setup),
      cmocka_unit_test_setup(test_taking_over_from_both, setup),
      cmocka_unit_test_setup(test_no_observer, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
