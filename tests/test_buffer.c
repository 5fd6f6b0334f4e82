#include "agent/buffer.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_text_grows_over_every_size(void **state) {
  (void)state;
  struct buffer b = {0};
  for (int i = 0; i < 10000; i++) {
    buffer_put(&b, "abc", 2);
    buffer_printf(&b, "%d", i % 10);
    buffer_put_text(&b, "");
  }
  size_t bytes;
  char *text = buffer_take(&b, &bytes);
  assert_non_null(text);
  assert_int_equal(bytes, 30000);
  assert_int_equal(strlen(text), bytes);
  for (size_t i = 0; i < 10000; i++) {
    const char expected[] = {'a', 'b', (char)('0' + i % 10)};
    if (memcmp(text + 3 * i, expected, 3) != 0) fail_msg("piece %zu is %.3s", i, text + 3 * i);
  }
  free(text);
  assert_null(b.data); /* empty again */
}

static void a_long_line_is_printed_whole(void **state) {
  (void)state;
  struct buffer b = {0};
  buffer_printf(&b, "%5000d|", 7);
  size_t bytes;
  char *text = buffer_take(&b, &bytes);
  assert_int_equal(bytes, 5001);
  assert_string_equal(text + 4999, "7|");
  free(text);
}

static void an_empty_text_is_a_text(void **state) {
  (void)state;
  struct buffer b = {0};
  char *text = buffer_take(&b, NULL);
  assert_string_equal(text, "");
  free(text);
}

/* More than any text of ours has. */
static void refused_memory_stays_refused(void **state) {
  (void)state;
  struct buffer b = {0};
  size_t bytes = 7;
  buffer_put_text(&b, "kept");
  buffer_put(&b, "", SIZE_MAX / 2);
  assert_true(b.failed);
  buffer_put_text(&b, "more");
  assert_int_equal(b.bytes, 4);
  assert_null(buffer_take(&b, &bytes));
  assert_int_equal(bytes, 0);
}

static void decimals_read_back_equal(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } rows[] = {{0, "0"},
              {0.1, "0.1"},
              {4.41, "4.41"},
              {-2.5, "-2.5"},
              {1e300, "1e+300"},
              {1.0 / 3, "0.3333333333333333"},
              {DBL_MAX, "1.7976931348623157e+308"}};
  char out[DECIMAL_BYTES];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_string_equal(decimal_shortest(rows[i].value, out), rows[i].text);
    assert_true(strtod(out, NULL) == rows[i].value);
  }
  assert_true(strlen(decimal_shortest(-DBL_MIN, out)) < DECIMAL_BYTES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_text_grows_over_every_size), cmocka_unit_test(a_long_line_is_printed_whole),
      cmocka_unit_test(an_empty_text_is_a_text),      cmocka_unit_test(refused_memory_stays_refused),
      cmocka_unit_test(decimals_read_back_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
