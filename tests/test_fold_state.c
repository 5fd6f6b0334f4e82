#include "tests/fold_case.h"

#define START "2026-09-14T08:14:58.120044Z"
#define END   "2026-09-14T08:16:30.640188Z"

static void add_hangup(struct facts *facts, const char *cause, int64_t at_ms) {
  char payload[256];
  snprintf(payload, sizeof payload, "{'hangup_cause':'%s','hangup_source':'caller','start_time':'" START "'}",
           cause);
  add_event(facts, "hangup", "call.hangup", at_ms, payload);
}

static void a_whole_call(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 5, "{'direction':'incoming','start_time':'" START "'}");
  add_event(facts, "2", "call.answered", 4000, "{'start_time':'" START "'}");
  add_event(facts, "3", "call.bridged", 6000, NULL);
  add_event(facts, "4", "call.hangup", 92520,
            "{'hangup_cause':'normal_clearing','hangup_source':'callee','start_time':'" START
            "','end_time':'" END "'}");
  struct fold_summary summary;
  json_t *document = fold_plain(facts, &summary);
  EXPECT(document, "status", "'completed'");
  EXPECT(document, "hangupCause", "'normal-clearing'");
  EXPECT(document, "hangupSource", "'callee'");
  EXPECT(document, "metadata.sidetone.hangupCause", "'normal_clearing'");
  EXPECT(document, "initiatedAt", "{'$date':'2026-09-14T08:14:58.120Z'}");
  EXPECT(document, "ringingAt", "absent");
  EXPECT(document, "answeredAt", "{'$date':'2026-09-14T08:15:02.120Z'}");
  EXPECT(document, "bridgedAt", "{'$date':'2026-09-14T08:15:04.120Z'}");
  EXPECT(document, "endedAt", "{'$date':'2026-09-14T08:16:30.640Z'}");
  EXPECT(document, "duration", "{'total':92,'talking':88}");
  EXPECT(document, "answerState", "absent");
  EXPECT(document, "outcome", "{'result':'connected'}");
  EXPECT(document, "metadata.sidetone.complete", "true");
  EXPECT(document, "metadata.sidetone.partial", "false");
  assert_string_equal(summary.status, "completed");
  assert_true(summary.ended && summary.hung_up && summary.complete && !summary.partial && !summary.lost);
  assert_true(summary.total_s == 92);
  assert_int_equal(summary.initiated_at_ms, start_ms);
  assert_int_equal(summary.ended_at_ms, start_ms + 92520);
  json_decref(document);
  facts_free(facts);
}

/* Every cause, never answered and after an answer. */
static void causes(void **state) {
  (void)state;
  static const char *const rows[][4] = {
      {"normal_clearing", "'normal-clearing'", "'failed'", "'failed'"},
      {"user_busy", "'user-busy'", "'busy'", "'busy'"},
      {"no_answer", "'no-answer'", "'no-answer'", "'no-answer'"},
      {"call_rejected", "'call-rejected'", "'rejected'", "'disconnected'"},
      {"originator_cancel", "'originator-cancel'", "'cancelled'", "'disconnected'"},
      {"timeout", "'timeout'", "'no-answer'", "'no-answer'"},
      {"time_limit", "'other'", "'failed'", "'failed'"},
      {"not_found", "'invalid-number'", "'failed'", "'wrong-number'"},
      {"unspecified", "'other'", "'failed'", "'failed'"},
      {"subscriber_absent", "'other'", "'failed'", "'failed'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct facts *facts = facts_new(LEG);
    char word[64];
    add_hangup(facts, rows[i][0], 9000);
    json_t *document = fold_plain(facts, NULL);
    snprintf(word, sizeof word, "'%s'", rows[i][0]);
    EXPECT(document, "hangupCause", rows[i][1]);
    EXPECT(document, "metadata.sidetone.hangupCause", word);
    EXPECT(document, "status", rows[i][2]);
    EXPECT(document, "outcome.result", rows[i][3]);
    EXPECT(document, "answerState", "'no-answer'");
    EXPECT(document, "duration", "{'total':9}");
    json_decref(document);
    add_event(facts, "late", "call.answered", 4000, NULL);
    document = fold_plain(facts, NULL);
    EXPECT(document, "status", "'completed'");
    EXPECT(document, "outcome.result", "'connected'");
    EXPECT(document, "answerState", "absent");
    json_decref(document);
    facts_free(facts);
  }
}

static void a_hangup_without_a_cause(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.hangup", 700, "{'hangup_cause':null,'hangup_source':'unknown'}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'failed'");
  EXPECT(document, "hangupCause", "absent");
  EXPECT(document, "hangupSource", "absent");
  EXPECT(document, "metadata.sidetone.hangupCause", "absent");
  EXPECT(document, "endedAt", "{'$date':'2026-09-14T08:14:58.820Z'}");
  EXPECT(document, "initiatedAt", "{'$date':'2026-09-14T08:14:58.820Z'}");
  json_decref(document);
  facts_free(facts);
}

/* The first hang-up counts, of other events the last. */
static void repeated_events(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.hangup", 9000, "{'hangup_cause':'normal_clearing'}");
  add_event(facts, "2", "call.hangup", 8000, "{'hangup_cause':'user_busy'}");
  add_event(facts, "3", "call.answered", 1000, NULL);
  add_event(facts, "4", "call.answered", 2000, NULL);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "hangupCause", "'user-busy'");
  EXPECT(document, "answeredAt", "{'$date':'2026-09-14T08:15:00.120Z'}");
  EXPECT(document, "endedAt", "{'$date':'2026-09-14T08:15:06.120Z'}");
  json_decref(document);
  facts_free(facts);
}

struct rung {
  const char *type, *payload, *status;
};

static void the_ladder(void **state) {
  (void)state;
  static const struct rung rungs[] = {
      {"call.initiated", NULL, "'initiated'"}, {"call.answered", NULL, "'answered'"},
      {"call.bridged", NULL, "'bridged'"},     {"call.hold", NULL, "'held'"},
      {"call.unhold", NULL, "'bridged'"},      {"call.hangup", "{'hangup_cause':'timeout'}", "'completed'"},
  };
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
    add_event(facts, rungs[i].type, rungs[i].type, 1000 * (int64_t)i, rungs[i].payload);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, "status", rungs[i].status);
    json_decref(document);
  }
  facts_free(facts);
}

/* Each state alone implies the lower ones, but gives no time that nobody told. */
static void higher_states_imply_lower_ones(void **state) {
  (void)state;
  static const struct rung rungs[] = {
      {"call.bridged", NULL, "'bridged'"},
      {"call.hold", NULL, "'held'"},
      {"call.machine.detection.ended", "{'result':'human'}", "'answered'"},
      {"streaming.started", NULL, "'initiated'"},
  };
  for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
    struct facts *facts = facts_new(LEG);
    add_event(facts, "1", rungs[i].type, 500, rungs[i].payload);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, "status", rungs[i].status);
    EXPECT(document, "answeredAt", "absent");
    json_decref(document);
    add_hangup(facts, "normal_clearing", 9000);
    document = fold_plain(facts, NULL);
    EXPECT(document, "status", i < 3 ? "'completed'" : "'failed'");
    EXPECT(document, "duration.talking", "absent");
    json_decref(document);
    facts_free(facts);
  }
}

static void answer_states(void **state) {
  (void)state;
  static const char *const rows[][3] = {
      {"call.machine.detection.ended", "human", "'human'"},
      {"call.machine.detection.ended", "machine", "'machine'"},
      {"call.machine.detection.ended", "not_sure", "'unknown'"},
      {"call.machine.premium.detection.ended", "human_residence", "'human'"},
      {"call.machine.premium.detection.ended", "human_business", "'human'"},
      {"call.machine.premium.detection.ended", "machine", "'machine'"},
      {"call.machine.premium.detection.ended", "fax_detected", "'fax'"},
      {"call.machine.premium.detection.ended", "silence", "'unknown'"},
      {"call.machine.premium.detection.ended", "not_sure", "'unknown'"},
      {"call.machine.premium.detection.ended", "some_day", "absent"},
      {"call.machine.greeting.ended", "beep_detected", "absent"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct facts *facts = facts_new(LEG);
    char payload[64];
    snprintf(payload, sizeof payload, "{'result':'%s'}", rows[i][1]);
    add_event(facts, "1", rows[i][0], 0, payload);
    add_hangup(facts, "normal_clearing", 9000);
    json_t *document = fold_plain(facts, NULL);
    EXPECT(document, "answerState", rows[i][2]);
    EXPECT(document, "outcome.result", strcmp(rows[i][2], "'machine'") ? "'connected'" : "'voicemail'");
    json_decref(document);
    facts_free(facts);
  }
}

static void hold_comes_before_talking(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.answered", 10000, NULL);
  add_event(facts, "2", "call.hold", 20000, NULL);
  add_event(facts, "3", "call.hold", 21000, NULL);
  add_event(facts, "4", "call.unhold", 30999, NULL);
  add_event(facts, "5", "call.unhold", 31000, NULL);
  add_event(facts, "6", "call.hold", 100000, NULL);
  add_hangup(facts, "normal_clearing", 110000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "holds",
         "[{'startedAt':{'$date':'2026-09-14T08:15:18.120Z'},'endedAt':{'$date':'2026-09-14T08:15:29.119Z'},"
         "'duration':10},{'startedAt':{'$date':'2026-09-14T08:16:38.120Z'},"
         "'endedAt':{'$date':'2026-09-14T08:16:48.120Z'},'duration':10}]");
  EXPECT(document, "duration", "{'total':110,'talking':80,'hold':20}");
  json_decref(document);
  facts_free(facts);
}

static void an_open_hold(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.hold", 20000, NULL);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "holds", "[{'startedAt':{'$date':'2026-09-14T08:15:18.120Z'}}]");
  EXPECT(document, "duration", "absent");
  json_decref(document);
  facts_free(facts);
}

static void durations_are_never_negative(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.hangup", -60000, "{'start_time':'" START "'}");
  add_event(facts, "2", "call.answered", 500, NULL);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "duration", "{'total':0,'talking':0}");
  json_decref(document);
  facts_free(facts);
}

static void media_only(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_OPEN, 200, 9000);
  strcpy(part->from, "+15550100001");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'active'");
  EXPECT(document, "initiatedAt", "{'$date':'2026-09-14T08:14:58.120Z'}");
  EXPECT(document, "tags", "['no-lead','no-direction']");
  EXPECT(document, "from", "{'number':'+15550100001'}");
  EXPECT(document, "answeredAt", "absent");
  EXPECT(document, "metadata.sidetone.partial", "true");
  json_decref(document);
  part->state = PART_CLOSED;
  document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'active'");
  EXPECT(document, "metadata.sidetone.partial", "false");
  EXPECT(document, "metadata.sidetone.complete", "false");
  json_decref(document);
  assert_true(add_event(facts, "lost", "sidetone.leg_lost", 9000, NULL));
  document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'completed'");
  EXPECT(document, "endedAt", "{'$date':'2026-09-14T08:15:07.120Z'}");
  EXPECT(document, "hangupCause", "absent");
  EXPECT(document, "answerState", "absent");
  EXPECT(document, "duration", "{'total':9}");
  EXPECT(document, "outcome.result", "'connected'");
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.complete", "true");
  json_decref(document);
  facts_free(facts);
}

static void media_implies_an_answer(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 0, "{'start_time':'" START "'}");
  add_part(facts, "a_1", 900, PART_CLOSED, 1000, 5000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'active'");
  EXPECT(document, "answeredAt", "absent");
  json_decref(document);
  add_hangup(facts, "normal_clearing", 5100);
  document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'completed'");
  EXPECT(document, "answerState", "absent");
  EXPECT(document, "duration", "{'total':5}");
  json_decref(document);
  facts_free(facts);
}

/* A lost leg: what is newer than the statement takes it back, what may follow an end does not, and a
 * real hang-up beats it. */
static void a_lost_leg(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct fold_summary summary;
  add_event(facts, "1", "call.answered", 100, NULL);
  add_part(facts, "a_1", 200, PART_CUT, 300, 9000);
  add_event(facts, "lost", "sidetone.leg_lost", 9000, NULL);
  add_event(facts, "2", "streaming.stopped", 9050, NULL);
  add_event(facts, "3", "call.cost", 99050, NULL);
  json_decref(fold_plain(facts, &summary));
  assert_true(summary.lost && summary.ended && summary.partial && summary.complete && !summary.hung_up);
  assert_string_equal(summary.status, "completed");
  assert_int_equal(summary.ended_at_ms, start_ms + 9000);
  add_event(facts, "4", "call.dtmf.received", 9100, "{'digit':'1'}");
  json_decref(fold_plain(facts, &summary));
  assert_false(summary.lost || summary.ended || summary.complete);
  assert_string_equal(summary.status, "answered");
  assert_int_equal(summary.ended_at_ms, 0);
  add_event(facts, "lost again", "sidetone.leg_lost", facts_last_sign_ms(facts) - start_ms, NULL);
  json_decref(fold_plain(facts, &summary));
  assert_true(summary.lost);
  assert_int_equal(summary.ended_at_ms, start_ms + 9100);
  add_hangup(facts, "normal_clearing", 60000);
  json_t *document = fold_plain(facts, &summary);
  assert_true(summary.hung_up && !summary.lost && summary.complete && summary.partial);
  EXPECT(document, "hangupCause", "'normal-clearing'");
  EXPECT(document, "duration.total", "60");
  json_decref(document);
  facts_free(facts);
}

static void a_frame_takes_a_lost_leg_back(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct fold_summary summary;
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 9000);
  add_event(facts, "lost", "sidetone.leg_lost", 9000, NULL);
  add_part(facts, "b_1", 130000, PART_OPEN, 130100, 140000);
  json_decref(fold_plain(facts, &summary));
  assert_false(summary.lost || summary.ended);
  assert_string_equal(summary.status, "active");
  facts_free(facts);
}

static void a_lost_leg_nobody_answered(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.initiated", 100, "{'direction':'outgoing'}");
  add_event(facts, "lost", "sidetone.leg_lost", 100, NULL);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'failed'");
  EXPECT(document, "answerState", "absent"); /* the answer may be what was lost */
  EXPECT(document, "initiatedAt", "{'$date':'2026-09-14T08:14:58.220Z'}");
  EXPECT(document, "outcome.result", "'failed'");
  json_decref(document);
  facts_free(facts);
}

static void a_crashed_leg(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.answered", 100, NULL);
  add_part(facts, "a_1", 200, PART_CUT, 300, 9000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "status", "'answered'");
  EXPECT(document, "endedAt", "absent");
  EXPECT(document, "outcome", "absent");
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.complete", "false");
  json_decref(document);
  add_hangup(facts, "normal_clearing", 9100);
  document = fold_plain(facts, NULL);
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.complete", "true");
  json_decref(document);
  facts_free(facts);
}

static void an_open_part_is_not_complete(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 200, PART_OPEN, 300, 9000);
  add_hangup(facts, "normal_clearing", 9100);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "metadata.sidetone.partial", "true");
  EXPECT(document, "metadata.sidetone.complete", "false");
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_whole_call),
      cmocka_unit_test(causes),
      cmocka_unit_test(a_hangup_without_a_cause),
      cmocka_unit_test(repeated_events),
      cmocka_unit_test(the_ladder),
      cmocka_unit_test(higher_states_imply_lower_ones),
      cmocka_unit_test(answer_states),
      cmocka_unit_test(hold_comes_before_talking),
      cmocka_unit_test(an_open_hold),
      cmocka_unit_test(durations_are_never_negative),
      cmocka_unit_test(media_only),
      cmocka_unit_test(media_implies_an_answer),
      cmocka_unit_test(a_lost_leg),
      cmocka_unit_test(a_frame_takes_a_lost_leg_back),
      cmocka_unit_test(a_lost_leg_nobody_answered),
      cmocka_unit_test(a_crashed_leg),
      cmocka_unit_test(an_open_part_is_not_complete),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
