/* Where `replay --to` plays: http://host:port or https://host:port, taken apart for both clients. */
#ifndef AGENT_NET_TARGET_H
#define AGENT_NET_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct net_target {
  char scheme[8];      /* http, https */
  char host[256];      /* a name or an address, IPv6 without brackets */
  char authority[272]; /* as in the Host header; the port only when it is not the scheme's own */
  char prefix[512];    /* of every path: "" or "/..." without a slash at its end */
  int port;
  bool tls;
  bool verify; /* certificates count: TLS, and the host is not this machine's loopback */
};

/* 0, or -1 with `why`. */
int net_target_parse(const char *url, struct net_target *out, char *why, size_t why_bytes);
/* Can a connection be made at all? 0, or -1 with `why`: for the reason that libwebsockets keeps to itself.
 * Blocks, NET_PROBE_MS an address at most. */
enum { NET_PROBE_MS = 300 };
int net_target_probe(const struct net_target *target, char *why, size_t why_bytes);

#endif
