/* The SQLite file behind the store: opening, layout, statements, checksums of rows.
 * Private to store/. Not for several threads at once: the owner locks. */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { DATABASE_BUSY_MS = 5000 }; /* somebody else's lock: a copy being made, an administrator's shell */

enum statement {
  SQL_BEGIN,
  SQL_COMMIT,
  SQL_ROLLBACK,
  SQL_SAVEPOINT,
  SQL_RELEASE,
  SQL_ROLLBACK_TO,
  SQL_PUT_EVENT_ID,
  SQL_PUT_EVENT,
  SQL_PUT_PART,
  SQL_PUT_CALLLOG,
  SQL_EVENTS_OF_LEG,
  SQL_PARTS_OF_LEG,
  SQL_QUARANTINE_EVENT,
  SQL_QUARANTINE_PART,
  SQL_CALLLOG_OF_LEG,
  SQL_QUARANTINE_CALLLOG,
  SQL_DROP_CALLLOG,
  SQL_FORGET_EVENT_ID,
  SQL_DROP_EVENT,
  SQL_DROP_PART,
  SQL_FORGET_OLD_IDS,
  SQL_OPEN_LEGS,
  SQL_STORED_PART,
  SQL_OPEN_PARTS,
  SQL_GET_LEG,
  SQL_PUT_LEG,
  SQL_COUNT_LEG,
  SQL_QUARANTINE_LEG,
  SQL_APPEND_EVENT,
  SQL_APPEND_PART,
  SQL_APPEND_ALERT,
  SQL_OUTBOX_HEAD,
  SQL_OUTBOX_LEG,
  SQL_PUT_TRIES,
  SQL_DROP_TRIES,
  SQL_DROP_TRIES_OF_ROW,
  SQL_QUARANTINE_OUTBOX,
  SQL_DROP_OUTBOX,
  SQL_APPEND_LIKE,
  SQL_COUNT_DEAD,
  SQL_DATA_VERSION,
  SQL_LAST_ROW,
  SQL_SET_STATE, /* from here: one a sink */
  SQL_REWIND = SQL_SET_STATE + SINK_COUNT,
  SQL_IN_INDEX = SQL_REWIND + SINK_COUNT,
  SQL_COUNT_PENDING = SQL_IN_INDEX + SINK_COUNT,
  SQL_OLDEST = SQL_COUNT_PENDING + SINK_COUNT,
  SQL_GET_VALUE = SQL_OLDEST + SINK_COUNT,
  SQL_PAGE_COUNT,
  SQL_FREE_PAGES,
  SQL_ENDED_LEG,
  SQL_LEG_ROWS,
  SQL_DROP_TRIES_OF_LEG,
  SQL_DROP_OUTBOX_OF_LEG,
  SQL_DROP_EVENTS_OF_LEG,
  SQL_DROP_PARTS_OF_LEG,
  SQL_OLDEST_GONE,
  SQL_DROP_CALLLOG_OF_LEG,
  SQL_DROP_LEG,
  SQL_DROP_LEGLESS,
  SQL_QUARANTINE_VALUE,
  SQL_DROP_VALUE,
  SQL_PUT_VALUE,
  SQL_COUNT
};
extern const char *const statement_sql[];

struct outbox_change { /* of one sink's rows, by the request at work */
  int64_t pending, dead;
  uint64_t writes;
};

struct database {
  sqlite3 *db; /* NULL: it is away, see mend.h */
  int lock_fd;
  bool damaged;   /* SQLite met what cannot be */
  bool read_only; /* as the system has opened it */
  sqlite3_stmt *statements[SQL_COUNT];
  int64_t id_clock_offset_ms, id_clock_kept_ms; /* id_clock.c */
  int log_pages;                                /* after how many the log is written back; 0: SQLite's own */
  enum { ROOM_ENOUGH, ROOM_FOR_KNOWN_LEGS, ROOM_NONE } room; /* space.c */
  char room_reason[64];
  bool no_room; /* the request at work was refused for it */
  /* Rows that the request at work has moved to `quarantine`, and the newest in words. */
  uint64_t moved;
  char moved_last[256];
  struct outbox_change change[SINK_COUNT];
  bool uncounted; /* a row of unknown states went: `change` does not tell */
};

/* Makes the directory (0700) when missing and takes the lock. 0, or -1 with `why`. */
int database_lock(struct database *d, const char *directory, char *why, size_t why_bytes);
/* Makes the file (0600) when missing, checks its version, prepares the statements. 0, or -1 with `why`; then it is
 * not connected, and `damaged` says whether the file is malformed. */
int database_attach(struct database *d, const char *path, char *why, size_t why_bytes);
/* Takes over `log_pages`. */
void database_bound_log(struct database *d);
/* Leaves a damaged file and its log as they are. */
void database_detach(struct database *d);
/* Disconnects and gives the lock up. */
void database_close(struct database *d);
/* Notes damage that an error code tells of. Returns the code. */
int database_check(struct database *d, int rc);

/* The path of the file. False when it does not fit. */
bool database_path(const char *directory, char *out, size_t out_bytes);

/* A connection from outside that takes no lock of ours: WAL lets it read, and write, while serve does. Works when none
 * runs too. 0, or -1 with `why`. */
int database_connect(sqlite3 **db, const char *directory, bool to_change, char *why, size_t why_bytes);

/* Steps a statement without result and resets it. SQLITE_OK or the error's extended code. */
int database_run(struct database *d, enum statement which);
/* A row was moved to `quarantine`: counted, and described for the log. `leg` may be NULL. */
void database_moved(struct database *d, const char *table, int64_t row, const char *leg);
/* Text of `bytes` bytes; NULL binds NULL. Kept by reference until the statement is reset. */
void bind_bytes(sqlite3_stmt *s, int index, const char *text, size_t bytes);
void bind_string(sqlite3_stmt *s, int index, const char *text);
/* A column's bytes: never NULL ("" then), not ended by NUL. */
const char *column_bytes(sqlite3_stmt *s, int column, size_t *bytes);

/* Checksums of rows: over every field, each with its length, so that no byte can move between fields. */
uint32_t event_crc(const char *id, size_t id_bytes, const char *leg, size_t leg_bytes, int64_t at_ms,
                   const char *body, size_t body_bytes);
uint32_t part_crc(const char *leg, size_t leg_bytes, const char *id, size_t id_bytes, uint64_t n, bool open,
                  const char *body, size_t body_bytes);
/* A CallLog has two: the list can be read without its documents. */
uint32_t calllog_crc(const char *leg, size_t leg_bytes, uint64_t revision, bool open, const char *body,
                     size_t body_bytes);
uint32_t list_crc(const struct store_call_row *row);
uint32_t value_crc(const char *key, size_t key_bytes, const char *value, size_t value_bytes);

#endif
