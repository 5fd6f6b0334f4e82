/* What a step from one frame to the next in order means: nothing, a pause of the source, a jump of its
 * media clock or of its numbering, a stall of the delivery; and where the frame's sound belongs (the
 * table of voice-quality.md 3.6, the discontinuity of 3.2, the place of speech-metrics.md 1). Pure. */
#ifndef DSP_TIMELINE_H
#define DSP_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

enum { TIMELINE_RESET_US = 1000000, TIMELINE_STALL_US = 100000, TIMELINE_STALL_FRAMES = 3 };

struct timeline_point {
  int64_t media_us, arrival_us, place_us;
};

struct timeline_step {
  bool numbering_jump; /* the numbers between were never used */
  bool clock_jump;
  bool discontinuity; /* transits before and after cannot be compared */
  int64_t pause_us;   /* silence inserted before the frame */
  int64_t stall_us;   /* 0: none */
  int64_t place_us;
};

/* `hole` numbers lie between the frame at `from` and the one that came now. */
struct timeline_step timeline_step(const struct timeline_point *from, int64_t media_us, int64_t arrival_us,
                                   uint64_t hole, uint32_t ptime_us);

#endif
