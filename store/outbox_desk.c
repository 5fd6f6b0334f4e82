/* What `sidetone outbox` asks and changes, beside a serve that runs: its store's thread sees that somebody else has
 * written and lets the sinks begin anew at their cursors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/outbox.h"
#include "store/schema.h"

enum { ROWS_A_TRANSACTION = 5000 }; /* serve's writes wait no longer than that */

struct outbox_desk {
  sqlite3 *db;
};

int outbox_desk_open(struct outbox_desk **out, const char *directory, bool to_change, char *why,
                     size_t why_bytes) {
  struct outbox_desk *d = calloc(1, sizeof *d);
  if (d == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  if (database_connect(&d->db, directory, to_change, why, why_bytes) != 0) {
    free(d);
    return -1;
  }
  if (schema_version(d->db) == STORE_SCHEMA_VERSION &&
      sqlite3_exec(d->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK) {
    *out = d;
    return 0;
  }
  snprintf(why, why_bytes, "%s: its outbox is not of this version: start `sidetone serve` once", directory);
  outbox_desk_close(d);
  return -1;
}

void outbox_desk_close(struct outbox_desk *d) {
  if (d == NULL) return;
  sqlite3_close(d->db);
  free(d);
}

/* ---- looking ---- */

#define DEAD \
  "SELECT row FROM outbox INDEXED BY outbox_dead WHERE (mongo = 2 OR redis_queue = 2 OR redis_alerts = 2)"
#define PENDING(sink) "SELECT row FROM outbox INDEXED BY outbox_" sink " WHERE " sink " = 0"
#define ANY           PENDING("mongo") " UNION " PENDING("redis_queue") " UNION " PENDING("redis_alerts") " UNION " DEAD

/* A body is looked up for one row only. */
#define ENTRY(body)                                                                                        \
  "SELECT o.row, o.at_ms, o.kind, o.leg, o.id, o.mongo, o.redis_queue, o.redis_alerts, m.tries, m.reason," \
  " q.tries, q.reason, a.tries, a.reason, " body                                                           \
  " FROM outbox AS o"                                                                                      \
  " LEFT JOIN outbox_tries AS m ON m.row = o.row AND m.sink = 0"                                           \
  " LEFT JOIN outbox_tries AS q ON q.row = o.row AND q.sink = 1"                                           \
  " LEFT JOIN outbox_tries AS a ON a.row = o.row AND a.sink = 2 WHERE o.crc = record_crc(o.row, o.leg, "   \
  "o.kind,"                                                                                                \
  " o.id, o.n, o.fact, o.at_ms, o.body, o.mongo, o.redis_queue, o.redis_alerts) AND "

static const char *text_at(sqlite3_stmt *s, int column) {
  const char *text = (const char *)sqlite3_column_text(s, column);
  return text == NULL ? "" : text;
}

static void read_entry(sqlite3_stmt *s, struct outbox_entry *e) {
  *e = (struct outbox_entry){.row = sqlite3_column_int64(s, 0),
                             .at_ms = sqlite3_column_int64(s, 1),
                             .kind = (enum outbox_kind)sqlite3_column_int(s, 2),
                             .leg = text_at(s, 3),
                             .id = text_at(s, 4)};
  for (int i = 0; i < SINK_COUNT; i++) {
    e->state[i] = (enum outbox_state)sqlite3_column_int(s, 5 + i);
    e->tries[i] = (uint32_t)sqlite3_column_int64(s, 8 + 2 * i);
    e->reason[i] = text_at(s, 9 + 2 * i);
  }
  e->body = text_at(s, 14);
  e->body_bytes = (size_t)sqlite3_column_bytes(s, 14);
}

static bool wanted(const struct outbox_entry *e, enum sink_id sink, bool dead_only) {
  for (int i = 0; i < SINK_COUNT; i++)
    if ((sink == SINK_COUNT || (int)sink == i) &&
        (e->state[i] == OUTBOX_DEAD || (e->state[i] == OUTBOX_PENDING && !dead_only)))
      return true;
  return false;
}

int outbox_desk_list(struct outbox_desk *d, enum sink_id sink, bool dead_only,
                     void (*row)(void *arg, const struct outbox_entry *entry), void *arg) {
  static const char *const rows[SINK_COUNT + 1] = {PENDING("mongo") " UNION " DEAD,
                                                   PENDING("redis_queue") " UNION " DEAD,
                                                   PENDING("redis_alerts") " UNION " DEAD, ANY};
  char sql[2048];
  sqlite3_stmt *s = NULL;
  struct outbox_entry entry;
  int rc;
  snprintf(sql, sizeof sql, ENTRY("NULL") "o.row IN (%s) ORDER BY o.row", dead_only ? DEAD : rows[sink]);
  if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) != SQLITE_OK) return -1;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    read_entry(s, &entry);
    if (wanted(&entry, sink, dead_only)) row(arg, &entry);
  }
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? 0 : -1;
}

int outbox_desk_show(struct outbox_desk *d, int64_t row,
                     void (*show)(void *arg, const struct outbox_entry *entry), void *arg) {
  static const char sql[] = ENTRY(
      "CASE o.kind WHEN 0 THEN (SELECT body FROM events AS e WHERE e.row = o.fact AND e.id = o.id)"
      " WHEN 1 THEN (SELECT body FROM parts AS p WHERE p.row = o.fact AND p.part = o.id)"
      " ELSE o.body END") "o.row = ?1";
  sqlite3_stmt *s = NULL;
  struct outbox_entry entry;
  if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) != SQLITE_OK) return -EIO;
  sqlite3_bind_int64(s, 1, row);
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    read_entry(s, &entry);
    show(arg, &entry);
  }
  sqlite3_finalize(s);
  return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : -EIO;
}

/* ---- changing ---- */

/* A fact that MongoDB gets after all is settled after all: the queue's entry comes again. */
#define RETRIED_MONGO "CASE mongo WHEN 2 THEN 0 ELSE mongo END"
#define RETRIED_QUEUE \
  "CASE WHEN redis_queue = 2 OR (redis_queue = 1 AND mongo = 2) THEN 0 ELSE redis_queue END"
#define RETRIED_ALERTS "CASE redis_alerts WHEN 2 THEN 0 ELSE redis_alerts END"
#define DROPPED(sink)  "CASE WHEN " sink " IN (0, 2) THEN 3 ELSE " sink " END"
#define CHANGE(mongo, queue, alerts)                                                           \
  "UPDATE outbox SET mongo = " mongo ", redis_queue = " queue ", redis_alerts = " alerts       \
  ", crc = record_crc(row, leg, kind, id, n, fact, at_ms, body, " mongo ", " queue ", " alerts \
  ") WHERE crc = " OUTBOX_CRC

static int64_t change(struct outbox_desk *d, const char *sql, int64_t row, int64_t up_to) {
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_prepare_v2(d->db, sql, -1, &s, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_bind_int64(s, 1, row);
    sqlite3_bind_int64(s, 2, up_to);
    rc = sqlite3_step(s);
  }
  int64_t changes = rc == SQLITE_DONE ? sqlite3_changes64(d->db) : -EIO;
  sqlite3_finalize(s);
  return changes;
}

/* Two statements, one transaction; gives the second's number of rows. */
static int64_t change_both(struct outbox_desk *d, const char *tries, const char *rows, int64_t row,
                           int64_t up_to) {
  if (sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return -EIO;
  int64_t changes = change(d, tries, row, up_to);
  if (changes >= 0) changes = change(d, rows, row, up_to);
  const char *end = changes >= 0 ? "COMMIT" : "ROLLBACK";
  if (sqlite3_exec(d->db, end, NULL, NULL, NULL) == SQLITE_OK) return changes;
  sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
  return -EIO;
}

/* The last of the first rows that are dead from `row` on; -ENOENT: there is none. */
static int64_t last_of_the_next(struct outbox_desk *d, int64_t row) {
  static const char sql[] = "SELECT max(row) FROM (" DEAD " AND row >= ?1 ORDER BY row LIMIT ?2)";
  sqlite3_stmt *s = NULL;
  int64_t last = -EIO;
  if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) != SQLITE_OK) return -EIO;
  sqlite3_bind_int64(s, 1, row);
  sqlite3_bind_int(s, 2, ROWS_A_TRANSACTION);
  if (sqlite3_step(s) == SQLITE_ROW)
    last = sqlite3_column_type(s, 0) == SQLITE_NULL ? -ENOENT : sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return last;
}

static int64_t retry_between(struct outbox_desk *d, int64_t row, int64_t up_to) {
  static const char tries[] =
      "DELETE FROM outbox_tries WHERE row IN (" DEAD
      " AND row BETWEEN ?1 AND ?2) AND"
      " (SELECT CASE sink WHEN 0 THEN mongo WHEN 1 THEN redis_queue ELSE redis_alerts END FROM outbox AS o"
      " WHERE o.row = outbox_tries.row) = 2";
  static const char rows[] =
      CHANGE(RETRIED_MONGO, RETRIED_QUEUE, RETRIED_ALERTS) " AND row IN (" DEAD " AND row BETWEEN ?1 AND ?2)";
  return change_both(d, tries, rows, row, up_to);
}

int64_t outbox_desk_retry(struct outbox_desk *d, int64_t row) {
  int64_t total = 0, from = 0, last;
  if (row >= 0) {
    total = retry_between(d, row, row);
    return total == 0 ? -ENOENT : total;
  }
  while ((last = last_of_the_next(d, from)) >= 0) {
    int64_t changed = retry_between(d, from, last);
    if (changed < 0) return changed;
    total += changed;
    from = last + 1;
  }
  return last == -ENOENT ? total : last;
}

int outbox_desk_drop(struct outbox_desk *d, int64_t row) {
  static const char tries[] = "DELETE FROM outbox_tries WHERE row = ?1 AND row <= ?2";
  static const char rows[] = CHANGE(DROPPED("mongo"), DROPPED("redis_queue"), DROPPED("redis_alerts"))
      " AND row = ?1 AND row <= ?2 AND (mongo IN (0, 2) OR redis_queue IN (0, 2) OR redis_alerts IN (0, 2))";
  int64_t changed = change_both(d, tries, rows, row, row);
  return changed > 0 ? 0 : changed == 0 ? -ENOENT : -EIO;
}
