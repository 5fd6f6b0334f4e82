#include <math.h>

#include "tests/fold_measured.h"

static double number_at(const json_t *document, const char *path) {
  const json_t *value = at_path(document, path);
  if (!json_is_number(value)) fail_msg("%s is no number", path);
  return json_number_value(value);
}

#define DELIVERY "metadata.sidetone.quality.delivery."

static void a_clean_call(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100);
  measure(part, TRACK_INBOUND, 1000, 0);
  measure(part, TRACK_OUTBOUND, 1000, 0);
  add_event(facts, "1", "call.answered", 0, "{'codec':'PCMA'}");
  struct fold_summary summary;
  json_t *document = fold_plain(facts, &summary);
  EXPECT(
      document, "quality",
      "{'mos':4.41,'audio':{'codec':'PCMU','sampleRate':8000,'bitrate':64.0,'packetLoss':0.0,'jitter':0.0},"
      "'network':{'packetsReceived':1000,'packetsLost':0,'bytesReceived':160000},'issues':[]}");
  assert_true(summary.mos == 4.41);
  EXPECT(document, DELIVERY "inbound.codec", "'PCMU'");
  EXPECT(document, DELIVERY "inbound.leg_codec", "'PCMA'");
  EXPECT(document, DELIVERY "inbound.model", "'G.107'");
  EXPECT(document, DELIVERY "inbound.scale", "'nb'");
  EXPECT(document, DELIVERY "inbound.plc", "false");
  EXPECT(document, DELIVERY "inbound.consumer", "'playout'");
  EXPECT(document, DELIVERY "inbound.expected_frames", "1000");
  EXPECT(document, DELIVERY "inbound.discarded_frames", "{'f60':0,'f120':0,'f200':0,'adaptive':0}");
  EXPECT(document, DELIVERY "inbound.burst",
         "{'count':0,'longest_frames':0,'absent':{'mean_ms':'no_burst','density':'no_burst'}}");
  EXPECT(document, DELIVERY "inbound.burst_ratio_basis", "'insufficient'");
  EXPECT(document, DELIVERY "inbound.chunk_scope", "'per_track'");
  EXPECT(document, DELIVERY "inbound.ta_basis", "absent");
  EXPECT(document, DELIVERY "inbound.absent.ta_basis", "'no_rtt'");
  EXPECT(document, DELIVERY "inbound.ts_unit", "'ms'");
  EXPECT(document, DELIVERY "inbound.ptime_ms", "20.0");
  EXPECT(document, DELIVERY "inbound.r_lq", "93.2");
  EXPECT(document, DELIVERY "inbound.mos_cqe", "absent");
  EXPECT(document, DELIVERY "inbound.absent.ta_ms", "'no_rtt'");
  EXPECT(document, DELIVERY "inbound.absent.mos_cqe", "'no_ta'");
  EXPECT(document, DELIVERY "inbound.window_ms", "10000.0");
  assert_int_equal(json_array_size(at_path(document, DELIVERY "inbound.windows")), 2);
  EXPECT(document, DELIVERY "inbound.windows.1",
         "{'start_ms':10000.0,'r':93.2,'mos':4.41,'loss_pct':0.0,'jitter_ms':0.0}");
  EXPECT(document, DELIVERY "outbound.mos_lqe", "4.41");
  EXPECT(document, "metadata.sidetone.quality.carrier", "absent");
  json_decref(document);
  facts_free(facts);
}

static void loss_is_told(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100);
  measure(part, TRACK_INBOUND, 999, 50);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality.network.packetsLost", "19");
  EXPECT(document, "quality.audio.packetLoss", "1.9019"); /* 19 of 999 */
  EXPECT(document, DELIVERY "inbound.loss_pct", "1.9019");
  assert_int_equal(json_array_size(at_path(document, DELIVERY "inbound.loss_ci_pct")), 2);
  assert_true(number_at(document, DELIVERY "inbound.loss_ci_pct.0") < 1.9019);
  assert_true(number_at(document, DELIVERY "inbound.loss_ci_pct.1") > 1.9019);
  assert_true(number_at(document, "quality.mos") < 4.3);
  EXPECT(document, DELIVERY "outbound", "absent");
  json_decref(document);
  facts_free(facts);
}

static void options_change_the_verdict(void **state) {
  (void)state;
  struct fold_options options = plain_options;
  options.plc = options.asr_stream = true;
  struct facts *facts = facts_new(LEG);
  measure(add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100), TRACK_INBOUND, 999, 50);
  json_t *plain = fold_plain(facts, NULL), *other = fold(facts, &options, NULL);
  EXPECT(other, DELIVERY "inbound.plc", "true");
  EXPECT(other, DELIVERY "inbound.consumer", "'asr_stream'");
  EXPECT(other, DELIVERY "inbound.absent.concealed_frames", "'consumer_asr_stream'");
  assert_true(number_at(other, "quality.mos") > number_at(plain, "quality.mos"));
  json_decref(plain);
  json_decref(other);
  facts_free(facts);
}

static void no_mos_before_5_s(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct fold_summary summary;
  measure(add_part(facts, "a_1", 0, PART_CLOSED, 100, 4100), TRACK_INBOUND, 200, 0);
  json_t *document = fold_plain(facts, &summary);
  EXPECT(document, "quality.mos", "absent");
  EXPECT(document, "quality.network.packetsReceived", "200");
  EXPECT(document, DELIVERY "inbound.absent.mos_lqe", "'too_short'");
  EXPECT(document, DELIVERY "inbound.absent.worst_window", "'too_short'");
  EXPECT(document, DELIVERY "inbound.worst_window", "absent");
  assert_true(isnan(summary.mos));
  json_decref(document);
  facts_free(facts);
}

/* A wideband stream is as wide as its leg (voice-quality.md 1.7). */
static void the_leg_counts(void **state) {
  (void)state;
  static const struct {
    const char *answered, *scale, *model, *algorithm, *basis, *mos, *r;
  } cases[] = {
      {"{}", "'wb'", "'G.107.1'", "'MOS-LQEW'", "'assumed'", "4.5", "129.0"},
      {"{'codec':'PCMU'}", "'nb'", "'G.107'", "'MOS-LQEN'", "'published'", "4.41", "93.2"},
      {"{'codec':'G722'}", "'wb'", "'G.107.1'", "'MOS-LQEW'", "'assumed'", "4.34", "116.0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct facts *facts = facts_new(LEG);
    measure_as(CODEC_L16_16K, add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100), TRACK_INBOUND, 1000, 0);
    add_event(facts, "1", "call.answered", 0, cases[i].answered);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, "quality.mos", cases[i].mos);
    EXPECT(document, DELIVERY "inbound.scale", cases[i].scale);
    EXPECT(document, DELIVERY "inbound.model", cases[i].model);
    EXPECT(document, DELIVERY "inbound.algorithm", cases[i].algorithm);
    EXPECT(document, DELIVERY "inbound.ie_basis", cases[i].basis);
    EXPECT(document, DELIVERY "inbound.r_lq", cases[i].r);
    EXPECT(document, DELIVERY "inbound.absent.bpl", "'no_bpl'");
    json_decref(document);
    facts_free(facts);
  }
}

static void round_trips_and_the_headline(void **state) {
  (void)state;
  for (int rtcp = 0; rtcp < 2; rtcp++) {
    struct facts *facts = facts_new(LEG);
    struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100);
    measure(part, TRACK_INBOUND, 1000, 0);
    delivery_add_rtt(part->track[TRACK_INBOUND].delivery, RTT_TCP, 36000);
    if (rtcp) delivery_add_rtt(part->track[TRACK_INBOUND].delivery, RTT_RTCP, 460000);
    json_t *document = fold_plain(facts, NULL);
    double ta_ms = number_at(document, DELIVERY "inbound.ta_ms");
    double buffer_ms = number_at(document, DELIVERY "inbound.playout_delay_ms");
    if (!rtcp) {
      EXPECT(document, DELIVERY "inbound.rtt_ms", "{'tcp':36.0,'absent':{'ws':'no_pong','rtcp':'no_rtcp'}}");
      EXPECT(document, DELIVERY "inbound.ta_basis", "'stream_only'");
      EXPECT(document, DELIVERY "inbound.absent.mos_cqe", "'ta_stream_only'");
      EXPECT(document, "quality.mos", "4.41");
      assert_true(fabs(ta_ms - 18 - 20 - buffer_ms) < 1e-2);
    } else {
      EXPECT(document, DELIVERY "inbound.rtt_ms", "{'tcp':36.0,'rtcp':460.0,'absent':{'ws':'no_pong'}}");
      EXPECT(document, DELIVERY "inbound.ta_basis", "'rtcp'");
      EXPECT(document, DELIVERY "inbound.algorithm", "'MOS-CQEN'");
      assert_true(fabs(ta_ms - 230 - 20 - buffer_ms) < 1e-2);
      assert_true(number_at(document, "quality.mos") < 4.3);
      assert_true(number_at(document, "quality.mos") == number_at(document, DELIVERY "inbound.mos_cqe"));
    }
    json_decref(document);
    facts_free(facts);
  }
}

static void the_outbound_track_makes_no_headline(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  measure(add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100), TRACK_OUTBOUND, 1000, 0);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality", "{'issues':[]}");
  EXPECT(document, DELIVERY "outbound.mos_lqe", "4.41");
  json_decref(document);
  facts_free(facts);
}

static void two_parts_are_one_track(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  measure(add_part(facts, "b_1", 30000, PART_CLOSED, 30100, 40080), TRACK_INBOUND, 500, 0);
  measure(add_part(facts, "a_1", 0, PART_CUT, 100, 20080), TRACK_INBOUND, 1000, 0);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality.network", "{'packetsReceived':1500,'packetsLost':0,'bytesReceived':240000}");
  EXPECT(document, DELIVERY "inbound.expected_frames", "1500");
  EXPECT(document, DELIVERY "inbound.stream_outage_ms", "10000.0");
  EXPECT(document, DELIVERY "inbound.restarts", "1");
  EXPECT(document, DELIVERY "inbound.mos_lqe", "4.41");
  EXPECT(document, "metadata.sidetone.agents", "['a','b']");
  json_decref(document);
  facts_free(facts);
}

/* A socket that takes over while the other still talks: there is a restart and no outage, as a gap is what
 * exceeds a frame (voice-quality.md 3.6). */
static void a_part_a_frame_later_is_no_outage(void **state) {
  (void)state;
  static const struct {
    int64_t first_frame_ms;
    const char *outage_ms;
  } rows[] = {{20100, "0.0"}, {20080, "0.0"}, {20120, "0.0"}, {20121, "21.0"}, {20580, "480.0"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct facts *facts = facts_new(LEG);
    int64_t first_ms = rows[i].first_frame_ms;
    measure(add_part(facts, "a_1", 0, PART_CLOSED, 100, 20080), TRACK_INBOUND, 1000, 0);
    measure(add_part(facts, "a_2", first_ms, PART_CLOSED, first_ms, first_ms + 9980), TRACK_INBOUND, 500, 0);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, DELIVERY "inbound.stream_outage_ms", rows[i].outage_ms);
    EXPECT(document, DELIVERY "inbound.restarts", "1");
    json_decref(document);
    facts_free(facts);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_clean_call),
      cmocka_unit_test(loss_is_told),
      cmocka_unit_test(options_change_the_verdict),
      cmocka_unit_test(no_mos_before_5_s),
      cmocka_unit_test(the_leg_counts),
      cmocka_unit_test(round_trips_and_the_headline),
      cmocka_unit_test(the_outbound_track_makes_no_headline),
      cmocka_unit_test(two_parts_are_one_track),
      cmocka_unit_test(a_part_a_frame_later_is_no_outage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
