/* Every leaf the fold writes is one of the data model's, of its type and among its words. */
#include "tests/fold_story.h"

struct leaf_row {
  char path[96], type[24], words[256];
};
static struct leaf_row leaf_rows[256];
static size_t leaf_count;

/* path,bson_type,enum,...: the first three columns hold no quotes. */
static int read_field_table(void **state) {
  (void)state;
  const char *shared = getenv("SIDETONE_SHARED");
  char path[512], line[1024];
  snprintf(path, sizeof path, "%s/data/calllog-fields.csv", shared && *shared ? shared : "../shared");
  FILE *file = fopen(path, "r");
  if (!file) {
    print_error("%s is missing: set SIDETONE_SHARED to the folder of the shared data\n", path);
    return -1;
  }
  while (fgets(line, sizeof line, file) && leaf_count < sizeof leaf_rows / sizeof *leaf_rows) {
    struct leaf_row *row = &leaf_rows[leaf_count++];
    char *rest = line;
    snprintf(row->path, sizeof row->path, "%s", strsep(&rest, ","));
    snprintf(row->type, sizeof row->type, "%s", strsep(&rest, ","));
    snprintf(row->words, sizeof row->words, "|%s|", strsep(&rest, ","));
  }
  fclose(file);
  return leaf_count > 200 ? 0 : -1;
}

static const struct leaf_row *find_leaf(const char *path) {
  for (size_t i = 0; i < leaf_count; i++)
    if (!strcmp(leaf_rows[i].path, path)) return &leaf_rows[i];
  return NULL;
}

static void check_leaf(const struct leaf_row *row, const json_t *value) {
  const char *type = row->type;
  bool fine = !strcmp(type, "any");
  if (!strcmp(type, "string")) fine = json_is_string(value);
  if (!strcmp(type, "date")) fine = json_is_string(json_object_get(value, "$date"));
  if (!strcmp(type, "objectId")) fine = json_is_string(json_object_get(value, "$oid"));
  if (!strcmp(type, "bool")) fine = json_is_boolean(value);
  if (!strcmp(type, "int32") || !strcmp(type, "int64")) fine = json_is_integer(value);
  if (!strcmp(type, "double")) fine = json_is_real(value);
  if (!strcmp(type, "array of string"))
    fine = json_is_array(value) && (!json_array_size(value) || json_is_string(json_array_get(value, 0)));
  if (!fine) fail_msg("%s is not of type %s", row->path, type);
  if (!json_is_string(value) || !strcmp(row->words, "||")) return;
  char word[128];
  snprintf(word, sizeof word, "|%s|", json_string_value(value));
  if (!strstr(row->words, word)) fail_msg("%s: %s is not one of %s", row->path, word, row->words);
}

static void check_leaves(const char *path, const json_t *value) {
  const struct leaf_row *row = find_leaf(path);
  if (row) {
    check_leaf(row, value);
    return;
  }
  char below[96];
  const char *key;
  json_t *member;
  size_t i;
  if (json_is_array(value)) {
    json_array_foreach(document_reader(value), i, member) {
      snprintf(below, sizeof below, "%s[]", path);
      check_leaves(below, member);
    }
    return;
  }
  if (!json_is_object(value)) fail_msg("%s is not in the table of fields", path);
  json_object_foreach(document_reader(value), key, member) {
    snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
    check_leaves(below, member);
  }
}

static void every_leaf_is_in_the_table(void **state) {
  (void)state;
  srand(7);
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) {
    add_fact(facts, &told[i]);
    json_t *document = fold_plain(facts, NULL);
    check_leaves("", document);
    json_decref(document);
  }
  facts_free(facts);
  release(told);
}

/* Null is never written: a field that is unknown is absent. */
static void check_no_null(const char *path, const json_t *value) {
  const char *key;
  json_t *member;
  size_t i;
  if (json_is_null(value)) fail_msg("null under %s", path);
  if (json_is_array(value)) json_array_foreach(document_reader(value), i, member) check_no_null(path, member);
  if (json_is_object(value))
    json_object_foreach(document_reader(value), key, member) check_no_null(key, member);
}

static void nothing_is_null(void **state) {
  (void)state;
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) add_fact(facts, &told[i]);
  json_t *document = fold_plain(facts, NULL);
  json_object_del(json_object_get(document, "telnyx"), "webhookEvents"); /* theirs, as they came */
  check_no_null("the document", document);
  json_decref(document);
  facts_free(facts);
  release(told);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_leaf_is_in_the_table),
      cmocka_unit_test(nothing_is_null),
  };
  return cmocka_run_group_tests(tests, read_field_table, NULL);
}
