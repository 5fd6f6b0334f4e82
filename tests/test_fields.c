#include "dsp/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct facts {
  uint64_t sum, greatest, least, first, last;
  int64_t signed_sum, signed_least;
  double real_sum, real_greatest;
  uint64_t row[3];
  uint64_t known[4];
};

static const struct field rows[] = {
    FIELD(facts, sum, FIELD_U64, MERGE_SUM),
    FIELD(facts, greatest, FIELD_U64, MERGE_MAX),
    FIELD(facts, least, FIELD_U64, MERGE_MIN),
    FIELD(facts, first, FIELD_U64, MERGE_FIRST),
    FIELD(facts, last, FIELD_U64, MERGE_LAST),
    FIELD(facts, signed_sum, FIELD_I64, MERGE_SUM),
    FIELD(facts, signed_least, FIELD_I64, MERGE_MIN),
    FIELD(facts, real_sum, FIELD_F64, MERGE_SUM),
    FIELD(facts, real_greatest, FIELD_F64, MERGE_MAX),
    FIELD_ARRAY(facts, row, FIELD_U64, MERGE_SUM, 3),
    FIELD_ARRAY(facts, known, FIELD_U64, MERGE_MIN_KNOWN, 4),
};

static void each_row_merges_its_own_way(void **state) {
  (void)state;
  struct facts into = {1, UINT64_MAX, 5, 6, 7, 3, 1, 0.5, -2.5, {1, 2, 3}, {0, 0, 7, 7}};
  const struct facts from = {10, 1, 4, 60, 70, -8, -1, 0.25, -1.5, {10, 20, 30}, {0, 9, 0, 5}};
  fields_merge(rows, sizeof rows / sizeof *rows, &into, &from);
  assert_int_equal(into.sum, 11);
  assert_true(into.greatest == UINT64_MAX); /* unsigned: not less than 1 */
  assert_int_equal(into.least, 4);
  assert_int_equal(into.first, 6);
  assert_int_equal(into.last, 70);
  assert_int_equal(into.signed_sum, -5);
  assert_int_equal(into.signed_least, -1); /* signed: less than 1 */
  assert_true(into.real_sum == 0.75);
  assert_true(into.real_greatest == -1.5);
  for (uint64_t i = 0; i < 3; i++) assert_int_equal(into.row[i], 11 * (i + 1));
  static const uint64_t known[4] = {0, 9, 7, 5};
  for (size_t i = 0; i < 4; i++) assert_int_equal(into.known[i], known[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_row_merges_its_own_way)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
