/* The story of one leg that uses every rule of the fold, as facts in JSON. */
#ifndef TESTS_FOLD_STORY_H
#define TESTS_FOLD_STORY_H

#include "tests/fold_case.h"
#include "tests/random_part.h"

/* One leg with every event of the table, said by two agents. Odd rows carry what the fold reads. */
static const struct {
  const char *type, *payload;
} story[] = {
    {"call.initiated",
     "{'direction':'outgoing','from':'+15550100001','to':'+15550100002','call_leg_id':'leg',"
     "'call_session_id':'session','connection_id':'2900000000000000001','caller_id_name':'Ann',"
     "'client_state':'{\\'leadId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'contactId\\':\\'"
     "64b7f0c2a1b2c3d4e5f60718\\',"
     "\\'conversationId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'campaignId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',"
     "\\'assignedAgent\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'callType\\':\\'demo\\',\\'extra\\':1}',"
     "'start_time':'2026-09-14T08:14:58.120Z'}"},
    {"call.answered", "{'codec':'PCMU'}"},
    {"call.bridged", "{}"},
    {"call.machine.detection.ended", "{'result':'machine'}"},
    {"call.hold", "{}"},
    {"call.unhold", "{}"},
    {"call.dtmf.received", "{'digit':'1'}"},
    {"call.dtmf.received", "{'digit':'2'}"},
    {"call.transcription",
     "{'transcription_data':{'confidence':0.5,'is_final':true,'transcript':'hello','transcription_track':'"
     "inbound'}}"},
    {"streaming.failed", "{'failure_reason':'gone'}"},
    {"call.payment.progress", "{'routing_number':'1'}"},
    {"call.some.day", "{'new':[{'a':null}]}"},
    {"call.hangup",
     "{'hangup_cause':'normal_clearing','hangup_source':'caller','call_quality_stats':{'inbound':{'mos':'4.5'"
     "}}}"},
    {"call.hangup", "{'hangup_cause':'timeout','hangup_source':'callee'}"},
    {"call.recording.saved",
     "{'recording_urls':{'mp3':'https://r/1.mp3'},'public_recording_urls':{'mp3':'https://p/"
     "1.mp3'},'recording_started_at':"
     "'2026-09-14T08:15:00Z','recording_ended_at':'2026-09-14T08:15:09Z'}"},
    {"call.cost", "{'status':'success','total_cost':'0.0071','billed_duration_secs':60}"},
    {"sidetone.leg_lost", "{}"},
};
enum { STORY = sizeof story / sizeof *story, STORY_PARTS = 3 };

/* A fact is an element or a part, as JSON. */
struct fact {
  json_t *json;
  bool is_part;
};
enum { STORY_FACTS = STORY + STORY_PARTS };

static inline void tell(struct fact *facts) {
  static const char *const ids[STORY_PARTS] = {"a_1", "a_2", "b-x_7"};
  for (size_t i = 0; i < STORY; i++) {
    char id[16];
    snprintf(id, sizeof id, "%zu", i);
    json_t *payload = quoted(story[i].payload);
    /* Every third pair shares its time, so that ids decide. */
    struct event event = {.id = id,
                          .type = story[i].type,
                          .row = event_row(story[i].type),
                          .has_occurred_at = true,
                          .occurred_at_us = (start_ms + 1000 * (int64_t)(i - (i % 3 == 1))) * 1000,
                          .payload = payload};
    facts[i] = (struct fact){facts_event_element(&event), false};
    json_decref(payload);
  }
  for (size_t i = 0; i < STORY_PARTS; i++) {
    struct part *part = random_part(ids[i]);
    facts[STORY + i] = (struct fact){part_to_json(part), true};
    part_free(part);
  }
}

static inline void add_fact(struct facts *facts, const struct fact *fact) {
  if (fact->is_part)
    facts_put_part(facts, part_from_json(fact->json));
  else
    facts_add_element(facts, fact->json);
}

static inline void release(struct fact *told) {
  for (size_t i = 0; i < STORY_FACTS; i++) json_decref(told[i].json);
}

#endif
