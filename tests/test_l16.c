/* dsp/l16.c: the byte order is found, kept, and little-endian where the sound does not tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "dsp/l16.h"

enum { FRAME = 160 };

static uint64_t seed;

static int noise(int peak) {
  return (int)(random() % (2 * peak + 1)) - peak;
}

static int start_random(void **state) {
  (void)state;
  const char *given = getenv("SIDETONE_SEED");
  seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
  srandom((unsigned)seed);
  return 0;
}

static void put(uint8_t *payload, const int16_t *pcm, bool big_endian) {
  for (int i = 0; i < FRAME; i++) {
    uint16_t word = (uint16_t)pcm[i];
    payload[2 * i + big_endian] = (uint8_t)word;
    payload[2 * i + !big_endian] = (uint8_t)(word >> 8);
  }
}

/* A voiced sound: three harmonics and some breath. */
static void sound(int16_t *pcm, int frame, double amplitude, int breath) {
  for (int i = 0; i < FRAME; i++) {
    double t = (double)(frame * FRAME + i) / 8000;
    double wave = sin(2 * M_PI * 210 * t) + 0.5 * sin(2 * M_PI * 630 * t) + 0.3 * sin(2 * M_PI * 2100 * t);
    pcm[i] = (int16_t)(amplitude / 1.8 * wave + noise(breath));
  }
}

/* From the very first frame on: nothing is heard the wrong way round. */
static void either_order_is_heard_right(void **state) {
  (void)state;
  static const struct {
    double amplitude;
    int breath;
  } levels[] = {{30000, 300}, {8000, 1000}, {500, 20}, {40, 3}, {0, 2}};
  for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
    for (int big = 0; big < 2; big++) {
      struct codec_decoder decoder;
      codec_decoder_init(&decoder, &l16_8k);
      for (int frame = 0; frame < 100; frame++) {
        int16_t pcm[FRAME], got[FRAME];
        uint8_t payload[2 * FRAME];
        sound(pcm, frame, levels[l].amplitude, levels[l].breath);
        put(payload, pcm, big);
        assert_int_equal(l16_8k.decode(&decoder, payload, sizeof payload, got, FRAME), FRAME);
        for (int i = 0; i < FRAME; i++)
          if (got[i] != pcm[i])
            fail_msg("level %g, %s-endian, frame %d: %d, wanted %d; repeat with SIDETONE_SEED=%" PRIu64,
                     levels[l].amplitude, big ? "big" : "little", frame, got[i], pcm[i], seed);
      }
      assert_true(decoder.l16_decided);
      assert_int_equal(decoder.l16_big_endian, big);
    }
  }
}

static void decided_once(void **state) {
  (void)state;
  struct codec_decoder decoder;
  int16_t pcm[FRAME], got[FRAME];
  uint8_t payload[2 * FRAME];
  codec_decoder_init(&decoder, &l16_8k);
  for (int frame = 0; frame < 60; frame++) {
    sound(pcm, frame, 8000, 100);
    put(payload, pcm, true);
    l16_8k.decode(&decoder, payload, sizeof payload, got, FRAME);
  }
  assert_true(decoder.l16_decided && decoder.l16_big_endian);
  for (int frame = 0; frame < 200; frame++) {
    sound(pcm, frame, 8000, 100);
    put(payload, pcm, false);
    l16_8k.decode(&decoder, payload, sizeof payload, got, FRAME);
  }
  assert_true(decoder.l16_big_endian);
}

/* Silence tells nothing however long it lasts; noise at full scale never clearly. */
static void little_endian_without_a_clear_answer(void **state) {
  (void)state;
  struct codec_decoder decoder;
  int16_t pcm[FRAME] = {0}, got[FRAME];
  uint8_t payload[2 * FRAME] = {0};
  codec_decoder_init(&decoder, &l16_8k);
  for (int frame = 0; frame < 500; frame++) l16_8k.decode(&decoder, payload, sizeof payload, got, FRAME);
  assert_true(!decoder.l16_decided && decoder.l16_samples == 0);
  for (int frame = 0; frame < 100; frame++) {
    for (int i = 0; i < FRAME; i++) pcm[i] = (int16_t)noise(32767);
    put(payload, pcm, true);
    l16_8k.decode(&decoder, payload, sizeof payload, got, FRAME);
  }
  assert_true(decoder.l16_decided && !decoder.l16_big_endian);
}

static void odd_sizes_and_small_room(void **state) {
  (void)state;
  struct codec_decoder decoder;
  const uint8_t payload[5] = {1, 0, 2, 0, 3};
  int16_t pcm[4] = {7, 7, 7, 7};
  codec_decoder_init(&decoder, &l16_8k);
  assert_int_equal(l16_8k.decode(&decoder, payload, 5, pcm, 4), 2);
  assert_true(pcm[0] == 1 && pcm[1] == 2 && pcm[2] == 7);
  assert_int_equal(l16_8k.decode(&decoder, payload, 1, pcm, 4), 0);
  assert_int_equal(l16_8k.decode(&decoder, payload, 0, pcm, 4), 0);
  assert_int_equal(l16_8k.decode(&decoder, payload, 5, pcm, 1), 1);
  uint8_t back[5] = {9, 9, 9, 9, 9};
  assert_int_equal(l16_8k.encode(pcm, 4, back, 5), 4);
  assert_int_equal(back[4], 9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(either_order_is_heard_right, start_random),
      cmocka_unit_test_setup(decided_once, start_random),
      cmocka_unit_test_setup(little_endian_without_a_clear_answer, start_random),
      cmocka_unit_test(odd_sizes_and_small_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
