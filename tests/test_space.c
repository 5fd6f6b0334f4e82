/* store/space.c: what goes, when, and what is refused when there is no room left (contract.md 8). */
#include "tests/damage_helpers.h"

#include <sched.h>
#include <time.h>

#include "store/outbox.h"

static void open_with_room(struct bench *b, int64_t max_bytes, int64_t keep_ms, bool mongo) {
  const struct store_options options = {.directory = b->directory,
                                        .wake = bench_wake,
                                        .wake_arg = b,
                                        .max_bytes = max_bytes,
                                        .keep_delivered_ms = keep_ms,
                                        .sinks = {[SINK_MONGO] = mongo}};
  if (store_open(&b->store, &options, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
}

static int count(struct bench *b, const char *what) {
  char sql[256];
  snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", what);
  sqlite3 *db = bench_connect(b);
  int number = (int)bench_number(db, sql);
  sqlite3_close(db);
  return number;
}

static void await_count(struct bench *b, const char *what, int wanted) {
  time_t start = time(NULL);
  int there;
  while ((there = count(b, what)) != wanted) {
    sched_yield();
    if (time(NULL) - start > 20) fail_msg("%d %s, not %d", there, what, wanted);
  }
}

/* Two rounds of the store's own work, to see that it does nothing. */
static void await_two_rounds(struct bench *b) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    bench_ask(b, the_leg("nobody"));
    sched_yield();
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 2300);
}

static void end_leg(struct bench *b, int leg, uint64_t revision, bool complete, bool ended) {
  char name[32], id[32];
  leg_name(leg, name);
  snprintf(id, sizeof id, "CALL_%02d", leg);
  struct store_request r = a_calllog(name, id, revision, !complete, body_of(name, id));
  r.ended = ended;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
}

static void put_facts(struct bench *b, int leg) {
  for (int i = 0; i < FACTS_PER_LEG; i++) put_fact(b, leg, i);
}

/* ---- keep_delivered ---- */

static void delivered_facts_go_and_calllogs_stay(void **state) {
  struct bench *b = *state;
  open_with_room(b, 0, 1, false);
  for (int leg = 0; leg < LEGS; leg++) {
    put_facts(b, leg);
    end_leg(b, leg, 8, true, true);
  }
  bench_ask(b, an_event(NULL, "legless", "x"));
  await_count(b, "events", 0);
  await_count(b, "parts", 0);
  await_count(b, "outbox", 0);
  assert_int_equal(count(b, "calllogs"), LEGS);
  assert_int_equal(count(b, "event_ids"), LEGS * 3 + 1);
  assert_int_equal(count(b, "legs WHERE revision = 8 AND gone = 8 AND settled = 8"), LEGS);
  assert_int_equal(bench_ask(b, an_event("leg-00", "event-00-0", "again"))->status, STORE_DUPLICATE);
}

static void what_is_kept_for_a_while(void **state) {
  struct bench *b = *state;
  open_with_room(b, 0, 3600000, false);
  put_facts(b, 0);
  end_leg(b, 0, 8, true, true);
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 3);
  shut(b);
  open_with_room(b, 0, 0, false); /* 0: for ever */
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 3);
}

/* A name that cannot be kept while the legs are gone through must not hold up those behind it. */
static void a_leg_with_a_very_long_name_holds_up_nobody(void **state) {
  struct bench *b = *state;
  char name[601];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  open_with_room(b, 0, 1, false);
  bench_ask(b, an_event(name, "long", "x"));
  struct store_request r = a_calllog(name, "CALL_LONG", 1, false, "{}");
  r.ended = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  put_facts(b, 0);
  end_leg(b, 0, 8, true, true);
  await_count(b, "events WHERE leg = 'leg-00'", 0);
  assert_int_equal(count(b, "events"), 1);
}

/* Nothing goes that somebody may still need: not ended, not complete, not folded yet, a CallLog that is damaged. */
static void what_is_not_finished_stays(void **state) {
  struct bench *b = *state;
  open_with_room(b, 0, 1, false);
  for (int leg = 0; leg < 4; leg++) put_facts(b, leg);
  end_leg(b, 0, 8, false, false);
  end_leg(b, 1, 8, false, true);
  end_leg(b, 2, 7, true, true);
  shut(b);
  open_with_room(b, 0, 0, false);
  end_leg(b, 3, 8, true, true);
  sqlite3 *db = bench_connect(b);
  bench_sql(db, "UPDATE calllogs SET body = 'wrong' WHERE leg = 'leg-03'");
  sqlite3_close(db);
  shut(b);
  open_with_room(b, 0, 1, false);
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 4 * 3);
  assert_int_equal(count(b, "parts"), 4);
}

static int64_t first_row_of(struct bench *b, const char *leg) {
  char sql[128];
  snprintf(sql, sizeof sql, "SELECT min(row) FROM outbox WHERE leg = '%s' AND mongo = 0", leg);
  sqlite3 *db = bench_connect(b);
  int64_t row = bench_number(db, sql);
  sqlite3_close(db);
  return row;
}

static void mark_leg(struct bench *b, const char *leg, enum outbox_state last) {
  for (int i = 0; i < FACTS_PER_LEG; i++) {
    const struct outbox_mark m = {.row = first_row_of(b, leg),
                                  .state = i == FACTS_PER_LEG - 1 ? last : OUTBOX_DONE,
                                  .reason = "a test"};
    assert_int_equal(outbox_mark(b->store, SINK_MONGO, &m, 1), 0);
  }
}

static void what_a_sink_lacks_stays(void **state) {
  struct bench *b = *state;
  struct outbox_depth depth[SINK_COUNT];
  open_with_room(b, 0, 1, true);
  for (int leg = 0; leg < 3; leg++) {
    put_facts(b, leg);
    end_leg(b, leg, 8, true, true);
  }
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 9);
  mark_leg(b, "leg-01", OUTBOX_DONE);
  mark_leg(b, "leg-02", OUTBOX_DEAD);
  await_count(b, "events WHERE leg = 'leg-01'", 0);
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 6);
  outbox_depth(b->store, depth);
  assert_int_equal(depth[SINK_MONGO].pending, 4);
  assert_int_equal(depth[SINK_MONGO].dead, 1);
}

/* ---- late webhooks ---- */

struct kept_calllog {
  char body[12000];
  size_t facts;
  bool answered;
};

static void take_calllog(void *arg, const struct store_answer *answer) {
  struct kept_calllog *k = arg;
  snprintf(k->body, sizeof k->body, "%.*s", (int)answer->calllog_bytes,
           answer->calllog == NULL ? "none" : answer->calllog);
  if (answer->calllog == NULL) strcpy(k->body, "none");
  k->facts = answer->fact_count;
  k->answered = true;
}

static void ask_for_calllog(struct bench *b, struct store_request r, struct kept_calllog *k) {
  k->answered = false;
  r.ticket = 1;
  assert_int_equal(store_submit(b->store, &r), 0);
  while (!k->answered) {
    while (sem_wait(&b->woken) != 0) continue;
    store_collect(b->store, take_calllog, k);
  }
}

static void note_leg(void *arg, const char *leg) {
  strcat(arg, leg);
}

/* What went stands in the CallLog: the answer holds it, the sum stays right, and nothing less replaces it. */
static void a_late_webhook_finds_what_went(void **state) {
  struct bench *b = *state;
  static struct kept_calllog k;
  char legs[64] = "";
  open_with_room(b, 0, 1, false);
  put_facts(b, 0);
  ask_for_calllog(b, the_leg("leg-00"), &k);
  assert_string_equal(k.body, "none");
  end_leg(b, 0, 8, true, true);
  await_count(b, "events", 0);
  struct store_request late = an_event("leg-00", "call.cost", "cost");
  late.want_facts = true;
  ask_for_calllog(b, late, &k);
  assert_int_equal(k.facts, 1);
  assert_string_equal(k.body, body_of("leg-00", "CALL_00"));
  assert_int_equal(bench_ask(b, a_calllog("leg-00", "CALL_00", 1, false, "less"))->status, STORE_DUPLICATE);
  await_two_rounds(b);
  assert_int_equal(count(b, "events"), 1); /* the CallLog does not hold it yet */
  store_each_open_leg(b->store, note_leg, legs);
  assert_string_equal(legs, "leg-00");
  shut(b);
  open_with_room(b, 0, 1, false); /* a crash in between: it is owed still */
  ask_for_calllog(b, the_leg("leg-00"), &k);
  assert_int_equal(k.facts, 1);
  assert_string_equal(k.body, body_of("leg-00", "CALL_00"));
  end_leg(b, 0, 9, true, true);
  *legs = 0;
  store_each_open_leg(b->store, note_leg, legs);
  assert_string_equal(legs, "");
  await_count(b, "events", 0);
  assert_int_equal(count(b, "legs WHERE revision = 9 AND gone = 9"), 1);
}

/* ---- store.max_bytes ---- */

enum { SMALL = 4 << 20 };

static const char *large_body(void) {
  static char body[20000];
  memset(body, 'x', sizeof body - 1);
  return body;
}

static int percent(struct bench *b) {
  struct store_stats stats;
  store_stats(b->store, &stats);
  return stats.used_percent;
}

static enum store_status put_large(struct bench *b, const char *leg, int number) {
  char id[32];
  snprintf(id, sizeof id, "large-%d", number);
  struct store_request r = an_event(leg, id, large_body());
  r.deliver = true;
  return bench_ask(b, r)->status;
}

static void no_room_for_what_is_new(void **state) {
  struct bench *b = *state;
  int number = 0, limit;
  open_with_room(b, SMALL, 0, true);
  while (put_large(b, "known", number) == STORE_DONE && percent(b) < 95) number++;
  assert_int_equal(put_large(b, "unknown", ++number), STORE_FAILED);
  assert_non_null(strstr(b->answers[0].error, " % of store.max_bytes used"));
  struct store_request r = an_event(NULL, "legless", "x");
  assert_int_equal(bench_ask(b, r)->status, STORE_FAILED);
  assert_int_equal(put_large(b, "known", 0), STORE_DUPLICATE);
  for (limit = number + 100; put_large(b, "known", ++number) == STORE_DONE;) assert_true(number < limit);
  assert_in_range(percent(b), 100, 102);
  assert_int_equal(put_large(b, "known", 0), STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, a_part("known", "new part", 1, true, "x"))->status, STORE_FAILED);
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_true(stats.writable); /* it can write: it does not want to */
  /* Nothing undelivered went, and with delivery all is well again. */
  assert_int_equal(count(b, "events"), count(b, "event_ids"));
  sqlite3 *db = bench_connect(b);
  int rows = (int)bench_number(db, "SELECT count(*) FROM outbox");
  sqlite3_close(db);
  for (; rows > 0; rows--) {
    const struct outbox_mark m = {.row = first_row_of(b, "known"), .state = OUTBOX_DONE};
    assert_int_equal(outbox_mark(b->store, SINK_MONGO, &m, 1), 0);
  }
  r = a_calllog("known", "CALL_1", (uint64_t)count(b, "events"), false, "{}");
  r.ended = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  await_count(b, "events", 0);
  for (time_t start = time(NULL); percent(b) >= 80; sched_yield())
    if (time(NULL) - start > 20) fail_msg("%d %% used", percent(b));
  assert_int_equal(put_large(b, "unknown", ++number), STORE_DONE);
}

/* Delivered legs for ever: the oldest go, first their facts, then their CallLogs; new ones are always taken. */
static void the_oldest_make_room(void **state) {
  struct bench *b = *state;
  enum { MANY = 400 };
  int most = 0;
  open_with_room(b, SMALL, 0, false);
  for (int i = 0; i < MANY; i++) {
    char leg[32], id[32];
    snprintf(leg, sizeof leg, "leg-%03d", i);
    snprintf(id, sizeof id, "CALL_%03d", i);
    time_t start = time(NULL);
    while (put_large(b, leg, i) != STORE_DONE)
      if (time(NULL) - start > 20) fail_msg("%d %% used, and nothing goes", percent(b));
    struct store_request r = a_calllog(leg, id, 1, false, large_body());
    r.ended = true;
    assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
    if (percent(b) > most) most = percent(b);
  }
  assert_in_range(most, 80, 102);
  assert_in_range(percent(b), 70, 102); /* no more goes than the room needs */
  shut(b);                              /* else its thread goes on letting go between two countings */
  int left = count(b, "calllogs"), facts = count(b, "events");
  assert_in_range(left, 130, MANY - 100);
  assert_true(facts <= left);
  /* What is left are the newest, in one row. */
  assert_int_equal(count(b, "calllogs WHERE leg = 'leg-399'"), 1);
  char what[96];
  snprintf(what, sizeof what, "calllogs WHERE leg >= 'leg-%03d'", MANY - left);
  assert_int_equal(count(b, what), left);
  assert_int_equal(count(b, "legs"), left);
}

/* Small legs, of which a turn takes few: room is made in several turns, not only while it is short. */
static void room_is_made_with_some_to_spare(void **state) {
  struct bench *b = *state;
  enum { SMALL_LEGS = 1500, LARGE_LEGS_MAX = 400 };
  char body[1000], leg[32], id[32];
  memset(body, 'x', sizeof body - 1);
  body[sizeof body - 1] = '\0';
  open_with_room(b, 4 * SMALL, 0, false);
  b->count = 0;
  for (uint64_t i = 0; i < SMALL_LEGS; i++) {
    snprintf(leg, sizeof leg, "small-%04d", (int)i);
    snprintf(id, sizeof id, "CALL_%04d", (int)i);
    struct store_request fact = an_event(leg, id, body), r = a_calllog(leg, id, 1, false, "{}");
    fact.deliver = r.ended = true;
    fact.ticket = 2 * i + 1;
    r.ticket = 2 * i + 2;
    while (store_submit(b->store, &fact) != 0) store_collect(b->store, bench_take, b);
    while (store_submit(b->store, &r) != 0) store_collect(b->store, bench_take, b);
  }
  bench_await(b, 2 * SMALL_LEGS);
  for (int i = 0; i < LARGE_LEGS_MAX && percent(b) < 80; i++) {
    snprintf(leg, sizeof leg, "large-%03d", i);
    snprintf(id, sizeof id, "CALL_L%03d", i);
    assert_int_equal(put_large(b, leg, i), STORE_DONE);
    struct store_request r = a_calllog(leg, id, 1, false, large_body());
    r.ended = true;
    assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  }
  for (time_t start = time(NULL); percent(b) >= 75; sched_yield())
    if (time(NULL) - start > 20) fail_msg("%d %% used", percent(b));
  assert_true(count(b, "calllogs") >= SMALL_LEGS); /* facts alone were enough */
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(delivered_facts_go_and_calllogs_stay),
      TEST(a_leg_with_a_very_long_name_holds_up_nobody),
      TEST(what_is_kept_for_a_while),
      TEST(what_is_not_finished_stays),
      TEST(what_a_sink_lacks_stays),
      TEST(a_late_webhook_finds_what_went),
      TEST(no_room_for_what_is_new),
      TEST(the_oldest_make_room),
      TEST(room_is_made_with_some_to_spare),
  };
  return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
