/* The published figures, and the reasons for those that are not there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/delivery_feed.h"
#include "tests/figure_checks.h"

static struct feed feed;
static struct delivery_facts facts;
static struct delivery_figures figures;
static struct leg_codec leg;

static int setup(void **state) {
  (void)state;
  feed_clear(&feed);
  return 0;
}

static void compute(enum codec_id codec, bool plc, enum quality_consumer consumer) {
  feed_facts(&feed, 0, &facts);
  delivery_figures(&facts, codec_row(codec), &(struct delivery_view){plc, consumer, leg}, &figures);
}

static void perfect_call(void **state) {
  (void)state;
  feed_even(&feed, 1, 500);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.r_lq, 93.2, 1e-9);
  is(figures.mos_lqe, 4.4093, 5e-5);
  is(figures.mos_fb, 3.25, 5e-3);
  is(figures.loss_pct, 0, 0);
  is(figures.loss_ci_high_pct, 0.7624, 1e-3);
  is(figures.bunching_mean_frames, 1, 0);
  is(figures.burst_ratio, 1, 0);
  assert_string_equal(figures.burst_ratio_basis, "insufficient");
  is_absent(figures.mos_cqe, "no_ta");
  is_absent(figures.ta_ms, "no_rtt");
  is_absent(figures.rtt_tcp_ms, "no_tcp_info");
  is_absent(figures.rtt_ws_ms, "no_pong");
  is_absent(figures.rtt_rtcp_ms, "no_rtcp");
  is_absent(figures.network_jitter_ms, "not_rtp");
  is_absent(figures.skew_ppm, "not_fitted");
  is_absent(figures.burst_mean_ms, "no_burst");
  is_absent(figures.recovery_ms, "no_burst");
  is(figures.gap_density, 0, 0);
  is(figures.gap_mean_ms, 10000, 0);
  assert_int_equal(figures.flag_count, 0);
}

static void recovery_of_bursts_only(void **state) {
  (void)state;
  feed_even(&feed, 1, 99);
  feed_even(&feed, 101, 300); /* one alone is no burst */
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is_absent(figures.recovery_ms, "no_burst");
  feed_even(&feed, 303, 400);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.burst_count, 1, 0);
  is(figures.recovery_ms, 0, 0);
  for (int64_t n = 401; n <= 410; n++) feed_add(&feed, (uint64_t)n, n * FRAME_US, 410 * FRAME_US + 130000);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.recovery_ms, 0, 0);
  facts.recovery_count = 0;
  delivery_figures(&facts, codec_row(CODEC_PCMU), &(struct delivery_view){.consumer = CONSUMER_PLAYOUT},
                   &figures);
  is_absent(figures.recovery_ms, "not_recovered");
}

static void no_packet_no_mos(void **state) {
  (void)state;
  compute(CODEC_PCMU, true, CONSUMER_PLAYOUT);
  is_absent(figures.mos_lqe, "no_media");
  is_absent(figures.r_plc, "no_media");
  is_absent(figures.loss_pct, "no_media");
  is_absent(figures.worst_r, "no_media");
  is_absent(figures.jitter_mean_ms, "no_media");
  is_absent(figures.window_ms, "no_media");
  is(figures.expected_frames, 0, 0);
}

static void five_seconds_at_least(void **state) {
  (void)state;
  feed_even(&feed, 1, 249);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is_absent(figures.mos_lqe, "too_short");
  is(figures.loss_pct, 0, 0);
  feed_even(&feed, 250, 250);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.mos_lqe, 4.4093, 5e-5);
  feed.frame[9].sid = true;
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is_absent(figures.mos_lqe, "too_short");
}

/* L1 and L2 of 7.3: one frame in a hundred. */
static void one_per_cent(void **state) {
  (void)state;
  for (uint64_t n = 0; n < 500; n++) {
    if (n % 100 != 50) feed_even(&feed, n, n);
  }
  compute(CODEC_PCMA, true, CONSUMER_PLAYOUT);
  is(figures.ppl_pct, 1, 1e-12);
  is(figures.r_lq, 89.5601532567, 1e-9);
  is(figures.mos_lqe, 4.3280753823, 1e-9);
  is(figures.r_noplc, 75.2754716981, 1e-9);
  is(figures.ie_eff, 93.2 - 89.5601532567, 1e-9);
  assert_string_equal(figures.burst_ratio_basis, "measured");
  compute(CODEC_PCMA, false, CONSUMER_PLAYOUT);
  is(figures.mos_lqe, 3.8336511752, 1e-9);
  is(figures.r_plc, 89.5601532567, 1e-9);
  is(figures.below_r70_share, 0, 0);
  is(figures.worst_r, 75.2754716981, 1e-9);
}

static void stall_counts_for_playout_only(void **state) {
  (void)state;
  for (int64_t n = 0; n < 500; n++) {
    feed_add(&feed, (uint64_t)n, n * FRAME_US, 30000 + (n >= 100 && n < 150 ? 3000000 : n * FRAME_US));
  }
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.missing_frames, 0, 0);
  is(figures.ppl_pct, 100.0 * 49 / 500, 1e-12);
  is(figures.stall_longest_ms, 1000, 0);
  is(figures.pdv_p95_ms, 500, 0);
  is(figures.pdv_p999_ms, 1000, 0);
  is(figures.burst_longest_frames, 31, 0); /* 30 thrown away and the one that made P grow */
  double playout_r = figures.r_lq.value;
  compute(CODEC_PCMU, false, CONSUMER_ASR_STREAM);
  is(figures.ppl_pct, 0, 0);
  is(figures.r_lq, 93.2, 1e-9);
  is(figures.stall_count, 1, 0);
  is_absent(figures.discarded_adaptive, "consumer_asr_stream");
  is_absent(figures.recovery_ms, "consumer_asr_stream");
  assert_true(playout_r < 70);
}

/* BG0 to BG10 of 7.5 as they are published: frames that came damaged, to a reader of the stream. `every` > 0:
 * each index of the form every * k - 1. Below 0: not defined. */
static void bg_segmentation_as_published(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint64_t n;
    int bad[16], every;
    double bursts, density, mean_ms, gap_density, burst_ratio;
  } cases[] = {
      {"BG0", 100, {-1}, 0, 0, -1, -1, 0, 1},
      {"BG1", 100, {20, 60, -1}, 0, 0, -1, -1, 0.02, 1},
      {"BG2", 100, {40, 41, 42, 43, 44, -1}, 0, 1, 1, 100, 0, 1}, /* one run: BurstR is not measured */
      {"BG3", 100, {30, 32, 35, 36, 40, 80, -1}, 0, 1, 0.454545, 220, 0.011236, 1.128},
      {"BG4", 100, {0, 99, -1}, 0, 0, -1, -1, 0.02, 1},
      {"BG5", 100, {20, 36, -1}, 0, 1, 0.117647, 340, 0, 1},
      {"BG6", 100, {20, 37, -1}, 0, 0, -1, -1, 0.02, 1},
      {"BG7", 100, {10, 11, 12, 70, 71, 72, 73, 74, 75, -1}, 0, 2, 1, 90, 0, 1},
      {"BG8", 50, {-1}, 1, 1, 1, 1000, -1, 1},
      {"BG9", 1000, {-1}, 20, 0, -1, -1, 0.05, 1},
      {"BG10", 1000, {-1}, 10, 1, 0.100908, 19820, 0, 1},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    feed_clear(&feed);
    feed_even(&feed, 0, cases[c].n - 1);
    for (size_t i = 0; i < cases[c].n; i++)
      feed.frame[i].upstream_bad = cases[c].every > 0 && (i + 1) % (uint64_t)cases[c].every == 0;
    for (size_t k = 0; cases[c].bad[k] >= 0; k++) feed.frame[cases[c].bad[k]].upstream_bad = true;
    compute(CODEC_PCMU, false, CONSUMER_ASR_STREAM);
    is(figures.burst_count, cases[c].bursts, 0);
    is(figures.burst_ratio, cases[c].burst_ratio, 1e-9);
    if (cases[c].density < 0) {
      is_absent(figures.burst_density, "no_burst");
      is_absent(figures.burst_mean_ms, "no_burst");
    } else {
      is(figures.burst_density, cases[c].density, 5e-7);
      is(figures.burst_mean_ms, cases[c].mean_ms, 1e-9);
    }
    if (cases[c].gap_density < 0)
      is_absent(figures.gap_density, "no_gap");
    else
      is(figures.gap_density, cases[c].gap_density, 5e-7);
  }
}

static void windows_published(void **state) {
  (void)state;
  feed_even(&feed, 0, 999);
  for (size_t i = 600; i < 605; i++) feed.frame[i].number = 600; /* four lost, four duplicates */
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  struct delivery_window_figures window;
  delivery_window_figures(&facts, 1, codec_row(CODEC_PCMU), &(struct delivery_view){.plc = false}, &window);
  is(window.start_ms, 10000, 0);
  is(window.loss_pct, 0.8, 1e-12);
  is(window.r, 93.2 - 95 * 0.8 / (0.8 + 4.3), 1e-9);
  is(figures.worst_start_ms, 10000, 0);
  is(figures.duplicate_frames, 4, 0);
  is(window.jitter_ms, 0, 1e-12);
}

static void flags(void **state) {
  (void)state;
  feed_even(&feed, 1, 300);
  feed_even(&feed, 700, 1000);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  assert_int_equal(figures.flag_count, 2);
  assert_string_equal(figures.flags[0], "big_gap");
  assert_string_equal(figures.flags[1], "out_of_range");
}

/* What is late for a listener is nothing to a reader of the stream. */
static void range_is_the_view_s_own(void **state) {
  (void)state;
  for (int64_t n = 0; n < 500; n++) {
    feed_add(&feed, (uint64_t)n, n * FRAME_US, 30000 + (n >= 100 && n < 300 ? 6000000 : n * FRAME_US));
  }
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  assert_true(figures.ppl_pct.value > 20);
  assert_int_equal(figures.flag_count, 1);
  assert_string_equal(figures.flags[0], "out_of_range");
  compute(CODEC_PCMU, false, CONSUMER_ASR_STREAM);
  is(figures.ppl_pct, 0, 0);
  assert_int_equal(figures.flag_count, 0);
}

/* Three runs of 20: too few in either window to tell a burst ratio, enough in the call, and its Ie is cut at 8. */
static void bursts_beyond_the_model_are_flagged(void **state) {
  (void)state;
  for (uint64_t n = 0; n < 1000; n++) {
    bool lost = (n >= 100 && n < 120) || (n >= 600 && n < 620) || (n >= 700 && n < 720);
    if (!lost) feed_even(&feed, n, n);
  }
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  is(figures.burst_ratio, 20 * 0.94, 1e-9);
  is(figures.ie_eff, 95 * 6 / (6 / 8.0 + 4.3), 1e-9);
  assert_int_equal(figures.flag_count, 1);
  assert_string_equal(figures.flags[0], "out_of_range");
}

/* Ten runs of 25 in the second of two windows: by the formula its R is -357. */
static void one_bad_window_does_not_outweigh_the_rest(void **state) {
  (void)state;
  struct delivery_window_figures window;
  for (uint64_t n = 0; n <= 1000; n++)
    if (n < 500 || n % 50 < 25) feed_even(&feed, n, n);
  compute(CODEC_PCMU, false, CONSUMER_PLAYOUT);
  delivery_window_figures(&facts, 1, codec_row(CODEC_PCMU), &(struct delivery_view){.plc = false}, &window);
  is(window.r, 0, 0);
  is(window.mos, 1, 0);
  is(figures.worst_r, 0, 0);
  is(figures.r_lq, 93.2 * 500 / 1001, 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(perfect_call, setup),
      cmocka_unit_test_setup(recovery_of_bursts_only, setup),
      cmocka_unit_test_setup(no_packet_no_mos, setup),
      cmocka_unit_test_setup(five_seconds_at_least, setup),
      cmocka_unit_test_setup(one_per_cent, setup),
      cmocka_unit_test_setup(stall_counts_for_playout_only, setup),
      cmocka_unit_test_setup(bg_segmentation_as_published, setup),
      cmocka_unit_test_setup(windows_published, setup),
      cmocka_unit_test_setup(flags, setup),
      cmocka_unit_test_setup(range_is_the_view_s_own, setup),
      cmocka_unit_test_setup(bursts_beyond_the_model_are_flagged, setup),
      cmocka_unit_test_setup(one_bad_window_does_not_outweigh_the_rest, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
