/* store/sink.c, stuck.c, sink_batch.c: the runner, with a driver of ours: a place that answers as a test says. */
#include "tests/store_helpers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "store/outbox.h"
#include "store/sink_batch.h"
#include "store/stuck.h"

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

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum sink_result always_done(struct place *p, const struct sink_row *row) {
  (void)p;
  (void)row;
  return SINK_DONE;
}

static void deliver(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
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

static int64_t look_after(void *self, int64_t cursor) {
  struct place *p = self;
  pthread_mutex_lock(&p->mutex);
  p->looks++;
  p->cursor = cursor;
  int64_t row = p->go_back_to;
  p->go_back_to = -1;
  pthread_mutex_unlock(&p->mutex);
  return row;
}

static void interrupt(void *self) {
  struct place *p = self;
  pthread_mutex_lock(&p->mutex);
  p->blocked = false;
  pthread_cond_signal(&p->interrupted);
  pthread_mutex_unlock(&p->mutex);
}

static void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int setup(void **state) {
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

static int teardown(void **state) {
  struct rig *r = *state;
  void *bench = r->b;
  limit_files(RLIM_INFINITY);
  sink_stop(r->sink);
  int rc = bench_teardown(&bench);
  free(r);
  return rc;
}

static void start_as(struct rig *r, enum sink_id id, bool after_mongo, size_t batch_max) {
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

static void start(struct rig *r) {
  start_as(r, SINK_MONGO, false, 64);
}

static void stop(struct rig *r) {
  sink_stop(r->sink);
  r->sink = NULL;
}

/* The body tells which row it is: "a1" is the first of leg a. */
static void put(struct rig *r, const char *name) {
  const char leg[2] = {name[0], 0};
  struct store_request request = an_event(leg, name, name);
  request.deliver = true;
  assert_int_equal(bench_ask(r->b, request)->status, STORE_DONE);
}

static void put_all(struct rig *r, const char *const *names) {
  for (; *names != NULL; names++) put(r, *names);
}

static void pause_briefly(void) {
  nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void await_done(struct rig *r, const char *expected) {
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

static struct outbox_depth depth_of(struct rig *r, enum sink_id sink) {
  struct outbox_depth depth[SINK_COUNT];
  outbox_depth(r->b->store, depth);
  return depth[sink];
}

static void await_depth(struct rig *r, uint64_t pending, uint64_t dead) {
  for (int64_t end = now_ms() + DEADLINE_MS;;) {
    struct outbox_depth d = depth_of(r, SINK_MONGO);
    if (d.pending == pending && d.dead == dead) return;
    if (now_ms() > end)
      fail_msg("%llu pending, %llu dead", (unsigned long long)d.pending, (unsigned long long)d.dead);
    pause_briefly();
  }
}

static size_t calls_of(struct place *p) {
  pthread_mutex_lock(&p->mutex);
  size_t calls = p->calls;
  pthread_mutex_unlock(&p->mutex);
  return calls;
}

static void await_calls(struct rig *r, size_t calls) {
  for (int64_t end = now_ms() + DEADLINE_MS; calls_of(&r->place) < calls; pause_briefly())
    if (now_ms() > end) fail_msg("no call %zu", calls);
}

/* ---- what is well ---- */

static void rows_go_in_order_and_once(void **state) {
  struct rig *r = *state;
  put_all(r, (const char *const[]){"a1", "b1", "a2", NULL});
  start(r);
  await_done(r, "a1 b1 a2 ");
  assert_true(r->place.looks_at_first_call >= 1);
  await_depth(r, 0, 0);
  assert_int_equal(r->place.low_water, 3);
  put(r, "a3");
  sink_nudge(r->sink);
  await_done(r, "a1 b1 a2 a3 ");
  await_depth(r, 0, 0);
  stop(r);
  start(r);
  put(r, "a4");
  await_done(r, "a1 b1 a2 a3 a4 "); /* without a nudge too */
  struct sink_stats stats;
  await_depth(r, 0, 0);
  stop(r);
  start(r);
  sink_stats(r->sink, &stats);
  assert_false(stats.away);
  assert_int_equal(stats.errors, 0);
}

/* Twenty rows one after the other would take 20 looks of half a second. */
static void a_nudge_wakes_it(void **state) {
  struct rig *r = *state;
  char name[8], all[256] = "";
  start(r);
  int64_t begin = now_ms();
  for (int i = 0; i < 20; i++) {
    snprintf(name, sizeof name, "a%d", i);
    put(r, name);
    sink_nudge(r->sink);
    strcat(strcat(all, name), " ");
    await_done(r, all);
  }
  assert_true(now_ms() - begin < 5000);
}

static void batches_are_bounded(void **state) {
  struct rig *r = *state;
  enum { BIG = 1 << 20, COUNT = 24 };
  char *body = malloc(BIG), id[8];
  memset(body, 'x', BIG);
  for (int i = 0; i < COUNT; i++) {
    snprintf(id, sizeof id, "b%d", i);
    struct store_request request = an_event("b", id, "");
    request.deliver = true;
    request.body = body;
    request.body_bytes = BIG;
    bench_ask(r->b, request);
  }
  free(body);
  for (int i = 0; i < 200; i++) {
    snprintf(id, sizeof id, "s%d", i);
    put(r, id);
  }
  start(r);
  await_depth(r, 0, 0);
  assert_in_range(r->place.bytes_most, BIG, 9 * BIG);
  assert_in_range(r->place.rows_most, 2, 64);
  assert_int_equal(r->place.wrong_order, 0);
}

static void the_queue_follows_mongodb(void **state) {
  struct rig *r = *state;
  const struct outbox_mark second = {.row = 2, .state = OUTBOX_DONE},
                           first = {.row = 1, .state = OUTBOX_DEAD};
  put_all(r, (const char *const[]){"a1", "b1", "a2", NULL});
  start_as(r, SINK_REDIS_QUEUE, true, 64);
  assert_int_equal(outbox_mark(r->b->store, SINK_MONGO, &second, 1), 0);
  await_done(r, "b1 ");
  assert_int_equal(outbox_mark(r->b->store, SINK_MONGO, &first, 1), 0); /* refused for good: it passes */
  await_done(r, "b1 a1 ");
  assert_int_equal(r->place.low_water, 2);
  assert_int_equal(depth_of(r, SINK_REDIS_QUEUE).pending, 1);
}

/* ---- what fails ---- */

static enum sink_result a1_fails_twice(struct place *p, const struct sink_row *row) {
  if (strcmp(row->id, "a1") != 0 || p->left == 0) return SINK_DONE;
  p->left--;
  return SINK_RETRY;
}

static void other_legs_pass_a_stuck_one(void **state) {
  struct rig *r = *state;
  r->place.answer = a1_fails_twice;
  r->place.left = 2;
  put_all(r, (const char *const[]){"a1", "b1", "a2", "b2", NULL});
  start(r);
  await_depth(r, 0, 0);
  /* a2 had arrived with a1, and again behind it: at least once, and in order. */
  pthread_mutex_lock(&r->place.mutex);
  const char *a1 = strstr(r->place.done, "a1 "), *b2 = strstr(r->place.done, "b2 ");
  assert_non_null(a1);
  assert_true(b2 != NULL && b2 < a1);
  assert_non_null(strstr(a1, "a2 "));
  assert_int_equal(r->place.wrong_order, 0);
  pthread_mutex_unlock(&r->place.mutex);
  struct sink_stats stats;
  sink_stats(r->sink, &stats);
  assert_int_equal(stats.errors, 2);
  assert_false(stats.away);
}

/* A row that comes for a leg while it is stuck waits behind, and is not forgotten. */
static void a_stuck_leg_gets_new_rows(void **state) {
  struct rig *r = *state;
  r->place.answer = a1_fails_twice;
  r->place.left = 1;
  put(r, "a1");
  start(r);
  await_calls(r, 1);
  put(r, "a2");
  put(r, "b1");
  sink_nudge(r->sink);
  await_depth(r, 0, 0);
  pthread_mutex_lock(&r->place.mutex);
  const char *a1 = strstr(r->place.done, "a1 ");
  assert_true(a1 != NULL && strstr(a1, "a2 ") != NULL);
  pthread_mutex_unlock(&r->place.mutex);
}

static enum sink_result refuse_a1(struct place *p, const struct sink_row *row) {
  (void)p;
  return strcmp(row->id, "a1") == 0 ? SINK_DEAD : SINK_DONE;
}

static int64_t file_number(struct rig *r, const char *sql) {
  sqlite3 *db = bench_connect(r->b);
  int64_t number = bench_number(db, sql);
  sqlite3_close(db);
  return number;
}

static void note_kind(void *arg, const char *kind, uint64_t count) {
  char *text = arg;
  sprintf(text + strlen(text), "%s=%llu ", kind, (unsigned long long)count);
}

static void a_dead_row_stops_nothing(void **state) {
  struct rig *r = *state;
  char kinds[256] = "";
  r->place.answer = refuse_a1;
  put_all(r, (const char *const[]){"a1", "a2", "b1", NULL});
  start(r);
  await_done(r, "a2 b1 ");
  await_depth(r, 0, 1);
  assert_int_equal(
      file_number(r, "SELECT tries FROM outbox_tries WHERE row = 1 AND sink = 0 AND reason = 'about a1'"), 1);
  struct sink_stats stats;
  do sink_stats(r->sink, &stats);
  while (stats.delivered < 2);
  assert_int_equal(stats.errors, 1);
  sink_error_kinds(r->sink, note_kind, kinds);
  assert_string_equal(kinds, "validation=1 ");
}

static enum sink_result a1_never(struct place *p, const struct sink_row *row) {
  (void)p;
  return strcmp(row->id, "a1") == 0 ? SINK_RETRY : SINK_DONE;
}

/* The tries are on disk: eighteen of them were made by another process. */
static void a_row_is_dead_after_20_tries(void **state) {
  struct rig *r = *state;
  const struct outbox_mark m = {.row = 1, .state = OUTBOX_PENDING, .tries = 18, .reason = "before"};
  r->place.answer = a1_never;
  put_all(r, (const char *const[]){"a1", "a2", NULL});
  assert_int_equal(outbox_mark(r->b->store, SINK_MONGO, &m, 1), 0);
  start(r);
  await_calls(r, 1);
  for (int64_t end = now_ms() + DEADLINE_MS;
       file_number(r, "SELECT max(tries) FROM outbox_tries") < 19 && now_ms() < end;)
    pause_briefly();
  assert_int_equal(depth_of(r, SINK_MONGO).dead, 0);
  await_depth(r, 0, 1);
  assert_int_equal(file_number(r, "SELECT tries FROM outbox_tries WHERE row = 1"), 20);
  assert_int_equal(calls_of(&r->place), 2);
}

static enum sink_result away_for_a_while(struct place *p, const struct sink_row *row) {
  (void)row;
  if (p->left == 0) return SINK_DONE;
  p->left--;
  return SINK_AWAY;
}

static void a_sink_that_is_away_counts_no_tries(void **state) {
  struct rig *r = *state;
  struct sink_stats stats;
  r->place.answer = away_for_a_while;
  r->place.left = SIZE_MAX;
  put_all(r, (const char *const[]){"a1", "b1", "a2", NULL});
  start(r);
  await_calls(r, 2);
  do sink_stats(r->sink, &stats);
  while (stats.errors == 0);
  assert_true(stats.away);
  assert_true(stats.away_since_ms > 1700000000000);
  assert_non_null(strstr(stats.reason, "about "));
  assert_true(stats.errors <= calls_of(&r->place)); /* one a batch, not one a row */
  int64_t since = stats.away_since_ms;
  await_calls(r, 4);
  sink_stats(r->sink, &stats);
  assert_int_equal(stats.away_since_ms, since);
  pthread_mutex_lock(&r->place.mutex);
  size_t looks = r->place.looks;
  r->place.left = 0;
  pthread_mutex_unlock(&r->place.mutex);
  assert_true(looks >= 2);
  await_done(r, "a1 b1 a2 ");
  await_depth(r, 0, 0);
  do sink_stats(r->sink, &stats);
  while (stats.delivered < 3);
  assert_false(stats.away);
  assert_int_equal(stats.away_since_ms, 0);
  assert_string_equal(stats.reason, "");
  assert_int_equal(file_number(r, "SELECT count(*) FROM outbox_tries"), 0);
}

/* The first row is taken, the second finds the server away: only the first is marked. */
static enum sink_result away_at_b1(struct place *p, const struct sink_row *row) {
  if (strcmp(row->id, "b1") != 0 || p->left == 0) return SINK_DONE;
  p->left--;
  return SINK_AWAY;
}

static void what_was_delivered_before_it_went_is_not_repeated(void **state) {
  struct rig *r = *state;
  r->place.answer = away_at_b1;
  r->place.left = 1;
  put_all(r, (const char *const[]){"a1", "b1", "b2", "c1", NULL});
  start(r);
  await_depth(r, 0, 0);
  await_done(r, "a1 b2 c1 b1 b2 ");
}

/* ---- the disk, the end, the tail ---- */

static void a_full_disk_does_not_make_it_spin(void **state) {
  struct rig *r = *state;
  struct sink_stats stats;
  signal(SIGXFSZ, SIG_IGN);
  put(r, "a1");
  limit_files(4096);
  start(r);
  do sink_stats(r->sink, &stats);
  while (stats.errors < 2); /* the second comes after a pause */
  assert_true(stats.errors < 20);
  assert_int_equal(calls_of(&r->place), 1); /* delivered once: the mark is repeated, not the row */
  limit_files(RLIM_INFINITY);
  await_depth(r, 0, 0);
  assert_int_equal(calls_of(&r->place), 1);
}

/* As a crash between the delivery and its mark. */
static void what_was_not_marked_is_repeated_by_the_next_process(void **state) {
  struct rig *r = *state;
  signal(SIGXFSZ, SIG_IGN);
  put(r, "a1");
  limit_files(4096);
  start(r);
  await_done(r, "a1 ");
  stop(r);
  limit_files(RLIM_INFINITY);
  start(r);
  await_done(r, "a1 a1 ");
  await_depth(r, 0, 0);
}

static void it_stops_in_the_middle_of_a_delivery(void **state) {
  struct rig *r = *state;
  put(r, "a1");
  r->place.blocked = true;
  start(r);
  for (bool holding = false; !holding; pause_briefly()) {
    pthread_mutex_lock(&r->place.mutex);
    holding = r->place.holding;
    pthread_mutex_unlock(&r->place.mutex);
  }
  stop(r);
  assert_int_equal(depth_of(r, SINK_MONGO).pending, 0); /* it had been taken */
}

static void a_lost_tail_goes_again(void **state) {
  struct rig *r = *state;
  put_all(r, (const char *const[]){"a1", "b1", "a2", NULL});
  start(r);
  await_done(r, "a1 b1 a2 ");
  await_depth(r, 0, 0);
  for (int64_t end = now_ms() + DEADLINE_MS, cursor = 0; cursor != 3; pause_briefly()) {
    pthread_mutex_lock(&r->place.mutex);
    cursor = r->place.cursor;
    if (cursor == 3) r->place.go_back_to = 1;
    pthread_mutex_unlock(&r->place.mutex);
    if (now_ms() > end) fail_msg("the cursor does not move");
  }
  await_done(r, "a1 b1 a2 b1 a2 ");
  await_depth(r, 0, 0);
}

/* ---- parts ---- */

static void the_pause_doubles_to_10_s_with_full_jitter(void **state) {
  (void)state;
  for (unsigned failures = 1; failures < 40; failures++) {
    int64_t most = failures > 4 ? 10000 : 1000 << (failures - 1), highest = 0, lowest = most;
    for (int i = 0; i < 400; i++) {
      int64_t ms = sink_jitter_ms(failures);
      assert_in_range(ms, 0, most);
      if (ms > highest) highest = ms;
      if (ms < lowest) lowest = ms;
    }
    assert_true(highest > most * 9 / 10 && lowest < most / 10);
  }
}

static void stuck_legs_are_remembered_until_nothing_is_left(void **state) {
  (void)state;
  struct stuck *t = stuck_new();
  assert_int_equal(stuck_hold(t, "a", 100, false), 0);
  assert_int_equal(stuck_hold(t, "b", 50, false), 0);
  assert_int_equal(stuck_hold(t, "c", 0, true), 0);
  stuck_settle(t, true);
  assert_int_equal(stuck_count(t), 2); /* c was for one batch */
  assert_null(stuck_next_due(t, NULL, 49));
  struct stuck_leg *b = stuck_next_due(t, NULL, 99);
  assert_string_equal(b->leg, "b");
  b->taken = true;
  b->skipped = true; /* one more came meanwhile */
  stuck_settle(t, true);
  assert_non_null(stuck_find(t, "b"));
  assert_int_equal(stuck_find(t, "b")->due_ms, 0);
  stuck_find(t, "b")->taken = true;
  stuck_settle(t, false); /* the batch came to nothing */
  stuck_find(t, "b")->taken = true;
  stuck_settle(t, true);
  assert_null(stuck_find(t, "b"));
  stuck_free(t);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(rows_go_in_order_and_once),
      TEST(a_nudge_wakes_it),
      TEST(batches_are_bounded),
      TEST(the_queue_follows_mongodb),
      TEST(other_legs_pass_a_stuck_one),
      TEST(a_stuck_leg_gets_new_rows),
      TEST(a_dead_row_stops_nothing),
      TEST(a_row_is_dead_after_20_tries),
      TEST(a_sink_that_is_away_counts_no_tries),
      TEST(what_was_delivered_before_it_went_is_not_repeated),
      TEST(a_full_disk_does_not_make_it_spin),
      TEST(what_was_not_marked_is_repeated_by_the_next_process),
      TEST(it_stops_in_the_middle_of_a_delivery),
      TEST(a_lost_tail_goes_again),
      cmocka_unit_test(the_pause_doubles_to_10_s_with_full_jitter),
      cmocka_unit_test(stuck_legs_are_remembered_until_nothing_is_left),
  };
  return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
