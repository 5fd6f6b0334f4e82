/* Lateness of a frame: its transit less the smallest transit of the last 10 s, clock skew removed
 * (voice-quality.md 3.3, r of 3.8), and the histogram of it.
 *
 * Use: pdv_add() for each frame in order of arrival; pdv_peek() for one that must not count (delayed by
 * ourselves, late). pdv_set_skew() when the skew is fitted. No heap, no clock; belongs to one thread. */
#ifndef DSP_PDV_H
#define DSP_PDV_H

#include <stddef.h>
#include <stdint.h>

enum { PDV_WINDOW_US = 10000000, PDV_MINIMA = 512 };

/* The minimum of a window is the first of a queue of rising transits, each younger than the one before
 * it. 512 hold every frame of 20 ms; with more they are thinned out. */
struct pdv {
  int64_t window_us;
  int64_t origin_us; /* arrival from which the skew correction runs */
  double correction_us, skew_ppm;
  size_t first, count;
  struct {
    int64_t arrival_us, transit_us;
  } minimum[PDV_MINIMA];
};

void pdv_init(struct pdv *p, int64_t window_us);
/* A discontinuity: no transit from before counts, and no skew is known. */
void pdv_reset(struct pdv *p);
/* From this arrival on; what was removed before stays so, and the transits do not jump. Beyond a million ppm
 * it is no clock's, and counts as that. */
void pdv_set_skew(struct pdv *p, int64_t arrival_us, double skew_ppm);
/* Lateness in microseconds, 0 or more. Arrivals do not fall. */
int64_t pdv_add(struct pdv *p, int64_t arrival_us, int64_t media_us);
int64_t pdv_peek(const struct pdv *p, int64_t arrival_us, int64_t media_us);

/* The histogram: bucket 0 holds lateness 0, then (k-1, k] ms to 1000 ms, 10 ms wide to 10 s, above. */
size_t pdv_bucket(int64_t late_us);
/* Upper edge in ms; of the last bucket it is the largest value seen. */
double pdv_bucket_edge_ms(size_t bucket, uint64_t largest_us);
/* Nearest rank: the value number ceil(share * n) in order, by its bucket's edge. n > 0, 0 < share <= 1. */
double pdv_percentile_ms(const uint64_t *histogram, double share, uint64_t largest_us);

#endif
