#include "store/space.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/batch.h"
#include "store/clock.h"
#include "store/id_clock.h"
#include "store/legs.h"

enum {
  EVERY_MS = 1000,  /* when there is nothing to let go of */
  AGAIN_MS = 50,    /* when there is more */
  BUDGET_US = 4000, /* of a transaction: a webhook may wait for it */
  IDS_AT_ONCE = 500,
  LEGLESS_AT_ONCE = 100
};

/* ---- how full it is ---- */

static int64_t number_of(struct database *d, enum statement which) {
  sqlite3_stmt *s = d->statements[which];
  int64_t number = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  return number;
}

static int64_t log_bytes(struct database *d) {
  const char *path = d->db == NULL ? NULL : sqlite3_filename_wal(sqlite3_db_filename(d->db, "main"));
  struct stat st;
  return path != NULL && stat(path, &st) == 0 ? st.st_size : 0;
}

int space_percent(const struct space *s) {
  return s->max_bytes > 0 ? (int)(s->used_bytes * 100 / s->max_bytes) : 0;
}

void space_look(struct space *s, struct database *d) {
  if (d->db == NULL) return;
  s->used_bytes = (number_of(d, SQL_PAGE_COUNT) - number_of(d, SQL_FREE_PAGES)) * 4096 + log_bytes(d);
  int percent = space_percent(s);
  d->room = percent >= SPACE_NONE          ? ROOM_NONE
            : percent >= SPACE_NO_NEW_LEGS ? ROOM_FOR_KNOWN_LEGS
                                           : ROOM_ENOUGH;
  if (d->room != ROOM_ENOUGH)
    snprintf(d->room_reason, sizeof d->room_reason, "%d %% of store.max_bytes used", percent);
}

/* The log is part of what is counted: a small store gets a small one. */
void space_open(struct space *s, struct database *d, int64_t max_bytes, int64_t keep_ms,
                const bool sinks[SINK_COUNT]) {
  *s = (struct space){.max_bytes = max_bytes, .keep_ms = keep_ms};
  memcpy(s->sinks, sinks, sizeof s->sinks);
  int64_t pages = max_bytes / 40 / 4096;
  d->log_pages = max_bytes == 0 || pages > 1000 ? 1000 : pages < 16 ? 16 : (int)pages;
  database_bound_log(d);
  space_look(s, d);
}

int64_t space_due_ms(const struct space *s) {
  int64_t left = s->next_ms - monotonic_ms();
  return left > 0 ? left : 0;
}

/* ---- what may go ---- */

struct candidate {
  int64_t ended_ms;
  char leg[SPACE_LEG_BYTES];
};

/* The next ended leg behind the last one that was looked at. SQLITE_ROW, SQLITE_DONE, or an error. */
static int next_candidate(struct space *s, struct database *d, int64_t up_to_ms, struct candidate *c) {
  sqlite3_stmt *q = d->statements[SQL_ENDED_LEG];
  sqlite3_bind_int64(q, 1, s->after_ms);
  bind_string(q, 2, s->after_leg);
  sqlite3_bind_int64(q, 3, up_to_ms);
  int rc = sqlite3_step(q);
  if (rc == SQLITE_ROW) {
    c->ended_ms = sqlite3_column_int64(q, 0);
    snprintf(c->leg, sizeof c->leg, "%s", (const char *)sqlite3_column_text(q, 1));
    s->after_ms = c->ended_ms;
    memcpy(s->after_leg, c->leg, sizeof s->after_leg);
  }
  sqlite3_reset(q);
  return rc;
}

/* Does every configured sink have every row? What is damaged counts as undelivered. The rows of sinks that are not
 * configured go too: `change` tells of them. */
static int is_delivered(struct space *s, struct database *d, const char *leg, bool *delivered) {
  sqlite3_stmt *q = d->statements[SQL_LEG_ROWS];
  bind_string(q, 1, leg);
  int rc = sqlite3_step(q);
  *delivered = rc == SQLITE_ROW && sqlite3_column_int64(q, 0) == 0;
  for (int i = 0; *delivered && i < SINK_COUNT; i++) {
    int64_t pending = sqlite3_column_int64(q, 1 + i), dead = sqlite3_column_int64(q, 1 + SINK_COUNT + i);
    if (s->sinks[i] && pending + dead > 0) *delivered = false;
    d->change[i].pending -= pending;
    d->change[i].dead -= dead;
    d->change[i].writes += pending > 0;
  }
  sqlite3_reset(q);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int drop_facts(struct database *d, const char *leg) {
  static const enum statement drops[] = {SQL_DROP_TRIES_OF_LEG, SQL_DROP_OUTBOX_OF_LEG,
                                         SQL_DROP_EVENTS_OF_LEG, SQL_DROP_PARTS_OF_LEG};
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof drops / sizeof *drops; i++) {
    bind_string(d->statements[drops[i]], 1, leg);
    rc = database_run(d, drops[i]);
  }
  return rc == SQLITE_OK ? legs_facts_went(d, leg) : rc;
}

static int let_leg_go(struct space *s, struct database *d, const char *leg) {
  struct outbox_change before[SINK_COUNT];
  bool holds, delivered = false;
  memcpy(before, d->change, sizeof before);
  int rc = legs_calllog_holds_all(d, leg, &holds);
  if (rc == SQLITE_OK && holds) rc = is_delivered(s, d, leg, &delivered);
  if (rc == SQLITE_OK && delivered) return drop_facts(d, leg);
  memcpy(d->change, before, sizeof before);
  return rc;
}

/* The oldest CallLog whose facts have gone. SQLITE_DONE: there is none. */
static int let_calllog_go(struct database *d) {
  sqlite3_stmt *q = d->statements[SQL_OLDEST_GONE];
  char leg[SPACE_LEG_BYTES] = "";
  int rc = sqlite3_step(q);
  if (rc == SQLITE_ROW) snprintf(leg, sizeof leg, "%s", (const char *)sqlite3_column_text(q, 0));
  sqlite3_reset(q);
  if (rc != SQLITE_ROW) return rc;
  bind_string(d->statements[SQL_DROP_CALLLOG_OF_LEG], 1, leg);
  rc = database_run(d, SQL_DROP_CALLLOG_OF_LEG);
  bind_string(d->statements[SQL_DROP_LEG], 1, leg);
  return rc == SQLITE_OK ? database_run(d, SQL_DROP_LEG) : rc;
}

/* Events without a leg reach no sink. */
static int let_legless_go(struct database *d, int64_t up_to_ms, bool *more) {
  sqlite3_bind_int64(d->statements[SQL_DROP_LEGLESS], 1, up_to_ms);
  sqlite3_bind_int(d->statements[SQL_DROP_LEGLESS], 2, LEGLESS_AT_ONCE);
  int rc = database_run(d, SQL_DROP_LEGLESS);
  *more = *more || sqlite3_changes(d->db) == LEGLESS_AT_ONCE;
  return rc;
}

/* What goes for room alone goes until there is some to spare, so that not each new fact makes it short again, and no
 * further, however much more a fast machine could take in its time. */
static bool makes_room(struct space *s, struct database *d) {
  space_look(s, d);
  s->is_making_room = space_percent(s) >= (s->is_making_room ? SPACE_AIM : SPACE_SHORT);
  return s->is_making_room;
}

/* Until the time is up. `*more`: there may be more. */
static int let_go(struct space *s, struct database *d, bool *more) {
  int64_t until_us = monotonic_us() + BUDGET_US;
  bool is_short = makes_room(s, d);
  int64_t up_to_ms = is_short ? INT64_MAX : s->keep_ms > 0 ? wall_ms() - s->keep_ms : INT64_MIN;
  struct candidate c;
  int rc = id_clock_forget(d, IDS_AT_ONCE, more);
  if (rc == SQLITE_OK) rc = let_legless_go(d, up_to_ms, more);
  while (rc == SQLITE_OK && monotonic_us() < until_us) {
    if (is_short && !makes_room(s, d)) break; /* the next turn goes on with what is old enough */
    rc = next_candidate(s, d, up_to_ms, &c);
    if (rc == SQLITE_ROW) rc = let_leg_go(s, d, c.leg);
    if (rc != SQLITE_DONE) continue;
    s->after_ms = 0; /* all have been looked at: from the oldest again, the next time */
    *s->after_leg = 0;
    if (!is_short) return SQLITE_OK;
    do rc = let_calllog_go(d);
    while (rc == SQLITE_OK && monotonic_us() < until_us && makes_room(s, d));
    if (rc == SQLITE_DONE) return SQLITE_OK;
  }
  *more = true;
  return rc;
}

/* What is deleted fills the log (SQLite may overwrite it with zeros), which counts as well. */
static void shorten_log(struct space *s, struct database *d) {
  sqlite3_busy_timeout(d->db, 0); /* a reader in its way may stay there */
  sqlite3_wal_checkpoint_v2(d->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  sqlite3_busy_timeout(d->db, DATABASE_BUSY_MS);
  space_look(s, d);
}

void space_tend(struct space *s, struct database *d, struct batch_result *out) {
  bool more = false;
  if (d->db == NULL) return;
  int before = sqlite3_total_changes(d->db);
  memset(d->change, 0, sizeof d->change);
  int rc = database_run(d, SQL_BEGIN);
  if (rc == SQLITE_OK) {
    rc = database_check(d, let_go(s, d, &more));
    if (rc == SQLITE_OK) rc = database_run(d, SQL_COMMIT);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(d->db)) database_run(d, SQL_ROLLBACK);
  }
  if (rc == SQLITE_OK) {
    out->commits += sqlite3_total_changes(d->db) != before;
    for (int i = 0; i < SINK_COUNT; i++) {
      out->change[i].pending += d->change[i].pending;
      out->change[i].dead += d->change[i].dead;
      out->change[i].writes += d->change[i].writes;
    }
  } else {
    s->after_ms = 0;
    *s->after_leg = 0;
  }
  space_look(s, d);
  if (space_percent(s) >= SPACE_SHORT && log_bytes(d) > 2 * 4096 * (int64_t)d->log_pages) shorten_log(s, d);
  bool hurry = rc == SQLITE_OK && more && sqlite3_total_changes(d->db) != before;
  s->next_ms = monotonic_ms() + (hurry ? AGAIN_MS : EVERY_MS);
}
