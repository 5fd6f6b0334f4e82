/* agent/log.c: both formats byte by byte, escaping, masking, level, one write a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "agent/log.h"

static char line[LOG_LINE_MAX + 1];

#define FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.kind = LOG_FIELD_END}})

static const char *formatted(bool json, const char *call, const char *what, const struct log_field *fields) {
  size_t bytes = log_format_line(line, json, 1767225600123, LOG_WARN, call, what, fields);
  assert_true(bytes <= LOG_LINE_MAX);
  line[bytes] = 0;
  return line;
}

static void both_formats(void **state) {
  (void)state;
  const struct log_field *fields =
      FIELDS(LOG_TEXT("reason", "by peer"), LOG_INT("code", -1005), LOG_FLOAT("held_ms", 0.1),
             LOG_TEXT("absent", NULL), LOG_FLOAT("unknown", NAN), LOG_TEXT("empty", ""));
  assert_string_equal(
      formatted(false, "v3:abc", "socket closed", fields),
      "call=v3:abc ts=2026-01-01T00:00:00.123Z level=warn msg=\"socket closed\" reason=\"by peer\" "
      "code=-1005 held_ms=0.1 empty=\"\"\n");
  assert_string_equal(
      formatted(true, "v3:abc", "socket closed", fields),
      "{\"call\":\"v3:abc\",\"ts\":\"2026-01-01T00:00:00.123Z\",\"level\":\"warn\",\"msg\":\"socket "
      "closed\",\"reason\":\"by peer\",\"code\":-1005,\"held_ms\":0.1,\"empty\":\"\"}\n");
  assert_string_equal(formatted(false, "", "up", FIELDS(LOG_FLOAT("x", 1.0 / 3))),
                      "ts=2026-01-01T00:00:00.123Z level=warn msg=up x=0.3333333333333333\n");
  assert_string_equal(formatted(true, NULL, "up", FIELDS(LOG_INT("n", INT64_MIN))),
                      "{\"ts\":\"2026-01-01T00:00:00.123Z\",\"level\":\"warn\",\"msg\":\"up\","
                      "\"n\":-9223372036854775808}\n");
}

static void escaping(void **state) {
  (void)state;
  static const struct {
    const char *value, *written;
  } cases[] = {
      {"a=b", "\"a=b\""},
      {"say \"x\"", "\"say \\\"x\\\"\""},
      {"back\\slash", "\"back\\\\slash\""},
      {"l1\nl2\r\t", "\"l1\\nl2\\r\\t\""},
      {"\x1b[31m\x7f", "\"\\u001b[31m\\u007f\""},
      {"\xc2\x9b", "\"\\u009b\""}, /* a C1 control */
      {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\""},
      {"\xff", "\"\xef\xbf\xbd\""},
      {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* not the shortest form */
      {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
      {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
      {"cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char expected[256];
    snprintf(expected, sizeof expected, " msg=m v=%s\n", cases[i].written);
    const char *text = formatted(false, NULL, "m", FIELDS(LOG_TEXT("v", cases[i].value)));
    assert_string_equal(strstr(text, " msg="), expected);
    snprintf(expected, sizeof expected, "\"msg\":\"m\",\"v\":%s}\n", cases[i].written);
    text = formatted(true, NULL, "m", FIELDS(LOG_TEXT("v", cases[i].value)));
    assert_string_equal(strstr(text, "\"msg\""), expected);
  }
}

/* A parser nobody here wrote reads every line, whatever the bytes. */
static void any_bytes_give_valid_json(void **state) {
  (void)state;
  unsigned seed = (unsigned)getpid();
  srand(seed);
  for (int round = 0; round < 3000; round++) {
    char values[16][2000];
    struct log_field fields[17] = {0};
    int count = rand() % 17;
    for (int i = 0; i < count; i++) {
      int length = rand() % (round % 2 == 0 ? 40 : 1999);
      for (int k = 0; k < length; k++) values[i][k] = (char)(1 + rand() % 255);
      values[i][length] = 0;
      fields[i] = LOG_TEXT("v", values[i]);
    }
    const char *call = count > 0 ? values[0] : NULL;
    const char *text = formatted(true, call, call == NULL ? "m" : values[count - 1], fields);
    json_error_t error;
    json_t *json = json_loads(text, JSON_ALLOW_NUL, &error);
    if (json == NULL) fail_msg("seed %u: %s: %s", seed, error.text, text);
    json_decref(json);
    size_t newlines = 0;
    for (const char *c = text; *c != 0; c++) newlines += *c == '\n';
    assert_int_equal(newlines, 1);
  }
}

static void long_lines_are_cut_between_fields(void **state) {
  (void)state;
  char big[600];
  memset(big, '\x01', sizeof big - 1);
  big[sizeof big - 1] = 0;
  const struct log_field *fields = FIELDS(LOG_TEXT("a", big), LOG_TEXT("b", big), LOG_INT("c", 7));
  const char *text = formatted(false, big, "m", fields);
  assert_true(strlen(text) < LOG_LINE_MAX);
  assert_non_null(strstr(text, " a=\""));
  assert_null(strstr(text, " b="));
  assert_string_equal(text + strlen(text) - 11, "\" cut=true\n");
}

static void numbers_are_masked(void **state) {
  (void)state;
  char out[64];
  log_configure(LOG_INFO, LOG_FORMAT_LOGFMT, false);
  assert_string_equal(log_phone("+4930123456", out, sizeof out), "+********56");
  assert_string_equal(log_phone("+1 (555) 010-9999", out, sizeof out), "+* (***) ***-**99");
  assert_string_equal(log_phone("42", out, sizeof out), "42");
  assert_string_equal(log_phone("sip:+4930123456@10.0.0.1:5060", out, sizeof out),
                      "sip:+********56@10.0.0.1:5060");
  assert_string_equal(log_phone("", out, sizeof out), "");
  assert_string_equal(log_phone("+4930123456", out, 5), "+***");
  assert_string_equal(strstr(formatted(false, NULL, "m", FIELDS(LOG_PHONE("to", "+4930123456"))), " to="),
                      " to=+********56\n");
  log_configure(LOG_INFO, LOG_FORMAT_LOGFMT, true);
  assert_string_equal(log_phone("+4930123456", out, sizeof out), "+4930123456");
}

/* What `say` writes to standard error, which is a pipe meanwhile. */
static const char *captured(void (*say)(void)) {
  static char text[LOG_LINE_MAX * 4];
  int ends[2], saved = dup(STDERR_FILENO);
  assert_int_equal(pipe(ends), 0);
  assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
  close(ends[1]);
  say();
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  close(saved);
  size_t bytes = 0;
  ssize_t got;
  while ((got = read(ends[0], text + bytes, sizeof text - 1 - bytes)) > 0) bytes += (size_t)got;
  close(ends[0]);
  text[bytes] = 0;
  return text;
}

static void say_by_level(void) {
  log_configure(LOG_INFO, LOG_FORMAT_LOGFMT, false);
  log_event(LOG_DEBUG, NULL, "hidden");
  log_event(LOG_INFO, "leg", "first", LOG_INT("n", 1));
  log_configure(LOG_DEBUG, LOG_FORMAT_LOGFMT, false);
  log_event(LOG_DEBUG, NULL, "second");
  log_configure(LOG_ERROR, LOG_FORMAT_LOGFMT, false);
  log_event(LOG_WARN, NULL, "hidden");
}

static void say_auto(void) {
  log_configure(LOG_INFO, LOG_FORMAT_AUTO, false);
  log_event(LOG_INFO, NULL, "piped");
}

static void levels_change_at_run_time(void **state) {
  (void)state;
  const char *text = captured(say_by_level);
  assert_null(strstr(text, "hidden"));
  assert_memory_equal(text, "call=leg ts=2", 13);
  assert_non_null(strstr(text, "Z level=info msg=first n=1\n"));
  assert_non_null(strstr(text, "Z level=debug msg=second\n"));
}

static void auto_is_json_off_a_terminal(void **state) {
  (void)state;
  const char *text = captured(say_auto);
  assert_memory_equal(text, "{\"ts\":\"", 7);
  assert_non_null(strstr(text, "\"level\":\"info\",\"msg\":\"piped\"}\n"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_formats),
      cmocka_unit_test(escaping),
      cmocka_unit_test(any_bytes_give_valid_json),
      cmocka_unit_test(long_lines_are_cut_between_fields),
      cmocka_unit_test(numbers_are_masked),
      cmocka_unit_test(levels_change_at_run_time),
      cmocka_unit_test(auto_is_json_off_a_terminal),
  };
  return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
