#include "store/salvage_rows.h"

#include <stdio.h>
#include <string.h>

#include "store/schema.h"

/* `shape`, a letter a column: - the row's own number (stored as NULL), t text, T text or nothing, i integer,
 * n number or nothing. The last column is the checksum. `leg`, `id` and `body` are columns, -1: there is none. */
struct shape {
  const char *name, *shape;
  bool of_table;
  bool number_is_free; /* no checksum covers the row's number: it may get another */
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
    {"events", "-tTiti", true, true, 2, 1, 4, event_is_sound,
     "INSERT INTO events (row, id, leg, received_at_ms, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
     " ON CONFLICT (row) DO NOTHING"},
    {"parts", "-ttiiti", true, true, 1, 2, 5, part_is_sound,
     "INSERT INTO parts (row, leg, part, n, open, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
     " ON CONFLICT (leg, part) DO UPDATE SET n = excluded.n, open = excluded.open, body = excluded.body,"
     " crc = excluded.crc WHERE excluded.n > n ON CONFLICT (row) DO NOTHING"},
    {"calllogs", "-ttiTTTTnniiiti", true, true, 1, 2, 13, calllog_is_sound,
     "INSERT INTO calllogs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
     " ON CONFLICT (leg) DO UPDATE SET call_log_id = excluded.call_log_id,"
     " initiated_at_ms = excluded.initiated_at_ms, status = excluded.status, direction = excluded.direction,"
     " from_number = excluded.from_number, to_number = excluded.to_number, total_s = excluded.total_s,"
     " mos = excluded.mos, list_crc = excluded.list_crc, revision = excluded.revision, open = excluded.open,"
     " body = excluded.body, crc = excluded.crc WHERE excluded.revision >= revision"
     " ON CONFLICT (row) DO NOTHING"},
    {"outbox", "-titiiiTiiii", true, false, 1, 3, 7, NULL,
     "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
     " ON CONFLICT (row) DO UPDATE SET mongo = excluded.mongo, redis_queue = excluded.redis_queue,"
     " redis_alerts = excluded.redis_alerts, crc = excluded.crc, fact = excluded.fact, n = excluded.n,"
     " at_ms = excluded.at_ms WHERE excluded.leg = leg AND excluded.kind = kind AND excluded.id = id"},
    {"legs", "tiiiiiii", false, false, 0, -1, -1, NULL,
     "INSERT INTO legs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (leg) DO UPDATE SET"
     " revision = excluded.revision, settled = excluded.settled, open = excluded.open, ended = "
     "excluded.ended,"
     " ended_at_ms = excluded.ended_at_ms, gone = excluded.gone, crc = excluded.crc"
     " WHERE excluded.revision >= revision"},
    {"meta", "tti", false, false, -1, 0, 1, value_is_sound,
     "INSERT INTO meta VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
     " crc = excluded.crc"},
};

static const char quarantine_sql[] =
    "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
    " SELECT ?1, ?2, ?3, ?4, ?5, " NOW_MS
    " WHERE NOT EXISTS (SELECT 1 FROM quarantine"
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
  if (rc == SQLITE_OK && sqlite3_changes(s->db) == 0 && shapes[table].number_is_free) {
    bind_row(s->put[table], NULL, row, row->count); /* its number may be another's: it gets a new one */
    rc = run(s->put[table]);
  }
  if (rc == SQLITE_OK && sqlite3_changes(s->db) > 0) *taken = SALVAGED_COPIED;
  return rc;
}

/* Numbers of the outbox are never used again, not even those of rows that went. */
static void note_sequence(struct salvage_rows *s, const struct carved_row *row) {
  static const char name[] = "outbox";
  const struct carved_value *v = row->value;
  if (!row->of_table || !fits("ti", row) || v[0].bytes != sizeof name - 1) return;
  if (memcmp(v[0].text, name, sizeof name - 1) == 0 && v[1].integer > s->outbox_sequence &&
      v[1].integer < INT64_MAX / 2)
    s->outbox_sequence = v[1].integer;
}

int salvage_row(struct salvage_rows *s, const struct carved_row *row, enum salvaged *taken) {
  bool sound;
  *taken = SALVAGED_NOTHING;
  note_sequence(s, row);
  int table = find_shape(row);
  if (table < 0) {
    if (!row->of_table || !fits(quarantine_shape, row)) return SQLITE_OK;
    bind_row(s->put_quarantined, NULL, row, row->count);
    return run(s->put_quarantined);
  }
  int rc = SQLITE_OK;
  if (shapes[table].sound != NULL)
    sound = shapes[table].sound(row);
  else
    rc = check_record(s, table, row, &sound);
  if (rc != SQLITE_OK) return rc;
  if (sound) return put_row(s, table, row, taken);
  /* An index of `parts` has the shape of `meta`. */
  return table == SALVAGE_VALUES ? SQLITE_OK : quarantine_row(s, &shapes[table], row, taken);
}

/* ---- before and after ---- */

static const char put_quarantined_sql[] =
    "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms) SELECT ?2, ?3, ?4, ?5, ?6, ?7"
    " WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE source = ?2 AND leg IS ?3 AND id IS ?4 AND body IS ?5"
    " AND crc IS ?6)";

static int prepare(struct salvage_rows *s, const char *sql, sqlite3_stmt **out) {
  return sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
}

static int prepare_check(struct salvage_rows *s, int table) {
  char sql[256] = "SELECT record_crc(?1";
  size_t length = strlen(sql), columns = strlen(shapes[table].shape);
  for (size_t i = 2; i < columns; i++)
    length += (size_t)snprintf(sql + length, sizeof sql - length, ", ?%zu", i);
  snprintf(sql + length, sizeof sql - length, ") = ?%zu", columns);
  return prepare(s, sql, &s->check[table]);
}

int salvage_rows_open(struct salvage_rows *s, sqlite3 *fresh) {
  *s = (struct salvage_rows){.db = fresh};
  int rc =
      prepare(s, "INSERT INTO event_ids (id, seen_at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING", &s->put_id);
  if (rc == SQLITE_OK) rc = prepare(s, quarantine_sql, &s->quarantine);
  if (rc == SQLITE_OK) rc = prepare(s, put_quarantined_sql, &s->put_quarantined);
  for (int i = 0; rc == SQLITE_OK && i < SALVAGE_TABLES; i++) {
    rc = prepare(s, shapes[i].put, &s->put[i]);
    if (rc == SQLITE_OK && shapes[i].sound == NULL) rc = prepare_check(s, i);
  }
  return rc;
}

void salvage_rows_close(struct salvage_rows *s) {
  for (int i = 0; i < SALVAGE_TABLES; i++) {
    sqlite3_finalize(s->put[i]);
    sqlite3_finalize(s->check[i]);
  }
  sqlite3_finalize(s->put_id);
  sqlite3_finalize(s->quarantine);
  sqlite3_finalize(s->put_quarantined);
}

/* When the ids were seen is lost: they stay for 72 h more (id_clock.h). */
static const char remember_ids[] =
    "UPDATE event_ids SET seen_at_ms = coalesce((SELECT CAST(value AS INTEGER) FROM meta"
    " WHERE key = 'store.id_clock'), " NOW_MS ")";

/* Facts whose row of the outbox is lost are delivered again, which changes nothing; legs whose row is lost or
 * behind its facts are counted. A fact that is lost leaves `revision` above `settled`: the leg is looked at again. */
int salvage_rows_finish(struct salvage_rows *s) {
  int rc = schema_append_missing(s->db);
  if (rc == SQLITE_OK) rc = schema_count_legs(s->db);
  if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, remember_ids, NULL, NULL, NULL);
  if (rc != SQLITE_OK || s->outbox_sequence == 0) return rc;
  char sql[256];
  snprintf(sql, sizeof sql,
           "INSERT INTO sqlite_sequence (name, seq) SELECT 'outbox', 0 WHERE NOT EXISTS"
           " (SELECT 1 FROM sqlite_sequence WHERE name = 'outbox');"
           "UPDATE sqlite_sequence SET seq = max(seq, %lld) WHERE name = 'outbox'",
           (long long)s->outbox_sequence);
  return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}
