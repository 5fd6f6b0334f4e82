/* Who spoke how much, and how: the parts' speech facts put together, tracks turned into parties
 * (contract.md 4). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold_context.h"

struct parameter_row {
  const char *name;
  size_t offset;
};
#define PARAMETER(member_) \
  { #member_, offsetof(struct speech_parameters, member_) }
static const struct parameter_row parameter_rows[] = {
    PARAMETER(bridge_ms),      PARAMETER(discard_ms), PARAMETER(group_ms),    PARAMETER(turn_ms),
    PARAMETER(backchannel_ms), PARAMETER(before_ms),  PARAMETER(after_ms),    PARAMETER(simultaneous_ms),
    PARAMETER(transition_ms),  PARAMETER(back_ms),    PARAMETER(dead_air_ms),
};
enum { PARAMETERS = sizeof parameter_rows / sizeof *parameter_rows };
_Static_assert(PARAMETERS * sizeof(uint32_t) == sizeof(struct speech_parameters), "a row for each parameter");

static json_t *parameters(void) {
  json_t *object = json_object();
  for (size_t i = 0; i < PARAMETERS; i++) {
    uint32_t value;
    memcpy(&value, (const char *)&speech_defaults + parameter_rows[i].offset, sizeof value);
    document_put_int(object, parameter_rows[i].name, value);
  }
  return object;
}

/* ---- parts together ---- */

/* Times count from the first frame of the first part that had any, by the wall clock. NULL when
 * nothing was heard. */
static struct speech_facts *merged_parts(const struct fold_context *c) {
  struct speech_facts *merged = NULL;
  int64_t origin_ms = 0;
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    if (!origin_ms) origin_ms = part->first_frame_ms;
    if (!part->speech || (!part->speech->present[0] && !part->speech->present[1])) continue;
    if (!merged) merged = calloc(1, sizeof *merged);
    if (!merged) return NULL;
    speech_facts_merge(merged, part->speech, part->first_frame_ms ? part->first_frame_ms - origin_ms : 0);
  }
  return merged;
}

/* ---- metadata.sidetone.speech ---- */

static json_t *response_times(const struct speech_facts *facts, int track) {
  struct speech_response response = speech_response_ms(facts, track);
  json_t *object = json_object();
  document_put_int(object, "n", (int64_t)response.n);
  if (!response.n) return object;
  document_put_real(object, "median", response.median_ms, DECIMALS_MS);
  document_put_real(object, "mean", response.mean_ms, DECIMALS_MS);
  document_put_real(object, "p90", response.p90_ms, DECIMALS_MS);
  return object;
}

static json_t *party(const struct speech_facts *facts, int track) {
  json_t *object = json_object();
  double talk = (double)facts->talk_ms[track], both = (double)(facts->talk_ms[0] + facts->talk_ms[1]);
  document_put_int(object, "talk_ms", (int64_t)facts->talk_ms[track]);
  if (facts->duration_ms)
    document_put_real(object, "talk_share", talk / (double)facts->duration_ms, DECIMALS_R);
  if (both > 0) document_put_real(object, "talk_fraction", talk / both, DECIMALS_R);
  document_put_int(object, "turns", (int64_t)facts->turns[track]);
  document_put_int(object, "longest_monologue_ms", (int64_t)facts->longest_monologue_ms[track]);
  document_put_int(object, "pauses", (int64_t)facts->pauses[track]);
  document_put_int(object, "pause_ms", (int64_t)facts->pause_ms[track]);
  document_put_int(object, "interruptions", (int64_t)facts->interruptions[track]);
  document_put_int(object, "attempts", (int64_t)facts->attempts[track]);
  document_put_int(object, "backchannels", (int64_t)facts->backchannels[track]);
  json_object_set_new(object, "response_ms", response_times(facts, track));
  if (talk > 0) document_put_int(object, "first_response_ms", (int64_t)facts->first_speech_ms[track]);
  return object;
}

static json_t *events(const struct fold_context *c, const struct speech_facts *facts) {
  json_t *rows = json_array();
  for (size_t i = 0; i < facts->event_count; i++) {
    const struct speech_event *event = &facts->events[i];
    json_t *row = json_object();
    document_put_text(row, "kind", speech_event_name((enum speech_event_kind)event->kind));
    if (event->by >= 0) document_put_text(row, "by", fold_party(c, event->by));
    document_put_int(row, "start_ms", event->start_ms);
    document_put_int(row, "overlap_ms", event->overlap_ms);
    json_array_append_new(rows, row);
  }
  return rows;
}

/* With one track only that party's talk and pauses mean anything. */
static json_t *one_track(const struct fold_context *c, const struct speech_facts *facts, int track) {
  json_t *speech = json_object(), *heard = json_object();
  document_put_int(heard, "talk_ms", (int64_t)facts->talk_ms[track]);
  document_put_int(heard, "pauses", (int64_t)facts->pauses[track]);
  document_put_int(heard, "pause_ms", (int64_t)facts->pause_ms[track]);
  document_put_text(speech, "basis", "one-track");
  document_put_int(speech, "definition", SPEECH_DEFINITION);
  document_put_int(speech, "duration_ms", (int64_t)facts->duration_ms);
  json_object_set_new(speech, fold_party(c, track), heard);
  json_object_set_new(speech, "parameters", parameters());
  return speech;
}

static json_t *two_tracks(const struct fold_context *c, const struct speech_facts *facts, int agent) {
  json_t *speech = json_object(), *dead_air = json_object();
  document_put_int(dead_air, "count", (int64_t)facts->dead_airs);
  document_put_int(dead_air, "ms", (int64_t)facts->dead_air_ms);
  document_put_text(speech, "basis", "two-track");
  document_put_int(speech, "definition", SPEECH_DEFINITION);
  document_put_int(speech, "duration_ms", (int64_t)facts->duration_ms);
  document_put_int(speech, "overlap_ms", (int64_t)facts->overlap_ms);
  document_put_int(speech, "silence_ms", (int64_t)facts->silence_ms);
  json_object_set_new(speech, "dead_air", dead_air);
  document_put_int(speech, "turns", (int64_t)(facts->turns[0] + facts->turns[1]));
  document_put_int(speech, "simultaneous_starts", (int64_t)facts->simultaneous_starts);
  document_put_int(speech, "transitions", (int64_t)facts->transitions);
  json_object_set_new(speech, "agent", party(facts, agent));
  json_object_set_new(speech, "lead", party(facts, 1 - agent));
  if (!c->options->figures_only) json_object_set_new(speech, "events", events(c, facts));
  if (facts->events_total > facts->event_count) json_object_set_new(speech, "events_cut", json_true());
  json_object_set_new(speech, "parameters", parameters());
  return speech;
}

/* ---- aiAnalysis.speech ---- */

static void put_seconds(json_t *object, const char *key, uint64_t ms) {
  document_put_real(object, key, (double)ms / 1000, DECIMALS_S);
}

static json_t *analysis_of_two(const struct speech_facts *facts, int agent) {
  int lead = 1 - agent;
  json_t *speech = json_object(), *interruptions = json_object(), *longest = json_object();
  put_seconds(speech, "agentTalkTime", facts->talk_ms[agent]);
  put_seconds(speech, "leadTalkTime", facts->talk_ms[lead]);
  if (facts->talk_ms[lead])
    document_put_real(speech, "talkRatio", (double)facts->talk_ms[agent] / (double)facts->talk_ms[lead],
                      DECIMALS_R);
  put_seconds(speech, "silenceDuration", facts->silence_ms);
  document_put_int(interruptions, "byAgent", (int64_t)facts->interruptions[agent]);
  document_put_int(interruptions, "byLead", (int64_t)facts->interruptions[lead]);
  json_object_set_new(speech, "interruptions", interruptions);
  document_put_int(speech, "pauseCount", (int64_t)(facts->pauses[0] + facts->pauses[1]));
  bool of_agent = facts->longest_monologue_ms[agent] >= facts->longest_monologue_ms[lead];
  uint64_t longest_ms = facts->longest_monologue_ms[of_agent ? agent : lead];
  if (longest_ms) {
    document_put_text(longest, "speaker", of_agent ? "agent" : "lead");
    put_seconds(longest, "duration", longest_ms);
  }
  document_put_some(speech, "longestMonologue", longest);
  return speech;
}

static json_t *analysis_of_one(const struct speech_facts *facts, int track, bool is_agent) {
  json_t *speech = json_object();
  put_seconds(speech, is_agent ? "agentTalkTime" : "leadTalkTime", facts->talk_ms[track]);
  document_put_int(speech, "pauseCount", (int64_t)facts->pauses[track]);
  return speech;
}

json_t *fold_speech(struct fold_context *c, json_t *sidetone) {
  struct speech_facts *facts = merged_parts(c);
  int agent = c->inbound_is_agent ? TRACK_INBOUND : TRACK_OUTBOUND;
  if (!facts) return NULL;
  json_t *analysis;
  if (facts->present[0] && facts->present[1]) {
    json_object_set_new(sidetone, "speech", two_tracks(c, facts, agent));
    analysis = analysis_of_two(facts, agent);
  } else {
    int track = facts->present[0] ? 0 : 1;
    json_object_set_new(sidetone, "speech", one_track(c, facts, track));
    analysis = analysis_of_one(facts, track, track == agent);
  }
  free(facts);
  return analysis;
}
