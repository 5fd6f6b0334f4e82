/* agent/engine_live.c: the calls that are up under the names of contract 5, and nothing that is not known. */
#include "tests/engine_helpers.h"

#include "dsp/codec.h"
#include "tests/talker.h"

static const char *const parties = ", 'direction': 'incoming', 'from': '+15550100001', 'to': '+15550100002'";

/* The row of a leg by its callLogId; new reference, NULL when it is not shown. */
static json_t *live_row(struct world *w, int64_t ms, const char *leg) {
  const char *id = json_string_value(json_object_get(stored_document(w, leg), "callLogId"));
  json_t *live = engine_live(w->e, moment_ms(w, ms)), *found = NULL;
  for (size_t i = 0; i < json_array_size(live); i++) {
    json_t *row = json_array_get(live, i);
    if (strcmp(json_string_value(json_object_get(row, "callLogId")), id) == 0) found = json_incref(row);
  }
  json_decref(live);
  return found;
}

static void a_call_without_media_shows_what_is_known(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  json_t *row = live_row(w, 4000, LEG);
  EXPECT(row, "status", "'initiated'");
  EXPECT(row, "direction", "'inbound'");
  EXPECT(row, "from", "'+15550100001'");
  EXPECT(row, "to", "'+15550100002'");
  EXPECT(row, "duration_ms", "4000");
  EXPECT(row, "speaking", "'none'");
  EXPECT(row, "updated_at", "1789373702120");
  assert_int_equal(json_object_size(row), 8); /* and callLogId; no figure of media is made up */
  json_decref(row);
  world_free(w);
}

static void a_leg_known_by_media_only_has_no_direction(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  json_t *row = live_row(w, 100, LEG);
  EXPECT(row, "status", "'active'");
  EXPECT(row, "direction", "absent");
  EXPECT(row, "from", "'+15550100001'");
  EXPECT(row, "mos", "absent");
  EXPECT(row, "agent_talk_ms", "absent");
  json_decref(row);
  world_free(w);
}

static void ended_calls_are_not_shown(void **state) {
  (void)state;
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, parties);
  hook(w, LEG_B, "call.initiated", 0, parties);
  json_t *both = engine_live(w->e, moment_ms(w, 100));
  assert_int_equal(json_array_size(both), 2);
  json_decref(both);
  hook(w, LEG, "call.hangup", 200, "");
  assert_null(live_row(w, 300, LEG));
  json_t *row = live_row(w, 300, LEG_B);
  assert_non_null(row);
  json_decref(row);
  world_free(w);
}

/* A talker on one track, silence on the other; what is said of who speaks is collected. */
static unsigned who_spoke(struct world *w, int talking_track, json_t **last) {
  enum { SECONDS = 8, SAMPLES = SECONDS * 8000 };
  static int16_t pcm[SAMPLES];
  static const char *const words[] = {"none", "agent", "lead", "both"};
  const struct codec *pcmu = codec_row(CODEC_PCMU);
  unsigned seen = 0;
  talker_fill(pcm, SAMPLES, 1);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  *last = NULL;
  for (int i = 0; i < SECONDS * 50; i++) {
    uint8_t sound[160];
    pcmu->encode(pcm + i * 160, 160, sound, sizeof sound);
    media_payload(w, 1, i * 20, talking_track, i + 1, sound);
    media_frame(w, 1, i * 20, 1 - talking_track, i + 1);
    if (i % 50 == 49) engine_tick(w->e, moment_ms(w, i * 20));
    if (i % 10 != 9) continue;
    json_decref(*last);
    *last = live_row(w, i * 20, LEG);
    const char *word = json_string_value(json_object_get(*last, "speaking"));
    for (unsigned k = 0; k < 4; k++)
      if (strcmp(word, words[k]) == 0) seen |= 1u << k;
  }
  return seen;
}

static void it_is_said_who_speaks(void **state) {
  (void)state;
  static const struct {
    int track;
    const char *client_state; /* {"party":"agent"}: who the inbound track is; "" nothing said */
    unsigned seen;            /* bit 0 none, 1 agent, 2 lead */
    const char *talker, *silent;
  } cases[] = {
      {0, "", 1 | 4, "lead_talk_ms", "agent_talk_ms"},
      {1, "", 1 | 2, "agent_talk_ms", "lead_talk_ms"},
      {0, ", 'client_state': 'eyJwYXJ0eSI6ImFnZW50In0='", 1 | 2, "agent_talk_ms", "lead_talk_ms"},
      {1, ", 'client_state': 'eyJwYXJ0eSI6ImFnZW50In0='", 1 | 4, "lead_talk_ms", "agent_talk_ms"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct world *w = world_new("", true);
    json_t *row;
    hook(w, LEG, "call.initiated", 0, cases[i].client_state);
    assert_int_equal(who_spoke(w, cases[i].track, &row), cases[i].seen);
    assert_true(json_number_value(json_object_get(row, cases[i].talker)) > 500);
    EXPECT(row, cases[i].silent, "0");
    assert_true(json_number_value(json_object_get(row, "mos")) > 4);
    EXPECT(row, "loss_pct", "0.0");
    EXPECT(row, "jitter_ms", "0.0");
    EXPECT(row, "overlap_ms", "0");
    EXPECT(row, "interruptions_agent", "0");
    EXPECT(row, "interruptions_lead", "0");
    assert_true(json_is_number(json_object_get(row, "silence_ms")));
    json_decref(row);
    world_free(w);
  }
}

/* Open findings are shown of a call that is up and stored nowhere (data-model.md 8.4). */
static void what_is_wrong_now_is_shown_live_only(void **state) {
  (void)state;
  static const char open[] = "metadata.sidetone.quality.open_findings";
  struct world *w = world_new("", true);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  char id[64];
  snprintf(id, sizeof id, "%s", json_string_value(at_path(stored_document(w, LEG), "callLogId")));
  media_between(w, 1, 20, 9000, 1);
  json_t *document = engine_document(w->e, id);
  EXPECT(document, open, "absent");
  json_decref(document);
  ticks_until(w, 12500); /* no frame for 3.5 s */
  document = engine_document(w->e, id);
  EXPECT(document, "metadata.sidetone.quality.open_findings.0.description", "'no media: 3.5 s (inbound)'");
  EXPECT(document, "metadata.sidetone.quality.open_findings.0.severity", "'critical'");
  EXPECT(document, "quality.issues", "[]");
  json_decref(document);
  EXPECT(stored_document(w, LEG), open, "absent");
  close_by_peer(w, 1, 12600);
  EXPECT(stored_document(w, LEG), "quality.issues.0.description", "'no media: 3.5 s (inbound)'");
  EXPECT(stored_document(w, LEG), "quality.issues.0.resolved", "false");
  EXPECT(stored_document(w, LEG), open, "absent");
  world_free(w);
}

/* Nobody speaks on hold, and nothing comes after the hang-up, though the socket is up for some seconds
 * yet. */
static void silence_is_expected_on_hold_and_behind_the_end(void **state) {
  (void)state;
  for (int held = 0; held < 2; held++) {
    struct world *w = world_new("", true);
    hook(w, LEG, "call.initiated", 0, parties);
    hook(w, LEG, "call.answered", 10, "");
    open_socket(w, 1, 20);
    start_frame(w, 1, 20, LEG, "PCMU");
    media_between(w, 1, 40, 9000, 1);
    hook(w, LEG, held ? "call.hold" : "call.hangup", 9000, "");
    ticks_until(w, 13500);
    if (held) hook(w, LEG, "call.hangup", 13600, "");
    close_by_peer(w, 1, 13700);
    ticks_until(w, 15000);
    EXPECT(stored_document(w, LEG), "quality.issues", "[]");
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_without_media_shows_what_is_known),
      cmocka_unit_test(a_leg_known_by_media_only_has_no_direction),
      cmocka_unit_test(ended_calls_are_not_shown),
      cmocka_unit_test(it_is_said_who_speaks),
      cmocka_unit_test(what_is_wrong_now_is_shown_live_only),
      cmocka_unit_test(silence_is_expected_on_hold_and_behind_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
