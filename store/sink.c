/* The runner of a sink: see sink.h. All but the counters and the flags under `mutex` belongs to its thread. */
#include "store/sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/clock.h"
#include "store/outbox_job.h"
#include "store/sink_batch.h"
#include "store/stuck.h"

enum {
  LOOK_EVERY_MS = 500,      /* new rows without a nudge, `sidetone outbox`, look_after() */
  LOOK_STUCK_MS = 100,      /* while a leg waits for its time */
  INTERRUPT_EVERY_MS = 100, /* a blocking call may begin just after it was interrupted */
  BATCH_BYTES = 8 << 20,
  TRIES_MAX = 20,
  TURN_QUIET_MS = 900000,
  KINDS_MAX = 32
};

struct error_kind {
  char name[24];
  uint64_t count;
};

struct sink {
  pthread_t thread;
  struct sink_driver driver;
  struct store *store;
  struct pulse pulse;
  bool any_order; /* rows become ready in an order that is not theirs: the queue's */
  struct outbox_reader *reader;
  struct batch *batch;
  struct stuck *stuck;
  int64_t position;  /* every pending row up to it is of a stuck leg; without meaning in any order */
  size_t seen;       /* rows of the reading under way */
  int64_t cursor;    /* as it was last read */
  int64_t rewind_to; /* that the store has refused so far; -1: none */
  int64_t looked_ms; /* monotonic: the last look_after() */
  uint64_t foreign_changes;
  unsigned failures; /* in a row: SINK_AWAY, or marks that were not written */

  pthread_mutex_t mutex;
  pthread_cond_t changed; /* nudged, or stopping */
  bool nudged, stopping;
  struct sink_stats stats;
  struct error_kind kinds[KINDS_MAX];
  size_t kind_count;
};

static bool stopping(struct sink *s) {
  pthread_mutex_lock(&s->mutex);
  bool is = s->stopping;
  pthread_mutex_unlock(&s->mutex);
  return is;
}

/* ---- time ---- */

/* Returns at the time, at the end, or, when `nudge_ends`, at a nudge. */
static void wait_until(struct sink *s, int64_t mono_ms, bool nudge_ends) {
  const struct timespec until = timespec_of_ms(mono_ms);
  pthread_mutex_lock(&s->mutex);
  while (!s->stopping && !(nudge_ends && s->nudged))
    if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) == ETIMEDOUT) break;
  if (nudge_ends) s->nudged = false;
  pthread_mutex_unlock(&s->mutex);
}

static void go_back(struct sink *s) {
  if (s->rewind_to < 0 || outbox_rewind(s->store, s->driver.id, s->rewind_to) < 0) return;
  if (s->rewind_to < s->position) s->position = s->rewind_to;
  s->rewind_to = -1;
}

static void look_after(struct sink *s) {
  int64_t now_ms = monotonic_ms();
  if (s->looked_ms != 0 && now_ms < s->looked_ms + LOOK_EVERY_MS) return;
  s->looked_ms = now_ms;
  if (s->driver.look_after != NULL) {
    int64_t cursor = outbox_cursor(s->reader);
    if (cursor >= 0) s->cursor = cursor;
    int64_t row = s->driver.look_after(s->driver.self, s->cursor);
    if (row >= 0 && (s->rewind_to < 0 || row < s->rewind_to)) s->rewind_to = row;
  }
  go_back(s);
}

/* The server is looked after meanwhile. */
static void back_off(struct sink *s) {
  int64_t until_ms = monotonic_ms() + sink_jitter_ms(++s->failures);
  for (int64_t now_ms; (now_ms = monotonic_ms()) < until_ms && !stopping(s);) {
    int64_t look_ms = now_ms + LOOK_EVERY_MS;
    pulse_expect(&s->pulse, TURN_QUIET_MS);
    wait_until(s, look_ms < until_ms ? look_ms : until_ms, false);
    if (!stopping(s)) look_after(s);
  }
}

/* ---- counting ---- */

/* Called with the mutex held. The last place is for all kinds that there is no other for. */
static void count_kind(struct sink *s, const char *kind) {
  size_t i = 0;
  while (i < s->kind_count && strcmp(s->kinds[i].name, kind) != 0) i++;
  if (i == KINDS_MAX) i--;
  if (i == s->kind_count) {
    snprintf(s->kinds[i].name, sizeof s->kinds[i].name, "%s", i == KINDS_MAX - 1 ? "other" : kind);
    s->kind_count++;
  }
  s->kinds[i].count++;
}

static void count_error(struct sink *s, const char *kind, const char *reason) {
  pthread_mutex_lock(&s->mutex);
  s->stats.errors++;
  count_kind(s, *kind == 0 ? "unknown" : kind);
  snprintf(s->stats.reason, sizeof s->stats.reason, "%s", reason);
  pthread_mutex_unlock(&s->mutex);
}

/* A server that is away is one error, however many rows wait for it. */
static void count_batch(struct sink *s, bool away) {
  const struct batch *b = s->batch;
  uint64_t delivered = 0;
  bool told = false;
  for (size_t i = 0; i < b->count; i++) {
    const struct sink_outcome *o = &b->outcomes[i];
    if (o->result == SINK_DONE || (o->result == SINK_AWAY && told)) continue;
    count_error(s, o->kind, o->reason);
    told = told || o->result == SINK_AWAY;
  }
  for (size_t i = 0; i < b->mark_count; i++) delivered += b->marks[i].state == OUTBOX_DONE;
  pthread_mutex_lock(&s->mutex);
  s->stats.delivered += delivered;
  if (away && !s->stats.away) s->stats.away_since_ms = wall_ms();
  if (!away) s->stats.away_since_ms = 0;
  if (!away && delivered > 0) *s->stats.reason = 0;
  s->stats.away = away;
  pthread_mutex_unlock(&s->mutex);
}

/* ---- a batch: taking rows ---- */

static void take_of_leg(void *arg, const struct sink_row *row, uint32_t tries) {
  struct sink *s = arg;
  batch_add(s->batch, row, tries);
}

/* Rows of a stuck leg wait for its time. */
static void take(void *arg, const struct sink_row *row, uint32_t tries) {
  struct sink *s = arg;
  struct stuck_leg *stuck = stuck_find(s->stuck, row->leg);
  s->seen++;
  s->position = row->row;
  if (stuck != NULL) {
    stuck->skipped = true;
    return;
  }
  if (s->batch->first_new == 0) s->batch->first_new = row->row;
  batch_add(s->batch, row, tries);
}

static bool has_room(const struct sink *s) {
  return s->batch->count < s->batch->max && s->batch->bytes < BATCH_BYTES;
}

static int take_stuck(struct sink *s) {
  struct batch *b = s->batch;
  int64_t now_ms = monotonic_ms();
  struct stuck_leg *l = NULL;
  while (has_room(s) && (l = stuck_next_due(s->stuck, l, now_ms)) != NULL) {
    l->taken = true;
    l->skipped = false;
    if (outbox_read_leg(s->reader, l->leg, b->max - b->count, BATCH_BYTES - b->bytes, take_of_leg, s,
                        &l->more) != 0)
      return -1;
  }
  return 0;
}

static int take_new(struct sink *s) {
  struct batch *b = s->batch;
  do {
    if (!has_room(s) || stuck_count(s->stuck) >= STUCK_MAX) break;
    s->seen = 0;
    if (outbox_read(s->reader, s->position, b->max - b->count, BATCH_BYTES - b->bytes, take, s) != 0)
      return -1;
  } while (s->seen > 0);
  return b->failed ? -1 : 0;
}

/* ---- a batch: what became of it ---- */

static void go_before_batch(struct sink *s) {
  if (s->batch->first_new > 0 && s->batch->first_new <= s->position) s->position = s->batch->first_new - 1;
}

/* One row. False: no memory to keep the order of its leg, so all behind it waits too. */
static bool judge_row(struct sink *s, size_t i, bool *away) {
  struct batch *b = s->batch;
  const struct sink_outcome *o = &b->outcomes[i];
  const char *leg = b->rows[i].leg;
  uint32_t tries = b->tries[i] + 1;
  int64_t now_ms = monotonic_ms();
  switch (o->result) {
    case SINK_DONE:
      batch_mark(b, i, OUTBOX_DONE, 0);
      return true;
    case SINK_DEAD:
      batch_mark(b, i, OUTBOX_DEAD, tries);
      return true;
    case SINK_RETRY:
      batch_mark(b, i, tries >= TRIES_MAX ? OUTBOX_DEAD : OUTBOX_PENDING, tries);
      return tries >= TRIES_MAX || stuck_hold(s->stuck, leg, now_ms + sink_jitter_ms(tries), false) == 0;
    case SINK_AWAY:
      break;
  }
  *away = true;
  go_before_batch(s);
  return stuck_hold(s->stuck, leg, now_ms, true) == 0;
}

/* A row that is not finished keeps the later ones of its leg, whatever became of them. */
static bool judge(struct sink *s) {
  bool away = false;
  for (size_t i = 0; i < s->batch->count; i++) {
    const struct stuck_leg *stuck = stuck_find(s->stuck, s->batch->rows[i].leg);
    if (stuck != NULL && stuck->held) continue;
    if (judge_row(s, i, &away)) continue;
    go_before_batch(s);
    return true;
  }
  return away;
}

/* What was delivered is not delivered again because the disk is full: its marks wait. False: stopped before. */
static bool write_marks(struct sink *s) {
  const struct batch *b = s->batch;
  while (outbox_mark(s->store, s->driver.id, b->marks, b->mark_count) != 0) {
    count_error(s, "store", "the local store cannot be written");
    back_off(s);
    if (stopping(s)) return false;
  }
  return true;
}

static void deliver(struct sink *s) {
  struct batch *b = s->batch;
  batch_begin(b);
  int64_t low_water = outbox_low_water(s->reader, b->numbers, b->count);
  if (low_water < 0) low_water = s->cursor;
  if (stopping(s)) return;
  s->driver.deliver(s->driver.self, b->rows, b->count, low_water, b->outcomes);
  bool away = judge(s);
  if (!write_marks(s)) return;
  count_batch(s, away);
  stuck_settle(s->stuck, true);
  if (away)
    back_off(s);
  else
    s->failures = 0;
}

/* Whether there may be more. Nothing is delivered while the way back is not on disk: what a driver tells its server of
 * the cursor would be wrong if the process died. */
static bool turn(struct sink *s) {
  if (s->rewind_to >= 0) return false;
  uint64_t foreign = store_foreign_changes(s->store);
  if (s->any_order || foreign != s->foreign_changes) s->position = 0;
  s->foreign_changes = foreign;
  batch_clear(s->batch);
  if (take_stuck(s) != 0 || take_new(s) != 0) {
    stuck_settle(s->stuck, false);
    s->position = 0;
    count_error(s, "store", "the outbox cannot be read");
    back_off(s);
    return false;
  }
  bool full = !has_room(s);
  if (s->batch->count > 0)
    deliver(s);
  else
    stuck_settle(s->stuck, true);
  return full;
}

static void *run(void *arg) {
  struct sink *s = arg;
  while (!stopping(s)) {
    pulse_expect(&s->pulse, TURN_QUIET_MS);
    look_after(s);
    if (turn(s)) continue;
    int64_t wait_ms = stuck_count(s->stuck) > 0 ? LOOK_STUCK_MS : LOOK_EVERY_MS;
    wait_until(s, monotonic_ms() + wait_ms, true);
  }
  pulse_expect(&s->pulse, 0);
  return NULL;
}

/* ---- from other threads ---- */

static void free_sink(struct sink *s) {
  outbox_reader_close(s->reader);
  batch_free(s->batch);
  stuck_free(s->stuck);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

static int start_thread(struct sink *s) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->changed, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&s->mutex, NULL);
  return s->batch == NULL || s->stuck == NULL ? ENOMEM : pthread_create(&s->thread, NULL, run, s);
}

int sink_start(struct sink **out, const struct sink_options *options, char *why, size_t why_bytes) {
  struct outbox_reader *reader;
  const struct sink_driver *driver = &options->driver;
  if (outbox_reader_open(&reader, options->store, driver->id, options->after_mongo, why, why_bytes) != 0)
    return -1;
  struct sink *s = calloc(1, sizeof *s);
  if (s == NULL) {
    outbox_reader_close(reader);
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  *s = (struct sink){.driver = *driver,
                     .store = options->store,
                     .pulse = options->pulse,
                     .any_order = driver->id == SINK_REDIS_QUEUE,
                     .reader = reader,
                     .batch = batch_new(driver->batch_max),
                     .stuck = stuck_new(),
                     .rewind_to = -1,
                     .foreign_changes = store_foreign_changes(options->store)};
  int error = start_thread(s);
  if (error == 0) {
    *out = s;
    return 0;
  }
  snprintf(why, why_bytes, "the thread of %s cannot be started: %s", sink_names[driver->id], strerror(error));
  free_sink(s);
  return -1;
}

void sink_nudge(struct sink *s) {
  pthread_mutex_lock(&s->mutex);
  s->nudged = true;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->mutex);
}

void sink_stop(struct sink *s) {
  if (s == NULL) return;
  pthread_mutex_lock(&s->mutex);
  s->stopping = true;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->mutex);
  struct timespec until;
  int error;
  do {
    if (s->driver.interrupt != NULL) s->driver.interrupt(s->driver.self);
    until = timespec_of_ms(monotonic_ms() + INTERRUPT_EVERY_MS);
    error = pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &until);
  } while (error == ETIMEDOUT);
  free_sink(s);
}

void sink_stats(struct sink *s, struct sink_stats *out) {
  pthread_mutex_lock(&s->mutex);
  *out = s->stats;
  pthread_mutex_unlock(&s->mutex);
}

void sink_error_kinds(struct sink *s, void (*each)(void *arg, const char *kind, uint64_t count), void *arg) {
  struct error_kind kinds[KINDS_MAX];
  pthread_mutex_lock(&s->mutex);
  size_t count = s->kind_count;
  memcpy(kinds, s->kinds, sizeof kinds);
  pthread_mutex_unlock(&s->mutex);
  for (size_t i = 0; i < count; i++) each(arg, kinds[i].name, kinds[i].count);
}
