/* dsp/vad.c: what is answered when, what is never speech, what missing sound does; and one vector that
 * must come out bit for bit. How well it hears is in test_vad_accuracy.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/vad.h"

enum { FRAMES_MAX = 3000 };

/* What a detector answered about each frame. */
struct answers {
  bool instant[FRAMES_MAX], settled[FRAMES_MAX];
  float score[FRAMES_MAX];
  uint64_t given;
};

static uint32_t noise_state;

static int32_t noise(int32_t amplitude) {
  noise_state = noise_state * 1664525u + 1013904223u;
  return (int32_t)((int64_t)(noise_state >> 16) * (2 * amplitude + 1) / 65536) - amplitude;
}

/* A talker made of integers: buzzing vowels of 220 ms at changing pitch and colour with gaps of 120 ms,
 * three seconds on, one and a half off, over faint noise. The same samples on every machine. */
static void talker_frame(int frame, int16_t *pcm) {
  static int32_t phase, low, band;
  if (frame == 0) phase = low = band = 0;
  bool voiced = frame % 450 >= 150 && frame % 34 < 22;
  int32_t period = 56 + frame / 34 * 7 % 30;
  int32_t colour = 40 + frame / 34 * 37 % 90;
  for (int n = 0; n < VAD_FRAME_SAMPLES; n++) {
    phase = (phase + 1) % period;
    int32_t pulse = voiced && phase < 3 ? 9000 : 0;
    /* A resonance: two integrators in a ring. */
    band += (pulse - low - band / 4) * colour / 128;
    low += band * colour / 128;
    int32_t x = low / 2 + noise(60);
    pcm[n] = (int16_t)(x > 32000 ? 32000 : x < -32000 ? -32000 : x);
  }
}

static void note(struct answers *a, const struct vad_out *out) {
  if (!out->settled_valid) return;
  assert_int_equal(out->settled_frame, a->given);
  assert_true(out->score >= 0 && out->score <= 1);
  a->settled[a->given] = out->settled;
  a->score[a->given++] = out->score;
}

static void feed(struct vad *v, struct answers *a, int frame, const int16_t *pcm) {
  struct vad_out out;
  vad_frame(v, pcm, &out);
  a->instant[frame] = out.instant;
  assert_int_equal(out.settled_valid, frame >= VAD_DELAY_FRAMES);
  note(a, &out);
}

static void finish(struct vad *v, struct answers *a) {
  struct vad_out out;
  while (vad_flush(v, &out)) {
    assert_true(out.settled_valid);
    note(a, &out);
  }
  assert_false(out.settled_valid);
  assert_false(vad_flush(v, &out));
}

static int heard(const struct answers *a, int from, int to) {
  int count = 0;
  for (int i = from; i < to; i++) count += a->settled[i];
  return count;
}

static void every_frame_is_settled_once_and_in_time(void **state) {
  (void)state;
  static const int lengths[] = {0, 1, 2, 9, 10, 11, 12, 13, 14, 25, 500};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    static struct answers a;
    struct vad v;
    int16_t pcm[VAD_FRAME_SAMPLES];
    memset(&a, 0, sizeof a);
    vad_init(&v);
    for (int frame = 0; frame < lengths[i]; frame++) {
      talker_frame(frame, pcm);
      feed(&v, &a, frame, pcm);
    }
    finish(&v, &a);
    assert_int_equal(a.given, lengths[i]);
  }
}

static void speech_is_heard_and_its_pauses_are_not(void **state) {
  (void)state;
  static struct answers a;
  struct vad v;
  int16_t pcm[VAD_FRAME_SAMPLES];
  noise_state = 1;
  memset(&a, 0, sizeof a);
  vad_init(&v);
  for (int frame = 0; frame < 1800; frame++) {
    talker_frame(frame, pcm);
    feed(&v, &a, frame, pcm);
  }
  finish(&v, &a);
  for (int talk = 0; talk < 4; talk++) {
    int at = talk * 450;
    assert_true(heard(&a, at + 150, at + 450) > 150);
    assert_true(heard(&a, at + 20, at + 130) < 10);
    int instant = 0;
    for (int i = at + 150; i < at + 450; i++) instant += a.instant[i];
    assert_true(instant > 100);
  }
  for (int i = 0; i < VAD_START_FRAMES; i++) assert_false(a.instant[i]);
}

static void a_copy_goes_on_as_the_original(void **state) {
  (void)state;
  static struct answers a, b;
  struct vad v, copy;
  int16_t pcm[VAD_FRAME_SAMPLES];
  assert_int_equal(vad_bytes(), sizeof v);
  noise_state = 2;
  memset(&a, 0, sizeof a);
  vad_init(&v);
  for (int frame = 0; frame < 900; frame++) {
    if (frame == 407) {
      memcpy(&copy, &v, vad_bytes());
      b = a;
    }
    talker_frame(frame, pcm);
    feed(&v, &a, frame, pcm);
    if (frame >= 407) feed(&copy, &b, frame, pcm);
  }
  finish(&v, &a);
  finish(&copy, &b);
  assert_memory_equal(&a, &b, sizeof a);
}

/* ---- what is not speech ---- */

typedef int16_t (*source)(int sample);

static int16_t zero(int sample) {
  (void)sample;
  return 0;
}
/* 0xD5 and 0x55 of A-law decode to 8 and -8; mu-law's 0xFF and 0x7F both to 0. */
static int16_t idle_steady(int sample) {
  (void)sample;
  return 8;
}
static int16_t idle_toggling(int sample) {
  return sample / 3 % 2 ? 8 : -8;
}
static int16_t idle_ragged(int sample) {
  (void)sample;
  return noise(3) == 3 ? 8 : 0;
}
static int16_t white_faint(int sample) {
  (void)sample;
  return (int16_t)noise(60);
}
static int16_t white(int sample) {
  (void)sample;
  return (int16_t)noise(3000);
}
static int16_t white_loud(int sample) {
  (void)sample;
  return (int16_t)noise(30000);
}
static int16_t sine(int sample, double hz, double amplitude) {
  return (int16_t)lrint(amplitude * sin(6.283185307179586 * hz * sample / VAD_RATE_HZ));
}
static int16_t tone_1004(int sample) {
  return sine(sample, 1004, 8000);
}
static int16_t tone_425(int sample) {
  return sine(sample, 425, 2000);
}
static int16_t dial_tone(int sample) {
  return (int16_t)(sine(sample, 350, 4000) + sine(sample, 440, 4000));
}
static int16_t hum(int sample) {
  return sine(sample, 50, 3000);
}

static void steady_sound_is_not_speech(void **state) {
  (void)state;
  static const struct {
    const char *name;
    source sound;
    int allowed; /* of 1000 frames */
  } cases[] = {
      {"zero", zero, 0},
      {"idle, steady", idle_steady, 0},
      {"idle, toggling", idle_toggling, 0},
      {"idle, ragged", idle_ragged, 0},
      {"white, faint", white_faint, 0},
      {"white", white, 0},
      {"white, loud", white_loud, 0},
      {"1004 Hz", tone_1004, 0},
      {"425 Hz", tone_425, 0},
      {"350 + 440 Hz", dial_tone, 0},
      {"50 Hz", hum, 0},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    static struct answers a;
    struct vad v;
    noise_state = 3;
    memset(&a, 0, sizeof a);
    vad_init(&v);
    for (int frame = 0; frame < 1000; frame++) {
      int16_t pcm[VAD_FRAME_SAMPLES];
      for (int n = 0; n < VAD_FRAME_SAMPLES; n++) pcm[n] = cases[c].sound(frame * VAD_FRAME_SAMPLES + n);
      feed(&v, &a, frame, pcm);
    }
    finish(&v, &a);
    int wrong = heard(&a, 0, 1000);
    if (wrong > cases[c].allowed) fail_msg("%s: %d of 1000 frames called speech", cases[c].name, wrong);
  }
}

static void equal_samples_are_never_speech(void **state) {
  (void)state;
  static struct answers a;
  struct vad v;
  int16_t pcm[VAD_FRAME_SAMPLES], flat[VAD_FRAME_SAMPLES] = {0};
  noise_state = 4;
  memset(&a, 0, sizeof a);
  vad_init(&v);
  for (int frame = 0; frame < 450; frame++) {
    talker_frame(frame, pcm);
    feed(&v, &a, frame, frame % 5 == 0 ? flat : pcm);
  }
  finish(&v, &a);
  assert_true(heard(&a, 0, 450) > 50);
  for (int frame = 0; frame < 450; frame += 5) {
    assert_false(a.settled[frame]);
    assert_false(a.instant[frame]);
    assert_true(a.score[frame] == 0.0f);
  }
}

/* ---- missing sound ---- */

static void missing_sound_keeps_the_state_for_60_ms(void **state) {
  (void)state;
  for (int gap = 1; gap <= 12; gap++) {
    for (int start = 200; start < 260; start += 3) {
      static struct answers a;
      struct vad v;
      int16_t pcm[VAD_FRAME_SAMPLES];
      noise_state = 5;
      memset(&a, 0, sizeof a);
      vad_init(&v);
      for (int frame = 0; frame < 400; frame++) {
        talker_frame(frame, pcm);
        feed(&v, &a, frame, frame >= start && frame < start + gap ? NULL : pcm);
      }
      finish(&v, &a);
      for (int i = 0; i < gap; i++) {
        bool kept = i < VAD_KEEP_FRAMES;
        assert_int_equal(a.settled[start + i], kept && a.settled[start - 1]);
        assert_int_equal(a.instant[start + i], kept && a.instant[start - 1]);
      }
    }
  }
}

static void missing_sound_moves_no_floor(void **state) {
  (void)state;
  struct vad v;
  struct vad_out out;
  int16_t pcm[VAD_FRAME_SAMPLES];
  noise_state = 6;
  vad_init(&v);
  for (int frame = 0; frame < 100; frame++) {
    for (int n = 0; n < VAD_FRAME_SAMPLES; n++) pcm[n] = white(n);
    vad_frame(&v, pcm, &out);
  }
  struct vad_front before = v.front;
  for (int frame = 0; frame < 1000; frame++) vad_frame(&v, NULL, &out);
  assert_memory_equal(before.floor, v.front.floor, sizeof before.floor);
  assert_memory_equal(before.block_min, v.front.block_min, sizeof before.block_min);
  assert_true(before.peak_db == v.front.peak_db);
}

/* ---- the vector ---- */

/* FNV-1a over the bytes of the scores, and the answers of a fixed talker. */
static void answers_are_the_same_bits_everywhere(void **state) {
  (void)state;
  static struct answers a;
  struct vad v;
  int16_t pcm[VAD_FRAME_SAMPLES];
  noise_state = 7;
  memset(&a, 0, sizeof a);
  vad_init(&v);
  for (int frame = 0; frame < 900; frame++) {
    talker_frame(frame, pcm);
    bool lost = frame % 97 < 3;
    feed(&v, &a, frame, lost ? NULL : pcm);
  }
  finish(&v, &a);
  uint32_t hash = 2166136261u;
  for (uint64_t i = 0; i < a.given; i++) {
    uint32_t bits;
    memcpy(&bits, &a.score[i], sizeof bits);
    hash = (hash ^ bits) * 16777619u;
    hash = (hash ^ (uint32_t)(a.settled[i] + 2 * a.instant[i])) * 16777619u;
  }
  static const uint32_t expected_hash = 0xfae7e5feu;
  static const int expected_heard = 602;
  if (hash != expected_hash || heard(&a, 0, 900) != expected_heard)
    fail_msg("hash 0x%08x, %d frames of speech; expected 0x%08x, %d", (unsigned)hash, heard(&a, 0, 900),
             (unsigned)expected_hash, expected_heard);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_frame_is_settled_once_and_in_time),
      cmocka_unit_test(speech_is_heard_and_its_pauses_are_not),
      cmocka_unit_test(a_copy_goes_on_as_the_original),
      cmocka_unit_test(steady_sound_is_not_speech),
      cmocka_unit_test(equal_samples_are_never_speech),
      cmocka_unit_test(missing_sound_keeps_the_state_for_60_ms),
      cmocka_unit_test(missing_sound_moves_no_floor),
      cmocka_unit_test(answers_are_the_same_bits_everywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
