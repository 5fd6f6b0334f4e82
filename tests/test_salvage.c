/* store/salvage.c, salvage_rows.c, carve.c, mend.c: a malformed file is set aside, what can be read goes on. */
#include "tests/damage_helpers.h"

#include <signal.h>
#include <sys/resource.h>

#include "store/database.h"
#include "store/salvage.h"
#include "store/schema.h"

static void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int setup(void **state) {
  signal(SIGXFSZ, SIG_IGN);
  limit_files(RLIM_INFINITY);
  return bench_setup(state);
}

static void fill(struct bench *b) {
  bench_open(b);
  for (int leg = 0; leg < LEGS; leg++) put_leg(b, leg);
  assert_int_equal(store_put_value(b->store, "agent.id", "the-agent"), 0);
}

static struct store_stats stats_of(struct bench *b) {
  struct store_stats stats;
  store_stats(b->store, &stats);
  return stats;
}

static int facts_in_all(struct bench *b) {
  int facts = 0;
  for (int leg = 0; leg < LEGS; leg++) {
    char name[32];
    leg_name(leg, name);
    facts += facts_of(b, name);
  }
  return facts;
}

static void overwrite_page(struct bench *b, int number) {
  char junk[4096];
  memset(junk, 0x5a, sizeof junk);
  write_bytes(b->directory, "sidetone.db", (off_t)(number - 1) * 4096, junk, sizeof junk);
}

static int number_in(struct bench *b, const char *sql) {
  sqlite3 *db = bench_connect(b);
  int number = (int)bench_number(db, sql);
  sqlite3_close(db);
  return number;
}

static int root_page(struct bench *b, const char *table) {
  char sql[96];
  snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_master WHERE name = '%s'", table);
  return number_in(b, sql);
}

static void expect_all(struct bench *b) {
  char value[32] = "";
  int documents = 0;
  assert_int_equal(facts_in_all(b), LEGS * FACTS_PER_LEG);
  assert_int_equal(calllogs_of(b, &documents), LEGS);
  assert_int_equal(documents, LEGS);
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), 0);
  assert_string_equal(value, "the-agent");
}

/* ---- at the start ---- */

/* The head, and with it the list of tables: SQLite has nothing left to go by. */
static void the_first_page_is_gone(void **state) {
  struct bench *b = *state;
  fill(b);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'outbox'");
  sqlite3_close(db);
  shut(b);
  overwrite_page(b, 1);
  bench_open(b);
  struct store_stats stats = stats_of(b);
  assert_int_equal(stats.set_aside, 1);
  assert_non_null(strstr(stats.set_aside_last, b->directory));
  assert_non_null(strstr(stats.set_aside_last, "sidetone.db.corrupt-2"));
  assert_non_null(strstr(stats.set_aside_last, " rows copied, 0 to quarantine, "));
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 1);
  assert_int_equal(count_files(b->directory, "sidetone.db.salvag"), 0);
  expect_all(b);
  assert_int_equal(number_in(b, "SELECT count(*) FROM outbox"), LEGS * FACTS_PER_LEG);
  assert_int_equal(number_in(b, "SELECT max(row) FROM outbox"), LEGS * FACTS_PER_LEG);
  assert_int_equal(number_in(b,
                             "SELECT count(*) FROM outbox AS o JOIN events AS e ON e.row = o.fact"
                             " WHERE o.kind = 0 AND o.id = e.id"),
                   LEGS * 3);
  assert_int_equal(bench_ask(b, an_event("leg-00", "event-00-0", "again"))->status, STORE_DUPLICATE);
  struct store_request r = an_event("new", "new", "x");
  r.deliver = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  assert_int_equal(number_in(b, "SELECT max(row) FROM outbox"), 5001); /* none is used twice */
  shut(b);
  bench_open(b); /* once is enough */
  assert_int_equal(stats_of(b).set_aside, 0);
  expect_all(b);
}

/* kill -9 left a log: the file and its log are set aside together, and both are read. */
static void a_log_beside_it(void **state) {
  struct bench *b = *state, *killed = NULL;
  void *place = &killed;
  assert_int_equal(bench_setup(place), 0);
  fill(b);
  copy_image(b->directory, killed->directory);
  assert_true(file_bytes(killed->directory, "sidetone.db-wal") > 4096);
  flip_byte(killed->directory, "sidetone.db-wal", 40, 1);
  bench_open(killed);
  assert_int_equal(stats_of(killed).set_aside, 1);
  assert_int_equal(count_files(killed->directory, "sidetone.db.corrupt-"), 2);
  expect_all(killed);
  assert_int_equal(bench_teardown(place), 0);
}

static void a_table_cannot_be_walked(void **state) {
  struct bench *b = *state;
  static const char *const tables[] = {"events", "parts", "calllogs", "outbox", "legs", "events_by_leg"};
  fill(b);
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    int root = root_page(b, tables[i]);
    shut(b);
    overwrite_page(b, root);
    bench_open(b);
    int documents = 0;
    assert_int_equal(facts_in_all(b), LEGS * FACTS_PER_LEG);
    struct store_request r = an_event("other", tables[i], "x");
    r.deliver = true;
    assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
    assert_int_equal(bench_ask(b, a_calllog("other", "CALL_90", i + 1, true, "x"))->status, STORE_DONE);
    calllogs_of(b, &documents);
    if (documents != LEGS || stats_of(b).set_aside != 1)
      fail_msg("%s: %d documents, %llu set aside", tables[i], documents,
               (unsigned long long)stats_of(b).set_aside);
  }
}

static void half_a_file(void **state) {
  struct bench *b = *state;
  fill(b);
  shut(b);
  off_t bytes = file_bytes(b->directory, "sidetone.db");
  cut_file(b->directory, "sidetone.db", bytes / 2 + 100);
  bench_open(b);
  int facts = facts_in_all(b);
  if (facts < 8 || facts > LEGS * FACTS_PER_LEG) fail_msg("%d facts", facts);
  assert_int_equal(stats_of(b).set_aside, 1);
  /* What is lost and comes again is taken again. */
  for (int leg = 0; leg < LEGS; leg++) {
    for (int i = 0; i < 3; i++) {
      char name[32], id[32];
      leg_name(leg, name);
      fact_name(leg, i, id);
      assert_int_not_equal(bench_ask(b, an_event(name, id, body_of(name, id)))->status, STORE_FAILED);
    }
  }
  facts = facts_in_all(b);
  assert_true(facts >= LEGS * 3);
}

static void something_else_entirely(void **state) {
  struct bench *b = *state;
  char path[160];
  path_in(b->directory, "sidetone.db", path);
  FILE *file = fopen(path, "w");
  for (int i = 0; i < 1000; i++) fputs("not a database ", file);
  fclose(file);
  bench_open(b);
  assert_int_equal(stats_of(b).set_aside, 1);
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 1);
  assert_int_equal(bench_ask(b, an_event("leg", "e", "x"))->status, STORE_DONE);
}

static void what_a_newer_version_made_is_left_alone(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, an_event("leg", "e", "x"));
  shut(b);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "PRAGMA user_version = 3");
  sqlite3_close(db);
  assert_int_equal(bench_open_with(b, 0), -1);
  assert_non_null(strstr(b->why, "newer version (schema 3, this one knows 2)"));
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 0);
  assert_int_equal(number_in(b, "SELECT count(*) FROM events"), 1);
}

/* ---- while it runs ---- */

/* Opened anew, so that SQLite's memory holds little of the file. */
static void damage_while_it_runs(void **state) {
  struct bench *b = *state;
  fill(b);
  int root = root_page(b, "events");
  shut(b);
  bench_open(b);
  overwrite_page(b, root);
  expect_all(b);
  assert_int_equal(stats_of(b).set_aside, 1);
  assert_true(stats_of(b).writable);
  assert_int_equal(bench_ask(b, an_event("leg-03", "late", "x"))->status, STORE_DONE);
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 3); /* with -wal and -shm */
}

/* A row that an index hides: SQLite says nothing, the leg's count does. */
static void rows_that_an_index_hides(void **state) {
  struct bench *b = *state;
  fill(b);
  int root = root_page(b, "events_by_leg");
  shut(b);
  char page[4096], path[160];
  path_in(b->directory, "sidetone.db", path);
  FILE *file = fopen(path, "r");
  fseek(file, (long)(root - 1) * 4096, SEEK_SET);
  assert_int_equal(fread(page, 1, sizeof page, file), sizeof page);
  fclose(file);
  char *at = memmem(page, sizeof page, "leg-11", 6);
  assert_non_null(at);
  flip_byte(b->directory, "sidetone.db", (off_t)(root - 1) * 4096 + (at - page) + 5, 0x40);
  bench_open(b);
  assert_int_equal(stats_of(b).set_aside, 0);
  expect_all(b);
  assert_int_equal(stats_of(b).set_aside, 1);
}

static void a_value_with_a_bad_checksum(void **state) {
  struct bench *b = *state;
  char value[16] = "untouched";
  fill(b);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE meta SET value = 'another' WHERE key = 'agent.id'");
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), -ENOENT);
  assert_string_equal(value, "untouched");
  assert_int_equal(stats_of(b).quarantined, 1);
  assert_non_null(strstr(stats_of(b).quarantined_last, "meta"));
  assert_int_equal(bench_number(db,
                                "SELECT count(*) FROM quarantine WHERE source = 'meta' AND id = 'agent.id'"
                                " AND body = 'another'"),
                   1);
  sqlite3_close(db);
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), -ENOENT);
  assert_int_equal(stats_of(b).quarantined, 1);
  assert_int_equal(store_put_value(b->store, "agent.id", "new"), 0);
}

/* Rows that were moved stay moved, and are no facts in the new file either. */
static void quarantine_goes_along(void **state) {
  struct bench *b = *state;
  fill(b);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE events SET body = 'wrong' WHERE id = 'event-02-1'");
  bench_sql(db, "UPDATE calllogs SET body = 'wrong' WHERE leg = 'leg-05'");
  sqlite3_close(db);
  assert_int_equal(facts_of(b, "leg-02"), 3);
  shut(b);
  overwrite_page(b, 1);
  bench_open(b);
  assert_int_equal(stats_of(b).quarantined, 1); /* the CallLog: nobody had read it yet */
  assert_int_equal(facts_in_all(b), LEGS * FACTS_PER_LEG - 1);
  assert_int_equal(number_in(b, "SELECT count(*) FROM quarantine WHERE body = 'wrong'"), 2);
  assert_int_equal(bench_ask(b, an_event("leg-02", "event-02-1", body_of("leg-02", "event-02-1")))->status,
                   STORE_DONE);
  assert_int_equal(facts_of(b, "leg-02"), 4);
}

static void note_leg(void *arg, const char *leg) {
  snprintf(arg, 256, "%s%s ", strcmp(leg, "") == 0 ? "" : (char *)arg, leg);
}

/* A CallLog that is lost is made again: its leg is one of those that are looked at. */
static void a_lost_calllog_is_owed(void **state) {
  struct bench *b = *state;
  char legs[256] = "";
  fill(b);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE calllogs SET body = 'wrong' WHERE leg = 'leg-05'");
  sqlite3_close(db);
  shut(b);
  overwrite_page(b, 1);
  bench_open(b);
  store_each_open_leg(b->store, note_leg, legs);
  assert_string_equal(legs, "leg-05 ");
}

/* ---- cut short ---- */

static void path_of(struct bench *b, char out[160]) {
  path_in(b->directory, "sidetone.db", out);
}

static void a_copy_that_was_not_finished_is_made_again(void **state) {
  struct bench *b = *state;
  char path[200];
  fill(b);
  shut(b);
  overwrite_page(b, 1);
  snprintf(path, sizeof path, "%s/sidetone.db.salvaging", b->directory);
  FILE *file = fopen(path, "w");
  fputs("half a copy", file);
  fclose(file);
  bench_open(b);
  expect_all(b);
}

/* Killed between any two steps of the swap. */
static void a_swap_that_was_cut_short_is_finished(void **state) {
  struct bench *b = *state;
  struct salvage_report report;
  char path[160], from[200], to[200], why[256];
  for (int steps = 0; steps < 3; steps++) {
    empty_folder(b->directory);
    fill(b);
    shut(b);
    write_bytes(b->directory, "sidetone.db", 0, "damage", 6);
    path_of(b, path);
    assert_int_equal(salvage_copy(path, &(struct pulse){0}, &report, why, sizeof why), 0);
    assert_true(salvage_is_complete(path));
    snprintf(from, sizeof from, "%s-wal", path); /* an old log: it must not meet the new file */
    FILE *file = fopen(from, "w");
    fputs("an old log", file);
    fclose(file);
    snprintf(to, sizeof to, "%s.corrupt-then-wal", path);
    if (steps >= 1) assert_int_equal(rename(from, to), 0);
    snprintf(to, sizeof to, "%s.corrupt-then", path);
    if (steps >= 2) assert_int_equal(rename(path, to), 0);
    bench_open(b);
    expect_all(b);
    assert_false(salvage_is_complete(path));
    shut(b);
  }
}

/* No room for the copy: nothing is touched, and the next start does it. */
static void no_room_for_the_copy(void **state) {
  struct bench *b = *state;
  fill(b);
  shut(b);
  overwrite_page(b, 1);
  limit_files(8192);
  assert_int_equal(bench_open_with(b, 0), -1);
  assert_true(strlen(b->why) > 0);
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 0);
  assert_int_equal(count_files(b->directory, "sidetone.db.salvag"), 0);
  limit_files(RLIM_INFINITY);
  bench_open(b);
  expect_all(b);
}

/* While it runs: the rest goes on meanwhile. */
static void no_room_while_it_runs(void **state) {
  struct bench *b = *state;
  fill(b);
  int root = root_page(b, "parts");
  shut(b);
  bench_open(b);
  overwrite_page(b, root);
  limit_files(8192);
  assert_int_equal(bench_ask(b, the_leg("leg-01"))->status, STORE_FAILED);
  assert_true(strlen(b->answers[0].error) > 0);
  limit_files(RLIM_INFINITY);
  assert_int_equal(bench_ask(b, an_event("leg-01", "another", "x"))->status, STORE_DONE);
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt-"), 0);
  assert_int_equal(bench_ask(b, an_event("leg-01", "another", "x"))->status, STORE_DUPLICATE);
  shut(b);
  bench_open(b);
  assert_int_equal(facts_of(b, "leg-02"), FACTS_PER_LEG);
  assert_int_equal(stats_of(b).set_aside, 1);
}

/* The copy is not there: what was set aside before that was seen is back, under its names. */
static void a_swap_that_fails_is_undone(void **state) {
  struct bench *b = *state;
  char path[160], log[160], aside[512], why[512] = "";
  path_in(b->directory, "sidetone.db", path);
  path_in(b->directory, "sidetone.db-wal", log);
  for (int i = 0; i < 2; i++) {
    FILE *file = fopen(i == 0 ? path : log, "w");
    assert_non_null(file);
    fclose(file);
  }
  assert_int_equal(salvage_swap(path, aside, sizeof aside, why, sizeof why), -1);
  assert_non_null(strstr(why, ".salvaged"));
  assert_int_equal(access(path, F_OK), 0);
  assert_int_equal(access(log, F_OK), 0);
  assert_int_equal(count_files(b->directory, "sidetone.db.corrupt"), 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(the_first_page_is_gone),
      TEST(a_swap_that_fails_is_undone),
      TEST(a_log_beside_it),
      TEST(a_table_cannot_be_walked),
      TEST(half_a_file),
      TEST(something_else_entirely),
      TEST(what_a_newer_version_made_is_left_alone),
      TEST(damage_while_it_runs),
      TEST(rows_that_an_index_hides),
      TEST(a_value_with_a_bad_checksum),
      TEST(quarantine_goes_along),
      TEST(a_lost_calllog_is_owed),
      TEST(a_copy_that_was_not_finished_is_made_again),
      TEST(a_swap_that_was_cut_short_is_finished),
      TEST(no_room_for_the_copy),
      TEST(no_room_while_it_runs),
  };
  return cmocka_run_group_tests_name("salvage", tests, NULL, NULL);
}
