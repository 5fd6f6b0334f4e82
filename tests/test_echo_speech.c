/* dsp/echo.c on recorded speech, G.711-coded both ways: delays and losses over their range, noise, double talk,
 * clocks that drift apart; and no echo where there is none: in a real call of two tracks, and with talkers who
 * never heard each other. Audio of $SIDETONE_SHARED/data/audio; its owners are named there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/sound.h"
#include "dsp/echo.h"
#include "dsp/g711.h"
#include "tests/talker.h"

enum { AGENT, CALLER, F2, COLD, GERMAN, FRENCH, COLD3, HOLD_MUSIC, MEETING, TALKERS, FRAME = 160 };
static const char *const files[TALKERS] = {
    [AGENT] = "dual-track-calls/Auto_Repairs_40_UTC_agent.wav",
    [CALLER] = "dual-track-calls/Auto_Repairs_40_UTC_caller.wav",
    [F2] = "sppas-read/f2_P7.wav",
    [COLD] = "mfa-corpus/cold_corpus.wav",
    [GERMAN] = "sppas-read/DEU_M12_DEU_T33.wav",
    [FRENCH] = "sppas-read/F_F_C006-P6.wav",
    [COLD3] = "mfa-corpus/cold_corpus3.wav",
    [HOLD_MUSIC] = "music-on-hold/qMOH-cable_company.wav",
    [MEETING] = "ami-excerpts/trn00.wav",
};

static struct sound sound[TALKERS];
static struct echo *e;
static struct echo_facts all; /* of every run of a test */

static int setup(void **state) {
  (void)state;
  const char *shared = getenv("SIDETONE_SHARED");
  e = malloc(echo_bytes());
  for (int i = 0; i < TALKERS; i++) {
    char path[512], why[256];
    snprintf(path, sizeof path, "%s/data/audio/%s", shared ? shared : "../shared", files[i]);
    if (!sound_read(&sound[i], path, why, sizeof why)) {
      fprintf(stderr, "%s: %s\n", path, why);
      return -1;
    }
  }
  return e ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < TALKERS; i++) sound_free(&sound[i]);
  free(e);
  return 0;
}

/* What comes back: far's echo, near's own sound, noise. */
struct line {
  int far, near; /* -1: nobody */
  double near_gain, delay_ms, gain, noise_dbov, drift_ppm;
  /* What verdicts of an echo may differ by. */
  double delay_error_ms, erl_error_db;
};
static const struct line *line;

static void check(void *arg, const struct echo_verdict *v) {
  (void)arg;
  if (!v->found) return;
  /* The lag grows with the drift. */
  double expected_ms = line->delay_ms - line->drift_ppm * 1e-6 * (double)(v->start_ms + v->end_ms) / 2;
  double erl_db = -20 * log10(line->gain);
  if (fabs(v->delay_ms - expected_ms) > line->delay_error_ms || fabs(v->erl_db - erl_db) > line->erl_error_db)
    fail_msg("far %d, delay %g, ERL %g: %g ms, %g dB at %lld ms", line->far, expected_ms, erl_db, v->delay_ms,
             v->erl_db, (long long)v->end_ms);
}

static double echo_of(const int16_t *far, size_t samples, double at) {
  double whole = floor(at), part = at - whole;
  if (whole < 0 || whole + 1 >= (double)samples) return 0;
  size_t i = (size_t)whole;
  return far[i] * (1 - part) + far[i + 1] * part;
}

static int16_t coded(double x) {
  double y = x > 32767 ? 32767 : x < -32768 ? -32768 : x;
  return g711_mu_to_linear(g711_linear_to_mu((int16_t)lrint(y)));
}

/* The facts of one run; they are added to `all`. */
static struct echo_facts run(const struct line *l) {
  const int16_t *far = sound[l->far].pcm[0];
  size_t samples = sound[l->far].samples;
  double noise = pow(10, l->noise_dbov / 20) * 32768 * sqrt(3);
  uint32_t seed = 7;
  line = l;
  echo_init(e, check, NULL);
  for (size_t i = 0; i + FRAME <= samples; i += FRAME) {
    int16_t out[FRAME], in[FRAME];
    for (size_t k = 0; k < FRAME; k++) {
      double at = (double)(i + k) * (1 + l->drift_ppm * 1e-6) - l->delay_ms * 8;
      double y = echo_of(far, samples, at) * l->gain + talker_noise(&seed, 30000) / 30000.0 * noise;
      if (l->near >= 0) y += sound[l->near].pcm[0][(i + k) % sound[l->near].samples] * l->near_gain;
      in[k] = coded(y);
      out[k] = coded(far[i + k]);
    }
    echo_pcm(e, 0, (int64_t)i, in, FRAME);
    echo_pcm(e, 1, (int64_t)i, out, FRAME);
  }
  struct echo_facts facts;
  echo_facts(e, &facts);
  echo_facts_merge(&all, &facts);
  return facts;
}

static struct line quiet_line(int far, double delay_ms, double erl_db) {
  return (struct line){.far = far,
                       .near = -1,
                       .delay_ms = delay_ms,
                       .gain = pow(10, -erl_db / 20),
                       .noise_dbov = -65,
                       .delay_error_ms = 0.01,
                       .erl_error_db = 0.15};
}

static void begin(void) {
  all = (struct echo_facts){0};
}

static void every_delay(void **state) {
  (void)state;
  static const double delays[] = {0, 7.5, 40, 333, 700, 1500};
  begin();
  for (int far = F2; far <= HOLD_MUSIC; far++)
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
      struct line l = quiet_line(far, delays[i], 26);
      struct echo_facts facts = run(&l);
      assert_true(facts.found >= 1 && facts.found == facts.verdicts);
    }
}

/* Near 6 dB only the frames that are 6 dB below count; at 40 dB the echo is about as loud as the noise. */
static void every_loss(void **state) {
  (void)state;
  static const double losses[] = {6, 8, 14, 20, 30, 35, 40};
  begin();
  for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
    struct line l = quiet_line(CALLER, 180, losses[i]);
    struct echo_facts facts = run(&l);
    assert_true(facts.found >= 4 && facts.found == facts.verdicts);
  }
}

static void noise_hides_it_late(void **state) {
  (void)state;
  for (double noise = -60; noise <= -45; noise += 5) {
    struct line l = quiet_line(AGENT, 180, 26);
    l.noise_dbov = noise;
    struct echo_facts facts = run(&l);
    assert_true(facts.found >= 8 && facts.found == facts.verdicts);
  }
  struct line l = quiet_line(FRENCH, 180, 46);
  l.noise_dbov = -45; /* 25 dB above the echo */
  assert_int_equal(run(&l).found, 0);
}

static void double_talk_does_not_lead_astray(void **state) {
  (void)state;
  begin();
  for (int far = AGENT; far <= CALLER; far++) {
    struct line l = quiet_line(far, 180, 20);
    l.near = 1 - far;
    l.near_gain = 1;
    struct echo_facts facts = run(&l);
    assert_true(facts.found >= 8 && facts.found == facts.verdicts);
  }
  for (int far = F2; far <= FRENCH; far++) { /* who talk all the time, both of them */
    struct line l = quiet_line(far, 180, 20);
    l.near = COLD3;
    l.near_gain = 0.5;
    l.delay_error_ms = 10;
    l.erl_error_db = 3;
    run(&l);
  }
}

/* One clock cannot drift against itself, two media servers' can. The lag moves inside a block then,
 * so that the gain reads low. */
static void clocks_that_drift_apart(void **state) {
  (void)state;
  static const double drift[] = {-100, 50, 100, 200};
  begin();
  for (size_t i = 0; i < sizeof drift / sizeof *drift; i++) {
    struct line l = quiet_line(FRENCH, 180, 26);
    l.drift_ppm = drift[i];
    l.delay_error_ms = 1.5;
    l.erl_error_db = 1.5;
    struct echo_facts facts = run(&l);
    assert_true(facts.found >= 1 && facts.found == facts.verdicts);
  }
}

static void a_real_call_of_two_tracks_has_none(void **state) {
  (void)state;
  begin();
  for (int far = AGENT; far <= CALLER; far++) {
    struct line l = {.far = far, .near = 1 - far, .near_gain = 1, .noise_dbov = -200};
    run(&l);
  }
  assert_true(all.verdicts >= 30);
  assert_int_equal(all.found, 0);
}

static void strangers_have_none(void **state) {
  (void)state;
  begin();
  for (int far = 0; far < TALKERS; far++)
    for (int near = 0; near < TALKERS; near++) {
      if (far == near) continue;
      struct line l = {.far = far, .near = near, .near_gain = 0.3, .noise_dbov = -65};
      run(&l);
    }
  assert_true(all.verdicts >= 300);
  assert_int_equal(all.found, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_delay),
      cmocka_unit_test(every_loss),
      cmocka_unit_test(noise_hides_it_late),
      cmocka_unit_test(double_talk_does_not_lead_astray),
      cmocka_unit_test(clocks_that_drift_apart),
      cmocka_unit_test(a_real_call_of_two_tracks_has_none),
      cmocka_unit_test(strangers_have_none),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
