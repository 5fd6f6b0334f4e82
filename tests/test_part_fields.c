#include "agent/part_fields.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct sample {
  uint64_t count;
  int64_t shift;
  double mean;
  uint64_t pair[2];
  uint64_t histogram[50];
  double curve[3];
};

static const struct field fields[] = {
    FIELD(sample, count, FIELD_U64, MERGE_SUM),
    FIELD(sample, shift, FIELD_I64, MERGE_FIRST),
    FIELD(sample, mean, FIELD_F64, MERGE_LAST),
    FIELD_ARRAY(sample, pair, FIELD_U64, MERGE_SUM, 2),
    FIELD_ARRAY(sample, histogram, FIELD_U64, MERGE_SUM, 50),
    FIELD_ARRAY(sample, curve, FIELD_F64, MERGE_MAX, 3),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static json_t *read(const char *text) {
  json_t *json = json_loads(text, 0, NULL);
  assert_non_null(json);
  return json;
}

static uint64_t random_word(void) {
  uint64_t word = 0;
  for (int i = 0; i < 5; i++) word = word << 15 ^ (uint64_t)rand();
  return word >> (rand() % 64);
}

static double random_double(void) {
  static const double odd[] = {0, -0.0, INFINITY, -INFINITY, 0.1, 1e-300, -1e17, 3};
  return rand() % 2 ? odd[rand() % 8] : (double)rand() / 7;
}

static struct sample random_sample(void) {
  struct sample s = {.count = random_word(), .shift = (int64_t)random_word(), .mean = random_double()};
  for (int i = 0; i < 2; i++) s.pair[i] = random_word();
  for (int i = 0; i < 8; i++) s.histogram[rand() % 50] = random_word();
  for (int i = 0; i < 3; i++) s.curve[i] = random_double();
  return s;
}

/* Through text too, as the store keeps it. */
static json_t *through_text(json_t *json) {
  char *text = json_dumps(json, 0);
  json_t *again = read(text);
  free(text);
  json_decref(json);
  return again;
}

static void random_structs_come_back(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  srand(seed);
  for (int i = 0; i < 500; i++) {
    struct sample s = random_sample(), back;
    memset(&back, 0xa5, sizeof back);
    json_t *json = through_text(fields_to_json(fields, FIELDS, &s));
    if (!fields_from_json(fields, FIELDS, json, &back) || memcmp(&s, &back, sizeof s))
      fail_msg("seed %u", seed);
    json_decref(json);
  }
}

static void random_columns_come_back(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  srand(seed);
  for (int i = 0; i < 50; i++) {
    struct sample rows[7], back[7] = {0};
    size_t count = (size_t)(rand() % 8), got;
    for (size_t k = 0; k < count; k++) rows[k] = random_sample();
    json_t *json = through_text(columns_to_json(fields, FIELDS, rows, sizeof *rows, count));
    bool read_back = columns_from_json(fields, FIELDS, json, back, sizeof *back, 7, &got);
    if (!read_back || got != count || memcmp(rows, back, count * sizeof *rows)) fail_msg("seed %u", seed);
    json_decref(json);
  }
}

static void the_form_is_small(void **state) {
  (void)state;
  struct sample s = {.pair = {1, 0}};
  s.histogram[3] = 7;
  json_t *json = fields_to_json(fields, FIELDS, &s),
         *expected = read("{\"pair\":[1,0],\"histogram\":[[3,7]]}");
  assert_true(json_equal(json, expected));
  json_decref(json);
  json_decref(expected);
}

static void nan_and_large_counters(void **state) {
  (void)state;
  struct sample s = {.count = UINT64_MAX, .mean = NAN}, back;
  json_t *json = through_text(fields_to_json(fields, FIELDS, &s));
  assert_string_equal(json_string_value(json_object_get(json, "count")), "18446744073709551615");
  assert_true(fields_from_json(fields, FIELDS, json, &back));
  assert_true(back.count == UINT64_MAX && isnan(back.mean));
  json_decref(json);
}

/* MongoDB's relaxed form turns a double that is integral into "3.0" and back; others may send 3. */
static void integers_are_doubles_too(void **state) {
  (void)state;
  struct sample back;
  json_t *json = read("{\"mean\":3}");
  assert_true(fields_from_json(fields, FIELDS, json, &back));
  assert_true(back.mean == 3);
  json_decref(json);
}

static void wrong_values_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "{\"count\":-1}",
      "{\"count\":1.5}",
      "{\"count\":\"12x\"}",
      "{\"count\":\"-1\"}",
      "{\"count\":\"99999999999999999999\"}",
      "{\"shift\":\"1\"}",
      "{\"mean\":\"much\"}",
      "{\"mean\":null}",
      "{\"pair\":[1,2,3]}",
      "{\"pair\":4}",
      "{\"histogram\":[[50,1]]}",
      "{\"histogram\":[[-1,1]]}",
      "{\"histogram\":[[1]]}",
      "{\"histogram\":[5]}",
      "[]",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct sample back;
    json_t *json = read(wrong[i]);
    if (fields_from_json(fields, FIELDS, json, &back)) fail_msg("taken: %s", wrong[i]);
    json_decref(json);
  }
}

static void uneven_columns_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"{\"count\":[1,2],\"shift\":[1]}", "{\"count\":[1,2,3]}",
                                      "{\"count\":1}", "{\"count\":[\"a\"]}", "3"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct sample back[2] = {0};
    size_t count;
    json_t *json = json_loads(wrong[i], JSON_DECODE_ANY, NULL);
    if (columns_from_json(fields, FIELDS, json, back, sizeof *back, 2, &count))
      fail_msg("taken: %s", wrong[i]);
    json_decref(json);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_structs_come_back),   cmocka_unit_test(random_columns_come_back),
      cmocka_unit_test(the_form_is_small),          cmocka_unit_test(nan_and_large_counters),
      cmocka_unit_test(integers_are_doubles_too),   cmocka_unit_test(wrong_values_are_refused),
      cmocka_unit_test(uneven_columns_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
