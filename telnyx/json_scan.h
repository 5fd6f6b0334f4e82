/* Strict RFC 8259 in one pass over bytes: the grammar that json_read() and frame_scan_media() share,
 * so that both take exactly the same texts. No heap, no recursion. Internal to telnyx/. */
#ifndef TELNYX_JSON_SCAN_H
#define TELNYX_JSON_SCAN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Objects and arrays inside one another; the outermost is 1. */
enum { JSON_DEPTH_MAX = 512 };

/* Tokens that are valid but that jansson refuses, or may refuse. */
enum json_odd {
  JSON_ODD_STRING, /* holds \u0000 or half of a surrogate pair; the token includes its quotes */
  JSON_ODD_NUMBER  /* perhaps over 64 bits or over the range of a double */
};

struct json_scan {
  const char *at, *end; /* `at` moves; after a refusal it stands where the fault is */
  unsigned depth;       /* objects and arrays already open around `at` */
  const char *fault;    /* why it was refused: constant text */
  /* May be NULL. Called for each odd token in text order; false stops the scan with fault "no memory". */
  bool (*odd)(void *arg, enum json_odd kind, const char *token, size_t bytes);
  void *arg;
};

/* One value from `at` on (blanks before it are skipped), with all that is inside it. */
bool json_scan_value(struct json_scan *scan);

/* `at` stands on the backslash of an escape. Returns the place behind it (behind both halves of a
 * surrogate pair), or NULL when it is not one; *replaced is set for \u0000 and a lone surrogate. */
const char *json_scan_escape(const char *at, const char *end, bool *replaced);

static inline const char *json_skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

/* The high bit of each byte that is ", \, a control character or not ASCII. A borrow can mark bytes
 * above a true mark, never below: the lowest mark is always right. */
static inline uint64_t json_special_bytes(uint64_t word) {
  const uint64_t ones = 0x0101010101010101u;
  uint64_t control = word - ones * 0x20;
  uint64_t quote = (word ^ ones * '"') - ones;
  uint64_t backslash = (word ^ ones * '\\') - ones;
  return (control | quote | backslash | word) & ones * 0x80;
}

/* The first byte that ends a run of plain ASCII in a string, or `end`. Eight bytes a step: payloads are
 * most of a media frame. */
static inline const char *json_plain_run(const char *at, const char *end) {
  while (end - at >= 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t special = json_special_bytes(le64toh(word));
    if (special != 0) return at + (__builtin_ctzll(special) >> 3);
    at += 8;
  }
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
    at++;
  return at;
}

#endif
