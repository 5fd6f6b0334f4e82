/* A row of the outbox as its write. */
#include "tests/settle_case.h"

static const struct fold_options options = {.agent_id = "agent-1", .version = "0.1.0"};

static json_t *element(const char *id, int64_t at_ms, const char *payload) {
  struct event event = {.id = id,
                        .type = "call.initiated",
                        .row = event_row("call.initiated"),
                        .has_occurred_at = true,
                        .occurred_at_us = (start_ms + at_ms) * 1000,
                        .payload = quoted(payload)};
  json_t *made = facts_event_element(&event);
  json_decref(event.payload);
  return made;
}

static json_t *part_json(const char *id, uint64_t n) {
  struct part *part = new_part(id, 0);
  part->n = n;
  json_t *json = part_to_json(part);
  part_free(part);
  return json;
}

static void an_element_makes_the_document(void **state) {
  (void)state;
  struct mongo_folder folder = settle_folder(&options, false);
  struct collection c = {.clock_ms = start_ms};
  json_t *second = element("b", 2, "{'x':1.0}"), *first = element("a", 1, "{}");
  send_fact(&c, &folder, LEG, second, false);
  assert_int_equal(c.count, 1);
  json_t *made = quoted(
      "{'telnyx':{'callControlId':'v3:leg-A'},'isActive':true,'__v':0,"
      "'createdAt':{'$date':'2026-09-14T08:14:58.620Z'},'metadata':{'sidetone':{'agents':['agent-1']}},"
      "'quality':{'issues':[]},'transcription':{'turns':[],'keywords':[],'entities':[]},'events':[],'"
      "dtmfInputs':[],"
      "'holds':[],'aiAnalysis':{'sentiment':{'bySegment':[]},'intents':[],'topics':[],'keywords':[],'"
      "entities':[],"
      "'qualification':{'signals':[],'concerns':[],'objections':[],'interests':[]},"
      "'compliance':{'requiredDisclosuresMade':[],'violations':[]}},'tags':[],'categories':[],'notes':[],'"
      "errors':[],"
      "'compliance':{'disclosuresMade':[],'regulatoryFlags':[]}}");
  char derived[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(LEG, derived);
  json_object_set_new(made, "callLogId", json_string(derived));
  json_object_set_new(json_object_get(made, "telnyx"), "webhookEvents", json_pack("[O]", second));
  json_t *document = json_deep_copy(c.documents[0]);
  assert_non_null(at_path(document, "updatedAt.$date"));
  json_object_del(document, "_id");
  json_object_del(document, "updatedAt");
  if (!json_equal(document, made)) print_difference("", document, made);
  assert_true(json_equal(document, made));
  json_decref(document);
  json_decref(made);
  /* The next goes to its place by time; again, it changes nothing. */
  send_fact(&c, &folder, LEG, first, false);
  send_fact(&c, &folder, LEG, first, false);
  send_fact(&c, &folder, LEG, second, false);
  assert_int_equal(c.count, 1);
  assert_int_equal(json_array_size(at_path(c.documents[0], "telnyx.webhookEvents")), 2);
  assert_true(json_equal(document_reader(at_path(c.documents[0], "telnyx.webhookEvents.0")), first));
  EXPECT(c.documents[0], "createdAt", "{'$date':'2026-09-14T08:14:58.620Z'}");
  json_decref(first);
  json_decref(second);
  collection_clear(&c);
}

static void a_part_is_replaced_by_newer_ones_only(void **state) {
  (void)state;
  struct mongo_folder folder = settle_folder(&options, false);
  struct collection c = {.clock_ms = start_ms};
  static const uint64_t order[] = {3, 2, 3, 9, 8}, shown[] = {3, 3, 3, 9, 9};
  for (size_t i = 0; i < 5; i++) {
    json_t *part = part_json("agent-1_1", order[i]);
    send_fact(&c, &folder, LEG, part, true);
    json_decref(part);
    assert_int_equal(c.count, 1);
    assert_int_equal(json_integer_value(at_path(c.documents[0], "metadata.sidetone.media.agent-1_1.n")),
                     shown[i]);
  }
  EXPECT(c.documents[0], "telnyx.webhookEvents", "[]");
  json_t *other = part_json("agent-2_1", 1);
  send_fact(&c, &folder, LEG, other, true);
  assert_int_equal(json_object_size(at_path(c.documents[0], "metadata.sidetone.media")), 2);
  json_decref(other);
  collection_clear(&c);
}

static json_t *naming(const char *key, const char *value) {
  json_t *made = element("a", 1, "{}");
  json_object_set_new(json_object_get(made, "payload"), "client_state",
                      json_sprintf("{\"%s\":\"%s\"}", key, value));
  return made;
}

static void check_join(const char *key, const char *value, const char *of_application, bool joins) {
  struct mongo_folder folder = settle_folder(&options, false);
  struct collection c = {.clock_ms = start_ms, .documents = {quoted(of_application)}, .count = 1};
  json_t *fact = naming(key, value);
  send_fact(&c, &folder, LEG, fact, false);
  if (joins) {
    assert_int_equal(c.count, 1);
    EXPECT(c.documents[0], "leadId", "'lead'"); /* all else is the application's */
    EXPECT(c.documents[0], "callLogId", "'CALL_1_x'");
    EXPECT(c.documents[0], "createdAt", "absent");
    EXPECT(c.documents[0], "metadata.sidetone", "{'joined':true,'agents':['agent-1']}");
    assert_int_equal(json_array_size(at_path(c.documents[0], "telnyx.webhookEvents")), 1);
  } else {
    assert_int_equal(c.count, 2);
    EXPECT(c.documents[0], "telnyx.webhookEvents", "absent");
  }
  json_decref(fact);
  collection_clear(&c);
}

static void documents_of_the_application_are_joined(void **state) {
  (void)state;
  static const char free_one[] =
      "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callLogId':'CALL_1_x','leadId':'lead'}",
                    with_null[] =
                        "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callLogId':'CALL_1_x','leadId':'lead',"
                        "'telnyx':{'callControlId':null}}",
                    taken[] =
                        "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callLogId':'CALL_1_x','leadId':'lead',"
                        "'telnyx':{'callControlId':'v3:other'}}";
  check_join("callLogId", "CALL_1_x", free_one, true);
  check_join("callLogId", "CALL_1_x", with_null, true);
  check_join("callLogId", "CALL_1_x", taken, false);
  check_join("callLogId", "CALL_1_y", free_one, false);
  check_join("callLogId", "CALL 1 x", free_one, false);
  check_join("callId", "64B7F0C2A1B2C3D4E5F60718", free_one, true);
  check_join("callId", "64b7f0c2a1b2c3d4e5f60719", free_one, false);
  check_join("callId", "call-1789373698000", free_one, false);
}

static void a_part_joins_too(void **state) {
  (void)state;
  struct mongo_folder folder = settle_folder(&options, false);
  struct collection c = {
      .documents = {quoted("{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callLogId':'CALL_1_x'}")},
      .count = 1};
  json_t *part = part_json("agent-1_1", 1);
  json_object_set_new(part, "client_state", json_string("eyJjYWxsTG9nSWQiOiJDQUxMXzFfeCJ9"));
  send_fact(&c, &folder, LEG, part, true);
  assert_int_equal(c.count, 1);
  EXPECT(c.documents[0], "telnyx.callControlId", "'v3:leg-A'");
  json_decref(part);
  collection_clear(&c);
}

static void refuse(enum outbox_kind kind, const char *leg, const char *body) {
  struct mongo_folder folder = settle_folder(&options, false);
  char *text = strdup(body);
  for (char *at = text; *at; at++)
    if (*at == '\'') *at = '"';
  struct sink_row row = {.kind = kind, .leg = leg, .id = "x", .body = text, .body_bytes = strlen(text)};
  struct mongo_fact fact;
  if (folder.fact(folder.arg, &row, &fact) == 0) fail_msg("taken: %s", body);
  assert_null(fact.write.filter);
  assert_null(fact.write.update);
  assert_int_equal(fact.join_count, 0);
  free(text);
}

static void what_is_no_fact_is_refused(void **state) {
  (void)state;
  refuse(OUTBOX_EVENT, LEG, "{'_id':{'$oid':'00'");
  refuse(OUTBOX_EVENT, LEG, "[]");
  refuse(OUTBOX_EVENT, LEG, "{'eventType':'call.x'}");
  refuse(OUTBOX_EVENT, LEG, "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'}}");
  refuse(OUTBOX_EVENT, LEG, "{'_id':'64b7f0c2a1b2c3d4e5f60718','eventType':'call.x'}");
  refuse(OUTBOX_EVENT, "", "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'eventType':'call.x'}");
  refuse(OUTBOX_EVENT, NULL, "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'eventType':'call.x'}");
  refuse(OUTBOX_ALERT, LEG, "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'eventType':'call.x'}");
  refuse(OUTBOX_PART, LEG, "{'id':'a_1','state':'open'}");
  refuse(OUTBOX_PART, LEG, "{'id':'a_1','n':1}");
  refuse(OUTBOX_PART, LEG, "{'id':'a.1','n':1,'state':'open'}");
  refuse(OUTBOX_PART, LEG, "{'id':'$a','n':1,'state':'open'}");
  refuse(OUTBOX_PART, LEG, "{'n':1,'state':'open'}");
}

static void a_look_up_is_written_once(void **state) {
  (void)state;
  struct mongo_folder folder = settle_folder(&options, true);
  struct collection c = {.count = 0};
  json_t *fact = element("a", 1, "{}");
  send_fact(&c, &folder, LEG, fact, false);
  struct mongo_op op;
  assert_int_equal(folder.lead_lookup(folder.arg, LEG, "64B7F0C2A1B2C3D4E5F60718", NULL, &op), 0);
  assert_int_equal(apply(&c, &op), APPLIED_MATCHED);
  assert_int_equal(apply(&c, &op), APPLIED_NONE);
  op_clear(&op);
  EXPECT(c.documents[0], "metadata.sidetone.leadLookup", "{'leadId':{'$oid':'64b7f0c2a1b2c3d4e5f60718'}}");
  assert_int_equal(folder.lead_lookup(folder.arg, LEG, NULL, NULL, &op), 0);
  assert_int_equal(apply(&c, &op), APPLIED_NONE);
  op_clear(&op);
  json_decref(fact);
  collection_clear(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_element_makes_the_document),
      cmocka_unit_test(a_part_is_replaced_by_newer_ones_only),
      cmocka_unit_test(documents_of_the_application_are_joined),
      cmocka_unit_test(a_part_joins_too),
      cmocka_unit_test(what_is_no_fact_is_refused),
      cmocka_unit_test(a_look_up_is_written_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
