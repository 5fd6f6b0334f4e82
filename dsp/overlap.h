/* Rules 1 to 3 of speech-metrics.md 3 for one IPU at a time, in order of start over both tracks:
 * backchannel, simultaneous start, overlapped transition, interruption, attempt.
 *
 * A ruling is made as soon as nothing that may still come can change it, and from nothing but the
 * two lanes, so it does not depend on how they were fed. Boundaries the text leaves open:
 * spoke "within" 1000 ms before and after a backchannel includes exactly 1000; X speaks "at the
 * group's end" when it goes on after it; IPUs that end together both outlast each other: a push that
 * ends with the interrupted IPU (or with the one X came back with) is an attempt, and neither loses a
 * simultaneous start; coming back exactly 1000 ms later, or just when the push ends, is silence until
 * then. An IPU of a backchannel takes part in no other event, also not as the partner of a
 * simultaneous start; whether a group begins with one is asked of the times alone.
 * The longest IPU that can lose a simultaneous start is backchannel_ms, as both say "short".
 * Internal to dsp/speech; no heap, no clock. */
#ifndef DSP_OVERLAP_H
#define DSP_OVERLAP_H

#include "dsp/ipu.h"

struct ruling {
  enum ipu_fate fate; /* IPU_UNDECIDED: ask again when more is known */
  bool has_event;
  struct speech_event event; /* starts with this IPU */
};

/* Rules on the oldest undecided IPU of `track`. Everything that starts before it (on either track)
 * must be decided, and everything that starts with it known. Joins the IPUs of a push into one.
 * With both lanes ended the ruling is never IPU_UNDECIDED. */
struct ruling overlap_rule(struct ipu_lane lanes[2], const struct speech_parameters *p, int track);

#endif
