#include "dsp/recency.h"

#include <math.h>

/* Seconds: how fast a burst is felt, how fast it is got over, how long it is remembered. */
static const double rise_s = 5, fall_s = 15, memory_s = 30;
static const double memory_weight = 0.7;

struct recency recency_of(double ie_burst, double ie_gap, double burst_s, double gap_s) {
  double eb = exp(-burst_s / rise_s), eg = exp(-gap_s / fall_s);
  struct recency r;
  r.i2 = (ie_gap * (1 - eg) + ie_burst * (1 - eb) * eg) / (1 - eb * eg);
  r.i1 = ie_burst - (ie_burst - r.i2) * eb;
  r.av = (burst_s * ie_burst + gap_s * ie_gap - rise_s * (ie_burst - r.i2) * (1 - eb) +
          fall_s * (r.i1 - ie_gap) * (1 - eg)) /
         (burst_s + gap_s);
  return r;
}

double recency_end(const struct recency *r, double since_s) {
  return r->av + memory_weight * (r->i1 - r->av) * exp(-since_s / memory_s);
}
