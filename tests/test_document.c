#include "agent/document.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void expect_text(json_t *value, bool indented, const char *expected) {
  size_t bytes;
  char *text = document_text(value, indented, &bytes);
  assert_non_null(text);
  assert_string_equal(text, expected);
  assert_int_equal(bytes, strlen(expected));
  free(text);
  json_decref(value);
}

static void numbers_are_shortest(void **state) {
  (void)state;
  expect_text(json_real(3), false, "3.0");
  expect_text(json_real(0.1), false, "0.1");
  expect_text(json_real(4.41), false, "4.41");
  expect_text(json_real(1.0 / 3), false, "0.3333333333333333");
  expect_text(json_real(0.1 + 0.2), false, "0.30000000000000004");
  expect_text(json_real(1e300), false, "1e+300");
  expect_text(json_real(-0.0), false, "-0.0");
  expect_text(json_integer(INT64_MIN), false, "-9223372036854775808");
}

static void random_reals_read_back_equal(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  srand(seed);
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = 0;
    for (int k = 0; k < 5; k++) bits = bits << 15 ^ (uint64_t)rand();
    double value, back;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    json_t *json = json_real(value);
    char *text = document_text(json, false, NULL);
    json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
    back = json_real_value(again);
    if (!again || memcmp(&back, &value, sizeof value))
      fail_msg("seed %u: %a printed as %s", seed, value, text);
    json_decref(json);
    json_decref(again);
    free(text);
  }
}

static void text_is_escaped(void **state) {
  (void)state;
  expect_text(json_string("a\"b\\c\n\t\b\f\r\x01\x0b\x1f/\xc3\xa9"), false,
              "\"a\\\"b\\\\c\\n\\t\\b\\f\\r\\u0001\\u000b\\u001f/\xc3\xa9\"");
  expect_text(json_stringn("a\0b", 3), false, "\"a\\u0000b\"");
}

static void order_is_that_of_insertion(void **state) {
  (void)state;
  json_t *object = json_pack("{s:i, s:[], s:{}, s:[i,b], s:n}", "z", 1, "y", "x", "a", 1, 1, "b");
  expect_text(json_incref(object), false, "{\"z\":1,\"y\":[],\"x\":{},\"a\":[1,true],\"b\":null}");
  expect_text(
      object, true,
      "{\n  \"z\": 1,\n  \"y\": [],\n  \"x\": {},\n  \"a\": [\n    1,\n    true\n  ],\n  \"b\": null\n}");
}

static void long_texts_fit(void **state) {
  (void)state;
  json_t *array = json_array();
  for (int i = 0; i < 20000; i++) json_array_append_new(array, json_string("0123456789"));
  size_t bytes;
  char *text = document_text(array, false, &bytes);
  assert_int_equal(bytes, 20000 * 13 + 1);
  json_t *again = json_loads(text, 0, NULL);
  assert_true(json_equal(array, again));
  json_decref(array);
  json_decref(again);
  free(text);
}

static void rounding_is_half_away_and_never_minus_zero(void **state) {
  (void)state;
  assert_true(document_round(2.5, 0) == 3 && document_round(-2.5, 0) == -3);
  assert_true(document_round(4.4149, DECIMALS_MOS) == 4.41);
  assert_true(document_round(0.123449, DECIMALS_R) == 0.1234);
  assert_false(signbit(document_round(-0.001, DECIMALS_MOS)));
  assert_true(document_round(1.0 / 3, -1) == 1.0 / 3);
}

static void dates_read_back(void **state) {
  (void)state;
  static const int64_t times[] = {0, 1789373698120, -1, 253402300799999};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    json_t *date = document_date(times[i]);
    int64_t back;
    assert_true(document_date_ms(date, &back));
    assert_int_equal(back, times[i]);
    json_decref(date);
  }
  expect_text(document_date(1789373698120), false, "{\"$date\":\"2026-09-14T08:14:58.120Z\"}");
}

static void other_forms_of_dates(void **state) {
  (void)state;
  int64_t ms;
  json_t *number = json_pack("{s:{s:s}}", "$date", "$numberLong", "-62135596800000");
  assert_true(document_date_ms(number, &ms));
  assert_int_equal(ms, -62135596800000);
  json_decref(number);
  json_t *wrong[] = {json_null(), json_string("2026-09-14T08:14:58Z"),
                     json_pack("{s:s}", "$date", "yesterday"),
                     json_pack("{s:{s:s}}", "$date", "$numberLong", "12x")};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_false(document_date_ms(wrong[i], &ms));
    json_decref(wrong[i]);
  }
  assert_false(document_date_ms(NULL, &ms));
}

static void unknown_is_absent(void **state) {
  (void)state;
  json_t *object = json_object();
  document_put_text(object, "a", NULL);
  document_put_text(object, "b", "");
  document_put_real(object, "c", NAN, 2);
  document_put_real(object, "d", INFINITY, 2);
  document_put_some(object, "e", json_object());
  document_put_some(object, "f", NULL);
  document_put_some(object, "g", json_array());
  expect_text(object, false, "{\"g\":[]}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_shortest), cmocka_unit_test(random_reals_read_back_equal),
      cmocka_unit_test(text_is_escaped),      cmocka_unit_test(order_is_that_of_insertion),
      cmocka_unit_test(long_texts_fit),       cmocka_unit_test(rounding_is_half_away_and_never_minus_zero),
      cmocka_unit_test(dates_read_back),      cmocka_unit_test(other_forms_of_dates),
      cmocka_unit_test(unknown_is_absent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
