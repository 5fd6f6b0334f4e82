/* The inside of the live sink: redis_live.c is its queue and its thread, redis_live_send.c what goes to Redis. */
#ifndef STORE_REDIS_LIVE_INTERNAL_H
#define STORE_REDIS_LIVE_INTERNAL_H

#include <pthread.h>
#define HASH_NONFATAL_OOM 1
#include <stdlib.h>
#include <uthash.h>

#include "store/redis_sinks.h"

enum { LIVE_BATCH = 128 };

struct live_row { /* one block of memory, texts at its end */
  UT_hash_handle hh;
  const char *call_log_id, *message;
  int64_t start_ms, claim_ms, ticked_us, frame_us;
  bool has_socket;
  bool again; /* the script was not known there: send its text */
  size_t text_count;
  const char *texts[]; /* name, value, name, value... of the hash */
};

struct live_end {
  struct live_end *next;
  int64_t until_ms; /* monotonic: `ended` would have expired by then */
  char call_log_id[];
};

struct redis_live {
  struct redis_live_options options; /* texts are owned */
  char *prefix;
  char publish_sha[41]; /* names the script to EVALSHA */
  struct redis *redis;
  pthread_t thread;
  pthread_mutex_t lock; /* of all that stands behind it, but the thread's own */
  pthread_cond_t work;
  struct live_row *rows;
  struct live_end *ends;
  bool stop, ended;
  int64_t give_up_ms; /* monotonic: the end of stop's patience */
  struct redis_live_stats stats;
  /* The thread's own. */
  int64_t swept_ms, policy_ms; /* monotonic, the newest beginning */
  int64_t dropped_ends_ms;     /* monotonic: the newest look for ends that are too old */
  int64_t refused_ms;          /* monotonic: the newest error reply; 0: none that counts */
  bool sweeping;
  long sweep_from; /* rank in `calls` */
};

/* An answer of Redis to our commands was an error, or none came (reply NULL): away. On the sink's thread. */
void live_away(struct redis_live *l, const struct redis_reply *reply);

/* redis_live_send.c; false: the connection is gone */
void live_name_script(struct redis_live *l);
bool live_publish(struct redis_live *l, struct live_row **rows, size_t count);
/* Frees what Redis has; what is left comes back in *ends. */
bool live_send_ends(struct redis_live *l, struct live_end **ends);
/* One step through `calls`: members whose hash is gone are removed. */
bool live_sweep(struct redis_live *l);
bool live_look_at_policy(struct redis_live *l);

#endif
