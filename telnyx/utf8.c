#include "telnyx/utf8.h"

#include <stdint.h>
#include <string.h>

/* The well-formed sequences by first byte: RFC 3629 section 4. Only the second byte has a range of its own. */
struct lead {
  uint8_t from, to;               /* first byte */
  uint8_t second_from, second_to; /* second byte */
  uint8_t bytes;
};

static const struct lead LEADS[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t utf8_character(const char *text, size_t bytes) {
  const uint8_t *at = (const uint8_t *)text;
  if (at[0] < 0x80) return 1;
  for (size_t i = 0; i < sizeof LEADS / sizeof *LEADS; i++) {
    const struct lead *lead = &LEADS[i];
    if (at[0] < lead->from || at[0] > lead->to) continue;
    if (bytes < lead->bytes || at[1] < lead->second_from || at[1] > lead->second_to) return 0;
    for (size_t k = 2; k < lead->bytes; k++)
      if ((at[k] & 0xc0) != 0x80) return 0;
    return lead->bytes;
  }
  return 0;
}

bool utf8_valid(const char *text, size_t bytes) {
  const uint8_t *at = (const uint8_t *)text;
  const uint8_t *end = at + bytes;

  while (at < end) {
    uint64_t eight;
    while (end - at >= 8) {
      memcpy(&eight, at, 8);
      if (eight & UINT64_C(0x8080808080808080)) break;
      at += 8;
    }
    while (at < end && *at < 0x80) at++;
    if (at == end) return true;
    size_t length = utf8_character((const char *)at, (size_t)(end - at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

size_t utf8_fit(const char *text, size_t most) {
  size_t bytes = strnlen(text, most);
  if (text[bytes] == '\0') return bytes;
  while (bytes > 0 && ((uint8_t)text[bytes] & 0xc0) == 0x80) bytes--;
  return bytes;
}
