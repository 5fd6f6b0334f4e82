/* dsp/clip: runs at the codec's ceiling, not loud peaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dsp/clip.h"
#include "dsp/codec.h"
#include "tests/tones.h"

static int16_t pcm[16000];
static struct clip clip;

static void feed(size_t samples) {
  uint32_t peak = 0;
  for (size_t i = 0; i < samples; i++) peak = (uint32_t)abs(pcm[i]) > peak ? (uint32_t)abs(pcm[i]) : peak;
  clip_feed(&clip, pcm, samples, peak);
}

static void limit_is_99_percent_of_the_ceiling(void **state) {
  (void)state;
  clip_init(&clip, 32124);
  assert_int_equal(clip.limit, 31803);
  clip_init(&clip, 32256);
  assert_int_equal(clip.limit, 31934);
  clip_init(&clip, 32767);
  assert_int_equal(clip.limit, 32440);
}

/* A mu-law sine whose peak is the code's ceiling: with 32767 for a ceiling it could not be seen. At
 * 200 Hz three samples of a crest become the highest code. */
static void full_scale_sine_of_mu_law(void **state) {
  (void)state;
  for (size_t k = 0; k < 16000; k++) pcm[k] = (int16_t)(32124 * sin(2 * M_PI * 200 * (double)k / 8000));
  const struct codec *pcmu = codec_row(CODEC_PCMU);
  static uint8_t coded[16000];
  struct codec_decoder decoder;
  codec_decoder_init(&decoder, pcmu);
  assert_int_equal(pcmu->encode(pcm, 16000, coded, 16000), 16000);
  assert_int_equal(codec_decode(&decoder, coded, 16000, pcm, 16000), 16000);
  clip_init(&clip, 32124);
  feed(16000);
  assert_int_equal(clip.events, 800); /* both crests of 400 periods */
  assert_int_equal(clip.samples, 2400);
  clip_init(&clip, 32767);
  feed(16000);
  assert_int_equal(clip.events, 0);
}

static void one_or_two_are_loud_peaks(void **state) {
  (void)state;
  silence(pcm, 0, 160);
  pcm[5] = 32124;
  pcm[20] = pcm[21] = -32124;
  pcm[40] = 32124;
  pcm[41] = 31000;
  pcm[42] = 32124;
  clip_init(&clip, 32124);
  feed(160);
  assert_int_equal(clip.events, 0);
  assert_int_equal(clip.samples, 0);
  pcm[22] = 32124; /* of either sign */
  feed(160);
  assert_int_equal(clip.events, 1);
  assert_int_equal(clip.samples, 3);
}

static void lowest_sample_counts(void **state) {
  (void)state;
  for (int i = 0; i < 160; i++) pcm[i] = -32768;
  clip_init(&clip, 32767);
  feed(160);
  assert_int_equal(clip.events, 1);
  assert_int_equal(clip.samples, 160);
}

static void a_run_goes_on_over_pieces_but_not_over_holes(void **state) {
  (void)state;
  for (int i = 0; i < 160; i++) pcm[i] = 32767;
  clip_init(&clip, 32767);
  feed(2);
  feed(1);
  feed(2);
  assert_int_equal(clip.events, 1);
  assert_int_equal(clip.samples, 5);
  clip_break(&clip);
  feed(2);
  silence(pcm, 0, 160);
  feed(160);
  for (int i = 0; i < 160; i++) pcm[i] = 32767;
  feed(2);
  assert_int_equal(clip.events, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limit_is_99_percent_of_the_ceiling),
      cmocka_unit_test(full_scale_sine_of_mu_law),
      cmocka_unit_test(one_or_two_are_loud_peaks),
      cmocka_unit_test(lowest_sample_counts),
      cmocka_unit_test(a_run_goes_on_over_pieces_but_not_over_holes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
