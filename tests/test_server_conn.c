/* HTTP over real sockets. */
#include "tests/server_fixture.h"

static void test_keep_alive(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  for (int i = 0; i < 3; i++) {
    clear(c);
    say(c, "POST /post HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
    assert_string_equal(c->got, OK_HELLO "\r\nhello");
    assert_string_equal(f->log, "POST /post [hello];o;");
  }
  assert_int_equal(server_connections(f->server), 1);
  hang_up(c);
  stop(f);
}

static void test_requests_in_pieces(void **state) {
  (void)state;
  static const char TEXT[] =
      "POST /post HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  for (size_t i = 0; i < sizeof TEXT - 1; i++) say_bytes(c, TEXT + i, 1);
  WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
  assert_string_equal(f->log, "POST /post [hello];o;");
  hang_up(c);
  stop(f);
}

static void test_closing_answers(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  exchange(f, "GET / HTTP/1.0\r\n\r\n", OK_EMPTY "Connection: close\r\n\r\n", "GET / [];");
  exchange(f, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", OK_EMPTY "Connection: close\r\n\r\n",
           "GET / [];");
  exchange(f, "HEAD / HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
           OK_HELLO "Connection: close\r\n\r\n", "HEAD / [hello];o;");
  stop(f);
}

static void test_refusals(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  exchange(f, "GET /none HTTP/1.1\r\n" HOST "\r\n", REFUSED("404 Not Found"), "");
  exchange(f, "GET /post HTTP/1.1\r\n" HOST "\r\n",
           "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nAllow: POST\r\nConnection: close\r\n\r\n",
           "");
  exchange(f, "bare garbage\r\n\r\n", REFUSED("400 Bad Request"), "refused 400;");
  exchange(f, "GET / HTTP/1.1\r\n\r\n", REFUSED("400 Bad Request"), "refused 400;");
  exchange(f,
           "POST /post HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           REFUSED("400 Bad Request"), "refused 400;");
  exchange(f, "GET / HTTP/3.0\r\n\r\n", REFUSED("505 HTTP Version Not Supported"), "refused 505;");
  exchange(f, "POST /post HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n",
           REFUSED("413 Payload Too Large"), "refused 413;");
  stop(f);
}

/* The body that nobody reads is on its way when the refusal goes out: it must not cost the client the answer. */
static void test_refusal_survives_an_unread_body(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  say(c, "POST /none HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
  say_bytes(c, f->big, 1000000);
  WAIT(c, c->ended);
  assert_string_equal(c->got, REFUSED("404 Not Found"));
  assert_false(c->reset);
  hang_up(c);
  stop(f);
}

static void test_head_over_16_kib(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  say(c, "GET / HTTP/1.1\r\n" HOST "X: ");
  say_bytes(c, f->big, 16 * 1024);
  WAIT(c, c->ended);
  assert_string_equal(c->got, REFUSED("431 Request Header Fields Too Large"));
  assert_string_equal(f->log, "refused 431;");
  hang_up(c);
  stop(f);
}

static void test_body_of_exactly_1_mib(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  say(c, "POST /post HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
  say_bytes(c, f->big, 1048576);
  WAIT(c, strstr(c->got, "\r\n\r\n"));
  assert_string_equal(c->got, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  assert_string_equal(f->log, "POST /post [abcdefghijklmnopqrstuvwxyzabcdefghijklmn];v;");
  hang_up(c);
  stop(f);
}

/* The clock runs from the first byte, and later bytes do not set it back. */
static void test_slow_request(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.request_max_ms = 40;
  struct fixture *f = start(&limits, false);
  struct client *c = dial(f);
  uint64_t began = uv_hrtime();
  say(c, "POST /post HTTP/1.1\r\n" HOST "X: ");
  /* Not more than a head may have: an idle machine sends 16 KiB of single bytes in 40 ms. */
  for (int sent = 0; !c->ended && uv_hrtime() < began + (uint64_t)PATIENCE_MS * 1000000; sent++) {
    if (sent < 8192) send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    turn(c);
    if (c->got_bytes > 0) break;
  }
  WAIT(c, c->ended);
  assert_true(uv_hrtime() - began >= 39 * 1000000);
  assert_string_equal(c->got, REFUSED("408 Request Timeout"));
  assert_string_equal(f->log, "refused 408;");
  hang_up(c);
  stop(f);
}

static void test_idle_connection_is_closed(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.idle_max_ms = 200;
  struct fixture *f = start(&limits, false);
  struct client *c = NULL;
  for (int tries = 0; tries < 50 && (!c || c->got_bytes == 0);
       tries++) { /* idle before we could say a word */
    if (c) hang_up(c);
    c = dial(f);
    say(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
    WAIT(c, c->ended);
  }
  assert_string_equal(c->got, OK_EMPTY "\r\n");
  assert_string_equal(f->log, "GET / [];");
  hang_up(c);
  stop(f);
}

static void test_answer_later(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f), *other = dial(f);
  say(c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
  WAIT(c, f->pending != 0);
  conn_id first = f->pending;
  say(other, "GET /other HTTP/1.1\r\n" HOST "\r\n"); /* one that waits holds up nobody */
  WAIT(other, strstr(other->got, "\r\n\r\n"));
  assert_int_equal(c->got_bytes, 0);
  server_reply(f->server, first, 503, NULL, NULL, 0);
  WAIT(c, strstr(c->got, "\r\n\r\n"));
  assert_string_equal(c->got, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  server_reply(f->server, first, 200, NULL, NULL, 0); /* answered already */
  clear(c);
  say(c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
  WAIT(c, *f->log);
  hang_up(c);
  WAIT(other, server_connections(f->server) == 1);
  server_reply(f->server, first, 200, NULL, NULL, 0); /* gone */
  assert_int_equal(other->ended, false);
  hang_up(other);
  stop(f);
}

static void test_early_request_is_not_served(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  exchange(f, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
           OK_EMPTY "Connection: close\r\n\r\n", "GET /1 [];");
  struct client *c = dial(f);
  clear(c);
  f->pending = 0;
  say(c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
  WAIT(c, f->pending != 0);
  say(c, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
  for (int i = 0; i < 20; i++) turn(c);
  server_reply(f->server, f->pending, 200, NULL, NULL, 0);
  WAIT(c, c->ended);
  assert_string_equal(c->got, REFUSED("200 OK"));
  assert_string_equal(f->log, "GET /later [];");
  hang_up(c);
  stop(f);
}

static void test_empty_line_behind_a_body(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  say(c, "POST /post HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello\r\n");
  WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
  assert_string_equal(c->got, OK_HELLO "\r\nhello");
  hang_up(c);
  stop(f);
}

static void test_expect_continue(void **state) {
  (void)state;
  static const char HEAD[] =
      "POST /post HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  say(c, HEAD);
  WAIT(c, strstr(c->got, "\r\n\r\n"));
  assert_string_equal(c->got, "HTTP/1.1 100 Continue\r\n\r\n");
  clear(c);
  say(c, "hello");
  WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
  assert_string_equal(c->got, OK_HELLO "\r\nhello");
  clear(c);
  say(c, "POST /post HTTP/1.1\r\n" HOST
         "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"); /* did not wait */
  WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
  assert_string_equal(c->got, OK_HELLO "\r\nhello");
  hang_up(c);
  exchange(f, "POST /none HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
           REFUSED("404 Not Found"), "");
  exchange(f, "POST /post HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n",
           REFUSED("413 Payload Too Large"), "refused 413;");
  stop(f);
}

static void test_slow_reader_holds_up_nobody(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f), *other = dial(f);
  say(c, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
  WAIT(other, *f->log);
  say(c, "more of no interest");
  say(other, "GET /other HTTP/1.1\r\n" HOST "\r\n");
  WAIT(other, strstr(other->got, "\r\n\r\n"));
  WAIT(c, c->ended);
  const char *body = strstr(c->got, "\r\n\r\n") + 4;
  assert_int_equal(c->got_bytes - (size_t)(body - c->got), BIG_BYTES);
  assert_memory_equal(body, f->big, BIG_BYTES);
  hang_up(c);
  hang_up(other);
  stop(f);
}

static void test_reader_that_never_reads_is_dropped(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.write_max_ms = 30;
  struct fixture *f = start(&limits, false);
  struct client *c = dial(f), *watch = dial(f);
  say(c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
  WAIT(watch, *f->log);
  WAIT(watch, server_connections(f->server) == 1);
  hang_up(c);
  hang_up(watch);
  stop(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_keep_alive),
      cmocka_unit_test(test_requests_in_pieces),
      cmocka_unit_test(test_closing_answers),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_refusal_survives_an_unread_body),
      cmocka_unit_test(test_head_over_16_kib),
      cmocka_unit_test(test_body_of_exactly_1_mib),
      cmocka_unit_test(test_slow_request),
      cmocka_unit_test(test_idle_connection_is_closed),
      cmocka_unit_test(test_answer_later),
      cmocka_unit_test(test_early_request_is_not_served),
      cmocka_unit_test(test_empty_line_behind_a_body),
      cmocka_unit_test(test_expect_continue),
      cmocka_unit_test(test_slow_reader_holds_up_nobody),
      cmocka_unit_test(test_reader_that_never_reads_is_dropped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
