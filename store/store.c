/* The thread and its queue. What is under `mutex` and what under `database_mutex` stands apart below. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/batch.h"
#include "store/database.h"
#include "store/mend.h"
#include "store/work.h"

enum {
  BATCH_MAX = 256,
  QUEUE_DEFAULT = 65536,
  QUEUE_MAX_BYTES = 256 << 20,
  PROBE_EVERY_S = 1 /* while writing fails */
};

struct work_list {
  struct work *first, *last;
};

struct store {
  pthread_t thread;
  void (*wake)(void *arg);
  void *wake_arg;
  size_t queue_max;

  pthread_mutex_t mutex;
  pthread_cond_t arrived; /* work, or closing */
  struct work_list queue, answers;
  size_t pending, pending_bytes; /* submitted and not answered yet */
  bool closing;
  struct store_stats stats;

  pthread_mutex_t database_mutex; /* the thread's batches against the blocking calls */
  struct database database;
  struct mend mend;
};

static void append(struct work_list *list, struct work *work) {
  work->next = NULL;
  if (list->first == NULL)
    list->first = work;
  else
    list->last->next = work;
  list->last = work;
}

/* ---- the store's thread ---- */

/* Waits until there is work, it is time to probe, or the store closes. Called with the mutex held. */
static void wait_for_work(struct store *s) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += PROBE_EVERY_S;
  while (s->queue.first == NULL && !s->closing) {
    if (s->stats.writable)
      pthread_cond_wait(&s->arrived, &s->mutex);
    else if (pthread_cond_timedwait(&s->arrived, &s->mutex, &until) == ETIMEDOUT)
      return;
  }
}

static size_t take_batch(struct store *s, struct work *batch[BATCH_MAX]) {
  size_t count = 0;
  while (count < BATCH_MAX && s->queue.first != NULL) {
    batch[count++] = s->queue.first;
    s->queue.first = s->queue.first->next;
  }
  return count;
}

static void count_result(struct store_stats *stats, const struct batch_result *r) {
  stats->commits += r->commits;
  stats->rows += r->rows;
  stats->duplicates += r->duplicates;
  stats->failures += r->failures;
  stats->quarantined += r->quarantined;
  stats->fsync_count += r->fsync_count;
  stats->fsync_seconds_sum += r->fsync_seconds_sum;
  if (r->fsync_count > 0) stats->fsync_seconds_last = r->fsync_seconds_last;
  if (r->quarantined > 0)
    memcpy(stats->quarantined_last, r->quarantined_last, sizeof stats->quarantined_last);
  /* A transaction that had nothing to write proves nothing. */
  if (r->written) stats->writable = true;
  if (r->failed) stats->writable = false;
  if (r->written || r->failed)
    memcpy(stats->reason, r->failed ? r->reason : "", r->failed ? sizeof r->reason : 1);
}

/* Called with the mutex held. Whether there are answers to collect. */
static bool hand_back(struct store *s, struct work *const *batch, size_t count) {
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    s->pending--;
    s->pending_bytes -= batch[i]->bytes;
    if (batch[i]->request.ticket == 0) {
      work_free(batch[i]);
    } else {
      append(&s->answers, batch[i]);
      any = true;
    }
  }
  return any;
}

/* What is refused because the file is malformed is asked again of the one that takes its place. */
static void commit_again(struct store *s, struct work *const *batch, size_t count, struct batch_result *out) {
  struct work *again[BATCH_MAX];
  size_t refused = 0;
  for (size_t i = 0; i < count; i++)
    if (batch[i]->status == STORE_FAILED) again[refused++] = batch[i];
  out->failures -= refused;
  if (refused > 0) batch_commit(&s->database, again, refused, out);
}

/* Called with the database's mutex held. */
static void work_through(struct store *s, struct work *const *batch, size_t count, struct batch_result *out) {
  char why[sizeof out->reason];
  uint64_t set_aside = s->mend.set_aside;
  if (!mend_when_damaged(&s->mend, &s->database, why, sizeof why)) {
    batch_refuse(batch, count, why, out);
    return;
  }
  if (count > 0)
    batch_commit(&s->database, batch, count, out);
  else
    batch_probe(&s->database, out);
  if (!s->database.damaged || !mend_when_damaged(&s->mend, &s->database, why, sizeof why)) return;
  if (s->mend.set_aside != set_aside) commit_again(s, batch, count, out);
}

/* Called with both mutexes held. */
static void count_mended(struct store *s) {
  s->stats.set_aside = s->mend.set_aside;
  memcpy(s->stats.set_aside_last, s->mend.last, sizeof s->stats.set_aside_last);
  if (s->mend.quarantined == 0) return;
  s->stats.quarantined += s->mend.quarantined;
  s->mend.quarantined = 0;
  snprintf(s->stats.quarantined_last, sizeof s->stats.quarantined_last, "of %.200s", s->mend.last);
}

static void *run(void *arg) {
  struct store *s = arg;
  struct work *batch[BATCH_MAX];
  pthread_mutex_lock(&s->mutex);
  for (;;) {
    wait_for_work(s);
    if (s->queue.first == NULL && s->closing) break;
    size_t count = take_batch(s, batch);
    struct batch_result result = {0};
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_lock(&s->database_mutex);
    work_through(s, batch, count, &result);
    pthread_mutex_lock(&s->mutex);
    count_mended(s);
    pthread_mutex_unlock(&s->database_mutex);
    count_result(&s->stats, &result);
    if (!hand_back(s, batch, count) || s->wake == NULL) continue;
    pthread_mutex_unlock(&s->mutex);
    s->wake(s->wake_arg);
    pthread_mutex_lock(&s->mutex);
  }
  pthread_mutex_unlock(&s->mutex);
  return NULL;
}

/* ---- everybody else ---- */

static int start(struct store *s) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->arrived, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_mutex_init(&s->database_mutex, NULL);
  return pthread_create(&s->thread, NULL, run, s);
}

static void free_store(struct store *s) {
  pthread_cond_destroy(&s->arrived);
  pthread_mutex_destroy(&s->mutex);
  pthread_mutex_destroy(&s->database_mutex);
  work_free_list(s->queue.first);
  work_free_list(s->answers.first);
  database_close(&s->database);
  free(s);
}

int store_open(struct store **out, const struct store_options *options, char *why, size_t why_bytes) {
  struct store *s = calloc(1, sizeof *s);
  if (s == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  if (mend_open(&s->mend, &s->database, options->directory, why, why_bytes) != 0) {
    free(s);
    return -1;
  }
  s->wake = options->wake;
  s->wake_arg = options->wake_arg;
  s->queue_max = options->queue_max == 0 ? QUEUE_DEFAULT : options->queue_max;
  s->stats.writable = true;
  count_mended(s);
  int error = start(s);
  if (error != 0) {
    snprintf(why, why_bytes, "the store's thread cannot be started: %s", strerror(error));
    free_store(s);
    return -1;
  }
  *out = s;
  return 0;
}

int store_submit(struct store *s, const struct store_request *request) {
  struct work *work = work_new(request);
  if (work == NULL) return -ENOMEM;
  pthread_mutex_lock(&s->mutex);
  bool full = s->pending >= s->queue_max || s->pending_bytes + work->bytes > QUEUE_MAX_BYTES;
  if (!full) {
    append(&s->queue, work);
    s->pending++;
    s->pending_bytes += work->bytes;
    pthread_cond_signal(&s->arrived);
  }
  pthread_mutex_unlock(&s->mutex);
  if (!full) return 0;
  work_free(work);
  return -EAGAIN;
}

void store_collect(struct store *s, void (*answer)(void *arg, const struct store_answer *), void *arg) {
  pthread_mutex_lock(&s->mutex);
  struct work *first = s->answers.first;
  s->answers = (struct work_list){0};
  pthread_mutex_unlock(&s->mutex);
  for (const struct work *work = first; work != NULL; work = work->next) {
    const struct store_answer a = {.ticket = work->request.ticket,
                                   .status = work->status,
                                   .error = work->status == STORE_FAILED ? work->error : NULL,
                                   .fact_count = work->fact_count,
                                   .facts = work->facts,
                                   .calllog = work->calllog,
                                   .calllog_bytes = work->calllog_bytes};
    answer(arg, &a);
  }
  work_free_list(first);
}

void store_stats(struct store *s, struct store_stats *out) {
  pthread_mutex_lock(&s->mutex);
  *out = s->stats;
  out->queued = s->pending;
  pthread_mutex_unlock(&s->mutex);
}

void store_close(struct store *s) {
  pthread_mutex_lock(&s->mutex);
  s->closing = true;
  pthread_cond_signal(&s->arrived);
  pthread_mutex_unlock(&s->mutex);
  pthread_join(s->thread, NULL);
  free_store(s);
}

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
  count_mended(s);
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
    append(legs, work);
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
