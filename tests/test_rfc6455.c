#include "agent/rfc6455.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LIMIT = 2 * 1024 * 1024 };
static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A byte stream under construction. */
struct stream {
  char *data;
  size_t bytes;
};

static void put(struct stream *s, const void *data, size_t bytes) {
  s->data = realloc(s->data, s->bytes + bytes + 1);
  assert_non_null(s->data);
  memcpy(s->data + s->bytes, data, bytes);
  s->bytes += bytes;
}

/* A client's frame; first_byte holds FIN, RSV and opcode. */
static void put_frame(struct stream *s, uint8_t first_byte, const char *payload, size_t bytes) {
  uint8_t header[RFC6455_HEADER_MAX_BYTES];
  size_t header_bytes = rfc6455_header(header, RFC6455_OP_TEXT, bytes, MASK);
  header[0] = first_byte;
  put(s, header, header_bytes);
  put(s, payload, bytes);
  rfc6455_mask(s->data + s->bytes - bytes, bytes, MASK, 0);
}

/* What came out, as one line of text: long payloads by their length and their sum. */
static void note(char *log, size_t log_bytes, enum rfc6455_kind kind, const struct rfc6455_item *item) {
  static const char *const NAMES[] = {"more", "message", "ping", "pong", "close", "fault"};
  size_t at = strlen(log);
  unsigned sum = 0;
  for (size_t i = 0; i < item->bytes; i++) sum = sum * 31 + (unsigned char)item->data[i];
  at += (size_t)snprintf(log + at, log_bytes - at, "%s%s", at ? " " : "", NAMES[kind]);
  if (kind == RFC6455_MESSAGE)
    at += (size_t)snprintf(log + at, log_bytes - at, ":%s%s", item->text ? "text" : "binary",
                           item->utf8 ? "" : "!");
  if (kind == RFC6455_CLOSE || kind == RFC6455_FAULT)
    at += (size_t)snprintf(log + at, log_bytes - at, ":%d", item->code);
  if (kind == RFC6455_FAULT) return;
  if (item->bytes < 40)
    snprintf(log + at, log_bytes - at, "(%.*s)", (int)item->bytes, item->data);
  else
    snprintf(log + at, log_bytes - at, "(%zu/%08x)", item->bytes, sum);
}

/* Feeds one piece from a buffer of exactly its size, so that AddressSanitizer sees a byte too many. */
static bool feed(struct rfc6455 *ws, const char *data, size_t bytes, char *log, size_t log_bytes) {
  char *piece = malloc(bytes ? bytes : 1), *at = piece;
  assert_non_null(piece);
  memcpy(piece, data, bytes);
  for (;;) {
    struct rfc6455_item item;
    size_t used;
    enum rfc6455_kind kind = rfc6455_next(ws, at, bytes, &used, &item);
    assert_true(used <= bytes);
    at += used, bytes -= used;
    if (kind != RFC6455_MORE) note(log, log_bytes, kind, &item);
    if (kind == RFC6455_MORE) assert_int_equal(bytes, 0);
    if (kind == RFC6455_MORE || kind == RFC6455_FAULT) {
      free(piece);
      return kind == RFC6455_MORE;
    }
  }
}

static void decode(const struct stream *s, size_t step, size_t first, char *log, size_t log_bytes) {
  struct rfc6455 ws;
  size_t at = 0;
  log[0] = '\0';
  rfc6455_init(&ws, RFC6455_SERVER, LIMIT);
  while (at < s->bytes) {
    size_t piece = at == 0 && first ? first : step;
    if (piece > s->bytes - at) piece = s->bytes - at;
    if (!feed(&ws, s->data + at, piece, log, log_bytes)) break;
    at += piece;
  }
  rfc6455_release(&ws);
}

/* The same items come out whole, a byte at a time, and at every split in two. */
static void expect(struct stream *s, const char *expected) {
  char log[512];
  decode(s, s->bytes, 0, log, sizeof log);
  assert_string_equal(log, expected);
  decode(s, 1, 0, log, sizeof log);
  assert_string_equal(log, expected);
  for (size_t split = 1; split < s->bytes && s->bytes < 2000; split++) {
    decode(s, s->bytes, split, log, sizeof log);
    if (strcmp(log, expected) != 0) fail_msg("split at %zu: %s, expected %s", split, log, expected);
  }
  free(s->data);
  *s = (struct stream){0};
}

static void test_example_of_the_rfc(void **state) { /* 5.7 */
  (void)state;
  struct stream s = {0};
  put(&s, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
  expect(&s, "message:text(Hello)");
}

static void test_messages(void **state) {
  (void)state;
  struct stream s = {0};
  put_frame(&s, 0x81, "one", 3);
  put_frame(&s, 0x82, "\xff", 1);
  put_frame(&s, 0x81, "", 0);
  put_frame(&s, 0x81, "caf\xc3\xa9", 5);
  expect(&s, "message:text(one) message:binary(\xff) message:text() message:text(caf\xc3\xa9)");
}

static void test_fragments_with_pings_between(void **state) {
  (void)state;
  struct stream s = {0};
  put_frame(&s, 0x01, "caf\xc3", 4); /* the fragments split a character */
  put_frame(&s, 0x89, "p1", 2);
  put_frame(&s, 0x00, "", 0);
  put_frame(&s, 0x8a, "", 0);
  put_frame(&s, 0x80, "\xa9", 1);
  put_frame(&s, 0x02, "", 0);
  put_frame(&s, 0x80, "", 0);
  put_frame(&s, 0x81, "after", 5);
  expect(&s, "ping(p1) pong() message:text(caf\xc3\xa9) message:binary() message:text(after)");
}

static void test_text_that_is_not_utf8_is_delivered(void **state) {
  (void)state;
  struct stream s = {0};
  put_frame(&s, 0x81, "\xc3(", 2);
  put_frame(&s, 0x01, "\xc3", 1);
  put_frame(&s, 0x80, "(", 1);
  put_frame(&s, 0x81, "fine", 4);
  expect(&s, "message:text!(\xc3() message:text!(\xc3() message:text(fine)");
}

static void test_close(void **state) {
  (void)state;
  struct stream s = {0};
  put_frame(&s, 0x88, "", 0);
  expect(&s, "close:1005()");
  put_frame(&s, 0x88,
            "\x03\xe8"
            "bye",
            5);
  expect(&s, "close:1000(bye)");
  put_frame(&s, 0x88, "\x0f\xa0", 2);
  expect(&s, "close:4000()");
}

struct fault_row {
  const char *what, *bytes;
  size_t byte_count;
  const char *expected;
};
#define ROW(what, text, expected) \
  { what, text, sizeof text - 1, expected }

static const struct fault_row FAULTS[] = {
    ROW("no mask", "\x81\x01x", "fault:1002"),
    ROW("rsv1", "\xc1\x80\0\0\0\0", "fault:1002"),
    ROW("rsv2", "\xa1\x80\0\0\0\0", "fault:1002"),
    ROW("rsv3", "\x91\x80\0\0\0\0", "fault:1002"),
    ROW("opcode 3", "\x83\x80\0\0\0\0", "fault:1002"),
    ROW("opcode 7", "\x87\x80\0\0\0\0", "fault:1002"),
    ROW("opcode 11", "\x8b\x80\0\0\0\0", "fault:1002"),
    ROW("opcode 15", "\x8f\x80\0\0\0\0", "fault:1002"),
    ROW("ping of 126", "\x89\xfe\0\x7e\0\0\0\0", "fault:1002"),
    ROW("fragmented ping", "\x09\x80\0\0\0\0", "fault:1002"),
    ROW("fragmented close", "\x08\x80\0\0\0\0", "fault:1002"),
    ROW("continuation first", "\x80\x80\0\0\0\0", "fault:1002"),
    ROW("text inside fragments", "\x01\x80\0\0\0\0\x81\x80\0\0\0\0", "fault:1002"),
    ROW("binary inside fragments", "\x01\x80\0\0\0\0\x02\x80\0\0\0\0", "fault:1002"),
    ROW("continuation after the end", "\x01\x80\0\0\0\0\x80\x80\0\0\0\0\x80\x80\0\0\0\0",
        "message:text() fault:1002"),
    ROW("125 in 16 bits", "\x81\xfe\0\x7d\0\0\0\0", "fault:1002"),
    ROW("65535 in 64 bits", "\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", "fault:1002"),
    ROW("64-bit length with its top bit", "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", "fault:1002"),
    ROW("2 MiB and one byte", "\x81\xff\0\0\0\0\0\x20\0\x01\0\0\0\0", "fault:1009"),
    ROW("largest length", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", "fault:1009"),
    ROW("fragments over the limit", "\x01\x81\0\0\0\0x\x80\xff\0\0\0\0\0\x20\0\0\0\0\0\0", "fault:1009"),
    ROW("close of one byte", "\x88\x81\0\0\0\0\x03", "fault:1002"),
    ROW("close 999", "\x88\x82\0\0\0\0\x03\xe7", "fault:1002"),
    ROW("close 1004", "\x88\x82\0\0\0\0\x03\xec", "fault:1002"),
    ROW("close 1005", "\x88\x82\0\0\0\0\x03\xed", "fault:1002"),
    ROW("close 1006", "\x88\x82\0\0\0\0\x03\xee", "fault:1002"),
    ROW("close 1015", "\x88\x82\0\0\0\0\x03\xf7", "fault:1002"),
    ROW("close 2999", "\x88\x82\0\0\0\0\x0b\xb7", "fault:1002"),
    ROW("close 5000", "\x88\x82\0\0\0\0\x13\x88", "fault:1002"),
    ROW("close reason not UTF-8", "\x88\x83\0\0\0\0\x03\xe8\xff", "fault:1007"),
};

static void test_faults(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
    struct stream s = {0};
    print_message("  %s\n", FAULTS[i].what);
    put(&s, FAULTS[i].bytes, FAULTS[i].byte_count);
    expect(&s, FAULTS[i].expected);
  }
}

/* The pair of bytes that breaks a rule is enough: nothing waits for the rest of the header. */
static void test_fault_at_once(void **state) {
  (void)state;
  struct stream s = {0};
  put(&s, "\x81\x7e", 2);
  expect(&s, "fault:1002");
}

static void test_sizes_at_the_edges(void **state) {
  (void)state;
  static const size_t SIZES[] = {125, 126, 127, 65535, 65536, LIMIT};
  char *payload = malloc(LIMIT);
  assert_non_null(payload);
  for (size_t i = 0; i < LIMIT; i++) payload[i] = (char)('a' + i % 23);
  for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    struct stream s = {0};
    char expected[512] = "", log[512];
    struct rfc6455_item item = {.data = payload, .bytes = SIZES[i], .text = true, .utf8 = true};
    note(expected, sizeof expected, RFC6455_MESSAGE, &item);
    put_frame(&s, 0x81, payload, SIZES[i]);
    decode(&s, s.bytes, 0, log, sizeof log);
    assert_string_equal(log, expected);
    decode(&s, 4099, 3, log, sizeof log);
    assert_string_equal(log, expected);
    free(s.data);
  }
  free(payload);
}

/* What makes the frame path cheap: the payload comes back where it was read, and nothing is allocated. */
static void test_whole_frame_stays_in_place(void **state) {
  (void)state;
  struct stream s = {0};
  struct rfc6455 ws;
  struct rfc6455_item item;
  size_t used;
  put_frame(&s, 0x81, "media", 5);
  rfc6455_init(&ws, RFC6455_SERVER, LIMIT);
  assert_int_equal(rfc6455_next(&ws, s.data, s.bytes, &used, &item), RFC6455_MESSAGE);
  assert_ptr_equal(item.data, s.data + 6);
  assert_null(ws.message);
  rfc6455_release(&ws);
  free(s.data);
}

static void test_message_buffer_grows_to_the_limit_and_is_kept(void **state) {
  (void)state;
  struct stream s = {0};
  struct rfc6455 ws;
  struct rfc6455_item item;
  size_t used;
  char *payload = calloc(1, 10000);
  assert_non_null(payload);
  put_frame(&s, 0x81, payload, 10000);
  rfc6455_init(&ws, RFC6455_SERVER, 10000);
  assert_int_equal(rfc6455_next(&ws, s.data, 9000, &used, &item), RFC6455_MORE);
  assert_int_equal(rfc6455_next(&ws, s.data + 9000, s.bytes - 9000, &used, &item), RFC6455_MESSAGE);
  assert_int_equal(ws.message_capacity, 10000);
  assert_non_null(ws.message);
  rfc6455_release(&ws);
  free(payload);
  free(s.data);
}

static void test_a_large_buffer_goes_with_the_next_message(void **state) {
  (void)state;
  enum { BYTES = 1024 * 1024 };
  struct stream large = {0}, small = {0};
  struct rfc6455 ws;
  struct rfc6455_item item;
  size_t used;
  char *payload = calloc(1, BYTES);
  assert_non_null(payload);
  put_frame(&large, 0x81, payload, BYTES);
  put_frame(&small, 0x81, "ok", 2);
  rfc6455_init(&ws, RFC6455_SERVER, LIMIT);
  assert_int_equal(rfc6455_next(&ws, large.data, 9000, &used, &item), RFC6455_MORE);
  assert_int_equal(rfc6455_next(&ws, large.data + 9000, large.bytes - 9000, &used, &item), RFC6455_MESSAGE);
  assert_true(ws.message_capacity >= BYTES);
  assert_int_equal(rfc6455_next(&ws, small.data, small.bytes, &used, &item), RFC6455_MESSAGE);
  assert_int_equal(ws.message_capacity, 0);
  rfc6455_release(&ws);
  free(payload);
  free(large.data);
  free(small.data);
}

static void test_client_takes_frames_without_mask_only(void **state) {
  (void)state;
  struct rfc6455 ws;
  struct rfc6455_item item;
  size_t used;
  char plain[] = "\x81\x02ok", masked[] = "\x81\x80\0\0\0\0";
  rfc6455_init(&ws, RFC6455_CLIENT, LIMIT);
  assert_int_equal(rfc6455_next(&ws, plain, 4, &used, &item), RFC6455_MESSAGE);
  assert_memory_equal(item.data, "ok", 2);
  assert_int_equal(rfc6455_next(&ws, masked, 6, &used, &item), RFC6455_FAULT);
  rfc6455_release(&ws);
}

static void test_headers_out(void **state) {
  (void)state;
  uint8_t out[RFC6455_HEADER_MAX_BYTES];
  assert_int_equal(rfc6455_header(out, RFC6455_OP_PONG, 125, NULL), 2);
  assert_memory_equal(out, "\x8a\x7d", 2);
  assert_int_equal(rfc6455_header(out, RFC6455_OP_TEXT, 126, NULL), 4);
  assert_memory_equal(out, "\x81\x7e\x00\x7e", 4);
  assert_int_equal(rfc6455_header(out, RFC6455_OP_BINARY, 65536, MASK), 14);
  assert_memory_equal(out, "\x82\xff\0\0\0\0\0\x01\0\0\x37\xfa\x21\x3d", 14);
}

static void test_close_payload(void **state) {
  (void)state;
  char out[RFC6455_CONTROL_MAX_BYTES], reason[200];
  assert_int_equal(rfc6455_close_payload(out, RFC6455_NO_CODE, "x"), 0);
  assert_int_equal(rfc6455_close_payload(out, 1008, NULL), 2);
  assert_memory_equal(out, "\x03\xf0", 2);
  memset(reason, 'r', sizeof reason);
  memcpy(reason + 122, "\xc3\xa9", 3); /* the limit of 123 falls into this character */
  assert_int_equal(rfc6455_close_payload(out, 1000, reason), 124);
}

static void test_accept_key(void **state) {
  (void)state;
  char out[RFC6455_ACCEPT_BYTES];
  assert_true(rfc6455_accept("dGhlIHNhbXBsZSBub25jZQ==", out)); /* 1.3 */
  assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assert_false(rfc6455_accept("", out));
  assert_false(rfc6455_accept("dGhlIHNhbXBsZSBub25jZQ=", out));
  assert_false(rfc6455_accept("dGhlIHNhbXBsZSBub25jZTEy", out)); /* 18 bytes */
  assert_false(rfc6455_accept("dGhlIHNhbXBsZSBub25j====", out));
  assert_false(rfc6455_accept("dGhlIHNhbXB*ZSBub25jZQ==", out));
  assert_false(rfc6455_accept("dGhlIHNhbXBsZSBub25jZQ== ", out));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_example_of_the_rfc),
      cmocka_unit_test(test_messages),
      cmocka_unit_test(test_fragments_with_pings_between),
      cmocka_unit_test(test_text_that_is_not_utf8_is_delivered),
      cmocka_unit_test(test_close),
      cmocka_unit_test(test_faults),
      cmocka_unit_test(test_fault_at_once),
      cmocka_unit_test(test_sizes_at_the_edges),
      cmocka_unit_test(test_whole_frame_stays_in_place),
      cmocka_unit_test(test_message_buffer_grows_to_the_limit_and_is_kept),
      cmocka_unit_test(test_a_large_buffer_goes_with_the_next_message),
      cmocka_unit_test(test_client_takes_frames_without_mask_only),
      cmocka_unit_test(test_headers_out),
      cmocka_unit_test(test_close_payload),
      cmocka_unit_test(test_accept_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
