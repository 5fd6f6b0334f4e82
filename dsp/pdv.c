#include "dsp/pdv.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "dsp/delivery.h"

enum {
  FINE_BUCKETS = 1000,
  WIDE_BUCKETS = 900,
  WIDE_US = 10000,
  FINE_END_US = 1000000,
  WIDE_END_US = 10000000
};

static_assert(PDV_BUCKETS == 1 + FINE_BUCKETS + WIDE_BUCKETS + 1, "zero, fine, wide, above");

void pdv_init(struct pdv *p, int64_t window_us) {
  p->window_us = window_us;
  pdv_reset(p);
}

void pdv_reset(struct pdv *p) {
  p->origin_us = 0;
  p->correction_us = p->skew_ppm = 0.0;
  p->first = p->count = 0;
}

static double correction_us(const struct pdv *p, int64_t arrival_us) {
  return p->correction_us + p->skew_ppm * 1e-6 * (double)(arrival_us - p->origin_us);
}

/* Timestamps that run away have any slope, and what is removed must stay a time. */
static const double skew_most_ppm = 1e6;

void pdv_set_skew(struct pdv *p, int64_t arrival_us, double skew_ppm) {
  p->correction_us = correction_us(p, arrival_us);
  p->origin_us = arrival_us;
  p->skew_ppm = fmin(fmax(skew_ppm, -skew_most_ppm), skew_most_ppm);
}

static int64_t transit_us(const struct pdv *p, int64_t arrival_us, int64_t media_us) {
  return arrival_us - media_us - llround(correction_us(p, arrival_us));
}

static size_t at(const struct pdv *p, size_t index) {
  return (p->first + index) % PDV_MINIMA;
}

/* Makes room for one: the one goes whose neighbours arrived closest together, so that they thin out
 * evenly. The minimum is then too high by at most the step to the next, and never too old. */
static void thin_out(struct pdv *p) {
  size_t closest = 1;
  int64_t least_us = INT64_MAX;
  for (size_t i = 1; i + 1 < p->count; i++) {
    int64_t apart_us = p->minimum[at(p, i + 1)].arrival_us - p->minimum[at(p, i - 1)].arrival_us;
    if (apart_us < least_us) {
      least_us = apart_us;
      closest = i;
    }
  }
  for (size_t i = closest; i + 1 < p->count; i++) p->minimum[at(p, i)] = p->minimum[at(p, i + 1)];
  p->count--;
}

static void expire(struct pdv *p, int64_t now_us) {
  while (p->count > 0 && now_us - p->minimum[p->first].arrival_us > p->window_us) {
    p->first = at(p, 1);
    p->count--;
  }
}

int64_t pdv_add(struct pdv *p, int64_t arrival_us, int64_t media_us) {
  int64_t t_us = transit_us(p, arrival_us, media_us);
  expire(p, arrival_us);
  while (p->count > 0 && p->minimum[at(p, p->count - 1)].transit_us >= t_us) p->count--;
  if (p->count == PDV_MINIMA) thin_out(p);
  size_t last = at(p, p->count++);
  p->minimum[last].arrival_us = arrival_us;
  p->minimum[last].transit_us = t_us;
  return t_us - p->minimum[p->first].transit_us;
}

int64_t pdv_peek(const struct pdv *p, int64_t arrival_us, int64_t media_us) {
  int64_t t_us = transit_us(p, arrival_us, media_us);
  for (size_t i = 0; i < p->count; i++) {
    if (arrival_us - p->minimum[at(p, i)].arrival_us > p->window_us) continue;
    int64_t late_us = t_us - p->minimum[at(p, i)].transit_us;
    return late_us > 0 ? late_us : 0;
  }
  return 0;
}

size_t pdv_bucket(int64_t late_us) {
  if (late_us <= 0) return 0;
  if (late_us <= FINE_END_US) return (size_t)((late_us + 999) / 1000);
  if (late_us <= WIDE_END_US) return (size_t)(FINE_BUCKETS + (late_us - FINE_END_US + WIDE_US - 1) / WIDE_US);
  return PDV_BUCKETS - 1;
}

double pdv_bucket_edge_ms(size_t bucket, uint64_t largest_us) {
  if (bucket <= FINE_BUCKETS) return (double)bucket;
  if (bucket < PDV_BUCKETS - 1) return FINE_BUCKETS + (double)(bucket - FINE_BUCKETS) * (WIDE_US / 1000.0);
  return (double)largest_us / 1000.0;
}

double pdv_percentile_ms(const uint64_t *histogram, double share, uint64_t largest_us) {
  uint64_t n = 0, below = 0;
  for (size_t i = 0; i < PDV_BUCKETS; i++) n += histogram[i];
  uint64_t rank = (uint64_t)ceil(share * (double)n);
  for (size_t i = 0; i < PDV_BUCKETS; i++) {
    below += histogram[i];
    if (below >= rank && below > 0) return pdv_bucket_edge_ms(i, largest_us);
  }
  return 0.0;
}
