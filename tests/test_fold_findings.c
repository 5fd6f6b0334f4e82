/* agent/fold_findings.c and agent/fold_issues.c: findings as rows of quality.issues[], and the rating. */
#include <math.h>

#include "tests/fold_measured.h"

static struct finding_row *find(struct part *part, enum finding_kind kind, int track, int64_t from_ms,
                                int64_t to_ms, double value) {
  if (!part->findings) part->findings = calloc(1, sizeof *part->findings);
  struct finding_row *row = &part->findings->rows[part->findings->row_count++];
  *row = (struct finding_row){.kind = kind,
                              .track = track,
                              .severity = FINDING_MEDIUM,
                              .start_ms = from_ms,
                              .end_ms = to_ms,
                              .value = value,
                              .detail = NAN};
  return row;
}

static struct facts *one_part(enum part_state state) {
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, state, 1000, 61000);
  return facts;
}

static void a_closed_finding_is_a_row(void **state) {
  (void)state;
  struct facts *facts = one_part(PART_OPEN);
  find(facts->parts[0], FINDING_CLIPPING, 0, 10000, 30000, 1.3)->severity = FINDING_HIGH;
  json_t *document = fold_plain(facts, NULL);
  json_t *row = document_reader(at_path(document, "quality.issues.0"));
  assert_int_equal(json_array_size(at_path(document, "quality.issues")), 1);
  assert_int_equal(strlen(json_string_value(at_path(row, "_id.$oid"))), 24);
  json_object_del(row, "_id");
  EXPECT(document, "quality.issues.0",
         "{'type':'static','severity':'high','timestamp':{'$date':'2026-09-14T08:15:09.120Z'},'description':"
         "'clipping: 1.3 % of active samples (inbound)','resolved':true,"
         "'resolvedAt':{'$date':'2026-09-14T08:15:29.120Z'}}");
  json_decref(document);
  facts_free(facts);
}

/* A row never changes afterwards, so one that may is none yet. */
static void an_open_finding_waits_for_the_end_of_its_part(void **state) {
  (void)state;
  static const enum part_state states[] = {PART_OPEN, PART_CLOSED, PART_CUT};
  for (size_t i = 0; i < 3; i++) {
    struct facts *facts = one_part(states[i]);
    find(facts->parts[0], FINDING_ECHO, 0, 0, -1, 18);
    json_t *document = fold_plain(facts, NULL);
    assert_int_equal(json_array_size(at_path(document, "quality.issues")), states[i] != PART_OPEN);
    EXPECT(document, "quality.issues.0.resolved", states[i] != PART_OPEN ? "false" : "absent");
    EXPECT(document, "quality.issues.0.resolvedAt", "absent");
    json_decref(document);
    facts_free(facts);
  }
}

static void rows_are_sorted_and_each_has_its_own_id(void **state) {
  (void)state;
  struct facts *facts = one_part(PART_CLOSED);
  struct part *part = facts->parts[0];
  find(part, FINDING_STALL, 0, 40000, 41500, 1500);
  find(part, FINDING_STALL, 1, 40000, 41500, 1500); /* the other track, the same time */
  find(part, FINDING_ECHO, 0, 500, -1, 25);
  find(part, FINDING_DEAD_AIR, -1, 40000, 52000, 12000);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality.issues.0.type", "'echo'");
  const json_t *issues = at_path(document, "quality.issues");
  assert_int_equal(json_array_size(issues), 4);
  size_t inbound = 0, outbound = 0, of_the_call = 0;
  for (size_t i = 1; i < 4; i++) {
    const char *words = json_string_value(at_path(json_array_get(issues, i), "description"));
    inbound += !strcmp(words, "stall: 1.5 s (inbound)");
    outbound += !strcmp(words, "stall: 1.5 s (outbound)");
    of_the_call += !strcmp(words, "dead air: 12.0 s");
    const char *before = json_string_value(at_path(json_array_get(issues, i - 1), "_id.$oid")),
               *here = json_string_value(at_path(json_array_get(issues, i), "_id.$oid"));
    assert_string_not_equal(before, here);
    if (i >= 2) assert_true(strcmp(before, here) < 0);
  }
  assert_true(inbound == 1 && outbound == 1 && of_the_call == 1); /* no two rows look the same */
  json_decref(document);
  facts_free(facts);
}

static void time_without_a_stream_is_an_outage(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_CLOSED, 100, 10000);
  add_part(facts, "b_1", 11000, PART_CLOSED, 11900, 20000); /* 1.9 s */
  add_part(facts, "c_1", 15000, PART_CLOSED, 15100, 30000); /* took over: no time between */
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality.issues", "[]");
  json_decref(document);
  add_part(facts, "a_2", 34000, PART_OPEN, 34500, 40000);
  add_part(facts, "a_3", 41000, PART_OPEN, 0, 0)->first_frame_ms = 0; /* has heard nothing yet */
  document = fold_plain(facts, NULL);
  assert_int_equal(json_array_size(at_path(document, "quality.issues")), 1);
  EXPECT(document, "quality.issues.0.type", "'dropped'");
  EXPECT(document, "quality.issues.0.severity", "'critical'");
  EXPECT(document, "quality.issues.0.description", "'stream outage: 4.5 s'");
  EXPECT(document, "quality.issues.0.timestamp", "{'$date':'2026-09-14T08:15:28.120Z'}");
  EXPECT(document, "quality.issues.0.resolvedAt", "{'$date':'2026-09-14T08:15:32.620Z'}");
  json_decref(document);
  facts_free(facts);
}

static void a_leg_of_another_rate_than_its_stream(void **state) {
  (void)state;
  static const struct {
    const char *leg;
    enum codec_id stream;
    const char *words;
  } rows[] = {
      {"PCMU", CODEC_PCMU, NULL},
      {"PCMA", CODEC_PCMU, NULL}, /* another codec, the same band */
      {"PCMU", CODEC_L16_16K, "codec mismatch: sound sampled at 8 kHz, stream at 16 kHz (inbound)"},
      {"G722", CODEC_PCMU, "codec mismatch: sound sampled at 16 kHz, stream at 8 kHz (inbound)"},
      {"G722", CODEC_L16_16K, NULL},
      {"SPEEX", CODEC_PCMU, NULL}, /* not known here */
      {NULL, CODEC_PCMU, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char payload[64];
    struct facts *facts = one_part(PART_CLOSED);
    measure_as(rows[i].stream, facts->parts[0], TRACK_INBOUND, 1000, 0);
    snprintf(payload, sizeof payload, rows[i].leg ? "{'codec':'%s'}" : "{'x':'%s'}",
             rows[i].leg ? rows[i].leg : "");
    add_event(facts, "1", "call.answered", 0, payload);
    json_t *document = fold_plain(facts, NULL);
    const char *words = json_string_value(at_path(document, "quality.issues.0.description"));
    if (!words != !rows[i].words || (words && strcmp(words, rows[i].words)))
      fail_msg("%s: %s", payload, words ? words : "none");
    json_decref(document);
    facts_free(facts);
  }
}

/* ---- the rating ---- */

static json_t *rated(size_t critical, bool ended) {
  struct facts *facts = one_part(PART_CLOSED);
  measure(facts->parts[0], TRACK_INBOUND, 3000, 0);
  for (size_t i = 0; i < critical; i++)
    find(facts->parts[0], FINDING_ONE_WAY, 0, (int64_t)i * 100, (int64_t)i * 100 + 50, 12000)->severity =
        FINDING_CRITICAL;
  find(facts->parts[0], FINDING_ECHO, 0, 0, -1, 15)->severity = FINDING_HIGH;
  if (ended) add_event(facts, "1", "call.hangup", 62000, "{'hangup_cause':'normal_clearing'}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "quality.mos", "4.41");
  facts_free(facts);
  return document;
}

static void mos_in_halves_less_a_half_for_each_critical_issue(void **state) {
  (void)state;
  static const char *const ratings[] = {"4.5", "4.0", "3.5"};
  for (size_t i = 0; i < 3; i++) {
    json_t *document = rated(i, true);
    EXPECT(document, "quality.overallRating", ratings[i]);
    EXPECT(document, "quality.ratedBy", "'system'");
    EXPECT(document, "quality.ratedAt", "{'$date':'2026-09-14T08:16:00.120Z'}"); /* the leg's end */
    json_decref(document);
  }
  json_t *document = rated(20, true);
  EXPECT(document, "quality.overallRating", "1.0");
  json_decref(document);
  document = rated(1, false); /* more may be found */
  EXPECT(document, "quality.overallRating", "absent");
  EXPECT(document, "quality.ratedBy", "absent");
  EXPECT(document, "quality.ratedAt", "absent");
  json_decref(document);
}

static void no_rating_without_mos(void **state) {
  (void)state;
  struct facts *facts = one_part(PART_CLOSED);
  find(facts->parts[0], FINDING_ONE_WAY, 0, 0, -1, 12000)->severity = FINDING_CRITICAL;
  add_event(facts, "1", "call.hangup", 62000, "{}");
  json_t *document = fold_plain(facts, NULL);
  assert_int_equal(json_array_size(at_path(document, "quality.issues")), 1);
  EXPECT(document, "quality.overallRating", "absent");
  EXPECT(document, "quality.ratedBy", "absent");
  json_decref(document);
  facts_free(facts);
}

/* A hostile peer may start hundreds of streams. */
static void the_rows_of_a_leg_are_bounded(void **state) {
  (void)state;
  enum { PARTS = 20, ALLOWED = 1000 };
  struct facts *facts = facts_new(LEG);
  for (int i = 0; i < PARTS; i++) {
    char id[16];
    snprintf(id, sizeof id, "a_%d", i + 1);
    struct part *part = add_part(facts, id, i * 1000, PART_CLOSED, i * 1000, i * 1000 + 900);
    for (int k = 0; k < FINDING_ROWS_MAX; k++) find(part, FINDING_STALL, 0, k * 10, k * 10 + 5, 1500);
  }
  json_t *document = fold_plain(facts, NULL);
  assert_int_equal(json_array_size(at_path(document, "quality.issues")), ALLOWED);
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_closed_finding_is_a_row),
      cmocka_unit_test(an_open_finding_waits_for_the_end_of_its_part),
      cmocka_unit_test(rows_are_sorted_and_each_has_its_own_id),
      cmocka_unit_test(time_without_a_stream_is_an_outage),
      cmocka_unit_test(a_leg_of_another_rate_than_its_stream),
      cmocka_unit_test(mos_in_halves_less_a_half_for_each_critical_issue),
      cmocka_unit_test(no_rating_without_mos),
      cmocka_unit_test(the_rows_of_a_leg_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
