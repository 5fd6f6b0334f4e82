/* The inside of the queue sink: redis_queue.c delivers, redis_queue_care.c looks after the stream between batches
 * (group, lost tail), redis_queue_trim.c trims it. All but the stats on the runner's thread. */
#ifndef STORE_REDIS_QUEUE_INTERNAL_H
#define STORE_REDIS_QUEUE_INTERNAL_H

#include <pthread.h>

#include "store/redis_sinks.h"

struct redis_queue {
  struct redis_queue_options options; /* texts are owned */
  struct redis *redis;
  char *stream, *outbox; /* keys */
  char *additions;       /* field of `outbox`: how many transactions of ours it has had */
  /* What Redis has confirmed. The counter finds a lost tail where the row alone cannot: while a row is stuck, many
   * additions carry the same low-water mark. */
  bool known; /* the two below: since the first look of this process */
  int64_t row, additions_sent;
  struct sink_outcome look_fault; /* an answer did not come: the counter may be one further */
  int64_t go_back;                /* for the next look_after(); -1: none */
  int64_t looked_ms, trimmed_ms;  /* monotonic; 0: never */
  pthread_mutex_t lock;           /* of the stats */
  struct redis_queue_stats stats;
};

/* Compares what Redis says of us with what was sent, and takes it as the new state. False: a tail is lost. */
bool redis_queue_compare(struct redis_queue *q, bool has_row, int64_t row, int64_t additions);
int64_t redis_queue_look_after(struct redis_queue *q, int64_t cursor);
void redis_queue_trim(struct redis_queue *q);
void redis_queue_trouble(struct redis_queue *q, const char *what, const struct redis_reply *reply);

#endif
