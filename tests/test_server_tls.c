/* TLS over real sockets. */
#include "tests/server_fixture.h"

static void test_tls_request_and_websocket(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, true);
  struct client *c = dial(f);
  const unsigned char *alpn;
  unsigned alpn_bytes;
  secure(c, 0, "\x02h2\x08http/1.1", 12);
  assert_true(handshake(c));
  SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_bytes);
  assert_int_equal(alpn_bytes, 8);
  assert_memory_equal(alpn, "http/1.1", 8);
  say(c, "POST /post HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
  WAIT(c, c->got_bytes >= strlen(OK_HELLO "\r\nhello"));
  assert_string_equal(c->got, OK_HELLO "\r\nhello");
  clear(c);
  upgrade(c, UPGRADE("/media"));
  say_frame(c, 0x81, "secret", 6);
  say_frame(c, 0x88, "\x03\xe8", 2);
  expect_end(c, "\x88\x02\x03\xe8", 4);
  assert_string_equal(f->log, "upgrade /media;text(secret);closed 1000;");
  hang_up(c);
  stop(f);
}

static void test_tls_12_yes_11_no(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, true);
  struct client *c = dial(f);
  secure(c, TLS1_2_VERSION, "\x08http/1.1", 9);
  assert_true(handshake(c));
  hang_up(c);
  c = dial(f);
  secure(c, TLS1_1_VERSION, "\x08http/1.1", 9);
  assert_false(handshake(c));
  hang_up(c);
  c = dial(f); /* no TLS at all */
  say(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
  WAIT(c, c->ended);
  assert_string_equal(f->log, "");
  WAIT(c, server_connections(f->server) == 0);
  hang_up(c);
  stop(f);
}

/* Records that arrive together are one read, though libwebsockets hands over one at a time. */
static void test_tls_records_of_one_read_share_its_moment(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, true);
  struct client *c = dial(f);
  char text[64];
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c));
  upgrade(c, UPGRADE("/media"));
  clear(c);
  for (int i = 0; i < 10; i++) {
    size_t bytes = frame(text, 0x81, "x", 1);
    assert_int_equal(SSL_write(c->ssl, text, (int)bytes), bytes);
  }
  WAIT(c, f->messages == 10);
  for (int i = 1; i < 10; i++) assert_int_equal(f->ordinals[i], f->ordinals[0]);
  hang_up(c);
  stop(f);
}

static void test_tls_large_both_ways(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, true);
  struct client *c = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c));
  say(c, "POST /big HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\nConnection: close\r\n\r\n");
  say_bytes(c, f->big, 1048576);
  WAIT(c, c->ended);
  const char *body = strstr(c->got, "\r\n\r\n") + 4;
  assert_int_equal(c->got_bytes - (size_t)(body - c->got), BIG_BYTES);
  assert_memory_equal(body, f->big, BIG_BYTES);
  hang_up(c);
  stop(f);
}

/* libwebsockets times the handshake: that clock must stop when it is done, and only then. */
static void test_tls_handshake_timeout_ends_with_it(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.handshake_max_s = 1;
  limits.ws_ping_ms = 100;
  struct fixture *f = start(&limits, true);
  struct client *c = NULL, *mute = dial(f);
  for (int tries = 0; tries < 20 && (!c || c->ended);
       tries++) { /* a busy machine may itself need the second */
    if (c) hang_up(c);
    c = dial(f);
    secure(c, 0, "\x08http/1.1", 9);
    c->ended = !handshake(c);
    if (c->ended) continue;
    say(c, UPGRADE("/media"));
    WAIT(c, c->ended || c->got_bytes >= strlen(SWITCHED));
  }
  assert_memory_equal(c->got, SWITCHED, strlen(SWITCHED));
  clear(c);
  WAIT(mute, mute->ended);
  WAIT(c, c->got_bytes >= 2 * 15); /* pings */
  assert_false(c->ended);
  hang_up(c);
  hang_up(mute);
  stop(f);
}

static void peer_name(struct client *c, char *out, size_t out_bytes) {
  X509 *x = SSL_get1_peer_certificate(c->ssl);
  assert_non_null(x);
  X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, (int)out_bytes);
  X509_free(x);
}

static void test_tls_reload(void **state) {
  (void)state;
  struct fixture *f = start(&LIMITS, true);
  char name[64], why[256] = "";
  make_certificate(f, "second");
  assert_int_equal(server_use_tls(f->server, "public", f->certificate, f->private_key, why, sizeof why), 0);
  struct client *c = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c));
  peer_name(c, name, sizeof name);
  assert_string_equal(name, "second");
  hang_up(c);
  unlink(f->private_key);
  assert_int_equal(server_use_tls(f->server, "public", f->certificate, f->private_key, why, sizeof why), -1);
  assert_non_null(strstr(why, f->private_key));
  c = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c)); /* the old pair still serves */
  hang_up(c);
  stop(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tls_request_and_websocket),
      cmocka_unit_test(test_tls_12_yes_11_no),
      cmocka_unit_test(test_tls_records_of_one_read_share_its_moment),
      cmocka_unit_test(test_tls_large_both_ways),
      cmocka_unit_test(test_tls_handshake_timeout_ends_with_it),
      cmocka_unit_test(test_tls_reload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
