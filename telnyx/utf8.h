/* UTF-8 (RFC 3629): shortest form, no surrogates, nothing above U+10FFFF. No heap. Thread: any. */
#ifndef TELNYX_UTF8_H
#define TELNYX_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True also for no bytes at all. Runs of ASCII, which media frames are, cost an eighth of a step a byte. */
bool utf8_valid(const char *text, size_t bytes);
/* Bytes of the character that the text begins with, 1 to 4; 0 when it is none. `bytes` > 0. */
size_t utf8_character(const char *text, size_t bytes);
/* Length of a C string, of a longer one as much as fits into `most` bytes without half a character. */
size_t utf8_fit(const char *text, size_t most);

#endif
