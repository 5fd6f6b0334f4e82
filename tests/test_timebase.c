/* What chunk counts and timestamp measures: voice-quality.md 3.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dsp/timebase.h"

enum { FRAMES = 60, PAYLOAD = 160 };

static struct timebase timebase;

static struct timebase_event frame(uint64_t chunk, uint64_t timestamp) {
  return (struct timebase_event){.has_chunk = true,
                                 .has_timestamp = true,
                                 .chunk = chunk,
                                 .timestamp = timestamp,
                                 .payload_bytes = PAYLOAD};
}

static void begin(enum codec_id codec) {
  timebase_init(&timebase, codec_row(codec));
}

static struct timebase_place place(enum track track, struct timebase_event event) {
  struct timebase_place p;
  timebase_place(&timebase, track, &event, &p);
  return p;
}

static void expect_unit(enum codec_id codec, uint32_t payload, uint64_t first, uint64_t step,
                        enum ts_unit unit, uint32_t ptime_us) {
  begin(codec);
  struct timebase_event event[FRAMES];
  for (uint64_t n = 0; n < FRAMES; n++) {
    event[n] = frame(1 + n, first + step * n);
    event[n].payload_bytes = payload;
    timebase_observe(&timebase, TRACK_INBOUND, &event[n]);
  }
  assert_true(timebase_ready(&timebase, TRACK_INBOUND));
  timebase_decide(&timebase, TRACK_INBOUND);
  assert_string_equal(ts_unit_name(timebase.track[0].ts_unit), ts_unit_name(unit));
  assert_int_equal(timebase.track[0].ptime_us, ptime_us);
  assert_int_equal(timebase.track[0].chunk_scope, CHUNK_PER_TRACK);
  for (uint64_t n = 0; n < FRAMES; n++) {
    struct timebase_place p = place(TRACK_INBOUND, event[n]);
    assert_int_equal(p.number, 1 + n);
    assert_int_equal(p.media_us, n * ptime_us);
  }
}

static void units(void **state) {
  (void)state;
  expect_unit(CODEC_PCMU, 160, 40, 20, TS_MS, 20000);
  expect_unit(CODEC_PCMU, 160, 0, 160, TS_RTP_TICKS, 20000);
  expect_unit(CODEC_PCMA, 240, 7, 240, TS_RTP_TICKS, 30000);
  expect_unit(CODEC_PCMU, 160, 0, 20000, TS_US, 20000);
  expect_unit(CODEC_PCMU, 160, 1, 1, TS_FRAMES, 20000);
  expect_unit(CODEC_PCMU, 160, 1, 33, TS_UNKNOWN, 20000);
  expect_unit(CODEC_PCMU, 160, 1, 0, TS_UNKNOWN, 20000);
  expect_unit(CODEC_G722, 160, 0, 160, TS_RTP_TICKS, 20000);
  expect_unit(CODEC_G722, 160, 0, 320, TS_SAMPLES, 20000);
  expect_unit(CODEC_PCMU, 792, 0, 99, TS_MS, 99000);
  expect_unit(CODEC_PCMU, 160, UINT64_C(4294967296) - 160 * 20, 160, TS_RTP_TICKS, 20000);
}

static void thirty_two_bits_wrap(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  struct timebase_event event[FRAMES];
  for (uint64_t n = 0; n < FRAMES; n++) {
    event[n] = frame(n, (uint32_t)(4294967200U + 160 * n));
    timebase_observe(&timebase, TRACK_INBOUND, &event[n]);
  }
  timebase_decide(&timebase, TRACK_INBOUND);
  for (uint64_t n = 0; n < FRAMES; n++) {
    assert_int_equal(place(TRACK_INBOUND, event[n]).media_us, n * 20000);
  }
}

/* chunk "2", timestamp "5", 792 bytes, and nothing else: neither frame length nor unit is assumed. */
static void the_guides_example(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  struct timebase_event event = frame(2, 5);
  event.payload_bytes = 792;
  timebase_observe(&timebase, TRACK_INBOUND, &event);
  assert_false(timebase_ready(&timebase, TRACK_INBOUND));
  timebase_decide(&timebase, TRACK_INBOUND);
  assert_int_equal(timebase.track[0].ptime_us, 99000);
  assert_int_equal(timebase.track[0].ts_unit, TS_UNKNOWN);
  assert_int_equal(place(TRACK_INBOUND, event).number, 2);
  assert_int_equal(place(TRACK_INBOUND, frame(5, 11)).media_us, 3 * 99000);
}

static void few_events_are_enough(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  for (uint64_t n = 0; n < 3; n++) {
    struct timebase_event event = frame(n, n * 160);
    timebase_observe(&timebase, TRACK_OUTBOUND, &event);
  }
  timebase_decide(&timebase, TRACK_OUTBOUND);
  assert_int_equal(timebase.track[1].ts_unit, TS_RTP_TICKS);
  timebase_decide(&timebase, TRACK_INBOUND); /* no event at all */
  assert_int_equal(timebase.track[0].ts_unit, TS_UNKNOWN);
  assert_int_equal(timebase.track[0].ptime_us, 20000);
}

static void ties_go_to_the_smaller(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  for (uint64_t n = 0; n < 4; n++) {
    struct timebase_event event = frame(n, 20 * n);
    event.payload_bytes = n % 2 == 0 ? 240 : 160;
    timebase_observe(&timebase, TRACK_INBOUND, &event);
  }
  timebase_decide(&timebase, TRACK_INBOUND);
  assert_int_equal(timebase.track[0].ptime_us, 20000);
}

static void holes_and_swaps_do_not_mislead(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  for (uint64_t n = 0; n < 50; n++) {
    uint64_t chunk = n + n / 10 * 3; /* three missing in thirteen */
    if (n % 7 == 3) chunk++;
    if (n % 7 == 4) chunk--;
    struct timebase_event event = frame(chunk, chunk * 20);
    timebase_observe(&timebase, TRACK_INBOUND, &event);
  }
  timebase_decide(&timebase, TRACK_INBOUND);
  assert_int_equal(timebase.track[0].ts_unit, TS_MS);
  assert_int_equal(timebase.track[0].chunk_scope, CHUNK_PER_TRACK);
}

static void one_counter_a_track(void **state) {
  (void)state;
  for (uint64_t offset = 0; offset < 200; offset += 40) {
    begin(CODEC_PCMU);
    for (uint64_t n = 0; n < 50; n++) {
      for (int track = 0; track < TRACK_COUNT; track++) {
        struct timebase_event event = frame(n + (track == 1 ? offset : 0), n * 20);
        timebase_observe(&timebase, (enum track)track, &event);
      }
    }
    timebase_decide(&timebase, TRACK_INBOUND);
    timebase_decide(&timebase, TRACK_OUTBOUND);
    assert_int_equal(timebase.track[0].chunk_scope, CHUNK_PER_TRACK);
    assert_int_equal(timebase.track[1].chunk_scope, CHUNK_PER_TRACK);
  }
}

/* ---- one counter for both tracks ---- */

struct shared_frame {
  enum track track;
  struct timebase_event event;
};

/* Both tracks of `n` frames from one counter, in bunches of `bunch` frames a track. */
static size_t shared_call(struct shared_frame *out, uint64_t n, uint64_t bunch) {
  size_t count = 0;
  for (uint64_t i = 0; i < n; i += bunch) {
    for (int track = 0; track < TRACK_COUNT; track++) {
      for (uint64_t k = i; k < i + bunch && k < n; k++, count++) {
        out[count] = (struct shared_frame){(enum track)track, frame(10 + count, 20 * k)};
      }
    }
  }
  return count;
}

struct tally {
  uint64_t first, last, frames;
  int64_t media_us;
};

/* As the owner of a timebase does: the first frames of a track are kept, then run through. */
static void run(const struct shared_frame *frames, size_t count, struct tally *tally) {
  struct timebase_event waiting[TRACK_COUNT][TIMEBASE_EVENTS];
  size_t kept[TRACK_COUNT] = {0};
  bool decided[TRACK_COUNT] = {false};
  begin(CODEC_PCMU);
  for (size_t i = 0; i <= count; i++) {
    for (int track = 0; track < TRACK_COUNT; track++) {
      enum track who = (enum track)track;
      bool end = i == count, mine = !end && frames[i].track == who;
      struct timebase_event now[TIMEBASE_EVENTS];
      size_t n = 0;
      if (mine && decided[track]) now[n++] = frames[i].event;
      if (mine && !decided[track]) {
        waiting[track][kept[track]++] = frames[i].event;
        timebase_observe(&timebase, who, &frames[i].event);
      }
      if (!decided[track] && (end || timebase_ready(&timebase, who))) {
        decided[track] = true;
        timebase_decide(&timebase, who);
        for (n = 0; n < kept[track]; n++) now[n] = waiting[track][n];
      }
      for (size_t k = 0; k < n; k++) {
        struct timebase_place p = place(who, now[k]);
        if (tally[track].frames++ == 0) tally[track].first = p.number;
        if (p.number > tally[track].last) tally[track].last = p.number;
        if (p.media_us > tally[track].media_us) tally[track].media_us = p.media_us;
      }
    }
  }
}

static size_t without(struct shared_frame *frames, size_t count, size_t first, size_t n) {
  for (size_t i = first; i + n < count; i++) frames[i] = frames[i + n];
  return count - n;
}

static void shared_counter(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  static const uint64_t bunch[] = {1, 2, 3, 5};
  for (size_t b = 0; b < sizeof(bunch) / sizeof(bunch[0]); b++) {
    struct tally tally[TRACK_COUNT] = {0};
    run(frames, shared_call(frames, 200, bunch[b]), tally);
    for (int track = 0; track < TRACK_COUNT; track++) {
      assert_int_equal(timebase.track[track].chunk_scope, CHUNK_SHARED);
      assert_int_equal(tally[track].last - tally[track].first + 1, 200);
      assert_int_equal(tally[track].media_us, 199 * 20000);
    }
    assert_int_equal(timebase_unassigned(&timebase), 0);
  }
}

static void shared_holes_go_to_the_track_that_jumps(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  static const size_t at[] = {21, 301}; /* while deciding, and after; odd: outbound */
  for (size_t a = 0; a < 2; a++) {
    size_t count = shared_call(frames, 200, 1);
    count = without(frames, count, at[a], 1);
    count = without(frames, count, at[a] + 1, 1);
    struct tally tally[TRACK_COUNT] = {0};
    run(frames, count, tally);
    assert_int_equal(tally[0].frames, 200);
    assert_int_equal(tally[0].last - tally[0].first + 1, 200);
    assert_int_equal(tally[1].frames, 198);
    assert_int_equal(tally[1].last - tally[1].first + 1, 200);
    assert_int_equal(timebase_unassigned(&timebase), 0);
  }
}

static void shared_pause_is_no_hole(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  size_t count = 0;
  for (uint64_t n = 0; n < 200; n++) {
    for (int track = 0; track < TRACK_COUNT; track++) {
      bool silent = track == 0 && ((n >= 10 && n < 70) || (n >= 120 && n < 150));
      if (!silent) frames[count] = (struct shared_frame){(enum track)track, frame(count, 20 * n)};
      count += !silent;
    }
  }
  struct tally tally[TRACK_COUNT] = {0};
  run(frames, count, tally);
  assert_int_equal(tally[0].frames, 110);
  assert_int_equal(tally[0].last - tally[0].first + 1, 110);
  assert_int_equal(tally[0].media_us, 199 * 20000);
  assert_int_equal(tally[1].last - tally[1].first + 1, 200);
  assert_int_equal(timebase_unassigned(&timebase), 0);
}

static void shared_hole_of_nobody(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  size_t count = shared_call(frames, 200, 1);
  for (size_t i = 300; i < count; i++) frames[i].event.chunk += 5; /* no media time is missing */
  struct tally tally[TRACK_COUNT] = {0};
  run(frames, count, tally);
  assert_int_equal(timebase_unassigned(&timebase), 5);
  assert_int_equal(tally[0].last - tally[0].first + 1, 200);
}

static void shared_reordered_and_duplicate(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  size_t count = shared_call(frames, 200, 1);
  struct shared_frame late = frames[201];
  frames[201] = frames[202];
  frames[202] = frames[203];
  frames[203] = late;        /* overtaken by its own track */
  frames[251] = frames[250]; /* twice: the other track's frame is lost */
  struct tally tally[TRACK_COUNT] = {0};
  run(frames, count, tally);
  assert_int_equal(tally[0].last - tally[0].first + 1, 200);
  assert_int_equal(tally[1].last - tally[1].first + 1, 200);
  assert_int_equal(timebase_unassigned(&timebase), 0);
}

static void second_track_comes_late(void **state) {
  (void)state;
  static struct shared_frame frames[400];
  size_t count = 0;
  for (uint64_t n = 0; n < 240; n++) {
    for (int track = 0; track < TRACK_COUNT; track++) {
      if (track == 1 && n < 80) continue;
      frames[count] = (struct shared_frame){(enum track)track, frame(count, 20 * n)};
      count++;
    }
  }
  struct tally tally[TRACK_COUNT] = {0};
  run(frames, count, tally);
  assert_int_equal(timebase.track[0].chunk_scope, CHUNK_SHARED);
  assert_int_equal(timebase.track[1].chunk_scope, CHUNK_SHARED);
  assert_int_equal(tally[1].last - tally[1].first + 1, 160);
}

static void lone_numbers_do_not_move_the_clock(void **state) {
  (void)state;
  begin(CODEC_PCMU);
  for (uint64_t n = 0; n < 50; n++) {
    struct timebase_event event = frame(n, 7 * n);
    timebase_observe(&timebase, TRACK_INBOUND, &event);
  }
  timebase_decide(&timebase, TRACK_INBOUND);
  place(TRACK_INBOUND, frame(0, 0));
  place(TRACK_INBOUND, frame(UINT64_C(1) << 62, UINT64_MAX));
  assert_int_equal(place(TRACK_INBOUND, frame(1, 7)).media_us, 20000);
  place(TRACK_INBOUND, frame(500000, 0));
  struct timebase_place p = place(TRACK_INBOUND, frame(500001, 0));
  assert_int_equal(p.number, 500001);
  assert_int_equal(p.media_us, 500001 * INT64_C(20000));
  struct timebase_event bare = {.payload_bytes = PAYLOAD};
  assert_int_equal(place(TRACK_INBOUND, bare).number, 500002);
}

static void anything_may_come(void **state) {
  (void)state;
  uint32_t seed = 0x5eed0031;
  uint64_t x = seed;
  for (int round = 0; round < 300; round++) {
    begin((enum codec_id)(round % CODEC_COUNT));
    for (int i = 0; i < 200; i++) {
      x = x * 6364136223846793005U + 1442695040888963407U;
      enum track track = x >> 63 ? TRACK_OUTBOUND : TRACK_INBOUND;
      struct timebase_event event = {.has_chunk = (x >> 60 & 3) != 0,
                                     .has_timestamp = (x >> 58 & 3) != 0,
                                     .chunk = x >> (x >> 20 & 63),
                                     .timestamp = (x * 31) >> (x >> 26 & 63),
                                     .payload_bytes = (uint32_t)(x >> 32) % 1000};
      if (i < 60) timebase_observe(&timebase, track, &event);
      if (i == 60) {
        timebase_decide(&timebase, TRACK_INBOUND);
        timebase_decide(&timebase, TRACK_OUTBOUND);
      }
      if (i < 60) continue;
      struct timebase_place p = place(track, event);
      if (p.media_us > TIMEBASE_MEDIA_MAX_US || p.media_us < -TIMEBASE_MEDIA_MAX_US)
        fail_msg("seed %u", seed);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(units),
      cmocka_unit_test(thirty_two_bits_wrap),
      cmocka_unit_test(the_guides_example),
      cmocka_unit_test(few_events_are_enough),
      cmocka_unit_test(ties_go_to_the_smaller),
      cmocka_unit_test(holes_and_swaps_do_not_mislead),
      cmocka_unit_test(one_counter_a_track),
      cmocka_unit_test(shared_counter),
      cmocka_unit_test(shared_holes_go_to_the_track_that_jumps),
      cmocka_unit_test(shared_pause_is_no_hole),
      cmocka_unit_test(shared_hole_of_nobody),
      cmocka_unit_test(shared_reordered_and_duplicate),
      cmocka_unit_test(second_track_comes_late),
      cmocka_unit_test(lone_numbers_do_not_move_the_clock),
      cmocka_unit_test(anything_may_come),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
