/* One media socket of a leg: holds frames until format and time base are known, then runs each through
 * ledger and playout (dsp/delivery), order (dsp/assembler), detector (dsp/hearing), conversation
 * rules (dsp/speech) and what may be wrong with it (agent/diagnosis). What it measured is a media part.
 *
 *   media text -> scan -> base64 -> hold -> timebase -> delivery -> assembler -> hearing -> speech
 *                                                          |           |           |
 *                                                          '-----------'-----------'-> diagnosis
 *
 * Everything is allocated at creation; a media frame allocates nothing, locks nothing, logs nothing.
 * A stream belongs to its loop's thread. */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/metrics.h"
#include "agent/part.h"
#include "agent/server.h"
#include "telnyx/frame.h"

struct stream;

enum { STREAM_PAYLOAD_MAX = 64 * 1024 };

struct stream_options {
  enum quality_consumer consumer; /* quality.consumer and */
  bool plc;                       /* quality.plc: by which R a window is judged */
  /* We asked for both tracks, so that inbound is missed if it never comes (voice-quality.md 5.6). Outbound is
     not: whether it has frames before something is played, nobody says. */
  bool expects_inbound;
};

/* What stream_create() allocates, texts apart. */
size_t stream_bytes(void);
/* `scratch` has STREAM_PAYLOAD_MAX bytes, shared by all streams of a loop; it and `metrics` outlive the
 * stream. NULL when there is no memory. */
struct stream *stream_create(const char *part_id, const struct moment *at, uint8_t *scratch,
                             struct metrics *metrics, const struct stream_options *options);
void stream_free(struct stream *s);

/* The leg's codec as a webhook names it, when one did before the `start` (voice-quality.md 1.7): linear sound was coded
 * with it, and clips where it does (5.4). */
void stream_leg_codec(struct stream *s, const char *name);
/* A `start`: the format of what follows. Its first call also runs what was held.
 * False: the codec is not in the table; frames are then counted as ignored. */
bool stream_start(struct stream *s, const struct moment *at, const struct frame *start);
/* FRAME_FINE, or why the frame could not be used (its caller counts that). */
enum frame_fault stream_media(struct stream *s, const struct moment *at, const struct media_frame *m);
void stream_dtmf(struct stream *s, const struct moment *at, const struct frame *dtmf);
void stream_error(struct stream *s, const struct moment *at, const struct frame *error);
/* Every message with a sequence number, in order of arrival. */
void stream_sequence(struct stream *s, uint64_t sequence);
/* A message of the socket could not be used. */
void stream_fault(struct stream *s);
/* The leg is on hold from now on, or no longer: nobody need speak, nothing need come. */
void stream_hold(struct stream *s, const struct moment *at, bool on);
/* The leg has hung up. */
void stream_over(struct stream *s, const struct moment *at);
/* What the socket's connection tells, about once a second. */
void stream_evidence(struct stream *s, const struct socket_evidence *evidence);
/* About once a second: decides what has waited long enough. */
void stream_tick(struct stream *s, const struct moment *at);
/* No more frames: decides what waits. `state` PART_CLOSED or PART_CUT. */
void stream_end(struct stream *s, const struct moment *at, enum part_state state);

/* What was measured so far, as a new part with the next n; NULL when there is no memory. */
struct part *stream_part(struct stream *s);
const char *stream_part_id(const struct stream *s);
bool stream_changed(const struct stream *s); /* since the last stream_part() */
/* R of the newest full window of 10 s of the worse track, with what the leg's codec (as a webhook names
 * it, "" when none did) takes from it; NaN: none yet. */
double stream_newest_r(const struct stream *s, const char *leg_codec);
/* The longest time without a frame of any track since the last look, the one that runs included; 0 before the first. */
int64_t stream_gap_us(struct stream *s, const struct moment *at);
int stream_speaking(const struct stream *s); /* bit 0 inbound, bit 1 outbound */

#endif
