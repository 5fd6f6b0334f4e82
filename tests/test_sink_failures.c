/* store/sink.c: full disks, ends, lost tails. */
#include "tests/sink_rig.h"

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

static enum sink_result refuse_a1_while(struct place *p, const struct sink_row *row) {
  bool refused = strcmp(row->id, "a1") == 0 && p->left > 0;
  p->left -= refused;
  return refused ? SINK_DEAD : SINK_DONE;
}

/* `sidetone outbox retry`, while it runs: its row lies far below where the runner reads. A busy machine may need more
 * than one attempt to be that quick. */
static void what_somebody_retries_goes_within_2_s(void **state) {
  struct rig *r = *state;
  struct outbox_desk *desk;
  r->place.answer = refuse_a1_while;
  r->place.left = SIZE_MAX;
  put_all(r, (const char *const[]){"a1", "a2", "b1", NULL});
  start(r);
  await_depth(r, 0, 1);
  await_done(r, "a2 b1 ");
  if (outbox_desk_open(&desk, r->b->directory, true, r->b->why, sizeof r->b->why) != 0)
    fail_msg("%s", r->b->why);
  assert_int_equal(outbox_desk_retry(desk, 2), -ENOENT);
  int64_t begin, took_ms, end = now_ms() + DEADLINE_MS;
  do {
    size_t calls = calls_of(&r->place);
    begin = now_ms();
    assert_int_equal(outbox_desk_retry(desk, 1), 1);
    await_calls(r, calls + 1);
    took_ms = now_ms() - begin;
    await_depth(r, 0, 1);
  } while (took_ms >= 2000 && now_ms() < end);
  assert_true(took_ms < 2000);
  pthread_mutex_lock(&r->place.mutex);
  r->place.left = 0;
  pthread_mutex_unlock(&r->place.mutex);
  assert_int_equal(outbox_desk_retry(desk, 1), 1);
  await_done(r, "a2 b1 a1 ");
  await_depth(r, 0, 0);
  outbox_desk_close(desk);
}

/* The driver would tell its server of a cursor that is not true: the rows to go back to are done on disk. */
static void nothing_is_delivered_before_the_way_back_is_on_disk(void **state) {
  struct rig *r = *state;
  signal(SIGXFSZ, SIG_IGN);
  put_all(r, (const char *const[]){"a1", "b1", NULL});
  start(r);
  await_done(r, "a1 b1 ");
  await_depth(r, 0, 0);
  stop(r);
  put(r, "c1");
  limit_files(4096);
  r->place.go_back_to = 1;
  r->place.looks = 0;
  start(r);
  for (int looks = 0; looks < 3; pause_briefly()) {
    pthread_mutex_lock(&r->place.mutex);
    looks = r->place.looks;
    bool quiet = strcmp(r->place.done, "a1 b1 ") == 0;
    pthread_mutex_unlock(&r->place.mutex);
    assert_true(quiet);
  }
  limit_files(RLIM_INFINITY);
  await_done(r, "a1 b1 b1 c1 ");
  await_depth(r, 0, 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_full_disk_does_not_make_it_spin),     TEST(what_was_not_marked_is_repeated_by_the_next_process),
      TEST(it_stops_in_the_middle_of_a_delivery),  TEST(a_lost_tail_goes_again),
      TEST(what_somebody_retries_goes_within_2_s), TEST(nothing_is_delivered_before_the_way_back_is_on_disk),
  };
  return cmocka_run_group_tests_name("sink_failures", tests, NULL, NULL);
}
