/* Vectors J-A to J-F and J-I, J-K of voice-quality.md 7.1. J-G and J-H need the media clock's rules: tests/test_delivery.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dsp/jitter.h"
#include "tests/seed.h"

enum { FRAMES = 16, FRAME_MS = 20, TICKS_PER_MS = 8 };

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12f, expected %.12f", value, expected);
}

struct vector {
  int order[FRAMES]; /* frame numbers as they arrive */
  int arrival_ms[FRAMES];
  double j_ms[FRAMES];
  uint32_t scaled[FRAMES], ticks[FRAMES];
  double mean_ms;
};

static const struct vector vectors[] = {
    {.order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
     .arrival_ms = {0, 20, 40, 60, 80, 160, 160, 160, 160, 180, 200, 220, 240, 260, 280, 300},
     .j_ms = {0, 0, 0, 0, 0, 3.7500000000, 4.7656250000, 5.7177734375, 6.6104125977, 6.1972618103,
              5.8099329472, 5.4468121380, 5.1063863793, 4.7872372306, 4.4880349037, 4.2075327222},
     .scaled = {0, 0, 0, 0, 0, 480, 610, 732, 846, 793, 743, 697, 653, 612, 574, 538},
     .ticks = {0, 0, 0, 0, 0, 30, 38, 45, 52, 49, 46, 43, 40, 38, 35, 33},
     .mean_ms = 3.7924672778},
    {.order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
     .arrival_ms = {0, 20, 40, 60, 80, 160, 180, 200, 220, 240, 260, 280, 300, 320, 340, 360},
     .j_ms = {0, 0, 0, 0, 0, 3.7500000000, 3.5156250000, 3.2958984375, 3.0899047852, 2.8967857361,
              2.7157366276, 2.5460030884, 2.3868778953, 2.2376980269, 2.0978419002, 1.9667267814},
     .scaled = {0, 0, 0, 0, 0, 480, 450, 422, 396, 371, 348, 326, 306, 287, 269, 252},
     .ticks = {0, 0, 0, 0, 0, 30, 28, 26, 24, 23, 21, 20, 19, 17, 16, 15},
     .mean_ms = 2.0332732186},
    {.order = {0, 1, 2, 3, 4, 6, 7, 5, 8, 9, 10, 11, 12, 13, 14, 15},
     .arrival_ms = {0, 20, 40, 60, 80, 120, 140, 155, 160, 180, 200, 220, 240, 260, 280, 300},
     .j_ms = {0, 0, 0, 0, 0, 0, 0, 3.4375000000, 6.6601562500, 6.2438964844, 5.8536529541, 5.4877996445,
              5.1448121667, 4.8232614063, 4.5218075684, 4.2391945954},
     .scaled = {0, 0, 0, 0, 0, 0, 0, 440, 852, 799, 749, 702, 658, 617, 578, 542},
     .ticks = {0, 0, 0, 0, 0, 0, 0, 27, 53, 49, 46, 43, 41, 38, 36, 33},
     .mean_ms = 3.0941387380},
};

static void vectors_a_b_c(void **state) {
  (void)state;
  for (size_t v = 0; v < sizeof(vectors) / sizeof(vectors[0]); v++) {
    struct jitter j = {0};
    struct rtcp_jitter rtcp = {0};
    for (size_t i = 0; i < FRAMES; i++) {
      int frame = vectors[v].order[i], arrival_ms = vectors[v].arrival_ms[i];
      jitter_add(&j, arrival_ms * 1000, frame * FRAME_MS * 1000);
      rtcp_jitter_add(&rtcp, (uint32_t)(arrival_ms * TICKS_PER_MS),
                      (uint32_t)(frame * FRAME_MS * TICKS_PER_MS));
      near(j.j_ms, vectors[v].j_ms[i], 6e-11);
      assert_int_equal(rtcp.scaled, vectors[v].scaled[i]);
      assert_int_equal(rtcp_jitter_ticks(&rtcp), vectors[v].ticks[i]);
    }
    near(j.sum_ms / (double)j.count, vectors[v].mean_ms, 6e-11);
    assert_int_equal(j.count, FRAMES - 1);
  }
}

static void c_in_order_only(void **state) {
  (void)state;
  struct jitter j = {0};
  for (size_t i = 0; i < FRAMES; i++) {
    if (vectors[2].order[i] == 5) continue;
    jitter_add(&j, vectors[2].arrival_ms[i] * 1000, vectors[2].order[i] * FRAME_MS * 1000);
    assert_true(j.j_ms == 0.0);
  }
}

static void d_bunches_of_three(void **state) {
  (void)state;
  static const double cycle[] = {27.1012482663, 26.6574202497, 26.2413314840};
  struct jitter j = {0};
  double abs_d_before = 0;
  for (int64_t n = 0; n < 3000; n++) {
    if (n == 1500) abs_d_before = j.abs_d_sum_ms;
    jitter_add(&j, 60000 * (n / 3 + 1), 20000 * n);
    if (n >= 2990) near(j.j_ms, cycle[n % 3], 1e-9);
  }
  near((j.abs_d_sum_ms - abs_d_before) / 1500, 26.6667, 5e-5);
}

static void e_alternating(void **state) {
  (void)state;
  struct jitter j = {0};
  for (int64_t n = 0; n < 1000; n++) jitter_add(&j, 20000 * n + 5000 * (n % 2), 20000 * n);
  near(j.j_ms, 5.0, 1e-9);
}

static void f_hundred_ppm(void **state) {
  (void)state;
  struct jitter j = {0};
  for (int64_t n = 0; n <= 3000; n++) jitter_add(&j, 20002 * n, 20000 * n);
  near(j.j_ms, 0.002, 1e-9);
  assert_int_equal(j.transit_us, 6000);
}

static void i_media_clock_wraps(void **state) {
  (void)state;
  struct rtcp_jitter j = {0};
  rtcp_jitter_add(&j, 1000, 4294967200U);
  rtcp_jitter_add(&j, 1160, 64);
  assert_int_equal(j.scaled, 0);
}

static void k_clock_changes(void **state) {
  (void)state;
  struct rtcp_jitter j = {.anchored = true, .scaled = 480};
  rtcp_jitter_rescale(&j, 8000, 16000);
  assert_int_equal(j.scaled, 960);
  rtcp_jitter_add(&j, 5, 77777);
  assert_int_equal(j.scaled, 960);
}

static void transit_zero_is_a_transit(void **state) {
  (void)state;
  struct jitter j = {0};
  assert_false(jitter_add(&j, 100, 100));
  assert_true(jitter_add(&j, 16120, 120));
  near(j.j_ms, 1.0, 1e-12);
}

static void same_media_time_is_skipped(void **state) {
  (void)state;
  struct jitter j = {0};
  jitter_add(&j, 0, 0);
  assert_false(jitter_add(&j, 9000, 0));
  assert_true(jitter_add(&j, 20000, 20000));
  assert_true(j.j_ms == 0.0);
}

static void discontinuity_keeps_j(void **state) {
  (void)state;
  struct jitter j = {0};
  jitter_add(&j, 0, 0);
  jitter_add(&j, 36000, 20000);
  double before = j.j_ms;
  jitter_unanchor(&j);
  assert_false(jitter_add(&j, 56000, 2040000));
  assert_true(j.j_ms == before && j.count == 1);
}

/* The theory of 3.2: independent transits, uniform over w: w / 3; Gaussian: 1.1284 sigma. */
static void independent_transits(void **state) {
  (void)state;
  for (int gaussian = 0; gaussian < 2; gaussian++) {
    struct jitter j = {0};
    double expected = gaussian ? 1.1284 * 6 : 30.0 / 3;
    for (int64_t n = 0; n < 200000; n++) {
      double delay_ms = seed_between(0, 30);
      if (gaussian)
        delay_ms = 60 + 6 * sqrt(-2 * log(seed_between(1e-12, 1))) * cos(seed_between(0, 2 * M_PI));
      jitter_add(&j, 20000 * n + llround(1000 * delay_ms), 20000 * n);
    }
    double mean_ms = j.sum_ms / (double)j.count;
    if (fabs(mean_ms - expected) > 0.02 * expected)
      SEED_FAIL("gaussian %d: %g, expected %g\n", gaussian, mean_ms, expected);
    if (fabs(j.abs_d_sum_ms / (double)j.count - mean_ms) > 0.01) SEED_FAIL("J is a mean of |D|\n");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors_a_b_c),
      cmocka_unit_test(c_in_order_only),
      cmocka_unit_test(d_bunches_of_three),
      cmocka_unit_test(e_alternating),
      cmocka_unit_test(f_hundred_ppm),
      cmocka_unit_test(i_media_clock_wraps),
      cmocka_unit_test(k_clock_changes),
      cmocka_unit_test_setup(independent_transits, seed_start),
      cmocka_unit_test(transit_zero_is_a_transit),
      cmocka_unit_test(same_media_time_is_skipped),
      cmocka_unit_test(discontinuity_keeps_j),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
