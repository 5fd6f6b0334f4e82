/* The level of what is heard while nobody speaks, from a histogram of 20 ms frames' energies
 * (voice-quality.md 5.3): constant in size, and histograms of stretches of sound add up.
 * Eight buckets an octave of power, so a level read from it is within 0.3 dB. Pure, any thread. */
#ifndef DSP_NOISE_H
#define DSP_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bucket 0: a mean square below 2^-4 steps of 16 bits, which is digital silence; the last one: 2^30. */
enum { NOISE_BUCKETS = 1 + 34 * 8 + 1, NOISE_FRAMES_MIN = 50 /* 1 s */ };

/* `mean_square` in units of one step of 16 bits, squared. */
size_t noise_bucket(double mean_square);

struct noise_result {
  bool enough;       /* at least NOISE_FRAMES_MIN; else nothing is set */
  bool silent;       /* digital silence: no level */
  double level_dbov; /* mean energy of the frames between the 10 % and the 50 % quantile */
  double spread_db;  /* standard deviation of all frames' levels */
};
struct noise_result noise_measure(const uint64_t histogram[NOISE_BUCKETS]);

#endif
