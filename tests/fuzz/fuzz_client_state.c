/* Any text as client_state. A raw object and its base64 must be read alike. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/base64.h"
#include "telnyx/client_state.h"

static void must(bool fine) {
  if (!fine) abort();
}

static void check(const struct client_state *state) {
  must(json_is_object(state->known) && json_is_object(state->other));
  must(json_dumpb(state->other, NULL, 0, JSON_COMPACT) <= CLIENT_STATE_OTHER_BYTES);
  const char *ids[] = {state->lead_id, state->contact_id, state->campaign_id, state->assigned_agent,
                       state->conversation_id};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) must(!ids[i] || strlen(ids[i]) == 24);
  must(!state->call_log_id || (strlen(state->call_log_id) >= 1 && strlen(state->call_log_id) <= 128));
}

static void check_same(const char *text, const struct client_state *raw, int raw_result) {
  size_t length = strlen(text);
  char *encoded = malloc((length + 2) / 3 * 4 + 1);
  struct client_state state;
  base64_encode((const uint8_t *)text, length, encoded);
  must(client_state_parse(encoded, &state) == raw_result);
  if (raw_result == 0) {
    must(json_equal(raw->known, state.known) && json_equal(raw->other, state.other));
    must(raw->cut == state.cut && raw->party == state.party);
  }
  client_state_release(&state);
  free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  struct client_state state;
  memcpy(text, data, size);
  text[size] = '\0';
  int result = client_state_parse(text, &state);
  if (result == 0) check(&state);
  if (*text == '{') check_same(text, &state, result);
  client_state_release(&state);
  free(text);
  return 0;
}
