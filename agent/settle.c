/* A document as read becomes the update that settles it (data-model.md 8.4): its facts are folded, and every path of
 * ours is set, or unset when the fold leaves it out. The unset does not look at what was read: an older settle may
 * land between the reading and the update.
 *
 * 8.4 gives the paths of people an update of their own, after the main one. Here they are in the same one, and what must
 * not have changed since the reading is in its filter: so a document with revision R is whole. With two, it stood in
 * between with R and without the outcome, and the loader's queue could take it so, never to be replaced; and
 * a second update could be planned from what another settle's second update was about to change. */
#include "agent/settle.h"

#include <stdlib.h>
#include <string.h>

#include "agent/bson.h"
#include "agent/memory.h"
#include "agent/settle_internal.h"
#include "agent/settle_paths.h"
#include "telnyx/json.h"

/* ---- paths of a document ---- */

static bool is_document(const json_t *value) {
  return json_is_object(value) && !json_object_get(value, "$date") && !json_object_get(value, "$oid");
}

/* The member that a path names up to `end`; NULL: none. */
static const json_t *member_at(const json_t *document, const char *path, const char *end) {
  while (document && path < end) {
    const char *dot = memchr(path, '.', (size_t)(end - path));
    size_t bytes = (size_t)((dot ? dot : end) - path);
    document = json_object_getn(document, path, bytes);
    path += bytes + (dot != NULL);
  }
  return document;
}

const json_t *settle_at(const json_t *document, const char *path) {
  const json_t *value = member_at(document, path, path + strlen(path));
  return json_is_null(value) ? NULL : value;
}

bool settle_is_null(const json_t *document, const char *path) {
  return json_is_null(member_at(document, path, path + strlen(path)));
}

size_t settle_blocked(const json_t *document, const char *path) {
  for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
    const json_t *value = member_at(document, path, dot);
    if (!value) return 0;
    if (!is_document(value)) return (size_t)(dot - path);
  }
  return 0;
}

/* ---- the plan ---- */

struct plan {
  const json_t *document; /* as read */
  json_t *folded;
  struct facts *facts;
  struct fold_summary summary;
  struct settle_update update;
  bool conflict;
};

static void put_below(json_t *object, const char *path, json_t *value) {
  const char *dot;
  while ((dot = strchr(path, '.'))) {
    json_t *inner = json_object_getn(object, path, (size_t)(dot - path));
    if (!inner) json_object_setn_new(object, path, (size_t)(dot - path), inner = json_object());
    object = inner;
    path = dot + 1;
  }
  json_object_set_new(object, path, value);
}

/* Takes `value` over. What stands in the way of a path (the original stores quality.network as a text) is
 * replaced by the document that the path needs: the update would be refused for ever. */
static void plan_set(struct plan *p, const char *path, json_t *value) {
  size_t blocked = settle_blocked(p->document, path);
  if (!blocked) {
    json_object_set_new(p->update.set, path, value);
    return;
  }
  json_t *whole = json_object_getn(p->update.set, path, blocked);
  if (!whole) json_object_setn_new(p->update.set, path, blocked, whole = json_object());
  put_below(whole, path + blocked + 1, value);
}

static json_t *long_value(const json_t *value) {
  return json_is_integer(value)
             ? json_pack("{s:o}", "$numberLong", json_sprintf("%lld", (long long)json_integer_value(value)))
             : json_incref(document_reader(value));
}

static void plan_path(struct plan *p, const struct settle_path *row) {
  const json_t *value = settle_at(p->folded, row->path);
  bool stays = row->kind == SETTLE_STAYS;
  if (!stays && row->kind != SETTLE_OURS && row->kind != SETTLE_LONG) return;
  if (value && !(stays && row->array && !json_array_size(value)))
    plan_set(p, row->path,
             row->kind == SETTLE_LONG ? long_value(value) : json_incref(document_reader(value)));
  else if (!stays && !settle_blocked(p->document, row->path))
    json_object_set_new(p->update.unset, row->path, json_string(""));
}

static void note_conflict(struct plan *p, const char *wanted) {
  json_t *sidetone = document_reader(settle_at(p->folded, "metadata.sidetone"));
  json_object_set_new(sidetone, "callLogIdConflict", json_string(wanted));
}

/* The derived id is written when the document is made and need not be written again: an id that a fact names stays
 * named by it. A document of the application that was joined keeps its callLogId: under that id the application will look
 * for it, whatever another client_state of the leg names, and every agent finds the same one there. A wanted
 * id that belongs to another document brings the derived one back. */
static void plan_call_log_id(struct plan *p) {
  const char *wanted = p->summary.call_log_id, *has = json_string_value(settle_at(p->document, "callLogId")),
             *recorded = json_string_value(settle_at(p->document, "metadata.sidetone.callLogIdConflict"));
  char derived[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(p->facts->leg, derived);
  bool named = strcmp(wanted, derived) != 0, is_there = has && strcmp(has, wanted) == 0;
  if (has && settle_at(p->document, SETTLE_JOINED)) {
    if (named && !is_there) note_conflict(p, wanted);
  } else if (named && (p->conflict || (recorded && strcmp(recorded, wanted) == 0 && !is_there))) {
    json_object_set_new(p->update.set, "callLogId", json_string(derived));
    note_conflict(p, wanted);
  } else if (named || !has) {
    json_object_set_new(p->update.set, "callLogId", json_string(wanted));
  }
}

/* ---- the update ---- */

/* The filter names `wrote` as read: whatever a settle does to people's paths shows there, so an update planned from an
 * older state of them (a tag no-lead that had not landed yet, say) finds nothing. No match at a smaller
 * revision: read again. */
static json_t *filter_of(const struct plan *p, uint64_t revision) {
  const json_t *wrote = settle_at(p->document, SETTLE_WROTE);
  json_t *filter = json_pack("{s:s, s:{s:{s:I}}}", "telnyx.callControlId", p->facts->leg,
                             "metadata.sidetone.revision", "$not", "$gte", (json_int_t)revision);
  json_object_set_new(filter, SETTLE_WROTE, wrote ? json_incref(document_reader(wrote)) : json_null());
  return filter;
}

static void plan_agents(struct plan *p) {
  json_object_set_new(p->update.add, "metadata.sidetone.agents",
                      json_pack("{s:O}", "$each", settle_at(p->folded, "metadata.sidetone.agents")));
}

static bool make_update(const struct settle_update *u, struct mongo_op *op) {
  const struct {
    const char *name;
    json_t *paths;
  } operators[] = {
      {"$set", u->set}, {"$unset", u->unset}, {"$addToSet", u->add}, {"$push", u->push}, {"$pull", u->pull}};
  json_t *update = json_object();
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
    if (json_object_size(operators[i].paths)) json_object_set(update, operators[i].name, operators[i].paths);
  return settle_op(op, json_incref(u->filter), update, false);
}

static bool plan_main(struct plan *p, struct mongo_settle *out) {
  struct settle_update *u = &p->update;
  *u = (struct settle_update){.filter = filter_of(p, out->revision),
                              .set = json_object(),
                              .unset = json_object(),
                              .add = json_object(),
                              .push = json_object(),
                              .pull = json_object()};
  if (!u->filter || !u->set || !u->unset || !u->add || !u->push || !u->pull) return false;
  plan_call_log_id(p);
  plan_agents(p);
  for (size_t i = 0; i < settle_path_count; i++) plan_path(p, &settle_paths[i]);
  if (!settle_people(p->facts->leg, p->document, p->folded, u, out)) return false;
  settle_prune(p->document, u);
  return make_update(u, &out->main);
}

static void release_update(struct settle_update *u) {
  json_decref(u->filter);
  json_decref(u->set);
  json_decref(u->unset);
  json_decref(u->add);
  json_decref(u->push);
  json_decref(u->pull);
}

/* ---- the facts of a document ---- */

static struct facts *facts_of(const json_t *document) {
  const char *leg = json_text(settle_at(document, "telnyx"), "callControlId"), *key;
  struct facts *facts = leg ? facts_new(leg) : NULL;
  if (!facts) return NULL;
  const json_t *elements = settle_at(document, "telnyx.webhookEvents");
  for (size_t i = 0; i < json_array_size(elements); i++)
    facts_add_element(facts, json_array_get(elements, i));
  json_t *value;
  json_object_foreach(document_reader(settle_at(document, "metadata.sidetone.media")), key, value) {
    struct part *part = part_from_json(value);
    if (part) facts_put_part(facts, part);
  }
  facts_set_lead_lookup(facts, settle_at(document, "metadata.sidetone.leadLookup"));
  return facts;
}

/* ---- the look-up ---- */

/* Strict E.164 (1.1): '+', then 8 to 15 digits, the first not 0. */
static bool is_e164(const char *number) {
  size_t digits = *number == '+' ? strspn(number + 1, "0123456789") : 0;
  return digits >= 8 && digits <= 15 && number[1 + digits] == 0 && number[1] != '0';
}

static void want_lookup(const struct plan *p, struct mongo_settle *out) {
  const struct fold_summary *s = &p->summary;
  const char *far_party = !strcmp(s->direction, "inbound") ? s->from : s->to;
  if (s->has_lead || !*s->direction || p->facts->lead_lookup || !is_e164(far_party)) return;
  strcpy(out->lookup_number, far_party);
}

static int settle(const struct fold_options *options, bool lead_lookup, const uint8_t *bson, size_t bytes,
                  bool conflict, struct mongo_settle *out) {
  uint64_t refused = memory_refusals();
  json_t *document = bson_to_json(bson, bytes);
  struct plan p = {.document = document, .conflict = conflict, .facts = facts_of(document)};
  *out = (struct mongo_settle){.second_count = 0};
  p.folded = p.facts ? fold(p.facts, options, &p.summary) : NULL;
  bool fine = p.folded != NULL;
  if (fine) {
    out->revision = facts_revision(p.facts);
    out->ended = p.summary.ended;
    if (lead_lookup) want_lookup(&p, out);
    fine = plan_main(&p, out) && memory_refusals() == refused; /* a hole would stay until R grows */
  }
  release_update(&p.update);
  json_decref(p.folded);
  json_decref(document);
  facts_free(p.facts);
  return fine ? 0 : -1;
}

static int settle_plain(void *arg, const uint8_t *document, size_t bytes, bool conflict,
                        struct mongo_settle *out) {
  return settle(arg, false, document, bytes, conflict, out);
}

static int settle_looking_up(void *arg, const uint8_t *document, size_t bytes, bool conflict,
                             struct mongo_settle *out) {
  return settle(arg, true, document, bytes, conflict, out);
}

struct mongo_folder settle_folder(const struct fold_options *options, bool lead_lookup) {
  return (struct mongo_folder){.fact = settle_fact,
                               .settle = lead_lookup ? settle_looking_up : settle_plain,
                               .lead_lookup = settle_lead_lookup,
                               .arg = (void *)(uintptr_t)options};
}
