/* dsp/fft.c against a direct sum in double, over the sizes it serves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsp/fft.h"

static const double TURN = 6.283185307179586;

/* A fixed sequence of numbers between -1 and 1 with something in every bin. */
static void fill(float *x, int count, uint32_t seed) {
  for (int n = 0; n < count; n++) {
    seed = seed * 1664525u + 1013904223u;
    x[n] = (float)(int32_t)seed * (1.0f / 2147483648.0f);
  }
}

static void table_is_the_cosine(void **state) {
  (void)state;
  for (int k = 0; k < FFT_POINTS; k++)
    assert_true(fft_cosine[k] == (float)cos(TURN * k / FFT_POINTS) || fabs(fft_cosine[k]) < 1e-7);
  assert_true(fft_cosine[64] == 0.0f && fft_cosine[192] == 0.0f);
}

static void forward_is_the_direct_sum(void **state) {
  (void)state;
  for (int points = 128; points <= 256; points *= 2) {
    float re[256], im[256], xr[256], xi[256];
    fill(re, points, 1);
    fill(im, points, 2);
    for (int n = 0; n < points; n++) {
      xr[n] = re[n];
      xi[n] = im[n];
    }
    fft_forward(re, im, points);
    double error = 0, power = 0;
    for (int k = 0; k < points; k++) {
      double sr = 0, si = 0;
      for (int n = 0; n < points; n++) {
        double a = TURN * k * n / points, c = cos(a), s = -sin(a);
        sr += xr[n] * c - xi[n] * s;
        si += xr[n] * s + xi[n] * c;
      }
      power += sr * sr + si * si;
      error += (sr - re[k]) * (sr - re[k]) + (si - im[k]) * (si - im[k]);
    }
    assert_true(10 * log10(power / error) > 120);
  }
}

static void power_of_real_samples(void **state) {
  (void)state;
  float x[256], power[129];
  fill(x, 256, 3);
  fft_real_power(x, power);
  for (int k = 0; k <= 128; k++) {
    double sr = 0, si = 0;
    for (int n = 0; n < 256; n++) {
      sr += x[n] * cos(TURN * k * n / 256);
      si += x[n] * sin(TURN * k * n / 256);
    }
    assert_true(fabs(power[k] - (sr * sr + si * si)) < 1e-3);
  }
}

static void two_cosine_series_at_once(void **state) {
  (void)state;
  enum { LAGS = 112 };
  float a[129], b[129], ra[LAGS], rb[LAGS];
  fill(a, 129, 4);
  fill(b, 129, 5);
  fft_cosine_pair(a, b, ra, rb, LAGS);
  for (int l = 0; l < LAGS; l++) {
    double sa = 0, sb = 0;
    for (int k = 0; k < 256; k++) {
      int m = k <= 128 ? k : 256 - k;
      sa += a[m] * cos(TURN * k * l / 256);
      sb += b[m] * cos(TURN * k * l / 256);
    }
    assert_true(fabs(ra[l] - sa) < 1e-4 && fabs(rb[l] - sb) < 1e-4);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(table_is_the_cosine),
      cmocka_unit_test(forward_is_the_direct_sum),
      cmocka_unit_test(power_of_real_samples),
      cmocka_unit_test(two_cosine_series_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
