/* A document as read becomes its updates. */
#include "tests/fold_story.h"
#include "tests/settle_case.h"

static const struct fold_options options = {.agent_id = "a", .version = "0.1.0"};

static struct mongo_folder folder_of(bool lead_lookup) {
  return settle_folder(&options, lead_lookup);
}

/* A document of the leg with one fact; `extra` are members that others wrote. */
static json_t *document_with(const char *payload, const char *extra) {
  struct mongo_folder folder = folder_of(false);
  struct collection c = {.clock_ms = start_ms};
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 0, payload);
  send_fact(&c, &folder, LEG, json_array_get(facts->webhooks, 0), false);
  json_t *document = json_incref(c.documents[0]), *more = quoted(extra);
  json_object_update_recursive(document, more);
  json_decref(more);
  facts_free(facts);
  collection_clear(&c);
  return document;
}

/* Takes the document over: settled, as the sink would find it. */
static struct collection settled(json_t *document) {
  struct mongo_folder folder = folder_of(false);
  struct collection c = {.clock_ms = start_ms, .documents = {document}, .count = 1};
  settle_leg(&c, &folder, LEG);
  return c;
}

static void facts_become_their_fold(void **state) {
  (void)state;
  srand(5);
  struct mongo_folder folder = folder_of(false);
  for (int round = 0; round < 30; round++) {
    struct fact told[STORY_FACTS];
    struct collection c = {.clock_ms = start_ms};
    struct facts *facts = facts_new(LEG);
    tell(told);
    for (size_t i = 0; i < STORY_FACTS; i++)
      if (rand() % 4) add_fact(facts, &told[i]);
    send_facts(&c, &folder, facts);
    assert_int_equal(differences(c.documents[0], facts), 0);
    /* Again: nothing changes, but for updatedAt of what is written at all. */
    json_t *before = json_deep_copy(c.documents[0]);
    struct mongo_settle again = plan_of(&folder, before, false);
    assert_int_equal(apply(&c, &again.main), APPLIED_NONE);
    assert_int_equal(again.second_count, 0);
    assert_int_equal(again.revision, facts_revision(facts));
    assert_true(json_equal(before, c.documents[0]));
    settle_clear(&again);
    json_decref(before);
    facts_free(facts);
    collection_clear(&c);
    release(told);
  }
}

/* 4 MiB of payloads: the fold of a document depends on the elements it has, not on who sent them when. */
static void the_limit_of_payloads_holds_for_any_order(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  char *long_text = calloc(1, 30001);
  memset(long_text, 'x', 30000);
  json_t *first = NULL;
  for (int round = 0; round < 2; round++) {
    struct collection c = {.clock_ms = start_ms};
    for (int i = 0; i < 150; i++) {
      char id[8];
      int k = round ? 149 - i : i;
      snprintf(id, sizeof id, "%d", k);
      json_t *payload = json_pack("{s:s, s:s}", "text", long_text, "digit", "1");
      struct event event = {.id = id,
                            .type = "call.dtmf.received",
                            .row = event_row("call.dtmf.received"),
                            .has_occurred_at = true,
                            .occurred_at_us = (start_ms + k) * 1000,
                            .payload = payload};
      json_t *fact = facts_event_element(&event);
      send_fact(&c, &folder, LEG, fact, false);
      json_decref(fact);
      json_decref(payload);
    }
    settle_leg(&c, &folder, LEG);
    json_t *now = comparable(c.documents[0]);
    assert_in_range(json_array_size(at_path(now, "dtmfInputs")), 130, 145);
    if (first) assert_true(json_equal(first, now));
    json_decref(first);
    first = now;
    collection_clear(&c);
  }
  json_decref(first);
  free(long_text);
}

/* ---- what others wrote ---- */

static void what_is_not_ours_stays(void **state) {
  (void)state;
  struct collection c = settled(document_with(
      "{}",
      "{'isActive':false,'leadId':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callType':'demo','notes':[{'text':'n'}"
      "],"
      "'transfer':{'wasTransferred':true},'transcription':{'turns':[{'text':'by ai'}],'status':'completed'},"
      "'aiAnalysis':{'topics':['t'],'speech':{'speakingRate':{'agent':120.5}}},'metadata':{'theirs':1},"
      "'customFields':{'a':1},'telnyx':{'apiResponse':{'b':2}},'duration':{'postCall':4},'recording':{'"
      "enabled':false},"
      "'answerState':'human','createdAt':{'$date':'2020-01-01T00:00:00.000Z'}}"));
  const json_t *d = c.documents[0];
  EXPECT(d, "isActive", "false");
  EXPECT(d, "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(d, "callType", "'demo'");
  EXPECT(d, "notes", "[{'text':'n'}]");
  EXPECT(d, "transfer", "{'wasTransferred':true}");
  EXPECT(d, "transcription.turns", "[{'text':'by ai'}]");
  EXPECT(d, "transcription.status", "'completed'");
  EXPECT(d, "aiAnalysis.topics", "['t']");
  EXPECT(d, "aiAnalysis.speech", "{'speakingRate':{'agent':120.5}}");
  EXPECT(d, "metadata.theirs", "1");
  EXPECT(d, "customFields", "{'a':1}");
  EXPECT(d, "telnyx.apiResponse", "{'b':2}");
  EXPECT(d, "duration", "{'postCall':4}");
  EXPECT(d, "createdAt", "{'$date':'2020-01-01T00:00:00.000Z'}");
  /* Ours, and not said by the facts. */
  EXPECT(d, "recording.enabled", "absent");
  EXPECT(d, "answerState", "absent");
  EXPECT(d, "status", "'initiated'");
  collection_clear(&c);
}

/* The original's schema makes quality.network a text: an update below it would be refused for ever. */
static void what_stands_in_the_way_is_replaced(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  struct collection c = {.clock_ms = start_ms};
  struct facts *facts = facts_new(LEG);
  srand(2);
  struct part *part = NULL;
  while (!part || !part->track[0].seen || !part->track[0].delivery) {
    part_free(part);
    part = random_part("a_1");
  }
  facts_put_part(facts, part);
  json_t *fact = part_to_json(part);
  send_fact(&c, &folder, LEG, fact, true);
  json_decref(fact);
  json_t *theirs = quoted("{'quality':{'network':'wifi'},'from':null,'duration':7}");
  json_object_update_recursive(c.documents[0], theirs);
  json_decref(theirs);
  settle_leg(&c, &folder, LEG);
  assert_true(json_is_integer(at_path(c.documents[0], "quality.network.bytesReceived")));
  json_object_del(c.documents[0], "duration"); /* nothing of ours belongs there yet: theirs */
  if (!json_is_object(at_path(c.documents[0], "from"))) json_object_del(c.documents[0], "from");
  assert_int_equal(differences(c.documents[0], facts), 0);
  facts_free(facts);
  collection_clear(&c);
}

/* ---- callLogId ---- */

static json_t *naming_x(const char *extra) {
  json_t *document = document_with("{}", extra);
  json_t *payload = document_reader(at_path(document, "telnyx.webhookEvents.0.payload"));
  json_object_set_new(payload, "client_state", json_string("{\"callLogId\":\"CALL_1_x\"}"));
  return document;
}

static void a_named_id_replaces_the_derived_one(void **state) {
  (void)state;
  struct collection c = settled(naming_x("{}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_1_x'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "absent");
  collection_clear(&c);
}

static void an_id_of_another_document_is_a_conflict(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  char derived[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(LEG, derived);
  struct collection c = {.clock_ms = start_ms,
                         .documents = {naming_x("{}"), quoted("{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},"
                                                              "'callLogId':'CALL_1_x'}")},
                         .count = 2};
  struct mongo_settle plan = plan_of(&folder, c.documents[0], false);
  assert_int_equal(apply(&c, &plan.main), APPLIED_DUPLICATE);
  settle_clear(&plan);
  settle_leg(&c, &folder, LEG);
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "'CALL_1_x'");
  assert_string_equal(json_string_value(at_path(c.documents[0], "callLogId")), derived);
  EXPECT(c.documents[1], "metadata", "absent");
  /* Known from the document: the next settle does not run into it again. */
  json_object_set_new(json_object_get(json_object_get(c.documents[0], "metadata"), "sidetone"), "revision",
                      json_integer(0));
  plan = plan_of(&folder, c.documents[0], false);
  assert_int_equal(apply(&c, &plan.main), APPLIED_MATCHED);
  settle_clear(&plan);
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "'CALL_1_x'");
  collection_clear(&c);
}

static void a_conflict_ends_with_another_name(void **state) {
  (void)state;
  struct collection c = settled(naming_x("{'metadata':{'sidetone':{'callLogIdConflict':'CALL_1_y'}}}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_1_x'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "absent");
  collection_clear(&c);
  c = settled(naming_x("{'callLogId':'CALL_1_x','metadata':{'sidetone':{'callLogIdConflict':'CALL_1_x'}}}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_1_x'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "absent");
  collection_clear(&c);
}

static void a_joined_document_keeps_its_id(void **state) {
  (void)state;
  struct collection c =
      settled(document_with("{}", "{'callLogId':'CALL_9_app','metadata':{'sidetone':{'joined':true}}}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_9_app'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "absent");
  collection_clear(&c);
  c = settled(naming_x("{'callLogId':'CALL_9_app','metadata':{'sidetone':{'joined':true}}}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_9_app'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "'CALL_1_x'");
  collection_clear(&c);
  c = settled(naming_x("{'callLogId':'CALL_1_x','metadata':{'sidetone':{'joined':true}}}"));
  EXPECT(c.documents[0], "callLogId", "'CALL_1_x'");
  EXPECT(c.documents[0], "metadata.sidetone.callLogIdConflict", "absent");
  collection_clear(&c);
}

static void a_document_without_id_gets_the_derived_one(void **state) {
  (void)state;
  json_t *without = document_with("{}", "{'metadata':{'sidetone':{'joined':true}}}");
  json_object_del(without, "callLogId");
  struct collection c = settled(without);
  char derived[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(LEG, derived);
  assert_string_equal(json_string_value(at_path(c.documents[0], "callLogId")), derived);
  collection_clear(&c);
}

/* ---- races that the filters decide ---- */

static void expect_main(json_t *read, const char *now, enum applied expected) {
  struct mongo_folder folder = folder_of(false);
  struct mongo_settle plan = plan_of(&folder, read, false);
  struct collection c = {.documents = {read}, .count = 1};
  json_t *change = quoted(now);
  json_object_update_recursive(read, change);
  json_decref(change);
  assert_int_equal(apply(&c, &plan.main), expected);
  settle_clear(&plan);
  collection_clear(&c);
}

static void what_changed_since_the_reading_refuses_the_update(void **state) {
  (void)state;
  expect_main(document_with("{}", "{}"), "{}", APPLIED_MATCHED);
  expect_main(document_with("{}", "{'metadata':{'sidetone':{'revision':0}}}"), "{}", APPLIED_MATCHED);
  expect_main(document_with("{}", "{}"), "{'metadata':{'sidetone':{'revision':1}}}", APPLIED_NONE);
  expect_main(document_with("{}", "{}"), "{'metadata':{'sidetone':{'revision':2}}}", APPLIED_NONE);
  expect_main(document_with("{}", "{}"), "{'metadata':{'sidetone':{'wrote':{'tags':['no-lead']}}}}",
              APPLIED_NONE);
  expect_main(document_with("{}", "{'metadata':{'sidetone':{'wrote':{'tags':['no-lead']}}}}"), "{}",
              APPLIED_MATCHED);
  expect_main(document_with("{}", "{'metadata':{'sidetone':{'wrote':{'tags':['no-lead']}}}}"),
              "{'metadata':{'sidetone':{'wrote':{'tags':[]}}}}", APPLIED_NONE);
  /* A person was faster; but what the settle does not change may change. */
  static const char ended[] =
      "{'telnyx':{'webhookEvents':[{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},"
      "'eventType':'call.hangup'}]}}";
  expect_main(document_with("{}", ended), "{}", APPLIED_MATCHED);
  expect_main(document_with("{}", ended), "{'outcome':{'result':'qualified'}}", APPLIED_NONE);
  expect_main(document_with("{}", ended), "{'outcome':{'notes':'n'},'tags':['vip']}", APPLIED_MATCHED);
}

/* A settle of fewer facts lands after the reading: what it wrote goes all the same. */
static void the_unset_does_not_look_at_what_was_read(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  json_t *read = document_with("{}", "{}");
  struct mongo_settle plan = plan_of(&folder, read, false);
  struct collection c = {.documents = {read}, .count = 1};
  json_t *older = quoted(
      "{'answerState':'machine','hangupCause':'other',"
      "'metadata':{'sidetone':{'hangupCause':'x','speech':{'turns':1}}}}");
  json_object_update_recursive(read, older);
  json_decref(older);
  assert_int_equal(apply(&c, &plan.main), APPLIED_MATCHED);
  EXPECT(c.documents[0], "answerState", "absent");
  EXPECT(c.documents[0], "hangupCause", "absent");
  EXPECT(c.documents[0], "metadata.sidetone.hangupCause", "absent");
  EXPECT(c.documents[0], "metadata.sidetone.speech", "absent");
  settle_clear(&plan);
  collection_clear(&c);
}

/* The same facts in one order make `billing` and take it away again, in another they never make it: no empty document is
 * left. Whoever writes below a path between reading and update is not lost: the update finds nothing. */
static void no_empty_document_is_left(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  json_t *read = document_with("{}",
                               "{'billing':{'cost':1.5,'currency':'USD'},'duration':{'total':3},'recording':{"
                               "'enabled':true,'notes':'n'}}");
  struct mongo_settle plan = plan_of(&folder, read, false);
  struct collection c = {.documents = {read}, .count = 1};
  json_object_set_new(json_object_get(read, "billing"), "ratePerMinute", json_integer(2));
  assert_int_equal(apply(&c, &plan.main), APPLIED_NONE);
  settle_clear(&plan);
  settle_leg(&c, &folder, LEG);
  EXPECT(c.documents[0], "billing", "{'ratePerMinute': 2}");
  EXPECT(c.documents[0], "duration", "absent");
  EXPECT(c.documents[0], "recording", "{'notes': 'n'}");
  collection_clear(&c);
  /* Made meanwhile by an older settle. */
  read = document_with("{}", "{}");
  plan = plan_of(&folder, read, false);
  c = (struct collection){.documents = {read}, .count = 1};
  json_object_set_new(read, "billing", json_pack("{s:f}", "cost", 1.5));
  assert_int_equal(apply(&c, &plan.main), APPLIED_NONE);
  settle_clear(&plan);
  settle_leg(&c, &folder, LEG);
  EXPECT(c.documents[0], "billing", "absent");
  collection_clear(&c);
}

/* ---- the look-up ---- */

static void expect_lookup(const char *payload, const char *extra, bool lead_lookup, const char *number) {
  struct mongo_folder folder = folder_of(lead_lookup);
  json_t *document = document_with(payload, extra);
  struct mongo_settle plan = plan_of(&folder, document, false);
  assert_string_equal(plan.lookup_number, number);
  settle_clear(&plan);
  json_decref(document);
}

#define PARTIES "'from':'+15550100001','to':'+15550100002'"

static void the_far_party_is_looked_up_once(void **state) {
  (void)state;
  expect_lookup("{'direction':'incoming'," PARTIES "}", "{}", true, "+15550100001");
  expect_lookup("{'direction':'outgoing'," PARTIES "}", "{}", true, "+15550100002");
  expect_lookup("{'direction':'outgoing'," PARTIES "}", "{}", false, "");
  expect_lookup("{" PARTIES "}", "{}", true, "");
  expect_lookup("{'direction':'outgoing'," PARTIES "}", "{'metadata':{'sidetone':{'leadLookup':{}}}}", true,
                "");
  expect_lookup("{'direction':'incoming','from':'anonymous'}", "{}", true, "");
  expect_lookup("{'direction':'incoming','from':'+1234567'}", "{}", true, "");
  expect_lookup("{'direction':'incoming','from':'+1234567890123456'}", "{}", true, "");
  expect_lookup("{'direction':'incoming','from':'+01234567890'}", "{}", true, "");
  expect_lookup("{'direction':'incoming','from':'15550100001'}", "{}", true, "");
  expect_lookup("{'direction':'incoming','from':'sip:a@b'}", "{}", true, "");
}

static void what_was_found_is_folded(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(true);
  struct collection c = settled(document_with("{'direction':'incoming'," PARTIES "}", "{}"));
  EXPECT(c.documents[0], "tags", "['no-lead']");
  struct mongo_op op;
  assert_int_equal(
      folder.lead_lookup(folder.arg, LEG, "64b7f0c2a1b2c3d4e5f60718", "74b7f0c2a1b2c3d4e5f60718", &op), 0);
  assert_int_equal(apply(&c, &op), APPLIED_MATCHED);
  op_clear(&op);
  settle_leg(&c, &folder, LEG);
  EXPECT(c.documents[0], "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(c.documents[0], "contactId", "{'$oid':'74b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(c.documents[0], "metadata.sidetone.revision", "2");
  EXPECT(c.documents[0], "tags", "[]");
  collection_clear(&c);
}

/* ---- all the rest ---- */

static void the_end_is_told(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  json_t *document = document_with("{}", "{}");
  struct mongo_settle plan = plan_of(&folder, document, false);
  assert_false(plan.ended);
  settle_clear(&plan);
  json_object_set_new(document_reader(at_path(document, "telnyx.webhookEvents.0")), "eventType",
                      json_string("call.hangup"));
  plan = plan_of(&folder, document, false);
  assert_true(plan.ended);
  settle_clear(&plan);
  json_decref(document);
}

static void what_is_no_document_of_ours_is_refused(void **state) {
  (void)state;
  struct mongo_folder folder = folder_of(false);
  static const char *const texts[] = {"{}", "{'telnyx':{'callControlId':null}}", "{'telnyx':'x'}"};
  struct mongo_settle plan;
  for (size_t i = 0; i < 3; i++) {
    json_t *json = quoted(texts[i]);
    size_t bytes;
    uint8_t *bson = bson_of_json(json, &bytes);
    assert_int_equal(folder.settle(folder.arg, bson, bytes, false, &plan), -1);
    assert_int_equal(folder.settle(folder.arg, bson, bytes - 1, false, &plan), -1);
    free(bson);
    json_decref(json);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(facts_become_their_fold),
      cmocka_unit_test(the_limit_of_payloads_holds_for_any_order),
      cmocka_unit_test(what_is_not_ours_stays),
      cmocka_unit_test(what_stands_in_the_way_is_replaced),
      cmocka_unit_test(a_named_id_replaces_the_derived_one),
      cmocka_unit_test(an_id_of_another_document_is_a_conflict),
      cmocka_unit_test(a_conflict_ends_with_another_name),
      cmocka_unit_test(a_joined_document_keeps_its_id),
      cmocka_unit_test(a_document_without_id_gets_the_derived_one),
      cmocka_unit_test(what_changed_since_the_reading_refuses_the_update),
      cmocka_unit_test(the_unset_does_not_look_at_what_was_read),
      cmocka_unit_test(no_empty_document_is_left),
      cmocka_unit_test(the_far_party_is_looked_up_once),
      cmocka_unit_test(what_was_found_is_folded),
      cmocka_unit_test(the_end_is_told),
      cmocka_unit_test(what_is_no_document_of_ours_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
