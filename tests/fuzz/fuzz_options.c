/* Any bytes as a configuration file: refused with a message, or taken and freed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct config config;
  char why[512] = "";
  if (config_load_text(&config, "fuzz", (const char *)data, size, why, sizeof why) == 0)
    config_free(&config);
  else if (*why == 0 || memchr(why, 0, sizeof why) == NULL)
    abort();
  return 0;
}
