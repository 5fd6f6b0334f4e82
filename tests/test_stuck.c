/* store/stuck.c: which legs wait, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/stuck.h"

static void stuck_legs_are_remembered_until_nothing_is_left(void **state) {
  (void)state;
  struct stuck *t = stuck_new();
  assert_int_equal(stuck_hold(t, "a", 100, false), 0);
  assert_int_equal(stuck_hold(t, "b", 50, false), 0);
  assert_int_equal(stuck_hold(t, "c", 0, true), 0);
  stuck_settle(t, true);
  assert_int_equal(stuck_count(t), 2); /* c was for one batch */
  assert_null(stuck_next_due(t, NULL, 49));
  struct stuck_leg *b = stuck_next_due(t, NULL, 99);
  assert_string_equal(b->leg, "b");
  b->taken = true;
  b->skipped = true; /* one more came meanwhile */
  stuck_settle(t, true);
  assert_non_null(stuck_find(t, "b"));
  assert_int_equal(stuck_find(t, "b")->due_ms, 0);
  stuck_find(t, "b")->taken = true;
  stuck_settle(t, false); /* the batch came to nothing */
  stuck_find(t, "b")->taken = true;
  stuck_settle(t, true);
  assert_null(stuck_find(t, "b"));
  stuck_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(stuck_legs_are_remembered_until_nothing_is_left)};
  return cmocka_run_group_tests_name("stuck", tests, NULL, NULL);
}
