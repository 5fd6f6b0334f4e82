/* dsp/hearing.c: the same decisions however the sound is cut, holes of every length, the end. What the
 * detector itself hears is not looked at here. */
#include "dsp/hearing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/talker.h"

enum { SAMPLES = 10 * 8000, ROWS_MAX = 4000, HOLE_MAX = 5 * 8000 };

struct row {
  int64_t from_ms, to_ms;
  bool speech;
  float score;
};

struct rows {
  struct row row[ROWS_MAX];
  size_t count;
};

static int16_t sound[SAMPLES];

static int64_t decided_ms(const struct rows *rows) {
  return rows->count > 0 ? rows->row[rows->count - 1].to_ms : 0;
}

/* Every row of every test is part of an unbroken chain on the grid of 10 ms. */
static void note(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  struct rows *rows = arg;
  assert_int_equal(from_ms, decided_ms(rows));
  assert_true(to_ms > from_ms && to_ms % 10 == 0);
  assert_true(score >= 0 && score <= 1);
  assert_true(rows->count < ROWS_MAX);
  rows->row[rows->count++] =
      (struct row){.from_ms = from_ms, .to_ms = to_ms, .speech = speech, .score = score};
}

static void expect_same(const struct rows *a, const struct rows *b, unsigned seed) {
  if (a->count != b->count) fail_msg("seed %u: %zu rows, %zu rows", seed, a->count, b->count);
  for (size_t i = 0; i < a->count; i++) {
    const struct row *x = &a->row[i], *y = &b->row[i];
    if (x->from_ms != y->from_ms || x->to_ms != y->to_ms || x->speech != y->speech || x->score != y->score)
      fail_msg("seed %u: row %zu at %lld ms differs", seed, i, (long long)x->from_ms);
  }
}

static int64_t speech_ms(const struct rows *rows) {
  int64_t sum = 0;
  for (size_t i = 0; i < rows->count; i++)
    if (rows->row[i].speech) sum += rows->row[i].to_ms - rows->row[i].from_ms;
  return sum;
}

static struct rows *hear_whole(size_t samples) {
  struct rows *rows = calloc(1, sizeof *rows);
  struct hearing *l = hearing_create(note, rows);
  hearing_pcm(l, 0, sound, samples);
  hearing_flush(l);
  hearing_free(l);
  return rows;
}

static void whole_frames_are_decided_and_the_rest_is_not(void **state) {
  (void)state;
  struct rows *rows = calloc(1, sizeof *rows);
  struct hearing *l = hearing_create(note, rows);
  assert_int_equal(decided_ms(rows), 0);
  hearing_pcm(l, 0, sound, 8000 + 79);
  assert_true(decided_ms(rows) < 1000); /* the detector looks ahead */
  assert_int_equal(decided_ms(rows), (int64_t)rows->count * 10);
  hearing_flush(l);
  assert_int_equal(rows->count, 100);
  assert_int_equal(decided_ms(rows), 1000);
  hearing_flush(l); /* nothing is owed any more */
  assert_int_equal(rows->count, 100);
  hearing_free(l);
  free(rows);
}

static void any_pieces_give_the_same_decisions(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  struct rows *whole = hear_whole(SAMPLES);
  assert_int_equal(whole->count, SAMPLES / 80);
  assert_true(speech_ms(whole) > 1000 && speech_ms(whole) < 8000);
  for (int round = 0; round < 20; round++, seed++) {
    srand(seed);
    struct rows *rows = calloc(1, sizeof *rows);
    struct hearing *l = hearing_create(note, rows);
    for (size_t at = 0; at < SAMPLES;) {
      size_t piece = 1 + (size_t)rand() % (round % 2 ? 300 : 9);
      size_t back = (size_t)rand() % (at + 1 < 500 ? at + 1 : 500); /* heard already */
      if (piece > SAMPLES - at) piece = SAMPLES - at;
      if (rand() % 4) back = 0;
      hearing_pcm(l, (int64_t)(at - back), sound + at - back, piece + back);
      if (rand() % 8 == 0) hearing_pcm(l, (int64_t)at, sound, 1); /* nothing new in it */
      at += piece;
    }
    hearing_flush(l);
    expect_same(whole, rows, seed);
    hearing_free(l);
    free(rows);
  }
  free(whole);
}

/* Sound up to `from`, nothing up to `to`, sound again; the hole told in one of three ways. */
enum told { AS_ONE_HOLE, IN_PIECES, BY_POSITION };
static struct rows *hear_around(size_t from, size_t to, size_t end, enum told told) {
  struct rows *rows = calloc(1, sizeof *rows);
  struct hearing *l = hearing_create(note, rows);
  hearing_pcm(l, 0, sound, from);
  if (told == AS_ONE_HOLE) hearing_pcm(l, (int64_t)from, NULL, to - from);
  for (size_t at = from; told == IN_PIECES && at < to; at += 33)
    hearing_pcm(l, (int64_t)at, NULL, to - at < 33 ? to - at : 33);
  if (end > to) hearing_pcm(l, (int64_t)to, sound + to % SAMPLES, end - to);
  hearing_flush(l);
  assert_int_equal(decided_ms(rows), (int64_t)(end / 80 * 10));
  hearing_free(l);
  return rows;
}

static void a_short_hole_is_the_same_however_it_is_told(void **state) {
  (void)state;
  static const struct {
    size_t from, samples;
  } holes[] = {{16000, 80},   {16030, 39},       {16030, 41}, {17000, 480},
               {17003, 4001}, {20000, HOLE_MAX}, {0, 800}};
  for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
    size_t from = holes[i].from, to = from + holes[i].samples;
    struct rows *one = hear_around(from, to, SAMPLES, AS_ONE_HOLE);
    struct rows *pieces = hear_around(from, to, SAMPLES, IN_PIECES);
    struct rows *position = hear_around(from, to, SAMPLES, BY_POSITION);
    assert_int_equal(one->count, SAMPLES / 80); /* each 10 ms has its row */
    expect_same(one, pieces, (unsigned)i);
    expect_same(one, position, (unsigned)i);
    free(one);
    free(pieces);
    free(position);
  }
}

static void a_hole_is_not_speech_and_one_frame_of_it_is_no_sound(void **state) {
  (void)state;
  /* 4 s at 1.5 s, in the middle of the talker's first sentence. */
  struct rows *rows = hear_around(20000, 52000, SAMPLES, AS_ONE_HOLE);
  for (size_t i = 2500 / 10 + 6; i < 6500 / 10; i++) { /* the first 60 ms may go on as they were */
    assert_false(rows->row[i].speech);
    assert_true(rows->row[i].score == 0);
  }
  free(rows);
  /* Half a frame missing counts as a missing frame, less than half as sound. */
  struct rows *half = hear_around(16000, 16040, SAMPLES, AS_ONE_HOLE);
  struct rows *frame = hear_around(16000, 16080, SAMPLES, AS_ONE_HOLE);
  struct rows *less = hear_around(16000, 16039, SAMPLES, AS_ONE_HOLE);
  expect_same(half, frame, 0);
  bool differs = false;
  for (size_t i = 0; i < less->count; i++) differs |= less->row[i].score != frame->row[i].score;
  assert_true(differs);
  free(half);
  free(frame);
  free(less);
}

static void a_long_hole_is_one_row_of_silence(void **state) {
  (void)state;
  static const size_t froms[] = {0, 16000, 16001, 16079};
  static const size_t lengths[] = {HOLE_MAX + 80, HOLE_MAX + 81, HOLE_MAX + 159, 24 * 3600 * 8000};
  for (size_t i = 0; i < sizeof froms / sizeof *froms; i++) {
    for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
      size_t to = froms[i] + lengths[j], end = to + 1000 * 8;
      struct rows *rows = calloc(1, sizeof *rows);
      struct hearing *l = hearing_create(note, rows);
      hearing_pcm(l, 0, sound, froms[i]);
      hearing_pcm(l, (int64_t)froms[i], NULL, lengths[j]);
      hearing_pcm(l, (int64_t)to, sound, 8000);
      hearing_flush(l);
      assert_int_equal(decided_ms(rows), (int64_t)(end / 80 * 10));
      size_t before = (froms[i] + 79) / 80, wide = 0;
      for (size_t r = 0; r < rows->count; r++) {
        if (rows->row[r].to_ms - rows->row[r].from_ms == 10) continue;
        wide++;
        assert_int_equal(r, before);
        assert_false(rows->row[r].speech);
        assert_true(rows->row[r].score == 0);
        assert_int_equal(rows->row[r].from_ms, (int64_t)before * 10);
        assert_in_range(to * 10 / 80 - (size_t)rows->row[r].to_ms, 0, 10);
      }
      assert_int_equal(wide, 1);
      hearing_free(l);
      free(rows);
    }
  }
}

/* Nothing of the detector's memory outlives a long hole: what follows is decided as if it were a track
 * of its own. */
static void behind_a_long_hole_the_detector_is_new(void **state) {
  (void)state;
  enum { BEFORE = 3 * 8000, HOLE = 6 * 8000 };
  struct rows *rows = calloc(1, sizeof *rows), *fresh = hear_whole(SAMPLES);
  struct hearing *l = hearing_create(note, rows);
  hearing_pcm(l, 0, sound + 8000, BEFORE);
  hearing_pcm(l, BEFORE + HOLE, sound, SAMPLES);
  hearing_flush(l);
  size_t first = BEFORE / 80 + 1; /* the hole's row */
  assert_int_equal(rows->count, first + fresh->count);
  for (size_t i = 0; i < fresh->count; i++) {
    assert_int_equal(rows->row[first + i].from_ms, fresh->row[i].from_ms + (BEFORE + HOLE) / 8);
    assert_int_equal(rows->row[first + i].speech, fresh->row[i].speech);
    assert_true(rows->row[first + i].score == fresh->row[i].score);
  }
  hearing_free(l);
  free(rows);
  free(fresh);
}

static void the_instant_answer_follows_the_newest_sound(void **state) {
  (void)state;
  struct rows *rows = calloc(1, sizeof *rows);
  struct hearing *l = hearing_create(note, rows);
  bool ever = false;
  assert_false(hearing_instant(l));
  for (int64_t at = 0; at < 8000 * 4; at += 80) {
    hearing_pcm(l, at, sound + at, 80);
    ever |= hearing_instant(l);
  }
  assert_true(ever);
  hearing_pcm(l, 8000 * 4, NULL, 8000); /* a second of nothing */
  assert_false(hearing_instant(l));
  hearing_free(l);
  free(rows);
}

/* A hole of over 5 s must end what the talker said before it, though no frame follows. */
static void the_instant_answer_does_not_outlive_a_long_hole(void **state) {
  (void)state;
  struct rows *rows = calloc(1, sizeof *rows);
  struct hearing *l = hearing_create(note, rows);
  int64_t at = 0;
  while (at < SAMPLES && !hearing_instant(l)) {
    hearing_pcm(l, at, sound + at, 80);
    at += 80;
  }
  assert_true(hearing_instant(l));
  hearing_pcm(l, at, NULL, HOLE_MAX + 80);
  assert_false(hearing_instant(l));
  hearing_free(l);
  free(rows);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_frames_are_decided_and_the_rest_is_not),
      cmocka_unit_test(any_pieces_give_the_same_decisions),
      cmocka_unit_test(a_short_hole_is_the_same_however_it_is_told),
      cmocka_unit_test(a_hole_is_not_speech_and_one_frame_of_it_is_no_sound),
      cmocka_unit_test(a_long_hole_is_one_row_of_silence),
      cmocka_unit_test(behind_a_long_hole_the_detector_is_new),
      cmocka_unit_test(the_instant_answer_follows_the_newest_sound),
      cmocka_unit_test(the_instant_answer_does_not_outlive_a_long_hole),
  };
  talker_fill(sound, SAMPLES, 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
