/* Any bytes as an HTTP connection: read whole and read in small pieces, the same requests come out.
 * The first byte is the size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t sum, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i++) sum = (sum ^ at[i]) * UINT64_C(1099511628211);
  return (sum ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t mix_request(uint64_t sum, struct http1 *http) {
  const struct http_request *r = http1_request(http);
  sum = mix(sum, r->method, strlen(r->method));
  sum = mix(sum, r->path, strlen(r->path));
  sum = mix(sum, r->query, strlen(r->query));
  for (size_t i = 0; i < r->header_count; i++) {
    sum = mix(sum, r->headers[i].name, strlen(r->headers[i].name));
    sum = mix(sum, r->headers[i].value, strlen(r->headers[i].value));
  }
  return mix(sum, r->body, r->body_bytes) + http1_keep_alive(http) + 2 * http1_expects_continue(http);
}

static uint64_t parse(const char *data, size_t bytes, size_t step) {
  const struct http1_limits limits = {16 * 1024, 64 * 1024};
  struct http1 *http = http1_create(&limits);
  uint64_t sum = 0;
  if (!http) abort();
  while (bytes > 0) {
    size_t piece = bytes < step ? bytes : step, used;
    char *copy = malloc(piece); /* a byte too many is seen by AddressSanitizer */
    if (!copy) abort();
    memcpy(copy, data, piece);
    enum http1_state got = http1_feed(http, copy, piece, &used);
    free(copy);
    data += used, bytes -= used;
    if (got == HTTP1_BAD) {
      sum = mix(sum, "bad", 3);
      break;
    }
    if (got == HTTP1_DONE) {
      sum = mix_request(sum, http);
      http1_next(http);
    }
  }
  http1_free(http);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const char *text = (const char *)data + 1;
  if (parse(text, size - 1, size) != parse(text, size - 1, 1 + data[0] % 16)) abort();
  return 0;
}
