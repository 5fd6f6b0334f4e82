/* What `sidetone check --connect` says of a Redis: redis_check URL PREFIX TIMEOUT_MS. Exit status 0: all is well. */
#include <stdio.h>
#include <stdlib.h>

#include "store/redis_sinks.h"

static void say(void *arg, const char *line) {
  (void)arg;
  puts(line);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const struct redis_options options = {.url = argv[1], .prefix = argv[2], .timeout_ms = atoll(argv[3])};
  return redis_check(&options, say, NULL) ? 0 : 1;
}
