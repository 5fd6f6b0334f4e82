#include "dsp/echo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/correlate.h"
#include "dsp/echo_track.h"

enum {
  INBOUND = 0,
  OUTBOUND = 1,
  TRACKS = 2,
  LEAD_HOPS = 30 / ECHO_HOP_MS, /* lags before zero, see echo.h */
  LAGS = LEAD_HOPS + ECHO_LAG_MAX_HOPS + 1,
  REACH = 30 * ECHO_MS, /* of the fine stage, to both sides */
  FINE_LAGS = 2 * REACH + 1,
  STABLE = 10 * ECHO_MS,
  COARSE_HOPS = 4000 / ECHO_HOP_MS,
  BLOCK_HOPS = 1000 / ECHO_HOP_MS,
  BLOCKS_MAX = 6,
  BLOCKS_STABLE = 3,
  /* Whole hops. Inbound: 1 s that it may lead; outbound: longest lag, reach, and 500 ms that it may lag. */
  RING_IN = 100 * ECHO_HOP,
  RING_OUT = 208 * ECHO_HOP,
  LOUDER_NUMERATOR = 398107,
  LOUDER_DENOMINATOR = 100000 /* 6 dB */
};
#define ECHO_COARSE_HIT 0.5
#define RHO2_MIN        0.1

_Static_assert(RING_OUT >= (ECHO_LAG_MAX_HOPS + 1) * ECHO_HOP + 2 * REACH + 500 * ECHO_MS, "see RING_OUT");

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
  struct echo_track track[TRACKS];
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

void echo_init(struct echo *e, echo_sink sink, void *arg) {
  memset(e, 0, sizeof *e);
  e->sink = sink;
  e->arg = arg;
  e->correlate = correlate_best();
  e->round_hop = -1;
  echo_track_init(&e->track[INBOUND], false, e->ring_in, RING_IN);
  echo_track_init(&e->track[OUTBOUND], true, e->ring_out, RING_OUT);
}

/* ---- a round ---------------------------------------------------------------------------------- */

static void end_round(struct echo *e, int64_t hop, bool found, double delay_ms, double erl_db) {
  const struct echo_verdict verdict = {.start_ms = e->round_hop * ECHO_HOP_MS,
                                       .end_ms = (hop + 1) * ECHO_HOP_MS,
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
  const struct echo_track *in = &e->track[INBOUND], *out = &e->track[OUTBOUND];
  struct coarse *c = &e->coarse;
  int32_t y = in->level[hop % ECHO_LEVELS];
  int16_t x[LAGS];
  unsigned newest = (unsigned)((hop + LEAD_HOPS) % ECHO_LEVELS) + ECHO_LEVELS;
  for (unsigned l = 0; l < LAGS; l++) x[l] = out->level[(newest - l) % ECHO_LEVELS];
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

/* Member l of the sums is of the lag f->lag + REACH - l. */
static void fine_hop(struct echo *e, int64_t hop) {
  struct fine *f = &e->fine;
  enum { WINDOW = ECHO_HOP + FINE_LAGS - 1 };
  int16_t x[WINDOW], y[ECHO_HOP];
  int64_t from = hop * ECHO_HOP - f->lag - REACH;
  if (!echo_track_has(&e->track[OUTBOUND], from, from + WINDOW)) return;
  echo_track_copy(&e->track[OUTBOUND], from, x, WINDOW);
  echo_track_copy(&e->track[INBOUND], hop * ECHO_HOP, y, ECHO_HOP);
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
    double delay_ms = (double)f->lag_sum / (BLOCKS_STABLE * ECHO_MS);
    end_round(e, hop, true, delay_ms > 0 ? delay_ms : 0, -20 * log10(f->cov_sum / f->power_sum));
  } else if (BLOCKS_MAX - f->blocks < BLOCKS_STABLE - f->run) {
    end_round(e, hop, false, 0, 0); /* the blocks left cannot make it */
  } else {
    fine_clear(f);
  }
}

/* ---- hops that both tracks know ----------------------------------------------------------------- */

static bool is_eligible(const struct echo *e, int64_t hop) {
  const struct echo_track *in = &e->track[INBOUND], *out = &e->track[OUTBOUND];
  int at = (int)(hop % ECHO_LEVELS);
  return out->usable[at] && in->usable[at] && hop - ECHO_LAG_MAX_HOPS >= out->since_hop &&
         in->frame_energy[at] * LOUDER_NUMERATOR <= out->frame_energy[at] * LOUDER_DENOMINATOR &&
         echo_track_has(in, hop * ECHO_HOP, (hop + 1) * ECHO_HOP);
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
  const struct echo_track *in = &e->track[INBOUND], *out = &e->track[OUTBOUND];
  int64_t end = in->end / ECHO_HOP, out_end = (out->end - REACH) / ECHO_HOP;
  if (out_end < end) end = out_end;
  int64_t newest = (in->end > out->end ? in->end : out->end) / ECHO_HOP;
  /* Both levels of a hop must still be there, and outbound's at the longest lag before it. */
  int64_t oldest = newest - ECHO_LEVELS + ECHO_LAG_MAX_HOPS + 1;
  if (e->next_hop < oldest) e->next_hop = oldest;
  for (; e->next_hop < end; e->next_hop++) look_at(e, e->next_hop);
}

void echo_pcm(struct echo *e, int track, int64_t position_samples, const int16_t *pcm, size_t samples) {
  echo_track_pcm(&e->track[track], position_samples, pcm, samples);
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
