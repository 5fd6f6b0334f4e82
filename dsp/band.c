#include "dsp/band.h"

#include <math.h>

#include "dsp/fft.h"

/* Every second bin of a transform of 512 points is a bin of one of 256 whose samples are those of both
 * halves added up: that is enough to sum bands, and costs half. */
enum { BIN_HZ_TIMES_2 = 125, LOW_FROM = 5, LOW_TO = 54, HIGH_FROM = 68, HIGH_TO = 112 };
_Static_assert(LOW_FROM *BIN_HZ_TIMES_2 >= 600 && LOW_TO * BIN_HZ_TIMES_2 <= 6800, "0.3 to 3.4 kHz");
_Static_assert(HIGH_FROM *BIN_HZ_TIMES_2 >= 8400 && HIGH_TO * BIN_HZ_TIMES_2 <= 14000, "4.2 to 7 kHz");

/* cos(2 pi n / 512), n = 0 to 255, from the table of 256 steps by the half angle. */
static float half_step_cosine(int n) {
  float c = sqrtf((1 + fft_cosine[n]) / 2);
  return n <= FFT_POINTS / 2 ? c : -c;
}

static float sum(const float *power, int from, int to) {
  float s = 0;
  for (int k = from; k <= to; k++) s += power[k];
  return s;
}

struct band_power band_measure(const int16_t pcm[BAND_SAMPLES]) {
  float folded[FFT_POINTS], power[FFT_POINTS / 2 + 1];
  for (int n = 0; n < FFT_POINTS; n++) {
    /* A Hann window: its second half is 1 less the first. */
    float weight = 0.5f - 0.5f * half_step_cosine(n);
    folded[n] = weight * (float)pcm[n] + (1 - weight) * (float)pcm[n + FFT_POINTS];
  }
  fft_real_power(folded, power);
  return (struct band_power){sum(power, LOW_FROM, LOW_TO), sum(power, HIGH_FROM, HIGH_TO)};
}
