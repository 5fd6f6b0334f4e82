/* store/mongo_wanted.c: the indexes we want, and what counts as one that is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/mongo_wanted.h"

static const struct mongo_index *named(const char *name) {
  for (size_t i = 0; i < mongo_index_count; i++) {
    char its[256];
    mongo_index_name(&mongo_indexes[i], its, sizeof its);
    if (strcmp(its, name) == 0) return &mongo_indexes[i];
  }
  fail_msg("no index %s", name);
  return NULL;
}

/* `listed` is JSON of a document of listIndexes. */
static enum mongo_index_fit fit(const char *name, const char *listed, bool sharded) {
  bson_t document;
  bson_error_t error;
  if (!bson_init_from_json(&document, listed, -1, &error)) fail_msg("%s", error.message);
  const enum mongo_index_fit got = mongo_index_fits(named(name), &document, sharded);
  bson_destroy(&document);
  return got;
}

static void names_and_specs_are_the_drivers_convention(void **state) {
  (void)state;
  bson_t spec = BSON_INITIALIZER;
  assert_int_equal(mongo_index_count, 27);
  assert_ptr_equal(named("callLogId_1"), &mongo_indexes[MONGO_INDEX_CALL_LOG_ID]);
  assert_ptr_equal(named("telnyx.callControlId_1"), &mongo_indexes[MONGO_INDEX_CALL_CONTROL_ID]);
  mongo_index_spec(named("telnyx.callControlId_1"), false, &spec);
  char *json = bson_as_relaxed_extended_json(&spec, NULL);
  assert_string_equal(json,
                      "{ \"key\" : { \"telnyx.callControlId\" : 1 }, \"name\" : \"telnyx.callControlId_1\", "
                      "\"unique\" : true, \"sparse\" : true }");
  bson_free(json);
  bson_reinit(&spec);
  mongo_index_spec(named("callLogId_1"), true, &spec);
  json = bson_as_relaxed_extended_json(&spec, NULL);
  assert_string_equal(json, "{ \"key\" : { \"callLogId\" : 1 }, \"name\" : \"callLogId_1\" }");
  bson_free(json);
  bson_destroy(&spec);
}

#define ID  "callLogId_1"
#define LEG "telnyx.callControlId_1"

static void the_unique_ones(void **state) {
  (void)state;
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1},\"name\":\"x\",\"unique\":true}", false),
                   MONGO_INDEX_EXACT);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1.0},\"unique\":true}", false), MONGO_INDEX_EXACT);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1}}", false), MONGO_INDEX_UNFIT);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":-1},\"unique\":true}", false), MONGO_INDEX_OTHER);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":\"hashed\"}}", false), MONGO_INDEX_OTHER);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1,\"a\":1},\"unique\":true}", false), MONGO_INDEX_OTHER);
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1},\"unique\":true,\"sparse\":true}", false),
                   MONGO_INDEX_ENOUGH);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true,\"sparse\":true}", false),
                   MONGO_INDEX_EXACT);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true}", false),
                   MONGO_INDEX_ENOUGH);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1},\"sparse\":true}", false),
                   MONGO_INDEX_UNFIT);
}

static void partial_ones_count_only_where_they_cover_every_leg(void **state) {
  (void)state;
  assert_int_equal(fit(LEG,
                       "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true,\"partialFilterExpression\":"
                       "{\"telnyx.callControlId\":{\"$exists\":true}}}",
                       false),
                   MONGO_INDEX_ENOUGH);
  assert_int_equal(fit(LEG,
                       "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true,\"partialFilterExpression\":"
                       "{\"isActive\":true}}",
                       false),
                   MONGO_INDEX_UNFIT);
  assert_int_equal(fit(LEG,
                       "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true,\"partialFilterExpression\":"
                       "{\"telnyx.callControlId\":{\"$exists\":true},\"isActive\":true}}",
                       false),
                   MONGO_INDEX_UNFIT);
}

static void plain_ones(void **state) {
  (void)state;
  const char *name = "leadId_1_initiatedAt_-1";
  assert_int_equal(fit(name, "{\"key\":{\"leadId\":1,\"initiatedAt\":-1}}", false), MONGO_INDEX_EXACT);
  assert_int_equal(fit(name, "{\"key\":{\"initiatedAt\":-1,\"leadId\":1}}", false), MONGO_INDEX_OTHER);
  assert_int_equal(fit(name, "{\"key\":{\"leadId\":1}}", false), MONGO_INDEX_OTHER);
  assert_int_equal(fit(name, "{\"key\":{\"leadId\":1,\"initiatedAt\":-1},\"unique\":true}", false),
                   MONGO_INDEX_UNFIT);
  assert_int_equal(fit(name, "{\"key\":{\"leadId\":1,\"initiatedAt\":-1},\"hidden\":true}", false),
                   MONGO_INDEX_UNFIT);
}

#define TEXT "transcription.fullText_text_aiAnalysis.keywords_text_outcome.notes_text_tags_text"
#define WEIGHTS \
  "\"weights\":{\"aiAnalysis.keywords\":1,\"outcome.notes\":1,\"tags\":1,\"transcription.fullText\":1}"

/* With the default override a document with transcription.language "en-US" cannot be written. */
static void the_text_index_must_not_read_language(void **state) {
  (void)state;
  assert_int_equal(
      fit(TEXT,
          "{\"key\":{\"_fts\":\"text\",\"_ftsx\":1}," WEIGHTS ",\"language_override\":\"textIndexLanguage\"}",
          false),
      MONGO_INDEX_EXACT);
  assert_int_equal(
      fit(TEXT, "{\"key\":{\"_fts\":\"text\",\"_ftsx\":1}," WEIGHTS ",\"language_override\":\"language\"}",
          false),
      MONGO_INDEX_UNFIT);
  assert_int_equal(
      fit(TEXT,
          "{\"key\":{\"_fts\":\"text\",\"_ftsx\":1},\"weights\":{\"tags\":1},\"language_override\":\"x\"}",
          false),
      MONGO_INDEX_UNFIT);
  assert_int_equal(fit(TEXT, "{\"key\":{\"tags\":1}}", false), MONGO_INDEX_OTHER);
  bson_t spec = BSON_INITIALIZER;
  bson_iter_t at;
  mongo_index_spec(named(TEXT), false, &spec);
  assert_true(bson_iter_init_find(&at, &spec, "language_override"));
  assert_string_equal(bson_iter_utf8(&at, NULL), "textIndexLanguage");
  bson_destroy(&spec);
}

/* data-model.md 8.4, last paragraph. */
static void on_a_sharded_collection(void **state) {
  (void)state;
  assert_int_equal(fit(ID, "{\"key\":{\"callLogId\":1}}", true), MONGO_INDEX_EXACT);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1},\"unique\":true}", true),
                   MONGO_INDEX_EXACT);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1}}", true), MONGO_INDEX_UNFIT);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":\"hashed\"}}", true), MONGO_INDEX_OTHER);
  assert_int_equal(fit(LEG, "{\"key\":{\"telnyx.callControlId\":1,\"_id\":1},\"unique\":true}", true),
                   MONGO_INDEX_OTHER);
  assert_int_equal(fit(LEG, "{\"key\":{\"callLogId\":1,\"telnyx.callControlId\":1},\"unique\":true}", true),
                   MONGO_INDEX_OTHER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_specs_are_the_drivers_convention),
      cmocka_unit_test(the_unique_ones),
      cmocka_unit_test(partial_ones_count_only_where_they_cover_every_leg),
      cmocka_unit_test(plain_ones),
      cmocka_unit_test(the_text_index_must_not_read_language),
      cmocka_unit_test(on_a_sharded_collection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
