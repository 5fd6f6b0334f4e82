#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "telnyx/base64.h"
#include "telnyx/frame.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static uint64_t state = 0x2545F4914F6CDD1Du;
static uint32_t pick(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 33) % below;
}

static bool same_slice(struct frame_slice a, struct frame_slice b) {
  return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static bool same_media(const struct media_frame *a, const struct media_frame *b) {
  return a->track == b->track && a->has_sequence == b->has_sequence && a->has_chunk == b->has_chunk &&
         a->has_timestamp == b->has_timestamp && a->bad_numbers == b->bad_numbers &&
         a->sequence == b->sequence && a->chunk == b->chunk && a->timestamp == b->timestamp &&
         same_slice(a->stream_id, b->stream_id) && same_slice(a->payload, b->payload);
}

/* Scans a copy of exactly this size and holds a yes against frame_parse(). */
static bool scan(const char *text, size_t bytes) {
  char *copy = malloc(bytes + (bytes == 0));
  memcpy(copy, text, bytes);
  struct media_frame media;
  bool taken = frame_scan_media(copy, bytes, &media);
  if (taken) {
    struct frame frame;
    enum frame_fault fault = frame_parse(text, bytes, &frame);
    if (fault != FRAME_FINE || frame.kind != FRAME_MEDIA || !same_media(&media, &frame.media)) {
      fail_msg("scan took what parse reads otherwise (%s): %.*s", frame_fault_name(fault), (int)bytes, text);
    }
    frame_release(&frame);
  }
  free(copy);
  return taken;
}

static void parse_fine(const char *text, struct frame *frame, enum frame_kind kind) {
  enum frame_fault fault = frame_parse(text, strlen(text), frame);
  if (fault != FRAME_FINE || frame->kind != kind) fail_msg("%s: %s", frame_fault_name(fault), text);
}

/* ---- the scanner ---- */

static void test_scan_taken(void **unused) {
  (void)unused;
  static const char *const rows[] = {
      "{\"event\":\"media\",\"sequence_number\":\"4\",\"stream_id\":\"7b0e\",\"media\":{\"track\":"
      "\"inbound\","
      "\"chunk\":\"2\",\"timestamp\":\"40\",\"payload\":\"//7+\"}}",
      "{\"media\":{\"payload\":\"AA==\",\"timestamp\":40,\"chunk\":2,\"track\":\"outbound\"},\"stream_id\":"
      "\"s\","
      "\"sequence_number\":4,\"event\":\"media\"}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"}}",
      " {\n\t\"event\" : \"media\" ,\r\n \"media\" : { \"track\" : \"inbound\" , \"payload\" : \"AA\" } } \n",
      "{\"event\":\"media\",\"x\":{\"a\":[1,{\"b\":null}],\"c\":\"\\ud83d\xC3\xA9\"},\"media\":{\"track\":"
      "\"inbound\","
      "\"new\":[true,1e999,\"\\u0000\"],\"payload\":\"AA\"},\"stream_id\":\"\"}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"not base64!\",\"chunk\":\"007\"},"
      "\"sequence_number\":9999999999999999999}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\",\"chunk\":0,\"a\":{},\"a\":[]"
      "}}",
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    if (!scan(rows[i], strlen(rows[i]))) fail_msg("not taken: %s", rows[i]);
    for (size_t cut = 0; cut < strlen(rows[i]); cut++) {
      if (scan(rows[i], cut) && strchr("} \n", rows[i][cut]) == NULL)
        fail_msg("taken when cut: %.*s", (int)cut, rows[i]);
    }
  }
}

/* Left to frame_parse(), or refused by both. */
static void test_scan_not_taken(void **unused) {
  (void)unused;
#define MEDIA(rest) "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"" rest
  static const char *const rows[] = {
      "",
      "{}",
      "[]",
      "media",
      "{\"event\":\"start\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"}}",
      "{\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\"}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"\"}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":null}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound_track\",\"payload\":\"AA\"}}",
      "{\"event\":\"media\",\"media\":{\"payload\":\"AA\"}}",
      "{\"event\":\"media\",\"media\":[\"track\",\"inbound\",\"payload\",\"AA\"]}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"A\\u0041\"}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"A\nA\"}}",
      "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"A\xFF\"}}",
      "{\"\\u0065vent\":\"media\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"}}",
      "{\"event\":\"medi\\u0061\",\"media\":{\"track\":\"inbound\",\"payload\":\"AA\"}}",
      MEDIA(",\"payload\":\"BB\"}}"),
      MEDIA(",\"track\":\"outbound\"}}"),
      MEDIA("},\"event\":\"stop\"}"),
      MEDIA("},\"media\":{}}"),
      MEDIA(",\"chunk\":1,\"chunk\":2}}"),
      MEDIA(",\"chunk\":-1}}"),
      MEDIA(",\"chunk\":1.0}}"),
      MEDIA(",\"chunk\":1e3}}"),
      MEDIA(",\"chunk\":01}}"),
      MEDIA(",\"chunk\":\"1 \"}}"),
      MEDIA(",\"chunk\":\"\"}}"),
      MEDIA(",\"chunk\":null}}"),
      MEDIA(",\"chunk\":\"x\"}}"),
      MEDIA(",\"chunk\":18446744073709551616}}"),
      MEDIA(",\"x\":01}}"),
      MEDIA(",\"x\":\"\x01\"}}"),
      MEDIA(",\"x\":\"\xC0\x80\"}}"),
      MEDIA(",\"x\":tru}}"),
      MEDIA(",\"x\":[1,]}}"),
      MEDIA(",\"x\":{\"y\" 1}}}"),
      MEDIA(",}}"),
      MEDIA("},}"),
      MEDIA("}}}"),
      MEDIA("}} x"),
      MEDIA("}"),
      MEDIA("},\"stream_id\":7}"),
      MEDIA("},\"stream_id\":\"a\\n\"}"),
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    if (scan(rows[i], strlen(rows[i]))) fail_msg("taken: %s", rows[i]);
  }
  assert_false(scan(MEDIA("}}\0"), sizeof(MEDIA("}}\0")) - 1));
}

/* Each byte at each place of a string longer than the eight bytes of a step. */
static void test_scan_every_byte(void **unused) {
  (void)unused;
  for (int byte = 0; byte < 256; byte++) {
    for (size_t place = 0; place < 11; place++) {
      char text[] = MEDIA(",\"x\":\"0123456789a\"}}");
      strchr(text, '0')[place] = (char)byte;
      bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
      if (scan(text, sizeof text - 1) != plain) fail_msg("byte 0x%02x at %zu", (unsigned)byte, place);
    }
  }
}

/* The first and last of each range of RFC 3629, and their neighbours. */
static void test_scan_utf8(void **unused) {
  (void)unused;
  static const struct {
    const char *bytes;
    bool fine;
  } rows[] = {
      {"\xC2\x80", true},          {"\xC1\xBF", false},
      {"\xDF\xBF", true},          {"\xC2\xC0", false},
      {"\xE0\xA0\x80", true},      {"\xE0\x9F\xBF", false},
      {"\xED\x9F\xBF", true},      {"\xED\xA0\x80", false},
      {"\xEE\x80\x80", true},      {"\xEF\xBF\xBF", true},
      {"\xEF\xBF", false},         {"\xEF\xBF\x7F", false},
      {"\xF0\x90\x80\x80", true},  {"\xF0\x8F\xBF\xBF", false},
      {"\xF4\x8F\xBF\xBF", true},  {"\xF4\x90\x80\x80", false},
      {"\xF5\x80\x80\x80", false}, {"\xF0\x90\x80", false},
      {"\xF0\x90\x80\xC0", false}, {"\xBF", false},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    char text[200];
    int bytes = snprintf(text, sizeof text, MEDIA(",\"x\":\"%s\"}}"), rows[i].bytes);
    if (scan(text, (size_t)bytes) != rows[i].fine) fail_msg("row %zu", i);
  }
}

static void test_scan_depth(void **unused) {
  (void)unused;
  for (int depth = 510; depth <= 511; depth++) {
    char text[2048] = MEDIA(",\"x\":");
    for (int i = 0; i < depth; i++) strcat(text, "[");
    for (int i = 0; i < depth; i++) strcat(text, "]");
    strcat(text, "}}");
    struct frame frame;
    enum frame_fault fault = frame_parse(text, strlen(text), &frame);
    frame_release(&frame);
    assert_int_equal(fault, depth == 510 ? FRAME_FINE : FRAME_NOT_JSON);
    assert_int_equal(scan(text, strlen(text)), depth == 510);
  }
}

/* ---- scan and parse over generated frames ---- */

struct writer {
  char text[4096];
  size_t bytes;
};

static void put(struct writer *w, const char *text) {
  size_t bytes = strlen(text);
  assert_true(w->bytes + bytes < sizeof w->text);
  memcpy(w->text + w->bytes, text, bytes + 1);
  w->bytes += bytes;
}

static void put_space(struct writer *w) {
  static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
  put(w, spaces[pick(COUNT(spaces))]);
}

static void put_member(struct writer *w, bool *first, const char *key, const char *value) {
  if (!*first) put(w, ",");
  *first = false;
  put_space(w);
  put(w, "\"");
  put(w, key);
  put(w, "\"");
  put_space(w);
  put(w, ":");
  put_space(w);
  put(w, value);
  put_space(w);
}

static const char *choose_number(void) {
  static const char *const numbers[] = {"1",
                                        "\"1\"",
                                        "40",
                                        "\"40\"",
                                        "\"12345678901\"",
                                        "0",
                                        "\"00\"",
                                        "null",
                                        "\"\"",
                                        "1.0",
                                        "\"x\"",
                                        "-1",
                                        "[]",
                                        "18446744073709551615",
                                        "1e999",
                                        "true",
                                        "\"18446744073709551616\"",
                                        "1e2",
                                        "\"\\u0031\"",
                                        "{}"};
  return numbers[pick(pick(4) ? 7 : COUNT(numbers))];
}

static const char *choose_other(void) {
  static const char *const others[] = {"null",
                                       "[1,[2,{\"a\":\"b\"}]]",
                                       "\"\\ud83d\\ude00\"",
                                       "\"\xC3\xA9\"",
                                       "1e999",
                                       "{\"payload\":\"XX\"}",
                                       "\"\\\"}\"",
                                       "{}",
                                       "\"media\"",
                                       "-0.5e-3",
                                       "\"\\u0000\"",
                                       "false",
                                       "[]",
                                       "\"\xFF\""};
  return others[pick(COUNT(others))];
}

static const char *one_of(const char *usual, const char *other) {
  return pick(12) ? usual : other;
}

static void put_media(struct writer *w, bool *first, const char *key) {
  static const char *const keys[] = {"track", "chunk", "timestamp", "payload", "more", "track"};
  struct writer inner = {.bytes = 0};
  bool inner_first = true;
  put(&inner, "{");
  uint32_t start = pick(COUNT(keys));
  for (uint32_t i = 0; i < COUNT(keys) - (pick(6) != 0); i++) {
    uint32_t which = (start + i) % COUNT(keys);
    const char *value = which == 0   ? one_of("\"inbound\"", "\"outbound\"")
                        : which == 3 ? one_of("\"//7+/v7+/v7+/v7+/v7+\"", "\"a\\/b\"")
                        : which == 4 ? choose_other()
                        : which == 5 ? one_of("\"outbound\"", choose_other())
                                     : choose_number();
    if (which == 5 && i > 0 && pick(4)) continue;
    if (which == 0 && i > 0 && start == 5 && pick(4)) continue;
    put_member(&inner, &inner_first, keys[which], value);
  }
  put_space(&inner);
  put(&inner, "}");
  put_member(w, first, key, inner.text);
}

static void put_frame(struct writer *w) {
  static const char *const keys[] = {"event", "sequence_number", "stream_id", "media",
                                     "more",  "event\\u0020"};
  bool first = true;
  put_space(w);
  put(w, "{");
  uint32_t start = pick(COUNT(keys));
  for (uint32_t i = 0; i < COUNT(keys); i++) {
    switch ((start + i) % COUNT(keys)) {
      case 0:
        put_member(w, &first, "event", one_of("\"media\"", "\"stop\""));
        break;
      case 1:
        put_member(w, &first, "sequence_number", choose_number());
        break;
      case 2:
        put_member(w, &first, "stream_id", one_of("\"7b0e6a52-1f1d\"", choose_other()));
        break;
      case 3:
        put_media(w, &first, "media");
        break;
      case 4:
        if (pick(3) == 0) put_member(w, &first, one_of("more", "event"), choose_other());
        break;
      default:
        if (pick(12) == 0) put_member(w, &first, "\\u0065vent", "\"media\"");
    }
  }
  put_space(w);
  put(w, one_of("}", "]"));
  put_space(w);
}

static void test_scan_like_parse(void **unused) {
  (void)unused;
  int taken = 0, rounds = 200000;
  for (int round = 0; round < rounds; round++) {
    uint64_t seed = state;
    struct writer w = {.bytes = 0};
    put_frame(&w);
    if (pick(4) == 0) w.text[pick((uint32_t)w.bytes)] = "{}[]\",:\\ 0x\x80\x01"[pick(13)];
    if (scan(w.text, w.bytes)) {
      taken++;
      continue;
    }
    struct frame frame;
    enum frame_fault fault = frame_parse(w.text, w.bytes, &frame);
    if (fault == FRAME_FAULTS) fail_msg("seed %llx", (unsigned long long)seed);
    frame_release(&frame);
  }
  /* Most of what is generated is ordinary; a scanner that gave up would show here. */
  assert_in_range(taken, rounds / 20, rounds);
}

/* ---- the parser ---- */

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
    assert_int_equal(frame_parse(text, strlen(text), &f), over ? FRAME_TOO_LARGE : FRAME_FINE);
    assert_int_equal(frame_payload_bytes(f.media.payload), FRAME_PAYLOAD_MAX + over);
    frame_release(&f);
    assert_int_equal(scan(text, strlen(text)), !over);
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

/* ---- time ---- */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Printed, not judged: other work on the machine decides too. */
static void test_print_time(void **unused) {
  (void)unused;
  uint8_t sound[160];
  char payload[217], text[600];
  for (size_t i = 0; i < sizeof sound; i++) sound[i] = (uint8_t)pick(256);
  base64_encode(sound, sizeof sound, payload);
  int bytes =
      snprintf(text, sizeof text,
               "{\"event\":\"media\",\"sequence_number\":\"4711\",\"stream_id\":\"7b0e6a52-1f1d-4d0a-9b7e-"
               "3c1f5a6d2e10\",\"media\":{\"track\":\"inbound\",\"chunk\":\"4709\",\"timestamp\":\"94180\","
               "\"payload\":\"%s\"}}",
               payload);
  enum { SCANS = 200000, PARSES = 5000 };
  size_t sum = 0;
  struct media_frame media;
  double start = now_ns();
  for (int i = 0; i < SCANS; i++) sum += frame_scan_media(text, (size_t)bytes, &media) + media.payload.bytes;
  double scan_ns = (now_ns() - start) / SCANS;
  assert_int_equal(sum, SCANS * 217u);
  start = now_ns();
  for (int i = 0; i < SCANS; i++) sum += (size_t)base64_decode(media.payload.data, 216, sound, sizeof sound);
  double decode_ns = (now_ns() - start) / SCANS;
  start = now_ns();
  for (int i = 0; i < PARSES; i++) {
    struct frame frame;
    sum += frame_parse(text, (size_t)bytes, &frame);
    frame_release(&frame);
  }
  double parse_ns = (now_ns() - start) / PARSES;
  assert_int_equal(sum, SCANS * (217u + 160u));
  print_message("a frame of %d bytes: scan %.0f ns, base64 %.0f ns, parse %.0f ns\n", bytes, scan_ns,
                decode_ns, parse_ns);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan_taken),      cmocka_unit_test(test_scan_not_taken),
      cmocka_unit_test(test_scan_depth),      cmocka_unit_test(test_scan_every_byte),
      cmocka_unit_test(test_scan_utf8),       cmocka_unit_test(test_scan_like_parse),
      cmocka_unit_test(test_parse_media),     cmocka_unit_test(test_faults),
      cmocka_unit_test(test_largest_payload), cmocka_unit_test(test_connected),
      cmocka_unit_test(test_start),           cmocka_unit_test(test_small_kinds),
      cmocka_unit_test(test_print_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
