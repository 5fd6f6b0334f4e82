/* Facts sent and settled as the sink does it, one step at a time, against tests/update_applier.h. */
#ifndef TESTS_SETTLE_CASE_H
#define TESTS_SETTLE_CASE_H

#include "tests/update_applier.h"

/* ---- rows ---- */

struct row { /* a row of the outbox with what it points to */
  struct sink_row row;
  char *body, *id;
};

static inline struct row row_of(const char *leg, const json_t *fact, bool is_part) {
  struct row r = {.body = document_text(fact, false, NULL)};
  const json_t *id = json_object_get(fact, is_part ? "id" : "_id");
  r.id = strdup(is_part ? json_string_value(id) : json_string_value(json_object_get(id, "$oid")));
  r.row = (struct sink_row){.row = 1,
                            .kind = is_part ? OUTBOX_PART : OUTBOX_EVENT,
                            .leg = leg,
                            .id = r.id,
                            .n = (uint64_t)json_integer_value(json_object_get(fact, "n")),
                            .at_ms = start_ms + 500,
                            .body = r.body,
                            .body_bytes = strlen(r.body)};
  return r;
}

static inline void row_clear(struct row *r) {
  free(r->body);
  free(r->id);
}

/* ---- one agent, without company ---- */

static inline void send_row(struct collection *c, const struct mongo_folder *folder,
                            const struct sink_row *row) {
  struct mongo_fact fact;
  assert_int_equal(folder->fact(folder->arg, row, &fact), 0);
  for (size_t i = 0; !document_of(c, row->leg) && i < fact.join_count; i++) apply(c, &fact.join[i]);
  enum applied applied = apply(c, &fact.write);
  assert_true(applied != APPLIED_BLOCKED);
  fact_clear(&fact);
}

static inline void send_fact(struct collection *c, const struct mongo_folder *folder, const char *leg,
                             const json_t *json, bool is_part) {
  struct row r = row_of(leg, json, is_part);
  send_row(c, folder, &r.row);
  row_clear(&r);
}

static inline struct mongo_settle plan_of(const struct mongo_folder *folder, const json_t *document,
                                          bool conflict) {
  size_t bytes;
  uint8_t *bson = bson_of_json(document, &bytes);
  struct mongo_settle settle;
  assert_int_equal(folder->settle(folder->arg, bson, bytes, conflict, &settle), 0);
  free(bson);
  return settle;
}

static inline void settle_leg(struct collection *c, const struct mongo_folder *folder, const char *leg) {
  struct mongo_settle settle = plan_of(folder, document_of(c, leg), false);
  enum applied applied = apply(c, &settle.main);
  if (applied == APPLIED_DUPLICATE) {
    settle_clear(&settle);
    settle = plan_of(folder, document_of(c, leg), true);
    applied = apply(c, &settle.main);
  }
  assert_true(applied == APPLIED_MATCHED || applied == APPLIED_NONE);
  for (size_t i = 0; i < settle.second_count; i++)
    assert_true(apply(c, &settle.second[i]) != APPLIED_BLOCKED);
  settle_clear(&settle);
}

/* All facts sent, then settled. */
static inline void send_facts(struct collection *c, const struct mongo_folder *folder,
                              const struct facts *facts) {
  for (size_t i = 0; i < json_array_size(facts->webhooks); i++)
    send_fact(c, folder, facts->leg, json_array_get(facts->webhooks, i), false);
  for (size_t i = 0; i < facts->part_count; i++) {
    json_t *part = part_to_json(facts->parts[i]);
    send_fact(c, folder, facts->leg, part, true);
    json_decref(part);
  }
  settle_leg(c, folder, facts->leg);
}

/* ---- comparing ---- */

/* Without what contract 4 leaves out of a comparison, and our notes of what we wrote. New reference. */
static inline json_t *comparable(const json_t *document) {
  static const char *const left_out[] = {"_id", "createdAt", "updatedAt", "__v"};
  json_t *copy = json_deep_copy(document), *sidetone;
  for (size_t i = 0; i < 4; i++) json_object_del(copy, left_out[i]);
  sidetone = json_object_get(json_object_get(copy, "metadata"), "sidetone");
  json_object_del(sidetone, "agents");
  json_object_del(sidetone, "wrote");
  json_object_del(sidetone, "joined");
  return copy;
}

static inline int print_difference(const char *path, const json_t *a, const json_t *b) {
  char below[512];
  const char *key;
  json_t *member;
  int count = 0;
  if (json_is_object(a) && json_is_object(b)) {
    json_object_foreach(document_reader(a), key, member) {
      snprintf(below, sizeof below, "%.300s.%.200s", path, key);
      count += print_difference(below, member, json_object_get(b, key));
    }
    json_object_foreach(document_reader(b), key, member) {
      snprintf(below, sizeof below, "%.300s.%.200s", path, key);
      if (!json_object_get(a, key)) count += print_difference(below, NULL, member);
    }
    return count;
  }
  if (a && b && json_equal(document_reader(a), document_reader(b))) return 0;
  char *left = a ? json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("absent"),
       *right = b ? json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("absent");
  print_error("%s: document %.200s, fold %.200s\n", path, left, right);
  free(left);
  free(right);
  return 1;
}

/* Number of differences from the fold of the facts; printed. */
static inline int differences(const json_t *document, const struct facts *facts) {
  json_t *folded = fold_plain(facts, NULL), *a = comparable(document), *b = comparable(folded);
  int count = print_difference("", a, b);
  json_decref(folded);
  json_decref(a);
  json_decref(b);
  return count;
}

#endif
