/* Any bytes as what a WebSocket client sends: decoded whole and in small pieces, the same items come out.
 * The first byte is the size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rfc6455.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t sum, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i++) sum = (sum ^ at[i]) * UINT64_C(1099511628211);
  return (sum ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t decode(const uint8_t *data, size_t bytes, size_t step) {
  struct rfc6455 ws;
  uint64_t sum = 0;
  bool alive = true;

  rfc6455_init(&ws, RFC6455_SERVER, 4096);
  while (alive && bytes > 0) {
    size_t piece = bytes < step ? bytes : step, left = piece, used;
    char *copy = malloc(piece), *at = copy;
    struct rfc6455_item item;
    enum rfc6455_kind kind;
    if (!copy) abort();
    memcpy(copy, data, piece);
    while ((kind = rfc6455_next(&ws, at, left, &used, &item)) != RFC6455_MORE) {
      sum = mix(sum, &kind, sizeof kind);
      sum = mix(sum, &item.code, sizeof item.code) + item.text + 2 * item.utf8;
      alive = kind != RFC6455_FAULT;
      if (!alive) break;
      if (item.bytes > 4096) abort();
      sum = mix(sum, item.data, item.bytes);
      at += used, left -= used;
    }
    free(copy);
    data += piece, bytes -= piece;
  }
  rfc6455_release(&ws);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  if (decode(data + 1, size - 1, size) != decode(data + 1, size - 1, 1 + data[0] % 16)) abort();
  return 0;
}
