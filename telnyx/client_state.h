/* client_state (data-model.md 8.1): base64 of a JSON object, else a raw JSON object; a text key
 * client_state inside it is read too (to CLIENT_STATE_LEVELS), and fills only what the outer one leaves open.
 * null and empty text are no value. Thread: any. */
#ifndef TELNYX_CLIENT_STATE_H
#define TELNYX_CLIENT_STATE_H

#include <jansson.h>
#include <stdbool.h>

enum {
  CLIENT_STATE_LEVELS = 4,         /* states inside one another that are read; a deeper one stays text */
  CLIENT_STATE_OTHER_BYTES = 4096, /* of `other` as compact JSON */
  CLIENT_STATE_OTHER_LEVELS = 60   /* objects and arrays inside one another, `other` itself included */
};

enum client_party { CLIENT_PARTY_NONE, CLIENT_PARTY_LEAD, CLIENT_PARTY_AGENT };

struct client_state {
  /* Copies owned by `known`; NULL when absent or not of the right form. */
  const char *call_log_id; /* 1..128 of A-Za-z0-9_.:-, no derived one (CALL_0_...) */
  const char *lead_id, *contact_id, *campaign_id, *assigned_agent, *conversation_id; /* 24 hex */
  const char *call_id;   /* CallLog _id; as sent */
  const char *call_type; /* one of the enum of data-model.md 1.2 */
  enum client_party party;
  json_t *known; /* owned */
  json_t *other; /* owned: unknown keys and known ones of the wrong form, at most 4 KiB as text, 60 levels */
  bool cut;      /* `other` was cut at a limit */
};

/* 0, or -1 when the text is neither, NULL, or memory is refused; then `out` is empty (known and other NULL) and
 * may be released like any other. */
int client_state_parse(const char *text, struct client_state *out);
void client_state_release(struct client_state *state);

#endif
