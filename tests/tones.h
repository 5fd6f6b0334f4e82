/* Sounds for the tests of what is measured in them: tones, silence, noise, files of $SIDETONE_SHARED.
 * Each writes behind `at` samples and returns how many there are then. */
#ifndef TESTS_TONES_H
#define TESTS_TONES_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOUND_MAX = 16000 * 130 };

/* round(32768 A sin(2 pi f k / 8000)) of voice-quality.md 7.7, k from the tone's own start. */
__attribute__((unused)) static size_t tone(int16_t *pcm, size_t at, size_t samples, double hz,
                                           double amplitude) {
  for (size_t k = 0; k < samples; k++) {
    double x = round(32768 * amplitude * sin(2 * M_PI * hz * (double)k / 8000));
    pcm[at + k] = (int16_t)(x > 32767 ? 32767 : x);
  }
  return at + samples;
}

__attribute__((unused)) static size_t silence(int16_t *pcm, size_t at, size_t samples) {
  memset(pcm + at, 0, samples * sizeof *pcm);
  return at + samples;
}

/* Adds a sine to what is there. */
__attribute__((unused)) static void mix_tone(int16_t *pcm, size_t from, size_t to, double hz, double rate_hz,
                                             double amplitude) {
  for (size_t k = from; k < to; k++) {
    double x = pcm[k] + round(32768 * amplitude * sin(2 * M_PI * hz * (double)k / rate_hz));
    pcm[k] = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
  }
}

/* -1 to 1, of `state`: the same row for the same start. */
__attribute__((unused)) static double uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(int32_t)(*state >> 32) / 2147483648.0;
}

/* Gaussian white noise of this level (rms, of full scale 1), added to what is there. */
__attribute__((unused)) static void mix_noise(int16_t *pcm, size_t from, size_t to, double rms,
                                              uint64_t seed) {
  for (size_t k = from; k < to; k++) {
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += uniform(&seed);
    double x = pcm[k] + round(32768 * rms * sum / 2);
    pcm[k] = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
  }
}

/* Speech-like: bursts of tones and noise, with holes. */
__attribute__((unused)) static size_t medley(int16_t *pcm) {
  size_t n = 0;
  for (int i = 0; i < 20; i++) {
    n = tone(pcm, n, 3000 + 411 * (size_t)i, 180 + 40 * i, 0.3);
    n = silence(pcm, n, 5000);
  }
  mix_noise(pcm, 0, n, 0.002, 3);
  return n;
}

__attribute__((unused)) static void shared_audio(char *path, size_t bytes, const char *folder,
                                                 const char *file) {
  const char *shared = getenv("SIDETONE_SHARED");
  snprintf(path, bytes, "%s/data/audio/%s/%s", shared != NULL ? shared : "../shared", folder, file);
}

/* A file of bare 16-bit samples; 0 when it cannot be read. */
__attribute__((unused)) static size_t shared_raw(const char *folder, const char *file, int16_t *pcm) {
  char path[1024];
  shared_audio(path, sizeof path, folder, file);
  FILE *f = fopen(path, "rb");
  if (f == NULL) return 0;
  size_t n = fread(pcm, sizeof *pcm, SOUND_MAX, f);
  fclose(f);
  return n;
}

#endif
