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
  const char *type; /* "call.initiated" */
  enum event_kind kind;
  const char *call_event; /* its word in the CallLog's events[] enum, NULL: none */
  bool secret;            /* payload is never stored nor logged (call.payment.*) */
  /* Payload fields of telnyx-protocol.md 2.5, kept when a payload is cut; NULL-terminated. */
  const char *const *fields;
};
const struct event_row *event_rows(size_t *count);
/* NULL when unknown; an unknown call.payment.* gets a secret row of kind EVENT_UNKNOWN. */
const struct event_row *event_row(const char *type);
/* The fields of a row, or for NULL those that every event may have. NULL-terminated. */
const char *const *event_fields(const struct event_row *row);

struct event {
  enum event_kind kind;
  const struct event_row *row; /* NULL for EVENT_UNKNOWN, save call.payment.* */
  /* Borrowed from root; NULL when absent, null, empty. */
  const char *id, *type, *call_control_id, *call_leg_id, *call_session_id, *connection_id, *client_state;
  bool has_occurred_at;
  int64_t occurred_at_us; /* epoch; from data, else from payload */
  int attempt;            /* meta.attempt, 1 when absent */
  /* Borrowed; an object, never NULL on success: empty if absent, and what is no object stands in it as
   * "value". */
  json_t *payload;
  json_t *root; /* owned */
};

/* 0, or -1 with `why` (what, where, what is allowed) when the body is not RFC 8259 JSON or holds no
 * v2 event (contract 3); `out` is then empty. A data.id that is a number is taken as its text.
 * conference.floor.changed may come without `data`. An event without an id in that exception gets an id
 * derived from the body. sidetone.leg_lost is taken too: whoever listens to the outside refuses it there. */
int event_parse(const char *body, size_t bytes, struct event *out, char *why, size_t why_bytes);
void event_release(struct event *event);

#endif
