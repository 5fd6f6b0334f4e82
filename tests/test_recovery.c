/* dsp/recovery.h against its definition, looked up in a table of all frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "dsp/burst.h"
#include "dsp/recovery.h"

enum { PTIME_US = 20000, FRAMES_MAX = 600, START_US = 20000 };

struct frame {
  bool bad;
  int64_t delay_us; /* P after it */
};

static struct recovery run(const struct frame *frame, size_t count) {
  struct recovery r;
  recovery_init(&r, START_US);
  for (size_t i = 0; i < count; i++) {
    recovery_add(&r, frame[i].bad, 1, (int64_t)i * PTIME_US, PTIME_US, frame[i].delay_us);
  }
  recovery_finish(&r);
  return r;
}

/* `count` frames of a kind behind the others. */
static size_t put(struct frame *frame, size_t at, size_t count, bool bad, int64_t delay_us) {
  for (size_t i = 0; i < count; i++) frame[at + i] = (struct frame){bad, delay_us};
  return at + count;
}

static void no_bad_frame_is_no_burst(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  struct recovery r = run(frame, put(frame, 0, 100, false, START_US));
  assert_int_equal(r.count, 0);
  assert_int_equal(r.waiting_count, 0);
}

static void an_isolated_bad_frame_is_no_burst(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  size_t n = put(frame, 0, 10, false, START_US);
  n = put(frame, n, 1, true, 300000);
  n = put(frame, n, 40, false, 300000);
  n = put(frame, n, 1, true, 300000);
  n = put(frame, n, 40, false, START_US);
  struct recovery r = run(frame, n);
  assert_int_equal(r.count, 0);
  assert_int_equal(r.waiting_count, 0);
}

static void a_burst_that_left_the_delay_alone_takes_nothing(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  size_t n = put(frame, 0, 10, false, START_US);
  n = put(frame, n, 5, true, START_US);
  struct recovery r = run(frame, n); /* at the very end, too */
  assert_int_equal(r.count, 1);
  assert_int_equal(r.max_us, 0);
  r = run(frame, put(frame, n, 40, false, START_US));
  assert_int_equal(r.count, 1);
  assert_int_equal(r.max_us, 0);
}

static void from_the_last_bad_frame_until_the_delay_is_back(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  size_t n = put(frame, 0, 10, false, START_US);
  n = put(frame, n, 1, true, 200000);
  n = put(frame, n, 15, false, START_US); /* back for a while inside the burst: that does not count */
  n = put(frame, n, 1, true, 200000);
  n = put(frame, n, 99, false, 21000);
  struct recovery r = run(frame, n);
  assert_int_equal(r.count, 0);
  assert_int_equal(r.waiting_count, 1);
  r = run(frame, put(frame, n, 1, false, START_US));
  assert_int_equal(r.count, 1);
  assert_int_equal(r.max_us, 100 * PTIME_US);
  assert_int_equal(r.waiting_count, 0);
}

static void bursts_inside_a_recovery_have_their_own(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  size_t n = put(frame, 0, 10, false, START_US);
  n = put(frame, n, 2, true, 100000);
  n = put(frame, n, 20, false, 80000);
  n = put(frame, n, 3, true, 200000);
  n = put(frame, n, 30, false, 150000);
  n = put(frame, n, 50, false, 80000);
  n = put(frame, n, 10, false, START_US);
  struct recovery r = run(frame, n);
  assert_int_equal(r.count, 2);
  assert_int_equal(r.sum_us, (31 + 104) * PTIME_US);
  assert_int_equal(r.max_us, 104 * PTIME_US);
}

static void a_run_of_missing_frames_at_once(void **state) {
  (void)state;
  struct recovery r;
  recovery_init(&r, START_US);
  recovery_add(&r, true, 7, 0, PTIME_US, START_US);
  recovery_add(&r, true, 1, 7 * PTIME_US, PTIME_US, 60000);
  recovery_add(&r, false, 1, 8 * PTIME_US, PTIME_US, START_US);
  recovery_finish(&r);
  assert_int_equal(r.count, 1);
  assert_int_equal(r.max_us, PTIME_US);
}

/* More that wait than are kept: the older ones, which end last, stay. */
static void a_staircase(void **state) {
  (void)state;
  struct frame frame[FRAMES_MAX];
  size_t n = put(frame, 0, 1, false, START_US);
  for (int64_t step = 2; step < 14; step++) {
    n = put(frame, n, 2, true, step * START_US);
    n = put(frame, n, BURST_GMIN, false, step * START_US);
  }
  struct recovery r = run(frame, n);
  assert_int_equal(r.waiting_count, RECOVERY_WAITING_MAX);
  r = run(frame, put(frame, n, 1, false, START_US));
  assert_int_equal(r.count, RECOVERY_WAITING_MAX);
  assert_int_equal(r.max_us, (n - 2) * PTIME_US);
}

/* By the definition: all bursts, and of each the first frame from its last bad one on whose P is back. */
static void look_up(const struct frame *frame, size_t count, uint64_t *found, uint64_t *max_us,
                    size_t *open) {
  *found = *max_us = *open = 0;
  for (size_t first = 0; first < count; first++) {
    if (!frame[first].bad) continue;
    size_t last = first, bad = 1;
    for (size_t i = first + 1; i < count && i - last <= BURST_GMIN; i++) {
      if (!frame[i].bad) continue;
      last = i;
      bad++;
    }
    int64_t before_us = first > 0 ? frame[first - 1].delay_us : START_US;
    size_t end = last;
    while (end < count && frame[end].delay_us > before_us) end++;
    if (bad >= 2 && end < count) {
      (*found)++;
      if ((end - last) * PTIME_US > *max_us) *max_us = (end - last) * PTIME_US;
    } else if (bad >= 2) {
      (*open)++;
    }
    first = last;
  }
}

/* Five levels of P: never more bursts wait than are kept. */
static void random_frames(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  for (int round = 0; round < 2000; round++) {
    struct frame frame[FRAMES_MAX];
    unsigned x = seed + (unsigned)round;
    size_t count = (size_t)rand_r(&x) % FRAMES_MAX;
    int level = 0;
    int bad_pct = rand_r(&x) % 30, change_pct = rand_r(&x) % 40;
    for (size_t i = 0; i < count; i++) {
      bool bad = rand_r(&x) % 100 < bad_pct;
      if (rand_r(&x) % 100 < change_pct) level = bad ? rand_r(&x) % 5 : level > 0 ? level - 1 : 0;
      frame[i] = (struct frame){bad, (level + 1) * (int64_t)START_US};
    }
    uint64_t found, max_us;
    size_t open;
    look_up(frame, count, &found, &max_us, &open);
    struct recovery r = run(frame, count);
    if (r.count != found || r.max_us != max_us || r.waiting_count != open)
      fail_msg("seed %u: %llu recoveries, longest %llu us, %zu open; expected %llu, %llu, %zu",
               seed + (unsigned)round, (unsigned long long)r.count, (unsigned long long)r.max_us,
               r.waiting_count, (unsigned long long)found, (unsigned long long)max_us, open);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_bad_frame_is_no_burst),
      cmocka_unit_test(an_isolated_bad_frame_is_no_burst),
      cmocka_unit_test(a_burst_that_left_the_delay_alone_takes_nothing),
      cmocka_unit_test(from_the_last_bad_frame_until_the_delay_is_back),
      cmocka_unit_test(bursts_inside_a_recovery_have_their_own),
      cmocka_unit_test(a_run_of_missing_frames_at_once),
      cmocka_unit_test(a_staircase),
      cmocka_unit_test(random_frames),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
