/* A collection of CallLogs in memory that takes the updates of agent/settle.h: filters and operators as MongoDB
 * means them, as far as they are used, with its two unique indexes and its refusals. Independent of the code under
 * test but for BSON to JSON. */
#ifndef TESTS_UPDATE_APPLIER_H
#define TESTS_UPDATE_APPLIER_H

#include "agent/bson.h"
#include "agent/settle.h"
#include "tests/fold_case.h"

enum { COLLECTION_MAX = 64 };
struct collection {
  json_t *documents[COLLECTION_MAX];
  size_t count;
  int64_t clock_ms, made;
};
enum applied { APPLIED_NONE, APPLIED_MATCHED, APPLIED_INSERTED, APPLIED_DUPLICATE, APPLIED_BLOCKED };

static inline size_t bson_bytes(const uint8_t *bson) {
  return (size_t)bson[0] | (size_t)bson[1] << 8 | (size_t)bson[2] << 16 | (size_t)bson[3] << 24;
}

static inline json_t *json_of(const uint8_t *bson) {
  assert_non_null(bson);
  json_t *json = bson_to_json(bson, bson_bytes(bson));
  assert_non_null(json);
  return json;
}

static inline bool is_operators(const json_t *value) {
  const char *key = json_object_iter_key(json_object_iter(document_reader(value)));
  return key && *key == '$' && strcmp(key, "$date") != 0 && strcmp(key, "$oid") != 0;
}

/* Every value that a path names; arrays on the way stand for each of their elements, one at the end for itself and
 * for them. */
static inline void collect(const json_t *value, const char *path, json_t *found) {
  const char *dot = strchr(path, '.');
  size_t bytes = dot ? (size_t)(dot - path) : strlen(path);
  if (json_is_array(value))
    for (size_t i = 0; i < json_array_size(value); i++) collect(json_array_get(value, i), path, found);
  json_t *member = json_is_object(value) ? json_object_getn(value, path, bytes) : NULL;
  if (!member) return;
  if (dot) {
    collect(member, dot + 1, found);
    return;
  }
  json_array_append(found, member);
  for (size_t i = 0; i < json_array_size(member); i++) json_array_append(found, json_array_get(member, i));
}

static inline bool equals_any(const json_t *found, const json_t *wanted) {
  if (json_is_null(wanted) && !json_array_size(found)) return true;
  for (size_t i = 0; i < json_array_size(found); i++)
    if (json_equal(json_array_get(found, i), document_reader(wanted))) return true;
  return false;
}

static inline bool in_any(const json_t *found, const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (equals_any(found, json_array_get(list, i))) return true;
  return false;
}

static inline bool meets(const json_t *found, const json_t *condition) {
  if (!is_operators(condition)) return equals_any(found, condition);
  const char *name;
  json_t *operand;
  json_object_foreach(document_reader(condition), name, operand) {
    bool fine = false;
    if (!strcmp(name, "$ne")) {
      fine = !equals_any(found, operand);
    } else if (!strcmp(name, "$not")) {
      fine = !meets(found, operand);
    } else if (!strcmp(name, "$in")) {
      fine = in_any(found, operand);
    } else if (!strcmp(name, "$nin")) {
      fine = !in_any(found, operand);
    } else if (!strcmp(name, "$exists")) {
      fine = json_is_true(operand) == (json_array_size(found) > 0);
    } else if (!strcmp(name, "$gte")) {
      for (size_t i = 0; i < json_array_size(found); i++)
        fine |= json_number_value(json_array_get(found, i)) >= json_number_value(operand) &&
                json_is_number(json_array_get(found, i));
    } else {
      fail_msg("operator %s", name);
    }
    if (!fine) return false;
  }
  return true;
}

static inline bool matches(const json_t *document, const json_t *filter) {
  const char *path;
  json_t *condition;
  json_object_foreach(document_reader(filter), path, condition) {
    json_t *found = json_array();
    collect(document, path, found);
    bool fine = meets(found, condition);
    json_decref(found);
    if (!fine) return false;
  }
  return true;
}

/* ---- changing ---- */

/* The object that holds the last name of a path; made when `make`. NULL: something else is in the way, or nothing
 * is there. */
static inline json_t *holder(json_t *document, const char *path, bool make, const char **name,
                             bool *blocked) {
  const char *dot;
  while ((dot = strchr(path, '.'))) {
    json_t *inner = json_object_getn(document, path, (size_t)(dot - path));
    if (!inner && !make) return NULL;
    if (!inner) json_object_setn_new(document, path, (size_t)(dot - path), inner = json_object());
    if (!json_is_object(inner)) {
      *blocked = true;
      return NULL;
    }
    document = inner;
    path = dot + 1;
  }
  *name = path;
  return document;
}

static inline json_t *array_at(json_t *object, const char *name, bool *blocked) {
  json_t *array = json_object_get(object, name);
  if (!array) json_object_set_new(object, name, array = json_array());
  if (!json_is_array(array)) *blocked = true;
  return json_is_array(array) ? array : NULL;
}

static inline int sort_compare(const json_t *a, const json_t *b, const json_t *keys) {
  const char *key;
  json_t *way;
  json_object_foreach(document_reader(keys), key, way) {
    int64_t x = INT64_MIN, y = INT64_MIN;
    assert_int_equal(json_integer_value(way), 1);
    document_date_ms(json_object_get(a, key), &x);
    document_date_ms(json_object_get(b, key), &y);
    const char *s = json_string_value(json_object_get(json_object_get(a, key), "$oid")),
               *t = json_string_value(json_object_get(json_object_get(b, key), "$oid"));
    int order = x != y ? (x < y ? -1 : 1) : s && t ? strcmp(s, t) : 0;
    if (order) return order;
  }
  return 0;
}

static inline void sort_array(json_t *array, const json_t *keys) {
  for (size_t i = 1; keys && i < json_array_size(array); i++)
    for (size_t k = i;
         k > 0 && sort_compare(json_array_get(array, k - 1), json_array_get(array, k), keys) > 0; k--) {
      json_t *later = json_incref(json_array_get(array, k));
      json_array_remove(array, k);
      json_array_insert_new(array, k - 1, later);
    }
}

static inline bool pulled(const json_t *element, const json_t *condition) {
  if (json_is_object(condition) && !is_operators(condition) && !json_object_get(condition, "$oid"))
    return matches(element, condition);
  json_t *one = json_pack("[O]", element);
  bool fine = meets(one, condition);
  json_decref(one);
  return fine;
}

static inline void change_array(json_t *array, const char *operator, const json_t * operand) {
  if (!strcmp(operator, "$pull")) {
    for (size_t i = json_array_size(array); i-- > 0;)
      if (pulled(json_array_get(array, i), operand)) json_array_remove(array, i);
    return;
  }
  const json_t *each = json_object_get(operand, "$each");
  json_t *one = each ? json_incref(document_reader(each)) : json_pack("[O]", operand);
  for (size_t i = 0; i < json_array_size(one); i++) {
    json_t *element = json_array_get(one, i), *is = json_array();
    for (size_t k = 0; k < json_array_size(array); k++) json_array_append(is, json_array_get(array, k));
    if (!strcmp(operator, "$push") || !equals_any(is, element))
      json_array_append_new(array, json_deep_copy(element));
    json_decref(is);
  }
  sort_array(array, json_object_get(operand, "$sort"));
  json_decref(one);
}

static inline void change(struct collection *c, json_t *document, const char *operator, const char * path,
                          const json_t *operand, bool *blocked) {
  const char *name = NULL;
  bool removes = !strcmp(operator, "$unset") || !strcmp(operator, "$pull");
  json_t *object = holder(document, path, !removes, &name, blocked);
  if (removes) *blocked = false;
  if (!object) return;
  if (!strcmp(operator, "$set") || !strcmp(operator, "$setOnInsert")) {
    json_object_set_new(object, name, json_deep_copy(operand));
  } else if (!strcmp(operator, "$unset")) {
    json_object_del(object, name);
  } else if (!strcmp(operator, "$currentDate")) {
    json_object_set_new(object, name, document_date(c->clock_ms += 7));
  } else if (!strcmp(operator, "$push") || !strcmp(operator, "$addToSet") || !strcmp(operator, "$pull")) {
    json_t *array = removes && !json_object_get(object, name) ? NULL : array_at(object, name, blocked);
    if (array) change_array(array, operator, operand);
  } else {
    fail_msg("operator %s", operator);
  }
}

/* MongoDB's error 40: two paths of one update, one of them at or below the other. */
static inline void expect_no_conflict(const json_t *update) {
  const char *operator, * path, *other;
  json_t *paths, *operand;
  json_t *all = json_array();
  json_object_foreach(document_reader(update), operator, paths) {
    assert_true(json_object_size(paths) > 0);
    json_object_foreach(paths, path, operand) json_array_append_new(all, json_string(path));
  }
  for (size_t i = 0; i < json_array_size(all); i++)
    for (size_t k = 0; k < json_array_size(all); k++) {
      path = json_string_value(json_array_get(all, i));
      other = json_string_value(json_array_get(all, k));
      size_t length = strlen(path);
      if (i != k && !strncmp(path, other, length) && (!other[length] || other[length] == '.'))
        fail_msg("%s and %s in one update", path, other);
    }
  json_decref(all);
}

static inline bool is_unique(const struct collection *c, const json_t *document, size_t but) {
  static const char *const keys[] = {"callLogId", "telnyx.callControlId"};
  for (size_t k = 0; k < 2; k++) {
    const json_t *value = at_path(document, keys[k]);
    for (size_t i = 0; i < c->count; i++) {
      const json_t *other = at_path(c->documents[i], keys[k]);
      bool both_absent = k == 0 && !value && !other; /* index 2 is sparse */
      if (i != but &&
          (both_absent || (value && other && json_equal(document_reader(value), document_reader(other)))))
        return false;
    }
  }
  return true;
}

static inline enum applied change_one(struct collection *c, size_t place, const json_t *update, bool insert,
                                      json_t *document) {
  const char *operator, * path;
  json_t *paths, *operand;
  bool blocked = false;
  json_object_foreach(document_reader(update), operator, paths) {
    if (!strcmp(operator, "$setOnInsert") && !insert) continue;
    json_object_foreach(paths, path, operand) change(c, document, operator, path, operand, &blocked);
  }
  enum applied result = insert ? APPLIED_INSERTED : APPLIED_MATCHED;
  if (blocked)
    result = APPLIED_BLOCKED;
  else if (!is_unique(c, document, place))
    result = APPLIED_DUPLICATE;
  if (result == APPLIED_BLOCKED || result == APPLIED_DUPLICATE) {
    json_decref(document);
    return result;
  }
  assert_true(place < COLLECTION_MAX);
  if (insert) c->count++;
  if (!insert) json_decref(c->documents[place]);
  c->documents[place] = document;
  return result;
}

static inline enum applied apply_json(struct collection *c, const json_t *filter, const json_t *update,
                                      bool upsert) {
  expect_no_conflict(update);
  for (size_t i = 0; i < c->count; i++)
    if (matches(c->documents[i], filter))
      return change_one(c, i, update, false, json_deep_copy(c->documents[i]));
  if (!upsert) return APPLIED_NONE;
  char hex[32];
  snprintf(hex, sizeof hex, "5f%022llx", (long long)++c->made);
  json_t *document = json_pack("{s:o}", "_id", document_oid(hex));
  const char *path, *name = "";
  json_t *condition;
  bool blocked = false;
  json_object_foreach(document_reader(filter), path, condition) {
    if (is_operators(condition)) continue;
    json_t *object = holder(document, path, true, &name, &blocked);
    json_object_set_new(object, name, json_deep_copy(condition));
  }
  return change_one(c, c->count, update, true, document);
}

static inline enum applied apply(struct collection *c, const struct mongo_op *op) {
  json_t *filter = json_of(op->filter), *update = json_of(op->update);
  enum applied result = apply_json(c, filter, update, op->upsert);
  json_decref(filter);
  json_decref(update);
  return result;
}

/* The document of a leg; NULL: none. Borrowed. */
static inline json_t *document_of(const struct collection *c, const char *leg) {
  for (size_t i = 0; i < c->count; i++) {
    const char *has = json_string_value(at_path(c->documents[i], "telnyx.callControlId"));
    if (has && !strcmp(has, leg)) return c->documents[i];
  }
  return NULL;
}

static inline void collection_clear(struct collection *c) {
  for (size_t i = 0; i < c->count; i++) json_decref(c->documents[i]);
  *c = (struct collection){.count = 0};
}

/* What the sink frees. */
static inline void op_clear(struct mongo_op *op) {
  free(op->filter);
  free(op->update);
  *op = (struct mongo_op){.upsert = false};
}
static inline void fact_clear(struct mongo_fact *fact) {
  op_clear(&fact->write);
  for (size_t i = 0; i < fact->join_count; i++) op_clear(&fact->join[i]);
  fact->join_count = 0;
}
static inline void settle_clear(struct mongo_settle *settle) {
  op_clear(&settle->main);
  for (size_t i = 0; i < settle->second_count; i++) op_clear(&settle->second[i]);
  settle->second_count = 0;
}

#endif
