/* The outbox as its sinks and /metrics see it: each call is a job of the store's thread or a look at what it has
 * noted. Reading is in outbox_reader.c. */
#include "store/outbox.h"

#include <string.h>

#include "store/batch.h"
#include "store/outbox_job.h"
#include "store/store_internal.h"

enum { REWIND_ROWS = 20000 }; /* a transaction: webhooks wait no longer than that */

const char *const sink_names[SINK_COUNT] = {"mongo", "redis_queue", "redis_alerts"};

int outbox_mark(struct store *s, enum sink_id sink, const struct outbox_mark *marks, size_t count) {
  struct outbox_job job = {.kind = OUTBOX_MARK, .sink = sink, .marks = marks, .count = count};
  return count == 0 ? 0 : store_run_job(s, &job);
}

static int64_t last_row(struct store *s) {
  pthread_mutex_lock(&s->database_mutex);
  sqlite3_stmt *query = s->database.statements[SQL_LAST_ROW];
  int64_t row = sqlite3_step(query) == SQLITE_ROW ? sqlite3_column_int64(query, 0) : -1;
  sqlite3_reset(query);
  pthread_mutex_unlock(&s->database_mutex);
  return row;
}

int64_t outbox_rewind(struct store *s, enum sink_id sink, int64_t row) {
  int64_t last = last_row(s), changed = 0;
  if (last < 0) return -1;
  for (; row < last; row += REWIND_ROWS) {
    struct outbox_job job = {.kind = OUTBOX_REWIND, .sink = sink, .above = row, .up_to = row + REWIND_ROWS};
    if (store_run_job(s, &job) != 0) return -1;
    changed += job.changed;
  }
  return changed;
}

void outbox_depth(struct store *s, struct outbox_depth out[SINK_COUNT]) {
  pthread_mutex_lock(&s->mutex);
  for (int i = 0; i < SINK_COUNT; i++) out[i] = s->sinks[i] ? s->depth[i] : (struct outbox_depth){0};
  pthread_mutex_unlock(&s->mutex);
}

uint64_t store_foreign_changes(struct store *s) {
  pthread_mutex_lock(&s->mutex);
  uint64_t changes = s->foreign_changes;
  pthread_mutex_unlock(&s->mutex);
  return changes;
}

static bool somebody_else_wrote(struct store *s) {
  sqlite3_stmt *query = s->database.statements[SQL_DATA_VERSION];
  int64_t version = sqlite3_step(query) == SQLITE_ROW ? sqlite3_column_int64(query, 0) : s->data_version;
  sqlite3_reset(query);
  bool changed = version != s->data_version;
  s->data_version = version;
  return changed;
}

static void add_change(struct database *d, int sink, const struct outbox_change *change,
                       struct outbox_depth *depth) {
  depth->pending += (uint64_t)change->pending;
  depth->dead += (uint64_t)change->dead;
  if (change->writes > 0) (void)outbox_oldest(d, (enum sink_id)sink, &depth->oldest_pending_at_ms);
}

void outbox_after_batch(struct store *s, const struct batch_result *r) {
  struct outbox_depth depth[SINK_COUNT];
  bool foreign = somebody_else_wrote(s);
  memcpy(depth, s->depth, sizeof depth); /* written by this thread alone */
  if (r == NULL || r->uncounted || s->uncounted || foreign) {
    s->uncounted = outbox_count(&s->database, depth) != SQLITE_OK;
  } else {
    for (int i = 0; i < SINK_COUNT; i++) add_change(&s->database, i, &r->change[i], &depth[i]);
  }
  pthread_mutex_lock(&s->mutex);
  memcpy(s->depth, depth, sizeof depth);
  if (r != NULL && foreign) s->foreign_changes++;
  pthread_mutex_unlock(&s->mutex);
}
