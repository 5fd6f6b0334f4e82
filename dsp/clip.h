/* Clipped sound (voice-quality.md 5.4): runs of three or more neighbouring samples at 0.99 of the
 * codec's ceiling or beyond. Shorter ones are loud peaks. Plain state, one thread. */
#ifndef DSP_CLIP_H
#define DSP_CLIP_H

#include <stddef.h>
#include <stdint.h>

struct clip {
  uint32_t limit; /* least |sample| that is at the ceiling */
  uint32_t run;   /* samples at the ceiling up to now */
  uint64_t samples, events;
};

void clip_init(struct clip *c, int16_t ceiling);
/* `peak`: the greatest |sample| of them. A run may go on over the pieces. */
void clip_feed(struct clip *c, const int16_t *pcm, size_t samples, uint32_t peak);
/* What follows does not adjoin what came. */
static inline void clip_break(struct clip *c) {
  c->run = 0;
}

#endif
