/* agent/engine.c and engine_call.c: webhooks, facts of the store and time; sockets are in
 * test_engine_socket.c and test_engine_frames.c. */
#include "tests/engine_helpers.h"

static const char *const parties =
    ", 'direction': 'incoming', 'from': '+15550100001', 'to': '+15550100002', 'state': 'parked'";
static const char *const clearing = ", 'hangup_cause': 'normal_clearing', 'hangup_source': 'caller'";

static json_t *document_of(struct world *w, const char *leg) {
  const char *id = json_string_value(json_object_get(stored_document(w, leg), "callLogId"));
  json_t *document = engine_document(w->e, id);
  assert_non_null(document);
  return document;
}

/* ---- order ---- */

static const struct {
  const char *type;
  int64_t at_ms;
  const char *more;
} course[] = {
    {"call.initiated", 0, ", 'direction': 'incoming', 'from': '+15550100001', 'to': '+15550100002'"},
    {"call.answered", 2000, ", 'from': '+15550100001', 'to': '+15550100002'"},
    {"streaming.started", 2100, ", 'stream_url': 'wss://edge.example.net/media'"},
    {"call.dtmf.received", 5000, ", 'digit': '5'"},
    {"call.hangup", 9000, ", 'hangup_cause': 'normal_clearing', 'sip_hangup_cause': '200'"},
};
enum { COURSE = sizeof course / sizeof *course };

static json_t *after_order(const int order[COURSE]) {
  struct world *w = world_new("", true);
  for (int i = 0; i < COURSE; i++) {
    assert_true(hook_late(w, LEG, course[order[i]].type, course[order[i]].at_ms, 9000 + i * 300,
                          course[order[i]].more));
    assert_int_equal(count_effects(w, PUT_CALLLOG), i + 1); /* each fact is settled */
  }
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_int_equal(engine_calls(w->e), 1);
  engine_tick(w->e, moment_ms(w, 9000 + COURSE * 300 + 2000)); /* counted when nothing can overtake it */
  for (int i = 0; i < CALL_OUTCOMES; i++) {
    assert_int_equal(w->metrics.calls_finished[i], i == OUTCOME_COMPLETED);
  }
  json_t *document = document_of(w, LEG);
  expect_equal_documents(document, stored_document(w, LEG), "settled and shown");
  world_free(w);
  return document;
}

static size_t permute(int order[COURSE], int from, const json_t *expected) {
  if (from == COURSE) {
    json_t *document = after_order(order);
    expect_equal_documents(expected, document, "another order");
    json_decref(document);
    return 1;
  }
  size_t count = 0;
  for (int i = from; i < COURSE; i++) {
    int swap = order[from];
    order[from] = order[i], order[i] = swap;
    count += permute(order, from + 1, expected);
    swap = order[from];
    order[from] = order[i], order[i] = swap;
  }
  return count;
}

static void every_order_of_webhooks_gives_the_same_document(void **state) {
  (void)state;
  int order[COURSE] = {0, 1, 2, 3, 4};
  json_t *expected = after_order(order);
  EXPECT(expected, "status", "'completed'");
  EXPECT(expected, "duration.total", "9");
  EXPECT(expected, "metadata.sidetone.revision", "5");
  EXPECT(expected, "metadata.sidetone.complete", "true");
  assert_int_equal(permute(order, 0, expected), 120);
  json_decref(expected);
}

static void a_repeated_event_changes_nothing(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  assert_true(hook(w, LEG, "call.initiated", 0, parties));
  assert_true(hook_late(w, LEG, "call.answered", 1000, 1100, ""));
  json_t *before = document_of(w, LEG);
  size_t effects = w->effects;
  assert_false(hook_late(w, LEG, "call.initiated", 0, 5000, parties));
  assert_false(hook_late(w, LEG, "call.answered", 1000, 5100, ""));
  assert_int_equal(w->effects, effects);
  json_t *after = document_of(w, LEG);
  expect_equal_documents(before, after, "after duplicates");
  json_decref(before);
  json_decref(after);
  world_free(w);
}

/* Facts of one leg in quick succession: the first is settled at once, its end too, the rest together. */
static void facts_in_a_row_are_settled_together(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 1000, parties);
  assert_int_equal(count_effects(w, PUT_CALLLOG), 1);
  hook(w, LEG, "call.answered", 1010, "");
  hook(w, LEG, "call.bridged", 1020, "");
  assert_int_equal(count_effects(w, PUT_CALLLOG), 1);
  engine_tick(w->e, moment_ms(w, 1100));
  assert_int_equal(count_effects(w, PUT_CALLLOG), 2);
  hook(w, LEG, "call.hangup", 1150, clearing);
  assert_int_equal(count_effects(w, PUT_CALLLOG), 3);
  assert_int_equal(engine_calls_live(w->e), 0);
  world_free(w);
}

static void a_late_answer_does_not_revive_a_leg(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.hangup", 9000, clearing);
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_true(engine_all_ended(w->e));
  hook_late(w, LEG, "call.answered", 2000, 9500, "");
  hook_late(w, LEG, "call.initiated", 0, 9600, parties);
  assert_int_equal(engine_calls_live(w->e), 0);
  EXPECT(stored_document(w, LEG), "status", "'completed'");
  EXPECT(stored_document(w, LEG), "duration.total", "9");
  world_free(w);
}

static void an_event_without_a_leg_is_counted(void **state) {
  (void)state;
  static const char body[] = "{\"data\":{\"event_type\":\"conference.created\",\"id\":\"c\",\"payload\":{}}}";
  struct world *w = world_new("", false);
  struct event event;
  char why[256];
  assert_int_equal(event_parse(body, sizeof body - 1, &event, why, sizeof why), 0);
  assert_true(engine_event(w->e, moment_ms(w, 0), &event));
  event_release(&event);
  assert_int_equal(w->metrics.legless_events, 1);
  assert_int_equal(engine_calls(w->e), 0);
  assert_int_equal(w->effects, 0);
  world_free(w);
}

/* ---- the store's facts ---- */

static void a_call_that_begins_asks_the_store_once(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  assert_false(engine_knows(w->e, LEG));
  hook(w, LEG, "call.initiated", 0, parties);
  assert_true(engine_knows(w->e, LEG));
  hook(w, LEG, "call.answered", 1000, "");
  open_socket(w, 1, 1100);
  start_frame(w, 1, 1200, LEG, "PCMU");
  assert_int_equal(count_effects(w, LOAD_LEG), 1);
  open_socket(w, 2, 1300);
  start_frame(w, 2, 1400, LEG_B, "PCMU");
  assert_int_equal(count_effects(w, LOAD_LEG), 2);
  assert_string_equal(last_effect(w, LOAD_LEG)->leg, LEG_B);
  world_free(w);
}

/* An element as the store gives it back. */
static json_t *element_of(const char *id, const char *type, int64_t at_ms, const char *payload) {
  struct event event = {.id = id,
                        .type = type,
                        .row = event_row(type),
                        .has_occurred_at = true,
                        .occurred_at_us = (start_ms + at_ms) * 1000,
                        .attempt = 1,
                        .payload = quoted(payload)};
  json_t *element = facts_event_element(&event);
  json_decref(event.payload);
  return element;
}

static struct part *part_of(const char *id, uint64_t n, enum part_state state, int64_t from_ms,
                            int64_t to_ms) {
  struct part *part = new_part(id, from_ms);
  part->n = n;
  part->state = state;
  part->first_frame_ms = start_ms + from_ms + 10;
  part->last_frame_ms = start_ms + to_ms;
  if (state != PART_OPEN) part->closed_ms = start_ms + to_ms;
  return part;
}

/* The store has them already: they count when the CallLog's revision is checked. */
static void load(struct world *w, int64_t ms, json_t **elements, size_t element_count, struct part **parts,
                 size_t part_count, bool restart, uint64_t new_events) {
  stored(w, LEG)->events += new_events;
  for (size_t i = 0; i < part_count; i++) store_part(w, LEG, parts[i]);
  engine_facts(w->e, moment_ms(w, ms), LEG, elements, element_count, parts, part_count, restart);
  for (size_t i = 0; i < element_count; i++) json_decref(elements[i]);
}

static void facts_of_the_store_join_a_running_call(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  hook(w, LEG, "call.answered", 2000, "");
  EXPECT(stored_document(w, LEG), "direction", "absent");
  json_t *elements[] = {
      element_of("from-store", "call.initiated", 0,
                 "{'direction': 'incoming', 'from': '+15550100001', 'to': '+15550100002'}"),
      element_of(LEG "-call.answered-2000", "call.answered", 2000,
                 "{'call_control_id': '" LEG "'}"), /* known */
  };
  struct part *parts[] = {part_of("other_3", 9, PART_OPEN, 2100, 3000)};
  load(w, 3000, elements, 2, parts, 1, false, 1);
  EXPECT(stored_document(w, LEG), "direction", "'inbound'");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.revision", "11");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.other_3.state", "'open'");
  assert_int_equal(count_effects(w, PUT_PART), 0);
  assert_int_equal(count_effects(w, PUT_EVENT), 0);
  size_t settles = count_effects(w, PUT_CALLLOG);
  json_t *again[] = {element_of("from-store", "call.initiated", 0, "{}")};
  load(w, 3100, again, 1, NULL, 0, false, 0); /* nothing new */
  assert_int_equal(count_effects(w, PUT_CALLLOG), settles);
  world_free(w);
}

static void calls_without_a_lead_are_counted_once(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  /* {"leadId":"0123456789abcdef01234567"} */
  static const char lead[] = ", 'client_state': 'eyJsZWFkSWQiOiIwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1NjcifQ=='";
  hook_late(w, LEG, "call.hangup", 1000, 2000, ", 'hangup_cause': 'user_busy'");
  hook_late(w, LEG, "call.cost", 2000, 3000, "");
  assert_int_equal(w->metrics.calls_without_lead, 0); /* a lead may still be told */
  ticks_until(w, 5000);
  assert_int_equal(w->metrics.calls_without_lead, 1);
  hook_late(w, LEG_B, "call.initiated", 500, 5500, "");
  hook_late(w, LEG_B, "call.hangup", 1000, 6000, lead);
  ticks_until(w, 9000);
  assert_int_equal(w->metrics.calls_without_lead, 1);
  world_free(w);
}

static void a_finished_call_that_comes_back_is_not_counted_again(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  json_t *elements[] = {element_of("i", "call.initiated", 0, "{}"),
                        element_of("h", "call.hangup", 5000, "{'hangup_cause': 'user_busy'}")};
  hook_late(w, LEG, "call.cost", 6000, 60000, "");
  load(w, 60010, elements, 2, NULL, 0, false, 2);
  assert_int_equal(w->metrics.calls_finished[OUTCOME_BUSY], 0);
  assert_int_equal(engine_calls_live(w->e), 0);
  EXPECT(stored_document(w, LEG), "status", "'busy'");
  world_free(w);
}

static void a_restart_cuts_our_own_open_parts(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  json_t *elements[] = {element_of("i", "call.initiated", 0, "{'direction': 'incoming'}"),
                        element_of("a", "call.answered", 1000, "{}")};
  struct part *parts[] = {part_of("a_3", 5, PART_CLOSED, 1000, 2000),
                          part_of("a_4", 6, PART_OPEN, 2100, 4000), part_of("ab_5", 2, PART_OPEN, 2200, 4000),
                          part_of("other_1", 3, PART_OPEN, 2300, 4000)};
  load(w, 30000, elements, 2, parts, 4, true, 2);
  assert_int_equal(count_effects(w, PUT_PART), 1);
  const struct effect *cut = last_effect(w, PUT_PART);
  assert_string_equal(cut->text, "a_4");
  assert_int_equal(cut->number, 7);
  assert_int_equal(cut->code, PART_CUT);
  const json_t *document = stored_document(w, LEG);
  EXPECT(document, "metadata.sidetone.media.a_3.state", "'closed'");
  EXPECT(document, "metadata.sidetone.media.a_4.state", "'cut'");
  EXPECT(document, "metadata.sidetone.media.ab_5.state", "'open'");
  EXPECT(document, "metadata.sidetone.media.other_1.state", "'open'");
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.complete", "false");
  EXPECT(document, "status", "'answered'");
  EXPECT(document, "endedAt", "absent");
  hook(w, LEG, "call.hangup", 31000, clearing); /* it stays partial: a part was cut */
  EXPECT(stored_document(w, LEG), "status", "'completed'");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.partial", "true");
  world_free(w);
}

static void without_a_restart_nothing_is_cut(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  struct part *parts[] = {part_of("a_4", 6, PART_OPEN, 0, 4000)};
  load(w, 5000, NULL, 0, parts, 1, false, 0);
  assert_int_equal(count_effects(w, PUT_PART), 0);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_4.state", "'open'");
  world_free(w);
}

/* ---- time ---- */

static void streamed(struct world *w, int64_t from_ms, int64_t to_ms) {
  open_socket(w, 1, from_ms);
  start_frame(w, 1, from_ms, LEG, "PCMU");
  media_between(w, 1, from_ms + 20, to_ms, 1);
  close_by_peer(w, 1, to_ms + 500);
}

static void a_leg_without_hangup_is_given_up_after_120_s(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  streamed(w, 1000, 4000);
  engine_tick(w->e, moment_ms(w, 4500 + 119999));
  assert_int_equal(engine_calls_live(w->e), 1);
  EXPECT(stored_document(w, LEG), "endedAt", "absent");
  engine_tick(w->e, moment_ms(w, 4500 + 120000));
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_int_equal(count_effects(w, PUT_EVENT), 1);
  engine_tick(w->e, moment_ms(w, 4500 + 122000));
  assert_int_equal(w->metrics.calls_finished[OUTCOME_LOST], 1);
  const json_t *document = stored_document(w, LEG);
  EXPECT(document, "endedAt", "{'$date': '2026-09-14T08:15:02.100Z'}"); /* the last frame */
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.hangupCause", "absent");
  EXPECT(document, "telnyx.hangupCause", "absent");
  hook(w, LEG, "call.hangup", 130000,
       ", 'hangup_cause': 'user_busy', 'end_time': '2026-09-14T08:15:03.000Z'");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.partial", "false");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.complete", "true");
  world_free(w);
}

/* A key pressed after the last frame: the leg was still up, and is given up all the same. */
static void an_event_behind_the_last_frame_does_not_keep_a_leg_up(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  streamed(w, 1000, 4000);
  hook(w, LEG, "call.dtmf.received", 10000, ", 'digit': '1'");
  ticks_until(w, 135000);
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_int_equal(w->metrics.calls_finished[OUTCOME_LOST], 1);
  world_free(w);
}

static void a_socket_that_comes_back_in_time_keeps_the_leg_up(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  streamed(w, 0, 4000);
  ticks_until(w, 120000);
  open_socket(w, 2, 120100);
  start_frame(w, 2, 120200, LEG, "PCMU");
  media_between(w, 2, 120220, 123000, 1);
  ticks_until(w, 400000); /* no media, but the socket is up */
  assert_int_equal(engine_calls_live(w->e), 1);
  close_by_peer(w, 2, 400000);
  engine_tick(w->e, moment_ms(w, 519999));
  assert_int_equal(engine_calls_live(w->e), 1);
  engine_tick(w->e, moment_ms(w, 520000));
  assert_int_equal(engine_calls_live(w->e), 0);
  world_free(w);
}

/* Given up wrongly: newer frames make the leg alive again (8.4), and it is given up anew. */
static void a_frame_newer_than_the_loss_revives_the_leg(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  streamed(w, 0, 4000);
  ticks_until(w, 130000);
  assert_int_equal(engine_calls_live(w->e), 0);
  open_socket(w, 2, 140000);
  start_frame(w, 2, 140010, LEG, "PCMU");
  media_between(w, 2, 140020, 142000, 1);
  ticks_until(w, 146000);
  assert_int_equal(engine_calls_live(w->e), 1);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.givenUp", "true");
  close_by_peer(w, 2, 147000);
  ticks_until(w, 268000);
  assert_int_equal(engine_calls_live(w->e), 0);
  assert_int_equal(count_effects(w, PUT_EVENT), 2);
  assert_int_equal(w->metrics.calls_finished[OUTCOME_LOST], 1); /* one call */
  EXPECT(stored_document(w, LEG), "metadata.sidetone.givenUp", "absent");
  world_free(w);
}

static void a_leg_that_never_had_a_socket_has_24_h(void **state) {
  (void)state;
  enum { DAY_MS = 24 * 3600 * 1000, HOUR_MS = 3600 * 1000 };
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  engine_tick(w->e, moment_ms(w, DAY_MS - 1));
  hook(w, LEG, "call.answered", DAY_MS - 1, ""); /* the newest event counts */
  engine_tick(w->e, moment_ms(w, (int64_t)DAY_MS + HOUR_MS));
  engine_tick(w->e, moment_ms(w, (int64_t)2 * DAY_MS - 2));
  assert_int_equal(engine_calls_live(w->e), 1);
  engine_tick(w->e, moment_ms(w, (int64_t)2 * DAY_MS - 1));
  assert_int_equal(engine_calls_live(w->e), 0);
  engine_tick(w->e, moment_ms(w, (int64_t)2 * DAY_MS + 2000));
  assert_int_equal(w->metrics.calls_finished[OUTCOME_LOST], 1);
  world_free(w);
}

static void a_complete_call_leaves_memory(void **state) {
  (void)state;
  for (int keep = 0; keep < 2; keep++) {
    struct world *w = world_new("", keep == 1);
    hook(w, LEG, "call.initiated", 0, parties);
    hook(w, LEG_B, "call.initiated", 0, parties);
    hook(w, LEG, "call.hangup", 5000, clearing);
    engine_tick(w->e, moment_ms(w, 14999));
    assert_true(engine_knows(w->e, LEG));
    engine_tick(w->e, moment_ms(w, 15000));
    assert_int_equal(engine_knows(w->e, LEG), keep == 1);
    assert_true(engine_knows(w->e, LEG_B));
    assert_null(engine_document(w->e, "CALL_0_nobody"));
    world_free(w);
  }
}

/* ---- the end of the process ---- */

static void a_shutdown_stores_what_is_open(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  hook(w, LEG, "call.initiated", 0, parties);
  hook(w, LEG, "call.answered", 1000, "");
  open_socket(w, 1, 1000);
  start_frame(w, 1, 1000, LEG, "PCMU");
  media_between(w, 1, 1020, 3020, 1);
  open_socket(w, 2, 3000);
  start_frame(w, 2, 3000, LEG_B, "PCMU");
  assert_int_equal(engine_shutdown(w->e, moment_ms(w, 3500)), 2);
  assert_int_equal(engine_calls_ended(w->e), 0);
  assert_int_equal(count_effects(w, CLOSE_SOCKET), 2);
  assert_non_null(close_of(w, 1));
  assert_int_equal(w->metrics.streams_open, 0);
  const json_t *document = stored_document(w, LEG);
  EXPECT(document, "metadata.sidetone.media.a_7.state", "'cut'");
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "quality.network.packetsReceived", "100");
  EXPECT(document, "status", "'answered'");
  EXPECT(document, "endedAt", "absent");
  EXPECT(stored_document(w, LEG_B), "metadata.sidetone.media.a_8.state", "'cut'");
  close_by_peer(w, 1, 3600); /* still comes, and finds nothing to do */
  world_free(w);
}

static void count_call(void *arg, const char *leg, const json_t *document,
                       const struct fold_summary *summary) {
  size_t *seen = arg;
  EXPECT(document, "telnyx.callControlId", strcmp(leg, LEG) == 0 ? "'" LEG "'" : "'" LEG_B "'");
  assert_true(summary->call_log_id[0] != '\0');
  seen[strcmp(leg, LEG) == 0 ? 0 : 1]++;
}

static void each_call_is_shown_once(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  hook(w, LEG_B, "call.initiated", 0, parties);
  hook(w, LEG_B, "call.hangup", 100, clearing);
  size_t seen[2] = {0, 0};
  engine_each(w->e, count_call, seen);
  assert_int_equal(seen[0], 1);
  assert_int_equal(seen[1], 1);
  assert_int_equal(engine_calls(w->e), 2);
  assert_int_equal(engine_calls_live(w->e), 1);
  assert_false(engine_all_ended(w->e));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_order_of_webhooks_gives_the_same_document),
      cmocka_unit_test(a_repeated_event_changes_nothing),
      cmocka_unit_test(facts_in_a_row_are_settled_together),
      cmocka_unit_test(a_late_answer_does_not_revive_a_leg),
      cmocka_unit_test(an_event_without_a_leg_is_counted),
      cmocka_unit_test(a_call_that_begins_asks_the_store_once),
      cmocka_unit_test(facts_of_the_store_join_a_running_call),
      cmocka_unit_test(calls_without_a_lead_are_counted_once),
      cmocka_unit_test(a_finished_call_that_comes_back_is_not_counted_again),
      cmocka_unit_test(a_restart_cuts_our_own_open_parts),
      cmocka_unit_test(without_a_restart_nothing_is_cut),
      cmocka_unit_test(a_leg_without_hangup_is_given_up_after_120_s),
      cmocka_unit_test(an_event_behind_the_last_frame_does_not_keep_a_leg_up),
      cmocka_unit_test(a_socket_that_comes_back_in_time_keeps_the_leg_up),
      cmocka_unit_test(a_frame_newer_than_the_loss_revives_the_leg),
      cmocka_unit_test(a_leg_that_never_had_a_socket_has_24_h),
      cmocka_unit_test(a_complete_call_leaves_memory),
      cmocka_unit_test(a_shutdown_stores_what_is_open),
      cmocka_unit_test(each_call_is_shown_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
