#include "dsp/steady.h"

#include <math.h>
#include <string.h>

enum {
  MODULATION_LOW = 3,   /* 2.3 Hz */
  MODULATION_HIGH = 10, /* 7.8 Hz */
  TABLE_STEP = FFT_POINTS / STEADY_BLOCK,
  BAND_LOW_HZ = 300,
  BAND_HIGH_HZ = 3400,
  BLOCKS_MIN = 4,
  SPECTRA_MIN = 30
};
static const float stands_out = 10; /* times the mean of the band */

void steady_init(struct steady *s, uint32_t rate_hz) {
  memset(s, 0, sizeof *s);
  s->low_bin = BAND_LOW_HZ * FFT_POINTS / rate_hz;
  s->high_bin = BAND_HIGH_HZ * FFT_POINTS / rate_hz;
}

void steady_break(struct steady *s) {
  s->frames = 0;
  s->any_before = false;
}

static double bin_power(const float *size, uint32_t bin) {
  double re = 0, im = 0;
  for (uint32_t i = 0; i < STEADY_BLOCK; i++) {
    uint32_t turn = bin * i * TABLE_STEP;
    re += (double)(size[i] * fft_cosine[turn % FFT_POINTS]);
    im += (double)(size[i] * fft_cosine[(turn + 192) % FFT_POINTS]);
  }
  return 2 * (re * re + im * im) / (STEADY_BLOCK * STEADY_BLOCK);
}

static void end_block(struct steady *s) {
  double sum = 0;
  for (int i = 0; i < STEADY_BLOCK; i++) sum += (double)s->size[i];
  s->sizes += sum / STEADY_BLOCK;
  for (uint32_t bin = MODULATION_LOW; bin <= MODULATION_HIGH; bin++) s->moved += bin_power(s->size, bin);
  s->blocks++;
  s->frames = 0;
}

void steady_frame(struct steady *s, double mean_square) {
  s->size[s->frames++] = (float)sqrt(mean_square);
  if (s->frames == STEADY_BLOCK) end_block(s);
}

void steady_spectrum(struct steady *s, const int16_t pcm[FFT_POINTS]) {
  float sample[FFT_POINTS], power[FFT_POINTS / 2 + 1], sum = 0, lasting = 0;
  for (int n = 0; n < FFT_POINTS; n++) sample[n] = (float)pcm[n] * (0.5f - 0.5f * fft_cosine[n]);
  fft_real_power(sample, power);
  for (uint32_t k = s->low_bin; k <= s->high_bin; k++) sum += power[k];
  float limit = stands_out * sum / (float)(s->high_bin - s->low_bin + 1);
  for (uint32_t k = s->low_bin; k <= s->high_bin; k++) {
    bool peak = power[k] > limit;
    if (peak && s->any_before && s->peak_before[k]) lasting += power[k];
    s->peak_before[k] = peak;
  }
  if (s->any_before) {
    s->spectra++;
    if (sum > 0) s->lasting += (double)(lasting / sum);
  }
  s->any_before = true;
}

struct steady_result steady_take(struct steady *s) {
  struct steady_result r = {0};
  r.enough = s->blocks >= BLOCKS_MIN && s->spectra >= SPECTRA_MIN;
  if (r.enough) {
    double mean = s->sizes / s->blocks;
    r.modulation = mean > 0 ? sqrt(s->moved / s->blocks) / mean : 0;
    r.lasting = s->lasting / s->spectra;
  }
  s->moved = s->sizes = s->lasting = 0;
  s->blocks = s->spectra = 0;
  return r;
}
