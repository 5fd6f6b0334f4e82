#include "agent/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_MAX_BYTES = 256, PORT_MAX = 65535 };

struct host_port {
  char host[HOST_MAX_BYTES];
  char port[6];
};

/* NULL, or what is wrong with the address. */
static const char *split(const char *address, struct host_port *out) {
  const char *colon = strrchr(address, ':');
  if (!colon) return "no port: HOST:PORT is wanted";
  const char *host = address, *host_end = colon;

  if (*host == '[') {
    if (colon == host || colon[-1] != ']') return "no port behind the brackets";
    host++;
    host_end--;
  } else if (memchr(host, ':', (size_t)(colon - host))) {
    return "an IPv6 address needs brackets";
  }
  if (host == host_end) return "no host";
  if ((size_t)(host_end - host) >= sizeof out->host) return "host too long";
  char *end;
  long port = strtol(colon + 1, &end, 10);
  if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > PORT_MAX) return "port is not 0 to 65535";
  snprintf(out->host, sizeof out->host, "%.*s", (int)(host_end - host), host);
  snprintf(out->port, sizeof out->port, "%d", (int)port);
  return NULL;
}

static int open_listener(const struct addrinfo *info, const char **step) {
  static const int ON = 1;
  int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);

  *step = "socket";
  if (fd < 0) return -1;
  *step = "bind";
  /* A restart need not wait for old connections; two listeners still exclude each other. */
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof ON);
  if (info->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &ON, sizeof ON);
  if (bind(fd, info->ai_addr, info->ai_addrlen) == 0) {
    *step = "listen";
    if (listen(fd, BACKLOG) == 0) return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void describe(int fd, char *out, size_t out_bytes) {
  struct sockaddr_storage address;
  socklen_t bytes = sizeof address;
  char host[HOST_MAX_BYTES] = "?", port[8] = "?";

  if (getsockname(fd, (struct sockaddr *)&address, &bytes) == 0)
    getnameinfo((struct sockaddr *)&address, bytes, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  snprintf(out, out_bytes, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int listen_on(const char *address, char *bound, size_t bound_bytes, char *why, size_t why_bytes) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  struct host_port parts;
  const char *step, *wrong = split(address, &parts);

  if (wrong) {
    snprintf(why, why_bytes, "%s: %s", address, wrong);
    return -1;
  }
  int error = getaddrinfo(parts.host, parts.port, &hints, &found);
  if (error) {
    snprintf(why, why_bytes, "%s: %s", address, gai_strerror(error));
    return -1;
  }
  int fd = open_listener(found, &step);
  freeaddrinfo(found);
  if (fd < 0) {
    snprintf(why, why_bytes, "%s: %s: %s", address, step, strerror(errno));
    return -1;
  }
  if (bound) describe(fd, bound, bound_bytes);
  return fd;
}

bool address_is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  if (address->sa_family != AF_INET6) return false;
  struct sockaddr_in6 v6;
  memcpy(&v6, address, sizeof v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
}
