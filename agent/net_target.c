#include "agent/net_target.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/options.h"

/* False: absent, or longer than there is room. */
static bool part(CURLU *url, CURLUPart what, unsigned flags, char *out, size_t out_bytes) {
  char *text = NULL;
  bool fine = curl_url_get(url, what, &text, flags) == CURLUE_OK && strlen(text) < out_bytes;
  if (fine) strcpy(out, text);
  curl_free(text);
  return fine;
}

static bool take_apart(CURLU *url, struct net_target *t) {
  char port[8], host[256];
  if (!part(url, CURLUPART_SCHEME, 0, t->scheme, sizeof t->scheme) ||
      !part(url, CURLUPART_HOST, 0, host, sizeof host) ||
      !part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port) ||
      !part(url, CURLUPART_PATH, 0, t->prefix, sizeof t->prefix)) {
    return false;
  }
  size_t length = strlen(t->prefix);
  while (length > 0 && t->prefix[length - 1] == '/') t->prefix[--length] = '\0';
  t->tls = strcmp(t->scheme, "https") == 0;
  if (!t->tls && strcmp(t->scheme, "http") != 0) return false;
  t->port = atoi(port);
  bool usual = t->port == (t->tls ? 443 : 80);
  snprintf(t->authority, sizeof t->authority, usual ? "%s" : "%s:%s", host, port);
  bool v6 = host[0] == '[';
  snprintf(t->host, sizeof t->host, "%.*s", (int)(strlen(host) - (v6 ? 2 : 0)), host + (v6 ? 1 : 0));
  t->verify = t->tls && !form_host_is_loopback(t->host);
  return true;
}

int net_target_parse(const char *url, struct net_target *out, char *why, size_t why_bytes) {
  CURLU *parsed = curl_url();
  *out = (struct net_target){.port = 0};
  bool fine =
      parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK && take_apart(parsed, out);
  curl_url_cleanup(parsed);
  if (fine) return 0;
  snprintf(why, why_bytes, "%s: http://host:port or https://host:port is allowed", url);
  return -1;
}

/* 0 or an errno. */
static int try_address(const struct addrinfo *a) {
  int error = 0;
  socklen_t size = sizeof error;
  int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
  if (fd < 0) return errno;
  if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (errno != EINPROGRESS) {
      error = errno;
    } else if (poll(&ready, 1, NET_PROBE_MS) <= 0) {
      error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  close(fd);
  return error;
}

int net_target_probe(const struct net_target *target, char *why, size_t why_bytes) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  char port[8];
  snprintf(port, sizeof port, "%d", target->port);
  int bad = getaddrinfo(target->host, port, &hints, &found), error = EHOSTUNREACH;
  if (bad != 0) {
    snprintf(why, why_bytes, "%s", gai_strerror(bad));
    return -1;
  }
  for (const struct addrinfo *a = found; a != NULL && error != 0; a = a->ai_next) error = try_address(a);
  freeaddrinfo(found);
  if (error == 0) return 0;
  snprintf(why, why_bytes, "%s", strerror(error));
  return -1;
}
