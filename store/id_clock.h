/* The time that event ids are remembered by: it passes only while the store is open, and never jumps. The wall clock
 * may step by days, and an id that is forgotten too early is an event taken twice. Private to store/. */
#ifndef STORE_ID_CLOCK_H
#define STORE_ID_CLOCK_H

#include "store/database.h"

/* Goes on where the last run stopped, at most 10 minutes behind. */
void id_clock_open(struct database *d);
int64_t id_clock_ms(const struct database *d);
/* Forgets some of the ids that are older than 72 h of it, at most `max` (then `*more` is set), and keeps the clock.
 * Within the caller's transaction. SQLITE_OK or an error. */
int id_clock_forget(struct database *d, int max, bool *more);

#endif
