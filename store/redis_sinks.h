/* What goes to Redis (contract.md 5): live figures, the alerts stream, the queue of the analytics loader. */
#ifndef STORE_REDIS_SINKS_H
#define STORE_REDIS_SINKS_H

#include "store/mongo.h"
#include "store/pulse.h"
#include "store/redis.h"
#include "store/sink.h"

/* ---- live: a thread of its own behind a bounded queue; nothing of it is kept on disk ---- */

struct redis_live;
struct redis_live_options {
  struct redis_options redis;
  const char *agent_id;
  int64_t interval_ms;
  struct pulse pulse; /* of its thread: it promises 5 min for a turn, nothing while it waits */
  /* A leg is not ours to publish any more (it has ended elsewhere, or another agent holds a newer claim): for the
   * log and the counters. On the sink's thread. */
  void (*passed)(void *arg, const char *call_log_id, bool ended);
  /* Redis has answered for a row that carried these times. On the sink's thread. May be NULL, like the other. */
  void (*published)(void *arg, int64_t ticked_us, int64_t frame_us, int64_t answered_us);
  void *arg;
};
struct redis_field {
  const char *name, *value;
};
struct redis_live_row {
  const char *call_log_id;
  int64_t start_ms;                 /* score in `calls` */
  bool has_socket;                  /* a claim with a socket beats one without; then the later claim wins */
  int64_t claim_ms;                 /* when the newest socket opened, or the newest event occurred */
  const struct redis_field *fields; /* the hash */
  size_t field_count;
  const char *message; /* the hash as JSON with callLogId, for the channel */
  int64_t ticked_us;   /* monotonic: when the figures were taken */
  int64_t frame_us;    /* monotonic: arrival of the oldest frame in them that no earlier row has; 0: none. For
                       sidetone_frame_to_metric_seconds */
};
int redis_live_start(struct redis_live **out, const struct redis_live_options *options, char *why,
                     size_t why_bytes);
/* Copies; never blocks. The newest row of a call replaces one that still waits. False: no memory or full. Any thread. */
bool redis_live_put(struct redis_live *l, const struct redis_live_row *row);
/* The call has ended: DEL, ZREM, SET ended. Never dropped for being full; repeated until Redis has it or 300 s passed. */
bool redis_live_end(struct redis_live *l, const char *call_log_id);
struct redis_live_stats {
  uint64_t published, dropped, errors;
  bool away;
  int64_t away_since_ms;
  char reason[200];
  char eviction[64];                 /* a policy that may lose the queue; "" when fine */
  int64_t eviction_since_ms;         /* epoch */
  double tick_to_redis_seconds_last; /* the newest published row: from ticked_us to Redis' answer */
};
void redis_live_stats(struct redis_live *l, struct redis_live_stats *out);
/* Publishing ends; ends are still sent, for the timeout. Never blocks. */
void redis_live_finish(struct redis_live *l);
/* Publishing ends; the live keys of calls given to redis_live_end() are removed first, within the timeout. */
void redis_live_stop(struct redis_live *l);

/* ---- alerts: rows of the outbox to a capped stream ---- */
struct redis_alerts;
int redis_alerts_create(struct redis_alerts **out, const struct redis_options *options, char *why,
                        size_t why_bytes);
void redis_alerts_free(struct redis_alerts *a);
struct sink_driver redis_alerts_driver(struct redis_alerts *a);

/* ---- queue: one entry a leg that has ended, read back from MongoDB (or the local fold without it) ---- */
struct redis_queue_entry { /* texts are malloc'ed by the agent's function, freed by the sink */
  char *call_log_id, *id, *updated_at, *document; /* id, updated_at: NULL without MongoDB */
  uint64_t revision;
};
struct redis_queue_options {
  struct redis_options redis;
  const char *agent_id;
  int64_t queue_max, group_timeout_h;
  struct mongo_reader
      *mongo; /* NULL: without MongoDB; owned by the caller, used on the queue's thread only */
  /* The entry of a document: 1; 0: the leg has not ended, so there is nothing to add; -ENOMEM: its rows wait. With
   * MongoDB `document` is BSON, else the local CallLog's JSON text. */
  int (*entry)(void *arg, const char *leg, const void *document, size_t bytes, bool is_bson,
               struct redis_queue_entry *out);
  /* Without MongoDB: the leg's CallLog, malloc'ed, or NULL when there is none. It must hold every fact whose row is
   * in the outbox (a stored CallLog may be a moment behind them: fold the stored facts). */
  char *(*local)(void *arg, const char *leg, size_t *bytes);
  void *arg;
};
struct redis_queue;
int redis_queue_create(struct redis_queue **out, const struct redis_queue_options *options, char *why,
                       size_t why_bytes);
void redis_queue_free(struct redis_queue *q);
struct sink_driver redis_queue_driver(struct redis_queue *q);
struct redis_queue_stats {
  uint64_t added, trimmed;
  int64_t length;           /* of the stream, at the newest look */
  bool full;                /* above queue_max: rows wait on disk */
  uint64_t tails_lost;      /* times the cursor went back */
  char trouble[200];        /* the newest refusal of the group or the trimming; "" when none */
  int64_t trouble_since_ms; /* epoch */
  char idle_groups[256];    /* that no longer hold the trimming, for /readyz; "" when none */
  int64_t idle_since_ms;
};
void redis_queue_stats(struct redis_queue *q, struct redis_queue_stats *out);

/* sidetone check --connect. True: all is well. */
bool redis_check(const struct redis_options *options, void (*say)(void *arg, const char *line), void *arg);

#endif
