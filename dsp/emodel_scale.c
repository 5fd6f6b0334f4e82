/* The reduced forms of G.107, G.107.1 and G.107.2 on one R. */
#include <math.h>

#include "dsp/emodel.h"

/* The coefficient of wideband is 25 or 1.29 * 25; which, is not known (voice-quality.md 9). */
static const struct emodel_scale scales[MOS_SCALES] = {
    [SCALE_NB] = {.name = "nb",
                  .model = "G.107",
                  .mos_lq = "MOS-LQEN",
                  .mos_cq = "MOS-CQEN",
                  .ceiling = EMODEL_R_CEILING_NB,
                  .loss_constant = EMODEL_LOSS_CONSTANT_NB,
                  .delay_coefficient = 25,
                  .mos_divisor = 1,
                  .bursts = true},
    [SCALE_WB] = {.name = "wb",
                  .model = "G.107.1",
                  .mos_lq = "MOS-LQEW",
                  .mos_cq = "MOS-CQEW",
                  .ceiling = 129,
                  .loss_constant = EMODEL_LOSS_CONSTANT_NB,
                  .delay_coefficient = 0,
                  .mos_divisor = 1.29,
                  .bursts = false},
    [SCALE_FB] = {.name = "fb",
                  .model = "G.107.2",
                  .mos_lq = "MOS-LQEF",
                  .mos_cq = "MOS-CQEF",
                  .ceiling = 148,
                  .loss_constant = EMODEL_LOSS_CONSTANT_FB,
                  .delay_coefficient = 37,
                  .mos_divisor = 1.48,
                  .bursts = false},
};

const struct emodel_scale *emodel_scale(enum mos_scale scale) {
  return &scales[scale];
}

double emodel_mos_on(enum mos_scale scale, double r) {
  return emodel_mos(r / scales[scale].mos_divisor);
}

static double delay_on(const struct emodel_scale *s, double ta_ms, double mt_ms, double st) {
  double idd = emodel_idd(ta_ms, mt_ms, st);
  if (s->delay_coefficient > 0) return idd * (s->delay_coefficient / scales[SCALE_NB].delay_coefficient);
  return ta_ms > mt_ms ? NAN : idd;
}

double emodel_idd_on(enum mos_scale scale, double ta_ms) {
  return delay_on(&scales[scale], ta_ms, emodel_defaults.mt_ms, emodel_defaults.st);
}

void emodel_reduced(enum mos_scale scale, const struct emodel_inputs *in, struct emodel_result *out) {
  const struct emodel_scale *s = &scales[scale];
  double burst_ratio = s->bursts ? in->burst_ratio : 1;
  unsigned flags = emodel_ie_eff_flags(in->ie, in->bpl, in->ppl_pct, burst_ratio, s->loss_constant);
  if (isnan(emodel_idd(in->ta_ms, in->mt_ms, in->st))) flags = EMODEL_NOT_FINITE;
  if (flags & EMODEL_NOT_FINITE) {
    *out = (struct emodel_result){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, EMODEL_NOT_FINITE};
    return;
  }
  double id = delay_on(s, in->ta_ms, in->mt_ms, in->st);
  if (isnan(id)) flags |= EMODEL_NO_WB_DELAY;
  *out = (struct emodel_result){.ro = s->ceiling, .id = id, .idd = id, .flags = flags};
  out->ie_eff = emodel_ie_eff(in->ie, in->bpl, in->ppl_pct, burst_ratio, s->loss_constant);
  out->r = out->ro - out->id - out->ie_eff;
  out->mos = emodel_mos_on(scale, out->r);
}
