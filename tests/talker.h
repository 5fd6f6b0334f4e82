/* Sound for tests, made of integers so that it is the same everywhere: a talker of buzzing vowels with
 * short gaps, three seconds on and one and a half off, over faint noise. */
#ifndef TESTS_TALKER_H
#define TESTS_TALKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline int32_t talker_noise(uint32_t *state, int32_t amplitude) {
  *state = *state * 1664525u + 1013904223u;
  return (int32_t)((int64_t)(*state >> 16) * (2 * amplitude + 1) / 65536) - amplitude;
}

/* 8 kHz from the start of the first silence; talks from 1.5 s on. */
static inline void talker_fill(int16_t *pcm, size_t samples, uint32_t seed) {
  int32_t phase = 0, low = 0, band = 0;
  for (size_t n = 0; n < samples; n++) {
    int32_t frame = (int32_t)(n / 80);
    int32_t syllable = frame / 34, period = 56 + syllable * 7 % 30, colour = 40 + syllable * 37 % 90;
    phase = (phase + 1) % period;
    bool voiced = frame % 450 >= 150 && frame % 34 < 22;
    int32_t pulse = voiced && phase < 3 ? 9000 : 0;
    band += (pulse - low - band / 4) * colour / 128;
    low += band * colour / 128;
    int32_t x = low / 2 + talker_noise(&seed, 60);
    pcm[n] = (int16_t)(x > 32000 ? 32000 : x < -32000 ? -32000 : x);
  }
}

#endif
