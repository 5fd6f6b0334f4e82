#include "agent/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1024, BYTES_MAX = 1 << 30 };

static bool reserve(struct buffer *b, size_t bytes) {
  if (b->failed) return false;
  if (bytes <= b->capacity - b->bytes) return true;
  size_t capacity = (b->capacity + bytes) * 2 + FIRST_BYTES;
  char *grown = bytes < BYTES_MAX ? realloc(b->data, capacity) : NULL;
  b->failed = grown == NULL;
  if (b->failed) return false;
  b->data = grown;
  b->capacity = capacity;
  return true;
}

void buffer_put(struct buffer *b, const char *data, size_t bytes) {
  if (bytes == 0 || !reserve(b, bytes)) return;
  memcpy(b->data + b->bytes, data, bytes);
  b->bytes += bytes;
}

void buffer_put_text(struct buffer *b, const char *text) {
  buffer_put(b, text, strlen(text));
}

void buffer_printf(struct buffer *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0 || !reserve(b, (size_t)length + 1)) return;
  va_start(args, format);
  vsnprintf(b->data + b->bytes, (size_t)length + 1, format, args);
  va_end(args);
  b->bytes += (size_t)length;
}

char *buffer_take(struct buffer *b, size_t *bytes) {
  buffer_put(b, "", 1);
  char *text = b->failed ? NULL : b->data;
  if (bytes != NULL) *bytes = text != NULL ? b->bytes - 1 : 0;
  if (text == NULL) free(b->data);
  *b = (struct buffer){0};
  return text;
}

const char *decimal_shortest(double value, char out[DECIMAL_BYTES]) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(out, DECIMAL_BYTES, "%.*g", digits, value);
    if (strtod(out, NULL) == value) break;
  }
  return out;
}
