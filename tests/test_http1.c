#include "agent/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { HEAD_MAX = 300, BODY_MAX = 64 };
static const struct http1_limits LIMITS = {HEAD_MAX, BODY_MAX};

static void add(char *log, size_t log_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *log, size_t log_bytes, const char *format, ...) {
  size_t at = strlen(log);
  va_list args;
  va_start(args, format);
  vsnprintf(log + at, log_bytes - at, format, args);
  va_end(args);
}

static void note_request(char *log, size_t log_bytes, struct http1 *http) {
  const struct http_request *r = http1_request(http);
  add(log, log_bytes, "%s %s", r->method, r->path);
  if (*r->query) add(log, log_bytes, "?%s", r->query);
  for (size_t i = 0; i < r->header_count; i++)
    if (strcmp(r->headers[i].name, "Host") != 0)
      add(log, log_bytes, " %s=%s", r->headers[i].name, r->headers[i].value);
  add(log, log_bytes, " [%.*s]%s%s;", (int)r->body_bytes, r->body, http1_keep_alive(http) ? "" : " close",
      http1_expects_continue(http) ? " continue" : "");
}

/* Feeds one piece from memory of exactly its size. False when the parser gave up. */
static bool feed(struct http1 *http, const char *data, size_t bytes, char *log, size_t log_bytes) {
  char *piece = malloc(bytes);
  size_t at = 0, used;
  bool alive = true;
  assert_non_null(piece);
  memcpy(piece, data, bytes);
  while (alive && at < bytes) {
    enum http1_state got = http1_feed(http, piece + at, bytes - at, &used);
    assert_true(used <= bytes - at);
    at += used;
    if (got == HTTP1_MORE) assert_int_equal(at, bytes);
    if (got == HTTP1_HEAD) assert_true(at < bytes);
    if (got == HTTP1_DONE) {
      note_request(log, log_bytes, http);
      http1_next(http);
    }
    if (got == HTTP1_BAD) {
      add(log, log_bytes, "%d", http1_status(http));
      alive = false;
    }
  }
  free(piece);
  return alive;
}

static void parse(const char *data, size_t bytes, size_t step, size_t first, char *log, size_t log_bytes) {
  struct http1 *http = http1_create(&LIMITS);
  size_t at = 0;
  assert_non_null(http);
  log[0] = '\0';
  while (at < bytes) {
    size_t piece = at == 0 && first ? first : step;
    if (piece > bytes - at) piece = bytes - at;
    if (!feed(http, data + at, piece, log, log_bytes)) break;
    at += piece;
  }
  http1_free(http);
}

/* The same comes out whole, a byte at a time and at every split in two. */
static void expect_bytes(const char *data, size_t bytes, const char *expected) {
  char log[1024];
  parse(data, bytes, bytes, 0, log, sizeof log);
  if (strcmp(log, expected) != 0) fail_msg("%s\ngot      %s\nexpected %s", data, log, expected);
  parse(data, bytes, 1, 0, log, sizeof log);
  if (strcmp(log, expected) != 0) fail_msg("%s\nby bytes %s\nexpected %s", data, log, expected);
  for (size_t split = 1; split < bytes; split++) {
    parse(data, bytes, bytes, split, log, sizeof log);
    if (strcmp(log, expected) != 0)
      fail_msg("%s\nsplit at %zu\ngot      %s\nexpected %s", data, split, log, expected);
  }
}

struct row {
  const char *text, *expected;
};

static void expect_rows(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) expect_bytes(rows[i].text, strlen(rows[i].text), rows[i].expected);
}
#define EXPECT(rows) expect_rows(rows, sizeof rows / sizeof *rows)
#define HOST         "Host: a\r\n"

static void test_requests(void **state) {
  (void)state;
  static const struct row ROWS[] = {
      {"GET / HTTP/1.1\r\n" HOST "\r\n", "GET / [];"},
      {"GET /a/b?c=d?e HTTP/1.1\r\n" HOST "\r\n", "GET /a/b?c=d?e [];"},
      {"GET /a? HTTP/1.1\r\n" HOST "\r\n", "GET /a [];"},
      {"GET http://a.example:80/p?q HTTP/1.1\r\n" HOST "\r\n", "GET /p?q [];"},
      {"GET http://a.example HTTP/1.1\r\n" HOST "\r\n", "GET / [];"},
      {"GET http://a.example?q HTTP/1.1\r\n" HOST "\r\n", "GET /?q [];"},
      {"GET /redirect?to=http://b HTTP/1.1\r\n" HOST "\r\n", "GET /redirect?to=http://b [];"},
      {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * [];"},
      {"BREW /pot HTTP/1.1\r\n" HOST "\r\n", "BREW /pot [];"},
      {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET / [];"},
      {"GET / HTTP/1.1\n"
       "Host: a\n"
       "\n",
       "GET / [];"},
      {"GET / HTTP/1.1\r\n" HOST "X:  two words \t\r\nEmpty:\r\nBlank:  \r\n\r\n",
       "GET / X=two words Empty= Blank= [];"},
      {"GET / HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "GET / [];GET /2 [];"},
  };
  EXPECT(ROWS);
}

static void test_bodies(void **state) {
  (void)state;
  static const struct row ROWS[] = {
      {"POST /w HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloPOST /x HTTP/1.1\r\n" HOST
       "Content-Length: 0\r\n\r\n",
       "POST /w Content-Length=5 [hello];POST /x Content-Length=0 [];"},
      {"BREW /w HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok", "BREW /w Content-Length=2 [ok];"},
      {"POST /w HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
       "POST /w Transfer-Encoding=Chunked [abcde];"},
      {"POST /w HTTP/1.1\r\n" HOST
       "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\n\r\nGET / HTTP/1.1\r\n" HOST
       "\r\n",
       "POST /w Transfer-Encoding=chunked [a];GET / [];"},
      {"POST /w HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
       "POST /w Expect=100-Continue Content-Length=1 [x] continue;"},
      {"POST /w HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
       "POST /w Expect=100-continue Content-Length=1 [x] close;"},
      {"POST /w HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
       "POST /w Upgrade=h2c Connection=upgrade Content-Length=1 [x];"},
      {"GET /w HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
       "GET /w Upgrade=h2c Connection=upgrade [];"},
  };
  EXPECT(ROWS);
}

static void test_keep_alive(void **state) {
  (void)state;
  static const struct row ROWS[] = {
      {"GET / HTTP/1.0\r\n\r\n", "GET / [] close;"},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / Connection=Keep-Alive [];"},
      {"GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n", "GET / Connection=Close [] close;"},
      {"GET / HTTP/1.1\r\n" HOST "Connection: x , close\r\n\r\n", "GET / Connection=x , close [] close;"},
      {"GET / HTTP/1.1\r\n" HOST "Connection: x-close\r\n\r\n", "GET / Connection=x-close [];"},
      {"GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection: close\r\n\r\n",
       "GET / Connection=x Connection=close [] close;"},
  };
  EXPECT(ROWS);
}

static void test_bad_requests(void **state) {
  (void)state;
  static const struct row ROWS[] = {
      {"hello\r\n\r\n", "400"},
      {"\x16\x03\x01\x02", "400"}, /* TLS knocking at a plain port */
      {"PRI * HTTP/2.0\r\n\r\n", "505"},
      {"GET / HTTP/1.1\r\n\r\n", "400"}, /* no Host */
      {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400"},
      {"GET /\r\n\r\n", "400"},
      {" / HTTP/1.1\r\n" HOST "\r\n", "400"},
      {"GET  HTTP/1.1\r\n" HOST "\r\n", "400"},
      {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", "400"},
      {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", "400"},
      {"GET / FTP/1.1\r\n" HOST "\r\n", "400"},
      {"GET / HTTP/1.1\r\n" HOST "No colon\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n" HOST "Blank : x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n" HOST "Bell: \x07\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nx", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "400"},
      {"METHODNAMESOVERTHIRTYTWOCHARACTERS / HTTP/1.1\r\n", "400"},
  };
  EXPECT(ROWS);
  expect_bytes("GET /\0 HTTP/1.1\r\n" HOST "\r\n", 27, "400");
  expect_bytes("GET / HTTP/1.1\r\n" HOST "X: \0y\r\n\r\n", 33, "400");
}

static void test_body_limit(void **state) {
  (void)state;
  char text[512], body[BODY_MAX + 2];
  memset(body, 'b', sizeof body);
  snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%.*s", BODY_MAX, BODY_MAX,
           body);
  char expected[200];
  snprintf(expected, sizeof expected, "POST / Content-Length=64 [%.*s];", BODY_MAX, body);
  expect_bytes(text, strlen(text), expected);
  snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\nb", BODY_MAX + 1);
  expect_bytes(text, strlen(text), "413");
  snprintf(text, sizeof text,
           "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n20\r\n%.*s\r\n21\r\n", 32, body);
  expect_bytes(text, strlen(text), "413");
}

/* The limit counts every byte up to and with the empty line: exactly at it passes, one more does not. */
static void test_head_limit(void **state) {
  (void)state;
  static const char START[] = "GET / HTTP/1.1\r\n" HOST "X: ";
  for (int over = 0; over < 2; over++) {
    char text[HEAD_MAX + 2];
    memcpy(text, START, sizeof START);
    memset(text + sizeof START - 1, 'x', sizeof text - sizeof START);
    memcpy(text + HEAD_MAX + over - 4, "\r\n\r\n", 5);
    char log[1024];
    parse(text, strlen(text), 1, 0, log, sizeof log);
    if (over)
      assert_string_equal(log, "431");
    else
      assert_memory_equal(log, "GET / X=xxx", 11);
    expect_bytes(text, strlen(text), log);
  }
}

static void test_endless_empty_lines(void **state) {
  (void)state;
  char text[HEAD_MAX + 2];
  memset(text, '\n', sizeof text);
  char log[64];
  parse(text, sizeof text, 7, 0, log, sizeof log);
  assert_string_equal(log, "431");
}

/* The handler may refuse before a byte of the body is taken, and the clock starts with the request line. */
static void test_head_comes_before_the_body(void **state) {
  (void)state;
  static const char TEXT[] = "\r\nPOST /w HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc";
  struct http1 *http = http1_create(&LIMITS);
  size_t used, more;
  assert_int_equal(http1_feed(http, TEXT, 2, &used), HTTP1_MORE);
  assert_false(http1_begun(http));
  assert_int_equal(http1_feed(http, TEXT + 2, sizeof TEXT - 3, &used), HTTP1_HEAD);
  assert_true(http1_begun(http));
  assert_string_equal(http1_request(http)->path, "/w");
  assert_true(http1_has_body(http));
  assert_true(http1_is_version_11(http));
  assert_true(used + 2 < sizeof TEXT - 1 - 3);
  assert_int_equal(http1_feed(http, TEXT + 2 + used, sizeof TEXT - 3 - used, &more), HTTP1_DONE);
  assert_string_equal(http1_request(http)->body, "abc");
  http1_next(http);
  assert_false(http1_begun(http));
  http1_free(http);
}

static void test_header_lookup(void **state) {
  (void)state;
  static const struct http_header HEADERS[] = {{"A", "1"}, {"b", "x, Upgrade ,y"}, {"a", "2"}};
  const struct http_request request = {.headers = HEADERS, .header_count = 3};
  size_t count;
  assert_string_equal(http_header(&request, "a", &count), "1");
  assert_int_equal(count, 2);
  assert_null(http_header(&request, "c", &count));
  assert_int_equal(count, 0);
  assert_true(http_header_has(&request, "B", "upgrade"));
  assert_true(http_header_has(&request, "B", "y"));
  assert_false(http_header_has(&request, "B", "up"));
  assert_false(http_header_has(&request, "B", ""));
}

static void test_response_heads(void **state) {
  (void)state;
  char out[256];
  const struct http1_response plain = {.status = 200};
  size_t bytes = http1_response_head(out, sizeof out, &plain);
  assert_string_equal(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(bytes, strlen(out));
  const struct http1_response full = {405, "text/plain", "Allow: POST\r\n", 4, true, false};
  http1_response_head(out, sizeof out, &full);
  assert_string_equal(out,
                      "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
                      "Allow: POST\r\nConnection: close\r\n\r\n");
  const struct http1_response old = {.status = 299, .version_10 = true};
  http1_response_head(out, sizeof out, &old);
  assert_string_equal(out, "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  assert_true(http1_response_head(out, 8, &plain) > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_requests),
      cmocka_unit_test(test_bodies),
      cmocka_unit_test(test_keep_alive),
      cmocka_unit_test(test_bad_requests),
      cmocka_unit_test(test_body_limit),
      cmocka_unit_test(test_head_limit),
      cmocka_unit_test(test_endless_empty_lines),
      cmocka_unit_test(test_head_comes_before_the_body),
      cmocka_unit_test(test_header_lookup),
      cmocka_unit_test(test_response_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
