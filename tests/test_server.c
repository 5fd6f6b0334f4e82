/* The server over real loopback sockets, plain and TLS. One thread: each wait turns the server's loop. */
#include "agent/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/rfc6455.h"

enum { PATIENCE_MS = 10000, BIG_BYTES = 6 * 1024 * 1024, LOG_BYTES = 8192 };
#define HOST "Host: a\r\n"

/* ---- the server under test and what its handlers saw ---- */

struct fixture {
  uv_loop_t loop;
  struct server *server;
  char address[64];
  char log[LOG_BYTES];
  conn_id pending, socket;
  uint64_t ordinals[64];
  size_t messages;
  bool delayed; /* of the newest message */
  char *big;
  char folder[64], certificate[96], private_key[96];
};

static void note(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct fixture *f, const char *format, ...) {
  size_t at = strlen(f->log);
  va_list args;
  va_start(args, format);
  vsnprintf(f->log + at, sizeof f->log - at, format, args);
  va_end(args);
}

static int on_headers(void *arg, const struct http_request *request, const char **allow) {
  (void)arg;
  if (strcmp(request->path, "/none") == 0) return 404;
  if (strcmp(request->path, "/post") != 0 || strcmp(request->method, "POST") == 0) return 0;
  *allow = "POST";
  return 405;
}

static void on_request(void *arg, conn_id conn, const struct moment *at, const struct http_request *request) {
  struct fixture *f = arg;
  assert_true(at->mono_us > 0 && at->wall_us > 0 && at->read_ordinal > 0);
  assert_true(request->loopback);
  note(f, "%s %s [%.*s];", request->method, request->path,
       (int)(request->body_bytes < 40 ? request->body_bytes : 40), request->body);
  f->pending = conn;
  if (strcmp(request->path, "/later") == 0) return;
  if (strcmp(request->path, "/big") == 0)
    server_reply(f->server, conn, 200, "text/plain", f->big, BIG_BYTES);
  else if (request->body_bytes > 100000)
    server_reply(f->server, conn, 200, NULL, NULL, 0);
  else
    server_reply(f->server, conn, 200, "text/plain", request->body, request->body_bytes);
  if (request->body_bytes > 0) note(f, "%c;", request->body[request->body_bytes - 1]); /* still there */
}

static int on_upgrade(void *arg, conn_id conn, const struct moment *at, const struct http_request *request) {
  struct fixture *f = arg;
  (void)at;
  note(f, "upgrade %s;", request->path);
  f->socket = conn;
  if (strcmp(request->path, "/no") == 0) return 401;
  if (strcmp(request->path, "/closing") == 0) server_ws_close(f->server, conn, 1008, "not you");
  return strcmp(request->path, "/none") == 0 ? 404 : 0;
}

static void on_message(void *arg, conn_id conn, const struct moment *at, bool text, bool utf8,
                       const char *data, size_t bytes) {
  struct fixture *f = arg;
  f->delayed = at->self_delayed;
  if (f->messages < 64) f->ordinals[f->messages++] = at->read_ordinal;
  note(f, "%s%s(%.*s);", text ? "text" : "binary", utf8 ? "" : "!", (int)(bytes < 40 ? bytes : 40), data);
  if (bytes == 8 && memcmp(data, "close me", 8) == 0) server_ws_close(f->server, conn, 1000, "bye");
}

static void on_closed(void *arg, conn_id conn, const struct moment *at, int code) {
  (void)at;
  (void)conn;
  note(arg, "closed %d;", code);
}

static void on_refused(void *arg, int status) {
  note(arg, "refused %d;", status);
}

static const struct server_limits LIMITS = {
    .head_max_bytes = 16 * 1024, .body_max_bytes = 1024 * 1024, .request_max_ms = 10000};

static void make_certificate(struct fixture *f, const char *name) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  FILE *file;
  assert_non_null(key);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                             -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  assert_true(X509_sign(x, key, EVP_sha256()) > 0);
  assert_non_null(file = fopen(f->certificate, "w"));
  PEM_write_X509(file, x);
  fclose(file);
  assert_non_null(file = fopen(f->private_key, "w"));
  PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
  fclose(file);
  X509_free(x);
  EVP_PKEY_free(key);
}

static struct server_listener listener_of(struct fixture *f, bool tls) {
  return (struct server_listener){
      .name = "public",
      .address = "127.0.0.1:0",
      .certificate = tls ? f->certificate : NULL,
      .private_key = tls ? f->private_key : NULL,
      .message_max_bytes = 2 * 1024 * 1024,
      .handlers = {on_headers, on_request, on_upgrade, on_message, on_closed, on_refused, f},
  };
}

static struct fixture *start(const struct server_limits *limits, bool tls) {
  struct fixture *f = calloc(1, sizeof *f);
  char why[256] = "";
  assert_non_null(f);
  f->big = malloc(BIG_BYTES);
  assert_non_null(f->big);
  for (size_t i = 0; i < BIG_BYTES; i++) f->big[i] = (char)('a' + i % 26);
  if (tls) {
    snprintf(f->folder, sizeof f->folder, "/tmp/test_server.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->certificate, sizeof f->certificate, "%s/cert.pem", f->folder);
    snprintf(f->private_key, sizeof f->private_key, "%s/key.pem", f->folder);
    make_certificate(f, "first");
  }
  assert_int_equal(uv_loop_init(&f->loop), 0);
  if (server_create(&f->server, &f->loop, limits, why, sizeof why) != 0) fail_msg("%s", why);
  struct server_listener listener = listener_of(f, tls);
  if (server_listen(f->server, &listener, f->address, sizeof f->address, why, sizeof why) != 0)
    fail_msg("%s", why);
  return f;
}

static void stop(struct fixture *f) {
  server_destroy(f->server);
  assert_int_equal(uv_loop_close(&f->loop), 0);
  if (*f->folder) {
    unlink(f->certificate);
    unlink(f->private_key);
    rmdir(f->folder);
  }
  free(f->big);
  free(f);
}

/* ---- a client ---- */

struct client {
  struct fixture *f;
  int fd;
  SSL_CTX *tls;
  SSL *ssl;
  char *got;
  size_t got_bytes;
  bool ended, reset;
};

static void turn(struct client *c);

/* Turns the loop until the expression is true, or the patience is over. */
#define WAIT(c, expression)                                                                       \
  do {                                                                                            \
    uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;                               \
    while (!(expression)) {                                                                       \
      if (uv_hrtime() > until)                                                                    \
        fail_msg("waited for %s; got: %.*s; log: %s", #expression,                                \
                 (int)(c)->got_bytes < 300 ? (int)(c)->got_bytes : 300, (c)->got ? (c)->got : "", \
                 (c)->f->log);                                                                    \
      turn(c);                                                                                    \
    }                                                                                             \
  } while (0)

static struct client *dial(struct fixture *f) {
  static const int ON = 1;
  struct client *c = calloc(1, sizeof *c);
  struct sockaddr_in to = {.sin_family = AF_INET};
  assert_non_null(c);
  to.sin_port = htons((uint16_t)atoi(strrchr(f->address, ':') + 1));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->f = f;
  c->got = calloc(1, BIG_BYTES + 4096);
  assert_non_null(c->got);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON); /* what is said is there at once */
  assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
  return c;
}

static void hang_up(struct client *c) {
  if (c->ssl) SSL_free(c->ssl);
  if (c->tls) SSL_CTX_free(c->tls);
  ERR_clear_error();
  close(c->fd);
  free(c->got);
  free(c);
}

static void receive(struct client *c) {
  size_t room = BIG_BYTES + 4095 - c->got_bytes;
  ssize_t n;
  if (c->ssl) {
    ERR_clear_error();
    n = SSL_read(c->ssl, c->got + c->got_bytes, (int)room);
    if (n <= 0) {
      int error = SSL_get_error(c->ssl, (int)n);
      c->ended = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    }
  } else {
    n = recv(c->fd, c->got + c->got_bytes, room, MSG_DONTWAIT);
    c->ended = n == 0;
    if (n < 0 && errno != EAGAIN) c->ended = c->reset = true;
  }
  if (n > 0) {
    c->got_bytes += (size_t)n;
    c->got[c->got_bytes] = '\0';
  }
}

static void turn(struct client *c) {
  uv_run(&c->f->loop, UV_RUN_NOWAIT);
  if (!c->ended) receive(c);
}

static void secure(struct client *c, int max_version, const char *alpn, size_t alpn_bytes) {
  c->tls = SSL_CTX_new(TLS_client_method());
  assert_non_null(c->tls);
  if (max_version) {
    SSL_CTX_set_min_proto_version(c->tls, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(c->tls, max_version);
    SSL_CTX_set_cipher_list(c->tls, "DEFAULT:@SECLEVEL=0");
  }
  c->ssl = SSL_new(c->tls);
  SSL_set_alpn_protos(c->ssl, (const unsigned char *)alpn, (unsigned)alpn_bytes);
  SSL_set_fd(c->ssl, c->fd);
}

/* True once connected, false when it is refused. */
static bool handshake(struct client *c) {
  for (uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000; uv_hrtime() < until;) {
    ERR_clear_error();
    int done = SSL_connect(c->ssl);
    if (done == 1) return true;
    int error = SSL_get_error(c->ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return false;
    uv_run(&c->f->loop, UV_RUN_NOWAIT);
  }
  fail_msg("no end of the handshake");
  return false;
}

static void say_bytes(struct client *c, const char *data, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    ssize_t n = c->ssl ? SSL_write(c->ssl, data + at, (int)(bytes - at))
                       : send(c->fd, data + at, bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) at += (size_t)n;
    uv_run(&c->f->loop, UV_RUN_NOWAIT);
  }
}

static void say(struct client *c, const char *text) {
  say_bytes(c, text, strlen(text));
}

static void clear(struct client *c) {
  c->got_bytes = 0;
  c->got[0] = '\0';
  c->f->log[0] = '\0';
  c->f->messages = 0;
}

/* Says it on a new connection; the answer up to the close must be this, and the handlers saw that. */
static void exchange(struct fixture *f, const char *text, const char *answer, const char *log) {
  struct client *c = dial(f);
  f->log[0] = '\0';
  say(c, text);
  WAIT(c, c->ended);
  assert_string_equal(c->got, answer);
  assert_string_equal(f->log, log);
  assert_false(c->reset);
  hang_up(c);
}

#define OK_EMPTY      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
#define OK_HELLO      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
#define REFUSED(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* ---- HTTP ---- */

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
  while (!c->ended && uv_hrtime() < began + (uint64_t)PATIENCE_MS * 1000000) {
    send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
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
  limits.idle_max_ms = 30;
  struct fixture *f = start(&limits, false);
  struct client *c = dial(f);
  say(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
  WAIT(c, c->ended);
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

/* ---- WebSocket ---- */

#define UPGRADE(path)                                                                      \
  "GET " path " HTTP/1.1\r\n" HOST                                                         \
  "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"       \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SWITCHED                                                                      \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static size_t frame(char *out, uint8_t first_byte, const char *payload, size_t bytes) {
  static const uint8_t MASK[4] = {1, 2, 3, 4};
  size_t header = rfc6455_header((uint8_t *)out, RFC6455_OP_TEXT, bytes, MASK);
  out[0] = (char)first_byte;
  memcpy(out + header, payload, bytes);
  rfc6455_mask(out + header, bytes, MASK, 0);
  return header + bytes;
}

static void say_frame(struct client *c, uint8_t first_byte, const char *payload, size_t bytes) {
  char *text = malloc(bytes + RFC6455_HEADER_MAX_BYTES);
  assert_non_null(text);
  say_bytes(c, text, frame(text, first_byte, payload, bytes));
  free(text);
}

static void upgrade(struct client *c, const char *request) {
  say(c, request);
  WAIT(c, c->got_bytes >= strlen(SWITCHED));
  assert_memory_equal(c->got, SWITCHED, strlen(SWITCHED));
  memmove(c->got, c->got + strlen(SWITCHED), c->got_bytes -= strlen(SWITCHED));
  c->got[c->got_bytes] = '\0';
}

static struct client *websocket(struct fixture *f) {
  struct client *c = dial(f);
  upgrade(c, UPGRADE("/media"));
  clear(c);
  return c;
}

/* What the server sent last and that it then ended the connection. */
static void expect_end(struct client *c, const char *bytes, size_t count) {
  WAIT(c, c->ended);
  assert_int_equal(c->got_bytes, count);
  assert_memory_equal(c->got, bytes, count);
}

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
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct client *c = websocket(f);
    say_bytes(c, ROWS[i].bytes, ROWS[i].count);
    say_frame(c, 0x81, "not served", 10);
    WAIT(c, c->ended);
    assert_true(c->got_bytes > 4 && c->got[0] == '\x88');
    assert_int_equal((unsigned char)c->got[2] << 8 | (unsigned char)c->got[3], ROWS[i].code);
    assert_string_equal(f->log, "closed 1006;");
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

/* Pings go out; a peer that sends anything at all stays, one that sends nothing is dropped. */
static void test_our_pings_and_silence(void **state) {
  (void)state;
  struct server_limits limits = LIMITS;
  limits.ws_ping_ms = 10;
  limits.ws_silence_ms = 150;
  struct fixture *f = start(&limits, false);
  struct client *c = websocket(f);
  uint64_t began = uv_hrtime();
  while (uv_hrtime() - began < 300 * 1000000) {
    if (!c->ended && f->messages < 60) say_frame(c, 0x81, "x", 1);
    turn(c);
    assert_false(c->ended);
    if (f->messages >= 60) f->messages = 0;
  }
  assert_true(c->got_bytes >= 4);
  assert_memory_equal(c->got, "\x89\x00\x89\x00", 4);
  f->log[0] = '\0';
  WAIT(c, c->ended);
  assert_string_equal(f->log, "closed 1006;");
  hang_up(c);
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

/* ---- TLS ---- */

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
  struct client *c = dial(f), *mute = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c));
  upgrade(c, UPGRADE("/media"));
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
  assert_int_equal(server_reload_tls(f->server, why, sizeof why), 0);
  struct client *c = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c));
  peer_name(c, name, sizeof name);
  assert_string_equal(name, "second");
  hang_up(c);
  unlink(f->private_key);
  assert_int_equal(server_reload_tls(f->server, why, sizeof why), -1);
  assert_non_null(strstr(why, f->private_key));
  c = dial(f);
  secure(c, 0, "\x08http/1.1", 9);
  assert_true(handshake(c)); /* the old pair still serves */
  hang_up(c);
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
      cmocka_unit_test(test_connections_are_bounded),
      cmocka_unit_test(test_stop_listening),
      cmocka_unit_test(test_listen_says_why_not),
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
      cmocka_unit_test(test_destroy_with_open_connections),
      cmocka_unit_test(test_loop_lag_marks_reads),
      cmocka_unit_test(test_tls_request_and_websocket),
      cmocka_unit_test(test_tls_12_yes_11_no),
      cmocka_unit_test(test_tls_records_of_one_read_share_its_moment),
      cmocka_unit_test(test_tls_large_both_ways),
      cmocka_unit_test(test_tls_handshake_timeout_ends_with_it),
      cmocka_unit_test(test_tls_reload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
