/* Properties of the whole fold: independent of order, form and ways. */
#include "agent/fold.h"

#include <math.h>
#include <time.h>

#include "tests/fold_story.h"

static void shuffle(size_t *order, size_t count) {
  for (size_t i = 0; i < count; i++) order[i] = i;
  for (size_t i = count; i > 1; i--) {
    size_t k = (size_t)rand() % i, swap = order[i - 1];
    order[i - 1] = order[k];
    order[k] = swap;
  }
}

static void the_order_of_arrival_does_not_matter(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  srand(seed);
  print_message("seed %u\n", seed);
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *in_order = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) add_fact(in_order, &told[i]);
  json_t *expected = fold_plain(in_order, NULL);
  for (int round = 0; round < 60; round++) {
    struct facts *facts = facts_new(LEG);
    size_t order[STORY_FACTS];
    shuffle(order, STORY_FACTS);
    for (size_t i = 0; i < STORY_FACTS; i++) {
      add_fact(facts, &told[order[i]]);
      add_fact(facts, &told[order[(size_t)rand() % (i + 1)]]); /* and some twice */
    }
    json_t *document = fold_plain(facts, NULL);
    expect_equal_documents(expected, document, "shuffled");
    json_decref(document);
    facts_free(facts);
  }
  json_decref(expected);
  facts_free(in_order);
  release(told);
}

/* Two agents know a part of the facts each; put together, in either order, they know the whole. */
static void two_agents_write_one_document(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL) + 1;
  srand(seed);
  print_message("seed %u\n", seed);
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *whole = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) add_fact(whole, &told[i]);
  json_t *expected = fold_plain(whole, NULL);
  for (int round = 0; round < 20; round++) {
    struct facts *one = facts_new(LEG), *other = facts_new(LEG);
    for (size_t i = 0; i < STORY_FACTS; i++) add_fact(rand() % 2 ? one : other, &told[i]);
    for (size_t i = 0; i < json_array_size(other->webhooks); i++)
      facts_add_element(one, json_array_get(other->webhooks, i));
    for (size_t i = 0; i < other->part_count; i++) {
      json_t *part = part_to_json(other->parts[i]);
      facts_put_part(one, part_from_json(part));
      json_decref(part);
    }
    json_t *document = fold_plain(one, NULL);
    expect_equal_documents(expected, document, "put together");
    json_decref(document);
    facts_free(one);
    facts_free(other);
  }
  json_decref(expected);
  facts_free(whole);
  release(told);
}

/* The document holds its own facts: folded from what it shows, it comes out again. */
static void the_document_folds_to_itself(void **state) {
  (void)state;
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *facts = facts_new(LEG), *again = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) add_fact(facts, &told[i]);
  json_t *document = fold_plain(facts, NULL);
  char *text = document_text(document, false, NULL);
  json_t *read = json_loads(text, 0, NULL), *part;
  const char *id;
  for (size_t i = 0; i < STORY; i++)
    facts_add_element(again, json_array_get(at_path(read, "telnyx.webhookEvents"), i));
  json_object_foreach(document_reader(at_path(read, "metadata.sidetone.media")), id, part) {
    assert_true(facts_put_part(again, part_from_json(part)));
  }
  json_t *second = fold_plain(again, NULL);
  expect_equal_documents(document, second, "read back");
  free(text);
  json_decref(read);
  json_decref(document);
  json_decref(second);
  facts_free(facts);
  facts_free(again);
  release(told);
}

static void a_fold_changes_no_fact(void **state) {
  (void)state;
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS - 1; i++) add_fact(facts, &told[i]);
  json_t *first = fold_plain(facts, NULL), *second = fold_plain(facts, NULL);
  expect_equal_documents(first, second, "again");
  char *before = document_text(first, false, NULL);
  add_event(facts, "more", "call.dtmf.received", -5, "{'digit':'9'}");
  char *after = document_text(first, false, NULL);
  assert_string_equal(before, after); /* a document made earlier stays as it was */
  free(before);
  free(after);
  json_decref(first);
  json_decref(second);
  facts_free(facts);
  release(told);
}

/* ---- form ---- */

static void no_facts_at_all(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct fold_summary summary;
  json_t *document = fold_plain(facts, &summary);
  json_object_del(document, "callLogId");
  json_t *expected = quoted(
      "{'telnyx':{'callControlId':'v3:leg-A','webhookEvents':[]},'status':'active','quality':{'issues':[]},"
      "'transcription':{'turns':[],'keywords':[],'entities':[]},'events':[],'dtmfInputs':[],'holds':[],"
      "'aiAnalysis':{'sentiment':{'bySegment':[]},'intents':[],'topics':[],'keywords':[],'entities':[],"
      "'qualification':{'signals':[],'concerns':[],'objections':[],'interests':[]},"
      "'compliance':{'requiredDisclosuresMade':[],'violations':[]}},'tags':['no-lead','no-direction'],"
      "'categories':[],'notes':[],'errors':[],'compliance':{'disclosuresMade':[],'regulatoryFlags':[]},"
      "'metadata':{'sidetone':{'version':'0.1.0','agents':['a'],'revision':0,'complete':false,'partial':"
      "false}},"
      "'isActive':true}");
  expect_equal_documents(expected, document, "empty leg"); /* the order of members too */
  assert_true(isnan(summary.total_s) && isnan(summary.mos));
  assert_int_equal(summary.initiated_at_ms, 0);
  json_decref(expected);
  json_decref(document);
  facts_free(facts);
}

static void members_in_the_order_of_the_data_model(void **state) {
  (void)state;
  static const char *const order[] = {
      "callLogId",   "telnyx",        "leadId",        "contactId",   "conversationId",
      "campaignId",  "assignedAgent", "direction",     "callType",    "from",
      "to",          "status",        "answerState",   "hangupCause", "hangupSource",
      "initiatedAt", "answeredAt",    "bridgedAt",     "endedAt",     "duration",
      "quality",     "recording",     "transcription", "events",      "dtmfInputs",
      "holds",       "aiAnalysis",    "billing",       "outcome",     "tags",
      "categories",  "notes",         "errors",        "compliance",  "metadata",
      "isActive"};
  struct fact told[STORY_FACTS];
  tell(told);
  struct facts *facts = facts_new(LEG);
  for (size_t i = 0; i < STORY_FACTS; i++) add_fact(facts, &told[i]);
  json_t *document = fold_plain(facts, NULL);
  void *member = json_object_iter(document);
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    assert_non_null(member);
    assert_string_equal(json_object_iter_key(member), order[i]);
    member = json_object_iter_next(document, member);
  }
  assert_null(member);
  json_decref(document);
  facts_free(facts);
  release(told);
}

static void stripping_for_replay(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "a_1", 0, PART_OPEN, 1, 2);
  json_t *document = fold_plain(facts, NULL);
  json_object_set_new(document, "_id", json_integer(1));
  json_object_set_new(document, "createdAt", document_date(0));
  json_object_set_new(document, "updatedAt", document_date(0));
  assert_non_null(at_path(document, "metadata.sidetone.media.a_1.n"));
  fold_strip(document);
  assert_null(at_path(document, "metadata.sidetone.media"));
  assert_non_null(at_path(document, "metadata.sidetone.revision"));
  assert_null(json_object_get(document, "_id"));
  assert_null(json_object_get(document, "createdAt"));
  assert_null(json_object_get(document, "updatedAt"));
  json_decref(document);
  facts_free(facts);
}

static void agents_are_a_set(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_part(facts, "z_1", 0, PART_CLOSED, 1, 2);
  add_part(facts, "b-2_10", 0, PART_CLOSED, 1, 2);
  add_part(facts, "z_2", 0, PART_CLOSED, 1, 2);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "metadata.sidetone.agents", "['a','b-2','z']");
  EXPECT(document, "metadata.sidetone.revision", "3");
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_order_of_arrival_does_not_matter),
      cmocka_unit_test(two_agents_write_one_document),
      cmocka_unit_test(the_document_folds_to_itself),
      cmocka_unit_test(a_fold_changes_no_fact),
      cmocka_unit_test(no_facts_at_all),
      cmocka_unit_test(members_in_the_order_of_the_data_model),
      cmocka_unit_test(stripping_for_replay),
      cmocka_unit_test(agents_are_a_set),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
