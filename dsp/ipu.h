/* One track's speech as inter-pausal units (speech-metrics.md 1), in the order in which it comes:
 * raw runs, then gaps below bridge_ms filled, then runs below discard_ms dropped.
 *
 * A lane keeps the IPUs that no rule has decided yet (the window, oldest first) and the last decided
 * one, which may still be running. What is told of a lane never turns out wrong later: an open IPU
 * has an end that can only grow, and ipu_horizon() says up to where all starts are known.
 * Internal to dsp/speech; no heap, no clock. */
#ifndef DSP_IPU_H
#define DSP_IPU_H

#include <stdbool.h>
#include <stdint.h>

#include "dsp/speech.h"

/* Also how far one track may run ahead of the other, in IPUs. */
enum { IPU_WINDOW = 512 };

enum ipu_fate { IPU_UNDECIDED, IPU_TURN, IPU_BACKCHANNEL, IPU_LOST, IPU_ATTEMPT };

struct ipu {
  uint32_t start_ms, end_ms;
};

struct ipu_span {
  int64_t start_ms, end_ms;
  bool open; /* end_ms is the least it can be */
};

struct ipu_lane {
  int64_t known_ms; /* fed up to here */
  int64_t run_start_ms, run_end_ms;
  bool present;   /* was fed at all */
  bool running;   /* the run may still be extended: it speaks, or pauses for less than bridge_ms */
  bool confirmed; /* it is long enough to be the newest IPU */
  bool ended;     /* nothing comes any more: all is known, nothing is open */

  bool has_last, front_cleared, front_push; /* of the oldest in the window: no backchannel; a push */
  uint8_t last_fate;                        /* enum ipu_fate, IPU_UNDECIDED without a last */
  struct ipu last;
  uint32_t last_gap_ms, front_gap_ms; /* own silence inside, where several IPUs became one push */
  uint16_t head, count;
  struct ipu window[IPU_WINDOW];
};

/* [from_ms, to_ms) is speech or not; what lies before known_ms is ignored, what it leaves out is
 * silence. There must be room for one more in the window. True: an IPU is complete, in *closed. */
bool ipu_feed(struct ipu_lane *lane, const struct speech_parameters *p, int64_t from_ms, int64_t to_ms,
              bool speech, struct ipu *closed);
/* The track ends where it was fed to. True: an IPU is complete, in *closed. */
bool ipu_end(struct ipu_lane *lane, struct ipu *closed);

/* Every IPU that starts before this is in the lane. */
int64_t ipu_horizon(const struct ipu_lane *lane);
/* i below count. */
struct ipu_span ipu_at(const struct ipu_lane *lane, unsigned i);
/* Only when has_last. */
struct ipu_span ipu_last(const struct ipu_lane *lane);
/* Makes the oldest two of the window one. */
void ipu_join_front(struct ipu_lane *lane);
/* The oldest of the window becomes the last, decided as `fate`. */
void ipu_decided(struct ipu_lane *lane, enum ipu_fate fate);

#endif
