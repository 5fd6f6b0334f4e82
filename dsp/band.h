/* How wide a sound is (voice-quality.md 5.9): power of 0.3 to 3.4 kHz and of 4.2 to 7 kHz in 512 samples
 * at 16 kHz, in units of its own. Pure, any thread. */
#ifndef DSP_BAND_H
#define DSP_BAND_H

#include <stdint.h>

enum { BAND_RATE_HZ = 16000, BAND_SAMPLES = 512 };

struct band_power {
  float low, high;
};
struct band_power band_measure(const int16_t pcm[BAND_SAMPLES]);

#endif
