/* The set of facts of a leg. Adding is idempotent and its order does not matter. */
#include <stdlib.h>
#include <string.h>

#include "agent/fold.h"
#include "agent/fold_context.h"
#include "telnyx/hex.h"
#include "telnyx/json.h"

enum { ID_BYTES = 12 };

struct facts *facts_new(const char *leg) {
  struct facts *facts = calloc(1, sizeof *facts);
  if (!facts) return NULL;
  facts->leg = strdup(leg);
  facts->webhooks = json_array();
  facts->ids = json_object();
  if (facts->leg && facts->webhooks && facts->ids) return facts;
  facts_free(facts);
  return NULL;
}

void facts_free(struct facts *facts) {
  if (!facts) return;
  for (size_t i = 0; i < facts->part_count; i++) part_free(facts->parts[i]);
  free(facts->parts);
  json_decref(facts->webhooks);
  json_decref(facts->ids);
  json_decref(facts->lead_lookup);
  free(facts->leg);
  free(facts);
}

/* ---- the element of an event ---- */

/* MongoDB's keys: '.' everywhere and '$' in front become their full-width forms. */
static char *escaped_key(const char *key, size_t bytes) {
  char *out = malloc(bytes * 3 + 1), *to = out;
  if (!out) return NULL;
  for (size_t i = 0; i < bytes; i++) {
    const char *wide = key[i] == '.' ? "\xef\xbc\x8e" : key[i] == '$' && i == 0 ? "\xef\xbc\x84" : NULL;
    if (wide)
      to = (char *)memcpy(to, wide, 3) + 3;
    else
      *to++ = key[i];
  }
  *to = 0;
  return out;
}

json_t *fold_escaped(const json_t *value) {
  if (json_is_array(value)) {
    json_t *array = json_array();
    for (size_t i = 0; i < json_array_size(value); i++)
      json_array_append_new(array, fold_escaped(json_array_get(value, i)));
    return array;
  }
  if (!json_is_object(value)) return json_copy(document_reader(value));
  json_t *object = json_object(), *reader = document_reader(value);
  for (void *i = json_object_iter(reader); i; i = json_object_iter_next(reader, i)) {
    char *key = escaped_key(json_object_iter_key(i), json_object_iter_key_len(i));
    if (key) json_object_set_new(object, key, fold_escaped(json_object_iter_value(i)));
    free(key);
  }
  return object;
}

static size_t text_bytes(const json_t *value) {
  return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void keep_fields(json_t *kept, const json_t *payload, const char *const *fields) {
  for (; *fields; fields++) {
    json_t *value = json_object_get(payload, *fields);
    if (value && json_levels(value) < FACTS_PAYLOAD_MAX_LEVELS) json_object_set(kept, *fields, value);
  }
}

static bool fits(const json_t *payload) {
  return text_bytes(payload) <= FACTS_PAYLOAD_MAX_BYTES && json_levels(payload) <= FACTS_PAYLOAD_MAX_LEVELS;
}

static json_t *payload_of(const struct event *event) {
  if (event->row && event->row->secret) return NULL;
  if (fits(event->payload)) return fold_escaped(event->payload);
  json_t *kept = json_object();
  keep_fields(kept, event->payload, event_fields(event->row));
  json_object_set_new(kept, "truncated", json_true());
  json_t *payload = fold_escaped(kept);
  json_decref(kept);
  return payload;
}

json_t *facts_event_element(const struct event *event) {
  char hex[ID_BYTES * 2 + 1];
  hex_of_sha256(event->id, strlen(event->id), ID_BYTES, hex);
  json_t *element = json_object();
  json_object_set_new(element, "_id", document_oid(hex));
  json_object_set_new(element, "eventType", json_string(event->type));
  if (event->has_occurred_at) document_put_date(element, "timestamp", floor_ms(event->occurred_at_us));
  json_t *payload = payload_of(event);
  if (payload) json_object_set_new(element, "payload", payload);
  return element;
}

/* ---- adding ---- */

static const char *element_id(const json_t *element) {
  return json_string_value(json_object_get(json_object_get(element, "_id"), "$oid"));
}

/* MongoDB's order of {timestamp: 1, _id: 1}: no timestamp comes first. */
static int element_compare(const json_t *a, const json_t *b) {
  int64_t a_ms = INT64_MIN, b_ms = INT64_MIN;
  document_date_ms(json_object_get(a, "timestamp"), &a_ms);
  document_date_ms(json_object_get(b, "timestamp"), &b_ms);
  if (a_ms != b_ms) return a_ms < b_ms ? -1 : 1;
  return strcmp(element_id(a), element_id(b));
}

/* Takes `element` over. */
static bool add_element(struct facts *facts, json_t *element) {
  const char *id = element_id(element);
  if (!id || !json_is_string(json_object_get(element, "eventType")) || json_object_get(facts->ids, id)) {
    json_decref(element);
    return false;
  }
  json_object_set_new(facts->ids, id, json_true());
  const json_t *payload = json_object_get(element, "payload");
  bool emptied = json_object_size(payload) == 1 && json_object_get(payload, "truncated");
  size_t bytes = payload && !emptied ? text_bytes(payload) : 0;
  if (facts->payload_bytes + bytes > FACTS_PAYLOADS_MAX_BYTES)
    json_object_set_new(element, "payload", json_pack("{s:b}", "truncated", 1));
  else
    facts->payload_bytes += bytes;
  /* Nearly always the newest. */
  size_t place = json_array_size(facts->webhooks);
  while (place > 0 && element_compare(json_array_get(facts->webhooks, place - 1), element) > 0) place--;
  json_array_insert_new(facts->webhooks, place, element);
  return true;
}

bool facts_add_event(struct facts *facts, const struct event *event) {
  return add_element(facts, facts_event_element(event));
}

bool facts_add_element(struct facts *facts, const json_t *element) {
  return add_element(facts, json_deep_copy(element));
}

bool facts_put_part(struct facts *facts, struct part *part) {
  for (size_t i = 0; i < facts->part_count; i++) {
    struct part *old = facts->parts[i];
    if (strcmp(old->id, part->id)) continue;
    if (old == part) return false;
    bool newer = old->n < part->n;
    if (newer) facts->parts[i] = part;
    part_free(newer ? old : part);
    return newer;
  }
  struct part **grown = realloc(facts->parts, (facts->part_count + 1) * sizeof *grown);
  if (!grown) {
    part_free(part);
    return false;
  }
  grown[facts->part_count++] = part;
  facts->parts = grown;
  return true;
}

bool facts_set_lead_lookup(struct facts *facts, const json_t *lookup) {
  if (facts->lead_lookup || !json_is_object(lookup)) return false;
  facts->lead_lookup = json_deep_copy(lookup);
  return facts->lead_lookup != NULL;
}

uint64_t facts_revision(const struct facts *facts) {
  uint64_t revision = json_array_size(facts->webhooks) + (facts->lead_lookup != NULL);
  for (size_t i = 0; i < facts->part_count; i++) revision += facts->parts[i]->n;
  return revision;
}
