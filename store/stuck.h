/* Legs with a row that could not be delivered: what the runner of a sink keeps of them between batches. Their rows stay
 * on disk and are read again leg by leg. Private to store/; one thread. */
#ifndef STORE_STUCK_H
#define STORE_STUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum { STUCK_MAX = 10000 }; /* legs; with so many, no new rows are taken */

struct stuck_leg {
  UT_hash_handle hh;
  char *leg;
  int64_t due_ms; /* monotonic: when it is tried again */
  bool taken;     /* its rows are in this batch */
  bool more;      /* not all of them */
  bool skipped;   /* a newer one was passed over after that */
  bool held;      /* a row of this batch was not finished */
  bool brief;     /* for this batch only: the whole sink is away, not the leg stuck */
};
struct stuck;

struct stuck *stuck_new(void); /* NULL: no memory */
void stuck_free(struct stuck *t);
size_t stuck_count(const struct stuck *t);
struct stuck_leg *stuck_find(struct stuck *t, const char *leg);
/* The next one behind `after` (NULL: the first) that is due. */
struct stuck_leg *stuck_next_due(struct stuck *t, struct stuck_leg *after, int64_t now_ms);
/* A row of the leg was not finished. `brief`: unless it is stuck already, it is forgotten after the batch. 0, or -1: no
 * memory. */
int stuck_hold(struct stuck *t, const char *leg, int64_t due_ms, bool brief);
/* After a batch, delivered or not: legs of which nothing is left are forgotten. */
void stuck_settle(struct stuck *t, bool delivered);

#endif
