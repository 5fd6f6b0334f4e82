/* dsp/p56 against the ITU tool's own figures (voice-quality.md 5.10, 7.7), to four decimals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/p56.h"
#include "tests/tones.h"

static int16_t pcm[SOUND_MAX];

static struct p56_counters counters_of(const int16_t *sound, size_t samples, uint32_t rate_hz,
                                       bool remove_dc) {
  struct p56 meter;
  struct p56_counters counters;
  p56_init(&meter, rate_hz, remove_dc);
  p56_feed(&meter, sound, samples);
  p56_counters(&meter, &counters);
  return counters;
}

static void expect(struct p56_result r, double level, double rms, double activity_pct) {
  assert_true(r.active);
  if (fabs(r.level_dbov - level) > 0.00005 || fabs(r.rms_dbov - rms) > 0.00005 ||
      fabs(100 * r.activity - activity_pct) > 0.005)
    fail_msg("%.4f %.4f %.4f, expected %.4f %.4f %.4f", r.level_dbov, r.rms_dbov, 100 * r.activity, level,
             rms, activity_pct);
}

/* The sounds of 7.7. */
static size_t make_case(const char *name) {
  size_t n = 0;
  switch (name[1]) {
    case '1':
      return tone(pcm, 0, 4 * 8000, 1000, 0.5);
    case '2':
      return silence(pcm, tone(pcm, 0, 2 * 8000, 1000, 0.5), 2 * 8000);
    case '3':
      for (int i = 0; i < 8; i++) n = silence(pcm, tone(pcm, n, 2400, 1000, 0.1), 2400);
      return n;
    case '5':
      return tone(pcm, 0, 4 * 8000, 1000, 0.001);
    case '6':
      for (n = 0; n < 16000; n++) pcm[n] = n % 8 < 4 ? 32767 : -32768;
      return n;
    default:
      for (n = 0; n < 16000; n++)
        pcm[n] = (int16_t)lround(32768 * (0.1 + 0.1 * sin(2 * M_PI * 1000 * (double)n / 8000)));
      return n;
  }
}

static const struct row {
  const char *name;
  double level, rms, activity_pct;
} rows[] = {
    {"S1", -9.0047, -9.0310, 99.3968},   {"S2", -9.5849, -12.0413, 56.8010},
    {"S3", -25.9274, -26.0204, 97.8802}, {"S5", -62.9854, -63.0113, 99.4058},
    {"S6", 0.0452, -0.0001, 98.9607},    {"S8", -18.1863, -18.2387, 98.8012},
};

static void cases_of_7_7(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = make_case(rows[i].name);
    struct p56_counters c = counters_of(pcm, n, 8000, false);
    expect(p56_measure(&c), rows[i].level, rows[i].rms, rows[i].activity_pct);
  }
}

/* 5.2: within 0.1 dB, S8 excepted, whose DC is no speech. */
static void without_dc_they_stay(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = make_case(rows[i].name);
    struct p56_counters c = counters_of(pcm, n, 8000, true);
    struct p56_result r = p56_measure(&c);
    double level = rows[i].name[1] == '8' ? -22.9974 : rows[i].level;
    assert_true(r.active);
    if (fabs(r.level_dbov - level) > 0.1) fail_msg("%s: %.4f", rows[i].name, r.level_dbov);
  }
}

static void zeros_are_silence(void **state) {
  (void)state;
  struct p56_counters c = counters_of(pcm, silence(pcm, 0, 32000), 8000, false);
  struct p56_result r = p56_measure(&c);
  assert_false(r.active);
  assert_true(r.rms_dbov == -200);
  assert_true(r.activity == 0);
  c = counters_of(pcm, 0, 8000, true);
  assert_false(p56_measure(&c).active);
}

static const struct vector {
  const char *file;
  uint32_t rate_hz;
  double level, rms, activity_pct;
} vectors[] = {
    {"voice.src", 8000, -25.0222, -25.4777, 90.04},
    {"voice.nrm", 8000, -29.6906, -30.1512, 89.94},
    {"voice.src", 16000, -25.3286, -25.4777, 96.62},
    {"voice.nrm", 16000, -29.9923, -30.1512, 96.41},
};

static void vectors_of_the_itu(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    size_t n = shared_raw("itu-stl/sv56", vectors[i].file, pcm);
    assert_int_equal(n, 52736);
    struct p56_counters c = counters_of(pcm, n, vectors[i].rate_hz, false);
    expect(p56_measure(&c), vectors[i].level, vectors[i].rms, vectors[i].activity_pct);
  }
}

/* As the text has it: fifteen compares a sample. */
static struct p56_counters by_the_text(size_t samples, uint32_t rate_hz) {
  struct p56_counters c = {.samples = samples};
  double g = exp(-1 / (0.03 * rate_hz)), p = 0, q = 0;
  int limit = (int)lround(0.2 * rate_hz), hang[P56_THRESHOLDS];
  for (int j = 0; j < P56_THRESHOLDS; j++) hang[j] = limit;
  for (size_t i = 0; i < samples; i++) {
    double x = pcm[i] / 32768.0;
    c.power += x * x;
    p = g * p + (1 - g) * fabs(x);
    q = g * q + (1 - g) * p;
    for (int j = 0; j < P56_THRESHOLDS; j++) {
      if (q >= pow(2, j - 15)) {
        c.active[j]++;
        hang[j] = 0;
      } else if (hang[j] < limit) {
        c.active[j]++;
        hang[j]++;
      }
    }
  }
  return c;
}

static void counts_are_those_of_the_text(void **state) {
  (void)state;
  size_t n = shared_raw("itu-stl/sv56", "voice.src", pcm);
  for (size_t i = 0; i < n; i++) /* comes, goes and overloads, so that every threshold is crossed often */
    pcm[i] = (int16_t)(i / 8000 % 3 == 0   ? pcm[i] / 512
                       : i / 8000 % 3 == 1 ? pcm[i]
                                           : (pcm[i] < 0 ? -32768 : 32767));
  struct p56_counters text = by_the_text(n, 8000), ours = counters_of(pcm, n, 8000, false);
  for (int j = 0; j < P56_THRESHOLDS; j++) {
    assert_int_equal(ours.active[j], text.active[j]);
    assert_true(ours.active[j] > 0 && ours.active[j] < n);
  }
}

static void pieces_do_not_matter(void **state) {
  (void)state;
  size_t n = shared_raw("itu-stl/sv56", "voice.src", pcm);
  struct p56_counters whole = counters_of(pcm, n, 8000, true), seen, sum = {0}, last = {0};
  struct p56 meter;
  p56_init(&meter, 8000, true);
  uint32_t seed = 1;
  for (size_t at = 0; at < n;) {
    seed = seed * 1664525 + 1013904223;
    size_t piece = seed >> 23 < n - at ? seed >> 23 : n - at;
    p56_feed(&meter, pcm + at, piece);
    at += piece;
    p56_counters(&meter, &seen);
    struct p56_counters more = seen;
    p56_subtract(&more, &last);
    p56_add(&sum, &more);
    last = seen;
  }
  assert_memory_equal(seen.active, whole.active, sizeof whole.active);
  assert_memory_equal(sum.active, whole.active, sizeof whole.active);
  assert_int_equal(sum.samples, n);
  assert_true(fabs(sum.power / whole.power - 1) < 1e-12);
}

/* From the middle up, and from there nothing lies on the way back: the tool waits until its tolerance has
 * grown. Three quarters of the way between two thresholds 1 dB of level apart. */
static void search_has_no_way_back(void **state) {
  (void)state;
  struct p56_counters c = {.samples = 100000000000, .power = 1e12};
  double lower_dbov = -48.1648 + 15.9 + 3.12; /* threshold 7, 3.12 dB over the margin */
  for (int j = 0; j < P56_THRESHOLDS; j++) {
    double dbov = j <= 7 ? lower_dbov : lower_dbov + 1;
    c.active[j] = (uint64_t)llround(c.power / 0x1p30 / pow(10, dbov / 10));
  }
  struct p56_result r = p56_measure(&c);
  assert_true(r.active);
  assert_true(fabs(r.level_dbov - (lower_dbov + 0.75)) < 0.01);
}

/* Above the lowest threshold, and not 15.9 dB above it. */
static void faint_sound_is_silence(void **state) {
  (void)state;
  for (size_t k = 0; k < 16000; k++) pcm[k] = k % 2 == 0 ? 3 : -3;
  struct p56_counters c = counters_of(pcm, 16000, 8000, false);
  assert_true(c.active[1] > 10000);
  assert_false(p56_measure(&c).active);
}

/* A day of one level: counters as wide as that, and a state that does not creep into denormals. */
static void a_day_counts(void **state) {
  (void)state;
  struct p56 meter;
  struct p56_counters c;
  p56_init(&meter, 8000, true);
  p56_feed(&meter, pcm, tone(pcm, 0, 8000, 1000, 0.5));
  silence(pcm, 0, 32000);
  for (int i = 0; i < 20; i++) p56_feed(&meter, pcm, 32000);
  assert_true(meter.p == 0 && meter.q == 0 && meter.dc_out == 0);
  p56_counters(&meter, &c);
  for (int i = 0; i < 86400 / 80; i++)
    p56_add(&c, &(struct p56_counters){.samples = 80UL * 8000, .power = 80.0 * 8000 * 0x1p30});
  assert_int_equal(c.samples, (uint64_t)86400 * 8000 + 648000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cases_of_7_7),
      cmocka_unit_test(without_dc_they_stay),
      cmocka_unit_test(zeros_are_silence),
      cmocka_unit_test(vectors_of_the_itu),
      cmocka_unit_test(counts_are_those_of_the_text),
      cmocka_unit_test(pieces_do_not_matter),
      cmocka_unit_test(search_has_no_way_back),
      cmocka_unit_test(faint_sound_is_silence),
      cmocka_unit_test(a_day_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
