/* Inside the server: what the agent/server*.c files share. Nobody else's. */
#ifndef AGENT_SERVER_INTERNAL_H
#define AGENT_SERVER_INTERNAL_H

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/http1.h"
#include "agent/rfc6455.h"
#include "agent/server.h"

struct listener {
  struct listener *next;
  struct server *server;
  struct server_handlers handlers;
  size_t message_max_bytes;
  char *name, *certificate, *private_key; /* owned; the last two NULL: no TLS */
  int fd;
  uv_poll_t poll;
  uv_timer_t pause; /* out of descriptors: accept() again a little later */
  struct lws_vhost *vhost;
  SSL_CTX *tls; /* libwebsockets owns it; NULL: no TLS */
};

struct server {
  uv_loop_t *loop;
  struct server_limits limits;
  struct lws_context *context; /* libwebsockets sets it to NULL when it is gone for good */
  struct listener *listeners;
  struct listener *creating; /* the vhost that lws_create_vhost() is making is this one's */
  bool stopping, dying;
  size_t open_handles; /* uv handles of ours that are not closed yet */
  /* Connections by slot; an id is its slot and a serial number. */
  struct conn **slots;
  uint32_t *free_slots;
  size_t free_count, connection_count;
  uint64_t serial;
  /* Time. */
  uv_timer_t lag_timer;
  int64_t lag_due_us, lag_us;
  uint64_t read_ordinal;
  char *tls_buffer; /* for the records that follow the first of a read */
};

/* What a connection is doing. */
enum conn_state {
  CONN_READING,   /* between requests, or inside one */
  CONN_ANSWERING, /* the handler has the request */
  CONN_WRITING,   /* the peer is slow to read the answer: we do not read either */
  CONN_WEBSOCKET,
  CONN_WS_CLOSING, /* our close frame is out, the peer's is not in */
  CONN_LEAVING     /* the last bytes go out, then our side is shut; input is dropped */
};

struct conn {
  conn_id id;
  struct server *server;
  struct listener *listener;
  struct lws *wsi;
  enum conn_state state;
  bool loopback;
  bool heard;      /* the first byte behind a TLS handshake is in */
  bool close_seen; /* libwebsockets has closed it, and will say when it is gone */
  uv_timer_t timer;
  int64_t timer_due_ms; /* monotonic; 0: not running */
  int64_t since_ms;     /* when the state, or the request in it, began: the deadline's start */
  /* HTTP. */
  struct http1 *http;
  bool in_request;    /* its first byte is in, its last is not */
  bool in_handler;    /* request() is on the stack */
  bool want_continue; /* 100 Continue is owed, unless the body comes by itself */
  bool last_request;  /* bytes came before the answer, or the refusal of one: close behind it */
  /* WebSocket. */
  struct rfc6455 ws;
  bool upgraded, told_closed; /* the handler is being asked, or has accepted; closed() was called */
  int close_code;             /* asked for inside the upgrade handler; 0: not */
  char close_reason[RFC6455_CONTROL_MAX_BYTES];
  int64_t last_rx_ms, last_ping_ms, looked_ms;           /* looked: whether a ping is due */
  bool messages_come;                                    /* one has come since looked_ms */
  uint64_t ping_id;                                      /* of the newest ping, its payload */
  int64_t ping_sent_us;                                  /* monotonic; 0: none waits for its pong */
  uint64_t pongs, pong_sum_us, pong_min_us, pong_max_us; /* since the last server_ws_look() */
  uint64_t looked_segments, looked_bytes;                /* what the kernel had counted then */
  int pong_bytes; /* of the newest ping, not answered while output waits; -1: none */
  char pong[RFC6455_CONTROL_MAX_BYTES];
  /* Output, behind LWS_PRE bytes that libwebsockets wants to own. */
  char *out;
  size_t out_bytes, out_sent, out_capacity;
  bool blocked, shut; /* libwebsockets holds a rest; our side of the socket is shut */
};

/* ---- server.c ---- */
#define SERVER_PROTOCOL "sidetone" /* the name by which libwebsockets finds our callback */
extern const struct lws_protocols server_protocols[];
extern const lws_retry_bo_t server_no_hangup;
extern char server_lws_words[256]; /* its newest error line; "" before it is asked for something */
void server_handle_closed(uv_handle_t *handle); /* handle->data: the server */
struct moment server_moment(struct server *s);
/* NULL: it has gone. */
struct conn *conn_find(const struct server *s, conn_id id);
void server_forget(struct conn *c); /* frees the slot */

/* ---- server_listen.c ---- */
void listeners_stop(struct server *s);  /* no more accepts, ports free */
void listeners_close(struct server *s); /* their handles */
void listeners_free(struct server *s);

/* ---- server_conn.c: output, time and HTTP of one connection ---- */
struct conn *conn_create(struct listener *l, bool loopback);
/* Libwebsockets is done with it. */
void conn_free(struct conn *c);
void conn_input(struct conn *c, const struct moment *at, char *data, size_t bytes);
void conn_closed(struct conn *c);
void conn_writable(struct conn *c);
/* Appends to the output; false: no memory, and the connection is on its way out. */
bool conn_put(struct conn *c, const void *data, size_t bytes);
void conn_flush(struct conn *c);
/* Nothing more is read; closes once the output is out. */
void conn_leave(struct conn *c);
/* Closes now. Not inside a callback of libwebsockets for this connection. */
void conn_kill(struct conn *c);
/* Answers the request at hand; `extra` as in http1.h. */
void conn_reply(struct conn *c, int status, const char *content_type, const char *extra, const char *body,
                size_t body_bytes);
/* Answers without a body and leaves. */
void conn_refuse(struct conn *c, int status, const char *extra);
/* The same for what the listener's counters must hear of. */
void conn_refuse_counted(struct conn *c, int status, const char *extra);
/* The deadline of the state starts now. */
void conn_set_state(struct conn *c, enum conn_state state);
/* Sets the timer for the state's deadline. */
void conn_arm(struct conn *c);

/* ---- server_ws.c ---- */
bool ws_wanted(struct conn *c);
/* Answers an upgrade: 101 and CONN_WEBSOCKET, or a refusal. */
void ws_upgrade(struct conn *c, const struct moment *at);
void ws_input(struct conn *c, const struct moment *at, char *data, size_t bytes);
void ws_close(struct conn *c, int code, const char *reason);
void ws_flush_pong(struct conn *c);
void ws_tell_closed(struct conn *c, const struct moment *at, int code);
int64_t ws_deadline_ms(const struct conn *c);
void ws_timeout(struct conn *c, int64_t now_ms);

/* ---- server_tls.c ---- */
/* 0, or -1 with `why`: file and reason; then `tls` may hold one of them. */
int tls_load_files(SSL_CTX *tls, const char *certificate, const char *private_key, char *why,
                   size_t why_bytes);
void tls_harden(SSL_CTX *tls);
/* Reads on, into s->tls_buffer, what has already arrived behind the record libwebsockets read. Bytes; 0: no
 * more now; -1: the peer has ended. */
int tls_read_on(struct conn *c);
/* Says goodbye in TLS before the socket is shut. */
void tls_goodbye(struct conn *c);
enum { TLS_BUFFER_BYTES = 16 * 1024 }; /* the largest record */

#endif
