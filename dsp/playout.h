/* Emulated playout buffers: what a receiver of this track would have had to throw away or conceal
 * (voice-quality.md 3.8). Three of fixed depth, and the adaptive one the estimate is made with.
 *
 * Use: playout_add() with the lateness of each received frame, in order of arrival, duplicates apart.
 * The percentile is exact and costs one walk over at most Pmax / ptime bins a frame: only
 * ceil(lateness / ptime) enters the target, so only that is kept. No heap, no clock; one thread. */
#ifndef DSP_PLAYOUT_H
#define DSP_PLAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PLAYOUT_FIXED = 3, /* of 60, 120 and 200 ms */
  PLAYOUT_START_US = 80000,
  PLAYOUT_MIN_US = 20000,
  PLAYOUT_MAX_US = 400000,
  PLAYOUT_HISTORY = 250,
  PLAYOUT_PTIME_MIN_US = 1000, /* a shorter frame counts as this long */
  PLAYOUT_BINS = PLAYOUT_MAX_US / PLAYOUT_PTIME_MIN_US + 1
};

extern const int64_t playout_fixed_us[PLAYOUT_FIXED];

struct playout {
  int64_t ptime_us;
  int64_t delay_us;                                     /* P */
  uint16_t history[PLAYOUT_HISTORY], bin[PLAYOUT_BINS]; /* in frames of ptime, rounded up */
  size_t held, oldest;
  uint64_t fixed_discarded[PLAYOUT_FIXED];
  uint64_t discarded, concealed; /* of the adaptive one; concealed counts slots, not frames */
  uint64_t count, delay_sum_us;  /* P after every frame */
};

/* What the adaptive buffer did with the frame. */
struct playout_outcome {
  bool discarded;
  uint32_t concealed_frames;
};

void playout_init(struct playout *p, uint32_t ptime_us, int64_t start_us);
/* Another frame length: the delay stays, the history begins anew. */
void playout_set_ptime(struct playout *p, uint32_t ptime_us);
struct playout_outcome playout_add(struct playout *p, int64_t late_us);
/* A frame the ledger had given up: of no use to the adaptive buffer whatever its lateness. */
void playout_add_late(struct playout *p, int64_t late_us);

#endif
