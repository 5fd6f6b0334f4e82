/* Vectors of voice-quality.md 7.4 (Gilbert and Gilbert-Elliott) and 7.5, property 10 of 7.8. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/burst.h"
#include "dsp/emodel.h"
#include "tests/seed.h"

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.10f, expected %.10f", value, expected);
}

static uint32_t xorshift(uint32_t *x) {
  *x ^= *x << 13;
  *x ^= *x >> 17;
  *x ^= *x << 5;
  return *x;
}

static double draw(uint32_t *x) {
  return xorshift(x) / 4294967296.0;
}

struct channel {
  double p, q;   /* q 0: no states, bad iff a draw is below p */
  double hb, hg; /* both 0: the state itself is bad or good */
  uint64_t bad, runs, longest;
  double mbl, ratio;
  double r_noplc, r_noplc_random, r_plc, r_plc_random;         /* 0: not given */
  double mos_noplc, mos_noplc_random, mos_plc, mos_plc_random; /* 0: not given */
  uint64_t bursts, burst_frames, burst_bad;
};

static const struct channel channels[] = {
    {.01,   0,     0,     0,    1012, 1005, 2, 1.0070, 0.9968, 75.10,
     75.10, 89.52, 89.52, 3.83, 0,    4.33, 0, 123,    1327,   271},
    {.05, 0, 0, 0, 5124, 4858, 3, 1.0548, 1.0007, 41.53, 0, 77.09, 0, 2.14, 0, 3.91, 0, 1261, 23430, 4213},
    {.01,   .5,    0,     0,    1915, 989,  10,   1.9363, 1.8992, 58.93,
     63.93, 86.23, 86.47, 3.04, 3.30, 4.24, 4.24, 467,    2538,   1524},
    {.01,   .2,    0,     0,    4675, 963,  30,   4.8546, 4.6277, 9.56,
     43.72, 76.19, 78.28, 1.03, 2.25, 3.87, 3.96, 691,    5489,   4526},
    {.02,   .6,    0,     0,    3284, 1970, 8,    1.6670, 1.6123, 43.97,
     52.06, 81.70, 82.21, 2.26, 2.68, 4.09, 4.10, 824,    6365,   2623},
    {.005,  .1,    .5,    .002, 2422, 1423, 11,   1.7020, 1.6608, 53.24,
     58.97, 84.54, 84.84, 2.75, 3.05, 4.18, 4.19, 334,    4077,   2202},
};

static struct burst run_channel(const struct channel *c, uint64_t n) {
  struct burst b = {0};
  uint32_t x = 2463534242U;
  bool state = false;
  for (uint64_t i = 0; i < n; i++) {
    double u = draw(&x);
    state = c->q > 0 && state ? !(u < c->q) : u < c->p;
    bool bad = state;
    if (c->hb > 0) bad = draw(&x) < (state ? c->hb : c->hg);
    burst_add(&b, bad, 1);
  }
  burst_finish(&b);
  return b;
}

static double rating(double bpl, double ppl_pct, double ratio) {
  return EMODEL_R_CEILING_NB - emodel_ie_eff(0, bpl, ppl_pct, ratio, EMODEL_LOSS_CONSTANT_NB);
}

static void generator(void **state) {
  (void)state;
  static const uint32_t first[] = {723471715U, 2497366906U, 2064144800U, 2008045182U, 3532304609U};
  uint32_t x = 2463534242U;
  for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) assert_int_equal(xorshift(&x), first[i]);
}

static void gilbert_channels(void **state) {
  (void)state;
  const uint64_t n = 100000;
  for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
    const struct channel *c = &channels[i];
    struct burst b = run_channel(c, n);
    assert_int_equal(b.bad, c->bad);
    assert_int_equal(b.runs, c->runs);
    assert_int_equal(b.longest_run, c->longest);
    assert_int_equal(b.bursts, c->bursts);
    assert_int_equal(b.burst_frames, c->burst_frames);
    assert_int_equal(b.burst_bad, c->burst_bad);
    assert_int_equal(b.burst_frames + b.gap_frames, n);
    double mbl = (double)b.bad / (double)b.runs, ppl_pct = (double)b.bad / (double)n * 100;
    near(mbl, c->mbl, 5e-5);
    near(mbl * (1 - ppl_pct / 100), c->ratio, 5e-5);
    double ratio = burst_ratio(n, b.bad, b.runs);
    near(ratio, fmax(1, c->ratio), 5e-5);
    near(rating(4.3, ppl_pct, ratio), c->r_noplc, 5.1e-3);
    if (c->r_noplc_random > 0) near(rating(4.3, ppl_pct, 1), c->r_noplc_random, 5.1e-3);
    near(rating(25.1, ppl_pct, ratio), c->r_plc, 5.1e-3);
    if (c->r_plc_random > 0) near(rating(25.1, ppl_pct, 1), c->r_plc_random, 5.1e-3);
    near(emodel_mos(rating(4.3, ppl_pct, ratio)), c->mos_noplc, 5.1e-3);
    near(emodel_mos(rating(25.1, ppl_pct, ratio)), c->mos_plc, 5.1e-3);
    if (c->mos_noplc_random > 0) near(emodel_mos(rating(4.3, ppl_pct, 1)), c->mos_noplc_random, 5.1e-3);
    if (c->mos_plc_random > 0) near(emodel_mos(rating(25.1, ppl_pct, 1)), c->mos_plc_random, 5.1e-3);
  }
}

struct segmentation {
  const char *name;
  uint64_t n;
  int bad[64]; /* ends with -1 */
  int every;   /* instead: each index of the form every * k - 1 */
  uint64_t bursts, burst_frames, burst_bad, gap_frames, gap_bad;
  double ratio; /* raw; below 0: not defined */
  uint32_t a2[6];
  int a2_density; /* -1: not given */
};

static const struct segmentation segmentations[] = {
    {"BG0", 100, {-1}, 0, 0, 0, 0, 100, 0, -1, {0, 0, 0, 0, 0, 0}, -1},
    {"BG1", 100, {20, 60, -1}, 0, 0, 0, 0, 100, 2, 0.98, {59, 1, 1, 0, 0, 0}, -1},
    {"BG2", 100, {40, 41, 42, 43, 44, -1}, 0, 1, 5, 5, 95, 0, 4.75, {40, 1, 0, 0, 0, 4}, -1},
    {"BG3", 100, {30, 32, 35, 36, 40, 80, -1}, 0, 1, 11, 5, 89, 1, 1.128, {69, 2, 0, 3, 3, 1}, -1},
    {"BG4", 100, {0, 99, -1}, 0, 0, 0, 0, 100, 2, 0.98, {98, 0, 1, 0, 0, 1}, -1},
    {"BG5", 100, {20, 36, -1}, 0, 1, 17, 2, 83, 0, 0.98, {20, 1, 0, 14, 1, 0}, -1},
    {"BG6", 100, {20, 37, -1}, 0, 0, 0, 0, 100, 2, 0.98, {36, 1, 1, 0, 0, 0}, -1},
    {"BG7",
     100,
     {10, 11, 12, 70, 71, 72, 73, 74, 75, -1},
     0,
     2,
     9,
     9,
     91,
     0,
     4.095,
     {57, 1, 0, 9, 1, 7},
     121},
    {"BG8", 50, {-1}, 1, 1, 50, 50, 0, 0, 0, {0, 0, 0, 0, 0, 50}, -1},
    {"BG9", 1000, {-1}, 20, 0, 0, 0, 1000, 50, 0.95, {950, 1, 49, 0, 0, 0}, -1},
    {"BG10", 1000, {-1}, 10, 1, 991, 100, 9, 0, 0.9, {0, 0, 0, 800, 100, 0}, -1},
};

static bool is_bad(const struct segmentation *s, uint64_t i) {
  if (s->every > 0) return (i + 1) % (uint64_t)s->every == 0;
  for (size_t k = 0; s->bad[k] >= 0; k++) {
    if ((uint64_t)s->bad[k] == i) return true;
  }
  return false;
}

static void segmentation_vectors(void **state) {
  (void)state;
  for (size_t v = 0; v < sizeof(segmentations) / sizeof(segmentations[0]); v++) {
    const struct segmentation *s = &segmentations[v];
    struct burst b = {0};
    struct xr_burst x = {0};
    for (uint64_t i = 0; i < s->n; i++) {
      burst_add(&b, is_bad(s, i), 1);
      xr_burst_add(&x, is_bad(s, i));
    }
    burst_finish(&b);
    const uint64_t got[] = {b.bursts, b.burst_frames, b.burst_bad, b.gap_frames, b.gap_bad, x.c11,
                            x.c13,    x.c14,          x.c22,       x.c23,        x.c33};
    const uint64_t wanted[] = {s->bursts, s->burst_frames, s->burst_bad, s->gap_frames, s->gap_bad, s->a2[0],
                               s->a2[1],  s->a2[2],        s->a2[3],     s->a2[4],      s->a2[5]};
    for (size_t i = 0; i < sizeof(got) / sizeof(got[0]); i++) {
      if (got[i] != wanted[i])
        fail_msg("%s column %zu: %d, expected %d", s->name, i, (int)got[i], (int)wanted[i]);
    }
    if (s->ratio >= 0) {
      double raw = (double)b.bad / (double)b.runs * (1 - (double)b.bad / (double)s->n);
      near(raw, s->ratio, 1e-9);
      near(burst_ratio(s->n, b.bad, b.runs), b.runs < BURST_RUNS_MIN ? 1 : fmax(1, raw), 1e-12);
    }
    if (s->a2_density >= 0) assert_int_equal(xr_burst_density(&x), s->a2_density);
  }
}

static void gaps_are_counted(void **state) {
  (void)state;
  struct burst b = {0};
  burst_add(&b, true, 3);
  burst_add(&b, false, 60);
  burst_add(&b, true, 1); /* alone: of the gap, which goes on */
  burst_add(&b, false, 20);
  burst_add(&b, true, 2);
  burst_add(&b, false, 5);
  burst_finish(&b);
  assert_int_equal(b.gaps, 2);
  assert_int_equal(b.gap_bad, 1);
  assert_int_equal(b.bursts, 2);
}

static void consecutive_losses_are_dense(void **state) {
  (void)state;
  struct xr_burst x = {0};
  for (int i = 0; i < 100; i++) xr_burst_add(&x, i >= 40 && i < 45);
  assert_int_equal(xr_burst_density(&x), 255);
}

static void random_runs_add_up(void **state) {
  (void)state;
  uint32_t seed = (uint32_t)seed_value | 1, x = seed; /* xorshift stays at 0 */
  for (int round = 0; round < 500; round++) {
    struct burst runs = {0}, singles = {0};
    for (int i = 0; i < 50; i++) {
      bool bad = xorshift(&x) & 1;
      uint64_t count = xorshift(&x) % (bad ? 4 : 40);
      burst_add(&runs, bad, count);
      for (uint64_t k = 0; k < count; k++) burst_add(&singles, bad, 1);
    }
    burst_finish(&runs);
    burst_finish(&singles);
    if (memcmp(&runs, &singles, sizeof(runs)) != 0) fail_msg("seed %u round %d: runs differ", seed, round);
    if (runs.burst_frames + runs.gap_frames != runs.frames || runs.burst_bad + runs.gap_bad != runs.bad) {
      fail_msg("seed %u round %d: frames or bad frames do not add up", seed, round);
    }
  }
}

static void wilson_of_one_in_five_hundred(void **state) {
  (void)state;
  double low, high;
  wilson_interval(1, 500, &low, &high);
  near(low * 100, 0.04, 5e-3);
  near(high * 100, 1.12, 5e-3);
  wilson_interval(0, 1, &low, &high);
  assert_true(low == 0 && high < 1);
  wilson_interval(7, 7, &low, &high);
  assert_true(low > 0 && high == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(generator),
      cmocka_unit_test(gilbert_channels),
      cmocka_unit_test(segmentation_vectors),
      cmocka_unit_test(gaps_are_counted),
      cmocka_unit_test(consecutive_losses_are_dense),
      cmocka_unit_test_setup(random_runs_add_up, seed_start),
      cmocka_unit_test(wilson_of_one_in_five_hundred),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
