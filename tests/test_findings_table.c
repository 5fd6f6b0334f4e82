/* dsp/findings_table.c: the limits of voice-quality.md 5, types and severities of its section 8, the
 * words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/findings_table.h"

static const char *words(enum finding_kind kind, unsigned criterion, enum finding_severity severity,
                         double value, double detail) {
  static char text[128];
  struct finding_row row = {.kind = kind,
                            .severity = severity,
                            .criterion = criterion,
                            .end_ms = -1,
                            .value = value,
                            .detail = detail};
  assert_true(finding_is_known(&row));
  return finding_describe(&row, text, sizeof text);
}

static void words_begin_with_the_name(void **state) {
  (void)state;
  assert_string_equal(words(FINDING_CLIPPING, 0, FINDING_HIGH, 1.31, NAN),
                      "clipping: 1.3 % of active samples");
  assert_string_equal(words(FINDING_ECHO, 0, FINDING_MEDIUM, 20, 40), "echo: ERL 20.0 dB, delay 40 ms");
  assert_string_equal(words(FINDING_HUM, 0, FINDING_MEDIUM, -48.25, 50), "hum: -48.2 dBov at 50 Hz");
  assert_string_equal(words(FINDING_NOISE, 0, FINDING_HIGH, 8.06, NAN), "noise: SNR 8.1 dB");
  assert_string_equal(words(FINDING_NOISE, 1, FINDING_MEDIUM, -41, NAN), "noise: -41.0 dBov");
  assert_string_equal(words(FINDING_MUTE_GAPS, 0, FINDING_MEDIUM, 31.7, NAN),
                      "mute gaps: 32 a minute of activity");
  assert_string_equal(words(FINDING_INSERTED_SILENCE, 0, FINDING_MEDIUM, 2.44, NAN),
                      "inserted silence: 2.4 % of frames");
  assert_string_equal(words(FINDING_LOSS, 0, FINDING_HIGH, 51.26, 3.12), "loss: R 51.3, 3.1 % of frames");
  assert_string_equal(words(FINDING_LOSS, 0, FINDING_HIGH, 51.26, NAN), "loss: R 51.3");
  assert_string_equal(words(FINDING_ONE_WAY, 0, FINDING_CRITICAL, 12340, NAN), "one-way: silent for 12.3 s");
  assert_string_equal(words(FINDING_STALL, 0, FINDING_HIGH, 3210, NAN), "stall: 3.2 s");
  assert_string_equal(words(FINDING_LATENCY, 0, FINDING_MEDIUM, 431, NAN), "latency: 431 ms mouth to ear");
  assert_string_equal(words(FINDING_LEVEL_LOW, 0, FINDING_MEDIUM, -38.5, NAN), "level low: -38.5 dBov");
  assert_string_equal(words(FINDING_LEVEL_LOW, 0, FINDING_HIGH, -62.98, NAN), "level very low: -63.0 dBov");
  assert_string_equal(words(FINDING_LEVEL_HIGH, 0, FINDING_MEDIUM, -12, NAN), "level high: -12.0 dBov");
  assert_string_equal(words(FINDING_NO_MEDIA, 0, FINDING_CRITICAL, 2500, NAN), "no media: 2.5 s");
  assert_string_equal(words(FINDING_STREAM_OUTAGE, 0, FINDING_CRITICAL, 4000, NAN), "stream outage: 4.0 s");
  assert_string_equal(words(FINDING_CODEC_MISMATCH, 0, FINDING_MEDIUM, 8, 16),
                      "codec mismatch: sound sampled at 8 kHz, stream at 16 kHz");
  assert_string_equal(words(FINDING_CODEC_MISMATCH, 0, FINDING_MEDIUM, NAN, NAN), "codec mismatch");
  assert_string_equal(words(FINDING_DEAD_AIR, 0, FINDING_MEDIUM, 11000, NAN), "dead air: 11.0 s");
  assert_string_equal(words(FINDING_DC_OFFSET, 0, FINDING_MEDIUM, -0.0213, NAN),
                      "dc offset: -0.021 of full scale");
}

static void a_short_text_is_cut(void **state) {
  (void)state;
  char text[8];
  struct finding_row row = {.kind = FINDING_CLIPPING, .value = 1, .detail = NAN};
  assert_string_equal(finding_describe(&row, text, sizeof text), "clippin");
}

/* At a limit is not beyond it. NaN: there is no such limit. */
static const struct {
  enum finding_kind kind;
  unsigned criterion;
  const char *type;
  enum finding_severity warn, bad;
  double warn_limit, bad_limit, clear_limit, beyond; /* what is beyond a limit by a little */
} limits[] = {
    {FINDING_ECHO, 0, "echo", FINDING_MEDIUM, FINDING_HIGH, INFINITY, 20, INFINITY, -0.01},
    {FINDING_CLIPPING, 0, "static", FINDING_MEDIUM, FINDING_HIGH, 0.1, 1, 0.05, 0.001},
    {FINDING_HUM, 0, "static", FINDING_MEDIUM, FINDING_MEDIUM, -55, NAN, -58, 0.01},
    {FINDING_NOISE, 0, "static", FINDING_MEDIUM, FINDING_HIGH, 20, 10, 23, -0.01},
    {FINDING_NOISE, 1, "static", FINDING_MEDIUM, FINDING_HIGH, -50, NAN, -53, 0.01},
    {FINDING_MUTE_GAPS, 0, "choppy", FINDING_MEDIUM, FINDING_MEDIUM, 20, NAN, 10, 0.01},
    {FINDING_INSERTED_SILENCE, 0, "choppy", FINDING_MEDIUM, FINDING_MEDIUM, 1, NAN, 0.5, 0.01},
    {FINDING_LOSS, 0, "choppy", FINDING_MEDIUM, FINDING_HIGH, 70, 60, 75, -0.01},
    {FINDING_ONE_WAY, 0, "one-way-audio", FINDING_CRITICAL, FINDING_CRITICAL, NAN, NAN, NAN, 0},
    {FINDING_STALL, 0, "delay", FINDING_MEDIUM, FINDING_HIGH, 1000, 3000, 1000, 1},
    {FINDING_LATENCY, 0, "delay", FINDING_MEDIUM, FINDING_MEDIUM, 400, NAN, 350, 1},
    {FINDING_LEVEL_LOW, 0, "volume-low", FINDING_MEDIUM, FINDING_HIGH, -36, -46, -34, -0.01},
    {FINDING_LEVEL_HIGH, 0, "volume-high", FINDING_MEDIUM, FINDING_MEDIUM, -16, NAN, -18, 0.01},
    {FINDING_NO_MEDIA, 0, "dropped", FINDING_CRITICAL, FINDING_CRITICAL, NAN, NAN, NAN, 0},
    {FINDING_STREAM_OUTAGE, 0, "dropped", FINDING_CRITICAL, FINDING_CRITICAL, NAN, NAN, NAN, 0},
    {FINDING_CODEC_MISMATCH, 0, "other", FINDING_MEDIUM, FINDING_MEDIUM, NAN, NAN, NAN, 0},
    {FINDING_DEAD_AIR, 0, "other", FINDING_MEDIUM, FINDING_MEDIUM, NAN, NAN, NAN, 0},
    {FINDING_DC_OFFSET, 0, "other", FINDING_MEDIUM, FINDING_MEDIUM, 0.01, NAN, 0.008, 0.0001},
    {FINDING_DC_OFFSET, 0, "other", FINDING_MEDIUM, FINDING_MEDIUM, -0.01, NAN, -0.008, -0.0001},
};

static void limits_are_the_texts(void **state) {
  (void)state;
  unsigned seen = 0;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    const struct finding_kind_row *row = &finding_table[limits[i].kind];
    const struct finding_criterion *c = &row->criterion[limits[i].criterion];
    seen |= 1u << limits[i].kind;
    assert_string_equal(finding_type(limits[i].kind), limits[i].type);
    assert_int_equal(row->warn, limits[i].warn);
    assert_int_equal(row->bad, limits[i].bad);
    assert_true(c->open_windows >= 1 && c->open_windows <= FINDING_RUN_MAX);
    assert_true(c->close_windows >= 1 && c->close_windows <= FINDING_RUN_MAX);
    assert_int_equal(finding_grade(c, NAN), 0);
    if (isnan(limits[i].warn_limit)) { /* whatever it is, it is there */
      assert_int_equal(finding_grade(c, 0), 1);
      assert_int_equal(finding_grade(c, 1e300), 1);
      continue;
    }
    double beyond = isinf(limits[i].warn_limit) ? 1000 : limits[i].warn_limit + limits[i].beyond;
    assert_int_equal(finding_grade(c, limits[i].warn_limit), 0);
    assert_int_equal(finding_grade(c, beyond), 1);
    assert_true(finding_is_clear(c, limits[i].clear_limit));
    if (!isinf(limits[i].clear_limit))
      assert_false(finding_is_clear(c, limits[i].clear_limit + limits[i].beyond));
    assert_false(finding_is_clear(c, beyond));
    if (isnan(limits[i].bad_limit)) continue;
    assert_int_equal(finding_grade(c, limits[i].bad_limit), 1);
    assert_int_equal(finding_grade(c, limits[i].bad_limit + limits[i].beyond), 2);
  }
  assert_int_equal(seen, (1u << FINDING_KINDS) - 1);
}

static void a_track_has_two_severities_of_level(void **state) {
  (void)state;
  struct finding_row row = {.kind = FINDING_LEVEL_LOW, .severity = FINDING_MEDIUM};
  assert_string_equal(finding_name(&row), "level low");
  row.severity = FINDING_HIGH;
  assert_string_equal(finding_name(&row), "level very low");
  assert_string_equal(finding_severity_name(FINDING_CRITICAL), "critical");
  assert_string_equal(finding_severity_name(FINDING_LOW), "low");
}

static void foreign_rows_are_known_as_such(void **state) {
  (void)state;
  struct finding_row row = {.kind = FINDING_NOISE, .criterion = 1, .track = -1};
  assert_true(finding_is_known(&row));
  row.kind = FINDING_KINDS;
  assert_false(finding_is_known(&row));
  row.kind = FINDING_LOSS; /* has one measure */
  assert_false(finding_is_known(&row));
  row.criterion = 0;
  row.severity = FINDING_CRITICAL + 1;
  assert_false(finding_is_known(&row));
  row.severity = 0;
  row.track = 2;
  assert_false(finding_is_known(&row));
  row.track = -2;
  assert_false(finding_is_known(&row));
  row.track = 0;
  row.start_ms = INT64_MAX; /* nothing can be added to it */
  assert_false(finding_is_known(&row));
  row.start_ms = 0;
  row.end_ms = INT64_MIN;
  assert_false(finding_is_known(&row));
  row.end_ms = -1;
  assert_true(finding_is_known(&row));
}

static void every_member_has_a_field(void **state) {
  (void)state;
  size_t bytes = 0;
  for (size_t i = 0; i < finding_row_field_count; i++) bytes += finding_row_fields[i].count * FIELD_BYTES;
  assert_int_equal(bytes, sizeof(struct finding_row));
  assert_int_equal(finding_field_count, 1);
  assert_int_equal(finding_fields[0].offset, offsetof(struct finding_facts, cut));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_begin_with_the_name),      cmocka_unit_test(a_short_text_is_cut),
      cmocka_unit_test(limits_are_the_texts),           cmocka_unit_test(a_track_has_two_severities_of_level),
      cmocka_unit_test(foreign_rows_are_known_as_such), cmocka_unit_test(every_member_has_a_field),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
