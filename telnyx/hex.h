/* Bytes as lower-case hex digits, and names made of a digest. No heap. Thread: any. */
#ifndef TELNYX_HEX_H
#define TELNYX_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * count digits and a NUL. */
void hex_encode(const uint8_t *bytes, size_t count, char *out);
/* The first `kept` bytes (at most 32) of the data's SHA-256 as hex: 2 * kept digits and a NUL. */
void hex_of_sha256(const void *data, size_t bytes, size_t kept, char *out);

#endif
