#include "store/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/carve.h"
#include "store/salvage_rows.h"
#include "store/wal.h"

enum { COMMIT_EVERY = 10000, QUIET_MS = 300000 };

struct salvage {
  struct salvage_rows rows;
  struct salvage_report *report;
  const struct pulse *pulse;
  uint64_t since_commit;
  int rc;
};

static bool with_suffix(char out[PATH_MAX], const char *path, const char *suffix) {
  return (size_t)snprintf(out, PATH_MAX, "%s%s", path, suffix) < PATH_MAX;
}

bool salvage_log_is_damaged(const char *path) {
  char log[PATH_MAX];
  struct wal wal;
  if (!with_suffix(log, path, "-wal") || wal_open(&wal, log) != 0) return false;
  bool damaged = wal.damaged;
  wal_close(&wal);
  return damaged;
}

/* ---- the copy ---- */

static bool take_row(void *arg, const struct carved_row *row) {
  struct salvage *s = arg;
  enum salvaged taken;
  s->rc = salvage_row(&s->rows, row, &taken);
  s->report->copied += taken == SALVAGED_COPIED;
  s->report->quarantined += taken == SALVAGED_QUARANTINED;
  if (s->rc == SQLITE_OK && ++s->since_commit >= COMMIT_EVERY) {
    s->since_commit = 0;
    pulse_expect(s->pulse, QUIET_MS);
    s->rc = sqlite3_exec(s->rows.db, "COMMIT; BEGIN", NULL, NULL, NULL);
  }
  return s->rc == SQLITE_OK;
}

static int carve_into(struct salvage *s, const char *path, char *why, size_t why_bytes) {
  char log[PATH_MAX];
  int error = with_suffix(log, path, "-wal") ? 0 : -ENAMETOOLONG;
  s->rc = sqlite3_exec(s->rows.db, "BEGIN", NULL, NULL, NULL);
  for (int tables = 1; tables >= 0 && s->rc == SQLITE_OK && error == 0; tables--) {
    struct carve_result result = {0};
    error = carve_file(path, log, tables == 1, take_row, s, &result);
    s->report->unreadable += result.unreadable;
  }
  if (s->rc == SQLITE_OK && error == 0) s->rc = salvage_rows_finish(&s->rows);
  if (s->rc == SQLITE_OK && error == 0) s->rc = sqlite3_exec(s->rows.db, "COMMIT", NULL, NULL, NULL);
  if (s->rc == SQLITE_OK && error == 0) return 0;
  snprintf(why, why_bytes, "%s: damaged, and cannot be copied: %s", path,
           s->rc != SQLITE_OK ? sqlite3_errmsg(s->rows.db) : strerror(-error));
  return -1;
}

static void remove_file(const char *path, const char *suffix) {
  char name[PATH_MAX];
  if (with_suffix(name, path, suffix)) unlink(name);
}

static void remove_copy(const char *path) {
  remove_file(path, ".salvaging");
  remove_file(path, ".salvaging-wal");
  remove_file(path, ".salvaging-shm");
}

/* The new file, and the name it is known by, must be on the disk before the old one moves. */
static int sync_path(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) return -1;
  int rc = fsync(fd);
  close(fd);
  return rc;
}

static int sync_folder_of(const char *path) {
  char copy[PATH_MAX];
  snprintf(copy, sizeof copy, "%s", path);
  return sync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
}

int salvage_copy(const char *path, const struct pulse *pulse, struct salvage_report *report, char *why,
                 size_t why_bytes) {
  char making[PATH_MAX], made[PATH_MAX];
  struct database fresh = {.lock_fd = -1};
  struct salvage s = {.report = report, .pulse = pulse};
  *report = (struct salvage_report){0};
  if (!with_suffix(making, path, ".salvaging") || !with_suffix(made, path, ".salvaged")) {
    snprintf(why, why_bytes, "the name of the store's folder is too long");
    return -1;
  }
  remove_copy(path);
  if (database_attach(&fresh, making, why, why_bytes) != 0) {
    remove_copy(path);
    return -1;
  }
  /* It is synced once, at the end, and thrown away when it is not finished. */
  sqlite3_exec(fresh.db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -65536",
               NULL, NULL, NULL);
  int rc = salvage_rows_open(&s.rows, fresh.db) == SQLITE_OK
               ? carve_into(&s, path, why, why_bytes)
               : (snprintf(why, why_bytes, "%s: %s", making, sqlite3_errmsg(fresh.db)), -1);
  salvage_rows_close(&s.rows);
  database_detach(&fresh);
  if (rc == 0 &&
      (sync_path(making, O_RDONLY) != 0 || rename(making, made) != 0 || sync_folder_of(path) != 0)) {
    snprintf(why, why_bytes, "%s: %s", making, strerror(errno));
    rc = -1;
  }
  if (rc != 0) remove_copy(path);
  return rc;
}

/* ---- the swap ---- */

bool salvage_is_complete(const char *path) {
  char made[PATH_MAX];
  return with_suffix(made, path, ".salvaged") && access(made, F_OK) == 0;
}

/* A name that nothing has yet: two in one second are possible. */
static void name_aside(const char *path, char *out, size_t out_bytes) {
  time_t now = time(NULL);
  struct tm parts;
  char stamp[32];
  gmtime_r(&now, &parts);
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &parts);
  snprintf(out, out_bytes, "%s.corrupt-%s", path, stamp);
  for (int i = 2; access(out, F_OK) == 0; i++) snprintf(out, out_bytes, "%s.corrupt-%s-%d", path, stamp, i);
}

/* The log goes before its database: a new file must never meet an old log. */
static const char *const swapped[] = {"-wal", "-shm", ""};

/* What was set aside comes back, and the copy goes: work may go on in the old file, and a copy that is older than it must
 * not be found at the next start. */
static void undo_swap(const char *path, const char *aside) {
  char from[PATH_MAX], to[PATH_MAX], made[PATH_MAX];
  for (size_t i = sizeof swapped / sizeof *swapped; i-- > 0;)
    if (with_suffix(from, aside, swapped[i]) && with_suffix(to, path, swapped[i]) && access(to, F_OK) != 0)
      (void)rename(from, to);
  if (with_suffix(made, path, ".salvaged")) (void)unlink(made);
}

int salvage_swap(const char *path, char *aside, size_t aside_bytes, char *why, size_t why_bytes) {
  char from[PATH_MAX], to[PATH_MAX], made[PATH_MAX];
  name_aside(path, aside, aside_bytes);
  for (size_t i = 0; i < sizeof swapped / sizeof *swapped; i++) {
    if (with_suffix(from, path, swapped[i]) && with_suffix(to, aside, swapped[i]) &&
        (rename(from, to) == 0 || errno == ENOENT))
      continue;
    snprintf(why, why_bytes, "%s: damaged, and cannot be set aside: %s", from, strerror(errno));
    undo_swap(path, aside);
    return -1;
  }
  if (!with_suffix(made, path, ".salvaged") || rename(made, path) != 0) {
    snprintf(why, why_bytes, "%s: %s", made, strerror(errno));
    undo_swap(path, aside);
    return -1;
  }
  if (sync_folder_of(path) == 0) return 0;
  snprintf(why, why_bytes, "%s: the swap is not on disk: %s", path, strerror(errno));
  return -1;
}
