#include "store/legs.h"

#include <string.h>

#include "store/clock.h"

struct leg_row {
  int64_t revision, settled, ended_at_ms, gone;
  int open;
  bool ended;
};

static int read_row(sqlite3_stmt *s, struct leg_row *row) {
  int rc = sqlite3_step(s);
  if (rc != SQLITE_ROW) return rc;
  *row = (struct leg_row){.revision = sqlite3_column_int64(s, 0),
                          .settled = sqlite3_column_int64(s, 1),
                          .open = sqlite3_column_int(s, 2),
                          .ended = sqlite3_column_int(s, 3) != 0,
                          .ended_at_ms = sqlite3_column_int64(s, 4),
                          .gone = sqlite3_column_int64(s, 5)};
  return rc;
}

static int count_leg(struct database *d, const char *leg, struct leg_row *row) {
  sqlite3_stmt *s = d->statements[SQL_COUNT_LEG];
  *row = (struct leg_row){.settled = -1}; /* a damaged table may refuse to be counted */
  bind_string(s, 1, leg);
  int rc = read_row(s, row);
  sqlite3_reset(s);
  if (!row->ended) row->ended_at_ms = 0;
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* `*counted`: the row was bad, and `row` has been counted from the facts, the newest with them. */
static int get(struct database *d, const char *leg, struct leg_row *row, bool *counted) {
  sqlite3_stmt *s = d->statements[SQL_GET_LEG];
  *row = (struct leg_row){.settled = -1};
  bind_string(s, 1, leg);
  int rc = read_row(s, row);
  bool bad = rc == SQLITE_ROW && sqlite3_column_int(s, 6) == 0;
  sqlite3_reset(s);
  *counted = bad;
  if (!bad) return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
  bind_string(d->statements[SQL_QUARANTINE_LEG], 1, leg);
  rc = database_run(d, SQL_QUARANTINE_LEG);
  database_moved(d, "legs", 0, leg);
  return rc == SQLITE_OK ? count_leg(d, leg, row) : rc;
}

static int put(struct database *d, const char *leg, const struct leg_row *row) {
  sqlite3_stmt *s = d->statements[SQL_PUT_LEG];
  bind_string(s, 1, leg);
  sqlite3_bind_int64(s, 2, row->revision);
  sqlite3_bind_int64(s, 3, row->settled);
  sqlite3_bind_int(s, 4, row->open);
  sqlite3_bind_int(s, 5, row->ended);
  sqlite3_bind_int64(s, 6, row->ended_at_ms);
  sqlite3_bind_int64(s, 7, row->gone);
  return database_run(d, SQL_PUT_LEG);
}

/* Its end is below zero while all its facts are gone: then nothing of it is left to go. */
static void facts_are_back(struct leg_row *row) {
  if (row->ended_at_ms < 0) row->ended_at_ms = -row->ended_at_ms;
}

int legs_event(struct database *d, const char *leg) {
  struct leg_row row;
  bool counted;
  if (leg == NULL) return SQLITE_OK;
  int rc = get(d, leg, &row, &counted);
  if (rc != SQLITE_OK) return rc;
  if (!counted) row.revision++;
  facts_are_back(&row);
  return put(d, leg, &row);
}

int legs_part(struct database *d, const char *leg, uint64_t old_n, uint64_t n) {
  struct leg_row row;
  bool counted;
  int rc = get(d, leg, &row, &counted);
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *s = d->statements[SQL_OPEN_PARTS];
  bind_string(s, 1, leg);
  rc = sqlite3_step(s);
  bool open = rc == SQLITE_ROW && sqlite3_column_int(s, 0) != 0;
  sqlite3_reset(s);
  if (rc != SQLITE_ROW) return rc;
  if (!counted) row.revision += (int64_t)(n - old_n);
  row.open = (row.open & LEG_OPEN_CALLLOG) | (open ? LEG_OPEN_PART : 0);
  facts_are_back(&row);
  return put(d, leg, &row);
}

int legs_calllog(struct database *d, const char *leg, uint64_t revision, bool open, bool ended) {
  struct leg_row row;
  bool counted;
  int rc = get(d, leg, &row, &counted);
  if (rc != SQLITE_OK) return rc;
  row.settled = (int64_t)revision;
  row.open = (row.open & LEG_OPEN_PART) | (open ? LEG_OPEN_CALLLOG : 0);
  if (!ended)
    row.ended_at_ms = 0;
  else if (!row.ended)
    row.ended_at_ms = wall_ms();
  row.ended = ended;
  return put(d, leg, &row);
}

int legs_count_again(struct database *d, const char *leg) {
  struct leg_row row, now;
  bool counted;
  int rc = get(d, leg, &row, &counted);
  if (rc == SQLITE_OK) rc = count_leg(d, leg, &now);
  if (rc != SQLITE_OK) return rc;
  row.revision = now.revision + row.gone;
  row.settled = now.settled < row.settled || counted ? now.settled : row.settled;
  if (row.settled > row.revision || row.revision == 0) row.settled = row.revision;
  row.open = now.open;
  return put(d, leg, &row);
}

int legs_check(struct database *d, const char *leg, int64_t present, bool *gone) {
  struct leg_row row;
  bool counted;
  int rc = get(d, leg, &row, &counted);
  *gone = rc == SQLITE_OK && row.gone > 0;
  if (rc != SQLITE_OK) return rc;
  if (counted) return put(d, leg, &row);
  return present < 0 || row.revision - row.gone == present ? SQLITE_OK : SQLITE_CORRUPT_INDEX;
}

int legs_calllog_holds_all(struct database *d, const char *leg, bool *holds) {
  struct leg_row row;
  bool counted;
  *holds = false;
  int rc = get(d, leg, &row, &counted);
  if (rc != SQLITE_OK || counted) return rc;
  if (row.open != 0 || !row.ended || row.settled != row.revision) return SQLITE_OK;
  sqlite3_stmt *s = d->statements[SQL_CALLLOG_OF_LEG];
  bind_string(s, 1, leg);
  rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    size_t bytes;
    const char *body = column_bytes(s, 12, &bytes);
    int64_t revision = sqlite3_column_int64(s, 10);
    *holds = revision == row.revision &&
             calllog_crc(leg, strlen(leg), (uint64_t)revision, sqlite3_column_int(s, 11) != 0, body, bytes) ==
                 (uint64_t)sqlite3_column_int64(s, 13);
  }
  sqlite3_reset(s);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int legs_facts_went(struct database *d, const char *leg) {
  struct leg_row row;
  bool counted;
  int rc = get(d, leg, &row, &counted);
  if (rc != SQLITE_OK) return rc;
  row.gone = row.revision;
  if (row.ended_at_ms > 0) row.ended_at_ms = -row.ended_at_ms;
  return put(d, leg, &row);
}

int legs_is_known(struct database *d, const char *leg, bool *known) {
  sqlite3_stmt *s = d->statements[SQL_GET_LEG];
  *known = false;
  if (leg == NULL) return SQLITE_OK;
  bind_string(s, 1, leg);
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  *known = rc == SQLITE_ROW;
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
