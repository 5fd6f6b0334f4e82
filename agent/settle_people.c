/* What people and AI may write as well, in the update of a settle (data-model.md 8.4): values, tags, issues. A value
 * is changed only with the filter that it is still as read; no match means that a person was faster: the
 * document is read and settled again. */
#include <stdlib.h>
#include <string.h>

#include "agent/settle_internal.h"
#include "agent/settle_paths.h"

#define TAGS   SETTLE_WROTE ".tags"
#define ISSUES SETTLE_WROTE ".issues"

struct people {
  const char *leg;
  const json_t *document, *folded;
  struct settle_update *update;
  struct mongo_settle *out;
};

/* ---- values ---- */

static bool same(const json_t *a, const json_t *b) {
  return a && b && json_equal(document_reader(a), document_reader(b));
}

enum { TOGETHER_MAX = 3 };

/* Values that say one thing: whose one of them is, his are all of them. */
static const char *const together[][TOGETHER_MAX] = {
    {"quality.overallRating", "quality.ratedBy", "quality.ratedAt"},
    {"outcome.result"},
    {"compliance.reviewRequired"},
};

static void copy_path_of(const char *path, char out[SETTLE_PATH_BYTES]) {
  snprintf(out, SETTLE_PATH_BYTES, SETTLE_WROTE ".%s", path);
}

/* A value that differs from our copy is somebody's: it stays, and so does the copy, which then means nothing. null is
 * nobody's value. */
static bool is_ours(const struct people *p, const char *path) {
  char copy_path[SETTLE_PATH_BYTES];
  copy_path_of(path, copy_path);
  const json_t *has = settle_at(p->document, path);
  return !settle_blocked(p->document, path) && (!has || same(has, settle_at(p->document, copy_path)));
}

static bool is_as_wanted(const struct people *p, const char *path) {
  char copy_path[SETTLE_PATH_BYTES];
  copy_path_of(path, copy_path);
  const json_t *wanted = settle_at(p->folded, path), *copy = settle_at(p->document, copy_path);
  return wanted ? same(settle_at(p->document, path), wanted) && same(copy, wanted) : !copy;
}

static void write_value(struct people *p, const char *path) {
  char copy_path[SETTLE_PATH_BYTES];
  copy_path_of(path, copy_path);
  const json_t *wanted = settle_at(p->folded, path);
  json_t *values = wanted ? p->update->set : p->update->unset;
  json_object_set_new(values, path, wanted ? json_incref(document_reader(wanted)) : json_string(""));
  json_object_set(values, copy_path, json_object_get(values, path));
}

/* The filter names every one of them as read; there, null finds what is absent, too. */
static void plan_values(struct people *p, const char *const *paths) {
  bool done = true;
  for (size_t i = 0; i < TOGETHER_MAX && paths[i]; i++) {
    if (!is_ours(p, paths[i])) return;
    done = done && is_as_wanted(p, paths[i]);
  }
  if (done) return;
  for (size_t i = 0; i < TOGETHER_MAX && paths[i]; i++) {
    const json_t *has = settle_at(p->document, paths[i]);
    json_object_set_new(p->update->filter, paths[i], has ? json_incref(document_reader(has)) : json_null());
    if (!is_as_wanted(p, paths[i])) write_value(p, paths[i]);
  }
}

/* ---- elements of arrays ---- */

static bool holds(const json_t *array, const json_t *element) {
  for (size_t i = 0; i < json_array_size(array); i++)
    if (same(json_array_get(array, i), element)) return true;
  return false;
}

/* Elements of `of` that `other` lacks. New reference. */
static json_t *without(const json_t *of, const json_t *other) {
  json_t *rest = json_array();
  for (size_t i = 0; i < json_array_size(of); i++)
    if (!holds(other, json_array_get(of, i))) json_array_append(rest, json_array_get(of, i));
  return rest;
}

static bool can_hold_rows(const struct people *p, const char *path) {
  const json_t *value = settle_at(p->document, path);
  return !settle_blocked(p->document, path) && (!value || json_is_array(value));
}

/* Elements of ours to be taken out of an array, and out of `noted`. One update cannot both add to an array and take from
 * it; then they go in a second one, whose filter names the revision just settled. */
static bool plan_pull(struct people *p, const char *path, json_t *condition, const char *noted,
                      json_t *over) {
  bool fine = true;
  json_t *pull = json_pack("{s:o, s:{s:O}}", path, condition, noted, "$in", over);
  if (!json_object_get(p->update->add, noted))
    json_object_update(p->update->pull, pull);
  else
    fine = settle_op(&p->out->second[p->out->second_count++],
                     json_pack("{s:s, s:I}", "telnyx.callControlId", p->leg, "metadata.sidetone.revision",
                               (json_int_t)p->out->revision),
                     json_pack("{s:O}", "$pull", pull), false);
  json_decref(pull);
  return fine;
}

static void plan_add(struct people *p, const char *path, json_t *elements) {
  json_object_set_new(p->update->add, path, json_pack("{s:O}", "$each", elements));
}

static void plan_instead_of_null(struct people *p, const char *path, json_t *elements) {
  json_object_set(p->update->set, path, elements);
  json_object_set_new(p->update->filter, path, json_null());
}

/* A document that the application made may have the lead that no client_state names. New reference. */
static json_t *wanted_tags(const struct people *p) {
  json_t *wanted = json_array();
  const json_t *folded = settle_at(p->folded, "tags");
  bool has_lead = settle_at(p->document, "leadId") != NULL;
  for (size_t i = 0; i < json_array_size(folded); i++) {
    json_t *tag = json_array_get(folded, i);
    if (!has_lead || strcmp(json_string_value(tag), "no-lead") != 0) json_array_append(wanted, tag);
  }
  return wanted;
}

/* A tag that somebody else has set is theirs: it is not added to ours, so it is never pulled. */
static bool plan_tags(struct people *p) {
  json_t *wanted = wanted_tags(p);
  const json_t *has = settle_at(p->document, "tags");
  json_t *missing = without(wanted, has), *over = without(settle_at(p->document, TAGS), wanted);
  bool fine = true, can = can_hold_rows(p, "tags");
  if (can && json_array_size(missing)) {
    if (settle_is_null(p->document, "tags"))
      plan_instead_of_null(p, "tags", missing);
    else
      plan_add(p, "tags", missing);
    plan_add(p, TAGS, missing);
  }
  if (can && json_array_size(over)) fine = plan_pull(p, "tags", json_pack("{s:O}", "$in", over), TAGS, over);
  json_decref(missing);
  json_decref(over);
  json_decref(wanted);
  return fine;
}

/* The `_id`s of rows. New reference. */
static json_t *ids_of(const json_t *rows) {
  json_t *ids = json_array();
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *id = json_object_get(json_array_get(rows, i), "_id");
    if (id) json_array_append(ids, id);
  }
  return ids;
}

static json_t *rows_with(const json_t *rows, const json_t *ids) {
  json_t *found = json_array();
  for (size_t i = 0; i < json_array_size(rows); i++)
    if (holds(ids, json_object_get(json_array_get(rows, i), "_id")))
      json_array_append(found, json_array_get(rows, i));
  return found;
}

/* Rows are never changed, only pushed and pulled. Sorted, so that every order of settles ends the same. */
static bool plan_issues(struct people *p) {
  const json_t *folded = settle_at(p->folded, "quality.issues");
  json_t *wanted = ids_of(folded), *has = ids_of(settle_at(p->document, "quality.issues")),
         *missing = without(wanted, has), *over = without(settle_at(p->document, ISSUES), wanted);
  bool fine = true, can = can_hold_rows(p, "quality.issues");
  if (can && json_array_size(missing)) {
    json_t *rows = rows_with(folded, missing);
    if (settle_is_null(p->document, "quality.issues"))
      plan_instead_of_null(p, "quality.issues", rows);
    else
      json_object_set_new(p->update->push, "quality.issues",
                          json_pack("{s:O, s:{s:i, s:i}}", "$each", rows, "$sort", "timestamp", 1, "_id", 1));
    json_decref(rows);
    plan_add(p, ISSUES, missing);
  }
  if (can && json_array_size(over))
    fine = plan_pull(p, "quality.issues", json_pack("{s:{s:O}}", "_id", "$in", over), ISSUES, over);
  json_decref(wanted);
  json_decref(has);
  json_decref(missing);
  json_decref(over);
  return fine;
}

bool settle_people(const char *leg, const json_t *document, const json_t *folded,
                   struct settle_update *update, struct mongo_settle *out) {
  struct people p = {.leg = leg, .document = document, .folded = folded, .update = update, .out = out};
  for (size_t i = 0; i < sizeof together / sizeof *together; i++) plan_values(&p, together[i]);
  return plan_tags(&p) && plan_issues(&p);
}
