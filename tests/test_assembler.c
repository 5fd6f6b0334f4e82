/* dsp/assembler.c: order, holes, overlaps and positions, seen from the sink. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "dsp/assembler.h"

enum { FRAME_BYTES = 160, FRAME_US = 20000, TRACK_SAMPLES = 70000, MISSING = 1 << 20 };

/* What the sink was given, sample by sample as far as it fits; a call must begin where the last ended. */
static struct {
  int64_t next;
  int calls, hole_calls;
  size_t missing;
  int32_t sample[TRACK_SAMPLES];
} heard;

static void listen_to(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples) {
  assert_ptr_equal(arg, &heard);
  assert_int_equal(position_samples, heard.next);
  assert_true(samples > 0);
  heard.calls++;
  if (pcm == NULL) {
    heard.hole_calls++;
    heard.missing += samples;
  }
  for (size_t i = 0; i < samples; i++) {
    int64_t at = heard.next + (int64_t)i;
    if (at >= TRACK_SAMPLES) break;
    heard.sample[at] = pcm == NULL ? MISSING : pcm[i];
  }
  heard.next += (int64_t)samples;
}

/* Test doubles by the same door as real codecs: 8-bit samples at 16 kHz, and whole packets. */
static size_t decode_bytes(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                           size_t capacity_samples) {
  (void)d;
  assert_true(bytes <= capacity_samples);
  for (size_t i = 0; i < bytes; i++) pcm[i] = payload[i];
  return bytes;
}

static size_t decode_packet(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                            size_t capacity_samples) {
  (void)d;
  assert_int_equal(bytes, 2000); /* never in pieces */
  assert_true(capacity_samples >= 160);
  for (size_t i = 0; i < 160; i++) pcm[i] = payload[0];
  return 160;
}

static const struct codec wide = {
    .sample_rate_hz = 16000, .rtp_clock_hz = 16000, .bytes_per_ms = 16, .decode = decode_bytes};
static const struct codec packets = {.sample_rate_hz = 8000, .rtp_clock_hz = 8000, .decode = decode_packet};

static struct assembler assembler;

static int fresh(void **state) {
  (void)state;
  memset(&heard, 0, sizeof heard);
  assembler_init(&assembler, listen_to, &heard);
  assembler_begin(&assembler, codec_row(CODEC_PCMU));
  return 0;
}

/* Frame n of the track is 20 ms of code n + 1. */
static void push(int frame, int64_t arrival_us) {
  uint8_t payload[FRAME_BYTES];
  memset(payload, frame + 1, sizeof payload);
  assembler_push(&assembler, (int64_t)frame * FRAME_US, arrival_us, payload, sizeof payload);
}

static int16_t level_of(int frame) {
  struct codec_decoder d;
  int16_t pcm;
  uint8_t code = (uint8_t)(frame + 1);
  codec_decoder_init(&d, codec_row(CODEC_PCMU));
  codec_decode(&d, &code, 1, &pcm, 1);
  return pcm;
}

static void assert_frame(int frame) {
  int16_t level = level_of(frame);
  for (int i = frame * FRAME_BYTES; i < (frame + 1) * FRAME_BYTES; i++)
    if (heard.sample[i] != level) fail_msg("sample %d is %d, wanted %d", i, heard.sample[i], level);
}

static void assert_hole(int frame) {
  for (int i = frame * FRAME_BYTES; i < (frame + 1) * FRAME_BYTES; i++)
    assert_int_equal(heard.sample[i], MISSING);
}

static void frames_in_order_pass_at_once(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    push(i, (int64_t)i * FRAME_US);
    assert_int_equal(heard.next, (i + 1) * FRAME_BYTES);
    assert_int_equal(assembler.held, 0);
  }
  for (int i = 0; i < 50; i++) assert_frame(i);
  assert_int_equal(heard.calls, 50);
}

static void ten_frames_wait_for_one(void **state) {
  (void)state;
  push(0, 0);
  for (int i = 2; i <= 11; i++) push(i, 1000);
  assert_int_equal(heard.next, FRAME_BYTES);
  push(1, 2000);
  assert_int_equal(heard.next, 12 * FRAME_BYTES);
  assert_int_equal(heard.missing, 0);
  for (int i = 0; i < 12; i++) assert_frame(i);
}

static void the_eleventh_ends_the_waiting(void **state) {
  (void)state;
  push(0, 0);
  for (int i = 2; i <= 12; i++) push(i, 1000);
  assert_int_equal(heard.next, 13 * FRAME_BYTES);
  assert_hole(1);
  push(1, 2000); /* too late */
  assert_int_equal(heard.next, 13 * FRAME_BYTES);
  assert_hole(1);
  for (int i = 2; i < 13; i++) assert_frame(i);
}

static void so_does_a_tenth_of_a_second(void **state) {
  (void)state;
  push(0, 0);
  push(2, 20000);
  push(4, 60000);
  assembler_tick(&assembler, 119999);
  assert_int_equal(heard.next, FRAME_BYTES);
  assembler_tick(&assembler, 120000);
  assert_int_equal(heard.next, 3 * FRAME_BYTES); /* the second hole has its own time */
  push(5, 160000);
  assert_int_equal(heard.next, 6 * FRAME_BYTES);
  assert_hole(1);
  assert_frame(2);
  assert_hole(3);
  assert_frame(4);
  assert_frame(5);
}

static void a_late_frame_still_fills_its_hole(void **state) {
  (void)state;
  push(0, 0);
  push(2, 20000);
  push(1, 500000);
  assert_int_equal(heard.missing, 0);
  assert_int_equal(heard.next, 3 * FRAME_BYTES);
}

static void flush_hands_on_what_waits(void **state) {
  (void)state;
  push(0, 0);
  push(3, 0);
  push(2, 0);
  assembler_flush(&assembler);
  assert_int_equal(heard.next, 4 * FRAME_BYTES);
  assert_hole(1);
  assert_frame(2);
  assert_frame(3);
  assembler_flush(&assembler);
  assert_int_equal(heard.next, 4 * FRAME_BYTES);
}

static void a_long_hole_is_one_call(void **state) {
  (void)state;
  push(0, 0);
  uint8_t payload[FRAME_BYTES] = {0};
  int64_t hour_us = 3600 * INT64_C(1000000);
  assembler_push(&assembler, hour_us, hour_us, payload, sizeof payload);
  assembler_tick(&assembler, hour_us + ASSEMBLER_WAIT_US);
  assert_int_equal(heard.hole_calls, 1);
  assert_int_equal(heard.missing, 3600 * 8000 - FRAME_BYTES);
  assert_int_equal(heard.next, 3600 * 8000 + FRAME_BYTES);
}

static void roundings_adjoin(void **state) {
  (void)state;
  const uint8_t payload[FRAME_BYTES] = {0};
  static const struct {
    int64_t off_us;
    int64_t next; /* after a frame that is so much off 20 ms */
  } cases[] = {
      {0, 320},     {60, 320},   {-60, 320},   {930, 320},    {-930, 320},   {1000, 328},
      {-1000, 312}, {5000, 360}, {-5000, 280}, {-20000, 160}, {-40000, 160},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fresh(NULL);
    push(0, 0);
    assembler_push(&assembler, FRAME_US + cases[i].off_us, 0, payload, sizeof payload);
    assembler_flush(&assembler);
    if (heard.next != cases[i].next)
      fail_msg("%" PRId64 " us off ends at %" PRId64 ", wanted %" PRId64, cases[i].off_us, heard.next,
               cases[i].next);
    assert_int_equal(heard.missing, cases[i].off_us >= 1000 ? cases[i].next - 320 : 0);
  }
}

static void overlap_keeps_the_first_hearing(void **state) {
  (void)state;
  uint8_t payload[2 * FRAME_BYTES];
  push(0, 0);
  memset(payload, 2, FRAME_BYTES);
  memset(payload + FRAME_BYTES, 3, FRAME_BYTES);
  assembler_push(&assembler, 10000, 0, payload, sizeof payload); /* 10 to 50 ms */
  assert_int_equal(heard.next, 400);
  assert_frame(0);
  assert_int_equal(heard.sample[160], level_of(1));
  assert_int_equal(heard.sample[239], level_of(1));
  assert_int_equal(heard.sample[240], level_of(2));
  assembler_push(&assembler, -FRAME_US, 0, payload, FRAME_BYTES); /* before the track began */
  assert_int_equal(heard.next, 400);
}

static void any_size_of_payload(void **state) {
  (void)state;
  static uint8_t large[65536];
  for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i % 251);
  assembler_push(&assembler, 0, 0, large, 0);
  assert_int_equal(heard.calls, 0);
  for (int i = 0; i < 8; i++) assembler_push(&assembler, i * 125, 0, large + 1, 1);
  assert_int_equal(heard.next, 8);
  assembler_push(&assembler, 1000, 0, large, sizeof large);
  assert_int_equal(heard.next, 8 + (int)sizeof large);
  for (size_t i = 0; i < sizeof large; i += 997)
    assert_int_equal(heard.sample[8 + i], level_of((int)(i % 251) - 1));
}

/* Room for 8 KiB: what does not fit gives up the hole instead of being lost. */
static void what_cannot_wait_is_handed_on(void **state) {
  (void)state;
  static uint8_t large[65536];
  push(0, 0);
  push(2, 0);
  assembler_push(&assembler, 5 * FRAME_US, 0, large, sizeof large);
  assert_int_equal(heard.next, 5 * FRAME_BYTES + (int)sizeof large);
  assert_int_equal(heard.missing, 3 * FRAME_BYTES);
  assert_frame(2);
  /* Earlier than what waits, and no room: it goes first, the others go on waiting. */
  fresh(NULL);
  push(0, 0);
  assembler_push(&assembler, 1000 * FRAME_US, 0, large, ASSEMBLER_HELD_BYTES);
  push(3, 0);
  assert_int_equal(heard.next, 4 * FRAME_BYTES);
  assert_int_equal(assembler.held, 1);
  assert_frame(3);
}

static void positions_go_on_in_a_new_rate(void **state) {
  (void)state;
  uint8_t payload[320];
  memset(payload, 77, sizeof payload);
  push(0, 0);
  push(2, 0);
  heard.next = FRAME_BYTES;
  assembler_begin(&assembler, codec_row(CODEC_PCMA)); /* hands on what waits */
  assert_int_equal(heard.next, 3 * FRAME_BYTES);
  heard.next = 6 * FRAME_BYTES; /* the same moment, counted at 16 kHz */
  assembler_begin(&assembler, &wide);
  assert_int_equal(assembler.sample_rate_hz, 16000);
  assembler_push(&assembler, 3 * FRAME_US, 0, payload, sizeof payload);
  assert_int_equal(heard.next, 8 * FRAME_BYTES);
  assert_int_equal(heard.sample[6 * FRAME_BYTES], 77);
  heard.next = 4 * FRAME_BYTES;
  assembler_begin(&assembler, codec_row(CODEC_PCMU));
  push(4, 0);
  assert_int_equal(heard.next, 5 * FRAME_BYTES);
}

static void sound_nobody_decodes_is_missing_time(void **state) {
  (void)state;
  uint8_t payload[640] = {0};
  push(0, 0);
  assembler_begin(&assembler, codec_row(CODEC_L16_16K));
  assembler_push(&assembler, FRAME_US, 0, payload, 640); /* 20 ms, told at the rate that is heard */
  assert_int_equal(heard.next, 320);
  assembler_begin(&assembler, codec_row(CODEC_OPUS));
  assembler_push(&assembler, 2 * FRAME_US, 0, payload, 61);
  assembler_push(&assembler, 3 * FRAME_US, 0, payload, 3);
  assembler_push(&assembler, FRAME_US, 0, payload, 61); /* long past */
  assert_int_equal(heard.next, 640);
  assembler_begin(&assembler, codec_row(CODEC_PCMU));
  push(4, 0);
  assert_int_equal(heard.missing, 480);
  assert_frame(0);
  assert_frame(4);
}

static void packets_stay_whole(void **state) {
  (void)state;
  uint8_t payload[2000] = {42};
  assembler_begin(&assembler, &packets);
  assembler_push(&assembler, 0, 0, payload, sizeof payload);
  assembler_push(&assembler, FRAME_US, 0, payload, sizeof payload);
  assert_int_equal(heard.next, 320);
  assert_int_equal(heard.sample[319], 42);
}

static void nothing_before_begin(void **state) {
  (void)state;
  memset(&heard, 0, sizeof heard);
  assembler_init(&assembler, listen_to, &heard);
  push(0, 0);
  assembler_tick(&assembler, 1000000);
  assembler_flush(&assembler);
  assert_int_equal(heard.calls, 0);
}

/* ---- random ---- */

static uint64_t seed;

static int start_random(void **state) {
  const char *given = getenv("SIDETONE_SEED");
  seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
  srandom((unsigned)seed);
  return fresh(state);
}

#define SEEDED(condition_)                                                                    \
  do {                                                                                        \
    if (!(condition_)) fail_msg("%s; repeat with SIDETONE_SEED=%" PRIu64, #condition_, seed); \
  } while (0)

/* Each frame may be overtaken by up to ten others. */
static void shuffle(int *order, int count) {
  int overtaken[256] = {0};
  bool sent[256] = {false};
  for (int out = 0, first = 0; out < count; out++) {
    while (sent[first]) first++;
    int pick = first + (int)(random() % (ASSEMBLER_FRAMES + 1));
    if (pick >= count || sent[pick] || overtaken[first] == ASSEMBLER_FRAMES || random() % 3) pick = first;
    for (int i = first; i < pick; i++)
      if (!sent[i]) overtaken[i]++;
    sent[pick] = true;
    order[out] = pick;
  }
}

static void any_order_within_the_window_sounds_the_same(void **state) {
  enum { COUNT = 200, ROUNDS = 200 };
  for (int round = 0; round < ROUNDS; round++) {
    int order[COUNT];
    fresh(state);
    shuffle(order, COUNT);
    for (int i = 0; i < COUNT; i++) push(order[i], i * 5000);
    SEEDED(heard.next == COUNT * FRAME_BYTES && heard.missing == 0);
    SEEDED(assembler.held == 0 && assembler.held_bytes == 0);
    for (int i = 0; i < COUNT; i++)
      for (int k = 0; k < FRAME_BYTES; k += 53) SEEDED(heard.sample[i * FRAME_BYTES + k] == level_of(i));
  }
}

/* Whatever comes, the sink is given an unbroken run (listen_to() checks) and all frames end up in it. */
static void whatever_comes_the_run_is_unbroken(void **state) {
  static uint8_t payload[9000];
  for (int round = 0; round < 300; round++) {
    int64_t now_us = 0, end_us = 0;
    fresh(state);
    for (int i = 0; i < 200; i++) {
      now_us += random() % 30000;
      int64_t place_us = now_us + random() % 400000 - 150000;
      size_t bytes = (size_t)(random() % 50 ? random() % 400 : random() % 9000);
      if (bytes > 0 && place_us + (int64_t)bytes * 125 > end_us) end_us = place_us + (int64_t)bytes * 125;
      assembler_push(&assembler, place_us, now_us, payload, bytes);
      if (random() % 10 == 0) assembler_tick(&assembler, now_us);
      SEEDED(assembler.held <= ASSEMBLER_FRAMES && assembler.held_bytes <= ASSEMBLER_HELD_BYTES);
    }
    assembler_flush(&assembler);
    int64_t apart_us = heard.next * 125 - end_us;
    SEEDED(assembler.held == 0 && assembler.held_bytes == 0);
    SEEDED(apart_us > -1200 && apart_us < 1200);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(frames_in_order_pass_at_once, fresh),
      cmocka_unit_test_setup(ten_frames_wait_for_one, fresh),
      cmocka_unit_test_setup(the_eleventh_ends_the_waiting, fresh),
      cmocka_unit_test_setup(so_does_a_tenth_of_a_second, fresh),
      cmocka_unit_test_setup(a_late_frame_still_fills_its_hole, fresh),
      cmocka_unit_test_setup(flush_hands_on_what_waits, fresh),
      cmocka_unit_test_setup(a_long_hole_is_one_call, fresh),
      cmocka_unit_test(roundings_adjoin),
      cmocka_unit_test_setup(overlap_keeps_the_first_hearing, fresh),
      cmocka_unit_test_setup(any_size_of_payload, fresh),
      cmocka_unit_test_setup(what_cannot_wait_is_handed_on, fresh),
      cmocka_unit_test_setup(positions_go_on_in_a_new_rate, fresh),
      cmocka_unit_test_setup(sound_nobody_decodes_is_missing_time, fresh),
      cmocka_unit_test_setup(packets_stay_whole, fresh),
      cmocka_unit_test(nothing_before_begin),
      cmocka_unit_test_setup(any_order_within_the_window_sounds_the_same, start_random),
      cmocka_unit_test_setup(whatever_comes_the_run_is_unbroken, start_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
