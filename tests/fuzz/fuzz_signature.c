/* Input: signature header, line end, timestamp header, line end, body. Nobody without the secret key finds
 * another message that verifies, so whatever is good must be the one of telnyx-protocol.md, appendix A. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/signature.h"

static const char key[] = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
static const char signed_stamp[] = "1789373742";
static const char signed_body[] =
    "{\"data\":{\"event_type\":\"call.hangup\",\"id\":\"5f0c1d2e-3a4b-4c5d-8e6f-708192a3b4c5\",\"occurred_"
    "at\":"
    "\"2026-09-14T08:15:41.902117Z\",\"payload\":{\"call_control_id\":\"v3:EXAMPLE-leg-A\",\"hangup_cause\":"
    "\"normal_clearing\"},\"record_type\":\"event\"},\"meta\":{\"attempt\":1,\"delivered_to\":"
    "\"https://edge.example.net/telnyx\"}}";

static void must(bool fine) {
  if (!fine) abort();
}

/* Cuts at the line end and steps behind it. */
static const char *next_line(char **at) {
  char *line = *at, *end = strchr(line, '\n');
  *at = end ? end + 1 : line + strlen(line);
  if (end) *end = '\0';
  return line;
}

static void check_headers(char *text, const char *end) {
  struct signature_keys keys;
  char why[200];
  char *body = text;
  must(signature_keys_parse(key, &keys, why, sizeof why) == 0);
  const char *signature = next_line(&body), *stamp = next_line(&body);
  size_t bytes = (size_t)(end - body);
  enum signature_verdict verdict = signature_verify(&keys, signature, stamp, body, bytes, 1789373742, 300);
  must(signature_verdict_name(verdict) != NULL);
  if (verdict == SIGNATURE_GOOD) {
    must(strcmp(stamp, signed_stamp) == 0);
    must(bytes == sizeof signed_body - 1 && memcmp(body, signed_body, bytes) == 0);
  }
}

static void check_keys(const char *text) {
  struct signature_keys keys = {.count = 0};
  char why[200] = "";
  int result = signature_keys_parse(text, &keys, why, sizeof why);
  must(keys.count <= SIGNATURE_KEYS_MAX);
  must(result == 0 || (keys.count == 0 && *why != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  memcpy(text, data, size);
  text[size] = '\0';
  check_keys(text);
  check_headers(text, text + size);
  free(text);
  return 0;
}
