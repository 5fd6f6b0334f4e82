/* The fast way for `media` frames; what it refuses, frame_parse() reads. */
#include "telnyx/frame.h"

#include <string.h>

#include "telnyx/json_scan.h"

/* Keys that may come only once: of two, jansson takes the last. */
enum {
  SEEN_EVENT = 1 << 0,
  SEEN_SEQUENCE = 1 << 1,
  SEEN_STREAM_ID = 1 << 2,
  SEEN_MEDIA = 1 << 3,
  SEEN_TRACK = 1 << 4,
  SEEN_CHUNK = 1 << 5,
  SEEN_TIMESTAMP = 1 << 6,
  SEEN_PAYLOAD = 1 << 7,
  SEEN_NEEDED = SEEN_EVENT | SEEN_MEDIA | SEEN_TRACK | SEEN_PAYLOAD
};

/* The functions below return the place behind what they read, or NULL: not taken. */

static inline bool is(const char *at, const char *end, char c) {
  return at < end && *at == c;
}

static inline bool equal(struct frame_slice slice, const char *word, size_t bytes) {
  return slice.bytes == bytes && memcmp(slice.data, word, bytes) == 0;
}

/* A string of plain ASCII without escapes. */
static inline const char *read_plain(const char *at, const char *end, struct frame_slice *out) {
  if (!is(at, end, '"')) return NULL;
  const char *start = at + 1, *stop = json_plain_run(start, end);
  if (!is(stop, end, '"')) return NULL;
  *out = (struct frame_slice){.data = start, .bytes = (size_t)(stop - start)};
  return stop + 1;
}

/* Digits, in quotes or not; nothing from 10^19 on. A fraction or an exponent is left standing and refused by
 * whoever needs a comma or an end there. */
static inline const char *read_number(const char *at, const char *end, uint64_t *out) {
  enum { DIGITS_MAX = 19 };
  bool quoted = is(at, end, '"');
  if (quoted) at++;
  const char *start = at;
  uint64_t value = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint64_t)(*at - '0');
  if (at == start || at - start > DIGITS_MAX) return NULL;
  if (quoted) {
    if (!is(at, end, '"')) return NULL;
    at++;
  } else if (*start == '0' && at - start > 1) {
    return NULL;
  }
  *out = value;
  return at;
}

static const char *skip_value(const char *at, const char *end, unsigned depth) {
  struct json_scan scan = {.at = at, .end = end, .depth = depth};
  return json_scan_value(&scan) ? scan.at : NULL;
}

/* Behind the colon of a member and the blanks around it. */
static inline const char *read_key(const char *at, const char *end, struct frame_slice *key) {
  at = read_plain(json_skip_space(at, end), end, key);
  if (!at) return NULL;
  at = json_skip_space(at, end);
  return is(at, end, ':') ? json_skip_space(at + 1, end) : NULL;
}

static inline bool first(unsigned *seen, unsigned which) {
  bool is_first = (*seen & which) == 0;
  *seen |= which;
  return is_first;
}

static const char *media_member(struct frame_slice key, const char *at, const char *end,
                                struct media_frame *out, unsigned *seen) {
  if (equal(key, "payload", 7)) {
    return first(seen, SEEN_PAYLOAD) ? read_plain(at, end, &out->payload) : NULL;
  }
  if (equal(key, "track", 5)) {
    struct frame_slice track;
    at = first(seen, SEEN_TRACK) ? read_plain(at, end, &track) : NULL;
    if (!at) return NULL;
    out->track = equal(track, "outbound", 8);
    return out->track == 1 || equal(track, "inbound", 7) ? at : NULL;
  }
  if (equal(key, "chunk", 5)) {
    out->has_chunk = true;
    return first(seen, SEEN_CHUNK) ? read_number(at, end, &out->chunk) : NULL;
  }
  if (equal(key, "timestamp", 9)) {
    out->has_timestamp = true;
    return first(seen, SEEN_TIMESTAMP) ? read_number(at, end, &out->timestamp) : NULL;
  }
  return skip_value(at, end, 2);
}

static const char *read_media(const char *at, const char *end, struct media_frame *out, unsigned *seen) {
  if (!is(at, end, '{')) return NULL;
  at++;
  do {
    struct frame_slice key;
    at = read_key(at, end, &key);
    if (at) at = media_member(key, at, end, out, seen);
    if (!at) return NULL;
    at = json_skip_space(at, end);
  } while (is(at, end, ',') && at++);
  return is(at, end, '}') ? at + 1 : NULL;
}

static const char *frame_member(struct frame_slice key, const char *at, const char *end,
                                struct media_frame *out, unsigned *seen) {
  if (equal(key, "event", 5)) {
    struct frame_slice event;
    at = first(seen, SEEN_EVENT) ? read_plain(at, end, &event) : NULL;
    return at && equal(event, "media", 5) ? at : NULL;
  }
  if (equal(key, "media", 5)) {
    return first(seen, SEEN_MEDIA) ? read_media(at, end, out, seen) : NULL;
  }
  if (equal(key, "sequence_number", 15)) {
    out->has_sequence = true;
    return first(seen, SEEN_SEQUENCE) ? read_number(at, end, &out->sequence) : NULL;
  }
  if (equal(key, "stream_id", 9)) {
    return first(seen, SEEN_STREAM_ID) ? read_plain(at, end, &out->stream_id) : NULL;
  }
  return skip_value(at, end, 1);
}

bool frame_scan_media(const char *text, size_t bytes, struct media_frame *out) {
  if (bytes == 0) return false;
  const char *end = text + bytes, *at = json_skip_space(text, end);
  unsigned seen = 0;
  *out = (struct media_frame){0};
  if (!is(at, end, '{')) return false;
  at++;
  do {
    struct frame_slice key;
    at = read_key(at, end, &key);
    if (at) at = frame_member(key, at, end, out, &seen);
    if (!at) return false;
    at = json_skip_space(at, end);
  } while (is(at, end, ',') && at++);
  if (!is(at, end, '}') || json_skip_space(at + 1, end) != end) return false;
  return (seen & SEEN_NEEDED) == SEEN_NEEDED && out->payload.bytes > 0 &&
         frame_payload_bytes(out->payload) <= FRAME_PAYLOAD_MAX;
}
