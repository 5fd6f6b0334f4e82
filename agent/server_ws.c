/* A connection that became a WebSocket: the upgrade, pings both ways, the closing handshake. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "agent/clock.h"
#include "agent/server_internal.h"
#include "agent/tcp_look.h"

bool ws_wanted(struct conn *c) {
  const struct http_request *request = http1_request(c->http);
  return strcmp(request->method, "GET") == 0 && http1_is_version_11(c->http) &&
         http_header_has(request, "Upgrade", "websocket") &&
         http_header_has(request, "Connection", "upgrade");
}

static void send_control(struct conn *c, enum rfc6455_opcode opcode, const char *payload, size_t bytes) {
  uint8_t header[RFC6455_HEADER_MAX_BYTES];
  size_t header_bytes = rfc6455_header(header, opcode, bytes, NULL);

  if (conn_put(c, header, header_bytes) && conn_put(c, payload, bytes)) conn_flush(c);
}

static void send_close(struct conn *c, int code, const char *reason) {
  char payload[RFC6455_CONTROL_MAX_BYTES];
  send_control(c, RFC6455_OP_CLOSE, payload, rfc6455_close_payload(payload, code, reason));
}

void ws_tell_closed(struct conn *c, const struct moment *at, int code) {
  const struct server_handlers *handlers = &c->listener->handlers;

  if (c->told_closed) return;
  c->told_closed = true;
  if (handlers->closed && !c->server->dying) handlers->closed(handlers->arg, c->id, at, code);
}

/* ---- the upgrade (RFC 6455 4.2) ---- */

static void switch_protocols(struct conn *c, const char *accept) {
  char text[160];
  int bytes = snprintf(text, sizeof text,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
  http1_free(c->http);
  c->http = NULL;
  rfc6455_init(&c->ws, RFC6455_SERVER, c->listener->message_max_bytes);
  c->last_rx_ms = c->last_ping_ms = c->ping_checked_ms = clock_mono_us() / 1000;
  conn_set_state(c, CONN_WEBSOCKET);
  if (conn_put(c, text, (size_t)bytes)) conn_flush(c);
  if (c->close_code) ws_close(c, c->close_code, c->close_reason);
}

void ws_upgrade(struct conn *c, const struct moment *at) {
  const struct server_handlers *handlers = &c->listener->handlers;
  const struct http_request *request = http1_request(c->http);
  char accept[RFC6455_ACCEPT_BYTES];
  size_t keys, versions;
  const char *key = http_header(request, "Sec-WebSocket-Key", &keys);
  const char *version = http_header(request, "Sec-WebSocket-Version", &versions);

  c->in_request = false;
  if (versions != 1 || strcmp(version, "13") != 0) {
    conn_refuse_counted(c, 426, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    return;
  }
  if (keys != 1 || !rfc6455_accept(key, accept)) {
    conn_refuse_counted(c, 400, NULL);
    return;
  }
  c->upgraded = true;
  conn_set_state(c, CONN_ANSWERING);
  int status = handlers->upgrade ? handlers->upgrade(handlers->arg, c->id, at, request) : 404;
  if (status != 0) {
    c->upgraded = false;
    conn_refuse(c, status, NULL);
    return;
  }
  switch_protocols(c, accept);
}

/* ---- frames ---- */

/* Only the newest ping is answered when the peer does not read (5.5.3): nothing piles up. */
static void answer_ping(struct conn *c, const struct rfc6455_item *item) {
  if (c->state != CONN_WEBSOCKET) return; /* behind our close frame nothing may follow */
  if (!c->blocked && c->out_bytes == 0) {
    send_control(c, RFC6455_OP_PONG, item->data, item->bytes);
    return;
  }
  c->pong_bytes = (int)item->bytes;
  if (item->bytes > 0) memcpy(c->pong, item->data, item->bytes);
}

void ws_flush_pong(struct conn *c) {
  if (c->pong_bytes < 0 || c->blocked || c->out_bytes > 0) return;
  size_t bytes = (size_t)c->pong_bytes;
  c->pong_bytes = -1;
  if (c->state == CONN_WEBSOCKET) send_control(c, RFC6455_OP_PONG, c->pong, bytes);
}

/* The payload names the ping: a peer may answer an older one, or none at all (5.5.3). A pong that lay there
 * while our own loop was busy tells of us, not of the way. */
static void on_pong(struct conn *c, const struct moment *at, const struct rfc6455_item *item) {
  if (c->ping_sent_us == 0 || item->bytes != sizeof c->ping_id ||
      memcmp(item->data, &c->ping_id, sizeof c->ping_id) != 0)
    return;
  int64_t rtt_us = at->mono_us - c->ping_sent_us;
  c->ping_sent_us = 0;
  if (at->self_delayed || rtt_us < 0) return;
  if (c->pongs++ == 0 || (uint64_t)rtt_us < c->pong_min_us) c->pong_min_us = (uint64_t)rtt_us;
  if ((uint64_t)rtt_us > c->pong_max_us) c->pong_max_us = (uint64_t)rtt_us;
  c->pong_sum_us += (uint64_t)rtt_us;
}

static void look_at_tcp(struct conn *c, struct socket_evidence *out) {
  struct tcp_look now;
  out->tcp = tcp_look(lws_get_socket_fd(c->wsi), &now);
  if (!out->tcp) return;
  out->tcp_rtt_us = now.rtt_us;
  out->tcp_rtt_min_us = now.rtt_min_us;
  out->tcp_rtt_var_us = now.rtt_var_us;
  out->queued_bytes = now.queued_bytes;
  out->out_of_order_segments = now.out_of_order_segments - c->looked_segments;
  out->tcp_bytes = now.bytes_received - c->looked_bytes;
  c->looked_segments = now.out_of_order_segments;
  c->looked_bytes = now.bytes_received;
}

bool server_ws_look(struct server *s, conn_id id, struct socket_evidence *out) {
  struct conn *c = conn_find(s, id);
  *out = (struct socket_evidence){.tcp = false};
  if (c == NULL || c->state != CONN_WEBSOCKET) return false;
  look_at_tcp(c, out);
  out->pongs = c->pongs;
  out->pong_sum_us = c->pong_sum_us;
  out->pong_min_us = c->pong_min_us;
  out->pong_max_us = c->pong_max_us;
  c->pongs = c->pong_sum_us = c->pong_min_us = c->pong_max_us = 0;
  return out->tcp || out->pongs > 0;
}

static void on_close_frame(struct conn *c, const struct moment *at, int code) {
  if (c->state == CONN_WEBSOCKET) send_close(c, code, NULL);
  conn_leave(c);
  ws_tell_closed(c, at, code);
}

static void on_fault(struct conn *c, const struct moment *at, const struct rfc6455_item *item) {
  const struct server_handlers *handlers = &c->listener->handlers;
  bool theirs = item->code != RFC6455_INTERNAL;
  if (theirs && handlers->failed && !c->server->dying) handlers->failed(handlers->arg, c->id, at, item->code);
  if (c->state == CONN_WEBSOCKET) send_close(c, item->code, item->fault);
  conn_leave(c);
  ws_tell_closed(c, at, RFC6455_ABNORMAL);
}

void ws_input(struct conn *c, const struct moment *at, char *data, size_t bytes) {
  const struct server_handlers *handlers = &c->listener->handlers;
  struct rfc6455_item item;
  size_t used;

  c->last_rx_ms = at->mono_us / 1000;
  while (c->state == CONN_WEBSOCKET || c->state == CONN_WS_CLOSING) {
    enum rfc6455_kind kind = rfc6455_next(&c->ws, data, bytes, &used, &item);
    data += used, bytes -= used;
    switch (kind) {
      case RFC6455_MORE:
        return;
      case RFC6455_MESSAGE:
        c->messages_come = true;
        if (handlers->message)
          handlers->message(handlers->arg, c->id, at, item.text, item.utf8, item.data, item.bytes);
        break;
      case RFC6455_PING:
        answer_ping(c, &item);
        break;
      case RFC6455_PONG:
        on_pong(c, at, &item);
        break;
      case RFC6455_CLOSE:
        on_close_frame(c, at, item.code);
        return;
      case RFC6455_FAULT:
        on_fault(c, at, &item);
        return;
    }
  }
}

void ws_close(struct conn *c, int code, const char *reason) {
  if (c->state == CONN_ANSWERING && c->upgraded) { /* inside the upgrade handler: behind the 101 */
    c->close_code = code;
    snprintf(c->close_reason, sizeof c->close_reason, "%s", reason ? reason : "");
    return;
  }
  if (c->state != CONN_WEBSOCKET) return;
  conn_set_state(c, CONN_WS_CLOSING);
  send_close(c, code, reason);
}

/* ---- time ---- */

static bool ping_due(const struct conn *c, int64_t now_ms) {
  const struct server_limits *limits = &c->server->limits;
  int64_t every_ms = c->messages_come ? limits->ws_ping_busy_ms : limits->ws_ping_ms;
  return now_ms >= c->last_ping_ms + every_ms;
}

static void send_ping(struct conn *c) {
  if (c->blocked || c->out_bytes > 0) return; /* it would wait here, and its pong tell of that */
  c->ping_id++;
  c->ping_sent_us = clock_mono_us();
  send_control(c, RFC6455_OP_PING, (const char *)&c->ping_id, sizeof c->ping_id);
}

int64_t ws_deadline_ms(const struct conn *c) {
  const struct server_limits *limits = &c->server->limits;
  if (c->state == CONN_WS_CLOSING) return c->since_ms + limits->ws_close_ms;
  int64_t check = c->ping_checked_ms + limits->ws_ping_busy_ms,
          silence = c->last_rx_ms + limits->ws_silence_ms;
  return check < silence ? check : silence;
}

/* We were busy, or stopped, ourselves: what lies in the socket was said in time. */
static bool bytes_wait(const struct conn *c) {
  int bytes = 0;
  return !c->blocked && ioctl(lws_get_socket_fd(c->wsi), FIONREAD, &bytes) == 0 && bytes > 0;
}

void ws_timeout(struct conn *c, int64_t now_ms) {
  if (c->state == CONN_WEBSOCKET && now_ms >= c->last_rx_ms + c->server->limits.ws_silence_ms &&
      bytes_wait(c))
    c->last_rx_ms = now_ms;
  if (c->state == CONN_WS_CLOSING || now_ms >= c->last_rx_ms + c->server->limits.ws_silence_ms) {
    conn_kill(c);
    return;
  }
  bool due = ping_due(c, now_ms);
  c->ping_checked_ms = now_ms;
  c->messages_come = false;
  if (due) {
    c->last_ping_ms = now_ms;
    send_ping(c);
  }
  conn_arm(c);
}
