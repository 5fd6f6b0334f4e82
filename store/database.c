#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  VALUE_MAX_BYTES = 32 << 20, /* of one row: twice the largest document MongoDB takes */
  BUSY_MS = 5000              /* somebody else's lock: a copy being made, an administrator's shell */
};

/* Version 1. A row of `quarantine` keeps the bad row's key and body, and its checksum as it stood. */
static const char schema[] =
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
    " body TEXT, crc INTEGER, found_at_ms INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

static const char *const statement_sql[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT request",
    [SQL_RELEASE] = "RELEASE request",
    [SQL_ROLLBACK_TO] = "ROLLBACK TO request",
    [SQL_PUT_EVENT_ID] = "INSERT INTO event_ids (id, seen_at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [SQL_PUT_EVENT] = "INSERT INTO events (id, leg, received_at_ms, body, crc) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_PUT_PART] =
        "INSERT INTO parts (leg, part, n, open, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (leg, part) DO UPDATE SET n = excluded.n, open = excluded.open,"
        " body = excluded.body, crc = excluded.crc WHERE excluded.n > n",
    [SQL_PUT_CALLLOG] =
        "INSERT INTO calllogs (leg, call_log_id, initiated_at_ms, status, direction, from_number, to_number,"
        " total_s, mos, list_crc, revision, open, body, crc)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (leg) DO UPDATE SET call_log_id = excluded.call_log_id,"
        " initiated_at_ms = excluded.initiated_at_ms, status = excluded.status, direction = "
        "excluded.direction,"
        " from_number = excluded.from_number, to_number = excluded.to_number, total_s = excluded.total_s,"
        " mos = excluded.mos, list_crc = excluded.list_crc, revision = excluded.revision, open = "
        "excluded.open,"
        " body = excluded.body, crc = excluded.crc WHERE excluded.revision >= revision",
    [SQL_EVENTS_OF_LEG] =
        "SELECT row, id, leg, received_at_ms, body, crc FROM events WHERE leg = ?1 ORDER BY row",
    [SQL_PARTS_OF_LEG] = "SELECT row, part, leg, n, body, crc, open FROM parts WHERE leg = ?1 ORDER BY row",
    [SQL_QUARANTINE_EVENT] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'events', leg, id, body, crc, " NOW_MS " FROM events WHERE row = ?1",
    [SQL_QUARANTINE_PART] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'parts', leg, part, body, crc, " NOW_MS " FROM parts WHERE row = ?1",
    [SQL_FORGET_EVENT_ID] = "DELETE FROM event_ids WHERE id = (SELECT id FROM events WHERE row = ?1)",
    [SQL_DROP_EVENT] = "DELETE FROM events WHERE row = ?1",
    [SQL_DROP_PART] = "DELETE FROM parts WHERE row = ?1",
    [SQL_FORGET_OLD_IDS] = "DELETE FROM event_ids WHERE seen_at_ms < ?1",
    /* Open parts, open CallLogs, and legs with facts that their CallLog does not have yet: its revision
     * is the number of events and the sum of n (data-model.md 8.4). */
    [SQL_OPEN_LEGS] =
        "SELECT leg FROM parts WHERE open = 1 UNION SELECT leg FROM calllogs WHERE open = 1 UNION"
        " SELECT leg FROM (SELECT leg, count(*) AS facts FROM events WHERE leg IS NOT NULL GROUP BY leg"
        " UNION ALL SELECT leg, sum(n) FROM parts GROUP BY leg) AS known GROUP BY leg"
        " HAVING sum(facts) > coalesce((SELECT revision FROM calllogs WHERE leg = known.leg), -1)",
    [SQL_GET_VALUE] = "SELECT value, crc FROM meta WHERE key = ?1",
    [SQL_PUT_VALUE] = ("INSERT INTO meta (key, value, crc) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc"),
};
_Static_assert(sizeof statement_sql / sizeof *statement_sql == SQL_COUNT, "SQL for each statement");

bool database_path(const char *directory, char *out, size_t out_bytes) {
  return (size_t)snprintf(out, out_bytes, "%s/sidetone.db", directory) < out_bytes;
}

/* Whoever holds the lock leaves his process id in the file. */
static int take_lock(struct database *d, const char *directory, char *why, size_t why_bytes) {
  char path[4096], holder[32] = "";
  snprintf(path, sizeof path, "%s/lock", directory);
  d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (d->lock_fd < 0) {
    snprintf(why, why_bytes, "%s: cannot be opened: %s", path, strerror(errno));
    return -1;
  }
  if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    ssize_t bytes = read(d->lock_fd, holder, sizeof holder - 1);
    holder[bytes > 0 ? (size_t)bytes : 0] = 0;
    holder[strcspn(holder, "\n")] = 0;
    if (error == EWOULDBLOCK)
      snprintf(why, why_bytes, "%s: another serve (process %s) holds this store", directory, holder);
    else
      snprintf(why, why_bytes, "%s: cannot be locked: %s", path, strerror(error));
    return -1;
  }
  int length = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
  /* Only a hint for people: a full disk must not keep the store from opening. */
  if (ftruncate(d->lock_fd, 0) == 0 && pwrite(d->lock_fd, holder, (size_t)length, 0) < length)
    (void)ftruncate(d->lock_fd, 0);
  return 0;
}

static int sql_failure(struct database *d, const char *path, const char *doing, char *why, size_t why_bytes) {
  snprintf(why, why_bytes, "%s: %s: %s", path, doing,
           d->db == NULL ? "out of memory" : sqlite3_errmsg(d->db));
  return -1;
}

static int schema_version(struct database *d) {
  sqlite3_stmt *s = NULL;
  int version = -1;
  if (sqlite3_prepare_v2(d->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
      sqlite3_step(s) == SQLITE_ROW)
    version = sqlite3_column_int(s, 0);
  sqlite3_finalize(s);
  return version;
}

static int make_schema(struct database *d) {
  if (sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return -1;
  if (sqlite3_exec(d->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
    return 0;
  return -1;
}

static int open_file(struct database *d, const char *path, char *why, size_t why_bytes) {
  /* SQLite would make it readable for others; its companions take over the mode. An existing file is
   * left to SQLite: closing it here would drop the locks of a reader in this process. */
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  if (fd < 0 && errno != EEXIST) {
    snprintf(why, why_bytes, "%s: cannot be made: %s", path, strerror(errno));
    return -1;
  }
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path, &d->db, flags, NULL) != SQLITE_OK)
    return sql_failure(d, path, "cannot be opened", why, why_bytes);
  sqlite3_busy_timeout(d->db, BUSY_MS);
  sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES);
  int version = schema_version(d);
  if (version < 0) return sql_failure(d, path, "cannot be read", why, why_bytes);
  if (version > STORE_SCHEMA_VERSION) {
    snprintf(why, why_bytes, "%s: was made by a newer version (schema %d, this one knows %d)", path, version,
             STORE_SCHEMA_VERSION);
    return -1;
  }
  /* Statement journals stay in memory: a request that fails on a full disk must not need the disk. */
  static const char settings[] =
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
      "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864;";
  if (sqlite3_exec(d->db, settings, NULL, NULL, NULL) != SQLITE_OK)
    return sql_failure(d, path, "cannot be set up", why, why_bytes);
  if (version == 0 && make_schema(d) != 0) return sql_failure(d, path, "cannot be laid out", why, why_bytes);
  return 0;
}

int database_open(struct database *d, const char *directory, char *why, size_t why_bytes) {
  char path[4096];
  *d = (struct database){.lock_fd = -1};
  if (!database_path(directory, path, sizeof path)) {
    snprintf(why, why_bytes, "the name of the store's folder is too long");
    return -1;
  }
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
    snprintf(why, why_bytes, "%s: cannot be made: %s", directory, strerror(errno));
    return -1;
  }
  int rc = take_lock(d, directory, why, why_bytes);
  if (rc == 0) rc = open_file(d, path, why, why_bytes);
  for (int i = 0; rc == 0 && i < SQL_COUNT; i++)
    if (sqlite3_prepare_v3(d->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i], NULL) !=
        SQLITE_OK)
      rc = sql_failure(d, path, "is not as this version knows it", why, why_bytes);
  if (rc != 0) database_close(d);
  return rc;
}

void database_close(struct database *d) {
  for (int i = 0; i < SQL_COUNT; i++) sqlite3_finalize(d->statements[i]);
  sqlite3_close(d->db);
  if (d->lock_fd >= 0) close(d->lock_fd);
  *d = (struct database){.lock_fd = -1};
}

int database_run(struct database *d, enum statement which) {
  sqlite3_stmt *s = d->statements[which];
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void bind_bytes(sqlite3_stmt *s, int index, const char *text, size_t bytes) {
  if (text == NULL)
    sqlite3_bind_null(s, index);
  else
    sqlite3_bind_text64(s, index, text, bytes, SQLITE_STATIC, SQLITE_UTF8);
}

void bind_string(sqlite3_stmt *s, int index, const char *text) {
  bind_bytes(s, index, text, text == NULL ? 0 : strlen(text));
}

const char *column_bytes(sqlite3_stmt *s, int column, size_t *bytes) {
  const char *text = sqlite3_column_blob(s, column);
  *bytes = (size_t)sqlite3_column_bytes(s, column);
  return text == NULL ? "" : text;
}
