/* A fact as its write: one element pushed, or one part set (data-model.md 8.4). Filters make it happen once. */
#include <stdlib.h>
#include <string.h>

#include "agent/bson.h"
#include "agent/settle_internal.h"
#include "agent/settle_paths.h"
#include "telnyx/client_state.h"
#include "telnyx/json.h"

bool settle_op(struct mongo_op *op, json_t *filter, json_t *update, bool upsert) {
  size_t bytes;
  *op = (struct mongo_op){.upsert = upsert};
  bool whole = update && json_object_set_new(update, "$currentDate", json_pack("{s:b}", "updatedAt", 1)) == 0;
  if (whole) {
    op->filter = bson_of_json(filter, &bytes);
    op->update = bson_of_json(update, &bytes);
  }
  json_decref(filter);
  json_decref(update);
  if (op->filter && op->update) return true;
  free(op->filter);
  free(op->update);
  *op = (struct mongo_op){.upsert = upsert};
  return false;
}

/* ---- creation ---- */

/* createdAt is when the fact was written down here: $currentDate cannot be said of an insert only, and a try
 * that is repeated must say the same. */
static json_t *on_insert(const struct sink_row *row, const char *touched) {
  char call_log_id[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(row->leg, call_log_id);
  json_t *made = json_pack("{s:s, s:b, s:o, s:i}", "callLogId", call_log_id, "isActive", 1, "createdAt",
                           document_date(row->at_ms), "__v", 0);
  for (size_t i = 0; i < settle_path_count; i++)
    if (settle_paths[i].array && strcmp(settle_paths[i].path, touched) != 0)
      json_object_set_new(made, settle_paths[i].path, json_array());
  return made;
}

/* ---- joining a document of the application ---- */

static bool is_object_id(const char *text) {
  return text && strlen(text) == 24 && strspn(text, "0123456789abcdefABCDEF") == 24;
}

static json_t *agents_of(const struct fold_options *options) {
  return options->agent_id && *options->agent_id
             ? json_pack("{s:s}", "metadata.sidetone.agents", options->agent_id)
             : NULL;
}

/* Only a document that no leg has taken: null finds an absent control id, and one that is null. */
static bool add_join(struct mongo_fact *fact, const struct fold_options *options, const char *leg,
                     json_t *filter) {
  json_t *update = json_pack("{s:{s:s, s:b}, s:o*}", "$set", "telnyx.callControlId", leg, SETTLE_JOINED, 1,
                             "$addToSet", agents_of(options));
  json_object_set_new(filter, "telnyx.callControlId", json_null());
  return settle_op(&fact->join[fact->join_count++], filter, update, false);
}

static bool plan_joins(struct mongo_fact *fact, const struct fold_options *options, const char *leg,
                       const char *text) {
  struct client_state state;
  bool fine = true;
  if (client_state_parse(text, &state) == 0) {
    if (state.call_log_id)
      fine = add_join(fact, options, leg, json_pack("{s:s}", "callLogId", state.call_log_id));
    if (fine && is_object_id(state.call_id))
      fine = add_join(fact, options, leg, json_pack("{s:o}", "_id", document_oid(state.call_id)));
  }
  client_state_release(&state);
  return fine;
}

/* ---- the write ---- */

static bool plan_element(const struct fold_options *options, const struct sink_row *row, json_t *element,
                         struct mongo_fact *out) {
  static const char path[] = "telnyx.webhookEvents";
  json_t *id = json_object_get(element, "_id");
  if (!json_is_string(json_object_get(id, "$oid")) || !json_text(element, "eventType")) return false;
  json_t *filter =
      json_pack("{s:s, s:{s:O}}", "telnyx.callControlId", row->leg, "telnyx.webhookEvents._id", "$ne", id);
  json_t *update = json_pack("{s:{s:{s:[O], s:{s:i, s:i}}}, s:o*, s:o}", "$push", path, "$each", element,
                             "$sort", "timestamp", 1, "_id", 1, "$addToSet", agents_of(options),
                             "$setOnInsert", on_insert(row, path));
  return settle_op(&out->write, filter, update, true) &&
         plan_joins(out, options, row->leg, json_text(json_object_get(element, "payload"), "client_state"));
}

static bool plan_part(const struct fold_options *options, const struct sink_row *row, json_t *part,
                      struct mongo_fact *out) {
  const char *id = json_text(part, "id");
  const json_t *n = json_object_get(part, "n");
  char path[SETTLE_PATH_BYTES], n_path[SETTLE_PATH_BYTES + 2];
  /* A '.' or '$' in the name would be a path of its own; agent.id has neither. */
  if (!id || strpbrk(id, ".$") || !json_is_integer(n) || !json_text(part, "state") ||
      snprintf(path, sizeof path, "metadata.sidetone.media.%s", id) >= (int)sizeof path)
    return false;
  snprintf(n_path, sizeof n_path, "%s.n", path);
  json_t *filter = json_pack("{s:s, s:{s:{s:I}}}", "telnyx.callControlId", row->leg, n_path, "$not", "$gte",
                             json_integer_value(n));
  json_t *update = json_pack("{s:{s:O}, s:o*, s:o}", "$set", path, part, "$addToSet", agents_of(options),
                             "$setOnInsert", on_insert(row, ""));
  return settle_op(&out->write, filter, update, true) &&
         plan_joins(out, options, row->leg, json_text(part, "client_state"));
}

static void release_op(struct mongo_op *op) {
  free(op->filter);
  free(op->update);
}

int settle_fact(void *arg, const struct sink_row *row, struct mongo_fact *out) {
  const struct fold_options *options = arg;
  *out = (struct mongo_fact){.join_count = 0};
  if (row->kind == OUTBOX_ALERT || !row->leg || !*row->leg) return -1;
  json_t *body = json_read(row->body, row->body_bytes, NULL, 0);
  bool fine =
      row->kind == OUTBOX_EVENT ? plan_element(options, row, body, out) : plan_part(options, row, body, out);
  json_decref(body);
  if (fine) return 0;
  release_op(&out->write);
  for (size_t i = 0; i < out->join_count; i++) release_op(&out->join[i]);
  *out = (struct mongo_fact){.join_count = 0};
  return -1;
}

int settle_lead_lookup(void *arg, const char *leg, const char *lead_id, const char *contact_id,
                       struct mongo_op *out) {
  (void)arg;
  json_t *found = json_object();
  if (is_object_id(lead_id)) json_object_set_new(found, "leadId", document_oid(lead_id));
  if (is_object_id(contact_id)) json_object_set_new(found, "contactId", document_oid(contact_id));
  json_t *filter =
      json_pack("{s:s, s:{s:b}}", "telnyx.callControlId", leg, "metadata.sidetone.leadLookup", "$exists", 0);
  json_t *update = json_pack("{s:{s:o}}", "$set", "metadata.sidetone.leadLookup", found);
  return settle_op(out, filter, update, false) ? 0 : -1;
}
