/* Base64 (RFC 4648 section 4 and 5), for payloads of 20 ms and for tokens. No heap. Thread: any.
 *
 * The alphabet is strict: no blanks, no line ends, not the other alphabet's characters. Padding is right or
 * missing altogether; "QQ=" and "QQ===" are refused, and so is one character left over. Bits of the last
 * character that belong to no byte are ignored (RFC 4648 3.5 leaves it open): no sound is lost for them. */
#ifndef TELNYX_BASE64_H
#define TELNYX_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes that a text of `length` characters decodes to; `padding` of them are '='. */
static inline size_t base64_decoded_bytes(size_t length, size_t padding) {
  size_t digits = length - padding;
  return digits / 4 * 3 + digits % 4 * 6 / 8;
}

/* Bytes written, or -1 for anything that is not base64 of the standard alphabet (padding may be
 * missing) or does not fit into `capacity`; what is in `out` then is unspecified. */
ssize_t base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity);
/* The same for the URL-safe alphabet. */
ssize_t base64url_decode(const char *text, size_t length, uint8_t *out, size_t capacity);
/* Standard alphabet with padding; needs 4 * ceil(bytes / 3) + 1 places, writes the final NUL.
 * Returns characters written without the NUL. */
size_t base64_encode(const uint8_t *bytes, size_t count, char *out);
/* URL-safe alphabet without padding; the same room. */
size_t base64url_encode(const uint8_t *bytes, size_t count, char *out);

#endif
