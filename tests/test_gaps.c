/* dsp/gaps: sudden falls that come back, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dsp/gaps.h"
#include "tests/tones.h"

enum { TOTAL = 32000 };

static int16_t pcm[TOTAL];

static void make_voice(double amplitude) {
  uint64_t seed = 11;
  for (size_t k = 0; k < TOTAL; k++)
    pcm[k] =
        (int16_t)(amplitude * 32768 * (0.5 * sin(2 * M_PI * 700 * (double)k / 8000) + 0.5 * uniform(&seed)));
}

/* Turns the sound down, over `slope` samples at the beginning. */
static void cut(size_t from, size_t samples, size_t slope, double gain) {
  for (size_t k = 0; k < samples; k++) {
    double g = k < slope ? pow(gain, (double)(k + 1) / (double)slope) : gain;
    pcm[from + k] = (int16_t)(pcm[from + k] * g);
  }
}

static uint64_t count(void) {
  struct gaps g;
  struct block_sum block[TOTAL / 16];
  gaps_init(&g, 8000);
  kernels_scalar.block_sums(pcm, 16, TOTAL / 16, block);
  gaps_feed(&g, block, TOTAL / 16);
  return g.count;
}

static void from_20_to_200_ms(void **state) {
  (void)state;
  make_voice(0.2);
  assert_int_equal(count(), 0);
  cut(4000, 160, 1, 0);
  cut(8003, 160, 1, 0.01); /* off the blocks' borders */
  cut(12000, 1600, 1, 0.01);
  assert_int_equal(count(), 3);
  make_voice(0.2);
  cut(4000, 96, 1, 0);
  cut(12000, 1700, 1, 0);
  assert_int_equal(count(), 0);
}

static void by_more_than_20_db_in_less_than_5_ms(void **state) {
  (void)state;
  make_voice(0.2);
  cut(4000, 400, 1, 0.2);     /* 14 dB */
  cut(8000, 800, 400, 0.01);  /* over 50 ms, as a vowel ends */
  cut(16000, 800, 120, 0.01); /* 40 dB over 15 ms */
  assert_int_equal(count(), 0);
  cut(12000, 400, 16, 0.05); /* 26 dB in 2 ms */
  assert_int_equal(count(), 1);
}

static void inside_speech_only(void **state) {
  (void)state;
  make_voice(0.005); /* -50 dBov */
  cut(4000, 400, 1, 0);
  assert_int_equal(count(), 0);
  make_voice(0.2);
  cut(4000, TOTAL - 4000, 1, 0); /* an end, not a gap */
  assert_int_equal(count(), 0);
}

static void dc_hides_none(void **state) {
  (void)state;
  make_voice(0.1);
  cut(20000, 400, 1, 0);
  for (size_t k = 0; k < TOTAL; k++) pcm[k] = (int16_t)(pcm[k] + 2000);
  assert_int_equal(count(), 1);
}

static void not_over_a_hole(void **state) {
  (void)state;
  struct gaps g;
  struct block_sum loud = {.square = 16 * 4000000}, quiet = {0};
  gaps_init(&g, 8000);
  for (int i = 0; i < 20; i++) gaps_feed(&g, &loud, 1);
  for (int i = 0; i < 20; i++) gaps_feed(&g, &quiet, 1);
  gaps_break(&g);
  for (int i = 0; i < 20; i++) gaps_feed(&g, &loud, 1);
  assert_int_equal(g.count, 0);
  for (int i = 0; i < 20; i++) gaps_feed(&g, &quiet, 1);
  gaps_feed(&g, &loud, 1);
  assert_int_equal(g.count, 1);
}

/* Minutes of zeros: the slow mean does not creep into denormal numbers, which are slow. */
static void zeros_are_zero_in_the_end(void **state) {
  (void)state;
  struct gaps g;
  struct block_sum loud = {.sum = 16 * 1000, .square = 16 * 1000000}, quiet = {0};
  gaps_init(&g, 8000);
  for (int i = 0; i < 1000; i++) gaps_feed(&g, &loud, 1);
  assert_true(fabs(g.dc - 1000) < 1);
  for (int i = 0; i < 60000; i++) gaps_feed(&g, &quiet, 1);
  assert_true(g.dc == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(from_20_to_200_ms),  cmocka_unit_test(by_more_than_20_db_in_less_than_5_ms),
      cmocka_unit_test(inside_speech_only), cmocka_unit_test(dc_hides_none),
      cmocka_unit_test(not_over_a_hole),    cmocka_unit_test(zeros_are_zero_in_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
