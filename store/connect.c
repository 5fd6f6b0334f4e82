/* Connections from outside: of other threads' and other processes' looks into the file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/database.h"
#include "store/schema.h"

enum { BUSY_MS = 5000 };

/* "file:" URI of a path that is not to change: read without any lock or log. */
static bool immutable_uri(const char *path, char *out, size_t out_bytes) {
  static const char head[] = "file:", tail[] = "?immutable=1";
  size_t at = sizeof head - 1;
  memcpy(out, head, at);
  for (const char *c = path; *c != 0; c++) {
    if (at + 3 + sizeof tail > out_bytes) return false;
    bool plain = strchr("%?#", *c) == NULL;
    at += (size_t)sprintf(out + at, plain ? "%c" : "%%%02X", (unsigned char)*c);
  }
  memcpy(out + at, tail, sizeof tail);
  return true;
}

static int connect_as(sqlite3 **db, const char *name, int more_flags) {
  int rc = sqlite3_open_v2(name, db, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | more_flags, NULL);
  if (rc != SQLITE_OK) return rc;
  sqlite3_busy_timeout(*db, BUSY_MS);
  rc = schema_functions(*db);
  return rc == SQLITE_OK ? sqlite3_exec(*db, "SELECT 1 FROM calllogs LIMIT 1", NULL, NULL, NULL) : rc;
}

static int connect_reading(sqlite3 **db, const char *path) {
  char wal[4200], uri[3 * 4096];
  int rc = connect_as(db, path, SQLITE_OPEN_READONLY);
  snprintf(wal, sizeof wal, "%s-wal", path);
  if (rc == SQLITE_OK || access(wal, F_OK) == 0 || !immutable_uri(path, uri, sizeof uri)) return rc;
  /* Nobody writes, and this user may not make the shared memory file in that folder. */
  sqlite3_close(*db);
  return connect_as(db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

int database_connect(sqlite3 **db, const char *directory, bool to_change, char *why, size_t why_bytes) {
  char path[4096];
  *db = NULL;
  if (!database_path(directory, path, sizeof path)) {
    snprintf(why, why_bytes, "the name of the store's folder is too long");
    return -1;
  }
  if (access(path, F_OK) != 0) {
    snprintf(why, why_bytes, "%s: %s", path, errno == ENOENT ? "there is no store yet" : strerror(errno));
    return -1;
  }
  int rc = to_change ? connect_as(db, path, SQLITE_OPEN_READWRITE) : connect_reading(db, path);
  if (rc == SQLITE_OK) return 0;
  snprintf(why, why_bytes, "%s: cannot be read: %s", path,
           *db == NULL ? "out of memory" : sqlite3_errmsg(*db));
  sqlite3_close(*db);
  *db = NULL;
  return -1;
}
