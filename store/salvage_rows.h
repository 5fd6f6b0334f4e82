/* Which table a carved row belongs to, whether it is what was written, and its way into the new file.
 * Private to store/. */
#ifndef STORE_SALVAGE_ROWS_H
#define STORE_SALVAGE_ROWS_H

#include "store/carve.h"
#include "store/database.h"

enum salvaged {
  SALVAGED_NOTHING, /* not of a table that is copied, or there already */
  SALVAGED_COPIED,
  SALVAGED_QUARANTINED
};

enum { SALVAGE_EVENTS, SALVAGE_VALUES = 5, SALVAGE_TABLES }; /* the first and the last of the tables */

struct salvage_rows {
  sqlite3 *db;
  sqlite3_stmt *put[SALVAGE_TABLES], *check[SALVAGE_TABLES], *put_id, *quarantine, *put_quarantined;
  int64_t outbox_sequence;
};

/* SQLITE_OK or an error, as all below. Close it in any case. */
int salvage_rows_open(struct salvage_rows *s, sqlite3 *fresh);
int salvage_row(struct salvage_rows *s, const struct carved_row *row, enum salvaged *taken);
/* What follows from the rows: after the last one. */
int salvage_rows_finish(struct salvage_rows *s);
void salvage_rows_close(struct salvage_rows *s);

#endif
