/* The inputs that prove the variants of dsp/kernels equal, and that time them. */
#ifndef TESTS_KERNEL_CASES_H
#define TESTS_KERNEL_CASES_H

#include <stdint.h>
#include <string.h>

#include "dsp/kernels.h"

enum { KERNEL_SAMPLES_MAX = 960, KERNEL_BLOCKS = 10 };

enum kernel_input {
  INPUT_NOISE,
  INPUT_QUIET,
  INPUT_LOWEST,
  INPUT_EXTREMES,
  INPUT_ONE,
  INPUT_ZERO,
  INPUT_COUNT
};

struct kernel_case {
  const char *name;
  enum kernel_input input;
  uint32_t block_samples; /* 2 ms at 8, 12, 16, 24 and 48 kHz, and sizes that are none */
};

static const struct kernel_case kernel_cases[] = {
    {"8 kHz, noise", INPUT_NOISE, 16},        {"16 kHz, noise", INPUT_NOISE, 32},
    {"8 kHz, quiet", INPUT_QUIET, 16},        {"8 kHz, all -32768", INPUT_LOWEST, 16},
    {"48 kHz, all -32768", INPUT_LOWEST, 96}, {"8 kHz, extremes", INPUT_EXTREMES, 16},
    {"12 kHz, extremes", INPUT_EXTREMES, 24}, {"8 kHz, one sample", INPUT_ONE, 16},
    {"8 kHz, zeros", INPUT_ZERO, 16},         {"blocks of 1", INPUT_NOISE, 1},
    {"blocks of 15", INPUT_EXTREMES, 15},     {"blocks of 17", INPUT_EXTREMES, 17},
};
enum { KERNEL_CASES = sizeof kernel_cases / sizeof kernel_cases[0] };

static inline uint32_t kernel_random(uint32_t *seed) {
  *seed = *seed * 1664525 + 1013904223;
  return *seed >> 16;
}

/* Fills all KERNEL_SAMPLES_MAX samples. */
static inline void kernel_fill(const struct kernel_case *c, uint32_t *seed, int16_t *pcm) {
  static const int16_t extreme[] = {-32768, -32767, 32767, 32766, 0, -1, 1};
  for (int i = 0; i < KERNEL_SAMPLES_MAX; i++) {
    uint32_t r = kernel_random(seed);
    switch (c->input) {
      case INPUT_NOISE:
        pcm[i] = (int16_t)r;
        break;
      case INPUT_QUIET:
        pcm[i] = (int16_t)(r % 33 - 16);
        break;
      case INPUT_LOWEST:
        pcm[i] = -32768;
        break;
      case INPUT_EXTREMES:
        pcm[i] = extreme[r % 7];
        break;
      default:
        pcm[i] = 0;
        break;
    }
  }
  if (c->input == INPUT_ONE) pcm[kernel_random(seed) % (c->block_samples * KERNEL_BLOCKS)] = -32768;
}

/* As many inputs as the voice detector's networks have, and borders. */
static const struct layer_case {
  size_t wide, narrow; /* inputs */
} layer_cases[] = {{336, 224}, {1, 1}, {7, 0}, {0, 0}, {5, 5}};
enum { LAYER_CASES = sizeof layer_cases / sizeof layer_cases[0], LAYER_INPUTS_MAX = 336 };

struct layer_input {
  float wide[LAYER_INPUTS_MAX], wide_weights[LAYER_INPUTS_MAX * LAYER_WIDE], wide_sums[LAYER_WIDE];
  float narrow[LAYER_INPUTS_MAX], narrow_weights[LAYER_INPUTS_MAX * LAYER_NARROW], narrow_sums[LAYER_NARROW];
};

/* Of every size between 2^-24 and 2^24: where the order of a sum or a fused product shows. */
static inline void layer_fill(struct layer_input *to, uint32_t *seed) {
  for (size_t i = 0; i < sizeof *to; i += sizeof(float)) {
    uint32_t bits = kernel_random(seed) << 16 | kernel_random(seed),
             exponent = 127 - 24 + kernel_random(seed) % 48;
    bits = (bits & 0x807fffff) | exponent << 23;
    memcpy((char *)to + i, &bits, sizeof bits);
  }
}

static inline void layer_run(const struct kernels *k, const struct layer_case *c, struct layer_input *on) {
  k->layers(&(struct layer){on->wide, on->wide_weights, c->wide, on->wide_sums},
            &(struct layer){on->narrow, on->narrow_weights, c->narrow, on->narrow_sums});
}

#endif
