/* What all sinks share: rows of the outbox in, an outcome for each row out (contract.md 8).
 *
 *   store (SQLite, outbox rows) -> sink runner: one thread a sink -> driver: MongoDB, Redis queue, Redis alerts
 *
 * The runner takes rows in order of their number, keeps the rows of one leg in order, lets other legs pass a
 * stuck one, retries with full jitter, declares rows dead, and moves the sink's cursor. A driver only
 * delivers a batch; it may block, within its own timeouts, and has no thread of its own. */
#ifndef STORE_SINK_H
#define STORE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/pulse.h"

struct store;

enum sink_id { SINK_MONGO, SINK_REDIS_QUEUE, SINK_REDIS_ALERTS, SINK_COUNT };
extern const char
    *const sink_names[SINK_COUNT]; /* "mongo", "redis_queue", "redis_alerts": metrics and commands */

enum outbox_kind { OUTBOX_EVENT, OUTBOX_PART, OUTBOX_ALERT };

struct sink_row {
  int64_t row; /* grows by one a write; never used again */
  enum outbox_kind kind;
  const char *leg;
  const char *id; /* event: its id; part: its name; alert: its key */
  uint64_t n;     /* part: n of the body, which may be newer than the row */
  int64_t at_ms;  /* when it was written, epoch */
  /* The fact's JSON text as stored: element of telnyx.webhookEvents, part, alert. Empty for the queue when the fact is
   * in quarantine: it reads documents. */
  const char *body;
  size_t body_bytes;
};

enum sink_result {
  SINK_DONE,
  SINK_AWAY, /* not the row's fault (network, timeout, authentication, READONLY, OOM, not primary...): for ever */
  SINK_RETRY, /* cause unknown: dead after 20 tries */
  SINK_DEAD   /* an answer that cannot change: too large, validation */
};

struct sink_outcome {
  enum sink_result result;
  char kind
      [24]; /* label of sidetone_sink_errors_total: "network", "timeout", "auth", "duplicate"...; "" when done */
  char reason[200]; /* for people; "" when done */
};

struct sink_driver {
  enum sink_id id;
  size_t batch_max; /* rows a call, at most */
  /* Fills outcomes[0..count). Rows of one leg stand in order. `low_water` is the cursor that the sink will have
   * when every row of this call is done. */
  void (*deliver)(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
                  struct sink_outcome *outcomes);
  /* Between batches, at least once a second, and before the first: connects, looks after the server (indexes,
   * trimming, lost tail). `cursor` is the sink's low-water mark of finished rows. Returns the row to which the
   * cursor goes back (rows above it are delivered again), or -1: stays. May be NULL. */
  int64_t (*look_after)(void *self, int64_t cursor);
  /* Called from other threads when the runner is to stop: a blocking call should end soon. May be NULL. */
  void (*interrupt)(void *self);
  void *self;
};

struct sink; /* a runner */
struct sink_options {
  struct store *store;
  struct sink_driver driver;
  struct pulse
      pulse; /* of the runner's thread: it promises 15 min for a turn, more than a driver's time limits add up to */
  bool after_mongo; /* takes only rows that MongoDB has (or has refused for good) */
};
/* Starts the thread. 0, or -1 with `why`. */
int sink_start(struct sink **out, const struct sink_options *options, char *why, size_t why_bytes);
/* New rows are there: from any thread; cheap. */
void sink_nudge(struct sink *s);
/* Ends the thread within the driver's timeouts. What is not delivered stays in the outbox. NULL is fine. */
void sink_stop(struct sink *s);

struct sink_stats { /* a snapshot; safe from any thread */
  uint64_t delivered, errors;
  bool away;             /* the newest delivery failed with SINK_AWAY */
  int64_t away_since_ms; /* epoch; 0 when it is not */
  char reason[200];      /* why */
};
void sink_stats(struct sink *s, struct sink_stats *out);
/* Errors by kind, for metrics: calls `each` for every kind seen so far. */
void sink_error_kinds(struct sink *s, void (*each)(void *arg, const char *kind, uint64_t count), void *arg);

#endif
