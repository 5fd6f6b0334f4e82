/* agent/diagnosis.c: what is fed to the meters becomes findings, each with its name, its limits' severity and
 * its time. */
#include "agent/diagnosis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/tones.h"

enum { RATE = 8000, FRAME = 160, FRAME_MS = 20, MINUTE = 60 * RATE };

static int16_t sound[2][3 * MINUTE];

struct rig {
  struct diagnosis *d;
  int64_t now_ms;
  size_t silences[2];
  int64_t silence_start_us, silence_end_us; /* of the newest */
};

static void on_silence(void *arg, int track, int64_t start_us, int64_t end_us) {
  struct rig *r = arg;
  r->silences[track]++;
  r->silence_start_us = start_us;
  r->silence_end_us = end_us;
}

static struct rig begin(void) {
  struct rig r = {0};
  memset(sound, 0, sizeof sound);
  return r;
}

static void start(struct rig *r) {
  r->d = diagnosis_create(on_silence, r);
  assert_non_null(r->d);
  for (int t = 0; t < 2; t++) {
    diagnosis_origin(r->d, t, 0);
    diagnosis_begin(r->d, t, RATE, 20, 32767, 0);
  }
}

/* Is there anything to be heard in these 20 ms? The detector's part, without a detector. */
static bool speaks(const int16_t *pcm) {
  for (int i = 0; i < FRAME; i++)
    if (pcm[i] > 200 || pcm[i] < -200) return true;
  return false;
}

/* Both tracks up to there; a track of `tracks` (bits) that is not in gets nothing. */
static void play(struct rig *r, int64_t until_ms, unsigned tracks) {
  for (; r->now_ms < until_ms; r->now_ms += FRAME_MS) {
    for (int t = 0; t < 2; t++) {
      if ((tracks >> t & 1) == 0) continue;
      int64_t position = r->now_ms * (RATE / 1000);
      const int16_t *pcm = sound[t] + position;
      diagnosis_frame(r->d, t, r->now_ms, FRAME_MS, r->now_ms, 0);
      diagnosis_pcm(r->d, t, position, pcm, FRAME);
      diagnosis_speech(r->d, t, r->now_ms, r->now_ms + FRAME_MS, speaks(pcm));
    }
    if (r->now_ms % 1000 == 0) diagnosis_tick(r->d, r->now_ms);
  }
}

enum { ANY = FINDING_KINDS };

/* Of one kind, or ANY. "echo 0 medium 1000-2000; …": finding, track, severity, start and end in s (open:
 * none), as the words begin. */
static void expect_of(const struct rig *r, unsigned kind, const char *expected) {
  struct finding_facts f;
  char got[1024] = "";
  diagnosis_findings(r->d, &f);
  for (size_t i = 0; i < f.row_count; i++) {
    const struct finding_row *row = &f.rows[i];
    size_t at = strlen(got);
    if (kind != ANY && row->kind != kind) continue;
    at += (size_t)snprintf(
        got + at, sizeof got - at, "%s%s %d %s %.0f-", at > 0 ? "; " : "", finding_name(row), (int)row->track,
        finding_severity_name((enum finding_severity)row->severity), (double)row->start_ms / 1e3);
    if (row->end_ms >= 0) snprintf(got + at, sizeof got - at, "%.0f", (double)row->end_ms / 1e3);
  }
  assert_string_equal(got, expected);
}

static void expect(const struct rig *r, const char *expected) {
  expect_of(r, ANY, expected);
}

static void finish(struct rig *r) {
  diagnosis_end(r->d, r->now_ms);
}

static uint64_t heard_ms(const struct rig *r, int track) {
  struct signal_facts facts;
  diagnosis_signal(r->d, track, &facts);
  return facts.measured_us / 1000;
}

static void release(struct rig *r) {
  diagnosis_free(r->d);
}

/* Three seconds of something, one and a half of a room, without the gaps of tests/talker.h. */
static void talk(int t, uint64_t seed) {
  for (int at = 0; at < MINUTE; at += RATE / 2) {
    bool on = at / (RATE / 2) % 9 >= 3;
    mix_noise(sound[t], (size_t)at, (size_t)(at + RATE / 2), on ? 0.05 : 0.0003, seed + (uint64_t)at);
  }
}

static void talkers(void) {
  talk(0, 1);
  talk(1, 2);
}

static void a_good_call_has_none(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  start(&r);
  play(&r, 60000, 3);
  finish(&r);
  expect(&r, "");
  assert_int_equal(heard_ms(&r, 0), 60000);
  assert_int_equal(heard_ms(&r, 1), 60000);
  release(&r);
}

/* 20 s of a clipped talker: from the first of those windows to the first good one. */
static void clipping_opens_and_closes(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  for (int k = 20 * RATE; k < 40 * RATE; k++) {
    int x = sound[0][k] * 40;
    sound[0][k] = (int16_t)(x > 32767 ? 32767 : x < -32767 ? -32767 : x);
  }
  start(&r);
  play(&r, 60000, 3);
  finish(&r);
  struct finding_facts f;
  diagnosis_findings(r.d, &f);
  bool found = false;
  for (size_t i = 0; i < f.row_count; i++) {
    if (f.rows[i].kind != FINDING_CLIPPING) continue;
    found = true;
    assert_int_equal(f.rows[i].track, 0);
    assert_int_equal(f.rows[i].severity, FINDING_HIGH);
    assert_int_equal(f.rows[i].start_ms, 20000);
    assert_int_equal(f.rows[i].end_ms, 40000);
    assert_true(f.rows[i].value > 1);
  }
  assert_true(found);
  release(&r);
}

static void a_quiet_talker_is_level_low_a_listener_is_not(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  double quiet = 0.2; /* 14 dB */
  for (int k = 0; k < MINUTE; k++) sound[0][k] = (int16_t)(sound[0][k] * quiet);
  memset(sound[1], 0, sizeof sound[1]);
  for (int k = 0; k < MINUTE; k++) sound[1][k] = (int16_t)(k % 37 - 18); /* only a room */
  mix_noise(sound[1], 0, 12 * RATE, 0.05, 2);
  start(&r);
  play(&r, 60000, 3);
  finish(&r);
  struct finding_facts f;
  diagnosis_findings(r.d, &f);
  size_t low[2] = {0, 0};
  for (size_t i = 0; i < f.row_count; i++) low[f.rows[i].track == 1] += f.rows[i].kind == FINDING_LEVEL_LOW;
  assert_int_equal(low[0], 1);
  assert_int_equal(low[1], 0);
  release(&r);
}

/* Loud, and nobody speaks: a beat four times a second, which the detector hears as none. */
static void hold_music_is_no_noise(void **state) {
  (void)state;
  struct rig r = begin();
  talk(1, 2);
  for (int k = 0; k < MINUTE; k++) {
    double t = (double)k / RATE;
    sound[0][k] = (int16_t)(6000 * (1 + 0.8 * sin(2 * M_PI * 4 * t)) * sin(2 * M_PI * 660 * t));
  }
  start(&r);
  for (; r.now_ms < 60000; r.now_ms += FRAME_MS)
    for (int t = 0; t < 2; t++) {
      int64_t position = r.now_ms * (RATE / 1000);
      diagnosis_frame(r.d, t, r.now_ms, FRAME_MS, r.now_ms, 0);
      diagnosis_pcm(r.d, t, position, sound[t] + position, FRAME);
      diagnosis_speech(r.d, t, r.now_ms, r.now_ms + FRAME_MS, t == 1 && speaks(sound[1] + position));
    }
  finish(&r);
  assert_int_equal(heard_ms(&r, 0), 60000);
  expect_of(&r, FINDING_NOISE, "");
  release(&r);
}

/* 40 ms, 20 dB below: the finding and the figure. */
static void an_echo_of_ours(void **state) {
  (void)state;
  struct rig r = begin();
  talk(1, 2);
  for (int k = 320; k < MINUTE; k++) sound[0][k] = (int16_t)(sound[1][k - 320] / 5);
  start(&r);
  play(&r, 60000, 3);
  finish(&r);
  struct finding_facts f;
  struct echo_facts echo;
  double delay_ms, erl_db;
  diagnosis_findings(r.d, &f);
  diagnosis_echo(r.d, &echo);
  assert_true(echo_figures(&echo, &delay_ms, &erl_db));
  assert_true(delay_ms > 38 && delay_ms < 42);
  assert_true(erl_db > 13 && erl_db < 15);
  size_t rows = 0;
  for (size_t i = 0; i < f.row_count; i++) {
    if (f.rows[i].kind != FINDING_ECHO) continue;
    rows++;
    assert_int_equal(f.rows[i].track, 0);
    assert_int_equal(f.rows[i].severity, FINDING_HIGH);
    assert_int_equal(f.rows[i].end_ms, -1); /* it lasts to the end */
  }
  assert_int_equal(rows, 1);
  release(&r);
}

/* Looked at for a minute, and found to be something else. */
static void other_sound_while_we_talk_is_no_echo(void **state) {
  (void)state;
  struct rig r = begin();
  struct echo_facts echo;
  talk(1, 2);
  mix_noise(sound[0], 0, MINUTE, 0.005, 77);
  start(&r);
  play(&r, 60000, 3);
  finish(&r);
  diagnosis_echo(r.d, &echo);
  assert_true(echo.verdicts > 0);
  expect_of(&r, FINDING_ECHO, "");
  release(&r);
}

static void one_way_audio(void **state) {
  (void)state;
  struct rig r = begin();
  talk(0, 1);
  start(&r);
  play(&r, 50000, 3);
  finish(&r);
  struct finding_facts f;
  diagnosis_findings(r.d, &f);
  assert_int_equal(f.row_count, 1);
  assert_int_equal(f.rows[0].kind, FINDING_ONE_WAY);
  assert_int_equal(f.rows[0].track, 1);
  assert_int_equal(f.rows[0].severity, FINDING_CRITICAL);
  assert_true(f.rows[0].end_ms < 0);
  assert_true(f.rows[0].value >= 40000);
  release(&r);
}

static void dead_air_but_not_on_hold(void **state) {
  (void)state;
  for (int held = 0; held < 2; held++) {
    struct rig r = begin();
    talkers();
    for (int t = 0; t < 2; t++) memset(sound[t] + 20 * RATE, 0, 20 * RATE * sizeof *sound[t]);
    start(&r);
    play(&r, 20000, 3);
    if (held) diagnosis_hold(r.d, 20000, true);
    play(&r, 40000, 3);
    if (held) diagnosis_hold(r.d, 40000, false);
    play(&r, 60000, 3);
    finish(&r);
    struct finding_facts f;
    diagnosis_findings(r.d, &f);
    size_t airs = 0;
    for (size_t i = 0; i < f.row_count; i++)
      if (f.rows[i].kind == FINDING_DEAD_AIR) {
        airs++;
        assert_int_equal(f.rows[i].track, -1);
        assert_true(f.rows[i].start_ms > 18000 && f.rows[i].start_ms < 21000);
        assert_true(f.rows[i].end_ms > 39000 && f.rows[i].end_ms < 43000);
      }
    assert_int_equal(airs, !held);
    release(&r);
  }
}

static void a_hole_is_no_media_while_it_lasts(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  start(&r);
  play(&r, 20000, 3);
  play(&r, 25000, 2); /* inbound is silent as to frames */
  expect(&r, "no media 0 critical 20-");
  play(&r, 45000, 3);
  finish(&r);
  expect(&r, "no media 0 critical 20-25");
  release(&r);
}

/* The frames of a hole come after all: a stall, then. */
static void a_hole_that_fills_is_taken_back(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  start(&r);
  play(&r, 20000, 3);
  play(&r, 22500, 2);
  expect_of(&r, FINDING_NO_MEDIA, "no media 0 critical 20-");
  for (int64_t ms = 20000; ms < 22500; ms += FRAME_MS)
    diagnosis_frame(r.d, 0, ms, FRAME_MS, 22500, ms == 20000 ? 2500 : 0);
  play(&r, 45000, 3);
  finish(&r);
  expect_of(&r, FINDING_NO_MEDIA, "");
  expect_of(&r, FINDING_STALL, "stall 0 medium 20-22");
  release(&r);
}

static void stalls_are_spans_and_near_ones_one_finding(void **state) {
  (void)state;
  struct rig r = begin();
  talkers();
  start(&r);
  play(&r, 10000, 3);
  diagnosis_frame(r.d, 0, 10000, FRAME_MS, 10900, 900); /* not over 1 s */
  diagnosis_frame(r.d, 0, 11000, FRAME_MS, 12000, 1200);
  diagnosis_frame(r.d, 0, 15000, FRAME_MS, 16500, 3500);
  diagnosis_tick(r.d, 40000); /* the newest frame is as old */
  expect_of(&r, FINDING_STALL, "stall 0 high 11-");
  finish(&r);
  expect_of(&r, FINDING_STALL, "stall 0 high 11-16");
  release(&r);
}

static void windows_of_the_delivery(void **state) {
  (void)state;
  struct rig r = begin();
  start(&r);
  static const struct {
    double r, loss_pct, ta_ms;
  } windows[] = {{93.2, 0, NAN},  {65, 2, 300}, {55, 3, 450}, {58, 3, 420},
                 {NAN, NAN, 410}, {93, 0, 200}, {93, 0, 200}};
  for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
    diagnosis_delivery(r.d, 1, (int64_t)i * 10000, windows[i].r, windows[i].loss_pct, windows[i].ta_ms);
  expect(&r, "loss 1 high 10-50; latency 1 medium 20-50");
  release(&r);
}

/* Whole frames of nothing in the middle of a word, before the sound reached us. */
static void inserted_silence_is_told_and_found(void **state) {
  (void)state;
  struct rig r = begin();
  mix_noise(sound[1], 0, MINUTE, 0.1, 3);
  for (int f = 100; f < 900; f += 20) memset(sound[1] + f * FRAME, 0, FRAME * sizeof *sound[1]);
  start(&r);
  play(&r, 30000, 2);
  finish(&r);
  struct signal_facts facts;
  diagnosis_signal(r.d, 1, &facts);
  assert_int_equal(facts.inserted_silence_frames, 40);
  assert_int_equal(r.silences[1], 40);
  assert_int_equal(r.silences[0], 0);
  assert_int_equal(r.silence_start_us, 880 * FRAME_MS * 1000);
  assert_int_equal(r.silence_end_us, 881 * FRAME_MS * 1000);
  struct finding_facts f;
  diagnosis_findings(r.d, &f);
  size_t rows = 0;
  for (size_t i = 0; i < f.row_count; i++) rows += f.rows[i].kind == FINDING_INSERTED_SILENCE;
  assert_int_equal(rows, 1);
  release(&r);
}

/* At 16 kHz the echo is looked for in the same sound at 8. */
static void sound_of_another_rate(void **state) {
  (void)state;
  struct rig r = begin();
  r.d = diagnosis_create(NULL, NULL);
  for (int t = 0; t < 2; t++) diagnosis_begin(r.d, t, 2 * RATE, 20, 32767, 0);
  mix_noise(sound[1], 0, 2 * MINUTE, 0.1, 9);
  for (int k = 640; k < 2 * MINUTE; k++) sound[0][k] = (int16_t)(sound[1][k - 640] / 10);
  for (int64_t n = 0; n < 2 * 40 * RATE; n += 320) {
    int16_t half[160];
    for (int t = 0; t < 2; t++) {
      for (int i = 0; i < 160; i++) half[i] = sound[t][n + 2 * i];
      diagnosis_pcm_8k(r.d, t, n / 2, half, 160);
      diagnosis_pcm(r.d, t, n, sound[t] + n, 320);
    }
  }
  struct echo_facts echo;
  struct signal_facts facts;
  double delay_ms, erl_db;
  diagnosis_echo(r.d, &echo);
  assert_true(echo_figures(&echo, &delay_ms, &erl_db));
  assert_true(delay_ms > 38 && delay_ms < 42);
  diagnosis_signal(r.d, 1, &facts);
  assert_int_equal(facts.samples, 2 * 40 * RATE);
  release(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_good_call_has_none),
      cmocka_unit_test(clipping_opens_and_closes),
      cmocka_unit_test(a_quiet_talker_is_level_low_a_listener_is_not),
      cmocka_unit_test(hold_music_is_no_noise),
      cmocka_unit_test(an_echo_of_ours),
      cmocka_unit_test(other_sound_while_we_talk_is_no_echo),
      cmocka_unit_test(one_way_audio),
      cmocka_unit_test(dead_air_but_not_on_hold),
      cmocka_unit_test(a_hole_is_no_media_while_it_lasts),
      cmocka_unit_test(a_hole_that_fills_is_taken_back),
      cmocka_unit_test(stalls_are_spans_and_near_ones_one_finding),
      cmocka_unit_test(windows_of_the_delivery),
      cmocka_unit_test(inserted_silence_is_told_and_found),
      cmocka_unit_test(sound_of_another_rate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
