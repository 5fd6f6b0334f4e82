#include "dsp/timeline.h"

struct timeline_step timeline_step(const struct timeline_point *from, int64_t media_us, int64_t arrival_us,
                                   uint64_t hole, uint32_t ptime_us) {
  struct timeline_step step = {0};
  int64_t ptime = ptime_us;
  int64_t media_step = media_us - from->media_us, wall_step = arrival_us - from->arrival_us;

  /* Half a frame: one lost frame must not look like a numbering jump by one. */
  int64_t media_gap = media_step - ptime;
  step.numbering_jump = hole > 0 && media_gap < ptime / 2 && media_gap > -ptime / 2;
  int64_t numbered = ptime * (step.numbering_jump ? 1 : (int64_t)hole + 1);

  /* More media time than the numbers tell of; a gap is what exceeds one frame. */
  int64_t excess = media_step - numbered, wall_gap = wall_step - numbered;
  int64_t d = wall_step - media_step;
  bool too_far = excess > TIMELINE_RESET_US || excess < -TIMELINE_RESET_US;
  step.discontinuity = too_far && (d > TIMELINE_RESET_US || d < -TIMELINE_RESET_US);
  bool forward = excess > ptime, backward = media_step < -ptime;
  bool paused = forward && wall_gap >= excess / 2;
  if (paused) step.pause_us = excess;
  step.clock_jump = step.discontinuity || backward || (forward && !paused);

  int64_t least = TIMELINE_STALL_FRAMES * ptime;
  if (least < TIMELINE_STALL_US) least = TIMELINE_STALL_US;
  bool contiguous = excess <= ptime && excess >= -ptime;
  if (contiguous && wall_gap + ptime >= least) step.stall_us = wall_gap;
  step.place_us = from->place_us + numbered + step.pause_us;
  return step;
}
