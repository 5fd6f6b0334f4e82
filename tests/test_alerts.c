/* Rules of alerts: where they open, get worse and close, and that the end closes all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "agent/alerts.h"

struct log {
  char text[1024];
};

static void note(void *arg, const struct alert *alert) {
  struct log *log = arg;
  size_t length = strlen(log->text);
  snprintf(log->text + length, sizeof log->text - length, "%s%s %s %s %g %lld %lld", length > 0 ? "; " : "",
           alert_rule_names[alert->rule], alert->opened ? "opened" : "closed", alert->severity, alert->value,
           (long long)alert->at_ms, (long long)alert->opened_at_ms);
}

/* One rule's figures, a tick each from 1 on; the others are not known. */
static void expect(enum alert_rule rule, const double *values, size_t count, const char *expected) {
  struct alerts alerts = {0};
  struct log log = {""};
  for (size_t i = 0; i < count; i++) {
    double all[ALERT_RULES];
    for (int r = 0; r < ALERT_RULES; r++) all[r] = NAN;
    all[rule] = values[i];
    alerts_judge(&alerts, all, (int64_t)i + 1, note, &log);
  }
  assert_string_equal(log.text, expected);
}
#define EXPECT(rule, expected, ...)                                                                   \
  expect(rule, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double), \
         expected)

static void quality_opens_below_70_and_closes_at_75(void **state) {
  (void)state;
  EXPECT(ALERT_QUALITY, "", 93.2, 70, 75);
  EXPECT(ALERT_QUALITY, "quality opened medium 69.9 2 2; quality closed medium 75 5 2", 93.2, 69.9, 70, 74.9,
         75, 76);
  EXPECT(ALERT_QUALITY, "quality opened high 59.5 1 1; quality closed high 93.2 3 1", 59.5, 65, 93.2);
}

static void what_gets_worse_is_opened_again(void **state) {
  (void)state;
  EXPECT(ALERT_QUALITY,
         "quality opened medium 69 1 1; quality opened high 50 2 2; quality closed high 80 4 2", 69, 50, 68,
         80);
  EXPECT(ALERT_STALL, "stall opened medium 1500 1 1; stall opened high 3500 3 3; stall closed high 20 4 3",
         1500, 2500, 3500, 20);
}

static void a_stall_opens_above_1_s(void **state) {
  (void)state;
  EXPECT(ALERT_STALL, "", 0, 1000, 20);
  EXPECT(ALERT_STALL, "stall opened medium 1000.1 1 1; stall closed medium 500 3 1", 1000.1, 501, 500, 0);
}

static void an_outage_closes_when_a_stream_is_back(void **state) {
  (void)state;
  EXPECT(ALERT_STREAM_OUTAGE, "", 0, 1000, 2000, 0);
  EXPECT(ALERT_STREAM_OUTAGE, "stream_outage opened critical 2001 1 1; stream_outage closed critical 0 3 1",
         2001, 90000, 0);
}

static void what_is_not_known_changes_nothing(void **state) {
  (void)state;
  EXPECT(ALERT_QUALITY, "quality opened medium 65 1 1; quality closed medium 90 4 1", 65, NAN, NAN, 90);
}

static void the_end_closes_all(void **state) {
  (void)state;
  struct alerts alerts = {0};
  struct log log = {""};
  alerts_judge(&alerts, (const double[ALERT_RULES]){65, 4000, 5000}, 10, note, &log);
  log.text[0] = '\0';
  alerts_close(&alerts, 20, note, &log);
  assert_string_equal(log.text,
                      "quality closed medium 65 20 10; stall closed high 4000 20 10; "
                      "stream_outage closed critical 5000 20 10");
  log.text[0] = '\0';
  alerts_close(&alerts, 30, note, &log);
  assert_string_equal(log.text, "");
}

static void the_row_names_the_alert(void **state) {
  (void)state;
  const struct alert alert = {ALERT_QUALITY, false, "high", 81.25, 2000, 1000};
  char *key = alert_key(&alert, "CALL_1");
  assert_string_equal(key, "CALL_1|quality|1000|closed");
  free(key);
  json_t *body = alert_body(&alert, "CALL_1");
  char *text = json_dumps(body, JSON_COMPACT);
  assert_string_equal(
      text,
      "{\"callLogId\":\"CALL_1\",\"rule\":\"quality\",\"state\":\"closed\",\"severity\":\"high\","
      "\"value\":81.25,\"at\":2000}");
  free(text);
  json_decref(body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quality_opens_below_70_and_closes_at_75),
      cmocka_unit_test(what_gets_worse_is_opened_again),
      cmocka_unit_test(a_stall_opens_above_1_s),
      cmocka_unit_test(an_outage_closes_when_a_stream_is_back),
      cmocka_unit_test(what_is_not_known_changes_nothing),
      cmocka_unit_test(the_end_closes_all),
      cmocka_unit_test(the_row_names_the_alert),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
