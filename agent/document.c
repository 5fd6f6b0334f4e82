#include "agent/document.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/buffer.h"
#include "telnyx/timestamp.h"

double document_round(double value, int decimals) {
  static const double scales[] = {1, 10, 100, 1000, 10000};
  if (decimals < 0 || decimals >= (int)(sizeof scales / sizeof *scales)) return value;
  double rounded = round(value * scales[decimals]) / scales[decimals];
  return rounded == 0 ? 0 : rounded;
}

json_t *document_date(int64_t epoch_ms) {
  char text[TIMESTAMP_BYTES];
  timestamp_format_ms(epoch_ms, text);
  return json_pack("{s:s}", "$date", text);
}

bool document_date_ms(const json_t *date, int64_t *epoch_ms) {
  const json_t *value = json_object_get(date, "$date");
  if (json_is_string(value)) {
    int64_t us;
    if (!timestamp_parse(json_string_value(value), &us)) return false;
    *epoch_ms = us / 1000 - (us % 1000 < 0);
    return true;
  }
  const char *digits = json_string_value(json_object_get(value, "$numberLong"));
  if (digits) {
    char *end;
    long long number = strtoll(digits, &end, 10);
    if (end == digits || *end) return false;
    *epoch_ms = number;
    return true;
  }
  if (!json_is_integer(value)) return false;
  *epoch_ms = json_integer_value(value);
  return true;
}

json_t *document_oid(const char *hex) {
  char lower[32];
  size_t length = strnlen(hex, sizeof lower - 1);
  for (size_t i = 0; i < length; i++)
    lower[i] = hex[i] >= 'A' && hex[i] <= 'F' ? (char)(hex[i] + 'a' - 'A') : hex[i];
  return json_pack("{s:s%}", "$oid", lower, length);
}

void document_put_text(json_t *object, const char *key, const char *text) {
  if (text && *text) json_object_set_new(object, key, json_string(text));
}

void document_put_date(json_t *object, const char *key, int64_t epoch_ms) {
  json_object_set_new(object, key, document_date(epoch_ms));
}

void document_put_int(json_t *object, const char *key, int64_t value) {
  json_object_set_new(object, key, json_integer(value));
}

void document_put_real(json_t *object, const char *key, double value, int decimals) {
  if (isfinite(value)) json_object_set_new(object, key, json_real(document_round(value, decimals)));
}

void document_put_some(json_t *object, const char *key, json_t *value) {
  if (!value || (json_is_object(value) && !json_object_size(value)))
    json_decref(value);
  else
    json_object_set_new(object, key, value);
}

/* ---- printing ---- */

struct printer {
  struct buffer text;
  bool indented;
};

static void append(struct printer *t, const char *data, size_t bytes) {
  buffer_put(&t->text, data, bytes);
}

static void append_text(struct printer *t, const char *data) {
  buffer_put_text(&t->text, data);
}

static void append_line(struct printer *t, int depth) {
  if (!t->indented) return;
  append(t, "\n", 1);
  for (int i = 0; i < depth; i++) append(t, "  ", 2);
}

static void append_string(struct printer *t, const char *string, size_t bytes) {
  static const char letters[] = "btn\0fr"; /* of U+0008 to U+000D */
  append(t, "\"", 1);
  size_t from = 0;
  for (size_t i = 0; i < bytes; i++) {
    unsigned char c = (unsigned char)string[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    append(t, string + from, i - from);
    from = i + 1;
    char escape[8] = {'\\', (char)c};
    size_t length = 2;
    if (c >= 8 && c <= 13 && letters[c - 8])
      escape[1] = letters[c - 8];
    else if (c < 0x20)
      length = (size_t)snprintf(escape, sizeof escape, "\\u%04x", c);
    append(t, escape, length);
  }
  append(t, string + from, bytes - from);
  append(t, "\"", 1);
}

static void append_real(struct printer *t, double value) {
  char digits[DECIMAL_BYTES];
  append_text(t, decimal_shortest(value, digits));
  if (!strpbrk(digits, ".e")) append_text(t, ".0");
}

static void append_value(struct printer *t, const json_t *value, int depth);

static void append_object(struct printer *t, const json_t *object, int depth) {
  json_t *reader = document_reader(object);
  const char *separator = "";
  append(t, "{", 1);
  for (void *i = json_object_iter(reader); i; i = json_object_iter_next(reader, i)) {
    append_text(t, separator);
    separator = ",";
    append_line(t, depth + 1);
    append_string(t, json_object_iter_key(i), json_object_iter_key_len(i));
    append_text(t, t->indented ? ": " : ":");
    append_value(t, json_object_iter_value(i), depth + 1);
  }
  if (*separator) append_line(t, depth);
  append(t, "}", 1);
}

static void append_array(struct printer *t, const json_t *array, int depth) {
  size_t count = json_array_size(array);
  append(t, "[", 1);
  for (size_t i = 0; i < count; i++) {
    if (i) append(t, ",", 1);
    append_line(t, depth + 1);
    append_value(t, json_array_get(array, i), depth + 1);
  }
  if (count) append_line(t, depth);
  append(t, "]", 1);
}

static void append_value(struct printer *t, const json_t *value, int depth) {
  char digits[32];
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      append_object(t, value, depth);
      break;
    case JSON_ARRAY:
      append_array(t, value, depth);
      break;
    case JSON_STRING:
      append_string(t, json_string_value(value), json_string_length(value));
      break;
    case JSON_INTEGER:
      snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
      append_text(t, digits);
      break;
    case JSON_REAL:
      append_real(t, json_real_value(value));
      break;
    case JSON_TRUE:
      append_text(t, "true");
      break;
    case JSON_FALSE:
      append_text(t, "false");
      break;
    case JSON_NULL:
      append_text(t, "null");
      break;
  }
}

char *document_text(const json_t *document, bool indented, size_t *bytes) {
  if (!document) return NULL;
  struct printer t = {.indented = indented};
  append_value(&t, document, 0);
  return buffer_take(&t.text, bytes);
}
