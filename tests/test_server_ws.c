/* WebSockets over real sockets. */
#include "tests/server_fixture.h"

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

static void test_upgrade_and_echo_of_close(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  say_frame(c, 0x81, "hello", 5);
  say_frame(c, 0x82, "raw", 3);
  say_frame(c, 0x81, "\xff", 1);
  say_frame(c, 0x88,
            "\x03\xe8"
            "done",
            6);
  expect_end(c, "\x88\x02\x03\xe8", 4);
  assert_string_equal(f->log, "text(hello);binary(raw);text!(\xff);closed 1000;");
  hang_up(c);
  stop(f);
}

static void test_close_without_code(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  say_frame(c, 0x88, "", 0);
  expect_end(c, "\x88\x00", 2);
  assert_string_equal(f->log, "closed 1005;");
  hang_up(c);
  stop(f);
}

static void test_abrupt_end(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f), *watch = dial(f);
  say_frame(c, 0x01, "half", 4);
  hang_up(c);
  WAIT(watch, *f->log);
  assert_string_equal(f->log, "closed 1006;");
  hang_up(watch);
  stop(f);
}

/* Frames in the same read as the upgrade are served, and all frames of one read share its moment. */
static void test_frames_right_behind_the_upgrade(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  char text[1024];
  size_t bytes = strlen(UPGRADE("/media"));
  memcpy(text, UPGRADE("/media"), bytes);
  bytes += frame(text + bytes, 0x81, "one", 3);
  bytes += frame(text + bytes, 0x81, "two", 3);
  say_bytes(c, text, bytes);
  WAIT(c, f->messages == 2);
  assert_int_equal(f->ordinals[0], f->ordinals[1]);
  assert_string_equal(f->log, "upgrade /media;text(one);text(two);");
  say_frame(c, 0x81, "three", 5);
  WAIT(c, f->messages == 3);
  assert_true(f->ordinals[2] > f->ordinals[1]);
  hang_up(c);
  stop(f);
}

static void test_refused_upgrades(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  exchange(f, UPGRADE("/no"), REFUSED("401 Unauthorized"), "upgrade /no;");
  exchange(f, UPGRADE("/none"), REFUSED("404 Not Found"), "upgrade /none;");
  exchange(f,
           "GET /media HTTP/1.1\r\n" HOST
           "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
           "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: "
           "websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Connection: close\r\n\r\n",
           "refused 426;");
  exchange(f,
           "GET /media HTTP/1.1\r\n" HOST
           "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: short\r\n\r\n",
           REFUSED("400 Bad Request"), "refused 400;");
  exchange(f, "GET /media HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: upgrade, close\r\n\r\n",
           OK_EMPTY "Connection: close\r\n\r\n", "GET /media [];"); /* an ordinary request */
  stop(f);
}

static void test_close_inside_the_upgrade_handler(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = dial(f);
  upgrade(c, UPGRADE("/closing"));
  WAIT(c, c->got_bytes >= 11);
  assert_memory_equal(c->got,
                      "\x88\x09\x03\xf0"
                      "not you",
                      11);
  say_frame(c, 0x88, "\x03\xf0", 2);
  WAIT(c, c->ended);
  assert_string_equal(f->log, "upgrade /closing;closed 1008;");
  hang_up(c);
  stop(f);
}

static void test_our_close_and_what_still_comes(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  say_frame(c, 0x81, "close me", 8);
  WAIT(c, c->got_bytes >= 7);
  assert_memory_equal(c->got,
                      "\x88\x05\x03\xe8"
                      "bye",
                      7);
  say_frame(c, 0x81, "late", 4);
  say_frame(c, 0x89, "", 0); /* no pong behind our close */
  say_frame(c, 0x88, "\x0f\xa0", 2);
  expect_end(c,
             "\x88\x05\x03\xe8"
             "bye",
             7);
  assert_string_equal(f->log, "text(close me);text(late);closed 4000;");
  server_ws_close(f->server, f->socket, 1000, ""); /* gone: nothing happens */
  hang_up(c);
  stop(f);
}

static void test_peer_that_never_closes(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_close_ms = 30;
  struct fixture *f = start(&limits, false);
  struct client *c = websocket(f);
  say_frame(c, 0x81, "close me", 8);
  WAIT(c, c->ended);
  assert_string_equal(f->log, "text(close me);closed 1006;");
  hang_up(c);
  stop(f);
}

static void test_violations(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t count;
    int code;
  } ROWS[] = {
      {"\x81\x01x", 3, 1002},
      {"\x83\x80\0\0\0\0", 6, 1002},
      {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007},
      {"\x81\xff\0\0\0\0\0\x20\0\x01\0\0\0\0", 14, 1009},
  };
  struct fixture *f = start(&LIMITS, false);
  char told[64];
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct client *c = websocket(f);
    say_bytes(c, ROWS[i].bytes, ROWS[i].count);
    say_frame(c, 0x81, "not served", 10);
    WAIT(c, c->ended);
    assert_true(c->got_bytes > 4 && c->got[0] == '\x88');
    assert_int_equal((unsigned char)c->got[2] << 8 | (unsigned char)c->got[3], ROWS[i].code);
    snprintf(told, sizeof told, "failed %d;closed 1006;", ROWS[i].code);
    assert_string_equal(f->log, told);
    assert_false(c->reset);
    hang_up(c);
  }
  stop(f);
}

static void test_largest_message(void **state) {
  (void)state;
  enum { LARGEST = 2 * 1024 * 1024 };
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  say_frame(c, 0x81, f->big, LARGEST);
  WAIT(c, f->messages == 1);
  assert_string_equal(f->log, "text(abcdefghijklmnopqrstuvwxyzabcdefghijklmn);");
  hang_up(c);
  stop(f);
}

static void test_pongs(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  say_frame(c, 0x01, "frag", 4);
  say_frame(c, 0x89, "now", 3);
  WAIT(c, c->got_bytes >= 5);
  assert_memory_equal(c->got, "\x8a\x03now", 5);
  say_frame(c, 0x80, "ment", 4);
  WAIT(c, f->messages == 1);
  assert_string_equal(f->log, "text(fragment);");
  hang_up(c);
  stop(f);
}

/* The first ping's payload: its number. */
static size_t ping_frame(char out[10], uint64_t number) {
  memcpy(out, "\x89\x08", 2);
  memcpy(out + 2, &number, sizeof number);
  return 10;
}

/* Pings go out; a peer that sends anything at all stays, one that sends nothing is dropped. */
static void test_our_pings_and_silence(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_ping_ms = 10;
  limits.ws_silence_ms = 400;
  struct fixture *f = start(&limits, false);
  struct client *c = NULL;
  uint64_t patience = uv_hrtime() + PATIENCE_MS * 1000000ull;
  do { /* a machine that kept us ourselves silent for so long: once more */
    if (c) hang_up(c);
    uint64_t began = uv_hrtime(), heard = began; /* not later than what the server heard last */
    c = websocket(f);
    while (!c->ended && uv_hrtime() - began < 450 * 1000000) {
      uint64_t said = uv_hrtime();
      f->messages = 0;
      say_frame(c, 0x81, "x", 1);
      turn(c);
      if (f->messages > 0) heard = said;
    }
    if (c->ended) assert_true(uv_hrtime() - heard >= 399 * 1000000);
  } while (c->ended && uv_hrtime() < patience);
  assert_false(c->ended);
  char pings[20];
  ping_frame(pings, 1);
  ping_frame(pings + 10, 2);
  assert_true(c->got_bytes >= sizeof pings);
  assert_memory_equal(c->got, pings, sizeof pings);
  f->log[0] = '\0';
  WAIT(c, c->ended);
  assert_string_equal(f->log, "closed 1006;");
  hang_up(c);
  stop(f);
}

/* A loop that was stopped longer than the silence it allows (an agent's machine that stood still) reads first. */
static void test_what_waits_to_be_read_is_no_silence(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_silence_ms = 1000;
  struct fixture *f = start(&limits, false);
  struct client *c = websocket(f);
  char text[RFC6455_HEADER_MAX_BYTES + 1];
  size_t bytes = frame(text, 0x81, "x", 1);
  int left = 1;
  assert_int_equal(send(c->fd, text, bytes, MSG_NOSIGNAL), bytes);
  while (left > 0) assert_int_equal(ioctl(c->fd, SIOCOUTQ, &left), 0); /* it is in the server's socket */
  for (uint64_t end = uv_hrtime() + 1050 * 1000000; uv_hrtime() < end;) sched_yield();
  WAIT(c, f->messages == 1 || c->ended);
  assert_string_equal(f->log, "text(x);");
  WAIT(c, c->ended); /* and then it is silence */
  assert_string_equal(f->log, "text(x);closed 1006;");
  hang_up(c);
  stop(f);
}

/* While messages come, a ping goes out more often. */
static void test_more_pings_while_messages_come(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_ping_ms = 60 * 1000;
  limits.ws_ping_busy_ms = 20;
  struct fixture *f = start(&limits, false);
  struct client *busy = websocket(f), *idle = websocket(f);
  for (size_t pings = 1; pings <= 3; pings++) {
    say_frame(busy, 0x81, "x", 1);
    WAIT(busy, busy->got_bytes >= pings * 10);
  }
  receive(idle);
  assert_int_equal(idle->got_bytes, 0);
  hang_up(busy);
  hang_up(idle);
  stop(f);
}

/* A pong tells the round trip of the ping it names; any other pong tells nothing. */
static void test_pongs_tell_the_round_trip(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_ping_ms = 20;
  struct fixture *f = start(&limits, false);
  struct client *c = websocket(f);
  struct socket_evidence e;
  say_frame(c, 0x8a, "", 0);
  say_frame(c, 0x8a, "\0\0\0\0\0\0\0", 8);
  assert_true(server_ws_look(f->server, f->socket, &e));
  assert_int_equal(e.pongs, 0);
  uint64_t answered = 0, longest_us = 0, number = 0, patience = uv_hrtime() + PATIENCE_MS * 1000000ull;
  while (answered == 0 && uv_hrtime() < patience) { /* a busy machine marks some as self-delayed */
    clear(c);
    WAIT(c, c->got_bytes >= 10);
    uint64_t got_ns = uv_hrtime();
    memcpy(&number, c->got + c->got_bytes - 8, sizeof number);
    uint64_t older = number - 1;
    say_frame(c, 0x8a, (const char *)&older, sizeof older);
    say_frame(c, 0x81, "y", 1);
    WAIT(c, f->messages == 1);
    assert_true(server_ws_look(f->server, f->socket, &e));
    assert_int_equal(e.pongs, 0);
    f->messages = 0;
    say_frame(c, 0x8a, (const char *)&number, sizeof number);
    say_frame(c, 0x8a, (const char *)&number, sizeof number); /* the same once more */
    say_frame(c, 0x81, "x", 1);
    WAIT(c, f->messages == 1);
    longest_us = (uv_hrtime() - got_ns) / 1000 + 1000 * PATIENCE_MS;
    assert_true(server_ws_look(f->server, f->socket, &e));
    answered = e.pongs;
    assert_true(answered <= 1);
  }
  assert_int_equal(answered, 1);
  assert_in_range(e.pong_sum_us, 1, longest_us);
  assert_int_equal(e.pong_min_us, e.pong_sum_us);
  assert_int_equal(e.pong_max_us, e.pong_sum_us);
  assert_true(server_ws_look(f->server, f->socket, &e));
  assert_int_equal(e.pongs, 0); /* each look tells what is new */
  hang_up(c);
  stop(f);
}

static void test_the_kernel_tells_of_the_connection(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, false);
  struct client *c = websocket(f);
  struct socket_evidence e;
  assert_true(server_ws_look(f->server, f->socket, &e));
  assert_true(e.tcp);
  assert_in_range(e.tcp_rtt_us, 1, 1000000);
  assert_in_range(e.tcp_bytes, strlen(UPGRADE("/media")), 4096);
  char text[1000];
  memset(text, 'x', sizeof text);
  say_frame(c, 0x81, text, sizeof text);
  WAIT(c, f->messages == 1);
  assert_true(server_ws_look(f->server, f->socket, &e));
  assert_in_range(e.tcp_bytes, sizeof text, sizeof text + 100);
  assert_int_equal(e.out_of_order_segments, 0);
  hang_up(c);
  struct client *watch = dial(f);
  WAIT(watch, strstr(f->log, "closed"));
  assert_false(server_ws_look(f->server, f->socket, &e));
  hang_up(watch);
  stop(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_upgrade_and_echo_of_close),
      cmocka_unit_test(test_close_without_code),
      cmocka_unit_test(test_abrupt_end),
      cmocka_unit_test(test_frames_right_behind_the_upgrade),
      cmocka_unit_test(test_refused_upgrades),
      cmocka_unit_test(test_close_inside_the_upgrade_handler),
      cmocka_unit_test(test_our_close_and_what_still_comes),
      cmocka_unit_test(test_peer_that_never_closes),
      cmocka_unit_test(test_violations),
      cmocka_unit_test(test_largest_message),
      cmocka_unit_test(test_pongs),
      cmocka_unit_test(test_our_pings_and_silence),
      cmocka_unit_test(test_what_waits_to_be_read_is_no_silence),
      cmocka_unit_test(test_more_pings_while_messages_come),
      cmocka_unit_test(test_pongs_tell_the_round_trip),
      cmocka_unit_test(test_the_kernel_tells_of_the_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
