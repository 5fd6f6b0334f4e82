/* The rows that a runner hands to its driver, copied, and what became of them. Private to store/; one thread. */
#ifndef STORE_SINK_BATCH_H
#define STORE_SINK_BATCH_H

#include "store/outbox.h"

struct batch {
  size_t max, count, bytes;
  struct sink_row *rows; /* each with one block that holds its texts */
  uint32_t *tries;       /* before this one */
  struct sink_outcome *outcomes;
  int64_t *numbers; /* of the rows, in order */
  struct outbox_mark *marks;
  size_t mark_count;
  int64_t first_new; /* the first row that was not read for the sake of a stuck leg; 0: none */
  bool failed;       /* no memory for a row */
};

struct batch *batch_new(size_t max); /* NULL: no memory */
void batch_free(struct batch *b);
void batch_clear(struct batch *b);
void batch_add(struct batch *b, const struct sink_row *row, uint32_t tries);
/* Before the delivery: numbers in order, no outcome yet. */
void batch_begin(struct batch *b);
void batch_mark(struct batch *b, size_t i, enum outbox_state state, uint32_t tries);

/* How long to wait after so many failures in a row: any time up to 1 s, doubled each time up to 10 s. */
int64_t sink_jitter_ms(unsigned failures);

#endif
