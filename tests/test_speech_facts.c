/* Facts of several parts put together, and response times out of the histogram. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/speech_facts.h"

static struct speech_facts a, b, c;

static void clear(void) {
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  memset(&c, 0, sizeof c);
}

static struct speech_event event(enum speech_event_kind kind, int by, uint32_t start_ms,
                                 uint32_t overlap_ms) {
  return (struct speech_event){
      .kind = (uint8_t)kind, .by = (int8_t)by, .start_ms = start_ms, .overlap_ms = overlap_ms};
}

/* Without the padding of the events. */
static void assert_same(const struct speech_facts *x, const struct speech_facts *y) {
  assert_memory_equal(x, y, offsetof(struct speech_facts, events));
  for (uint64_t i = 0; i < x->event_count; i++) {
    assert_int_equal(x->events[i].kind, y->events[i].kind);
    assert_int_equal(x->events[i].by, y->events[i].by);
    assert_int_equal(x->events[i].start_ms, y->events[i].start_ms);
    assert_int_equal(x->events[i].overlap_ms, y->events[i].overlap_ms);
  }
}

/* A member that no row describes would be lost by storing and merging. */
static void test_rows_cover_all_but_the_events(void **state) {
  (void)state;
  static unsigned char covered[sizeof(struct speech_facts)];
  memset(covered, 0, sizeof covered);
  for (size_t i = 0; i < speech_field_count; i++) {
    for (size_t k = 0; k < speech_fields[i].count * 8; k++) covered[speech_fields[i].offset + k]++;
  }
  size_t events = offsetof(struct speech_facts, event_count);
  for (size_t k = 0; k < events; k++) assert_int_equal(covered[k], 1);
  for (size_t k = events; k < sizeof covered; k++) assert_int_equal(covered[k], 0);
}

static void test_merge_sums_and_maxima(void **state) {
  (void)state;
  clear();
  a.duration_ms = 1000;
  a.talk_ms[0] = 300;
  a.present[0] = 1;
  a.longest_monologue_ms[0] = 300;
  a.first_speech_ms[0] = 70;
  speech_facts_fto(&a, 0, -40);
  b.duration_ms = 500;
  b.talk_ms[0] = 100;
  b.talk_ms[1] = 200;
  b.present[0] = b.present[1] = 1;
  b.longest_monologue_ms[0] = 100;
  b.first_speech_ms[0] = 10;
  b.first_speech_ms[1] = 20;
  speech_facts_fto(&b, 0, -60);
  speech_facts_merge(&a, &b, 5000);
  assert_int_equal(a.duration_ms, 1500);
  assert_int_equal(a.talk_ms[0], 400);
  assert_int_equal(a.present[0], 1);
  assert_int_equal(a.present[1], 1);
  assert_int_equal(a.longest_monologue_ms[0], 300);
  assert_int_equal(a.first_speech_ms[0], 70);
  assert_int_equal(a.first_speech_ms[1], 5020);
  assert_int_equal(a.fto_sum_ms[0], -100);
  assert_int_equal(a.changes[0], 2);
  assert_int_equal(a.responses[0], 0);
}

static void test_merge_is_neutral_on_nothing(void **state) {
  (void)state;
  clear();
  b.talk_ms[1] = 200;
  b.first_speech_ms[1] = 20;
  speech_facts_fto(&b, 1, 250);
  speech_facts_event(&b, event(SPEECH_ATTEMPT, 1, 90, 30));
  c = b;
  speech_facts_merge(&a, &b, 0);
  assert_same(&a, &c);
  memset(&b, 0, sizeof b);
  speech_facts_merge(&a, &b, 12345);
  assert_same(&a, &c);
}

static void test_events_are_counted_stored_and_shifted(void **state) {
  (void)state;
  clear();
  speech_facts_event(&a, event(SPEECH_SIMULTANEOUS_START, -1, 10, 5));
  speech_facts_event(&a, event(SPEECH_OVERLAPPED_TRANSITION, 0, 20, 5));
  speech_facts_event(&b, event(SPEECH_INTERRUPTION, 1, 30, 600));
  speech_facts_event(&b, event(SPEECH_ATTEMPT, 0, 40, 700));
  speech_facts_event(&b, event(SPEECH_BACKCHANNEL, 1, 50, 100));
  speech_facts_merge(&a, &b, 1000);
  assert_int_equal(a.simultaneous_starts, 1);
  assert_int_equal(a.transitions, 1);
  assert_int_equal(a.interruptions[1], 1);
  assert_int_equal(a.interruption_overlap_ms[1], 600);
  assert_int_equal(a.attempts[0], 1);
  assert_int_equal(a.attempt_overlap_ms[0], 700);
  assert_int_equal(a.backchannels[1], 1);
  assert_int_equal(a.event_count, 5);
  assert_int_equal(a.events_total, 5);
  assert_int_equal(a.events[0].start_ms, 10);
  assert_int_equal(a.events[2].start_ms, 1030);
  assert_int_equal(a.events[4].start_ms, 1050);
  assert_int_equal(a.events[4].overlap_ms, 100);
  speech_facts_merge(&a, &b, -35);
  assert_int_equal(a.events[5].start_ms, 0);
  assert_int_equal(a.events[6].start_ms, 5);
}

static void test_events_beyond_the_room_are_only_counted(void **state) {
  (void)state;
  clear();
  for (uint32_t i = 0; i < SPEECH_EVENTS_MAX - 1; i++)
    speech_facts_event(&a, event(SPEECH_BACKCHANNEL, 0, i, 1));
  for (uint32_t i = 0; i < 3; i++) speech_facts_event(&b, event(SPEECH_BACKCHANNEL, 0, 7000 + i, 1));
  speech_facts_merge(&a, &b, 0);
  assert_int_equal(a.event_count, SPEECH_EVENTS_MAX);
  assert_int_equal(a.events_total, SPEECH_EVENTS_MAX + 2);
  assert_int_equal(a.backchannels[0], SPEECH_EVENTS_MAX + 2);
  assert_int_equal(a.events[SPEECH_EVENTS_MAX - 1].start_ms, 7000);
  speech_facts_event(&a, event(SPEECH_BACKCHANNEL, 0, 1, 1));
  assert_int_equal(a.event_count, SPEECH_EVENTS_MAX);
  assert_int_equal(a.events_total, SPEECH_EVENTS_MAX + 3);
}

static void test_no_response_has_no_figures(void **state) {
  (void)state;
  clear();
  speech_facts_fto(&a, 0, 0);
  speech_facts_fto(&a, 0, -500);
  struct speech_response r = speech_response_ms(&a, 0);
  assert_int_equal(r.n, 0);
  assert_true(r.mean_ms == 0 && r.median_ms == 0 && r.p90_ms == 0);
}

static void test_response_figures(void **state) {
  (void)state;
  clear();
  for (int i = 10; i >= 1; i--) speech_facts_fto(&a, 1, i * 100);
  struct speech_response r = speech_response_ms(&a, 1);
  assert_int_equal(r.n, 10);
  assert_true(r.median_ms == 550 && r.mean_ms == 550 && r.p90_ms == 900);
  speech_facts_fto(&a, 1, 1107); /* the sum is exact, the bucket is not */
  r = speech_response_ms(&a, 1);
  assert_true(r.median_ms == 600 && r.mean_ms == 6607.0 / 11 && r.p90_ms == 1000);
  assert_int_equal(speech_response_ms(&a, 0).n, 0);
}

static void test_responses_beyond_the_buckets(void **state) {
  (void)state;
  clear();
  speech_facts_fto(&a, 0, 1);
  speech_facts_fto(&a, 0, 9999);
  speech_facts_fto(&a, 0, 10000);
  speech_facts_fto(&a, 0, 30000);
  struct speech_response r = speech_response_ms(&a, 0);
  assert_true(r.mean_ms == 12500 && r.median_ms == (9990 + 20000) / 2.0 && r.p90_ms == 20000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_cover_all_but_the_events),
      cmocka_unit_test(test_merge_sums_and_maxima),
      cmocka_unit_test(test_merge_is_neutral_on_nothing),
      cmocka_unit_test(test_events_are_counted_stored_and_shifted),
      cmocka_unit_test(test_events_beyond_the_room_are_only_counted),
      cmocka_unit_test(test_no_response_has_no_figures),
      cmocka_unit_test(test_response_figures),
      cmocka_unit_test(test_responses_beyond_the_buckets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
