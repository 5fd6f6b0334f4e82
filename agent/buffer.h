/* A text that grows as it is written. A zeroed struct is empty; the owner frees `data`. Once memory is
 * refused (or asked for 1 GiB at once) it stays failed and takes nothing more, so only the end is checked.
 * Thread: one. */
#ifndef AGENT_BUFFER_H
#define AGENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
  char *data; /* NULL: nothing written yet */
  size_t bytes, capacity;
  bool failed; /* memory was refused: what there is is not whole */
};

void buffer_put(struct buffer *b, const char *data, size_t bytes);
void buffer_put_text(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the text with a NUL, which is not counted, and hands it over: malloc'ed. NULL: memory was refused. */
char *buffer_take(struct buffer *b, size_t *bytes);

enum { DECIMAL_BYTES = 32 };
/* The shortest decimal form that reads back equal, as %g writes it. `value` is finite. Returns `out`. */
const char *decimal_shortest(double value, char out[DECIMAL_BYTES]);

#endif
