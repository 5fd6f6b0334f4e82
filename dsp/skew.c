#include "dsp/skew.h"

#include <math.h>
#include <string.h>

enum {
  FIRST_WINDOW_US = 1000000,
  FIT_EVERY_US = 10000000,
  SPAN_MIN_US = 60000000,
  SLOPES_MAX = SKEW_POINTS * (SKEW_POINTS - 1) / 2
};

static const double spread_max_ppm = 50.0; /* quartile to quartile; above it the line means nothing */

void skew_reset(struct skew *s) {
  memset(s, 0, sizeof(*s));
}

/* The value of rank `rank` (from 0) in order; reorders the values. */
static double nth_smallest(double *value, size_t n, size_t rank) {
  size_t low = 0, high = n - 1;
  while (low < high) {
    double pivot = value[low + (high - low) / 2];
    size_t i = low, j = high;
    for (;;) {
      while (value[i] < pivot) i++;
      while (value[j] > pivot) j--;
      if (i >= j) break;
      double swap = value[i];
      value[i++] = value[j];
      value[j--] = swap;
    }
    /* All of [low, j] are at most the pivot, all above are at least. */
    if (rank <= j) {
      if (j == high) j--;
      high = j;
    } else {
      low = j + 1;
    }
  }
  return value[rank];
}

static size_t nearest_rank(size_t n, double share) {
  return (size_t)ceil(share * (double)n) - 1;
}

static bool fit(struct skew *s) {
  double slope[SLOPES_MAX];
  size_t n = 0;
  for (size_t i = 0; i < s->count; i++) {
    for (size_t j = i + 1; j < s->count; j++) {
      double run_us = (double)(s->point[j].media_us - s->point[i].media_us);
      if (run_us > 0) slope[n++] = (double)(s->point[j].transit_us - s->point[i].transit_us) / run_us * 1e6;
    }
  }
  if (n == 0) return false;
  double middle = nth_smallest(slope, n, nearest_rank(n, 0.5));
  double low = nth_smallest(slope, n, nearest_rank(n, 0.25));
  double high = nth_smallest(slope, n, nearest_rank(n, 0.75));
  if (!(high - low < spread_max_ppm)) return false;
  s->known = true;
  s->ppm = middle;
  return true;
}

static void merge_pairs(struct skew *s) {
  size_t kept = 0;
  s->window_us *= 2;
  for (size_t i = 0; i < s->count; i++) {
    int64_t window = s->point[i].window / 2;
    if (kept > 0 && s->point[kept - 1].window == window) {
      if (s->point[i].transit_us < s->point[kept - 1].transit_us) s->point[kept - 1] = s->point[i];
      s->point[kept - 1].window = window;
    } else {
      s->point[kept] = s->point[i];
      s->point[kept++].window = window;
    }
  }
  s->count = kept;
}

static void keep_smallest(struct skew *s, int64_t media_us, int64_t transit_us) {
  int64_t window = media_us / s->window_us;
  if (s->count > 0 && s->point[s->count - 1].window >= window) {
    if (transit_us >= s->point[s->count - 1].transit_us) return;
    s->count--;
    window = s->point[s->count].window;
  }
  while (s->count == SKEW_POINTS) {
    merge_pairs(s);
    window = media_us / s->window_us;
  }
  s->point[s->count].window = window;
  s->point[s->count].media_us = media_us;
  s->point[s->count++].transit_us = transit_us;
}

bool skew_add(struct skew *s, int64_t arrival_us, int64_t media_us) {
  if (!s->started) {
    skew_reset(s);
    s->started = true;
    s->first_media_us = media_us;
    s->first_arrival_us = s->fitted_us = arrival_us;
    s->window_us = FIRST_WINDOW_US;
  }
  int64_t elapsed_us = media_us - s->first_media_us;
  if (elapsed_us < 0) return false;
  keep_smallest(s, elapsed_us, arrival_us - s->first_arrival_us - elapsed_us);
  if (arrival_us - s->fitted_us < FIT_EVERY_US) return false;
  s->fitted_us = arrival_us;
  if (arrival_us - s->first_arrival_us < SPAN_MIN_US || !fit(s)) return false;
  s->span_us = arrival_us - s->first_arrival_us;
  return true;
}
