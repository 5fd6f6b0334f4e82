#include "store/mend.h"

#include <stdio.h>

#include "store/clock.h"
#include "store/salvage.h"

enum { TRY_EVERY_MS = 10000 };

static int swap(struct mend *m, const struct salvage_report *report, char *why, size_t why_bytes) {
  char aside[PATH_MAX];
  if (salvage_swap(m->path, aside, sizeof aside, why, why_bytes) != 0) return -1;
  m->set_aside++;
  m->quarantined += report->quarantined;
  snprintf(m->last, sizeof m->last, "%.300s: %llu rows copied, %llu to quarantine, %llu pages unreadable",
           aside, (unsigned long long)report->copied, (unsigned long long)report->quarantined,
           (unsigned long long)report->unreadable);
  return 0;
}

static int mend(struct mend *m, char *why, size_t why_bytes) {
  struct salvage_report report;
  m->not_before_ms = monotonic_ms() + TRY_EVERY_MS;
  if (salvage_copy(m->path, &m->pulse, &report, why, why_bytes) != 0) return -1;
  return swap(m, &report, why, why_bytes);
}

int mend_open(struct mend *m, struct database *d, const char *directory, const struct pulse *pulse, char *why,
              size_t why_bytes) {
  *m = (struct mend){.not_before_ms = INT64_MIN, .pulse = *pulse};
  *d = (struct database){.lock_fd = -1};
  if (!database_path(directory, m->path, sizeof m->path)) {
    snprintf(why, why_bytes, "the name of the store's folder is too long");
    return -1;
  }
  if (database_lock(d, directory, why, why_bytes) != 0) return -1;
  int rc = 0;
  if (salvage_is_complete(m->path)) rc = swap(m, &(struct salvage_report){0}, why, why_bytes);
  d->damaged = salvage_log_is_damaged(m->path);
  if (rc == 0 && !d->damaged) rc = database_attach(d, m->path, why, why_bytes);
  if (d->damaged) {
    rc = mend(m, why, why_bytes);
    d->damaged = false;
    if (rc == 0) rc = database_attach(d, m->path, why, why_bytes);
  }
  if (rc != 0) database_close(d);
  return rc;
}

bool mend_when_damaged(struct mend *m, struct database *d, char *why, size_t why_bytes) {
  char reason[512];
  if (d->db != NULL && (!d->damaged || monotonic_ms() < m->not_before_ms)) return true;
  if (d->db != NULL || (d->damaged && monotonic_ms() >= m->not_before_ms)) {
    d->damaged = true;
    database_detach(d);
    if (mend(m, reason, sizeof reason) == 0) d->damaged = false;
  }
  return database_attach(d, m->path, why, why_bytes) == 0;
}
