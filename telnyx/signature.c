#include "telnyx/signature.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/base64.h"

enum { SIGNATURE_BYTES = 64 };

static const char *const verdict_names[] = {
    [SIGNATURE_GOOD] = "good",       [SIGNATURE_NO_KEY] = "no_key",
    [SIGNATURE_MISSING] = "missing", [SIGNATURE_BAD_TIMESTAMP] = "bad_timestamp",
    [SIGNATURE_STALE] = "stale",     [SIGNATURE_MALFORMED] = "malformed",
    [SIGNATURE_WRONG] = "wrong",
};
static_assert(sizeof verdict_names / sizeof *verdict_names == SIGNATURE_WRONG + 1, "each verdict has a name");

const char *signature_verdict_name(enum signature_verdict verdict) {
  return verdict_names[verdict];
}

int signature_keys_parse(const char *text, struct signature_keys *out, char *why, size_t why_bytes) {
  static const char blanks[] = " \t\r\n";
  struct signature_keys keys = {.count = 0};
  for (const char *at = text + strspn(text, blanks); *at != '\0'; at += strspn(at, blanks)) {
    size_t length = strcspn(at, blanks);
    if (keys.count == SIGNATURE_KEYS_MAX) {
      snprintf(why, why_bytes, "more than %d keys", SIGNATURE_KEYS_MAX);
      return -1;
    }
    ssize_t bytes = base64_decode(at, length, keys.key[keys.count], SIGNATURE_KEY_BYTES);
    if (bytes != SIGNATURE_KEY_BYTES) {
      snprintf(why, why_bytes, "key %zu (%zu characters) is not base64 of %d bytes", keys.count + 1, length,
               SIGNATURE_KEY_BYTES);
      return -1;
    }
    keys.count++;
    at += length;
  }
  *out = keys;
  return 0;
}

/* What is signed: the header's text as it came, a bar, the raw body. Caller frees; NULL without memory. */
static uint8_t *signed_message(const char *timestamp, const char *body, size_t body_bytes, size_t *bytes) {
  size_t head = strlen(timestamp);
  *bytes = head + 1 + body_bytes;
  uint8_t *message = malloc(*bytes);
  if (!message) return NULL;
  memcpy(message, timestamp, head);
  message[head] = '|';
  if (body_bytes > 0) memcpy(message + head + 1, body, body_bytes);
  return message;
}

static bool verify_one(const uint8_t key[SIGNATURE_KEY_BYTES], const uint8_t signature[SIGNATURE_BYTES],
                       const uint8_t *message, size_t bytes) {
  EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, SIGNATURE_KEY_BYTES);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool good = pkey && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
              EVP_DigestVerify(context, signature, SIGNATURE_BYTES, message, bytes) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  return good;
}

/* Unix seconds, digits only; 15 of them are enough for thirty million years. */
static bool parse_seconds(const char *text, int64_t *seconds) {
  enum { DIGITS_MAX = 15 };
  size_t length = strspn(text, "0123456789");
  if (length == 0 || length > DIGITS_MAX || text[length] != '\0') return false;
  *seconds = strtoll(text, NULL, 10);
  return true;
}

static bool in_window(int64_t seconds, int64_t now_s, int64_t tolerance_s) {
  int64_t distance;
  if (__builtin_sub_overflow(now_s, seconds, &distance)) return false;
  return distance <= tolerance_s && distance >= -tolerance_s;
}

enum signature_verdict signature_verify(const struct signature_keys *keys, const char *signature,
                                        const char *timestamp, const char *body, size_t body_bytes,
                                        int64_t now_s, int64_t tolerance_s) {
  uint8_t raw[SIGNATURE_BYTES];
  int64_t seconds;
  size_t bytes;
  if (keys->count == 0) return SIGNATURE_NO_KEY;
  if (!signature || !timestamp || *signature == '\0' || *timestamp == '\0') return SIGNATURE_MISSING;
  if (!parse_seconds(timestamp, &seconds)) return SIGNATURE_BAD_TIMESTAMP;
  if (!in_window(seconds, now_s, tolerance_s)) return SIGNATURE_STALE;
  if (base64_decode(signature, strlen(signature), raw, sizeof raw) != SIGNATURE_BYTES)
    return SIGNATURE_MALFORMED;

  uint8_t *message = signed_message(timestamp, body, body_bytes, &bytes);
  bool good = false;
  for (size_t i = 0; message && i < keys->count && !good; i++)
    good = verify_one(keys->key[i], raw, message, bytes);
  free(message);
  return good ? SIGNATURE_GOOD : SIGNATURE_WRONG;
}

int signature_sign(const uint8_t seed[32], const char *timestamp, const char *body, size_t body_bytes,
                   char *out) {
  uint8_t raw[SIGNATURE_BYTES];
  size_t bytes, raw_bytes = sizeof raw;
  uint8_t *message = signed_message(timestamp, body, body_bytes, &bytes);
  EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGNATURE_KEY_BYTES);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool fine = message && pkey && context && EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
              EVP_DigestSign(context, raw, &raw_bytes, message, bytes) == 1 && raw_bytes == SIGNATURE_BYTES;
  if (fine) base64_encode(raw, sizeof raw, out);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  free(message);
  return fine ? 0 : -1;
}

int signature_public_key(const uint8_t seed[32], char *out) {
  uint8_t key[SIGNATURE_KEY_BYTES];
  size_t bytes = sizeof key;
  EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGNATURE_KEY_BYTES);
  bool fine = pkey && EVP_PKEY_get_raw_public_key(pkey, key, &bytes) == 1 && bytes == SIGNATURE_KEY_BYTES;
  if (fine) base64_encode(key, sizeof key, out);
  EVP_PKEY_free(pkey);
  return fine ? 0 : -1;
}
