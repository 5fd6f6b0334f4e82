/* The E-model's figures of a track: scales, the leg's codec, delay, and why there is none. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsp/inspect.h"
#include "dsp/recency.h"
#include "tests/delivery_feed.h"
#include "tests/figure_checks.h"

static struct delivery_facts facts;
static struct delivery_figures figures;
static struct delivery_view view;
static const struct codec *codec;

static int setup(void **state) {
  (void)state;
  view = (struct delivery_view){0};
  return 0;
}

/* `count` frames of 20 ms in one mode, 30 ms after their media time; every lose_each-th is lost. */
static void measure(enum codec_id id, unsigned mode, uint32_t bytes, uint64_t count, uint64_t lose_each) {
  struct delivery *d = malloc(delivery_bytes());
  codec = codec_row(id);
  delivery_init(d);
  delivery_begin(d, codec, FRAME_US);
  for (uint64_t n = 0; n < count; n++) {
    if (lose_each > 0 && n % lose_each == lose_each / 2) continue;
    struct delivery_input in = {.number = n,
                                .media_us = (int64_t)n * FRAME_US,
                                .arrival_us = (int64_t)n * FRAME_US + 30000,
                                .read_ordinal = n,
                                .duration_us = FRAME_US,
                                .coded = true,
                                .mode = (uint8_t)mode,
                                .payload_bytes = bytes};
    delivery_frame(d, &in);
  }
  memset(&facts, 0, sizeof facts);
  delivery_facts(d, &facts);
  free(d);
}

static bool flagged(const char *name) {
  for (size_t i = 0; i < figures.flag_count; i++)
    if (strcmp(figures.flags[i], name) == 0) return true;
  return false;
}

static void compute(const char *leg) {
  view.leg = leg_codec_of(leg, codec);
  delivery_figures(&facts, codec, &view, &figures);
}

static void wideband_by_itself(void **state) {
  (void)state;
  measure(CODEC_G722, 0, 160, 500, 0);
  compute("G722");
  is(figures.r_lq, 116, 1e-9);
  is(figures.mos_lqe, 4.34, 5e-3);
  is(figures.mos_fb, 3.96, 5e-3);
  is(figures.ie, 13, 1e-9);
  is(figures.bpl, 4.3, 1e-9);
  assert_int_equal(figures.scale, SCALE_WB);
  assert_string_equal(figures.algorithm, "MOS-LQEW");
  assert_string_equal(figures.ie_basis, "assumed");
  measure(CODEC_G722, 0, 160, 1000, 100);
  compute("G722");
  is(figures.r_lq, 116 - 82 / 5.3, 1e-9);
  is(figures.ie_eff, 13 + 82 / 5.3, 1e-9);
  assert_string_equal(figures.ie_basis, "assumed");
}

/* Ideal wideband has an R where nothing is lost. One window with loss, and the call has none: the mean of
 * the others would be of a better call. */
static void no_bpl_under_loss(void **state) {
  (void)state;
  measure(CODEC_L16_16K, 0, 640, 1500, 0);
  compute(NULL);
  is(figures.r_lq, 129, 1e-9);
  is(figures.mos_lqe, 4.5, 1e-9);
  is(figures.mos_fb, 4.26, 5e-3);
  is_absent(figures.bpl, "no_bpl");
  assert_string_equal(figures.ie_basis, "assumed");
  measure(CODEC_L16_16K, 0, 640, 1500, 1400);
  compute(NULL);
  is_absent(figures.r_lq, "no_bpl");
  is_absent(figures.mos_lqe, "no_bpl");
  is_absent(figures.mos_fb, "no_bpl");
  is_absent(figures.ie_eff, "no_bpl");
  is_absent(figures.worst_r, "no_bpl");
  is_absent(figures.below_r70_share, "no_bpl");
  is_absent(figures.r_cq, "no_bpl");
  is(figures.ie, 0, 1e-9);
  struct delivery_window_figures window;
  delivery_window_figures(&facts, 0, codec, &view, &window);
  is(window.r, 129, 1e-9);
  delivery_window_figures(&facts, 1, codec, &view, &window);
  is_absent(window.r, "no_bpl");
  is_absent(window.mos, "no_bpl");
}

/* 1.7: what came narrow stays narrow, whatever carries it. */
static void a_narrow_leg_in_a_wide_stream(void **state) {
  (void)state;
  measure(CODEC_L16_16K, 0, 640, 500, 0);
  compute("PCMU");
  is(figures.r_lq, 93.2, 1e-9);
  is(figures.mos_lqe, 4.4093, 5e-5);
  is(figures.ie, 0, 1e-9);
  is(figures.worst_r, 93.2, 1e-9);
  assert_int_equal(figures.scale, SCALE_NB);
  assert_string_equal(figures.algorithm, "MOS-LQEN");
  assert_string_equal(figures.ie_basis, "published");
  struct delivery_window_figures window;
  delivery_window_figures(&facts, 0, codec, &view, &window);
  is(window.r, 93.2, 1e-9);
  is(window.mos, 4.4093, 5e-5);
  measure(CODEC_OPUS, OPUS_SWB, 85, 500, 0); /* 34 kbit/s CBR: Ie 20.62 */
  compute("PCMA");
  is(figures.r_lq, 93.2 - 20.62, 1e-9);
  is(figures.ie, 20.62, 1e-9);
  assert_int_equal(figures.scale, SCALE_NB);
  assert_string_equal(figures.ie_basis, "literature");
  measure(CODEC_L16_16K, 0, 640, 500, 0);
  compute("G722");
  is(figures.r_lq, 116, 1e-9);
  assert_int_equal(figures.scale, SCALE_WB);
}

static void impairments_add(void **state) {
  (void)state;
  measure(CODEC_PCMU, 0, 160, 500, 0);
  compute("G729");
  is(figures.r_lq, 83.2, 1e-9);
  is(figures.ie, 10, 1e-9);
  is(figures.r_plc, 83.2, 1e-9);
  compute("PCMA");
  is(figures.r_lq, 93.2, 1e-9);
  measure(CODEC_PCMU, 0, 160, 1000, 50);
  compute("PCMU");
  double clean = figures.r_lq.value;
  is(figures.below_r70_share, 1, 0); /* 2 %: R 62 */
  compute("GSM");
  is(figures.r_lq, clean - 20, 1e-9);
  view.plc = true;
  compute("PCMU");
  is(figures.below_r70_share, 0, 0); /* 86 */
  compute("GSM");
  is(figures.below_r70_share, 1, 0); /* 66 */
}

/* Property 12 of 7.8: what is known of the leg changes the basis, not silently the number. */
static void provenance_changes_the_basis(void **state) {
  (void)state;
  static const enum codec_id ids[] = {CODEC_PCMU, CODEC_PCMA, CODEC_L16_16K, CODEC_AMR_WB};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    measure(ids[i], 2, 160, 500, 0);
    if (!codec_row(ids[i])->has_modes) measure(ids[i], 0, 160, 500, 0);
    compute(codec->encoding);
    struct delivery_figures known = figures;
    assert_string_equal(known.ie_basis, "published");
    compute(NULL);
    assert_string_equal(figures.ie_basis, "assumed");
    is(figures.r_lq, known.r_lq.value, 0);
    is(figures.mos_lqe, known.mos_lqe.value, 0);
    assert_false(flagged("leg_codec_unrated"));
    compute("SPEEX");
    assert_string_equal(figures.ie_basis, "assumed");
    assert_true(flagged("leg_codec_unrated"));
    is(figures.r_lq, known.r_lq.value, 0);
  }
}

static void modes_of_a_call(void **state) {
  (void)state;
  measure(CODEC_AMR_WB, 2, 33, 1000, 50);
  compute("AMR-WB");
  is(figures.r_lq, 85.1904762, 5e-8); /* L6 */
  is(figures.mos_lqe, 3.4062, 5e-5);
  is(figures.ie, 20, 1e-9);
  is(figures.ie_eff, 43.8095238, 5e-8);
  assert_true(flagged("context=diotic"));
  assert_false(flagged("id=absolute"));
  measure(CODEC_AMR_WB, 3, 37, 500, 0); /* 14.25: no diotic figures */
  compute("AMR-WB");
  is(figures.r_lq, 119, 1e-9);
  assert_false(flagged("context=diotic"));
  measure(CODEC_OPUS, OPUS_MB, 30, 500, 0);
  compute("OPUS");
  is_absent(figures.r_lq, "no_ie");
  is_absent(figures.ie, "no_ie");
  is_absent(figures.mos_fb, "no_ie");
  assert_string_equal(figures.ie_basis, "none");
  assert_int_equal(facts.active_bytes, 500 * 30);
  assert_int_equal(facts.active_us, 10000000);
}

/* Ten seconds of a band nobody rated leave the other ten without a rating too. */
static void half_a_call_without_ie(void **state) {
  (void)state;
  struct delivery *d = malloc(delivery_bytes());
  codec = codec_row(CODEC_OPUS);
  delivery_init(d);
  delivery_begin(d, codec, FRAME_US);
  for (uint64_t n = 0; n < 1000; n++) {
    struct delivery_input in = {.number = n,
                                .media_us = (int64_t)n * FRAME_US,
                                .arrival_us = (int64_t)n * FRAME_US,
                                .read_ordinal = n,
                                .duration_us = FRAME_US,
                                .coded = true,
                                .mode = n < 500 ? OPUS_WB : OPUS_MB,
                                .payload_bytes = 32};
    delivery_frame(d, &in);
  }
  delivery_facts(d, &facts);
  free(d);
  compute("OPUS");
  is_absent(figures.r_lq, "no_ie");
  is_absent(figures.worst_r, "no_ie");
  is_absent(figures.r_av, "no_ie");
  struct delivery_window_figures window;
  delivery_window_figures(&facts, 0, codec, &view, &window);
  is(window.r, 129 - 26.16, 1e-9); /* 12.8 kbit/s: nearer to 13 than to 12 */
  delivery_window_figures(&facts, 1, codec, &view, &window);
  is_absent(window.r, "no_ie");
}

/* ---- delay ---- */

static void over_a_stream_ta_is_a_lower_bound(void **state) {
  (void)state;
  measure(CODEC_PCMU, 0, 160, 500, 0);
  compute("PCMU");
  is_absent(figures.ta_ms, "no_rtt");
  is_absent(figures.r_cq, "no_ta");
  assert_null(figures.ta_basis);
  delivery_add_rtt(&facts, RTT_WS, 90000);
  compute("PCMU");
  is(figures.ta_ms, 45 + 20 + figures.playout_delay_ms.value, 1e-9);
  delivery_add_rtt(&facts, RTT_TCP, 30000);
  delivery_add_rtt(&facts, RTT_TCP, 50000);
  assert_int_equal(facts.rtt_min_us[RTT_TCP], 30000);
  compute("PCMU");
  is(figures.rtt_tcp_ms, 40, 1e-9);
  is(figures.rtt_ws_ms, 90, 1e-9);
  is(figures.ta_ms, 20 + 20 + figures.playout_delay_ms.value, 1e-9);
  assert_string_equal(figures.ta_basis, "stream_only");
  is_absent(figures.r_cq, "ta_stream_only");
  is_absent(figures.mos_cqe, "ta_stream_only");
  assert_string_equal(figures.algorithm, "MOS-LQEN");
  view.consumer = CONSUMER_ASR_STREAM; /* it has no buffer */
  compute("PCMU");
  is(figures.ta_ms, 40, 1e-9);
}

static void conversation_with_rtcp(void **state) {
  (void)state;
  measure(CODEC_PCMU, 0, 160, 1000, 100);
  view.plc = true;
  delivery_add_rtt(&facts, RTT_TCP, 30000);
  delivery_add_rtt(&facts, RTT_RTCP, 400000);
  compute("PCMU");
  double ta_ms = 200 + 20 + figures.playout_delay_ms.value;
  is(figures.ta_ms, ta_ms, 1e-9);
  assert_string_equal(figures.ta_basis, "rtcp");
  is(figures.r_cq, figures.r_lq.value - emodel_idd(ta_ms, 100, 1), 1e-9);
  is(figures.mos_cqe, emodel_mos(figures.r_cq.value), 1e-12);
  assert_true(figures.mos_cqe.value < figures.mos_lqe.value - 0.1);
  assert_string_equal(figures.algorithm, "MOS-CQEN");
  assert_true(flagged("id=absolute"));
  measure(CODEC_OPUS, OPUS_SWB, 85, 500, 0);
  delivery_add_rtt(&facts, RTT_RTCP, 400000);
  compute("OPUS");
  ta_ms = 200 + 20 + 6.5 + figures.playout_delay_ms.value;
  is(figures.ta_ms, ta_ms, 1e-9);
  is(figures.r_cq, figures.r_lq.value - 1.48 * emodel_idd(ta_ms, 100, 1), 1e-9);
  assert_string_equal(figures.algorithm, "MOS-CQEF");
}

/* The coefficient beyond 100 ms is not known (1.6). */
static void wideband_delay(void **state) {
  (void)state;
  measure(CODEC_G722, 0, 160, 500, 0);
  view.consumer = CONSUMER_ASR_STREAM;
  delivery_add_rtt(&facts, RTT_RTCP, 160000);
  compute("G722");
  is(figures.ta_ms, 100, 1e-9);
  is(figures.r_cq, 116, 1e-9);
  assert_string_equal(figures.algorithm, "MOS-CQEW");
  delivery_add_rtt(&facts, RTT_RTCP, 164000);
  compute("G722");
  is_absent(figures.r_cq, "wb_delay_coefficient");
  is_absent(figures.mos_cqe, "wb_delay_coefficient");
  is(figures.mos_lqe, 4.34, 5e-3);
  assert_string_equal(figures.algorithm, "MOS-LQEW");
  compute("PCMU"); /* narrow content: narrowband's own coefficient */
  is(figures.r_cq, figures.r_lq.value - emodel_idd(101, 100, 1), 1e-9);
}

/* Two bursts of five lost frames, 8 s and 4 s before the end of 20 s; 3.10 by hand. */
static void what_is_remembered(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  codec = codec_row(CODEC_PCMU);
  for (uint64_t n = 0; n < 1000; n++) {
    if ((n >= 595 && n < 600) || (n >= 795 && n < 800)) continue;
    struct delivery_input in = {.number = n,
                                .media_us = (int64_t)n * FRAME_US,
                                .arrival_us = (int64_t)n * FRAME_US,
                                .read_ordinal = n,
                                .duration_us = FRAME_US};
    delivery_frame(d, &in);
  }
  memset(&facts, 0, sizeof facts);
  delivery_facts(d, &facts);
  free(d);
  assert_int_equal(facts.since_burst_us[CONSUMER_PLAYOUT], 4000000);
  compute("PCMU");
  struct recency felt = recency_of(95 * 100 / 104.3, 0, 0.1, 19.8 / 3);
  is(figures.r_av, 93.2 - felt.av, 1e-9);
  is(figures.r_end, 93.2 - recency_end(&felt, 4), 1e-9);
  is(figures.mos_end, emodel_mos(93.2 - recency_end(&felt, 4)), 1e-9);
  assert_true(figures.r_end.value < figures.r_av.value);

  struct delivery_facts *first = malloc(sizeof *first), *second = malloc(sizeof *second);
  memcpy(first, &facts, sizeof facts);
  measure(CODEC_PCMU, 0, 160, 500, 0);
  memcpy(second, &facts, sizeof facts);
  delivery_merge(first, second);
  assert_int_equal(first->since_burst_us[CONSUMER_PLAYOUT], 14000000);
  delivery_merge(second, first);
  assert_int_equal(second->since_burst_us[CONSUMER_PLAYOUT], 14000000);
  free(first);
  free(second);

  compute("PCMU"); /* ten clean seconds: nothing to remember */
  is(figures.r_av, 93.2, 1e-9);
  is(figures.r_end, 93.2, 1e-9);
  measure(CODEC_PCMU, 0, 160, 100, 0);
  compute("PCMU");
  is_absent(figures.mos_end, "too_short");
}

/* ---- parts stored before the coding was kept ---- */

static void old_facts_stay_readable(void **state) {
  (void)state;
  measure(CODEC_PCMA, 0, 160, 1000, 100);
  compute("PCMA");
  struct delivery_figures before = figures;
  facts.clean_r_sum = 0;
  facts.clean_r_us = facts.active_us = facts.active_bytes = 0;
  memset(facts.coded_us, 0, sizeof facts.coded_us);
  memset(facts.bpl_sum, 0, sizeof facts.bpl_sum);
  memset(facts.bpl_us, 0, sizeof facts.bpl_us);
  compute("PCMA");
  is(figures.r_lq, before.r_lq.value, 0);
  is(figures.mos_lqe, before.mos_lqe.value, 0);
  is(figures.ie, 0, 0);
  is(figures.bpl, 4.3, 0);
  is(figures.ie_eff, before.ie_eff.value, 1e-9);
  assert_int_equal(figures.scale, SCALE_NB);
  assert_string_equal(figures.ie_basis, "published");
  compute("G729");
  is(figures.r_lq, before.r_lq.value - 10, 1e-9);
}

static void a_basis_from_elsewhere(void **state) {
  (void)state;
  static const uint64_t basis[] = {IE_NONE + 1, 99, UINT64_C(1) << 32, UINT64_MAX};
  for (size_t i = 0; i < sizeof basis / sizeof basis[0]; i++) {
    measure(CODEC_PCMU, 0, 160, 500, 0);
    facts.ie_basis = basis[i];
    compute("PCMU");
    assert_string_equal(figures.ie_basis, "none");
  }
}

static void without_a_codec(void **state) {
  (void)state;
  measure(CODEC_PCMU, 0, 160, 500, 0);
  codec = NULL;
  delivery_add_rtt(&facts, RTT_TCP, 30000);
  compute("PCMU");
  is_absent(figures.r_lq, "no_codec");
  is_absent(figures.ie, "no_codec");
  is_absent(figures.ta_ms, "no_codec");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(wideband_by_itself, setup),
      cmocka_unit_test_setup(no_bpl_under_loss, setup),
      cmocka_unit_test_setup(a_narrow_leg_in_a_wide_stream, setup),
      cmocka_unit_test_setup(impairments_add, setup),
      cmocka_unit_test_setup(provenance_changes_the_basis, setup),
      cmocka_unit_test_setup(modes_of_a_call, setup),
      cmocka_unit_test_setup(half_a_call_without_ie, setup),
      cmocka_unit_test_setup(over_a_stream_ta_is_a_lower_bound, setup),
      cmocka_unit_test_setup(conversation_with_rtcp, setup),
      cmocka_unit_test_setup(wideband_delay, setup),
      cmocka_unit_test_setup(what_is_remembered, setup),
      cmocka_unit_test_setup(old_facts_stay_readable, setup),
      cmocka_unit_test_setup(a_basis_from_elsewhere, setup),
      cmocka_unit_test_setup(without_a_codec, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
