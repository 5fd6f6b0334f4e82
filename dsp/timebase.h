/* What `chunk` counts and what `timestamp` is measured in: found out per track over its first 50
 * media frames (voice-quality.md 3.1), then every frame is placed by it.
 *
 * Use: the owner keeps the first frames of a track and calls timebase_observe() for each as it comes;
 * once timebase_ready() (or the track ends) it calls timebase_decide() and runs the kept frames and
 * all later ones through timebase_place(). One object a socket, both tracks in it; a new `start`
 * begins a new one. No heap, no clock. */
#ifndef DSP_TIMEBASE_H
#define DSP_TIMEBASE_H

#include <stdbool.h>
#include <stdint.h>

#include "dsp/codec.h"
#include "dsp/track.h"

enum { TIMEBASE_EVENTS = 50 };

enum chunk_scope { CHUNK_UNDECIDED, CHUNK_PER_TRACK, CHUNK_SHARED };
enum ts_unit { TS_UNDECIDED, TS_UNKNOWN, TS_MS, TS_RTP_TICKS, TS_SAMPLES, TS_US, TS_FRAMES };

struct timebase_event {
  bool has_chunk, has_timestamp; /* false: absent or refused by the parser */
  uint64_t chunk, timestamp;     /* as sent */
  uint32_t payload_bytes;
  uint32_t duration_us; /* as the payload itself tells (dsp/inspect.h); 0: by its size */
};

struct timebase_place {
  uint64_t number;  /* of the frame within its track */
  int64_t media_us; /* media time, from the track's own zero; within +-TIMEBASE_MEDIA_MAX_US */
};

#define TIMEBASE_MEDIA_MAX_US (INT64_C(1) << 55) /* over 1000 years: differences cannot overflow */

struct timebase_track {
  enum chunk_scope chunk_scope;
  enum ts_unit ts_unit;
  uint32_t ptime_us;
  uint32_t seen; /* observed, the first TIMEBASE_EVENTS of them are kept */
  struct timebase_event first[TIMEBASE_EVENTS];
  /* From here on: where timebase_place() stands. */
  bool placed, leaping;
  uint64_t leap_chunk;       /* of a frame far ahead: the newest only if the next one follows it */
  uint64_t chunk, timestamp; /* of the newest frame (highest chunk) */
  struct timebase_place newest;
};

struct timebase {
  const struct codec *codec;
  struct timebase_track track[TRACK_COUNT];
  /* Where the counter of both tracks stands, when it is shared. */
  bool shared_started, leaping;
  uint64_t shared_last; /* the highest chunk placed */
  uint64_t leap_chunk;  /* far from it: a new counting if the next one is near this */
  uint64_t holes;       /* numbers passed over and not yet charged to a track */
};

void timebase_init(struct timebase *t, const struct codec *codec);
void timebase_observe(struct timebase *t, enum track track, const struct timebase_event *event);
bool timebase_ready(const struct timebase *t, enum track track);
void timebase_decide(struct timebase *t, enum track track);
/* After timebase_decide() of that track. */
void timebase_place(struct timebase *t, enum track track, const struct timebase_event *event,
                    struct timebase_place *place);
/* The event's own timestamp in microseconds, from whatever zero the sender has; after
 * timebase_decide(). False when the unit is not known. */
bool timebase_timestamp_us(const struct timebase *t, enum track track, const struct timebase_event *event,
                           int64_t *us);
/* Of a shared counter: numbers that never came and belong to no track that could be told. */
uint64_t timebase_unassigned(const struct timebase *t);
const char *chunk_scope_name(enum chunk_scope scope); /* "per_track", "shared" */
const char *ts_unit_name(enum ts_unit unit); /* "ms", "rtp_ticks", "samples", "us", "frames", "unknown" */

#endif
