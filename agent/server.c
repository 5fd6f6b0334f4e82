/* The server as a whole: its libwebsockets context, its listeners, its clock, and the one callback. */
#include "agent/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/listen.h"
#include "agent/server_internal.h"

enum {
  READ_BYTES = 64 * 1024, /* the largest plain read; also what libwebsockets writes at once */
  ACCEPTS_A_TURN = 64,
  ACCEPT_PAUSE_MS = 100,
  RECORDS_A_TURN = 32, /* TLS records of one connection before others have their turn */
  LAG_PERIOD_MS = 20,
  LAG_MARK_US = 5000, /* voice-quality.md 3.1 */
  OPEN_FILES = 65536,
  SPARE_TURNS = 4 /* of the loop, for handles that libwebsockets closes behind ours */
};

static const char PROTOCOL[] = "sidetone";

/* ---- time ---- */

static int64_t mono_us(void) {
  return (int64_t)(uv_hrtime() / 1000);
}

int64_t server_now_ms(const struct server *s) {
  (void)s;
  return mono_us() / 1000;
}

/* The lag timer speaks of the turns before this one; a timer that is overdue right now, of this one. */
struct moment server_moment(struct server *s) {
  struct timespec wall;
  struct moment at = {.mono_us = mono_us(), .read_ordinal = ++s->read_ordinal};

  clock_gettime(CLOCK_REALTIME, &wall);
  at.wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
  at.self_delayed = s->lag_us > LAG_MARK_US || at.mono_us - s->lag_due_us > LAG_MARK_US;
  return at;
}

static void on_lag_timer(uv_timer_t *timer) {
  struct server *s = timer->data;
  int64_t now = mono_us();
  s->lag_us = now > s->lag_due_us ? now - s->lag_due_us : 0;
  s->lag_due_us = now + LAG_PERIOD_MS * 1000;
}

double server_loop_lag_seconds(const struct server *s) {
  return (double)s->lag_us / 1e6;
}

/* ---- connections by id ---- */

struct conn *server_find(const struct server *s, conn_id id) {
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

static const struct lws_protocols PROTOCOLS[] = {{.name = PROTOCOL, .callback = on_event}, {.name = NULL}};
/* Its own keep-alive rules would hang up on a quiet peer: as far off as they go. */
static const lws_retry_bo_t NO_HANGUP = {.secs_since_valid_ping = UINT16_MAX - 1,
                                         .secs_since_valid_hangup = UINT16_MAX};

/* What it says when something fails is kept for `why`; the rest is dropped. */
static char lws_words[256];
static void on_lws_log(int level, const char *line) {
  (void)level;
  snprintf(lws_words, sizeof lws_words, "%.*s", (int)strcspn(line, "\n"), line);
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
      .user = s,
      .pcontext = &s->context,
      .retry_and_idle_policy = &NO_HANGUP,
  };
  struct rlimit before, during;

  lws_set_log_level(LLL_ERR, on_lws_log);
  lws_words[0] = '\0';
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

/* ---- listeners ---- */

static void on_unpause(uv_timer_t *timer);

static void adopt(struct listener *l, int fd, bool loopback) {
  static const int ON = 1;
  struct conn *c = conn_create(l, loopback);
  if (!c) {
    close(fd);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON);
  const lws_adopt_desc_t adoption = {
      .vh = l->vhost,
      .type = l->tls ? LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL : LWS_ADOPT_SOCKET,
      .fd.sockfd = fd,
      .vh_prot_name = PROTOCOL,
      .opaque = c,
  };
  /* When it fails early nothing is heard of it again; later, RAW_CLOSE has come and WSI_DESTROY will. */
  if (!lws_adopt_descriptor_vhost_via_info(&adoption) && !c->close_seen) conn_free(c);
}

static void on_connections(uv_poll_t *poll, int status, int events) {
  struct listener *l = poll->data;
  struct sockaddr_storage peer;

  (void)status;
  (void)events;
  for (int i = 0; i < ACCEPTS_A_TURN; i++) {
    socklen_t bytes = sizeof peer;
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      adopt(l, fd, address_is_loopback((struct sockaddr *)&peer));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      uv_poll_stop(&l->poll); /* the socket would stay readable and the loop would spin */
      uv_timer_start(&l->pause, on_unpause, ACCEPT_PAUSE_MS, 0);
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

static void on_unpause(uv_timer_t *timer) {
  struct listener *l = timer->data;
  uv_poll_start(&l->poll, UV_READABLE, on_connections);
}

static int create_vhost(struct server *s, struct listener *l, char *why, size_t why_bytes) {
  struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN_SERVER,
      .protocols = PROTOCOLS,
      .vhost_name = l->name,
      .retry_and_idle_policy = &NO_HANGUP,
  };
  if (l->certificate) {
    if (tls_check_files(l->certificate, l->private_key, why, why_bytes) < 0) return -1;
    info.options = LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.ssl_cert_filepath = l->certificate;
    info.ssl_private_key_filepath = l->private_key;
    info.alpn = "http/1.1";
  }
  lws_words[0] = '\0';
  s->creating = l;
  l->vhost = lws_create_vhost(s->context, &info);
  s->creating = NULL;
  if (l->vhost && !l->certificate == !l->tls) return 0;
  snprintf(why, why_bytes, "listener %s: %s", l->name, *lws_words ? lws_words : "libwebsockets refused it");
  return -1;
}

static void listener_free(struct listener *l) {
  if (!l) return;
  if (l->fd >= 0) close(l->fd);
  free(l->name);
  free(l->certificate);
  free(l->private_key);
  free(l);
}

static struct listener *listener_copy(struct server *s, const struct server_listener *from) {
  struct listener *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->fd = -1;
  l->server = s;
  l->handlers = from->handlers;
  l->message_max_bytes = from->message_max_bytes;
  l->name = strdup(from->name);
  l->certificate = from->certificate ? strdup(from->certificate) : NULL;
  l->private_key = from->private_key ? strdup(from->private_key) : NULL;
  if (l->name && !from->certificate == !l->certificate && !from->private_key == !l->private_key) return l;
  listener_free(l);
  return NULL;
}

int server_listen(struct server *s, const struct server_listener *listener, char *bound, size_t bound_bytes,
                  char *why, size_t why_bytes) {
  if (!listener->certificate != !listener->private_key) {
    snprintf(why, why_bytes, "listener %s: certificate and key come together", listener->name);
    return -1;
  }
  struct listener *l = listener_copy(s, listener);
  if (!l) {
    snprintf(why, why_bytes, "listener %s: out of memory", listener->name);
    return -1;
  }
  l->fd = listen_on(listener->address, bound, bound_bytes, why, why_bytes);
  if (l->fd < 0 || create_vhost(s, l, why, why_bytes) < 0) {
    listener_free(l); /* a vhost that was made goes with the context */
    return -1;
  }
  uv_poll_init(s->loop, &l->poll, l->fd);
  uv_timer_init(s->loop, &l->pause);
  s->open_handles += 2;
  l->poll.data = l->pause.data = l;
  l->next = s->listeners;
  s->listeners = l;
  uv_poll_start(&l->poll, UV_READABLE, on_connections);
  return 0;
}

int server_reload_tls(struct server *s, char *why, size_t why_bytes) {
  for (struct listener *l = s->listeners; l; l = l->next) {
    if (!l->tls) continue;
    if (tls_check_files(l->certificate, l->private_key, why, why_bytes) < 0) return -1;
    if (tls_load_files(l->tls, l->certificate, l->private_key, why, why_bytes) < 0) return -1;
  }
  return 0;
}

/* ---- the public face ---- */

static void set_default(int64_t *limit, int64_t value) {
  if (*limit == 0) *limit = value;
}

static void set_defaults(struct server_limits *limits) {
  set_default(&limits->idle_max_ms, 75 * 1000);
  set_default(&limits->write_max_ms, 30 * 1000);
  set_default(&limits->ws_ping_ms, 25 * 1000);
  set_default(&limits->ws_silence_ms, 90 * 1000);
  set_default(&limits->ws_close_ms, 5 * 1000);
  set_default(&limits->linger_ms, 2 * 1000);
  if (limits->connections_max == 0) limits->connections_max = 16384;
}

static void server_free(struct server *s) {
  while (s->listeners) {
    struct listener *next = s->listeners->next;
    listener_free(s->listeners);
    s->listeners = next;
  }
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
    snprintf(why, why_bytes, "libwebsockets: %s", *lws_words ? lws_words : "no context");
    server_free(s);
    return -1;
  }
  uv_timer_init(loop, &s->lag_timer);
  s->lag_timer.data = s;
  s->open_handles = 1;
  s->lag_due_us = mono_us() + LAG_PERIOD_MS * 1000;
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
  struct conn *c = server_find(s, conn);
  if (c && c->state == CONN_ANSWERING && !c->upgraded)
    conn_reply(c, status, content_type, NULL, body, body_bytes);
}

void server_ws_close(struct server *s, conn_id conn, int code, const char *reason) {
  struct conn *c = server_find(s, conn);
  if (c) ws_close(c, code, reason);
}

void server_stop_listening(struct server *s) {
  if (s->stopping) return;
  s->stopping = true;
  for (struct listener *l = s->listeners; l; l = l->next) {
    uv_poll_stop(&l->poll);
    uv_timer_stop(&l->pause);
    close(l->fd);
    l->fd = -1;
  }
  for (size_t i = 0; i < s->limits.connections_max; i++) {
    if (s->slots[i]) conn_arm(s->slots[i]); /* idle ones are due now */
  }
}

static void on_handle_closed(uv_handle_t *handle) {
  struct server *s = handle->data;
  s->open_handles--;
}

void server_destroy(struct server *s) {
  if (!s) return;
  server_stop_listening(s);
  s->dying = true;
  for (struct listener *l = s->listeners; l; l = l->next) {
    l->poll.data = l->pause.data = s;
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->pause, on_handle_closed);
  }
  uv_close((uv_handle_t *)&s->lag_timer, on_handle_closed);
  /* The first call closes the sockets; once libuv has let go of them, the second frees the context. */
  lws_context_destroy(s->context);
  for (int spare = SPARE_TURNS; spare > 0; spare -= s->open_handles == 0) uv_run(s->loop, UV_RUN_NOWAIT);
  if (s->context) lws_context_destroy(s->context);
  server_free(s);
}
