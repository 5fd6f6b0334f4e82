/* A sink's look at the outbox: its own read-only connection, which no write waits for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/outbox_job.h"
#include "store/schema.h"
#include "store/store_internal.h"

enum { BAD_MAX = 64, CACHE_KIB = 2048, BUSY_MS = 5000 };

struct outbox_reader {
  struct store *store;
  enum sink_id sink;
  bool after_mongo;
  sqlite3 *db;
  sqlite3_stmt *query[OUTBOX_QUERIES];
  int64_t bad[BAD_MAX];
  size_t bad_count;
};

/* The columns that read_row() takes apart. */
#define ROW_COLUMNS                                                                                   \
  "SELECT o.row, o.leg, o.kind, o.id, o.n, o.at_ms, o.body,"                                          \
  " o.crc = record_crc(o.row, o.leg, o.kind, o.id, o.n, o.fact, o.at_ms, o.body, o.mongo,"            \
  " o.redis_queue, o.redis_alerts),"                                                                  \
  " CASE WHEN t.crc = record_crc(t.row, t.sink, t.tries, t.reason, t.at_ms) THEN t.tries ELSE 0 END," \
  " e.received_at_ms, e.body, e.crc, p.n, p.open, p.body, p.crc FROM outbox AS o INDEXED BY "
#define ROW_JOINS                                                                              \
  " LEFT JOIN events AS e ON o.kind = 0 AND e.row = o.fact AND e.leg = o.leg AND e.id = o.id"  \
  " LEFT JOIN parts AS p ON o.kind = 1 AND p.row = o.fact AND p.leg = o.leg AND p.part = o.id" \
  " LEFT JOIN outbox_tries AS t ON t.row = o.row AND t.sink = ?3 "

/* Named after the partial index whose condition is the same; the planner is left no choice. */
struct wanted {
  const char *index, *condition;
};

static struct wanted wanted_rows(enum sink_id sink, bool after_mongo) {
  static const struct wanted own[SINK_COUNT] = {{"outbox_mongo", "mongo = 0"},
                                                {"outbox_redis_queue", "redis_queue = 0"},
                                                {"outbox_redis_alerts", "redis_alerts = 0"}};
  static const struct wanted after = {"outbox_redis_queue_after_mongo", "redis_queue = 0 AND mongo <> 0"};
  return after_mongo ? after : own[sink];
}

/* Without MongoDB the queue's entry is the leg's CallLog: it must have been folded with the row's fact. A leg that is not
 * known comes out too: its row is damaged. */
static const char *settled_only(enum sink_id sink, bool after_mongo) {
  bool local = sink == SINK_REDIS_QUEUE && !after_mongo;
  return local ? " AND coalesce((SELECT settled >= revision FROM legs WHERE legs.leg = o.leg), 1)" : "";
}

void outbox_query_sql(enum outbox_query query, enum sink_id sink, bool after_mongo, char *out,
                      size_t out_bytes) {
  struct wanted w = wanted_rows(sink, after_mongo);
  switch (query) {
    case OUTBOX_QUERY_ROWS:
      snprintf(out, out_bytes, ROW_COLUMNS "%s" ROW_JOINS "WHERE %s%s AND o.row > ?1 ORDER BY o.row LIMIT ?2",
               w.index, w.condition, settled_only(sink, after_mongo));
      return;
    case OUTBOX_QUERY_LEG:
      snprintf(out, out_bytes,
               ROW_COLUMNS "outbox_by_leg" ROW_JOINS "WHERE %s%s AND o.leg = ?1 ORDER BY o.row LIMIT ?2",
               w.condition, settled_only(sink, after_mongo));
      return;
    case OUTBOX_QUERY_PENDING:
      snprintf(out, out_bytes, "%sSELECT row FROM outbox INDEXED BY %s WHERE %s ORDER BY row",
               after_mongo ? "SELECT row FROM outbox INDEXED BY outbox_mongo WHERE mongo = 0 UNION " : "",
               after_mongo ? "outbox_redis_queue" : w.index, after_mongo ? "redis_queue = 0" : w.condition);
      return;
    case OUTBOX_QUERY_LAST:
      snprintf(out, out_bytes, "%s", statement_sql[SQL_LAST_ROW]);
      return;
    case OUTBOX_QUERIES:
      return;
  }
}

static int prepare_all(struct outbox_reader *r) {
  char sql[2048];
  int rc = SQLITE_OK;
  for (int i = 0; rc == SQLITE_OK && i < OUTBOX_QUERIES; i++) {
    outbox_query_sql((enum outbox_query)i, r->sink, r->after_mongo, sql, sizeof sql);
    rc = sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &r->query[i], NULL);
  }
  return rc;
}

static int connect_reader(struct outbox_reader *r) {
  int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int rc = sqlite3_open_v2(r->store->mend.path, &r->db, flags, NULL);
  if (rc == SQLITE_OK) {
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA cache_size = -%d", CACHE_KIB);
    sqlite3_busy_timeout(r->db, BUSY_MS);
    rc = sqlite3_exec(r->db, sql, NULL, NULL, NULL);
  }
  if (rc == SQLITE_OK) rc = schema_functions(r->db);
  return rc == SQLITE_OK ? prepare_all(r) : rc;
}

static void disconnect_reader(struct outbox_reader *r) {
  for (int i = 0; i < OUTBOX_QUERIES; i++) {
    sqlite3_finalize(r->query[i]);
    r->query[i] = NULL;
  }
  sqlite3_close(r->db);
  r->db = NULL;
}

/* A file that was set aside for damage is no longer the store's: the one in its place is opened. */
static bool is_connected(struct outbox_reader *r) {
  int moved = 0;
  if (r->db != NULL && sqlite3_file_control(r->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
      !moved)
    return true;
  disconnect_reader(r);
  if (connect_reader(r) == SQLITE_OK) return true;
  disconnect_reader(r);
  return false;
}

int outbox_reader_open(struct outbox_reader **out, struct store *s, enum sink_id sink, bool after_mongo,
                       char *why, size_t why_bytes) {
  struct outbox_reader *r = calloc(1, sizeof *r);
  if (r == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  *r = (struct outbox_reader){.store = s, .sink = sink, .after_mongo = after_mongo};
  if (connect_reader(r) == SQLITE_OK) {
    *out = r;
    return 0;
  }
  snprintf(why, why_bytes, "the outbox cannot be read: %s",
           r->db == NULL ? "out of memory" : sqlite3_errmsg(r->db));
  outbox_reader_close(r);
  return -1;
}

void outbox_reader_close(struct outbox_reader *r) {
  if (r == NULL) return;
  disconnect_reader(r);
  free(r);
}

/* ---- rows ---- */

static const char *text_at(sqlite3_stmt *s, int column) {
  const char *text = (const char *)sqlite3_column_text(s, column);
  return text == NULL ? "" : text;
}

/* The fact behind the row, where it is there and its checksum is right. */
static bool read_fact(sqlite3_stmt *s, struct sink_row *row) {
  size_t leg = strlen(row->leg), id = strlen(row->id);
  int column = row->kind == OUTBOX_EVENT ? 10 : 14;
  if (sqlite3_column_type(s, column + 1) == SQLITE_NULL) return false;
  row->body = column_bytes(s, column, &row->body_bytes);
  uint32_t crc;
  if (row->kind == OUTBOX_EVENT) {
    crc = event_crc(row->id, id, row->leg, leg, sqlite3_column_int64(s, 9), row->body, row->body_bytes);
  } else {
    row->n = (uint64_t)sqlite3_column_int64(s, 12);
    crc = part_crc(row->leg, leg, row->id, id, row->n, sqlite3_column_int(s, 13) != 0, row->body,
                   row->body_bytes);
  }
  return crc == (uint64_t)sqlite3_column_int64(s, column + 1);
}

/* False: the store must look at it. */
static bool read_row(sqlite3_stmt *s, struct sink_row *row) {
  *row = (struct sink_row){.row = sqlite3_column_int64(s, 0),
                           .leg = text_at(s, 1),
                           .kind = (enum outbox_kind)sqlite3_column_int(s, 2),
                           .id = text_at(s, 3),
                           .n = (uint64_t)sqlite3_column_int64(s, 4),
                           .at_ms = sqlite3_column_int64(s, 5)};
  if (sqlite3_column_int(s, 7) == 0) return false;
  if (row->kind != OUTBOX_ALERT) return read_fact(s, row);
  row->body = column_bytes(s, 6, &row->body_bytes);
  return true;
}

/* The queue needs no body, and its entry is wanted all the same. */
static bool usable_without_fact(const struct outbox_reader *r, sqlite3_stmt *s, struct sink_row *row) {
  if (r->sink != SINK_REDIS_QUEUE || sqlite3_column_int(s, 7) == 0) return false;
  row->body = "";
  row->body_bytes = 0;
  return true;
}

struct reading {
  size_t max, max_bytes, given, bytes;
  void (*row)(void *arg, const struct sink_row *row, uint32_t tries);
  void *arg;
  bool more;
};

static int step_rows(struct outbox_reader *r, sqlite3_stmt *s, struct reading *g) {
  int rc;
  struct sink_row row;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    if (g->given == g->max || (g->bytes >= g->max_bytes && g->given > 0) || r->bad_count == BAD_MAX) break;
    bool good = read_row(s, &row);
    if (!good) r->bad[r->bad_count++] = row.row;
    if (!good && !usable_without_fact(r, s, &row)) continue;
    g->row(g->arg, &row, (uint32_t)sqlite3_column_int64(s, 8));
    g->given++;
    g->bytes += row.body_bytes;
  }
  g->more = rc == SQLITE_ROW;
  sqlite3_reset(s);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int examine_bad(struct outbox_reader *r) {
  struct outbox_job job = {.kind = OUTBOX_EXAMINE, .sink = r->sink, .rows = r->bad, .count = r->bad_count};
  if (r->bad_count == 0) return 0;
  r->bad_count = 0;
  return store_run_job(r->store, &job);
}

/* An entry of an index that points nowhere would stop the sink for ever: the indexes are made again, once. */
static int step_rows_well(struct outbox_reader *r, sqlite3_stmt *s, struct reading *g) {
  struct outbox_job job = {.kind = OUTBOX_REINDEX};
  int rc = step_rows(r, s, g);
  if ((rc & 0xff) != SQLITE_CORRUPT || g->given > 0) return rc == SQLITE_OK ? 0 : -1;
  r->bad_count = 0;
  return store_run_job(r->store, &job) == 0 && step_rows(r, s, g) == SQLITE_OK ? 0 : -1;
}

/* Again when only bad rows stood there, which are gone now. */
static int read_all(struct outbox_reader *r, enum outbox_query which, struct reading *g) {
  sqlite3_stmt *s = r->query[which];
  sqlite3_bind_int64(s, 2, (int64_t)(g->max + BAD_MAX + 1));
  sqlite3_bind_int(s, 3, r->sink);
  for (int64_t worst = -1;;) {
    if (step_rows_well(r, s, g) != 0) return -1;
    bool only_bad = g->given == 0 && r->bad_count > 0;
    if (only_bad && r->bad[0] == worst) return -1; /* the store finds nothing wrong with it */
    worst = r->bad[0];
    if (examine_bad(r) != 0) return -1;
    if (!only_bad) return 0;
  }
}

int outbox_read(struct outbox_reader *r, int64_t after, size_t max, size_t max_bytes,
                void (*row)(void *arg, const struct sink_row *row, uint32_t tries), void *arg) {
  struct reading g = {.max = max, .max_bytes = max_bytes, .row = row, .arg = arg};
  if (!is_connected(r)) return -1;
  sqlite3_bind_int64(r->query[OUTBOX_QUERY_ROWS], 1, after);
  return read_all(r, OUTBOX_QUERY_ROWS, &g);
}

int outbox_read_leg(struct outbox_reader *r, const char *leg, size_t max, size_t max_bytes,
                    void (*row)(void *arg, const struct sink_row *row, uint32_t tries), void *arg,
                    bool *more) {
  struct reading g = {.max = max, .max_bytes = max_bytes, .row = row, .arg = arg};
  *more = false;
  if (!is_connected(r)) return -1;
  bind_string(r->query[OUTBOX_QUERY_LEG], 1, leg);
  int rc = read_all(r, OUTBOX_QUERY_LEG, &g);
  *more = g.more;
  return rc;
}

/* ---- cursors ---- */

/* In one snapshot: a row that comes meanwhile is above. */
int64_t outbox_low_water(struct outbox_reader *r, const int64_t *rows, size_t count) {
  int64_t result = -1;
  size_t i = 0;
  int rc;
  if (!is_connected(r)) return -1;
  sqlite3_stmt *pending = r->query[OUTBOX_QUERY_PENDING], *last = r->query[OUTBOX_QUERY_LAST];
  if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) return -1;
  while ((rc = sqlite3_step(pending)) == SQLITE_ROW) {
    int64_t row = sqlite3_column_int64(pending, 0);
    while (i < count && rows[i] < row) i++;
    if (i < count && rows[i] == row) continue;
    result = row - 1;
    break;
  }
  sqlite3_reset(pending);
  if (rc == SQLITE_DONE && sqlite3_step(last) == SQLITE_ROW) result = sqlite3_column_int64(last, 0);
  sqlite3_reset(last);
  sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
  return result;
}

int64_t outbox_cursor(struct outbox_reader *r) {
  return outbox_low_water(r, NULL, 0);
}
