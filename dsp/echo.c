#include "dsp/echo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/correlate.h"

enum {
  INBOUND = 0,
  OUTBOUND = 1,
  TRACKS = 2,
  MS_SAMPLES = ECHO_RATE_HZ / 1000,
  HOP_MS = ECHO_HOP / MS_SAMPLES,
  LEAD_HOPS = 30 / HOP_MS, /* lags before zero, see echo.h */
  LAGS = LEAD_HOPS + ECHO_LAG_MAX_HOPS + 1,
  REACH = 30 * MS_SAMPLES, /* of the fine stage, to both sides */
  FINE_LAGS = 2 * REACH + 1,
  STABLE = 10 * MS_SAMPLES,
  ACTIVE_HOPS = 300 / HOP_MS,
  HANGOVER_HOPS = 200 / HOP_MS,
  HOLD_HOPS = 100 / HOP_MS, /* a level is kept over a hole that long: no false edge */
  COARSE_HOPS = 4000 / HOP_MS,
  BLOCK_HOPS = 1000 / HOP_MS,
  BLOCKS_MAX = 6,
  BLOCKS_STABLE = 3,
  /* Whole hops. Inbound: 1 s that it may lead; outbound: longest lag, reach, and 500 ms that it may lag. */
  RING_IN = 100 * ECHO_HOP,
  RING_OUT = 208 * ECHO_HOP,
  LEVELS = 256, /* hops */
  /* Levels are 64 a factor of two in energy, about a middle of them, so that sums fit 32 bits. */
  LEVEL_OCTAVE_BITS = 6,
  LEVEL_MIDDLE = 24 << LEVEL_OCTAVE_BITS,
  FLOOR_ENERGY = 5433,     /* of a frame at -75 dBov: below it is silence */
  ACTIVE_ENERGY = 1717987, /* at -50 dBov */
  LOUDER_NUMERATOR = 398107,
  LOUDER_DENOMINATOR = 100000 /* 6 dB */
};
#define ECHO_COARSE_HIT 0.5
#define RHO2_MIN        0.1

_Static_assert(RING_OUT >= (ECHO_LAG_MAX_HOPS + 1) * ECHO_HOP + 2 * REACH + 500 * MS_SAMPLES, "see RING_OUT");

struct side {
  int64_t end; /* position behind the newest sample */
  int16_t *ring;
  int ring_samples;
  uint64_t energy_before; /* of the hop before: a frame is both */
  uint64_t energy;        /* of the hop at work, and how many of its samples are missing */
  int missing;
  int level_now, missing_run;
  int64_t since_hop;         /* known from here on, short holes apart */
  int active_run, quiet_run; /* hops; outbound */
  int16_t level[LEVELS];
  uint64_t frame_energy[LEVELS];
  bool usable[LEVELS]; /* inbound: whole; outbound: active for long enough */
};

struct coarse {
  int hops;
  int32_t y, yy;
  int32_t x[LAGS], xx[LAGS], xy[LAGS];
};

struct fine {
  int hops, blocks, run;     /* run: blocks that agree, so far */
  int64_t lag;               /* centre of the search, samples */
  int64_t last_lag, lag_sum; /* of the run */
  double cov_sum, power_sum;
  int64_t y, yy;
  int64_t x[FINE_LAGS], xx[FINE_LAGS], xy[FINE_LAGS];
};

struct echo {
  echo_sink sink;
  void *arg;
  correlate_kernel correlate;
  struct side side[TRACKS];
  int64_t next_hop;  /* to be looked at */
  int64_t round_hop; /* first of the round, -1: none yet */
  bool searching;    /* the fine stage */
  struct coarse coarse;
  struct fine fine;
  struct echo_facts facts;
  int16_t ring_in[RING_IN], ring_out[RING_OUT];
};

size_t echo_bytes(void) {
  return sizeof(struct echo);
}

static int level_of(uint64_t energy) {
  if (energy < FLOOR_ENERGY) energy = FLOOR_ENERGY;
  int octave = 63 - __builtin_clzll(energy);
  int part = (int)((energy >> (octave - LEVEL_OCTAVE_BITS)) & ((1 << LEVEL_OCTAVE_BITS) - 1));
  return (octave << LEVEL_OCTAVE_BITS) + part - LEVEL_MIDDLE;
}

static void forget(struct side *s) {
  memset(s->ring, 0, (size_t)s->ring_samples * sizeof *s->ring);
  s->level_now = level_of(0);
  for (int i = 0; i < LEVELS; i++) {
    s->level[i] = (int16_t)s->level_now;
    s->usable[i] = false;
  }
  s->energy = 0;
  s->missing = s->active_run = s->quiet_run = 0;
  s->missing_run = HOLD_HOPS + 1;
}

void echo_init(struct echo *e, echo_sink sink, void *arg) {
  memset(e, 0, sizeof *e);
  e->sink = sink;
  e->arg = arg;
  e->correlate = correlate_best();
  e->round_hop = -1;
  e->side[INBOUND].ring = e->ring_in;
  e->side[INBOUND].ring_samples = RING_IN;
  e->side[OUTBOUND].ring = e->ring_out;
  e->side[OUTBOUND].ring_samples = RING_OUT;
  for (int t = 0; t < TRACKS; t++) forget(&e->side[t]);
}

/* ---- one track's samples ---------------------------------------------------------------------- */

/* Whether a voice has been there for 300 ms, short pauses bridged. */
static bool active_long(struct side *s, bool active) {
  s->quiet_run = active ? 0 : s->quiet_run + 1;
  if (active)
    s->active_run++;
  else if (s->quiet_run <= HANGOVER_HOPS && s->active_run > 0)
    s->active_run++;
  else
    s->active_run = 0;
  if (s->active_run > ACTIVE_HOPS) s->active_run = ACTIVE_HOPS + 1;
  return s->active_run > ACTIVE_HOPS;
}

static void end_hop(struct side *s, bool outbound) {
  int at = (int)((s->end / ECHO_HOP - 1) % LEVELS);
  bool whole = s->missing == 0;
  uint64_t energy = s->energy + (s->missing_run == 0 ? s->energy_before : s->energy);
  if (whole) {
    if (s->missing_run > HOLD_HOPS) s->since_hop = s->end / ECHO_HOP - 1;
    s->level_now = level_of(energy);
    s->missing_run = 0;
  } else if (s->missing_run <= HOLD_HOPS && ++s->missing_run > HOLD_HOPS) {
    s->level_now = level_of(0);
  }
  s->level[at] = (int16_t)s->level_now;
  s->frame_energy[at] = energy;
  s->usable[at] = outbound ? active_long(s, whole && energy > ACTIVE_ENERGY) : whole;
  s->energy_before = s->energy;
  s->energy = 0;
  s->missing = 0;
}

/* Up to the end of the hop at work; `samples` at most that. */
static void put_piece(struct side *s, const int16_t *pcm, int samples) {
  int16_t *to = s->ring + s->end % s->ring_samples;
  uint64_t energy = 0;
  for (int i = 0; pcm != NULL && i < samples; i++) {
    int32_t x = pcm[i] < -INT16_MAX ? -INT16_MAX : pcm[i];
    to[i] = (int16_t)x;
    energy += (uint32_t)(x * x);
  }
  if (pcm == NULL) {
    memset(to, 0, (size_t)samples * sizeof *to);
    s->missing += samples;
  }
  s->energy += energy;
  s->end += samples;
}

static void put(struct side *s, bool outbound, const int16_t *pcm, int64_t samples) {
  while (samples > 0) {
    int64_t room = ECHO_HOP - s->end % ECHO_HOP;
    int piece = (int)(samples < room ? samples : room);
    put_piece(s, pcm, piece);
    if (pcm != NULL) pcm += piece;
    samples -= piece;
    if (piece == room) end_hop(s, outbound);
  }
}

/* A hole: what lies before a long one is out of reach behind it. */
static void skip(struct side *s, bool outbound, int64_t samples) {
  if (samples > 2 * RING_OUT) {
    int64_t whole = (samples - RING_OUT) / ECHO_HOP * ECHO_HOP;
    forget(s);
    s->missing = (int)(s->end % ECHO_HOP);
    s->end += whole;
    samples -= whole;
  }
  put(s, outbound, NULL, samples);
}

/* ---- a round ---------------------------------------------------------------------------------- */

static void end_round(struct echo *e, int64_t hop, bool found, double delay_ms, double erl_db) {
  const struct echo_verdict verdict = {.start_ms = e->round_hop * HOP_MS,
                                       .end_ms = (hop + 1) * HOP_MS,
                                       .found = found,
                                       .delay_ms = delay_ms,
                                       .erl_db = erl_db};
  struct echo_facts *f = &e->facts;
  f->verdicts++;
  if (found) {
    if (f->found == 0 || erl_db < f->erl_min_db) f->erl_min_db = erl_db;
    f->found++;
    f->delay_sum_ms += delay_ms;
    f->erl_sum_db += erl_db;
  }
  memset(&e->coarse, 0, sizeof e->coarse);
  e->searching = false;
  e->round_hop = -1;
  if (e->sink != NULL) e->sink(e->arg, &verdict);
}

/* ---- coarse: envelopes ------------------------------------------------------------------------ */

static void coarse_hop(struct echo *e, int64_t hop) {
  const struct side *in = &e->side[INBOUND], *out = &e->side[OUTBOUND];
  struct coarse *c = &e->coarse;
  int32_t y = in->level[hop % LEVELS];
  int16_t x[LAGS];
  for (int l = 0; l < LAGS; l++) x[l] = out->level[(hop + LEAD_HOPS - l + LEVELS) % LEVELS];
  c->hops++;
  c->y += y;
  c->yy += y * y;
  for (int l = 0; l < LAGS; l++) {
    c->x[l] += x[l];
    c->xx[l] += x[l] * x[l];
    c->xy[l] += x[l] * y;
  }
}

/* The lag at which the envelopes are most alike, in hops; false: nowhere enough. */
static bool coarse_best(const struct coarse *c, int *lag_hops) {
  int64_t n = c->hops, variance_y = n * c->yy - (int64_t)c->y * c->y;
  double best = ECHO_COARSE_HIT;
  bool hit = false;
  for (int l = 0; l < LAGS; l++) {
    int64_t covariance = n * c->xy[l] - (int64_t)c->x[l] * c->y;
    int64_t variance_x = n * c->xx[l] - (int64_t)c->x[l] * c->x[l];
    if (variance_x <= 0 || variance_y <= 0 || covariance <= 0) continue;
    double r = (double)covariance / sqrt((double)variance_x * (double)variance_y);
    if (r <= best) continue;
    best = r;
    hit = true;
    *lag_hops = l - LEAD_HOPS;
  }
  return hit;
}

/* ---- fine: samples ---------------------------------------------------------------------------- */

static void fine_start(struct echo *e, int lag_hops) {
  memset(&e->fine, 0, sizeof e->fine);
  e->fine.lag = (int64_t)lag_hops * ECHO_HOP;
  e->searching = true;
}

static void fine_clear(struct fine *f) {
  f->hops = 0;
  f->y = f->yy = 0;
  memset(f->x, 0, sizeof f->x);
  memset(f->xx, 0, sizeof f->xx);
  memset(f->xy, 0, sizeof f->xy);
}

static void copy_ring(const struct side *s, int64_t from, int16_t *to, int64_t samples) {
  int64_t at = from % s->ring_samples, first = s->ring_samples - at;
  if (first > samples) first = samples;
  memcpy(to, s->ring + at, (size_t)first * sizeof *to);
  memcpy(to + first, s->ring, (size_t)(samples - first) * sizeof *to);
}

static bool in_ring(const struct side *s, int64_t from, int64_t to) {
  return from >= 0 && from >= s->end - s->ring_samples && to <= s->end;
}

/* Member l of the sums is of the lag f->lag + REACH - l. */
static void fine_hop(struct echo *e, int64_t hop) {
  struct fine *f = &e->fine;
  enum { WINDOW = ECHO_HOP + FINE_LAGS - 1 };
  int16_t x[WINDOW], y[ECHO_HOP];
  int64_t from = hop * ECHO_HOP - f->lag - REACH;
  if (!in_ring(&e->side[OUTBOUND], from, from + WINDOW)) return;
  copy_ring(&e->side[OUTBOUND], from, x, WINDOW);
  copy_ring(&e->side[INBOUND], hop * ECHO_HOP, y, ECHO_HOP);
  int64_t sum = 0, squares = 0;
  for (int i = 0; i < ECHO_HOP; i++) {
    f->y += y[i];
    f->yy += y[i] * y[i];
    sum += x[i];
    squares += x[i] * x[i];
  }
  for (int l = 0; l < FINE_LAGS; l++) {
    f->x[l] += sum;
    f->xx[l] += squares;
    if (l + 1 == FINE_LAGS) break;
    sum += x[l + ECHO_HOP] - x[l];
    squares += x[l + ECHO_HOP] * x[l + ECHO_HOP] - x[l] * x[l];
  }
  e->correlate(x, y, FINE_LAGS, f->xy);
  f->hops++;
}

/* The best lag of a whole block; rho^2 there, and the two sums its gain is made of. */
static int64_t fine_best(const struct fine *f, double *rho2, double *covariance, double *power) {
  int64_t n = (int64_t)f->hops * ECHO_HOP, best = 0;
  double power_y = (double)(n * f->yy - f->y * f->y);
  *rho2 = *covariance = *power = 0;
  for (int l = 0; l < FINE_LAGS; l++) {
    double xy = (double)(n * f->xy[l] - f->x[l] * f->y), xx = (double)(n * f->xx[l] - f->x[l] * f->x[l]);
    if (xx <= 0 || power_y <= 0 || xy * xy <= *rho2 * (xx * power_y)) continue;
    *rho2 = xy * xy / (xx * power_y);
    *covariance = xy;
    *power = xx;
    best = f->lag + REACH - l;
  }
  return best;
}

static void fine_block(struct echo *e, int64_t hop) {
  struct fine *f = &e->fine;
  double rho2, covariance, power;
  int64_t lag = fine_best(f, &rho2, &covariance, &power);
  bool agrees = f->run > 0 && llabs(lag - f->last_lag) <= STABLE;
  if (rho2 <= RHO2_MIN || !agrees) {
    f->run = 0;
    f->lag_sum = 0;
    f->cov_sum = f->power_sum = 0;
  }
  if (rho2 > RHO2_MIN) {
    f->run++;
    f->last_lag = lag;
    f->lag_sum += lag;
    f->cov_sum += fabs(covariance);
    f->power_sum += power;
  }
  f->blocks++;
  if (f->run == BLOCKS_STABLE) {
    double delay_ms = (double)f->lag_sum / (BLOCKS_STABLE * MS_SAMPLES);
    end_round(e, hop, true, delay_ms > 0 ? delay_ms : 0, -20 * log10(f->cov_sum / f->power_sum));
  } else if (BLOCKS_MAX - f->blocks < BLOCKS_STABLE - f->run) {
    end_round(e, hop, false, 0, 0); /* the blocks left cannot make it */
  } else {
    fine_clear(f);
  }
}

/* ---- hops that both tracks know ----------------------------------------------------------------- */

static bool is_eligible(const struct echo *e, int64_t hop) {
  const struct side *in = &e->side[INBOUND], *out = &e->side[OUTBOUND];
  int at = (int)(hop % LEVELS);
  return out->usable[at] && in->usable[at] && hop - ECHO_LAG_MAX_HOPS >= out->since_hop &&
         in->frame_energy[at] * LOUDER_NUMERATOR <= out->frame_energy[at] * LOUDER_DENOMINATOR &&
         in_ring(in, hop * ECHO_HOP, (hop + 1) * ECHO_HOP);
}

static void look_at(struct echo *e, int64_t hop) {
  if (!is_eligible(e, hop)) return;
  if (e->round_hop < 0) e->round_hop = hop;
  if (e->searching) {
    fine_hop(e, hop);
    if (e->fine.hops == BLOCK_HOPS) fine_block(e, hop);
    return;
  }
  coarse_hop(e, hop);
  if (e->coarse.hops < COARSE_HOPS) return;
  int lag_hops = 0;
  if (coarse_best(&e->coarse, &lag_hops))
    fine_start(e, lag_hops > 0 ? lag_hops : 0);
  else
    end_round(e, hop, false, 0, 0);
}

static void look(struct echo *e) {
  const struct side *in = &e->side[INBOUND], *out = &e->side[OUTBOUND];
  int64_t end = in->end / ECHO_HOP, out_end = (out->end - REACH) / ECHO_HOP;
  if (out_end < end) end = out_end;
  int64_t newest = (in->end > out->end ? in->end : out->end) / ECHO_HOP;
  /* Both levels of a hop must still be there, and outbound's at the longest lag before it. */
  int64_t oldest = newest - LEVELS + ECHO_LAG_MAX_HOPS + 1;
  if (e->next_hop < oldest) e->next_hop = oldest;
  for (; e->next_hop < end; e->next_hop++) look_at(e, e->next_hop);
}

void echo_pcm(struct echo *e, int track, int64_t position_samples, const int16_t *pcm, size_t samples) {
  struct side *s = &e->side[track];
  bool outbound = track == OUTBOUND;
  int64_t count = (int64_t)samples;
  if (position_samples > s->end) skip(s, outbound, position_samples - s->end);
  if (position_samples < s->end) { /* heard already */
    int64_t old = s->end - position_samples;
    if (old >= count) return;
    count -= old;
    if (pcm != NULL) pcm += old;
  }
  if (pcm == NULL)
    skip(s, outbound, count);
  else
    put(s, outbound, pcm, count);
  look(e);
}

/* ---- facts -------------------------------------------------------------------------------------- */

const struct field echo_fields[] = {
    FIELD(echo_facts, verdicts, FIELD_U64, MERGE_SUM),
    FIELD(echo_facts, found, FIELD_U64, MERGE_SUM),
    FIELD(echo_facts, delay_sum_ms, FIELD_F64, MERGE_SUM),
    FIELD(echo_facts, erl_sum_db, FIELD_F64, MERGE_SUM),
    FIELD(echo_facts, erl_min_db, FIELD_F64, MERGE_MIN),
};
const size_t echo_field_count = sizeof echo_fields / sizeof *echo_fields;

void echo_facts(const struct echo *e, struct echo_facts *out) {
  *out = e->facts;
}

void echo_facts_merge(struct echo_facts *into, const struct echo_facts *from) {
  double erl_min_db = into->found == 0 ? from->erl_min_db : into->erl_min_db;
  if (from->found > 0 && from->erl_min_db < erl_min_db) erl_min_db = from->erl_min_db;
  fields_merge(echo_fields, echo_field_count, into, from);
  into->erl_min_db = erl_min_db;
}

bool echo_figures(const struct echo_facts *facts, double *delay_ms, double *erl_db) {
  if (facts->found == 0) return false;
  *delay_ms = facts->delay_sum_ms / (double)facts->found;
  *erl_db = facts->erl_sum_db / (double)facts->found;
  return true;
}
