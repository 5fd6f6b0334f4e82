/* config/ini_text.c: the strict INI form of contract 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/ini_text.h"

static char seen[65536];
static size_t seen_length;
static int stop_at_entry;

static int on_section(void *arg, unsigned line, const char *section) {
  (void)arg;
  seen_length += (size_t)sprintf(seen + seen_length, "%u[%s] ", line, section);
  return 0;
}

static int on_entry(void *arg, unsigned line, const char *section, const char *key, const char *value) {
  (void)arg;
  seen_length += (size_t)sprintf(seen + seen_length, "%u:%s.%s=<%s> ", line, section, key, value);
  return stop_at_entry > 0 && --stop_at_entry == 0;
}

static int read_bytes(const char *text, size_t bytes, unsigned *line, const char **problem) {
  const struct ini_handler_set handlers = {.section = on_section, .entry = on_entry};
  seen_length = 0;
  *seen = 0;
  *line = 0;
  *problem = "";
  return ini_text_read(text, bytes, &handlers, line, problem);
}

static void expect(const char *text, const char *events) {
  unsigned line;
  const char *problem;
  assert_int_equal(read_bytes(text, strlen(text), &line, &problem), 0);
  assert_string_equal(seen, events);
}

static void expect_problem(const char *text, size_t bytes, unsigned at, const char *about) {
  unsigned line;
  const char *problem;
  assert_int_equal(read_bytes(text, bytes, &line, &problem), -1);
  assert_int_equal(line, at);
  if (strstr(problem, about) == NULL) fail_msg("\"%s\" does not speak of \"%s\"", problem, about);
}

static void keys_sections_and_blanks(void **state) {
  (void)state;
  expect("", "");
  expect("\n\n", "");
  expect("[a]\nk = v\n\n  [b]  \n\tk2=v 2 \t\n", "1[a] 2:a.k=<v> 4[b] 5:b.k2=<v 2> ");
  expect("k = v", "1:.k=<v> ");
  expect("[a]\nempty =\nequals = a=b\ncolon = a:b\n", "1[a] 2:a.empty=<> 3:a.equals=<a=b> 4:a.colon=<a:b> ");
}

static void comments_only_at_the_start_of_a_line(void **state) {
  (void)state;
  expect("# c\n; c\n[a]\n  # c\nk = v ; not one\nl = v # nor this\nm = #x\n",
         "3[a] 5:a.k=<v ; not one> 6:a.l=<v # nor this> 7:a.m=<#x> ");
}

static void no_continuation_lines(void **state) {
  (void)state;
  expect("[a]\nk = 1\n   l = 2\n", "1[a] 2:a.k=<1> 3:a.l=<2> ");
  const char *text = "[a]\nk = 1\n   more\n";
  expect_problem(text, strlen(text), 3, "key = value");
}

static void byte_order_mark_and_crlf(void **state) {
  (void)state;
  expect("\xef\xbb\xbf[a]\r\nk = v\r\n\r\n", "1[a] 2:a.k=<v> ");
  expect_problem("[a]\nk\0= v\n", 10, 2, "control character");
  const char *lone = "[a]\nk = v\rl = w\n";
  expect_problem(lone, strlen(lone), 2, "control character");
}

static void lines_to_4096_bytes(void **state) {
  (void)state;
  for (int ends = 0; ends < 3; ends++) {
    const char *end = (const char *[]){"\n", "\r\n", ""}[ends];
    char text[5200] = "[a]\nk=", value[5000] = {0};
    memset(value, 'x', 4094);
    strcat(strcat(text, value), end);
    unsigned line;
    const char *problem;
    assert_int_equal(read_bytes(text, strlen(text), &line, &problem), 0);
    assert_int_equal(seen_length, strlen("1[a] 2:a.k=<> ") + 4094);
    sprintf(text, "[a]\nk=%sx%s", value, end);
    expect_problem(text, strlen(text), 2, "longer than 4096");
    sprintf(text, "[a]\n#=%sx%s", value, end);
    expect_problem(text, strlen(text), 2, "longer than 4096");
  }
}

static void wrong_lines(void **state) {
  (void)state;
  static const struct {
    const char *text, *about;
    unsigned line;
  } cases[] = {
      {"[a]\nword\n", "key = value", 2},     {"[a\nk = v\n", "needs its ]", 1},
      {"[a] x\n", "nothing may follow", 1},  {"[a] # x\n", "nothing may follow", 1},
      {"[a]\nk: v\n", "key = value", 2},     {"[a]\nk: v = w\n", "not with :", 2},
      {"[a]\n\n\nk = \x01\n", "control", 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_problem(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].about);
  char text[200] = "[a]\n";
  memset(text + 4, 'n', 49);
  strcpy(text + 53, " = v\n");
  expect_problem(text, strlen(text), 2, "that long");
  memset(text, 'n', 60);
  text[0] = '[';
  strcpy(text + 60, "]\n");
  expect_problem(text, strlen(text), 1, "that long");
}

static void a_handler_stops_the_reading(void **state) {
  (void)state;
  unsigned line;
  const char *problem;
  stop_at_entry = 2;
  assert_int_equal(read_bytes("[a]\nk=1\nl=2\nm=3\n", 16, &line, &problem), 1);
  assert_string_equal(seen, "1[a] 2:a.k=<1> 3:a.l=<2> ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_sections_and_blanks),    cmocka_unit_test(comments_only_at_the_start_of_a_line),
      cmocka_unit_test(no_continuation_lines),       cmocka_unit_test(byte_order_mark_and_crlf),
      cmocka_unit_test(lines_to_4096_bytes),         cmocka_unit_test(wrong_lines),
      cmocka_unit_test(a_handler_stops_the_reading),
  };
  return cmocka_run_group_tests_name("ini_text", tests, NULL, NULL);
}
