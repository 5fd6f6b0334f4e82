/* Reading JSON from outside. jansson refuses some valid RFC 8259 text (integers over 64 bits,
 * numbers over the double range, NUL and lone surrogates in strings, NUL in keys); a webhook must not be lost for that.
 * json_read() takes all of RFC 8259 to a depth of 512: a number too large for a machine word (or a
 * double) becomes its text, \u0000 and lone surrogates become U+FFFD, so every string can be read as a C
 * string. Equal keys: the last one wins. Text that is not well-formed UTF-8 is refused, a byte order mark
 * too; any value may stand at the top.
 * Thread: any. */
#ifndef TELNYX_JSON_H
#define TELNYX_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when it is not JSON (or memory is refused); `why` (may be NULL) then says what and where. Caller
 * owns the result. */
json_t *json_read(const char *text, size_t bytes, char *why, size_t why_bytes);

/* The one way to read a numeric field (telnyx-protocol.md 0.2): a JSON number or decimal text
 * ("40", "-1.5", "4e1"; no blanks, no hex). False, `out` untouched, for NULL, null, empty, nan, inf, not
 * numeric. json_unsigned() takes only whole numbers 0..2^64-1 ("40.0" is one). */
bool json_number(const json_t *value, double *out);
bool json_unsigned(const json_t *value, uint64_t *out);
/* Text that is not empty, else NULL. Borrowed. */
const char *json_text(const json_t *object, const char *key);
/* Objects and arrays inside one another: 0 for null, a number, a text. */
size_t json_levels(const json_t *value);

#endif
