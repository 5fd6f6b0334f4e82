/* dsp/hum: found at both mains frequencies, in noise, with DC, at every rate; not found in what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dsp/hum.h"
#include "tests/tones.h"

static int16_t pcm[SOUND_MAX];
static struct hum hum;

static void feed(uint32_t rate_hz, size_t from, size_t samples) {
  struct hum_decimator d;
  int16_t low[TONE_SAMPLES];
  hum_decimate_init(&d, rate_hz);
  for (size_t at = from; at + rate_hz / 50 <= from + samples; at += rate_hz / 50) {
    hum_decimate(&d, pcm + at, low);
    hum_frame(&hum, kernels_best(), low);
  }
}

/* `seconds` of noise of this level with a fundamental and its next two harmonics. */
static size_t make(uint32_t rate_hz, int seconds, double noise, double hz, double a1, double a2, double a3) {
  size_t n = (size_t)seconds * rate_hz;
  memset(pcm, 0, n * sizeof *pcm);
  mix_noise(pcm, 0, n, noise, 9);
  mix_tone(pcm, 0, n, hz, rate_hz, a1);
  mix_tone(pcm, 0, n, 2 * hz, rate_hz, a2);
  mix_tone(pcm, 0, n, 3 * hz, rate_hz, a3);
  hum_init(&hum);
  return n;
}

static double level_dbov(int kind) {
  return 10 * log10(hum.hum_power[kind] / (double)hum.hum_blocks[kind] / 0x1p30);
}

static void expect_level(int kind, double dbov) {
  if (fabs(level_dbov(kind) - dbov) > 0.3) fail_msg("%.2f dBov, expected %.2f", level_dbov(kind), dbov);
}

static void both_frequencies_in_noise(void **state) {
  (void)state;
  static const uint32_t rates[] = {8000, 12000, 16000, 24000, 48000};
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
    size_t n = make(rates[i], 5, 0.00316, 50, 0.01, 0.005, 0.002); /* noise -50 dBov */
    feed(rates[i], 0, n);
    assert_int_equal(hum.blocks, 5);
    assert_int_equal(hum.hum_blocks[HUM_50], 5);
    assert_int_equal(hum.hum_blocks[HUM_60], 0);
    assert_int_equal(hum_hz(&hum), 50);
    expect_level(HUM_50, 10 * log10((0.01 * 0.01 + 0.005 * 0.005 + 0.002 * 0.002) / 2));
    n = make(rates[i], 5, 0.00316, 60, 0.003, 0.01, 0.004);
    feed(rates[i], 0, n);
    assert_int_equal(hum.hum_blocks[HUM_60], 5);
    assert_int_equal(hum_hz(&hum), 60);
    expect_level(HUM_60, 10 * log10((0.003 * 0.003 + 0.01 * 0.01 + 0.004 * 0.004) / 2));
  }
}

/* Rectified mains; a grid that is half a Hz off; DC; a second loud tone that is no hum. */
static void hum_as_it_is_found(void **state) {
  (void)state;
  feed(8000, 0, make(8000, 4, 0.001, 50, 0, 0.01, 0));
  assert_int_equal(hum_hz(&hum), 50);
  feed(8000, 0, make(8000, 4, 0.001, 59.6, 0.01, 0.004, 0));
  assert_int_equal(hum_hz(&hum), 60);
  size_t n = make(8000, 4, 0.001, 50, 0.01, 0.005, 0);
  for (size_t k = 0; k < n; k++) pcm[k] = (int16_t)(pcm[k] + 3277);
  feed(8000, 0, n);
  assert_int_equal(hum_hz(&hum), 50);
  n = make(8000, 4, 0.001, 50, 0.01, 0.005, 0);
  mix_tone(pcm, 0, n, 1004, 8000, 0.3);
  feed(8000, 0, n);
  assert_int_equal(hum_hz(&hum), 50);
}

static void what_is_no_hum(void **state) {
  (void)state;
  feed(8000, 0, make(8000, 10, 0.03, 50, 0, 0, 0)); /* white noise */
  assert_int_equal(hum.hum_blocks[HUM_50] + hum.hum_blocks[HUM_60], 0);
  feed(8000, 0, make(8000, 60, 0.3, 50, 0, 0, 0)); /* so loud that each bin is above -55 dBov */
  assert_int_equal(hum.hum_blocks[HUM_50] + hum.hum_blocks[HUM_60], 0);
  feed(8000, 0, make(8000, 5, 0, 50, 0, 0, 0)); /* zeros */
  assert_int_equal(hum.blocks, 5);
  assert_int_equal(hum_hz(&hum), 0);
  feed(8000, 0, make(8000, 5, 0.0001, 50, 0.002, 0, 0)); /* -57 dBov */
  assert_int_equal(hum_hz(&hum), 0);
  feed(8000, 0, make(8000, 5, 0.0001, 50, 0.003, 0, 0)); /* -53.5 */
  assert_int_equal(hum_hz(&hum), 50);
  feed(8000, 0, make(8000, 5, 0.001, 55, 0.02, 0.01, 0)); /* a tone between the two */
  assert_int_equal(hum_hz(&hum), 0);
  feed(8000, 0, make(8000, 5, 0.001, 440, 0.1, 0, 0));
  assert_int_equal(hum_hz(&hum), 0);
  feed(8000, 0, make(8000, 5, 0.001, 750, 0.1, 0, 0)); /* folds onto 50 Hz, 75 dB down */
  assert_int_equal(hum_hz(&hum), 0);
}

static void three_blocks_running(void **state) {
  (void)state;
  size_t n = make(8000, 8, 0.0003, 50, 0.01, 0, 0);
  feed(8000, 0, 16000);
  assert_int_equal(hum.hum_blocks[HUM_50], 0);
  assert_int_equal(hum_hz(&hum), 0);
  memset(pcm, 0, 8000 * sizeof *pcm);
  feed(8000, 0, 8000); /* one without: from the start */
  feed(8000, 8000, 16000);
  assert_int_equal(hum.hum_blocks[HUM_50], 0);
  feed(8000, 24000, 8000);
  assert_int_equal(hum.hum_blocks[HUM_50], 3);
  assert_int_equal(hum_hz(&hum), 50);
  feed(8000, 32000, 7840); /* broken off one frame early: no block */
  hum_break(&hum);
  feed(8000, 32000, 160);
  assert_int_equal(hum.blocks, 6);
  assert_true(n == 64000);
}

/* The extremes of the range stay in it. */
static void full_scale(void **state) {
  (void)state;
  for (size_t k = 0; k < 48000 * 4; k++) pcm[k] = k / 480 % 2 == 0 ? 32767 : -32768; /* 50 Hz square */
  hum_init(&hum);
  feed(48000, 0, 48000 * 4);
  assert_int_equal(hum_hz(&hum), 50);
  expect_level(HUM_50, 10 * log10(8 / (M_PI * M_PI) * (1 + 1.0 / 9))); /* its first and third harmonic */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_frequencies_in_noise),
      cmocka_unit_test(hum_as_it_is_found),
      cmocka_unit_test(what_is_no_hum),
      cmocka_unit_test(three_blocks_running),
      cmocka_unit_test(full_scale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
