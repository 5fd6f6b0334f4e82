/* The table of voice-quality.md 3.6, row by row, and the discontinuity of 3.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsp/timeline.h"

struct row {
  const char *name;
  int media_ms, wall_ms; /* steps to the next frame */
  uint64_t hole;
  struct timeline_step expected; /* in milliseconds */
};

static const struct row rows[] = {
    {"good", 20, 21, 0, {.place_us = 20}},
    {"stall of 80 ms", 20, 100, 0, {.stall_us = 80, .place_us = 20}},
    {"no stall yet", 20, 99, 0, {.place_us = 20}},
    {"stall of 10 s", 20, 10020, 0, {.stall_us = 10000, .place_us = 20}},
    {"pause", 500, 510, 0, {.pause_us = 480, .place_us = 500}},
    {"pause, then a stall", 500, 800, 0, {.pause_us = 480, .place_us = 500}},
    {"clock jump", 500, 20, 0, {.clock_jump = true, .place_us = 20}},
    {"J-G, DTX", 2020, 2020, 0, {.pause_us = 2000, .place_us = 2020}},
    {"J-H, media time alone", 2020, 20, 0, {.clock_jump = true, .discontinuity = true, .place_us = 20}},
    {"back in media time", -2000, 20, 0, {.clock_jump = true, .discontinuity = true, .place_us = 20}},
    {"same media time", 0, 20, 0, {.place_us = 20}},
    {"one lost", 40, 40, 1, {.place_us = 40}},
    {"five lost", 120, 0, 5, {.place_us = 120}},
    {"hundred lost is no stall", 2020, 2020, 100, {.place_us = 2020}},
    {"one lost and a stall", 40, 140, 1, {.stall_us = 100, .place_us = 40}},
    {"one lost and no stall yet", 40, 119, 1, {.place_us = 40}},
    {"one lost and the least stall", 40, 120, 1, {.stall_us = 80, .place_us = 40}},
    {"numbering jump", 20, 20, 70, {.numbering_jump = true, .place_us = 20}},
    {"numbering jump by one", 20, 20, 1, {.numbering_jump = true, .place_us = 20}},
    {"lost and paused", 1020, 1020, 4, {.pause_us = 920, .place_us = 1020}},
};

static void expect_us(const char *name, const char *what, int64_t got, int64_t expected_ms) {
  if (got != expected_ms * 1000)
    fail_msg("%s: %s %d us, expected %d ms", name, what, (int)got, (int)expected_ms);
}

static void table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const struct row *r = &rows[i];
    const struct timeline_point from = {.media_us = 777000, .arrival_us = 123456, .place_us = 5000000};
    struct timeline_step step = timeline_step(&from, from.media_us + r->media_ms * 1000,
                                              from.arrival_us + r->wall_ms * 1000, r->hole, 20000);
    expect_us(r->name, "place", step.place_us - from.place_us, r->expected.place_us);
    expect_us(r->name, "pause", step.pause_us, r->expected.pause_us);
    expect_us(r->name, "stall", step.stall_us, r->expected.stall_us);
    if (step.numbering_jump != r->expected.numbering_jump || step.clock_jump != r->expected.clock_jump ||
        step.discontinuity != r->expected.discontinuity) {
      fail_msg("%s: numbering jump %d, clock jump %d, discontinuity %d", r->name, step.numbering_jump,
               step.clock_jump, step.discontinuity);
    }
  }
}

static void stall_limit_follows_the_frame(void **state) {
  (void)state;
  const struct timeline_point from = {0};
  assert_int_equal(timeline_step(&from, 60000, 179999, 0, 60000).stall_us, 0);
  assert_int_equal(timeline_step(&from, 60000, 180000, 0, 60000).stall_us, 120000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(table),
                                     cmocka_unit_test(stall_limit_follows_the_frame)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
