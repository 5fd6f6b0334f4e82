/* Interarrival jitter of RFC 3550, in floating point for our figures and in the integers of RTCP
 * (voice-quality.md 3.2). Over TCP it is delivery jitter, not the network's (3.7).
 *
 * Use: jitter_add() for each frame that may count, in order of arrival: audio, not a duplicate, not out
 * of order, not delayed by ourselves. No heap, no clock; belongs to one thread. */
#ifndef DSP_JITTER_H
#define DSP_JITTER_H

#include <stdbool.h>
#include <stdint.h>

/* A zeroed struct has seen nothing. */
struct jitter {
  bool anchored; /* there is a predecessor; its transit may well be 0 */
  int64_t transit_us, media_us;
  double j_ms;
  uint64_t count; /* frames that had a predecessor */
  double sum_ms, max_ms, abs_d_sum_ms;
};

/* Returns true when the frame had a predecessor of another media time, so that J moved. */
bool jitter_add(struct jitter *j, int64_t arrival_us, int64_t media_us);
/* A discontinuity: the next frame has no predecessor; J stays. */
void jitter_unanchor(struct jitter *j);

/* J scaled by 16 in RTP ticks; all times in wrapping 32-bit ticks. */
struct rtcp_jitter {
  bool anchored;
  uint32_t transit_ticks;
  uint32_t scaled;
};

void rtcp_jitter_add(struct rtcp_jitter *j, uint32_t arrival_ticks, uint32_t media_ticks);
uint32_t rtcp_jitter_ticks(const struct rtcp_jitter *j);
/* The clock changes from one rate to another: J keeps its length, the next frame has no predecessor. */
void rtcp_jitter_rescale(struct rtcp_jitter *j, uint32_t from_hz, uint32_t to_hz);

#endif
