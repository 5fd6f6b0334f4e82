#include "store/facts.h"

#include <math.h>
#include <string.h>

#include "store/legs.h"

enum { BAD_MAX = 64 }; /* rows moved at a time; what is left is moved at the next reading */

struct bad_rows {
  sqlite3_int64 rows[BAD_MAX];
  size_t count;
};

/* Both queries give row, id, leg, number, body, crc; parts also `open`. */
static int read_rows(struct database *d, bool parts, const char *leg, struct work *work, struct bad_rows *bad,
                     int64_t *present) {
  sqlite3_stmt *s = d->statements[parts ? SQL_PARTS_OF_LEG : SQL_EVENTS_OF_LEG];
  int rc;
  bind_string(s, 1, leg);
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    size_t id_bytes, leg_bytes, body_bytes;
    const char *id = column_bytes(s, 1, &id_bytes), *own_leg = column_bytes(s, 2, &leg_bytes);
    sqlite3_int64 number = sqlite3_column_int64(s, 3);
    const char *body = column_bytes(s, 4, &body_bytes);
    uint32_t crc = parts ? part_crc(own_leg, leg_bytes, id, id_bytes, (uint64_t)number,
                                    sqlite3_column_int(s, 6) != 0, body, body_bytes)
                         : event_crc(id, id_bytes, own_leg, leg_bytes, number, body, body_bytes);
    if (crc != (uint64_t)sqlite3_column_int64(s, 5)) {
      if (bad->count < BAD_MAX) bad->rows[bad->count++] = sqlite3_column_int64(s, 0);
    } else if (work != NULL && !work_add_fact(work, parts, id, id_bytes, body, body_bytes)) {
      rc = SQLITE_NOMEM;
      break;
    } else {
      *present += parts ? number : 1;
    }
  }
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int run_for_row(struct database *d, enum statement which, sqlite3_int64 row) {
  sqlite3_bind_int64(d->statements[which], 1, row);
  return database_run(d, which);
}

/* Damaged content may lead to an entry that no index has: then they are made from the content as it is. */
static int drop_bad(struct database *d, enum statement drop, const char *reindex, sqlite3_int64 row) {
  int rc = run_for_row(d, drop, row);
  if ((rc & 0xff) != SQLITE_CORRUPT) return rc;
  rc = sqlite3_exec(d->db, reindex, NULL, NULL, NULL);
  /* A damaged key may be another row's: then no index can be made, and the whole file is to be mended. */
  if ((rc & 0xff) == SQLITE_CONSTRAINT) return SQLITE_CORRUPT;
  return rc == SQLITE_OK ? run_for_row(d, drop, row) : rc;
}

/* An event's id is forgotten too: when Telnyx sends it again it is taken again. */
static int move_row(struct database *d, bool part, sqlite3_int64 row) {
  int rc = run_for_row(d, part ? SQL_QUARANTINE_PART : SQL_QUARANTINE_EVENT, row);
  if (rc == SQLITE_OK && !part) rc = run_for_row(d, SQL_FORGET_EVENT_ID, row);
  if (rc != SQLITE_OK) return rc;
  return part ? drop_bad(d, SQL_DROP_PART, "REINDEX parts", row)
              : drop_bad(d, SQL_DROP_EVENT, "REINDEX events", row);
}

/* What went stands in the CallLog. One that is damaged goes too: it is folded again of what there is. */
static int read_calllog(struct database *d, const char *leg, struct work *work) {
  sqlite3_stmt *s = d->statements[SQL_CALLLOG_OF_LEG];
  bool moved;
  int rc = facts_check_calllog(d, leg, &moved);
  if (rc != SQLITE_OK || moved) return rc;
  bind_string(s, 1, leg);
  rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    const char *body = column_bytes(s, 12, &work->calllog_bytes);
    work->calllog = strndup(body, work->calllog_bytes);
    if (work->calllog == NULL) rc = SQLITE_NOMEM;
  }
  sqlite3_reset(s);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int facts_load(struct database *d, const char *leg, struct work *work) {
  bool any = false, gone;
  int64_t present = 0;
  if (leg == NULL) return SQLITE_OK;
  for (int parts = 0; parts <= 1; parts++) {
    struct bad_rows bad = {.count = 0};
    int rc = read_rows(d, parts == 1, leg, work, &bad, &present);
    for (size_t i = 0; rc == SQLITE_OK && i < bad.count; i++) {
      rc = move_row(d, parts == 1, bad.rows[i]);
      database_moved(d, parts == 1 ? "parts" : "events", bad.rows[i], leg);
    }
    if (rc != SQLITE_OK) return rc;
    any = any || bad.count > 0;
  }
  int rc = any ? legs_count_again(d, leg) : SQLITE_OK;
  if (rc == SQLITE_OK) rc = legs_check(d, leg, any ? -1 : present, &gone);
  return rc == SQLITE_OK && gone && work != NULL ? read_calllog(d, leg, work) : rc;
}

int facts_check(struct database *d, const char *leg) {
  return facts_load(d, leg, NULL);
}

static const char *text_of(sqlite3_stmt *s, int column) {
  return (const char *)sqlite3_column_text(s, column);
}

static double number_of(sqlite3_stmt *s, int column) {
  return sqlite3_column_type(s, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, column);
}

static bool calllog_is_good(sqlite3_stmt *s, const char *leg) {
  const struct store_call_row row = {.call_log_id = text_of(s, 1),
                                     .initiated_at_ms = sqlite3_column_int64(s, 2),
                                     .status = text_of(s, 3),
                                     .direction = text_of(s, 4),
                                     .from = text_of(s, 5),
                                     .to = text_of(s, 6),
                                     .total_s = number_of(s, 7),
                                     .mos = number_of(s, 8)};
  size_t bytes;
  const char *body = column_bytes(s, 12, &bytes);
  uint32_t crc = calllog_crc(leg, strlen(leg), (uint64_t)sqlite3_column_int64(s, 10),
                             sqlite3_column_int(s, 11) != 0, body, bytes);
  return list_crc(&row) == (uint64_t)sqlite3_column_int64(s, 9) &&
         crc == (uint64_t)sqlite3_column_int64(s, 13);
}

int facts_check_calllog(struct database *d, const char *leg, bool *moved) {
  sqlite3_stmt *s = d->statements[SQL_CALLLOG_OF_LEG];
  bind_string(s, 1, leg);
  int rc = sqlite3_step(s);
  bool bad = rc == SQLITE_ROW && !calllog_is_good(s, leg);
  sqlite3_int64 row = sqlite3_column_int64(s, 0);
  sqlite3_reset(s);
  *moved = bad;
  if (!bad) return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
  rc = run_for_row(d, SQL_QUARANTINE_CALLLOG, row);
  if (rc == SQLITE_OK) rc = drop_bad(d, SQL_DROP_CALLLOG, "REINDEX calllogs", row);
  database_moved(d, "calllogs", row, leg);
  return rc == SQLITE_OK ? legs_count_again(d, leg) : rc;
}
