/* The inside of a Redis connection, shared by store/redis*.c only: the address a URL names, and one link to one
 * server. redis.c (hiredis) makes links; redis_cluster.c sends a pipeline over them and follows redirections. */
#ifndef STORE_REDIS_INTERNAL_H
#define STORE_REDIS_INTERNAL_H

#include <pthread.h>

#include "store/redis.h"

struct redis_address {
  bool tls;
  char path[108]; /* of a Unix socket; "" for TCP */
  char host[256]; /* without the brackets of an IPv6 address */
  int port, db;
  char user[128], password[512]; /* percent-decoded; "" when none */
};
/* 0, or -1 with `why`, which never holds the URL's password. */
int redis_url_parse(const char *url, struct redis_address *out, char *why, size_t why_bytes);

struct link; /* one connection to one server, authenticated, its database selected */

/* A reply and what it lives in; link_reply_free() frees both. */
struct link_reply {
  struct redis_reply shown;
  void *raw;
};
void link_reply_free(struct link_reply *reply);

struct redis_fault { /* why there is no connection */
  char kind[24], text[200];
};

/* Any thread may call link_interrupt() between link_guard_init() and link_guard_destroy(). */
struct link_guard {
  pthread_mutex_t lock;
  int fd; /* -1: none */
  bool interrupted;
};

/* Connects, authenticates, selects the database and waits for the server to answer. NULL with `fault`. */
struct link *link_open(const struct redis_address *address, int64_t timeout_ms, struct link_guard *guard,
                       struct redis_fault *fault);
void link_close(struct link *l);
/* A command as the protocol has it, malloc'ed; NULL: no memory. */
char *link_format(int argc, const char *const *argv, const size_t *bytes, size_t *out_bytes);
/* Puts a formatted command behind what waits to be sent. False: no memory. */
bool link_queue(struct link *l, const char *command, size_t bytes);
/* Sends what waits and reads the next reply. False: the link is gone, with `fault`. */
bool link_read(struct link *l, struct link_reply *out, struct redis_fault *fault);

/* ---- redirections ---- */

enum redirect { REDIRECT_NONE, REDIRECT_MOVED, REDIRECT_ASK, REDIRECT_LATER };
/* What an error reply asks for; fills host ("" means the same host) and port for MOVED and ASK. Any other reply:
 * REDIRECT_NONE. */
enum redirect redirect_of(const struct redis_reply *reply, char *host, size_t host_bytes, int *port);

struct redis_command {
  char *text;
  size_t bytes;
  bool opens, closes; /* MULTI, EXEC or DISCARD: what stands between them is sent again as a whole */
};

struct redis {
  struct redis_address home, node; /* node: where MOVED has led; host "" when nowhere */
  int64_t timeout_ms;
  struct link_guard guard;
  struct link *link;
  bool fresh; /* a connection was made since redis_ready() last said so */
  int64_t backoff_ms, next_try_ms;
  uint64_t dice;
  struct redis_fault fault;
  struct redis_command *commands;
  size_t count, size;
  bool no_memory; /* a command could not be added: the pipeline is not sent */
  struct link_reply asked;
};

/* redis.c */
bool redis_reach(struct redis *r); /* opens the link to `node`, else to `home` */
void redis_lost(struct redis *r);  /* closes it, and lets the backoff begin; the fault is set */
void redis_forget_commands(struct redis *r);

/* redis_check.c. A field of INFO ("redis_version"); "" when it is not there. `reply` is INFO's. */
void redis_info_field(const struct redis_reply *reply, const char *name, char *out, size_t out_bytes);
/* Whether that eviction policy may drop keys that nobody gave an expiry. */
bool redis_policy_loses(const char *policy);

#endif
