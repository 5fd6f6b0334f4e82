#include "store/id_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"

static const int64_t event_id_life_ms = 72LL * 3600 * 1000, keep_every_ms = 600000;
static const char key[] = "store.id_clock";

/* 0: it is not kept, or damaged. */
static int64_t kept_ms(struct database *d) {
  sqlite3_stmt *s = d->statements[SQL_GET_VALUE];
  int64_t ms = 0;
  bind_string(s, 1, key);
  if (sqlite3_step(s) == SQLITE_ROW) {
    size_t bytes;
    const char *value = column_bytes(s, 0, &bytes);
    char text[32];
    if (bytes < sizeof text &&
        value_crc(key, strlen(key), value, bytes) == (uint64_t)sqlite3_column_int64(s, 1)) {
      memcpy(text, value, bytes);
      text[bytes] = 0;
      ms = strtoll(text, NULL, 10);
    }
  }
  sqlite3_reset(s);
  return ms;
}

static int keep(struct database *d, int64_t now_ms) {
  sqlite3_stmt *s = d->statements[SQL_PUT_VALUE];
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)now_ms);
  bind_string(s, 1, key);
  bind_string(s, 2, text);
  sqlite3_bind_int64(s, 3, value_crc(key, strlen(key), text, strlen(text)));
  int rc = database_run(d, SQL_PUT_VALUE);
  if (rc == SQLITE_OK) d->id_clock_kept_ms = now_ms;
  return rc;
}

void id_clock_open(struct database *d) {
  d->id_clock_kept_ms = kept_ms(d);
  int64_t now_ms = d->id_clock_kept_ms > 0 ? d->id_clock_kept_ms : wall_ms();
  d->id_clock_offset_ms = now_ms - monotonic_ms();
  if (d->id_clock_kept_ms == 0) (void)keep(d, now_ms); /* on a full disk: later */
}

int64_t id_clock_ms(const struct database *d) {
  return monotonic_ms() + d->id_clock_offset_ms;
}

int id_clock_forget(struct database *d, int max, bool *more) {
  int64_t now_ms = id_clock_ms(d);
  sqlite3_bind_int64(d->statements[SQL_FORGET_OLD_IDS], 1, now_ms - event_id_life_ms);
  sqlite3_bind_int(d->statements[SQL_FORGET_OLD_IDS], 2, max);
  int rc = database_run(d, SQL_FORGET_OLD_IDS);
  if (rc == SQLITE_OK && sqlite3_changes(d->db) == max) *more = true;
  bool old = d->id_clock_kept_ms == 0 || now_ms >= d->id_clock_kept_ms + keep_every_ms;
  return rc == SQLITE_OK && old ? keep(d, now_ms) : rc;
}
