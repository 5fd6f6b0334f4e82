/* Webhooks as Telnyx posts them (telnyx-protocol.md 2.1, 2.3), one after another, on a thread of its own so
 * that a slow answer never holds up the media. Everything but the posting itself is on the loop's thread. */
#ifndef AGENT_NET_HTTP_H
#define AGENT_NET_HTTP_H

#include <jansson.h>
#include <stddef.h>
#include <uv.h>

#include "agent/net_target.h"

struct net_http;

struct net_http_answer {
  const char *url;
  const char *note; /* of the post */
  int status;       /* 0: none came */
  const char *why;  /* then: the reason */
  int tag;          /* of the post */
};

struct net_http_options {
  uv_loop_t *loop;
  const struct net_target *target;
  const unsigned char *seed; /* 32 bytes, NULL: not signed. Target and seed outlive the client */
  void (*answered)(void *arg, const struct net_http_answer *answer);
  void *arg;
};

struct net_http_post {
  const char *path;
  const json_t *headers; /* object or NULL: text replaces or adds, an array of texts adds each, null leaves
                            a header out */
  const char *body;
  size_t bytes;
  const char *note; /* handed back with the answer, as `tag` is */
  int tag;
};

/* NULL: no memory, no thread. */
struct net_http *net_http_create(const struct net_http_options *options);
/* Copies everything. Signed when it goes out. 0, or -1: no memory. */
int net_http_post(struct net_http *h, const struct net_http_post *post);
/* Posts without an answer yet. */
size_t net_http_pending(const struct net_http *h);
/* What waits is dropped and the post under way is broken off, without answers. Runs the loop until its handle
 * is closed; not from a callback. */
void net_http_destroy(struct net_http *h);

#endif
