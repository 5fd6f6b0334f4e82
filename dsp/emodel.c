#include "dsp/emodel.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* G.107 table 2; all of them together give R = 93.206. */
const struct emodel_inputs emodel_defaults = {
    .slr_db = 8,
    .rlr_db = 2,
    .stmr_db = 15,
    .ds_db = 3,
    .dr_db = 3,
    .telr_db = 65,
    .wepl_db = 110,
    .t_ms = 0,
    .tr_ms = 0,
    .ta_ms = 0,
    .qdu = 1,
    .ie = 0,
    .bpl = 4.3,
    .ppl_pct = 0,
    .burst_ratio = 1,
    .nc_dbm0p = -70,
    .nfor_dbmp = -64,
    .ps_dba = 35,
    .pr_dba = 35,
    .advantage = 0,
    .mt_ms = 100,
    .st = 1,
};

/* What G.107 permits, and the wider span within which the formulas stay real and finite. */
struct limit {
  size_t offset;
  double permitted_low, permitted_high;
  double low, high;
};

#define LIMIT(member_, permitted_low_, permitted_high_, low_, high_)                      \
  {                                                                                       \
    .offset = offsetof(struct emodel_inputs, member_), .permitted_low = (permitted_low_), \
    .permitted_high = (permitted_high_), .low = (low_), .high = (high_)                   \
  }

#define DELAY_MAX_MS 1e6
#define IE_MARGIN    0.1 /* Ie stays that far below the loss constant */

/* Ist takes odd roots of its terms: STMR and TELR below 0 would make them negative. */
static const struct limit limits[] = {
    LIMIT(slr_db, 0, 18, -100, 100),
    LIMIT(rlr_db, -5, 14, -100, 100),
    LIMIT(stmr_db, 10, 20, 0, 100),
    LIMIT(ds_db, -3, 3, -100, 100),
    LIMIT(dr_db, -3, 3, -100, 100),
    LIMIT(telr_db, 5, 65, 0, 200),
    LIMIT(wepl_db, 5, 110, 0, 200),
    LIMIT(t_ms, 0, 500, 0, DELAY_MAX_MS),
    LIMIT(tr_ms, 0, 1000, 0, DELAY_MAX_MS),
    LIMIT(ta_ms, 0, 500, 0, DELAY_MAX_MS),
    LIMIT(qdu, 1, 14, 0.01, 100),
    LIMIT(ie, 0, 40, 0, EMODEL_LOSS_CONSTANT_NB - IE_MARGIN),
    LIMIT(bpl, 4.3, 40, -HUGE_VAL, HUGE_VAL),
    LIMIT(ppl_pct, 0, 20, 0, 100),
    LIMIT(burst_ratio, 1, 8, 1, 8),
    LIMIT(nc_dbm0p, -80, -40, -200, 100),
    LIMIT(nfor_dbmp, -64, -64, -200, 100),
    LIMIT(ps_dba, 35, 85, -100, 200),
    LIMIT(pr_dba, 35, 85, -100, 200),
    LIMIT(advantage, 0, 20, 0, 100),
    LIMIT(mt_ms, 100, 150, 1, DELAY_MAX_MS),
    LIMIT(st, 0.4, 1, 0.1, 10),
};

static_assert(sizeof limits / sizeof limits[0] == sizeof(struct emodel_inputs) / sizeof(double),
              "a limit for each input");

static double clamp(double value, double low, double high) {
  return value < low ? low : value > high ? high : value;
}

/* Clamps every input in place. A codec without a Bpl is no breach of its range. */
static unsigned keep_limits(struct emodel_inputs *in) {
  unsigned flags = 0;
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    const struct limit *l = &limits[i];
    double *value = (double *)(void *)((char *)in + l->offset);
    if (!isfinite(*value)) return EMODEL_NOT_FINITE;
    bool no_bpl = l->offset == offsetof(struct emodel_inputs, bpl) && *value <= 0;
    if ((*value < l->permitted_low || *value > l->permitted_high) && !no_bpl) flags |= EMODEL_OUT_OF_RANGE;
    if (*value < l->low || *value > l->high) flags |= EMODEL_CLAMPED;
    *value = clamp(*value, l->low, l->high);
  }
  if (in->ppl_pct > 0 && in->bpl <= 0) flags |= EMODEL_NO_BPL;
  return flags;
}

static double from_db(double db) {
  return pow(10, db / 10);
}

/* No: all noise, as one level at the 0 dBr point. */
static double noise(const struct emodel_inputs *in) {
  double olr = in->slr_db + in->rlr_db;
  double from_send_room = in->ps_dba - olr - in->ds_db - 14;
  double send = in->ps_dba - in->slr_db - in->ds_db - 100 + 0.004 * from_send_room * from_send_room;
  double lstr = in->stmr_db + in->dr_db;
  double room = in->pr_dba + 10 * log10(1 + from_db(10 - lstr));
  double receive = in->rlr_db - 121 + room + 0.008 * (room - 35) * (room - 35);
  double floor_ = in->nfor_dbmp + in->rlr_db;
  return 10 * log10(from_db(in->nc_dbm0p) + from_db(send) + from_db(receive) + from_db(floor_));
}

/* Ist: sidetone that is too loud or too faint. */
static double sidetone(const struct emodel_inputs *in) {
  double masked = -10 * log10(from_db(-in->stmr_db) + exp(-in->t_ms / 4) * from_db(-in->telr_db));
  return 12 * pow(1 + pow((masked - 13) / 6, 8), 1.0 / 8) -
         28 * pow(1 + pow((masked + 1) / 19.4, 35), 1.0 / 35) -
         13 * pow(1 + pow((masked - 3) / 33, 13), 1.0 / 13) + 29;
}

/* Iolr: a connection louder than is comfortable. */
static double loudness(const struct emodel_inputs *in, double no) {
  double x = (in->slr_db + in->rlr_db + 0.2 * (64 + no - in->rlr_db)) / 8;
  return 20 * (pow(1 + pow(x, 8), 1.0 / 8) - x);
}

/* Iq: quantizing distortion. */
static double quantizing(const struct emodel_inputs *in, double ro) {
  double q = 37 - 15 * log10(in->qdu);
  double g = 1.07 + 0.258 * q + 0.0602 * q * q;
  double y = (ro - 100) / 15 + 46 / 8.4 - g / 9;
  double z = 46.0 / 30 - g / 40;
  return 15 * log10(1 + pow(10, y) + pow(10, z));
}

/* Half the sum of x and its distance from 0, the corner rounded: how an echo rating far below the basic
 * one turns into an impairment. */
static double soft_half(double x, double roundness) {
  return x / 2 + sqrt(x * x / 4 + roundness);
}

static double talker_echo(const struct emodel_inputs *in, double no, double ist) {
  double idte = 0;
  if (in->t_ms >= 1) {
    double terv = in->telr_db - 40 * log10((1 + in->t_ms / 10) / (1 + in->t_ms / 150)) +
                  6 * exp(-0.3 * in->t_ms * in->t_ms);
    if (in->stmr_db < 9) terv += ist / 2;
    double roe = -1.5 * (no - in->rlr_db);
    double re = 80 + 2.5 * (terv - 14);
    idte = (soft_half(roe - re, 100) - 1) * (1 - exp(-in->t_ms));
  }
  return in->stmr_db > 20 ? sqrt(idte * idte + ist * ist) : idte;
}

static double listener_echo(const struct emodel_inputs *in, double ro) {
  double rle = 10.5 * (in->wepl_db + 7) * pow(in->tr_ms + 1, -0.25);
  return soft_half(ro - rle, 169);
}

static double absolute_delay(double ta_ms, double mt_ms, double st) {
  if (ta_ms <= mt_ms) return 0;
  double k = 6 * st;
  double x = log2(ta_ms / mt_ms);
  return 25 * (pow(1 + pow(x, k), 1 / k) - 3 * pow(1 + pow(x / 3, k), 1 / k) + 2);
}

/* A codec without Bpl has a rating only where nothing is lost. */
static double loss(double ie, double bpl, double ppl_pct, double burst_ratio, double constant) {
  if (ppl_pct <= 0) return ie;
  if (bpl <= 0) return NAN;
  return ie + (constant - ie) * ppl_pct / (ppl_pct / burst_ratio + bpl);
}

static void rate(const struct emodel_inputs *in, struct emodel_result *out) {
  double no = noise(in), ist = sidetone(in);
  out->ro = 15 - 1.5 * (in->slr_db + no);
  out->is = loudness(in, no) + ist + quantizing(in, out->ro);
  out->idte = talker_echo(in, no, ist);
  out->idle = listener_echo(in, out->ro);
  out->idd = absolute_delay(in->ta_ms, in->mt_ms, in->st);
  out->id = out->idte + out->idle + out->idd;
  out->ie_eff = loss(in->ie, in->bpl, in->ppl_pct, in->burst_ratio, EMODEL_LOSS_CONSTANT_NB);
  out->r = out->ro - out->is - out->id - out->ie_eff + in->advantage;
  out->mos = emodel_mos(out->r);
}

static void no_result(unsigned flags, struct emodel_result *out) {
  *out = (struct emodel_result){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, flags};
}

void emodel_full(const struct emodel_inputs *in, struct emodel_result *out) {
  struct emodel_inputs use = *in;
  unsigned flags = keep_limits(&use);
  if (flags & EMODEL_NOT_FINITE) {
    no_result(flags, out);
    return;
  }
  rate(&use, out);
  out->flags = flags;
}

void emodel_reduced_nb(const struct emodel_inputs *in, enum emodel_id id, struct emodel_result *out) {
  struct emodel_inputs use = emodel_defaults;
  use.ie = in->ie;
  use.bpl = in->bpl;
  use.ppl_pct = in->ppl_pct;
  use.burst_ratio = in->burst_ratio;
  use.ta_ms = in->ta_ms;
  use.mt_ms = in->mt_ms;
  use.st = in->st;
  if (id == EMODEL_ID_FULL) use.telr_db = in->telr_db;
  unsigned flags = keep_limits(&use);
  if (flags & EMODEL_NOT_FINITE) {
    no_result(flags, out);
    return;
  }
  use.t_ms = use.ta_ms;
  use.tr_ms = 2 * use.ta_ms;
  rate(&use, out);
  if (id == EMODEL_ID_FULL) {
    out->id = fmax(0, out->id - EMODEL_DEFAULT_ID);
  } else {
    out->idte = out->idle = 0;
    out->id = out->idd;
  }
  out->ro = EMODEL_R_CEILING_NB;
  out->is = 0;
  out->r = out->ro - out->id - out->ie_eff;
  out->mos = emodel_mos(out->r);
  out->flags = flags;
}

/* The cubic of G.107 Annex B dips below 1 under R = 6.5153. */
double emodel_mos(double r) {
  if (!isfinite(r)) return NAN;
  if (r <= 0) return 1;
  if (r >= 100) return 4.5;
  return fmax(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

/* G.107 Appendix I: the middle root of the cubic. Between 1 and 4.5 the radicand stays above 7900. */
double emodel_r_of_mos(double mos) {
  if (!isfinite(mos)) return NAN;
  double m = clamp(mos, 1, 4.5);
  double radicand = -903522 + 1113960 * m - 202500 * m * m;
  double h = atan2(15 * sqrt(radicand), 18566 - 6750 * m) / 3;
  return 20.0 / 3 * (8 - sqrt(226) * cos(h + M_PI / 3));
}

static double normal_pct(double x) {
  return 50 * erfc(-x * M_SQRT1_2);
}

double emodel_gob_pct(double r) {
  return isfinite(r) ? normal_pct((r - 60) / 16) : NAN;
}

double emodel_pow_pct(double r) {
  return isfinite(r) ? normal_pct((45 - r) / 16) : NAN;
}

double emodel_idd(double ta_ms, double mt_ms, double st) {
  struct emodel_inputs use = emodel_defaults;
  use.ta_ms = ta_ms;
  use.mt_ms = mt_ms;
  use.st = st;
  if (keep_limits(&use) & EMODEL_NOT_FINITE) return NAN;
  return absolute_delay(use.ta_ms, use.mt_ms, use.st);
}

double emodel_ie_eff(double ie, double bpl, double ppl_pct, double burst_ratio, double constant) {
  if (emodel_ie_eff_flags(ie, bpl, ppl_pct, burst_ratio, constant) & EMODEL_NOT_FINITE) return NAN;
  return loss(clamp(ie, 0, constant - IE_MARGIN), bpl, clamp(ppl_pct, 0, 100), clamp(burst_ratio, 1, 8),
              constant);
}

/* Here the two quantities that 1.5 names: Ie beyond 40 is ordinary on the wider scales. */
unsigned emodel_ie_eff_flags(double ie, double bpl, double ppl_pct, double burst_ratio, double constant) {
  unsigned flags = 0;
  if (!isfinite(ie) || !isfinite(bpl) || !isfinite(ppl_pct) || !isfinite(burst_ratio) || !isfinite(constant))
    return EMODEL_NOT_FINITE;
  if (ppl_pct < 0 || ppl_pct > 20 || burst_ratio < 1 || burst_ratio > 8) flags |= EMODEL_OUT_OF_RANGE;
  if (ie < 0 || ie > constant - IE_MARGIN || ppl_pct < 0 || ppl_pct > 100 || burst_ratio < 1 ||
      burst_ratio > 8)
    flags |= EMODEL_CLAMPED;
  if (ppl_pct > 0 && bpl <= 0) flags |= EMODEL_NO_BPL;
  return flags;
}
