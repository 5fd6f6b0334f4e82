#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telnyx/frame.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void parse_fine(const char *text, struct frame *frame, enum frame_kind kind) {
  enum frame_fault fault = frame_parse(text, strlen(text), frame);
  if (fault != FRAME_FINE || frame->kind != kind) fail_msg("%s: %s", frame_fault_name(fault), text);
}

static void test_parse_media(void **unused) {
  (void)unused;
  struct frame f;
  parse_fine(
      "{\"event\":\"media\",\"sequence_number\":4.0,\"stream_id\":\"s\\u0031\",\"media\":{\"track\":"
      "\"outbound\","
      "\"chunk\":null,\"timestamp\":\"x\",\"payload\":\"\\/\\/7+\"}}",
      &f, FRAME_MEDIA);
  assert_int_equal(f.media.track, 1);
  assert_true(f.media.has_sequence && f.has_sequence);
  assert_int_equal(f.media.sequence, 4);
  assert_int_equal(f.sequence, 4);
  assert_false(f.media.has_chunk);
  assert_false(f.media.has_timestamp);
  assert_int_equal(f.media.bad_numbers, 1);
  assert_int_equal(f.media.payload.bytes, 4);
  assert_memory_equal(f.media.payload.data, "//7+", 4);
  assert_string_equal(f.stream_id, "s1");
  frame_release(&f);
  assert_null(f.root);
}

/* SQ8 of voice-quality.md 7.6. Text that is no number is counted; null and "" are the sender's ways to
 * say that there is none (telnyx-protocol.md, rule 3). */
static void test_chunk_numbers(void **unused) {
  (void)unused;
  static const struct {
    const char *chunk;
    bool taken;
    int counted;
  } rows[] = {{"\"18446744073709551615\"", true, 0},
              {"\"\"", false, 0},
              {"\"-1\"", false, 1},
              {"\"abc\"", false, 1},
              {"1.5", false, 1},
              {"null", false, 0}};
  for (size_t i = 0; i < COUNT(rows); i++) {
    char text[256];
    struct frame f;
    snprintf(text, sizeof text,
             "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"chunk\":%s,\"payload\":\"AA==\"}}",
             rows[i].chunk);
    parse_fine(text, &f, FRAME_MEDIA);
    assert_int_equal(f.media.has_chunk, rows[i].taken);
    assert_int_equal(f.media.bad_numbers, rows[i].counted);
    if (rows[i].taken) assert_true(f.media.chunk == UINT64_MAX);
    frame_release(&f);
  }
}

static void test_faults(void **unused) {
  (void)unused;
  static const struct {
    const char *text;
    enum frame_fault fault;
  } rows[] = {
      {"", FRAME_NOT_JSON},
      {"{\"event\":\"media\"", FRAME_NOT_JSON},
      {"{\"event\":\"\xFF\"}", FRAME_NOT_JSON},
      {"[]", FRAME_NOT_OBJECT},
      {"\"media\"", FRAME_NOT_OBJECT},
      {"{\"event\":\"media\"}", FRAME_NO_TRACK},
      {"{\"event\":\"media\",\"media\":7}", FRAME_NO_TRACK},
      {"{\"event\":\"media\",\"media\":{\"track\":\"both\",\"payload\":\"AA\"}}", FRAME_NO_TRACK},
      {"{\"event\":\"media\",\"media\":{\"track\":\"inbound\"}}", FRAME_NO_PAYLOAD},
      {"{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"\"}}", FRAME_NO_PAYLOAD},
      {"{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":7}}", FRAME_NO_PAYLOAD},
      {"{\"event\":\"start\"}", FRAME_BAD_START},
      {"{\"event\":\"start\",\"start\":{\"call_control_id\":\"c\"}}", FRAME_BAD_START},
      {"{\"event\":\"start\",\"start\":{\"media_format\":{\"encoding\":\"PCMU\"}}}", FRAME_BAD_START},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct frame f;
    enum frame_fault fault = frame_parse(rows[i].text, strlen(rows[i].text), &f);
    if (fault != rows[i].fault) fail_msg("%s: %s", rows[i].text, frame_fault_name(fault));
    frame_release(&f);
  }
  for (int fault = 0; fault < FRAME_FAULTS; fault++)
    assert_non_null(frame_fault_name((enum frame_fault)fault));
}

static void test_largest_payload(void **unused) {
  (void)unused;
  static char text[100000];
  const char *tail[] = {"==\"}}", "=\"}}"};
  for (int over = 0; over < 2; over++) { /* 65,536 bytes, then one more */
    size_t digits = over ? 87383 : 87382;
    int head = sprintf(text, "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"");
    memset(text + head, 'A', digits);
    strcpy(text + (size_t)head + digits, tail[over]);
    struct frame f;
    struct media_frame media;
    assert_int_equal(frame_parse(text, strlen(text), &f), over ? FRAME_TOO_LARGE : FRAME_FINE);
    assert_int_equal(frame_payload_bytes(f.media.payload), FRAME_PAYLOAD_MAX + over);
    frame_release(&f);
    assert_int_equal(frame_scan_media(text, strlen(text), &media), !over);
  }
}

static void test_connected(void **unused) {
  (void)unused;
  struct frame f;
  parse_fine(
      "{\"event\":\"connected\",\"version\":\"1.0.0\",\"connected\":{\"x-telnyx-streaming-auth-token\":"
      "\"k7\"}}",
      &f, FRAME_CONNECTED);
  assert_string_equal(f.token, "k7");
  frame_release(&f);
  parse_fine("{\"event\":\"connected\",\"x-telnyx-streaming-auth-token\":\"k8\"}", &f, FRAME_CONNECTED);
  assert_string_equal(f.token, "k8");
  frame_release(&f);
  parse_fine("{\"event\":\"connected\",\"connected\":{\"x-telnyx-streaming-auth-token\":\"\"}}", &f,
             FRAME_CONNECTED);
  assert_null(f.token);
  frame_release(&f);
}

static void test_start(void **unused) {
  (void)unused;
  struct frame f;
  parse_fine(
      "{\"event\":\"start\",\"sequence_number\":\"1\",\"stream_id\":\"7b0e\",\"start\":{\"user_id\":\"u\","
      "\"call_control_id\":\"v3:A\",\"call_session_id\":\"c1\",\"call_leg_id\":\"l1\",\"from\":\"+"
      "15550100001\","
      "\"to\":\"+15550100002\",\"tags\":[\"edge\"],\"client_state\":\"ZWRnZS03\",\"media_format\":"
      "{\"encoding\":\"PCMU\",\"sample_rate\":8000,\"channels\":1}}}",
      &f, FRAME_START);
  assert_int_equal(f.sequence, 1);
  assert_string_equal(f.stream_id, "7b0e");
  assert_string_equal(f.call_control_id, "v3:A");
  assert_string_equal(f.call_session_id, "c1");
  assert_string_equal(f.call_leg_id, "l1");
  assert_string_equal(f.from, "+15550100001");
  assert_string_equal(f.to, "+15550100002");
  assert_string_equal(f.client_state, "ZWRnZS03");
  assert_string_equal(f.encoding, "PCMU");
  assert_int_equal(f.sample_rate_hz, 8000);
  assert_int_equal(f.channels, 1);
  frame_release(&f);
  parse_fine(
      "{\"event\":\"start\",\"start\":{\"call_control_id\":\"v3:A\",\"from\":null,\"client_state\":null,"
      "\"media_format\":{\"encoding\":\"NEW\",\"sample_rate\":\"16000\",\"channels\":\"2\"}}}",
      &f, FRAME_START);
  assert_false(f.has_sequence);
  assert_null(f.stream_id);
  assert_null(f.from);
  assert_null(f.to);
  assert_null(f.client_state);
  assert_string_equal(f.encoding, "NEW");
  assert_int_equal(f.sample_rate_hz, 16000);
  assert_int_equal(f.channels, 2);
  frame_release(&f);
}

static void test_small_kinds(void **unused) {
  (void)unused;
  struct frame f;
  parse_fine(
      "{\"event\":\"dtmf\",\"stream_id\":\"s\",\"occurred_at\":\"2026-09-14T08:15:20.004512Z\","
      "\"sequence_number\":\"731\",\"dtmf\":{\"digit\":\"5\"}}",
      &f, FRAME_DTMF);
  assert_string_equal(f.digit, "5");
  assert_string_equal(f.occurred_at, "2026-09-14T08:15:20.004512Z");
  assert_int_equal(f.sequence, 731);
  frame_release(&f);
  parse_fine("{\"event\":\"mark\",\"mark\":{\"name\":\"utt-17\"}}", &f, FRAME_MARK);
  assert_string_equal(f.mark_name, "utt-17");
  frame_release(&f);
  parse_fine(
      "{\"event\":\"error\",\"payload\":{\"code\":100004,\"title\":\"invalid_media\",\"detail\":\"d\"}}", &f,
      FRAME_ERROR);
  assert_int_equal(f.error_code, 100004);
  assert_string_equal(f.error_title, "invalid_media");
  assert_string_equal(f.error_detail, "d");
  frame_release(&f);
  parse_fine("{\"event\":\"error\",\"payload\":{\"code\":\"100005\"}}", &f, FRAME_ERROR);
  assert_int_equal(f.error_code, 100005);
  assert_null(f.error_title);
  frame_release(&f);
  parse_fine("{\"event\":\"stop\",\"stop\":{\"user_id\":\"u\",\"call_control_id\":\"v3:A\"}}", &f,
             FRAME_STOP);
  assert_string_equal(f.call_control_id, "v3:A");
  frame_release(&f);
  parse_fine("{\"event\":\"stop\"}", &f, FRAME_STOP);
  assert_null(f.call_control_id);
  frame_release(&f);
  static const char *const unknown[] = {"{}", "{\"event\":\"new\"}", "{\"event\":7}",
                                        "{\"event\":\"Media\"}"};
  for (size_t i = 0; i < COUNT(unknown); i++) {
    parse_fine(unknown[i], &f, FRAME_UNKNOWN);
    frame_release(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse_media), cmocka_unit_test(test_chunk_numbers),
      cmocka_unit_test(test_faults),      cmocka_unit_test(test_largest_payload),
      cmocka_unit_test(test_connected),   cmocka_unit_test(test_start),
      cmocka_unit_test(test_small_kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
