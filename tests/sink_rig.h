/* A runner over a store of its own, and the place that it delivers to, which answers as a test says. */
#ifndef TESTS_SINK_RIG_H
#define TESTS_SINK_RIG_H

#include "tests/store_helpers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "store/outbox.h"

enum { DEADLINE_MS = 20000, LOG_BYTES = 1 << 16 };

/* What arrives is written down; `answer` says what becomes of each row. */
struct place {
  pthread_mutex_t mutex;
  char done[LOG_BYTES]; /* bodies that were taken, each with a blank */
  size_t calls, looks, looks_at_first_call, rows_most, bytes_most, wrong_order;
  int64_t low_water, cursor, go_back_to;
  enum sink_result (*answer)(struct place *p, const struct sink_row *row);
  size_t left;           /* for answers that count */
  bool blocked, holding; /* deliver() waits for interrupt() */
  pthread_cond_t interrupted;
};

struct rig {
  struct bench *b;
  struct place place;
  struct sink *sink;
};

static inline int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline enum sink_result always_done(struct place *p, const struct sink_row *row) {
  (void)p;
  (void)row;
  return SINK_DONE;
}

static inline void deliver(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
                           struct sink_outcome *outcomes) {
  static const char *const kinds[] = {"", "network", "odd", "validation"};
  struct place *p = self;
  size_t bytes = 0;
  pthread_mutex_lock(&p->mutex);
  if (p->calls++ == 0) p->looks_at_first_call = p->looks;
  p->low_water = low_water;
  if (count > p->rows_most) p->rows_most = count;
  for (size_t i = 0; i < count; i++) {
    enum sink_result result = p->answer(p, &rows[i]);
    outcomes[i].result = result;
    snprintf(outcomes[i].kind, sizeof outcomes[i].kind, "%s", kinds[result]);
    if (result != SINK_DONE) snprintf(outcomes[i].reason, sizeof outcomes[i].reason, "about %s", rows[i].id);
    size_t length = strlen(p->done);
    if (result == SINK_DONE && rows[i].body_bytes < 100)
      snprintf(p->done + length, sizeof p->done - length, "%s ", rows[i].body);
    for (size_t k = 0; k < i; k++)
      p->wrong_order += strcmp(rows[k].leg, rows[i].leg) == 0 && rows[k].row > rows[i].row;
    bytes += rows[i].body_bytes;
  }
  if (bytes > p->bytes_most) p->bytes_most = bytes;
  p->holding = p->blocked;
  while (p->blocked) pthread_cond_wait(&p->interrupted, &p->mutex);
  pthread_mutex_unlock(&p->mutex);
}

static inline int64_t look_after(void *self, int64_t cursor) {
  struct place *p = self;
  pthread_mutex_lock(&p->mutex);
  p->looks++;
  p->cursor = cursor;
  int64_t row = p->go_back_to;
  p->go_back_to = -1;
  pthread_mutex_unlock(&p->mutex);
  return row;
}

static inline void interrupt(void *self) {
  struct place *p = self;
  pthread_mutex_lock(&p->mutex);
  p->blocked = false;
  pthread_cond_signal(&p->interrupted);
  pthread_mutex_unlock(&p->mutex);
}

static inline void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline int setup(void **state) {
  void *bench;
  struct rig *r = calloc(1, sizeof *r);
  limit_files(RLIM_INFINITY);
  if (bench_setup(&bench) != 0) return -1;
  r->b = bench;
  for (int i = 0; i < SINK_COUNT; i++) r->b->sinks[i] = true;
  pthread_mutex_init(&r->place.mutex, NULL);
  pthread_cond_init(&r->place.interrupted, NULL);
  r->place.answer = always_done;
  r->place.go_back_to = -1;
  *state = r;
  bench_open(r->b);
  return 0;
}

static inline int teardown(void **state) {
  struct rig *r = *state;
  void *bench = r->b;
  limit_files(RLIM_INFINITY);
  sink_stop(r->sink);
  int rc = bench_teardown(&bench);
  free(r);
  return rc;
}

static inline void start_as(struct rig *r, enum sink_id id, bool after_mongo, size_t batch_max) {
  const struct sink_options options = {.store = r->b->store,
                                       .driver = {.id = id,
                                                  .batch_max = batch_max,
                                                  .deliver = deliver,
                                                  .look_after = look_after,
                                                  .interrupt = interrupt,
                                                  .self = &r->place},
                                       .after_mongo = after_mongo};
  if (sink_start(&r->sink, &options, r->b->why, sizeof r->b->why) != 0) fail_msg("%s", r->b->why);
}

static inline void start(struct rig *r) {
  start_as(r, SINK_MONGO, false, 64);
}

static inline void stop(struct rig *r) {
  sink_stop(r->sink);
  r->sink = NULL;
}

/* The body tells which row it is: "a1" is the first of leg a. */
static inline void put(struct rig *r, const char *name) {
  const char leg[2] = {name[0], 0};
  struct store_request request = an_event(leg, name, name);
  request.deliver = true;
  assert_int_equal(bench_ask(r->b, request)->status, STORE_DONE);
}

static inline void put_all(struct rig *r, const char *const *names) {
  for (; *names != NULL; names++) put(r, *names);
}

static inline void pause_briefly(void) {
  nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static inline void await_done(struct rig *r, const char *expected) {
  struct place *p = &r->place;
  for (int64_t end = now_ms() + DEADLINE_MS;;) {
    pthread_mutex_lock(&p->mutex);
    bool same = strcmp(p->done, expected) == 0;
    bool late = now_ms() > end;
    if (late) fail_msg("\"%s\" is not \"%s\"", p->done, expected);
    pthread_mutex_unlock(&p->mutex);
    if (same) return;
    pause_briefly();
  }
}

static inline struct outbox_depth depth_of(struct rig *r, enum sink_id sink) {
  struct outbox_depth depth[SINK_COUNT];
  outbox_depth(r->b->store, depth);
  return depth[sink];
}

static inline void await_depth(struct rig *r, uint64_t pending, uint64_t dead) {
  for (int64_t end = now_ms() + DEADLINE_MS;;) {
    struct outbox_depth d = depth_of(r, SINK_MONGO);
    if (d.pending == pending && d.dead == dead) return;
    if (now_ms() > end)
      fail_msg("%llu pending, %llu dead", (unsigned long long)d.pending, (unsigned long long)d.dead);
    pause_briefly();
  }
}

static inline size_t calls_of(struct place *p) {
  pthread_mutex_lock(&p->mutex);
  size_t calls = p->calls;
  pthread_mutex_unlock(&p->mutex);
  return calls;
}

static inline size_t looks_of(struct place *p) {
  pthread_mutex_lock(&p->mutex);
  size_t looks = p->looks;
  pthread_mutex_unlock(&p->mutex);
  return looks;
}

static inline void await_calls(struct rig *r, size_t calls) {
  for (int64_t end = now_ms() + DEADLINE_MS; calls_of(&r->place) < calls; pause_briefly())
    if (now_ms() > end) fail_msg("no call %zu", calls);
}

#endif
