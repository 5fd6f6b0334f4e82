/* config/sidetone.conf, from the table of options: `make sample` writes it. */
#include <stdio.h>

#include "config/config.h"

int main(void) {
  config_print_sample(stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}
