/* The outbox: every fact that sinks must get, as a row with a state for each sink. It lies in the local store's
 * file, written in the same transaction as the fact itself. Private to store/ but for what `sidetone outbox` and
 * /metrics ask, which stands at the end. */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sink.h"

struct store;

enum outbox_state {
  OUTBOX_PENDING,
  OUTBOX_DONE,
  OUTBOX_DEAD,
  OUTBOX_DROPPED,
  OUTBOX_NOT_FOR_IT,
  OUTBOX_STATES
};

struct outbox_mark {
  int64_t row;
  enum outbox_state state;
  uint32_t tries;     /* so far, for a row that stays pending or is dead */
  const char *reason; /* NULL: none; kept for `sidetone outbox` */
};

/* ---- a sink's side: any thread, blocking, ride along in the store's group commit ---- */

/* A sink's own read-only connection. 0, or -1 with `why`. */
struct outbox_reader;
int outbox_reader_open(struct outbox_reader **out, struct store *s, enum sink_id sink, bool after_mongo,
                       char *why, size_t why_bytes);
void outbox_reader_close(struct outbox_reader *r);
/* Pending rows above `after` in order, at most `max` of them and about `max_bytes` of bodies; strings live during
 * the callback. A row with a bad checksum is reported to the store, which moves it to quarantine and appends its fact
 * again; one whose fact is bad or gone is dead for MongoDB, and has an empty body for the queue, which reads documents.
 * Both are left out here. After MongoDB: only rows that are not pending there. 0, or -1. */
int outbox_read(struct outbox_reader *r, int64_t after, size_t max, size_t max_bytes,
                void (*row)(void *arg, const struct sink_row *row, uint32_t tries), void *arg);
/* The same for one leg, whatever its rows' numbers. `*more`: rows of it are left. */
int outbox_read_leg(struct outbox_reader *r, const char *leg, size_t max, size_t max_bytes,
                    void (*row)(void *arg, const struct sink_row *row, uint32_t tries), void *arg,
                    bool *more);
/* The cursor as it will be when these rows are finished too; they stand in order. -1: cannot be read. */
int64_t outbox_low_water(struct outbox_reader *r, const int64_t *rows, size_t count);
/* The low-water mark: every row up to it is finished (done, dead, dropped, not for this sink); after MongoDB never
 * above MongoDB's own. -1: cannot be read. */
int64_t outbox_cursor(struct outbox_reader *r);
/* Returns when it is on disk: 0; -1: it is not (full disk), and the rows are as they were. */
int outbox_mark(struct store *s, enum sink_id sink, const struct outbox_mark *marks, size_t count);
/* Rows above `row` that were done become pending again (lost tail, contract.md 5). Returns how many, or -1. */
int64_t outbox_rewind(struct store *s, enum sink_id sink, int64_t row);

/* ---- for /metrics: kept up to date by the store's thread ---- */
struct outbox_depth {
  uint64_t pending, dead;
  int64_t oldest_pending_at_ms; /* epoch; 0: none pending */
};
void outbox_depth(struct store *s, struct outbox_depth out[SINK_COUNT]);

/* ---- for `sidetone outbox`: its own connection, works while serve runs ---- */
struct outbox_entry {
  int64_t row, at_ms;
  enum outbox_kind kind;
  const char *leg, *id;
  enum outbox_state state[SINK_COUNT];
  uint32_t tries[SINK_COUNT];
  const char *reason[SINK_COUNT]; /* "" when there is none */
  const char *body;               /* "" in a list */
  size_t body_bytes;
};
struct outbox_desk;
/* 0, or -1 with `why`. */
int outbox_desk_open(struct outbox_desk **out, const char *directory, bool to_change, char *why,
                     size_t why_bytes);
void outbox_desk_close(struct outbox_desk *d);
/* Rows that are pending or dead for some sink (`sink` SINK_COUNT: any), `dead_only`: dead ones. 0, or -1. */
int outbox_desk_list(struct outbox_desk *d, enum sink_id sink, bool dead_only,
                     void (*row)(void *arg, const struct outbox_entry *entry), void *arg);
/* 0; -ENOENT; -EIO. */
int outbox_desk_show(struct outbox_desk *d, int64_t row,
                     void (*show)(void *arg, const struct outbox_entry *entry), void *arg);
/* Dead rows become pending with 0 tries; `row` -1: all dead rows. How many, or -ENOENT, -EIO. A serve that runs sees
 * it within 2 s. */
int64_t outbox_desk_retry(struct outbox_desk *d, int64_t row);
/* Pending or dead becomes dropped, for every sink. 0; -ENOENT; -EIO. */
int outbox_desk_drop(struct outbox_desk *d, int64_t row);

#endif
