/* A CallLog as an entry of the loader's queue (contract.md 5). */
#include "agent/bson.h"
#include "agent/queue_entry.h"
#include "tests/fold_story.h"

static bool entry_of(const json_t *document, bool is_bson, struct redis_queue_entry *out) {
  size_t bytes;
  void *block = is_bson ? (void *)bson_of_json(document, &bytes) : document_text(document, false, &bytes);
  bool made = queue_entry(NULL, LEG, block, bytes, is_bson, out);
  free(block);
  return made;
}

static void expect_ended(const char *text, bool ended) {
  json_t *document = quoted(text);
  for (int is_bson = 0; is_bson < 2; is_bson++) {
    struct redis_queue_entry entry;
    assert_int_equal(entry_of(document, is_bson, &entry), ended);
    if (!ended) assert_null(entry.document);
    queue_entry_free(&entry);
  }
  json_decref(document);
}

static void only_legs_that_have_ended(void **state) {
  (void)state;
  static const char *const last[] = {"completed", "busy", "no-answer", "failed", "cancelled", "rejected"},
                           *const others[] = {"initiated", "ringing", "early-media", "answered",
                                              "bridged",   "active",  "held",        "hangup"};
  char text[256];
  for (size_t i = 0; i < 6; i++) {
    snprintf(text, sizeof text, "{'callLogId':'c','status':'%s'}", last[i]);
    expect_ended(text, true);
  }
  for (size_t i = 0; i < 8; i++) {
    snprintf(text, sizeof text, "{'callLogId':'c','status':'%s'}", others[i]);
    expect_ended(text, false);
    snprintf(text, sizeof text,
             "{'callLogId':'c','status':'%s','endedAt':{'$date':'2026-09-14T08:14:58.120Z'}}", others[i]);
    expect_ended(text, true);
  }
  expect_ended("{'callLogId':'c'}", false);
  expect_ended("{'status':'completed'}", false);
  expect_ended("{'callLogId':'c','status':'active','endedAt':null}", false);
  /* The loader has it as ended: it must hear that it is up again. */
  expect_ended("{'callLogId':'c','status':'active','metadata':{'sidetone':{'givenUp':true}}}", true);
}

static void the_entry_names_its_document(void **state) {
  (void)state;
  json_t *document = quoted(
      "{'_id':{'$oid':'64b7f0c2a1b2c3d4e5f60718'},'callLogId':'CALL_1_x','status':'completed',"
      "'updatedAt':{'$date':'2026-09-14T08:14:58.120Z'},'createdAt':{'$date':"
      "'2026-09-14T08:14:58.120Z'},'quality':{'mos':4.2},'metadata':{'sidetone':{'revision':12}}}");
  struct redis_queue_entry entry;
  assert_true(entry_of(document, true, &entry));
  assert_string_equal(entry.call_log_id, "CALL_1_x");
  assert_string_equal(entry.id, "64b7f0c2a1b2c3d4e5f60718");
  assert_string_equal(entry.updated_at, "2026-09-14T08:14:58.120Z");
  assert_int_equal(entry.revision, 12);
  char *whole = document_text(document, false, NULL);
  assert_string_equal(entry.document, whole); /* numbers in their shortest form */
  assert_non_null(strstr(whole, "4.2}"));
  free(whole);
  queue_entry_free(&entry);
  json_object_del(document, "_id");
  json_object_del(document, "updatedAt");
  assert_true(entry_of(document, false, &entry));
  assert_null(entry.id);
  assert_null(entry.updated_at);
  queue_entry_free(&entry);
  json_decref(document);
}

static void what_grows_with_the_call_is_left_out(void **state) {
  (void)state;
  srand(9);
  for (int round = 0; round < 10; round++) {
    struct fact told[STORY_FACTS];
    tell(told);
    struct facts *facts = facts_new(LEG);
    for (size_t i = 0; i < STORY_FACTS; i++) add_fact(facts, &told[i]);
    json_t *document = fold_plain(facts, NULL);
    json_object_set_new(json_object_get(document, "telnyx"), "apiResponse", json_object());
    struct redis_queue_entry of_bson, of_text;
    assert_true(entry_of(document, true, &of_bson));
    assert_true(entry_of(document, false, &of_text));
    assert_string_equal(of_bson.document, of_text.document);
    static const char *const left_out[] = {"telnyx.webhookEvents",
                                           "telnyx.apiResponse",
                                           "metadata.sidetone.media",
                                           "metadata.sidetone.quality.delivery.inbound.windows",
                                           "metadata.sidetone.quality.delivery.outbound.windows",
                                           "metadata.sidetone.speech.events",
                                           "transcription.fullText",
                                           "transcription.turns"};
    json_t *entry = json_loads(of_bson.document, 0, NULL);
    for (size_t i = 0; i < 8; i++) {
      EXPECT(entry, left_out[i], "absent");
      char path[96];
      snprintf(path, sizeof path, "%s", left_out[i]);
      char *dot = strrchr(path, '.');
      *dot = 0;
      json_object_del(document_reader(at_path(document, path)), dot + 1);
    }
    expect_equal_documents(entry, document, "all else stays");
    json_decref(entry);
    queue_entry_free(&of_bson);
    queue_entry_free(&of_text);
    json_decref(document);
    facts_free(facts);
    release(told);
  }
}

static void what_is_no_document_is_refused(void **state) {
  (void)state;
  struct redis_queue_entry entry;
  assert_false(queue_entry(NULL, LEG, "{", 1, false, &entry));
  assert_false(queue_entry(NULL, LEG, "[]", 2, false, &entry));
  assert_false(queue_entry(NULL, LEG, "\5\0\0\0\0", 4, true, &entry));
  assert_false(queue_entry(NULL, LEG, "\5\0\0\0\0", 5, true, &entry));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_legs_that_have_ended),
      cmocka_unit_test(the_entry_names_its_document),
      cmocka_unit_test(what_grows_with_the_call_is_left_out),
      cmocka_unit_test(what_is_no_document_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
