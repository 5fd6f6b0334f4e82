/* dsp/echo_track.c: levels, who is active, holes short and long, the ring. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/echo_track.h"
#include "tests/talker.h"

enum { RING = 20 * ECHO_HOP, SAMPLES = 400 * ECHO_HOP };

static struct echo_track t;
static int16_t ring[RING], sound[SAMPLES];

static void begin(bool outbound) {
  echo_track_init(&t, outbound, ring, RING);
}

static void square(int16_t amplitude) {
  for (int i = 0; i < SAMPLES; i++) sound[i] = (int16_t)(i / 4 % 2 ? amplitude : -amplitude);
}

static bool usable(int64_t hop) {
  return t.usable[hop % ECHO_LEVELS];
}

static void levels_are_logarithms(void **state) {
  (void)state;
  int silent = 0;
  for (int amplitude = 0; amplitude <= INT16_MAX; amplitude = amplitude * 5 / 4 + 1) {
    square((int16_t)amplitude);
    begin(false);
    echo_track_pcm(&t, 0, sound, 10 * ECHO_HOP);
    if (amplitude == 0) silent = t.level[5];
    double dbov = amplitude > 0 ? 20 * log10(amplitude / 32768.0) : -200;
    double expected = (dbov < -75 ? 0 : dbov + 75) / (10 * log10(2)) * ECHO_LEVEL_OCTAVE;
    if (fabs(t.level[5] - silent - expected) > 6.5)
      fail_msg("%d: %d, %g", amplitude, t.level[5] - silent, expected);
    assert_true(t.frame_energy[5] == (uint64_t)amplitude * (uint64_t)amplitude * 2 * ECHO_HOP);
    assert_true(abs(t.level[5]) <= 1000); /* 400 squares of it fit 32 bits */
  }
}

static void minus_32768_is_taken_as_32767(void **state) {
  (void)state;
  int16_t copy[ECHO_HOP];
  for (int i = 0; i < SAMPLES; i++) sound[i] = i % 3 ? 100 : INT16_MIN;
  begin(false);
  echo_track_pcm(&t, 0, sound, 3 * ECHO_HOP);
  echo_track_copy(&t, ECHO_HOP, copy, ECHO_HOP);
  for (int i = 0; i < ECHO_HOP; i++) assert_int_equal(copy[i], (i + ECHO_HOP) % 3 ? 100 : -INT16_MAX);
}

static void active_after_300_ms_over_pauses_of_200(void **state) {
  (void)state;
  square(1000);
  memset(sound + 50 * ECHO_HOP, 0, 20 * ECHO_HOP * sizeof *sound); /* 200 ms */
  memset(sound + 100 * ECHO_HOP, 0, 22 * ECHO_HOP * sizeof *sound);
  begin(true);
  echo_track_pcm(&t, 0, sound, 200 * ECHO_HOP);
  for (int hop = 0; hop < 200; hop++) {
    /* A level is of 20 ms: the hop behind the sound still has half of it. */
    bool expected = hop >= 30 && (hop < 121 || hop >= 152);
    if (usable(hop) != expected) fail_msg("hop %d", hop);
  }
}

static void quiet_sound_is_not_active(void **state) {
  (void)state;
  square(103); /* -50.05 dBov */
  begin(true);
  echo_track_pcm(&t, 0, sound, 100 * ECHO_HOP);
  assert_false(usable(99));
  square(104);
  begin(true);
  echo_track_pcm(&t, 0, sound, 100 * ECHO_HOP);
  assert_true(usable(99));
}

static void short_holes_keep_the_level(void **state) {
  (void)state;
  square(1000);
  begin(false);
  echo_track_pcm(&t, 0, sound, 20 * ECHO_HOP);
  int level = t.level[19];
  echo_track_pcm(&t, 20 * ECHO_HOP, NULL, 10 * ECHO_HOP);
  echo_track_pcm(&t, 30 * ECHO_HOP, sound, 10 * ECHO_HOP);
  for (int hop = 20; hop < 40; hop++) {
    assert_int_equal(t.level[hop], level);
    assert_int_equal(usable(hop), hop >= 30);
  }
  assert_int_equal(t.since_hop, 0);
  echo_track_pcm(&t, 51 * ECHO_HOP + 1, sound, 10 * ECHO_HOP); /* 110 ms were not told, and a sample */
  assert_int_equal(t.level[49], level);
  assert_true(t.level[50] < level);
  assert_int_equal(t.since_hop, 52);
  assert_false(usable(51));
  assert_true(usable(52));
}

static void a_hole_of_hours_is_one_step(void **state) {
  (void)state;
  square(1000);
  begin(true);
  echo_track_pcm(&t, 0, sound, 100 * ECHO_HOP + 30);
  int64_t day = 24 * 3600 * (int64_t)ECHO_RATE_HZ;
  echo_track_pcm(&t, day + 7, sound, 2 * ECHO_HOP);
  assert_int_equal(t.end, day + 7 + 2 * ECHO_HOP);
  for (int64_t hop = day / ECHO_HOP - ECHO_LEVELS + 2; hop <= day / ECHO_HOP; hop++)
    assert_false(usable(hop));
  assert_int_equal(t.since_hop, day / ECHO_HOP + 1);
}

static void the_ring_has_the_newest(void **state) {
  (void)state;
  uint32_t seed = 3;
  for (int i = 0; i < SAMPLES; i++) sound[i] = (int16_t)talker_noise(&seed, 30000);
  begin(false);
  echo_track_pcm(&t, 0, sound, 5);
  for (int at = 5; at + 400 < SAMPLES;) {
    int samples = talker_noise(&seed, 199) + 200;
    echo_track_pcm(&t, at - 5, sound + at - 5, (size_t)samples + 5); /* five are heard already */
    at += samples;
    assert_int_equal(t.end, at);
    assert_false(echo_track_has(&t, at - 10, at + 1));
    assert_false(echo_track_has(&t, at - RING - 1, at));
    if (at < RING) continue;
    int16_t copy[RING];
    assert_true(echo_track_has(&t, at - RING, at));
    echo_track_copy(&t, at - RING, copy, RING);
    assert_memory_equal(copy, sound + at - RING, sizeof copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_are_logarithms),
      cmocka_unit_test(minus_32768_is_taken_as_32767),
      cmocka_unit_test(active_after_300_ms_over_pauses_of_200),
      cmocka_unit_test(quiet_sound_is_not_active),
      cmocka_unit_test(short_holes_keep_the_level),
      cmocka_unit_test(a_hole_of_hours_is_one_step),
      cmocka_unit_test(the_ring_has_the_newest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
