/* dsp/steady and dsp/band: what the envelope and the spectrum say of known sounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dsp/band.h"
#include "dsp/steady.h"
#include "tests/tones.h"

enum { TOTAL = 80000 };

static int16_t pcm[TOTAL + FFT_POINTS];
static struct steady steady;

static struct steady_result measure(void) {
  steady_init(&steady, 8000);
  for (size_t at = 0; at < TOTAL; at += 160) {
    double sum = 0;
    for (size_t k = at; k < at + 160; k++) sum += (double)pcm[k] * pcm[k];
    steady_frame(&steady, sum / 160);
    if (at % 1280 == 0) steady_spectrum(&steady, pcm + at);
  }
  return steady_take(&steady);
}

/* A tone whose envelope moves as 1 + depth * sin(): its modulation is depth / sqrt 2. */
static void make(double envelope_hz, double depth) {
  for (size_t k = 0; k < TOTAL + FFT_POINTS; k++) {
    double t = (double)k / 8000, e = 1 + depth * sin(2 * M_PI * envelope_hz * t);
    pcm[k] = (int16_t)(8000 * e * sin(2 * M_PI * 1000 * t));
  }
}

static void modulation_of_a_known_envelope(void **state) {
  (void)state;
  make(3.90625, 0.8); /* five turns a block */
  struct steady_result r = measure();
  assert_true(r.enough);
  assert_true(fabs(r.modulation - 0.8 / sqrt(2)) < 0.02);
  make(4.3, 0.8); /* between two bins: most of it is still there */
  assert_true(measure().modulation > 0.5);
  make(0.5, 0.8); /* below the band and above it */
  assert_true(measure().modulation < 0.2);
  make(14, 0.8);
  assert_true(measure().modulation < 0.1);
}

static void peaks_that_last(void **state) {
  (void)state;
  make(1, 0);
  struct steady_result r = measure();
  assert_true(r.modulation < 0.01);
  assert_true(r.lasting > 0.8);
  memset(pcm, 0, sizeof pcm);
  mix_noise(pcm, 0, TOTAL + FFT_POINTS, 0.1, 3);
  r = measure();
  assert_true(r.modulation < 0.1);
  assert_true(r.lasting < 0.02);
  for (size_t k = 0; k < TOTAL + FFT_POINTS; k++) /* a tone that goes on every 160 ms */
    pcm[k] = (int16_t)(8000 * sin(2 * M_PI * (500 + 250 * (double)(k / 1280 % 8)) * (double)k / 8000));
  assert_true(measure().lasting < 0.02);
  memset(pcm, 0, sizeof pcm);
  r = measure();
  assert_true(r.enough && r.modulation == 0 && r.lasting == 0);
}

static void little_is_not_enough(void **state) {
  (void)state;
  make(4, 0.5);
  steady_init(&steady, 8000);
  assert_false(steady_take(&steady).enough);
  for (int i = 0; i < 1000; i++) {
    steady_frame(&steady, 100);
    steady_spectrum(&steady, pcm);
    if (i % 60 == 59) steady_break(&steady); /* no block is ever whole */
  }
  assert_false(steady_take(&steady).enough);
  measure();
  assert_false(steady_take(&steady).enough); /* taken already */
}

static struct band_power band(double hz, double amplitude) {
  for (int k = 0; k < BAND_SAMPLES; k++)
    pcm[k] = (int16_t)(32767 * amplitude * sin(2 * M_PI * hz * k / BAND_RATE_HZ));
  return band_measure(pcm);
}

/* A lone tone between two of the bins that are summed shows half its power; a band of sound does not. */
static void bands_hold_what_is_in_them(void **state) {
  (void)state;
  double one = (double)band(1000, 0.5).low;
  static const double inside_low[] = {400, 812, 1015.6, 2222, 3300};
  for (size_t i = 0; i < sizeof inside_low / sizeof inside_low[0]; i++) {
    struct band_power p = band(inside_low[i], 0.5);
    assert_true(fabs(10 * log10((double)p.low / one)) < 3.1);
    assert_true((double)p.high < 1e-6 * (double)p.low);
  }
  static const double inside_high[] = {4400, 5000, 5511, 6900};
  for (size_t i = 0; i < sizeof inside_high / sizeof inside_high[0]; i++) {
    struct band_power p = band(inside_high[i], 0.5);
    assert_true(fabs(10 * log10((double)p.high / one)) < 3.1);
    assert_true((double)p.low < 1e-6 * (double)p.high);
  }
  struct band_power p = band(7600, 0.5);
  assert_true((double)(p.low + p.high) < 1e-4 * one);
  p = band(3800, 0.5);
  assert_true((double)(p.low + p.high) < 1e-4 * one);
  p = band(1000, 0);
  assert_true(p.low == 0 && p.high == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(modulation_of_a_known_envelope),
      cmocka_unit_test(peaks_that_last),
      cmocka_unit_test(little_is_not_enough),
      cmocka_unit_test(bands_hold_what_is_in_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
