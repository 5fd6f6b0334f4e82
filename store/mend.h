/* The database, opened whatever state it is in, and mended while it runs: a damaged file is set aside and what can
 * be read of it goes on in a new one (salvage.h). Private to store/; whoever holds the database calls. */
#ifndef STORE_MEND_H
#define STORE_MEND_H

#include <limits.h>

#include "store/database.h"
#include "store/pulse.h"

struct mend {
  char path[PATH_MAX];
  struct pulse pulse;    /* of the thread that mends */
  int64_t not_before_ms; /* monotonic: a try that failed is not repeated at once */
  uint64_t set_aside;    /* files, so far */
  uint64_t quarantined;  /* rows that were read out of them and are wrong */
  char last[512];        /* the newest file: its new name, and what came out of it */
};

/* Locks, mends when it must, connects. 0, or -1 with `why`; then nothing is left open. */
int mend_open(struct mend *m, struct database *d, const char *directory, const struct pulse *pulse, char *why,
              size_t why_bytes);
/* Nothing to do when the database is well. Else mends, and connects again. True: it can be used. A file that could
 * not be copied stays in use: other rows of it may be well. */
bool mend_when_damaged(struct mend *m, struct database *d, char *why, size_t why_bytes);

#endif
