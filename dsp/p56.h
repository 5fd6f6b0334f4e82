/* Active speech level by ITU-T P.56 method B, sample by sample (voice-quality.md 5.2).
 *
 * Use: p56_init() a track, p56_feed() in any pieces, p56_counters() whenever somebody looks, and
 * p56_measure() of counters. Counters of stretches of sound add up: a whole is the sum of its parts,
 * and a window is the difference of two readings.
 * No heap, no clock; a struct p56 belongs to one thread and can be copied. */
#ifndef DSP_P56_H
#define DSP_P56_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { P56_THRESHOLDS = 15 };

/* Of a stretch of sound. `power` is the sum of squares in units of one step of 16 bits. */
struct p56_counters {
  uint64_t samples;
  double power;
  uint64_t active[P56_THRESHOLDS]; /* samples above 2^j steps, hangover included */
};

/* Members are the meter's own. */
struct p56 {
  double envelope_pole, envelope_rest;    /* g and 1 - g of 5.2 */
  double dc_pole, dc_gain, dc_in, dc_out; /* of the filter that removes DC; gain 0: no filter */
  double p, q, power, floor, ceiling;     /* q is in [floor, ceiling) while `above` holds */
  int64_t samples, hangover_samples;
  int above;                       /* how many thresholds q is at or above */
  int64_t counted[P56_THRESHOLDS]; /* up to `since` */
  int64_t since[P56_THRESHOLDS];   /* when q last came to this side of the threshold */
};

/* `remove_dc`: as production does; the ITU tool's own figures are without. */
void p56_init(struct p56 *m, uint32_t rate_hz, bool remove_dc);
/* Sum of squares of this piece, DC removed if asked, in units of one step of 16 bits. */
double p56_feed(struct p56 *m, const int16_t *pcm, size_t samples);
void p56_counters(const struct p56 *m, struct p56_counters *out);

void p56_add(struct p56_counters *into, const struct p56_counters *more);
void p56_subtract(struct p56_counters *from, const struct p56_counters *part);

/* `active` false: silence by P.56, then level_dbov and activity are not set. rms_dbov of nothing at
 * all is P56_RMS_FLOOR_DBOV, as the ITU tool has it. activity 0 to 1, may pass 1 by rounding. */
#define P56_RMS_FLOOR_DBOV (-200.0)
struct p56_result {
  bool active;
  double level_dbov, rms_dbov, activity;
};
struct p56_result p56_measure(const struct p56_counters *c);

#endif
