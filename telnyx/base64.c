#include "telnyx/base64.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static const char standard_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static_assert(sizeof standard_digits == 65 && sizeof url_digits == 65, "64 digits and the NUL");

/* Value of a digit, plus one; 0 marks what is none, so that the gaps need no entry. */
#define LETTERS_AND_FIGURES                                                                          \
  ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, \
  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17,    \
  ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25,    \
  ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33,    \
  ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41,    \
  ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,    \
  ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,    \
  ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62

static const uint8_t standard_values[256] = {LETTERS_AND_FIGURES, ['+'] = 63, ['/'] = 64};
static const uint8_t url_values[256] = {LETTERS_AND_FIGURES, ['-'] = 63, ['_'] = 64};

/* Four digits to 24 bits. A character that is no digit gives -1 and so sets bit 31. */
static inline uint32_t quad(const uint8_t values[256], const char *text) {
  uint32_t a = values[(uint8_t)text[0]] - 1u, b = values[(uint8_t)text[1]] - 1u;
  uint32_t c = values[(uint8_t)text[2]] - 1u, d = values[(uint8_t)text[3]] - 1u;
  return ((a << 18) | (b << 12) | (c << 6) | d) | ((a | b | c | d) & 0x80000000u);
}

/* The one to three digits behind the last whole quad. */
static bool decode_rest(const uint8_t values[256], const char *text, size_t digits, uint8_t *out) {
  char whole[4] = {'A', 'A', 'A', 'A'};
  if (digits == 1) return false;
  memcpy(whole, text, digits);
  uint32_t bits = quad(values, whole);
  out[0] = (uint8_t)(bits >> 16);
  if (digits == 3) out[1] = (uint8_t)(bits >> 8);
  return (bits & 0x80000000u) == 0;
}

static ssize_t decode(const uint8_t values[256], const char *text, size_t length, uint8_t *out,
                      size_t capacity) {
  size_t padding = 0;
  while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
  if (padding > 0 && length % 4 != 0) return -1;
  size_t digits = length - padding;
  size_t bytes = base64_decoded_bytes(length, padding);
  if (bytes > capacity) return -1;
  uint32_t bad = 0;
  const char *end = text + digits / 4 * 4;
  for (; text < end; text += 4, out += 3) {
    uint32_t bits = quad(values, text);
    bad |= bits;
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
  }
  if ((bad & 0x80000000u) != 0) return -1;
  if (digits % 4 != 0 && !decode_rest(values, text, digits % 4, out)) return -1;
  return (ssize_t)bytes;
}

ssize_t base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity) {
  return decode(standard_values, text, length, out, capacity);
}

ssize_t base64url_decode(const char *text, size_t length, uint8_t *out, size_t capacity) {
  return decode(url_values, text, length, out, capacity);
}

static size_t encode(const char *digits, bool pad, const uint8_t *bytes, size_t count, char *out) {
  char *start = out;
  for (; count >= 3; count -= 3, bytes += 3) {
    uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = digits[bits >> 6 & 63];
    *out++ = digits[bits & 63];
  }
  if (count > 0) {
    uint32_t bits = (uint32_t)bytes[0] << 16 | (count == 2 ? (uint32_t)bytes[1] << 8 : 0);
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    if (count == 2) *out++ = digits[bits >> 6 & 63];
    if (pad) *out++ = '=';
    if (pad && count == 1) *out++ = '=';
  }
  *out = '\0';
  return (size_t)(out - start);
}

size_t base64_encode(const uint8_t *bytes, size_t count, char *out) {
  return encode(standard_digits, true, bytes, count, out);
}

size_t base64url_encode(const uint8_t *bytes, size_t count, char *out) {
  return encode(url_digits, false, bytes, count, out);
}
