#include "agent/net_ws.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rfc6455.h"

enum {
  QUEUE_BYTES_MAX = 1 << 20,
  QUEUE_FRAMES_MAX = 2048,
  FRAMES_A_TURN = 64,
  READ_BYTES = 64 * 1024,
  HEAD_BYTES = 16 * 1024, /* a token has up to 4,000 characters */
  HANDSHAKE_S = 10,
  CLOSE_S = 5,
  LAST_TURNS = 8, /* of the loop; a handle needs two to close */
  FDS = 1024
};

struct message {
  struct message *next;
  size_t bytes;
  unsigned char data[]; /* LWS_PRE bytes that libwebsockets writes the frame's head into, then the text */
};

struct net_ws_inside {
  struct net_ws *client;
  struct lws *wsi;
  json_t *headers;
  struct message *first, **end;
  bool full; /* net_ws_has_room() said no: tell when there is */
  bool ping_wanted, ping_out, pinged_all;
};

struct net_ws {
  uv_loop_t *loop;
  const struct net_target *target;
  void (*moved)(void *arg);
  void *arg;
  struct lws_context *context;
  struct net_ws_socket *sockets;
};

/* ---- what a socket does ---- */

static void drop_queue(struct net_ws_socket *s) {
  struct net_ws_inside *in = s->inside;
  while (in->first != NULL) {
    struct message *m = in->first;
    in->first = m->next;
    free(m);
  }
  in->end = &in->first;
}

static void ended(struct net_ws_socket *s, const char *why) {
  if (s->state == NET_WS_ENDED) return;
  if (s->why[0] == '\0') snprintf(s->why, sizeof s->why, "%s", why);
  s->state = NET_WS_ENDED;
  s->inside->wsi = NULL;
  s->lost += s->queued;
  s->queued = s->queued_bytes = 0;
  drop_queue(s);
  s->inside->client->moved(s->inside->client->arg);
}

static void took_frame(struct net_ws_socket *s) {
  struct net_ws_inside *in = s->inside;
  struct message *m = in->first;
  in->first = m->next;
  if (in->first == NULL) in->end = &in->first;
  s->queued--;
  s->queued_bytes -= m->bytes;
  s->sent++;
  free(m);
}

/* A close frame of libwebsockets always carries a code, so ours is made here, masked with zeros, which hides
 * nothing but has nothing to hide. The wait for the answer is ours too. */
static int write_close(struct net_ws_socket *s) {
  static const uint8_t mask[4];
  struct net_ws_inside *in = s->inside;
  unsigned char frame[LWS_PRE + RFC6455_HEADER_MAX_BYTES + RFC6455_CONTROL_MAX_BYTES], *at = frame + LWS_PRE;
  char payload[RFC6455_CONTROL_MAX_BYTES];
  s->state = NET_WS_CLOSING;
  if (s->close_wanted == RFC6455_ABNORMAL) return -1; /* libwebsockets shuts the connection without a word */
  size_t payload_bytes = rfc6455_close_payload(payload, s->close_wanted, NULL);
  size_t header_bytes = rfc6455_header(at, RFC6455_OP_CLOSE, payload_bytes, mask);
  memcpy(at + header_bytes, payload, payload_bytes);
  if (lws_write(in->wsi, at, header_bytes + payload_bytes, LWS_WRITE_RAW) < 0) return -1;
  lws_set_timeout(in->wsi, PENDING_TIMEOUT_USER_OK, CLOSE_S);
  return 0;
}

static int write_ping(struct net_ws_socket *s) {
  struct net_ws_inside *in = s->inside;
  unsigned char nothing[LWS_PRE + 4] = {0};
  in->ping_wanted = false;
  in->ping_out = true;
  in->pinged_all = true;
  return lws_write(in->wsi, nothing + LWS_PRE, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
}

static int on_writable(struct net_ws_socket *s) {
  struct net_ws_inside *in = s->inside;
  if (s->state != NET_WS_OPEN) return 0;
  for (int i = 0; i < FRAMES_A_TURN && in->first != NULL && !lws_send_pipe_choked(in->wsi); i++) {
    struct message *m = in->first;
    if (lws_write(in->wsi, m->data + LWS_PRE, m->bytes, LWS_WRITE_TEXT) < (int)m->bytes) return -1;
    took_frame(s);
  }
  if (in->full && s->queued < QUEUE_FRAMES_MAX / 2 && s->queued_bytes < QUEUE_BYTES_MAX / 2) {
    in->full = false;
    in->client->moved(in->client->arg);
  }
  if (in->first != NULL) {
    lws_callback_on_writable(in->wsi);
    return 0;
  }
  if (s->close_wanted != 0) return write_close(s);
  if (in->ping_wanted && !in->ping_out) return write_ping(s);
  return 0;
}

static int on_pong(struct net_ws_socket *s) {
  struct net_ws_inside *in = s->inside;
  if (!in->ping_out) return 0;
  in->ping_out = false;
  s->synced = in->pinged_all;
  if (in->ping_wanted) lws_callback_on_writable(in->wsi);
  in->client->moved(in->client->arg);
  return 0;
}

static int on_head(struct net_ws_socket *s, char **at, size_t room) {
  const char *key;
  json_t *value;
  json_object_foreach(s->inside->headers, key, value) {
    if (!json_is_string(value)) continue;
    int length = snprintf(*at, room, "%s: %s\r\n", key, json_string_value(value));
    if (length < 0 || (size_t)length >= room) return -1;
    *at += length;
    room -= (size_t)length;
  }
  return 0;
}

static int on_open(struct net_ws_socket *s) {
  s->state = NET_WS_OPEN;
  s->was_open = true;
  lws_callback_on_writable(s->inside->wsi);
  s->inside->client->moved(s->inside->client->arg);
  return 0;
}

/* When our own close frame has gone out before, this is its answer. */
static int on_peer_close(struct net_ws_socket *s, const unsigned char *data, size_t bytes) {
  s->close_got = bytes >= 2 ? data[0] << 8 | data[1] : RFC6455_NO_CODE;
  return s->state == NET_WS_CLOSING ? -1 : 0;
}

static void on_refusal(struct net_ws_socket *s, const char *text, size_t bytes) {
  if (s->inside->wsi != NULL) s->status = (int)lws_http_client_http_response(s->inside->wsi);
  if (s->status > 0) {
    snprintf(s->why, sizeof s->why, "the server answered %d", s->status);
    ended(s, s->why);
    return;
  }
  char why[sizeof s->why];
  bool tls = memmem(text, bytes, "SSL", 3) != NULL;
  const char *what = tls ? "no TLS (is its certificate trusted for this host?)" : "no WebSocket handshake";
  snprintf(why, sizeof why, "%s: %.*s", what, (int)bytes, text);
  net_target_probe(s->inside->client->target, why, sizeof why);
  ended(s, why);
}

static void on_closed(struct net_ws_socket *s) {
  char why[64];
  if (s->state == NET_WS_CLOSING) {
    ended(s, "");
    return;
  }
  snprintf(why, sizeof why, "the server closed it (%d)", s->close_got != 0 ? s->close_got : RFC6455_ABNORMAL);
  ended(s, why);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes) {
  struct net_ws_socket *s = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
  (void)user;
  if (s == NULL || s->state == NET_WS_ENDED) return 0;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
      return on_head(s, in, bytes);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      s->inside->wsi = wsi;
      return on_open(s);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return on_writable(s);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
      return on_pong(s);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      return on_peer_close(s, in, bytes);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      s->inside->wsi = wsi;
      on_refusal(s, in != NULL ? in : "", in != NULL ? bytes : 0);
      return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
      on_closed(s);
      return 0;
    default:
      return 0;
  }
}

/* ---- the client ---- */

static const char PROTOCOL[] = "sidetone-replay";
static const struct lws_protocols PROTOCOLS[] = {
    {.name = PROTOCOL, .callback = on_event, .rx_buffer_size = READ_BYTES}, {.name = NULL}};
/* It would ping and hang up on its own account; Telnyx is not known to. */
static const lws_retry_bo_t NO_HANGUP = {.secs_since_valid_ping = UINT16_MAX - 1,
                                         .secs_since_valid_hangup = UINT16_MAX};

struct net_ws *net_ws_create(uv_loop_t *loop, const struct net_target *target, void (*moved)(void *arg),
                             void *arg, char *why, size_t why_bytes) {
  struct net_ws *w = calloc(1, sizeof *w);
  void *loops[] = {loop};
  if (w == NULL) {
    snprintf(why, why_bytes, "no memory");
    return NULL;
  }
  *w = (struct net_ws){.loop = loop, .target = target, .moved = moved, .arg = arg};
  const struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN,
      .options = LWS_SERVER_OPTION_LIBUV | (target->tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
      .foreign_loops = loops,
      .protocols = PROTOCOLS,
      .pt_serv_buf_size = READ_BYTES,
      .max_http_header_data = HEAD_BYTES,
      .fd_limit_per_thread = FDS, /* else it makes a table for as many as the system allows */
      .http_proxy_address = "",   /* else it takes one from the environment */
      .timeout_secs = HANDSHAKE_S,
      .connect_timeout_secs = HANDSHAKE_S,
      .pcontext = &w->context,
      .retry_and_idle_policy = &NO_HANGUP,
  };
  lws_set_log_level(0, NULL);
  w->context = lws_create_context(&info);
  if (w->context != NULL) return w;
  snprintf(why, why_bytes, "libwebsockets gives no context; is libwebsockets-evlib-uv installed?");
  free(w);
  return NULL;
}

static void socket_free(struct net_ws_socket *s) {
  if (s->inside != NULL) {
    drop_queue(s);
    json_decref(s->inside->headers);
  }
  free(s->inside);
  free(s->name);
  free(s->url);
  free(s);
}

void net_ws_destroy(struct net_ws *w) {
  if (w == NULL) return;
  /* The first call closes the sockets; once libuv has let go of them, the second frees the context. */
  lws_context_destroy(w->context);
  for (int i = 0; i < LAST_TURNS && w->context != NULL; i++) uv_run(w->loop, UV_RUN_NOWAIT);
  if (w->context != NULL) lws_context_destroy(w->context);
  while (w->sockets != NULL) {
    struct net_ws_socket *s = w->sockets;
    w->sockets = s->next;
    socket_free(s);
  }
  free(w);
}

struct net_ws_socket *net_ws_sockets(const struct net_ws *w) {
  return w->sockets;
}

static struct net_ws_socket *socket_make(struct net_ws *w, const char *name, const char *path,
                                         const json_t *headers) {
  const struct net_target *t = w->target;
  struct net_ws_socket *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->inside = calloc(1, sizeof *s->inside);
  s->name = strdup(name);
  int length = asprintf(&s->url, "%s://%s%s%s%s", t->tls ? "wss" : "ws", t->authority, t->prefix,
                        *path == '/' ? "" : "/", path);
  if (length < 0) s->url = NULL;
  if (s->inside == NULL || s->name == NULL || s->url == NULL) {
    socket_free(s);
    return NULL;
  }
  s->inside->client = w;
  s->inside->end = &s->inside->first;
  s->inside->headers = json_incref((json_t *)(uintptr_t)headers);
  s->synced = true;
  return s;
}

struct net_ws_socket *net_ws_open(struct net_ws *w, const char *name, const char *path,
                                  const json_t *headers) {
  const struct net_target *t = w->target;
  struct net_ws_socket *s = socket_make(w, name, path, headers);
  if (s == NULL) return NULL;
  int tls = LCCSCF_USE_SSL;
  if (!t->verify) {
    tls |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_EXPIRED |
           LCCSCF_ALLOW_INSECURE;
  }
  const struct lws_client_connect_info info = {
      .context = w->context,
      .address = t->host,
      .port = t->port,
      .ssl_connection = (t->tls ? tls : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
      .path = strstr(s->url, t->authority) + strlen(t->authority),
      .host = t->authority,
      .local_protocol_name = PROTOCOL,
      .alpn = "http/1.1",
      .pwsi = &s->inside->wsi,
      .opaque_user_data = s,
      .retry_and_idle_policy = &NO_HANGUP,
  };
  s->next = w->sockets;
  w->sockets = s;
  if (lws_client_connect_via_info(&info) == NULL && s->state != NET_WS_ENDED) {
    s->inside->wsi = NULL;
    on_refusal(s, "", 0);
  }
  return s;
}

bool net_ws_has_room(const struct net_ws_socket *s) {
  bool room = s->queued < QUEUE_FRAMES_MAX && s->queued_bytes < QUEUE_BYTES_MAX;
  s->inside->full = !room;
  return room;
}

int net_ws_send(struct net_ws_socket *s, const char *text, size_t bytes) {
  struct net_ws_inside *in = s->inside;
  if (s->state > NET_WS_OPEN || s->close_wanted != 0) {
    s->lost++;
    return 0;
  }
  struct message *m = malloc(sizeof *m + LWS_PRE + bytes);
  if (m == NULL) return -1;
  m->next = NULL;
  m->bytes = bytes;
  memcpy(m->data + LWS_PRE, text, bytes);
  if (in->first == NULL && s->state == NET_WS_OPEN) lws_callback_on_writable(in->wsi);
  *in->end = m;
  in->end = &m->next;
  s->queued++;
  s->queued_bytes += bytes;
  s->synced = in->pinged_all = false;
  return 0;
}

void net_ws_close(struct net_ws_socket *s, int code) {
  if (s->close_wanted != 0 || s->state > NET_WS_OPEN) return;
  s->close_wanted = code;
  if (s->state == NET_WS_OPEN) lws_callback_on_writable(s->inside->wsi);
}

void net_ws_sync(struct net_ws *w) {
  for (struct net_ws_socket *s = w->sockets; s != NULL; s = s->next) {
    if (s->state != NET_WS_OPEN || s->synced || s->inside->ping_wanted || s->inside->pinged_all) continue;
    s->inside->ping_wanted = true;
    lws_callback_on_writable(s->inside->wsi);
  }
}
