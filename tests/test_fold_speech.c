#include "tests/fold_case.h"

/* Speech on a track: from, to in ms. */
struct spurt {
  int track;
  int64_t from_ms, to_ms;
};

static struct speech_facts *heard(const struct spurt *spurts, size_t count, int64_t duration_ms) {
  struct speech *s = malloc(speech_bytes());
  struct speech_facts *facts = malloc(sizeof *facts);
  int64_t fed[SPEECH_TRACKS] = {0};
  speech_init(s, &speech_defaults);
  for (size_t i = 0; i < count; i++) {
    const struct spurt *x = &spurts[i];
    speech_feed(s, x->track, fed[x->track], x->from_ms, false);
    speech_feed(s, x->track, x->from_ms, x->to_ms, true);
    fed[x->track] = x->to_ms;
  }
  for (int t = 0; t < SPEECH_TRACKS; t++) speech_feed(s, t, fed[t], duration_ms, false);
  speech_facts(s, duration_ms, facts);
  facts->present[0] = facts->present[1] = 1;
  free(s);
  return facts;
}

/* Case 8 of speech-metrics.md 4, A on the outbound track: B interrupts A. */
static const struct spurt interruption[] = {{TRACK_OUTBOUND, 0, 4000}, {TRACK_INBOUND, 3000, 6000}};
/* Case 5: B says a short word in A's pause. */
static const struct spurt backchannel[] = {
    {TRACK_OUTBOUND, 0, 2000}, {TRACK_INBOUND, 2300, 2600}, {TRACK_OUTBOUND, 3000, 5000}};

#define SPEECH "metadata.sidetone.speech."

static void an_interruption(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 6100)->speech = heard(interruption, 2, 6000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(
      document, "metadata.sidetone.speech",
      "{'basis':'two-track','definition':1,'duration_ms':6000,'overlap_ms':1000,'silence_ms':0,"
      "'dead_air':{'count':0,'ms':0},'turns':2,'simultaneous_starts':0,'transitions':0,"
      "'agent':{'talk_ms':4000,'talk_share':0.6667,'talk_fraction':0.5714,'turns':1,'longest_monologue_ms':"
      "4000,"
      "'pauses':0,'pause_ms':0,'interruptions':0,'attempts':0,'backchannels':0,'response_ms':{'n':0},"
      "'first_response_ms':0},"
      "'lead':{'talk_ms':3000,'talk_share':0.5,'talk_fraction':0.4286,'turns':1,'longest_monologue_ms':3000,"
      "'pauses':0,'pause_ms':0,'interruptions':1,'attempts':0,'backchannels':0,'response_ms':{'n':0},"
      "'first_response_ms':3000},"
      "'events':[{'kind':'interruption','by':'lead','start_ms':3000,'overlap_ms':1000}],"
      "'parameters':{'bridge_ms':200,'discard_ms':100,'group_ms':1000,'turn_ms':3000,'backchannel_ms':1000,"
      "'before_ms':1000,'after_ms':1000,'simultaneous_ms':200,'transition_ms':500,'back_ms':1000,"
      "'dead_air_ms':3000}}");
  EXPECT(document, "aiAnalysis.speech",
         "{'agentTalkTime':4.0,'leadTalkTime':3.0,'talkRatio':1.3333,'silenceDuration':0.0,"
         "'interruptions':{'byAgent':0,'byLead':1},'pauseCount':0,"
         "'longestMonologue':{'speaker':'agent','duration':4.0}}");
  json_decref(document);
  facts_free(facts);
}

static void swapping_the_parties_swaps_the_figures(void **state) {
  (void)state;
  struct fold_options options = plain_options;
  options.inbound_is_agent = true;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 6100)->speech = heard(interruption, 2, 6000);
  json_t *one = fold_plain(facts, NULL), *other = fold(facts, &options, NULL);
  expect_equal_documents(at_path(one, SPEECH "agent"), at_path(other, SPEECH "lead"), "agent and lead");
  expect_equal_documents(at_path(one, SPEECH "lead"), at_path(other, SPEECH "agent"), "lead and agent");
  EXPECT(other, SPEECH "events.0.by", "'agent'");
  EXPECT(other, "aiAnalysis.speech.talkRatio", "0.75");
  EXPECT(other, "aiAnalysis.speech.longestMonologue", "{'speaker':'lead','duration':4.0}");
  json_decref(one);
  json_decref(other);
  facts_free(facts);
}

static void pauses_and_responses(void **state) {
  (void)state;
  static const struct spurt exchange[] = {
      {TRACK_OUTBOUND, 0, 2000}, {TRACK_INBOUND, 2300, 4200}, {TRACK_OUTBOUND, 4500, 6000}};
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 5100);
  part->speech = heard(backchannel, 3, 5000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "agent.pauses", "2");
  EXPECT(document, SPEECH "agent.pause_ms", "700");
  EXPECT(document, SPEECH "lead.backchannels", "1");
  EXPECT(document, SPEECH "events", "[{'kind':'backchannel','by':'lead','start_ms':2300,'overlap_ms':300}]");
  EXPECT(document, "aiAnalysis.speech.pauseCount", "2");
  EXPECT(document, "aiAnalysis.speech.silenceDuration", "0.7");
  json_decref(document);
  free(part->speech);
  part->speech = heard(exchange, 3, 6000);
  document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "agent.response_ms", "{'n':1,'median':300.0,'mean':300.0,'p90':300.0}");
  EXPECT(document, SPEECH "lead.response_ms", "{'n':1,'median':300.0,'mean':300.0,'p90':300.0}");
  json_decref(document);
  facts_free(facts);
}

static void nobody_charged(void **state) {
  (void)state;
  static const struct spurt together[] = {
      {TRACK_OUTBOUND, 1000, 3000}, {TRACK_INBOUND, 1120, 1900}, {TRACK_INBOUND, 3400, 5000}};
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 5100)->speech = heard(together, 3, 5000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "simultaneous_starts", "1");
  EXPECT(document, SPEECH "events", "[{'kind':'simultaneous_start','start_ms':1120,'overlap_ms':780}]");
  json_decref(document);
  facts_free(facts);
}

static void a_tie_is_the_agents(void **state) {
  (void)state;
  static const struct spurt equal[] = {{TRACK_INBOUND, 0, 2000}, {TRACK_OUTBOUND, 2500, 4500}};
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 5100)->speech = heard(equal, 2, 5000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "aiAnalysis.speech.longestMonologue", "{'speaker':'agent','duration':2.0}");
  json_decref(document);
  facts_free(facts);
}

static void a_silent_lead(void **state) {
  (void)state;
  static const struct spurt alone[] = {{TRACK_OUTBOUND, 0, 2000}};
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 5100);
  part->speech = heard(alone, 1, 6000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "aiAnalysis.speech.talkRatio", "absent");
  EXPECT(document, "aiAnalysis.speech.leadTalkTime", "0.0");
  EXPECT(document, SPEECH "lead.first_response_ms", "absent");
  EXPECT(document, SPEECH "dead_air", "{'count':1,'ms':4000}");
  json_decref(document);
  free(part->speech);
  part->speech = heard(alone, 0, 6000);
  document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "agent.talk_fraction", "absent");
  EXPECT(document, SPEECH "agent.talk_share", "0.0");
  EXPECT(document, "aiAnalysis.speech.longestMonologue", "absent");
  json_decref(document);
  facts_free(facts);
}

static void one_track(void **state) {
  (void)state;
  static const struct spurt alone[] = {{TRACK_INBOUND, 0, 2000}, {TRACK_INBOUND, 2500, 3000}};
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 5100);
  part->speech = heard(alone, 2, 5000);
  part->speech->present[TRACK_OUTBOUND] = 0;
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "basis", "'one-track'");
  EXPECT(document, SPEECH "lead", "{'talk_ms':2500,'pauses':1,'pause_ms':500}");
  EXPECT(document, SPEECH "agent", "absent");
  EXPECT(document, SPEECH "overlap_ms", "absent");
  EXPECT(document, SPEECH "events", "absent");
  EXPECT(document, "aiAnalysis.speech", "{'leadTalkTime':2.5,'pauseCount':1}");
  json_decref(document);
  part->speech->present[TRACK_INBOUND] = 0;
  document = fold_plain(facts, NULL);
  EXPECT(document, "metadata.sidetone.speech", "absent");
  EXPECT(document, "aiAnalysis.speech", "absent");
  json_decref(document);
  facts_free(facts);
}

/* Sums and maxima; events count from the first frame of the first part. */
static void two_parts(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "b_1", 30000, PART_CLOSED, 30100, 35100)->speech = heard(backchannel, 3, 5000);
  add_part(facts, "a_1", 0, PART_CUT, 100, 6100)->speech = heard(interruption, 2, 6000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "duration_ms", "11000");
  EXPECT(document, SPEECH "overlap_ms", "1000");
  EXPECT(document, SPEECH "silence_ms", "700");
  EXPECT(document, SPEECH "agent.talk_ms", "8000");
  EXPECT(document, SPEECH "agent.longest_monologue_ms", "5000");
  EXPECT(document, SPEECH "lead.talk_ms", "3300");
  EXPECT(document, SPEECH "events",
         "[{'kind':'interruption','by':'lead','start_ms':3000,'overlap_ms':1000},"
         "{'kind':'backchannel','by':'lead','start_ms':32300,'overlap_ms':300}]");
  EXPECT(document, SPEECH "events_cut", "absent");
  EXPECT(document, "aiAnalysis.speech.longestMonologue", "{'speaker':'agent','duration':5.0}");
  json_decref(document);
  facts_free(facts);
}

/* A first part whose codec nobody decodes still gives the origin. */
static void an_unheard_first_part(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 6100);
  add_part(facts, "a_2", 7000, PART_CLOSED, 7100, 13100)->speech = heard(interruption, 2, 6000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "events.0.start_ms", "10000");
  EXPECT(document, SPEECH "agent.first_response_ms", "7000");
  json_decref(document);
  facts_free(facts);
}

static void more_events_than_are_kept(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 6100);
  part->speech = heard(interruption, 2, 6000);
  part->speech->events_total = 2001;
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SPEECH "events_cut", "true");
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_interruption),
      cmocka_unit_test(swapping_the_parties_swaps_the_figures),
      cmocka_unit_test(pauses_and_responses),
      cmocka_unit_test(nobody_charged),
      cmocka_unit_test(a_tie_is_the_agents),
      cmocka_unit_test(a_silent_lead),
      cmocka_unit_test(one_track),
      cmocka_unit_test(two_parts),
      cmocka_unit_test(an_unheard_first_part),
      cmocka_unit_test(more_events_than_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
