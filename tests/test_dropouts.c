/* dsp/dropouts: the rules of voice-quality.md 5.8 and the traps that others fall into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dsp/dropouts.h"
#include "tests/tones.h"

enum { FRAME = 160, TOTAL = 100 * FRAME };

static int16_t pcm[TOTAL];
static struct dropouts found;
static struct { size_t start, samples; } found_silence[20];
static size_t silences;

/* A voice that never stands still: no two frames alike, no zeros of its own in a row. */
static void make_voice(double amplitude) {
  uint64_t seed = 11;
  for (size_t k = 0; k < TOTAL; k++) {
    double x = amplitude * 32768 * (sin(2 * M_PI * 131 * (double)k / 8000) + 0.5 * uniform(&seed));
    pcm[k] = (int16_t)(x > -20 && x < 20 ? 20 : x);
  }
}

static void put(size_t from, size_t samples, int16_t value, int16_t other) {
  for (size_t k = from; k < from + samples; k++) pcm[k] = k % 3 == 0 ? other : value;
}

static uint32_t ptime = 20;

static void run(int16_t idle) {
  dropouts_init(&found, 8000, idle);
  dropouts_ptime(&found, ptime);
  silences = 0;
  for (size_t at = 0; at < TOTAL; at += FRAME) {
    uint32_t peak = 0;
    double sum = 0;
    for (size_t k = at; k < at + FRAME; k++) {
      uint32_t size = (uint32_t)abs(pcm[k]);
      peak = size > peak ? size : peak;
      sum += (double)pcm[k] * pcm[k];
    }
    struct dropouts_silence told =
        dropouts_frame(&found, pcm + at, at > 0 ? pcm + at - FRAME : NULL, peak, sum / FRAME);
    if (told.samples == 0) continue;
    found_silence[silences].start = at + FRAME - (size_t)told.ago_samples;
    found_silence[silences++].samples = (size_t)told.samples;
  }
  dropouts_break(&found);
}

static int setup(void **state) {
  (void)state;
  make_voice(0.1);
  return 0;
}

static void told(size_t index, size_t start, size_t samples) {
  assert_true(index < silences);
  assert_int_equal(found_silence[index].start, start);
  assert_int_equal(found_silence[index].samples, samples);
}

static void voice_has_none(void **state) {
  (void)state;
  run(0);
  assert_int_equal(found.inserted_samples, 0);
  assert_int_equal(found.repeated_frames, 0);
}

static void one_to_ten_frames_count(void **state) {
  (void)state;
  put(10 * FRAME, FRAME, 0, 0);
  put(20 * FRAME, 3 * FRAME, 0, 0);
  put(30 * FRAME, 10 * FRAME, 0, 0);
  put(50 * FRAME, 11 * FRAME, 0, 0); /* a switched-off sender's */
  run(0);
  assert_int_equal(found.inserted_samples, 14 * FRAME);
  assert_int_equal(silences, 3);
  told(0, 10 * FRAME, FRAME);
  told(1, 20 * FRAME, 3 * FRAME);
  told(2, 30 * FRAME, 10 * FRAME);
}

/* A signed test takes the one for silence, and an unsigned one for zero misses the other. */
static void idle_code_of_a_law_has_two_signs(void **state) {
  (void)state;
  put(10 * FRAME, FRAME, 8, 8);
  put(20 * FRAME, FRAME, -8, -8);
  put(30 * FRAME, FRAME, 8, -8);
  run(8);
  assert_int_equal(found.inserted_samples, 3 * FRAME);
  run(0);
  assert_int_equal(found.inserted_samples, 0);
}

static void negative_samples_are_no_silence(void **state) {
  (void)state;
  for (size_t k = 0; k < TOTAL; k++) pcm[k] = (int16_t)-abs(pcm[k]);
  run(0);
  assert_int_equal(found.inserted_samples, 0);
}

static void part_of_a_frame_is_none(void **state) {
  (void)state;
  put(10 * FRAME, 159, 0, 0);
  put(20 * FRAME, 195, 0, 0);
  put(30 * FRAME + 80, 2 * FRAME, 0, 0); /* holds a whole one, but begins and ends inside others */
  put(40 * FRAME - 35, 195, 0, 0);
  run(0);
  assert_int_equal(found.inserted_samples, 0);
  put(60 * FRAME - 3, FRAME + 5, 0, 0); /* a sample of the voice may be zero */
  run(0);
  assert_int_equal(found.inserted_samples, 1 * FRAME);
  told(0, 60 * FRAME, FRAME);
}

static void run_ptime(uint32_t ptime_ms) {
  ptime = ptime_ms;
  run(0);
  ptime = 20;
}

/* Frames of the codec of other lengths than 20 ms. */
static void frames_of_the_codec(void **state) {
  (void)state;
  put(2400, 240, 0, 0);  /* frame 10 of 30 ms */
  put(5040, 480, 0, 0);  /* 21 and 22: begin inside 20 ms of ours */
  put(9600, 2400, 0, 0); /* 10 */
  put(14400, 320, 0, 0); /* two of 20 ms */
  run_ptime(30);
  assert_int_equal(found.inserted_samples, (1 + 2 + 10) * 240);
  told(0, 2400, 240);
  told(1, 5040, 480);
  told(2, 9600, 2400);
  run_ptime(20);
  assert_int_equal(found.inserted_samples, 2 * FRAME);
  make_voice(0.1);
  put(1600, 80, 0, 0);
  put(3280, 80, 0, 0);
  put(5120, 79, 0, 0);
  put(8080, 400, 0, 0);
  run_ptime(10);
  assert_int_equal(found.inserted_samples, (1 + 1 + 5) * 80);
  run_ptime(25); /* unknown: 20 */
  assert_int_equal(found.inserted_samples, 0);
  make_voice(0.1);
  put(4640, 320, 30, -30); /* loud only in the half of the frame in which it begins */
  put(5040, 240, 0, 0);
  run_ptime(30);
  assert_int_equal(found.inserted_samples, 240);
}

static void speech_on_both_sides_within_40_ms(void **state) {
  (void)state;
  put(10 * FRAME, FRAME, 0, 0);
  put(9 * FRAME, FRAME, 30, -30);
  put(11 * FRAME, FRAME, 30, -30); /* one quiet frame on each side: yes */
  put(30 * FRAME, FRAME, 0, 0);
  put(28 * FRAME, 2 * FRAME, 30, -30); /* two before: no */
  put(50 * FRAME, FRAME, 0, 0);
  put(51 * FRAME, 2 * FRAME, 30, -30); /* two after: no */
  run(0);
  assert_int_equal(found.inserted_samples, 1 * FRAME);
  told(0, 10 * FRAME, FRAME);
  make_voice(0.003); /* -53 dBov: too low to be told from a gate */
  put(10 * FRAME, FRAME, 0, 0);
  run(0);
  assert_int_equal(found.inserted_samples, 0);
}

static void silence_at_the_ends_is_none(void **state) {
  (void)state;
  put(0, 2 * FRAME, 0, 0);
  put(98 * FRAME, 2 * FRAME, 0, 0);
  run(0);
  assert_int_equal(found.inserted_samples, 0);
}

static void a_hole_is_no_side(void **state) {
  (void)state;
  dropouts_init(&found, 8000, 0);
  dropouts_frame(&found, pcm, NULL, 5000, 1e6);
  put(FRAME, FRAME, 0, 0);
  dropouts_frame(&found, pcm + FRAME, pcm, 0, 0);
  dropouts_break(&found);
  dropouts_frame(&found, pcm + 2 * FRAME, NULL, 5000, 1e6);
  dropouts_break(&found);
  dropouts_frame(&found, pcm + FRAME, NULL, 0, 0);
  dropouts_frame(&found, pcm + 2 * FRAME, pcm + FRAME, 5000, 1e6);
  assert_int_equal(found.inserted_samples, 0);
  dropouts_init(&found, 8000, 0);
  dropouts_frame(&found, pcm, NULL, 5000, 1e6);
  dropouts_frame(&found, pcm + FRAME, pcm, 0, 0);
  dropouts_frame(&found, pcm + 2 * FRAME, pcm + FRAME, 5000, 10); /* quiet: the next one must be loud */
  dropouts_break(&found);
  dropouts_frame(&found, pcm + 3 * FRAME, NULL, 5000, 1e6);
  assert_int_equal(found.inserted_samples, 0);
}

static void copy(size_t to_frame, size_t frames) {
  for (size_t i = 0; i < frames; i++)
    memcpy(pcm + (to_frame + i) * FRAME, pcm + (to_frame - 1) * FRAME, FRAME * sizeof *pcm);
}

static void repeats_count_up_to_ten(void **state) {
  (void)state;
  copy(5, 1);
  copy(20, 3);
  copy(40, 10);
  copy(60, 11);
  run(0);
  assert_int_equal(found.repeated_frames, 14);
  assert_int_equal(found.repeating_frames, 11);
}

static void silence_and_tones_are_no_repeats(void **state) {
  (void)state;
  memset(pcm, 0, sizeof pcm);
  run(0);
  assert_int_equal(found.repeated_frames + found.repeating_frames, 0);
  for (size_t k = 0; k < TOTAL; k++) pcm[k] = (int16_t)(k % 5 == 0 ? 8 : -8);
  run(8);
  assert_int_equal(found.repeated_frames + found.repeating_frames, 0);
  for (size_t k = 0; k < TOTAL; k++) /* ring-back of 400 and 450 Hz */
    pcm[k] = (int16_t)(2000 * sin(2 * M_PI * (double)(k * 400 % 8000) / 8000) +
                       2000 * sin(2 * M_PI * (double)(k * 450 % 8000) / 8000));
  run(0);
  assert_int_equal(found.repeated_frames, 0);
  assert_int_equal(found.repeating_frames, 99);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(voice_has_none, setup),
      cmocka_unit_test_setup(one_to_ten_frames_count, setup),
      cmocka_unit_test_setup(idle_code_of_a_law_has_two_signs, setup),
      cmocka_unit_test_setup(negative_samples_are_no_silence, setup),
      cmocka_unit_test_setup(part_of_a_frame_is_none, setup),
      cmocka_unit_test_setup(frames_of_the_codec, setup),
      cmocka_unit_test_setup(speech_on_both_sides_within_40_ms, setup),
      cmocka_unit_test_setup(silence_at_the_ends_is_none, setup),
      cmocka_unit_test_setup(a_hole_is_no_side, setup),
      cmocka_unit_test_setup(repeats_count_up_to_ten, setup),
      cmocka_unit_test_setup(silence_and_tones_are_no_repeats, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
