/* The worked cases and the telephone sample of speech-metrics.md 4, each figure exactly, and what
 * holds for a speech engine whatever was said. Random calls: test_speech_random.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/speech.h"
#include "dsp/speech_facts.h"
#include "tests/speech_log.h"

enum { AT_MOST = 16 };

/* A is track 0, B track 1. Lists end at the first entry of all zeros. */
struct worked {
  const char *name;
  int T;
  struct m_span raw[AT_MOST];
  int talk[2], overlap, silence;
  struct m_span turn[AT_MOST];
  struct m_number fto[AT_MOST], pause[AT_MOST];
  struct speech_event event[AT_MOST];
};

static const struct worked worked[] = {
    {"plain exchange", 6000, .raw = {{0, 0, 2000}, {0, 4500, 6000}, {1, 2300, 4200}}, .talk = {3500, 1900},
     .overlap = 0, .silence = 600, .turn = {{0, 0, 2000}, {1, 2300, 4200}, {0, 4500, 6000}},
     .fto = {{1, 300}, {0, 300}}},
    {"gap of 150 bridged, of 250 kept", 3000, .raw = {{0, 0, 1000}, {0, 1150, 2000}, {0, 2250, 3000}},
     .talk = {2750, 0}, .overlap = 0, .silence = 250, .turn = {{0, 0, 3000}}, .pause = {{0, 250}}},
    {"click of 80 dropped", 3000, .raw = {{0, 0, 1000}, {1, 2000, 2080}}, .talk = {1000, 0}, .overlap = 0,
     .silence = 2000, .turn = {{0, 0, 1000}}},
    {"backchannel in overlap", 6000, .raw = {{0, 0, 6000}, {1, 2500, 2900}}, .talk = {6000, 400},
     .overlap = 400, .silence = 0, .turn = {{0, 0, 6000}}, .event = {{SPEECH_BACKCHANNEL, 1, 2500, 400}}},
    {"backchannel in a pause", 5000, .raw = {{0, 0, 2000}, {0, 3000, 5000}, {1, 2300, 2600}},
     .talk = {4000, 300}, .overlap = 0, .silence = 700, .turn = {{0, 0, 5000}}, .pause = {{0, 300}, {0, 400}},
     .event = {{SPEECH_BACKCHANNEL, 1, 2300, 300}}},
    {"two-word backchannel", 6000, .raw = {{0, 0, 6000}, {1, 2000, 2400}, {1, 3000, 3400}},
     .talk = {6000, 800}, .overlap = 800, .silence = 0, .turn = {{0, 0, 6000}},
     .event = {{SPEECH_BACKCHANNEL, 1, 2000, 800}}},
    {"terminal overlap", 5000, .raw = {{0, 0, 3000}, {1, 2700, 5000}}, .talk = {3000, 2300}, .overlap = 300,
     .silence = 0, .turn = {{0, 0, 3000}, {1, 2700, 5000}}, .fto = {{1, -300}},
     .event = {{SPEECH_OVERLAPPED_TRANSITION, 1, 2700, 300}}},
    {"successful interruption", 6000, .raw = {{0, 0, 4000}, {1, 3000, 6000}}, .talk = {4000, 3000},
     .overlap = 1000, .silence = 0, .turn = {{0, 0, 4000}, {1, 3000, 6000}}, .fto = {{1, -1000}},
     .event = {{SPEECH_INTERRUPTION, 1, 3000, 1000}}},
    {"attempt", 6000, .raw = {{0, 0, 6000}, {1, 2000, 3500}}, .talk = {6000, 1500}, .overlap = 1500,
     .silence = 0, .turn = {{0, 0, 6000}}, .event = {{SPEECH_ATTEMPT, 1, 2000, 1500}}},
    {"simultaneous start", 5000, .raw = {{0, 1000, 3000}, {1, 1120, 1900}, {1, 3400, 5000}},
     .talk = {2000, 2380}, .overlap = 780, .silence = 1400, .turn = {{0, 1000, 3000}, {1, 3400, 5000}},
     .fto = {{1, 400}}, .event = {{SPEECH_SIMULTANEOUS_START, -1, 1120, 780}}},
    {"short answer is a turn", 4000, .raw = {{0, 0, 2000}, {1, 2300, 2700}}, .talk = {2000, 400},
     .overlap = 0, .silence = 1600, .turn = {{0, 0, 2000}, {1, 2300, 2700}}, .fto = {{1, 300}}},
    {"dead air splits the monologue", 7000, .raw = {{0, 0, 2000}, {0, 5500, 6500}}, .talk = {3000, 0},
     .overlap = 0, .silence = 4000, .turn = {{0, 0, 2000}, {0, 5500, 6500}}},
    {"mutual interruption", 7000, .raw = {{0, 0, 3000}, {0, 4000, 7000}, {1, 2000, 4800}},
     .talk = {6000, 2800}, .overlap = 1800, .silence = 0,
     .turn = {{0, 0, 3000}, {1, 2000, 4800}, {0, 4000, 7000}}, .fto = {{1, -1000}, {0, -800}},
     .event = {{SPEECH_INTERRUPTION, 1, 2000, 1000}, {SPEECH_INTERRUPTION, 0, 4000, 800}}},
    {"short reply, then the asker goes on", 5000, .raw = {{0, 0, 2000}, {0, 3200, 5000}, {1, 2400, 2800}},
     .talk = {3800, 400}, .overlap = 0, .silence = 800, .turn = {{0, 0, 5000}}, .pause = {{0, 400}, {0, 400}},
     .event = {{SPEECH_BACKCHANNEL, 1, 2400, 400}}},
    {"no gap, no overlap", 4000, .raw = {{0, 0, 2000}, {1, 2000, 4000}}, .talk = {2000, 2000}, .overlap = 0,
     .silence = 0, .turn = {{0, 0, 2000}, {1, 2000, 4000}}, .fto = {{1, 0}}},
    {"interruption in two pushes", 6000, .raw = {{0, 0, 4000}, {1, 2000, 2800}, {1, 3100, 6000}},
     .talk = {4000, 3700}, .overlap = 1700, .silence = 0, .turn = {{0, 0, 4000}, {1, 2000, 6000}},
     .fto = {{1, -2000}}, .event = {{SPEECH_INTERRUPTION, 1, 2000, 1700}}},
    {"holder goes on after an overlapped answer", 6000,
     .raw = {{0, 0, 1700}, {0, 2250, 6000}, {1, 1600, 2710}}, .talk = {5450, 1110}, .overlap = 560,
     .silence = 0, .turn = {{0, 0, 1700}, {1, 1600, 2710}, {0, 2250, 6000}}, .fto = {{1, -100}, {0, -460}},
     .event = {{SPEECH_OVERLAPPED_TRANSITION, 1, 1600, 100}, {SPEECH_OVERLAPPED_TRANSITION, 0, 2250, 460}}},
};
_Static_assert(sizeof worked / sizeof worked[0] == 17, "all cases of the table");

/* The sample of real labels, whose input is its RTTM file. */
static const struct worked sample = {"telephone sample",
                                     30000,
                                     .talk = {11850, 12500},
                                     .overlap = 1890,
                                     .silence = 7540,
                                     .turn = {{0, 6690, 10020},
                                              {1, 9920, 11030},
                                              {0, 10570, 14700},
                                              {1, 14490, 17920},
                                              {0, 18050, 21490},
                                              {1, 21780, 28500},
                                              {0, 27850, 30000}},
                                     .fto = {{1, -100}, {0, -460}, {1, -210}, {0, 130}, {1, 290}, {0, -650}},
                                     .pause = {{0, 430}},
                                     .event = {{SPEECH_BACKCHANNEL, 1, 7550, 800},
                                               {SPEECH_OVERLAPPED_TRANSITION, 1, 9920, 100},
                                               {SPEECH_OVERLAPPED_TRANSITION, 0, 10570, 460},
                                               {SPEECH_OVERLAPPED_TRANSITION, 1, 14490, 210},
                                               {SPEECH_SIMULTANEOUS_START, -1, 18150, 440},
                                               {SPEECH_INTERRUPTION, 0, 27850, 650}}};

static struct speech *engine, *second;
static struct speech_facts facts, again;
static struct speech_log log_;
static struct call call;

static int setup(void **state) {
  (void)state;
  engine = malloc(speech_bytes());
  second = malloc(speech_bytes());
  return engine && second ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  free(engine);
  free(second);
  return 0;
}

static void begin(struct speech *s) {
  speech_init(s, &speech_defaults);
  memset(&log_, 0, sizeof log_);
  speech_set_observer(s, log_note, &log_);
}

/* In frames of 10 ms where the spans allow it, as a detector would. */
static void feed_frames(struct speech *s, const struct worked *w, int swap) {
  for (int at = 0; at < w->T; at += 10) {
    for (int t = 0; t < 2; t++) {
      bool speech = false;
      for (int i = 0; i < AT_MOST && w->raw[i].e; i++) {
        const struct m_span *span = &w->raw[i];
        if (span->track == t) speech |= span->s <= at && at < span->e;
      }
      speech_feed(s, t ^ swap, at, at + 10, speech);
    }
  }
}

static void expect_lists(const struct worked *w) {
  int n = 0;
  while (n < AT_MOST && w->turn[n].e) n++;
  assert_int_equal(log_.turns, n);
  qsort(log_.turn, (size_t)log_.turns, sizeof log_.turn[0], by_span);
  for (int i = 0; i < n; i++) {
    assert_int_equal(log_.turn[i].track, w->turn[i].track);
    assert_int_equal(log_.turn[i].s, w->turn[i].s);
    assert_int_equal(log_.turn[i].e, w->turn[i].e);
  }
  /* A change to +0 is told too, so the number of FTOs is that of the changes. */
  int changes = 0;
  for (int i = 1; i < n; i++) changes += w->turn[i].track != w->turn[i - 1].track;
  assert_int_equal(log_.ftos, changes);
  for (int i = 0; i < changes; i++) {
    assert_int_equal(log_.fto[i].track, w->fto[i].track);
    assert_int_equal(log_.fto[i].ms, w->fto[i].ms);
  }
  for (n = 0; n < AT_MOST && w->pause[n].ms; n++) {
    assert_int_equal(log_.pause[n].track, w->pause[n].track);
    assert_int_equal(log_.pause[n].ms, w->pause[n].ms);
  }
  assert_int_equal(log_.pauses, n);
  for (n = 0; n < AT_MOST && w->event[n].overlap_ms; n++) {
    assert_int_equal(by_event(&log_.event[n], &w->event[n]), 0);
    assert_int_equal(by_event(&facts.events[n], &w->event[n]), 0);
  }
  assert_int_equal(log_.events, n);
  assert_int_equal(facts.event_count, n);
}

static void expect_figures(const struct worked *w) {
  assert_int_equal(facts.duration_ms, w->T);
  assert_int_equal(facts.talk_ms[0], w->talk[0]);
  assert_int_equal(facts.talk_ms[1], w->talk[1]);
  assert_int_equal(facts.overlap_ms, w->overlap);
  assert_int_equal(facts.silence_ms, w->silence);
  assert_int_equal(facts.forced_cuts, 0);
}

static void test_worked_cases(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof worked / sizeof worked[0]; i++) {
    printf("  case %zu: %s\n", i + 1, worked[i].name);
    begin(engine);
    feed_frames(engine, &worked[i], 0);
    speech_finish(engine, worked[i].T, &facts);
    expect_figures(&worked[i]);
    expect_lists(&worked[i]);
  }
}

/* The model is held to the same cases before it may judge. */
static void test_the_model_on_the_worked_cases(void **state) {
  (void)state;
  static struct model model;
  static struct speech_facts expected;
  for (size_t i = 0; i < sizeof worked / sizeof worked[0]; i++) {
    memset(&call, 0, sizeof call);
    call.T = worked[i].T;
    for (int k = 0; k < AT_MOST && worked[i].raw[k].e; k++) {
      const struct m_span *span = &worked[i].raw[k];
      memset(call.raw[span->track] + span->s, 1, (size_t)(span->e - span->s));
    }
    model_run(&model, &call);
    begin(engine);
    feed_frames(engine, &worked[i], 0);
    speech_finish(engine, worked[i].T, &facts);
    model_facts(&model, &expected);
    assert_null(facts_differ(&facts, &expected));
    assert_null(lists_differ(&model, &log_));
  }
}

static void test_telephone_sample(void **state) {
  (void)state;
  const char *shared = getenv("SIDETONE_SHARED");
  char path[4096];
  snprintf(path, sizeof path, "%s/data/audio/telephone-sample/sample.rttm", shared ? shared : "../shared");
  FILE *rttm = fopen(path, "r");
  if (!rttm) fail_msg("%s is missing: set SIDETONE_SHARED to the folder of shared data", path);
  begin(engine);
  char line[256], speaker[64];
  double start_s, length_s;
  while (fgets(line, sizeof line, rttm)) {
    if (sscanf(line, "SPEAKER %*s %*s %lf %lf %*s %*s %63s", &start_s, &length_s, speaker) != 3) continue;
    int64_t start_ms = (int64_t)(start_s * 1000 + 0.5);
    int track = strcmp(speaker, "speaker91") == 0;
    speech_feed(engine, track, start_ms, start_ms + (int64_t)(length_s * 1000 + 0.5), true);
  }
  fclose(rttm);
  speech_finish(engine, sample.T, &facts);
  expect_figures(&sample);
  expect_lists(&sample);
  assert_int_equal(facts.dead_airs, 1);
  assert_int_equal(facts.dead_air_ms, 6690);
  assert_int_equal(facts.longest_monologue_ms[0], 4130);
  assert_int_equal(facts.longest_monologue_ms[1], 6720);
  assert_int_equal(facts.first_speech_ms[0], 6690);
  assert_int_equal(facts.first_speech_ms[1], 7550);
  assert_true(speech_response_ms(&facts, 0).mean_ms == 130 && speech_response_ms(&facts, 1).mean_ms == 290);
}

static void test_dead_air_of_case_12(void **state) {
  (void)state;
  begin(engine);
  feed_frames(engine, &worked[11], 0);
  speech_facts(engine, 7000, &facts);
  assert_int_equal(facts.dead_airs, 1);
  assert_int_equal(facts.dead_air_ms, 3500);
  speech_facts(engine, 9499, &facts); /* silence to 9499: 2999 ms */
  assert_int_equal(facts.dead_airs, 1);
  speech_facts(engine, 9500, &facts);
  assert_int_equal(facts.dead_airs, 2);
  assert_int_equal(facts.dead_air_ms, 6500);
}

static void test_looking_changes_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof worked / sizeof worked[0]; i++) {
    begin(engine);
    speech_init(second, &speech_defaults);
    for (int at = 0; at < worked[i].T; at += 10) {
      for (int t = 0; t < 2; t++) {
        bool speech = false;
        for (int k = 0; k < AT_MOST && worked[i].raw[k].e; k++) {
          const struct m_span *span = &worked[i].raw[k];
          if (span->track == t) speech |= span->s <= at && at < span->e;
        }
        speech_feed(engine, t, at, at + 10, speech);
        speech_feed(second, t, at, at + 10, speech);
        int told = log_.events + log_.turns + log_.ftos + log_.pauses + log_.ipus;
        speech_facts(engine, at + 10, &facts);
        assert_int_equal(told, log_.events + log_.turns + log_.ftos + log_.pauses + log_.ipus);
      }
    }
    speech_facts(engine, worked[i].T, &facts);
    speech_facts(second, worked[i].T, &again);
    assert_null(facts_differ(&facts, &again));
    assert_null(events_differ(&facts, &again));
    speech_finish(engine, worked[i].T, &again);
    assert_null(facts_differ(&facts, &again));
    assert_null(events_differ(&facts, &again));
  }
}

static void test_one_track(void **state) {
  (void)state;
  speech_init(engine, &speech_defaults);
  for (int i = 0; i < 3000; i++) { /* far more than may wait for the other track */
    speech_feed(engine, 1, i * 2000, i * 2000 + 1500, true);
    speech_feed(engine, 1, i * 2000 + 1500, i * 2000 + 2000, false);
  }
  speech_facts(engine, 6000000, &facts);
  assert_int_equal(facts.present[0], 0);
  assert_int_equal(facts.present[1], 1);
  assert_int_equal(facts.talk_ms[0], 0);
  assert_int_equal(facts.talk_ms[1], 4500000);
  assert_int_equal(facts.silence_ms, 1500000);
  assert_int_equal(facts.turns[1], 1);
  assert_int_equal(facts.pauses[1], 2999);
  assert_int_equal(facts.longest_monologue_ms[1], 5999500);
  assert_int_equal(facts.forced_cuts, 0);
}

/* A track that comes after the other has run out of room: its speech before that is cut away, once. */
static void test_a_track_that_comes_too_late(void **state) {
  (void)state;
  speech_init(engine, &speech_defaults);
  for (int i = 0; i < 1000; i++) speech_feed(engine, 0, i * 2000, i * 2000 + 1500, true);
  speech_feed(engine, 1, 100, 400, true);
  speech_feed(engine, 1, 1000, 1200, true);
  speech_feed(engine, 1, 1998500, 1999900, true);
  speech_facts(engine, 2000000, &facts);
  assert_int_equal(facts.forced_cuts, 1);
  assert_int_equal(facts.talk_ms[0], 1500000);
  assert_int_equal(facts.talk_ms[1], 1400);
  assert_int_equal(facts.talk_ms[0] + facts.talk_ms[1] - facts.overlap_ms + facts.silence_ms, 2000000);
}

static void test_nothing_heard(void **state) {
  (void)state;
  begin(engine);
  speech_facts(engine, 0, &facts);
  memset(&again, 0, sizeof again);
  assert_null(facts_differ(&facts, &again));
  assert_null(events_differ(&facts, &again));
  speech_facts(engine, 5000, &facts);
  assert_int_equal(facts.silence_ms, 5000);
  assert_int_equal(facts.dead_airs, 1);
}

/* What was fed counts, also when the caller's clock is behind it. */
static void test_duration_is_not_below_what_was_fed(void **state) {
  (void)state;
  begin(engine);
  speech_feed(engine, 0, 0, 1000, true);
  speech_facts(engine, 400, &facts);
  assert_int_equal(facts.duration_ms, 1000);
  assert_int_equal(facts.talk_ms[0], 1000);
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(speech_event_name(SPEECH_BACKCHANNEL), "backchannel");
  assert_string_equal(speech_event_name(SPEECH_SIMULTANEOUS_START), "simultaneous_start");
  assert_string_equal(speech_event_name(SPEECH_OVERLAPPED_TRANSITION), "overlapped_transition");
  assert_string_equal(speech_event_name(SPEECH_INTERRUPTION), "interruption");
  assert_string_equal(speech_event_name(SPEECH_ATTEMPT), "attempt");
}

static void test_size(void **state) {
  (void)state;
  assert_in_range(speech_bytes(), 1, 50 * 1024);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_worked_cases),
      cmocka_unit_test(test_the_model_on_the_worked_cases),
      cmocka_unit_test(test_telephone_sample),
      cmocka_unit_test(test_dead_air_of_case_12),
      cmocka_unit_test(test_looking_changes_nothing),
      cmocka_unit_test(test_one_track),
      cmocka_unit_test(test_a_track_that_comes_too_late),
      cmocka_unit_test(test_nothing_heard),
      cmocka_unit_test(test_duration_is_not_below_what_was_fed),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_size),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
