/* A fixture's texts made new for `replay --to` (contract.md 1): times moved to now, and with `fresh` new
 * ids. Works on the text itself: only the strings that change are replaced, every other byte stays as the
 * fixture has it (key order, numbers of any size, faults), so it serves webhooks, frames of every kind and
 * what is no JSON at all. No I/O, no clock; random bytes from OpenSSL. Thread: any one. */
#ifndef AGENT_FRESHEN_H
#define AGENT_FRESHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct freshen_rules {
  int64_t epoch_us; /* of the fixture */
  int64_t start_us; /* wall clock when its t = 0 is played */
  double speed;     /* offsets from the epoch are divided by it; 0 (no pace): they stay as recorded */
  bool fresh;
};

struct freshen;

/* NULL: no memory. */
struct freshen *freshen_create(const struct freshen_rules *rules);
void freshen_free(struct freshen *f);

/* A body or a frame. Strings that are RFC 3339 times are moved. With `fresh`: data.id, stream_id, and every
 * key that ends in call_control_id, call_leg_id or call_session_id get a UUIDv4 (behind the "v3:" that the
 * old one began with), the same old id the same new one for ever; callLogId is taken out of client_state.
 * The result is `text` itself when nothing changed, else it lives until the next call. NULL: no memory, or
 * no random bytes. */
const char *freshen_text(struct freshen *f, const char *text, size_t bytes, size_t *out_bytes);

/* Where a time of the fixture comes to lie. */
int64_t freshen_time_us(const struct freshen_rules *rules, int64_t us);

#endif
