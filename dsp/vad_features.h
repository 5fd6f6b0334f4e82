/* What the voice detector hears in a 10 ms frame: 56 numbers about spectrum, pitch and change
 * (speech-metrics.md 7.1, steps 2 to 6). Private to the voice detector.
 *
 * All of it is plain float arithmetic in a fixed order, so that every machine gets the same bits. */
#ifndef DSP_VAD_FEATURES_H
#define DSP_VAD_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

enum {
  VAD_HOP_SAMPLES = 80,       /* 10 ms at 8 kHz */
  VAD_WINDOW_SAMPLES = 256,   /* Hann */
  VAD_BANDS = 20,             /* mel, 80 to 3900 Hz */
  VAD_FLOORS = VAD_BANDS + 1, /* the last one follows all bands together */
  VAD_FLOOR_BLOCKS = 8,       /* of VAD_FLOOR_BLOCK_FRAMES each: 1.6 s of minimum */
  VAD_FLOOR_BLOCK_FRAMES = 20,
  VAD_GROUPS = 3 /* of bands, for modulation */
};

/* Places in a feature vector. Levels are dB / 10, harmonicities and stability 0 to 1. */
enum {
  VAD_F_SNR = 0,                       /* per band over its floor, -5 to 40 dB */
  VAD_F_SHAPE = VAD_F_SNR + VAD_BANDS, /* per band less the mean of the bands */
  VAD_F_BELOW_PEAK = VAD_F_SHAPE + VAD_BANDS,
  VAD_F_HARMONICITY,
  VAD_F_HARMONICITY_LOW, /* of the part below 1.1 kHz */
  VAD_F_LAG_STABILITY,
  VAD_F_FLATNESS,
  VAD_F_RISE,
  VAD_F_FALL,
  VAD_F_SNR_MEAN,
  VAD_F_SNR_BEST,   /* mean of the four best bands */
  VAD_F_SNR_ALL,    /* of the sum of the bands */
  VAD_F_MODULATION, /* per group: deviation over 0.3 s, then over 0.8 s */
  VAD_FEATURES = VAD_F_MODULATION + 2 * VAD_GROUPS
};
_Static_assert(VAD_FEATURES == 56, "the weights were trained for this vector");

/* Zeroed is its first state. */
struct vad_front {
  float highpass_in, highpass_out;
  float history[VAD_WINDOW_SAMPLES]; /* newest last */
  float level_before[VAD_BANDS];     /* dB, of the frame before */
  float smoothed[VAD_FLOORS], floor[VAD_FLOORS];
  float block_min[VAD_FLOORS][VAD_FLOOR_BLOCKS];
  uint32_t floor_frames; /* that moved the floors */
  uint32_t sounding_run; /* frames since silence or loss, to know a window full of sound */
  float peak_db;
  bool has_peak, has_before;
  int lag_before;
  float lag_stability;
  float group_mean[VAD_GROUPS][2], group_square[VAD_GROUPS][2];
};

/* One frame of VAD_HOP_SAMPLES. False when all samples are equal: nothing is said in such a frame
 * and it moves no floor. */
bool vad_front_frame(struct vad_front *f, const int16_t *pcm, float features[VAD_FEATURES]);
/* vad_tables.c: bin k lies between the centres of bands vad_bin_band[k] - 1 and vad_bin_band[k]
 * (bands outside 0 to 19 do not exist) and gives vad_bin_share[k] of its power to the upper one;
 * vad_band_scale is 1 / sum of shares. */
enum { VAD_BIN_FIRST = 3, VAD_BIN_END = 125 };
extern const uint8_t vad_bin_band[VAD_WINDOW_SAMPLES / 2 + 1];
extern const float vad_bin_share[VAD_WINDOW_SAMPLES / 2 + 1];
extern const float vad_band_scale[VAD_BANDS];
/* The window's own autocorrelation at lags VAD_LAG_FIRST to VAD_LAG_LAST (400 to 73 Hz), of 1 at lag 0. */
enum { VAD_LAG_FIRST = 20, VAD_LAG_LAST = 110, VAD_LAGS = VAD_LAG_LAST - VAD_LAG_FIRST + 1 };
extern const float vad_window_lag[VAD_LAGS];

#endif
