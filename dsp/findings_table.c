/* The findings of voice-quality.md 8 with the limits of its section 5, and their words. To add one: an
 * enumerator at the end of enum finding_kind, and a row here. */
#include "dsp/findings_table.h"

#include <math.h>
#include <stdio.h>

#define FIGURE(member_)           (int)offsetof(struct finding_values, member_)
#define OF(member_)               FIGURE(member_), FINDING_NO_MEASURE
#define OF_WITH(member_, detail_) FIGURE(member_), FIGURE(detail_)
#define GIVEN                     FINDING_NO_MEASURE, FINDING_NO_MEASURE

/* Limits: beyond which it warns, beyond which it is bad, on whose good side it is over. */
#define MORE(warn_, bad_, clear_) .sign = 1, .warn = (warn_), .bad = (bad_), .clear = (clear_)
#define LESS(warn_, bad_, clear_) .sign = -1, .warn = (warn_), .bad = (bad_), .clear = (clear_)
/* There or not, by somebody else's judgement. */
#define THERE MORE(-1, NEVER, -1)
#define NEVER INFINITY

#define WINDOWS(open_, close_) .open_windows = (open_), .close_windows = (close_)
#define WORDS(before_, unit_, decimals_) \
  .scale = 1, .before = (before_), .unit = (unit_), .decimals = (decimals_)
#define SECONDS_OF_MS(before_) .scale = 0.001, .before = (before_), .unit = " s", .decimals = 1
#define AND(before_, unit_, decimals_) \
  .detail_before = (before_), .detail_unit = (unit_), .detail_decimals = (decimals_)

#define HEAD(name_, bad_name_, type_, warn_, bad_, join_ms_) \
  name_, bad_name_, type_, FINDING_##warn_, FINDING_##bad_, join_ms_

const struct finding_kind_row finding_table[FINDING_KINDS] = {
    [FINDING_ECHO] = {HEAD("echo", NULL, "echo", MEDIUM, HIGH, 0),
                      {{GIVEN, LESS(INFINITY, 20, INFINITY), WINDOWS(1, 3), WORDS("ERL ", " dB", 1),
                        AND(", delay ", " ms", 0)}}},
    [FINDING_CLIPPING] = {HEAD("clipping", NULL, "static", MEDIUM, HIGH, 0),
                          {{OF(clip_pct), MORE(0.1, 1, 0.05), WINDOWS(2, 2),
                            WORDS("", " % of active samples", 1)}}},
    [FINDING_HUM] = {HEAD("hum", NULL, "static", MEDIUM, MEDIUM, 0),
                     {{OF_WITH(hum_dbov, hum_hz), MORE(-55, NEVER, -58), WINDOWS(1, 2), WORDS("", " dBov", 1),
                       AND(" at ", " Hz", 0)}}},
    [FINDING_NOISE] = {HEAD("noise", NULL, "static", MEDIUM, HIGH, 0),
                       {{OF(snr_db), LESS(20, 10, 23), WINDOWS(2, 2), WORDS("SNR ", " dB", 1)},
                        {OF(noise_dbov), MORE(-50, NEVER, -53), WINDOWS(2, 2), WORDS("", " dBov", 1)}}},
    [FINDING_MUTE_GAPS] = {HEAD("mute gaps", NULL, "choppy", MEDIUM, MEDIUM, 0),
                           {{OF(mute_gaps_per_min), MORE(20, NEVER, 10), WINDOWS(2, 2),
                             WORDS("", " a minute of activity", 0)}}},
    [FINDING_INSERTED_SILENCE] = {HEAD("inserted silence", NULL, "choppy", MEDIUM, MEDIUM, 0),
                                  {{OF(inserted_silence_pct), MORE(1, NEVER, 0.5), WINDOWS(2, 2),
                                    WORDS("", " % of frames", 1)}}},
    [FINDING_LOSS] = {HEAD("loss", NULL, "choppy", MEDIUM, HIGH, 0),
                      {{OF_WITH(r, loss_pct), LESS(70, 60, 75), WINDOWS(2, 2), WORDS("R ", "", 1),
                        AND(", ", " % of frames", 1)}}},
    [FINDING_ONE_WAY] = {HEAD("one-way", NULL, "one-way-audio", CRITICAL, CRITICAL, 0),
                         {{GIVEN, THERE, WINDOWS(1, 1), SECONDS_OF_MS("silent for ")}}},
    [FINDING_STALL] = {HEAD("stall", NULL, "delay", MEDIUM, HIGH, FINDING_JOIN_MS),
                       {{GIVEN, MORE(1000, 3000, 1000), WINDOWS(1, 1), SECONDS_OF_MS("")}}},
    [FINDING_LATENCY] = {HEAD("latency", NULL, "delay", MEDIUM, MEDIUM, 0),
                         {{OF(ta_ms), MORE(400, NEVER, 350), WINDOWS(2, 2),
                           WORDS("", " ms mouth to ear", 0)}}},
    [FINDING_LEVEL_LOW] = {HEAD("level low", "level very low", "volume-low", MEDIUM, HIGH, 0),
                           {{OF(active_level_dbov), LESS(-36, -46, -34), WINDOWS(2, 2),
                             WORDS("", " dBov", 1)}}},
    [FINDING_LEVEL_HIGH] = {HEAD("level high", NULL, "volume-high", MEDIUM, MEDIUM, 0),
                            {{OF(active_level_dbov), MORE(-16, NEVER, -18), WINDOWS(2, 2),
                              WORDS("", " dBov", 1)}}},
    [FINDING_NO_MEDIA] = {HEAD("no media", NULL, "dropped", CRITICAL, CRITICAL, FINDING_JOIN_MS),
                          {{GIVEN, THERE, WINDOWS(1, 1), SECONDS_OF_MS("")}}},
    [FINDING_STREAM_OUTAGE] = {HEAD("stream outage", NULL, "dropped", CRITICAL, CRITICAL, 0),
                               {{GIVEN, THERE, WINDOWS(1, 1), SECONDS_OF_MS("")}}},
    /* In kHz: the sound's own sample rate, and the stream's. */
    [FINDING_CODEC_MISMATCH] = {HEAD("codec mismatch", NULL, "other", MEDIUM, MEDIUM, 0),
                                {{GIVEN, LESS(INFINITY, -INFINITY, INFINITY), WINDOWS(1, 1),
                                  WORDS("sound sampled at ", " kHz", 0), AND(", stream at ", " kHz", 0)}}},
    [FINDING_DEAD_AIR] = {HEAD("dead air", NULL, "other", MEDIUM, MEDIUM, 0),
                          {{GIVEN, THERE, WINDOWS(1, 1), SECONDS_OF_MS("")}}},
    [FINDING_DC_OFFSET] = {HEAD("dc offset", NULL, "other", MEDIUM, MEDIUM, 0),
                           {{OF(dc), MORE(0.01, NEVER, 0.008), WINDOWS(2, 2), .magnitude = true,
                             WORDS("", " of full scale", 3)}}},
};

#define ROW(member_, type_) FIELD(finding_row, member_, type_, MERGE_FIRST)
const struct field finding_fields[] = {FIELD(finding_facts, cut, FIELD_U64, MERGE_SUM)};
const size_t finding_field_count = sizeof finding_fields / sizeof *finding_fields;
const struct field finding_row_fields[] = {
    ROW(kind, FIELD_U64),     ROW(track, FIELD_I64),  ROW(severity, FIELD_U64), ROW(criterion, FIELD_U64),
    ROW(start_ms, FIELD_I64), ROW(end_ms, FIELD_I64), ROW(value, FIELD_F64),    ROW(detail, FIELD_F64),
};
const size_t finding_row_field_count = sizeof finding_row_fields / sizeof *finding_row_fields;

static double badness(const struct finding_criterion *c, double value) {
  return c->sign * (c->magnitude ? fabs(value) : value);
}

int finding_grade(const struct finding_criterion *c, double value) {
  double bad = badness(c, value);
  if (bad > c->sign * c->bad) return 2;
  return bad > c->sign * c->warn ? 1 : 0;
}

bool finding_is_clear(const struct finding_criterion *c, double value) {
  return badness(c, value) <= c->sign * c->clear;
}

bool finding_is_worse(const struct finding_criterion *c, double a, double b) {
  if (isnan(b)) return !isnan(a);
  return badness(c, a) > badness(c, b);
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_time(int64_t ms) {
  const int64_t most_ms = INT64_C(1) << 53;
  return ms >= -most_ms && ms <= most_ms;
}

bool finding_is_known(const struct finding_row *row) {
  return row->kind < FINDING_KINDS && row->track >= FINDING_BOTH_TRACKS && row->track < FINDING_LANES - 1 &&
         row->severity <= FINDING_CRITICAL && is_time(row->start_ms) && is_time(row->end_ms) &&
         row->criterion < FINDING_CRITERIA_MAX &&
         finding_table[row->kind].criterion[row->criterion].sign != 0;
}

const char *finding_type(enum finding_kind kind) {
  return finding_table[kind].type;
}

const char *finding_severity_name(enum finding_severity severity) {
  static const char *const names[] = {[FINDING_LOW] = "low",
                                      [FINDING_MEDIUM] = "medium",
                                      [FINDING_HIGH] = "high",
                                      [FINDING_CRITICAL] = "critical"};
  return names[severity];
}

const char *finding_name(const struct finding_row *row) {
  const struct finding_kind_row *of = &finding_table[row->kind];
  return of->bad_name != NULL && row->severity >= of->bad ? of->bad_name : of->name;
}

const char *finding_describe(const struct finding_row *row, char *text, size_t size) {
  const struct finding_criterion *c = &finding_table[row->kind].criterion[row->criterion];
  char figure[64] = "", detail[64] = "";
  if (!isnan(row->value)) {
    snprintf(figure, sizeof figure, ": %s%.*f%s", c->before, c->decimals, row->value * c->scale, c->unit);
    if (c->detail_before != NULL && !isnan(row->detail))
      snprintf(detail, sizeof detail, "%s%.*f%s", c->detail_before, c->detail_decimals, row->detail,
               c->detail_unit);
  }
  snprintf(text, size, "%s%s%s", finding_name(row), figure, detail);
  return text;
}
