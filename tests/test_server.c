/* The server's life: listeners, limits, lag, stopping and ending. */
#include "tests/server_fixture.h"

static void test_connections_are_bounded(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.connections_max = 2;
  struct fixture *f = start(&limits, false);
  struct client *a = dial(f), *b = dial(f);
  WAIT(b, server_connections(f->server) == 2);
  struct client *c = dial(f);
  WAIT(c, c->ended);
  hang_up(a);
  WAIT(b, server_connections(f->server) == 1);
  struct client *d = dial(f);
  say(d, "GET / HTTP/1.1\r\n" HOST "\r\n");
  WAIT(d, strstr(d->got, "\r\n\r\n"));
  hang_up(b);
  hang_up(c);
  hang_up(d);
  stop(f);
}

static void test_stop_listening(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *idle = dial(f), *busy = dial(f);
  say(busy, "GET /later HTTP/1.1\r\n" HOST "\r\n");
  WAIT(busy, f->pending && server_connections(f->server) == 2);
  server_stop_listening(f->server);
  WAIT(idle, idle->ended);
  assert_int_equal(idle->got_bytes, 0);
  server_reply(f->server, f->pending, 200, NULL, NULL, 0);
  WAIT(busy, busy->ended);
  assert_string_equal(busy->got, REFUSED("200 OK"));
  hang_up(idle);
  hang_up(busy);
  stop(f);
}

static void test_listen_says_why_not(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct server_listener listener = listener_of(f, false);
  char bound[64], why[256] = "";
  listener.address = f->address;
  assert_int_equal(server_listen(f->server, &listener, bound, sizeof bound, why, sizeof why), -1);
  assert_non_null(strstr(why, f->address));
  assert_non_null(strstr(why, "Address already in use"));
  listener.address = "127.0.0.1:0";
  listener.certificate = listener.private_key = "/nowhere/cert.pem";
  assert_int_equal(server_listen(f->server, &listener, bound, sizeof bound, why, sizeof why), -1);
  assert_string_equal(why, "/nowhere/cert.pem: No such file or directory");
  listener.private_key = NULL;
  assert_int_equal(server_listen(f->server, &listener, bound, sizeof bound, why, sizeof why), -1);
  stop(f);
}

static void on_never(uv_timer_t *timer) {
  (void)timer;
}

static void test_destroy_with_open_connections(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *ws = websocket(f), *busy = dial(f), *idle = dial(f);
  say(busy, "GET /later HTTP/1.1\r\n" HOST "\r\n");
  WAIT(busy, *f->log && server_connections(f->server) == 3);
  f->log[0] = '\0';
  uv_timer_t others; /* somebody else's handle in the loop keeps nobody waiting */
  uv_timer_init(&f->loop, &others);
  assert_int_equal(uv_timer_start(&others, on_never, 3600 * 1000, 0), 0);
  server_destroy(f->server);
  uv_close((uv_handle_t *)&others, NULL);
  f->server = NULL;
  assert_string_equal(f->log, "");
  WAIT(ws, ws->ended);
  WAIT(busy, busy->ended);
  WAIT(idle, idle->ended);
  hang_up(ws);
  hang_up(busy);
  hang_up(idle);
  stop(f);
}

static void spin_ms(int ms) {
  for (uint64_t until = uv_hrtime() + (uint64_t)ms * 1000000; uv_hrtime() < until;) continue;
}

/* What waited while our own loop was busy is marked, in that very turn; later reads are not. */
static void test_loop_lag_marks_reads(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  char text[32];
  size_t bytes = frame(text, 0x81, "x", 1);
  assert_int_equal(send(c->fd, text, bytes, MSG_NOSIGNAL), bytes);
  spin_ms(60);
  WAIT(c, f->messages == 1);
  assert_true(f->delayed);
  assert_true(server_loop_lag_seconds(f->server) < PATIENCE_MS / 1000.0);
  for (uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000; f->delayed && uv_hrtime() < until;)
    say_frame(c, 0x81, "x", 1);
  assert_false(f->delayed);
  hang_up(c);
  stop(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connections_are_bounded), cmocka_unit_test(test_stop_listening),
      cmocka_unit_test(test_listen_says_why_not),     cmocka_unit_test(test_destroy_with_open_connections),
      cmocka_unit_test(test_loop_lag_marks_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
