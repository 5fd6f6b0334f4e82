/* Who may send us media: contract 2 (telnyx.stream_token) and 3 (`<key>` in the path).
 * Compared in constant time. Fails closed: no or an empty token is equal to nothing. Thread: any.
 *
 * A derived key is base64url, unpadded, of: expiry as decimal Unix seconds, '.', the 32 raw bytes of
 * HMAC-SHA256(token, callControlId "." expiry). It is good up to and including its expiry. */
#ifndef TELNYX_STREAM_KEY_H
#define TELNYX_STREAM_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stream_key_kind {
  STREAM_KEY_WRONG,
  STREAM_KEY_TOKEN,  /* the token itself: good */
  STREAM_KEY_DERIVED /* well formed and not expired: good once it matches the leg of `start` */
};

bool stream_token_equal(const char *token, const char *presented);
enum stream_key_kind stream_key_kind(const char *token, const char *key, int64_t now_s);
/* The second half of the check of a derived key. */
bool stream_key_matches(const char *token, const char *key, const char *call_control_id, int64_t now_s);
/* 0; -1 when `out` is too small (STREAM_KEY_BYTES_MAX is always enough), without a token, or for an expiry
 * outside 0..10^15-1. */
enum { STREAM_KEY_BYTES_MAX = 65 };
int stream_key_make(const char *token, const char *call_control_id, int64_t expiry_s, char *out,
                    size_t out_bytes);

#endif
