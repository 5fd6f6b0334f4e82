/* The E-model's figures of a track: its windows' R put together, the leg's codec taken off, MOS last. */
#include <math.h>

#include "dsp/delivery_facts.h"
#include "dsp/recency.h"

enum { SOUND_MIN_US = 5000000 };
static const double r_bad = 70; /* G.109: below it many are dissatisfied */

static const char no_media[] = "no_media", no_ie[] = "no_ie", no_bpl[] = "no_bpl";

/* What the figures are made by, all from one place. */
struct verdict {
  const struct delivery_facts *facts;
  const struct codec *codec;
  size_t model;
  const char *why;      /* no R, or NULL */
  enum mos_scale sound; /* the widest the stream's sound was */
  enum mos_scale scale; /* of the content: not wider than the leg */
  double leg;           /* what the leg's codec takes from R */
  double sound_ie;      /* of the stream's sound on its own scale */
};

/* Why no verdict of the model is given at all, or NULL. */
static const char *why_no_mos(const struct delivery_facts *f, const struct codec *codec) {
  if (codec == NULL) return "no_codec";
  if (f->received_frames == 0) return no_media;
  if (f->expected_us < f->sid_us + SOUND_MIN_US) return "too_short";
  return NULL;
}

/* One stretch without an R leaves the call without one: the others would be a better call than it was. */
static const char *why_no_r(const struct delivery_facts *f, const struct codec *codec, size_t model) {
  const char *why = why_no_mos(f, codec);
  if (why != NULL) return why;
  if (f->unrated_us[model] > 0) return no_ie;
  if (f->no_bpl_us[model] > 0) return no_bpl;
  return f->r_us[model] > 0 ? NULL : no_ie;
}

static void weigh_scales(struct verdict *v, const struct leg_codec *leg) {
  uint64_t total_us = 0;
  for (int i = 0; i < MOS_SCALES; i++) total_us += v->facts->coded_us[i];
  if (total_us == 0) {
    v->sound = v->codec != NULL ? v->codec->scale : SCALE_NB;
    v->leg = leg_impairment(leg, v->sound);
  }
  for (int i = 0; i < MOS_SCALES && total_us > 0; i++) {
    enum mos_scale scale = (enum mos_scale)i;
    if (v->facts->coded_us[i] == 0) continue;
    v->sound = scale;
    v->leg += leg_impairment(leg, scale) * (double)v->facts->coded_us[i] / (double)total_us;
  }
  v->scale = v->sound;
  if (leg->known == LEG_OTHER && leg->row->scale < v->scale) v->scale = leg->row->scale;
}

static struct verdict verdict_of(const struct delivery_facts *f, const struct codec *codec,
                                 const struct delivery_view *view) {
  size_t model = delivery_model(view->consumer, view->plc);
  struct verdict v = {.facts = f, .codec = codec, .model = model, .why = why_no_r(f, codec, model)};
  weigh_scales(&v, &view->leg);
  return v;
}

static struct figure r_to_mos(struct figure r, enum mos_scale scale) {
  return r.absent != NULL ? r : figure_number(emodel_mos_on(scale, r.value));
}

static struct figure mean_r(const struct verdict *v, size_t model) {
  const char *why = why_no_r(v->facts, v->codec, model);
  if (why != NULL) return figure_absent(why);
  return figure_number(v->facts->r_sum[model] / (double)v->facts->r_us[model] - v->leg);
}

/* ---- the codec ---- */

/* Of facts stored before they told the coding: they are of codecs with one mode. */
static bool only_mode(const struct codec *codec, bool plc, struct impairment *row) {
  const struct coded_sound sound = {.codec = codec, .us = 1};
  if (codec == NULL || codec->has_modes) return false;
  return coded_impairment(&sound, plc, row);
}

/* Ie of the content under a loss, by the track's Ie and Bpl; NaN without a Bpl. */
static double under_loss(const struct verdict *v, const struct delivery_figures *out, double ppl_pct,
                         double burst_ratio) {
  const struct emodel_scale *sound = emodel_scale(v->sound);
  double bpl = out->bpl.absent == NULL ? out->bpl.value : 0;
  double by_loss = emodel_ie_eff(v->sound_ie, bpl, ppl_pct, burst_ratio, sound->loss_constant) - v->sound_ie;
  return out->ie.value + by_loss;
}

static void codec_figures(struct verdict *v, const struct delivery_view *view, struct delivery_figures *out) {
  const struct delivery_facts *f = v->facts;
  struct impairment row;
  bool known = only_mode(v->codec, view->plc, &row);
  double ceiling = emodel_scale(v->sound)->ceiling, clean, bpl = 0;
  /* Stored facts may be damaged, or of a version with more kinds. */
  enum ie_basis basis = f->ie_basis < IE_NONE ? (enum ie_basis)f->ie_basis : IE_NONE;
  out->ie = out->bpl = out->ie_eff = figure_absent(v->codec == NULL ? "no_codec" : no_ie);
  out->ie_basis = ie_basis_name(IE_NONE);
  if (v->codec == NULL) return;
  if (f->clean_r_us > 0) {
    clean = f->clean_r_sum / (double)f->clean_r_us;
    if (f->bpl_us[v->model] == f->clean_r_us) bpl = f->bpl_sum[v->model] / (double)f->clean_r_us;
  } else if (known) {
    clean = ceiling - row.ie;
    bpl = row.bpl;
    basis = row.basis;
  } else {
    return;
  }
  if (leg_basis(&view->leg) > basis) basis = leg_basis(&view->leg);
  out->ie_basis = ie_basis_name(basis);
  out->ie = figure_number(fmax(0, emodel_scale(v->scale)->ceiling - (clean - v->leg)));
  out->bpl = bpl > 0 ? figure_number(bpl) : figure_absent(no_bpl);
  v->sound_ie = fmax(0, ceiling - clean);
  if (v->why != NULL) {
    out->ie_eff = figure_absent(v->why);
    return;
  }
  double bursts = coded_takes_bursts(v->codec) ? out->burst_ratio.value : 1;
  double ie_eff = under_loss(v, out, out->ppl_pct.value, bursts);
  if (emodel_ie_eff_flags(v->sound_ie, 1, out->ppl_pct.value, bursts, emodel_scale(v->sound)->loss_constant) &
      (EMODEL_CLAMPED | EMODEL_OUT_OF_RANGE))
    out->out_of_range = true;
  out->ie_eff = isnan(ie_eff) ? figure_absent(no_bpl) : figure_number(ie_eff);
}

/* ---- what is remembered ---- */

/* Bursts and gaps of mean length, each random within (3.10). */
static void perceptual_figures(const struct verdict *v, const struct delivery_view *view,
                               struct delivery_figures *out) {
  const struct delivery_facts *f = v->facts;
  int consumer = (int)view->consumer;
  const char *why = v->why;
  double burst_s = 0, gap_s = 0, burst_ie = 0, gap_ie = 0;
  if (why == NULL && f->burst_count[consumer] > 0) {
    burst_s = out->burst_mean_ms.value / 1000;
    burst_ie = under_loss(v, out, 100 * out->burst_density.value, 1);
  }
  if (why == NULL && f->gap_count[consumer] > 0) {
    gap_s = out->gap_mean_ms.value / 1000;
    gap_ie = under_loss(v, out, 100 * out->gap_density.value, 1);
  }
  if (why == NULL && !(burst_s + gap_s > 0)) why = no_media;
  if (why == NULL && isnan(burst_ie + gap_ie)) why = no_bpl;
  if (why != NULL) {
    out->r_av = out->r_end = out->mos_end = figure_absent(why);
    return;
  }
  double ceiling = emodel_scale(v->scale)->ceiling;
  struct recency felt = recency_of(burst_ie, gap_ie, burst_s, gap_s);
  double end = burst_s > 0 ? recency_end(&felt, (double)f->since_burst_us[consumer] * 1e-6) : felt.av;
  out->r_av = figure_number(ceiling - felt.av);
  out->r_end = figure_number(ceiling - end);
  out->mos_end = r_to_mos(out->r_end, v->scale);
}

/* ---- conversation ---- */

/* Mouth to ear (1.2): half the round trip, the frame, what the encoder waits for, the buffer. Over a
 * stream the caller's leg is not in it, and Ta is a lower bound that no CQ may be made of. */
static void delay_figures(const struct verdict *v, const struct delivery_view *view,
                          struct delivery_figures *out) {
  bool rtcp = out->rtt_rtcp_ms.absent == NULL;
  struct figure rtt = rtcp ? out->rtt_rtcp_ms : out->rtt_tcp_ms;
  if (rtt.absent != NULL) rtt = out->rtt_ws_ms;
  if (v->facts->received_frames == 0 || v->codec == NULL) {
    out->ta_ms = figure_absent(v->codec == NULL ? "no_codec" : no_media);
    return;
  }
  if (rtt.absent != NULL) {
    out->ta_ms = figure_absent("no_rtt");
    return;
  }
  double ta_ms = rtt.value / 2 + out->ptime_ms.value + v->codec->look_ahead_us / 1000.0;
  if (view->consumer == CONSUMER_PLAYOUT) ta_ms += out->playout_delay_ms.value;
  out->ta_ms = figure_number(ta_ms);
  out->ta_basis = rtcp ? "rtcp" : "stream_only";
}

static void conversational_figures(const struct verdict *v, struct delivery_figures *out) {
  const struct emodel_scale *scale = emodel_scale(v->scale);
  bool measured = out->ta_basis != NULL && out->rtt_rtcp_ms.absent == NULL;
  double idd = measured ? emodel_idd_on(v->scale, out->ta_ms.value) : 0;
  if (out->r_lq.absent != NULL)
    out->r_cq = out->r_lq;
  else if (!measured)
    out->r_cq = figure_absent(out->ta_ms.absent != NULL ? "no_ta" : "ta_stream_only");
  else
    out->r_cq = isnan(idd) ? figure_absent("wb_delay_coefficient") : figure_number(out->r_lq.value - idd);
  out->mos_cqe = r_to_mos(out->r_cq, v->scale);
  out->algorithm = out->mos_cqe.absent == NULL ? scale->mos_cq : scale->mos_lq;
}

/* ---- windows ---- */

/* With a leg's codec R shifts, and 70 with it: counted anew from the windows that are kept, which are those
 * of 10 s up to two hours. */
static struct figure below_r70(const struct verdict *v) {
  const struct delivery_facts *f = v->facts;
  uint64_t below_us = f->below_r70_us[v->model];
  if (v->leg > 0) {
    below_us = 0;
    for (size_t i = 0; i < f->window_count; i++) {
      double r = f->windows[i].r[v->model];
      if (r != DELIVERY_R_ABSENT && r - v->leg < r_bad) below_us += f->windows[i].weight_us;
    }
  }
  return figure_number((double)below_us / (double)f->r_us[v->model]);
}

static void worst_figures(const struct verdict *v, struct delivery_figures *out) {
  if (v->why != NULL) {
    out->worst_start_ms = out->worst_r = out->worst_mos = out->below_r70_share = figure_absent(v->why);
    return;
  }
  out->worst_start_ms = figure_number((double)v->facts->worst_start_us[v->model] / 1000.0);
  out->worst_r = figure_number(v->facts->worst_r[v->model] - v->leg);
  out->worst_mos = r_to_mos(out->worst_r, v->scale);
  out->below_r70_share = below_r70(v);
}

void delivery_model_figures(const struct delivery_facts *facts, const struct codec *codec,
                            const struct delivery_view *view, struct delivery_figures *out) {
  struct verdict v = verdict_of(facts, codec, view);
  out->scale = v.scale;
  out->out_of_range = facts->out_of_range[v.model] > 0;
  out->r_plc = mean_r(&v, delivery_model(view->consumer, true));
  out->r_noplc = mean_r(&v, delivery_model(view->consumer, false));
  out->r_lq = view->plc ? out->r_plc : out->r_noplc;
  out->mos_lqe = r_to_mos(out->r_lq, v.scale);
  out->mos_fb = r_to_mos(out->r_lq, SCALE_FB);
  codec_figures(&v, view, out);
  delay_figures(&v, view, out);
  conversational_figures(&v, out);
  worst_figures(&v, out);
  perceptual_figures(&v, view, out);
}

void delivery_window_figures(const struct delivery_facts *facts, size_t index, const struct codec *codec,
                             const struct delivery_view *view, struct delivery_window_figures *out) {
  const struct delivery_window *w = &facts->windows[index];
  struct verdict v = verdict_of(facts, codec, view);
  const char *why = why_no_mos(facts, codec);
  double r = w->r[v.model];
  if (why == NULL && r == DELIVERY_R_ABSENT) why = facts->no_bpl_us[v.model] > 0 ? no_bpl : no_ie;
  out->start_ms = figure_number((double)w->start_us / 1000.0);
  out->r = why != NULL ? figure_absent(why) : figure_number(r - v.leg);
  out->mos = r_to_mos(out->r, v.scale);
  out->loss_pct = figure_ratio(100.0 * (double)w->missing_frames, (double)w->expected_frames, no_media);
  out->jitter_ms = figure_ratio(w->jitter_sum_ms, (double)w->jitter_count, "no_predecessor");
}
