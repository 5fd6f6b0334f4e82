#include "store/sink_batch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_MAX_MS = 10000 };

struct batch *batch_new(size_t max) {
  struct batch *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->max = max;
  b->rows = calloc(max, sizeof *b->rows);
  b->tries = calloc(max, sizeof *b->tries);
  b->outcomes = calloc(max, sizeof *b->outcomes);
  b->numbers = calloc(max, sizeof *b->numbers);
  b->marks = calloc(max, sizeof *b->marks);
  if (b->rows != NULL && b->tries != NULL && b->outcomes != NULL && b->numbers != NULL && b->marks != NULL)
    return b;
  batch_free(b);
  return NULL;
}

void batch_free(struct batch *b) {
  if (b == NULL) return;
  batch_clear(b);
  free(b->rows);
  free(b->tries);
  free(b->outcomes);
  free(b->numbers);
  free(b->marks);
  free(b);
}

void batch_clear(struct batch *b) {
  for (size_t i = 0; i < b->count; i++) free((void *)(uintptr_t)b->rows[i].leg);
  b->count = b->bytes = b->mark_count = 0;
  b->first_new = 0;
  b->failed = false;
}

/* The block begins with the leg. */
void batch_add(struct batch *b, const struct sink_row *row, uint32_t tries) {
  size_t leg = strlen(row->leg) + 1, id = strlen(row->id) + 1;
  char *block = b->failed ? NULL : malloc(leg + id + row->body_bytes + 1);
  if (block == NULL) {
    b->failed = true;
    return;
  }
  struct sink_row *copy = &b->rows[b->count];
  *copy = *row;
  copy->leg = memcpy(block, row->leg, leg);
  copy->id = memcpy(block + leg, row->id, id);
  copy->body = memcpy(block + leg + id, row->body, row->body_bytes);
  block[leg + id + row->body_bytes] = 0;
  b->tries[b->count++] = tries;
  b->bytes += leg + id + row->body_bytes;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

void batch_begin(struct batch *b) {
  for (size_t i = 0; i < b->count; i++) b->numbers[i] = b->rows[i].row;
  qsort(b->numbers, b->count, sizeof *b->numbers, compare);
  memset(b->outcomes, 0, b->count * sizeof *b->outcomes);
}

void batch_mark(struct batch *b, size_t i, enum outbox_state state, uint32_t tries) {
  b->marks[b->mark_count++] = (struct outbox_mark){
      .row = b->rows[i].row, .state = state, .tries = tries, .reason = b->outcomes[i].reason};
}

int64_t sink_jitter_ms(unsigned failures) {
  int64_t most = BACKOFF_FIRST_MS;
  uint32_t random;
  for (unsigned i = 1; i < failures && most < BACKOFF_MAX_MS; i++) most *= 2;
  if (most > BACKOFF_MAX_MS) most = BACKOFF_MAX_MS;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) return most;
  return (int64_t)(random % (uint32_t)(most + 1));
}
