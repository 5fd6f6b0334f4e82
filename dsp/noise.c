#include "dsp/noise.h"

#include <math.h>
#include <string.h>

enum { MANTISSA_SHIFT = 52 - 3 /* three bits of it are left: eight buckets an octave */ };
static const double least = 0.0625, full_scale = 32768.0 * 32768.0;
static const double quantile_low = 0.1, quantile_high = 0.5;

static uint64_t octave_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits >> MANTISSA_SHIFT;
}

size_t noise_bucket(double mean_square) {
  if (!(mean_square >= least)) return 0;
  uint64_t bucket = 1 + octave_bits(mean_square) - octave_bits(least);
  return bucket < NOISE_BUCKETS ? (size_t)bucket : NOISE_BUCKETS - 1;
}

/* The middle of a bucket's mean squares. */
static double bucket_power(size_t bucket) {
  if (bucket == 0) return 0;
  size_t eighth = bucket - 1;
  return ldexp(least, (int)(eighth / 8)) * (1 + ((double)(eighth % 8) + 0.5) / 8);
}

static double quantile_mean(const uint64_t *histogram, double frames) {
  double low = frames * quantile_low, high = frames * quantile_high, passed = 0, sum = 0;
  for (size_t i = 0; i < NOISE_BUCKETS && passed < high; i++) {
    double from = passed, to = passed + (double)histogram[i];
    passed = to;
    if (from < low) from = low;
    if (to > high) to = high;
    if (to > from) sum += (to - from) * bucket_power(i);
  }
  return sum / (high - low);
}

/* Frames of digital silence lie at the least level that has a bucket. */
static double spread_db(const uint64_t *histogram, double frames) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < NOISE_BUCKETS; i++) {
    if (histogram[i] == 0) continue;
    double db = 10 * log10(i == 0 ? least : bucket_power(i)), count = (double)histogram[i];
    sum += count * db;
    squares += count * db * db;
  }
  double variance = squares / frames - sum / frames * (sum / frames);
  return variance > 0 ? sqrt(variance) : 0;
}

struct noise_result noise_measure(const uint64_t histogram[NOISE_BUCKETS]) {
  struct noise_result r = {0};
  uint64_t frames = 0;
  for (size_t i = 0; i < NOISE_BUCKETS; i++) frames += histogram[i];
  if (frames < NOISE_FRAMES_MIN) return r;
  double power = quantile_mean(histogram, (double)frames);
  r.enough = true;
  r.silent = !(power > 0);
  if (!r.silent) r.level_dbov = 10 * log10(power / full_scale);
  r.spread_db = spread_db(histogram, (double)frames);
  return r;
}
