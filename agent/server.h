/* HTTP/1.1 and WebSocket (RFC 6455) listeners on libwebsockets' raw sockets and libuv.
 *
 *   socket -> libwebsockets (TLS, polling) -> agent/server_conn.c -> agent/http1.c   -> handlers
 *                                                      | after an upgrade
 *                                             agent/server_ws.c   -> agent/rfc6455.c -> handlers
 *
 * One socket read is seen as one read, which the time metrics need (voice-quality.md 3.1). With TLS that is
 * all the records that had arrived when the socket was found readable.
 * Everything runs on the loop's thread. A connection is named by an id that is never used again, and never 0. */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/http1.h"

typedef uint64_t conn_id;

/* One reading of the clocks a socket read. */
struct moment {
  int64_t mono_us;       /* monotonic */
  int64_t wall_us;       /* epoch */
  uint64_t read_ordinal; /* of the socket read */
  bool self_delayed;     /* our loop lagged over 5 ms */
};

/* What a listener does with what arrives. All on the loop's thread; a handler may call server_reply() and
 * server_ws_close(), never server_destroy(). What a handler is shown lives until it returns. */
struct server_handlers {
  /* Headers are in, the body is not. 0: go on; else the status to refuse with (404, 405...): the
   * connection is closed behind it. `allow` may be set for the Allow header of a 405. NULL: takes all. */
  int (*headers)(void *arg, const struct http_request *request, const char **allow);
  /* A whole request. Answer with server_reply(), now or later. */
  void (*request)(void *arg, conn_id conn, const struct moment *at, const struct http_request *request);
  /* A valid WebSocket upgrade. 0 accepts; else the status to refuse with (401, 404). NULL: 404. */
  int (*upgrade)(void *arg, conn_id conn, const struct moment *at, const struct http_request *request);
  /* A whole message. `text` false: binary; `utf8` false: text that is not UTF-8. Comes after
   * server_ws_close() too, until the peer has closed. May be NULL. */
  void (*message)(void *arg, conn_id conn, const struct moment *at, bool text, bool utf8, const char *data,
                  size_t bytes);
  /* The WebSocket ended and no message follows; once for each accepted upgrade. Code as received, 1005 none
   * in the close frame, 1006 no close frame (also when we failed the connection: 1002, 1009...). May be NULL. */
  void (*closed)(void *arg, conn_id conn, const struct moment *at, int code);
  /* The peer broke RFC 6455 (1002) or sent too much (1009): we close with that code, closed() follows. May be
   * NULL. */
  void (*failed)(void *arg, conn_id conn, const struct moment *at, int code);
  /* A request that never got as far as request(): 400, 408, 413, 426, 431, 503 (memory) or 505. For
   * counters. May be NULL. */
  void (*refused)(void *arg, int status);
  void *arg;
};

struct server_listener {
  const char *name;                      /* "public", "admin" */
  const char *address;                   /* HOST:PORT, [v6]:PORT; port 0: the system chooses */
  const char *certificate, *private_key; /* PEM files, both NULL: no TLS */
  size_t message_max_bytes;              /* WebSocket message, over: 1009 */
  struct server_handlers handlers;
};

/* What a WebSocket's connection tells of the way to its peer (voice-quality.md 3.7, 4.1). The kernel's figures of round
 * trips come from what we send: little, but a ping every few seconds. */
struct socket_evidence {
  bool tcp;                                              /* the kernel answered; else its figures are 0 */
  uint32_t tcp_rtt_us, tcp_rtt_min_us, tcp_rtt_var_us;   /* smoothed; least and mean deviation, 0: unknown */
  uint64_t queued_bytes;                                 /* that have come and are not read */
  uint64_t out_of_order_segments, tcp_bytes;             /* that came since the last look */
  uint64_t pongs, pong_sum_us, pong_min_us, pong_max_us; /* the same: answered pings, their round trips */
};

struct server;
struct server_limits {
  size_t head_max_bytes;  /* request line and headers: 16 KiB */
  size_t body_max_bytes;  /* 1 MiB */
  int64_t request_max_ms; /* first byte to last: 10 s */
  /* 0 takes the default in brackets. */
  int64_t idle_max_ms;      /* a connection without a request [75 s] */
  int64_t write_max_ms;     /* a peer that does not read what we wrote [30 s] */
  int64_t ws_ping_ms;       /* our ping goes out this often [25 s], */
  int64_t ws_ping_busy_ms;  /* and this often while messages come [5 s] */
  int64_t ws_silence_ms;    /* a WebSocket without any byte is dropped [90 s] */
  int64_t ws_close_ms;      /* wait for the peer's half of the closing handshake [5 s] */
  int64_t linger_ms;        /* our side is shut, the peer's is not [2 s] */
  unsigned handshake_max_s; /* TLS handshake and the first byte behind it [10 s] */
  size_t connections_max;   /* more are closed at once [16384] */
};

/* 0, or -1 with `why`. Raises the process's soft limit of open files when it can. */
int server_create(struct server **out, uv_loop_t *loop, const struct server_limits *limits, char *why,
                  size_t why_bytes);
/* Copies what `listener` says. `bound` gets the address as HOST:PORT. 0, or -1 with `why` (address or file,
 * and the reason). May block for a host name; for the start only. */
int server_listen(struct server *s, const struct server_listener *listener, char *bound, size_t bound_bytes,
                  char *why, size_t why_bytes);
/* Whether the two PEM files can be used and belong together. 0, or -1 with `why` (file and reason). */
int server_check_tls(const char *certificate, const char *private_key, char *why, size_t why_bytes);
/* The listener of that name, which has TLS, reads certificate and key from these files, new ones or the same;
 * new connections get them. 0, or -1 with `why`: then it keeps what it had. */
int server_use_tls(struct server *s, const char *name, const char *certificate, const char *private_key,
                   char *why, size_t why_bytes);
/* Answers the pending request of `conn`; nothing happens when it has gone. Copies the body. A content_type of
 * NULL leaves the header out. */
void server_reply(struct server *s, conn_id conn, int status, const char *content_type, const char *body,
                  size_t body_bytes);
/* Starts the closing handshake of a WebSocket; nothing happens when it has gone or is closing. */
void server_ws_close(struct server *s, conn_id conn, int code, const char *reason);
/* For the one that listens to this WebSocket. False: it is none, or has gone. */
bool server_ws_look(struct server *s, conn_id conn, struct socket_evidence *out);
/* No more accepts; idle connections are closed, others after their answer. WebSockets stay. */
void server_stop_listening(struct server *s);
/* Drops every connection; no handler is called any more. Not from a handler, nor inside uv_run(): it runs the
 * loop itself until its own handles are closed. NULL is fine. */
void server_destroy(struct server *s);
/* The newest loop lag (actual less intended timer fire), seconds. */
double server_loop_lag_seconds(const struct server *s);
/* Connections open now, of any kind. */
size_t server_connections(const struct server *s);

#endif
