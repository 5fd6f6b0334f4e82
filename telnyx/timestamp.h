/* RFC 3339 times (telnyx-protocol.md 0.5): 0 to 9 fractional digits, Z or numeric offset. Proleptic
 * Gregorian calendar, UTC, no leap seconds. Thread: any; no locale, no time zone of the system. */
#ifndef TELNYX_TIMESTAMP_H
#define TELNYX_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds since the epoch (UTC, rounded down). False, `epoch_us` untouched, when it is not such a
 * time. `t`, `z` and a blank for `T` are taken; second 60 is the first of the next minute. */
bool timestamp_parse(const char *text, int64_t *epoch_us);
enum { TIMESTAMP_BYTES = 32 };
/* "2026-09-14T08:14:58.120Z" (ms, rounded down); `out` has TIMESTAMP_BYTES. Any value has a form, but only
 * years 0 to 9999 are RFC 3339. */
void timestamp_format_ms(int64_t epoch_ms, char *out);
void timestamp_format_us(int64_t epoch_us, char *out);

#endif
