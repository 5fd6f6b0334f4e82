/* Group commit: many requests, one transaction. Private to store/; runs on the store's thread. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "store/database.h"
#include "store/work.h"

struct batch_result {
  uint64_t commits; /* that wrote something */
  uint64_t rows, duplicates, failures, quarantined;
  uint64_t fsync_count;
  double fsync_seconds_sum, fsync_seconds_last;
  bool written, failed; /* the last attempt of a transaction: it wrote; it failed */
  char reason[256];     /* of the failed attempt */
  char quarantined_last[256];
  struct outbox_change change[SINK_COUNT];
  bool uncounted;
};

/* Fills every work's status, error and facts, and adds to `out`. When the transaction fails, each
 * request gets one of its own: what needs no disk (a repeated event) is answered on a full one. */
void batch_commit(struct database *d, struct work *const *items, size_t count, struct batch_result *out);

/* Refuses them all: the database is away. */
void batch_refuse(struct work *const *items, size_t count, const char *reason, struct batch_result *out);

/* Writes one small value, to see whether that works (again). */
bool batch_probe(struct database *d, struct batch_result *out);

#endif
