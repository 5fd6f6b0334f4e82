/* Facts of a leg in, its CallLog out: a pure function (data-model.md 8.4). Same facts, same document,
 * whatever the order they came in. Serves the agent, replay and the tests.
 *
 * The document is relaxed Extended JSON in jansson values: dates {"$date": "…"}, ObjectIds {"$oid": "…"}. */
#ifndef AGENT_FOLD_H
#define AGENT_FOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/document.h"
#include "agent/part.h"
#include "telnyx/event.h"

enum {
  /* Objects and arrays inside one another in a payload; above: cut. MongoDB takes 100 in a document, of which
   * five are around a payload. */
  FACTS_PAYLOAD_MAX_LEVELS = 60,
  FACTS_PAYLOAD_MAX_BYTES = 32 * 1024,       /* of one webhook, as JSON text; above: cut */
  FACTS_PAYLOADS_MAX_BYTES = 4 * 1024 * 1024 /* of one leg; what comes later is stored without */
};

struct facts {
  char *leg;        /* call_control_id */
  json_t *webhooks; /* array of {"_id":{"$oid"},"eventType","timestamp":{"$date"},"payload"}: the elements
                       of telnyx.webhookEvents, sorted by (timestamp, _id) */
  struct part **parts;
  size_t part_count;
  json_t *lead_lookup;  /* metadata.sidetone.leadLookup, an object; NULL: not looked up */
  json_t *ids;          /* `_id` of each element -> true */
  size_t payload_bytes; /* of all elements together */
};

/* NULL: no memory. */
struct facts *facts_new(const char *leg);
void facts_free(struct facts *facts);
/* Adds the element made of an event (payload cut, keys escaped: 8.4); false when it is there already. */
bool facts_add_event(struct facts *facts, const struct event *event);
/* The element as it is stored (a new reference), and back: copied; false when it is there already or
 * is no element (no `_id`, no eventType). A payload past FACTS_PAYLOADS_MAX_BYTES of the leg becomes
 * {"truncated": true}. */
json_t *facts_event_element(const struct event *event);
bool facts_add_element(struct facts *facts, const json_t *element);
/* Takes the part over; replaces one of the same id with a smaller n, else frees it and returns false. */
bool facts_put_part(struct facts *facts, struct part *part);
/* The result of the look-up for a lead (8.1), {"leadId", "contactId"} as far as found; copied. The first one stays:
 * false when there is one already, or it is no object. */
bool facts_set_lead_lookup(struct facts *facts, const json_t *lookup);
/* Webhooks + sum of n, and 1 for a look-up: it is a fact, so equal revisions stay equal facts. */
uint64_t facts_revision(const struct facts *facts);
/* The last sign of life: the newest media frame or event that cannot come after the end of a call (a
 * cost or a saved recording can); without either, the newest fact. A `sidetone.leg_lost` counts only
 * with this occurred_at or a later one (8.4). 0: no fact has a time. */
int64_t facts_last_sign_ms(const struct facts *facts);

struct fold_options {
  const char *agent_id; /* shown in metadata.sidetone.agents */
  const char *version;
  bool inbound_is_agent; /* calls.party */
  bool plc;              /* quality.plc */
  bool asr_stream;       /* quality.consumer */
  bool open_findings;    /* for a look at a call that is up: what is wrong now, which is no issue yet (8.4) */
  bool
      figures_only; /* for live rows: without the large lists that they do not show (media, delivery, events) */
};

struct fold_summary { /* what others need of the document without walking it */
  char call_log_id[129];
  char status[16], direction[16], from[64], to[64];
  char leg_codec[32];                   /* as call.answered names it; "unknown" */
  int64_t initiated_at_ms, ended_at_ms; /* 0: unknown */
  double total_s, mos;                  /* NaN: unknown */
  bool ended, complete, partial;
  bool lost;             /* ended by sidetone.leg_lost */
  bool hung_up;          /* ended by call.hangup */
  bool has_lead;         /* else the tag no-lead */
  bool inbound_is_agent; /* whose track is whose: calls.party, or client_state.party */
};

enum { FOLD_DERIVED_ID_BYTES = 34 }; /* "CALL_0_" and 26 digits, and NUL */
/* The callLogId of a leg for which no client_state names one (8.4). */
void fold_derived_call_log_id(const char *leg, char out[FOLD_DERIVED_ID_BYTES]);

/* The document with telnyx.webhookEvents and metadata.sidetone.media in it. New reference. */
json_t *fold(const struct facts *facts, const struct fold_options *options, struct fold_summary *summary);
/* What replay prints: without _id, createdAt, updatedAt, metadata.sidetone.media. Changes `document`. */
void fold_strip(json_t *document);

#endif
