/* Random two-track calls: dsp/speech against the slow model of speech_model.h, and what must hold
 * however a call is fed. The seed of a failing call is printed with the call; RANDOM_SEED in the
 * environment starts from another one. */
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
#include "tests/random_case.h"
#include "tests/speech_log.h"

static struct speech *engine;
static struct speech_facts facts, again, expected;
static struct speech_log log_;
static struct model model;
static struct call call, other_call;

static int setup(void **state) {
  (void)state;
  engine = malloc(speech_bytes());
  return engine ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  free(engine);
  return 0;
}

static void expect(const char *difference, const char *what) {
  if (!difference) return;
  print_call(&call);
  fail_msg("seed %llu, %s: %s differ", (unsigned long long)seed, what, difference);
}

/* Kinds of talk: longest run and gap, and the grid times lie on. A coarse grid meets the limits of the
 * rules exactly, and makes the tracks start and end together. */
static const struct {
  int run_ms, gap_ms, grid_ms;
} talk[] = {
    {3000, 3000, 10}, {1500, 700, 10},   {5000, 400, 10},   {400, 1200, 10},
    {900, 900, 10},   {2000, 1500, 50},  {1200, 1200, 100}, {2000, 600, 100},
    {500, 500, 100},  {300, 250, 10},    {8000, 5000, 10},  {30000, 300, 10},
    {700, 1100, 1},   {2500, 1200, 500}, {1500, 1500, 250}, {200, 6000, 10},
};
enum { TALKS = sizeof talk / sizeof talk[0] };

static void random_track(struct call *c, int t, int kind) {
  int grid = talk[kind].grid_ms, at = below(talk[kind].gap_ms / grid + 1) * grid;
  while (at < c->T) {
    int end = at + (1 + below(talk[kind].run_ms / grid)) * grid;
    if (end > c->T) end = c->T;
    memset(c->raw[t] + at, 1, (size_t)(end - at));
    at = end + (1 + below(talk[kind].gap_ms / grid)) * grid;
  }
}

static void random_call(struct call *c) {
  memset(c, 0, sizeof *c);
  c->T = 10 * (1 + below(below(20) ? 4000 : 11000));
  int kind = below(TALKS);
  random_track(c, 0, kind);
  int how = below(40);
  if (how == 0) return; /* one track silent */
  if (how == 1) {       /* the same sound on both */
    memcpy(c->raw[1], c->raw[0], sizeof c->raw[1]);
    return;
  }
  random_track(c, 1, below(3) ? kind : below(TALKS));
  if (how > 12) return;
  /* A conversation: one mostly waits for the other, and answers late, early or with a word. */
  for (int i = 0; i + 1 < c->T; i++) {
    if (c->raw[0][i] && !c->raw[0][i + 1] && below(3)) {
      int s = i + 10 * (below(140) - 60), e = s + 10 * (10 + below(150));
      for (int k = s - 1200; k < e + 500; k++) {
        if (k >= 0 && k < c->T) c->raw[1][k] = k >= s && k < e;
      }
    }
  }
}

/* Feeds a track from at to some later time in pieces of one kind of sound, of any length up to `most`. */
static int feed_piece(struct speech *s, const struct call *c, int t, int at, int most) {
  int end = at + 1, limit = at + 1 + below(most);
  while (end < c->T && end < limit && c->raw[t][end] == c->raw[t][at]) end++;
  /* Silence may be left out. */
  if (c->raw[t][at] || below(8)) speech_feed(s, t, at, end, c->raw[t][at]);
  return end;
}

/* One or other track in turn, one of them mostly ahead of the other, by `apart` ms at most. */
static void feed_random(struct speech *s, const struct call *c, int most, int apart, int swap) {
  int at[2] = {0, 0}, ahead = below(2), odds = 2 + below(50);
  while (at[0] < c->T || at[1] < c->T) {
    int t = below(odds) ? ahead : 1 - ahead;
    if (at[t] - at[1 - t] > apart || at[t] >= c->T) t = 1 - t;
    if (at[t] >= c->T) t = 1 - t;
    if (swap) {
      int end = at[t] + 1, limit = at[t] + 1 + below(most);
      while (end < c->T && end < limit && c->raw[t][end] == c->raw[t][at[t]]) end++;
      speech_feed(s, 1 - t, at[t], end, c->raw[t][at[t]]);
      at[t] = end;
    } else {
      at[t] = feed_piece(s, c, t, at[t], most);
    }
  }
}

static void run(const struct call *c, int most, int apart, int swap, struct speech_facts *out) {
  speech_init(engine, &speech_defaults);
  memset(&log_, 0, sizeof log_);
  speech_set_observer(engine, log_note, &log_);
  feed_random(engine, c, most, apart, swap);
  speech_finish(engine, c->T, out);
}

static void test_against_the_model(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 6000; i++) {
    start_random(i);
    random_call(&call);
    model_run(&model, &call);
    model_facts(&model, &expected);
    run(&call, 1 + below(4000), below(60000), 0, &facts);
    expect(facts_differ(&facts, &expected), "facts");
    expect(lists_differ(&model, &log_), "lists");
    assert_int_equal(facts.forced_cuts, 0);
  }
}

/* At any moment of a call the facts are those of a call that ended there. */
static void test_live_against_the_model(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 300; i++) {
    start_random(100000 + i);
    random_call(&call);
    speech_init(engine, &speech_defaults);
    memset(&other_call, 0, sizeof other_call);
    int at[2] = {0, 0};
    for (int look = 0; look < 12 && (at[0] < call.T || at[1] < call.T); look++) {
      for (int n = below(30); n > 0; n--) {
        int t = below(2), from = at[t];
        if (from >= call.T) continue;
        at[t] = feed_piece(engine, &call, t, from, 3000);
        memcpy(other_call.raw[t] + from, call.raw[t] + from, (size_t)(at[t] - from));
      }
      other_call.T = (at[0] > at[1] ? at[0] : at[1]) + below(2) * below(5000);
      if (other_call.T > MODEL_MS) other_call.T = MODEL_MS;
      model_run(&model, &other_call);
      model_facts(&model, &expected);
      speech_facts(engine, other_call.T, &facts);
      expect(facts_differ(&facts, &expected), "live facts");
    }
  }
}

static void test_pieces_of_any_size(void **state) {
  (void)state;
  static const int most[] = {1, 10, 37, 1000, 100000};
  for (uint64_t i = 0; i < 2000; i++) {
    start_random(200000 + i);
    random_call(&call);
    run(&call, 20, 0, 0, &facts);
    run(&call, most[below(5)], below(4) ? below(3000) : 1000000, 0, &again);
    expect(facts_differ(&facts, &again), "fed in other pieces");
    expect(events_differ(&facts, &again), "fed in other pieces");
  }
}

static void expect_swapped_events(void) {
  assert_int_equal(facts.event_count, again.event_count);
  for (uint64_t i = 0; i < facts.event_count; i++) {
    struct speech_event event = again.events[i];
    if (event.by >= 0) event.by = (int8_t)(1 - event.by);
    if (by_event(&event, &facts.events[i]) != 0) expect("events", "tracks swapped");
  }
}

static void test_swapped_tracks(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 2000; i++) {
    start_random(300000 + i);
    random_call(&call);
    run(&call, 1000, 0, 0, &facts);
    run(&call, 1000, 0, 1, &again);
    expect_swapped_events();
    expected = again;
    for (size_t k = 0; k < speech_field_count; k++) {
      const struct field *row = &speech_fields[k];
      if (row->count == 1) continue;
      size_t half = row->count * 8 / 2;
      char *to = (char *)&expected + row->offset;
      const char *from = (const char *)&again + row->offset;
      memcpy(to, from + half, half);
      memcpy(to + half, from, half);
    }
    expect(facts_differ(&facts, &expected), "tracks swapped");
  }
}

static void test_shifted_in_time(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 1000; i++) {
    start_random(400000 + i);
    random_call(&call);
    if (call.T > MODEL_MS / 2) continue;
    int shift = 1 + below(20000);
    memset(&other_call, 0, sizeof other_call);
    other_call.T = call.T + shift;
    for (int t = 0; t < 2; t++) memcpy(other_call.raw[t] + shift, call.raw[t], (size_t)call.T);
    run(&call, 500, 1000, 0, &facts);
    run(&other_call, 500, 1000, 0, &again);
    for (uint64_t k = 0; k < facts.event_count; k++) facts.events[k].start_ms += (uint32_t)shift;
    for (int t = 0; t < 2; t++) facts.first_speech_ms[t] += facts.talk_ms[t] ? (uint64_t)shift : 0;
    facts.duration_ms += (uint64_t)shift;
    facts.silence_ms += (uint64_t)shift;
    facts.dead_airs = again.dead_airs; /* the silence before may have become or joined one */
    facts.dead_air_ms = again.dead_air_ms;
    expect(facts_differ(&facts, &again), "shifted");
    expect(events_differ(&facts, &again), "shifted");
  }
}

static void test_silence_at_the_end(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 1000; i++) {
    start_random(500000 + i);
    random_call(&call);
    run(&call, 500, 1000, 0, &facts);
    int more = 1 + below(20000);
    speech_init(engine, &speech_defaults);
    feed_random(engine, &call, 500, 1000, 0);
    speech_feed(engine, below(2), call.T, call.T + below(more), false);
    speech_facts(engine, call.T + more, &again);
    facts.duration_ms += (uint64_t)more;
    facts.silence_ms += (uint64_t)more;
    facts.dead_airs = again.dead_airs;
    facts.dead_air_ms = again.dead_air_ms;
    expect(facts_differ(&facts, &again), "silence added");
  }
}

/* The identity of speech-metrics.md 1, where the talk time went, and what each event stands for. */
static void test_sums(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 2000; i++) {
    start_random(600000 + i);
    random_call(&call);
    run(&call, 500, 1000, 0, &facts);
    uint64_t raw[2] = {0, 0}, told[2] = {0, 0};
    for (int k = 0; k < log_.ipus; k++) told[log_.ipu[k].track] += (uint64_t)(log_.ipu[k].e - log_.ipu[k].s);
    for (int k = 0; k < call.T; k++) {
      raw[0] += call.raw[0][k];
      raw[1] += call.raw[1][k];
    }
    for (int t = 0; t < 2; t++) {
      assert_int_equal(
          facts.turn_speech_ms[t] + facts.backchannel_ms[t] + facts.attempt_ms[t] + facts.lost_ms[t],
          facts.talk_ms[t]);
      assert_int_equal(told[t], facts.talk_ms[t]);
      assert_true(facts.longest_monologue_ms[t] <= facts.turn_ms[t]);
      assert_true(facts.talk_ms[t] <= facts.duration_ms && facts.overlap_ms <= facts.talk_ms[t]);
    }
    assert_int_equal(facts.talk_ms[0] + facts.talk_ms[1] - facts.overlap_ms + facts.silence_ms,
                     facts.duration_ms);
  }
}

static void test_no_event_without_overlap_but_backchannels(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 1000; i++) {
    start_random(700000 + i);
    random_call(&call);
    model_run(&model, &call);
    /* Take the second track's IPUs out where the first speaks, 400 ms around. */
    for (int k = 0; k < call.T; k++) {
      bool near = false;
      for (int d = -400; d <= 400 && !near; d += 50)
        near = k + d >= 0 && k + d < call.T && model.speech[0][k + d];
      if (near) call.raw[1][k] = false;
    }
    run(&call, 500, 1000, 0, &facts);
    assert_int_equal(facts.overlap_ms, 0);
    assert_int_equal(facts.events_total, facts.backchannels[0] + facts.backchannels[1]);
  }
}

/* Any parameters, an hour of the densest talk: the sums hold, and nothing is lost for lack of room. */
static void test_odd_parameters_and_long_calls(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 200; i++) {
    start_random(800000 + i);
    struct speech_parameters p = speech_defaults;
    if (i % 2) {
      uint32_t *values[] = {&p.bridge_ms,      &p.discard_ms, &p.group_ms,   &p.turn_ms,
                            &p.backchannel_ms, &p.before_ms,  &p.after_ms,   &p.simultaneous_ms,
                            &p.transition_ms,  &p.back_ms,    &p.dead_air_ms};
      for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
        *values[k] = (uint32_t)below(3) ? (uint32_t)below(3000) : (uint32_t)below(2) * 1000000;
      }
    }
    speech_init(engine, &p);
    int at[2] = {0, 0}, longest = below(2) ? 400 : 3000;
    while (at[0] < 1200000 || at[1] < 1200000) {
      int t = at[0] > at[1], end = at[t] + 10 * (1 + below(longest / 10));
      speech_feed(engine, t, at[t], end, true);
      at[t] = end + 10 * (below(longest / 10));
    }
    speech_facts(engine, 1300000, &facts);
    assert_int_equal(facts.talk_ms[0] + facts.talk_ms[1] - facts.overlap_ms + facts.silence_ms,
                     facts.duration_ms);
    for (int t = 0; t < 2; t++) {
      assert_int_equal(
          facts.turn_speech_ms[t] + facts.backchannel_ms[t] + facts.attempt_ms[t] + facts.lost_ms[t],
          facts.talk_ms[t]);
      assert_true(facts.overlap_ms <= facts.talk_ms[t]);
    }
    if (i % 2 == 0) assert_int_equal(facts.forced_cuts, 0);
  }
}

/* Music on one track, talk on the other: one IPU without end must not fill the window. */
static void test_one_track_never_pauses(void **state) {
  (void)state;
  for (int lead_in = 0; lead_in < 2; lead_in++) {
    speech_init(engine, &speech_defaults);
    /* The first words start together with the music or after it; 4 s are no lost start. */
    speech_feed(engine, 1, 0, lead_in * 50, false);
    speech_feed(engine, 1, lead_in * 50, 4000, true);
    for (int i = 0; i < 3000; i++) {
      speech_feed(engine, 0, i * 1500, i * 1500 + 1500, true);
      speech_feed(engine, 1, 6000 + i * 1500, 6000 + i * 1500 + 500 + 700 * (i % 3), true);
    }
    speech_facts(engine, 4510000, &facts);
    assert_int_equal(facts.forced_cuts, 0);
    assert_int_equal(facts.talk_ms[0], 4500000);
    assert_int_equal(facts.turns[0], 1);
    assert_int_equal(facts.simultaneous_starts, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_the_model),
      cmocka_unit_test(test_live_against_the_model),
      cmocka_unit_test(test_pieces_of_any_size),
      cmocka_unit_test(test_swapped_tracks),
      cmocka_unit_test(test_shifted_in_time),
      cmocka_unit_test(test_silence_at_the_end),
      cmocka_unit_test(test_sums),
      cmocka_unit_test(test_no_event_without_overlap_but_backchannels),
      cmocka_unit_test(test_odd_parameters_and_long_calls),
      cmocka_unit_test(test_one_track_never_pauses),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
