/* The blocking calls: what is asked before the loop runs. */
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

/* The blocking calls: each is tried again when it met damage and the file could be mended. */
static int with_database(struct store *s, int (*ask)(struct database *d, void *arg), void *arg) {
  char why[256];
  int rc = SQLITE_IOERR;
  pthread_mutex_lock(&s->database_mutex);
  for (int tries = 0; tries < 2; tries++) {
    if (!mend_when_damaged(&s->mend, &s->database, why, sizeof why)) break;
    s->database.moved = 0;
    rc = database_check(&s->database, ask(&s->database, arg));
    if (!s->database.damaged) break;
  }
  pthread_mutex_lock(&s->mutex);
  store_count_mended(s);
  if (rc == SQLITE_OK && s->database.moved > 0) {
    s->stats.quarantined += s->database.moved;
    memcpy(s->stats.quarantined_last, s->database.moved_last, sizeof s->stats.quarantined_last);
  }
  pthread_mutex_unlock(&s->mutex);
  pthread_mutex_unlock(&s->database_mutex);
  return rc;
}

static int collect_open_legs(struct database *d, void *arg) {
  struct work_list *legs = arg;
  int rc;
  work_free_list(legs->first);
  *legs = (struct work_list){0};
  sqlite3_stmt *query = d->statements[SQL_OPEN_LEGS];
  while ((rc = sqlite3_step(query)) == SQLITE_ROW) {
    const struct store_request request = {.leg = (const char *)sqlite3_column_text(query, 0)};
    struct work *work = work_new(&request);
    if (work == NULL) break;
    work->next = NULL;
    if (legs->first == NULL)
      legs->first = work;
    else
      legs->last->next = work;
    legs->last = work;
  }
  sqlite3_reset(query);
  return rc == SQLITE_ROW ? SQLITE_NOMEM : rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_each_open_leg(struct store *s, void (*leg)(void *arg, const char *leg), void *arg) {
  struct work_list legs = {0};
  int rc = with_database(s, collect_open_legs, &legs);
  /* The callback may call the store. */
  for (const struct work *work = legs.first; work != NULL; work = work->next) leg(arg, work->request.leg);
  work_free_list(legs.first);
  return rc == SQLITE_OK ? 0 : -1;
}

struct value_query {
  const char *key, *value; /* to put */
  char *out;
  size_t out_bytes;
  int result;
};

/* A value with a bad checksum counts as absent. */
static int move_value(struct database *d, const char *key) {
  bind_string(d->statements[SQL_QUARANTINE_VALUE], 1, key);
  int rc = database_run(d, SQL_QUARANTINE_VALUE);
  bind_string(d->statements[SQL_DROP_VALUE], 1, key);
  if (rc == SQLITE_OK) rc = database_run(d, SQL_DROP_VALUE);
  if (rc == SQLITE_OK) database_moved(d, "meta", 0, key);
  return rc;
}

static int get_value(struct database *d, void *arg) {
  struct value_query *q = arg;
  sqlite3_stmt *query = d->statements[SQL_GET_VALUE];
  bool bad = false;
  bind_string(query, 1, q->key);
  int rc = sqlite3_step(query);
  if (rc == SQLITE_DONE) q->result = -ENOENT;
  if (rc == SQLITE_ROW) {
    size_t bytes;
    const char *value = column_bytes(query, 0, &bytes);
    bad = value_crc(q->key, strlen(q->key), value, bytes) != (uint64_t)sqlite3_column_int64(query, 1);
    q->result = bad ? -ENOENT : bytes >= q->out_bytes ? -ENOSPC : 0;
    if (q->result == 0) {
      memcpy(q->out, value, bytes);
      q->out[bytes] = 0;
    }
  }
  sqlite3_reset(query);
  if (bad) return move_value(d, q->key);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_get_value(struct store *s, const char *key, char *out, size_t out_bytes) {
  struct value_query q = {.key = key, .out = out, .out_bytes = out_bytes, .result = -EIO};
  with_database(s, get_value, &q);
  return q.result;
}

static int put_value(struct database *d, void *arg) {
  const struct value_query *q = arg;
  sqlite3_stmt *query = d->statements[SQL_PUT_VALUE];
  bind_string(query, 1, q->key);
  bind_string(query, 2, q->value);
  sqlite3_bind_int64(query, 3, value_crc(q->key, strlen(q->key), q->value, strlen(q->value)));
  return database_run(d, SQL_PUT_VALUE);
}

int store_put_value(struct store *s, const char *key, const char *value) {
  struct value_query q = {.key = key, .value = value};
  return with_database(s, put_value, &q) == SQLITE_OK ? 0 : -EIO;
}
