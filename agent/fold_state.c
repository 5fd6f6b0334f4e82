/* How far a leg got, and when: status, answer, causes, times, durations (data-model.md 8.2, 8.4).
 * Nothing here depends on the order of arrival: a hang-up is terminal, a higher state implies the
 * lower ones (telnyx-protocol.md 2.2). */
#include <string.h>

#include "agent/fold_context.h"
#include "telnyx/json.h"

/* ---- when a leg was last up ---- */

/* Events that Telnyx may send after the end of a call: they do not show that it is still up. */
static const char *const trailing_types[] = {"call.cost",
                                             "call.recording.saved",
                                             "call.recording.error",
                                             "call.recording.transcription.saved",
                                             "call.conversation.ended",
                                             "call.conversation_insights.generated",
                                             "call.fork.stopped",
                                             "siprec.stopped",
                                             "streaming.stopped",
                                             "streaming.failed",
                                             "conference.participant.left",
                                             "conference.ended",
                                             "conference.recording.saved",
                                             "sidetone.leg_lost"};

static bool is_trailing(const char *type) {
  for (size_t i = 0; i < sizeof trailing_types / sizeof *trailing_types; i++)
    if (!strcmp(type, trailing_types[i])) return true;
  return false;
}

/* The newest frame or event of a leg that was up; 0: none. */
static int64_t last_sign(const struct facts *facts) {
  int64_t newest = 0;
  for (size_t i = 0; i < facts->part_count; i++)
    if (facts->parts[i]->last_frame_ms > newest) newest = facts->parts[i]->last_frame_ms;
  for (size_t i = json_array_size(facts->webhooks); i-- > 0;) {
    const json_t *element = json_array_get(facts->webhooks, i);
    int64_t at;
    if (!document_date_ms(json_object_get(element, "timestamp"), &at) || at <= newest) break;
    if (!is_trailing(json_string_value(json_object_get(element, "eventType")))) return at;
  }
  return newest;
}

int64_t facts_last_sign_ms(const struct facts *facts) {
  int64_t newest = last_sign(facts), at;
  if (newest) return newest;
  for (size_t i = 0; i < facts->part_count; i++) {
    at = facts->parts[i]->start_ms ? facts->parts[i]->start_ms : facts->parts[i]->opened_ms;
    if (at > newest) newest = at;
  }
  for (size_t i = 0; i < json_array_size(facts->webhooks); i++) {
    const json_t *element = json_array_get(facts->webhooks, i);
    const char *type = json_string_value(json_object_get(element, "eventType"));
    if (document_date_ms(json_object_get(element, "timestamp"), &at) && at > newest &&
        strcmp(type, "sidetone.leg_lost"))
      newest = at;
  }
  return newest;
}

/* ---- causes ---- */

struct cause_row {
  const char *word;  /* Telnyx's hangup_cause */
  const char *cause; /* of the CallLog's enum */
  const char *unanswered_status;
};
static const struct cause_row causes[] = {
    {"normal_clearing", "normal-clearing", "failed"},
    {"user_busy", "user-busy", "busy"},
    {"no_answer", "no-answer", "no-answer"},
    {"call_rejected", "call-rejected", "rejected"},
    {"originator_cancel", "originator-cancel", "cancelled"},
    {"timeout", "timeout", "no-answer"},
    {"time_limit", "other", "failed"},
    {"not_found", "invalid-number", "failed"},
    {"unspecified", "other", "failed"},
};
static const struct cause_row cause_new = {NULL, "other", "failed"};

static const struct cause_row *find_cause(const char *word) {
  for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
    if (!strcmp(word, causes[i].word)) return &causes[i];
  return &cause_new;
}

/* ---- answer ---- */

static bool implies_answer(enum event_kind kind) {
  switch (kind) {
    case EVENT_CALL_ANSWERED:
    case EVENT_CALL_BRIDGED:
    case EVENT_CALL_HOLD:
    case EVENT_CALL_UNHOLD:
    case EVENT_CALL_MACHINE_DETECTION_ENDED: /* detection begins at the answer */
    case EVENT_CALL_MACHINE_GREETING_ENDED:
    case EVENT_CALL_MACHINE_PREMIUM_DETECTION_ENDED:
    case EVENT_CALL_MACHINE_PREMIUM_GREETING_ENDED:
      return true;
    default:
      return false;
  }
}

struct word_row {
  const char *result, *state;
};
static const struct word_row machine_words[] = {
    {"human", "human"},     {"human_residence", "human"}, {"human_business", "human"},
    {"machine", "machine"}, {"fax_detected", "fax"},      {"not_sure", "unknown"},
    {"silence", "unknown"},
};

static const char *detected(const struct fold_context *c) {
  for (size_t i = c->event_count; i-- > 0;) {
    const struct fold_event *event = &c->events[i];
    if (event->kind != EVENT_CALL_MACHINE_DETECTION_ENDED &&
        event->kind != EVENT_CALL_MACHINE_PREMIUM_DETECTION_ENDED)
      continue;
    const char *result = json_text(event->payload, "result");
    for (size_t w = 0; result && w < sizeof machine_words / sizeof *machine_words; w++)
      if (!strcmp(result, machine_words[w].result)) return machine_words[w].state;
  }
  return NULL;
}

/* ---- the steps of fold_state() ---- */

static void read_parts(struct fold_context *c) {
  struct fold_state *s = &c->state;
  s->all_closed = true;
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    s->any_open |= part->state == PART_OPEN;
    s->any_cut |= part->state == PART_CUT;
    s->media_ran |= part->first_frame_ms != 0;
  }
  s->all_closed = !s->any_open;
}

static void read_events(struct fold_context *c) {
  struct fold_state *s = &c->state;
  s->media_only = true;
  for (size_t i = 0; i < c->event_count; i++) {
    if (c->events[i].kind != EVENT_SIDETONE_LEG_LOST) s->media_only = false;
    s->answered |= implies_answer(c->events[i].kind);
  }
  s->answered |= s->media_ran;
}

static void read_end(struct fold_context *c) {
  struct fold_state *s = &c->state;
  s->hangup = fold_first(c, EVENT_CALL_HANGUP);
  s->lost_event = fold_last(c, EVENT_SIDETONE_LEG_LOST);
  s->hung_up = s->hangup != NULL;
  s->lost =
      !s->hung_up && s->lost_event && s->lost_event->has_at && last_sign(c->facts) <= s->lost_event->at_ms;
  s->ended = s->hung_up || s->lost;
  if (s->lost) s->ended_ms = s->lost_event->at_ms;
  if (!s->hung_up) return;
  s->ended_ms = s->hangup->at_ms;
  fold_time(s->hangup, "end_time", &s->ended_ms);
  s->cause_word = json_text(s->hangup->payload, "hangup_cause");
  if (s->cause_word) s->cause = find_cause(s->cause_word)->cause;
  const char *source = json_text(s->hangup->payload, "hangup_source");
  if (source && (!strcmp(source, "caller") || !strcmp(source, "callee"))) s->source = source;
}

/* start_time of the hang-up or of the beginning, else the earliest fact. */
static int64_t initiated_at(const struct fold_context *c) {
  int64_t at, earliest = 0;
  if (c->state.hangup && fold_time(c->state.hangup, "start_time", &at)) return at;
  const struct fold_event *initiated = fold_last(c, EVENT_CALL_INITIATED);
  if (initiated && fold_time(initiated, "start_time", &at)) return at;
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    if (!event->has_at || event->kind == EVENT_SIDETONE_LEG_LOST) continue;
    earliest = event->at_ms;
    break;
  }
  for (size_t i = 0; i < c->part_count; i++) {
    at = c->parts[i]->start_ms;
    if (at && (!earliest || at < earliest)) earliest = at;
  }
  return earliest;
}

static bool on_hold(const struct fold_context *c) {
  for (size_t i = c->event_count; i-- > 0;) {
    if (c->events[i].kind == EVENT_CALL_HOLD) return true;
    if (c->events[i].kind == EVENT_CALL_UNHOLD) return false;
  }
  return false;
}

static const char *status_of(const struct fold_context *c) {
  const struct fold_state *s = &c->state;
  if (s->ended) {
    if (s->answered || s->media_only) return "completed";
    return s->cause_word ? find_cause(s->cause_word)->unanswered_status : cause_new.unanswered_status;
  }
  if (on_hold(c)) return "held";
  if (fold_last(c, EVENT_CALL_BRIDGED)) return "bridged";
  if (s->media_only) return "active";
  if (!s->answered) return "initiated";
  /* Media alone says that the leg is up, not that and when it was answered. */
  for (size_t i = 0; i < c->event_count; i++)
    if (implies_answer(c->events[i].kind)) return "answered";
  return "active";
}

void fold_state(struct fold_context *c) {
  struct fold_state *s = &c->state;
  read_parts(c);
  read_events(c);
  read_end(c);
  s->initiated_ms = initiated_at(c);
  const struct fold_event *answered = fold_last(c, EVENT_CALL_ANSWERED),
                          *bridged = fold_last(c, EVENT_CALL_BRIDGED);
  if (answered && answered->has_at) s->answered_ms = answered->at_ms;
  if (bridged && bridged->has_at) s->bridged_ms = bridged->at_ms;
  s->status = status_of(c);
  s->answer_state = detected(c);
  if (!s->answer_state && s->hung_up && !s->answered) s->answer_state = "no-answer";
}

/* ---- members ---- */

static void put_time(json_t *document, const char *key, int64_t at_ms) {
  if (at_ms) document_put_date(document, key, at_ms);
}

/* Hold first, then talking without it (9.1 M2). Telnyx says nothing of ringing, so there is none. */
static json_t *durations(const struct fold_context *c) {
  const struct fold_state *s = &c->state;
  json_t *duration = json_object(), *holds;
  int64_t hold_s = -1, talking_s = -1;
  holds = fold_holds(c, &hold_s);
  json_decref(holds);
  if (s->initiated_ms && s->ended_ms)
    document_put_int(duration, "total", whole_seconds(s->initiated_ms, s->ended_ms));
  if (s->answered_ms && s->ended_ms) {
    talking_s = whole_seconds(s->answered_ms, s->ended_ms) - (hold_s > 0 ? hold_s : 0);
    document_put_int(duration, "talking", talking_s > 0 ? talking_s : 0);
  }
  if (hold_s >= 0) document_put_int(duration, "hold", hold_s);
  return duration;
}

void fold_status(struct fold_context *c, json_t *document) {
  const struct fold_state *s = &c->state;
  document_put_text(document, "status", s->status);
  document_put_text(document, "answerState", s->answer_state);
  document_put_text(document, "hangupCause", s->cause);
  document_put_text(document, "hangupSource", s->source);
  put_time(document, "initiatedAt", s->initiated_ms);
  put_time(document, "answeredAt", s->answered_ms);
  put_time(document, "bridgedAt", s->bridged_ms);
  put_time(document, "endedAt", s->ended_ms);
  document_put_some(document, "duration", durations(c));
}

json_t *fold_outcome(const struct fold_context *c) {
  const struct fold_state *s = &c->state;
  static const struct {
    const char *status, *result;
  } results[] = {{"completed", "connected"},    {"busy", "busy"},
                 {"no-answer", "no-answer"},    {"rejected", "disconnected"},
                 {"cancelled", "disconnected"}, {"failed", "failed"}};
  if (!s->ended) return NULL;
  const char *result = NULL;
  for (size_t i = 0; i < sizeof results / sizeof *results; i++)
    if (!strcmp(s->status, results[i].status)) result = results[i].result;
  if (!strcmp(s->status, "completed") && s->answer_state && !strcmp(s->answer_state, "machine"))
    result = "voicemail";
  if (strcmp(s->status, "completed") && s->cause && !strcmp(s->cause, "invalid-number"))
    result = "wrong-number";
  return json_pack("{s:s}", "result", result);
}
