/* Who spoke when: the exact rules of speech-metrics.md 2 and 3 on the speech of two tracks, as it
 * comes. Knows nothing of sound: fed by a detector or by labels.
 *
 * Use: speech_init(), speech_feed() per track in rising time (the tracks may run apart, see below;
 * what is decided waits for the slower one), speech_facts() whenever somebody looks, with the
 * analysed duration T. The figures at the end do not depend on the pieces they were fed in.
 * Times are ms from the start of the part. No heap, no clock; belongs to one thread.
 *
 * Each decision is made when nothing that may still come can change it, and waits in a window of 512
 * IPUs a track until then: 8 at most were ever used by tracks fed in step, so the rest is for a track
 * that lags. When the window is full because the other track lags further or never comes, that one
 * is taken as silent for half of it; what it says of that time later is cut away and counted once in
 * forced_cuts. Parameters far from the defaults may keep more than 512 IPUs of a track undecided: the
 * oldest are then decided as if the part ended, each counted in forced_cuts.
 *
 * The boundaries that the text leaves open are listed in dsp/overlap.h and dsp/turns.h. */
#ifndef DSP_SPEECH_H
#define DSP_SPEECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/fields.h"

enum { SPEECH_DEFINITION = 1, SPEECH_EVENTS_MAX = 2000, RESPONSE_BUCKET_MS = 10 };

struct speech_parameters {
  uint32_t bridge_ms;       /* own gaps below are filled, then */
  uint32_t discard_ms;      /* runs below are dropped: what is left are the IPUs */
  uint32_t group_ms;        /* own gaps below make one group, and one push */
  uint32_t turn_ms;         /* own gaps below make one turn, if the other takes none in between */
  uint32_t backchannel_ms;  /* the most speech of a group, and the longest loser of a start */
  uint32_t before_ms;       /* the other spoke at most so long before a backchannel */
  uint32_t after_ms;        /* and speaks again at most so long after it */
  uint32_t simultaneous_ms; /* starts closer than this, overlapping */
  uint32_t transition_ms;   /* the longest overlap at the end of an IPU that interrupts nobody */
  uint32_t back_ms;         /* who comes back sooner has not given way */
  uint32_t dead_air_ms;     /* mutual silence of this or more */
};
extern const struct speech_parameters speech_defaults;

enum speech_event_kind {
  SPEECH_BACKCHANNEL,
  SPEECH_SIMULTANEOUS_START,
  SPEECH_OVERLAPPED_TRANSITION,
  SPEECH_INTERRUPTION,
  SPEECH_ATTEMPT
};

struct speech_event {
  uint8_t kind; /* enum speech_event_kind */
  int8_t by;    /* 0 or 1 (track), -1: nobody (simultaneous start) */
  uint32_t start_ms;
  uint32_t overlap_ms; /* backchannel: its length (summed speech) */
};

struct speech;       /* sized by speech_bytes() */
struct speech_facts; /* dsp/speech_facts.h: per track and joint, mergeable */

size_t speech_bytes(void);
/* `p` is copied. */
void speech_init(struct speech *s, const struct speech_parameters *p);
/* [from_ms, to_ms) of a track is speech or not; from_ms is where the last call of it ended, or later
 * (what lies between is silence); what lies before that is ignored. A track that is never fed is
 * silent. Below 2^32 ms. */
void speech_feed(struct speech *s, int track, int64_t from_ms, int64_t to_ms, bool speech);
/* The facts as if the part ended at duration_ms (or where a track was fed to, if that is later);
 * `s` is not changed. */
void speech_facts(const struct speech *s, int64_t duration_ms, struct speech_facts *out);
/* Like speech_facts(), but this is the end: the observer is told of what was still open. Only
 * speech_init() may follow. */
void speech_finish(struct speech *s, int64_t duration_ms, struct speech_facts *out);

/* What has become final, told in the order in which it does. `ms` is the signed FTO, or the pause. */
struct speech_note {
  enum speech_note_kind { SPEECH_IPU, SPEECH_TURN, SPEECH_FTO, SPEECH_PAUSE, SPEECH_EVENT } kind;
  int track;                /* FTO: who took over; event: as event.by */
  int64_t start_ms, end_ms; /* IPU after bridge and discard, turn */
  int64_t ms;
  struct speech_event event;
};
typedef void speech_observe_fn(void *arg, const struct speech_note *note);
/* NULL: nobody (as after speech_init()). speech_facts() tells nothing. */
void speech_set_observer(struct speech *s, speech_observe_fn *observe, void *arg);
const char *speech_event_name(enum speech_event_kind kind); /* as in contract 4 */

#endif
