/* --expect: what a fixture should have given against what it gave (contract 1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold.h"
#include "agent/replay.h"
#include "telnyx/json.h"

/* Not compared: they tell of the program and of the way there, not of the call. */
static const char *const left_out[] = {"metadata.sidetone.version", "metadata.sidetone.revision",
                                       "metadata.sidetone.agents"};

static bool is_left_out(const char *path) {
  for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
    if (strcmp(path, left_out[i]) == 0) return true;
  }
  return false;
}

static void say(const char *leg, const char *path, const json_t *expected, const json_t *got) {
  char *want = expected != NULL ? document_text(expected, false, NULL) : strdup("nothing");
  char *have = got != NULL ? document_text(got, false, NULL) : strdup("nothing");
  printf("%s %s: expected %s, got %s\n", leg, path, want != NULL ? want : "?", have != NULL ? have : "?");
  free(want);
  free(have);
}

static int compare(const char *leg, const char *path, const json_t *expected, const json_t *got);

static int compare_objects(const char *leg, const char *path, const json_t *expected, const json_t *got) {
  int differences = 0;
  char below[1024];
  const char *key;
  json_t *value;
  json_t *want = json_incref((json_t *)(uintptr_t)expected), *have = json_incref((json_t *)(uintptr_t)got);
  json_object_foreach(want, key, value) {
    snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
    differences += compare(leg, below, value, json_object_get(have, key));
  }
  json_object_foreach(have, key, value) {
    if (json_object_get(want, key) != NULL) continue;
    snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
    differences += compare(leg, below, NULL, value);
  }
  json_decref(want);
  json_decref(have);
  return differences;
}

static int compare_arrays(const char *leg, const char *path, const json_t *expected, const json_t *got) {
  size_t want = json_array_size(expected), have = json_array_size(got);
  int differences = 0;
  char below[1024];
  for (size_t i = 0; i < want || i < have; i++) {
    snprintf(below, sizeof below, "%s[%zu]", path, i);
    differences += compare(leg, below, json_array_get(expected, i), json_array_get(got, i));
  }
  return differences;
}

static int compare(const char *leg, const char *path, const json_t *expected, const json_t *got) {
  if (is_left_out(path)) return 0;
  if (json_is_object(expected) && json_is_object(got)) return compare_objects(leg, path, expected, got);
  if (json_is_array(expected) && json_is_array(got)) return compare_arrays(leg, path, expected, got);
  bool both = expected != NULL && got != NULL;
  /* 3 and 3.0 are one figure: the type is the database's business (data-model.md 1.1). */
  if (both && json_is_number(expected) && json_is_number(got) &&
      json_number_value(expected) == json_number_value(got))
    return 0;
  if (both && json_equal(expected, got)) return 0;
  say(leg, path, expected, got);
  return 1;
}

static const char *leg_of(const json_t *document) {
  const char *leg = json_string_value(json_object_get(json_object_get(document, "telnyx"), "callControlId"));
  return leg != NULL ? leg : "?";
}

static const json_t *find_leg(const json_t *documents, const char *leg) {
  for (size_t i = 0; i < json_array_size(documents); i++) {
    if (strcmp(leg_of(json_array_get(documents, i)), leg) == 0) return json_array_get(documents, i);
  }
  return NULL;
}

static json_t *read_expected(const char *file) {
  FILE *f = fopen(file, "r");
  if (f == NULL) {
    fprintf(stderr, "sidetone replay: %s: %s\n", file, strerror(errno));
    return NULL;
  }
  json_t *out = json_array();
  char *line = NULL, why[256];
  size_t size = 0, number = 0;
  ssize_t length;
  while (out != NULL && (length = getline(&line, &size, f)) >= 0) {
    number++;
    if (strspn(line, " \t\r\n") == (size_t)length) continue;
    json_t *document = json_read(line, (size_t)length, why, sizeof why);
    if (document == NULL) {
      fprintf(stderr, "sidetone replay: %s:%zu: %s\n", file, number, why);
      json_decref(out);
      out = NULL;
    } else {
      json_array_append_new(out, document);
    }
  }
  free(line);
  fclose(f);
  return out;
}

int replay_expect(const json_t *got, const char *file) {
  json_t *expected = read_expected(file);
  if (expected == NULL) return -1;
  int differences = 0;
  for (size_t i = 0; i < json_array_size(expected); i++) {
    const json_t *want = json_array_get(expected, i), *have = find_leg(got, leg_of(want));
    if (have == NULL) {
      printf("%s: expected a call, got none\n", leg_of(want));
      differences++;
    } else {
      differences += compare(leg_of(want), "", want, have);
    }
  }
  for (size_t i = 0; i < json_array_size(got); i++) {
    const char *leg = leg_of(json_array_get(got, i));
    if (find_leg(expected, leg) != NULL) continue;
    printf("%s: expected no such call, got one\n", leg);
    differences++;
  }
  json_decref(expected);
  return differences;
}
