/* Windows of 10 s: voice-quality.md 3.10. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/windows.h"

static struct windows windows;
static struct delivery_facts facts;

static struct window_frame good = {
    .has_jitter = true, .jitter_ms = 2, .duration_us = 20000, .payload_bytes = 160};
static const struct window_frame lost = {.missing = true, .bad = {true, true}, .lost = {1, 1}};

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.10f, expected %.10f", value, expected);
}

static int setup(void **state) {
  (void)state;
  memset(&facts, 0, sizeof(facts));
  windows_init(&windows);
  good.codec = codec_row(CODEC_PCMU);
  good.mode = 0;
  windows.ptime_us = 20000;
  return 0;
}

static void add(int64_t place_ms, const struct window_frame *frame, uint64_t n) {
  windows_add(&windows, &facts, place_ms * 1000, frame, n);
}

static void borders(void **state) {
  (void)state;
  add(0, &good, 1500);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(facts.windows[i].expected_frames, 500);
    assert_int_equal(facts.windows[i].start_us, (int64_t)i * WINDOW_US);
  }
}

static double newest_r(bool plc, const char *leg) {
  const struct delivery_view view = {plc, CONSUMER_PLAYOUT, leg_codec_of(leg, good.codec)};
  return windows_newest_r(&windows, &view);
}

static void the_newest_is_the_last_that_is_over(void **state) {
  (void)state;
  assert_true(newest_r(false, NULL) == DELIVERY_R_ABSENT);
  add(0, &good, 499);
  assert_true(newest_r(false, NULL) == DELIVERY_R_ABSENT); /* still going on */
  add(9980, &good, 1);
  add(10000, &lost, 100);
  near(newest_r(false, NULL), 93.2, 1e-9);
  add(12000, &good, 400);
  add(20000, &good, 1);
  double bad = newest_r(false, NULL);
  assert_true(bad < 60 && bad > DELIVERY_R_ABSENT);
  assert_true(newest_r(true, NULL) > bad); /* concealment helps */
  add(30000, &good, 1);
  assert_true(newest_r(false, NULL) == DELIVERY_R_ABSENT); /* under 5 s of sound */
}

static void the_newest_through_its_leg(void **state) {
  (void)state;
  good.codec = codec_row(CODEC_OPUS);
  good.mode = OPUS_SWB;
  add(0, &good, 250);
  good.mode = OPUS_NB;
  add(5000, &good, 250);
  add(10000, &good, 1);
  double r = newest_r(false, "OPUS"); /* all of 160 bytes: 40 and 11 kbit/s CBR */
  near(r, (148 - 15.90 + 93.2 - 2.03) / 2, 1e-9);
  near(newest_r(false, NULL), r, 0);
  near(newest_r(false, "PCMU"), r - 54.8 / 2, 1e-9);
  near(newest_r(false, "G722"), r - (32 + 13) / 2.0, 1e-9);
}

/* Silence and holes go by the coding before them; what is remembered of one window must be right for the next. */
static void windows_without_sound_are_each_rated(void **state) {
  (void)state;
  enum { WINDOWS = 700 };
  static const struct window_frame silent = {.missing = false};
  struct window_counts counts[WINDOWS];
  memset(counts, 0, sizeof counts);
  struct coded_mix mix = {0};
  for (int w = 0; w < WINDOWS; w++) {
    int64_t at_ms = w * 10000;
    bool sound = w % 50 == 0; /* by turns of two codecs */
    good.codec = codec_row(w % 100 == 0 ? CODEC_PCMU : CODEC_L16_16K);
    uint64_t runs = (uint64_t)(rand() % 3) * 30, each = rand() % 2 ? 2 : 4; /* of 5 frames */
    if (each == 4) runs /= 2; /* equally many are lost, in fewer runs */
    struct window_frame partly = lost;
    partly.bad[CONSUMER_ASR_STREAM] = rand() % 2;
    partly.lost[0] = partly.lost[1] = 1 + (uint32_t)(rand() % 2); /* a stall conceals several */
    if (sound) mix = (struct coded_mix){0};
    if (sound) coded_add(&mix, good.codec, 0, 100, good.duration_us, good.payload_bytes);
    add(at_ms, sound ? &good : &silent, 100);
    for (uint64_t run = 0; run < 80; run++) {
      int64_t run_ms = at_ms + 2000 + (int64_t)run * 100;
      uint64_t missing = run < runs ? each : 0;
      add(run_ms, &partly, missing);
      add(run_ms + (int64_t)missing * 20, &silent, 5 - missing);
    }
    counts[w] = (struct window_counts){.expected_frames = 500, .coded = mix};
    for (int i = 0; i < DELIVERY_CONSUMERS; i++) {
      counts[w].lost[i] = runs * each * partly.lost[i];
      counts[w].bad[i] = partly.bad[i] ? runs * each : 0;
      counts[w].runs[i] = partly.bad[i] ? runs : 0;
    }
  }
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, WINDOWS);
  for (int w = 0; w < WINDOWS; w++)
    for (int i = 0; i < DELIVERY_MODELS; i++) {
      enum quality_consumer consumer = (enum quality_consumer)(i / 2);
      struct coded_rating rating;
      assert_true(window_rating(&counts[w], consumer, i % 2, &rating));
      double r = rating.no_bpl ? DELIVERY_R_ABSENT : rating.r;
      if (facts.windows[w].r[delivery_model(consumer, i % 2)] != r) fail_msg("window %d, model %d", w, i);
    }
}

static void short_end_joins(void **state) {
  (void)state;
  add(0, &good, 1249); /* 4.98 s in the third */
  struct windows copy = windows;
  windows_finish(&copy, &facts);
  assert_int_equal(facts.window_count, 2);
  assert_int_equal(facts.windows[1].expected_frames, 749);
  memset(&facts, 0, sizeof(facts));
  setup(state);
  add(0, &good, 1250);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 3);
}

static void pauses_have_no_window(void **state) {
  (void)state;
  add(0, &good, 500);
  add(50000, &good, 500);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 2);
  assert_int_equal(facts.windows[1].start_us, 50000000);
}

static void each_from_its_own_loss(void **state) {
  (void)state;
  add(0, &good, 495);
  add(9900, &lost, 10); /* five in each */
  add(10100, &good, 495);
  add(20000, &good, 500);
  windows_finish(&windows, &facts);
  double r = 93.2 - 95.0 * 1 / (1 + 25.1); /* 1 %, one run: BurstR 1 */
  size_t model = delivery_model(CONSUMER_PLAYOUT, true);
  near(facts.windows[0].r[model], r, 1e-9);
  near(facts.windows[1].r[model], r, 1e-9);
  near(facts.windows[2].r[model], 93.2, 1e-9);
  near(facts.r_sum[model] / (double)facts.r_us[model], (2 * r + 93.2) / 3, 1e-9);
  near(facts.worst_r[model], r, 1e-9);
  assert_int_equal(facts.worst_start_us[model], 0);
  assert_int_equal(facts.below_r70_us[model], 0);
  assert_int_equal(facts.windows[0].jitter_count, 495);
}

static void found_later(void **state) {
  (void)state;
  add(0, &good, 400);
  add(8000, &lost, 1);
  add(8020, &good, 300);
  windows_found(&windows, 8000000);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.windows[0].missing_frames, 0);
  near(facts.windows[0].r[delivery_model(CONSUMER_ASR_STREAM, false)], 93.2, 1e-9);
  assert_true(facts.windows[0].r[delivery_model(CONSUMER_PLAYOUT, false)] < 93.2);
}

static double r_of(size_t window) {
  return facts.windows[window].r[delivery_model(CONSUMER_PLAYOUT, false)];
}

/* Of the modes' ratings the mean by time, at the window's own loss. */
static void modes_weigh_by_time(void **state) {
  (void)state;
  good.codec = codec_row(CODEC_AMR_WB);
  good.mode = 2; /* 12.65: 20 / 4.3 */
  add(0, &good, 250);
  good.mode = 8; /* 23.85: 10 / 4.9 */
  add(5000, &good, 240);
  add(9800, &lost, 10);
  good.mode = 2;
  add(10000, &good, 250);
  windows_finish(&windows, &facts);
  double a = 129 - (20 + 75 * 2 / (2 + 4.3)), b = 129 - (10 + 85 * 2 / (2 + 4.9));
  near(r_of(0), (250 * a + 240 * b) / 490, 1e-9);
  near(r_of(1), 109, 1e-9);
  assert_int_equal(facts.coded_us[SCALE_WB], 15000000);
  near(facts.clean_r_sum / (double)facts.clean_r_us, (10 * (250 * 109.0 + 240 * 119) / 490 + 5 * 109) / 15,
       1e-9);
  assert_int_equal(facts.ie_basis, IE_PUBLISHED);
}

/* 8.85 has no Bpl: one lost frame leaves no R, though most of the window is in a mode that has one. */
static void a_mode_without_bpl_under_loss(void **state) {
  (void)state;
  good.codec = codec_row(CODEC_AMR_WB);
  good.mode = 2;
  add(0, &good, 489);
  good.mode = 1;
  add(9780, &good, 10);
  add(9980, &lost, 1);
  add(10000, &good, 500);
  windows_finish(&windows, &facts);
  assert_true(r_of(0) == DELIVERY_R_ABSENT);
  near(r_of(1), 129 - 41, 1e-9);
  assert_int_equal(facts.no_bpl_us[0], 10000000);
  assert_int_equal(facts.unrated_us[0], 0);
  assert_int_equal(facts.bpl_us[0], 0);
}

/* Issue: a window was rated by the codec that came after it. */
static void two_codecs_in_one_window(void **state) {
  (void)state;
  add(0, &good, 500);
  add(10000, &good, 250);
  good.codec = codec_row(CODEC_G722);
  add(15000, &good, 250);
  add(20000, &good, 500);
  windows_finish(&windows, &facts);
  near(r_of(0), 93.2, 1e-9);
  near(r_of(1), (93.2 + 116) / 2, 1e-9);
  near(r_of(2), 116, 1e-9);
  assert_int_equal(facts.coded_us[SCALE_NB], 15000000);
  assert_int_equal(facts.coded_us[SCALE_WB], 15000000);
  assert_int_equal(facts.ie_basis, IE_ASSUMED);
}

static void without_sound_as_before(void **state) {
  (void)state;
  add(0, &lost, 500); /* nobody knows what it would have been */
  add(10000, &good, 500);
  add(20000, &lost, 500);
  windows_finish(&windows, &facts);
  assert_true(r_of(0) == DELIVERY_R_ABSENT);
  near(r_of(1), 93.2, 1e-9);
  near(r_of(2), 93.2 - 95 * 100 / 104.3, 1e-9);
  assert_int_equal(facts.unrated_us[0], 0);
}

static void unrated_band(void **state) {
  (void)state;
  good.codec = codec_row(CODEC_OPUS);
  good.mode = OPUS_MB;
  add(0, &good, 500);
  windows_finish(&windows, &facts);
  assert_true(r_of(0) == DELIVERY_R_ABSENT);
  assert_int_equal(facts.unrated_us[0], 10000000);
  assert_int_equal(facts.clean_r_us, 0);
}

/* A late frame conceals more slots than it has. */
static void no_more_than_all_is_lost(void **state) {
  (void)state;
  assert_true(window_ppl_pct(0, 250) == 0);
  assert_true(window_ppl_pct(5, 250) == 2);
  assert_true(window_ppl_pct(251, 250) == 100);
}

static void all_lost(void **state) {
  (void)state;
  add(0, &good, 1);
  add(20, &lost, 1999);
  windows_finish(&windows, &facts);
  assert_int_equal(facts.window_count, 4);
  assert_int_equal(facts.below_r70_us[0], 40000000);
  assert_true(isfinite(facts.worst_r[0]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(borders, setup),
      cmocka_unit_test_setup(the_newest_is_the_last_that_is_over, setup),
      cmocka_unit_test_setup(the_newest_through_its_leg, setup),
      cmocka_unit_test_setup(short_end_joins, setup),
      cmocka_unit_test_setup(windows_without_sound_are_each_rated, setup),
      cmocka_unit_test_setup(pauses_have_no_window, setup),
      cmocka_unit_test_setup(each_from_its_own_loss, setup),
      cmocka_unit_test_setup(found_later, setup),
      cmocka_unit_test_setup(modes_weigh_by_time, setup),
      cmocka_unit_test_setup(a_mode_without_bpl_under_loss, setup),
      cmocka_unit_test_setup(two_codecs_in_one_window, setup),
      cmocka_unit_test_setup(without_sound_as_before, setup),
      cmocka_unit_test_setup(unrated_band, setup),
      cmocka_unit_test(no_more_than_all_is_lost),
      cmocka_unit_test_setup(all_lost, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
