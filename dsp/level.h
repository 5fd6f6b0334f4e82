/* Levels of sound (voice-quality.md 5.1). Powers are in steps of 16 bits, squared; 0 dBov is a square wave
 * of full scale. Pure. */
#ifndef DSP_LEVEL_H
#define DSP_LEVEL_H

#include <math.h>

#define LEVEL_FULL_SCALE 32768.0 /* steps */
#define LEVEL_FULL_POWER 0x1p30
#define LEVEL_LOUD_POWER 33954.7 /* -45 dBov: above it a drop-out has speech beside it (5.8) */

static inline double power_dbov(double mean_square) {
  return 10 * log10(mean_square / LEVEL_FULL_POWER);
}

#endif
