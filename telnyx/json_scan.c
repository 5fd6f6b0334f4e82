#include "telnyx/json_scan.h"

#include "telnyx/utf8.h"

static bool refuse(struct json_scan *scan, const char *at, const char *fault) {
  scan->at = at;
  scan->fault = fault;
  return false;
}

static bool is_digit(const char *at, const char *end) {
  return at < end && *at >= '0' && *at <= '9';
}

static const char *skip_digits(const char *at, const char *end) {
  while (is_digit(at, end)) at++;
  return at;
}

/* ---- strings ---- */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The code unit of \uXXXX at `at`, or -1. */
static int32_t unicode_escape(const char *at, const char *end) {
  if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
  int32_t unit = 0;
  for (int i = 2; i < 6; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

const char *json_scan_escape(const char *at, const char *end, bool *replaced) {
  if (end - at < 2) return NULL;
  if (at[1] != 'u') return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
  int32_t unit = unicode_escape(at, end);
  if (unit < 0) return NULL;
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    int32_t low = unicode_escape(at + 6, end);
    if (low >= 0xDC00 && low <= 0xDFFF) return at + 12;
  }
  if (unit == 0 || (unit >= 0xD800 && unit <= 0xDFFF)) *replaced = true;
  return at + 6;
}

/* `at` stands on the opening quote. */
static bool scan_string(struct json_scan *scan) {
  const char *start = scan->at, *at = start + 1, *end = scan->end;
  bool replaced = false;
  for (;;) {
    at = json_plain_run(at, end);
    if (at == end) return refuse(scan, at, "a string without an end");
    const char *next;
    if (*at == '"') break;
    if (*at == '\\') {
      next = json_scan_escape(at, end, &replaced);
      if (!next) return refuse(scan, at, "not an escape of JSON");
    } else if ((unsigned char)*at < 0x20) {
      return refuse(scan, at, "a control character in a string");
    } else {
      size_t bytes = utf8_character(at, (size_t)(end - at));
      if (bytes == 0) return refuse(scan, at, "not UTF-8");
      next = at + bytes;
    }
    at = next;
  }
  scan->at = ++at;
  if (replaced && scan->odd && !scan->odd(scan->arg, JSON_ODD_STRING, start, (size_t)(at - start))) {
    return refuse(scan, start, "no memory");
  }
  return true;
}

/* ---- numbers and words ---- */

static bool scan_number(struct json_scan *scan) {
  /* Shorter ones fit for certain: 18 digits into 64 bits, 300 digits or an exponent below 100 into a
   * double. */
  enum { SAFE_DIGITS = 18, SAFE_BYTES = 200, SAFE_EXPONENT_DIGITS = 2 };
  const char *start = scan->at, *at = start, *end = scan->end;
  if (*at == '-') at++;
  if (!is_digit(at, end)) return refuse(scan, at, "a digit is needed here");
  const char *digits = at;
  at = *at == '0' ? at + 1 : skip_digits(at, end);
  if (is_digit(at, end)) return refuse(scan, at, "a number with a leading zero");
  bool odd = at - digits > SAFE_DIGITS;
  if (at < end && *at == '.') {
    if (!is_digit(++at, end)) return refuse(scan, at, "a digit is needed here");
    at = skip_digits(at, end);
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    if (!is_digit(at, end)) return refuse(scan, at, "a digit is needed here");
    const char *exponent = at;
    at = skip_digits(at, end);
    if (at - exponent > SAFE_EXPONENT_DIGITS) odd = true;
  }
  scan->at = at;
  if (at - start > SAFE_BYTES) odd = true;
  if (odd && scan->odd && !scan->odd(scan->arg, JSON_ODD_NUMBER, start, (size_t)(at - start))) {
    return refuse(scan, start, "no memory");
  }
  return true;
}

static bool scan_word(struct json_scan *scan, const char *word) {
  size_t bytes = strlen(word);
  if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, word, bytes) != 0) {
    return refuse(scan, scan->at, "a value is needed here");
  }
  scan->at += bytes;
  return true;
}

/* ---- objects and arrays ---- */

struct nest {
  unsigned depth;
  uint64_t is_object[JSON_DEPTH_MAX / 64]; /* one bit a level */
};

static bool in_object(const struct nest *nest) {
  unsigned level = nest->depth - 1;
  return (nest->is_object[level / 64] >> (level % 64) & 1) != 0;
}

static bool nest_open(struct json_scan *scan, struct nest *nest) {
  if (nest->depth >= JSON_DEPTH_MAX) return refuse(scan, scan->at, "deeper than 512 levels");
  unsigned level = nest->depth++;
  uint64_t bit = (uint64_t)1 << (level % 64);
  if (*scan->at == '{') {
    nest->is_object[level / 64] |= bit;
  } else {
    nest->is_object[level / 64] &= ~bit;
  }
  scan->at++;
  return true;
}

/* A key and its colon. */
static bool scan_key(struct json_scan *scan) {
  scan->at = json_skip_space(scan->at, scan->end);
  if (scan->at == scan->end || *scan->at != '"') return refuse(scan, scan->at, "a key is needed here");
  if (!scan_string(scan)) return false;
  scan->at = json_skip_space(scan->at, scan->end);
  if (scan->at == scan->end || *scan->at != ':') return refuse(scan, scan->at, "a colon is needed here");
  scan->at++;
  return true;
}

/* Closes what ends here and steps to the next value; *done when the outermost one has ended. */
static bool scan_after_value(struct json_scan *scan, struct nest *nest, bool *done) {
  while (nest->depth > scan->depth) {
    scan->at = json_skip_space(scan->at, scan->end);
    if (scan->at == scan->end) return refuse(scan, scan->at, "the text ends inside an object or array");
    char c = *scan->at;
    if (c == ',') {
      scan->at++;
      return !in_object(nest) || scan_key(scan);
    }
    if (c != (in_object(nest) ? '}' : ']')) return refuse(scan, scan->at, "a comma or an end is needed here");
    scan->at++;
    nest->depth--;
  }
  *done = true;
  return true;
}

static bool scan_scalar(struct json_scan *scan) {
  switch (*scan->at) {
    case '"':
      return scan_string(scan);
    case 't':
      return scan_word(scan, "true");
    case 'f':
      return scan_word(scan, "false");
    case 'n':
      return scan_word(scan, "null");
    default:
      if (*scan->at == '-' || is_digit(scan->at, scan->end)) return scan_number(scan);
      return refuse(scan, scan->at, "a value is needed here");
  }
}

bool json_scan_value(struct json_scan *scan) {
  struct nest nest = {.depth = scan->depth};
  bool done = false;
  while (!done) {
    scan->at = json_skip_space(scan->at, scan->end);
    if (scan->at == scan->end) return refuse(scan, scan->at, "a value is needed here");
    char c = *scan->at;
    if (c == '{' || c == '[') {
      if (!nest_open(scan, &nest)) return false;
      scan->at = json_skip_space(scan->at, scan->end);
      bool empty = scan->at < scan->end && *scan->at == (c == '{' ? '}' : ']');
      if (!empty) {
        if (c == '{' && !scan_key(scan)) return false;
        continue;
      }
    } else if (!scan_scalar(scan)) {
      return false;
    }
    if (!scan_after_value(scan, &nest, &done)) return false;
  }
  return true;
}
