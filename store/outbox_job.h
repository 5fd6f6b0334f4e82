/* What the sinks want of the outbox, done by the store's thread in its group commit. Private to store/. */
#ifndef STORE_OUTBOX_JOB_H
#define STORE_OUTBOX_JOB_H

#include "store/database.h"
#include "store/outbox.h"

struct outbox_job {
  enum { OUTBOX_MARK, OUTBOX_REWIND, OUTBOX_EXAMINE, OUTBOX_REINDEX } kind;
  enum sink_id sink;
  const struct outbox_mark *marks; /* OUTBOX_MARK: `count` of them */
  const int64_t *rows;             /* OUTBOX_EXAMINE: `count` rows that seemed bad, or whose fact did */
  size_t count;
  int64_t above, up_to;  /* OUTBOX_REWIND: of these rows those that are done */
  int64_t changed;       /* out, OUTBOX_REWIND: how many */
  bool finished, failed; /* under the store's mutex */
};

/* Within the store's transaction. SQLITE_OK or an error. */
int outbox_run_job(struct database *d, struct outbox_job *job);

/* Rows for a fact that is stored, and for an alert. SQLITE_OK or an error. */
int outbox_append_event(struct database *d, int64_t fact);
int outbox_append_part(struct database *d, const char *leg, const char *part);
int outbox_append_alert(struct database *d, const struct store_request *r);

/* Pending and dead rows of each sink, counted; and since when its oldest waits. SQLITE_OK or an error. */
int outbox_count(struct database *d, struct outbox_depth depth[SINK_COUNT]);
int outbox_oldest(struct database *d, enum sink_id sink, int64_t *at_ms);

/* What a reader asks, as SQL, so that a test can look at its plan. */
enum outbox_query {
  OUTBOX_QUERY_ROWS,
  OUTBOX_QUERY_LEG,
  OUTBOX_QUERY_PENDING,
  OUTBOX_QUERY_LAST,
  OUTBOX_QUERIES
};
void outbox_query_sql(enum outbox_query query, enum sink_id sink, bool after_mongo, char *out,
                      size_t out_bytes);

/* store.c: gives the job to the store's thread and waits until it is on disk. 0, or -1: nothing has changed. */
int store_run_job(struct store *s, struct outbox_job *job);
/* Grows whenever another process has changed the file (`sidetone outbox`): the runners begin anew at their cursor. */
uint64_t store_foreign_changes(struct store *s);

#endif
