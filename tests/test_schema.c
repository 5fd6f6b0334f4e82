/* store/schema.c, legs.c: files of older versions, how legs stand, and what is asked of a million rows. */
#include "tests/store_helpers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "store/database.h"
#include "store/outbox_job.h"
#include "store/schema.h"

/* What `serve` laid out before there was an outbox, word for word. */
static const char version_1[] =
    "CREATE TABLE events (row INTEGER PRIMARY KEY, id TEXT NOT NULL, leg TEXT, received_at_ms INTEGER NOT "
    "NULL,"
    " body TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE INDEX events_by_leg ON events (leg, row);"
    "CREATE TABLE event_ids (id TEXT PRIMARY KEY, seen_at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX event_ids_by_age ON event_ids (seen_at_ms);"
    "CREATE TABLE parts (row INTEGER PRIMARY KEY, leg TEXT NOT NULL, part TEXT NOT NULL, n INTEGER NOT NULL,"
    " open INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE (leg, part));"
    "CREATE INDEX parts_open ON parts (leg) WHERE open = 1;"
    "CREATE TABLE calllogs (row INTEGER PRIMARY KEY, leg TEXT NOT NULL UNIQUE, call_log_id TEXT NOT NULL,"
    " initiated_at_ms INTEGER NOT NULL, status TEXT, direction TEXT, from_number TEXT, to_number TEXT,"
    " total_s REAL, mos REAL, list_crc INTEGER NOT NULL, revision INTEGER NOT NULL, open INTEGER NOT NULL,"
    " body TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE INDEX calllogs_by_id ON calllogs (call_log_id);"
    "CREATE INDEX calllogs_by_time ON calllogs (initiated_at_ms);"
    "CREATE INDEX calllogs_open ON calllogs (leg) WHERE open = 1;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE quarantine (row INTEGER PRIMARY KEY, source TEXT NOT NULL, leg TEXT, id TEXT,"
    " body TEXT, crc INTEGER, found_at_ms INTEGER NOT NULL);"
    "PRAGMA user_version = 1; PRAGMA journal_mode = WAL;";

static sqlite3 *connect_ours(struct bench *b) {
  sqlite3 *db = bench_connect(b);
  assert_int_equal(schema_functions(db), SQLITE_OK);
  return db;
}

static void old_event(sqlite3 *db, const char *id, const char *leg, const char *body) {
  char sql[512];
  uint32_t crc = event_crc(id, strlen(id), leg == NULL ? "" : leg, leg == NULL ? 0 : strlen(leg), 1000, body,
                           strlen(body));
  snprintf(
      sql, sizeof sql,
      "INSERT INTO events (id, leg, received_at_ms, body, crc) VALUES ('%s', nullif('%s', ''), 1000, '%s', "
      "%u); INSERT INTO event_ids VALUES ('%s', 1767225600000)",
      id, leg == NULL ? "" : leg, body, crc, id);
  bench_sql(db, sql);
}

static void old_part(sqlite3 *db, const char *leg, const char *part, int n, int open, const char *body) {
  char sql[512];
  uint32_t crc = part_crc(leg, strlen(leg), part, strlen(part), (uint64_t)n, open != 0, body, strlen(body));
  snprintf(sql, sizeof sql,
           "INSERT INTO parts (leg, part, n, open, body, crc) VALUES ('%s', '%s', %d, %d, '%s', %u)", leg,
           part, n, open, body, crc);
  bench_sql(db, sql);
}

static void old_calllog(sqlite3 *db, const char *leg, const char *id, int revision, int open,
                        const char *body) {
  char sql[512];
  const struct store_call_row row = {.call_log_id = id,
                                     .status = "busy",
                                     .direction = "inbound",
                                     .from = "a",
                                     .to = "b",
                                     .initiated_at_ms = 7,
                                     .total_s = 1,
                                     .mos = 4};
  snprintf(
      sql, sizeof sql,
      "INSERT INTO calllogs (leg, call_log_id, initiated_at_ms, status, direction, from_number, to_number,"
      " total_s, mos, list_crc, revision, open, body, crc)"
      " VALUES ('%s', '%s', 7, 'busy', 'inbound', 'a', 'b', 1, 4, %u, %d, %d, '%s', %u)",
      leg, id, list_crc(&row), revision, open, body,
      calllog_crc(leg, strlen(leg), (uint64_t)revision, open != 0, body, strlen(body)));
  bench_sql(db, sql);
}

static void note_leg(void *arg, const char *leg) {
  strcat(strcat(arg, leg), " ");
}

static void open_legs_are(struct bench *b, const char *expected) {
  char legs[512] = "";
  assert_int_equal(store_each_open_leg(b->store, note_leg, legs), 0);
  assert_string_equal(legs, expected);
}

static void count_call(void *arg, const struct store_call_row *row) {
  (void)row;
  ++*(int *)arg;
}

static void make_old_file(struct bench *b) {
  sqlite3 *db = bench_connect(b);
  bench_sql(db, version_1);
  old_event(db, "e1", "done", "one");
  old_event(db, "e2", "behind", "two");
  old_event(db, "e3", NULL, "three");
  old_event(db, "e4", "done", "four");
  old_part(db, "done", "p", 5, 0, "part");
  old_part(db, "up", "p", 2, 1, "part up");
  old_calllog(db, "done", "C_done", 7, 0, "the document");
  old_calllog(db, "up", "C_up", 2, 1, "half a document");
  char sql[128];
  snprintf(sql, sizeof sql, "INSERT INTO meta VALUES ('agent.id', 'edge-7', %u)",
           value_crc("agent.id", 8, "edge-7", 6));
  bench_sql(db, sql);
  sqlite3_close(db);
}

static void a_file_of_version_1_keeps_all(void **state) {
  struct bench *b = *state;
  make_old_file(b);
  bench_open(b);
  assert_string_equal(bench_ask(b, the_leg("done"))->facts, "E:e1=one E:e4=four P:p=part ");
  assert_string_equal(bench_ask(b, the_leg("up"))->facts, "P:p=part up ");
  assert_int_equal(bench_ask(b, an_event("done", "e1", "x"))->status, STORE_DUPLICATE);
  open_legs_are(b, "behind up ");
  char value[16];
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), 0);
  assert_string_equal(value, "edge-7");
  struct store_reader *reader;
  int rows = 0;
  assert_int_equal(store_reader_open(&reader, b->directory, b->why, sizeof b->why), 0);
  assert_int_equal(store_reader_list(reader, count_call, &rows), 0);
  assert_int_equal(rows, 2);
  char *document = store_reader_get(reader, "C_done");
  assert_string_equal(document, "the document");
  free(document);
  store_reader_close(reader);
  sqlite3 *db = connect_ours(b);
  assert_int_equal(bench_number(db, "PRAGMA user_version"), 2);
  /* Nothing of it was ever delivered: events in their order, then parts. */
  assert_int_equal(bench_number(db,
                                "SELECT count(*) FROM outbox WHERE mongo = 0 AND redis_queue = 0"
                                " AND redis_alerts = 4 AND crc = " OUTBOX_CRC),
                   5);
  assert_int_equal(bench_number(db,
                                "SELECT group_concat(leg || id, ' ') = 'donee1 behinde2 donee4 donep upp'"
                                " FROM (SELECT leg, id FROM outbox ORDER BY row)"),
                   1);
  assert_int_equal(
      bench_number(db, "SELECT revision * 10 + ended FROM legs WHERE leg = 'done' AND crc = " LEG_CRC), 71);
  sqlite3_close(db);
}

/* The file is whole, old or new, wherever the process dies: here the disk is full in the middle. */
static void a_migration_that_fails_changes_nothing(void **state) {
  struct bench *b = *state;
  struct rlimit limit;
  make_old_file(b);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = 40000; /* enough for the index of the log, not for the log */
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_int_equal(bench_open_with(b, 0), -1);
  limit.rlim_cur = limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_non_null(strstr(b->why, "cannot be brought up to date"));
  sqlite3 *db = bench_connect(b);
  assert_int_equal(bench_number(db, "PRAGMA user_version"), 1);
  assert_int_equal(bench_number(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'outbox%'"), 0);
  sqlite3_close(db);
  bench_open(b);
  open_legs_are(b, "behind up ");
}

/* ---- legs ---- */

static int64_t leg_figure(struct bench *b, const char *leg, const char *column) {
  char sql[256];
  sqlite3 *db = connect_ours(b);
  snprintf(sql, sizeof sql, "SELECT %s FROM legs WHERE leg = '%s' AND crc = " LEG_CRC, column, leg);
  int64_t figure = bench_number(db, sql);
  sqlite3_close(db);
  return figure;
}

static void legs_follow_their_facts(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, an_event("leg", "e1", "x"));
  bench_ask(b, an_event("leg", "e1", "x"));
  bench_ask(b, an_event(NULL, "e0", "x"));
  assert_int_equal(leg_figure(b, "leg", "revision"), 1);
  assert_int_equal(leg_figure(b, "leg", "settled"), -1);
  bench_ask(b, a_part("leg", "p1", 3, true, "x"));
  bench_ask(b, a_part("leg", "p2", 1, false, "x"));
  bench_ask(b, a_part("leg", "p1", 5, true, "x"));
  bench_ask(b, a_part("leg", "p1", 4, false, "x")); /* older: nothing */
  assert_int_equal(leg_figure(b, "leg", "revision"), 7);
  assert_int_equal(leg_figure(b, "leg", "open"), 1);
  struct store_request r = a_calllog("leg", "C", 7, true, "{}");
  bench_ask(b, r);
  assert_int_equal(leg_figure(b, "leg", "open"), 3);
  assert_int_equal(leg_figure(b, "leg", "ended"), 0);
  bench_ask(b, a_part("leg", "p1", 6, false, "x"));
  assert_int_equal(leg_figure(b, "leg", "open"), 2);
  r = a_calllog("leg", "C", 8, false, "{}");
  r.ended = true;
  bench_ask(b, r);
  assert_int_equal(leg_figure(b, "leg", "open"), 0);
  assert_int_equal(leg_figure(b, "leg", "settled"), 8);
  int64_t ended = leg_figure(b, "leg", "ended_at_ms");
  assert_true(ended > 1700000000000);
  r.n = 9; /* settled again: it does not end again */
  bench_ask(b, r);
  assert_int_equal(leg_figure(b, "leg", "ended_at_ms"), ended);
  r.ended = false; /* a lost leg that lives */
  bench_ask(b, r);
  assert_int_equal(leg_figure(b, "leg", "ended"), 0);
  assert_int_equal(leg_figure(b, "leg", "ended_at_ms"), 0);
}

/* A CallLog of revision 3 that lacks the new event, though 3 facts are stored: it must be seen. */
static void a_fact_that_went_to_quarantine_lowers_the_revision(void **state) {
  struct bench *b = *state;
  bench_open(b);
  for (int i = 1; i <= 3; i++) bench_ask(b, an_event("leg", (char[]){'e', (char)('0' + i), 0}, "x"));
  bench_ask(b, a_calllog("leg", "C", 3, false, "{}"));
  open_legs_are(b, "");
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE events SET body = 'y' WHERE id = 'e2'");
  sqlite3_close(db);
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 2);
  assert_int_equal(leg_figure(b, "leg", "revision"), 2);
  open_legs_are(b, "");
  bench_ask(b, an_event("leg", "e4", "x"));
  assert_int_equal(leg_figure(b, "leg", "revision"), 3);
  open_legs_are(b, "leg ");
}

static void a_leg_with_a_bad_checksum_is_counted_again(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  bench_open(b);
  bench_ask(b, an_event("leg", "e1", "x"));
  bench_ask(b, a_part("leg", "p", 4, true, "x"));
  bench_ask(b, a_calllog("leg", "C", 3, true, "{}"));
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE legs SET revision = 1, settled = 900, open = 0");
  bench_ask(b, an_event("leg", "e2", "x"));
  assert_int_equal(leg_figure(b, "leg", "revision"), 6);
  assert_int_equal(leg_figure(b, "leg", "settled"), 3);
  assert_int_equal(leg_figure(b, "leg", "open"), 3);
  assert_int_equal(bench_number(db, "SELECT count(*) FROM quarantine WHERE source = 'legs' AND leg = 'leg'"),
                   1);
  sqlite3_close(db);
  store_stats(b->store, &stats);
  assert_int_equal(stats.quarantined, 1);
  assert_non_null(strstr(stats.quarantined_last, "of leg leg"));
}

/* ---- the outbox's rows ---- */

static void rows_are_written_with_their_facts(void **state) {
  struct bench *b = *state;
  bench_open(b);
  struct store_request r = an_event("leg", "e1", "x");
  r.deliver = true;
  bench_ask(b, r);
  bench_ask(b, r); /* a duplicate */
  r = an_event(NULL, "e2", "x");
  r.deliver = true;
  bench_ask(b, r);                          /* of no leg */
  bench_ask(b, an_event("leg", "e3", "x")); /* nobody wants it */
  r = a_part("leg", "p", 4, true, "x");
  r.deliver = true;
  bench_ask(b, r);
  bench_ask(b, r);
  r.n = 9;
  bench_ask(b, r);
  bench_ask(b, (struct store_request){
                   .kind = STORE_PUT_ALERT, .leg = "leg", .id = "k", .body = "{}", .body_bytes = 2});
  sqlite3 *db = connect_ours(b);
  sqlite3_stmt *s;
  char rows[512] = "";
  assert_int_equal(
      sqlite3_prepare_v2(db,
                         "SELECT format('%d %s %d %s %d %d %s %d%d%d|', row, leg, kind, id, n, fact,"
                         " body, mongo, redis_queue, redis_alerts), crc = " OUTBOX_CRC
                         " AND at_ms > 1700000000000 FROM outbox ORDER BY row",
                         -1, &s, NULL),
      SQLITE_OK);
  while (sqlite3_step(s) == SQLITE_ROW) {
    strcat(rows, (const char *)sqlite3_column_text(s, 0));
    assert_int_equal(sqlite3_column_int(s, 1), 1);
  }
  sqlite3_finalize(s);
  sqlite3_close(db);
  assert_string_equal(rows,
                      "1 leg 0 e1 0 1  004|2 leg 1 p 4 1  004|3 leg 1 p 9 1  004|4 leg 2 k 0 0 {} 440|");
}

/* ---- a million rows ---- */

/* 20,000 legs of 50 events that everybody has but for the last three; one leg of them is behind its CallLog. */
static void make_a_million(sqlite3 *db) {
  bench_sql(db, "BEGIN");
  bench_sql(db,
            "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 1000000)"
            " INSERT INTO events (row, id, leg, received_at_ms, body, crc)"
            " SELECT n, 'event-' || n, 'leg-' || (n % 20000), 1, '{\"payload\":\"of some length, as they "
            "have\"}', 0"
            " FROM i");
  bench_sql(db, "INSERT INTO outbox (" OUTBOX_COLUMNS ", crc) SELECT *, " OUTBOX_CRC
                " FROM (SELECT row, leg, 0 AS kind, id, 0 AS n, row AS fact, 1 AS at_ms, NULL AS body,"
                " row <= 999997 AS mongo, row <= 999997 AS redis_queue, 4 AS redis_alerts FROM events)");
  bench_sql(db, "INSERT INTO legs (" LEG_COLUMNS ", crc) SELECT *, " LEG_CRC
                " FROM (SELECT leg, count(*) AS revision, count(*) - (leg = 'leg-7') AS settled, 0 AS open,"
                " 1 AS ended, 1 AS ended_at_ms, 0 AS gone FROM events GROUP BY leg)");
  bench_sql(db, "COMMIT");
}

/* The plan names nothing but what is allowed: a partial index, a key, or the few rows that were found. */
static void expect_plan(sqlite3 *db, const char *sql, const char *must, bool scan_allowed) {
  sqlite3_stmt *s;
  char explain[4096], plan[2048] = "";
  snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", sql);
  if (sqlite3_prepare_v2(db, explain, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  while (sqlite3_step(s) == SQLITE_ROW) {
    const char *line = (const char *)sqlite3_column_text(s, 3);
    size_t length = strlen(plan);
    snprintf(plan + length, sizeof plan - length, "%s; ", line);
    bool scan = strncmp(line, "SCAN ", 5) == 0 && strstr(line, "sqlite_sequence") == NULL;
    if (strstr(line, "TEMP B-TREE") != NULL || (scan && (!scan_allowed || strstr(line, " INDEX ") == NULL)))
      fail_msg("%s\n%s", sql, plan);
  }
  sqlite3_finalize(s);
  if (strstr(plan, must) == NULL) fail_msg("%s: no %s in its plan: %s", sql, must, plan);
}

/* Scans are of partial indexes, which hold what is pending, dead, or open, and nothing else. */
static void what_a_start_and_a_sink_ask_is_found_by_index(void **state) {
  struct bench *b = *state;
  char sql[4096];
  bench_open(b);
  sqlite3 *db = connect_ours(b);
  expect_plan(db, statement_sql[SQL_OPEN_LEGS], "INDEX legs_unsettled", true);
  expect_plan(db, statement_sql[SQL_GET_LEG], "SEARCH legs", false);
  expect_plan(db, statement_sql[SQL_COUNT_DEAD], "COVERING INDEX outbox_dead", true);
  static const char *const covering[] = {"COVERING INDEX outbox_mongo", "COVERING INDEX outbox_redis_queue",
                                         "COVERING INDEX outbox_redis_alerts"};
  for (int i = 0; i < SINK_COUNT; i++) {
    expect_plan(db, statement_sql[SQL_COUNT_PENDING + i], covering[i], true);
    expect_plan(db, statement_sql[SQL_OLDEST + i], covering[i] + strlen("COVERING "), true);
    expect_plan(db, statement_sql[SQL_REWIND + i],
                "SEARCH outbox USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", false);
    expect_plan(db, statement_sql[SQL_SET_STATE + i], "SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)",
                false);
    outbox_query_sql(OUTBOX_QUERY_ROWS, (enum sink_id)i, false, sql, sizeof sql);
    expect_plan(db, sql, "(row>?)", false);
    outbox_query_sql(OUTBOX_QUERY_LEG, (enum sink_id)i, false, sql, sizeof sql);
    expect_plan(db, sql, "SEARCH o USING INDEX outbox_by_leg (leg=?", false);
    outbox_query_sql(OUTBOX_QUERY_PENDING, (enum sink_id)i, false, sql, sizeof sql);
    expect_plan(db, sql, covering[i], true);
  }
  outbox_query_sql(OUTBOX_QUERY_ROWS, SINK_REDIS_QUEUE, true, sql, sizeof sql);
  expect_plan(db, sql, "SEARCH o USING INDEX outbox_redis_queue_after_mongo (row>?)", false);
  outbox_query_sql(OUTBOX_QUERY_PENDING, SINK_REDIS_QUEUE, true, sql, sizeof sql);
  expect_plan(db, sql, "COVERING INDEX outbox_mongo", true);
  expect_plan(db, sql, "COVERING INDEX outbox_redis_queue", true);
  sqlite3_close(db);
}

static double seconds_since(const struct timespec *from) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) * 1e-9;
}

static void a_start_with_a_million_rows_counts_none(void **state) {
  struct bench *b = *state;
  struct timespec begin;
  struct outbox_depth depth[SINK_COUNT];
  b->sinks[SINK_MONGO] = true;
  bench_open(b);
  store_close(b->store);
  b->store = NULL;
  sqlite3 *db = connect_ours(b);
  make_a_million(db);
  sqlite3_close(db);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  bench_open(b);
  open_legs_are(b, "leg-7 ");
  double took_s = seconds_since(&begin);
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 3);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  struct outbox_reader *r;
  assert_int_equal(outbox_reader_open(&r, b->store, SINK_MONGO, false, b->why, sizeof b->why), 0);
  assert_int_equal(outbox_cursor(r), 999997);
  outbox_reader_close(r);
  print_message("opened in %.1f ms, cursor found in %.1f ms\n", took_s * 1e3, seconds_since(&begin) * 1e3);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_file_of_version_1_keeps_all),
      TEST(a_migration_that_fails_changes_nothing),
      TEST(legs_follow_their_facts),
      TEST(a_fact_that_went_to_quarantine_lowers_the_revision),
      TEST(a_leg_with_a_bad_checksum_is_counted_again),
      TEST(rows_are_written_with_their_facts),
      TEST(what_a_start_and_a_sink_ask_is_found_by_index),
      TEST(a_start_with_a_million_rows_counts_none),
  };
  return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
