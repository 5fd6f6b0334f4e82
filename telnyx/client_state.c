#include "telnyx/client_state.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/base64.h"
#include "telnyx/json.h"

/* ---- forms of the known keys ---- */

static bool is_text(const json_t *value) {
  return json_is_string(value);
}

static bool is_bool(const json_t *value) {
  return json_is_boolean(value);
}

/* Only characters of the set, `least` to `most` of them. */
static bool made_of(const json_t *value, const char *set, size_t least, size_t most) {
  const char *text = json_string_value(value);
  if (!text) return false;
  size_t length = strspn(text, set);
  return text[length] == '\0' && length >= least && length <= most;
}

static bool is_object_id(const json_t *value) {
  return made_of(value, "0123456789abcdefABCDEF", 24, 24);
}

/* An id that begins as the derived ones do would take the place that another leg's document has, or will want. */
static bool is_log_id(const json_t *value) {
  const char *text = json_string_value(value);
  if (text && strncmp(text, "CALL_0_", 7) == 0) return false;
  return made_of(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-", 1, 128);
}

static bool one_of(const json_t *value, const char *const *words) {
  const char *text = json_string_value(value);
  while (text && *words && strcmp(text, *words) != 0) words++;
  return text && *words;
}

static bool is_call_type(const json_t *value) {
  static const char *const words[] = {"cold-call", "follow-up", "callback", "support", "qualification",
                                      "demo",      "closing",   "other",    NULL};
  return one_of(value, words);
}

static bool is_party(const json_t *value) {
  static const char *const words[] = {"lead", "agent", NULL};
  return one_of(value, words);
}

/* ---- the known keys ---- */

enum { NO_FIELD = -1 };
#define FIELD(name) offsetof(struct client_state, name)

static const struct known_key {
  const char *key;
  bool (*fits)(const json_t *value);
  ptrdiff_t field; /* a const char * of struct client_state, or NO_FIELD */
} known_keys[] = {
    {"callLogId", is_log_id, FIELD(call_log_id)},
    {"leadId", is_object_id, FIELD(lead_id)},
    {"callId", is_text, FIELD(call_id)},
    {"campaignId", is_object_id, FIELD(campaign_id)},
    {"contactId", is_object_id, FIELD(contact_id)},
    {"assignedAgent", is_object_id, FIELD(assigned_agent)},
    {"conversationId", is_object_id, FIELD(conversation_id)},
    {"callType", is_call_type, FIELD(call_type)},
    {"kevinAvailable", is_bool, NO_FIELD},
    {"timestamp", is_text, NO_FIELD},
    {"transferType", is_text, NO_FIELD},
    {"conferenceName", is_text, NO_FIELD},
    {"party", is_party, NO_FIELD},
};
enum { KNOWN_KEYS = sizeof known_keys / sizeof *known_keys };
static_assert(KNOWN_KEYS == 13, "the keys of data-model.md 8.1");

static const struct known_key *find_known(const char *key) {
  for (int i = 0; i < KNOWN_KEYS; i++) {
    if (strcmp(key, known_keys[i].key) == 0) return &known_keys[i];
  }
  return NULL;
}

/* ---- collecting ---- */

struct collector {
  struct client_state *out;
  size_t other_bytes; /* of `other` as text, with its braces */
  bool failed;        /* memory refused */
};

static bool is_no_value(const json_t *value) {
  return json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static void keep(struct collector *c, json_t *object, const char *key, json_t *value) {
  if (!json_object_get(object, key) && json_object_set(object, key, value) != 0) c->failed = true;
}

static void keep_other(struct collector *c, const char *key, json_t *value) {
  json_t *pair = json_object();
  keep(c, pair, key, value);
  size_t bytes = json_dumpb(pair, NULL, 0, JSON_COMPACT) - 2 + (json_object_size(c->out->other) > 0 ? 1 : 0);
  json_decref(pair);
  if (c->failed || json_object_get(c->out->other, key)) return;
  if (c->other_bytes + bytes > CLIENT_STATE_OTHER_BYTES || json_levels(value) >= CLIENT_STATE_OTHER_LEVELS) {
    c->out->cut = true;
    return;
  }
  c->other_bytes += bytes;
  keep(c, c->out->other, key, value);
}

static json_t *read_object(const char *text) {
  size_t length = strlen(text);
  uint8_t *bytes = malloc(length + 1);
  ssize_t count = bytes ? base64_decode(text, length, bytes, length) : -1;
  json_t *value =
      count > 0 ? json_read((const char *)bytes, (size_t)count, NULL, 0) : json_read(text, length, NULL, 0);
  free(bytes);
  if (json_is_object(value)) return value;
  json_decref(value);
  return NULL;
}

static void take_object(struct collector *c, json_t *object, int level) {
  const char *key;
  json_t *value, *inner = NULL;
  json_object_foreach(object, key, value) {
    const struct known_key *known = find_known(key);
    if (is_no_value(value)) continue;
    if (known && known->fits(value)) {
      keep(c, c->out->known, key, value);
    } else if (!inner && level < CLIENT_STATE_LEVELS && strcmp(key, "client_state") == 0 &&
               json_is_string(value) && (inner = read_object(json_string_value(value))) != NULL) {
      continue;
    } else {
      keep_other(c, key, value);
    }
  }
  if (inner) take_object(c, inner, level + 1);
  json_decref(inner);
}

static void point_fields(struct client_state *out) {
  for (int i = 0; i < KNOWN_KEYS; i++) {
    const char *text = json_text(out->known, known_keys[i].key);
    if (known_keys[i].field != NO_FIELD) memcpy((char *)out + known_keys[i].field, &text, sizeof text);
  }
  const char *party = json_text(out->known, "party");
  if (party) out->party = strcmp(party, "agent") == 0 ? CLIENT_PARTY_AGENT : CLIENT_PARTY_LEAD;
}

int client_state_parse(const char *text, struct client_state *out) {
  *out = (struct client_state){.party = CLIENT_PARTY_NONE};
  json_t *object = text ? read_object(text) : NULL;
  if (!object) return -1;
  out->known = json_object();
  out->other = json_object();
  struct collector collector = {.out = out, .other_bytes = 2, .failed = !out->known || !out->other};
  if (!collector.failed) take_object(&collector, object, 1);
  json_decref(object);
  if (collector.failed) {
    client_state_release(out);
    return -1;
  }
  point_fields(out);
  return 0;
}

void client_state_release(struct client_state *state) {
  json_decref(state->known);
  json_decref(state->other);
  *state = (struct client_state){.party = CLIENT_PARTY_NONE};
}
