/* Voice webhooks (telnyx-protocol.md 2): raw body to struct, and the table of every event we know.
 * A new event is one row in event.c. Thread: any. */
#ifndef TELNYX_EVENT_H
#define TELNYX_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
  EVENT_CALL_INITIATED,
  EVENT_CALL_ANSWERED,
  EVENT_CALL_BRIDGED,
  EVENT_CALL_HANGUP,
  EVENT_CALL_HOLD,
  EVENT_CALL_UNHOLD,
  EVENT_CALL_DTMF_RECEIVED,
  EVENT_CALL_MACHINE_DETECTION_ENDED,
  EVENT_CALL_MACHINE_GREETING_ENDED,
  EVENT_CALL_MACHINE_PREMIUM_DETECTION_ENDED,
  EVENT_CALL_MACHINE_PREMIUM_GREETING_ENDED,
  EVENT_CALL_RECORDING_SAVED,
  EVENT_CALL_RECORDING_ERROR,
  EVENT_CALL_TRANSCRIPTION,
  EVENT_CALL_COST,
  EVENT_STREAMING_STARTED,
  EVENT_STREAMING_STOPPED,
  EVENT_STREAMING_FAILED,
  EVENT_SIDETONE_LEG_LOST, /* ours: a leg given up (data-model.md 8.4) */
  EVENT_OTHER,             /* in the table, but nothing is folded from it yet */
  EVENT_UNKNOWN            /* not in the table: counted, kept */
};

struct event_row {
  const char *type;        /* "call.initiated" */
  enum event_kind kind;
  const char *call_event;  /* its word in the CallLog's events[] enum, NULL: none */
  bool secret;             /* payload is never stored nor logged (call.payment.*) */
  const char *const *fields; /* payload fields of telnyx-protocol.md 2.5, kept when a payload is cut; NULL-terminated */
};
const struct event_row *event_rows(size_t *count);
/* NULL when unknown. */
const struct event_row *event_row(const char *type);

struct event {
  enum event_kind kind;
  const struct event_row *row; /* NULL for EVENT_UNKNOWN */
  /* Borrowed from root; NULL when absent, null, empty. */
  const char *id, *type, *call_control_id, *call_leg_id, *call_session_id, *connection_id,
      *client_state;
  bool has_occurred_at;
  int64_t occurred_at_us; /* epoch; from data, else from payload */
  int attempt;            /* meta.attempt, 1 when absent */
  json_t *payload;        /* borrowed; an object, never NULL on success (empty if absent) */
  json_t *root;           /* owned */
};

/* 0, or -1 with `why` (what, where, what is allowed) when the body is not RFC 8259 JSON or holds no
 * v2 event (contract 3). conference.floor.changed may come without `data`. An event without an id in
 * that exception gets an id derived from the body. */
int event_parse(const char *body, size_t bytes, struct event *out, char *why, size_t why_bytes);
void event_release(struct event *event);

#endif
