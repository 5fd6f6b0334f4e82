/* store/sink_batch.c: copies of rows, and how long to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/sink_batch.h"

static void the_pause_doubles_to_10_s_with_full_jitter(void **state) {
  (void)state;
  for (unsigned failures = 1; failures < 40; failures++) {
    int64_t most = failures > 4 ? 10000 : 1000 << (failures - 1), highest = 0, lowest = most;
    for (int i = 0; i < 400; i++) {
      int64_t ms = sink_jitter_ms(failures);
      assert_in_range(ms, 0, most);
      if (ms > highest) highest = ms;
      if (ms < lowest) lowest = ms;
    }
    assert_true(highest > most * 9 / 10 && lowest < most / 10);
  }
}

static void rows_are_copied_and_numbers_are_in_order(void **state) {
  (void)state;
  char leg[] = "leg", id[] = "id", body[] = "body";
  struct sink_row row = {.row = 9, .leg = leg, .id = id, .body = body, .body_bytes = 4};
  struct batch *b = batch_new(2);
  assert_non_null(b);
  batch_add(b, &row, 3);
  row.row = 4;
  batch_add(b, &row, 0);
  leg[0] = id[0] = body[0] = 'x';
  b->outcomes[0].result = SINK_DEAD;
  batch_begin(b);
  assert_int_equal(b->outcomes[0].result, SINK_DONE);
  assert_string_equal(b->rows[0].leg, "leg");
  assert_string_equal(b->rows[0].id, "id");
  assert_string_equal(b->rows[1].body, "body");
  assert_int_equal(b->tries[0], 3);
  assert_int_equal(b->rows[0].row, 9); /* rows stand as they came, only their numbers are in order */
  assert_int_equal(b->numbers[0], 4);
  assert_int_equal(b->numbers[1], 9);
  batch_clear(b);
  assert_int_equal(b->count, 0);
  assert_int_equal(b->bytes, 0);
  batch_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_pause_doubles_to_10_s_with_full_jitter),
                                     cmocka_unit_test(rows_are_copied_and_numbers_are_in_order)};
  return cmocka_run_group_tests_name("sink_batch", tests, NULL, NULL);
}
