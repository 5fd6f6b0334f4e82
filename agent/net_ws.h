/* Media streams as Telnyx opens them (telnyx-protocol.md 1.2): WebSocket clients on libwebsockets and libuv.
 * What is sent waits in a queue until the handshake is done and the peer takes it. Pings are answered, what
 * the server sends is dropped. Everything is on the loop's thread. */
#ifndef AGENT_NET_WS_H
#define AGENT_NET_WS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/net_target.h"

enum net_ws_state {
  NET_WS_CONNECTING,
  NET_WS_OPEN,
  NET_WS_CLOSING, /* our close frame is on its way or out */
  NET_WS_ENDED
};

struct net_ws;

/* Sockets live as long as the client. To be read only, but for `noted`. */
struct net_ws_socket {
  struct net_ws_socket *next; /* opened before this one */
  char *name, *url;
  enum net_ws_state state;
  size_t queued, queued_bytes; /* frames */
  uint64_t sent;               /* frames handed to the system */
  uint64_t lost;               /* frames that never will be */
  int close_wanted;            /* code of net_ws_close(), 0: not asked yet */
  int close_got; /* code of the server's close frame, 1005 without one in it, 0: no frame came */
  bool synced;   /* the server has answered a ping behind everything that was sent */
  bool was_open;
  int status;    /* ENDED: of an answer that was no upgrade, 0: there was none */
  char why[160]; /* ENDED, and not by us: the reason */
  bool noted;    /* for the caller; starts false */
  struct net_ws_inside *inside;
};

/* `moved` is called when a socket opened or ended, its queue has room again, or a ping was answered. It must not
 * destroy the client. NULL with `why`. The target outlives the client. */
struct net_ws *net_ws_create(uv_loop_t *loop, const struct net_target *target, void (*moved)(void *arg),
                             void *arg, char *why, size_t why_bytes);
/* Drops what is still open. Runs the loop until its handles are closed; not from `moved`. */
void net_ws_destroy(struct net_ws *w);

/* Headers: an object of texts, or NULL. NULL: no memory. A failure to connect is seen as ENDED. */
struct net_ws_socket *net_ws_open(struct net_ws *w, const char *name, const char *path,
                                  const json_t *headers);
/* A text frame, copied. 0, or -1: no memory. Lost when the socket has ended or is to be closed. */
int net_ws_send(struct net_ws_socket *s, const char *text, size_t bytes);
bool net_ws_has_room(const struct net_ws_socket *s);
/* Behind what is queued. 1005: a close frame without a code; 1006: none, the connection is dropped. */
void net_ws_close(struct net_ws_socket *s, int code);
/* Makes every open socket `synced`, by a ping where it needs one. */
void net_ws_sync(struct net_ws *w);

struct net_ws_socket *net_ws_sockets(const struct net_ws *w); /* the newest first */

#endif
