/* A damaged database: what can be read of it goes into a new file, the old one is set aside beside it as
 * sidetone.db.corrupt-<time> with its -wal and -shm. Private to store/; on the thread that owns the database.
 *
 *   sidetone.db (damaged) -> sidetone.db.salvaging -> sidetone.db.salvaged -> sidetone.db
 *
 * A crash on the way loses nothing: a copy called .salvaged is complete and takes its place at the next start,
 * one called .salvaging is thrown away and made again. */
#ifndef STORE_SALVAGE_H
#define STORE_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/database.h"
#include "store/pulse.h"

struct salvage_report {
  uint64_t copied;      /* rows whose checksum is right */
  uint64_t quarantined; /* rows that could be read and are wrong */
  uint64_t unreadable;  /* pages */
};

/* Does the write-ahead log hold commits that SQLite would drop for damage in front of them? */
bool salvage_log_is_damaged(const char *path);
/* Writes <path>.salvaged, and says all the while that it is alive. Nobody may write to the file meanwhile; nothing of it is changed.
 * 0, or -1 with `why`. */
int salvage_copy(const char *path, const struct pulse *pulse, struct salvage_report *report, char *why,
                 size_t why_bytes);
/* Is there such a copy, from now or from a start that was cut short? */
bool salvage_is_complete(const char *path);
/* Sets the old file aside and puts the copy in its place. No connection of ours may be open.
 * 0 with the old file's new name in `aside`, or -1 with `why`. */
int salvage_swap(const char *path, char *aside, size_t aside_bytes, char *why, size_t why_bytes);

#endif
