/* Is it UTF-8? RFC 3629: shortest form, no surrogates, nothing above U+10FFFF. */
#ifndef AGENT_UTF8_H
#define AGENT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True also for no bytes at all. Runs of ASCII, which media frames are, cost an eighth of a step a byte. */
bool utf8_valid(const char *text, size_t bytes);

#endif
