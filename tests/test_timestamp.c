#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "telnyx/timestamp.h"

static void test_parse(void **unused) {
  (void)unused;
  static const struct {
    const char *text;
    int64_t us;
  } rows[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"2026-09-14T08:14:58.120044Z", 1789373698120044},
      {"2026-09-14T08:15:42Z", 1789373742000000},
      {"2026-09-14t08:15:42z", 1789373742000000},
      {"2026-09-14 08:15:42Z", 1789373742000000},
      {"2026-09-14T08:15:42.1Z", 1789373742100000},
      {"2026-09-14T08:15:42.123Z", 1789373742123000},
      {"2026-09-14T08:15:42.123456789Z", 1789373742123456},
      {"2026-09-14T10:15:42+02:00", 1789373742000000},
      {"2026-09-14T02:45:42-05:30", 1789373742000000},
      {"2026-09-14T08:15:42-00:00", 1789373742000000},
      {"1969-12-31T23:59:59.999999999Z", -1},
      {"2000-02-29T00:00:00Z", 951782400000000},
      {"2016-12-31T23:59:60Z", 1483228800000000},
      {"9999-12-31T23:59:59Z", 253402300799000000},
      {"0000-01-01T00:00:00Z", -62167219200000000},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t us = 77;
    if (!timestamp_parse(rows[i].text, &us)) fail_msg("refused: %s", rows[i].text);
    if (us != rows[i].us) {
      fail_msg("%s: %lld, expected %lld", rows[i].text, (long long)us, (long long)rows[i].us);
    }
  }
}

static void test_refused(void **unused) {
  (void)unused;
  static const char *const bad[] = {
      "",
      "now",
      "1789373742",
      "2026-09-14",
      "2026-09-14T08:15Z",
      "2026-09-14T08:15:42",
      "2026-09-14T08:15:42.Z",
      "2026-09-14T08:15:42.1234567890Z",
      "2026-09-14T08:15:42,5Z",
      "2026-09-14T08:15:42Z ",
      " 2026-09-14T08:15:42Z",
      "2026-09-14T08:15:42+0200",
      "2026-09-14T08:15:42+24:00",
      "2026-09-14T08:15:42+02:60",
      "2026-09-14T24:00:00Z",
      "2026-09-14T08:60:00Z",
      "2026-09-14T08:15:61Z",
      "2026-13-14T08:15:42Z",
      "2026-00-14T08:15:42Z",
      "2026-09-31T08:15:42Z",
      "2026-09-00T08:15:42Z",
      "2025-02-29T08:15:42Z",
      "1900-02-29T08:15:42Z",
      "26-09-14T08:15:42Z",
      "2026-9-14T08:15:42Z",
      "-026-09-14T08:15:42Z",
      "2026-09-14T08:15:42ZZ",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t us = 77;
    if (timestamp_parse(bad[i], &us)) fail_msg("taken: \"%s\"", bad[i]);
    assert_int_equal(us, 77);
  }
  int64_t us;
  assert_false(timestamp_parse(NULL, &us));
}

static void test_format(void **unused) {
  (void)unused;
  char text[TIMESTAMP_BYTES];
  timestamp_format_ms(1789373698120, text);
  assert_string_equal(text, "2026-09-14T08:14:58.120Z");
  timestamp_format_us(1789373698120044, text);
  assert_string_equal(text, "2026-09-14T08:14:58.120044Z");
  timestamp_format_ms(-1, text);
  assert_string_equal(text, "1969-12-31T23:59:59.999Z");
  timestamp_format_us(-1, text);
  assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
  timestamp_format_ms(0, text);
  assert_string_equal(text, "1970-01-01T00:00:00.000Z");
  timestamp_format_ms(INT64_MAX, text);
  assert_string_equal(text, "292278994-08-17T07:12:55.807Z");
  timestamp_format_ms(INT64_MIN, text);
  assert_string_equal(text, "-292275055-05-16T16:47:04.192Z");
  timestamp_format_us(INT64_MIN, text);
  assert_string_equal(text, "-290308-12-21T19:59:05.224192Z");
}

/* Every day of four centuries, against the C library's calendar, and back. */
static void test_calendar(void **unused) {
  (void)unused;
  for (int64_t day = -25567; day < 146097 - 25567; day++) {
    time_t s = (time_t)(day * 86400 + 3723);
    struct tm date;
    char ours[TIMESTAMP_BYTES], theirs[TIMESTAMP_BYTES];
    gmtime_r(&s, &date);
    strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S.250Z", &date);
    timestamp_format_ms((int64_t)s * 1000 + 250, ours);
    assert_string_equal(ours, theirs);
    int64_t us;
    assert_true(timestamp_parse(ours, &us));
    assert_true(us == (int64_t)s * 1000000 + 250000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_format),
      cmocka_unit_test(test_calendar),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
