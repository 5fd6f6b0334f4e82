/* Ed25519 signatures of webhooks, API v2 (telnyx-protocol.md 2.3). Fails closed. Thread: any. */
#ifndef TELNYX_SIGNATURE_H
#define TELNYX_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

enum { SIGNATURE_KEYS_MAX = 8, SIGNATURE_KEY_BYTES = 32 };

struct signature_keys {
  size_t count;
  uint8_t key[SIGNATURE_KEYS_MAX][SIGNATURE_KEY_BYTES];
};

enum signature_verdict {
  SIGNATURE_GOOD,
  SIGNATURE_NO_KEY,        /* none configured */
  SIGNATURE_MISSING,       /* a header is absent or empty */
  SIGNATURE_BAD_TIMESTAMP, /* not 1 to 15 digits */
  SIGNATURE_STALE,         /* outside the window, either side */
  SIGNATURE_MALFORMED,     /* not base64 of 64 bytes */
  SIGNATURE_WRONG
};
const char *signature_verdict_name(enum signature_verdict verdict);

/* Base64 keys separated by blanks or line ends; none is no error. 0, or -1 with `why` (never the key itself) and
 * `out` untouched. */
int signature_keys_parse(const char *text, struct signature_keys *out, char *why, size_t why_bytes);
/* Headers as received (NULL when absent), the raw body, the local clock in Unix seconds. Checked in the order of
 * telnyx-protocol.md 2.3; a timestamp of exactly `tolerance_s` seconds away is still good. Good when any of the
 * keys verifies. Memory refused: SIGNATURE_WRONG. */
enum signature_verdict signature_verify(const struct signature_keys *keys, const char *signature,
                                        const char *timestamp, const char *body, size_t body_bytes,
                                        int64_t now_s, int64_t tolerance_s);
/* For replay --to: signs as Telnyx does. seed: 32 bytes. `out` gets the base64 text (needs 89 bytes). */
int signature_sign(const uint8_t seed[32], const char *timestamp, const char *body, size_t body_bytes,
                   char *out);
/* The public key of a seed, base64 (needs 45 bytes). */
int signature_public_key(const uint8_t seed[32], char *out);

#endif
