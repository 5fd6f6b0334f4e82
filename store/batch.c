#include "store/batch.h"

#include <stdio.h>
#include <string.h>

#include "store/clock.h"
#include "store/facts.h"
#include "store/id_clock.h"
#include "store/legs.h"
#include "store/outbox_job.h"

static size_t length_of(const char *text) {
  return text == NULL ? 0 : strlen(text);
}

/* Says no by SQLITE_FULL, and `no_room` tells it from a disk that is full. */
static int ask_for_room(struct database *d, const char *leg) {
  bool known = false;
  int rc = d->room == ROOM_FOR_KNOWN_LEGS ? legs_is_known(d, leg, &known) : SQLITE_OK;
  if (rc != SQLITE_OK || d->room == ROOM_ENOUGH || known) return rc;
  d->no_room = true;
  return SQLITE_FULL;
}

static int put_event(struct database *d, const struct store_request *r, struct work *w) {
  sqlite3_stmt *ids = d->statements[SQL_PUT_EVENT_ID], *s = d->statements[SQL_PUT_EVENT];
  bind_string(ids, 1, r->id);
  sqlite3_bind_int64(ids, 2, id_clock_ms(d));
  int rc = database_run(d, SQL_PUT_EVENT_ID);
  if (rc != SQLITE_OK) return rc;
  if (sqlite3_changes(d->db) == 0) {
    w->status = STORE_DUPLICATE;
    return SQLITE_OK;
  }
  rc = ask_for_room(d, r->leg);
  if (rc != SQLITE_OK) return rc;
  bind_string(s, 1, r->id);
  bind_string(s, 2, r->leg);
  sqlite3_bind_int64(s, 3, r->at_ms);
  bind_bytes(s, 4, r->body, r->body_bytes);
  sqlite3_bind_int64(s, 5,
                     event_crc(r->id, length_of(r->id), r->leg == NULL ? "" : r->leg, length_of(r->leg),
                               r->at_ms, r->body, r->body_bytes));
  rc = database_run(d, SQL_PUT_EVENT);
  if (rc == SQLITE_OK && r->leg != NULL && r->deliver)
    rc = outbox_append_event(d, sqlite3_last_insert_rowid(d->db));
  return rc == SQLITE_OK ? legs_event(d, r->leg) : rc;
}

/* n of the part as it is stored: 0 when it is not. A bad one would pass for newer, or older: it goes first. */
static int stored_n(struct database *d, const struct store_request *r, uint64_t *n) {
  sqlite3_stmt *s = d->statements[SQL_STORED_PART];
  bind_string(s, 1, r->leg);
  bind_string(s, 2, r->id);
  int rc = sqlite3_step(s);
  bool there = rc == SQLITE_ROW, bad = false;
  *n = there ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
  if (there) {
    size_t bytes;
    const char *body = column_bytes(s, 2, &bytes);
    bad = (uint64_t)sqlite3_column_int64(s, 3) != part_crc(r->leg, length_of(r->leg), r->id, length_of(r->id),
                                                           *n, sqlite3_column_int(s, 1) != 0, body, bytes);
  }
  sqlite3_reset(s);
  if (bad) {
    *n = 0;
    return facts_check(d, r->leg);
  }
  return there || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int put_part(struct database *d, const struct store_request *r, struct work *w) {
  sqlite3_stmt *s = d->statements[SQL_PUT_PART];
  uint64_t old_n;
  int rc = stored_n(d, r, &old_n);
  if (rc == SQLITE_OK && old_n == 0 && d->room == ROOM_NONE) rc = ask_for_room(d, r->leg);
  if (rc != SQLITE_OK) return rc;
  bind_string(s, 1, r->leg);
  bind_string(s, 2, r->id);
  sqlite3_bind_int64(s, 3, (sqlite3_int64)r->n);
  sqlite3_bind_int(s, 4, r->open);
  bind_bytes(s, 5, r->body, r->body_bytes);
  sqlite3_bind_int64(
      s, 6,
      part_crc(r->leg, length_of(r->leg), r->id, length_of(r->id), r->n, r->open, r->body, r->body_bytes));
  rc = database_run(d, SQL_PUT_PART);
  if (rc != SQLITE_OK) return rc;
  if (sqlite3_changes(d->db) == 0) {
    w->status = STORE_DUPLICATE;
    return rc;
  }
  if (r->deliver) rc = outbox_append_part(d, r->leg, r->id);
  return rc == SQLITE_OK ? legs_part(d, r->leg, old_n, r->n) : rc;
}

static int put_calllog(struct database *d, const struct store_request *r, struct work *w) {
  sqlite3_stmt *s = d->statements[SQL_PUT_CALLLOG];
  const struct store_call_row row = {.call_log_id = r->id,
                                     .status = r->status,
                                     .direction = r->direction,
                                     .from = r->from,
                                     .to = r->to,
                                     .initiated_at_ms = r->at_ms,
                                     .total_s = r->total_s,
                                     .mos = r->mos};
  bind_string(s, 1, r->leg);
  bind_string(s, 2, r->id);
  sqlite3_bind_int64(s, 3, r->at_ms);
  bind_string(s, 4, r->status);
  bind_string(s, 5, r->direction);
  bind_string(s, 6, r->from);
  bind_string(s, 7, r->to);
  sqlite3_bind_double(s, 8, r->total_s); /* NaN becomes NULL */
  sqlite3_bind_double(s, 9, r->mos);
  sqlite3_bind_int64(s, 10, list_crc(&row));
  sqlite3_bind_int64(s, 11, (sqlite3_int64)r->n);
  sqlite3_bind_int(s, 12, r->open);
  bind_bytes(s, 13, r->body, r->body_bytes);
  sqlite3_bind_int64(s, 14, calllog_crc(r->leg, length_of(r->leg), r->n, r->open, r->body, r->body_bytes));
  int rc = database_run(d, SQL_PUT_CALLLOG);
  if (rc == SQLITE_OK && sqlite3_changes(d->db) == 0) {
    w->status = STORE_DUPLICATE;
    return rc;
  }
  return rc == SQLITE_OK ? legs_calllog(d, r->leg, r->n, r->open, r->ended) : rc;
}

/* What seems newer may be a bad revision. */
static int put_calllog_well(struct database *d, struct work *w) {
  bool moved = false;
  int rc = put_calllog(d, &w->request, w);
  if (rc == SQLITE_OK && w->status == STORE_DUPLICATE) rc = facts_check_calllog(d, w->request.leg, &moved);
  if (!moved || rc != SQLITE_OK) return rc;
  w->status = STORE_DONE;
  return put_calllog(d, &w->request, w);
}

/* A leg that is looked at as a whole. */
static int check_calllog(struct database *d, const struct work *w) {
  bool moved;
  return facts_check_calllog(d, w->request.leg, &moved);
}

static int put(struct database *d, struct work *w) {
  if (w->request.body_bytes > (size_t)sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, -1)) return SQLITE_TOOBIG;
  switch (w->request.kind) {
    case STORE_PUT_EVENT:
      return put_event(d, &w->request, w);
    case STORE_PUT_PART:
      return put_part(d, &w->request, w);
    case STORE_PUT_CALLLOG:
      return put_calllog_well(d, w);
    case STORE_PUT_ALERT:
      return outbox_append_alert(d, &w->request);
    case STORE_LOAD_LEG:
      return check_calllog(d, w);
  }
  return SQLITE_MISUSE;
}

static void refuse(struct work *w, const char *reason) {
  work_reset(w);
  w->status = STORE_FAILED;
  snprintf(w->error, sizeof w->error, "%s", reason);
}

/* One request under its savepoint. False when the whole transaction is gone. */
static bool run_request(struct database *d, struct work *w, struct batch_result *out) {
  bool wants_facts = w->request.want_facts || w->request.kind == STORE_LOAD_LEG;
  work_reset(w);
  d->moved = 0;
  memset(d->change, 0, sizeof d->change);
  d->uncounted = d->no_room = false;
  int rc = database_run(d, SQL_SAVEPOINT);
  if (rc == SQLITE_OK) rc = w->job != NULL ? outbox_run_job(d, w->job) : put(d, w);
  if (rc == SQLITE_OK && wants_facts) rc = facts_load(d, w->request.leg, w);
  if (rc == SQLITE_OK) {
    out->quarantined += d->moved;
    for (int i = 0; i < SINK_COUNT; i++) {
      out->change[i].pending += d->change[i].pending;
      out->change[i].dead += d->change[i].dead;
      out->change[i].writes += d->change[i].writes;
    }
    out->uncounted = out->uncounted || d->uncounted;
    if (d->moved > 0) memcpy(out->quarantined_last, d->moved_last, sizeof out->quarantined_last);
    database_run(d, SQL_RELEASE);
    return true;
  }
  database_check(d, rc);
  refuse(w, d->no_room                                  ? d->room_reason
            : rc == SQLITE_NOMEM || rc == SQLITE_TOOBIG ? sqlite3_errstr(rc)
                                                        : sqlite3_errmsg(d->db));
  if (sqlite3_get_autocommit(d->db)) return false;
  database_run(d, SQL_ROLLBACK_TO);
  database_run(d, SQL_RELEASE);
  return true;
}

/* A file that was deleted or moved away takes everything, and keeps it for nobody. SQLite looks by itself only
 * without WAL. */
static bool is_in_place(struct database *d) {
  int moved = 0;
  return sqlite3_file_control(d->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || !moved;
}

static int begin(struct database *d) {
  int rc = database_run(d, SQL_BEGIN);
  return rc == SQLITE_OK && !is_in_place(d) ? SQLITE_READONLY_DBMOVED : rc;
}

/* The reason is that of the newest error of the connection. */
static int give_up(struct database *d, struct batch_result *out) {
  int rc = database_check(d, sqlite3_extended_errcode(d->db));
  bool moved = !is_in_place(d);
  snprintf(out->reason, sizeof out->reason, "%s",
           moved ? "the database file was deleted or moved away" : sqlite3_errmsg(d->db));
  if (!sqlite3_get_autocommit(d->db)) database_run(d, SQL_ROLLBACK);
  return rc == SQLITE_OK ? SQLITE_ERROR : rc;
}

static int timed_commit(struct database *d, bool wrote, struct batch_result *out) {
  int64_t before_us = monotonic_us();
  int rc = database_run(d, SQL_COMMIT);
  if (rc != SQLITE_OK || !wrote) return rc;
  out->fsync_seconds_last = (double)(monotonic_us() - before_us) * 1e-6;
  out->fsync_seconds_sum += out->fsync_seconds_last;
  out->fsync_count++;
  out->commits++;
  return rc;
}

/* SQLITE_OK: every request has its answer, on disk. Else none has. */
static int try_transaction(struct database *d, struct work *const *items, size_t count,
                           struct batch_result *out) {
  struct batch_result now = *out;
  int before = sqlite3_total_changes(d->db);
  now.written = now.failed = false;
  if (begin(d) != SQLITE_OK) return give_up(d, out);
  for (size_t i = 0; i < count; i++) {
    if (run_request(d, items[i], &now)) continue;
    snprintf(out->reason, sizeof out->reason, "%s", items[i]->error);
    return SQLITE_ABORT;
  }
  now.written = sqlite3_total_changes(d->db) != before;
  if (timed_commit(d, now.written, &now) != SQLITE_OK) return give_up(d, out);
  for (size_t i = 0; i < count; i++) {
    now.duplicates += items[i]->status == STORE_DUPLICATE;
    now.failures += items[i]->status == STORE_FAILED;
    now.rows +=
        items[i]->status == STORE_DONE && items[i]->job == NULL && items[i]->request.kind != STORE_LOAD_LEG;
  }
  *out = now;
  return SQLITE_OK;
}

void batch_refuse(struct work *const *items, size_t count, const char *reason, struct batch_result *out) {
  if (reason != out->reason) snprintf(out->reason, sizeof out->reason, "%s", reason);
  out->failed = true;
  out->written = false;
  out->failures += count;
  for (size_t i = 0; i < count; i++) refuse(items[i], out->reason);
}

void batch_commit(struct database *d, struct work *const *items, size_t count, struct batch_result *out) {
  int rc = try_transaction(d, items, count, out);
  if (rc == SQLITE_OK) return;
  /* Somebody else's lock would make each wait again. */
  if (count > 1 && (rc & 0xff) != SQLITE_BUSY) {
    for (size_t i = 0; i < count; i++) batch_commit(d, &items[i], 1, out);
    return;
  }
  batch_refuse(items, count, out->reason, out);
}

bool batch_probe(struct database *d, struct batch_result *out) {
  static const char key[] = "store.probe", value[] = "writable";
  sqlite3_stmt *s = d->statements[SQL_PUT_VALUE];
  bool done = begin(d) == SQLITE_OK;
  if (done) {
    bind_string(s, 1, key);
    bind_string(s, 2, value);
    sqlite3_bind_int64(s, 3, value_crc(key, strlen(key), value, strlen(value)));
    done = database_run(d, SQL_PUT_VALUE) == SQLITE_OK && timed_commit(d, true, out) == SQLITE_OK;
  }
  if (!done) give_up(d, out);
  out->written = done;
  out->failed = !done;
  return done;
}
