/* agent/labels.c: rows of labelled segments to the rules, and what is no such row. */
#include "agent/labels.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/speech_facts.h"
#include "tests/scratch_file.h"

static struct speech *new_speech(void) {
  struct speech *s = malloc(speech_bytes());
  assert_non_null(s);
  speech_init(s, &speech_defaults);
  return s;
}

/* The talk time of both tracks after 60 s of these rows. */
static void expect_talk(const char *text, uint64_t inbound_ms, uint64_t outbound_ms) {
  char why[512] = "";
  struct speech *s = new_speech();
  struct speech_facts *facts = malloc(sizeof *facts);
  if (!labels_feed(scratch_text("labels.csv", text), 60000, s, why, sizeof why)) fail_msg("%s", why);
  speech_facts(s, 60000, facts);
  assert_int_equal(facts->talk_ms[0], inbound_ms);
  assert_int_equal(facts->talk_ms[1], outbound_ms);
  free(facts);
  free(s);
}

static void expect_refused(const char *text, int64_t duration_ms, const char *where) {
  char why[512] = "", expected[600];
  struct speech *s = new_speech();
  const char *path = scratch_text("labels.csv", text);
  assert_false(labels_feed(path, duration_ms, s, why, sizeof why));
  snprintf(expected, sizeof expected, "%s:%s: ", path, where);
  if (strncmp(why, expected, strlen(expected)) != 0) fail_msg("got %s, expected %s", why, expected);
  assert_non_null(strstr(why, "is allowed"));
  free(s);
}

static void rows_of_speech_are_fed(void **state) {
  (void)state;
  expect_talk("track,start_ms,end_ms,kind\ninbound,1000,3000,speech\noutbound,4000,4500,speech\n", 2000, 500);
  expect_talk("inbound,1000,3000,speech\r\noutbound,4000,4500,speech\r\n", 2000, 500); /* no head, CRLF */
  expect_talk("inbound,1000,3000,speech\n\n\noutbound,0,60000,speech", 2000, 60000);   /* no last newline */
  expect_talk("", 0, 0);
}

static void other_kinds_are_silence(void **state) {
  (void)state;
  expect_talk(
      "inbound,0,9000,music\ninbound,10000,11000,speech\noutbound,0,60000,tone\ninbound,20000,21000,hold_"
      "music\n",
      1000, 0);
}

static void rows_may_come_in_any_order_and_overlap(void **state) {
  (void)state;
  expect_talk(
      "outbound,9000,9500,speech\ninbound,5000,6000,speech\noutbound,100,600,speech\ninbound,1000,2000,"
      "speech\n",
      2000, 1000);
  expect_talk("inbound,1000,5000,speech\ninbound,2000,3000,speech\ninbound,4000,6000,speech\n", 5000, 0);
  expect_talk("inbound,1000,2000,speech\ninbound,2000,3000,speech\n", 2000, 0);
  expect_talk("inbound,1000,1000,speech\n", 0, 0); /* empty */
}

static void what_is_no_row_is_refused_with_its_line(void **state) {
  (void)state;
  static const char *const rows[] = {
      "inbound,5,speech",           "inbound,-1,5,speech", "inbound,5,4,speech",
      "inbound,0,60001,speech",     "both,0,5,speech",     "inbound;0;5;speech",
      "inbound,0,5,speech,x",       "inbound,0,5,Speech",  "inbound,0,5,",
      "inbound,a,5,speech",         "Inbound,0,5,speech",  "hello",
      "track,start_ms,end_ms,kind", "inboundx,0,5,speech", "inbound,0,5.5,speech"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[256];
    snprintf(text, sizeof text, "track,start_ms,end_ms,kind\ninbound,0,5,speech\n%s\n", rows[i]);
    expect_refused(text, 60000, "3");
  }
  expect_refused("nonsense\n", 60000, "1");
  expect_refused("inbound,0,1001,speech\n", 1000, "1");
}

static void what_is_no_text_is_refused(void **state) {
  (void)state;
  static const char zeros[] = "inbound,0,5,speech\n\0\0\0\n";
  char why[512] = "";
  struct speech *s = new_speech();
  assert_false(labels_feed(scratch_bytes("zeros", zeros, sizeof zeros - 1), 1000, s, why, sizeof why));
  assert_non_null(strstr(why, "zeros:2: "));
  assert_false(labels_feed(scratch_folder, 1000, s, why, sizeof why));
  assert_non_null(strstr(why, strerror(EISDIR)));
  free(s);
}

static void a_file_that_is_not_there_is_said(void **state) {
  (void)state;
  char why[512];
  struct speech *s = new_speech();
  const char *path = scratch_path("absent.csv");
  assert_false(labels_feed(path, 1000, s, why, sizeof why));
  assert_non_null(strstr(why, path));
  assert_non_null(strstr(why, strerror(2)));
  free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_of_speech_are_fed),
      cmocka_unit_test(other_kinds_are_silence),
      cmocka_unit_test(rows_may_come_in_any_order_and_overlap),
      cmocka_unit_test(what_is_no_row_is_refused_with_its_line),
      cmocka_unit_test(what_is_no_text_is_refused),
      cmocka_unit_test(a_file_that_is_not_there_is_said),
  };
  return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
