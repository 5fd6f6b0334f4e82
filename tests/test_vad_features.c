/* dsp/vad_features.c, its tables and dsp/vad_math.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/fft.h"
#include "dsp/vad_features.h"
#include "dsp/vad_math.h"

static uint32_t noise_state;

static int32_t noise(int32_t amplitude) {
  noise_state = noise_state * 1664525u + 1013904223u;
  return (int32_t)((int64_t)(noise_state >> 16) * (2 * amplitude + 1) / 65536) - amplitude;
}

/* Pulses of 100 Hz for a second in noise, then noise alone for a second, and so on. */
static void pulses_frame(int frame, int32_t gain, int16_t *pcm) {
  for (int n = 0; n < VAD_HOP_SAMPLES; n++)
    pcm[n] = (int16_t)(gain * (noise(100) + (frame / 100 % 2 == 0 && n < 4 ? 4000 - 900 * n : 0)));
}

static void noise_frame(int32_t amplitude, int16_t *pcm) {
  for (int n = 0; n < VAD_HOP_SAMPLES; n++) pcm[n] = (int16_t)noise(amplitude);
}

static void approximations_hold(void **state) {
  (void)state;
  for (double x = 1e-3; x < 1e12; x *= 1.0137)
    assert_true(fabs(vad_log2((float)x) - log2((double)(float)x)) < 2e-5);
  for (double x = -120; x <= 120; x += 0.0371) {
    double right = exp2((double)(float)x);
    assert_true(fabs(vad_exp2((float)x) - right) < 1e-5 * right);
  }
}

static void tables_are_mel_triangles(void **state) {
  (void)state;
  double low = 1127 * log(1 + 80 / 700.0), high = 1127 * log(1 + 3900 / 700.0), sum[VAD_BANDS] = {0};
  for (int k = VAD_BIN_FIRST; k < VAD_BIN_END; k++) {
    double mel = 1127 * log(1 + k * 31.25 / 700), lower, upper;
    int band = (int)floor((mel - low) / (high - low) * (VAD_BANDS + 1));
    lower = 700 * (exp((low + (high - low) * band / (VAD_BANDS + 1)) / 1127) - 1);
    upper = 700 * (exp((low + (high - low) * (band + 1) / (VAD_BANDS + 1)) / 1127) - 1);
    assert_int_equal(vad_bin_band[k], band);
    assert_true(fabs(vad_bin_share[k] - (k * 31.25 - lower) / (upper - lower)) < 1e-6);
    if (band < VAD_BANDS) sum[band] += vad_bin_share[k];
    if (band > 0) sum[band - 1] += 1 - vad_bin_share[k];
  }
  for (int b = 0; b < VAD_BANDS; b++) assert_true(fabs(vad_band_scale[b] * sum[b] - 1) < 1e-5);
}

static void a_tone_s_autocorrelation_falls_by_the_window_s(void **state) {
  (void)state;
  const double turn = 2 * 3.14159265358979;
  for (int l = VAD_LAG_FIRST; l <= VAD_LAG_LAST; l++) {
    double u = l / 256.0, right = (1 - u) * (2 + cos(turn * u)) / 3 + sin(turn * u) / turn;
    assert_true(fabs(vad_window_lag[l - VAD_LAG_FIRST] - right) < 1e-6);
  }
}

/* Step 4 of speech-metrics.md 7.1 one lag at a time, from the window that `f` has heard last. */
static int lag_of_low_pitch(const struct vad_front *f) {
  enum { LAGS = VAD_LAG_LAST + 2, END_1100_HZ = 36 };
  float windowed[FFT_POINTS], power[FFT_POINTS / 2 + 1], none[FFT_POINTS / 2 + 1] = {0}, r[LAGS],
                                                                               unused[LAGS];
  for (int n = 0; n < FFT_POINTS; n++) windowed[n] = f->history[n] * (0.5f - 0.5f * fft_cosine[n]);
  fft_real_power(windowed, power);
  for (int k = 0; k <= FFT_POINTS / 2; k++)
    power[k] = k < VAD_BIN_FIRST || k >= END_1100_HZ ? 0.0f : power[k] * (1.0f / 96.0f);
  fft_cosine_pair(none, power, unused, r, LAGS);
  float best = 0.0f;
  int lag = 0;
  for (int l = VAD_LAG_FIRST; l <= VAD_LAG_LAST; l++) {
    float value = r[l] / vad_window_lag[l - VAD_LAG_FIRST];
    if (r[l] <= r[l - 1] || r[l] < r[l + 1] || value <= best) continue;
    best = value;
    lag = l;
  }
  return lag;
}

static void the_highest_of_all_lags_is_the_pitch(void **state) {
  (void)state;
  int seen[VAD_LAG_LAST + 1] = {0};
  int16_t pcm[VAD_HOP_SAMPLES];
  noise_state = 5;
  for (int call = 0; call < 4000; call++) {
    struct vad_front f = {0};
    float features[VAD_FEATURES];
    int period = 11 + call % 400, hiss = call / 400 * 300;
    int level = call > 0 ? 2000 : 0;
    for (int frame = 0; frame < 4; frame++) {
      for (int n = 0; n < VAD_HOP_SAMPLES; n++)
        pcm[n] = (int16_t)(((frame * VAD_HOP_SAMPLES + n) % period < period / 2 ? level : 0) + noise(hiss));
      vad_front_frame(&f, pcm, features);
      int lag = lag_of_low_pitch(&f);
      assert_int_equal(f.lag_before, lag);
      seen[lag]++;
    }
  }
  /* 0: the autocorrelation has no maximum. */
  assert_true(seen[0] > 0);
  for (int l = VAD_LAG_FIRST; l <= VAD_LAG_LAST; l++) assert_true(seen[l] > 0);
}

static void pulses_have_pitch_and_stand_out(void **state) {
  (void)state;
  struct vad_front f = {0};
  float features[VAD_FEATURES];
  int16_t pcm[VAD_HOP_SAMPLES];
  noise_state = 1;
  for (int frame = 0; frame < 400; frame++) {
    pulses_frame(frame, 1, pcm);
    assert_true(vad_front_frame(&f, pcm, features));
    int at = frame % 100;
    if (frame < 200 || at < 10 || at > 90) continue;
    bool pulsing = frame / 100 % 2 == 0;
    assert_true(pulsing == (features[VAD_F_HARMONICITY_LOW] > 0.8f));
    assert_true(pulsing == (features[VAD_F_LAG_STABILITY] > 0.9f));
    assert_true(pulsing == (features[VAD_F_SNR_ALL] > 1.0f));
  }
}

static void a_louder_line_looks_the_same(void **state) {
  (void)state;
  struct vad_front quiet = {0}, loud = {0};
  float a[VAD_FEATURES], b[VAD_FEATURES];
  int16_t pcm[VAD_HOP_SAMPLES];
  for (int frame = 0; frame < 300; frame++) {
    uint32_t seed = noise_state = (uint32_t)frame;
    pulses_frame(frame, 1, pcm);
    vad_front_frame(&quiet, pcm, a);
    noise_state = seed;
    pulses_frame(frame, 5, pcm);
    vad_front_frame(&loud, pcm, b);
    for (int i = 0; i < VAD_FEATURES; i++) assert_true(fabsf(a[i] - b[i]) < 0.12f);
  }
}

static void silence_moves_no_floor(void **state) {
  (void)state;
  struct vad_front f = {0};
  float features[VAD_FEATURES];
  int16_t pcm[VAD_HOP_SAMPLES];
  noise_state = 2;
  for (int frame = 0; frame < 100; frame++) {
    noise_frame(1000, pcm);
    assert_true(vad_front_frame(&f, pcm, features));
  }
  float before[VAD_FLOORS];
  memcpy(before, f.floor, sizeof before);
  for (int frame = 0; frame < 1000; frame++) {
    for (int n = 0; n < VAD_HOP_SAMPLES; n++) pcm[n] = frame < 500 ? 0 : -8;
    assert_false(vad_front_frame(&f, pcm, features));
  }
  assert_memory_equal(before, f.floor, sizeof before);
}

static void floors_follow_the_line(void **state) {
  (void)state;
  struct vad_front f = {0};
  float features[VAD_FEATURES];
  int16_t pcm[VAD_HOP_SAMPLES];
  noise_state = 3;
  static const int32_t amplitudes[] = {3000, 100, 3000};
  for (size_t part = 0; part < sizeof amplitudes / sizeof *amplitudes; part++) {
    for (int frame = 0; frame < 500; frame++) {
      noise_frame(amplitudes[part], pcm);
      vad_front_frame(&f, pcm, features);
    }
    assert_true(features[VAD_F_SNR_ALL] > -0.1f && features[VAD_F_SNR_ALL] < 0.5f);
  }
}

/* FNV-1a over the bits of all features of four seconds. */
static void features_are_the_same_bits_everywhere(void **state) {
  (void)state;
  struct vad_front f = {0};
  float features[VAD_FEATURES];
  int16_t pcm[VAD_HOP_SAMPLES];
  uint32_t hash = 2166136261u;
  noise_state = 4;
  for (int frame = 0; frame < 400; frame++) {
    pulses_frame(frame, 1 + frame % 3, pcm);
    vad_front_frame(&f, pcm, features);
    for (int i = 0; i < VAD_FEATURES; i++) {
      uint32_t bits;
      memcpy(&bits, &features[i], sizeof bits);
      hash = (hash ^ bits) * 16777619u;
    }
  }
  assert_int_equal(hash, 0x02416c14u);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(approximations_hold),
      cmocka_unit_test(tables_are_mel_triangles),
      cmocka_unit_test(a_tone_s_autocorrelation_falls_by_the_window_s),
      cmocka_unit_test(the_highest_of_all_lags_is_the_pitch),
      cmocka_unit_test(pulses_have_pitch_and_stand_out),
      cmocka_unit_test(a_louder_line_looks_the_same),
      cmocka_unit_test(silence_moves_no_floor),
      cmocka_unit_test(floors_follow_the_line),
      cmocka_unit_test(features_are_the_same_bits_everywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
