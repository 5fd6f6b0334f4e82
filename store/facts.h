/* Reading a leg's facts, each checked by its checksum. Private to store/. */
#ifndef STORE_FACTS_H
#define STORE_FACTS_H

#include "store/database.h"
#include "store/work.h"

/* Adds every event of the leg in the order of arrival, then every part, to the work. A bad row is moved
 * to `quarantine` and not added (database_moved()). SQLITE_OK or an error. */
int facts_load(struct database *d, const char *leg, struct work *work);
/* The same, for the sake of the moving alone. */
int facts_check(struct database *d, const char *leg);
/* The leg's CallLog, when it is there and bad: `*moved`. */
int facts_check_calllog(struct database *d, const char *leg, bool *moved);

#endif
