#include "store/salvage_rows.h"

#include <math.h>
#include <string.h>

#include "store/schema.h"

/* `shape`, a letter a column: - the row's own number (stored as NULL), t text, T text or nothing, i integer,
 * n number or nothing. The last column is the checksum. `leg`, `id` and `body` are columns, -1: there is none. */
struct shape {
  const char *name, *shape;
  bool of_table;
  int leg, id, body;
  bool (*sound)(const struct carved_row *row); /* NULL: record_crc() */
  const char *put;
};

static uint32_t stored_crc(const struct carved_row *row, size_t column) {
  return (uint32_t)row->value[column].integer;
}

static bool event_is_sound(const struct carved_row *r) {
  const struct carved_value *v = r->value;
  return stored_crc(r, 5) == event_crc(v[1].text, v[1].bytes, v[2].text == NULL ? "" : v[2].text, v[2].bytes,
                                       v[3].integer, v[4].text, v[4].bytes);
}

static bool part_is_sound(const struct carved_row *r) {
  const struct carved_value *v = r->value;
  return stored_crc(r, 6) == part_crc(v[1].text, v[1].bytes, v[2].text, v[2].bytes, (uint64_t)v[3].integer,
                                      v[4].integer != 0, v[5].text, v[5].bytes);
}

/* The document's. What the list shows has a checksum of its own, which goes along as it is. */
static bool calllog_is_sound(const struct carved_row *r) {
  const struct carved_value *v = r->value;
  return stored_crc(r, 14) == calllog_crc(v[1].text, v[1].bytes, (uint64_t)v[11].integer, v[12].integer != 0,
                                          v[13].text, v[13].bytes);
}

static bool value_is_sound(const struct carved_row *r) {
  const struct carved_value *v = r->value;
  return stored_crc(r, 2) == value_crc(v[0].text, v[0].bytes, v[1].text, v[1].bytes);
}

/* A newer version of a row comes later, and two rows of one number are one row. */
static const struct shape shapes[SALVAGE_TABLES] = {
    {"events", "-tTiti", true, 2, 1, 4, event_is_sound,
     "INSERT INTO events (row, id, leg, received_at_ms, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
     " ON CONFLICT (row) DO NOTHING"},
    {"parts", "-ttiiti", true, 1, 2, 5, part_is_sound,
     "INSERT INTO parts (row, leg, part, n, open, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
     " ON CONFLICT (leg, part) DO UPDATE SET n = excluded.n, open = excluded.open, body = excluded.body,"
     " crc = excluded.crc WHERE excluded.n > n ON CONFLICT (row) DO NOTHING"},
    {"calllogs", "-ttiTTTTnniiiti", true, 1, 2, 13, calllog_is_sound,
     "INSERT INTO calllogs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
     " ON CONFLICT (leg) DO UPDATE SET call_log_id = excluded.call_log_id,"
     " initiated_at_ms = excluded.initiated_at_ms, status = excluded.status, direction = excluded.direction,"
     " from_number = excluded.from_number, to_number = excluded.to_number, total_s = excluded.total_s,"
     " mos = excluded.mos, list_crc = excluded.list_crc, revision = excluded.revision, open = excluded.open,"
     " body = excluded.body, crc = excluded.crc WHERE excluded.revision >= revision"
     " ON CONFLICT (row) DO NOTHING"},
    {"outbox", "-titiiiTiiii", true, 1, 3, 7, NULL,
     "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
     " ON CONFLICT (row) DO UPDATE SET mongo = excluded.mongo, redis_queue = excluded.redis_queue,"
     " redis_alerts = excluded.redis_alerts, crc = excluded.crc, fact = excluded.fact, n = excluded.n,"
     " at_ms = excluded.at_ms WHERE excluded.leg = leg AND excluded.kind = kind AND excluded.id = id"},
    {"legs", "tiiiiii", false, 0, -1, -1, NULL,
     "INSERT INTO legs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (leg) DO UPDATE SET"
     " revision = excluded.revision, settled = excluded.settled, open = excluded.open, ended = excluded.ended,"
     " ended_at_ms = excluded.ended_at_ms, crc = excluded.crc WHERE excluded.revision >= revision"},
    {"meta", "tti", false, -1, 0, 1, value_is_sound,
     "INSERT INTO meta VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
     " crc = excluded.crc"},
};

static const char quarantine_sql[] =
    "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
    " SELECT ?1, ?2, ?3, ?4, ?5, " NOW_MS " WHERE NOT EXISTS (SELECT 1 FROM quarantine"
    " WHERE source = ?1 AND leg IS ?2 AND id IS ?3 AND body IS ?4 AND crc = ?5)";
static const char quarantine_shape[] = "-tTTTIi";

/* ---- which table ---- */

static bool fits(const char *shape, const struct carved_row *row) {
  if (strlen(shape) != row->count) return false;
  for (size_t i = 0; i < row->count; i++) {
    enum carved_type type = row->value[i].type;
    bool right = shape[i] == '-'   ? type == CARVED_NULL
                 : shape[i] == 't' ? type == CARVED_TEXT
                 : shape[i] == 'T' ? type == CARVED_TEXT || type == CARVED_NULL
                 : shape[i] == 'i' ? type == CARVED_INTEGER
                 : shape[i] == 'I' ? type == CARVED_INTEGER || type == CARVED_NULL
                                   : type != CARVED_TEXT;
    if (!right) return false;
  }
  return true;
}

static int find_shape(const struct carved_row *row) {
  for (int i = 0; i < SALVAGE_TABLES; i++)
    if (shapes[i].of_table == row->of_table && fits(shapes[i].shape, row)) return i;
  return -1;
}

/* ---- on the way in ---- */

static void bind_value(sqlite3_stmt *s, int index, const struct carved_value *v) {
  switch (v->type) {
    case CARVED_NULL:
      sqlite3_bind_null(s, index);
      break;
    case CARVED_INTEGER:
      sqlite3_bind_int64(s, index, v->integer);
      break;
    case CARVED_REAL:
      sqlite3_bind_double(s, index, v->real);
      break;
    case CARVED_TEXT:
      bind_bytes(s, index, v->text, v->bytes);
      break;
  }
}

static void bind_row(sqlite3_stmt *s, const struct shape *shape, const struct carved_row *row, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (shape != NULL && shape->shape[i] == '-')
      sqlite3_bind_int64(s, (int)i + 1, row->number);
    else
      bind_value(s, (int)i + 1, &row->value[i]);
  }
}

static int run(sqlite3_stmt *s) {
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  sqlite3_clear_bindings(s);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Of version 2: record_crc() over every column before the checksum. */
static int check_record(struct salvage_rows *s, int table, const struct carved_row *row, bool *sound) {
  sqlite3_stmt *check = s->check[table];
  bind_row(check, &shapes[table], row, row->count);
  int rc = sqlite3_step(check);
  *sound = rc == SQLITE_ROW && sqlite3_column_int(check, 0) != 0;
  sqlite3_reset(check);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int quarantine_row(struct salvage_rows *s, const struct shape *shape, const struct carved_row *row,
                          enum salvaged *taken) {
  const int columns[] = {shape->leg, shape->id, shape->body};
  bind_string(s->quarantine, 1, shape->name);
  for (int i = 0; i < 3; i++) {
    if (columns[i] >= 0)
      bind_value(s->quarantine, i + 2, &row->value[columns[i]]);
    else
      sqlite3_bind_null(s->quarantine, i + 2);
  }
  bind_value(s->quarantine, 5, &row->value[row->count - 1]);
  int rc = run(s->quarantine);
  if (rc == SQLITE_OK && sqlite3_changes(s->db) > 0) *taken = SALVAGED_QUARANTINED;
  return rc;
}

/* An event's id is what makes it one: a second row of it is an older version of the same page. */
static int put_id(struct salvage_rows *s, const struct carved_row *event, bool *known) {
  bind_value(s->put_id, 1, &event->value[1]);
  bind_value(s->put_id, 2, &event->value[3]);
  int rc = run(s->put_id);
  *known = rc == SQLITE_OK && sqlite3_changes(s->db) == 0;
  return rc;
}

static int put_row(struct salvage_rows *s, int table, const struct carved_row *row, enum salvaged *taken) {
  bool known = false;
  int rc = table == SALVAGE_EVENTS ? put_id(s, row, &known) : SQLITE_OK;
  if (rc != SQLITE_OK || known) return rc;
  bind_row(s->put[table], &shapes[table], row, row->count);
  rc = run(s->put[table]);
  if (rc == SQLITE_OK && sqlite3_changes(s->db) == 0 && shapes[table].of_table) {
    /* Its number is taken by another: a number has no checksum in version 1. */
    bind_row(s->put[table], NULL, row, row->count);
    rc = table == SALVAGE_EVENTS ? run(s->put[table]) : SQLITE_OK;
  }
  if (rc == SQLITE_OK && sqlite3_changes(s->db) > 0) *taken = SALVAGED_COPIED;
  return rc;
}
