#include "dsp/burst.h"

#include <math.h>

static const double z_95 = 1.959963984540054; /* the normal distribution's 0.975 quantile */

static void settle_gap(struct burst *b, uint64_t end, uint64_t bad) {
  if (end == b->settled) return;
  if (!b->in_gap) b->gaps++;
  b->in_gap = true;
  b->gap_frames += end - b->settled;
  b->gap_bad += bad;
  b->settled = end;
}

/* Nothing that follows can belong to the group any more. */
static void settle_group(struct burst *b) {
  if (b->group_bad >= 2) {
    settle_gap(b, b->group_first, 0);
    b->bursts++;
    b->in_gap = false;
    b->burst_frames += b->last_bad + 1 - b->group_first;
    b->burst_bad += b->group_bad;
    b->settled = b->last_burst_end = b->last_bad + 1;
  } else if (b->group_bad == 1) {
    settle_gap(b, b->last_bad + 1, 1);
  }
  b->group_bad = 0;
}

void burst_add(struct burst *b, bool bad, uint64_t count) {
  if (count == 0) return;
  uint64_t first = b->frames;
  b->frames += count;
  if (!bad) {
    b->run = 0;
    return;
  }
  if (b->run == 0) b->runs++;
  b->run += count;
  if (b->run > b->longest_run) b->longest_run = b->run;
  b->bad += count;

  if (b->group_bad > 0 && first - b->last_bad - 1 >= BURST_GMIN) settle_group(b);
  if (b->group_bad == 0) b->group_first = first;
  b->group_bad += count;
  b->last_bad = first + count - 1;
}

void burst_finish(struct burst *b) {
  settle_group(b);
  settle_gap(b, b->frames, 0);
}

double burst_ratio(uint64_t n, uint64_t bad, uint64_t runs) {
  if (runs < BURST_RUNS_MIN) return 1.0;
  double mean_run = (double)bad / (double)runs;
  return fmax(1.0, mean_run * (1.0 - (double)bad / (double)n));
}

void wilson_interval(uint64_t bad, uint64_t n, double *low, double *high) {
  double count = (double)n, p = (double)bad / count, z2 = z_95 * z_95;
  double middle = (p + z2 / (2 * count)) / (1 + z2 / count);
  double half = z_95 / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  *low = bad == 0 ? 0.0 : fmax(0.0, middle - half);
  *high = bad == n ? 1.0 : fmin(1.0, middle + half);
}

void xr_burst_add(struct xr_burst *x, bool bad) {
  if (!bad) {
    x->pkt++;
    return;
  }
  if (x->pkt >= BURST_GMIN) {
    if (x->lost == 1) {
      x->c14++;
    } else {
      x->c13++;
    }
    x->lost = 1;
    x->c11 += x->pkt;
  } else {
    x->lost++;
    if (x->pkt == 0) {
      x->c33++;
    } else {
      x->c23++;
      x->c22 += x->pkt - 1;
    }
  }
  x->pkt = 0;
}

uint8_t xr_burst_density(const struct xr_burst *x) {
  double c31 = x->c13, c32 = x->c23, c33 = x->c33, c22 = x->c22, c23 = x->c23;
  double all = c31 + c32 + c33;
  double p32 = all > 0 ? c32 / all : 0;
  double p23 = c22 + c23 < 1 ? 1 : 1 - c22 / (c22 + c23);
  double density = p23 + p32 > 0 ? p23 / (p23 + p32) : 0;
  return (uint8_t)fmin(255, floor(256 * density));
}
