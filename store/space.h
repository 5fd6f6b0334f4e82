/* Room: what of the store may go, and what is refused when there is no room left (contract.md 8). Private to store/;
 * on the store's thread.
 *
 * A leg's facts and rows of the outbox go together, when the leg has ended, its CallLog is complete and holds all of
 * them, and every configured sink has every row. The CallLog stays and remembers them (legs.gone says how many went),
 * so that a late webhook is folded with them. Finished CallLogs go only when room is short. */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include "store/database.h"

struct batch_result;

enum { SPACE_LEG_BYTES = 512 }; /* of a leg's name; one that is longer stays */
/* Percent of max_bytes. From SPACE_SHORT on room is made, in as many turns as it takes, until less than SPACE_AIM is
 * used. */
enum { SPACE_AIM = 75, SPACE_SHORT = 80, SPACE_NO_NEW_LEGS = 95, SPACE_NONE = 100 };

struct space {
  int64_t max_bytes; /* 0: as much as there is */
  int64_t keep_ms;   /* 0: delivered rows stay until room is short */
  bool sinks[SINK_COUNT];
  int64_t used_bytes; /* pages in use and the log, at the last look */
  int64_t next_ms;    /* monotonic: when to tend again */
  bool is_making_room;
  /* Ended legs are gone through from the oldest on: this is the last one looked at. */
  int64_t after_ms;
  char after_leg[SPACE_LEG_BYTES];
};

void space_open(struct space *s, struct database *d, int64_t max_bytes, int64_t keep_ms,
                const bool sinks[SINK_COUNT]);
/* Before a batch: how full it is, and what is refused for it (database.room). */
void space_look(struct space *s, struct database *d);
int space_percent(const struct space *s);
/* Is it time to let go of something? In milliseconds from now, 0: at once. */
int64_t space_due_ms(const struct space *s);
/* One short transaction: ids of events that are old enough, then legs. Errors leave all as it was. */
void space_tend(struct space *s, struct database *d, struct batch_result *out);

#endif
