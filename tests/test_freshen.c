#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/freshen.h"
#include "telnyx/base64.h"
#include "telnyx/timestamp.h"

#define EPOCH "2026-09-14T08:14:58.000000Z"
#define START "2030-01-01T00:00:00.000000Z"

static int64_t us_of(const char *time) {
  int64_t us;
  assert_true(timestamp_parse(time, &us));
  return us;
}

static struct freshen *make(double speed, bool fresh) {
  const struct freshen_rules rules = {us_of(EPOCH), us_of(START), speed, fresh};
  struct freshen *f = freshen_create(&rules);
  assert_non_null(f);
  return f;
}

static void becomes(struct freshen *f, const char *text, const char *expected) {
  size_t bytes;
  const char *out = freshen_text(f, text, strlen(text), &bytes);
  assert_non_null(out);
  assert_int_equal(bytes, strlen(expected));
  assert_memory_equal(out, expected, bytes);
}

static void stays(struct freshen *f, const char *text) {
  size_t bytes;
  assert_ptr_equal(freshen_text(f, text, strlen(text), &bytes), text);
  assert_int_equal(bytes, strlen(text));
}

static json_t *read_new(struct freshen *f, const char *text) {
  size_t bytes;
  const char *out = freshen_text(f, text, strlen(text), &bytes);
  assert_non_null(out);
  json_t *json = json_loadb(out, bytes, 0, NULL);
  assert_non_null(json);
  return json;
}

static const char *at(const json_t *json, const char *object, const char *key) {
  return json_string_value(json_object_get(object != NULL ? json_object_get(json, object) : json, key));
}

static void moves_times_and_nothing_else(void **state) {
  (void)state;
  struct freshen *f = make(1, false);
  becomes(f,
          "{ \"a\" : \"2026-09-14T08:14:58.120044Z\",\"n\":12345678901234567890123,\"a\":[1e999, "
          "\"2026-09-14T08:15:58Z\"] }",
          "{ \"a\" : \"2030-01-01T00:00:00.120044Z\",\"n\":12345678901234567890123,\"a\":[1e999, "
          "\"2030-01-01T00:01:00.000000Z\"] }");
  becomes(f, "{\"dtmf\":{\"digit\":\"5\"},\"occurred_at\":\"2026-09-14T10:14:57.5+02:00\"}",
          "{\"dtmf\":{\"digit\":\"5\"},\"occurred_at\":\"2029-12-31T23:59:59.500000Z\"}");
  stays(f,
        "{\"2026-09-14T08:14:58Z\":1,\"day\":\"2026-09-14\",\"far\":\"2026-13-14T08:14:58Z\",\"said\":\"at "
        "2026-09-14T08:14:58Z\"}");
  stays(f,
        "{\"data\":{\"id\":\"e1\",\"payload\":{\"call_control_id\":\"v3:a\",\"client_state\":"
        "\"eyJjYWxsTG9nSWQiOiJ4In0=\"}}}");
  stays(f, "");
  stays(f, "{\"cut\":\"2026-09-14T08:14:5");
  stays(f, "\"\\");
  freshen_free(f);
}

static void scales_offsets_with_the_speed(void **state) {
  (void)state;
  struct freshen *f = make(10, false);
  becomes(f, "[\"2026-09-14T08:15:08Z\"]", "[\"2030-01-01T00:00:01.000000Z\"]");
  becomes(f, "[\"2026-09-14T08:14:48Z\"]", "[\"2029-12-31T23:59:59.000000Z\"]");
  freshen_free(f);
  f = make(0.5, false);
  becomes(f, "[\"2026-09-14T08:15:08Z\"]", "[\"2030-01-01T00:00:20.000000Z\"]");
  /* A month after the epoch it is not a time of this session. */
  becomes(f, "[\"2026-10-14T08:14:58Z\"]", "[\"2030-01-31T00:00:00.000000Z\"]");
  freshen_free(f);
  f = make(0, false);
  becomes(f, "[\"2026-09-14T08:15:08Z\"]", "[\"2030-01-01T00:00:10.000000Z\"]");
  freshen_free(f);
}

static bool is_uuid4(const char *text) {
  return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36 && text[8] == '-' && text[13] == '-' &&
         text[14] == '4' && text[18] == '-' && strchr("89ab", text[19]) != NULL && text[23] == '-';
}

static void gives_new_ids_that_agree_everywhere(void **state) {
  (void)state;
  struct freshen *f = make(1, true);
  json_t *body = read_new(f,
                          "{\"data\":{\"payload\":{\"call_control_id\":\"v3:leg-A\",\"call_leg_id\":\"l\","
                          "\"call_session_id\":\"s\","
                          "\"connection_id\":\"2900000000000000001\",\"id\":\"mine\",\"creator_call_session_"
                          "id\":\"s\"},\"id\":\"e1\"},"
                          "\"id\":\"outer\",\"meta\":{\"id\":\"m\"}}");
  json_t *payload = json_object_get(json_object_get(body, "data"), "payload");
  const char *leg = at(payload, NULL, "call_control_id"), *session = at(payload, NULL, "call_session_id");
  assert_memory_equal(leg, "v3:", 3);
  assert_true(is_uuid4(leg + 3));
  assert_true(is_uuid4(session));
  assert_true(is_uuid4(at(payload, NULL, "call_leg_id")));
  assert_true(is_uuid4(at(body, "data", "id")));
  assert_string_equal(at(payload, NULL, "creator_call_session_id"), session);
  assert_string_equal(at(payload, NULL, "connection_id"), "2900000000000000001");
  assert_string_equal(at(payload, NULL, "id"), "mine");
  assert_string_equal(at(body, NULL, "id"), "outer");
  assert_string_equal(at(body, "meta", "id"), "m");

  json_t *start = read_new(f,
                           "{\"event\":\"start\",\"stream_id\":\"st\",\"start\":{\"call_control_id\":\"v3:"
                           "leg-A\",\"call_session_id\":\"s\"}}");
  assert_string_equal(at(start, "start", "call_control_id"), leg);
  assert_string_equal(at(start, "start", "call_session_id"), session);
  json_t *again = read_new(f, "{\"data\":{\"id\":\"e1\",\"payload\":{}}}"),
         *other = read_new(f, "{\"data\":{\"id\":\"e2\"}}");
  assert_string_equal(at(again, "data", "id"), at(body, "data", "id"));
  assert_string_not_equal(at(other, "data", "id"), at(body, "data", "id"));

#define MEDIA_HEAD "{\"event\":\"media\",\"sequence_number\":\"4\",\"stream_id\" :\""
#define MEDIA_TAIL "\",\"media\":{\"track\":\"inbound\",\"payload\":\"//7+\"}}"
  char media[256];
  snprintf(media, sizeof media, MEDIA_HEAD "%s" MEDIA_TAIL, at(start, NULL, "stream_id"));
  becomes(f, MEDIA_HEAD "st" MEDIA_TAIL, media);
  stays(f, "{\"call_control_id\":null,\"stream_id\":\"\",\"call_leg_id\":[7,\"x\"]}");

  struct freshen *second = make(1, true);
  json_t *played_again = read_new(second, "{\"data\":{\"id\":\"e1\"}}");
  assert_string_not_equal(at(played_again, "data", "id"), at(body, "data", "id"));
  freshen_free(second);
  json_decref(played_again);
  json_decref(other);
  json_decref(again);
  json_decref(start);
  json_decref(body);
  freshen_free(f);
}

/* {"client_state": text} in, the new client_state out, malloc'ed. */
static char *new_state(struct freshen *f, const char *text) {
  json_t *frame = json_pack("{s:s}", "client_state", text);
  char *written = json_dumps(frame, 0);
  json_t *out = read_new(f, written);
  char *state = strdup(at(out, NULL, "client_state"));
  json_decref(out);
  json_decref(frame);
  free(written);
  return state;
}

static void state_becomes(struct freshen *f, const char *text, bool coded, const char *expected) {
  char code[512], plain[512] = "";
  base64_encode((const uint8_t *)text, strlen(text), code);
  char *out = new_state(f, coded ? code : text);
  if (coded) {
    assert_true(base64_decode(out, strlen(out), (uint8_t *)plain, sizeof plain - 1) >= 0);
  } else {
    snprintf(plain, sizeof plain, "%s", out);
  }
  assert_string_equal(plain, expected);
  free(out);
}

static void forgets_the_call_log(void **state) {
  (void)state;
  struct freshen *f = make(1, true);
  for (int coded = 0; coded < 2; coded++) {
    state_becomes(f, "{\"callLogId\":\"cl-1\",\"leadId\":\"65f1\",\"n\":1}", coded,
                  "{\"leadId\":\"65f1\",\"n\":1}");
    state_becomes(f, "{\"leadId\": \"65f1\"}", coded, "{\"leadId\": \"65f1\"}");
    state_becomes(f, "{\"a\":1,\"client_state\":\"{\\\"callLogId\\\":\\\"x\\\",\\\"b\\\":2}\"}", coded,
                  "{\"a\":1,\"client_state\":\"{\\\"b\\\":2}\"}");
    state_becomes(f, "no JSON", coded, "no JSON");
  }
  stays(f, "{\"client_state\":null}");
  freshen_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(moves_times_and_nothing_else),
      cmocka_unit_test(scales_offsets_with_the_speed),
      cmocka_unit_test(gives_new_ids_that_agree_everywhere),
      cmocka_unit_test(forgets_the_call_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
