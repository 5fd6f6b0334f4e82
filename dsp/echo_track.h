/* One track as dsp/echo needs it: its newest samples, and of each hop of 10 ms the level of the 20 ms that
 * end with it. Internal to dsp/echo. */
#ifndef DSP_ECHO_TRACK_H
#define DSP_ECHO_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/echo.h"
#include "dsp/kernels.h"

enum {
  ECHO_MS = ECHO_RATE_HZ / 1000,
  ECHO_HOP_MS = ECHO_HOP / ECHO_MS,
  ECHO_LEVELS = 256, /* hops kept */
  /* Levels are 64 a factor of two in energy, from a middle of them: their sums of squares fit 32 bits. */
  ECHO_LEVEL_OCTAVE = 64
};

struct echo_track {
  const struct kernels *kernels;
  bool outbound;
  int64_t end; /* position behind the newest sample; 0 is a border of hops */
  int16_t *ring;
  int ring_samples;       /* whole hops */
  uint64_t energy_before; /* of the hop before: a frame is both */
  uint64_t energy;        /* of the hop at work, and how many of its samples are missing */
  int missing;
  int level_now, missing_run;
  int64_t since_hop;          /* known from here on, short holes apart */
  int active_run, quiet_run;  /* hops; outbound */
  int16_t level[ECHO_LEVELS]; /* by hop modulo, as are the others */
  uint64_t frame_energy[ECHO_LEVELS];
  bool usable[ECHO_LEVELS]; /* inbound: heard whole; outbound: active for 300 ms */
};

/* `ring` outlives the track. */
void echo_track_init(struct echo_track *t, bool outbound, int16_t *ring, int ring_samples);
/* As echo_pcm(). */
void echo_track_pcm(struct echo_track *t, int64_t position_samples, const int16_t *pcm, size_t samples);
bool echo_track_has(const struct echo_track *t, int64_t from, int64_t to);
/* Samples that it has. */
void echo_track_copy(const struct echo_track *t, int64_t from, int16_t *to, int64_t samples);

#endif
