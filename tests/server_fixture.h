/* What the tests of agent/server*.c share: a server with handlers that write down what they see, and a client on
 * a real loopback socket, plain or TLS. One thread: each wait turns the server's loop. */
#ifndef TESTS_SERVER_FIXTURE_H
#define TESTS_SERVER_FIXTURE_H

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

enum { PATIENCE_MS = 30000, BIG_BYTES = 6 * 1024 * 1024, LOG_BYTES = 8192 };
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

static inline void note(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void note(struct fixture *f, const char *format, ...) {
  size_t at = strlen(f->log);
  va_list args;
  va_start(args, format);
  vsnprintf(f->log + at, sizeof f->log - at, format, args);
  va_end(args);
}

static inline int on_headers(void *arg, const struct http_request *request, const char **allow) {
  (void)arg;
  if (strcmp(request->path, "/none") == 0) return 404;
  if (strcmp(request->path, "/post") != 0 || strcmp(request->method, "POST") == 0) return 0;
  *allow = "POST";
  return 405;
}

static inline void on_request(void *arg, conn_id conn, const struct moment *at,
                              const struct http_request *request) {
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

static inline int on_upgrade(void *arg, conn_id conn, const struct moment *at,
                             const struct http_request *request) {
  struct fixture *f = arg;
  (void)at;
  note(f, "upgrade %s;", request->path);
  f->socket = conn;
  if (strcmp(request->path, "/no") == 0) return 401;
  if (strcmp(request->path, "/closing") == 0) server_ws_close(f->server, conn, 1008, "not you");
  return strcmp(request->path, "/none") == 0 ? 404 : 0;
}

static inline void on_message(void *arg, conn_id conn, const struct moment *at, bool text, bool utf8,
                              const char *data, size_t bytes) {
  struct fixture *f = arg;
  f->delayed = at->self_delayed;
  if (f->messages < 64) f->ordinals[f->messages++] = at->read_ordinal;
  note(f, "%s%s(%.*s);", text ? "text" : "binary", utf8 ? "" : "!", (int)(bytes < 40 ? bytes : 40), data);
  if (bytes == 8 && memcmp(data, "close me", 8) == 0) server_ws_close(f->server, conn, 1000, "bye");
}

static inline void on_closed(void *arg, conn_id conn, const struct moment *at, int code) {
  (void)at;
  (void)conn;
  note(arg, "closed %d;", code);
}

static inline void on_failed(void *arg, conn_id conn, const struct moment *at, int code) {
  (void)at;
  (void)conn;
  note(arg, "failed %d;", code);
}

static inline void on_refused(void *arg, int status) {
  note(arg, "refused %d;", status);
}

static const struct server_limits LIMITS = {
    .head_max_bytes = 16 * 1024,
    .body_max_bytes = 1024 * 1024,
    .request_max_ms = 60000, /* what a test does not speak of outlasts its patience */
    .idle_max_ms = 60000,
    .write_max_ms = 60000,
    .ws_close_ms = 60000,
    .linger_ms = 60000,
    .handshake_max_s = 60};

static inline void make_certificate(struct fixture *f, const char *name) {
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

static inline struct server_listener listener_of(struct fixture *f, bool tls) {
  return (struct server_listener){
      .name = "public",
      .address = "127.0.0.1:0",
      .certificate = tls ? f->certificate : NULL,
      .private_key = tls ? f->private_key : NULL,
      .message_max_bytes = 2 * 1024 * 1024,
      .handlers = {on_headers, on_request, on_upgrade, on_message, on_closed, on_failed, on_refused, f},
  };
}

static inline struct fixture *start(const struct server_limits *limits, bool tls) {
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

static inline void stop(struct fixture *f) {
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

static inline void turn(struct client *c);

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

static inline struct client *dial(struct fixture *f) {
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

static inline void hang_up(struct client *c) {
  if (c->ssl) SSL_free(c->ssl);
  if (c->tls) SSL_CTX_free(c->tls);
  ERR_clear_error();
  close(c->fd);
  free(c->got);
  free(c);
}

static inline void receive(struct client *c) {
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

static inline void turn(struct client *c) {
  uv_run(&c->f->loop, UV_RUN_NOWAIT);
  if (!c->ended) receive(c);
}

static inline void secure(struct client *c, int max_version, const char *alpn, size_t alpn_bytes) {
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
static inline bool handshake(struct client *c) {
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

static inline void say_bytes(struct client *c, const char *data, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    ssize_t n = c->ssl ? SSL_write(c->ssl, data + at, (int)(bytes - at))
                       : send(c->fd, data + at, bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) at += (size_t)n;
    if (n < 0 && !c->ssl && errno != EAGAIN && errno != EINTR)
      fail_msg("%zu of %zu bytes said: %s; log: %s", at, bytes, strerror(errno), c->f->log);
    uv_run(&c->f->loop, UV_RUN_NOWAIT);
  }
}

static inline void say(struct client *c, const char *text) {
  say_bytes(c, text, strlen(text));
}

static inline void clear(struct client *c) {
  c->got_bytes = 0;
  c->got[0] = '\0';
  c->f->log[0] = '\0';
  c->f->messages = 0;
}

/* Says it on a new connection; the answer up to the close must be this, and the handlers saw that. */
static inline void exchange(struct fixture *f, const char *text, const char *answer, const char *log) {
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

/* ---- a client's WebSocket ---- */

#define UPGRADE(path)                                                                      \
  "GET " path " HTTP/1.1\r\n" HOST                                                         \
  "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"       \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SWITCHED                                                                      \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static inline size_t frame(char *out, uint8_t first_byte, const char *payload, size_t bytes) {
  static const uint8_t MASK[4] = {1, 2, 3, 4};
  size_t header = rfc6455_header((uint8_t *)out, RFC6455_OP_TEXT, bytes, MASK);
  out[0] = (char)first_byte;
  memcpy(out + header, payload, bytes);
  rfc6455_mask(out + header, bytes, MASK, 0);
  return header + bytes;
}

static inline void say_frame(struct client *c, uint8_t first_byte, const char *payload, size_t bytes) {
  char *text = malloc(bytes + RFC6455_HEADER_MAX_BYTES);
  assert_non_null(text);
  say_bytes(c, text, frame(text, first_byte, payload, bytes));
  free(text);
}

static inline void upgrade(struct client *c, const char *request) {
  say(c, request);
  WAIT(c, c->got_bytes >= strlen(SWITCHED));
  assert_memory_equal(c->got, SWITCHED, strlen(SWITCHED));
  memmove(c->got, c->got + strlen(SWITCHED), c->got_bytes -= strlen(SWITCHED));
  c->got[c->got_bytes] = '\0';
}

static inline struct client *websocket(struct fixture *f) {
  struct client *c = dial(f);
  upgrade(c, UPGRADE("/media"));
  clear(c);
  return c;
}

/* What the server sent last and that it then ended the connection. */
static inline void expect_end(struct client *c, const char *bytes, size_t count) {
  WAIT(c, c->ended);
  assert_int_equal(c->got_bytes, count);
  assert_memory_equal(c->got, bytes, count);
}

#endif
