/* One connection: its output, its deadline, and HTTP until an upgrade takes it away.
 *
 *   READING -> ANSWERING -> (WRITING) -> READING ...      keep-alive
 *      |           '-> LEAVING                             the answer was the last one
 *      '-> WEBSOCKET -> (WS_CLOSING) -> LEAVING            agent/server_ws.c
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/clock.h"
#include "agent/server_internal.h"

enum { OUT_FIRST_BYTES = 512, OUT_KEEP_BYTES = 64 * 1024, WRITE_BYTES = 32 * 1024 };

/* ---- life ---- */

static void on_timer(uv_timer_t *timer);

struct conn *conn_create(struct listener *l, bool loopback) {
  struct server *s = l->server;
  if (s->free_count == 0) return NULL;
  struct conn *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  uint32_t slot = s->free_slots[--s->free_count];

  c->id = ++s->serial * s->limits.connections_max + slot;
  c->server = s;
  c->listener = l;
  c->loopback = loopback;
  c->pong_bytes = -1;
  s->slots[slot] = c;
  s->connection_count++;
  uv_timer_init(s->loop, &c->timer);
  c->timer.data = c;
  s->open_handles++;
  conn_set_state(c, CONN_READING);
  return c;
}

static void on_timer_closed(uv_handle_t *timer) {
  struct conn *c = timer->data;
  c->server->open_handles--;
  free(c);
}

void conn_free(struct conn *c) {
  server_forget(c);
  http1_free(c->http);
  rfc6455_release(&c->ws);
  free(c->out);
  uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void conn_kill(struct conn *c) {
  if (c->wsi && !c->close_seen) lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
}

void conn_closed(struct conn *c) {
  c->close_seen = true;
  uv_timer_stop(&c->timer);
  if (c->upgraded && !c->told_closed) {
    struct moment at = server_moment(c->server);
    ws_tell_closed(c, &at, RFC6455_ABNORMAL);
  }
}

/* ---- deadlines ---- */

static int64_t deadline_ms(const struct conn *c) {
  const struct server *s = c->server;
  const struct server_limits *limits = &s->limits;

  switch (c->state) {
    case CONN_READING:
      if (c->in_request) return c->since_ms + limits->request_max_ms;
      return s->stopping ? c->since_ms : c->since_ms + limits->idle_max_ms;
    case CONN_ANSWERING:
      return 0; /* the handler's business */
    case CONN_WRITING:
      return c->since_ms + limits->write_max_ms;
    case CONN_WEBSOCKET:
    case CONN_WS_CLOSING:
      return ws_deadline_ms(c);
    case CONN_LEAVING:
      return c->since_ms + (c->shut ? limits->linger_ms : limits->write_max_ms);
  }
  return 0;
}

/* A timer that would fire too early is left alone: it looks at the deadline again. So a request costs none. */
void conn_arm(struct conn *c) {
  int64_t due = deadline_ms(c);
  if (c->close_seen || due == 0 || (c->timer_due_ms && c->timer_due_ms <= due)) return;
  int64_t left = due - clock_mono_us() / 1000;

  c->timer_due_ms = due;
  uv_timer_start(&c->timer, on_timer, left > 0 ? (uint64_t)left : 0, 0);
}

void conn_set_state(struct conn *c, enum conn_state state) {
  c->state = state;
  c->since_ms = clock_mono_us() / 1000;
  conn_arm(c);
}

static void on_timer(uv_timer_t *timer) {
  struct conn *c = timer->data;
  int64_t now = clock_mono_us() / 1000, due = deadline_ms(c);

  c->timer_due_ms = 0;
  if (due == 0) return;
  if (now < due) {
    conn_arm(c);
    return;
  }
  switch (c->state) {
    case CONN_READING:
      if (c->in_request)
        conn_refuse_counted(c, 408, NULL);
      else
        conn_leave(c);
      return;
    case CONN_WEBSOCKET:
    case CONN_WS_CLOSING:
      ws_timeout(c, now);
      return;
    default:
      conn_kill(c);
  }
}

/* ---- output ---- */

static void drop_output(struct conn *c) {
  c->out_bytes = c->out_sent = 0;
  if (c->out_capacity <= OUT_KEEP_BYTES) return;
  free(c->out);
  c->out = NULL;
  c->out_capacity = 0;
}

/* The socket is of no use any more: closed from the timer, since this may be libwebsockets' own callback. */
static void give_up(struct conn *c) {
  drop_output(c);
  c->shut = true;
  conn_set_state(c, CONN_LEAVING);
  c->since_ms -= c->server->limits.linger_ms;
  conn_arm(c);
}

static bool reserve_output(struct conn *c, size_t bytes) {
  size_t need = LWS_PRE + c->out_bytes + bytes;
  if (need <= c->out_capacity) return true;
  size_t capacity = c->out_capacity ? c->out_capacity : OUT_FIRST_BYTES;
  while (capacity < need) capacity *= 2;
  char *grown = realloc(c->out, capacity);
  if (!grown) {
    give_up(c);
    return false;
  }
  c->out = grown;
  c->out_capacity = capacity;
  return true;
}

bool conn_put(struct conn *c, const void *data, size_t bytes) {
  if (!reserve_output(c, bytes)) return false;
  if (bytes > 0) memcpy(c->out + LWS_PRE + c->out_bytes, data, bytes);
  c->out_bytes += bytes;
  return true;
}

static void next_request(struct conn *c) {
  http1_next(c->http);
  conn_set_state(c, CONN_READING);
}

static void shut_our_side(struct conn *c) {
  tls_goodbye(c);
  shutdown(lws_get_socket_fd(c->wsi), SHUT_WR);
  c->shut = true;
  conn_set_state(c, CONN_LEAVING);
}

void conn_flush(struct conn *c) {
  while (!c->blocked && c->out_sent < c->out_bytes) {
    size_t left = c->out_bytes - c->out_sent;
    size_t piece = left < WRITE_BYTES ? left : WRITE_BYTES;
    if (lws_write(c->wsi, (unsigned char *)c->out + LWS_PRE + c->out_sent, piece, LWS_WRITE_RAW) < 0) {
      give_up(c);
      return;
    }
    c->out_sent += piece; /* libwebsockets keeps what the socket did not take */
    if (!lws_partial_buffered(c->wsi)) continue;
    /* It reads nothing while it holds a rest, yet polls for input: without this it would spin. */
    c->blocked = true;
    lws_rx_flow_control(c->wsi, 0);
    lws_callback_on_writable(c->wsi);
  }
  if (c->blocked || c->out_sent < c->out_bytes) return;
  drop_output(c);
  if (c->state == CONN_WRITING && !c->in_handler) {
    if (c->last_request)
      conn_set_state(c, CONN_LEAVING); /* more came while the answer was on its way, and was dropped */
    else
      next_request(c);
  }
  if (c->state == CONN_LEAVING && !c->shut) shut_our_side(c);
}

void conn_writable(struct conn *c) {
  if (lws_partial_buffered(c->wsi)) return;
  if (c->blocked) {
    c->blocked = false;
    lws_rx_flow_control(c->wsi, 1);
  }
  conn_flush(c);
  ws_flush_pong(c);
}

void conn_leave(struct conn *c) {
  if (c->state == CONN_LEAVING) return;
  conn_set_state(c, CONN_LEAVING);
  conn_flush(c);
}

/* ---- HTTP ---- */

void conn_reply(struct conn *c, int status, const char *content_type, const char *extra, const char *body,
                size_t body_bytes) {
  const char *method = http1_request(c->http)->method; /* NULL: the head never came */
  const struct http1_response response = {
      .status = status,
      .content_type = content_type,
      .extra = extra,
      .body_bytes = body_bytes,
      .close = c->last_request || c->server->stopping || !http1_keep_alive(c->http),
      .version_10 = !http1_is_version_11(c->http),
  };
  size_t head_bytes = http1_response_head(NULL, 0, &response);

  if (!reserve_output(c, head_bytes + 1 + body_bytes)) return;
  http1_response_head(c->out + LWS_PRE + c->out_bytes, head_bytes + 1, &response);
  c->out_bytes += head_bytes;
  if (!method || strcmp(method, "HEAD") != 0) conn_put(c, body, body_bytes);
  c->in_request = false;
  if (response.close) {
    conn_leave(c);
  } else {
    conn_set_state(c, CONN_WRITING);
    conn_flush(c);
  }
}

void conn_refuse(struct conn *c, int status, const char *extra) {
  c->last_request = true;
  conn_reply(c, status, NULL, extra, NULL, 0);
}

void conn_refuse_counted(struct conn *c, int status, const char *extra) {
  const struct server_handlers *handlers = &c->listener->handlers;
  if (handlers->refused && !c->server->dying) handlers->refused(handlers->arg, status);
  conn_refuse(c, status, extra);
}

/* `left`: bytes of this read that the parser has not seen; one of them ends the head. */
static void on_head(struct conn *c, size_t left) {
  const struct server_handlers *handlers = &c->listener->handlers;
  struct http_request *request = http1_request(c->http);
  const char *allow = NULL;
  char line[128];

  request->loopback = c->loopback;
  if (ws_wanted(c)) {
    if (http1_has_body(c->http)) conn_refuse_counted(c, 400, NULL);
    return;
  }
  int status = handlers->headers ? handlers->headers(handlers->arg, request, &allow) : 0;
  if (status != 0) {
    if (allow) snprintf(line, sizeof line, "Allow: %s\r\n", allow);
    conn_refuse(c, status, allow ? line : NULL);
    return;
  }
  c->want_continue = http1_expects_continue(c->http) && http1_has_body(c->http) && left <= 1;
}

static void on_request(struct conn *c, const struct moment *at, const char *rest, size_t rest_bytes) {
  const struct server_handlers *handlers = &c->listener->handlers;

  c->in_request = c->want_continue = false;
  /* An empty line behind a body is an old habit of clients, not a request. */
  while (rest_bytes > 0 && (*rest == '\r' || *rest == '\n')) rest++, rest_bytes--;
  if (rest_bytes > 0) c->last_request = true;
  conn_set_state(c, CONN_ANSWERING);
  c->in_handler = true; /* the request stays in place, even when it is answered in there */
  handlers->request(handlers->arg, c->id, at, http1_request(c->http));
  c->in_handler = false;
  if (c->state == CONN_WRITING) conn_flush(c);
}

/* Returns how many bytes it took; fewer than all only when the connection is a WebSocket from there on. */
static size_t http_input(struct conn *c, const struct moment *at, const char *data, size_t bytes) {
  size_t taken = 0, used;

  while (taken < bytes && c->state == CONN_READING) {
    enum http1_state got = http1_feed(c->http, data + taken, bytes - taken, &used);
    taken += used;
    if (!c->in_request && http1_begun(c->http)) {
      c->in_request = true;
      conn_set_state(c, CONN_READING);
    }
    if (got == HTTP1_HEAD) on_head(c, bytes - taken);
    if (got == HTTP1_BAD) conn_refuse_counted(c, http1_status(c->http), NULL);
    if (got != HTTP1_DONE) continue;
    if (ws_wanted(c)) {
      ws_upgrade(c, at);
      return c->upgraded ? taken : bytes;
    }
    on_request(c, at, data + taken, bytes - taken);
  }
  if (c->state == CONN_READING && c->want_continue) {
    static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->want_continue = false;
    if (conn_put(c, CONTINUE, sizeof CONTINUE - 1)) conn_flush(c);
  }
  return bytes;
}

static bool is_blank(const char *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (data[i] != '\r' && data[i] != '\n') return false;
  return true;
}

void conn_input(struct conn *c, const struct moment *at, char *data, size_t bytes) {
  if (c->state == CONN_READING) {
    const struct http1_limits limits = {c->server->limits.head_max_bytes, c->server->limits.body_max_bytes};
    if (!c->http) c->http = http1_create(&limits);
    if (!c->http) {
      give_up(c);
      return;
    }
    size_t taken = http_input(c, at, data, bytes);
    data += taken, bytes -= taken;
  } else if ((c->state == CONN_ANSWERING || c->state == CONN_WRITING) && !is_blank(data, bytes)) {
    c->last_request = true;
  }
  if (bytes > 0 && (c->state == CONN_WEBSOCKET || c->state == CONN_WS_CLOSING)) ws_input(c, at, data, bytes);
}
