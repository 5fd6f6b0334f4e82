/* Rows for Redis: each call once an interval, spread over it, with the claim that decides who publishes. */
#include "tests/engine_helpers.h"

enum { INTERVAL_US = 1000000 };

struct rows {
  size_t count, of_b;
  char id[128];
  bool has_socket;
  int64_t claim_ms, frame_us, start_ms;
};

static void note_row(void *arg, const struct engine_live_row *row) {
  struct rows *r = arg;
  r->count++;
  snprintf(r->id, sizeof r->id, "%s", row->call_log_id);
  r->has_socket = row->has_socket;
  r->claim_ms = row->claim_ms;
  r->frame_us = row->frame_us;
  r->start_ms = row->start_ms;
  assert_string_equal(json_string_value(json_object_get(row->figures, "callLogId")), row->call_log_id);
  r->of_b += strcmp(row->leg, LEG_B) == 0;
}

static struct rows slice(struct world *w, int64_t ms, size_t most) {
  struct rows r = {0};
  size_t made = engine_live_slice(w->e, moment_ms(w, ms), INTERVAL_US, most, note_row, &r);
  assert_int_equal(made, r.count);
  return r;
}

static void once_an_interval(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, "");
  assert_int_equal(slice(w, 10, 10).count, 1); /* at once */
  assert_int_equal(slice(w, 500, 10).count, 0);
  assert_int_equal(slice(w, 1009, 10).count, 0);
  assert_int_equal(slice(w, 1050, 10).count, 1);
  assert_int_equal(slice(w, 2010, 10).count, 1); /* the beat is kept: no drift of 40 ms a second */
  assert_int_equal(slice(w, 9000, 10).count, 1); /* late: not seven at once */
  assert_int_equal(slice(w, 9500, 10).count, 0);
  world_free(w);
}

static void a_slice_is_bounded_and_all_get_their_turn(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  size_t made = 0, of_b = 0;
  hook(w, LEG, "call.initiated", 0, "");
  hook(w, LEG_B, "call.initiated", 0, "");
  for (int64_t ms = 50; ms <= 10000; ms += 50) {
    struct rows r = slice(w, ms, 1);
    made += r.count;
    of_b += r.of_b;
  }
  assert_int_equal(made, 20);
  assert_int_equal(of_b, 10);
  world_free(w);
}

static void the_claim_is_the_newest_event_then_the_socket(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook_late(w, LEG, "call.initiated", 100, 500, "");
  struct rows r = slice(w, 600, 9);
  assert_false(r.has_socket);
  assert_int_equal(r.claim_ms, start_ms + 100);
  assert_int_equal(r.frame_us, 0);
  open_socket(w, 1, 1000);
  start_frame(w, 1, 1500, LEG, "PCMU");
  media_frame(w, 1, 1600, 0, 1);
  media_frame(w, 1, 1620, 0, 2);
  r = slice(w, 2000, 9);
  assert_true(r.has_socket);
  assert_int_equal(r.claim_ms, start_ms + 1000);
  assert_int_equal(r.frame_us, mono_zero_us + 1600000); /* the oldest one that no row has had */
  r = slice(w, 3000, 9);
  assert_int_equal(r.frame_us, 0);
  close_by_peer(w, 1, 3100);
  hook(w, LEG, "call.answered", 3200, "");
  r = slice(w, 4000, 9);
  assert_false(r.has_socket);
  assert_int_equal(r.claim_ms, start_ms + 3200);
  world_free(w);
}

static void an_end_stops_the_rows(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, "");
  assert_int_equal(slice(w, 10, 9).count, 1);
  hook(w, LEG, "call.hangup", 500, "");
  assert_int_equal(slice(w, 2000, 9).count, 0);
  world_free(w);
}

static void an_end_elsewhere_stops_them_until_a_newer_claim(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, "");
  hook(w, LEG_B, "call.initiated", 0, "");
  struct rows r = slice(w, 10, 1);
  engine_live_stop(w->e, r.id);
  assert_int_equal(slice(w, 1000, 9).count, 1); /* the other one */
  assert_int_equal(slice(w, 2000, 9).count, 1);
  const char *stopped = engine_leg_of(w->e, r.id);
  char leg[64];
  snprintf(leg, sizeof leg, "%s", stopped);
  hook(w, leg, "call.answered", 2500, "");
  assert_int_equal(slice(w, 3000, 9).count, 2);
  world_free(w);
}

static void each_end_is_told_once(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, "");
  assert_int_equal(count_effects(w, ENDED), 0);
  hook(w, LEG, "call.hangup", 500, "");
  ticks_until(w, 3000);
  hook(w, LEG, "call.cost", 3500, "");
  ticks_until(w, 5000);
  assert_int_equal(count_effects(w, ENDED), 1);
  const char *id = json_string_value(json_object_get(stored_document(w, LEG), "callLogId"));
  assert_string_equal(last_effect(w, ENDED)->text, id);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(once_an_interval),
      cmocka_unit_test(a_slice_is_bounded_and_all_get_their_turn),
      cmocka_unit_test(the_claim_is_the_newest_event_then_the_socket),
      cmocka_unit_test(an_end_stops_the_rows),
      cmocka_unit_test(an_end_elsewhere_stops_them_until_a_newer_claim),
      cmocka_unit_test(each_end_is_told_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
