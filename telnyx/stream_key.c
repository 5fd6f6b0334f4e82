#include "telnyx/stream_key.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/base64.h"

enum { HMAC_BYTES = 32, EXPIRY_DIGITS_MAX = 15, RAW_MAX = EXPIRY_DIGITS_MAX + 1 + HMAC_BYTES };

/* A derived key, decoded: decimal Unix seconds, a point, 32 raw bytes. */
struct derived {
  char expiry[EXPIRY_DIGITS_MAX + 1];
  uint8_t hmac[HMAC_BYTES];
};

/* Digests are compared, so that neither the place of the first difference nor the length shows in the time. */
bool stream_token_equal(const char *token, const char *presented) {
  uint8_t want[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];
  if (!token || *token == '\0' || !presented) return false;
  SHA256((const uint8_t *)token, strlen(token), want);
  SHA256((const uint8_t *)presented, strlen(presented), got);
  return CRYPTO_memcmp(want, got, sizeof want) == 0;
}

/* HMAC-SHA256(token, leg "." expiry). Fed in pieces: a call control id has no length limit. */
static bool leg_hmac(const char *token, const char *leg, const char *expiry, uint8_t out[HMAC_BYTES]) {
  EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const uint8_t *)token, strlen(token));
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  size_t bytes = HMAC_BYTES;
  bool fine = pkey && context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
              EVP_DigestSignUpdate(context, leg, strlen(leg)) == 1 &&
              EVP_DigestSignUpdate(context, ".", 1) == 1 &&
              EVP_DigestSignUpdate(context, expiry, strlen(expiry)) == 1 &&
              EVP_DigestSignFinal(context, out, &bytes) == 1 && bytes == HMAC_BYTES;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  return fine;
}

/* True when the key has the form and its time has not passed. */
static bool decode_current(const char *key, int64_t now_s, struct derived *out) {
  uint8_t raw[RAW_MAX];
  ssize_t bytes = base64url_decode(key, strlen(key), raw, sizeof raw);
  if (bytes <= HMAC_BYTES + 1) return false;
  size_t digits = (size_t)bytes - HMAC_BYTES - 1;
  memcpy(out->expiry, raw, digits);
  out->expiry[digits] = '\0';
  memcpy(out->hmac, raw + digits + 1, HMAC_BYTES);
  if (raw[digits] != '.' || strspn(out->expiry, "0123456789") != digits) return false;
  return strtoll(out->expiry, NULL, 10) >= now_s;
}

enum stream_key_kind stream_key_kind(const char *token, const char *key, int64_t now_s) {
  struct derived derived;
  if (!token || *token == '\0' || !key) return STREAM_KEY_WRONG;
  if (stream_token_equal(token, key)) return STREAM_KEY_TOKEN;
  return decode_current(key, now_s, &derived) ? STREAM_KEY_DERIVED : STREAM_KEY_WRONG;
}

bool stream_key_matches(const char *token, const char *key, const char *call_control_id, int64_t now_s) {
  struct derived derived;
  uint8_t want[HMAC_BYTES];
  if (!token || *token == '\0' || !key || !call_control_id) return false;
  return decode_current(key, now_s, &derived) && leg_hmac(token, call_control_id, derived.expiry, want) &&
         CRYPTO_memcmp(want, derived.hmac, HMAC_BYTES) == 0;
}

int stream_key_make(const char *token, const char *call_control_id, int64_t expiry_s, char *out,
                    size_t out_bytes) {
  uint8_t raw[RAW_MAX];
  char expiry[24], text[(RAW_MAX + 2) / 3 * 4 + 1];
  int digits = snprintf(expiry, sizeof expiry, "%" PRId64, expiry_s);
  if (!token || *token == '\0' || expiry_s < 0 || digits > EXPIRY_DIGITS_MAX) return -1;
  memcpy(raw, expiry, (size_t)digits);
  raw[digits] = '.';
  if (!leg_hmac(token, call_control_id, expiry, raw + digits + 1)) return -1;
  size_t length = base64url_encode(raw, (size_t)digits + 1 + HMAC_BYTES, text);
  if (length >= out_bytes) return -1;
  memcpy(out, text, length + 1);
  return 0;
}
