/* What is kept of one track's sound, as plain numbers: enough to compute `signal.<track>` of
 * voice-quality.md 8 (but the echo) later, for one part of a leg or for several put together.
 *
 * Use: signal_facts() (dsp/signal.h) fills a struct signal_facts; it is stored and read back by the
 * rows of signal_fields; signal_merge() adds a part; signal_figures() makes the published figures.
 * A struct of zeros is a track that was never heard, and the neutral element of signal_merge().
 * No heap, no clock, no lock; any thread. */
#ifndef DSP_SIGNAL_FACTS_H
#define DSP_SIGNAL_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "dsp/fields.h"
#include "dsp/figure.h"
#include "dsp/noise.h"
#include "dsp/p56.h"

enum { SIGNAL_FRAME_MS = 20 }; /* "frame" below: so much sound, however long the codec's are */

/* Only whole frames of sound that came are measured. Powers are in steps of 16 bits, squared. */
struct signal_facts {
  uint64_t measured_us, missing_us; /* sound measured; sound that never came */
  uint64_t speech_us, undecided_us; /* measured sound the voice detector called speech; said nothing of */

  /* 5.2, DC removed: all sound, and of that what was taken for music or a tone (5.6). */
  uint64_t samples, active[P56_THRESHOLDS];
  double power;
  uint64_t other_us, other_samples, other_active[P56_THRESHOLDS];
  double other_power;

  uint64_t noise[NOISE_BUCKETS]; /* 5.3: frames without speech for 200 ms, by energy */
  uint64_t clip_samples, clip_events;
  int64_t dc_sum;
  /* 5.5: blocks of 1 s without speech; those in runs of three or more with hum, and their powers. */
  uint64_t hum_blocks, hum_50_blocks, hum_60_blocks;
  double hum_50_power, hum_60_power;
  uint64_t inserted_silence_frames; /* 5.8, of 20 ms as all frames here */
  uint64_t repeated_frames, repeating_frames, mute_gaps;
  /* 5.9: spectra taken during speech at 16 kHz, powers of 0.3 to 3.4 and of 4.2 to 7 kHz. */
  uint64_t band_spectra, narrow_us; /* narrow_us: sound at 8 kHz */
  double band_low, band_high;
};

/* Every member of the struct. */
extern const struct field signal_fields[];
extern const size_t signal_field_count;

/* Puts `from`, a later part of the same leg, behind `into`. */
void signal_merge(struct signal_facts *into, const struct signal_facts *from);

enum { SIGNAL_FLAGS_MAX = 8 };

/* Members and units of voice-quality.md 8 (`signal.<track>`), in its order. */
struct signal_figures {
  struct figure active_level_dbov, rms_dbov, activity_share, noise_dbov, snr_db;
  struct figure clip_share, clip_events, dc, hum_hz, hum_dbov;
  struct figure inserted_silence_frames, repeated_frames, mute_gaps_per_min;
  const char *bandwidth, *bandwidth_absent; /* "nb", "wb"; else NULL and why */
  size_t flag_count;
  const char *flags[SIGNAL_FLAGS_MAX];
};

/* Flags: dc_offset (5.5), digital_silence (5.3), comfort_noise and non_speech_likely (5.6),
 * repeating_sound (dsp/dropouts.h). */
void signal_figures(const struct signal_facts *facts, struct signal_figures *out);

#endif
