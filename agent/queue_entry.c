#include "agent/queue_entry.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bson.h"
#include "agent/document.h"
#include "agent/memory.h"
#include "telnyx/json.h"

/* Ended: endedAt is there, or the status is a last word. The fold has both or neither but for a hang-up that says no
 * time at all, which has ended the leg as well; and the application may write a status of its own after the end
 * (8.3: bridged, when it transfers), which does not bring the leg back. */
static bool has_ended(const json_t *document) {
  static const char *const last_words[] = {"completed", "busy",      "no-answer",
                                           "failed",    "cancelled", "rejected"};
  int64_t at_ms;
  const char *status = json_text(document, "status");
  if (document_date_ms(json_object_get(document, "endedAt"), &at_ms)) return true;
  for (size_t i = 0; status && i < sizeof last_words / sizeof *last_words; i++)
    if (strcmp(status, last_words[i]) == 0) return true;
  return false;
}

/* Given up once, and up again since: the loader has it as ended, so it must hear (metadata.sidetone.givenUp). */
static bool was_queued(const json_t *sidetone) {
  return json_is_true(json_object_get(sidetone, "givenUp"));
}

static void drop(json_t *object, const char *key, const char *const *below) {
  for (; *below; below++) object = json_object_get(object, *below);
  json_object_del(object, key);
}

/* What grows with the call, and what only the database's reader needs (contract.md 5). */
static void shorten(json_t *document) {
  static const char *const telnyx[] = {"telnyx", NULL}, *const sidetone[] = {"metadata", "sidetone", NULL},
                           *const inbound[] = {"metadata", "sidetone", "quality",
                                               "delivery", "inbound",  NULL},
                           *const outbound[] = {"metadata", "sidetone", "quality",
                                                "delivery", "outbound", NULL},
                           *const speech[] = {"metadata", "sidetone", "speech", NULL},
                           *const transcription[] = {"transcription", NULL};
  drop(document, "webhookEvents", telnyx);
  drop(document, "apiResponse", telnyx);
  drop(document, "media", sidetone);
  drop(document, "windows", inbound);
  drop(document, "windows", outbound);
  drop(document, "events", speech);
  drop(document, "fullText", transcription);
  drop(document, "turns", transcription);
}

static char *copy_of(const char *text) {
  return text ? strdup(text) : NULL;
}

/* 1, 0 or -ENOMEM, as queue_entry() has it. */
static int fill(json_t *document, struct redis_queue_entry *out) {
  const json_t *sidetone = json_object_get(json_object_get(document, "metadata"), "sidetone");
  const char *call_log_id = json_text(document, "callLogId");
  if (!call_log_id || (!has_ended(document) && !was_queued(sidetone))) return 0;
  shorten(document);
  out->call_log_id = strdup(call_log_id);
  out->id = copy_of(json_text(json_object_get(document, "_id"), "$oid"));
  out->updated_at = copy_of(json_text(json_object_get(document, "updatedAt"), "$date"));
  json_unsigned(json_object_get(sidetone, "revision"), &out->revision);
  out->document = document_text(document, false, NULL);
  return out->call_log_id && out->document ? 1 : -ENOMEM;
}

int queue_entry(void *arg, const char *leg, const void *document, size_t bytes, bool is_bson,
                struct redis_queue_entry *out) {
  (void)arg;
  (void)leg;
  *out = (struct redis_queue_entry){.revision = 0};
  uint64_t refused = memory_refusals();
  json_t *value = is_bson ? bson_to_json(document, bytes) : json_read(document, bytes, NULL, 0);
  int result = fill(value, out);
  if (memory_refusals() != refused)
    result = -ENOMEM; /* no document, or one with a hole, is not "has not ended" */
  json_decref(value);
  if (result != 1) queue_entry_free(out);
  return result;
}

void queue_entry_free(struct redis_queue_entry *entry) {
  free(entry->call_log_id);
  free(entry->id);
  free(entry->updated_at);
  free(entry->document);
  *entry = (struct redis_queue_entry){.revision = 0};
}
