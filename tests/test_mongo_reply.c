/* store/mongo_reply.c: what a server's answer to an unordered bulk says of each write in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/mongo_reply.h"

enum { WRITES = 4 };

static struct mongo_write writes[WRITES], *sent[WRITES];
static struct sink_outcome outcomes[WRITES], whole;

/* `json` is a reply as mongoc_bulk_operation_execute() gives it. */
static bool take(const char *json) {
  bson_t reply;
  bson_error_t error;
  memset(outcomes, 0, sizeof outcomes);
  for (size_t i = 0; i < WRITES; i++) {
    writes[i] = (struct mongo_write){.outcome = &outcomes[i]};
    sent[i] = &writes[i];
  }
  if (!bson_init_from_json(&reply, json, -1, &error)) fail_msg("%s", error.message);
  const bool explains = mongo_reply_read(&reply, sent, WRITES, &whole);
  bson_destroy(&reply);
  return explains;
}

static void expect(size_t i, int answer, enum sink_result result, const char *kind) {
  if ((int)writes[i].answer != answer || outcomes[i].result != result || strcmp(outcomes[i].kind, kind) != 0)
    fail_msg("write %zu: answer %d, %d %s", i, writes[i].answer, outcomes[i].result, outcomes[i].kind);
}

static void each_write_gets_its_own_error(void **state) {
  (void)state;
  assert_true(
      take("{\"nMatched\":1,\"writeErrors\":[{\"index\":1,\"code\":11000,\"errmsg\":\"E11000 here\"},"
           "{\"index\":3,\"code\":{\"$numberLong\":\"17419\"},\"errmsg\":\"Resulting document too big\"},"
           "{\"index\":0,\"code\":2,\"errmsg\":\"a bad value\"}],\"writeConcernErrors\":[]}"));
  assert_int_equal(whole.result, SINK_DONE);
  expect(0, WRITE_FAILED, SINK_RETRY, "other");
  expect(1, WRITE_DUPLICATE, SINK_RETRY, "duplicate");
  expect(2, WRITE_ACKNOWLEDGED, SINK_DONE, "");
  expect(3, WRITE_FAILED, SINK_DEAD, "too_large");
  assert_non_null(strstr(outcomes[1].reason, "E11000 here"));
}

/* The writes may be there, but not at a majority: none of them is done. */
static void without_a_majority_nothing_is_done(void **state) {
  (void)state;
  assert_true(
      take("{\"nMatched\":4,\"writeErrors\":[],\"writeConcernErrors\":[{\"code\":64,\"errmsg\":\"waiting for "
           "replication timed out\"}]}"));
  assert_int_equal(whole.result, SINK_AWAY);
  for (size_t i = 0; i < WRITES; i++) expect(i, WRITE_FAILED, SINK_AWAY, "write_concern");
}

/* Whatever its code is, it does not make a row dead. */
static void a_majority_that_is_refused_is_away_too(void **state) {
  (void)state;
  assert_true(
      take("{\"writeErrors\":[{\"index\":0,\"code\":121,\"errmsg\":\"failed validation\"}],"
           "\"writeConcernErrors\":[{\"code\":121,\"errmsg\":\"of a shard\"}]}"));
  expect(0, WRITE_FAILED, SINK_DEAD, "validation");
  expect(1, WRITE_FAILED, SINK_AWAY, "write_concern");
}

/* Those after the one that met the step-down may not have been tried. */
static void a_server_that_steps_down_amid_a_bulk(void **state) {
  (void)state;
  assert_true(take("{\"writeErrors\":[{\"index\":2,\"code\":189,\"errmsg\":\"stepped down\"}]}"));
  assert_int_equal(whole.result, SINK_AWAY);
  for (size_t i = 0; i < WRITES; i++) expect(i, WRITE_FAILED, SINK_AWAY, "primary");
}

static void an_answer_that_makes_no_sense(void **state) {
  (void)state;
  assert_true(take("{\"writeErrors\":[{\"index\":4,\"code\":2,\"errmsg\":\"x\"}]}"));
  for (size_t i = 0; i < WRITES; i++) expect(i, WRITE_FAILED, SINK_AWAY, "network");
  assert_true(take("{\"writeErrors\":[7]}"));
  for (size_t i = 0; i < WRITES; i++) expect(i, WRITE_FAILED, SINK_AWAY, "network");
}

static void a_command_that_failed_as_a_whole_names_nobody(void **state) {
  (void)state;
  assert_false(take("{}"));
  assert_false(take("{\"ok\":0,\"code\":13,\"writeErrors\":[],\"writeConcernErrors\":[]}"));
  assert_int_equal(whole.result, SINK_DONE);
  for (size_t i = 0; i < WRITES; i++) expect(i, WRITE_ACKNOWLEDGED, SINK_DONE, "");
}

static void of_failures_that_share_an_outcome_the_gentlest_stays(void **state) {
  (void)state;
  struct sink_outcome shared = {.result = SINK_DONE};
  struct mongo_write w = {.outcome = &shared};
  mongo_write_fail(&w, &(struct sink_outcome){.result = SINK_DEAD, .kind = "validation"});
  assert_int_equal(shared.result, SINK_DEAD);
  mongo_write_fail(&w, &(struct sink_outcome){.result = SINK_AWAY, .kind = "network"});
  mongo_write_fail(&w, &(struct sink_outcome){.result = SINK_RETRY, .kind = "other"});
  assert_int_equal(shared.result, SINK_AWAY);
  assert_string_equal(shared.kind, "network");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_write_gets_its_own_error),
      cmocka_unit_test(without_a_majority_nothing_is_done),
      cmocka_unit_test(a_majority_that_is_refused_is_away_too),
      cmocka_unit_test(a_server_that_steps_down_amid_a_bulk),
      cmocka_unit_test(an_answer_that_makes_no_sense),
      cmocka_unit_test(a_command_that_failed_as_a_whole_names_nobody),
      cmocka_unit_test(of_failures_that_share_an_outcome_the_gentlest_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
