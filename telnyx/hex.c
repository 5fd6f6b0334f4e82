#include "telnyx/hex.h"

#include <openssl/sha.h>

void hex_encode(const uint8_t *bytes, size_t count, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < count; i++) {
    *out++ = digits[bytes[i] >> 4];
    *out++ = digits[bytes[i] & 15];
  }
  *out = '\0';
}

void hex_of_sha256(const void *data, size_t bytes, size_t kept, char *out) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(data, bytes, digest);
  hex_encode(digest, kept, out);
}
