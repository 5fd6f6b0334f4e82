/* Properties of the whole fold: independent of order, form and ways; complete; of the right types. */
#include "agent/fold.h"

#include <math.h>
#include <time.h>

#include "tests/fold_case.h"
#include "tests/random_part.h"

/* One leg with every event of the table, said by two agents. Odd rows carry what the fold reads. */
static const struct {
  const char *type, *payload;
} story[] = {
    {"call.initiated",
     "{'direction':'outgoing','from':'+15550100001','to':'+15550100002','call_leg_id':'leg',"
     "'call_session_id':'session','connection_id':'2900000000000000001','caller_id_name':'Ann',"
     "'client_state':'{\\'leadId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'contactId\\':\\'"
     "64b7f0c2a1b2c3d4e5f60718\\',"
     "\\'conversationId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'campaignId\\':\\'64b7f0c2a1b2c3d4e5f60718\\',"
     "\\'assignedAgent\\':\\'64b7f0c2a1b2c3d4e5f60718\\',\\'callType\\':\\'demo\\',\\'extra\\':1}',"
     "'start_time':'2026-09-14T08:14:58.120Z'}"},
    {"call.answered", "{'codec':'PCMU'}"},
    {"call.bridged", "{}"},
    {"call.machine.detection.ended", "{'result':'machine'}"},
    {"call.hold", "{}"},
    {"call.unhold", "{}"},
    {"call.dtmf.received", "{'digit':'1'}"},
    {"call.dtmf.received", "{'digit':'2'}"},
    {"call.transcription",
     "{'transcription_data':{'confidence':0.5,'is_final':true,'transcript':'hello','transcription_track':'"
     "inbound'}}"},
    {"streaming.failed", "{'failure_reason':'gone'}"},
    {"call.payment.progress", "{'routing_number':'1'}"},
    {"call.some.day", "{'new':[{'a':null}]}"},
    {"call.hangup",
     "{'hangup_cause':'normal_clearing','hangup_source':'caller','call_quality_stats':{'inbound':{'mos':'4.5'"
     "}}}"},
    {"call.hangup", "{'hangup_cause':'timeout','hangup_source':'callee'}"},
    {"call.recording.saved",
     "{'recording_urls':{'mp3':'https://r/1.mp3'},'public_recording_urls':{'mp3':'https://p/"
     "1.mp3'},'recording_started_at':"
     "'2026-09-14T08:15:00Z','recording_ended_at':'2026-09-14T08:15:09Z'}"},
    {"call.cost", "{'status':'success','total_cost':'0.0071','billed_duration_secs':60}"},
    {"sidetone.leg_lost", "{}"},
};
enum { STORY = sizeof story / sizeof *story, STORY_PARTS = 3 };

/* A fact is an element or a part, as JSON. */
struct fact {
  json_t *json;
  bool is_part;
};
enum { STORY_FACTS = STORY + STORY_PARTS };

static void tell(struct fact *facts) {
  static const char *const ids[STORY_PARTS] = {"a_1", "a_2", "b-x_7"};
  for (size_t i = 0; i < STORY; i++) {
    char id[16];
    snprintf(id, sizeof id, "%zu", i);
    json_t *payload = quoted(story[i].payload);
    /* Every third pair shares its time, so that ids decide. */
    struct event event = {.id = id,
                          .type = story[i].type,
                          .row = event_row(story[i].type),
                          .has_occurred_at = true,
                          .occurred_at_us = (start_ms + 1000 * (int64_t)(i - (i % 3 == 1))) * 1000,
                          .payload = payload};
    facts[i] = (struct fact){facts_event_element(&event), false};
    json_decref(payload);
  }
  for (size_t i = 0; i < STORY_PARTS; i++) {
    struct part *part = random_part(ids[i]);
    facts[STORY + i] = (struct fact){part_to_json(part), true};
    part_free(part);
  }
}

static void add_fact(struct facts *facts, const struct fact *fact) {
  if (fact->is_part)
    facts_put_part(facts, part_from_json(fact->json));
  else
    facts_add_element(facts, fact->json);
}

static void shuffle(size_t *order, size_t count) {
  for (size_t i = 0; i < count; i++) order[i] = i;
  for (size_t i = count; i > 1; i--) {
    size_t k = (size_t)rand() % i, swap = order[i - 1];
    order[i - 1] = order[k];
    order[k] = swap;
  }
}

static void release(struct fact *told) {
  for (size_t i = 0; i < STORY_FACTS; i++) json_decref(told[i].json);
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

/* ---- every leaf against the field table ---- */

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
      cmocka_unit_test(the_order_of_arrival_does_not_matter),
      cmocka_unit_test(two_agents_write_one_document),
      cmocka_unit_test(the_document_folds_to_itself),
      cmocka_unit_test(a_fold_changes_no_fact),
      cmocka_unit_test(no_facts_at_all),
      cmocka_unit_test(members_in_the_order_of_the_data_model),
      cmocka_unit_test(stripping_for_replay),
      cmocka_unit_test(agents_are_a_set),
      cmocka_unit_test(every_leaf_is_in_the_table),
      cmocka_unit_test(nothing_is_null),
  };
  return cmocka_run_group_tests(tests, read_field_table, NULL);
}
