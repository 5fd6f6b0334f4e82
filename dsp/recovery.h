/* How long emulated playout takes to get over a burst of bad frames (voice-quality.md 3.9, 3.10): from
 * the last bad frame of the burst until the adaptive delay P is back at its value before the burst.
 *
 * Use: recovery_add() in order of the frames' numbers, as burst_add(); recovery_finish() on a copy
 * whenever somebody looks. A burst whose P has come back is counted with its length in media time, 0
 * when P never rose. Those that still wait are kept, the oldest RECOVERY_WAITING_MAX of them: of two
 * that wait, the older one began lower, so it ends later. No heap, no clock; belongs to one thread. */
#ifndef DSP_RECOVERY_H
#define DSP_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECOVERY_WAITING_MAX = 8 };

struct recovery_burst {
  int64_t before_us;   /* P before its first bad frame */
  int64_t last_bad_us; /* place of its last bad frame */
};

struct recovery {
  uint64_t count, sum_us, max_us; /* of the bursts that are over */
  int64_t delay_us;               /* P after the newest frame */
  /* The bad frames that may yet be one burst. */
  struct recovery_burst group;
  uint64_t group_bad, good; /* its bad frames, and the good ones since the last of them */
  bool back;                /* P is back since back_us, */
  int64_t back_us;          /* of no use when another bad frame follows */
  struct recovery_burst waiting[RECOVERY_WAITING_MAX]; /* by rising before_us */
  size_t waiting_count;
};

/* `delay_us`: P before the first frame. */
void recovery_init(struct recovery *r, int64_t delay_us);
/* `count` frames, all bad or all good, one ptime_us after the other; the first has its place at place_us,
 * and after the last one P is delay_us. */
void recovery_add(struct recovery *r, bool bad, uint64_t count, int64_t place_us, uint32_t ptime_us,
                  int64_t delay_us);
/* No frame follows: what may be a burst is one or none. Then waiting_count tells whose P never came back. */
void recovery_finish(struct recovery *r);

#endif
