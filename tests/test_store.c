/* store/store.c, batch.c, facts.c, work.c, reader.c: what goes in comes out. */
#include "tests/store_helpers.h"

static void a_repeated_event_is_a_duplicate_also_after_reopening(void **state) {
  struct bench *b = *state;
  bench_open(b);
  assert_int_equal(bench_ask(b, an_event("leg", "e1", "{\"a\":1}"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, an_event("leg", "e1", "{\"a\":2}"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, an_event("other", "e1", ""))->status, STORE_DUPLICATE);
  store_close(b->store);
  bench_open(b);
  assert_int_equal(bench_ask(b, an_event("leg", "e1", "{\"a\":3}"))->status, STORE_DUPLICATE);
  assert_string_equal(bench_ask(b, the_leg("leg"))->facts, "E:e1={\"a\":1} ");
  assert_int_equal(bench_ask(b, the_leg("other"))->fact_count, 0);
  struct store_stats stats;
  store_stats(b->store, &stats);
  assert_int_equal(stats.duplicates, 1);
  assert_int_equal(stats.rows, 0);
}

static void two_of_the_same_in_one_batch(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_hold(b);
  for (uint64_t i = 1; i <= 2; i++) {
    struct store_request r = an_event("leg", "e1", "x");
    r.ticket = i;
    assert_int_equal(store_submit(b->store, &r), 0);
  }
  bench_release(b);
  bench_await(b, 2);
  assert_int_equal(b->answers[0].status, STORE_DONE);
  assert_int_equal(b->answers[1].status, STORE_DUPLICATE);
}

static void want_facts_gives_all_of_the_leg(void **state) {
  struct bench *b = *state;
  bench_open(b);
  bench_ask(b, an_event("leg", "e2", "two"));
  bench_ask(b, an_event("other", "o1", "no"));
  bench_ask(b, an_event(NULL, "n1", "conference"));
  bench_ask(b, a_part("leg", "p1", 1, true, "part"));
  struct store_request r = an_event("leg", "e1", "one");
  r.want_facts = true;
  assert_string_equal(bench_ask(b, r)->facts, "E:e2=two E:e1=one P:p1=part ");
  const struct kept_answer *again = bench_ask(b, r);
  assert_int_equal(again->status, STORE_DUPLICATE);
  assert_string_equal(again->facts, "E:e2=two E:e1=one P:p1=part ");
  r = a_calllog("leg", "CALL_1", 3, true, "{}");
  r.want_facts = true;
  assert_int_equal(bench_ask(b, r)->fact_count, 3);
  assert_int_equal(bench_ask(b, the_leg("nobody"))->fact_count, 0);
}

static void bodies_are_bytes(void **state) {
  struct bench *b = *state;
  bench_open(b);
  struct store_request r = an_event("leg", "e1", "");
  r.body = "a\0b\xff";
  r.body_bytes = 4;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  const struct kept_answer *a = bench_ask(b, the_leg("leg"));
  assert_int_equal(a->fact_count, 1); /* its checksum was right, so all four bytes came back */
  r.id = "e2";
  r.body = NULL;
  r.body_bytes = 0;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 2);
}

static void a_part_grows(void **state) {
  struct bench *b = *state;
  bench_open(b);
  assert_int_equal(bench_ask(b, a_part("leg", "p1", 2, true, "n2"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_part("leg", "p1", 2, true, "again"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, a_part("leg", "p1", 1, true, "n1"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, a_part("leg", "p2", 1, true, "other"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_part("leg2", "p1", 1, true, "elsewhere"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_part("leg", "p1", 3, false, "n3"))->status, STORE_DONE);
  assert_string_equal(bench_ask(b, the_leg("leg"))->facts, "P:p1=n3 P:p2=other ");
}

struct listing {
  char text[1024];
};

static void list_row(void *arg, const struct store_call_row *row) {
  struct listing *l = arg;
  size_t length = strlen(l->text);
  snprintf(l->text + length, sizeof l->text - length, "%s %s %s %s %s %lld %g %s\n", row->call_log_id,
           row->status, row->direction, row->from, row->to, (long long)row->initiated_at_ms, row->total_s,
           isnan(row->mos) ? "-" : "mos");
}

static void calllogs_are_replaced_by_revision_and_listed(void **state) {
  struct bench *b = *state;
  bench_open(b);
  assert_int_equal(bench_ask(b, a_calllog("leg1", "CALL_1", 5, true, "five"))->status, STORE_DONE);
  assert_int_equal(bench_ask(b, a_calllog("leg1", "CALL_1", 4, true, "four"))->status, STORE_DUPLICATE);
  assert_int_equal(bench_ask(b, a_calllog("leg1", "CALL_1", 5, false, "five again"))->status, STORE_DONE);
  struct store_request r = a_calllog("leg2", "CALL_2", 1, false, "two");
  r.at_ms += 1000;
  r.status = "busy";
  r.from = NULL;
  r.total_s = NAN;
  r.mos = 4.1;
  bench_ask(b, r);
  struct store_reader *reader;
  struct listing l = {""};
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) fail_msg("%s", b->why);
  assert_int_equal(store_reader_list(reader, list_row, &l), 0);
  assert_string_equal(l.text,
                      "CALL_2 busy outbound  +4930222 1767225601000 nan mos\n"
                      "CALL_1 completed outbound +4930111 +4930222 1767225600000 12.5 -\n");
  char *document = store_reader_get(reader, "CALL_1");
  assert_string_equal(document, "five again");
  free(document);
  assert_null(store_reader_get(reader, "CALL_3"));
  /* The same connection sees what is written later, and the new id of a leg. */
  bench_ask(b, a_calllog("leg1", "CALL_3", 6, false, "six"));
  document = store_reader_get(reader, "CALL_3");
  assert_string_equal(document, "six");
  free(document);
  assert_null(store_reader_get(reader, "CALL_1"));
  store_reader_close(reader);
}

static void note_leg(void *arg, const char *leg) {
  strcat(strcat(arg, leg), " ");
}

static void open_legs(void **state) {
  struct bench *b = *state;
  bench_open(b);
  char legs[256] = "";
  assert_int_equal(store_each_open_leg(b->store, note_leg, legs), 0);
  assert_string_equal(legs, "");
  bench_ask(b, an_event(NULL, "n1", ""));           /* of no leg */
  bench_ask(b, an_event("a-event-only", "e1", "")); /* no CallLog yet */
  bench_ask(b, a_part("b-part", "p", 1, true, ""));
  bench_ask(b, a_calllog("b-part", "C_b", 9, false, "")); /* a part is open, whatever it says */
  bench_ask(b, a_calllog("c-not-complete", "C_c", 1, true, ""));
  bench_ask(b, an_event("d-newer-event", "e2", ""));
  bench_ask(b, a_part("d-newer-event", "p", 3, false, ""));
  bench_ask(b, a_calllog("d-newer-event", "C_d", 3, false, "")); /* 1 event + n 3 are 4 */
  bench_ask(b, an_event("e-complete", "e3", ""));
  bench_ask(b, a_part("e-complete", "p", 3, false, ""));
  bench_ask(b, a_calllog("e-complete", "C_e", 4, false, ""));
  assert_int_equal(store_each_open_leg(b->store, note_leg, legs), 0);
  assert_string_equal(legs, "a-event-only b-part c-not-complete d-newer-event ");
}

static void values_outlive_the_process(void **state) {
  struct bench *b = *state;
  char value[16] = "untouched";
  bench_open(b);
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), -ENOENT);
  assert_string_equal(value, "untouched");
  assert_int_equal(store_put_value(b->store, "agent.id", "first"), 0);
  assert_int_equal(store_put_value(b->store, "agent.id", "edge-1"), 0);
  store_close(b->store);
  bench_open(b);
  assert_int_equal(store_get_value(b->store, "agent.id", value, sizeof value), 0);
  assert_string_equal(value, "edge-1");
  assert_int_equal(store_get_value(b->store, "agent.id", value, 6), -ENOSPC);
  assert_int_equal(store_get_value(b->store, "agent.id", value, 7), 0);
}

static void many_requests_share_few_commits(void **state) {
  struct bench *b = *state;
  struct store_stats stats;
  char id[16];
  bench_open(b);
  bench_hold(b); /* all pile up behind it */
  for (uint64_t i = 1; i <= 2000; i++) {
    snprintf(id, sizeof id, "e%llu", (unsigned long long)i);
    struct store_request r = an_event("leg", id, "body");
    r.ticket = i;
    assert_int_equal(store_submit(b->store, &r), 0);
  }
  store_stats(b->store, &stats);
  assert_int_equal(stats.queued, 2000);
  bench_release(b);
  bench_await(b, 2000);
  for (size_t i = 0; i < 2000; i++) {
    assert_int_equal(b->answers[i].ticket, i + 1);
    assert_int_equal(b->answers[i].status, STORE_DONE);
  }
  store_stats(b->store, &stats);
  assert_int_equal(stats.rows, 2000);
  assert_in_range(stats.commits, 8, 9); /* 256 at a time; the first may have been alone */
  assert_int_equal(stats.fsync_count, stats.commits);
  assert_true(stats.fsync_seconds_sum > 0 && stats.fsync_seconds_last > 0);
  assert_int_equal(stats.queued, 0);
  assert_true(stats.writable);
}

static void a_full_queue_says_so(void **state) {
  struct bench *b = *state;
  assert_int_equal(bench_open_with(b, 8), 0);
  bench_hold(b);
  struct store_request r = a_part("leg", "p", 0, true, "");
  for (r.n = r.ticket = 1; r.n <= 8; r.n++, r.ticket++) assert_int_equal(store_submit(b->store, &r), 0);
  assert_int_equal(store_submit(b->store, &r), -EAGAIN);
  bench_release(b);
  bench_await(b, 8);
  assert_int_equal(store_submit(b->store, &r), 0);
  bench_await(b, 9);
}

static void closing_commits_what_waits(void **state) {
  struct bench *b = *state;
  char id[16];
  bench_open(b);
  for (int i = 0; i < 1000; i++) {
    snprintf(id, sizeof id, "e%d", i);
    struct store_request r = an_event("leg", id, "x"); /* no ticket: no answer */
    assert_int_equal(store_submit(b->store, &r), 0);
  }
  store_close(b->store);
  bench_open(b);
  assert_int_equal(bench_ask(b, the_leg("leg"))->fact_count, 1000);
}

/* What the thread promised, in order. Read once it has ended. */
struct heard {
  int64_t max_quiet_ms[64];
  size_t count;
};

static void hear(void *arg, int64_t max_quiet_ms) {
  struct heard *h = arg;
  if (h->count < sizeof h->max_quiet_ms / sizeof *h->max_quiet_ms) h->max_quiet_ms[h->count++] = max_quiet_ms;
}

static void the_thread_promises_for_a_batch_and_not_while_it_waits(void **state) {
  struct bench *b = *state;
  struct heard heard = {.count = 0};
  const struct store_options options = {
      .directory = b->directory, .wake = bench_wake, .wake_arg = b, .pulse = {.expect = hear, .arg = &heard}};
  assert_int_equal(store_open(&b->store, &options, b->why, sizeof b->why), 0);
  bench_ask(b, an_event("leg", "e1", "x"));
  store_close(b->store);
  b->store = NULL;
  assert_true(heard.count >= 2);
  for (size_t i = 0; i < heard.count; i++) assert_int_equal(heard.max_quiet_ms[i], i % 2 == 0 ? 300000 : 0);
  assert_int_equal(heard.max_quiet_ms[heard.count - 1], 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_repeated_event_is_a_duplicate_also_after_reopening),
      TEST(two_of_the_same_in_one_batch),
      TEST(want_facts_gives_all_of_the_leg),
      TEST(bodies_are_bytes),
      TEST(a_part_grows),
      TEST(calllogs_are_replaced_by_revision_and_listed),
      TEST(open_legs),
      TEST(values_outlive_the_process),
      TEST(many_requests_share_few_commits),
      TEST(a_full_queue_says_so),
      TEST(closing_commits_what_waits),
      TEST(the_thread_promises_for_a_batch_and_not_while_it_waits),
  };
  return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
