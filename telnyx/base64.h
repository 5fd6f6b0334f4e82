/* Base64 (RFC 4648 section 4 and 5), for payloads of 20 ms and for tokens. No heap. */
#ifndef TELNYX_BASE64_H
#define TELNYX_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes written, or -1 for anything that is not base64 of the standard alphabet (padding may be
 * missing) or does not fit into `capacity`. */
ssize_t base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity);
/* The same for the URL-safe alphabet. */
ssize_t base64url_decode(const char *text, size_t length, uint8_t *out, size_t capacity);
/* Standard alphabet with padding; needs 4 * ceil(bytes / 3) + 1 places, writes the final NUL.
 * Returns characters written without the NUL. */
size_t base64_encode(const uint8_t *bytes, size_t count, char *out);

#endif
