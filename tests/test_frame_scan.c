/* telnyx/frame_scan.c against frame_parse(): what the scanner takes, jansson reads the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan_taken), cmocka_unit_test(test_scan_not_taken),
      cmocka_unit_test(test_scan_depth), cmocka_unit_test(test_scan_every_byte),
      cmocka_unit_test(test_scan_utf8),  cmocka_unit_test(test_scan_like_parse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
