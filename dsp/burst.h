/* Bursts and gaps of bad frames by the exact definition of RFC 3611 with Gmin 16, in constant memory
 * (voice-quality.md 3.9): a burst starts and ends with a bad frame, holds at least two, and has no 16
 * good ones in a row inside; all else is gap. Also mean run lengths, BurstR, Wilson's interval.
 *
 * Use: burst_add() in order of the frames' numbers, burst_finish() on a copy whenever somebody looks.
 * No heap, no clock; belongs to one thread. */
#ifndef DSP_BURST_H
#define DSP_BURST_H

#include <stdbool.h>
#include <stdint.h>

enum { BURST_GMIN = 16, BURST_RUNS_MIN = 3 };

/* A zeroed struct has seen nothing. After burst_finish() burst_frames + gap_frames = frames, and
 * burst_bad + gap_bad = bad. */
struct burst {
  uint64_t frames, bad, runs, longest_run;
  uint64_t bursts, burst_frames, burst_bad, last_burst_end; /* index behind the newest burst */
  uint64_t gaps, gap_frames, gap_bad;
  uint64_t run; /* bad frames in a row, up to now */
  /* The bad frames that may yet be one burst: [group_first, last_bad] with group_bad bad ones. */
  uint64_t group_first, last_bad, group_bad;
  uint64_t settled; /* frames before this index belong to a burst or a gap already */
  bool in_gap;      /* the last settled frame does, so that what follows may be the same gap */
};

/* `count` frames that are all bad or all good. */
void burst_add(struct burst *b, bool bad, uint64_t count);
void burst_finish(struct burst *b);

/* BurstR >= 1 of n frames of which `bad` in `runs` runs; 1 with fewer than BURST_RUNS_MIN runs. */
double burst_ratio(uint64_t n, uint64_t bad, uint64_t runs);
/* Wilson's 95 % interval of the share bad / n, 0 to 1. n > 0. */
void wilson_interval(uint64_t bad, uint64_t n, double *low, double *high);

/* The streaming counters of RFC 3611 A.2, only to say what others would report. A zeroed struct has
 * seen nothing. */
struct xr_burst {
  uint32_t pkt, lost; /* good frames since the last bad one; bad ones of the current burst */
  uint32_t c11, c13, c14, c22, c23, c33;
};

void xr_burst_add(struct xr_burst *x, bool bad);
/* Burst density as RTCP XR sends it: 0 to 255. */
uint8_t xr_burst_density(const struct xr_burst *x);

#endif
