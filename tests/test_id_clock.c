/* store/id_clock.c: event ids stay 72 h, whatever the wall clock does. */
#include "tests/store_helpers.h"

#include <sched.h>
#include <time.h>

#include "store/database.h"

#define HOURS_72 "259200000"

static int ids(struct bench *b) {
  sqlite3 *db = bench_connect(b);
  int count = (int)bench_number(db, "SELECT count(*) FROM event_ids");
  sqlite3_close(db);
  return count;
}

static void sql(struct bench *b, const char *text) {
  sqlite3 *db = bench_connect(b);
  bench_sql(db, text);
  sqlite3_close(db);
}

static void ids_go_when_they_are_72_hours_old(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, an_event("leg", "old", "x"));
  bench_ask(b, an_event("leg", "older", "x"));
  sql(b, "UPDATE event_ids SET seen_at_ms = seen_at_ms - " HOURS_72
         " + CASE id WHEN 'old' THEN 60000 ELSE -1 END");
  time_t start = time(NULL);
  while (ids(b) > 1) {
    sched_yield();
    if (time(NULL) - start > 20) fail_msg("still there");
  }
  assert_int_equal(bench_ask(b, an_event("leg", "old", "x"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, an_event("leg", "older", "x"))->status, STORE_DONE);
}

/* A wall clock that is ten days ahead for a while. */
static void a_step_of_the_wall_clock_forgets_nothing(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, an_event("leg", "first", "x"));
  struct store_request r = an_event("leg", "second", "x");
  r.at_ms += 10LL * 86400000;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  store_close(b->store);
  bench_open(b);
  r.id = "third";
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  assert_int_equal(bench_ask(b, an_event("leg", "first", "x"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, an_event("leg", "second", "x"))->status, STORE_DUPLICATE);
}

/* The ids' clock goes on from where it was, though the wall's is behind it by years. */
static void the_clock_outlives_the_process(void **state) {
  struct bench *b = *state;
  bench_open(b);
  store_close(b->store);
  b->store = NULL;
  const char *ahead = "9000000000000", *key = "store.id_clock";
  char text[160];
  snprintf(text, sizeof text, "INSERT OR REPLACE INTO meta VALUES ('%s', '%s', %u)", key, ahead,
           value_crc(key, strlen(key), ahead, strlen(ahead)));
  sql(b, text);
  bench_open(b);
  bench_ask(b, an_event("leg", "e", "x"));
  sqlite3 *db = bench_connect(b);
  int64_t seen_ms = bench_number(db, "SELECT seen_at_ms FROM event_ids");
  assert_in_range(seen_ms, 9000000000000, 9000000060000);
  bench_sql(db, "UPDATE meta SET value = 'damage' WHERE key = 'store.id_clock'");
  sqlite3_close(db);
  store_close(b->store);
  bench_open(b); /* without it: the wall's */
  bench_ask(b, an_event("leg", "f", "x"));
  db = bench_connect(b);
  assert_in_range(bench_number(db, "SELECT seen_at_ms FROM event_ids WHERE id = 'f'"), 1700000000000,
                  8900000000000);
  sqlite3_close(db);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(ids_go_when_they_are_72_hours_old),
      TEST(a_step_of_the_wall_clock_forgets_nothing),
      TEST(the_clock_outlives_the_process),
  };
  return cmocka_run_group_tests_name("id_clock", tests, NULL, NULL);
}
