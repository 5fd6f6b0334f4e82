/* Facts for the tests of the fold: a leg whose events are written as JSON with single quotes. */
#ifndef TESTS_FOLD_CASE_H
#define TESTS_FOLD_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/fold.h"

#define LEG "v3:leg-A"
static const int64_t start_ms = 1789373698120; /* 2026-09-14T08:14:58.120Z */

static const struct fold_options plain_options = {.agent_id = "a", .version = "0.1.0"};

static inline json_t *quoted(const char *text) {
  char *copy = strdup(text);
  for (char *at = copy; *at; at++)
    if (*at == '\'') *at = '"';
  json_error_t error;
  json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
  if (!value) fail_msg("%s: %s", copy, error.text);
  free(copy);
  return value;
}

/* Adds an event at start_ms + at_ms; false when it was there already. `payload` may be NULL. */
static inline bool add_event(struct facts *facts, const char *id, const char *type, int64_t at_ms,
                             const char *payload) {
  struct event event = {.id = id,
                        .type = type,
                        .row = event_row(type),
                        .has_occurred_at = true,
                        .occurred_at_us = (start_ms + at_ms) * 1000 + 44,
                        .attempt = 1,
                        .payload = payload ? quoted(payload) : json_object()};
  bool added = facts_add_event(facts, &event);
  json_decref(event.payload);
  return added;
}

/* An open part whose socket got `start` at start_ms + at_ms. */
static inline struct part *new_part(const char *id, int64_t at_ms) {
  struct part *part = part_new();
  snprintf(part->id, sizeof part->id, "%s", id);
  strcpy(part->call_control_id, LEG);
  part->n = 1;
  part->opened_ms = part->start_ms = start_ms + at_ms;
  return part;
}

static inline struct part *add_part(struct facts *facts, const char *id, int64_t at_ms, enum part_state state,
                                    int64_t first_frame_ms, int64_t last_frame_ms) {
  struct part *part = new_part(id, at_ms);
  part->state = state;
  part->first_frame_ms = start_ms + first_frame_ms;
  part->last_frame_ms = start_ms + last_frame_ms;
  assert_true(facts_put_part(facts, part));
  return part;
}

static inline json_t *fold_plain(const struct facts *facts, struct fold_summary *summary) {
  json_t *document = fold(facts, &plain_options, summary);
  assert_non_null(document);
  return document;
}

/* The value at a dotted path, array elements by number; NULL when absent. */
static inline const json_t *at_path(const json_t *document, const char *path) {
  char copy[256], *rest = copy;
  snprintf(copy, sizeof copy, "%s", path);
  for (char *key; document && (key = strsep(&rest, "."));)
    document = json_is_array(document) ? json_array_get(document, (size_t)atoi(key))
                                       : json_object_get(document, key);
  return document;
}

/* Compares the value at a path with JSON in single quotes; "absent" means that there is none. */
static inline void expect_at(const json_t *document, const char *path, const char *expected, const char *file,
                             int line) {
  const json_t *value = at_path(document, path);
  json_t *wanted = strcmp(expected, "absent") ? quoted(expected) : NULL;
  bool equal = !value == !wanted && (!value || json_equal(document_reader(value), wanted));
  char *got = value ? document_text(value, false, NULL) : strdup("absent");
  if (!equal) print_error("%s: expected %s, got %s\n", path, expected, got);
  free(got);
  json_decref(wanted);
  if (!equal) _fail(file, line);
}
#define EXPECT(document_, path_, expected_) expect_at(document_, path_, expected_, __FILE__, __LINE__)

/* The text of a document, for comparing two of them. */
static inline void expect_equal_documents(const json_t *a, const json_t *b, const char *what) {
  char *left = document_text(a, true, NULL), *right = document_text(b, true, NULL);
  bool equal = strcmp(left, right) == 0;
  if (!equal) {
    size_t at = 0, line = 0;
    for (; left[at] == right[at]; at++)
      if (left[at] == '\n') line = at + 1;
    print_error("%s: documents differ\n- %.120s\n+ %.120s\n", what, left + line, right + line);
  }
  free(left);
  free(right);
  assert_true(equal);
}

#endif
