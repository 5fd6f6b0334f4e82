/* Reading from outside: its own read-only connection. Takes no lock of ours; WAL lets it read while
 * serve writes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"

struct store_reader {
  sqlite3 *db;
  char *damaged;
};

int store_reader_open(struct store_reader **out, const char *directory, char *why, size_t why_bytes) {
  struct store_reader *r = calloc(1, sizeof *r);
  if (r == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  if (database_connect(&r->db, directory, false, why, why_bytes) == 0) {
    *out = r;
    return 0;
  }
  free(r);
  return -1;
}

void store_reader_close(struct store_reader *r) {
  sqlite3_close(r->db);
  free(r->damaged);
  free(r);
}

const char *store_reader_damaged(const struct store_reader *r) {
  return r->damaged;
}

static const char *text_column(sqlite3_stmt *s, int column) {
  const unsigned char *text = sqlite3_column_text(s, column);
  return text == NULL ? "" : (const char *)text;
}

static double number_column(sqlite3_stmt *s, int column) {
  return sqlite3_column_type(s, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, column);
}

int store_reader_list(struct store_reader *r, void (*row)(void *arg, const struct store_call_row *),
                      void *arg) {
  static const char sql[] =
      "SELECT call_log_id, status, direction, from_number, to_number, initiated_at_ms, total_s, mos, list_crc"
      " FROM calllogs ORDER BY initiated_at_ms DESC, call_log_id";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK) return -1;
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    const struct store_call_row call = {.call_log_id = text_column(s, 0),
                                        .status = text_column(s, 1),
                                        .direction = text_column(s, 2),
                                        .from = text_column(s, 3),
                                        .to = text_column(s, 4),
                                        .initiated_at_ms = sqlite3_column_int64(s, 5),
                                        .total_s = number_column(s, 6),
                                        .mos = number_column(s, 7)};
    if (list_crc(&call) == (uint64_t)sqlite3_column_int64(s, 8)) row(arg, &call);
  }
  sqlite3_finalize(s);
  return rc == SQLITE_DONE ? 0 : -1;
}

/* The newest of the query's rows (leg, revision, open, body, crc) whose checksum is right. */
static char *find_document(struct store_reader *r, const char *sql, const char *key) {
  sqlite3_stmt *s = NULL;
  char *document = NULL;
  free(r->damaged);
  r->damaged = NULL;
  if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK) return NULL;
  bind_string(s, 1, key);
  while (document == NULL && sqlite3_step(s) == SQLITE_ROW) {
    size_t leg_bytes, body_bytes;
    const char *leg = column_bytes(s, 0, &leg_bytes), *body = column_bytes(s, 3, &body_bytes);
    uint32_t crc = calllog_crc(leg, leg_bytes, (uint64_t)sqlite3_column_int64(s, 1),
                               sqlite3_column_int(s, 2) != 0, body, body_bytes);
    if (crc == (uint64_t)sqlite3_column_int64(s, 4))
      document = strndup(body, body_bytes);
    else if (r->damaged == NULL)
      r->damaged = strndup(leg, leg_bytes);
  }
  sqlite3_finalize(s);
  return document;
}

static bool has_row(struct store_reader *r, const char *sql, const char *key) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK) return false;
  bind_string(s, 1, key);
  bool is = sqlite3_step(s) == SQLITE_ROW;
  sqlite3_finalize(s);
  return is;
}

/* A damaged entry of the index leads to another call's row, which is whole: the row itself must have the id. Where it has
 * not, the rows are looked through without the index. */
char *store_reader_get(struct store_reader *r, const char *call_log_id) {
#define OF_CALLLOG "SELECT leg, revision, open, body, crc FROM calllogs "
  char *document =
      find_document(r,
                    OF_CALLLOG
                    "WHERE call_log_id = ?1 AND EXISTS (SELECT 1 FROM calllogs AS own NOT INDEXED"
                    " WHERE own.row = calllogs.row AND own.call_log_id = ?1)"
                    " ORDER BY initiated_at_ms DESC",
                    call_log_id);
  if (document != NULL || r->damaged != NULL ||
      !has_row(r, "SELECT 1 FROM calllogs WHERE call_log_id = ?1", call_log_id))
    return document;
  return find_document(r, OF_CALLLOG "NOT INDEXED WHERE call_log_id = ?1", call_log_id);
#undef OF_CALLLOG
}

char *store_reader_get_leg(struct store_reader *r, const char *leg) {
  return find_document(r, "SELECT leg, revision, open, body, crc FROM calllogs WHERE leg = ?1", leg);
}
