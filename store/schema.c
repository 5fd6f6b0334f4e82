#include "store/schema.h"

#include <stdint.h>

#include "store/crc32c.h"

/* A row of `quarantine` keeps the bad row's key and body, and its checksum as it stood. */
static const char version_1[] =
    "CREATE TABLE events (row INTEGER PRIMARY KEY, id TEXT NOT NULL, leg TEXT, received_at_ms INTEGER NOT "
    "NULL,"
    " body TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE INDEX events_by_leg ON events (leg, row);"
    "CREATE TABLE event_ids (id TEXT PRIMARY KEY, seen_at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX event_ids_by_age ON event_ids (seen_at_ms);"
    "CREATE TABLE parts (row INTEGER PRIMARY KEY, leg TEXT NOT NULL, part TEXT NOT NULL, n INTEGER NOT NULL,"
    " open INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE (leg, part));"
    "CREATE INDEX parts_open ON parts (leg) WHERE open = 1;"
    "CREATE TABLE calllogs (row INTEGER PRIMARY KEY, leg TEXT NOT NULL UNIQUE, call_log_id TEXT NOT NULL,"
    " initiated_at_ms INTEGER NOT NULL, status TEXT, direction TEXT, from_number TEXT, to_number TEXT,"
    " total_s REAL, mos REAL, list_crc INTEGER NOT NULL, revision INTEGER NOT NULL, open INTEGER NOT NULL,"
    " body TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE INDEX calllogs_by_id ON calllogs (call_log_id);"
    "CREATE INDEX calllogs_by_time ON calllogs (initiated_at_ms);"
    "CREATE INDEX calllogs_open ON calllogs (leg) WHERE open = 1;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE quarantine (row INTEGER PRIMARY KEY, source TEXT NOT NULL, leg TEXT, id TEXT,"
    " body TEXT, crc INTEGER, found_at_ms INTEGER NOT NULL);";

/* `fact` is the row in events or parts, 0 for an alert; `open` of a leg is enum leg_open. A million delivered rows cost nothing:
 * they are in no index of a state. The states stand in them so that finding and counting reads no row. */
static const char version_2[] =
    "CREATE TABLE outbox (row INTEGER PRIMARY KEY AUTOINCREMENT, leg TEXT NOT NULL, kind INTEGER NOT NULL,"
    " id TEXT NOT NULL, n INTEGER NOT NULL, fact INTEGER NOT NULL, at_ms INTEGER NOT NULL, body TEXT,"
    " mongo INTEGER NOT NULL, redis_queue INTEGER NOT NULL, redis_alerts INTEGER NOT NULL,"
    " crc INTEGER NOT NULL);"
    "CREATE INDEX outbox_mongo ON outbox (row, mongo) WHERE mongo = 0;"
    "CREATE INDEX outbox_redis_queue ON outbox (row, redis_queue) WHERE redis_queue = 0;"
    "CREATE INDEX outbox_redis_queue_after_mongo ON outbox (row, redis_queue, mongo) WHERE redis_queue = 0 "
    "AND mongo <> 0;"
    "CREATE INDEX outbox_redis_alerts ON outbox (row, redis_alerts) WHERE redis_alerts = 0;"
    "CREATE INDEX outbox_dead ON outbox (row, mongo, redis_queue, redis_alerts) WHERE mongo = 2 OR "
    "redis_queue = 2 OR redis_alerts = 2;"
    "CREATE INDEX outbox_by_leg ON outbox (leg, row);"
    "CREATE TABLE outbox_tries (row INTEGER NOT NULL, sink INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " reason TEXT NOT NULL, at_ms INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (row, sink))"
    " WITHOUT ROWID;"
    "CREATE TABLE legs (leg TEXT PRIMARY KEY, revision INTEGER NOT NULL, settled INTEGER NOT NULL,"
    " open INTEGER NOT NULL, ended INTEGER NOT NULL, ended_at_ms INTEGER NOT NULL, gone INTEGER NOT NULL,"
    " crc INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX legs_unsettled ON legs (leg) WHERE open <> 0 OR revision > settled;"
    "CREATE INDEX legs_by_end ON legs (ended_at_ms) WHERE ended = 1;";

static const char append_missing[] =
    "INSERT INTO outbox (" OUTBOX_COLUMNS ", crc) SELECT *, " OUTBOX_CRC
    " FROM (SELECT row_number() OVER (ORDER BY kind, fact)"
    " + coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0) AS row,"
    " leg, kind, id, n, fact, at_ms, NULL AS body, 0 AS mongo, 0 AS redis_queue, 4 AS redis_alerts FROM"
    " (SELECT leg, 0 AS kind, id, 0 AS n, row AS fact, " NOW_MS
    " AS at_ms FROM events"
    " WHERE leg IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox AS o"
    " WHERE o.leg = events.leg AND o.kind = 0 AND o.fact = events.row)"
    " UNION ALL SELECT leg, 1, part, n, row, " NOW_MS
    " FROM parts WHERE NOT EXISTS"
    " (SELECT 1 FROM outbox AS o WHERE o.leg = parts.leg AND o.kind = 1 AND o.fact = parts.row)))";

/* A CallLog that is complete has ended; of the others it is known when they are folded again. */
static const char legs_from_facts[] =
    "INSERT INTO legs (" LEG_COLUMNS ", crc) SELECT *, " LEG_CRC
    " FROM (SELECT leg, sum(n) AS revision, max(settled) AS settled,"
    " max(part) + 2 * max(calllog) AS open, max(done) AS ended,"
    " CASE WHEN max(done) = 1 THEN " NOW_MS
    " ELSE 0 END AS ended_at_ms, 0 AS gone FROM"
    " (SELECT leg, count(*) AS n, -1 AS settled, 0 AS part, 0 AS calllog, 0 AS done FROM events"
    " WHERE leg IS NOT NULL GROUP BY leg"
    " UNION ALL SELECT leg, sum(n), -1, max(open), 0, 0 FROM parts GROUP BY leg"
    " UNION ALL SELECT leg, 0, revision, 0, open, 1 - open FROM calllogs) GROUP BY leg)";

/* Beside what the facts say: a leg keeps its revision and its end when facts of it went, delivered or lost. */
static const char count_legs[] =
    "INSERT OR REPLACE INTO legs (" LEG_COLUMNS ", crc) SELECT *, " LEG_CRC
    " FROM (SELECT leg, max(sum(n), max(known)) AS revision, max(settled) AS settled,"
    " max(part) + 2 * max(calllog) AS open, max(done) AS ended,"
    " CASE WHEN max(done) = 0 THEN 0 WHEN max(at) > 0 THEN max(at) ELSE " NOW_MS
    " END AS ended_at_ms, max(sum(n), max(known)) - sum(n) AS gone FROM"
    " (SELECT leg, count(*) AS n, 0 AS known, -1 AS settled, 0 AS part, 0 AS calllog, 0 AS done, 0 AS at"
    " FROM events WHERE leg IS NOT NULL GROUP BY leg"
    " UNION ALL SELECT leg, sum(n), 0, -1, max(open), 0, 0, 0 FROM parts GROUP BY leg"
    " UNION ALL SELECT leg, 0, 0, revision, 0, open, 1 - open, 0 FROM calllogs"
    " UNION ALL SELECT leg, 0, revision, -1, 0, 0, ended, ended_at_ms FROM legs) GROUP BY leg)";

int schema_version(sqlite3 *db) {
  sqlite3_stmt *s = NULL;
  int version = -1;
  if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
      sqlite3_step(s) == SQLITE_ROW)
    version = sqlite3_column_int(s, 0);
  sqlite3_finalize(s);
  return version;
}

int schema_append_missing(sqlite3 *db) {
  return sqlite3_exec(db, append_missing, NULL, NULL, NULL);
}

int schema_count_legs(sqlite3 *db) {
  return sqlite3_exec(db, count_legs, NULL, NULL, NULL);
}

int schema_bring_up(sqlite3 *db, int version) {
  if (version >= STORE_SCHEMA_VERSION) return 0;
  /* Ids are remembered by a clock of their own now (id_clock.h), which begins at this moment. */
  static const char ids[] = "UPDATE event_ids SET seen_at_ms = " NOW_MS;
  const char *const steps[] = {"BEGIN IMMEDIATE", version == 0 ? version_1 : ids, version_2, append_missing,
                               legs_from_facts,   "PRAGMA user_version = 2",      "COMMIT"};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    if (sqlite3_exec(db, steps[i], NULL, NULL, NULL) != SQLITE_OK) return -1;
  return 0;
}

/* ---- record_crc() ---- */

static uint32_t add_number(uint32_t crc, uint64_t number) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
  return crc32c(crc, bytes, sizeof bytes);
}

/* Type and length go first, so that no byte can move between columns. */
static void record_crc(sqlite3_context *context, int count, sqlite3_value **values) {
  uint32_t crc = 0;
  for (int i = 0; i < count; i++) {
    int type = sqlite3_value_type(values[i]);
    crc = add_number(crc, (uint64_t)type);
    if (type == SQLITE_INTEGER) {
      crc = add_number(crc, (uint64_t)sqlite3_value_int64(values[i]));
    } else if (type != SQLITE_NULL) {
      const void *bytes = sqlite3_value_blob(values[i]);
      size_t length = (size_t)sqlite3_value_bytes(values[i]);
      crc = add_number(crc, length);
      if (length > 0) crc = crc32c(crc, bytes, length);
    }
  }
  sqlite3_result_int64(context, crc);
}

int schema_functions(sqlite3 *db) {
  return sqlite3_create_function(db, "record_crc", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                 NULL, record_crc, NULL, NULL);
}
