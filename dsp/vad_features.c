#include "dsp/vad_features.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "dsp/fft.h"
#include "dsp/four.h"
#include "dsp/vad_math.h"

/* Added to every band's mean square (16-bit scale): about a mu-law step, so that the toggling of an
 * idle coder is no signal. */
static const float STEP_POWER = 4.0f;
static const float DB_PER_LOG2 = 3.01029996f;
static const float SQUARES_OF_WINDOW = 96.0f; /* sum of the squares of a Hann window of 256 */
static const float HIGHPASS_POLE = 0.952876f; /* 60 Hz: 1 - 2 pi 60 / 8000 */

/* Lags with a neighbour on each side. */
enum { LAGS = VAD_LAG_LAST + 2, LOW_BINS_END = 36 /* 1.1 kHz */ };

static float clamp(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

/* First-order, against direct current and hum. False when all samples are equal. */
static bool take_samples(struct vad_front *f, const int16_t *pcm) {
  memmove(f->history, f->history + VAD_HOP_SAMPLES, (VAD_WINDOW_SAMPLES - VAD_HOP_SAMPLES) * sizeof(float));
  float *to = f->history + VAD_WINDOW_SAMPLES - VAD_HOP_SAMPLES;
  float in = f->highpass_in, out = f->highpass_out;
  bool varies = false;
  for (int n = 0; n < VAD_HOP_SAMPLES; n++) {
    float x = (float)pcm[n];
    out = x - in + HIGHPASS_POLE * out;
    in = x;
    to[n] = out;
    varies |= pcm[n] != pcm[0];
  }
  /* Left alone it would decay into denormal numbers, which cost a hundred times more. */
  f->highpass_out = out < 1e-6f && out > -1e-6f ? 0.0f : out;
  f->highpass_in = in;
  return varies;
}

/* Mean square per bin as if white (16-bit scale). */
static void window_power(const float history[VAD_WINDOW_SAMPLES], float power[FFT_POINTS / 2 + 1]) {
  float windowed[FFT_POINTS];
  for (int n = 0; n < FFT_POINTS; n++) windowed[n] = history[n] * (0.5f - 0.5f * fft_cosine[n]);
  fft_real_power(windowed, power);
  for (int k = 0; k <= FFT_POINTS / 2; k++) power[k] *= 1.0f / SQUARES_OF_WINDOW;
}

/* Band levels in dB; `flatness` is the log of the mean less the mean of the logs, in dB / 10. */
static void band_levels(const float power[FFT_POINTS / 2 + 1], float level[VAD_FLOORS], float *mean,
                        float *flatness) {
  /* A bin gives to the band above it and to the one below. Those of one pair of bands are neighbours,
   * so that both sums stay in registers. */
  float sum[VAD_BANDS + 1], below = 0.0f, above = 0.0f;
  int k = VAD_BIN_FIRST;
  for (int band = 0; band <= VAD_BANDS; band++) {
    for (; k < VAD_BIN_END && vad_bin_band[k] == band; k++) {
      float upper = power[k] * vad_bin_share[k];
      above += upper;
      below += power[k] - upper;
    }
    sum[band] = below;
    below = above;
    above = 0.0f;
  }
  float total = 0.0f, logs = 0.0f;
  for (int b = 0; b < VAD_BANDS; b++) {
    float p = sum[b + 1] * vad_band_scale[b] + STEP_POWER;
    level[b] = DB_PER_LOG2 * vad_log2(p);
    total += p;
    logs += level[b];
  }
  level[VAD_BANDS] = DB_PER_LOG2 * vad_log2(total * (1.0f / VAD_BANDS));
  *mean = logs * (1.0f / VAD_BANDS);
  *flatness = (level[VAD_BANDS] - *mean) * 0.1f;
}

/* Minimum statistics: the least smoothed level of the last 1.6 s, followed fast down and slowly up. */
static void follow_floors(struct vad_front *f, const float level[VAD_FLOORS]) {
  uint32_t block = f->floor_frames / VAD_FLOOR_BLOCK_FRAMES % VAD_FLOOR_BLOCKS;
  bool fresh = f->floor_frames % VAD_FLOOR_BLOCK_FRAMES == 0;
  for (int b = 0; b < VAD_FLOORS; b++) {
    float *min = f->block_min[b];
    if (f->floor_frames == 0) {
      f->smoothed[b] = f->floor[b] = level[b];
      for (int i = 0; i < VAD_FLOOR_BLOCKS; i++) min[i] = level[b];
    }
    f->smoothed[b] += 0.3f * (level[b] - f->smoothed[b]);
    if (fresh || f->smoothed[b] < min[block]) min[block] = f->smoothed[b];
    float least = min[0];
    for (int i = 1; i < VAD_FLOOR_BLOCKS; i++) least = min[i] < least ? min[i] : least;
    f->floor[b] += (least < f->floor[b] ? 0.2f : 0.02f) * (least - f->floor[b]);
  }
  f->floor_frames++;
}

static void snr_features(const struct vad_front *f, const float level[VAD_FLOORS], float mean,
                         float out[VAD_FEATURES]) {
  float best[4] = {-1.0f, -1.0f, -1.0f, -1.0f};
  float sum = 0.0f;
  for (int b = 0; b < VAD_BANDS; b++) {
    float snr = f->floor_frames ? clamp(level[b] - f->floor[b], -5.0f, 40.0f) * 0.1f : 0.0f;
    out[VAD_F_SNR + b] = snr;
    out[VAD_F_SHAPE + b] = (level[b] - mean) * 0.1f;
    sum += snr;
    for (int i = 0; i < 4; i++) {
      if (snr <= best[i]) continue;
      float lower = best[i];
      best[i] = snr;
      snr = lower;
    }
  }
  out[VAD_F_SNR_MEAN] = sum * (1.0f / VAD_BANDS);
  out[VAD_F_SNR_BEST] = (best[0] + best[1] + best[2] + best[3]) * 0.25f;
  out[VAD_F_SNR_ALL] =
      f->floor_frames ? clamp(level[VAD_BANDS] - f->floor[VAD_BANDS], -5.0f, 40.0f) * 0.1f : 0.0f;
}

/* Highest local maximum of a normalised autocorrelation, its lag (the first of equals); 0 when it only falls or
 * rises. Four lags at once, the last four overlap those before. */
static float pitch_peak(const float r[LAGS], int *lag) {
  four best = {0};
  four_ints at = {0}, lags = {0, 1, 2, 3};
  for (int l = VAD_LAG_FIRST; l <= VAD_LAG_LAST; l += LANES) {
    if (l > VAD_LAG_LAST + 1 - LANES) l = VAD_LAG_LAST + 1 - LANES;
    four here = four_load(r + l), before = four_load(r + l - 1), after = four_load(r + l + 1);
    four value = here / four_load(vad_window_lag + (l - VAD_LAG_FIRST));
    four_ints is_better = (four_ints)(here > before) & (four_ints)(here >= after) & (four_ints)(value > best);
    best = four_choose(is_better, value, best);
    at = ((lags + l) & is_better) | (at & ~is_better);
  }
  int first = 0;
  for (int i = 1; i < LANES; i++)
    if (best[i] > best[first] || (best[i] == best[first] && at[i] < at[first])) first = i;
  *lag = at[first];
  return best[first];
}

static void pitch_features(struct vad_front *f, const float power[FFT_POINTS / 2 + 1],
                           float out[VAD_FEATURES]) {
  float all[FFT_POINTS / 2 + 1] = {0}, low[FFT_POINTS / 2 + 1] = {0};
  memcpy(all + VAD_BIN_FIRST, power + VAD_BIN_FIRST, (VAD_BIN_END - VAD_BIN_FIRST) * sizeof *all);
  memcpy(low + VAD_BIN_FIRST, power + VAD_BIN_FIRST, (LOW_BINS_END - VAD_BIN_FIRST) * sizeof *low);
  float r_all[LAGS], r_low[LAGS];
  fft_cosine_pair(all, low, r_all, r_low, LAGS);
  int lag;
  float peak = pitch_peak(r_all, &lag);
  out[VAD_F_HARMONICITY] = clamp(peak / (r_all[0] + STEP_POWER * 256.0f), 0.0f, 1.0f);
  peak = pitch_peak(r_low, &lag);
  out[VAD_F_HARMONICITY_LOW] = clamp(peak / (r_low[0] + STEP_POWER * 2.0f * LOW_BINS_END), 0.0f, 1.0f);
  int apart = lag > f->lag_before ? lag - f->lag_before : f->lag_before - lag;
  float stable = lag != 0 && apart * 10 <= lag ? 1.0f : 0.0f;
  f->lag_stability += 0.3f * (stable - f->lag_stability);
  if (f->lag_stability < 1e-6f) f->lag_stability = 0.0f;
  f->lag_before = lag;
  out[VAD_F_LAG_STABILITY] = f->lag_stability;
}

/* Mean rise and mean fall of the bands since the frame before. */
static void change_features(struct vad_front *f, const float level[VAD_FLOORS], float out[VAD_FEATURES]) {
  float rise = 0.0f, fall = 0.0f;
  for (int b = 0; b < VAD_BANDS; b++) {
    float d = f->has_before ? level[b] - f->level_before[b] : 0.0f;
    if (d > 0.0f) {
      rise += d;
    } else {
      fall -= d;
    }
    f->level_before[b] = level[b];
  }
  f->has_before = true;
  out[VAD_F_RISE] = rise * (0.1f / VAD_BANDS);
  out[VAD_F_FALL] = fall * (0.1f / VAD_BANDS);
}

/* Deviation of the level of three groups of bands (below 700 Hz, to 1.6 kHz, above) over 0.3 and 0.8 s. */
static void modulation_features(struct vad_front *f, const float level[VAD_FLOORS], float out[VAD_FEATURES]) {
  static const int first[VAD_GROUPS + 1] = {0, 7, 13, VAD_BANDS};
  static const float rate[2] = {1.0f / 30.0f, 1.0f / 80.0f};
  for (int g = 0; g < VAD_GROUPS; g++) {
    float mean = 0.0f;
    for (int b = first[g]; b < first[g + 1]; b++) mean += level[b];
    mean *= 0.1f / (float)(first[g + 1] - first[g]);
    for (int i = 0; i < 2; i++) {
      float *m = &f->group_mean[g][i], *v = &f->group_square[g][i];
      if (!f->has_before) *m = mean;
      float d = mean - *m;
      *m += rate[i] * d;
      *v += rate[i] * (d * d - *v);
      if (*v < 1e-9f) *v = 0.0f;
      out[VAD_F_MODULATION + i * VAD_GROUPS + g] = sqrtf(*v);
    }
  }
}

/* How far below the loudest of the last time: falls 0.5 dB a second, so that no absolute level counts. */
static float below_peak(struct vad_front *f, float level_db, bool sounding) {
  if (sounding) {
    if (!f->has_peak) f->peak_db = level_db;
    f->has_peak = true;
    if (level_db > f->peak_db) f->peak_db += 0.2f * (level_db - f->peak_db);
    f->peak_db -= 0.005f;
  }
  return f->has_peak ? clamp(level_db - f->peak_db, -60.0f, 10.0f) * 0.1f : -6.0f;
}

bool vad_front_frame(struct vad_front *f, const int16_t *pcm, float features[VAD_FEATURES]) {
  bool sounding = take_samples(f, pcm);
  f->sounding_run = sounding ? f->sounding_run + 1 : 0;
  /* A window that is partly silence would pull the floors below the line's noise. */
  bool full = f->sounding_run * VAD_HOP_SAMPLES >= VAD_WINDOW_SAMPLES;

  float power[FFT_POINTS / 2 + 1], level[VAD_FLOORS], mean;
  window_power(f->history, power);
  band_levels(power, level, &mean, &features[VAD_F_FLATNESS]);
  if (full) follow_floors(f, level);
  snr_features(f, level, mean, features);
  features[VAD_F_BELOW_PEAK] = below_peak(f, level[VAD_BANDS], full);
  pitch_features(f, power, features);
  modulation_features(f, level, features);
  change_features(f, level, features);
  return sounding;
}
