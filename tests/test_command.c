/* telnyx/command.c: requests as the API takes them, answers as it gives them (telnyx-protocol.md 3). */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "telnyx/command.h"
#include "telnyx/stream_key.h"

static void ids_are_uuids_of_their_causes(void **state) {
  (void)state;
  char a[COMMAND_ID_BYTES], b[COMMAND_ID_BYTES];
  command_id("v3:leg", COMMAND_HANGUP, "event-1", a);
  /* uuid.uuid5(uuid.UUID('5c1d704e-8a33-4f0b-b26e-91d427e80ac5'), 'v3:leg\0hangup\0event-1') of Python */
  assert_string_equal(a, "7ba3e6e3-c78c-57fe-9ab2-c6bf8a22b643");
  command_id("v3:leg", COMMAND_HANGUP, "event-1", b);
  assert_string_equal(a, b);
  command_id("v3:leg", COMMAND_HANGUP, "event-2", b);
  assert_string_not_equal(a, b);
  command_id("v3:leg", COMMAND_ANSWER, "event-1", b);
  assert_string_not_equal(a, b);
  command_id("v3:le", COMMAND_HANGUP, "event-1", b);
  assert_string_not_equal(a, b);
}

static void expect_text(char *text, const char *expected) {
  assert_non_null(text);
  assert_string_equal(text, expected);
  free(text);
}

static void paths_are_percent_encoded(void **state) {
  (void)state;
  expect_text(command_url("https://api.example.net/v2", "v3:ab_-9.~", COMMAND_ANSWER),
              "https://api.example.net/v2/calls/v3%3Aab_-9.~/actions/answer");
  expect_text(command_url("http://127.0.0.1:8/v2//", "a/b?c=d+\xc3\xbc", COMMAND_RECORD_PAUSE),
              "http://127.0.0.1:8/v2/calls/a%2Fb%3Fc%3Dd%2B%C3%BC/actions/record_pause");
  expect_text(command_call_url("http://x", "old=="), "http://x/calls/old%3D%3D");
  expect_text(command_call_url("http://x", "..."), "http://x/calls/...");
  assert_null(command_url("http://x/v2", "..", COMMAND_HANGUP)); /* would be /v2/actions/hangup */
  assert_null(command_call_url("http://x/v2", "."));
}

static void bodies_name_what_is_required(void **state) {
  (void)state;
  expect_text(command_body(COMMAND_HANGUP, "id", NULL), "{\"command_id\":\"id\"}");
  expect_text(command_body(COMMAND_RECORD_START, "id", NULL),
              "{\"command_id\":\"id\",\"format\":\"wav\",\"channels\":\"dual\"}");
  expect_text(command_body(COMMAND_STREAMING_START, "id", "wss://edge/telnyx/media/key"),
              "{\"command_id\":\"id\",\"stream_url\":\"wss://edge/telnyx/media/"
              "key\",\"stream_track\":\"both_tracks\","
              "\"stream_codec\":\"PCMU\"}");
}

static void a_stream_url_carries_the_legs_key(void **state) {
  (void)state;
  static const char base[] = "wss://edge/telnyx/media/";
  char *url = command_stream_url(base, "token", "v3:leg", 2000);
  assert_non_null(url);
  assert_memory_equal(url, base, strlen(base));
  assert_true(stream_key_matches("token", url + strlen(base), "v3:leg", 1999));
  assert_false(stream_key_matches("token", url + strlen(base), "v3:other", 1999));
  free(url);
  url = command_stream_url("wss://edge/telnyx/media", "token", "v3:leg", 2000);
  assert_memory_equal(url, base, strlen(base));
  free(url);
  expect_text(command_stream_url("wss://edge/telnyx/media", "", "v3:leg", 2000), "wss://edge/telnyx/media");
}

static void names_are_found(void **state) {
  (void)state;
  enum command command;
  for (int i = 0; i < COMMANDS; i++) {
    assert_true(command_find(command_name((enum command)i), &command));
    assert_int_equal(command, i);
  }
  assert_false(command_find("dial", &command));
  assert_false(command_find("", &command));
}

static void expect_verdict(enum command_verdict expected, int status, const char *body, const char *words) {
  char why[128];
  enum command_verdict verdict = command_judge(status, body, strlen(body), why, sizeof why);
  if (verdict != expected) fail_msg("%d %s: %d, expected %d", status, body, verdict, expected);
  assert_string_equal(why, words);
}

static void answers_mean_what_the_table_says(void **state) {
  (void)state;
  expect_verdict(COMMAND_TAKEN, 200, "{\"data\":{\"result\":\"ok\"}}", "");
  expect_verdict(COMMAND_ENDED, 422,
                 "{\"errors\":[{\"code\":\"90018\",\"title\":\"Call has already ended\"}]}",
                 "HTTP 422, code 90018: Call has already ended");
  expect_verdict(COMMAND_NOT_YET, 422, "{\"errors\":[{\"code\":90034,\"title\":\"Not answered\"}]}",
                 "HTTP 422, code 90034: Not answered");
  expect_verdict(COMMAND_REFUSED, 422, "{\"errors\":[{\"code\":\"90015\",\"detail\":\"no such id\"}]}",
                 "HTTP 422, code 90015: no such id");
  expect_verdict(COMMAND_REFUSED, 422, "{\"errors\":[{\"code\":\"90045\"}]}",
                 "HTTP 422, code 90045: no words");
  expect_verdict(COMMAND_SLOWER, 429, "{\"errors\":[{\"code\":\"10011\",\"title\":\"Too many\"}]}",
                 "HTTP 429, code 10011: Too many");
  expect_verdict(COMMAND_REFUSED, 422, "{\"errors\":[{\"code\":\"10011\",\"title\":\"SRTP not supported\"}]}",
                 "HTTP 422, code 10011: SRTP not supported");
  expect_verdict(COMMAND_SLOWER, 403, "{\"errors\":[{\"code\":\"90041\",\"title\":\"Channel limit\"}]}",
                 "HTTP 403, code 90041: Channel limit");
  expect_verdict(COMMAND_UNAUTHORIZED, 401, "", "HTTP 401");
  expect_verdict(COMMAND_AGAIN, 500, "<html>", "HTTP 500");
  expect_verdict(COMMAND_AGAIN, 503, "{\"errors\":[{\"code\":\"90018\",\"title\":\"x\"}]}",
                 "HTTP 503, code 90018: x");
  expect_verdict(COMMAND_AGAIN, 0, "", "no answer");
  expect_verdict(COMMAND_REFUSED, 404, "{\"errors\":7}", "HTTP 404");
}

static void an_end_does_what_was_to_end(void **state) {
  (void)state;
  for (int i = 0; i < COMMANDS; i++) {
    enum command c = (enum command)i;
    assert_int_equal(command_is_done_by_end(c),
                     c == COMMAND_HANGUP || c == COMMAND_STREAMING_STOP || c == COMMAND_RECORD_STOP);
  }
}

static void expect_life(enum command_life expected, int status, const char *body) {
  enum command_life life = command_life(status, body, strlen(body));
  if (life != expected) fail_msg("%d %s: %d, expected %d", status, body, life, expected);
}

static void a_call_is_alive_or_over(void **state) {
  (void)state;
  expect_life(LIFE_ALIVE, 200, "{\"data\":{\"is_alive\":true}}");
  expect_life(LIFE_OVER, 200, "{\"data\":{\"is_alive\":false}}");
  expect_life(LIFE_UNKNOWN, 200, "{\"data\":{}}");
  expect_life(LIFE_OVER, 404, "");
  expect_life(LIFE_OVER, 422, "{\"errors\":[{\"code\":\"90015\"}]}");
  expect_life(LIFE_UNKNOWN, 401, "{}");
  expect_life(LIFE_UNKNOWN, 0, "");
  expect_life(LIFE_UNKNOWN, 500, "{\"data\":{\"is_alive\":false}}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_are_uuids_of_their_causes),
      cmocka_unit_test(paths_are_percent_encoded),
      cmocka_unit_test(bodies_name_what_is_required),
      cmocka_unit_test(a_stream_url_carries_the_legs_key),
      cmocka_unit_test(names_are_found),
      cmocka_unit_test(answers_mean_what_the_table_says),
      cmocka_unit_test(a_call_is_alive_or_over),
      cmocka_unit_test(an_end_does_what_was_to_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
