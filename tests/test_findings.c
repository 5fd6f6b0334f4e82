/* dsp/findings.c: when findings open and close, what their rows keep, what finds no room. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/findings_table.h"

enum { WINDOW_MS = 10000 };

static struct findings f;
static struct finding_facts facts;

static const struct finding_facts *now(void) {
  memset(&facts, 0x5a, sizeof facts);
  findings_facts(&f, &facts);
  return &facts;
}

/* R of windows one after another, from the part's start. */
static void feed_r(const double *r, size_t count) {
  findings_init(&f);
  for (size_t i = 0; i < count; i++) {
    struct finding_values values = finding_values_unknown();
    values.r = r[i];
    values.loss_pct = (double)i;
    findings_window(&f, 0, (int64_t)i * WINDOW_MS, &values);
  }
}
#define FEED_R(...) \
  feed_r((const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void expect_row(uint64_t at, enum finding_kind kind, int track, enum finding_severity severity,
                       int64_t start_ms, int64_t end_ms, double value) {
  now();
  assert_true(at < facts.row_count);
  const struct finding_row *row = &facts.rows[at];
  assert_int_equal(row->kind, kind);
  assert_int_equal(row->track, track);
  assert_int_equal(row->severity, severity);
  assert_int_equal(row->start_ms, start_ms);
  assert_int_equal(row->end_ms, end_ms);
  if (isnan(value))
    assert_true(isnan(row->value));
  else
    assert_true(row->value == value);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void one_window_is_no_finding(void **state) {
  (void)state;
  FEED_R(93, 5, 93, 93, 20, 93);
  assert_int_equal(now()->row_count, 0);
  assert_int_equal(facts.cut, 0);
}

static void two_windows_open_it_from_the_first(void **state) {
  (void)state;
  FEED_R(93, 93, 55, 68, 93);
  assert_int_equal(now()->row_count, 1);
  expect_row(0, FINDING_LOSS, 0, FINDING_MEDIUM, 20000, -1, 68); /* one of the two was not below 60 */
  assert_true(facts.rows[0].detail == 3);
}

static void it_gets_worse_and_never_better(void **state) {
  (void)state;
  FEED_R(68, 68, 52, 40, 65, 69, 93);
  expect_row(0, FINDING_LOSS, 0, FINDING_HIGH, 0, -1, 52);
  assert_true(facts.rows[0].detail == 2);
}

static void it_closes_behind_the_closing_limit(void **state) {
  (void)state;
  FEED_R(50, 50, 72, 74, 75, 74.9, 75, 76, 93);
  assert_int_equal(now()->row_count, 1);
  expect_row(0, FINDING_LOSS, 0, FINDING_HIGH, 0, 60000, 50);
}

static void it_opens_again_as_another_row(void **state) {
  (void)state;
  FEED_R(50, 50, 90, 90, 65, 65, 90, 90);
  assert_int_equal(now()->row_count, 2);
  expect_row(0, FINDING_LOSS, 0, FINDING_HIGH, 0, 20000, 50);
  expect_row(1, FINDING_LOSS, 0, FINDING_MEDIUM, 40000, 60000, 65);
}

static void unknown_windows_are_passed_over(void **state) {
  (void)state;
  FEED_R(NAN, 50, NAN, NAN, 55, NAN, 90, NAN, 90);
  assert_int_equal(now()->row_count, 1);
  expect_row(0, FINDING_LOSS, 0, FINDING_HIGH, 10000, 60000, 55);
}

static void noise_is_level_or_snr(void **state) {
  (void)state;
  static const double snr[] = {18, 17, 30, 30, 30, 30, 30, 30, 9, 8, 30, 30};
  static const double level[] = {-60, -45, -40, -60, -60, -60, -40, -41, -60, -60, -60, -60};
  findings_init(&f);
  for (int i = 0; i < 12; i++) {
    struct finding_values values = finding_values_unknown();
    values.snr_db = snr[i];
    values.noise_dbov = level[i];
    findings_window(&f, 1, i * WINDOW_MS, &values);
  }
  assert_int_equal(now()->row_count, 2);
  /* SNR is over at 20 s; the level, bad from 10 s on, keeps the finding open until 30 s. */
  expect_row(0, FINDING_NOISE, 1, FINDING_MEDIUM, 0, 30000, 18);
  assert_int_equal(facts.rows[0].criterion, 0);
  expect_row(1, FINDING_NOISE, 1, FINDING_HIGH, 60000, 100000, 9); /* opened by the level, made high by SNR */
  assert_int_equal(facts.rows[1].criterion, 0);
}

static void tracks_and_findings_are_apart(void **state) {
  (void)state;
  findings_init(&f);
  for (int i = 0; i < 2; i++) {
    struct finding_values values = finding_values_unknown();
    values.active_level_dbov = -50;
    values.clip_pct = 0.5;
    values.dc = -0.02;
    values.ta_ms = 500;
    values.hum_dbov = -INFINITY;
    values.hum_hz = 60;
    findings_window(&f, i, 0, &values);
    values.active_level_dbov = -10;
    values.hum_dbov = -50;
    findings_window(&f, 1 - i, WINDOW_MS, &values);
  }
  /* Of each track one window at -50 and one at -10: neither held. */
  now();
  unsigned seen[2] = {0, 0};
  for (uint64_t i = 0; i < facts.row_count; i++) seen[facts.rows[i].track] |= 1u << facts.rows[i].kind;
  unsigned both =
      1u << FINDING_CLIPPING | 1u << FINDING_DC_OFFSET | 1u << FINDING_LATENCY | 1u << FINDING_HUM;
  assert_int_equal(seen[0], both);
  assert_int_equal(seen[1], both);
}

static void echo_opens_at_once_and_closes_after_three(void **state) {
  (void)state;
  findings_init(&f);
  static const double erl[] = {INFINITY, 26,       INFINITY, INFINITY, 18.5,
                               INFINITY, INFINITY, INFINITY, INFINITY};
  for (int i = 0; i < 9; i++) findings_value(&f, FINDING_ECHO, 0, i * 5000, erl[i], 40 + i);
  assert_int_equal(now()->row_count, 1);
  expect_row(0, FINDING_ECHO, 0, FINDING_HIGH, 5000, 25000, 18.5);
  assert_true(facts.rows[0].detail == 44);
}

/* ---- states ---------------------------------------------------------------------------------- */

static void a_state_opens_grows_and_closes(void **state) {
  (void)state;
  findings_init(&f);
  findings_open(&f, FINDING_DEAD_AIR, FINDING_BOTH_TRACKS, 5000, 10000, NAN);
  expect_row(0, FINDING_DEAD_AIR, -1, FINDING_MEDIUM, 5000, -1, 10000);
  findings_open(&f, FINDING_DEAD_AIR, FINDING_BOTH_TRACKS, 5000, 17000, NAN);
  findings_close(&f, FINDING_DEAD_AIR, FINDING_BOTH_TRACKS, 22000);
  findings_close(&f, FINDING_DEAD_AIR, FINDING_BOTH_TRACKS, 23000);
  expect_row(0, FINDING_DEAD_AIR, -1, FINDING_MEDIUM, 5000, 22000, 17000);
  findings_open(&f, FINDING_ONE_WAY, 1, 30000, 10000, NAN);
  findings_open(&f, FINDING_CODEC_MISMATCH, 0, 31000, NAN, NAN);
  findings_end(&f);
  expect_row(1, FINDING_ONE_WAY, 1, FINDING_CRITICAL, 30000, -1, 10000); /* the part ended with it */
  expect_row(2, FINDING_CODEC_MISMATCH, 0, FINDING_MEDIUM, 31000, -1, NAN);
}

static void stalls_in_a_row_are_one_finding(void **state) {
  (void)state;
  findings_init(&f);
  findings_span(&f, FINDING_STALL, 0, 1000, 1900, 900, NAN); /* not over 1 s */
  assert_int_equal(now()->row_count, 0);
  findings_span(&f, FINDING_STALL, 0, 10000, 11500, 1500, NAN);
  expect_row(0, FINDING_STALL, 0, FINDING_MEDIUM, 10000, -1, 1500); /* it may go on */
  findings_span(&f, FINDING_STALL, 0, 21500, 25000, 3500, NAN);     /* 10 s later */
  findings_tick(&f, 35000);
  expect_row(0, FINDING_STALL, 0, FINDING_HIGH, 10000, -1, 3500);
  findings_tick(&f, 35001);
  expect_row(0, FINDING_STALL, 0, FINDING_HIGH, 10000, 25000, 3500);
  findings_span(&f, FINDING_STALL, 0, 35001, 36401, 1400, NAN);
  findings_end(&f);
  assert_int_equal(now()->row_count, 2);
  expect_row(1, FINDING_STALL, 0, FINDING_MEDIUM, 35001, 36401, 1400);
}

static void what_was_not_so_is_taken_back(void **state) {
  (void)state;
  findings_init(&f);
  findings_open(&f, FINDING_NO_MEDIA, 0, 1000, 2000, NAN);
  findings_open(&f, FINDING_NO_MEDIA, 1, 1500, 2000, NAN);
  findings_retract(&f, FINDING_NO_MEDIA, 0);
  findings_retract(&f, FINDING_NO_MEDIA, 0);
  assert_int_equal(now()->row_count, 1);
  findings_open(&f, FINDING_NO_MEDIA, 1, 1500, 4000, NAN); /* its row has moved up */
  findings_close(&f, FINDING_NO_MEDIA, 1, 6000);
  expect_row(0, FINDING_NO_MEDIA, 1, FINDING_CRITICAL, 1500, -1, 4000);
  findings_open(&f, FINDING_NO_MEDIA, 1, 9000, 8000, NAN); /* joined */
  findings_retract(&f, FINDING_NO_MEDIA, 1);
  findings_end(&f);
  assert_int_equal(now()->row_count, 1);
  assert_int_equal(facts.cut, 0);
  expect_row(0, FINDING_NO_MEDIA, 1, FINDING_CRITICAL, 1500, 6000, 4000);
}

static void what_finds_no_room_is_counted(void **state) {
  (void)state;
  findings_init(&f);
  for (int i = 0; i < 60; i++)
    findings_span(&f, FINDING_DEAD_AIR, -1, i * 30000, i * 30000 + 12000, 12000, NAN);
  assert_int_equal(now()->row_count, FINDING_ROWS_MEDIUM);
  assert_int_equal(facts.cut, 60 - FINDING_ROWS_MEDIUM);
  for (int i = 0; i < 60; i++)
    findings_span(&f, FINDING_STREAM_OUTAGE, 0, i * 30000, i * 30000 + 5000, 5000, NAN);
  assert_int_equal(now()->row_count, FINDING_ROWS_MAX);
  assert_int_equal(facts.cut, 120 - FINDING_ROWS_MAX);
  findings_open(&f, FINDING_ONE_WAY, 0, 1, 10000, NAN);
  findings_retract(&f, FINDING_ONE_WAY, 0);
  assert_int_equal(now()->cut, 120 - FINDING_ROWS_MAX);
}

static void a_graver_one_gets_a_row_after_all(void **state) {
  (void)state;
  findings_init(&f);
  for (int i = 0; i < FINDING_ROWS_MEDIUM; i++)
    findings_span(&f, FINDING_DEAD_AIR, -1, i * 30000, i * 30000 + 12000, 12000, NAN);
  findings_span(&f, FINDING_STALL, 1, 1000, 2500, 1500, NAN);
  assert_int_equal(now()->row_count, FINDING_ROWS_MEDIUM);
  assert_int_equal(facts.cut, 1);
  findings_span(&f, FINDING_STALL, 1, 3000, 7000, 4000, NAN);
  assert_int_equal(now()->cut, 0);
  expect_row(FINDING_ROWS_MEDIUM, FINDING_STALL, 1, FINDING_HIGH, 1000, -1, 4000);
}

static void rows_of_one_finding_do_not_overlap(void **state) {
  (void)state;
  findings_init(&f);
  findings_span(&f, FINDING_DEAD_AIR, -1, 0, 20000, 20000, NAN);
  findings_span(&f, FINDING_DEAD_AIR, -1, 15000, 30000, 15000, NAN);
  findings_span(&f, FINDING_DEAD_AIR, -1, 12000, 14000, 11000, NAN);
  expect_row(1, FINDING_DEAD_AIR, -1, FINDING_MEDIUM, 20000, 30000, 15000);
  expect_row(2, FINDING_DEAD_AIR, -1, FINDING_MEDIUM, 30000, 30000, 11000);
}

static void a_day_of_call(void **state) {
  (void)state;
  findings_init(&f);
  for (int64_t i = 0; i < 24 * 360; i++) {
    struct finding_values values = finding_values_unknown();
    values.r = i % 6 < 2 ? 50 : 93;
    values.noise_dbov = -30;
    findings_window(&f, 0, i * WINDOW_MS, &values);
    findings_tick(&f, i * WINDOW_MS);
  }
  findings_end(&f);
  assert_int_equal(now()->row_count, FINDING_ROWS_MAX);
  assert_int_equal(facts.row_count + facts.cut, 24 * 60 + 1);
  assert_int_equal(sizeof f < 24 * 1024, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_window_is_no_finding),
      cmocka_unit_test(two_windows_open_it_from_the_first),
      cmocka_unit_test(it_gets_worse_and_never_better),
      cmocka_unit_test(it_closes_behind_the_closing_limit),
      cmocka_unit_test(it_opens_again_as_another_row),
      cmocka_unit_test(unknown_windows_are_passed_over),
      cmocka_unit_test(noise_is_level_or_snr),
      cmocka_unit_test(tracks_and_findings_are_apart),
      cmocka_unit_test(echo_opens_at_once_and_closes_after_three),
      cmocka_unit_test(a_state_opens_grows_and_closes),
      cmocka_unit_test(stalls_in_a_row_are_one_finding),
      cmocka_unit_test(what_was_not_so_is_taken_back),
      cmocka_unit_test(what_finds_no_room_is_counted),
      cmocka_unit_test(a_graver_one_gets_a_row_after_all),
      cmocka_unit_test(rows_of_one_finding_do_not_overlap),
      cmocka_unit_test(a_day_of_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
