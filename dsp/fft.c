#include "dsp/fft.h"

#include <string.h>

#include "dsp/four.h"

/* One half of the points in two arrays, real and imaginary. */
struct points {
  float *re, *im;
};

struct complex_four {
  four re, im;
};

static inline struct complex_four load_points(struct points x, int at) {
  return (struct complex_four){four_load(x.re + at), four_load(x.im + at)};
}

static inline void store_points(struct points y, int at, struct complex_four v) {
  four_store(y.re + at, v.re);
  four_store(y.im + at, v.im);
}

/* e^(-i a) of four angles, `apart` 256ths of a turn from one to the next; cos(a + 90 degrees) = -sin a. */
static inline struct complex_four rotation(int first, int apart) {
  const float *w = fft_cosine + first;
  return (struct complex_four){{w[0], w[apart], w[2 * apart], w[3 * apart]},
                               {w[64], w[64 + apart], w[64 + 2 * apart], w[64 + 3 * apart]}};
}

static inline struct complex_four sum(struct complex_four a, struct complex_four b) {
  return (struct complex_four){a.re + b.re, a.im + b.im};
}

/* (a - b) w */
static inline struct complex_four turned(struct complex_four a, struct complex_four b,
                                         struct complex_four w) {
  four re = a.re - b.re, im = a.im - b.im;
  return (struct complex_four){re * w.re - im * w.im, re * w.im + im * w.re};
}

/* Stockham: a step of `half` butterflies on each of `stride` interleaved transforms takes points p and
 * p + half to 2 p and 2 p + 1, and sorts on the way, so that no bit reversal is needed. Here two steps at
 * once, the second with half of `half` and twice the stride: x[0] to x[3] are the points p, p + half / 2,
 * p + half, p + 3 half / 2, first and second the rotations of the first step (of p and p + half / 2), `next`
 * that of the second. */
static inline void two_steps(struct complex_four x[4], struct complex_four first, struct complex_four second,
                             struct complex_four next) {
  struct complex_four s0 = sum(x[0], x[2]), d0 = turned(x[0], x[2], first);
  struct complex_four s1 = sum(x[1], x[3]), d1 = turned(x[1], x[3], second);
  x[0] = sum(s0, s1);
  x[1] = sum(d0, d1);
  x[2] = turned(s0, s1, next);
  x[3] = turned(d0, d1, next);
}

static inline void transpose(four *a, four *b, four *c, four *d) {
  four ab = __builtin_shufflevector(*a, *b, 0, 4, 1, 5),
       ab_high = __builtin_shufflevector(*a, *b, 2, 6, 3, 7);
  four cd = __builtin_shufflevector(*c, *d, 0, 4, 1, 5),
       cd_high = __builtin_shufflevector(*c, *d, 2, 6, 3, 7);
  *a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  *d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* The first two steps, stride 1: LANES neighbouring p at once. */
static void first_steps(struct points x, struct points y, int points) {
  int half = points / 2, turn = FFT_POINTS / points;
  for (int p = 0; p < half / 2; p += LANES) {
    struct complex_four v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = load_points(x, p + i * half / 2);
    two_steps(v, rotation(p * turn, turn), rotation((p + half / 2) * turn, turn),
              rotation(2 * p * turn, 2 * turn));
    transpose(&v[0].re, &v[1].re, &v[2].re, &v[3].re);
    transpose(&v[0].im, &v[1].im, &v[2].im, &v[3].im);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) store_points(y, 4 * (p + i), v[i]);
  }
}

/* Two later steps, the stride a multiple of LANES: as many neighbouring transforms at once. */
static void next_steps(struct points x, struct points y, int points, int stride) {
  int half = points / stride / 2, turn = FFT_POINTS / (2 * half), apart = stride * half / 2;
  for (int p = 0; p < half / 2; p++) {
    struct complex_four first = rotation(p * turn, 0), second = rotation((p + half / 2) * turn, 0);
    struct complex_four next = rotation(2 * p * turn, 0);
    for (int q = 0; q < stride; q += LANES) {
      struct complex_four v[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) v[i] = load_points(x, stride * p + q + i * apart);
      two_steps(v, first, second, next);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) store_points(y, stride * (4 * p + i) + q, v[i]);
    }
  }
}

/* A step that is left over: the last one, of one butterfly. */
static void last_step(struct points x, struct points y, int stride) {
  struct complex_four none = rotation(0, 0);
  for (int q = 0; q < stride; q += LANES) {
    struct complex_four a = load_points(x, q), b = load_points(x, q + stride);
    store_points(y, q, sum(a, b));
    store_points(y, q + stride, turned(a, b, none));
  }
}

/* 256 points are four times two steps; 128 are three and one step. */
void fft_forward(float *re, float *im, int points) {
  float other_re[FFT_POINTS], other_im[FFT_POINTS];
  struct points here = {re, im}, there = {other_re, other_im};
  first_steps(here, there, points);
  next_steps(there, here, points, 4);
  next_steps(here, there, points, 16);
  if (points == FFT_POINTS)
    next_steps(there, here, points, 64);
  else
    last_step(there, here, 64);
}

/* Even and odd samples go in as real and imaginary part of a transform of half the size. */
void fft_real_power(const float samples[FFT_POINTS], float power[FFT_POINTS / 2 + 1]) {
  enum { HALF = FFT_POINTS / 2 };
  float re[HALF], im[HALF];
  for (int n = 0; n < HALF; n += LANES) {
    four x = four_load(samples + 2 * n), y = four_load(samples + 2 * n + LANES);
    four_store(re + n, __builtin_shufflevector(x, y, 0, 2, 4, 6));
    four_store(im + n, __builtin_shufflevector(x, y, 1, 3, 5, 7));
  }
  fft_forward(re, im, HALF);
  power[0] = (re[0] + im[0]) * (re[0] + im[0]);
  power[HALF] = (re[0] - im[0]) * (re[0] - im[0]);
  for (int k = 1; k < HALF; k += LANES) {
    if (k > HALF - LANES) k = HALF - LANES; /* the last four overlap those before */
    four ar = four_load(re + k), br = four_load_backwards(re + HALF - k);
    four ai = four_load(im + k), bi = four_load_backwards(im + HALF - k);
    four er = 0.5f * (ar + br), ei = 0.5f * (ai - bi);
    four dr = 0.5f * (ai + bi), di = 0.5f * (br - ar);
    four wr = four_load(fft_cosine + k), wi = four_load(fft_cosine + k + 64);
    four xr = er + dr * wr - di * wi, xi = ei + dr * wi + di * wr;
    four_store(power + k, xr * xr + xi * xi);
  }
}

void fft_cosine_pair(const float power_a[FFT_POINTS / 2 + 1], const float power_b[FFT_POINTS / 2 + 1],
                     float *a, float *b, int lags) {
  float re[FFT_POINTS], im[FFT_POINTS];
  memcpy(re, power_a, (FFT_POINTS / 2 + 1) * sizeof *re);
  memcpy(im, power_b, (FFT_POINTS / 2 + 1) * sizeof *im);
  for (int k = FFT_POINTS / 2; k < FFT_POINTS; k += LANES) {
    four_store(re + k, four_load_backwards(power_a + (FFT_POINTS - k)));
    four_store(im + k, four_load_backwards(power_b + (FFT_POINTS - k)));
  }
  fft_forward(re, im, FFT_POINTS);
  memcpy(a, re, (size_t)lags * sizeof *a);
  memcpy(b, im, (size_t)lags * sizeof *b);
}
