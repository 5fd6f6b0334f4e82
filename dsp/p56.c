#include "dsp/p56.h"

#include <math.h>
#include <string.h>

static const double margin_db = 15.9, tolerance_db = 0.5; /* the ITU tool's */
static const double envelope_s = 0.03, hangover_s = 0.2, dc_corner_hz = 20;
/* Below this a state is nothing: left alone it would decay into denormal numbers, which are slow. */
static const double nothing = 1e-30;

/* exp() of two machines may differ in the last bit: the rates of our codecs are written out. */
static const struct poles {
  uint32_t rate_hz;
  double envelope, dc;
} known[] = {
    {8000, 0x1.fddf00bbd0dacp-1, 0x1.f805363c97232p-1},  {12000, 0x1.fe946a9417ee1p-1, 0x1.faaa943b61784p-1},
    {16000, 0x1.feef37b358867p-1, 0x1.fbfe984e6a0cdp-1}, {24000, 0x1.ff4a14f87fde9p-1, 0x1.fd53808f606abp-1},
    {48000, 0x1.ffa502666d224p-1, 0x1.fea94d9765409p-1},
};

static struct poles poles_of(uint32_t rate_hz) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (known[i].rate_hz == rate_hz) return known[i];
  double f = rate_hz;
  return (struct poles){rate_hz, exp(-1 / (envelope_s * f)), exp(-2 * M_PI * dc_corner_hz / f)};
}

void p56_init(struct p56 *m, uint32_t rate_hz, bool remove_dc) {
  struct poles poles = poles_of(rate_hz);
  memset(m, 0, sizeof *m);
  m->envelope_pole = poles.envelope;
  m->envelope_rest = 1 - poles.envelope;
  m->dc_pole = poles.dc;
  m->dc_gain = remove_dc ? (1 + poles.dc) / 2 : 0;
  m->hangover_samples = (int64_t)(hangover_s * rate_hz + 0.5);
  m->floor = -1;
  m->ceiling = 1;
  for (int j = 0; j < P56_THRESHOLDS; j++) { /* below, and the hangover over long ago */
    m->since[j] = -m->hangover_samples;
    m->counted[j] = -m->hangover_samples;
  }
}

static int64_t counted_until(const struct p56 *m, int j, int64_t now) {
  int64_t span = now - m->since[j];
  bool hanging = j >= m->above && span > m->hangover_samples;
  return m->counted[j] + (hanging ? m->hangover_samples : span);
}

/* q, of the sample with number `now`, left [floor, ceiling). */
static void cross(struct p56 *m, double q, int64_t now) {
  int above = 0;
  while (above < P56_THRESHOLDS && q >= (double)(1 << above)) above++;
  int from = above < m->above ? above : m->above, to = above < m->above ? m->above : above;
  for (int j = from; j < to; j++) {
    m->counted[j] = counted_until(m, j, now);
    m->since[j] = now;
  }
  m->above = above;
  m->floor = above > 0 ? (double)(1 << (above - 1)) : -1;
  m->ceiling = above < P56_THRESHOLDS ? (double)(1 << above) : INFINITY;
}

/* `filter` is constant where this is called, so that each caller gets a loop without the question. */
static inline double feed(struct p56 *m, const int16_t *pcm, size_t samples, bool filter) {
  const double g = m->envelope_pole, rest = m->envelope_rest, pole = m->dc_pole, gain = m->dc_gain;
  double p = m->p, q = m->q, in = m->dc_in, out = m->dc_out, power = 0;
  for (size_t i = 0; i < samples; i++) {
    double x = pcm[i];
    if (filter) {
      out = gain * (x - in) + pole * out;
      in = x;
      x = out;
    }
    power += x * x;
    p = g * p + rest * fabs(x);
    q = g * q + rest * p;
    if (!(q >= m->floor && q < m->ceiling)) cross(m, q, m->samples + (int64_t)i);
  }
  m->p = p < nothing ? 0 : p;
  m->q = q < nothing ? 0 : q;
  m->dc_in = in;
  m->dc_out = fabs(out) < nothing ? 0 : out;
  return power;
}

double p56_feed(struct p56 *m, const int16_t *pcm, size_t samples) {
  double power = m->dc_gain > 0 ? feed(m, pcm, samples, true) : feed(m, pcm, samples, false);
  m->samples += (int64_t)samples;
  m->power += power;
  return power;
}

void p56_counters(const struct p56 *m, struct p56_counters *out) {
  out->samples = (uint64_t)m->samples;
  out->power = m->power;
  for (int j = 0; j < P56_THRESHOLDS; j++) out->active[j] = (uint64_t)counted_until(m, j, m->samples);
}

void p56_add(struct p56_counters *into, const struct p56_counters *more) {
  into->samples += more->samples;
  into->power += more->power;
  for (int j = 0; j < P56_THRESHOLDS; j++) into->active[j] += more->active[j];
}

void p56_subtract(struct p56_counters *from, const struct p56_counters *part) {
  from->samples -= part->samples;
  from->power -= part->power;
  for (int j = 0; j < P56_THRESHOLDS; j++) from->active[j] -= part->active[j];
}

static const double full_scale = 32768.0 * 32768.0;

static double activity_dbov(const struct p56_counters *c, int j) {
  return 10 * log10(c->power / full_scale / (double)c->active[j]);
}

static double threshold_db(int j) {
  return 20 * (j - P56_THRESHOLDS) * log10(2);
}

/* A point of the search: the activity's level and the threshold it belongs to. */
struct point {
  double level, threshold;
};

static struct point half_way(struct point a, struct point b) {
  return (struct point){(a.level + b.level) / 2, (a.threshold + b.threshold) / 2};
}

static double over(struct point p) {
  return p.level - p.threshold - margin_db;
}

/* Between two neighbouring thresholds, in the ITU tool's own steps, which are not a bisection: the end
 * it leaves moves up to the point it goes to, so there is no way back behind that. */
static double between(struct point upper, struct point lower) {
  double tolerance = tolerance_db;
  if (fabs(over(upper)) < tolerance) return upper.level;
  if (fabs(over(lower)) < tolerance) return lower.level;
  struct point middle = half_way(upper, lower);
  for (int step = 1; fabs(over(middle)) > tolerance; step++) {
    if (step >= 20) tolerance *= 1.1;
    if (over(middle) > tolerance) {
      lower = middle = half_way(upper, middle);
    } else if (over(middle) < -tolerance) {
      upper = middle = half_way(middle, lower);
    }
  }
  return middle.level;
}

static bool find_level(const struct p56_counters *c, double *level_dbov) {
  if (c->active[0] == 0 || !(c->power > 0)) return false;
  struct point lower = {activity_dbov(c, 0), threshold_db(0)};
  if (over(lower) < 0) return false;
  for (int j = 1; j < P56_THRESHOLDS && c->active[j] > 0; j++) {
    struct point upper = {activity_dbov(c, j), threshold_db(j)};
    if (over(upper) <= 0) {
      *level_dbov = between(upper, lower);
      return true;
    }
    lower = upper;
  }
  return false;
}

struct p56_result p56_measure(const struct p56_counters *c) {
  struct p56_result r = {.rms_dbov = P56_RMS_FLOOR_DBOV};
  if (c->samples == 0 || !(c->power > 0)) return r;
  r.rms_dbov = 10 * log10(c->power / full_scale / (double)c->samples);
  if (r.rms_dbov < P56_RMS_FLOOR_DBOV) r.rms_dbov = P56_RMS_FLOOR_DBOV;
  r.active = find_level(c, &r.level_dbov);
  if (r.active) r.activity = pow(10, (r.rms_dbov - r.level_dbov) / 10);
  return r;
}
