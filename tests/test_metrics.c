/* agent/metrics.c: the text is what Prometheus reads, and every counter has its line. */
#include "agent/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The value of the line that begins with `series`; fails when there is none or more than one. */
static double value_of(const char *text, const char *series) {
  size_t length = strlen(series), found = 0;
  double value = 0;
  for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
    if (strncmp(line, series, length) != 0 || line[length] != ' ') continue;
    char *end;
    value = strtod(line + length + 1, &end);
    assert_int_equal(*end, '\n');
    found++;
  }
  if (found != 1) fail_msg("%s: %zu lines", series, found);
  return value;
}

static size_t lines_with(const char *text, const char *start) {
  size_t count = 0;
  for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
    count += strncmp(line, start, strlen(start)) == 0;
  return count;
}

/* ---- the format ---- */

struct family {
  char name[128], type[16];
};

/* name{label="value",...} number; the name belongs to the family of the TYPE line before it. */
static void expect_sample(const char *line, const struct family *family) {
  size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
  char name[128];
  assert_true(length > 0 && length < sizeof name && !isdigit((unsigned char)line[0]));
  memcpy(name, line, length);
  name[length] = '\0';
  size_t base = strlen(family->name);
  if (strncmp(name, family->name, base) != 0) fail_msg("%s is not of %s", name, family->name);
  const char *suffix = name + base;
  bool histogram = strcmp(family->type, "histogram") == 0, summary = strcmp(family->type, "summary") == 0;
  bool allowed = *suffix == '\0' ? !histogram
                                 : ((histogram || summary) &&
                                    (strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0)) ||
                                       (histogram && strcmp(suffix, "_bucket") == 0);
  if (!allowed) fail_msg("%s under %s", name, family->type);
  if (strcmp(family->type, "counter") == 0) assert_string_equal(name + length - 6, "_total");
  const char *at = line + length;
  if (*at == '{') {
    do {
      at++;
      at += strspn(at, "abcdefghijklmnopqrstuvwxyz_");
      assert_memory_equal(at, "=\"", 2);
      at += 2 + strcspn(at + 2, "\"\\\n");
      assert_int_equal(*at++, '"');
    } while (*at == ',');
    assert_int_equal(*at++, '}');
  }
  assert_int_equal(*at++, ' ');
  char *end;
  strtod(at, &end);
  assert_true(end > at && *end == '\0');
}

static void the_text_is_valid(void **state) {
  (void)state;
  struct metrics m;
  memset(&m, 0, sizeof m);
  m.loop_lag_seconds = 1e-7;
  m.media_frames[MEDIA_OK] = UINT64_MAX;
  size_t bytes, families = 0;
  char *text = metrics_text(&m, &bytes);
  assert_non_null(text);
  assert_int_equal(strlen(text), bytes);
  assert_int_equal(text[bytes - 1], '\n');
  struct family family = {"", ""}, seen[64];
  char *copy = strdup(text), *rest = copy, help[128] = "", word[16];
  for (char *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;) {
    if (sscanf(line, "# HELP %127s %15s", help, word) == 2) continue;
    if (sscanf(line, "# TYPE %127s %15s", family.name, family.type) == 2) {
      assert_string_equal(family.name, help); /* HELP comes right before */
      for (size_t i = 0; i < families; i++) assert_string_not_equal(seen[i].name, family.name);
      assert_true(families < 64);
      seen[families++] = family;
      continue;
    }
    expect_sample(line, &family);
  }
  assert_true(families >= 15);
  assert_int_equal(lines_with(text, "# HELP "), families);
  assert_int_equal(lines_with(text, "# TYPE "), families);
  free(copy);
  free(text);
}

/* No series twice: the same name with the same labels. */
static void every_series_is_there_once(void **state) {
  (void)state;
  struct metrics m;
  memset(&m, 0, sizeof m);
  char *text = metrics_text(&m, NULL);
  for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
    if (*line == '#') continue;
    char series[256];
    size_t length = strcspn(line, " ");
    assert_true(length < sizeof series);
    memcpy(series, line, length);
    series[length] = '\0';
    value_of(text, series);
  }
  free(text);
}

static void sinks_that_are_configured_have_lines(void **state) {
  (void)state;
  struct metrics m;
  memset(&m, 0, sizeof m);
  m.sink_configured[SINK_MONGO] = m.sink_configured[SINK_REDIS_ALERTS] = true;
  m.outbox_pending[SINK_MONGO] = 7;
  m.outbox_dead[SINK_MONGO] = 2;
  m.outbox_pending[SINK_REDIS_ALERTS] = 1;
  m.outbox_oldest_seconds[SINK_MONGO] = 1.5;
  char *text = metrics_text(&m, NULL);
  assert_int_equal(value_of(text, "sidetone_outbox_rows{sink=\"mongo\",state=\"pending\"}"), 7);
  assert_int_equal(value_of(text, "sidetone_outbox_rows{sink=\"mongo\",state=\"dead\"}"), 2);
  assert_int_equal(value_of(text, "sidetone_outbox_rows{sink=\"redis_alerts\",state=\"pending\"}"), 1);
  assert_true(value_of(text, "sidetone_outbox_oldest_seconds{sink=\"mongo\"}") == 1.5);
  assert_int_equal(lines_with(text, "sidetone_outbox_rows{"), 4);
  assert_int_equal(lines_with(text, "sidetone_outbox_oldest_seconds{"), 2);
  free(text);
}

/* ---- the counters ---- */

static void every_enumerated_value_has_its_line(void **state) {
  (void)state;
  static const char *const results[] = {"ok", "duplicate", "reordered", "late", "ignored", "before_start"};
  static const char *const webhooks[] = {"accepted",  "duplicate", "unsigned",    "bad_request",
                                         "too_large", "timeout",   "unavailable", "unknown_event"};
  static const char *const outcomes[] = {"completed", "busy",     "no-answer", "failed",
                                         "cancelled", "rejected", "lost"};
  static const char *const faults[] = {"binary", "not_utf8", "other_leg",         "unknown_event",
                                       "codec",  "protocol", "message_too_large", "too_many_streams"};
  struct metrics m;
  memset(&m, 0, sizeof m);
  for (size_t i = 0; i < MEDIA_RESULTS; i++) m.media_frames[i] = 100 + i;
  for (size_t i = 0; i < WEBHOOK_RESULTS; i++) m.webhooks[i] = 200 + i;
  for (size_t i = 0; i < CALL_OUTCOMES; i++) m.calls_finished[i] = 300 + i;
  for (size_t i = 0; i < MEDIA_FAULTS; i++) m.media_faults[i] = 400 + i;
  for (size_t i = 0; i < FRAME_FAULTS; i++) m.frame_faults[i] = 500 + i;
  char *text = metrics_text(&m, NULL), series[128];
  for (size_t i = 0; i < MEDIA_RESULTS; i++) {
    snprintf(series, sizeof series, "sidetone_media_frames_total{result=\"%s\"}", results[i]);
    assert_true(value_of(text, series) == (double)(100 + i));
  }
  for (size_t i = 0; i < WEBHOOK_RESULTS; i++) {
    snprintf(series, sizeof series, "sidetone_webhooks_total{result=\"%s\"}", webhooks[i]);
    assert_true(value_of(text, series) == (double)(200 + i));
  }
  for (size_t i = 0; i < CALL_OUTCOMES; i++) {
    snprintf(series, sizeof series, "sidetone_calls_finished_total{outcome=\"%s\"}", outcomes[i]);
    assert_true(value_of(text, series) == (double)(300 + i));
  }
  for (size_t i = 0; i < MEDIA_FAULTS; i++) {
    snprintf(series, sizeof series, "sidetone_media_parse_errors_total{kind=\"%s\"}", faults[i]);
    assert_true(value_of(text, series) == (double)(400 + i));
  }
  for (size_t i = FRAME_FINE + 1; i < FRAME_FAULTS; i++) {
    snprintf(series, sizeof series, "sidetone_media_parse_errors_total{kind=\"%s\"}",
             frame_fault_name((enum frame_fault)i));
    assert_true(value_of(text, series) == (double)(500 + i));
  }
  assert_int_equal(lines_with(text, "sidetone_media_frames_total{"), MEDIA_RESULTS);
  assert_int_equal(lines_with(text, "sidetone_webhooks_total{"), WEBHOOK_RESULTS);
  assert_int_equal(lines_with(text, "sidetone_calls_finished_total{"), CALL_OUTCOMES);
  assert_int_equal(lines_with(text, "sidetone_media_parse_errors_total{"), MEDIA_FAULTS + FRAME_FAULTS - 1);
  free(text);
}

static void plain_figures_have_their_values(void **state) {
  (void)state;
  struct metrics m;
  memset(&m, 0, sizeof m);
  m.calls_live = 3;
  m.streams_open = 4;
  m.media_frames_missing = 5;
  m.legless_events = 6;
  m.calls_without_lead = 10;
  m.memory_per_call_bytes = 300000;
  m.store_commits = 7;
  m.store_quarantined = 8;
  m.loop_lag_seconds = 0.0125;
  m.store_fsync_seconds_sum = 1.5;
  m.store_fsync_count = 9;
  char *text = metrics_text(&m, NULL);
  assert_true(value_of(text, "sidetone_calls_live") == 3);
  assert_true(value_of(text, "sidetone_streams_open") == 4);
  assert_true(value_of(text, "sidetone_media_frames_missing_total") == 5);
  assert_true(value_of(text, "sidetone_webhooks_legless_total") == 6);
  assert_true(value_of(text, "sidetone_store_commits_total") == 7);
  assert_true(value_of(text, "sidetone_store_quarantined_total") == 8);
  assert_true(value_of(text, "sidetone_loop_lag_seconds") == 0.0125);
  assert_true(value_of(text, "sidetone_store_fsync_seconds_sum") == 1.5);
  assert_true(value_of(text, "sidetone_store_fsync_seconds_count") == 9);
  assert_true(value_of(text, "sidetone_build_info{version=\"" SIDETONE_VERSION "\"}") == 1);
  assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
  assert_true(value_of(text, "sidetone_calls_without_lead_total") == 10);
  assert_true(value_of(text, "sidetone_memory_per_call_bytes") == 300000);
  assert_true(value_of(text, "process_virtual_memory_bytes") >
              value_of(text, "process_resident_memory_bytes"));
  assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
  double files = value_of(text, "process_open_fds"), started_s = value_of(text, "process_start_time_seconds");
  assert_true(files >= 3 && files <= value_of(text, "process_max_fds"));
  assert_true(started_s <= (double)time(NULL) + 1 && started_s > (double)time(NULL) - 86400);
  free(text);
}

static void histogram_buckets_are_cumulative(void **state) {
  (void)state;
  struct metrics m;
  memset(&m, 0, sizeof m);
  static const double times[] = {0, 0.0001, 0.00010001, 0.3, 2.5, 2.500001, 60};
  double sum = 0;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    histogram_add(&m.webhook_ack, times[i]);
    sum += times[i];
  }
  histogram_add(&m.frame_to_metric, 0.9);
  char *text = metrics_text(&m, NULL), series[128];
  double before = 0;
  for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
    double expected = 0;
    for (size_t k = 0; k < sizeof times / sizeof *times; k++) expected += times[k] <= histogram_bounds[i];
    snprintf(series, sizeof series, "sidetone_webhook_ack_seconds_bucket{le=\"%g\"}", histogram_bounds[i]);
    double value = value_of(text, series);
    assert_true(value == expected && value >= before);
    assert_true(i == 0 || histogram_bounds[i] > histogram_bounds[i - 1]);
    before = value;
  }
  assert_true(value_of(text, "sidetone_webhook_ack_seconds_bucket{le=\"+Inf\"}") == 7);
  assert_true(value_of(text, "sidetone_webhook_ack_seconds_count") == 7);
  double told = value_of(text, "sidetone_webhook_ack_seconds_sum");
  assert_true(told > sum - 1e-6 && told < sum + 1e-6);
  assert_true(value_of(text, "sidetone_frame_to_metric_seconds_bucket{le=\"0.5\"}") == 0);
  assert_true(value_of(text, "sidetone_frame_to_metric_seconds_bucket{le=\"1\"}") == 1);
  free(text);
}

static void a_status_is_an_outcome(void **state) {
  (void)state;
  static const struct {
    const char *status;
    int lost;
    enum call_outcome outcome;
  } cases[] = {
      {"completed", 0, OUTCOME_COMPLETED}, {"busy", 0, OUTCOME_BUSY},
      {"no-answer", 0, OUTCOME_NO_ANSWER}, {"failed", 0, OUTCOME_FAILED},
      {"cancelled", 0, OUTCOME_CANCELLED}, {"rejected", 0, OUTCOME_REJECTED},
      {"completed", 1, OUTCOME_LOST},      {"anything else", 0, OUTCOME_FAILED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(metrics_outcome(cases[i].status, cases[i].lost), cases[i].outcome);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_text_is_valid),
      cmocka_unit_test(every_series_is_there_once),
      cmocka_unit_test(sinks_that_are_configured_have_lines),
      cmocka_unit_test(every_enumerated_value_has_its_line),
      cmocka_unit_test(plain_figures_have_their_values),
      cmocka_unit_test(histogram_buckets_are_cumulative),
      cmocka_unit_test(a_status_is_an_outcome),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
