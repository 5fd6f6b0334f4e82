#include "dsp/playout.h"

#include <string.h>

enum { QUANTILE_PCT = 95, DECAY_US = 1000 };

const int64_t playout_fixed_us[PLAYOUT_FIXED] = {60000, 120000, 200000};

void playout_init(struct playout *p, uint32_t ptime_us, int64_t start_us) {
  memset(p, 0, sizeof(*p));
  p->delay_us = start_us;
  playout_set_ptime(p, ptime_us);
}

void playout_set_ptime(struct playout *p, uint32_t ptime_us) {
  int64_t ptime = ptime_us < PLAYOUT_PTIME_MIN_US ? PLAYOUT_PTIME_MIN_US : ptime_us;
  if (ptime == p->ptime_us) return;
  p->ptime_us = ptime;
  p->held = p->oldest = 0;
  memset(p->bin, 0, sizeof(p->bin));
}

static void remember(struct playout *p, int64_t late_us) {
  uint16_t frames = (uint16_t)((late_us + p->ptime_us - 1) / p->ptime_us);
  if (p->held == PLAYOUT_HISTORY) {
    p->bin[p->history[p->oldest]]--;
  } else {
    p->held++;
  }
  p->history[p->oldest] = frames;
  p->oldest = (p->oldest + 1) % PLAYOUT_HISTORY;
  p->bin[frames]++;
}

/* Rounding up to frames keeps the order, so the percentile of the rounded is the rounded percentile. */
static int64_t target_us(const struct playout *p) {
  size_t rank = (p->held * QUANTILE_PCT + 99) / 100, below = 0;
  int64_t frames = 0;
  for (size_t i = 0; i < PLAYOUT_BINS; i++) {
    below += p->bin[i];
    if (below >= rank) {
      frames = (int64_t)i;
      break;
    }
  }
  int64_t target = p->ptime_us * frames + p->ptime_us;
  if (target < PLAYOUT_MIN_US) return PLAYOUT_MIN_US;
  return target > PLAYOUT_MAX_US ? PLAYOUT_MAX_US : target;
}

static struct playout_outcome adapt(struct playout *p, int64_t late_us) {
  struct playout_outcome outcome = {0};
  if (late_us > PLAYOUT_MAX_US) {
    p->discarded++;
    outcome.discarded = true;
    return outcome;
  }
  if (late_us > p->delay_us) {
    int64_t frames = (late_us - p->delay_us + p->ptime_us - 1) / p->ptime_us;
    outcome.concealed_frames = (uint32_t)frames;
    p->concealed += (uint64_t)frames;
    p->delay_us += frames * p->ptime_us;
    if (p->delay_us > PLAYOUT_MAX_US) p->delay_us = PLAYOUT_MAX_US;
  }
  remember(p, late_us);
  int64_t target = target_us(p);
  if (p->delay_us > target) {
    p->delay_us = p->delay_us - DECAY_US > target ? p->delay_us - DECAY_US : target;
  }
  return outcome;
}

static void count_fixed(struct playout *p, int64_t late_us) {
  for (size_t i = 0; i < PLAYOUT_FIXED; i++) {
    if (late_us > playout_fixed_us[i]) p->fixed_discarded[i]++;
  }
}

static void count_delay(struct playout *p) {
  p->count++;
  p->delay_sum_us += (uint64_t)p->delay_us;
}

struct playout_outcome playout_add(struct playout *p, int64_t late_us) {
  if (late_us < 0) late_us = 0;
  count_fixed(p, late_us);
  struct playout_outcome outcome = adapt(p, late_us);
  count_delay(p);
  return outcome;
}

void playout_add_late(struct playout *p, int64_t late_us) {
  count_fixed(p, late_us);
  p->discarded++;
  count_delay(p);
}
