/* Random calls through dsp/presence.c: the same notes however the input is cut, and against models that see
 * the whole call. The seed of a failing call is printed; RANDOM_SEED starts from another one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/presence.h"

enum { NOTES_MAX = 2048, FRAME_MS = 20 };

static struct presence p;
static struct presence_note notes[NOTES_MAX];
static int note_count;

static void note(void *arg, const struct presence_note *n) {
  (void)arg;
  assert_true(note_count < NOTES_MAX);
  notes[note_count++] = *n;
}

static void begin(void) {
  note_count = 0;
  presence_init(&p, note, NULL);
}

/* [from, to) of a track: frames, decision, level. */
static void sound(int track, int64_t from_ms, int64_t to_ms, bool speech, double level_dbov) {
  for (int64_t t = from_ms; t < to_ms; t += FRAME_MS) presence_frame(&p, track, t, FRAME_MS, t + 50);
  presence_speech(&p, track, from_ms, to_ms, speech);
  presence_level(&p, track, from_ms, to_ms, level_dbov);
}

static uint64_t random_state, seed;
static uint64_t random_bits(void) {
  uint64_t x = random_state += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
static int below(int n) {
  return (int)(random_bits() % (uint64_t)n);
}

static void start_random(uint64_t number) {
  const char *from = getenv("RANDOM_SEED");
  seed = (from ? strtoull(from, NULL, 10) : 1) + number;
  random_state = seed * 0x2545F4914F6CDD1Du;
}

enum { CALL_S = 200, CALLS = 300 };

static void begin_random_call(bool speech[2][CALL_S], double level[2][CALL_S]) {
  for (int t = 0; t < 2; t++) {
    static const int shares[] = {0, 0, 10, 60, 95};
    int talk = shares[below(5)];
    for (int i = 0; i < CALL_S; i++) {
      if (below(25) == 0) talk = shares[below(5)];
      speech[t][i] = below(100) < talk;
      level[t][i] = speech[t][i] ? -26 : below(40) == 0 ? -50 : NAN;
    }
  }
  begin();
  presence_expect(&p, 0, 0);
  presence_expect(&p, 1, 0);
}

static int by_state(const void *a, const void *b) {
  const struct presence_note *x = a, *y = b;
  if (x->kind != y->kind) return (int)x->kind - (int)y->kind;
  if (x->track != y->track) return x->track - y->track;
  if (x->start_ms != y->start_ms) return x->start_ms < y->start_ms ? -1 : 1;
  if (x->change != y->change) return (int)x->change - (int)y->change;
  return x->length_ms < y->length_ms ? -1 : x->length_ms > y->length_ms;
}

/* One-way and dead air of a call fed second by second, or in random pieces with one track up to 6 s ahead. */
static void cutting_changes_nothing(void **state) {
  (void)state;
  static bool speech[2][CALL_S];
  static double level[2][CALL_S];
  int found = 0;
  for (int call = 0; call < CALLS; call++) {
    start_random((uint64_t)call);
    begin_random_call(speech, level);
    int64_t hold_ms = below(CALL_S) * 1000, back_ms = hold_ms + below(30000);
    presence_hold(&p, hold_ms, true);
    presence_hold(&p, back_ms, false);
    for (int i = 0; i < CALL_S; i++)
      for (int t = 0; t < 2; t++) sound(t, i * 1000, i * 1000 + 1000, speech[t][i], level[t][i]);
    presence_end(&p, CALL_S * 1000);
    int whole_count = note_count;
    struct presence_note whole[NOTES_MAX];
    memcpy(whole, notes, sizeof whole);
    begin();
    presence_expect(&p, 0, 0);
    presence_expect(&p, 1, 0);
    presence_hold(&p, hold_ms, true);
    presence_hold(&p, back_ms, false);
    int64_t at[2] = {0, 0}; /* ms */
    while (at[0] < CALL_S * 1000 || at[1] < CALL_S * 1000) {
      int t = below(2);
      if (at[t] >= CALL_S * 1000 || at[t] > at[1 - t] + 6000) t = 1 - t;
      int64_t second = at[t] / 1000, end = at[t] + 10 * (1 + below(100));
      if (end > second * 1000 + 1000) end = second * 1000 + 1000;
      sound(t, at[t], end, speech[t][second], level[t][second]);
      at[t] = end;
    }
    presence_end(&p, CALL_S * 1000);
    if (whole_count != note_count)
      fail_msg("seed %llu: %d notes, %d notes", (unsigned long long)seed, whole_count, note_count);
    /* Of what falls into one stretch of equal sound the order may differ. */
    qsort(whole, (size_t)whole_count, sizeof whole[0], by_state);
    qsort(notes, (size_t)note_count, sizeof notes[0], by_state);
    for (int i = 0; i < note_count; i++) {
      const struct presence_note *a = &whole[i], *b = &notes[i];
      if (a->kind != b->kind || a->change != b->change || a->track != b->track ||
          a->start_ms != b->start_ms || a->end_ms != b->end_ms || a->length_ms != b->length_ms)
        fail_msg("seed %llu: note %d", (unsigned long long)seed, i);
    }
    found += note_count;
  }
  assert_true(found > CALLS);
}

/* ---- models ----------------------------------------------------------------------------------- */

struct span {
  int64_t start_ms, end_ms, length_ms; /* end_ms -1: still there at the end */
};

/* The spans that the notes of one state come to: each began, perhaps grew, and ended or was taken back. */
static int spans_of(enum presence_kind kind, int track, struct span *spans) {
  int count = 0;
  bool open = false;
  for (int i = 0; i < note_count; i++) {
    const struct presence_note *n = &notes[i];
    if (n->kind != kind || n->track != track) continue;
    if (open && n->start_ms != spans[count].start_ms)
      fail_msg("seed %llu: note %d", (unsigned long long)seed, i);
    if (n->change == PRESENCE_TAKEN_BACK) assert_true(open);
    if (open && n->change == PRESENCE_BEGAN) assert_true(n->length_ms >= spans[count].length_ms);
    open = n->change == PRESENCE_BEGAN;
    spans[count] = (struct span){n->start_ms, open ? -1 : n->end_ms, n->length_ms};
    if (n->change == PRESENCE_ENDED) count++;
  }
  return open ? count + 1 : count;
}

static void expect_spans(enum presence_kind kind, int track, const struct span *expected, int count) {
  static struct span seen[NOTES_MAX];
  int seen_count = spans_of(kind, track, seen);
  for (int i = 0; i < count && i < seen_count; i++)
    if (seen[i].start_ms != expected[i].start_ms || seen[i].end_ms != expected[i].end_ms ||
        seen[i].length_ms != expected[i].length_ms)
      fail_msg("seed %llu: kind %d, track %d, span %d", (unsigned long long)seed, kind, track, i);
  if (seen_count != count)
    fail_msg("seed %llu: kind %d, track %d: %d spans for %d", (unsigned long long)seed, kind, track,
             seen_count, count);
}

/* A stretch of silence of both of 10 s or more, from the call's seconds. */
static int dead_air_model(bool speech[2][CALL_S], struct span *spans) {
  int count = 0;
  for (int i = 0; i < CALL_S; i++) {
    int from = i;
    while (i < CALL_S && !speech[0][i] && !speech[1][i]) i++;
    if (i - from < 10) continue;
    spans[count++] = (struct span){from * 1000, i < CALL_S ? i * 1000 : -1, (i - from) * 1000};
  }
  return count;
}

/* Second by second: what is active breaks a silence at once, a second of it ends a one-way. */
static int one_way_model(bool speech[2][CALL_S], double level[2][CALL_S], int track, struct span *spans) {
  int count = 0, from = -1, silent = 0, other = 0;
  bool heard = false, open = false;
  for (int i = 0; i < CALL_S; i++) {
    if (speech[track][i] || level[track][i] >= -60) {
      if (open) spans[count++] = (struct span){from * 1000, i * 1000 + 1000, silent * 1000};
      heard = true;
      open = false;
      from = -1;
      silent = other = 0;
      continue;
    }
    if (from < 0) from = i;
    silent++;
    other += speech[1 - track][i];
    if (silent >= (heard ? 30 : 10) && other >= 3) open = true;
  }
  if (open) spans[count++] = (struct span){from * 1000, -1, silent * 1000};
  return count;
}

static void one_way_and_dead_air_of_random_calls(void **state) {
  (void)state;
  static bool speech[2][CALL_S];
  static double level[2][CALL_S];
  static struct span spans[NOTES_MAX];
  int found[3] = {0, 0, 0};
  for (int call = 0; call < CALLS; call++) {
    start_random(10000 + (uint64_t)call);
    begin_random_call(speech, level);
    for (int i = 0; i < CALL_S; i++)
      for (int t = 0; t < 2; t++) sound(t, i * 1000, i * 1000 + 1000, speech[t][i], level[t][i]);
    presence_end(&p, CALL_S * 1000);
    for (int t = 0; t < 2; t++) {
      int count = one_way_model(speech, level, t, spans);
      expect_spans(PRESENCE_ONE_WAY, t, spans, count);
      found[t] += count;
    }
    int count = dead_air_model(speech, spans);
    expect_spans(PRESENCE_DEAD_AIR, -1, spans, count);
    found[2] += count;
  }
  assert_true(found[0] > 50 && found[1] > 50 && found[2] > 50);
}

/* Frames with holes and stalls of every length, ticks whenever: the holes are what is told, to the ms, and
 * nothing of the stalls is left. */
static void holes_of_random_calls(void **state) {
  (void)state;
  static struct span spans[NOTES_MAX];
  int found = 0;
  for (int call = 0; call < CALLS; call++) {
    start_random(20000 + (uint64_t)call);
    begin();
    int count = 0;
    int64_t place_ms = 0, late_ms = 50, told_ms = 0;
    for (int i = 0; i < 5000; i++) {
      presence_frame(&p, 0, place_ms, FRAME_MS, place_ms + late_ms);
      told_ms = place_ms + late_ms;
      place_ms += FRAME_MS;
      late_ms = late_ms > 70 ? late_ms - FRAME_MS : 50; /* behind a stall they come at once */
      if (i + 100 < 5000 && below(120) == 0) {          /* the last frames come */
        int64_t hole_ms = below(5000);
        if (hole_ms > PRESENCE_HOLE_MS) spans[count++] = (struct span){place_ms, place_ms + hole_ms, hole_ms};
        place_ms += hole_ms;
      } else if (i + 100 < 5000 && below(150) == 0) {
        late_ms += below(6000);
      }
      for (; told_ms < place_ms + late_ms; told_ms += 500)
        if (below(2)) presence_tick(&p, told_ms);
    }
    presence_end(&p, place_ms);
    expect_spans(PRESENCE_NO_MEDIA, 0, spans, count);
    found += count;
  }
  assert_true(found > CALLS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cutting_changes_nothing),
      cmocka_unit_test(one_way_and_dead_air_of_random_calls),
      cmocka_unit_test(holes_of_random_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
