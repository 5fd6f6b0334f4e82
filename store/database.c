#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/schema.h"

enum {
  VALUE_MAX_BYTES = 32 << 20 /* of one row: twice the largest document MongoDB takes */
};

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

int database_check(struct database *d, int rc) {
  if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB) d->damaged = true;
  return rc;
}

/* The head says "for readers only", or "for a newer SQLite", though the file itself may be written. */
static bool refuses_writing(struct database *d) {
  int rc = sqlite3_exec(d->db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
  return rc == SQLITE_READONLY && sqlite3_db_readonly(d->db, "main") == 0;
}

/* Statement journals stay in memory: a request that fails on a full disk must not need the disk. */
static const char settings[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864;";

/* An error that the layout itself gives (a table that is missing, or there though the head says empty) is damage
 * too: this version made the file, or the version would be another. */
static int layout_failure(struct database *d, const char *path, const char *doing, char *why,
                          size_t why_bytes) {
  int rc = database_check(d, sqlite3_extended_errcode(d->db));
  if (rc == SQLITE_ERROR) d->damaged = true;
  return sql_failure(d, path, doing, why, why_bytes);
}

static int set_up(struct database *d, const char *path, char *why, size_t why_bytes) {
  int version = schema_version(d->db);
  if (version < 0) return layout_failure(d, path, "cannot be read", why, why_bytes);
  if (version > STORE_SCHEMA_VERSION) {
    snprintf(why, why_bytes, "%s: was made by a newer version (schema %d, this one knows %d)", path, version,
             STORE_SCHEMA_VERSION);
    return -1;
  }
  if (sqlite3_exec(d->db, settings, NULL, NULL, NULL) != SQLITE_OK)
    return layout_failure(d, path, "cannot be set up", why, why_bytes);
  if (schema_functions(d->db) != SQLITE_OK || schema_bring_up(d->db, version) != 0)
    return layout_failure(d, path, version == 0 ? "cannot be laid out" : "cannot be brought up to date", why,
                          why_bytes);
  d->damaged = refuses_writing(d);
  if (d->damaged) return sql_failure(d, path, "cannot be written", why, why_bytes);
  for (int i = 0; i < SQL_COUNT; i++)
    if (sqlite3_prepare_v3(d->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i], NULL) !=
        SQLITE_OK)
      return layout_failure(d, path, "is not as this version knows it", why, why_bytes);
  return 0;
}

int database_attach(struct database *d, const char *path, char *why, size_t why_bytes) {
  /* SQLite would make it readable for others; its companions take over the mode. An existing file is
   * left to SQLite: closing it here would drop the locks of a reader in this process. */
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  if (fd < 0 && errno != EEXIST) {
    snprintf(why, why_bytes, "%s: cannot be made: %s", path, strerror(errno));
    return -1;
  }
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int rc = sqlite3_open_v2(path, &d->db, flags, NULL) == SQLITE_OK
               ? 0
               : sql_failure(d, path, "cannot be opened", why, why_bytes);
  if (rc == 0) {
    sqlite3_busy_timeout(d->db, DATABASE_BUSY_MS);
    sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES);
    rc = set_up(d, path, why, why_bytes);
  }
  if (rc == 0) database_bound_log(d);
  d->read_only = rc == 0 && sqlite3_db_readonly(d->db, "main") == 1;
  if (rc != 0) database_detach(d);
  return rc;
}

void database_bound_log(struct database *d) {
  char sql[128];
  if (d->db == NULL || d->log_pages == 0) return;
  snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d", d->log_pages,
           d->log_pages * 4096 * 2);
  sqlite3_exec(d->db, sql, NULL, NULL, NULL);
}

void database_detach(struct database *d) {
  int keep = 1;
  for (int i = 0; i < SQL_COUNT; i++) {
    sqlite3_finalize(d->statements[i]);
    d->statements[i] = NULL;
  }
  if (d->db != NULL && d->damaged) {
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_file_control(d->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
  }
  sqlite3_close(d->db);
  d->db = NULL;
}

int database_lock(struct database *d, const char *directory, char *why, size_t why_bytes) {
  *d = (struct database){.lock_fd = -1};
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
    snprintf(why, why_bytes, "%s: cannot be made: %s", directory, strerror(errno));
    return -1;
  }
  int rc = take_lock(d, directory, why, why_bytes);
  if (rc != 0) database_close(d);
  return rc;
}

void database_close(struct database *d) {
  database_detach(d);
  if (d->lock_fd >= 0) close(d->lock_fd);
  d->lock_fd = -1;
}

int database_run(struct database *d, enum statement which) {
  sqlite3_stmt *s = d->statements[which];
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void database_moved(struct database *d, const char *table, int64_t row, const char *leg) {
  d->moved++;
  snprintf(d->moved_last, sizeof d->moved_last, "%s row %lld of leg %.150s", table, (long long)row,
           leg == NULL ? "" : leg);
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
