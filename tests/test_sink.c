/* store/sink.c: the runner, with a driver of ours. */
#include "tests/sink_rig.h"

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

/* Without a nudge each row waits for a turn that begins with a look: some must come without one, however slow the
 * machine is. */
static void a_nudge_wakes_it(void **state) {
  struct rig *r = *state;
  char name[16], all[LOG_BYTES] = "";
  size_t looks = 0, before, at_once = 0;
  start(r);
  for (int64_t i = 0, end = now_ms() + DEADLINE_MS; i < 20 || (at_once < 5 && now_ms() < end); i++) {
    snprintf(name, sizeof name, "a%d", (int)i);
    put(r, name);
    sink_nudge(r->sink);
    strcat(strcat(all, name), " ");
    await_done(r, all);
    before = looks;
    looks = looks_of(&r->place);
    at_once += i > 0 && looks == before;
  }
  assert_true(at_once >= 5);
}

static void batches_are_bounded(void **state) {
  struct rig *r = *state;
  enum { BIG = 1 << 20, COUNT = 24 };
  char *body = malloc(BIG), id[16];
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
  for (int64_t end = now_ms() + DEADLINE_MS; depth_of(r, SINK_REDIS_QUEUE).pending != 1; pause_briefly())
    if (now_ms() > end) fail_msg("not marked");
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
  p->blocked = p->calls == 2; /* the last try stays open until the test has looked */
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
  await_calls(r, 2);
  assert_int_equal(file_number(r, "SELECT tries FROM outbox_tries WHERE row = 1"), 19);
  assert_int_equal(depth_of(r, SINK_MONGO).dead, 0);
  interrupt(&r->place);
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

/* ---- all together ---- */

enum { STORM_LEGS = 8, STORM_ROWS = 6000 };

/* The id is the row's place within its leg. A row that is taken out of turn does not count: it must come again behind
 * the one that was missing. */
static size_t storm_next[STORM_LEGS];
static unsigned storm_seed;

static enum sink_result storm(struct place *p, const struct sink_row *row) {
  (void)p;
  if (rand_r(&storm_seed) % 100 == 0) return SINK_RETRY;
  size_t leg = (size_t)(row->leg[0] - 'a');
  if (strtoul(row->body, NULL, 10) == storm_next[leg]) storm_next[leg]++;
  return SINK_DONE;
}

static void legs_keep_their_order_while_rows_come_and_fail(void **state) {
  struct rig *r = *state;
  char id[16], body[16];
  memset(storm_next, 0, sizeof storm_next);
  storm_seed = 7;
  r->place.answer = storm;
  start(r);
  for (int i = 0; i < STORM_ROWS; i++) {
    const char leg[2] = {(char)('a' + i % STORM_LEGS), 0};
    snprintf(id, sizeof id, "%d", i);
    snprintf(body, sizeof body, "%d", i / STORM_LEGS);
    struct store_request request = an_event(leg, id, body);
    request.deliver = true;
    if (i % 16 == 15)
      bench_ask(r->b, request); /* so that they come while the runner is at work */
    else
      assert_int_equal(store_submit(r->b->store, &request), 0);
  }
  await_depth(r, 0, 0);
  stop(r);
  for (int i = 0; i < STORM_LEGS; i++) assert_int_equal(storm_next[i], STORM_ROWS / STORM_LEGS);
  assert_int_equal(r->place.wrong_order, 0);
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
      TEST(legs_keep_their_order_while_rows_come_and_fail),
  };
  return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
