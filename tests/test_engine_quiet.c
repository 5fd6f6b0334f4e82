/* agent/engine_quiet.c: legs that are quiet here are asked for elsewhere before they are given up, and parts that are
 * up are delivered only now and then. */
#include "tests/engine_helpers.h"

static const char parties[] = ", 'from': '+15550100001', 'to': '+15550100002', 'direction': 'incoming'";

static void streamed(struct world *w, int64_t from_ms, int64_t to_ms) {
  open_socket(w, 1, from_ms);
  start_frame(w, 1, from_ms, LEG, "PCMU");
  media_between(w, 1, from_ms + 20, to_ms, 1);
  close_by_peer(w, 1, to_ms);
}

static void a_quiet_leg_is_asked_for_each_minute(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  hook(w, LEG, "call.initiated", 0, parties);
  ticks_until(w, 119000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 0);
  ticks_until(w, 120000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 1);
  assert_false(last_effect(w, ASK_ELSEWHERE)->flag); /* never had a socket: due after 24 h */
  ticks_until(w, 179000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 1);
  ticks_until(w, 300000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 4);
  engine_elsewhere(w->e, &w->at, LEG, ELSEWHERE_GONE); /* not due */
  assert_int_equal(engine_calls_live(w->e), 1);
  world_free(w);
}

static void a_leg_that_others_have_is_not_given_up(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  streamed(w, 0, 4000);
  size_t streaming = count_effects(w, ASK_ELSEWHERE); /* what its webhooks said */
  ticks_until(w, 123000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), streaming);
  ticks_until(w, 124000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), streaming + 1);
  assert_true(last_effect(w, ASK_ELSEWHERE)->flag);
  engine_elsewhere(w->e, &w->at, LEG, ELSEWHERE_UP);
  engine_elsewhere(w->e, &w->at, LEG, ELSEWHERE_UNKNOWN);
  ticks_until(w, 200000);
  assert_int_equal(engine_calls_live(w->e), 1);
  assert_int_equal(count_effects(w, PUT_EVENT), 0);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), streaming + 2);
  engine_elsewhere(w->e, &w->at, LEG, ELSEWHERE_GONE);
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_int_equal(count_effects(w, PUT_EVENT), 1);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.partial", "true");
  world_free(w);
}

static void an_answer_that_comes_late_gives_up_nothing(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  streamed(w, 0, 4000);
  ticks_until(w, 124000);
  open_socket(w, 2, 124100);
  start_frame(w, 2, 124200, LEG, "PCMU");
  engine_elsewhere(w->e, &w->at, LEG, ELSEWHERE_GONE);
  engine_elsewhere(w->e, &w->at, "v3:nobody", ELSEWHERE_GONE);
  assert_int_equal(count_effects(w, PUT_EVENT), 0);
  assert_int_equal(engine_calls_live(w->e), 1);
  world_free(w);
}

/* Another agent took the hang-up: its fact joins, and the leg ends here as well. */
static void the_facts_of_others_end_a_leg(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  hook(w, LEG, "call.initiated", 0, parties);
  json_t *hangup =
      json_pack("{s:{s:s}, s:s, s:{s:s}, s:{s:s, s:s}}", "_id", "$oid", "0123456789abcdef01234567",
                "eventType", "call.hangup", "timestamp", "$date", "2026-09-14T08:15:30.000Z", "payload",
                "call_control_id", LEG, "hangup_cause", "user_busy");
  stored(w, LEG)->events++; /* in its store, not in ours */
  engine_facts(w->e, moment_ms(w, 121000), LEG, &hangup, 1, NULL, 0, false);
  json_decref(hangup);
  assert_int_equal(engine_calls_live(w->e), 0);
  EXPECT(stored_document(w, LEG), "status", "'busy'");
  world_free(w);
}

static void somebody_says_that_it_has_ended(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  hook(w, LEG, "call.initiated", 0, parties);
  char name[129];
  snprintf(name, sizeof name, "%s", engine_call_name(w->e, LEG));
  engine_ask(w->e, moment_ms(w, 1000), "CALL_0_other");
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 0);
  engine_ask(w->e, moment_ms(w, 1000), name);
  engine_ask(w->e, moment_ms(w, 1100), name); /* one question at a time */
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 1);
  engine_ask(w->e, moment_ms(w, 6000), name);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 2);
  ticks_until(w, 82000); /* MongoDB has no hang-up yet: at 11, 21, 41 and 81 s again */
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 6);
  hook(w, LEG, "call.hangup", 83000, "");
  ticks_until(w, 400000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 6);
  world_free(w);
}

/* The webhooks may have gone to another agent, and with them the callLogId. */
static void a_stream_without_webhooks_is_asked_for(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 0);
  ticks_until(w, 16500); /* after 1, 2, 4, 8 and 16 s */
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 5);
  assert_false(last_effect(w, ASK_ELSEWHERE)->flag); /* it is up here: nobody gives it up */
  json_t *initiated =
      json_pack("{s:{s:s}, s:s, s:{s:s}, s:{s:s, s:s}}", "_id", "$oid", "0123456789abcdef01234567",
                "eventType", "call.initiated", "timestamp", "$date", "2026-09-14T08:15:00.000Z", "payload",
                "call_control_id", LEG, "client_state", "{\"callLogId\":\"CALL_1_app\"}");
  stored(w, LEG)->events++; /* in another agent's store */
  engine_facts(w->e, moment_ms(w, 17000), LEG, &initiated, 1, NULL, 0, false);
  json_decref(initiated);
  assert_string_equal(engine_call_name(w->e, LEG), "CALL_1_app");
  ticks_until(w, 200000);
  assert_int_equal(count_effects(w, ASK_ELSEWHERE), 5);
  world_free(w);
}

static void an_open_part_is_delivered_now_and_then(void **state) {
  (void)state;
  struct world *w = world_of("", true, false);
  size_t stored_parts = 0, delivered = 0;
  streamed(w, 0, 130000);
  for (size_t i = 0; i < w->effects; i++) {
    if (w->effect[i].kind != PUT_PART) continue;
    stored_parts++;
    delivered += w->effect[i].flag;
  }
  assert_true(stored_parts > 30);         /* 4 s apart */
  assert_int_equal(delivered, 1 + 2 + 1); /* its start, after 60 s and 120 s, its end */
  assert_true(last_effect(w, PUT_PART)->flag);
  world_free(w);
}

static void a_stream_that_broke_off_is_missed(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  hook(w, LEG, "call.answered", 0, parties);
  streamed(w, 1000, 4000); /* without `stop` */
  assert_true(engine_lacks_stream(w->e, LEG));
  ticks_until(w, 8999);
  assert_int_equal(count_effects(w, STREAM_MISSING), 0);
  ticks_until(w, 9000);
  ticks_until(w, 60000);
  assert_int_equal(count_effects(w, STREAM_MISSING), 1);
  assert_string_equal(last_effect(w, STREAM_MISSING)->text, "a_7");
  world_free(w);
}

static void a_stream_that_stopped_or_came_again_is_not_missed(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  hook(w, LEG, "call.answered", 0, parties);
  open_socket(w, 1, 1000);
  start_frame(w, 1, 1000, LEG, "PCMU");
  message(w, 1, 3000, "{'event':'stop','sequence_number':'9','stop':{'call_control_id':'" LEG "'}}");
  close_by_peer(w, 1, 3100);
  ticks_until(w, 20000);
  open_socket(w, 2, 20000);
  start_frame(w, 2, 20000, LEG, "PCMU");
  close_by_peer(w, 2, 21000);
  open_socket(w, 3, 23000);
  start_frame(w, 3, 23000, LEG, "PCMU");
  ticks_until(w, 40000);
  close_by_peer(w, 3, 40000);
  hook(w, LEG, "call.hangup", 41000, ", 'hangup_cause': 'normal_clearing'");
  ticks_until(w, 60000);
  assert_int_equal(count_effects(w, STREAM_MISSING), 0);
  world_free(w);
}

/* An element as the store gives it back. */
static json_t *element(const char *id, const char *type, const char *when) {
  return json_pack("{s:{s:s}, s:s, s:{s:s}, s:{s:s}}", "_id", "$oid", id, "eventType", type, "timestamp",
                   "$date", when, "payload", "call_control_id", LEG);
}

static void a_leg_found_at_the_start_misses_its_stream(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  json_t *answered = element("0123456789abcdef01234567", "call.answered", "2026-09-14T08:15:00.000Z");
  stored(w, LEG)->events++;
  engine_facts(w->e, moment_ms(w, 0), LEG, &answered, 1, NULL, 0, true);
  json_decref(answered);
  ticks_until(w, 6000);
  assert_int_equal(count_effects(w, STREAM_MISSING), 1);
  assert_string_equal(last_effect(w, STREAM_MISSING)->text, "0123456789abcdef01234567");
  world_free(w);
}

static void a_part_that_a_crash_cut_is_missed(void **state) {
  (void)state;
  struct world *w = world_of("", true, true);
  struct part *part = part_new();
  snprintf(part->id, sizeof part->id, "a_3");
  part->n = 5;
  part->opened_ms = part->start_ms = part->first_frame_ms = part->last_frame_ms = start_ms;
  store_part(w, LEG, part);
  engine_facts(w->e, moment_ms(w, 1000), LEG, NULL, 0, &part, 1, true);
  ticks_until(w, 7000);
  assert_int_equal(count_effects(w, STREAM_MISSING), 1);
  assert_string_equal(last_effect(w, STREAM_MISSING)->text, "a_3");
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_quiet_leg_is_asked_for_each_minute),
      cmocka_unit_test(a_leg_that_others_have_is_not_given_up),
      cmocka_unit_test(an_answer_that_comes_late_gives_up_nothing),
      cmocka_unit_test(the_facts_of_others_end_a_leg),
      cmocka_unit_test(somebody_says_that_it_has_ended),
      cmocka_unit_test(a_stream_without_webhooks_is_asked_for),
      cmocka_unit_test(an_open_part_is_delivered_now_and_then),
      cmocka_unit_test(a_stream_that_broke_off_is_missed),
      cmocka_unit_test(a_stream_that_stopped_or_came_again_is_not_missed),
      cmocka_unit_test(a_leg_found_at_the_start_misses_its_stream),
      cmocka_unit_test(a_part_that_a_crash_cut_is_missed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
