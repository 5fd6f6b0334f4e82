#include "store/rest_wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { UNIX_TIME_FROM = 10000000, WAIT_MAX_S = 3600, BACKOFF_MS = 250, BACKOFF_MAX_MS = 4000 };

int64_t rest_wait_of_header(const char *line, size_t bytes, int64_t now_s) {
  static const char *const names[] = {"retry-after:", "x-ratelimit-reset:"};
  char text[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t name_bytes = strlen(names[i]);
    if (bytes <= name_bytes || strncasecmp(line, names[i], name_bytes) != 0) continue;
    snprintf(text, sizeof text, "%.*s", (int)(bytes - name_bytes), line + name_bytes);
    char *end, *from = text + strspn(text, " \t");
    double seconds = strtod(from, &end);
    if (end == from || !(seconds >= 0)) return -1; /* a date, or nonsense */
    if (i == 1 && seconds > UNIX_TIME_FROM) seconds -= (double)now_s;
    if (seconds < 0) seconds = 0;
    return (int64_t)((seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds) * 1000);
  }
  return -1;
}

int64_t rest_backoff_ms(unsigned try_number, uint32_t random) {
  if (try_number <= 2) return 0;
  int64_t most = BACKOFF_MS;
  for (unsigned i = 3; i < try_number && most < BACKOFF_MAX_MS; i++) most *= 2;
  return (int64_t)((uint64_t)most * random >> 32);
}
