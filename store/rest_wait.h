/* How long to wait before a request is sent again. Private to store/; pure. */
#ifndef STORE_REST_WAIT_H
#define STORE_REST_WAIT_H

#include <stddef.h>
#include <stdint.h>

/* What a header line says of the rate limit: milliseconds to wait, -1 when it says nothing of it. Retry-After in
 * seconds; x-ratelimit-reset in seconds, or, above 10,000,000, as Unix time (telnyx-protocol.md 3.3). At most an hour. */
int64_t rest_wait_of_header(const char *line, size_t bytes, int64_t now_s);
/* Before try number `try` (2 the first again): none, then 250 ms doubling to 4 s, `random` (0 to 2^32-1) of it: full
 * jitter. */
int64_t rest_backoff_ms(unsigned try_number, uint32_t random);

#endif
