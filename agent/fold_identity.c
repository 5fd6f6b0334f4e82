/* Who a leg is: ids, references, parties (data-model.md 8.1, 8.4). Webhooks say it in their order;
 * what none of them says comes from the `start` frames of the media parts. */
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "agent/fold_context.h"
#include "telnyx/client_state.h"
#include "telnyx/json.h"
#include "telnyx/utf8.h"

enum { DERIVED_DIGITS = 26 };

/* 26 digits of 5 bits: the first 130 bits of the digest. */
void fold_derived_call_log_id(const char *leg, char out[FOLD_DERIVED_ID_BYTES]) {
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, lower case */
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *)leg, strlen(leg), digest);
  char digits[DERIVED_DIGITS + 1] = "";
  for (size_t i = 0; i < DERIVED_DIGITS; i++) {
    size_t bit = i * 5;
    unsigned pair = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];
    digits[i] = alphabet[pair >> (11 - bit % 8) & 31];
  }
  snprintf(out, FOLD_DERIVED_ID_BYTES, "CALL_0_%s", digits);
}

/* The first webhook that has the text, else the first part's. `of_part` may be NULL. */
static const char *first_text(const struct fold_context *c, const char *key,
                              const char *(*of_part)(const struct part *)) {
  for (size_t i = 0; i < c->event_count; i++) {
    const char *text = json_text(c->events[i].payload, key);
    if (text) return text;
  }
  for (size_t i = 0; of_part && i < c->part_count; i++) {
    const char *text = of_part(c->parts[i]);
    if (text && *text) return text;
  }
  return NULL;
}

static const char *part_session(const struct part *part) {
  return part->call_session_id;
}
static const char *part_leg(const struct part *part) {
  return part->call_leg_id;
}
static const char *part_from(const struct part *part) {
  return part->from;
}
static const char *part_to(const struct part *part) {
  return part->to;
}
static const char *part_client_state(const struct part *part) {
  return part->client_state;
}

/* ---- client_state ---- */

enum known_key { LEAD, CONTACT, CONVERSATION, CAMPAIGN, AGENT, KNOWN_KEYS };
/* In the order of the document. */
static const char *const reference_paths[] = {[LEAD] = "leadId",
                                              [CONTACT] = "contactId",
                                              [CONVERSATION] = "conversationId",
                                              [CAMPAIGN] = "campaignId",
                                              [AGENT] = "assignedAgent"};
_Static_assert(sizeof reference_paths / sizeof *reference_paths == KNOWN_KEYS, "a path for each reference");

/* What all client states of the leg say together: of each key the earliest valid value. A command may
 * replace the state, and old deliveries still carry the former one, so the newest is not the truth. */
struct known_state {
  char call_log_id[129];
  char references[KNOWN_KEYS][25];
  char call_type[32];
  enum client_party party;
  json_t *other;
};

/* Only the first text is kept; a longer one is cut at a character. */
static void keep_text(char *to, size_t room, const char *text) {
  if (!text || *to) return;
  size_t bytes = utf8_fit(text, room - 1);
  memcpy(to, text, bytes);
  to[bytes] = 0;
}

static void read_state(struct known_state *known, const char *text) {
  struct client_state state;
  if (client_state_parse(text, &state) == 0) {
    const char *references[] = {[LEAD] = state.lead_id,
                                [CONTACT] = state.contact_id,
                                [CONVERSATION] = state.conversation_id,
                                [CAMPAIGN] = state.campaign_id,
                                [AGENT] = state.assigned_agent};
    keep_text(known->call_log_id, sizeof known->call_log_id, state.call_log_id);
    for (size_t i = 0; i < KNOWN_KEYS; i++)
      keep_text(known->references[i], sizeof known->references[i], references[i]);
    keep_text(known->call_type, sizeof known->call_type, state.call_type);
    if (!known->party) known->party = state.party;
    if (!known->other && json_object_size(state.other)) known->other = json_incref(state.other);
  }
  client_state_release(&state);
}

static void read_states(const struct fold_context *c, struct known_state *known) {
  const char *last = NULL; /* nearly always the same text in every event */
  for (size_t i = 0; i < c->event_count; i++) {
    const char *text = json_text(c->events[i].payload, "client_state");
    if (text && (!last || strcmp(text, last))) read_state(known, last = text);
  }
  for (size_t i = 0; i < c->part_count; i++) {
    const char *text = c->parts[i]->client_state;
    if (text && *text && (!last || strcmp(text, last))) read_state(known, last = text);
  }
}

/* What a client_state says goes first. */
static void read_lookup(const json_t *lookup, struct known_state *known) {
  static const char digits[] = "0123456789abcdefABCDEF";
  static const enum known_key keys[] = {LEAD, CONTACT};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const char *id = json_text(json_object_get(lookup, reference_paths[keys[i]]), "$oid");
    char *reference = known->references[keys[i]];
    if (id && strlen(id) == 24 && strspn(id, digits) == 24)
      keep_text(reference, sizeof known->references[0], id);
  }
}

/* ---- members ---- */

static json_t *telnyx_ids(const struct fold_context *c) {
  json_t *telnyx = json_object();
  document_put_text(telnyx, "callControlId", c->facts->leg);
  document_put_text(telnyx, "callSessionId", first_text(c, "call_session_id", part_session));
  document_put_text(telnyx, "callLegId", first_text(c, "call_leg_id", part_leg));
  document_put_text(telnyx, "connectionId", first_text(c, "connection_id", NULL));
  document_put_text(telnyx, "clientState", first_text(c, "client_state", part_client_state));
  json_object_set_new(telnyx, "webhookEvents", json_copy(c->facts->webhooks)); /* facts may grow later */
  return telnyx;
}

static const char *direction(const struct fold_context *c) {
  for (size_t i = 0; i < c->event_count; i++) {
    const char *word = json_text(c->events[i].payload, "direction");
    if (word && !strcmp(word, "incoming")) return "inbound";
    if (word && !strcmp(word, "outgoing")) return "outbound";
  }
  return NULL;
}

static json_t *party(const char *number, const char *name) {
  json_t *object = json_object();
  document_put_text(object, "number", number);
  if (name && (!number || strcmp(name, number))) document_put_text(object, "displayName", name);
  return object;
}

static void put_parties(struct fold_context *c, const char *call_type, json_t *document) {
  const struct fold_event *initiated = fold_last(c, EVENT_CALL_INITIATED);
  const char *way = direction(c), *from = first_text(c, "from", part_from),
             *to = first_text(c, "to", part_to);
  c->has_direction = way != NULL;
  document_put_text(document, "direction", way);
  document_put_text(document, "callType", call_type);
  document_put_some(document, "from",
                    party(from, initiated ? json_text(initiated->payload, "caller_id_name") : NULL));
  document_put_some(document, "to", party(to, NULL));
  if (!c->summary) return;
  keep_text(c->summary->direction, sizeof c->summary->direction, way);
  keep_text(c->summary->from, sizeof c->summary->from, from);
  keep_text(c->summary->to, sizeof c->summary->to, to);
}

void fold_identity(struct fold_context *c, json_t *document) {
  struct known_state known = {.party = CLIENT_PARTY_NONE};
  read_states(c, &known);
  read_lookup(c->facts->lead_lookup, &known);
  if (!*known.call_log_id) fold_derived_call_log_id(c->facts->leg, known.call_log_id);
  c->client_state_other = known.other;
  c->has_lead = *known.references[LEAD];
  c->inbound_is_agent =
      known.party == CLIENT_PARTY_NONE ? c->options->inbound_is_agent : known.party == CLIENT_PARTY_AGENT;
  document_put_text(document, "callLogId", known.call_log_id);
  json_object_set_new(document, "telnyx", telnyx_ids(c));
  for (size_t i = 0; i < KNOWN_KEYS; i++)
    if (*known.references[i])
      json_object_set_new(document, reference_paths[i], document_oid(known.references[i]));
  put_parties(c, known.call_type, document);
  if (c->summary) keep_text(c->summary->call_log_id, sizeof c->summary->call_log_id, known.call_log_id);
}
