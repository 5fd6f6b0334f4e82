#include "dsp/gaps.h"

#include <stdbool.h>
#include <string.h>

/* A gap of 20 ms off the blocks' borders holds 9 whole ones. */
enum { LENGTH_MIN = 20 / GAP_BLOCK_MS - 1, LENGTH_MAX = 200 / GAP_BLOCK_MS };
static const double loud = 33954.7; /* mean square at -45 dBov */
static const double fall = 0.01;    /* 20 dB */
static const double nothing = 1e-30;
static const double dc_weight_min = 0.002; /* of a block: the mean of about 1 s */

void gaps_init(struct gaps *g, uint32_t rate_hz) {
  memset(g, 0, sizeof *g);
  g->dc_weight = 1;
  g->per_sample = 1.0 / (rate_hz / 1000 * GAP_BLOCK_MS);
}

void gaps_break(struct gaps *g) {
  g->known = g->length = 0;
}

static double mean_before(const struct gaps *g) {
  double sum = 0;
  for (int i = 0; i < GAP_BEFORE_BLOCKS; i++) sum += g->power[i];
  return sum / GAP_BEFORE_BLOCKS;
}

static double before(const struct gaps *g, uint32_t blocks) {
  return g->power[(g->at + GAP_BEFORE_BLOCKS - blocks) % GAP_BEFORE_BLOCKS];
}

static void outside(struct gaps *g, double power) {
  if (g->known < GAP_BEFORE_BLOCKS || !(power < fall * before(g, 2))) return;
  double level = mean_before(g);
  if (level <= loud || power >= fall * level) return;
  g->length = 1;
  g->limit = fall * level;
}

static void inside(struct gaps *g, double power) {
  if (power < g->limit && g->length <= LENGTH_MAX) {
    g->length++;
    return;
  }
  if (g->length >= LENGTH_MIN && g->length <= LENGTH_MAX) g->count++;
  g->length = 0;
}

void gaps_feed(struct gaps *g, const struct block_sum *block, size_t blocks) {
  if (g->dc < nothing && g->dc > -nothing) g->dc = 0; /* minutes of zeros: no denormal numbers */
  for (size_t i = 0; i < blocks; i++) {
    double mean = (double)block[i].sum * g->per_sample;
    double power = (double)block[i].square * g->per_sample - 2 * mean * g->dc + g->dc * g->dc;
    g->dc += g->dc_weight * (mean - g->dc);
    if (g->dc_weight > dc_weight_min)
      g->dc_weight /= 1 + g->dc_weight; /* 1, 1/2, 1/3: a plain mean at first */
    if (g->length > 0) {
      inside(g, power);
    } else {
      outside(g, power);
    }
    g->power[g->at] = power;
    g->at = (g->at + 1) % GAP_BEFORE_BLOCKS;
    if (g->known < GAP_BEFORE_BLOCKS) g->known++;
  }
}
