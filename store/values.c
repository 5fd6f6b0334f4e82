/* The blocking calls: what is asked before the loop runs. */
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

int store_each_open_leg(struct store *s, void (*leg)(void *arg, const char *leg), void *arg) {
  struct work *first = NULL, **last = &first;
  int rc;
  pthread_mutex_lock(&s->database_mutex);
  sqlite3_stmt *query = s->database.statements[SQL_OPEN_LEGS];
  while ((rc = sqlite3_step(query)) == SQLITE_ROW) {
    const struct store_request request = {.leg = (const char *)sqlite3_column_text(query, 0)};
    struct work *work = work_new(&request);
    if (work == NULL) break;
    *last = work;
    last = &work->next;
  }
  sqlite3_reset(query);
  pthread_mutex_unlock(&s->database_mutex);
  /* The callback may call the store. */
  for (const struct work *work = first; work != NULL; work = work->next) leg(arg, work->request.leg);
  work_free_list(first);
  return rc == SQLITE_DONE ? 0 : -1;
}

int store_get_value(struct store *s, const char *key, char *out, size_t out_bytes) {
  int result = -EIO;
  pthread_mutex_lock(&s->database_mutex);
  sqlite3_stmt *query = s->database.statements[SQL_GET_VALUE];
  bind_string(query, 1, key);
  int rc = sqlite3_step(query);
  if (rc == SQLITE_DONE) result = -ENOENT;
  if (rc == SQLITE_ROW) {
    size_t bytes;
    const char *value = column_bytes(query, 0, &bytes);
    if (value_crc(key, strlen(key), value, bytes) != (uint64_t)sqlite3_column_int64(query, 1)) {
      result = -ENOENT;
    } else if (bytes >= out_bytes) {
      result = -ENOSPC;
    } else {
      memcpy(out, value, bytes);
      out[bytes] = 0;
      result = 0;
    }
  }
  sqlite3_reset(query);
  pthread_mutex_unlock(&s->database_mutex);
  return result;
}

int store_put_value(struct store *s, const char *key, const char *value) {
  pthread_mutex_lock(&s->database_mutex);
  sqlite3_stmt *query = s->database.statements[SQL_PUT_VALUE];
  bind_string(query, 1, key);
  bind_string(query, 2, value);
  sqlite3_bind_int64(query, 3, value_crc(key, strlen(key), value, strlen(value)));
  int rc = database_run(&s->database, SQL_PUT_VALUE);
  pthread_mutex_unlock(&s->database_mutex);
  return rc == SQLITE_OK ? 0 : -EIO;
}
