/* Where connections come from: bound sockets, their vhosts, and accept(). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/listen.h"
#include "agent/server_internal.h"

enum { ACCEPTS_A_TURN = 64, ACCEPT_PAUSE_MS = 100 };

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
      .vh_prot_name = SERVER_PROTOCOL,
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
      .protocols = server_protocols,
      .vhost_name = l->name,
      .retry_and_idle_policy = &server_no_hangup,
  };
  if (l->certificate) {
    if (server_check_tls(l->certificate, l->private_key, why, why_bytes) < 0) return -1;
    info.options = LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.ssl_cert_filepath = l->certificate;
    info.ssl_private_key_filepath = l->private_key;
    info.alpn = "http/1.1";
  }
  server_lws_words[0] = '\0';
  s->creating = l;
  l->vhost = lws_create_vhost(s->context, &info);
  s->creating = NULL;
  if (l->vhost && !l->certificate == !l->tls) return 0;
  snprintf(why, why_bytes, "listener %s: %s", l->name,
           *server_lws_words ? server_lws_words : "libwebsockets refused it");
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

int server_use_tls(struct server *s, const char *name, const char *certificate, const char *private_key,
                   char *why, size_t why_bytes) {
  for (struct listener *l = s->listeners; l; l = l->next) {
    if (!l->tls || strcmp(l->name, name) != 0) continue;
    if (server_check_tls(certificate, private_key, why, why_bytes) < 0) return -1;
    return tls_load_files(l->tls, certificate, private_key, why, why_bytes);
  }
  snprintf(why, why_bytes, "no listener %s has TLS", name);
  return -1;
}

void listeners_stop(struct server *s) {
  for (struct listener *l = s->listeners; l; l = l->next) {
    uv_poll_stop(&l->poll);
    uv_timer_stop(&l->pause);
    close(l->fd);
    l->fd = -1;
  }
}

void listeners_close(struct server *s) {
  for (struct listener *l = s->listeners; l; l = l->next) {
    l->poll.data = l->pause.data = s;
    uv_close((uv_handle_t *)&l->poll, server_handle_closed);
    uv_close((uv_handle_t *)&l->pause, server_handle_closed);
  }
}

void listeners_free(struct server *s) {
  while (s->listeners) {
    struct listener *next = s->listeners->next;
    listener_free(s->listeners);
    s->listeners = next;
  }
}
