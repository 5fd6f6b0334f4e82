#include "agent/fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold_context.h"
#include "telnyx/timestamp.h"

/* ---- what the steps ask ---- */

const char *fold_party(const struct fold_context *c, int track) {
  return (track == TRACK_INBOUND) == c->inbound_is_agent ? "agent" : "lead";
}

const struct fold_event *fold_first(const struct fold_context *c, enum event_kind kind) {
  for (size_t i = 0; i < c->event_count; i++)
    if (c->events[i].kind == kind) return &c->events[i];
  return NULL;
}

const struct fold_event *fold_last(const struct fold_context *c, enum event_kind kind) {
  for (size_t i = c->event_count; i-- > 0;)
    if (c->events[i].kind == kind) return &c->events[i];
  return NULL;
}

bool fold_time(const struct fold_event *event, const char *key, int64_t *epoch_ms) {
  const char *text = json_string_value(json_object_get(event->payload, key));
  int64_t us;
  if (!text || !timestamp_parse(text, &us)) return false;
  *epoch_ms = floor_ms(us);
  return true;
}

/* ---- the facts in order ---- */

static bool same_event(const struct fold_event *a, const struct fold_event *b) {
  if (strcmp(a->type, b->type)) return false;
  if (!a->payload || !b->payload) return a->payload == b->payload;
  return json_equal(document_reader(a->payload), document_reader(b->payload));
}

/* An event whose id changed between two deliveries is still the same event (telnyx-protocol.md 2.2). */
static bool is_repeat(const struct fold_context *c, const struct fold_event *event) {
  for (size_t i = c->event_count; i-- > 0;) {
    const struct fold_event *earlier = &c->events[i];
    if (earlier->has_at != event->has_at || earlier->at_ms != event->at_ms) break;
    if (same_event(earlier, event)) return true;
  }
  return false;
}

static bool read_facts(struct fold_context *c) {
  size_t webhooks = json_array_size(c->facts->webhooks);
  c->events = calloc(webhooks + 1, sizeof *c->events);
  if (!c->events) return false;
  for (size_t i = 0; i < webhooks; i++) {
    const json_t *element = json_array_get(c->facts->webhooks, i);
    struct fold_event event = {.kind = EVENT_UNKNOWN,
                               .type = json_string_value(json_object_get(element, "eventType")),
                               .payload = json_object_get(element, "payload")};
    event.has_at = document_date_ms(json_object_get(element, "timestamp"), &event.at_ms);
    event.row = event_row(event.type);
    if (event.row) event.kind = event.row->kind;
    if (!is_repeat(c, &event)) c->events[c->event_count++] = event;
  }
  return true;
}

static int compare_parts(const void *a, const void *b) {
  const struct part *x = *(const struct part *const *)a, *y = *(const struct part *const *)b;
  int64_t x_ms = x->start_ms ? x->start_ms : x->opened_ms, y_ms = y->start_ms ? y->start_ms : y->opened_ms;
  if (x_ms != y_ms) return x_ms < y_ms ? -1 : 1;
  return strcmp(x->id, y->id);
}

static bool sort_parts(struct fold_context *c) {
  c->parts = calloc(c->facts->part_count + 1, sizeof *c->parts);
  if (!c->parts) return false;
  c->part_count = c->facts->part_count;
  for (size_t i = 0; i < c->part_count; i++) c->parts[i] = c->facts->parts[i];
  qsort(c->parts, c->part_count, sizeof *c->parts, compare_parts);
  return true;
}

/* ---- the parts of the document that only creation and other hands fill ---- */

static void put_empty_arrays(json_t *object, const char *const *keys) {
  for (; *keys; keys++) json_object_set_new(object, *keys, json_array());
}

static json_t *analysis(struct fold_context *c, json_t *sidetone) {
  static const char *const own[] = {"intents", "topics", "keywords", "entities", NULL};
  static const char *const qualification[] = {"signals", "concerns", "objections", "interests", NULL};
  static const char *const compliance[] = {"requiredDisclosuresMade", "violations", NULL};
  json_t *ai = json_object(), *sentiment = json_object(), *qualified = json_object(),
         *complied = json_object();
  json_object_set_new(sentiment, "bySegment", json_array());
  put_empty_arrays(qualified, qualification);
  put_empty_arrays(complied, compliance);
  json_object_set_new(ai, "sentiment", sentiment);
  document_put_some(ai, "speech", fold_speech(c, sidetone));
  put_empty_arrays(ai, own);
  json_object_set_new(ai, "qualification", qualified);
  json_object_set_new(ai, "compliance", complied);
  return ai;
}

static json_t *tags(const struct fold_context *c) {
  json_t *array = json_array();
  if (!c->has_lead) json_array_append_new(array, json_string("no-lead"));
  if (!c->has_direction) json_array_append_new(array, json_string("no-direction"));
  return array;
}

/* ---- metadata.sidetone ---- */

static int compare_texts(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The agents that wrote a part or fold now, each once, sorted. A part is named "<agent.id>_<k>". */
static json_t *agents(const struct fold_context *c) {
  json_t *array = json_array(), *seen = json_object();
  const char *own = c->options->agent_id;
  if (own && *own) json_object_set_new(seen, own, json_true());
  for (size_t i = 0; i < c->part_count; i++) {
    char name[sizeof c->parts[i]->id];
    snprintf(name, sizeof name, "%s", c->parts[i]->id);
    char *underscore = strrchr(name, '_');
    if (underscore) *underscore = 0;
    json_object_set_new(seen, name, json_true());
  }
  size_t count = 0;
  const char **names = calloc(json_object_size(seen) + 1, sizeof *names);
  for (void *i = json_object_iter(seen); names && i; i = json_object_iter_next(seen, i))
    names[count++] = json_object_iter_key(i);
  if (names) qsort(names, count, sizeof *names, compare_texts);
  for (size_t i = 0; i < count; i++) json_array_append_new(array, json_string(names[i]));
  free(names);
  json_decref(seen);
  return array;
}

static json_t *media(const struct fold_context *c) {
  json_t *object = json_object();
  for (size_t i = 0; i < c->part_count; i++)
    json_object_set_new(object, c->parts[i]->id, part_to_json(c->parts[i]));
  return object;
}

static json_t *sidetone_of(struct fold_context *c) {
  const struct fold_state *s = &c->state;
  bool complete = s->ended && s->all_closed, partial = s->lost || s->any_open || s->any_cut;
  json_t *sidetone = json_object();
  document_put_text(sidetone, "version", c->options->version);
  json_object_set_new(sidetone, "agents", agents(c));
  document_put_int(sidetone, "revision", (int64_t)facts_revision(c->facts));
  json_object_set_new(sidetone, "complete", json_boolean(complete));
  json_object_set_new(sidetone, "partial", json_boolean(partial));
  if (!c->options->figures_only) document_put_some(sidetone, "media", media(c));
  if (c->client_state_other) document_put_some(sidetone, "clientState", fold_escaped(c->client_state_other));
  document_put_text(sidetone, "hangupCause", s->cause_word);
  if (s->lost_event && !s->ended) json_object_set_new(sidetone, "givenUp", json_true());
  if (c->facts->lead_lookup) json_object_set(sidetone, "leadLookup", c->facts->lead_lookup);
  if (!c->summary) return sidetone;
  c->summary->complete = complete;
  c->summary->partial = partial;
  return sidetone;
}

static void summarise(const struct fold_context *c) {
  const struct fold_state *s = &c->state;
  struct fold_summary *summary = c->summary;
  if (!summary) return;
  snprintf(summary->status, sizeof summary->status, "%s", s->status);
  summary->initiated_at_ms = s->initiated_ms;
  summary->ended_at_ms = s->ended_ms;
  summary->total_s =
      s->initiated_ms && s->ended_ms ? (double)whole_seconds(s->initiated_ms, s->ended_ms) : NAN;
  summary->ended = s->ended;
  summary->lost = s->lost;
  summary->hung_up = s->hung_up;
  summary->has_lead = c->has_lead;
  summary->inbound_is_agent = c->inbound_is_agent;
}

/* ---- the whole ---- */

static json_t *whole(struct fold_context *c) {
  json_t *document = json_object();
  int64_t hold_s;
  fold_state(c);
  fold_identity(c, document);
  json_t *sidetone = sidetone_of(c), *quality = fold_quality(c, sidetone), *ai = analysis(c, sidetone);
  fold_status(c, document);
  json_object_set_new(document, "quality", quality);
  document_put_some(document, "recording", fold_recording(c));
  json_object_set_new(document, "transcription", fold_transcription(c));
  json_object_set_new(document, "events", fold_events(c));
  json_object_set_new(document, "dtmfInputs", fold_dtmf(c));
  json_object_set_new(document, "holds", fold_holds(c, &hold_s));
  json_object_set_new(document, "aiAnalysis", ai);
  document_put_some(document, "billing", fold_billing(c));
  document_put_some(document, "outcome", fold_outcome(c));
  json_object_set_new(document, "tags", tags(c));
  json_object_set_new(document, "categories", json_array());
  json_object_set_new(document, "notes", json_array());
  json_object_set_new(document, "errors", fold_errors(c));
  json_object_set_new(document, "compliance",
                      json_pack("{s:[], s:[]}", "disclosuresMade", "regulatoryFlags"));
  json_object_set_new(document, "metadata", json_pack("{s:o}", "sidetone", sidetone));
  json_object_set_new(document, "isActive", json_true());
  summarise(c);
  return document;
}

json_t *fold(const struct facts *facts, const struct fold_options *options, struct fold_summary *summary) {
  struct fold_context c = {.facts = facts, .options = options, .summary = summary};
  if (summary) *summary = (struct fold_summary){.total_s = NAN, .mos = NAN};
  json_t *document = NULL;
  if (read_facts(&c) && sort_parts(&c)) document = whole(&c);
  json_decref(c.client_state_other);
  free(c.events);
  free(c.parts);
  return document;
}

void fold_strip(json_t *document) {
  static const char *const database[] = {"_id", "createdAt", "updatedAt", "__v"};
  for (size_t i = 0; i < sizeof database / sizeof *database; i++) json_object_del(document, database[i]);
  json_object_del(json_object_get(json_object_get(document, "metadata"), "sidetone"), "media");
}
