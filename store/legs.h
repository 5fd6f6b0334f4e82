/* How each leg stands, kept up in the transactions of its facts, so that a start after a crash counts nothing.
 * Private to store/; on the store's thread, within its transaction. All give SQLITE_OK or an error. */
#ifndef STORE_LEGS_H
#define STORE_LEGS_H

#include "store/database.h"

enum leg_open { LEG_OPEN_PART = 1, LEG_OPEN_CALLLOG = 2 }; /* bits of legs.open */

/* An event was stored. */
int legs_event(struct database *d, const char *leg);
/* A part was stored whose n had been `old_n` (0: there was none). */
int legs_part(struct database *d, const char *leg, uint64_t old_n, uint64_t n);
/* A CallLog was stored. `open`: not complete. */
int legs_calllog(struct database *d, const char *leg, uint64_t revision, bool open, bool ended);
/* Facts or the CallLog of the leg went (quarantine): counted again. What was settled of the leg never exceeds what
 * is there, so that whatever comes next is seen to be missing in the CallLog. */
int legs_count_again(struct database *d, const char *leg);
/* Are the facts that were read (events, and the sum of n) all that there should be? SQLITE_CORRUPT_INDEX when not:
 * a byte flipped in an index or a tree hides rows, and SQLite does not notice. `present` -1: they are not to be counted. `*gone`: some went, delivered or
 * lost. */
int legs_check(struct database *d, const char *leg, int64_t present, bool *gone);

/* Has the leg ended, and does a sound CallLog hold all its facts? */
int legs_calllog_holds_all(struct database *d, const char *leg, bool *holds);
/* All facts of the leg were deleted; its revision stays. */
int legs_facts_went(struct database *d, const char *leg);
int legs_is_known(struct database *d, const char *leg, bool *known);

#endif
