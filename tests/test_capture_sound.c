/* The sound of a stream: noise of known level, holes, codecs that are not heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/capture_sound.h"
#include "dsp/g711.h"

enum { FRAME = 160, FRAME_US = 20000 };

static struct delivery *new_delivery(const struct codec *codec) {
  struct delivery *d = malloc(delivery_bytes());
  delivery_init(d);
  delivery_begin(d, codec, FRAME_US);
  return d;
}

/* +level or -level, by chance: a tone would be taken for music. */
static void random_signs(uint8_t *payload, int16_t level) {
  static uint32_t x = 2463534242;
  for (int i = 0; i < FRAME; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    payload[i] = g711_linear_to_mu(x & 64 ? (int16_t)-level : level);
  }
}

static void levels(void **state) {
  (void)state;
  const struct codec *codec = codec_row(CODEC_PCMU);
  struct delivery *delivery = new_delivery(codec);
  struct capture_sound *s = capture_sound_new(delivery);
  static struct signal_facts facts;
  uint8_t payload[FRAME];
  assert_false(capture_sound_facts(s, &facts));
  capture_sound_begin(s, codec, FRAME_US);
  for (int64_t i = 0; i < 500; i++) {
    random_signs(payload, 8031); /* a value of the law: what is sent is what is heard */
    if (i != 100) capture_sound_push(s, i * FRAME_US, i * FRAME_US, payload, FRAME);
  }
  capture_sound_end(s);
  assert_true(capture_sound_facts(s, &facts));
  struct signal_figures figures;
  signal_figures(&facts, &figures);
  assert_null(figures.rms_dbov.absent);
  assert_true(figures.rms_dbov.value > -12.5 &&
              figures.rms_dbov.value < -11.9); /* 20 * log10(8031 / 32768) */
  assert_int_equal(facts.missing_us, FRAME_US);
  assert_int_equal(facts.measured_us, 499 * FRAME_US);
  capture_sound_free(s);
  free(delivery);
}

static void a_format_that_is_not_heard(void **state) {
  (void)state;
  const struct codec *codec = codec_row(CODEC_PCMU);
  struct delivery *delivery = new_delivery(codec);
  struct capture_sound *s = capture_sound_new(delivery);
  static struct signal_facts facts;
  uint8_t payload[FRAME];
  random_signs(payload, 8031);
  capture_sound_begin(s, codec, FRAME_US);
  for (int64_t i = 0; i < 100; i++) capture_sound_push(s, i * FRAME_US, i * FRAME_US, payload, FRAME);
  capture_sound_begin(s, codec_row(CODEC_OPUS), FRAME_US);
  for (int64_t i = 100; i < 200; i++) capture_sound_push(s, i * FRAME_US, i * FRAME_US, payload, FRAME);
  capture_sound_end(s);
  assert_true(capture_sound_facts(s, &facts));
  assert_int_equal(facts.measured_us, 100 * FRAME_US);
  capture_sound_free(s);
  free(delivery);
}

static void which_codecs(void **state) {
  (void)state;
  assert_true(capture_sound_can(codec_row(CODEC_PCMU)));
  assert_true(capture_sound_can(codec_row(CODEC_PCMA)));
  assert_true(capture_sound_can(codec_row(CODEC_L16_8K)));
  assert_false(capture_sound_can(codec_row(CODEC_OPUS)));
  assert_false(capture_sound_can(codec_row(CODEC_AMR_WB)));
  capture_sound_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels),
      cmocka_unit_test(a_format_that_is_not_heard),
      cmocka_unit_test(which_codecs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
