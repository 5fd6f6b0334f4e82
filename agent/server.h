/* HTTP/1.1 and WebSocket (RFC 6455) listeners on libwebsockets' raw sockets and libuv.
 *
 * libwebsockets accepts, encrypts and polls; HTTP messages are parsed by http_parser
 * (Debian's libhttp-parser), WebSocket frames by agent/rfc6455.c. So one socket read is seen as one
 * read, which the time metrics need (voice-quality.md 3.1).
 * Everything runs on the loop's thread. A connection is named by an id that is never used again. */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef uint64_t conn_id;

/* One reading of the clocks a socket read. */
struct moment {
  int64_t mono_us;       /* monotonic */
  int64_t wall_us;       /* epoch */
  uint64_t read_ordinal; /* of the socket read */
  bool self_delayed;     /* our loop lagged over 5 ms */
};

struct http_header {
  const char *name, *value; /* name as sent */
};

struct http_request {
  const char *method, *path; /* path without the query */
  const char *query;         /* "" when none */
  const struct http_header *headers;
  size_t header_count;
  const char *body;
  size_t body_bytes;
  bool loopback;             /* the peer's address */
};
/* The first header of that name (any case); *count (may be NULL) says how many there are. */
const char *http_header(const struct http_request *request, const char *name, size_t *count);

/* What a listener does with what arrives. All on the loop's thread. */
struct server_handlers {
  /* Headers are in, the body is not. 0: go on; else the status to refuse with (404, 405...).
   * `allow` may be set for the Allow header of a 405. */
  int (*headers)(void *arg, const struct http_request *request, const char **allow);
  /* A whole request. Answer with server_reply(), now or later. */
  void (*request)(void *arg, conn_id conn, const struct moment *at, const struct http_request *request);
  /* A valid WebSocket upgrade. 0 accepts; else the status to refuse with (401, 404). NULL: 404. */
  int (*upgrade)(void *arg, conn_id conn, const struct moment *at, const struct http_request *request);
  /* A whole message. `text` false: binary; `utf8` false: text that is not UTF-8. */
  void (*message)(void *arg, conn_id conn, const struct moment *at, bool text, bool utf8,
                  const char *data, size_t bytes);
  /* The socket is gone; code as received, 1005 none in the close frame, 1006 no close frame. */
  void (*closed)(void *arg, conn_id conn, const struct moment *at, int code);
  /* A request that never got as far as request(): 400, 408, 413, 431. For counters. */
  void (*refused)(void *arg, int status);
  void *arg;
};

struct server_listener {
  const char *name;            /* "public", "admin" */
  const char *address;         /* HOST:PORT, [v6]:PORT; port 0: the system chooses */
  const char *certificate, *private_key; /* PEM files, both NULL: no TLS */
  size_t message_max_bytes;    /* WebSocket message, over: 1009 */
  struct server_handlers handlers;
};

struct server;
struct server_limits {
  size_t head_max_bytes;  /* request line and headers: 16 KiB */
  size_t body_max_bytes;  /* 1 MiB */
  int64_t request_max_ms; /* first byte to last: 10 s */
};

/* 0, or -1 with `why` (address, reason). */
int server_create(struct server **out, uv_loop_t *loop, const struct server_limits *limits,
                  char *why, size_t why_bytes);
int server_listen(struct server *s, const struct server_listener *listener, char *bound,
                  size_t bound_bytes, char *why, size_t why_bytes);
/* Answers the pending request of `conn`; nothing happens when it has gone. */
void server_reply(struct server *s, conn_id conn, int status, const char *content_type,
                  const char *body, size_t body_bytes);
/* Starts the closing handshake of a WebSocket. */
void server_ws_close(struct server *s, conn_id conn, int code, const char *reason);
/* No more accepts; idle connections are closed. */
void server_stop_listening(struct server *s);
void server_destroy(struct server *s);
/* The newest loop lag (intended less actual timer fire), seconds. */
double server_loop_lag_seconds(const struct server *s);

#endif
