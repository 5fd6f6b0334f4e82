/* agent/fold_carrier.c, and the traps of voice-quality.md 4.4. */
#include "tests/fold_measured.h"

#define CARRIER  "metadata.sidetone.quality.carrier"
#define DISPUTED "metadata.sidetone.quality.disputed"

/* A leg that hung up with this member in the payload; 20 s of inbound media, of which every `lose_each`-th frame is
 * missing (0: none, -1: no media at all). */
static struct facts *leg(const char *member, int lose_each) {
  struct facts *facts = facts_new(LEG);
  char payload[1024];
  snprintf(payload, sizeof payload, "{%s}", member);
  if (lose_each >= 0)
    measure(add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100), TRACK_INBOUND, 1000, (size_t)lose_each);
  add_event(facts, "1", "call.hangup", 21000, payload);
  return facts;
}

static json_t *folded(const char *member, int lose_each) {
  struct facts *facts = leg(member, lose_each);
  json_t *document = fold_plain(facts, NULL);
  facts_free(facts);
  return document;
}

#define STATS(inbound_) "'call_quality_stats':{'inbound':{" inbound_ "}}"

static void kept_as_it_came_with_what_follows_from_it(void **state) {
  (void)state;
  json_t *document = folded(
      "'call_quality_stats':{'inbound':{'jitter_max_variance':'2.74','jitter_packet_count':'0','mos':'4.47',"
      "'packet_count':'4410','skip_packet_count':'31'},'outbound':{'packet_count':'4388',"
      "'skip_packet_count':'0'}}",
      -1);
  EXPECT(document, CARRIER,
         "{'inbound':{'jitter_max_variance':'2.74','jitter_packet_count':'0','mos':'4.47','packet_count':"
         "'4410','skip_packet_count':'31'},'outbound':{'packet_count':'4388','skip_packet_count':'0'},"
         "'spacing_std_ms':1.7,'empty_period_share':0.007,'source':'telnyx.call_quality_stats'}");
  EXPECT(document, DISPUTED, "absent");
  EXPECT(document, "quality", "{'issues':[]}"); /* their MOS is not ours */
  json_decref(document);
}

/* What is no number says nothing; nothing that came is lost. */
static void nonsense_is_kept_and_left_out_of_account(void **state) {
  (void)state;
  static const struct {
    const char *stats, *carrier;
  } rows[] = {
      {"{'inbound':{'mos':'nan','packet_count':''}}",
       "{'inbound':{'mos':'nan','packet_count':''},'source':'telnyx.call_quality_stats','absent':{"
       "'spacing_std_ms':'no_variance','empty_period_share':'no_counts'}}"},
      {"{'inbound':null,'outbound':[]}",
       "{'inbound':null,'outbound':[],'source':'telnyx.call_quality_stats','absent':{'spacing_std_ms':"
       "'no_variance','empty_period_share':'no_counts'}}"},
      {"{'inbound':{'jitter_max_variance':-1,'packet_count':'-5','skip_packet_count':'1e400'}}",
       "{'inbound':{'jitter_max_variance':-1,'packet_count':'-5','skip_packet_count':'1e400'},'source':"
       "'telnyx.call_quality_stats','absent':{'spacing_std_ms':'no_variance','empty_period_share':'no_counts'"
       "}}"},
      {"{'inbound':{'packet_count':0,'skip_packet_count':0}}",
       "{'inbound':{'packet_count':0,'skip_packet_count':0},'source':'telnyx.call_quality_stats','absent':{"
       "'spacing_std_ms':'no_variance','empty_period_share':'no_packets'}}"},
      {"'mos=1'", "'mos=1'"},
      {"'[[[1]]]'", "'[[[1]]]'"},
      {"[1,2]", "[1,2]"},
      {"{}", "{}"},
      {"7", "7"},
      {"false", "false"},
      {"null", "absent"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char member[512];
    snprintf(member, sizeof member, "'call_quality_stats':%s", rows[i].stats);
    json_t *document = folded(member, 4);
    EXPECT(document, CARRIER, rows[i].carrier);
    EXPECT(document, DISPUTED, "absent");
    json_decref(document);
  }
}

/* FreeSWITCH starts from 4.50: that of a call without a packet is no MOS. */
static void no_mos_of_no_packets(void **state) {
  (void)state;
  json_t *document = folded(STATS("'mos':'4.50','packet_count':'0','skip_packet_count':'101'"), 4);
  EXPECT(document, CARRIER ".inbound",
         "{'packet_count':'0','skip_packet_count':'101','absent':{'mos':'no_packets'}}");
  EXPECT(document, CARRIER ".empty_period_share", "1.0"); /* an upper bound of what was lost, not the loss */
  EXPECT(document, DISPUTED, "absent");
  EXPECT(document, "quality.audio.packetLoss", "24.9249"); /* 249 of 999, ours alone */
  json_decref(document);
}

/* 20 s without a loss are 4.41 here; every fourth frame lost is 1.0. */
static void disputed_by_the_rule_alone(void **state) {
  (void)state;
  static const struct {
    const char *inbound;
    int lose_each;
    bool disputed;
  } rows[] = {
      {"'mos':'3.90','packet_count':'1000'", 0, true},
      {"'mos':'3.92','packet_count':'1000'", 0, false}, /* 0.49 apart */
      {"'mos':3.9,'packet_count':1000", 0, true},       /* numbers too */
      {"'mos':' 3.90','packet_count':'1000'", 0, false},
      {"'mos':'3.90','packet_count':'250'", 0, true},
      {"'mos':'3.90','packet_count':'249'", 0, false},
      {"'mos':'3.90'", 0, false},
      {"'packet_count':'1000'", 0, false},
      {"'mos':'0.99','packet_count':'1000'", 0, false},
      {"'mos':'1.00','packet_count':'1000'", 0, true},
      {"'mos':'5.01','packet_count':'1000'", 4, false},
      {"'mos':'5.00','packet_count':'1000'", 4, true},
      {"'mos':'4.50','packet_count':'1000'", 4, false}, /* no flaw counted, or no data */
      {"'mos':4.5,'packet_count':1000", 4, false},
      {"'mos':'4.49','packet_count':'1000'", 4, true},
      {"'mos':'4.51','packet_count':'1000'", 4, true},
      {"'mos':'nan','packet_count':'1000'", 4, false},
      {"'mos':'3.90','packet_count':'1000'", -1, false}, /* nothing of ours to hold against it */
      {"'mos':'4.41','packet_count':'1000','skip_packet_count':'900'", 0, false}, /* skip is no loss */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char member[256];
    snprintf(member, sizeof member, "'call_quality_stats':{'inbound':{%s}}", rows[i].inbound);
    json_t *document = folded(member, rows[i].lose_each);
    if (!!at_path(document, DISPUTED) != rows[i].disputed) fail_msg("%s", rows[i].inbound);
    EXPECT(document, DISPUTED, rows[i].disputed ? "true" : "absent");
    json_decref(document);
  }
}

/* Their MOS knows the narrowband scale only. */
static void not_disputed_on_another_scale(void **state) {
  (void)state;
  static const struct {
    enum codec_id codec;
    bool disputed;
  } rows[] = {{CODEC_PCMA, true}, {CODEC_L16_8K, true}, {CODEC_L16_16K, false}, {CODEC_G722, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct facts *facts = leg(STATS("'mos':'2.00','packet_count':'1000'"), -1);
    measure_as(rows[i].codec, add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100), TRACK_INBOUND, 1000, 0);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, DISPUTED, rows[i].disputed ? "true" : "absent");
    json_decref(document);
    facts_free(facts);
  }
}

static void a_dispute_is_an_issue_in_words(void **state) {
  (void)state;
  json_t *document = folded(STATS("'mos':'2.10','packet_count':'1010'"), 0);
  EXPECT(document, "quality.issues.0.type", "'other'");
  EXPECT(document, "quality.issues.0.severity", "'medium'");
  EXPECT(document, "quality.issues.0.timestamp", "{'$date':'2026-09-14T08:15:19.120Z'}");
  EXPECT(document, "quality.issues.0.resolved", "false");
  EXPECT(document, "quality.issues.0.resolvedAt", "absent");
  const char *words = json_string_value(at_path(document, "quality.issues.0.description"));
  assert_string_equal(
      words,
      "disputed: MOS 2.10 by the carrier, 4.41 by us: the caller's leg, concealed upstream; it "
      "counted 1010 packets, 1000 frames came here");
  json_decref(document);
  document = folded(STATS("'mos':'4.40','packet_count':'1000'"), 4);
  words = json_string_value(at_path(document, "quality.issues.0.description"));
  assert_non_null(strstr(words, "the stream from the carrier to us"));
  assert_non_null(strstr(words, "750 frames came here"));
  json_decref(document);
}

/* A settle finds rows by `_id` and never changes one: another row must have another. */
static void an_issue_that_says_something_else_has_another_id(void **state) {
  (void)state;
  json_t *one = folded(STATS("'mos':'2.10','packet_count':'1010'"), 0),
         *same = folded(STATS("'mos':'2.10','packet_count':'1010'"), 0),
         *other = folded(STATS("'mos':'2.10','packet_count':'1011'"), 0);
  const char *path = "quality.issues.0._id.$oid";
  const char *id = json_string_value(at_path(one, path));
  assert_int_equal(strlen(id), 24);
  assert_string_equal(id, json_string_value(at_path(same, path)));
  assert_string_not_equal(id, json_string_value(at_path(other, path)));
  json_decref(one);
  json_decref(same);
  json_decref(other);
}

/* TeXML: JSON in a text, without a direction or a count of packets. */
static void texml_is_read_leniently(void **state) {
  (void)state;
  json_t *document =
      folded("'CallQualityStats':'{\\'mos\\':\\'3.1\\',\\'jitter\\':2,\\'packet_loss\\':\\'0.5\\'}'", 0);
  EXPECT(document, CARRIER,
         "{'mos':'3.1','jitter':2,'packet_loss':'0.5','source':'telnyx.CallQualityStats','absent':{"
         "'spacing_std_ms':'no_variance','empty_period_share':'no_counts'}}");
  EXPECT(document, DISPUTED, "absent");
  json_decref(document);
  document = folded("'CallQualityStats':'{\\'mos\\':\\'4.50\\',\\'packet_count\\':0,\\'a.b\\':1}'", 0);
  EXPECT(document, CARRIER,
         "{'packet_count':0,'a\\uFF0Eb':1,'source':'telnyx.CallQualityStats','absent':{'mos':'no_packets',"
         "'spacing_std_ms':'no_variance','empty_period_share':'no_counts'}}");
  json_decref(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kept_as_it_came_with_what_follows_from_it),
      cmocka_unit_test(nonsense_is_kept_and_left_out_of_account),
      cmocka_unit_test(no_mos_of_no_packets),
      cmocka_unit_test(disputed_by_the_rule_alone),
      cmocka_unit_test(not_disputed_on_another_scale),
      cmocka_unit_test(a_dispute_is_an_issue_in_words),
      cmocka_unit_test(an_issue_that_says_something_else_has_another_id),
      cmocka_unit_test(texml_is_read_leniently),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
