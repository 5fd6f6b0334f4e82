#include "telnyx/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/json_scan.h"

/* The text as jansson can read it; made only when there is an odd token. */
struct rewrite {
  const char *taken; /* source text up to here is in `text` */
  char *text;
  size_t used, capacity;
};

static bool append(struct rewrite *out, const char *bytes, size_t count) {
  if (count == 0) return true;
  if (out->capacity - out->used < count) {
    size_t capacity = (out->used + count) * 2;
    char *grown = realloc(out->text, capacity);
    if (!grown) return false;
    out->text = grown;
    out->capacity = capacity;
  }
  memcpy(out->text + out->used, bytes, count);
  out->used += count;
  return true;
}

/* jansson itself is asked: it alone knows what it takes. */
static bool number_fits(const char *token, size_t bytes) {
  json_t *value = json_loadb(token, bytes, JSON_DECODE_ANY, NULL);
  json_decref(value);
  return value != NULL;
}

/* Both forms have six characters, so the string keeps its length. */
static void replace_escapes(char *token, size_t bytes) {
  const char *end = token + bytes;
  for (char *at = token; (at = memchr(at, '\\', (size_t)(end - at))) != NULL;) {
    bool replaced = false;
    const char *next = json_scan_escape(at, end, &replaced);
    if (replaced) memcpy(at, "\\uFFFD", 6);
    at += next - at;
  }
}

static bool rewrite_odd(void *arg, enum json_odd kind, const char *token, size_t bytes) {
  struct rewrite *out = arg;
  if (kind == JSON_ODD_NUMBER && number_fits(token, bytes)) return true;
  if (!append(out, out->taken, (size_t)(token - out->taken))) return false;
  out->taken = token + bytes;
  if (kind == JSON_ODD_NUMBER) {
    return append(out, "\"", 1) && append(out, token, bytes) && append(out, "\"", 1);
  }
  if (!append(out, token, bytes)) return false;
  replace_escapes(out->text + out->used - bytes, bytes);
  return true;
}

static json_t *load(const char *text, size_t bytes, char *why, size_t why_bytes) {
  json_error_t error;
  json_t *value = json_loadb(text, bytes, JSON_DECODE_ANY, &error);
  if (!value) snprintf(why, why_bytes, "not JSON at byte %d: %s", error.position, error.text);
  return value;
}

json_t *json_read(const char *text, size_t bytes, char *why, size_t why_bytes) {
  char unused[1];
  if (!why) {
    why = unused;
    why_bytes = sizeof unused;
  }
  if (!text || bytes == 0) {
    snprintf(why, why_bytes, "not JSON: the text is empty");
    return NULL;
  }
  struct rewrite out = {.taken = text};
  struct json_scan scan = {.at = text, .end = text + bytes, .odd = rewrite_odd, .arg = &out};
  json_t *value = NULL;
  bool fine = json_scan_value(&scan);
  if (fine) {
    scan.at = json_skip_space(scan.at, scan.end);
    if (scan.at != scan.end) {
      fine = false;
      scan.fault = "something follows the value";
    }
  }
  if (!fine) {
    snprintf(why, why_bytes, "not JSON at byte %zu of %zu: %s", (size_t)(scan.at - text), bytes, scan.fault);
  } else if (!out.text) {
    value = load(text, bytes, why, why_bytes);
  } else if (append(&out, out.taken, (size_t)(scan.end - out.taken))) {
    value = load(out.text, out.used, why, why_bytes);
  } else {
    snprintf(why, why_bytes, "no memory for %zu bytes of JSON", bytes);
  }
  free(out.text);
  return value;
}

/* ---- fields ---- */

/* Decimal text: sign, digits with a point anywhere among them, exponent. No blanks, no hex, no words. */
static bool is_decimal(const char *text) {
  size_t digits = 0;
  if (*text == '-' || *text == '+') text++;
  for (bool point = false; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
    if (*text == '.') {
      point = true;
    } else {
      digits++;
    }
  }
  if (digits == 0) return false;
  if (*text == 'e' || *text == 'E') {
    text++;
    if (*text == '-' || *text == '+') text++;
    size_t exponent = strspn(text, "0123456789");
    if (exponent == 0) return false;
    text += exponent;
  }
  return *text == '\0';
}

bool json_number(const json_t *value, double *out) {
  if (json_is_number(value)) {
    *out = json_number_value(value);
    return true;
  }
  const char *text = json_string_value(value);
  if (!text || !is_decimal(text)) return false;
  double number = strtod(text, NULL);
  if (!isfinite(number)) return false;
  *out = number;
  return true;
}

bool json_unsigned(const json_t *value, uint64_t *out) {
  if (json_is_integer(value)) {
    json_int_t number = json_integer_value(value);
    if (number < 0) return false;
    *out = (uint64_t)number;
    return true;
  }
  const char *text = json_string_value(value);
  if (text && *text != '\0' && text[strspn(text, "0123456789")] == '\0') {
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno == ERANGE) return false;
    *out = number;
    return true;
  }
  double number; /* "40.0", 4e1 */
  if (!json_number(value, &number)) return false;
  if (number < 0.0 || number >= 18446744073709551616.0 || number != floor(number)) return false;
  *out = (uint64_t)number;
  return true;
}

const char *json_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text && *text != '\0' ? text : NULL;
}

/* Goes down as deep as json_read() lets a text be. */
size_t json_levels(const json_t *value) {
  size_t deepest = 0, index;
  const char *key;
  json_t *inner;
  if (json_is_object(value)) {
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) {
      size_t levels = json_levels(inner);
      if (levels > deepest) deepest = levels;
    }
  } else if (json_is_array(value)) {
    json_array_foreach(value, index, inner) {
      size_t levels = json_levels(inner);
      if (levels > deepest) deepest = levels;
    }
  } else {
    return 0;
  }
  return deepest + 1;
}
