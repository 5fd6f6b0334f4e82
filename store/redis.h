/* A connection to Redis (hiredis): URL, authentication, timeouts, pipelines, reconnect with backoff and jitter,
 * cluster redirections on one shard (contract.md 5). Blocking; one thread a connection.
 *
 * Third-party: hiredis in store/redis.c only. TLS where the installed hiredis has it (1.0 on: SIDETONE_REDIS_TLS is
 * defined by the build); Debian 12's 0.14.1 has none, and a rediss:// URL is then a configuration error that says so. */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sink.h"

struct redis_options {
  const char
      *url; /* redis://[user[:password]@]host[:port][/db], rediss://, redis+unix:///path or unix:///path */
  const char *prefix; /* of every key */
  int64_t timeout_ms; /* connect and each answer */
};

/* 0, or -1 with `why` (never a password). */
int redis_check_url(const char *url, char *why, size_t why_bytes);

enum redis_kind { REDIS_NIL, REDIS_TEXT, REDIS_INTEGER, REDIS_ARRAY, REDIS_STATUS, REDIS_ERROR };
struct redis_reply {
  enum redis_kind kind;
  int64_t integer;
  const char *text; /* ends in NUL; of TEXT, STATUS, ERROR */
  size_t bytes, count;
  const struct redis_reply *items; /* of ARRAY */
};

struct redis;
int redis_create(struct redis **out, const struct redis_options *options, char *why, size_t why_bytes);
void redis_free(struct redis *r);
/* Connected (again) when needed; no sooner than the backoff allows. False: away, see redis_error(). `*fresh` (may be
 * NULL): this call made a new connection, so what the last one was told may be lost. */
bool redis_ready(struct redis *r, bool *fresh);
/* Adds a command to the pipeline. */
void redis_add(struct redis *r, int argc, const char *const *argv, const size_t *bytes);
/* Sends what was added and reads every answer, in order. MOVED is followed, ASK, TRYAGAIN and CLUSTERDOWN retried.
 * False: the connection is gone, and nothing is known of the commands whose answer did not come. */
bool redis_flush(struct redis *r, void (*answer)(void *arg, size_t index, const struct redis_reply *reply),
                 void *arg);
/* One command and its answer; the reply lives until the next call. NULL: away. */
const struct redis_reply *redis_ask(struct redis *r, int argc, const char *const *argv, const size_t *bytes);
/* Why it is away; kind as a label of sidetone_sink_errors_total. */
const char *redis_error(const struct redis *r, const char **kind);
/* What an error reply means for a row: NOPERM, READONLY, LOADING, OOM, MISCONF, CLUSTERDOWN... are SINK_AWAY. */
void redis_classify(const struct redis_reply *reply, struct sink_outcome *out);
/* From another thread: a blocking call ends soon. */
void redis_interrupt(struct redis *r);

#endif
