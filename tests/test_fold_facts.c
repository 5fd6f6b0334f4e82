#include "tests/fold_case.h"

static void the_element_of_an_event(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  assert_true(add_event(facts, "9c6d3a60-5b7c-4d4e-b0a9-1f2e3d4c5b6a", "call.initiated", 0,
                        "{'a.b':{'$c':1,'d$':[{'.':2}]},'from':'+15550100001','x':null}"));
  /* First 12 bytes of SHA-256 of the id, by sha256sum. */
  EXPECT(facts->webhooks, "0",
         "{'_id':{'$oid':'84c3aac8fc32afd839e13bb1'},'eventType':'call.initiated',"
         "'timestamp':{'$date':'2026-09-14T08:14:58.120Z'},"
         "'payload':{'a\xef\xbc\x8e"
         "b':{'\xef\xbc\x84"
         "c':1,'d$':[{'\xef\xbc\x8e':2}]},'from':'+15550100001','x':null}}");
  facts_free(facts);
}

static void an_event_is_added_once(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  assert_true(add_event(facts, "1", "call.initiated", 0, NULL));
  assert_false(add_event(facts, "1", "call.initiated", 0, NULL));
  assert_false(add_event(facts, "1", "call.answered", 5, NULL));
  assert_false(facts_add_element(facts, json_array_get(facts->webhooks, 0)));
  assert_int_equal(json_array_size(facts->webhooks), 1);
  assert_int_equal(facts_revision(facts), 1);
  facts_free(facts);
}

static void elements_are_sorted_by_time_then_id(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.answered", 20, NULL);
  add_event(facts, "2", "call.initiated", 0, NULL);
  for (int i = 0; i < 20; i++) {
    char id[16];
    snprintf(id, sizeof id, "x%d", i);
    add_event(facts, id, "call.dtmf.received", 10, NULL);
  }
  for (size_t i = 1; i < json_array_size(facts->webhooks); i++) {
    const json_t *a = json_array_get(facts->webhooks, i - 1), *b = json_array_get(facts->webhooks, i);
    int64_t a_ms, b_ms;
    document_date_ms(json_object_get(a, "timestamp"), &a_ms);
    document_date_ms(json_object_get(b, "timestamp"), &b_ms);
    assert_true(a_ms <= b_ms);
    if (a_ms == b_ms)
      assert_true(
          strcmp(json_string_value(at_path(a, "_id.$oid")), json_string_value(at_path(b, "_id.$oid"))) < 0);
  }
  facts_free(facts);
}

static void what_is_no_element_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"[]",
                                      "{}",
                                      "{'_id':{'$oid':'a'}}",
                                      "{'eventType':'x'}",
                                      "{'_id':'a','eventType':'x'}",
                                      "{'_id':{'$oid':'a'},'eventType':3}"};
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    json_t *element = quoted(wrong[i]);
    assert_false(facts_add_element(facts, element));
    json_decref(element);
  }
  assert_int_equal(facts_revision(facts), 0);
  facts_free(facts);
}

static char *long_payload(const char *head, size_t bytes) {
  char *text = malloc(bytes + 256);
  int length = sprintf(text, "{%s'junk':'", head);
  memset(text + length, 'x', bytes);
  strcpy(text + length + bytes, "'}");
  return text;
}

static void a_large_payload_is_cut_to_its_fields(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  char *payload = long_payload("'hangup_cause':'user_busy','from':'+1','call_leg_id':'leg',", 32 * 1024);
  add_event(facts, "1", "call.hangup", 0, payload);
  add_event(facts, "2", "call.new.thing", 1, payload);
  EXPECT(facts->webhooks, "0.payload",
         "{'call_leg_id':'leg','from':'+1','hangup_cause':'user_busy','truncated':true}");
  EXPECT(facts->webhooks, "1.payload", "{'call_leg_id':'leg','from':'+1','truncated':true}");
  free(payload);
  facts_free(facts);
}

static void a_payload_of_32_kib_is_whole(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  char *payload = long_payload("", 32 * 1024 - strlen("{\"junk\":\"\"}"));
  add_event(facts, "1", "call.hangup", 0, payload);
  EXPECT(facts->webhooks, "0.payload.truncated", "absent");
  free(payload);
  payload = long_payload("", 32 * 1024 - strlen("{\"junk\":\"\"}") + 1);
  add_event(facts, "2", "call.hangup", 1, payload);
  EXPECT(facts->webhooks, "1.payload", "{'truncated':true}");
  free(payload);
  facts_free(facts);
}

/* {'from':'+1','inner':[[[...]]]} of so many levels, the object included. */
static char *deep_payload(const char *key, int levels) {
  char *text = malloc((size_t)levels * 2 + 64);
  size_t bytes = (size_t)sprintf(text, "{'from':'+1','%s':", key);
  for (int i = 1; i < levels; i++) text[bytes++] = '[';
  for (int i = 1; i < levels; i++) text[bytes++] = ']';
  strcpy(text + bytes, "}");
  return text;
}

static void a_deep_payload_is_cut_to_its_fields(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  /* 61 levels; hangup_cause is a field that would be kept if it were not that deep itself. */
  static const char *const keys[] = {"junk", "junk", "hangup_cause"};
  for (int i = 0; i < 3; i++) {
    char *payload = deep_payload(keys[i], FACTS_PAYLOAD_MAX_LEVELS + (i > 0)), id[16];
    snprintf(id, sizeof id, "%d", i);
    add_event(facts, id, "call.hangup", i, payload);
    free(payload);
  }
  EXPECT(facts->webhooks, "0.payload.truncated", "absent");
  EXPECT(facts->webhooks, "1.payload", "{'from':'+1','truncated':true}");
  EXPECT(facts->webhooks, "2.payload", "{'from':'+1','truncated':true}");
  facts_free(facts);
}

static void four_mib_of_payloads_a_leg(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG), *again = facts_new(LEG);
  char *payload = long_payload("", 32 * 1024 - 64);
  for (int i = 0; i < 140; i++) {
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    add_event(facts, id, "call.speak.started", i, payload);
  }
  size_t emptied = 0;
  for (size_t i = 0; i < 140; i++)
    emptied += at_path(json_array_get(facts->webhooks, i), "payload.truncated") != NULL;
  assert_int_equal(emptied, 140 - FACTS_PAYLOADS_MAX_BYTES / strlen(payload));
  assert_true(facts->payload_bytes <= FACTS_PAYLOADS_MAX_BYTES);
  for (size_t i = 0; i < 140; i++) facts_add_element(again, json_array_get(facts->webhooks, i));
  expect_equal_documents(facts->webhooks, again->webhooks, "read back");
  free(payload);
  facts_free(facts);
  facts_free(again);
}

static void payments_are_stored_without_payload(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.payment.progress", 0, "{'routing_number':'021000021'}");
  add_event(facts, "2", "call.payment.some_day", 1, "{'routing_number':'021000021'}");
  EXPECT(facts->webhooks, "0.payload", "absent");
  EXPECT(facts->webhooks, "1.payload", "absent");
  facts_free(facts);
}

static void the_part_with_the_greater_n_stays(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = new_part("a_1", 0);
  part->n = 5;
  assert_true(facts_put_part(facts, part));
  assert_false(facts_put_part(facts, part));
  part = new_part("a_1", 0);
  part->n = 5;
  assert_false(facts_put_part(facts, part));
  part = new_part("a_1", 0);
  part->n = 7;
  assert_true(facts_put_part(facts, part));
  part = new_part("b_1", 0);
  part->n = 2;
  assert_true(facts_put_part(facts, part));
  assert_int_equal(facts->part_count, 2);
  add_event(facts, "1", "call.answered", 0, NULL);
  assert_int_equal(facts_revision(facts), 1 + 7 + 2);
  facts_free(facts);
}

static void an_event_without_a_time_comes_first(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.answered", 0, NULL);
  json_t *payload = json_object();
  struct event event = {.id = "2", .type = "conference.floor.changed", .payload = payload};
  assert_true(facts_add_event(facts, &event));
  EXPECT(facts->webhooks, "0.timestamp", "absent");
  EXPECT(facts->webhooks, "1.eventType", "'call.answered'");
  json_decref(payload);
  facts_free(facts);
}

static void the_last_sign_of_life(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  assert_int_equal(facts_last_sign_ms(facts), 0);
  add_event(facts, "1", "call.cost", 900, NULL);
  assert_int_equal(facts_last_sign_ms(facts), start_ms + 900);
  add_event(facts, "2", "call.answered", 500, NULL);
  assert_int_equal(facts_last_sign_ms(facts), start_ms + 500);
  add_part(facts, "a_1", 510, PART_CLOSED, 520, 700);
  assert_int_equal(facts_last_sign_ms(facts), start_ms + 700);
  add_event(facts, "3", "call.dtmf.received", 710, NULL);
  assert_int_equal(facts_last_sign_ms(facts), start_ms + 710);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_element_of_an_event),
      cmocka_unit_test(an_event_is_added_once),
      cmocka_unit_test(elements_are_sorted_by_time_then_id),
      cmocka_unit_test(what_is_no_element_is_refused),
      cmocka_unit_test(a_large_payload_is_cut_to_its_fields),
      cmocka_unit_test(a_payload_of_32_kib_is_whole),
      cmocka_unit_test(a_deep_payload_is_cut_to_its_fields),
      cmocka_unit_test(four_mib_of_payloads_a_leg),
      cmocka_unit_test(payments_are_stored_without_payload),
      cmocka_unit_test(the_part_with_the_greater_n_stays),
      cmocka_unit_test(an_event_without_a_time_comes_first),
      cmocka_unit_test(the_last_sign_of_life),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
