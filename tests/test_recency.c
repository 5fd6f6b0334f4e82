/* Perceptual aggregation: the vectors of voice-quality.md 3.10, and the exponentials integrated step by
 * step. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsp/recency.h"
#include "tests/seed.h"

static void near(const char *what, double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%s: %.12f, expected %.12f", what, value, expected);
}

static void vectors(void **state) {
  (void)state;
  static const struct {
    double ie_burst, ie_gap, burst_s, gap_s, i1, i2, av;
  } cases[] = {
      {40, 2, 2, 18, 17.697010, 6.727849, 11.284581},
      {60, 0, 1, 29, 12.337422, 1.784795, 5.517542},
      {30, 5, 10, 10, 28.230772, 16.927076, 23.151848},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct recency r = recency_of(cases[i].ie_burst, cases[i].ie_gap, cases[i].burst_s, cases[i].gap_s);
    near("I1", r.i1, cases[i].i1, 1e-6);
    near("I2", r.i2, cases[i].i2, 1e-6);
    near("Iav", r.av, cases[i].av, 1e-6);
  }
  struct recency r = recency_of(40, 2, 2, 18);
  near("Iend 0", recency_end(&r, 0), 15.773281, 1e-6);
  near("Iend 10", recency_end(&r, 10), 14.500875, 1e-6);
  near("Iend 30", recency_end(&r, 30), 12.935881, 1e-6);
}

/* The felt impairment x of dx/dt = (target - x) / tau over `length`, by classic Runge-Kutta; the area under
 * it is added to *area by Simpson's rule on the same steps. */
static double follow(double x, double target, double tau, double length, double *area) {
  enum { STEPS = 20000 };
  double h = length / STEPS;
  for (int i = 0; i < STEPS; i++) {
    double k1 = (target - x) / tau, k2 = (target - x - h / 2 * k1) / tau;
    double k3 = (target - x - h / 2 * k2) / tau, k4 = (target - x - h * k3) / tau;
    double next = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    double middle = (x + next) / 2 + h / 8 * (k1 - (target - next) / tau);
    *area += h / 6 * (x + 4 * middle + next);
    x = next;
  }
  return x;
}

static void equals_the_integral(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    double ie_gap = seed_between(0, 20), ie_burst = ie_gap + seed_between(0, 70);
    double burst_s = seed_between(0.1, 20), gap_s = seed_between(0.1, 60), area = 0;
    struct recency r = recency_of(ie_burst, ie_gap, burst_s, gap_s);
    double top = follow(r.i2, ie_burst, 5, burst_s, &area);
    double bottom = follow(top, ie_gap, 15, gap_s, &area);
    bool same =
        fabs(top - r.i1) < 1e-9 && fabs(bottom - r.i2) < 1e-9 && fabs(area / (burst_s + gap_s) - r.av) < 1e-9;
    if (!same)
      SEED_FAIL("%g %g %g %g: I1 %.12f, I2 %.12f, Iav %.12f", ie_burst, ie_gap, burst_s, gap_s, top - r.i1,
                bottom - r.i2, area / (burst_s + gap_s) - r.av);
  }
}

static void ends_of_the_range(void **state) {
  (void)state;
  struct recency r = recency_of(50, 3, 4, 0);
  near("burst only", r.av, 50, 1e-12);
  near("burst only", recency_end(&r, 0), 50, 1e-12);
  r = recency_of(50, 3, 0, 4);
  near("gap only", r.av, 3, 1e-12);
  r = recency_of(7, 7, 3, 9);
  near("all alike", r.av, 7, 1e-12);
  near("all alike", r.i1, 7, 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors),
      cmocka_unit_test_setup(equals_the_integral, seed_start),
      cmocka_unit_test(ends_of_the_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
