/* The second updates of a settle (data-model.md 8.4): what people and AI may write as well. Each is filtered on the
 * revision just settled and on the value that was read, so it changes nothing that somebody else has written since. No
 * match is no failure: a person was faster, or another agent settled the same revision. */
#include <stdlib.h>
#include <string.h>

#include "agent/bson.h"
#include "agent/settle_internal.h"
#include "agent/settle_paths.h"

#define WROTE  "metadata.sidetone.wrote."
#define TAGS   WROTE "tags"
#define ISSUES WROTE "issues"

struct seconds {
  const char *leg;
  uint64_t revision;
  const json_t *document, *folded;
  struct mongo_settle *out;
};

static json_t *filter_of(const struct seconds *s) {
  return json_pack("{s:s, s:I}", "telnyx.callControlId", s->leg, "metadata.sidetone.revision",
                   (json_int_t)s->revision);
}

/* Takes both over. */
static bool add(struct seconds *s, json_t *filter, json_t *update) {
  if (s->out->second_count == MONGO_SECONDS_MAX) {
    json_decref(filter);
    json_decref(update);
    return false;
  }
  return settle_op(&s->out->second[s->out->second_count++], filter, update, false);
}

/* ---- values ---- */

static bool same(const json_t *a, const json_t *b) {
  return a && b && json_equal(document_reader(a), document_reader(b));
}

/* A value that differs from our copy is somebody's: it stays, and so does the copy, which then means nothing. */
static bool plan_value(struct seconds *s, const char *path) {
  char copy_path[SETTLE_PATH_BYTES];
  snprintf(copy_path, sizeof copy_path, WROTE "%s", path);
  const json_t *wanted = settle_at(s->folded, path), *has = settle_at(s->document, path),
               *copy = settle_at(s->document, copy_path);
  bool ours = has ? same(has, copy) : true, done = wanted ? same(has, wanted) && same(copy, wanted) : !copy;
  if (!ours || done || settle_blocked(s->document, path)) return true;
  json_t *filter = filter_of(s), *update = json_object(), *values = json_object();
  /* null finds what is absent, and a null, which is no value of anybody. */
  json_object_set_new(filter, path, has ? json_incref(document_reader(has)) : json_null());
  json_object_set_new(values, path, wanted ? json_incref(document_reader(wanted)) : json_string(""));
  json_object_set(values, copy_path, json_object_get(values, path));
  json_object_set_new(update, wanted ? "$set" : "$unset", values);
  return add(s, filter, update);
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

static bool can_hold_rows(const struct seconds *s, const char *path) {
  const json_t *value = settle_at(s->document, path);
  return !settle_blocked(s->document, path) && (!value || json_is_array(value));
}

/* A tag that somebody else has set is theirs: it is not added to ours, so it is never pulled. */
static bool plan_tags(struct seconds *s) {
  const json_t *wanted = settle_at(s->folded, "tags"), *has = settle_at(s->document, "tags"),
               *ours = settle_at(s->document, TAGS);
  json_t *missing = without(wanted, has), *over = without(ours, wanted);
  bool fine = true;
  if (can_hold_rows(s, "tags") && json_array_size(missing))
    fine = add(
        s, filter_of(s),
        json_pack("{s:{s:{s:O}, s:{s:O}}}", "$addToSet", "tags", "$each", missing, TAGS, "$each", missing));
  if (fine && can_hold_rows(s, "tags") && json_array_size(over))
    fine = add(s, filter_of(s),
               json_pack("{s:{s:{s:O}, s:{s:O}}}", "$pull", "tags", "$in", over, TAGS, "$in", over));
  json_decref(missing);
  json_decref(over);
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
static bool push_issues(struct seconds *s, const json_t *folded, json_t *missing) {
  json_t *filter = filter_of(s);
  json_object_set_new(filter, "quality.issues._id", json_pack("{s:O}", "$nin", missing));
  return add(s, filter,
             json_pack("{s:{s:{s:o, s:{s:i, s:i}}}, s:{s:{s:O}}}", "$push", "quality.issues", "$each",
                       rows_with(folded, missing), "$sort", "timestamp", 1, "_id", 1, "$addToSet", ISSUES,
                       "$each", missing));
}

static bool plan_issues(struct seconds *s) {
  const json_t *folded = settle_at(s->folded, "quality.issues");
  json_t *wanted = ids_of(folded), *has = ids_of(settle_at(s->document, "quality.issues")),
         *missing = without(wanted, has), *over = without(settle_at(s->document, ISSUES), wanted);
  bool fine = true, can = can_hold_rows(s, "quality.issues");
  if (can && json_array_size(missing)) fine = push_issues(s, folded, missing);
  if (fine && can && json_array_size(over))
    fine = add(s, filter_of(s),
               json_pack("{s:{s:{s:{s:O}}, s:{s:O}}}", "$pull", "quality.issues", "_id", "$in", over, ISSUES,
                         "$in", over));
  json_decref(wanted);
  json_decref(has);
  json_decref(missing);
  json_decref(over);
  return fine;
}

bool settle_seconds(const char *leg, uint64_t revision, const json_t *document, const json_t *folded,
                    struct mongo_settle *out) {
  struct seconds s = {.leg = leg, .revision = revision, .document = document, .folded = folded, .out = out};
  for (size_t i = 0; i < settle_path_count; i++)
    if (settle_paths[i].kind == SETTLE_PEOPLE && !plan_value(&s, settle_paths[i].path)) return false;
  return plan_tags(&s) && plan_issues(&s);
}
