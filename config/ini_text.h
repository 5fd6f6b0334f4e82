/* An INI text, line by line, in the strict form of this project: `key = value` under `[section]`, a
 * comment only where `#` or `;` is the first character of a line that is not blank, no continuation
 * lines, 4,096 bytes a line at most. Blanks around key and value go; a byte order mark at the start
 * and CR LF line ends are taken.
 *
 * Splitting is left to inih (Debian's build has its settings as variables). Not for several threads. */
#ifndef CONFIG_INI_TEXT_H
#define CONFIG_INI_TEXT_H

#include <stddef.h>

enum { INI_LINE_MAX_BYTES = 4096 };

struct ini_handler_set {
  /* Both: 0 to go on; anything else stops, and what went wrong is the handler's to say.
   * `section` is "" before the first header. Strings live until the handler returns. */
  int (*section)(void *arg, unsigned line, const char *section);
  int (*entry)(void *arg, unsigned line, const char *section, const char *key, const char *value);
  void *arg;
};

/* 0; 1 when a handler stopped; -1 when the text itself is wrong: then *line (from 1) and *problem say
 * where and what. */
int ini_text_read(const char *text, size_t bytes, const struct ini_handler_set *handlers, unsigned *line,
                  const char **problem);

#endif
