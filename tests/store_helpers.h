/* A store in a directory of its own, its answers, and a second connection to its file. For test_store*.c. */
#ifndef TESTS_STORE_HELPERS_H
#define TESTS_STORE_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "store/store.h"
#include "store/store_internal.h"

enum { ANSWERS_MAX = 4096 };

struct bench {
  char directory[64], why[512];
  bool sinks[SINK_COUNT]; /* that are configured */
  struct store *store;
  bool held; /* see bench_hold() */
  sem_t woken;
  size_t count; /* answers so far */
  struct kept_answer {
    uint64_t ticket;
    enum store_status status;
    char error[256];
    char facts[2048]; /* "E:id=body P:id=body " */
    size_t fact_count;
  } answers[ANSWERS_MAX];
};

static inline void bench_wake(void *arg) {
  sem_post(&((struct bench *)arg)->woken);
}

static inline int bench_open_with(struct bench *b, size_t queue_max) {
  struct store_options options = {
      .directory = b->directory, .queue_max = queue_max, .wake = bench_wake, .wake_arg = b};
  memcpy(options.sinks, b->sinks, sizeof b->sinks);
  b->store = NULL;
  return store_open(&b->store, &options, b->why, sizeof b->why);
}

static inline void bench_open(struct bench *b) {
  if (bench_open_with(b, 0) != 0) fail_msg("%s", b->why);
}

static inline int bench_setup(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  strcpy(b->directory, "/tmp/test_store.XXXXXX");
  if (mkdtemp(b->directory) == NULL) return -1;
  sem_init(&b->woken, 0, 0);
  *state = b;
  return 0;
}

static inline int bench_teardown(void **state) {
  struct bench *b = *state;
  char command[192];
  if (b->held) pthread_mutex_unlock(&b->store->database_mutex); /* a test failed in between */
  if (b->store != NULL) store_close(b->store);
  /* A test may have taken its own right to write there. */
  snprintf(command, sizeof command, "chmod 0700 '%s'; rm -rf '%s'", b->directory, b->directory);
  sem_destroy(&b->woken);
  free(b);
  return system(command);
}

static inline void bench_take(void *arg, const struct store_answer *answer) {
  struct bench *b = arg;
  if (b->count == ANSWERS_MAX) abort();
  struct kept_answer *k = &b->answers[b->count++];
  *k = (struct kept_answer){
      .ticket = answer->ticket, .status = answer->status, .fact_count = answer->fact_count};
  snprintf(k->error, sizeof k->error, "%s", answer->error == NULL ? "" : answer->error);
  size_t length = 0;
  for (size_t i = 0; i < answer->fact_count && length < sizeof k->facts; i++) {
    const struct store_fact *f = &answer->facts[i];
    length += (size_t)snprintf(k->facts + length, sizeof k->facts - length, "%c:%s=%.*s ",
                               f->is_part ? 'P' : 'E', f->id, (int)f->body_bytes, f->body);
  }
}

/* Waits until `count` answers are there since the last forget. */
static inline void bench_await(struct bench *b, size_t count) {
  while (b->count < count) {
    while (sem_wait(&b->woken) != 0) continue;
    store_collect(b->store, bench_take, b);
  }
}

/* One request and its answer. */
static inline const struct kept_answer *bench_ask(struct bench *b, struct store_request request) {
  static uint64_t ticket;
  b->count = 0;
  request.ticket = ++ticket;
  assert_int_equal(store_submit(b->store, &request), 0);
  bench_await(b, 1);
  assert_int_equal(b->count, 1);
  assert_int_equal(b->answers[0].ticket, request.ticket);
  return &b->answers[0];
}

static inline struct store_request an_event(const char *leg, const char *id, const char *body) {
  return (struct store_request){.kind = STORE_PUT_EVENT,
                                .leg = leg,
                                .id = id,
                                .at_ms = 1767225600000,
                                .body = body,
                                .body_bytes = strlen(body)};
}

static inline struct store_request a_part(const char *leg, const char *id, uint64_t n, bool open,
                                          const char *body) {
  return (struct store_request){.kind = STORE_PUT_PART,
                                .leg = leg,
                                .id = id,
                                .n = n,
                                .open = open,
                                .body = body,
                                .body_bytes = strlen(body)};
}

static inline struct store_request a_calllog(const char *leg, const char *id, uint64_t revision, bool open,
                                             const char *body) {
  return (struct store_request){.kind = STORE_PUT_CALLLOG,
                                .leg = leg,
                                .id = id,
                                .n = revision,
                                .open = open,
                                .at_ms = 1767225600000,
                                .status = "completed",
                                .direction = "outbound",
                                .from = "+4930111",
                                .to = "+4930222",
                                .total_s = 12.5,
                                .mos = NAN,
                                .body = body,
                                .body_bytes = strlen(body)};
}

static inline struct store_request the_leg(const char *leg) {
  return (struct store_request){.kind = STORE_LOAD_LEG, .leg = leg};
}

/* Until it is released the store's thread takes a batch at most, and commits none: without a lock of SQLite's, which it
 * would give up after 5 s. */
static inline void bench_hold(struct bench *b) {
  pthread_mutex_lock(&b->store->database_mutex);
  b->held = true;
}

static inline void bench_release(struct bench *b) {
  b->held = false;
  pthread_mutex_unlock(&b->store->database_mutex);
}

/* A connection of somebody else: an administrator's shell. */
static inline sqlite3 *bench_connect(struct bench *b) {
  char path[128];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/sidetone.db", b->directory);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  return db;
}

static inline void bench_sql(sqlite3 *db, const char *sql) {
  char *error = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
}

static inline int64_t bench_number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *s;
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(s), SQLITE_ROW);
  int64_t number = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return number;
}

#endif
