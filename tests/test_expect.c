/* agent/expect.c: what counts as a difference, how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/replay.h"
#include "tests/fold_case.h"
#include "tests/scratch_file.h"

/* Standard output of one comparison. */
static char said[8192];

static int compare(const char *got_text, const char *expected_text) {
  char *expected = strdup(expected_text);
  for (char *c = expected; *c != '\0'; c++)
    if (*c == '\'') *c = '"';
  const char *file = scratch_text("expect.jsonl", expected);
  json_t *got = quoted(got_text);
  fflush(stdout);
  int kept = dup(STDOUT_FILENO);
  const char *path = scratch_path("said.txt");
  assert_non_null(freopen(path, "w", stdout));
  int differences = replay_expect(got, file);
  fflush(stdout);
  dup2(kept, STDOUT_FILENO);
  close(kept);
  FILE *f = fopen(path, "r");
  size_t length = fread(said, 1, sizeof said - 1, f);
  said[length] = '\0';
  fclose(f);
  json_decref(got);
  free(expected);
  return differences;
}

#define A(more) "{'telnyx':{'callControlId':'A'}" more "}"
#define B(more) "{'telnyx':{'callControlId':'B'}" more "}"

static void equal_calls_are_no_difference(void **state) {
  (void)state;
  assert_int_equal(compare("[" A(",'x':[1,{'y':'z'}],'t':true") "]", A(",'x':[1,{'y':'z'}],'t':true") "\n"),
                   0);
  assert_string_equal(said, "");
  /* In any order of lines and fields; blank lines are nothing. */
  assert_int_equal(compare("[" A(",'a':1,'b':2") "," B("") "]", "\n" B("") "\n  \n" A(",'b':2,'a':1")), 0);
  assert_int_equal(compare("[]", ""), 0);
}

static void numbers_are_compared_by_value(void **state) {
  (void)state;
  assert_int_equal(compare("[" A(",'x':3") "]", A(",'x':3.0") "\n"), 0);
  assert_int_equal(compare("[" A(",'x':3.0") "]", A(",'x':3") "\n"), 0);
  assert_int_equal(compare("[" A(",'x':3.0000001") "]", A(",'x':3") "\n"), 1);
  assert_int_equal(compare("[" A(",'x':'3'") "]", A(",'x':3") "\n"), 1);
  assert_int_equal(compare("[" A(",'x':1") "]", A(",'x':true") "\n"), 1);
}

static void a_changed_value_is_told_with_its_path(void **state) {
  (void)state;
  assert_int_equal(compare("[" A(",'q':{'mos':4.1}") "]", A(",'q':{'mos':4.2}") "\n"), 1);
  assert_string_equal(said, "A q.mos: expected 4.2, got 4.1\n");
  assert_int_equal(compare("[" A(",'e':[{'k':'a'},{'k':'b'}]") "]", A(",'e':[{'k':'a'},{'k':'c'}]") "\n"), 1);
  assert_string_equal(said, "A e[1].k: expected \"c\", got \"b\"\n");
  assert_int_equal(compare("[" A(",'q':{'mos':4.1}") "]", A(",'q':[4.1]") "\n"), 1);
}

static void missing_and_extra_values_are_told(void **state) {
  (void)state;
  assert_int_equal(compare("[" A("") "]", A(",'x':null") "\n"), 1);
  assert_string_equal(said, "A x: expected null, got nothing\n");
  assert_int_equal(compare("[" A(",'x':{'y':1}") "]", A(",'x':{}") "\n"), 1);
  assert_string_equal(said, "A x.y: expected nothing, got 1\n");
  assert_int_equal(compare("[" A(",'x':[1]") "]", A(",'x':[1,2,3]") "\n"), 2);
  assert_int_equal(compare("[" A(",'x':[1,2,3]") "]", A(",'x':[1]") "\n"), 2);
  assert_int_equal(compare("[" A(",'x':1,'y':2") "]", A(",'y':3,'z':4") "\n"), 3); /* each is told */
}

static void missing_and_extra_calls_are_told(void **state) {
  (void)state;
  assert_int_equal(compare("[" A("") "]", A("") "\n" B("") "\n"), 1);
  assert_string_equal(said, "B: expected a call, got none\n");
  assert_int_equal(compare("[" A("") "," B("") "]", A("") "\n"), 1);
  assert_string_equal(said, "B: expected no such call, got one\n");
  assert_int_equal(compare("[" B("") "]", A("") "\n"), 2);
}

static void version_revision_and_agents_are_left_out(void **state) {
  (void)state;
#define SIDETONE(version, revision, agents, other)                                                \
  A(",'metadata':{'sidetone':{'version':'" version "','revision':" revision ",'agents':['" agents \
    "'],'other':" other "}}")
  assert_int_equal(compare("[" SIDETONE("1", "4", "replay", "1") "]", SIDETONE("2", "5", "b", "1") "\n"), 0);
  assert_int_equal(
      compare("[" A(",'metadata':{'sidetone':{'other':1}}") "]", SIDETONE("2", "5", "b", "1") "\n"), 0);
  assert_int_equal(compare("[" SIDETONE("1", "4", "replay", "2") "]", SIDETONE("2", "5", "b", "1") "\n"), 1);
  assert_string_equal(said, "A metadata.sidetone.other: expected 1, got 2\n");
  /* Only there. */
  assert_int_equal(compare("[" A(",'version':'1'") "]", A(",'version':'2'") "\n"), 1);
  assert_int_equal(
      compare("[" A(",'x':{'sidetone':{'revision':1}}") "]", A(",'x':{'sidetone':{'revision':2}}") "\n"), 1);
}

static void a_file_that_cannot_be_read_is_an_error(void **state) {
  (void)state;
  fflush(stderr);
  int kept = dup(STDERR_FILENO);
  const char *path = scratch_path("errors.txt");
  assert_non_null(freopen(path, "w", stderr));
  json_t *got = json_array();
  int absent = replay_expect(got, scratch_path("absent.jsonl"));
  int bad = compare("[]", "{}\n{'x':\n");
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  assert_int_equal(absent, -1);
  assert_int_equal(bad, -1);
  char text[2048];
  FILE *f = fopen(path, "r");
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  assert_non_null(strstr(text, "absent.jsonl: "));
  assert_non_null(strstr(text, "expect.jsonl:2: "));
  json_decref(got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_calls_are_no_difference),
      cmocka_unit_test(numbers_are_compared_by_value),
      cmocka_unit_test(a_changed_value_is_told_with_its_path),
      cmocka_unit_test(missing_and_extra_values_are_told),
      cmocka_unit_test(missing_and_extra_calls_are_told),
      cmocka_unit_test(version_revision_and_agents_are_left_out),
      cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
  };
  return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
