#include "dsp/fft.h"

#include <string.h>

/* Four neighbouring floats at once, at any address of a float; the arithmetic is that of one. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* One half of the points in two arrays, real and imaginary. */
struct points {
  float *re, *im;
};

/* A Stockham step from x to y: `half` butterflies on each of `stride` interleaved transforms. It
 * sorts on the way, so that no bit reversal is needed. */
static void step_narrow(struct points x, struct points y, int half, int stride, int table_step) {
  for (int p = 0; p < half; p++) {
    float wr = fft_cosine[p * table_step];
    float wi = fft_cosine[p * table_step + 64]; /* cos(a + 90 degrees) = -sin a */
    for (int q = 0; q < stride; q++) {
      int a = stride * p + q, b = a + stride * half, u = stride * 2 * p + q, v = u + stride;
      float dr = x.re[a] - x.re[b], di = x.im[a] - x.im[b];
      y.re[u] = x.re[a] + x.re[b];
      y.im[u] = x.im[a] + x.im[b];
      y.re[v] = dr * wr - di * wi;
      y.im[v] = dr * wi + di * wr;
    }
  }
}

/* The same for a stride that is a multiple of four. */
static void step_wide(struct points x, struct points y, int half, int stride, int table_step) {
  for (int p = 0; p < half; p++) {
    float wr = fft_cosine[p * table_step], wi = fft_cosine[p * table_step + 64];
    for (int q = 0; q < stride; q += 4) {
      int a = stride * p + q, b = a + stride * half, u = stride * 2 * p + q, v = u + stride;
      four ar = *(const four *)(x.re + a), ai = *(const four *)(x.im + a);
      four br = *(const four *)(x.re + b), bi = *(const four *)(x.im + b);
      four dr = ar - br, di = ai - bi;
      *(four *)(y.re + u) = ar + br;
      *(four *)(y.im + u) = ai + bi;
      *(four *)(y.re + v) = dr * wr - di * wi;
      *(four *)(y.im + v) = dr * wi + di * wr;
    }
  }
}

void fft_forward(float *re, float *im, int points) {
  float other_re[FFT_POINTS], other_im[FFT_POINTS];
  struct points x = {re, im}, y = {other_re, other_im};
  int stride = 1;
  for (int half = points / 2; half >= 1; half /= 2) {
    (stride < 4 ? step_narrow : step_wide)(x, y, half, stride, FFT_POINTS / (2 * half));
    struct points t = x;
    x = y;
    y = t;
    stride *= 2;
  }
  if (x.re != re) {
    memcpy(re, x.re, (size_t)points * sizeof *re);
    memcpy(im, x.im, (size_t)points * sizeof *im);
  }
}

/* Even and odd samples go in as real and imaginary part of a transform of half the size. */
void fft_real_power(const float samples[FFT_POINTS], float power[FFT_POINTS / 2 + 1]) {
  enum { HALF = FFT_POINTS / 2 };
  float re[HALF], im[HALF];
  for (int n = 0; n < HALF; n++) {
    re[n] = samples[2 * n];
    im[n] = samples[2 * n + 1];
  }
  fft_forward(re, im, HALF);
  power[0] = (re[0] + im[0]) * (re[0] + im[0]);
  power[HALF] = (re[0] - im[0]) * (re[0] - im[0]);
  for (int k = 1; k < HALF; k++) {
    int m = HALF - k;
    float er = 0.5f * (re[k] + re[m]), ei = 0.5f * (im[k] - im[m]);
    float dr = 0.5f * (im[k] + im[m]), di = 0.5f * (re[m] - re[k]);
    float wr = fft_cosine[k], wi = fft_cosine[k + 64];
    float xr = er + dr * wr - di * wi, xi = ei + dr * wi + di * wr;
    power[k] = xr * xr + xi * xi;
  }
}

void fft_cosine_pair(const float power_a[FFT_POINTS / 2 + 1], const float power_b[FFT_POINTS / 2 + 1],
                     float *a, float *b, int lags) {
  float re[FFT_POINTS], im[FFT_POINTS];
  re[0] = power_a[0];
  im[0] = power_b[0];
  for (int k = 1; k <= FFT_POINTS / 2; k++) {
    re[k] = re[FFT_POINTS - k] = power_a[k];
    im[k] = im[FFT_POINTS - k] = power_b[k];
  }
  fft_forward(re, im, FFT_POINTS);
  memcpy(a, re, (size_t)lags * sizeof *a);
  memcpy(b, im, (size_t)lags * sizeof *b);
}
