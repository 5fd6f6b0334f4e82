/* The server as a whole: its clock, its libwebsockets context with the one callback, its life. */
#include "agent/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/clock.h"
#include "agent/server_internal.h"

enum {
  READ_BYTES = 64 * 1024, /* the largest plain read; also what libwebsockets writes at once */
  RECORDS_A_TURN = 32,    /* TLS records of one connection before others have their turn */
  LAG_PERIOD_MS = 20,
  LAG_MARK_US = 5000, /* voice-quality.md 3.1 */
  OPEN_FILES = 65536,
  SPARE_TURNS = 4 /* of the loop, for handles that libwebsockets closes behind ours */
};

/* ---- time ---- */

/* The lag timer speaks of the turns before this one; a timer that is overdue right now, of this one. */
struct moment server_moment(struct server *s) {
  struct moment at = {
      .mono_us = clock_mono_us(), .wall_us = clock_wall_us(), .read_ordinal = ++s->read_ordinal};
  at.self_delayed = s->lag_us > LAG_MARK_US || at.mono_us - s->lag_due_us > LAG_MARK_US;
  return at;
}

static void on_lag_timer(uv_timer_t *timer) {
  struct server *s = timer->data;
  int64_t now = clock_mono_us();
  s->lag_us = now > s->lag_due_us ? now - s->lag_due_us : 0;
  s->lag_due_us = now + LAG_PERIOD_MS * 1000;
}

double server_loop_lag_seconds(const struct server *s) {
  return (double)s->lag_us / 1e6;
}

/* ---- connections by id ---- */

struct conn *conn_find(const struct server *s, conn_id id) {
  struct conn *c = s->slots[id % s->limits.connections_max];
  return c && c->id == id && !c->close_seen ? c : NULL;
}

void server_forget(struct conn *c) {
  struct server *s = c->server;
  uint32_t slot = (uint32_t)(c->id % s->limits.connections_max);
  s->slots[slot] = NULL;
  s->free_slots[s->free_count++] = slot;
  s->connection_count--;
}

size_t server_connections(const struct server *s) {
  return s->connection_count;
}

/* ---- libwebsockets ---- */

/* One read is one moment. With TLS, libwebsockets hands over one record a turn: the others that have come
 * with it are taken here, so that they share it. */
static int on_read(struct conn *c, char *data, size_t bytes) {
  struct server *s = c->server;
  struct moment at = server_moment(s);

  if (c->listener->tls && !c->heard) { /* its timeout for the handshake would go on and end the connection */
    c->heard = true;
    lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
  }
  conn_input(c, &at, data, bytes);
  if (!c->listener->tls) return 0;
  for (int i = 0; i < RECORDS_A_TURN && !c->blocked; i++) {
    int got = tls_read_on(c);
    if (got == 0) return 0;
    if (got < 0) return -1;
    conn_input(c, &at, s->tls_buffer, (size_t)got);
  }
  return 0;
}

/* What libwebsockets tells of a wsi without a connection of ours (its vhosts', at the start) is of no interest. */
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes) {
  if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
    struct server *s = lws_context_user(lws_get_context(wsi));
    s->creating->tls = user;
    tls_harden(user);
    return 0;
  }
  struct conn *c = wsi ? lws_get_opaque_user_data(wsi) : NULL;
  if (!c) return 0;
  switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
      c->wsi = wsi;
      return 0;
    case LWS_CALLBACK_RAW_RX:
      return on_read(c, in, bytes);
    case LWS_CALLBACK_RAW_WRITEABLE:
      conn_writable(c);
      return 0;
    case LWS_CALLBACK_RAW_CLOSE:
      conn_closed(c);
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      lws_set_opaque_user_data(wsi, NULL);
      conn_free(c);
      return 0;
    default:
      return 0;
  }
}

const struct lws_protocols server_protocols[] = {{.name = SERVER_PROTOCOL, .callback = on_event},
                                                 {.name = NULL}};
/* Its own keep-alive rules would hang up on a quiet peer: as far off as they go. */
const lws_retry_bo_t server_no_hangup = {.secs_since_valid_ping = UINT16_MAX - 1,
                                         .secs_since_valid_hangup = UINT16_MAX};

/* What it says when something fails is kept for `why`; the rest is dropped. */
char server_lws_words[256];
static void on_lws_log(int level, const char *line) {
  (void)level;
  snprintf(server_lws_words, sizeof server_lws_words, "%.*s", (int)strcspn(line, "\n"), line);
}

/* libwebsockets sizes its tables by the limit of open files, which is 1,024 in one place and 10^9 in another. */
static int create_context(struct server *s) {
  void *loops[] = {s->loop};
  const struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN_SERVER,
      .options =
          LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
      .foreign_loops = loops,
      .pt_serv_buf_size = READ_BYTES,
      .timeout_secs = s->limits.handshake_max_s,
      .user = s,
      .pcontext = &s->context,
      .retry_and_idle_policy = &server_no_hangup,
  };
  struct rlimit before, during;

  lws_set_log_level(LLL_ERR, on_lws_log);
  server_lws_words[0] = '\0';
  bool known = getrlimit(RLIMIT_NOFILE, &before) == 0;
  during = before;
  if (known) {
    during.rlim_cur = before.rlim_max < OPEN_FILES ? before.rlim_max : OPEN_FILES;
    setrlimit(RLIMIT_NOFILE, &during);
  }
  s->context = lws_create_context(&info);
  if (known && before.rlim_cur > during.rlim_cur) setrlimit(RLIMIT_NOFILE, &before);
  return s->context ? 0 : -1;
}

/* ---- the public face ---- */

static void set_default(int64_t *limit, int64_t value) {
  if (*limit == 0) *limit = value;
}

static void set_defaults(struct server_limits *limits) {
  set_default(&limits->idle_max_ms, 75 * 1000);
  set_default(&limits->write_max_ms, 30 * 1000);
  set_default(&limits->ws_ping_ms, 25 * 1000);
  set_default(&limits->ws_ping_busy_ms, 5 * 1000);
  if (limits->ws_ping_busy_ms > limits->ws_ping_ms) limits->ws_ping_busy_ms = limits->ws_ping_ms;
  set_default(&limits->ws_silence_ms, 90 * 1000);
  set_default(&limits->ws_close_ms, 5 * 1000);
  set_default(&limits->linger_ms, 2 * 1000);
  if (limits->handshake_max_s == 0) limits->handshake_max_s = 10;
  if (limits->connections_max == 0) limits->connections_max = 16384;
}

static void server_free(struct server *s) {
  listeners_free(s);
  free(s->slots);
  free(s->free_slots);
  free(s->tls_buffer);
  free(s);
}

int server_create(struct server **out, uv_loop_t *loop, const struct server_limits *limits, char *why,
                  size_t why_bytes) {
  struct server *s = calloc(1, sizeof *s);
  if (!s) goto no_memory;
  s->loop = loop;
  s->limits = *limits;
  set_defaults(&s->limits);
  s->slots = calloc(s->limits.connections_max, sizeof(struct conn *));
  s->free_slots = calloc(s->limits.connections_max, sizeof *s->free_slots);
  s->tls_buffer = malloc(TLS_BUFFER_BYTES);
  if (!s->slots || !s->free_slots || !s->tls_buffer) goto no_memory;
  while (s->free_count < s->limits.connections_max) {
    s->free_slots[s->free_count] = (uint32_t)(s->limits.connections_max - 1 - s->free_count);
    s->free_count++;
  }
  if (create_context(s) < 0) {
    snprintf(why, why_bytes, "libwebsockets: %s", *server_lws_words ? server_lws_words : "no context");
    server_free(s);
    return -1;
  }
  uv_timer_init(loop, &s->lag_timer);
  s->lag_timer.data = s;
  s->open_handles = 1;
  s->lag_due_us = clock_mono_us() + LAG_PERIOD_MS * 1000;
  uv_timer_start(&s->lag_timer, on_lag_timer, LAG_PERIOD_MS, LAG_PERIOD_MS);
  uv_unref((uv_handle_t *)&s->lag_timer);
  *out = s;
  return 0;

no_memory:
  if (s) server_free(s);
  snprintf(why, why_bytes, "out of memory");
  return -1;
}

void server_reply(struct server *s, conn_id conn, int status, const char *content_type, const char *body,
                  size_t body_bytes) {
  struct conn *c = conn_find(s, conn);
  if (c && c->state == CONN_ANSWERING && !c->upgraded)
    conn_reply(c, status, content_type, NULL, body, body_bytes);
}

void server_ws_close(struct server *s, conn_id conn, int code, const char *reason) {
  struct conn *c = conn_find(s, conn);
  if (c) ws_close(c, code, reason);
}

void server_stop_listening(struct server *s) {
  if (s->stopping) return;
  s->stopping = true;
  listeners_stop(s);
  for (size_t i = 0; i < s->limits.connections_max; i++) {
    if (s->slots[i]) conn_arm(s->slots[i]); /* idle ones are due now */
  }
}

void server_handle_closed(uv_handle_t *handle) {
  struct server *s = handle->data;
  s->open_handles--;
}

void server_destroy(struct server *s) {
  if (!s) return;
  server_stop_listening(s);
  s->dying = true;
  listeners_close(s);
  uv_close((uv_handle_t *)&s->lag_timer, server_handle_closed);
  /* The first call closes the sockets; once libuv has let go of them, the second frees the context. */
  lws_context_destroy(s->context);
  for (int spare = SPARE_TURNS; spare > 0; spare -= s->open_handles == 0) uv_run(s->loop, UV_RUN_NOWAIT);
  if (s->context) lws_context_destroy(s->context);
  server_free(s);
}
