#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telnyx/json.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

struct text {
  const char *data;
  size_t bytes;
};
/* sizeof, so that a NUL can be in the middle. */
#define TEXT(literal) \
  { literal, sizeof literal - 1 }

static json_t *read_fine(const char *text) {
  char why[200] = "";
  json_t *value = json_read(text, strlen(text), why, sizeof why);
  if (!value) fail_msg("%s refused: %s", text, why);
  return value;
}

/* Valid, and jansson takes it too: the values must be the same. */
static void test_plain(void **unused) {
  (void)unused;
  static const struct text rows[] = {
      TEXT("null"),
      TEXT("true"),
      TEXT("false"),
      TEXT("0"),
      TEXT("-0"),
      TEXT("-0.0"),
      TEXT("12"),
      TEXT("-7"),
      TEXT("1.5"),
      TEXT("1e2"),
      TEXT("1E+2"),
      TEXT("1e-2"),
      TEXT("0e1"),
      TEXT("0E+10"),
      TEXT("123.456e78"),
      TEXT("1e-400"),
      TEXT("9223372036854775807"),
      TEXT("-9223372036854775808"),
      TEXT("1.7976931348623157e308"),
      TEXT("\"\""),
      TEXT("\"a\""),
      TEXT("[]"),
      TEXT("{}"),
      TEXT("[[]]"),
      TEXT("[{}]"),
      TEXT("{\"\":0}"),
      TEXT(" [ ] "),
      TEXT("\t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n"),
      TEXT("[1,2,3]"),
      TEXT("[null,true,false]"),
      TEXT("{\"a\":1,\"a\":2}"),
      TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
      TEXT("\"\\u0041\\u00e9\\u20AC\""),
      TEXT("\"\\ud83d\\ude00\""),
      TEXT("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""),
      TEXT("\"\x7F\""),
      TEXT("\"\xEF\xBF\xBF\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80\""),
      TEXT("\"\xEF\xBB\xBF\""),
      TEXT("[\"asd \"]"),
      TEXT("{\"a\\\"b\":{\"c\":[{\"d\":-1.25e-3}]}}"),
      TEXT("\"12345678901234567890123456789012345678901234567890 long enough for words of eight\""),
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    char why[200] = "";
    json_t *ours = json_read(rows[i].data, rows[i].bytes, why, sizeof why);
    json_t *theirs = json_loadb(rows[i].data, rows[i].bytes, JSON_DECODE_ANY, NULL);
    assert_non_null(theirs);
    if (!ours) fail_msg("refused: %s: %s", rows[i].data, why);
    if (!json_equal(ours, theirs)) fail_msg("differs from jansson: %s", rows[i].data);
    json_decref(ours);
    json_decref(theirs);
  }
}

static void test_refused(void **unused) {
  (void)unused;
  static const struct text rows[] = {
      TEXT(""),
      TEXT(" "),
      TEXT("nul"),
      TEXT("nulll"),
      TEXT("True"),
      TEXT("NaN"),
      TEXT("nan"),
      TEXT("Infinity"),
      TEXT("-Infinity"),
      TEXT("+1"),
      TEXT("01"),
      TEXT("-01"),
      TEXT("-"),
      TEXT("--1"),
      TEXT("1."),
      TEXT(".5"),
      TEXT("-.5"),
      TEXT("1.e2"),
      TEXT("1e"),
      TEXT("1e+"),
      TEXT("1eE2"),
      TEXT("0x10"),
      TEXT("1 2"),
      TEXT("1,2"),
      TEXT("1_000"),
      TEXT("\xEF\xBC\x91"),
      TEXT("["),
      TEXT("]"),
      TEXT("[1"),
      TEXT("[1,"),
      TEXT("[1,]"),
      TEXT("[,1]"),
      TEXT("[1,,2]"),
      TEXT("[1 2]"),
      TEXT("[1}"),
      TEXT("[:]"),
      TEXT("[]]"),
      TEXT("[1]x"),
      TEXT("{"),
      TEXT("}"),
      TEXT("{\"a\"}"),
      TEXT("{\"a\":}"),
      TEXT("{\"a\":1"),
      TEXT("{\"a\":1,}"),
      TEXT("{,\"a\":1}"),
      TEXT("{\"a\" 1}"),
      TEXT("{\"a\":1]"),
      TEXT("{a:1}"),
      TEXT("{'a':1}"),
      TEXT("{1:1}"),
      TEXT("{null:1}"),
      TEXT("{\"a\"::1}"),
      TEXT("{\"a\":1 \"b\":2}"),
      TEXT("{\"a\":1}}"),
      TEXT("\""),
      TEXT("\"a"),
      TEXT("'a'"),
      TEXT("a"),
      TEXT("\"\\"),
      TEXT("\"\\\""),
      TEXT("\"\\x41\""),
      TEXT("\"\\u\""),
      TEXT("\"\\u00\""),
      TEXT("\"\\u004\""),
      TEXT("\"\\u004g\""),
      TEXT("\"\\U0041\""),
      TEXT("\"\\'\""),
      TEXT("\"\\a\""),
      TEXT("\"\\ \""),
      TEXT("\"\\\xC3\xA9\""),
      TEXT("\"\\ud83d\\u\""),
      TEXT("\"\\ud83d\\udz00\""),
      TEXT("\"\t\""),
      TEXT("\"\n\""),
      TEXT("\"\x1F\""),
      TEXT("\"a\0b\""),
      TEXT("\"\\\0\""),
      TEXT("[1]\0"),
      TEXT("\0"),
      TEXT("\"\x80\""),
      TEXT("\"\xBF\""),
      TEXT("\"\xC3\""),
      TEXT("\"\xC0\xAF\""),
      TEXT("\"\xC1\xBF\""),
      TEXT("\"\xE0\x80\xAF\""),
      TEXT("\"\xE2\x82\""),
      TEXT("\"\xED\xA0\x80\""),
      TEXT("\"\xED\xBF\xBF\""),
      TEXT("\"\xF0\x80\x80\x80\""),
      TEXT("\"\xF0\x8F\xBF\xBF\""),
      TEXT("\"\xF4\x90\x80\x80\""),
      TEXT("\"\xF5\x80\x80\x80\""),
      TEXT("\"\xFF\""),
      TEXT("\"\xFE\""),
      TEXT("\"\xE9\""),
      TEXT("{\"\xFF\":1}"),
      TEXT("\xEF\xBB\xBF{}"),
      TEXT("{}\xEF\xBB\xBF"),
      TEXT("/* c */ 1"),
      TEXT("1 // c"),
      TEXT("[1]\f"),
      TEXT("\xC2\xA0[1]"),
      TEXT("[\"a\",\n4\n,1,"),
      TEXT("{\"a\":tru}"),
      TEXT("[-]"),
      TEXT("123456789012345678901234567890."),
      TEXT("1e999e"),
      TEXT("\"\\u0000"),
      TEXT("<html></html>"),
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    char why[200] = "";
    /* A copy of the exact size: reading past the end shows under AddressSanitizer. */
    char *copy = malloc(rows[i].bytes + (rows[i].bytes == 0));
    memcpy(copy, rows[i].data, rows[i].bytes);
    json_t *value = json_read(copy, rows[i].bytes, why, sizeof why);
    free(copy);
    if (value) fail_msg("row %zu taken: %s", i, rows[i].data);
    assert_memory_equal(why, "not JSON", 8);
    assert_null(json_read(rows[i].data, rows[i].bytes, NULL, 0));
  }
}

static void test_why_says_where(void **unused) {
  (void)unused;
  char why[200];
  assert_null(json_read("{\"a\": [1, 02]}", 14, why, sizeof why));
  assert_string_equal(why, "not JSON at byte 11 of 14: a number with a leading zero");
}

/* Valid RFC 8259 that jansson refuses. */
static void test_beyond_jansson(void **unused) {
  (void)unused;
  static const struct {
    const char *text, *plain; /* what it must equal */
  } rows[] = {
      {"9223372036854775808", "\"9223372036854775808\""},
      {"-9223372036854775809", "\"-9223372036854775809\""},
      {"[18446744073709551616,1]", "[\"18446744073709551616\",1]"},
      {"{\"n\":123456789012345678901234567890}", "{\"n\":\"123456789012345678901234567890\"}"},
      {"1e999", "\"1e999\""},
      {"[ -1.5E+400 , 2 ]", "[\"-1.5E+400\",2]"},
      {"1.8e308", "\"1.8e308\""},
      {"1e99999999999999999999", "\"1e99999999999999999999\""},
      {"\"a\\u0000b\"", "\"a\\uFFFDb\""},
      {"\"\\ud800\"", "\"\\uFFFD\""},
      {"\"\\uDFFF x\"", "\"\\uFFFD x\""},
      {"\"\\ud800\\u0041\"", "\"\\uFFFDA\""},
      {"\"\\ud800\\ud800\\udc00\"", "\"\\uFFFD\\ud800\\udc00\""},
      {"\"\\udc00\\ud800\"", "\"\\uFFFD\\uFFFD\""},
      {"\"\\\\u0000\\u0000\\\\\"", "\"\\\\u0000\\uFFFD\\\\\""},
      {"{\"k\\u0000\":1,\"x\":\"\\ud83d\\ude00\\u0000\"}",
       "{\"k\\uFFFD\":1,\"x\":\"\\ud83d\\ude00\\uFFFD\"}"},
      {"[1e999,\"\\u0000\",{\"a\":1e999}] ", "[\"1e999\",\"\\uFFFD\",{\"a\":\"1e999\"}]"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    assert_null(json_loads(rows[i].text, JSON_DECODE_ANY, NULL));
    json_t *ours = read_fine(rows[i].text);
    json_t *expected = json_loads(rows[i].plain, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    if (!json_equal(ours, expected)) fail_msg("%s is not read as %s", rows[i].text, rows[i].plain);
    json_decref(ours);
    json_decref(expected);
  }
}

/* Long numbers that fit stay numbers. */
static void test_long_numbers(void **unused) {
  (void)unused;
  char text[700];
  memset(text, '0', sizeof text);
  memcpy(text, "0.", 2);
  text[400] = '1';
  text[401] = '\0';
  json_t *value = read_fine(text);
  assert_true(json_is_real(value));
  json_decref(value);
  memset(text, '9', 400);
  text[400] = '\0';
  value = read_fine(text);
  assert_string_equal(json_string_value(value), text);
  json_decref(value);
  memcpy(text + 400, ".5e-200", 8);
  value = read_fine(text);
  assert_true(json_is_real(value));
  json_decref(value);
}

static json_t *read_nested(size_t depth, const char *open, const char *close) {
  char text[8192] = "", why[200];
  for (size_t i = 0; i < depth; i++) strcat(text, open);
  for (size_t i = 0; i < depth; i++) strcat(text, close);
  return json_read(text, strlen(text), why, sizeof why);
}

static void test_depth(void **unused) {
  (void)unused;
  json_t *value = read_nested(512, "[", "]");
  assert_non_null(value);
  json_decref(value);
  assert_null(read_nested(513, "[", "]"));
  value = read_nested(511, "{\"a\":", "}"); /* no value inside: refused */
  assert_null(value);
  value = read_nested(256, "{\"a\":[", "]}");
  assert_non_null(value);
  json_decref(value);
  assert_null(read_nested(257, "{\"a\":[", "]}"));
  char *deep = malloc(1 << 20);
  memset(deep, '[', 1 << 20);
  assert_null(json_read(deep, 1 << 20, NULL, 0));
  free(deep);
}

/* Random small changes of a text: what jansson takes, json_read() takes with the same value. */
static void test_like_jansson(void **unused) {
  (void)unused;
  static const char base[] =
      "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\",true,null],\"b\\\\\":{\"c\":\"\xC3\xA9\",\"d\":{}},\"e\":"
      "\"\\ud83d\\ude00\"}";
  static const char bytes[] = "{}[]\",:\\u0123456789eE+-.tfn \x01\x80\xC3\xE2";
  uint64_t state = 88172645463325252u;
  for (int round = 0; round < 200000; round++) {
    uint64_t seed = state;
    char text[sizeof base];
    size_t length = sizeof base - 1;
    memcpy(text, base, length);
    for (int change = round % 3; change >= 0; change--) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      size_t at = state % length;
      if ((state >> 60) < 4) {
        memmove(text + at, text + at + 1, --length - at);
      } else {
        text[at] = bytes[(state >> 32) % (sizeof bytes - 1)];
      }
    }
    json_t *theirs = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    json_t *ours = json_read(text, length, NULL, 0);
    bool fine = theirs ? json_equal(ours, theirs) : true;
    json_decref(theirs);
    json_decref(ours);
    if (!fine) fail_msg("seed %llx: %.*s", (unsigned long long)seed, (int)length, text);
  }
}

static void test_numbers(void **unused) {
  (void)unused;
  static const struct {
    const char *json;
    bool is_number;
    double number;
    bool is_unsigned;
    uint64_t whole;
  } rows[] = {
      {"4", true, 4, true, 4},
      {"\"4\"", true, 4, true, 4},
      {"\"007\"", true, 7, true, 7},
      {"-4", true, -4, false, 0},
      {"\"-4\"", true, -4, false, 0},
      {"\"+4\"", true, 4, true, 4},
      {"4.0", true, 4, true, 4},
      {"\"4.00\"", true, 4, true, 4},
      {"4.5", true, 4.5, false, 0},
      {"\"63.77\"", true, 63.77, false, 0},
      {"\"4e1\"", true, 40, true, 40},
      {"\".5\"", true, 0.5, false, 0},
      {"\"18446744073709551615\"", true, 18446744073709551615.0, true, UINT64_MAX},
      {"18446744073709551615", true, 18446744073709551615.0, true, UINT64_MAX},
      {"\"18446744073709551616\"", true, 18446744073709551616.0, false, 0},
      {"1e19", true, 1e19, true, 10000000000000000000u},
      {"1e999", false, 0, false, 0},
      {"\"1e999\"", false, 0, false, 0},
      {"null", false, 0, false, 0},
      {"true", false, 0, false, 0},
      {"\"\"", false, 0, false, 0},
      {"\" 4\"", false, 0, false, 0},
      {"\"4 \"", false, 0, false, 0},
      {"\"nan\"", false, 0, false, 0},
      {"\"inf\"", false, 0, false, 0},
      {"\"-\"", false, 0, false, 0},
      {"\".\"", false, 0, false, 0},
      {"\"1.2.3\"", false, 0, false, 0},
      {"\"4e\"", false, 0, false, 0},
      {"\"0x10\"", false, 0, false, 0},
      {"\"four\"", false, 0, false, 0},
      {"[]", false, 0, false, 0},
      {"{}", false, 0, false, 0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    json_t *value = read_fine(rows[i].json);
    double number = -1;
    uint64_t whole = 99;
    if (json_number(value, &number) != rows[i].is_number) fail_msg("json_number(%s)", rows[i].json);
    if (json_unsigned(value, &whole) != rows[i].is_unsigned) fail_msg("json_unsigned(%s)", rows[i].json);
    assert_true(number == (rows[i].is_number ? rows[i].number : -1));
    assert_true(whole == (rows[i].is_unsigned ? rows[i].whole : 99));
    json_decref(value);
  }
  double number;
  uint64_t whole;
  assert_false(json_number(NULL, &number));
  assert_false(json_unsigned(NULL, &whole));
}

static void test_text(void **unused) {
  (void)unused;
  json_t *object = read_fine("{\"a\":\"x\",\"b\":\"\",\"c\":null,\"d\":1}");
  assert_string_equal(json_text(object, "a"), "x");
  assert_null(json_text(object, "b"));
  assert_null(json_text(object, "c"));
  assert_null(json_text(object, "d"));
  assert_null(json_text(object, "e"));
  assert_null(json_text(NULL, "a"));
  json_decref(object);
}

static void test_levels(void **unused) {
  (void)unused;
  static const struct {
    const char *text;
    size_t levels;
  } rows[] = {{"1", 0},
              {"\"[[\"", 0},
              {"[]", 1},
              {"{}", 1},
              {"[1,{\"a\":[2]},[]]", 3},
              {"{\"a\":1,\"b\":{\"c\":{}}}", 3}};
  for (size_t i = 0; i < COUNT(rows); i++) {
    json_t *value = read_fine(rows[i].text);
    assert_int_equal(json_levels(value), rows[i].levels);
    json_decref(value);
  }
  assert_int_equal(json_levels(NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain),          cmocka_unit_test(test_refused),
      cmocka_unit_test(test_why_says_where), cmocka_unit_test(test_beyond_jansson),
      cmocka_unit_test(test_long_numbers),   cmocka_unit_test(test_depth),
      cmocka_unit_test(test_like_jansson),   cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_text),           cmocka_unit_test(test_levels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
