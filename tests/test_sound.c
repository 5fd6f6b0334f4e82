/* agent/sound.c: audio files as 8 kHz tracks. */
#include "agent/sound.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/scratch_file.h"

enum { SECONDS_MAX = 20, RATE_MAX = 48000 };
static int16_t pcm[SECONDS_MAX * RATE_MAX * 2];

/* A tone of each channel's own: 400 Hz left, 1000 Hz right, amplitude 8000. */
static void tones(uint32_t rate_hz, uint16_t channels, size_t frames) {
  static const double tone_hz[2] = {400, 1000};
  for (size_t i = 0; i < frames; i++)
    for (size_t c = 0; c < channels; c++)
      pcm[i * channels + c] =
          (int16_t)lrint(8000 * sin(2 * 3.14159265358979 * tone_hz[c] * (double)i / rate_hz));
}

static struct sound read_good(const char *path) {
  struct sound s;
  char why[512] = "";
  if (!sound_read(&s, path, why, sizeof why)) fail_msg("%s", why);
  return s;
}

/* What is left of a track after the tone it should hold is taken out, as amplitude, ends left alone. */
static double rest_after_tone(const int16_t *x, size_t samples, double hz) {
  double in_phase = 0, quadrature = 0, worst = 0;
  size_t edge = 400, count = samples - 2 * edge;
  for (size_t i = edge; i < samples - edge; i++) {
    in_phase += x[i] * sin(2 * 3.14159265358979 * hz * (double)i / 8000);
    quadrature += x[i] * cos(2 * 3.14159265358979 * hz * (double)i / 8000);
  }
  in_phase *= 2 / (double)count;
  quadrature *= 2 / (double)count;
  double amplitude = hypot(in_phase, quadrature);
  assert_true(amplitude > 7900 && amplitude < 8100);
  for (size_t i = edge; i < samples - edge; i++) {
    double at = 2 * 3.14159265358979 * hz * (double)i / 8000;
    double left = fabs(x[i] - in_phase * sin(at) - quadrature * cos(at));
    if (left > worst) worst = left;
  }
  return worst;
}

static void eight_kilohertz_stay_as_they_are(void **state) {
  (void)state;
  size_t frames = 8000 * 3 + 77;
  for (size_t i = 0; i < frames * 2; i++) pcm[i] = (int16_t)((int64_t)i * 40503 % 65536 - 32768);
  struct sound s = read_good(scratch_wav("a.wav", 8000, 2, pcm, frames));
  assert_int_equal(s.channels, 2);
  assert_int_equal(s.samples, frames);
  assert_int_equal(s.duration_ms, 3009);
  for (size_t i = 0; i < frames; i++) {
    assert_int_equal(s.pcm[0][i], pcm[i * 2]);
    assert_int_equal(s.pcm[1][i], pcm[i * 2 + 1]);
  }
  sound_free(&s);
  assert_null(s.pcm[0]);
}

static void other_rates_are_resampled(void **state) {
  (void)state;
  static const uint32_t rates_hz[] = {11025, 16000, 22050, 44100, 48000};
  for (size_t i = 0; i < sizeof rates_hz / sizeof *rates_hz; i++) {
    for (uint16_t channels = 1; channels <= 2; channels++) {
      size_t frames = rates_hz[i] * 10; /* several blocks */
      tones(rates_hz[i], channels, frames);
      struct sound s = read_good(scratch_wav("r.wav", rates_hz[i], channels, pcm, frames));
      assert_int_equal(s.channels, channels);
      assert_int_equal(s.duration_ms, 10000);
      if (s.samples < 79990 || s.samples > 80010) fail_msg("%u Hz: %zu samples", rates_hz[i], s.samples);
      assert_true(rest_after_tone(s.pcm[0], s.samples, 400) < 20);
      if (channels == 2) assert_true(rest_after_tone(s.pcm[1], s.samples, 1000) < 20);
      sound_free(&s);
    }
  }
}

/* A WAV of one byte a sample; 6 is A-law, 7 is mu-law. */
static const char *coded_wav(uint8_t coding) {
  static uint8_t file[46 + 160] =
      "RIFF....WAVEfmt \22\0\0\0c\0\1\0\100\37\0\0\100\37\0\0\1\0\10\0\0\0data\240\0\0";
  file[4] = sizeof file - 8;
  file[20] = coding;
  for (size_t i = 46; i < sizeof file; i++) file[i] = (uint8_t)i;
  return scratch_bytes("coded.wav", file, sizeof file);
}

static void a_coding_tells_where_it_clips(void **state) {
  (void)state;
  struct sound s = read_good(scratch_wav("a.wav", 8000, 1, pcm, 100));
  assert_int_equal(s.ceiling, 32767);
  assert_int_equal(s.idle, 0);
  sound_free(&s);
  s = read_good(coded_wav(6));
  assert_int_equal(s.samples, 160);
  assert_int_equal(s.ceiling, 32256);
  assert_int_equal(s.idle, 8);
  sound_free(&s);
  s = read_good(coded_wav(7));
  assert_int_equal(s.ceiling, 32124);
  assert_int_equal(s.idle, 0);
  sound_free(&s);
}

static void full_scale_does_not_wrap(void **state) {
  (void)state;
  for (size_t i = 0; i < 32000; i++) pcm[i] = i / 40 % 2 ? 32767 : -32768;
  struct sound s = read_good(scratch_wav("f.wav", 16000, 1, pcm, 32000));
  int jumps = 0;
  for (size_t i = 1; i < s.samples; i++) jumps += abs(s.pcm[0][i] - s.pcm[0][i - 1]) > 40000;
  assert_true(jumps < 900); /* the square wave's own edges: 800 in the file, one or two samples wide */
  for (size_t i = 30; i + 30 < s.samples; i++) /* the middle of each plateau keeps its sign */
    if (i % 20 == 10) assert_true((s.pcm[0][i] > 20000) == (i / 20 % 2 == 1));
  sound_free(&s);
}

static void expect_refused(const char *path, const char *what) {
  struct sound s;
  char why[512] = "";
  assert_false(sound_read(&s, path, why, sizeof why));
  assert_null(s.pcm[0]);
  if (strncmp(why, path, strlen(path)) != 0 || strstr(why, what) == NULL) fail_msg("%s", why);
}

static void what_is_no_sound_of_ours_is_refused(void **state) {
  (void)state;
  memset(pcm, 0, sizeof pcm);
  expect_refused(scratch_wav("three.wav", 8000, 3, pcm, 1000), "3 channels");
  expect_refused(scratch_wav("low.wav", 7999, 1, pcm, 1000), "7999 Hz");
  expect_refused(scratch_wav("high.wav", 96000, 1, pcm, 1000), "8000 to 48000 Hz");
  expect_refused(scratch_text("text.wav", "this is no sound\n"), "no audio file that is known here (WAV, ");
  expect_refused(scratch_path("absent.wav"), "No such file");
  const char *pipe = scratch_path("pipe.wav"); /* nobody writes to it: opening it would wait for ever */
  assert_int_equal(mkfifo(pipe, 0600), 0);
  expect_refused(pipe, "a regular file is needed: no folder, pipe or device");
}

static void an_empty_file_is_empty(void **state) {
  (void)state;
  struct sound s = read_good(scratch_wav("e.wav", 8000, 1, pcm, 0));
  assert_int_equal(s.samples, 0);
  assert_int_equal(s.duration_ms, 0);
  sound_free(&s);
}

/* As the file has it, however it is cut, or resampled where dsp/signal has no such rate. */
static void the_file_as_it_is_piece_by_piece(void **state) {
  (void)state;
  static const struct {
    uint32_t rate_hz, given_hz;
  } rows[] = {{8000, 8000}, {16000, 16000}, {48000, 48000}, {44100, 16000}, {11025, 8000}};
  static int16_t left[SECONDS_MAX * RATE_MAX], right[SECONDS_MAX * RATE_MAX];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t frames = rows[i].rate_hz * 2 + 123, got = 0, piece;
    uint32_t rate_hz;
    tones(rows[i].rate_hz, 2, frames);
    struct sound_reader *r = sound_open(scratch_wav("n.wav", rows[i].rate_hz, 2, pcm, frames), &rate_hz);
    assert_non_null(r);
    assert_int_equal(rate_hz, rows[i].given_hz);
    do {
      int16_t *const into[2] = {left + got, right + got};
      piece = sound_next(r, into, 5000);
      got += piece;
    } while (piece == 5000);
    int16_t *const into[2] = {left + got, right + got};
    assert_int_equal(sound_next(r, into, 5000), 0);
    sound_close(r);
    size_t expected = (size_t)((uint64_t)frames * rate_hz / rows[i].rate_hz);
    assert_in_range(got, expected - 100, expected + 100);
    for (size_t k = 0; rate_hz == rows[i].rate_hz && k < frames; k++) {
      assert_int_equal(left[k], pcm[2 * k]);
      assert_int_equal(right[k], pcm[2 * k + 1]);
    }
  }
  uint32_t rate_hz;
  assert_null(sound_open(scratch_path("absent.wav"), &rate_hz));
  sound_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(eight_kilohertz_stay_as_they_are),    cmocka_unit_test(other_rates_are_resampled),
      cmocka_unit_test(a_coding_tells_where_it_clips),       cmocka_unit_test(full_scale_does_not_wrap),
      cmocka_unit_test(what_is_no_sound_of_ours_is_refused), cmocka_unit_test(an_empty_file_is_empty),
      cmocka_unit_test(the_file_as_it_is_piece_by_piece),
  };
  return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
