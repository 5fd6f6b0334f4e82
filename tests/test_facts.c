/* store/facts.c, batch.c: rows with a bad checksum are not believed, whatever they say. */
#include "tests/store_helpers.h"

static int64_t count_moved(struct bench *b, const char *source) {
  char sql[128];
  sqlite3 *db = bench_connect(b);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM quarantine WHERE source = '%s'", source);
  int64_t count = bench_number(db, sql);
  sqlite3_close(db);
  return count;
}

static void note_leg(void *arg, const char *leg) {
  strcat(strcat(arg, leg), " ");
}

/* Its leg counts as not settled until it is folded again. */
static void a_bad_calllog_goes_when_its_leg_is_loaded(void **state) {
  struct bench *b = *state;
  struct store_reader *reader;
  char legs[64] = "";
  bench_open(b);
  bench_ask(b, an_event("leg", "e1", "x"));
  bench_ask(b, a_calllog("leg", "CALL_1", 1, false, "document"));
  bench_ask(b, a_calllog("no-facts", "CALL_2", 0, false, "document"));
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 1);
  assert_int_equal(count_moved(b, "calllogs"), 0);
  sqlite3 *other = bench_connect(b);
  bench_sql(other, "UPDATE calllogs SET body = 'dokument'");
  sqlite3_close(other);
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
  assert_null(store_reader_get(reader, "CALL_1"));
  assert_string_equal(store_reader_damaged(reader), "leg");
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 1);
  assert_int_equal(bench_ask(b, the_leg("no-facts"))->fact_count, 0);
  assert_int_equal(count_moved(b, "calllogs"), 2);
  assert_int_equal(store_each_open_leg(b->store, note_leg, legs), 0);
  assert_string_equal(legs, "leg "); /* the other one cannot be made again */
  assert_int_equal(bench_ask(b, a_calllog("leg", "CALL_1", 1, false, "again"))->status, STORE_DONE);
  char *document = store_reader_get(reader, "CALL_1");
  assert_string_equal(document, "again");
  assert_null(store_reader_damaged(reader));
  free(document);
  store_reader_close(reader);
  strcpy(legs, "");
  assert_int_equal(store_each_open_leg(b->store, note_leg, legs), 0);
  assert_string_equal(legs, "");
}

/* A number that went bad must not make an old row pass for newer than what comes. */
static void bad_numbers_refuse_nothing(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, a_part("leg", "p", 2, true, "old"));
  bench_ask(b, a_calllog("leg", "CALL_1", 2, true, "old"));
  sqlite3 *other = bench_connect(b);
  bench_sql(other, "UPDATE parts SET n = 900; UPDATE calllogs SET revision = 900");
  assert_int_equal(bench_ask(b, a_part("leg", "p", 3, true, "new"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_calllog("leg", "CALL_1", 3, true, "new"))->status, STORE_DONE);
  assert_string_equal(bench_ask(b, the_leg("leg"))->facts, "P:p=new ");
  assert_int_equal(bench_number(other, "SELECT revision = 3 AND settled = 3 FROM legs"), 1);
  /* Nor may it lower what is counted. */
  bench_sql(other, "UPDATE parts SET n = 1");
  assert_int_equal(bench_ask(b, a_part("leg", "p", 4, true, "newer"))->status, STORE_DONE);
  assert_int_equal(bench_number(other, "SELECT revision FROM legs"), 4);
  assert_int_equal(bench_ask(b, a_part("leg", "p", 4, true, "again"))->status, STORE_DUPLICATE);
  sqlite3_close(other);
  assert_int_equal(count_moved(b, "parts"), 2);
  assert_int_equal(count_moved(b, "calllogs"), 1);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_bad_calllog_goes_when_its_leg_is_loaded),
      TEST(bad_numbers_refuse_nothing),
  };
  return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
