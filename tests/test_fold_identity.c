#include "tests/fold_case.h"

#include <openssl/evp.h>

/* A payload with the base64 of a client_state written in single quotes. */
static const char *with_state(const char *state) {
  static char payload[2048];
  char base64[1024];
  json_t *json = quoted(state);
  char *text = json_dumps(json, JSON_COMPACT);
  EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)text, (int)strlen(text));
  snprintf(payload, sizeof payload, "{'client_state':'%s'}", base64);
  free(text);
  json_decref(json);
  return payload;
}

static void the_id_is_derived_from_the_leg(void **state) {
  (void)state;
  struct facts *facts = facts_new("v3:EXAMPLE-leg-A");
  add_event(facts, "1", "call.initiated", 0, "{'client_state':null}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "callLogId",
         "'CALL_0_farxxz3scwhl54yw7zk63rhz22'"); /* sha256sum | base32 | tr A-Z a-z, 26 characters */
  EXPECT(document, "telnyx.callControlId", "'v3:EXAMPLE-leg-A'");
  EXPECT(document, "telnyx.clientState", "absent");
  json_decref(document);
  facts_free(facts);
}

static void references_come_from_client_state(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 0,
            with_state("{'callLogId':'CALL_1_abc','leadId':'64b7F0c2a1b2c3d4e5f60718','contactId':'64b7f0c2',"
                       "'campaignId':'64b7f0c2a1b2c3d4e5f60719','conversationId':'64b7f0c2a1b2c3d4e5f6071a',"
                       "'assignedAgent':'64b7f0c2a1b2c3d4e5f6071b','callId':'64b7f0c2a1b2c3d4e5f6071c',"
                       "'callType':'follow-up','kevinAvailable':true,'some.key':{'$x':1}}"));
  struct fold_summary summary;
  json_t *document = fold_plain(facts, &summary);
  EXPECT(document, "callLogId", "'CALL_1_abc'");
  assert_string_equal(summary.call_log_id, "CALL_1_abc");
  EXPECT(document, "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(document, "contactId", "absent");
  EXPECT(document, "campaignId", "{'$oid':'64b7f0c2a1b2c3d4e5f60719'}");
  EXPECT(document, "conversationId", "{'$oid':'64b7f0c2a1b2c3d4e5f6071a'}");
  EXPECT(document, "assignedAgent", "{'$oid':'64b7f0c2a1b2c3d4e5f6071b'}");
  EXPECT(document, "callId", "absent"); /* there it means the document, not a Call */
  EXPECT(document, "callType", "'follow-up'");
  EXPECT(document, "metadata.sidetone.clientState.contactId", "'64b7f0c2'");
  EXPECT(document, "metadata.sidetone.clientState.some\xef\xbc\x8ekey", "{'\xef\xbc\x84x':1}");
  EXPECT(document, "tags", "['no-direction']");
  json_decref(document);
  facts_free(facts);
}

static void the_earliest_state_that_has_one(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "3", "call.hangup", 30,
            with_state("{'callLogId':'late','leadId':'64b7f0c2a1b2c3d4e5f60718'}"));
  add_event(facts, "1", "call.initiated", 10, with_state("{'callLogId':'not valid!'}"));
  add_event(facts, "2", "call.answered", 20, with_state("{'callLogId':'early'}"));
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "callLogId", "'early'");
  EXPECT(document, "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(document, "metadata.sidetone.clientState", "{'callLogId':'not valid!'}");
  json_decref(document);
  facts_free(facts);
}

static void webhooks_speak_before_parts(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = new_part("a_1", 0);
  strcpy(part->call_session_id, "session-of-start");
  strcpy(part->call_leg_id, "leg-of-start");
  strcpy(part->from, "+15550100003");
  strcpy(part->to, "+15550100004");
  part->client_state = strdup("{\"leadId\":\"64b7f0c2a1b2c3d4e5f60718\"}");
  facts_put_part(facts, part);
  add_event(facts, "1", "call.answered", 5000,
            "{'call_session_id':'session','connection_id':'2900000000000000001','from':'+15550100001'}");
  struct fold_summary summary;
  json_t *document = fold_plain(facts, &summary);
  EXPECT(document, "telnyx.callSessionId", "'session'");
  EXPECT(document, "telnyx.callLegId", "'leg-of-start'");
  EXPECT(document, "telnyx.connectionId", "'2900000000000000001'");
  EXPECT(document, "from", "{'number':'+15550100001'}");
  EXPECT(document, "to", "{'number':'+15550100004'}");
  EXPECT(document, "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(document, "tags", "['no-direction']");
  assert_string_equal(summary.from, "+15550100001");
  assert_string_equal(summary.to, "+15550100004");
  json_decref(document);
  facts_free(facts);
}

static void directions(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"incoming", "'inbound'"}, {"outgoing", "'outbound'"}, {"sideways", "absent"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct facts *facts = facts_new(LEG);
    char payload[64];
    snprintf(payload, sizeof payload, "{'direction':'%s'}", rows[i][0]);
    add_event(facts, "1", "call.initiated", 0, payload);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, "direction", rows[i][1]);
    EXPECT(document, "tags", i < 2 ? "['no-lead']" : "['no-lead','no-direction']");
    json_decref(document);
    facts_free(facts);
  }
}

static void a_name_that_is_not_the_number(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 0, "{'from':'+15550100001','caller_id_name':'Ann Example'}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "from", "{'number':'+15550100001','displayName':'Ann Example'}");
  EXPECT(document, "to", "absent");
  json_decref(document);
  facts_free(facts);
}

/* Who the inbound track is: the option, unless client_state says it. */
static void the_party_of_a_track(void **state) {
  (void)state;
  static const struct {
    bool option;
    const char *state, *speaker;
  } rows[] = {{false, "{'x':1}", "'lead'"},
              {true, "{'x':1}", "'agent'"},
              {true, "{'party':'lead'}", "'lead'"},
              {false, "{'party':'agent'}", "'agent'"},
              {false, "{'party':'cook'}", "'lead'"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct fold_options options = plain_options;
    options.inbound_is_agent = rows[i].option;
    struct facts *facts = facts_new(LEG);
    add_event(facts, "1", "call.initiated", 0, with_state(rows[i].state));
    add_event(
        facts, "2", "call.transcription", 9,
        "{'transcription_data':{'is_final':true,'transcript':'hello','transcription_track':'inbound'}}");
    json_t *document = fold(facts, &options, NULL);
    EXPECT(document, "transcription.turns.0.speaker", rows[i].speaker);
    json_decref(document);
    facts_free(facts);
  }
}

/* data-model.md 8.1: what was looked up stands in for what no client_state says. */
static void a_look_up_gives_what_is_missing(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  json_t *lookup = quoted("{'leadId':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'contactId':{'$oid':'none'}}");
  add_event(facts, "1", "call.initiated", 0, "{'direction':'incoming'}");
  assert_false(facts_set_lead_lookup(facts, NULL));
  assert_int_equal(facts_revision(facts), 1);
  assert_true(facts_set_lead_lookup(facts, lookup));
  assert_false(facts_set_lead_lookup(facts, lookup));
  assert_int_equal(facts_revision(facts), 2);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "leadId", "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}");
  EXPECT(document, "contactId", "absent");
  EXPECT(document, "tags", "[]");
  EXPECT(document, "metadata.sidetone.leadLookup",
         "{'leadId':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'contactId':{'$oid':'none'}}");
  json_decref(document);
  add_event(facts, "2", "call.answered", 5,
            "{'client_state':'{\\'leadId\\':\\'74b7f0c2a1b2c3d4e5f60718\\'}'}");
  document = fold_plain(facts, NULL);
  EXPECT(document, "leadId", "{'$oid':'74b7f0c2a1b2c3d4e5f60718'}");
  json_decref(document);
  json_decref(lookup);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_id_is_derived_from_the_leg),
      cmocka_unit_test(references_come_from_client_state),
      cmocka_unit_test(the_earliest_state_that_has_one),
      cmocka_unit_test(webhooks_speak_before_parts),
      cmocka_unit_test(directions),
      cmocka_unit_test(a_name_that_is_not_the_number),
      cmocka_unit_test(the_party_of_a_track),
      cmocka_unit_test(a_look_up_gives_what_is_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
