/* dsp/echo.c on made sound: voice-quality.md 7.7's echo and no echo, lags and losses over their whole range,
 * inverted, with DC, holes, bursts, a track that never comes, a day of call. Speech: test_echo_speech.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/echo.h"
#include "tests/talker.h"

enum { SAMPLES = 20 * 8000, FRAME = 160, VERDICTS_MAX = 64 };

static struct echo *e;
static int16_t far[SAMPLES], near[SAMPLES];
static struct echo_verdict verdict[VERDICTS_MAX];
static int verdicts;

static int setup(void **state) {
  (void)state;
  e = malloc(echo_bytes());
  return e ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  free(e);
  return 0;
}

static void note(void *arg, const struct echo_verdict *v) {
  (void)arg;
  assert_true(verdicts < VERDICTS_MAX);
  assert_true(v->start_ms < v->end_ms);
  if (verdicts > 0) assert_true(v->start_ms >= verdict[verdicts - 1].end_ms);
  verdict[verdicts++] = *v;
}

static void begin(void) {
  verdicts = 0;
  echo_init(e, note, NULL);
}

static void noise(int16_t *pcm, int32_t amplitude, uint32_t seed) {
  for (int i = 0; i < SAMPLES; i++) pcm[i] = (int16_t)talker_noise(&seed, amplitude);
}

/* near = far, later and scaled; far goes round, so that its parts may follow each other. */
static void copy_far(int lag, double gain) {
  for (int i = 0; i < SAMPLES; i++) near[i] = (int16_t)lrint(far[(i - lag + SAMPLES) % SAMPLES] * gain);
}

static void feed(int16_t *inbound, int16_t *outbound) {
  begin();
  for (int i = 0; i < SAMPLES; i += FRAME) {
    echo_pcm(e, 0, i, inbound + i, FRAME);
    echo_pcm(e, 1, i, outbound + i, FRAME);
  }
}

static void expect_echo(double delay_ms, double erl_db, double tolerance_db) {
  assert_true(verdicts >= 2);
  for (int i = 0; i < verdicts; i++) {
    if (!verdict[i].found) fail_msg("lag %g, ERL %g: none", delay_ms, erl_db);
    if (fabs(verdict[i].delay_ms - delay_ms) > 0.01) fail_msg("%g ms for %g", verdict[i].delay_ms, delay_ms);
    if (fabs(verdict[i].erl_db - erl_db) > tolerance_db) fail_msg("%g dB for %g", verdict[i].erl_db, erl_db);
  }
}

static void expect_none(void) {
  assert_true(verdicts >= 2);
  for (int i = 0; i < verdicts; i++) assert_false(verdict[i].found);
}

static void white_noise_40_ms_20_db(void **state) {
  (void)state;
  noise(far, 8000, 1);
  copy_far(320, 0.1);
  feed(near, far);
  expect_echo(40, 20, 0.05);
  assert_int_equal(verdict[0].start_ms, 1500); /* what may have been sent so long ago is known */
  assert_int_equal(verdict[0].end_ms, 1500 + 4000 + 3000);
  struct echo_facts facts;
  double delay_ms, erl_db;
  echo_facts(e, &facts);
  assert_true(echo_figures(&facts, &delay_ms, &erl_db));
  assert_true(delay_ms == 40 && fabs(erl_db - 20) < 0.05);
  assert_int_equal(facts.found, verdicts);
}

static void independent_noise_is_none(void **state) {
  (void)state;
  noise(far, 8000, 1);
  noise(near, 800, 2);
  feed(near, far);
  expect_none();
  struct echo_facts facts;
  double delay_ms, erl_db;
  echo_facts(e, &facts);
  assert_false(echo_figures(&facts, &delay_ms, &erl_db));
  assert_int_equal(facts.verdicts, verdicts);
}

static void every_lag_and_loss(void **state) {
  (void)state;
  noise(far, 16000, 3);
  static const int lags[] = {0, 1, 7, 80, 333, 1600, 4003, 8040, 11960, 12000};
  for (size_t i = 0; i < sizeof lags / sizeof *lags; i++)
    for (double erl_db = 7; erl_db <= 40; erl_db += 11) {
      copy_far(lags[i], pow(10, -erl_db / 20));
      feed(near, far);
      expect_echo(lags[i] / 8.0, erl_db, 0.2);
    }
}

/* How loud the syllables of 50 ms are. */
static double syllable(int i) {
  uint32_t x = (uint32_t)(i / 400) * 2654435761u;
  return 0.3 + 0.7 * (double)(x >> 16) / 65536;
}

/* Noise in syllables; what comes back is its echo and as much else, in the same syllables, as rho^2 says. */
static void syllables(double rho2) {
  uint32_t a = 21, b = 22;
  double gain = 0.05, other = gain * sqrt(1 / rho2 - 1);
  for (int i = 0; i < SAMPLES; i++) far[i] = (int16_t)(talker_noise(&a, 12000) * syllable(i));
  for (int i = 0; i < SAMPLES; i++) {
    int at = (i - 960 + SAMPLES) % SAMPLES;
    near[i] = (int16_t)lrint(far[at] * gain + talker_noise(&b, 30000) * 0.4 * syllable(at) * other);
  }
}

static void a_tenth_of_the_sound_must_be_ours(void **state) {
  (void)state;
  syllables(0.125);
  feed(near, far);
  expect_echo(120, 20 * log10(20), 1);
  syllables(0.08);
  feed(near, far);
  expect_none();
}

/* The same syllables, so that the envelopes stay alike, of a sound whose lag jumps every second. */
static void a_lag_that_jumps_is_none(void **state) {
  (void)state;
  for (int jump = 72; jump <= 88; jump += 16) { /* samples: 9 and 11 ms */
    syllables(0.5);
    for (int i = 0; i < SAMPLES; i++) {
      int lag = 960 + (i + 4000) / 8000 % 2 * jump; /* as the blocks begin */
      near[i] = (int16_t)(far[(i - lag + SAMPLES) % SAMPLES] / 10);
    }
    feed(near, far);
    assert_true(verdicts >= 2);
    for (int i = 0; i < verdicts; i++) assert_int_equal(verdict[i].found, jump < 80);
  }
}

static void beyond_the_longest_lag_is_none(void **state) {
  (void)state;
  noise(far, 16000, 3);
  copy_far(12000 + 30 * 8 + 81, 0.1);
  feed(near, far);
  expect_none();
}

static void tracks_may_be_misplaced_by_30_ms(void **state) {
  (void)state;
  noise(far, 16000, 4);
  for (int i = 0; i < SAMPLES; i++) near[i] = (int16_t)(i + 200 < SAMPLES ? far[i + 200] / 10 : 0);
  feed(near, far);
  assert_true(verdicts >= 2 && verdict[0].found);
  assert_true(verdict[0].delay_ms == 0);
}

static void an_inverted_echo_is_one(void **state) {
  (void)state;
  noise(far, 16000, 5);
  copy_far(500, -0.2);
  feed(near, far);
  expect_echo(62.5, -20 * log10(0.2), 0.05);
}

static void dc_and_louder_sound_are_none(void **state) {
  (void)state;
  noise(far, 8000, 6);
  noise(near, 600, 7);
  for (int i = 0; i < SAMPLES; i++) {
    far[i] = (int16_t)(far[i] + 3000);
    near[i] = (int16_t)(near[i] + 2000);
  }
  feed(near, far);
  expect_none();
  copy_far(320, 0.6); /* 4.4 dB: not 6 dB below */
  feed(near, far);
  assert_int_equal(verdicts, 0);
}

static void nothing_is_looked_at_while_outbound_is_silent(void **state) {
  (void)state;
  noise(far, 100, 8); /* -55 dBov */
  copy_far(320, 0.1);
  feed(near, far);
  assert_int_equal(verdicts, 0);
  noise(far, 8000, 8);
  for (int i = 0; i < SAMPLES; i++)
    if (i % 8000 > 2200) far[i] = 0; /* bursts of 275 ms, and the hangover, but 500 ms of pause */
  for (int i = 0; i < SAMPLES; i++)
    if (i % 8000 > 2200 && i % 8000 < 4000) near[i] = 0;
  feed(near, far);
  struct echo_facts facts;
  echo_facts(e, &facts);
  assert_int_equal(facts.found, 0);
}

/* Frames of one track in bursts, one track ahead of the other by up to 300 ms: the same verdicts. */
static void cutting_changes_nothing(void **state) {
  (void)state;
  noise(far, 8000, 9);
  copy_far(3000, 0.1);
  for (int i = 60000; i < 80000; i++) near[i] = (int16_t)(i * 37);
  feed(near, far);
  struct echo_verdict whole[VERDICTS_MAX];
  int count = verdicts;
  memcpy(whole, verdict, sizeof whole);
  for (uint32_t seed = 1; seed <= 20; seed++) {
    uint32_t x = seed;
    int at[2] = {0, 0};
    begin();
    while (at[0] < SAMPLES || at[1] < SAMPLES) {
      int t = talker_noise(&x, 100) > 0;
      if (at[t] >= SAMPLES || at[t] > at[1 - t] + 2400) t = 1 - t;
      int samples = talker_noise(&x, 400) + 401;
      if (samples > SAMPLES - at[t]) samples = SAMPLES - at[t];
      if (samples == 0) continue;
      echo_pcm(e, t, at[t], (t ? far : near) + at[t], (size_t)samples);
      at[t] += samples;
    }
    if (verdicts != count) fail_msg("seed %u: %d verdicts, %d verdicts", seed, count, verdicts);
    for (int i = 0; i < count; i++)
      if (memcmp(&whole[i], &verdict[i], sizeof whole[i]) != 0) fail_msg("seed %u: verdict %d", seed, i);
  }
}

static void holes_are_left_out(void **state) {
  (void)state;
  noise(far, 8000, 10);
  copy_far(800, 0.1);
  begin();
  for (int i = 0; i < SAMPLES; i += FRAME) {
    bool lost = i / FRAME % 25 == 3;
    echo_pcm(e, 0, i, lost ? NULL : near + i, FRAME);
    if (i / FRAME % 40 != 7) echo_pcm(e, 1, i, far + i, FRAME); /* told by the next one's position */
  }
  expect_echo(100, 20, 0.5);
}

/* Inbound comes 1 s behind: long lags are out of the ring's reach, short ones are not. */
static void what_is_out_of_reach_is_left_out(void **state) {
  (void)state;
  noise(far, 8000, 13);
  for (int lag = 1600; lag <= 11960; lag += 10360) {
    copy_far(lag, 0.1);
    begin();
    for (int i = 0; i < SAMPLES; i += FRAME) {
      echo_pcm(e, 1, i, far + i, FRAME);
      if (i >= 8000) echo_pcm(e, 0, i - 8000, near + i - 8000, FRAME);
    }
    if (lag == 1600)
      expect_echo(200, 20, 0.05);
    else
      assert_int_equal(verdicts, 0);
  }
}

static void a_track_that_never_comes(void **state) {
  (void)state;
  noise(far, 8000, 11);
  copy_far(320, 0.1);
  for (int t = 0; t < 2; t++) {
    begin();
    for (int i = 0; i < SAMPLES; i += FRAME) echo_pcm(e, t, i, (t ? far : near) + i, FRAME);
    assert_int_equal(verdicts, 0);
  }
  /* Outbound comes after all, 20 s late: what lies behind is gone, what follows is looked at. */
  for (int i = 0; i < SAMPLES; i += FRAME) {
    echo_pcm(e, 0, SAMPLES + i, near + i, FRAME);
    echo_pcm(e, 1, SAMPLES + i, far + i, FRAME);
  }
  expect_echo(40, 20, 0.05);
}

static void the_loudest_there_is(void **state) {
  (void)state;
  uint32_t seed = 14; /* an envelope that never moves would be found at no lag */
  for (int i = 0; i < SAMPLES; i++)
    far[i] = (int16_t)((talker_noise(&seed, 100) > 0 ? INT16_MAX : INT16_MIN) * (i / 800 % 7 == 3 ? 0.3 : 1));
  copy_far(4000, 0.5);
  feed(near, far);
  expect_echo(500, 20 * log10(2), 0.01);
}

/* Pieces, holes and repeats at any position: verdicts in order, nothing else is promised. */
static void whatever_comes(void **state) {
  (void)state;
  noise(far, 20000, 15);
  noise(near, 500, 16);
  int64_t at = 0;
  uint32_t x = 17;
  begin();
  for (int i = 0; i < 20000 && verdicts < VERDICTS_MAX / 2; i++) {
    int track = talker_noise(&x, 100) > 0, samples = talker_noise(&x, 300) + 300,
        kind = talker_noise(&x, 500);
    if (kind > 499) at += 1000000;
    if (kind < -499) at -= at / 2;
    int64_t position = at + talker_noise(&x, 300);
    echo_pcm(e, track, position, kind > 450 ? NULL : (track ? far : near) + i, (size_t)samples);
    if (track) at += samples;
  }
  struct echo_facts facts;
  echo_facts(e, &facts);
  assert_true(verdicts > 0 && facts.verdicts == (uint64_t)verdicts);
}

static void a_day_of_call(void **state) {
  (void)state;
  noise(far, 8000, 12);
  copy_far(320, 0.1);
  begin();
  int64_t day = 24 * 3600 * (int64_t)ECHO_RATE_HZ;
  echo_pcm(e, 0, 0, NULL, (size_t)day);
  echo_pcm(e, 1, 0, far, FRAME);
  for (int i = 0; i < SAMPLES; i += FRAME) { /* old ones are heard already */
    echo_pcm(e, 0, day + 80 + i, near + i, FRAME);
    echo_pcm(e, 1, day + 80 + i, far + i, FRAME);
    echo_pcm(e, 1, i, near + i, FRAME);
  }
  expect_echo(40, 20, 0.05);
  assert_true(verdict[0].start_ms > 24 * 3600 * 1000);
}

static void facts_of_parts_are_added(void **state) {
  (void)state;
  struct echo_facts sum = {0}, none = {.verdicts = 3};
  struct echo_facts one = {.verdicts = 2, .found = 1, .delay_sum_ms = 40, .erl_sum_db = 20, .erl_min_db = 20};
  struct echo_facts two = {
      .verdicts = 4, .found = 2, .delay_sum_ms = 120, .erl_sum_db = 50, .erl_min_db = 15};
  echo_facts_merge(&sum, &none);
  echo_facts_merge(&sum, &one);
  echo_facts_merge(&sum, &none);
  assert_true(sum.erl_min_db == 20);
  echo_facts_merge(&sum, &two);
  double delay_ms, erl_db;
  assert_true(echo_figures(&sum, &delay_ms, &erl_db));
  assert_true(sum.verdicts == 12 && sum.found == 3 && sum.erl_min_db == 15);
  assert_true(fabs(delay_ms - 160.0 / 3) < 1e-9 && fabs(erl_db - 70.0 / 3) < 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(white_noise_40_ms_20_db),
      cmocka_unit_test(independent_noise_is_none),
      cmocka_unit_test(every_lag_and_loss),
      cmocka_unit_test(a_tenth_of_the_sound_must_be_ours),
      cmocka_unit_test(a_lag_that_jumps_is_none),
      cmocka_unit_test(beyond_the_longest_lag_is_none),
      cmocka_unit_test(tracks_may_be_misplaced_by_30_ms),
      cmocka_unit_test(an_inverted_echo_is_one),
      cmocka_unit_test(dc_and_louder_sound_are_none),
      cmocka_unit_test(nothing_is_looked_at_while_outbound_is_silent),
      cmocka_unit_test(cutting_changes_nothing),
      cmocka_unit_test(holes_are_left_out),
      cmocka_unit_test(what_is_out_of_reach_is_left_out),
      cmocka_unit_test(a_track_that_never_comes),
      cmocka_unit_test(the_loudest_there_is),
      cmocka_unit_test(whatever_comes),
      cmocka_unit_test(a_day_of_call),
      cmocka_unit_test(facts_of_parts_are_added),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
