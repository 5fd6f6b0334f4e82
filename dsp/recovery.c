#include "dsp/recovery.h"

#include <string.h>

#include "dsp/burst.h"

void recovery_init(struct recovery *r, int64_t delay_us) {
  memset(r, 0, sizeof(*r));
  r->delay_us = delay_us;
}

static void record(struct recovery *r, int64_t from_us, int64_t to_us) {
  uint64_t length_us = to_us > from_us ? (uint64_t)(to_us - from_us) : 0;
  r->count++;
  r->sum_us += length_us;
  if (length_us > r->max_us) r->max_us = length_us;
}

static void settle_group(struct recovery *r) {
  if (r->group_bad >= 2) {
    if (r->back) {
      record(r, r->group.last_bad_us, r->back_us);
    } else if (r->waiting_count < RECOVERY_WAITING_MAX) {
      r->waiting[r->waiting_count++] = r->group;
    }
  }
  r->group_bad = r->good = 0;
  r->back = false;
}

static void end_waiting(struct recovery *r, int64_t place_us) {
  while (r->waiting_count > 0 && r->delay_us <= r->waiting[r->waiting_count - 1].before_us) {
    record(r, r->waiting[--r->waiting_count].last_bad_us, place_us);
  }
}

void recovery_add(struct recovery *r, bool bad, uint64_t count, int64_t place_us, uint32_t ptime_us,
                  int64_t delay_us) {
  if (count == 0) return;
  if (bad) {
    if (r->group_bad == 0) r->group.before_us = r->delay_us;
    place_us += (int64_t)(count - 1) * ptime_us;
    r->group.last_bad_us = place_us;
    r->group_bad += count;
    r->good = 0;
    r->back = false;
  }
  r->delay_us = delay_us;
  end_waiting(r, place_us);
  if (r->group_bad == 0) return;
  if (!r->back && delay_us <= r->group.before_us) {
    r->back = true;
    r->back_us = place_us;
  }
  if (bad) return;
  r->good += count;
  if (r->good >= BURST_GMIN) settle_group(r);
}

void recovery_finish(struct recovery *r) {
  settle_group(r);
}
