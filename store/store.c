/* The thread and its queue. What is under `mutex` and what under `database_mutex` stands apart below. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/batch.h"
#include "store/clock.h"
#include "store/id_clock.h"
#include "store/outbox_job.h"
#include "store/store_internal.h"

enum {
  BATCH_MAX = 256,
  QUEUE_DEFAULT = 65536,
  QUEUE_MAX_BYTES = 256 << 20,
  BATCH_QUIET_MS = 300000, /* a batch waits for nothing but the disk, which gives up by itself before that */
  LOOK_EVERY_MS = 500,     /* whether somebody else has written */
  PROBE_EVERY_MS = 1000    /* while writing fails */
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

/* Waits until there is work, it is time to look or to probe, or the store closes. Called with the mutex held. */
static void wait_for_work(struct store *s) {
  int64_t wait_ms = s->stats.writable ? LOOK_EVERY_MS : PROBE_EVERY_MS, due_ms = space_due_ms(&s->space);
  if (s->stats.writable && due_ms < wait_ms) wait_ms = due_ms;
  const struct timespec until = timespec_of_ms(monotonic_ms() + wait_ms);
  while (s->queue.first == NULL && !s->closing)
    if (pthread_cond_timedwait(&s->arrived, &s->mutex, &until) == ETIMEDOUT) return;
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
    if (batch[i]->job != NULL) {
      batch[i]->job->failed = batch[i]->status == STORE_FAILED;
      batch[i]->job->finished = true;
      pthread_cond_broadcast(&s->job_finished);
      work_free(batch[i]);
    } else if (batch[i]->request.ticket == 0) {
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
static void work_through(struct store *s, struct work *const *batch, size_t count, bool probe,
                         struct batch_result *out) {
  char why[sizeof out->reason];
  uint64_t set_aside = s->mend.set_aside;
  if (probe && s->database.read_only) database_detach(&s->database); /* it may be opened otherwise now */
  if (!mend_when_damaged(&s->mend, &s->database, why, sizeof why)) {
    batch_refuse(batch, count, why, out);
    return;
  }
  space_look(&s->space, &s->database);
  if (count > 0)
    batch_commit(&s->database, batch, count, out);
  else if (probe)
    batch_probe(&s->database, out);
  if (!s->database.damaged || !mend_when_damaged(&s->mend, &s->database, why, sizeof why)) return;
  if (s->mend.set_aside != set_aside) commit_again(s, batch, count, out);
}

void store_count_mended(struct store *s) {
  if (s->mend.set_aside != s->stats.set_aside) {
    s->uncounted = true;
    s->foreign_changes++;
  }
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
    bool probe = count == 0 && !s->stats.writable;
    struct batch_result result = {0};
    pthread_mutex_unlock(&s->mutex);
    pulse_expect(&s->pulse, BATCH_QUIET_MS);
    pthread_mutex_lock(&s->database_mutex);
    work_through(s, batch, count, probe, &result);
    if (space_due_ms(&s->space) == 0 && !result.failed) space_tend(&s->space, &s->database, &result);
    outbox_after_batch(s, &result);
    pulse_expect(&s->pulse, 0);
    pthread_mutex_lock(&s->mutex);
    store_count_mended(s);
    s->stats.used_percent = space_percent(&s->space);
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
  pthread_cond_init(&s->job_finished, NULL);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_mutex_init(&s->database_mutex, NULL);
  outbox_after_batch(s, NULL);
  return pthread_create(&s->thread, NULL, run, s);
}

static void free_store(struct store *s) {
  pthread_cond_destroy(&s->arrived);
  pthread_cond_destroy(&s->job_finished);
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
  if (mend_open(&s->mend, &s->database, options->directory, &options->pulse, why, why_bytes) != 0) {
    free(s);
    return -1;
  }
  s->wake = options->wake;
  s->pulse = options->pulse;
  s->wake_arg = options->wake_arg;
  s->queue_max = options->queue_max == 0 ? QUEUE_DEFAULT : options->queue_max;
  s->stats.writable = !s->database.read_only;
  if (s->database.read_only) strcpy(s->stats.reason, "the database file may only be read");
  id_clock_open(&s->database);
  space_open(&s->space, &s->database, options->max_bytes, options->keep_delivered_ms, options->sinks);
  s->stats.used_percent = space_percent(&s->space);
  store_count_mended(s);
  memcpy(s->sinks, options->sinks, sizeof s->sinks);
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

int store_run_job(struct store *s, struct outbox_job *job) {
  struct work *work = work_new(&(struct store_request){.ticket = 0});
  if (work == NULL) return -1;
  work->job = job;
  job->finished = false;
  pthread_mutex_lock(&s->mutex);
  append(&s->queue, work);
  s->pending++;
  s->pending_bytes += work->bytes;
  pthread_cond_signal(&s->arrived);
  while (!job->finished) pthread_cond_wait(&s->job_finished, &s->mutex);
  pthread_mutex_unlock(&s->mutex);
  return job->failed ? -1 : 0;
}

static void show_answers(const struct work *work, void (*answer)(void *arg, const struct store_answer *),
                         void *arg) {
  for (; work != NULL; work = work->next) {
    const struct store_answer a = {.ticket = work->request.ticket,
                                   .status = work->status,
                                   .error = work->status == STORE_FAILED ? work->error : NULL,
                                   .fact_count = work->fact_count,
                                   .facts = work->facts,
                                   .calllog = work->calllog,
                                   .calllog_bytes = work->calllog_bytes};
    answer(arg, &a);
  }
}

void store_collect_twice(struct store *s, void (*first)(void *arg, const struct store_answer *),
                         void (*answer)(void *arg, const struct store_answer *), void *arg) {
  pthread_mutex_lock(&s->mutex);
  struct work *all = s->answers.first;
  s->answers = (struct work_list){0};
  pthread_mutex_unlock(&s->mutex);
  if (first != NULL) show_answers(all, first, arg);
  show_answers(all, answer, arg);
  work_free_list(all);
}

void store_collect(struct store *s, void (*answer)(void *arg, const struct store_answer *), void *arg) {
  store_collect_twice(s, NULL, answer, arg);
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
