/* store/database.c, batch.c, facts.c, reader.c: killed, full, locked, damaged, not ours. */
#include "tests/store_helpers.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* ---- kill -9 ---- */

enum { KILL_AFTER = 500, IN_FLIGHT = 64 };

static int acknowledgements;

static void acknowledge(void *arg, const struct store_answer *answer) {
  struct bench *b = arg;
  b->count++;
  if (answer->status == STORE_DONE && write(acknowledgements, &answer->ticket, sizeof answer->ticket) < 0)
    _exit(3);
}

/* Puts event after event, says which are on disk, until it is killed. */
static void put_events_for_ever(struct bench *b) {
  if (bench_open_with(b, 0) != 0) _exit(2);
  for (uint64_t sent = 0;;) {
    for (; sent < b->count + IN_FLIGHT; sent++) {
      char id[24];
      snprintf(id, sizeof id, "e%llu", (unsigned long long)sent);
      struct store_request r = an_event("leg", id, "body");
      r.ticket = sent + 1;
      if (store_submit(b->store, &r) != 0) _exit(2);
    }
    while (sem_wait(&b->woken) != 0) continue;
    store_collect(b->store, acknowledge, b);
  }
}

static void what_was_acknowledged_survives_kill_9(void **state) {
  struct bench *b = *state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    close(ends[0]);
    acknowledgements = ends[1];
    put_events_for_ever(b);
  }
  close(ends[1]);
  uint64_t tickets[KILL_AFTER + 4096];
  size_t bytes = 0;
  bool killed = false;
  ssize_t got;
  while ((got = read(ends[0], (char *)tickets + bytes, sizeof tickets - bytes)) > 0) {
    bytes += (size_t)got;
    if (killed || bytes < KILL_AFTER * sizeof *tickets) continue;
    kill(child, SIGKILL);
    killed = true;
  }
  close(ends[0]);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  bench_open(b);
  for (size_t i = 0; i < bytes / sizeof *tickets; i++) {
    char id[24];
    snprintf(id, sizeof id, "e%llu", (unsigned long long)(tickets[i] - 1));
    assert_int_equal(bench_ask(b, an_event("leg", id, "again"))->status, STORE_DUPLICATE);
  }
  assert_true(bench_ask(b, the_leg("leg"))->fact_count >= bytes / sizeof *tickets);
}

/* ---- a disk that takes nothing ---- */

/* Files of this process may not grow beyond `bytes`: writing fails as on a full disk. */
static void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A test that failed in the middle must not starve the next one. */
static int setup(void **state) {
  limit_files(RLIM_INFINITY);
  return bench_setup(state);
}

static void a_disk_that_is_full_for_a_while(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  signal(SIGXFSZ, SIG_IGN);
  bench_open(b);
  assert_int_equal(bench_ask(b, an_event("leg", "before", "x"))->status, STORE_DONE);
  limit_files(4096);
  bench_hold(b);
  const char *const ids[] = {"new", "before", "new too"};
  for (uint64_t i = 0; i < 3; i++) {
    struct store_request r = an_event("leg", ids[i], "x");
    r.ticket = i + 1;
    assert_int_equal(store_submit(b->store, &r), 0);
  }
  bench_release(b);
  b->count = 0;
  bench_await(b, 3);
  assert_int_equal(b->answers[0].status, STORE_FAILED);
  assert_true(strlen(b->answers[0].error) > 0);
  assert_int_equal(b->answers[1].status, STORE_DUPLICATE); /* on a full disk too */
  assert_int_equal(b->answers[2].status, STORE_FAILED);
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 1);
  assert_int_not_equal(store_put_value(b->store, "k", "v"), 0);
  store_stats(b->store, &stats);
  assert_false(stats.writable);
  assert_true(strlen(stats.reason) > 0);
  assert_int_equal(stats.failures, 2);
  limit_files(RLIM_INFINITY);
  assert_int_equal(bench_ask(b, an_event("leg", "new", "x"))->status, STORE_DONE);
  store_stats(b->store, &stats);
  assert_true(stats.writable);
  assert_string_equal(stats.reason, "");
}

static void it_finds_out_by_itself_that_writing_works_again(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  signal(SIGXFSZ, SIG_IGN);
  bench_open(b);
  limit_files(4096);
  assert_int_equal(bench_ask(b, an_event("leg", "e", "x"))->status, STORE_FAILED);
  limit_files(RLIM_INFINITY);
  time_t start = time(NULL);
  do {
    sched_yield();
    store_stats(b->store, &stats);
    if (time(NULL) - start > 20) fail_msg("still not writable: %s", stats.reason);
  } while (!stats.writable);
  assert_string_equal(stats.reason, "");
}

/* What would be written is gone with the last descriptor: nothing may be acknowledged. */
static void a_file_that_was_deleted_under_us(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  char path[96];
  bench_open(b);
  assert_int_equal(bench_ask(b, an_event("leg", "before", "x"))->status, STORE_DONE);
  snprintf(path, sizeof path, "%s/sidetone.db", b->directory);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(bench_ask(b, an_event("leg", "after", "x"))->status, STORE_FAILED);
  assert_string_equal(b->answers[0].error, "the database file was deleted or moved away");
  store_stats(b->store, &stats);
  assert_false(stats.writable);
  assert_string_equal(stats.reason, b->answers[0].error);
}

static void a_request_that_fails_alone_leaves_the_others(void **state) {
  struct bench *b = *state;
  bench_open(b);
  sqlite3 *other = bench_connect(b);
  bench_sql(other,
            "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.id = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
  bench_hold(b);
  const char *const ids[] = {"good", "bad", "fine"};
  for (uint64_t i = 0; i < 3; i++) {
    struct store_request r = an_event("leg", ids[i], "x");
    r.ticket = i + 1;
    assert_int_equal(store_submit(b->store, &r), 0);
  }
  bench_release(b);
  bench_await(b, 3);
  assert_int_equal(b->answers[0].status, STORE_DONE);
  assert_int_equal(b->answers[1].status, STORE_FAILED);
  assert_string_equal(b->answers[1].error, "not this one");
  assert_int_equal(b->answers[2].status, STORE_DONE);
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_true(stats.writable);
  bench_sql(other, "DROP TRIGGER refuse"); /* its id was not kept: it can come again */
  sqlite3_close(other);
  assert_int_equal(bench_ask(b, an_event("leg", "bad", "x"))->status, STORE_DONE);
}

static void a_body_that_no_row_can_hold(void **state) {
  struct bench *b = *state;
  bench_open(b);
  struct store_request r = an_event("leg", "e", "");
  r.body_bytes = (32u << 20) + 1;
  char *body = calloc(1, r.body_bytes);
  assert_non_null(body);
  r.body = body;
  const struct kept_answer *a = bench_ask(b, r);
  free(body);
  assert_int_equal(a->status, STORE_FAILED);
  assert_non_null(strstr(a->error, "too big"));
  assert_int_equal(bench_ask(b, an_event("leg", "e", "x"))->status, STORE_DONE);
}

/* ---- damage ---- */

static void rows_with_a_bad_checksum_are_quarantined(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  bench_open(b);
  bench_ask(b, an_event("leg", "e1", "first"));
  bench_ask(b, an_event("leg", "e2", "second"));
  bench_ask(b, an_event("leg", "e3", "third"));
  bench_ask(b, a_part("leg", "p1", 1, true, "part one"));
  bench_ask(b, a_part("leg", "p2", 1, true, "part two"));
  sqlite3 *other = bench_connect(b);
  bench_sql(other, "UPDATE events SET body = 'secomd' WHERE id = 'e2'");
  bench_sql(other, "UPDATE events SET leg = 'leg', received_at_ms = received_at_ms + 1 WHERE id = 'e3'");
  bench_sql(other, "UPDATE parts SET open = 0 WHERE part = 'p1'");
  assert_string_equal(bench_ask(b, the_leg("leg"))->facts, "E:e1=first P:p2=part two ");
  store_stats(b->store, &stats);
  assert_int_equal(stats.quarantined, 3);
  assert_non_null(strstr(stats.quarantined_last, "parts row 1 of leg leg"));
  assert_int_equal(bench_number(other, "SELECT count(*) FROM quarantine"), 3);
  assert_int_equal(bench_number(other,
                                "SELECT count(*) FROM quarantine WHERE source = 'events' AND id = 'e2'"
                                " AND body = 'secomd' AND leg = 'leg' AND found_at_ms > 1700000000000"),
                   1);
  assert_int_equal(bench_number(other, "SELECT count(*) FROM events"), 1);
  /* The rest works, and what is sent again is taken again. */
  assert_int_equal(bench_ask(b, an_event("leg", "e2", "second"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_part("leg", "p1", 1, true, "part one"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 4);
  store_stats(b->store, &stats);
  assert_int_equal(stats.quarantined, 3);
  sqlite3_close(other);
}

static void count_row(void *arg, const struct store_call_row *row) {
  (void)row;
  ++*(int *)arg;
}

static void damaged_calllogs_and_values_are_not_shown(void **state) {
  struct bench *b = *state;
  struct store_reader *reader;
  char value[16] = "untouched";
  int rows = 0;
  bench_open(b);
  bench_ask(b, a_calllog("leg1", "CALL_1", 1, false, "one"));
  bench_ask(b, a_calllog("leg2", "CALL_2", 1, false, "two"));
  store_put_value(b->store, "k", "v");
  sqlite3 *other = bench_connect(b);
  bench_sql(other, "UPDATE calllogs SET body = 'onE' WHERE leg = 'leg1'");
  bench_sql(other, "UPDATE calllogs SET mos = 4.5 WHERE leg = 'leg2'");
  bench_sql(other, "UPDATE meta SET value = 'w'");
  sqlite3_close(other);
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
  assert_int_equal(store_reader_list(reader, count_row, &rows), 0);
  assert_int_equal(rows, 1);
  assert_null(store_reader_get(reader, "CALL_1"));
  char *two = store_reader_get(reader, "CALL_2");
  assert_string_equal(two, "two");
  free(two);
  store_reader_close(reader);
  assert_int_equal(store_get_value(b->store, "k", value, sizeof value), -ENOENT);
  assert_string_equal(value, "untouched");
}

/* ---- opening ---- */

static void expect_refused(struct bench *b, const char *about) {
  if (bench_open_with(b, 0) == 0) fail_msg("opened");
  if (strstr(b->why, about) == NULL) fail_msg("\"%s\" does not say \"%s\"", b->why, about);
}

static void a_second_serve_is_refused(void **state) {
  struct bench *b = *state, *second = NULL;
  char about[64];
  void *place = &second;
  assert_int_equal(bench_setup(place), 0);
  char own[64];
  strcpy(own, second->directory);
  strcpy(second->directory, b->directory);
  bench_open(b);
  snprintf(about, sizeof about, "another serve (process %ld) holds this store", (long)getpid());
  expect_refused(second, about);
  assert_int_equal(bench_ask(b, an_event("leg", "e", "x"))->status, STORE_DONE); /* the first is well */
  store_close(b->store);
  b->store = NULL;
  bench_open(second);
  store_close(second->store);
  second->store = NULL;
  strcpy(second->directory, own);
  assert_int_equal(bench_teardown(place), 0);
}

static void folders_that_cannot_be(void **state) {
  struct bench *b = *state;
  char own[64], path[128];
  strcpy(own, b->directory);
  snprintf(b->directory, sizeof b->directory, "%.40s/no/such", own);
  expect_refused(b, "cannot be made: No such file or directory");
  snprintf(path, sizeof path, "%s/file", own);
  close(open(path, O_CREAT | O_WRONLY, 0600));
  snprintf(b->directory, sizeof b->directory, "%.40s/file", own);
  expect_refused(b, "Not a directory");
  strcpy(b->directory, own);
}

/* Root may write everywhere: it is tried as somebody else. */
static void run_as_nobody(void (*check)(struct bench *b), struct bench *b) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(4);
    check(b);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void check_not_writable(struct bench *b) {
  if (bench_open_with(b, 0) == 0) _exit(5);
  if (strstr(b->why, "Permission denied") == NULL || strstr(b->why, b->directory) == NULL) _exit(6);
}

static void a_read_only_folder(void **state) {
  struct bench *b = *state;
  chmod(b->directory, 0555);
  run_as_nobody(check_not_writable, b);
}

static void check_readable(struct bench *b) {
  struct store_reader *reader;
  int rows = 0;
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) _exit(7);
  if (store_reader_list(reader, count_row, &rows) != 0 || rows != 1) _exit(8);
  store_reader_close(reader);
}

static void a_reader_that_may_not_write(void **state) {
  struct bench *b = *state;
  char path[128];
  bench_open(b);
  bench_ask(b, a_calllog("leg", "CALL_1", 1, false, "one"));
  store_close(b->store);
  b->store = NULL;
  snprintf(path, sizeof path, "%s/sidetone.db", b->directory);
  chmod(path, 0444);
  chmod(b->directory, 0555);
  run_as_nobody(check_readable, b);
}

static void files_are_for_their_owner(void **state) {
  struct bench *b = *state;
  static const char *const names[] = {"sidetone.db", "sidetone.db-wal", "sidetone.db-shm", "lock"};
  struct stat st;
  rmdir(b->directory);
  mode_t mask = umask(0);
  bench_open(b);
  bench_ask(b, an_event("leg", "e", "x"));
  umask(mask);
  assert_int_equal(stat(b->directory, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", b->directory, names[i]);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
  }
}

/* ---- reading meanwhile ---- */

static void a_reader_while_there_is_writing(void **state) {
  struct bench *b = *state;
  struct store_reader *reader;
  assert_int_equal(store_reader_open(&reader, b->directory, b->why, sizeof b->why), -1);
  assert_non_null(strstr(b->why, "there is no store yet"));
  bench_open(b);
  bench_ask(b, a_calllog("leg", "CALL_0", 1, true, "document"));
  for (uint64_t i = 1; i <= 3000; i++) {
    struct store_request r = a_calllog("leg", "CALL_0", i, true, "document");
    assert_int_equal(store_submit(b->store, &r), 0);
    if (i % 100 != 0) continue;
    int rows = 0;
    if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
    assert_int_equal(store_reader_list(reader, count_row, &rows), 0);
    assert_int_equal(rows, 1);
    char *document = store_reader_get(reader, "CALL_0");
    assert_string_equal(document, "document");
    free(document);
    store_reader_close(reader);
  }
  assert_int_equal(bench_ask(b, an_event("leg", "e", "x"))->status, STORE_DONE);
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_int_equal(stats.failures, 0);
}

/* Another process, after a crash: the log is there, its index is not. */
static void a_reader_after_a_crash(void **state) {
  struct bench *b = *state;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (bench_open_with(b, 0) != 0) _exit(2);
    struct store_request r = a_calllog("leg", "CALL_1", 1, true, "document");
    r.ticket = 1;
    if (store_submit(b->store, &r) != 0) _exit(2);
    bench_await(b, 1);
    raise(SIGKILL);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  char shm[128];
  snprintf(shm, sizeof shm, "%s/sidetone.db-shm", b->directory);
  assert_int_equal(unlink(shm), 0);
  struct store_reader *reader;
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
  char *document = store_reader_get(reader, "CALL_1");
  assert_string_equal(document, "document");
  free(document);
  store_reader_close(reader);
  bench_open(b);
  char legs[64] = "";
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 0);
  assert_int_equal(store_get_value(b->store, "none", legs, sizeof legs), -ENOENT);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_was_acknowledged_survives_kill_9),
      TEST(a_disk_that_is_full_for_a_while),
      TEST(it_finds_out_by_itself_that_writing_works_again),
      TEST(a_file_that_was_deleted_under_us),
      TEST(a_request_that_fails_alone_leaves_the_others),
      TEST(a_body_that_no_row_can_hold),
      TEST(rows_with_a_bad_checksum_are_quarantined),
      TEST(damaged_calllogs_and_values_are_not_shown),
      TEST(a_second_serve_is_refused),
      TEST(folders_that_cannot_be),
      TEST(a_read_only_folder),
      TEST(a_reader_that_may_not_write),
      TEST(files_are_for_their_owner),
      TEST(a_reader_while_there_is_writing),
      TEST(a_reader_after_a_crash),
  };
  return cmocka_run_group_tests_name("store_failures", tests, NULL, NULL);
}
