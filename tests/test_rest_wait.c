/* store/rest_wait.c: how long a request waits before it is sent again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/rest_wait.h"

static int64_t wait_of(const char *line) {
  return rest_wait_of_header(line, strlen(line), 1790000000);
}

static void headers_of_rate_limits(void **state) {
  (void)state;
  assert_int_equal(wait_of("Retry-After: 3\r\n"), 3000);
  assert_int_equal(wait_of("retry-after:0.25\r\n"), 250);
  assert_int_equal(wait_of("X-RateLimit-Reset: 7\r\n"), 7000);
  assert_int_equal(wait_of("x-ratelimit-reset: 1790000004\r\n"), 4000); /* a Unix time */
  assert_int_equal(wait_of("x-ratelimit-reset: 1789999000\r\n"), 0);    /* that has passed */
  assert_int_equal(wait_of("Retry-After: 99999999\r\n"), 3600000);
  assert_int_equal(wait_of("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"), -1);
  assert_int_equal(wait_of("Retry-After: -1\r\n"), -1);
  assert_int_equal(wait_of("Retry-After: nan\r\n"), -1);
  assert_int_equal(wait_of("x-ratelimit-limit: 5\r\n"), -1);
  assert_int_equal(wait_of("Retry-After:"), -1);
}

static void backoff_doubles_up_to_4_s(void **state) {
  (void)state;
  assert_int_equal(rest_backoff_ms(2, UINT32_MAX), 0); /* the first retry goes at once */
  assert_in_range(rest_backoff_ms(3, UINT32_MAX), 249, 250);
  assert_in_range(rest_backoff_ms(4, UINT32_MAX), 499, 500);
  assert_in_range(rest_backoff_ms(10, UINT32_MAX), 3999, 4000);
  assert_int_equal(rest_backoff_ms(10, 0), 0);
  assert_in_range(rest_backoff_ms(10, UINT32_MAX / 2), 1999, 2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(headers_of_rate_limits),
      cmocka_unit_test(backoff_doubles_up_to_4_s),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
