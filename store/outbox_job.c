#include "store/outbox_job.h"

#include <stdlib.h>
#include <string.h>

#include "store/facts.h"
#include "store/schema.h"

/* The layout says these as numbers. */
_Static_assert(OUTBOX_PENDING == 0 && OUTBOX_DONE == 1 && OUTBOX_DEAD == 2 && OUTBOX_DROPPED == 3 &&
                   OUTBOX_NOT_FOR_IT == 4 && OUTBOX_EVENT == 0 && OUTBOX_PART == 1 && OUTBOX_ALERT == 2,
               "as in schema.c, statements.c and outbox_desk.c");

static const char reindex[] = "REINDEX outbox";
static const char fact_is_gone[] = "the fact has a bad checksum and is in quarantine";

static void note_change(struct database *d, enum sink_id sink, enum outbox_state before,
                        enum outbox_state after) {
  d->change[sink].pending += (after == OUTBOX_PENDING) - (before == OUTBOX_PENDING);
  d->change[sink].writes++;
  d->change[sink].dead += (after == OUTBOX_DEAD) - (before == OUTBOX_DEAD);
}

static void note_new(struct database *d, enum sink_id sink) {
  note_change(d, sink, OUTBOX_NOT_FOR_IT, OUTBOX_PENDING);
}

static void note_new_fact(struct database *d) {
  note_new(d, SINK_MONGO);
  note_new(d, SINK_REDIS_QUEUE);
}

int outbox_append_event(struct database *d, int64_t fact) {
  sqlite3_bind_int64(d->statements[SQL_APPEND_EVENT], 1, fact);
  note_new_fact(d);
  return database_run(d, SQL_APPEND_EVENT);
}

int outbox_append_part(struct database *d, const char *leg, const char *part) {
  bind_string(d->statements[SQL_APPEND_PART], 1, leg);
  bind_string(d->statements[SQL_APPEND_PART], 2, part);
  note_new_fact(d);
  return database_run(d, SQL_APPEND_PART);
}

int outbox_append_alert(struct database *d, const struct store_request *r) {
  sqlite3_stmt *s = d->statements[SQL_APPEND_ALERT];
  bind_string(s, 1, r->leg);
  bind_string(s, 2, r->id);
  bind_bytes(s, 3, r->body, r->body_bytes);
  note_new(d, SINK_REDIS_ALERTS);
  return database_run(d, SQL_APPEND_ALERT);
}

/* ---- one row ---- */

struct row_head {
  enum outbox_kind kind;
  enum outbox_state state[SINK_COUNT];
  bool good, has_fact;
};

/* SQLITE_ROW: it is there. */
static int read_head(struct database *d, int64_t row, struct row_head *head) {
  sqlite3_stmt *s = d->statements[SQL_OUTBOX_HEAD];
  sqlite3_bind_int64(s, 1, row);
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    head->kind = (enum outbox_kind)sqlite3_column_int(s, 0);
    for (int i = 0; i < SINK_COUNT; i++) head->state[i] = (enum outbox_state)sqlite3_column_int(s, 1 + i);
    head->good = sqlite3_column_int(s, 1 + SINK_COUNT) != 0;
    head->has_fact = head->kind == OUTBOX_ALERT || sqlite3_column_int(s, 2 + SINK_COUNT) != 0;
  }
  sqlite3_reset(s);
  return rc;
}

static int put_tries(struct database *d, enum sink_id sink, int64_t row, uint32_t tries, const char *reason) {
  sqlite3_stmt *s = d->statements[SQL_PUT_TRIES];
  sqlite3_bind_int64(s, 1, row);
  sqlite3_bind_int(s, 2, sink);
  sqlite3_bind_int64(s, 3, tries);
  bind_string(s, 4, reason == NULL ? "" : reason);
  return database_run(d, SQL_PUT_TRIES);
}

static int set_state(struct database *d, enum sink_id sink, int64_t row, const struct row_head *head,
                     enum outbox_state state) {
  enum statement which = (enum statement)(SQL_SET_STATE + (int)sink);
  sqlite3_stmt *s = d->statements[which];
  if (head->state[sink] == state) return SQLITE_OK;
  sqlite3_bind_int64(s, 1, row);
  sqlite3_bind_int(s, 2, state);
  note_change(d, sink, head->state[sink], state);
  return database_run(d, which);
}

/* ---- rows that are bad ---- */

static int run_for_row(struct database *d, enum statement which, int64_t row) {
  sqlite3_bind_int64(d->statements[which], 1, row);
  return database_run(d, which);
}

/* Whether an index of a state still holds the row: its entry was not that of the damaged content. */
static bool left_in_an_index(struct database *d, int64_t row) {
  bool left = false;
  for (int i = 0; i < SINK_COUNT; i++) {
    sqlite3_stmt *s = d->statements[SQL_IN_INDEX + i];
    sqlite3_bind_int64(s, 1, row);
    if (sqlite3_step(s) != SQLITE_DONE) left = true;
    sqlite3_reset(s);
  }
  return left;
}

static int drop_row(struct database *d, int64_t row) {
  int rc = run_for_row(d, SQL_DROP_OUTBOX, row);
  bool torn = (rc & 0xff) == SQLITE_CORRUPT;
  if (rc != SQLITE_OK && !torn) return rc;
  if (!torn && !left_in_an_index(d, row)) return rc;
  rc = sqlite3_exec(d->db, reindex, NULL, NULL, NULL);
  return rc == SQLITE_OK ? run_for_row(d, SQL_DROP_OUTBOX, row) : rc;
}

/* The facts that the row may have stood for, to go by what it still says: row number, leg, id, of which two agree.
 * When none is found, every fact is looked at. */
static int append_again(struct database *d, int64_t row, const struct row_head *head) {
  int before = sqlite3_total_changes(d->db);
  sqlite3_bind_int64(d->statements[SQL_APPEND_LIKE], 1, row);
  int rc = database_run(d, SQL_APPEND_LIKE);
  if (rc == SQLITE_OK && sqlite3_total_changes(d->db) == before && head->kind != OUTBOX_ALERT)
    rc = schema_append_missing(d->db);
  return rc;
}

static int move_row(struct database *d, int64_t row, const struct row_head *head) {
  int rc = append_again(d, row, head);
  if (rc == SQLITE_OK) rc = run_for_row(d, SQL_QUARANTINE_OUTBOX, row);
  if (rc == SQLITE_OK) rc = run_for_row(d, SQL_DROP_TRIES_OF_ROW, row);
  if (rc == SQLITE_OK) rc = drop_row(d, row);
  d->uncounted = true;
  database_moved(d, "outbox", row, NULL);
  return rc;
}

static int check_facts(struct database *d, int64_t row) {
  sqlite3_stmt *s = d->statements[SQL_OUTBOX_LEG];
  char *leg = NULL;
  sqlite3_bind_int64(s, 1, row);
  if (sqlite3_step(s) == SQLITE_ROW) leg = strdup((const char *)sqlite3_column_text(s, 0));
  sqlite3_reset(s);
  int rc = leg == NULL ? SQLITE_NOMEM : facts_check(d, leg);
  free(leg);
  return rc;
}

static int examine(struct database *d, int64_t row) {
  struct row_head head;
  int rc = read_head(d, row, &head);
  if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
  if (!head.good) return move_row(d, row, &head);
  rc = check_facts(d, row);
  if (rc == SQLITE_OK && read_head(d, row, &head) != SQLITE_ROW) return SQLITE_CORRUPT;
  if (rc != SQLITE_OK || head.has_fact || head.state[SINK_MONGO] != OUTBOX_PENDING) return rc;
  rc = set_state(d, SINK_MONGO, row, &head, OUTBOX_DEAD);
  return rc == SQLITE_OK ? put_tries(d, SINK_MONGO, row, 0, fact_is_gone) : rc;
}

/* ---- jobs ---- */

/* What was dropped or finished meanwhile stays so. */
static int mark(struct database *d, enum sink_id sink, const struct outbox_mark *m) {
  struct row_head head;
  int rc = read_head(d, m->row, &head);
  if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
  if (!head.good) return move_row(d, m->row, &head);
  if (head.state[sink] != OUTBOX_PENDING) return SQLITE_OK;
  rc = set_state(d, sink, m->row, &head, m->state);
  if (rc != SQLITE_OK) return rc;
  if (m->state == OUTBOX_PENDING || m->state == OUTBOX_DEAD)
    return put_tries(d, sink, m->row, m->tries, m->reason);
  sqlite3_bind_int(d->statements[SQL_DROP_TRIES], 2, sink);
  return run_for_row(d, SQL_DROP_TRIES, m->row);
}

static int rewind_rows(struct database *d, struct outbox_job *job) {
  enum statement which = (enum statement)(SQL_REWIND + (int)job->sink);
  sqlite3_bind_int64(d->statements[which], 1, job->above);
  sqlite3_bind_int64(d->statements[which], 2, job->up_to);
  int rc = database_run(d, which);
  job->changed = rc == SQLITE_OK ? sqlite3_changes(d->db) : 0;
  d->change[job->sink].pending += job->changed;
  d->change[job->sink].writes += job->changed > 0;
  return rc;
}

int outbox_run_job(struct database *d, struct outbox_job *job) {
  int rc = SQLITE_OK;
  if (job->kind == OUTBOX_REWIND) return rewind_rows(d, job);
  if (job->kind == OUTBOX_REINDEX) return sqlite3_exec(d->db, reindex, NULL, NULL, NULL);
  for (size_t i = 0; rc == SQLITE_OK && i < job->count; i++)
    rc = job->kind == OUTBOX_MARK ? mark(d, job->sink, &job->marks[i]) : examine(d, job->rows[i]);
  return rc;
}

/* ---- how much there is ---- */

int outbox_oldest(struct database *d, enum sink_id sink, int64_t *at_ms) {
  sqlite3_stmt *s = d->statements[SQL_OLDEST + (int)sink];
  int rc = sqlite3_step(s);
  *at_ms = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int outbox_count(struct database *d, struct outbox_depth depth[SINK_COUNT]) {
  sqlite3_stmt *dead = d->statements[SQL_COUNT_DEAD];
  int rc = sqlite3_step(dead);
  for (int i = 0; rc == SQLITE_ROW && i < SINK_COUNT; i++)
    depth[i].dead = (uint64_t)sqlite3_column_int64(dead, i);
  sqlite3_reset(dead);
  if (rc != SQLITE_ROW) return rc;
  rc = SQLITE_OK;
  for (int i = 0; rc == SQLITE_OK && i < SINK_COUNT; i++) {
    sqlite3_stmt *s = d->statements[SQL_COUNT_PENDING + i];
    rc = sqlite3_step(s) == SQLITE_ROW ? SQLITE_OK : SQLITE_ERROR;
    if (rc == SQLITE_OK) depth[i].pending = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    if (rc == SQLITE_OK) rc = outbox_oldest(d, (enum sink_id)i, &depth[i].oldest_pending_at_ms);
  }
  return rc;
}
