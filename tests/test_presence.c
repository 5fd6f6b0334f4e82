/* dsp/presence.c: holes in the media against stalls, one-way audio, dead air, hold. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/presence.h"

enum { NOTES_MAX = 512, FRAME_MS = 20 };

static struct presence p;
static struct presence_note notes[NOTES_MAX];
static int note_count;

static void note(void *arg, const struct presence_note *n) {
  (void)arg;
  assert_true(note_count < NOTES_MAX);
  notes[note_count++] = *n;
}

static void begin(void) {
  note_count = 0;
  presence_init(&p, note, NULL);
}

static void expect_note(int at, enum presence_kind kind, enum presence_change change, int track,
                        int64_t start_ms, int64_t end_ms, int64_t length_ms) {
  assert_true(at < note_count);
  const struct presence_note *n = &notes[at];
  assert_int_equal(n->kind, kind);
  assert_int_equal(n->change, change);
  assert_int_equal(n->track, track);
  assert_int_equal(n->start_ms, start_ms);
  if (change == PRESENCE_ENDED) assert_int_equal(n->end_ms, end_ms);
  if (change != PRESENCE_TAKEN_BACK) assert_int_equal(n->length_ms, length_ms);
}

/* ---- holes ----------------------------------------------------------------------------------- */

/* Frames at their time. */
static void frames(int track, int64_t from_ms, int64_t to_ms) {
  for (int64_t t = from_ms; t < to_ms; t += FRAME_MS) presence_frame(&p, track, t, FRAME_MS, t + 50);
}
static void ticks(int64_t from_ms, int64_t to_ms) {
  for (int64_t t = from_ms; t < to_ms; t += 1000) presence_tick(&p, t);
}

static void a_hole_is_told_while_it_lasts(void **state) {
  (void)state;
  begin();
  frames(0, 0, 5000);
  ticks(5000, 7001);
  assert_int_equal(note_count, 0); /* 7000 - (4980 + 50) = 1970 */
  presence_tick(&p, 8000);
  expect_note(0, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, 0, 5000, 0, 2970);
  presence_tick(&p, 9000);
  expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, 0, 5000, 0, 3970);
  frames(0, 9500, 10500);
  assert_int_equal(note_count, 2); /* its frames may yet come */
  presence_frame(&p, 0, 10500, FRAME_MS, 10551);
  expect_note(2, PRESENCE_NO_MEDIA, PRESENCE_ENDED, 0, 5000, 9500, 4500);
  frames(0, 10520, 12000);
  assert_int_equal(note_count, 3);
}

static void a_stall_is_taken_back(void **state) {
  (void)state;
  begin();
  frames(1, 0, 5000);
  ticks(5000, 9000);
  assert_int_equal(note_count, 1);
  for (int64_t t = 5000; t < 9000; t += FRAME_MS) presence_frame(&p, 1, t, FRAME_MS, 9010);
  expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_TAKEN_BACK, 1, 5000, 0, 0);
  ticks(9000, 11000);
  presence_end(&p, 11000);
  assert_int_equal(note_count, 2);
}

static void frames_that_come_behind_a_later_one_fill_it(void **state) {
  (void)state;
  for (int fill = 0; fill < 2; fill++) {
    begin();
    frames(0, 0, 5000);
    ticks(5000, 9000);
    presence_frame(&p, 0, 9000, FRAME_MS, 9010);
    for (int64_t t = 5000; fill && t < 7000; t += FRAME_MS) presence_frame(&p, 0, t, FRAME_MS, 9015);
    presence_tick(&p, 10011);
    if (fill) {
      assert_int_equal(note_count, 2);
      expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_TAKEN_BACK, 0, 5000, 0, 0);
    } else {
      expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_ENDED, 0, 5000, 9000, 4000);
    }
  }
  begin();
  frames(0, 0, 5000);
  presence_frame(&p, 0, 9000, FRAME_MS, 9010);
  frames(0, 3000, 3100); /* much older ones do not */
  presence_frame(&p, 0, 5000, FRAME_MS, 9011);
  presence_tick(&p, 10011);
  expect_note(0, PRESENCE_NO_MEDIA, PRESENCE_ENDED, 0, 5020, 9000, 3980);
}

static void two_seconds_are_no_hole(void **state) {
  (void)state;
  begin();
  frames(0, 0, 5000);
  frames(0, 7000, 9000);
  frames(0, 11001, 13000);
  presence_end(&p, 13000);
  assert_int_equal(note_count, 1);
  expect_note(0, PRESENCE_NO_MEDIA, PRESENCE_ENDED, 0, 9000, 11001, 2001);
}

static void an_expected_track_that_never_comes(void **state) {
  (void)state;
  begin();
  frames(0, 0, 4000);
  presence_expect(&p, 1, 500);
  presence_expect(&p, 1, 1500);
  presence_tick(&p, 2500);
  assert_int_equal(note_count, 0);
  presence_tick(&p, 2501);
  expect_note(0, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, 1, 500, 0, 2001);
  presence_end(&p, 4000);
  expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, 1, 500, 0, 3500);
}

static void hold_is_no_hole(void **state) {
  (void)state;
  begin();
  presence_hold(&p, 0, true); /* not answered */
  presence_expect(&p, 0, 0);
  presence_expect(&p, 1, 0);
  ticks(0, 20000);
  presence_hold(&p, 20000, false);
  frames(0, 21000, 30000);
  frames(1, 21000, 30000);
  presence_hold(&p, 30000, true);
  ticks(30000, 90000);
  presence_hold(&p, 90000, false);
  frames(0, 91500, 100000);
  presence_tick(&p, 93000); /* track 1 is away since the hold ended */
  expect_note(0, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, 1, 90000, 0, 3000);
  presence_hold(&p, 100000, true);
  expect_note(1, PRESENCE_NO_MEDIA, PRESENCE_ENDED, 1, 90000, 100000, 10000);
  presence_end(&p, 120000);
  assert_int_equal(note_count, 2);
}

/* ---- one-way, dead air ------------------------------------------------------------------------ */

/* [from, to) of a track: frames, decision, level in seconds. */
static void sound(int track, int64_t from_ms, int64_t to_ms, bool speech, double level_dbov) {
  frames(track, from_ms, to_ms);
  presence_speech(&p, track, from_ms, to_ms, speech);
  for (int64_t t = from_ms; t < to_ms; t += 1000)
    presence_level(&p, track, t, t + 1000 < to_ms ? t + 1000 : to_ms, level_dbov);
}

/* Both tracks, in step. */
static void both(int64_t from_ms, int64_t to_ms, bool speech0, double level0, bool speech1, double level1) {
  for (int64_t t = from_ms; t < to_ms; t += 1000) {
    int64_t end = t + 1000 < to_ms ? t + 1000 : to_ms;
    sound(0, t, end, speech0, level0);
    sound(1, t, end, speech1, level1);
  }
}

static void silent_for_ten_seconds_while_the_other_speaks(void **state) {
  (void)state;
  begin();
  sound(0, 0, 9990, false, NAN);
  sound(1, 0, 9990, true, -26);
  assert_int_equal(note_count, 0);
  sound(0, 9990, 14000, false, -60.1);
  sound(1, 9990, 14000, true, -26);
  expect_note(0, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 0, 0, 10000);
  sound(0, 14000, 14990, true, -30);
  sound(1, 14000, 14990, false, -70);
  assert_int_equal(note_count, 1);
  sound(0, 14990, 16000, true, -30);
  sound(1, 14990, 16000, false, -70);
  expect_note(1, PRESENCE_ONE_WAY, PRESENCE_ENDED, 0, 0, 15000, 14000);
  /* It was heard: 30 s from now on. */
  both(16000, 45990, false, NAN, true, -26);
  assert_int_equal(note_count, 2);
  sound(0, 45990, 47000, false, NAN);
  sound(1, 45990, 47000, true, -26);
  expect_note(2, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 16000, 0, 30000);
  presence_end(&p, 47000);
  expect_note(3, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 16000, 0, 31000);
}

static void the_other_must_have_spoken_for_three(void **state) {
  (void)state;
  begin();
  sound(0, 0, 8000, false, NAN);
  sound(1, 0, 8000, false, -50); /* its noise is no activity */
  sound(0, 8000, 10990, false, NAN);
  sound(1, 8000, 10990, true, -26);
  assert_int_equal(note_count, 0);
  sound(0, 10990, 11010, false, NAN);
  sound(1, 10990, 11010, true, -26);
  expect_note(0, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 0, 0, 11000);
}

static void noise_speech_and_unknown_levels_are_not_silent(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    begin();
    for (int64_t t = 0; t < 60000; t += 5000) {
      sound(1, t, t + 5000, true, -26);
      if (kind == 0) sound(0, t, t + 5000, false, -60);
      if (kind == 1) { /* 200 ms of every 5 s */
        sound(0, t, t + 200, true, NAN);
        sound(0, t + 200, t + 5000, false, NAN);
      }
      if (kind == 2) { /* nobody says how loud */
        frames(0, t, t + 5000);
        presence_speech(&p, 0, t, t + 5000, false);
      }
      if (kind == 3) { /* no frames arrive: that is no media, not silence */
        presence_speech(&p, 0, t, t + 5000, false);
        presence_level(&p, 0, t, t + 5000, NAN);
      }
    }
    presence_end(&p, 60000);
    assert_int_equal(note_count, 0);
  }
}

/* Behind 200 ms of it a silence begins anew. */
static void a_second_of_noise_breaks_and_clears(void **state) {
  (void)state;
  begin();
  both(0, 6000, false, NAN, true, -26);
  both(6000, 6200, false, -50, true, -26);
  both(6200, 16190, false, NAN, true, -26);
  assert_int_equal(note_count, 0);
  both(16190, 18000, false, NAN, true, -26);
  expect_note(0, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 6200, 0, 10000);
  both(18000, 19000, false, -60, true, -26);
  expect_note(1, PRESENCE_ONE_WAY, PRESENCE_ENDED, 0, 6200, 19000, 11800);
}

static void dead_air_is_ten_seconds_of_both(void **state) {
  (void)state;
  begin();
  sound(0, 0, 3000, true, -26);
  sound(1, 0, 3000, false, -55);
  sound(0, 3000, 12990, false, -65);
  sound(1, 3000, 12990, false, -65);
  assert_int_equal(note_count, 0);
  sound(1, 12990, 15000, false, -65);
  sound(0, 12990, 15000, false, -65);
  expect_note(0, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 3000, 0, 10000);
  sound(0, 15000, 15500, false, -65);
  sound(1, 15000, 15500, true, -65);
  expect_note(1, PRESENCE_DEAD_AIR, PRESENCE_ENDED, -1, 3000, 15000, 12000);
  sound(0, 15500, 27000, false, -65);
  sound(1, 15500, 27000, false, -65);
  expect_note(2, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 15500, 0, 10000);
  presence_end(&p, 27000);
  expect_note(3, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 15500, 0, 11500);
}

static void one_track_alone_is_no_dead_air(void **state) {
  (void)state;
  begin();
  for (int64_t t = 0; t < 120000; t += 5000) sound(0, t, t + 5000, false, -65);
  presence_end(&p, 120000);
  assert_int_equal(note_count, 0);
  begin();
  presence_expect(&p, 1, 50000); /* from then on it is missed */
  for (int64_t t = 0; t < 120000; t += 5000) sound(0, t, t + 5000, false, -65);
  expect_note(0, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 50000, 0, 10000);
}

static void hold_is_neither(void **state) {
  (void)state;
  begin();
  presence_hold(&p, 4000, true);
  presence_hold(&p, 44000, false);
  for (int64_t t = 0; t < 53000; t += 1000) {
    sound(0, t, t + 1000, false, NAN);
    sound(1, t, t + 1000, t % 2000 == 0 && t > 44000, -26);
  }
  presence_end(&p, 53000);
  assert_int_equal(note_count, 0);
  begin();
  for (int64_t t = 0; t < 20000; t += 1000) {
    if (t == 17000) presence_hold(&p, 17000, true);
    sound(0, t, t + 1000, false, NAN);
    sound(1, t, t + 1000, t < 4000, t < 4000 ? -26 : NAN);
  }
  assert_int_equal(note_count, 4);
  expect_note(0, PRESENCE_ONE_WAY, PRESENCE_BEGAN, 0, 0, 0, 10000);
  expect_note(1, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 4000, 0, 10000);
  expect_note(2, PRESENCE_ONE_WAY, PRESENCE_ENDED, 0, 0, 17000, 17000);
  expect_note(3, PRESENCE_DEAD_AIR, PRESENCE_ENDED, -1, 4000, 17000, 13000);
}

static void a_track_that_lags_is_silent_after_fifteen_seconds(void **state) {
  (void)state;
  begin();
  presence_expect(&p, 1, 0);
  for (int64_t t = 0; t < 24000; t += 1000) sound(0, t, t + 1000, false, -65);
  assert_int_equal(note_count, 0);
  sound(0, 24000, 25000, false, -65);
  expect_note(0, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 0, 0, 10000);
  sound(1, 0, 9000, true, -26); /* too late */
  sound(1, 9000, 12000, true, -26);
  for (int64_t t = 12000; t < 25000; t += 1000) sound(1, t, t + 1000, false, -65);
  expect_note(1, PRESENCE_DEAD_AIR, PRESENCE_ENDED, -1, 0, 10000, 10000);
}

static void a_day_of_call(void **state) {
  (void)state;
  begin();
  int64_t day = 24 * 3600 * 1000LL;
  presence_expect(&p, 0, 0);
  presence_expect(&p, 1, 0);
  presence_speech(&p, 0, 0, day, false); /* one decision, as a detector tells of a long hole */
  presence_speech(&p, 1, 0, day, false);
  expect_note(0, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, -1, 0, 0, 10000);
  sound(0, day, day + 1000, true, -26);
  sound(1, day, day + 1000, true, -26);
  expect_note(note_count - 1, PRESENCE_DEAD_AIR, PRESENCE_ENDED, -1, 0, day, day);
  assert_true(sizeof p < 4096);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hole_is_told_while_it_lasts),
      cmocka_unit_test(a_stall_is_taken_back),
      cmocka_unit_test(frames_that_come_behind_a_later_one_fill_it),
      cmocka_unit_test(two_seconds_are_no_hole),
      cmocka_unit_test(an_expected_track_that_never_comes),
      cmocka_unit_test(hold_is_no_hole),
      cmocka_unit_test(silent_for_ten_seconds_while_the_other_speaks),
      cmocka_unit_test(the_other_must_have_spoken_for_three),
      cmocka_unit_test(noise_speech_and_unknown_levels_are_not_silent),
      cmocka_unit_test(a_second_of_noise_breaks_and_clears),
      cmocka_unit_test(dead_air_is_ten_seconds_of_both),
      cmocka_unit_test(one_track_alone_is_no_dead_air),
      cmocka_unit_test(hold_is_neither),
      cmocka_unit_test(a_track_that_lags_is_silent_after_fifteen_seconds),
      cmocka_unit_test(a_day_of_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
