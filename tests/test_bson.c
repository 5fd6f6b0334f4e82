/* BSON and relaxed Extended JSON, both ways. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <bson/bson.h>
#pragma GCC diagnostic pop
#include <math.h>

#include "agent/bson.h"
#include "tests/fold_story.h"

static bson_t *parsed(const json_t *json) {
  size_t bytes;
  uint8_t *block = bson_of_json(json, &bytes);
  assert_non_null(block);
  bson_t *bson = bson_new_from_data(block, bytes);
  assert_non_null(bson);
  free(block);
  return bson;
}

static bson_type_t type_at(const bson_t *bson, const char *path) {
  bson_iter_t iter, found;
  assert_true(bson_iter_init(&iter, bson) && bson_iter_find_descendant(&iter, path, &found));
  return bson_iter_type(&found);
}

static json_t *reread(const bson_t *bson) {
  json_t *json = bson_to_json(bson_get_data(bson), bson->len);
  assert_non_null(json);
  return json;
}

static void types_are_those_of_the_data_model(void **state) {
  (void)state;
  json_t *json = quoted(
      "{'i':2147483647,'l':2147483648,'n':-2147483648,'m':-2147483649,'r':3.0,'t':true,'f':false,'z':null,'s'"
      ":'x',"
      "'d':{'$date':'2026-09-14T08:14:58.120Z'},'o':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},"
      "'w':{'$numberLong':'5'},'a':[1,[2.5],{'b':[]}],'e':{}}");
  bson_t *bson = parsed(json);
  static const struct {
    const char *path;
    bson_type_t type;
  } expected[] = {{"i", BSON_TYPE_INT32},     {"l", BSON_TYPE_INT64},   {"n", BSON_TYPE_INT32},
                  {"m", BSON_TYPE_INT64},     {"r", BSON_TYPE_DOUBLE},  {"t", BSON_TYPE_BOOL},
                  {"f", BSON_TYPE_BOOL},      {"z", BSON_TYPE_NULL},    {"s", BSON_TYPE_UTF8},
                  {"d", BSON_TYPE_DATE_TIME}, {"o", BSON_TYPE_OID},     {"w", BSON_TYPE_INT64},
                  {"a", BSON_TYPE_ARRAY},     {"a.0", BSON_TYPE_INT32}, {"a.1.0", BSON_TYPE_DOUBLE},
                  {"a.2.b", BSON_TYPE_ARRAY}, {"e", BSON_TYPE_DOCUMENT}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    assert_int_equal(type_at(bson, expected[i].path), expected[i].type);
  json_t *back = reread(bson);
  json_object_set_new(json, "w", json_integer(5));
  expect_equal_documents(back, json, "round trip");
  json_decref(back);
  json_decref(json);
  bson_destroy(bson);
}

/* An object that only looks like a date or an id is a document: nothing of it is lost. */
static void lookalikes_stay_documents(void **state) {
  (void)state;
  json_t *json = quoted(
      "{'a':{'$oid':'xyz'},'b':{'$date':'soon'},'c':{'$date':1,'x':2},'d':{'$numberLong':'1x'},"
      "'e':{'$oid':'64b7f0c2a1b2c3d4e5f60718','x':1},'f':{'$oid':7}}");
  bson_t *bson = parsed(json);
  for (const char *key = "abcdef"; *key; key++) {
    char path[2] = {*key};
    assert_int_equal(type_at(bson, path), BSON_TYPE_DOCUMENT);
  }
  json_t *back = reread(bson);
  expect_equal_documents(back, json, "lookalikes");
  json_decref(back);
  json_decref(json);
  bson_destroy(bson);
}

static void text_keeps_every_byte_that_is_text(void **state) {
  (void)state;
  json_t *json = json_pack("{s:s%}", "s", "a\0b", (size_t)3);
  bson_t *bson = parsed(json);
  json_t *back = reread(bson);
  assert_int_equal(json_string_length(json_object_get(back, "s")), 3);
  assert_true(json_equal(json, back));
  json_decref(back);
  json_decref(json);
  bson_destroy(bson);
  json = json_object();
  size_t bytes;
  json_object_setn_new(json, "a\0b", 3, json_true());
  assert_null(bson_of_json(json, &bytes));
  json_decref(json);
  bson_t theirs = BSON_INITIALIZER;
  bson_append_utf8(&theirs, "k", 1, "a\xff\xc3\xa9\xc3z", 6);
  bson_append_bool(&theirs, "\xfe!", 2, true);
  back = reread(&theirs);
  assert_string_equal(json_string_value(json_object_get(back, "k")), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbdz");
  assert_true(json_is_true(json_object_get(back, "\xef\xbf\xbd!")));
  json_decref(back);
  bson_destroy(&theirs);
}

/* Types that people's documents may hold. */
static void foreign_types_take_their_extended_form(void **state) {
  (void)state;
  bson_t theirs = BSON_INITIALIZER;
  bson_decimal128_t decimal;
  bson_decimal128_from_string("12.50", &decimal);
  bson_append_decimal128(&theirs, "decimal", -1, &decimal);
  bson_append_binary(&theirs, "binary", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)"abc", 3);
  bson_append_regex(&theirs, "regex", -1, "^a", "i");
  bson_append_timestamp(&theirs, "timestamp", -1, 7, 9);
  bson_append_undefined(&theirs, "undefined", -1);
  bson_append_minkey(&theirs, "least", -1);
  bson_append_maxkey(&theirs, "most", -1);
  bson_append_code(&theirs, "code", -1, "f()");
  bson_append_symbol(&theirs, "symbol", -1, "s", 1);
  bson_append_double(&theirs, "nan", -1, NAN);
  bson_append_double(&theirs, "inf", -1, -INFINITY);
  bson_append_date_time(&theirs, "old", -1, -1);
  bson_append_date_time(&theirs, "far", -1, 253402300800000);
  bson_append_regex(&theirs, "broken", -1, "\xff", "");
  bson_append_int32(&theirs, "ours", -1, 5);
  json_t *back = reread(&theirs);
  EXPECT(back, "decimal", "{'$numberDecimal':'12.50'}");
  EXPECT(back, "binary", "{'$binary':{'base64':'YWJj','subType':'00'}}");
  EXPECT(back, "regex", "{'$regularExpression':{'pattern':'^a','options':'i'}}");
  EXPECT(back, "timestamp", "{'$timestamp':{'t':7,'i':9}}");
  EXPECT(back, "undefined", "{'$undefined':true}");
  EXPECT(back, "least", "{'$minKey':1}");
  EXPECT(back, "most", "{'$maxKey':1}");
  EXPECT(back, "code", "{'$code':'f()'}");
  EXPECT(back, "symbol", "{'$symbol':'s'}");
  EXPECT(back, "nan", "{'$numberDouble':'NaN'}");
  EXPECT(back, "inf", "{'$numberDouble':'-Infinity'}");
  EXPECT(back, "old", "{'$date':'1969-12-31T23:59:59.999Z'}");
  EXPECT(back, "far", "{'$date':{'$numberLong':'253402300800000'}}");
  EXPECT(back, "ours", "5");
  assert_non_null(json_object_get(back, "broken"));
  json_decref(back);
  bson_destroy(&theirs);
}

static void what_is_no_document_is_refused(void **state) {
  (void)state;
  size_t bytes;
  assert_null(bson_of_json(NULL, &bytes));
  json_t *array = json_array(), *object = quoted("{'a':{'b':'text'},'c':[1,2]}");
  assert_null(bson_of_json(array, &bytes));
  uint8_t *block = bson_of_json(object, &bytes);
  for (size_t cut = 0; cut < bytes; cut++) assert_null(bson_to_json(block, cut));
  assert_null(bson_to_json(NULL, 0));
  for (size_t i = 0; i < bytes; i++) { /* whatever a flipped byte makes of it, it is read within its bounds */
    block[i] ^= 0x5a;
    json_decref(bson_to_json(block, bytes));
    block[i] ^= 0x5a;
  }
  free(block);
  json_decref(array);
  json_decref(object);
}

/* Facts and the document that folds them come back equal, part and payload to the last bit. */
static void a_whole_document_comes_back(void **state) {
  (void)state;
  srand(11);
  for (int round = 0; round < 20; round++) {
    struct fact told[STORY_FACTS];
    tell(told);
    struct facts *facts = facts_new(LEG);
    for (size_t i = 0; i < STORY_FACTS; i++) add_fact(facts, &told[i]);
    json_t *document = fold_plain(facts, NULL);
    bson_t *bson = parsed(document);
    json_t *back = reread(bson);
    expect_equal_documents(back, document, "document");
    json_decref(back);
    json_decref(document);
    bson_destroy(bson);
    facts_free(facts);
    release(told);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_are_those_of_the_data_model),
      cmocka_unit_test(lookalikes_stay_documents),
      cmocka_unit_test(text_keeps_every_byte_that_is_text),
      cmocka_unit_test(foreign_types_take_their_extended_form),
      cmocka_unit_test(what_is_no_document_is_refused),
      cmocka_unit_test(a_whole_document_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
