/* What people and AI may write too: values, tags, issues (data-model.md 8.4). */
#include "agent/settle_internal.h"
#include "tests/settle_case.h"

enum { REVISION = 7 };

static struct settle_update nothing_yet(void) {
  return (struct settle_update){.filter = quoted("{'telnyx.callControlId':'v3:leg-A'}"),
                                .set = json_object(),
                                .unset = json_object(),
                                .add = json_object(),
                                .push = json_object(),
                                .pull = json_object()};
}

/* The update as it goes out; NULL when it says nothing. Takes the parts over, but for the filter. */
static json_t *put_together(const struct settle_update *u) {
  json_t *update = json_pack("{s:o, s:o, s:o, s:o, s:o}", "$set", u->set, "$unset", u->unset, "$addToSet",
                             u->add, "$push", u->push, "$pull", u->pull);
  const char *name;
  json_t *paths;
  void *next;
  json_object_foreach_safe(update, next, name, paths) if (!json_object_size(paths))
      json_object_del(update, name);
  if (json_object_size(update)) return update;
  json_decref(update);
  return NULL;
}

/* Settles what `folded` says onto the document as read, and on what it has become since if `between` is given. */
static json_t *settled(const char *document, const char *folded, const char *between) {
  json_t *read = quoted(document), *wanted = quoted(folded),
         *base = quoted("{'telnyx':{'callControlId':'v3:leg-A'},'metadata':{'sidetone':{'revision':7}}}");
  json_object_update_recursive(read, base);
  struct mongo_settle plan = {.revision = REVISION};
  struct settle_update u = nothing_yet();
  assert_true(settle_people(LEG, read, wanted, &u, &plan));
  struct collection c = {.clock_ms = start_ms, .documents = {json_incref(read)}, .count = 1};
  if (between) {
    json_t *change = quoted(between);
    json_object_update_recursive(read, change);
    json_decref(change);
  }
  json_t *update = put_together(&u);
  if (update) assert_true(apply_json(&c, u.filter, update, false) != APPLIED_BLOCKED);
  json_decref(update);
  json_decref(u.filter);
  for (size_t i = 0; i < plan.second_count; i++)
    assert_int_equal(apply(&c, &plan.second[i]), APPLIED_MATCHED);
  settle_clear(&plan);
  json_t *result = json_incref(c.documents[0]);
  if (!between) { /* nothing is left to do */
    u = nothing_yet();
    assert_true(settle_people(LEG, result, wanted, &u, &plan));
    assert_int_equal(json_object_size(u.filter), 1);
    assert_null(put_together(&u));
    assert_int_equal(plan.second_count, 0);
    json_decref(u.filter);
  }
  collection_clear(&c);
  json_decref(read);
  json_decref(wanted);
  json_decref(base);
  return result;
}

static void expect(const char *document, const char *folded, const char *between, const char *path,
                   const char *expected) {
  json_t *result = settled(document, folded, between);
  EXPECT(result, path, expected);
  json_decref(result);
}

#define OUTCOME   "outcome.result"
#define COPY      "metadata.sidetone.wrote.outcome.result"
#define CONNECTED "{'outcome':{'result':'connected'}}"
#define FAILED    "{'outcome':{'result':'failed'}}"
#define OURS \
  "{'outcome':{'result':'connected'},'metadata':{'sidetone':{'wrote':{'outcome':{'result':'connected'}}}}}"
#define OVERWRITTEN \
  "{'outcome':{'result':'qualified'},'metadata':{'sidetone':{'wrote':{'outcome':{'result':'connected'}}}}}"
#define REMOVED "{'metadata':{'sidetone':{'wrote':{'outcome':{'result':'connected'}}}}}"

static void a_value_of_ours_is_written_and_noted(void **state) {
  (void)state;
  expect("{}", CONNECTED, NULL, OUTCOME, "'connected'");
  expect("{}", CONNECTED, NULL, COPY, "'connected'");
  expect("{'outcome':{'result':null,'notes':'n'}}", CONNECTED, NULL, "outcome",
         "{'result':'connected','notes':'n'}");
  expect(OURS, FAILED, NULL, OUTCOME, "'failed'");
  expect(OURS, FAILED, NULL, COPY, "'failed'");
  expect(OURS, "{}", NULL, OUTCOME, "absent");
  expect(OURS, "{}", NULL, COPY, "absent");
  expect(REMOVED, CONNECTED, NULL, OUTCOME, "'connected'");
  expect(REMOVED, "{}", NULL, COPY, "absent");
}

static void a_value_of_people_stays(void **state) {
  (void)state;
  expect("{'outcome':{'result':'qualified'}}", CONNECTED, NULL, OUTCOME, "'qualified'");
  expect("{'outcome':{'result':'qualified'}}", CONNECTED, NULL, COPY, "absent");
  expect("{'outcome':{'result':'connected'}}", CONNECTED, NULL, COPY,
         "absent"); /* theirs, by chance ours too */
  expect(OVERWRITTEN, FAILED, NULL, OUTCOME, "'qualified'");
  expect(OVERWRITTEN, "{}", NULL, OUTCOME, "'qualified'");
  expect("{'outcome':'text'}", CONNECTED, NULL, "outcome", "'text'");
  /* Written between the reading and the update. */
  expect("{}", CONNECTED, "{'outcome':{'result':'qualified'}}", OUTCOME, "'qualified'");
  expect(OURS, FAILED, "{'outcome':{'result':'qualified'}}", OUTCOME, "'qualified'");
  expect(OURS, "{}", "{'outcome':{'result':'qualified'}}", OUTCOME, "'qualified'");
  expect("{}", CONNECTED, "{'outcome':{'result':'qualified'}}", COPY, "absent");
}

static void a_rating_is_several_values(void **state) {
  (void)state;
  static const char rating[] =
      "{'quality':{'overallRating':4.5,'ratedBy':'system',"
      "'ratedAt':{'$date':'2026-09-14T08:14:58.120Z'}},'compliance':{'reviewRequired':true}}";
  json_t *result = settled("{}", rating, NULL);
  EXPECT(result, "quality.overallRating", "4.5");
  EXPECT(result, "quality.ratedBy", "'system'");
  EXPECT(result, "quality.ratedAt", "{'$date':'2026-09-14T08:14:58.120Z'}");
  EXPECT(result, "compliance.reviewRequired", "true");
  json_decref(result);
  result = settled("{'quality':{'overallRating':3.0,'ratedBy':'lead'}}", rating, NULL);
  EXPECT(result, "quality.overallRating", "3.0");
  EXPECT(result, "quality.ratedBy", "'lead'");
  EXPECT(result, "quality.ratedAt", "absent"); /* not ours beside their rating */
  json_decref(result);
}

#define RATED(rating_, by_) \
  "'overallRating':" rating_ ",'ratedBy':'" by_ "','ratedAt':{'$date':'2026-09-14T08:14:58.120Z'}"
#define RATED_COPY(rating_) "'metadata':{'sidetone':{'wrote':{'quality':{" RATED(rating_, "system") "}}}}"

/* Our rating follows the facts; somebody's word in any of the three values ends that. */
static void a_rating_of_people_stays_whole(void **state) {
  (void)state;
  static const char better[] = "{'quality':{" RATED("4.0", "system") "}}";
  json_t *result = settled("{'quality':{" RATED("4.5", "system") "}," RATED_COPY("4.5") "}", better, NULL);
  EXPECT(result, "quality.overallRating", "4.0");
  EXPECT(result, "metadata.sidetone.wrote.quality.overallRating", "4.0");
  json_decref(result);
  static const char *const theirs[] = {
      "{'quality':{" RATED("2.0", "system") "}," RATED_COPY("4.5") "}",
      "{'quality':{" RATED("4.5", "lead") "}," RATED_COPY("4.5") "}",
      "{'quality':{'overallRating':4.5,'ratedBy':'system','ratedAt':{'$date':'2026-09-15T00:00:00Z'}}"
      "," RATED_COPY("4.5") "}",
      "{'quality':{'ratedBy':'agent'}}",
  };
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
    json_t *before = quoted(theirs[i]);
    result = settled(theirs[i], better, NULL);
    assert_true(json_equal(document_reader(at_path(result, "quality")), json_object_get(before, "quality")));
    json_decref(before);
    json_decref(result);
  }
  /* Written between the reading and the update: the next try finds it. */
  result = settled("{'quality':{" RATED("4.5", "system") "}," RATED_COPY("4.5") "}", better,
                   "{'quality':{'ratedBy':'agent','overallRating':1.0}}");
  EXPECT(result, "quality.overallRating", "1.0");
  EXPECT(result, "quality.ratedBy", "'agent'");
  json_decref(result);
}

static void tags_of_others_stay(void **state) {
  (void)state;
  static const char wrote_both[] =
      "{'tags':['vip','no-lead','x','no-direction'],"
      "'metadata':{'sidetone':{'wrote':{'tags':['no-lead','no-direction']}}}}";
  expect("{'tags':['vip']}", "{'tags':['no-lead']}", NULL, "tags", "['vip','no-lead']");
  expect("{'tags':['vip']}", "{'tags':['no-lead']}", NULL, "metadata.sidetone.wrote.tags", "['no-lead']");
  expect(wrote_both, "{'tags':['no-direction']}", NULL, "tags", "['vip','x','no-direction']");
  expect(wrote_both, "{'tags':['no-direction']}", NULL, "metadata.sidetone.wrote.tags", "['no-direction']");
  expect(wrote_both, "{'tags':[]}", NULL, "tags", "['vip','x']");
  /* The same word set by somebody else: not ours to take away. */
  expect("{'tags':['no-lead']}", "{'tags':['no-lead']}", NULL, "metadata.sidetone.wrote.tags", "absent");
  expect("{'tags':['no-lead']}", "{'tags':[]}", NULL, "tags", "['no-lead']");
  /* The application made the document, with a lead that no client_state names. */
  expect("{'leadId':{'$oid':'66f0a1b2c3d4e5f601234567'}}", "{'tags':['no-lead','no-direction']}", NULL,
         "tags", "['no-direction']");
  /* One goes and one comes. */
  expect("{'tags':['no-lead','x'],'metadata':{'sidetone':{'wrote':{'tags':['no-lead']}}}}",
         "{'tags':['no-direction']}", NULL, "tags", "['x','no-direction']");
  expect("{'tags':'text'}", "{'tags':['no-lead']}", NULL, "tags", "'text'");
  /* null, which no operator on arrays takes. */
  expect("{'tags':null}", "{'tags':['no-lead']}", NULL, "tags", "['no-lead']");
  expect("{'tags':null}", "{'tags':['no-lead']}", NULL, "metadata.sidetone.wrote.tags", "['no-lead']");
}

#define ID_A      "{'$oid':'64b7f0c2a1b2c3d4e5f60718'}"
#define ID_B      "{'$oid':'74b7f0c2a1b2c3d4e5f60718'}"
#define ID_P      "{'$oid':'84b7f0c2a1b2c3d4e5f60718'}"
#define ID_C      "{'$oid':'54b7f0c2a1b2c3d4e5f60718'}"
#define ROW_C     "{'_id':" ID_C ",'type':'echo','timestamp':{'$date':'2026-09-14T08:13:58.120Z'}}"
#define ROW_A     "{'_id':" ID_A ",'type':'echo','timestamp':{'$date':'2026-09-14T08:14:58.120Z'}}"
#define ROW_B     "{'_id':" ID_B ",'type':'delay','timestamp':{'$date':'2026-09-14T08:15:58.120Z'}}"
#define ROW_P     "{'_id':" ID_P ",'type':'other','timestamp':{'$date':'2026-09-14T08:16:58.120Z'}}"
#define ISSUES_A  "{'quality':{'issues':[" ROW_A "]}}"
#define ISSUES_AB "{'quality':{'issues':[" ROW_A "," ROW_B "]}}"

static void issues_are_pushed_and_pulled_by_id(void **state) {
  (void)state;
  static const char both_and_theirs[] = "{'quality':{'issues':[" ROW_A "," ROW_B "," ROW_P
                                        "]},"
                                        "'metadata':{'sidetone':{'wrote':{'issues':[" ID_A "," ID_B "]}}}}";
  expect("{}", ISSUES_AB, NULL, "quality.issues", "[" ROW_A "," ROW_B "]");
  expect("{'quality':{'issues':null}}", ISSUES_AB, NULL, "quality.issues", "[" ROW_A "," ROW_B "]");
  expect("{}", ISSUES_AB, NULL, "metadata.sidetone.wrote.issues", "[" ID_A "," ID_B "]");
  /* Whichever came first, they stand by time. */
  expect("{'quality':{'issues':[" ROW_B "," ROW_P "]},'metadata':{'sidetone':{'wrote':{'issues':[" ID_B
         "]}}}}",
         ISSUES_AB, NULL, "quality.issues", "[" ROW_A "," ROW_B "," ROW_P "]");
  expect(both_and_theirs, ISSUES_A, NULL, "quality.issues", "[" ROW_A "," ROW_P "]");
  expect(both_and_theirs, ISSUES_A, NULL, "metadata.sidetone.wrote.issues", "[" ID_A "]");
  expect(both_and_theirs, "{}", NULL, "quality.issues", "[" ROW_P "]");
  /* What a person made of a row stays. */
  expect("{'quality':{'issues':[{'_id':" ID_A
         ",'resolved':true}]},"
         "'metadata':{'sidetone':{'wrote':{'issues':[" ID_A "]}}}}",
         ISSUES_A, NULL, "quality.issues", "[{'_id':" ID_A ",'resolved':true}]");
  /* One goes and one comes: the array takes two updates. */
  expect(both_and_theirs, "{'quality':{'issues':[" ROW_A "," ROW_C "]}}", NULL, "quality.issues",
         "[" ROW_C "," ROW_A "," ROW_P "]");
  expect(both_and_theirs, "{'quality':{'issues':[" ROW_A "," ROW_C "]}}", NULL,
         "metadata.sidetone.wrote.issues", "[" ID_A "," ID_C "]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_value_of_ours_is_written_and_noted),
      cmocka_unit_test(a_value_of_people_stays),

      cmocka_unit_test(a_rating_of_people_stays_whole),
      cmocka_unit_test(a_rating_is_several_values),
      cmocka_unit_test(tags_of_others_stay),
      cmocka_unit_test(issues_are_pushed_and_pulled_by_id),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
