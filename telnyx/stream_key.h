/* Who may send us media: contract 2 (telnyx.stream_token) and 3 (`<key>` in the path).
 * Compared in constant time. Thread: any. */
#ifndef TELNYX_STREAM_KEY_H
#define TELNYX_STREAM_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stream_key_kind {
  STREAM_KEY_WRONG,
  STREAM_KEY_TOKEN, /* the token itself: good */
  STREAM_KEY_DERIVED /* well formed and not expired: good once it matches the leg of `start` */
};

bool stream_token_equal(const char *token, const char *presented);
enum stream_key_kind stream_key_kind(const char *token, const char *key, int64_t now_s);
/* The second half of the check of a derived key. */
bool stream_key_matches(const char *token, const char *key, const char *call_control_id,
                        int64_t now_s);
/* base64url of `expiry.HMAC-SHA256(token, leg "." expiry)`; 0 or -1 when `out` is too small. */
int stream_key_make(const char *token, const char *call_control_id, int64_t expiry_s, char *out,
                    size_t out_bytes);

#endif
