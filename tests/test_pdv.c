/* Vector P-E and the percentiles of P-B to P-D of voice-quality.md 7.2, the histogram of 3.3. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/delivery.h"
#include "dsp/pdv.h"

enum { FRAME_US = 20000, TRANSIT_US = 30000, FRAMES = 500 };

static struct pdv pdv;

static int64_t largest_with_window(int64_t window_us, int64_t seconds) {
  int64_t largest_us = 0;
  pdv_init(&pdv, window_us);
  for (int64_t n = 0; n < seconds * 50; n++) {
    int64_t late_us = pdv_add(&pdv, TRANSIT_US + n * (FRAME_US + 4), n * FRAME_US);
    if (late_us > largest_us) largest_us = late_us;
  }
  return largest_us;
}

static void pe_slow_sender(void **state) {
  (void)state;
  assert_int_equal(largest_with_window(INT64_MAX / 2, 300), 59996);
  assert_int_equal(largest_with_window(2000000, 30), 396);
  assert_int_equal(largest_with_window(PDV_WINDOW_US, 300), 1996);
}

static void skew_removed(void **state) {
  (void)state;
  int64_t largest_us = 0;
  pdv_init(&pdv, PDV_WINDOW_US);
  for (int64_t n = 0; n < 15000; n++) {
    int64_t arrival_us = TRANSIT_US + n * (FRAME_US - 4);
    if (n == 3000) pdv_set_skew(&pdv, arrival_us, -200.04);
    int64_t late_us = pdv_add(&pdv, arrival_us, n * FRAME_US);
    if (n > 3000 && late_us > largest_us) largest_us = late_us;
  }
  assert_true(largest_us <= 2);
}

static void more_frames_than_room(void **state) {
  (void)state;
  pdv_init(&pdv, PDV_WINDOW_US);
  int64_t late_us = 0;
  for (int64_t n = 0; n < 20000; n++) late_us = pdv_add(&pdv, n * 2001, n * 2000);
  /* Exactly: 4,997 frames of 1 us drift. */
  assert_true(llabs(late_us - 4997) < 200);
}

/* The three vectors as arrival times; `which` is their letter. */
static int64_t arrival_us(char which, int64_t n) {
  int64_t media_us = n * FRAME_US;
  if (which == 'B' && n >= 100 && n < 150) media_us = 3000000;
  if (which == 'C' && n >= 100 && n < 115) media_us = 2300000;
  if (which == 'D') media_us = 60000 * (n / 3 + 1);
  return TRANSIT_US + media_us;
}

static void percentiles_b_c_d(void **state) {
  (void)state;
  static const struct {
    char which;
    double ms[6]; /* P50, P90, P95, P99, P99.9, max */
  } vector[] = {
      {'B', {0, 0, 500, 900, 1000, 1000}}, {'C', {0, 0, 0, 200, 300, 300}}, {'D', {20, 40, 40, 40, 40, 40}}};
  static const double share[] = {0.5, 0.9, 0.95, 0.99, 0.999, 1.0};
  for (size_t v = 0; v < 3; v++) {
    static uint64_t histogram[PDV_BUCKETS];
    memset(histogram, 0, sizeof(histogram));
    pdv_init(&pdv, PDV_WINDOW_US);
    for (int64_t n = 0; n < FRAMES; n++) {
      histogram[pdv_bucket(pdv_add(&pdv, arrival_us(vector[v].which, n), n * FRAME_US))]++;
    }
    for (size_t i = 0; i < 6; i++) {
      double got = pdv_percentile_ms(histogram, share[i], 0);
      if (got != vector[v].ms[i])
        fail_msg("P-%c %g: %g, expected %g", vector[v].which, share[i], got, vector[v].ms[i]);
    }
  }
}

static void bucket_edges(void **state) {
  (void)state;
  static const struct {
    int64_t late_us;
    double edge_ms;
  } vector[] = {{0, 0},          {1, 1},          {1000, 1},         {1001, 2},        {1000000, 1000},
                {1000001, 1010}, {1010000, 1010}, {10000000, 10000}, {10000001, 12345}};
  for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
    assert_true(pdv_bucket_edge_ms(pdv_bucket(vector[i].late_us), 12345000) == vector[i].edge_ms);
  }
}

static void peek_changes_nothing(void **state) {
  (void)state;
  pdv_init(&pdv, PDV_WINDOW_US);
  assert_int_equal(pdv_peek(&pdv, 500, 0), 0);
  pdv_add(&pdv, 100, 0);
  assert_int_equal(pdv_peek(&pdv, 5100, 0), 5000);
  assert_int_equal(pdv_peek(&pdv, 20050, 20000), 0);
  assert_int_equal(pdv_add(&pdv, 20100, 20000), 0);
}

/* Timestamps that run away: no overflow, and what is removed is no more than the time that passed. */
static void absurd_skew(void **state) {
  (void)state;
  static const double absurd[] = {1e15, -1e15};
  for (size_t i = 0; i < 2; i++) {
    pdv_init(&pdv, PDV_WINDOW_US);
    pdv_add(&pdv, 0, 0);
    pdv_set_skew(&pdv, 1000000, absurd[i]);
    assert_int_equal(pdv_add(&pdv, INT64_C(1) << 52, INT64_C(1) << 52), 0);
    assert_in_range(pdv_add(&pdv, (INT64_C(1) << 52) + 1000, INT64_C(1) << 52), 0, 2000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pe_slow_sender),        cmocka_unit_test(skew_removed),
      cmocka_unit_test(more_frames_than_room), cmocka_unit_test(percentiles_b_c_d),
      cmocka_unit_test(bucket_edges),          cmocka_unit_test(peek_changes_nothing),
      cmocka_unit_test(absurd_skew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
