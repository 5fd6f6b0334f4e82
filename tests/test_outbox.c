/* store/outbox.c, outbox_job.c, outbox_reader.c: what sinks read and mark. */
#include "tests/store_helpers.h"

#include <signal.h>
#include <sys/resource.h>

#include "store/outbox.h"
#include "store/schema.h"

static int setup(void **state) {
  int rc = bench_setup(state);
  struct bench *b = *state;
  for (int i = 0; i < SINK_COUNT; i++) b->sinks[i] = true;
  return rc;
}

static void put_event(struct bench *b, const char *leg, const char *id, const char *body) {
  struct store_request r = an_event(leg, id, body);
  r.deliver = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
}

/* The leg's facts as a CallLog: without MongoDB that is what the queue waits for. */
static void fold_leg(struct bench *b, const char *leg, uint64_t revision) {
  assert_int_equal(bench_ask(b, a_calllog(leg, leg, revision, true, "{}"))->status, STORE_DONE);
}

static void put_part(struct bench *b, const char *leg, const char *id, uint64_t n, const char *body) {
  struct store_request r = a_part(leg, id, n, true, body);
  r.deliver = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
}

static void put_alert(struct bench *b, const char *leg, const char *key, const char *body) {
  const struct store_request r = {
      .kind = STORE_PUT_ALERT, .leg = leg, .id = key, .body = body, .body_bytes = strlen(body)};
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
}

static struct outbox_reader *reader_of(struct bench *b, enum sink_id sink, bool after_mongo) {
  struct outbox_reader *r;
  if (outbox_reader_open(&r, b->store, sink, after_mongo, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
  return r;
}

/* "row:kind leg id n=body/tries " */
struct seen {
  char text[4096];
  size_t count;
};

static void see(void *arg, const struct sink_row *row, uint32_t tries) {
  struct seen *s = arg;
  size_t length = strlen(s->text);
  assert_true(row->at_ms > 1700000000000);
  snprintf(s->text + length, sizeof s->text - length, "%lld:%c %s %s %llu=%.*s/%u ", (long long)row->row,
           "EPA"[row->kind], row -> leg, row -> id, (unsigned long long)row -> n, (int)row -> body_bytes,
           row -> body, tries);
  s->count++;
}

static void reads(struct outbox_reader *r, int64_t after, const char *expected) {
  struct seen s = {.count = 0};
  assert_int_equal(outbox_read(r, after, 100, 1 << 20, see, &s), 0);
  assert_string_equal(s.text, expected);
}

static void mark(struct bench *b, enum sink_id sink, int64_t row, enum outbox_state state) {
  const struct outbox_mark m = {.row = row, .state = state, .tries = 1, .reason = "why"};
  assert_int_equal(outbox_mark(b->store, sink, &m, 1), 0);
}

static void each_sink_gets_its_rows(void **state) {
  struct bench *b = *state;
  bench_open(b);
  put_event(b, "a", "e1", "one");
  put_part(b, "a", "p", 2, "two");
  put_alert(b, "a", "k", "three");
  put_event(b, "b", "e2", "four");
  put_part(b, "a", "p", 5, "newer"); /* the older row gives the newest body too */
  struct outbox_reader *mongo = reader_of(b, SINK_MONGO, false),
                       *queue = reader_of(b, SINK_REDIS_QUEUE, true),
                       *alerts = reader_of(b, SINK_REDIS_ALERTS, false);
  reads(mongo, 0, "1:E a e1 0=one/0 2:P a p 5=newer/0 4:E b e2 0=four/0 5:P a p 5=newer/0 ");
  reads(mongo, 2, "4:E b e2 0=four/0 5:P a p 5=newer/0 ");
  reads(alerts, 0, "3:A a k 0=three/0 ");
  reads(queue, 0, "");
  mark(b, SINK_MONGO, 4, OUTBOX_DONE);
  mark(b, SINK_MONGO, 2, OUTBOX_DEAD);
  reads(mongo, 0, "1:E a e1 0=one/0 5:P a p 5=newer/0 ");
  reads(queue, 0, "2:P a p 5=newer/0 4:E b e2 0=four/0 ");
  mark(b, SINK_MONGO, 1, OUTBOX_PENDING); /* a try that failed */
  reads(mongo, 0, "1:E a e1 0=one/1 5:P a p 5=newer/0 ");
  mark(b, SINK_MONGO, 1, OUTBOX_DONE);
  mark(b, SINK_MONGO, 1, OUTBOX_PENDING); /* what is finished stays so */
  reads(mongo, 0, "5:P a p 5=newer/0 ");
  struct outbox_reader *alone = reader_of(b, SINK_REDIS_QUEUE, false); /* without MongoDB */
  struct seen s = {.count = 0};
  reads(alone, 0, "");
  fold_leg(b, "a", 6);
  fold_leg(b, "b", 1);
  assert_int_equal(outbox_read(alone, 0, 1, 1 << 20, see, &s), 0);
  assert_string_equal(s.text, "1:E a e1 0=one/0 ");
  s = (struct seen){.count = 0};
  bool more;
  assert_int_equal(outbox_read_leg(alone, "a", 2, 1 << 20, see, &s, &more), 0);
  assert_true(more);
  assert_string_equal(s.text, "1:E a e1 0=one/0 2:P a p 5=newer/0 ");
  s = (struct seen){.count = 0};
  assert_int_equal(outbox_read_leg(alone, "b", 2, 1 << 20, see, &s, &more), 0);
  assert_false(more);
  assert_int_equal(s.count, 1);
  outbox_reader_close(mongo);
  outbox_reader_close(queue);
  outbox_reader_close(alerts);
  outbox_reader_close(alone);
}

static void a_reading_is_bounded(void **state) {
  struct bench *b = *state;
  char body[1001] = "", id[16];
  bench_open(b);
  memset(body, 'x', sizeof body - 1);
  for (int i = 0; i < 20; i++) {
    snprintf(id, sizeof id, "e%d", i);
    put_event(b, "leg", id, body);
  }
  struct outbox_reader *r = reader_of(b, SINK_MONGO, false);
  struct seen s = {.count = 0};
  assert_int_equal(outbox_read(r, 0, 7, 1 << 20, see, &s), 0);
  assert_int_equal(s.count, 7);
  s = (struct seen){.count = 0};
  assert_int_equal(outbox_read(r, 0, 100, 2500, see, &s), 0);
  assert_int_equal(s.count, 3);
  s = (struct seen){.count = 0};
  assert_int_equal(outbox_read(r, 0, 100, 1, see, &s), 0);
  assert_int_equal(s.count, 1); /* one row always */
  outbox_reader_close(r);
}

static void the_cursor_is_the_low_water_mark(void **state) {
  struct bench *b = *state;
  char id[16];
  bench_open(b);
  struct outbox_reader *mongo = reader_of(b, SINK_MONGO, false),
                       *queue = reader_of(b, SINK_REDIS_QUEUE, true);
  assert_int_equal(outbox_cursor(mongo), 0);
  for (int i = 1; i <= 6; i++) {
    snprintf(id, sizeof id, "e%d", i);
    put_event(b, "leg", id, "x");
  }
  assert_int_equal(outbox_cursor(mongo), 0);
  mark(b, SINK_MONGO, 1, OUTBOX_DONE);
  mark(b, SINK_MONGO, 2, OUTBOX_DEAD);
  mark(b, SINK_MONGO, 4, OUTBOX_DONE);
  assert_int_equal(outbox_cursor(mongo), 2);
  assert_int_equal(outbox_low_water(mongo, (const int64_t[]){3}, 1), 4);
  assert_int_equal(outbox_low_water(mongo, (const int64_t[]){3, 6}, 2), 4);
  assert_int_equal(outbox_low_water(mongo, (const int64_t[]){3, 5, 6}, 3), 6);
  for (int i = 1; i <= 6; i++) mark(b, SINK_REDIS_QUEUE, i, OUTBOX_DONE);
  assert_int_equal(outbox_cursor(queue), 2); /* never past MongoDB's */
  mark(b, SINK_MONGO, 3, OUTBOX_DONE);
  mark(b, SINK_MONGO, 5, OUTBOX_DROPPED);
  mark(b, SINK_MONGO, 6, OUTBOX_DONE);
  put_alert(b, "leg", "k", "x"); /* not for them: does not hold them */
  assert_int_equal(outbox_cursor(mongo), 7);
  assert_int_equal(outbox_cursor(queue), 7);
  outbox_reader_close(mongo);
  outbox_reader_close(queue);
}

static void a_lost_tail_is_delivered_again(void **state) {
  struct bench *b = *state;
  char id[16];
  bench_open(b);
  for (int i = 1; i <= 5; i++) {
    snprintf(id, sizeof id, "e%d", i);
    put_event(b, "leg", id, "x");
    mark(b, SINK_REDIS_QUEUE, i, i == 4 ? OUTBOX_DEAD : OUTBOX_DONE);
  }
  fold_leg(b, "leg", 5);
  assert_int_equal(outbox_rewind(b->store, SINK_REDIS_QUEUE, 2), 2);
  struct outbox_reader *r = reader_of(b, SINK_REDIS_QUEUE, false);
  reads(r, 0, "3:E leg e3 0=x/0 5:E leg e5 0=x/0 ");
  assert_int_equal(outbox_cursor(r), 2);
  assert_int_equal(outbox_rewind(b->store, SINK_REDIS_QUEUE, 99), 0);
  outbox_reader_close(r);
}

static void the_depth_counts_what_is_configured(void **state) {
  struct bench *b = *state;
  struct outbox_depth depth[SINK_COUNT];
  b->sinks[SINK_REDIS_QUEUE] = false;
  bench_open(b);
  for (int i = 1; i <= 3; i++) put_event(b, "leg", (char[]){'e', (char)('0' + i), 0}, "x");
  put_alert(b, "leg", "k", "x");
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 3);
  assert_int_equal(depth[SINK_REDIS_QUEUE].pending, 0);
  assert_int_equal(depth[SINK_REDIS_QUEUE].oldest_pending_at_ms, 0);
  assert_int_equal(depth[SINK_REDIS_ALERTS].pending, 1);
  sqlite3 *db = bench_connect(b);
  assert_int_equal(depth[SINK_MONGO].oldest_pending_at_ms, bench_number(db, "SELECT min(at_ms) FROM outbox"));
  mark(b, SINK_MONGO, 1, OUTBOX_DONE);
  mark(b, SINK_MONGO, 2, OUTBOX_DEAD);
  mark(b, SINK_REDIS_ALERTS, 4, OUTBOX_DONE);
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 1);
  assert_int_equal(depth[SINK_MONGO].dead, 1);
  assert_int_equal(depth[SINK_MONGO].oldest_pending_at_ms,
                   bench_number(db, "SELECT at_ms FROM outbox WHERE row = 3"));
  assert_int_equal(depth[SINK_REDIS_ALERTS].pending, 0);
  assert_int_equal(depth[SINK_REDIS_ALERTS].oldest_pending_at_ms, 0);
  sqlite3_close(db);
  store_close(b->store);
  b->sinks[SINK_REDIS_QUEUE] = true; /* configured later: its rows have waited */
  bench_open(b);
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 1);
  assert_int_equal(depth[SINK_MONGO].dead, 1);
  assert_int_equal(depth[SINK_REDIS_QUEUE].pending, 3);
}

/* ---- the disk ---- */

static void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_mark_that_is_not_on_disk_is_no_mark(void **state) {
  struct bench *b = *state;
  struct outbox_depth depth[SINK_COUNT];
  signal(SIGXFSZ, SIG_IGN);
  bench_open(b);
  put_event(b, "leg", "e1", "x");
  put_event(b, "leg", "e2", "x");
  mark(b, SINK_MONGO, 2, OUTBOX_DONE);
  const struct outbox_mark m = {.row = 1, .state = OUTBOX_DONE};
  limit_files(4096);
  assert_int_equal(outbox_mark(b->store, SINK_MONGO, &m, 1), -1);
  assert_int_equal(outbox_rewind(b->store, SINK_MONGO, 0), -1);
  limit_files(RLIM_INFINITY);
  struct outbox_reader *r = reader_of(b, SINK_MONGO, false);
  reads(r, 0, "1:E leg e1 0=x/0 ");
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 1);
  assert_int_equal(outbox_mark(b->store, SINK_MONGO, &m, 1), 0);
  reads(r, 0, "");
  outbox_reader_close(r);
}

/* ---- damage ---- */

static void damage(struct bench *b, const char *sql) {
  sqlite3 *db = bench_connect(b);
  bench_sql(db, sql);
  sqlite3_close(db);
}

static int64_t ask_file(struct bench *b, const char *sql) {
  sqlite3 *db = bench_connect(b);
  assert_int_equal(schema_functions(db), SQLITE_OK);
  int64_t number = bench_number(db, sql);
  sqlite3_close(db);
  return number;
}

/* Whatever column of a row went bad: the fact comes as a new row, and nothing else does. */
static void a_bad_row_is_appended_again(void **state) {
  struct bench *b = *state;
  static const char *const changes[] = {"mongo = 1, redis_queue = 1", /* would never be delivered */
                                        "leg = 'lfg'",
                                        "id = 'e9'",
                                        "kind = 1",
                                        "fact = 77",
                                        "at_ms = at_ms + 1",
                                        "crc = crc + 1",
                                        "n = 3",
                                        "body = 'x'",
                                        "kind = 2",
                                        "leg = 'lfg', id = 'e9'",
                                        "kind = 7",
                                        "fact = 2",
                                        "leg = ''",
                                        "id = x'0065'",
                                        "redis_alerts = 0"};
  bench_open(b);
  struct outbox_reader *mongo = reader_of(b, SINK_MONGO, false),
                       *queue = reader_of(b, SINK_REDIS_QUEUE, false);
  put_event(b, "other", "o", "other");
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    char sql[128], id[16], leg[16];
    struct seen seen = {.count = 0};
    snprintf(leg, sizeof leg, "leg%zu", i);
    snprintf(id, sizeof id, "e%zu", 100 + i);
    put_event(b, leg, id, "body");
    fold_leg(b, leg, 1);
    int64_t row = ask_file(b, "SELECT max(row) FROM outbox");
    snprintf(sql, sizeof sql, "UPDATE outbox SET %s WHERE row = %lld", changes[i], (long long)row);
    damage(b, sql);
    /* A row that says it is finished is found when somebody marks it. */
    if (i == 0) mark(b, SINK_REDIS_QUEUE, row, OUTBOX_DEAD);
    assert_int_equal(outbox_read(queue, row - 1, 10, 1000, see, &seen), 0);
    seen = (struct seen){.count = 0};
    assert_int_equal(outbox_read(mongo, row, 10, 1000, see, &seen), 0);
    char expected[64];
    snprintf(expected, sizeof expected, "E leg%zu %s 0=body/0", i, id);
    if (strstr(seen.text, expected) == NULL) fail_msg("%s: not again: %s", changes[i], seen.text);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM quarantine WHERE source = 'outbox'");
    assert_int_equal(ask_file(b, sql), i + 1);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE row = %lld", (long long)row);
    assert_int_equal(ask_file(b, sql), 0);
  }
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_int_equal(stats.quarantined, sizeof changes / sizeof *changes);
  assert_non_null(strstr(stats.quarantined_last, "outbox row"));
  assert_int_equal(ask_file(b, "SELECT count(*) FROM outbox WHERE crc <> " OUTBOX_CRC), 0);
  struct outbox_depth depth[SINK_COUNT];
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, ask_file(b, "SELECT count(*) FROM outbox WHERE mongo = 0"));
  outbox_reader_close(mongo);
  outbox_reader_close(queue);
}

static void a_row_whose_fact_is_bad_is_dead_for_mongodb(void **state) {
  struct bench *b = *state;
  bench_open(b);
  put_event(b, "leg", "e1", "one");
  put_event(b, "leg", "e2", "two");
  put_part(b, "leg", "p", 1, "part");
  put_alert(b, "leg", "k", "alert");
  damage(
      b,
      "UPDATE events SET body = 'twO' WHERE id = 'e2'; UPDATE parts SET n = 9; UPDATE outbox SET body = 'b'"
      " WHERE kind = 2");
  struct outbox_reader *mongo = reader_of(b, SINK_MONGO, false),
                       *queue = reader_of(b, SINK_REDIS_QUEUE, true),
                       *alerts = reader_of(b, SINK_REDIS_ALERTS, false);
  reads(mongo, 0, "1:E leg e1 0=one/0 ");
  assert_int_equal(outbox_cursor(mongo), 0);
  mark(b, SINK_MONGO, 1, OUTBOX_DONE);
  assert_int_equal(outbox_cursor(mongo), 4);
  /* The document is read back for the queue: its entry does not need the fact. */
  reads(queue, 0, "1:E leg e1 0=one/0 2:E leg e2 0=/0 3:P leg p 1=/0 ");
  reads(alerts, 0, "");
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_int_equal(stats.quarantined, 3);
  assert_int_equal(ask_file(b,
                            "SELECT count(*) FROM outbox_tries WHERE sink = 0 AND reason LIKE '%quarantine%'"
                            " AND crc = " TRIES_CRC),
                   2);
  /* It comes again from Telnyx. */
  put_event(b, "leg", "e2", "two");
  reads(mongo, 0, "5:E leg e2 0=two/0 ");
  outbox_reader_close(mongo);
  outbox_reader_close(queue);
  outbox_reader_close(alerts);
}

/* Many bad rows in a row do not end a reading early, nor for ever. */
static void a_reading_goes_on_behind_bad_rows(void **state) {
  struct bench *b = *state;
  char id[16];
  bench_open(b);
  for (int i = 0; i < 300; i++) {
    snprintf(id, sizeof id, "e%d", i);
    put_event(b, "leg", id, "x");
  }
  damage(b, "UPDATE events SET body = 'y' WHERE row <= 290");
  struct outbox_reader *r = reader_of(b, SINK_MONGO, false);
  struct seen s = {.count = 0};
  for (int64_t i = 0; i < 10 && s.count == 0; i++) assert_int_equal(outbox_read(r, 0, 10, 1000, see, &s), 0);
  assert_int_equal(s.count, 10);
  assert_non_null(strstr(s.text, "291:E leg e290"));
  outbox_reader_close(r);
}

/* ---- damage that SQLite does not see ---- */

enum { PAGE_BYTES = 4096, RAW_EVENTS = 3 };

struct raw {
  char path[128];
  unsigned char *file;
  size_t bytes;
};

static void raw_load(struct bench *b, struct raw *raw) {
  snprintf(raw->path, sizeof raw->path, "%s/sidetone.db", b->directory);
  FILE *f = fopen(raw->path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  raw->bytes = (size_t)ftell(f);
  rewind(f);
  raw->file = malloc(raw->bytes);
  assert_int_equal(fread(raw->file, 1, raw->bytes, f), raw->bytes);
  fclose(f);
}

static void raw_write(const struct raw *raw) {
  char companion[160];
  FILE *f = fopen(raw->path, "wb");
  assert_int_equal(fwrite(raw->file, 1, raw->bytes, f), raw->bytes);
  fclose(f);
  snprintf(companion, sizeof companion, "%s-wal", raw->path);
  unlink(companion);
  snprintf(companion, sizeof companion, "%s-shm", raw->path);
  unlink(companion);
}

struct drained {
  struct bench *b;
  unsigned bodies; /* bit i: of event i */
  int64_t last;
  struct outbox_mark marks[64];
  size_t count;
};

static void drain_row(void *arg, const struct sink_row *row, uint32_t tries) {
  (void)tries;
  struct drained *d = arg;
  int i = row->body_bytes == 5 && strncmp(row->body, "body", 4) == 0 ? row->body[4] - '0' : -1;
  if (i >= 0 && i < RAW_EVENTS && strcmp(row->leg, "the-leg") == 0 && row->id[0] == 'i' &&
      row->id[1] == '0' + i)
    d->bodies |= 1u << i;
  d->marks[d->count++] = (struct outbox_mark){.row = row->row, .state = OUTBOX_DONE};
  d->last = row->row;
}

/* As a runner does it, until nothing is pending. False: the file says that it is broken. */
static bool drain(struct bench *b, struct drained *d) {
  struct outbox_reader *r;
  if (outbox_reader_open(&r, b->store, SINK_MONGO, false, b->why, sizeof b->why) != 0) return false;
  bool well = true;
  for (int turns = 0; turns < 16; turns++) {
    d->count = 0;
    well = outbox_read(r, 0, 64, 1 << 20, drain_row, d) == 0;
    if (!well || d->count == 0) break;
    well = outbox_mark(b->store, SINK_MONGO, d->marks, d->count) == 0;
    if (!well) break;
  }
  if (well) assert_int_equal(d->count, 0);
  if (well) assert_true(outbox_cursor(r) >= RAW_EVENTS);
  outbox_reader_close(r);
  return well;
}

/* Every byte of every row, one bit of each: nothing is lost without a word. */
static void a_flipped_bit_in_a_row_loses_nothing(void **state) {
  struct bench *b = *state;
  struct raw raw;
  unsigned healed = 0, broken = 0;
  bench_open(b);
  for (char i = '0'; i < '0' + RAW_EVENTS; i++)
    put_event(b, "the-leg", (char[]){'i', i, 0}, (char[]){'b', 'o', 'd', 'y', i, 0});
  size_t root = (size_t)ask_file(b, "SELECT rootpage FROM sqlite_schema WHERE name = 'outbox'");
  store_close(b->store);
  b->store = NULL;
  raw_load(b, &raw);
  unsigned char *page = raw.file + (root - 1) * PAGE_BYTES;
  assert_int_equal(page[0], 13); /* a leaf: the rows are in it */
  for (size_t at = (size_t)page[5] << 8 | page[6]; at < PAGE_BYTES; at++) {
    unsigned char bit = (unsigned char)(1u << (at % 8));
    page[at] ^= bit;
    raw_write(&raw);
    page[at] ^= bit;
    struct drained d = {.b = b};
    bool well = bench_open_with(b, 0) == 0 && drain(b, &d);
    if (well && d.bodies != (1u << RAW_EVENTS) - 1)
      fail_msg("bit %u of byte %zu: only %x were delivered", bit, at, d.bodies);
    *(well ? &healed : &broken) += 1;
    if (b->store != NULL) store_close(b->store);
    b->store = NULL;
  }
  free(raw.file);
  print_message("%u flips healed, %u reported as a broken file\n", healed, broken);
  assert_true(healed > broken); /* the others hit lengths: SQLite sees those */
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(each_sink_gets_its_rows),
      TEST(a_reading_is_bounded),
      TEST(the_cursor_is_the_low_water_mark),
      TEST(a_lost_tail_is_delivered_again),
      TEST(the_depth_counts_what_is_configured),
      TEST(a_mark_that_is_not_on_disk_is_no_mark),
      TEST(a_bad_row_is_appended_again),
      TEST(a_row_whose_fact_is_bad_is_dead_for_mongodb),
      TEST(a_reading_goes_on_behind_bad_rows),
      TEST(a_flipped_bit_in_a_row_loses_nothing),
  };
  return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
