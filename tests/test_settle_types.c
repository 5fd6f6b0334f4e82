/* What a settle sets has the types that the data model gives (calllog-fields.csv). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <bson/bson.h>
#pragma GCC diagnostic pop

#include "tests/fold_story.h"
#include "tests/settle_case.h"

struct type_row {
  char path[96], type[24];
};
static struct type_row type_rows[256];
static size_t type_count, checked;

static int read_types(void **state) {
  (void)state;
  const char *shared = getenv("SIDETONE_SHARED");
  char path[512], line[1024];
  snprintf(path, sizeof path, "%s/data/calllog-fields.csv", shared && *shared ? shared : "../shared");
  FILE *file = fopen(path, "r");
  if (!file) {
    print_error("%s is missing: set SIDETONE_SHARED to the folder of the shared data\n", path);
    return -1;
  }
  while (fgets(line, sizeof line, file) && type_count < sizeof type_rows / sizeof *type_rows) {
    char *rest = line;
    snprintf(type_rows[type_count].path, sizeof type_rows->path, "%s", strsep(&rest, ","));
    snprintf(type_rows[type_count++].type, sizeof type_rows->type, "%s", strsep(&rest, ","));
  }
  fclose(file);
  return type_count > 200 ? 0 : -1;
}

static const char *type_of_path(const char *path) {
  for (size_t i = 0; i < type_count; i++)
    if (!strcmp(type_rows[i].path, path)) return type_rows[i].type;
  return NULL;
}

static const char *type_name(const bson_iter_t *iter) {
  switch (bson_iter_type(iter)) {
    case BSON_TYPE_UTF8:
      return "string";
    case BSON_TYPE_INT32:
      return "int32";
    case BSON_TYPE_INT64:
      return "int64";
    case BSON_TYPE_DOUBLE:
      return "double";
    case BSON_TYPE_DATE_TIME:
      return "date";
    case BSON_TYPE_OID:
      return "objectId";
    case BSON_TYPE_BOOL:
      return "bool";
    default:
      return "other";
  }
}

static void check_value(const char *path, const bson_iter_t *iter) {
  bson_iter_t inner;
  char below[160];
  const char *expected = type_of_path(path), *got = type_name(iter);
  if (!strncmp(path, "metadata.sidetone", 17)) return; /* the schema has no types for it */
  if (expected && strcmp(expected, "any") != 0) {
    /* A count may outgrow 32 bits; what fits is never longer. */
    bool grown = !strcmp(expected, "int32") && !strcmp(got, "int64") &&
                 bson_iter_int64(iter) != (int32_t)bson_iter_int64(iter);
    if (strcmp(expected, got) != 0 && !grown) fail_msg("%s is %s, not %s", path, got, expected);
    checked++;
    return;
  }
  bool array = BSON_ITER_HOLDS_ARRAY(iter);
  if (!array && !BSON_ITER_HOLDS_DOCUMENT(iter)) fail_msg("%s is not in the data model", path);
  assert_true(bson_iter_recurse(iter, &inner));
  while (bson_iter_next(&inner)) {
    if (array)
      snprintf(below, sizeof below, "%.120s[]", path);
    else
      snprintf(below, sizeof below, "%.80s.%.60s", path, bson_iter_key(&inner));
    check_value(below, &inner);
  }
}

static void check_operator(const uint8_t *update, const char *operator) {
  bson_t bson;
  bson_iter_t iter, found, member;
  assert_true(bson_init_static(&bson, update, bson_bytes(update)) && bson_iter_init(&iter, &bson));
  if (!bson_iter_find_descendant(&iter, operator, & found)) return;
  assert_true(bson_iter_recurse(&found, &member));
  while (bson_iter_next(&member))
    if (BSON_ITER_HOLDS_DOCUMENT(&found) &&
        strcmp(bson_iter_key(&member), "metadata.sidetone.wrote.outcome.result"))
      check_value(bson_iter_key(&member), &member);
}

static void every_leaf_has_its_type(void **state) {
  (void)state;
  srand(13);
  const struct fold_options options = {.agent_id = "a", .version = "0.1.0"};
  struct mongo_folder folder = settle_folder(&options, false);
  for (int round = 0; round < 30; round++) {
    struct fact told[STORY_FACTS];
    struct collection c = {.clock_ms = start_ms};
    tell(told);
    for (size_t i = 0; i < STORY_FACTS; i++)
      if (rand() % 4) send_fact(&c, &folder, LEG, told[i].json, told[i].is_part);
    struct mongo_settle plan = plan_of(&folder, document_of(&c, LEG), false);
    check_operator(plan.main.update, "$set");
    assert_int_equal(plan.second_count, 0);
    settle_clear(&plan);
    struct row row = row_of(LEG, told[0].json, false);
    struct mongo_fact fact;
    assert_int_equal(folder.fact(folder.arg, &row.row, &fact), 0);
    bson_t update;
    bson_iter_t iter, at;
    assert_true(bson_init_static(&update, fact.write.update, bson_bytes(fact.write.update)));
    static const struct {
      const char *path;
      bson_type_t type;
    } made[] = {{"createdAt", BSON_TYPE_DATE_TIME}, {"__v", BSON_TYPE_INT32}, {"isActive", BSON_TYPE_BOOL}};
    for (size_t i = 0; i < 3; i++) {
      char path[64];
      snprintf(path, sizeof path, "$setOnInsert.%s", made[i].path);
      assert_true(bson_iter_init(&iter, &update) && bson_iter_find_descendant(&iter, path, &at));
      assert_int_equal(bson_iter_type(&at), made[i].type);
    }
    fact_clear(&fact);
    row_clear(&row);
    collection_clear(&c);
    release(told);
  }
  assert_true(checked > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_leaf_has_its_type)};
  return cmocka_run_group_tests(tests, read_types, NULL);
}
