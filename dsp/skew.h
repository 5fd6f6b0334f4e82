/* Drift of the sender's media clock against ours: a Theil-Sen line through the smallest transits of
 * windows (voice-quality.md 3.4). Positive: we receive more slowly than the media clock says.
 *
 * Use: skew_add() for each frame in order of arrival; it says when a new fit was made.
 * No heap, no clock; belongs to one thread. A fit costs some 1,770 slopes, every 10 s. */
#ifndef DSP_SKEW_H
#define DSP_SKEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKEW_POINTS = 60 };
#define SKEW_SUSPECT_PPM 200.0 /* no real pair of clocks is further apart */

struct skew {
  bool started;
  int64_t first_media_us, first_arrival_us, fitted_us;
  int64_t window_us;
  size_t count; /* points in use; the last one is still open */
  struct {
    int64_t window;               /* index since first_media_us */
    int64_t media_us, transit_us; /* of the smallest transit, since the first frame's */
  } point[SKEW_POINTS];
  bool known; /* published once since the last reset; held between fits */
  double ppm;
  int64_t span_us; /* from the first frame to the last fit that was published */
};

void skew_reset(struct skew *s);
/* True when `ppm` was fitted anew by this frame. */
bool skew_add(struct skew *s, int64_t arrival_us, int64_t media_us);

#endif
