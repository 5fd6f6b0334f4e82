/* A media part: what one socket of a leg measured, as facts (data-model.md 8.4). Built live by
 * agent/stream.c, stored as JSON, read back and folded by agent/fold.c.
 * Facts are per track (0 inbound, 1 outbound); who is agent and who is lead is the fold's question. */
#ifndef AGENT_PART_H
#define AGENT_PART_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dsp/delivery_facts.h"
#include "dsp/echo.h"
#include "dsp/findings.h"
#include "dsp/signal_facts.h"
#include "dsp/speech_facts.h"
#include "dsp/timebase.h"

enum part_state { PART_OPEN, PART_CLOSED, PART_CUT };

/* What the socket's connection told once a second (voice-quality.md 3.7): evidence beside the figures. The round trips
 * themselves are facts of the tracks (dsp/delivery_facts.h). */
struct socket_facts {
  uint64_t looks;
  uint64_t rtt_var_max_us;        /* greatest mean deviation of TCP's round trip */
  uint64_t out_of_order_segments; /* proof of retransmission or reordering toward us */
  uint64_t tcp_bytes;             /* received, with TLS and framing */
  uint64_t queued_max_bytes;      /* received and not yet read: more than a few frames, and we were late */
  uint64_t pong_max_us;           /* the slowest answer to a WebSocket ping */
};
extern const struct field socket_fields[];
extern const size_t socket_field_count;

struct part {
  char id[96]; /* "<agent.id>_<k>" */
  uint64_t n;  /* grows at each write */
  enum part_state state;
  int64_t opened_ms, closed_ms;          /* wall clock, epoch ms; 0: not yet */
  int64_t start_ms;                      /* arrival of the first `start`; 0: none */
  int64_t first_frame_ms, last_frame_ms; /* arrival of media, wall clock; 0: none */
  /* Of the first `start`; owned by the part; "" when absent. */
  char stream_id[257], call_control_id[257], call_session_id[257], call_leg_id[257];
  char from[257], to[257];
  char *client_state; /* malloc'ed, NULL when absent */
  struct {
    bool seen;
    char encoding[16]; /* of the newest `start` */
    uint32_t sample_rate_hz, ptime_us;
    uint8_t chunk_scope, ts_unit; /* enums of dsp/timebase.h */
    uint64_t payload_bytes;
    struct delivery_facts *delivery; /* owned */
    struct signal_facts *signal;     /* owned; NULL: its sound was not heard */
  } track[TRACK_COUNT];
  struct speech_facts *speech;    /* owned; NULL: nothing was heard (codec without decoder) */
  struct finding_facts *findings; /* owned; NULL: nothing was looked for. ms from first_frame_ms */
  struct echo_facts echo;         /* of outbound in inbound */
  struct socket_facts socket;
  uint64_t frames_ignored, frames_before_start_dropped, parse_errors, messages_missing, formats;
  json_t *dtmf;   /* array of {"digit","at_ms"}, owned; stream order */
  json_t *errors; /* array of {"code","title","detail","at_ms"}, owned, at most 100 */
};

struct part *part_new(void);
void part_free(struct part *part);
/* The facts as JSON (a new reference), full precision, histograms sparse. */
json_t *part_to_json(const struct part *part);
/* NULL when the JSON is not a part. */
struct part *part_from_json(const json_t *json);
/* When it grew last: opened, had a frame, or closed; wall clock, epoch ms. */
int64_t part_grew_at_ms(const struct part *part);

#endif
