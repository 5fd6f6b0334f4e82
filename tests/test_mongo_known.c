/* store/mongo_known.c: which legs are remembered, and which are forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "store/mongo_known.h"

static int setup(void **state) {
  *state = calloc(1, sizeof(struct mongo_known));
  return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
  free(*state);
  return 0;
}

static const char *leg(size_t n) {
  static char name[32];
  snprintf(name, sizeof name, "v3:leg-%zu", n);
  return name;
}

static void a_leg_is_known_until_it_is_forgotten(void **state) {
  struct mongo_known *k = *state;
  assert_false(mongo_known_has(k, "a"));
  mongo_known_add(k, "a");
  mongo_known_add(k, "a");
  assert_true(mongo_known_has(k, "a"));
  assert_false(mongo_known_has(k, ""));
  mongo_known_forget(k, "a");
  assert_false(mongo_known_has(k, "a"));
}

/* A leg that is asked for all the time outlives any number of others. */
static void what_is_used_stays_and_the_rest_goes(void **state) {
  struct mongo_known *k = *state;
  const size_t many = 10 * MONGO_KNOWN_SETS * MONGO_KNOWN_WAYS;
  mongo_known_add(k, "used");
  for (size_t i = 0; i < many; i++) {
    mongo_known_add(k, leg(i));
    if (!mongo_known_has(k, "used")) fail_msg("forgotten after %zu others", i);
  }
  size_t known = 0, newest = 0;
  for (size_t i = 0; i < many; i++) known += mongo_known_has(k, leg(i));
  for (size_t i = many - MONGO_KNOWN_SETS; i < many; i++) newest += mongo_known_has(k, leg(i));
  assert_in_range(known, MONGO_KNOWN_SETS * MONGO_KNOWN_WAYS - MONGO_KNOWN_SETS,
                  MONGO_KNOWN_SETS * MONGO_KNOWN_WAYS - 1);
  assert_true(newest >
              MONGO_KNOWN_SETS - MONGO_KNOWN_SETS / 50); /* a set of four is rarely overrun by so few */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_leg_is_known_until_it_is_forgotten, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_used_stays_and_the_rest_goes, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
