/* Commands of the Call Control API (telnyx-protocol.md 3): what a request looks like, and what its answer means.
 * Bytes only: who sends them, how often and when is the caller's. Thread: any. */
#ifndef TELNYX_COMMAND_H
#define TELNYX_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command {
  COMMAND_ANSWER,
  COMMAND_HANGUP,
  COMMAND_STREAMING_START,
  COMMAND_STREAMING_STOP,
  COMMAND_RECORD_START,
  COMMAND_RECORD_STOP,
  COMMAND_RECORD_PAUSE,
  COMMAND_RECORD_RESUME,
  COMMANDS
};
/* As in the path of the request: "streaming_start". */
const char *command_name(enum command command);
/* False: there is no command of that name. */
bool command_find(const char *name, enum command *out);

/* UUIDv5 (RFC 9562 5.5) of leg, command and what caused it (an event's id, a part's name): every agent that has the
 * same cause sends the same id, and Telnyx ignores the second one (3.2). */
enum { COMMAND_ID_BYTES = 37 };
void command_id(const char *leg, enum command command, const char *cause, char out[COMMAND_ID_BYTES]);

/* base/calls/<leg, percent-encoded>/actions/<command>; a `base` may end in "/". malloc'ed, NULL: no memory, or the
 * leg is "." or "..", which no path can name. */
char *command_url(const char *base, const char *leg, enum command command);
/* base/calls/<leg>: GET tells whether the leg is alive. malloc'ed, NULL as above. */
char *command_call_url(const char *base, const char *leg);

/* The JSON body. `stream_url` is for streaming_start and needed there: both tracks, as PCMU, nothing sent back.
 * malloc'ed, NULL: no memory. */
char *command_body(enum command command, const char *id, const char *stream_url);
/* stream_url with the leg's derived key behind it (contract.md 3), good until `expiry_s`; without a token the URL as it
 * is. malloc'ed, NULL: no memory. */
char *command_stream_url(const char *stream_url, const char *token, const char *leg, int64_t expiry_s);

enum command_verdict {
  COMMAND_TAKEN,        /* accepted; a webhook tells of the effect */
  COMMAND_ENDED,        /* the leg is over: see command_is_done_by_end() */
  COMMAND_NOT_YET,      /* the leg is not answered, or has no sound yet: once more, soon */
  COMMAND_AGAIN,        /* no answer, or Telnyx's own trouble: the identical request once more */
  COMMAND_SLOWER,       /* a rate limit */
  COMMAND_UNAUTHORIZED, /* the key is missing or wrong */
  COMMAND_REFUSED       /* an answer that cannot change */
};
/* 3.3: what an answer to a command means. `status` 0: none came. `why` gets code and title, for the log. */
enum command_verdict command_judge(int status, const char *body, size_t bytes, char *why, size_t why_bytes);

/* What the command wanted is so when the leg is over (3.3): hangup, streaming_stop, record_stop. */
bool command_is_done_by_end(enum command command);

/* What GET base/calls/<leg> says. */
enum command_life { LIFE_UNKNOWN, LIFE_ALIVE, LIFE_OVER };
enum command_life command_life(int status, const char *body, size_t bytes);

#endif
