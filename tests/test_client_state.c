#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telnyx/base64.h"
#include "telnyx/client_state.h"

#define ID_A "64f1a2b3c4d5e6f708192a3b"
#define ID_B "64F1A2B3C4D5E6F708192A3C"

static void parse(const char *text, struct client_state *state) {
  if (client_state_parse(text, state) != 0) fail_msg("refused: %s", text);
}

static void parse_base64(const char *json, struct client_state *state) {
  char *text = malloc(strlen(json) * 4 / 3 + 8);
  base64_encode((const uint8_t *)json, strlen(json), text);
  parse(text, state);
  free(text);
}

static void assert_other(const struct client_state *state, const char *expected) {
  char *text = json_dumps(state->other, JSON_COMPACT);
  assert_string_equal(text, expected);
  free(text);
}

static const char full[] =
    "{\"callLogId\":\"CALL_1789373742000_k3j9x0a1b\",\"leadId\":\"" ID_A "\",\"callId\":\"" ID_B
    "\",\"campaignId\":\"" ID_B "\",\"contactId\":\"" ID_A "\",\"assignedAgent\":\"" ID_B
    "\",\"conversationId\":\"" ID_A
    "\",\"callType\":\"qualification\",\"kevinAvailable\":false,\"timestamp\":\"2026-09-14T08:15:42Z\","
    "\"transferType\":\"hot\",\"conferenceName\":\"transfer-1\",\"party\":\"agent\",\"graphKnowledge\":{"
    "\"a\":[1]}}";

static void check_full(const struct client_state *s) {
  assert_string_equal(s->call_log_id, "CALL_1789373742000_k3j9x0a1b");
  assert_string_equal(s->lead_id, ID_A);
  assert_string_equal(s->call_id, ID_B);
  assert_string_equal(s->campaign_id, ID_B);
  assert_string_equal(s->contact_id, ID_A);
  assert_string_equal(s->assigned_agent, ID_B);
  assert_string_equal(s->conversation_id, ID_A);
  assert_string_equal(s->call_type, "qualification");
  assert_int_equal(s->party, CLIENT_PARTY_AGENT);
  assert_true(json_is_false(json_object_get(s->known, "kevinAvailable")));
  assert_string_equal(json_string_value(json_object_get(s->known, "transferType")), "hot");
  assert_int_equal(json_object_size(s->known), 13);
  assert_other(s, "{\"graphKnowledge\":{\"a\":[1]}}");
  assert_false(s->cut);
}

static void test_base64(void **unused) {
  (void)unused;
  struct client_state s;
  parse_base64(full, &s);
  check_full(&s);
  client_state_release(&s);
  assert_null(s.known);
}

static void test_raw(void **unused) {
  (void)unused;
  struct client_state s;
  parse(full, &s);
  check_full(&s);
  client_state_release(&s);
}

static void test_neither(void **unused) {
  (void)unused;
  static const char *const bad[] = {"",       "edge-7", "ZWRnZS03",        "W10=", "[]",
                                    "\"{}\"", "null",   "bnVsbA==",        "{",    "e30",
                                    "{}x",    "e30=\n", "{\"a\":\"\xFF\"}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct client_state s;
    if (strcmp(bad[i], "e30") == 0) { /* padding may be missing: an empty object */
      parse(bad[i], &s);
      assert_int_equal(json_object_size(s.known) + json_object_size(s.other), 0);
    } else {
      if (client_state_parse(bad[i], &s) != -1) fail_msg("taken: %s", bad[i]);
      assert_null(s.known);
      assert_null(s.lead_id);
      assert_int_equal(s.party, CLIENT_PARTY_NONE);
    }
    client_state_release(&s);
  }
  struct client_state s;
  assert_int_equal(client_state_parse(NULL, &s), -1);
  client_state_release(&s);
}

static void test_wrong_forms(void **unused) {
  (void)unused;
  struct client_state s;
  parse_base64(
      "{\"leadId\":\"64f1a2b3c4d5e6f708192a3\",\"contactId\":\"64f1a2b3c4d5e6f708192a3g\",\"campaignId\":7,"
      "\"callLogId\":\"a b\",\"callType\":\"Cold-Call\",\"party\":\"caller\",\"kevinAvailable\":\"yes\","
      "\"callId\":\"call-1789373742000\",\"assignedAgent\":null,\"conversationId\":\"\",\"gone\":null}",
      &s);
  assert_null(s.lead_id);
  assert_null(s.contact_id);
  assert_null(s.campaign_id);
  assert_null(s.call_log_id);
  assert_null(s.call_type);
  assert_null(s.assigned_agent);
  assert_null(s.conversation_id);
  assert_int_equal(s.party, CLIENT_PARTY_NONE);
  assert_string_equal(s.call_id, "call-1789373742000");
  assert_other(
      &s,
      "{\"leadId\":\"64f1a2b3c4d5e6f708192a3\",\"contactId\":\"64f1a2b3c4d5e6f708192a3g\",\"campaignId\":7,"
      "\"callLogId\":\"a b\",\"callType\":\"Cold-Call\",\"party\":\"caller\",\"kevinAvailable\":\"yes\"}");
  client_state_release(&s);
}

static void test_call_log_id(void **unused) {
  (void)unused;
  for (int length = 127; length <= 129; length++) {
    char id[130] = "", json[200];
    memset(id, '-', (size_t)length);
    snprintf(json, sizeof json, "{\"callLogId\":\"%.*s\"}", length, id);
    struct client_state s;
    parse(json, &s);
    if (length <= 128) {
      assert_int_equal(strlen(s.call_log_id), length);
    } else {
      assert_null(s.call_log_id);
      assert_int_equal(json_object_size(s.other), 1);
    }
    client_state_release(&s);
  }
  /* A derived one is for the leg alone that it is derived from. */
  struct client_state s;
  parse("{\"callLogId\":\"CALL_0_abcdefghijklmnopqrstuvwxyz\"}", &s);
  assert_null(s.call_log_id);
  assert_int_equal(json_object_size(s.other), 1);
  client_state_release(&s);
}

/* The outer state wins; the inner one fills the gaps. */
static void test_inner(void **unused) {
  (void)unused;
  struct client_state s;
  char inner[200], json[600];
  static const char inside[] = "{\"leadId\":\"" ID_A "\",\"party\":\"lead\",\"x\":1,\"y\":2}";
  base64_encode((const uint8_t *)inside, strlen(inside), inner);
  snprintf(json, sizeof json, "{\"x\":0,\"client_state\":\"%s\",\"leadId\":\"" ID_B "\"}", inner);
  parse_base64(json, &s);
  assert_string_equal(s.lead_id, ID_B);
  assert_int_equal(s.party, CLIENT_PARTY_LEAD);
  assert_other(&s, "{\"x\":0,\"y\":2}");
  client_state_release(&s);
  parse("{\"client_state\":\"{\\\"leadId\\\":\\\"" ID_A "\\\"}\"}", &s);
  assert_string_equal(s.lead_id, ID_A);
  client_state_release(&s);
  parse("{\"client_state\":\"edge-7\"}", &s);
  assert_other(&s, "{\"client_state\":\"edge-7\"}");
  client_state_release(&s);
  parse("{\"client_state\":{\"leadId\":\"" ID_A "\"}}", &s); /* no text: an unknown key like any other */
  assert_null(s.lead_id);
  assert_int_equal(json_object_size(s.other), 1);
  client_state_release(&s);
}

static void test_levels(void **unused) {
  (void)unused;
  for (int levels = CLIENT_STATE_LEVELS - 1; levels <= CLIENT_STATE_LEVELS; levels++) {
    char text[4096], json[4096] = "{\"leadId\":\"" ID_A "\"}";
    for (int i = 0; i < levels; i++) {
      base64_encode((const uint8_t *)json, strlen(json), text);
      snprintf(json, sizeof json, "{\"client_state\":\"%.3000s\"}", text);
    }
    struct client_state s;
    parse(json, &s);
    assert_int_equal(s.lead_id != NULL, levels < CLIENT_STATE_LEVELS);
    assert_int_equal(json_object_size(s.other), levels < CLIENT_STATE_LEVELS ? 0 : 1);
    client_state_release(&s);
  }
}

static void test_cut(void **unused) {
  (void)unused;
  for (int over = 0; over < 2; over++) {
    char value[5000], json[6000];
    memset(value, 'v', sizeof value);
    /* {"a":"vv..."} is the value and eight characters more. */
    snprintf(json, sizeof json, "{\"a\":\"%.*s\",\"leadId\":\"" ID_A "\"}",
             CLIENT_STATE_OTHER_BYTES - 8 + over, value);
    struct client_state s;
    parse_base64(json, &s);
    assert_int_equal(s.cut, over);
    assert_int_equal(json_dumpb(s.other, NULL, 0, JSON_COMPACT), over ? 2 : CLIENT_STATE_OTHER_BYTES);
    assert_string_equal(s.lead_id, ID_A);
    client_state_release(&s);
  }
  /* Many small ones: as many as fit, in their order. */
  char *json = malloc(1 << 20);
  size_t bytes = (size_t)sprintf(json, "{");
  for (int i = 0; i < 20000; i++) bytes += (size_t)sprintf(json + bytes, "\"key%d\":\"\\u0001%d\",", i, i);
  strcpy(json + bytes, "\"leadId\":\"" ID_A "\"}");
  struct client_state s;
  parse(json, &s);
  assert_true(s.cut);
  assert_in_range(json_dumpb(s.other, NULL, 0, JSON_COMPACT), CLIENT_STATE_OTHER_BYTES - 30,
                  CLIENT_STATE_OTHER_BYTES);
  assert_non_null(json_object_get(s.other, "key0"));
  assert_string_equal(s.lead_id, ID_A);
  client_state_release(&s);
  free(json);
}

static void test_deep(void **unused) {
  (void)unused;
  for (int over = 0; over < 2; over++) {
    char json[400] = "{\"a\":";
    for (int i = 1; i < CLIENT_STATE_OTHER_LEVELS + over; i++) strcat(json, "[");
    for (int i = 1; i < CLIENT_STATE_OTHER_LEVELS + over; i++) strcat(json, "]");
    strcat(json, ",\"leadId\":\"" ID_A "\"}");
    struct client_state s;
    parse_base64(json, &s);
    assert_int_equal(s.cut, over);
    assert_int_equal(json_object_size(s.other), 1 - over);
    assert_string_equal(s.lead_id, ID_A);
    client_state_release(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base64), cmocka_unit_test(test_raw),         cmocka_unit_test(test_neither),
      cmocka_unit_test(test_inner),  cmocka_unit_test(test_wrong_forms), cmocka_unit_test(test_call_log_id),
      cmocka_unit_test(test_levels), cmocka_unit_test(test_cut),         cmocka_unit_test(test_deep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
