#include "dsp/delivery_facts.h"

#include <math.h>
#include <string.h>

#include "dsp/burst.h"
#include "dsp/emodel.h"
#include "dsp/pdv.h"
#include "dsp/skew.h"

enum { SOUND_MIN_US = 5000000 };

static const double fullband_per_narrowband = 1.48; /* G.107.2: its MOS is that of R / 1.48 */
static const double ppl_range_pct = 20.0;           /* G.107 permits no more */

static const char no_media[] = "no_media", too_short[] = "too_short", no_bpl[] = "no_bpl",
                  no_burst[] = "no_burst", consumer_asr_stream[] = "consumer_asr_stream";

static struct figure number(double value) {
  return (struct figure){.value = value};
}

static struct figure absent(const char *reason) {
  return (struct figure){.absent = reason};
}

static struct figure count(uint64_t value) {
  return number((double)value);
}

static struct figure ms(uint64_t us) {
  return number((double)us / 1000.0);
}

static struct figure ratio(double dividend, double divisor, const char *reason) {
  return divisor > 0 ? number(dividend / divisor) : absent(reason);
}

static struct figure r_to_mos(struct figure r, double scale) {
  return r.absent != NULL ? r : number(emodel_mos(r.value / scale));
}

static void ledger_figures(const struct delivery_facts *f, struct delivery_figures *out) {
  uint64_t missing = f->expected_frames - f->received_frames;
  out->expected_frames = count(f->expected_frames);
  out->received_frames = count(f->received_frames);
  out->missing_frames = count(missing);
  out->reordered_frames = count(f->reordered_frames);
  out->max_reorder_frames = count(f->max_reorder_frames);
  out->duplicate_frames = count(f->duplicate_frames);
  out->late_frames = count(f->late_frames);
  out->restarts = count(f->restarts);
  out->outliers = count(f->outliers);
  out->clock_jumps = count(f->clock_jumps);
  out->numbering_jumps = count(f->numbering_jumps);
  out->big_gaps = count(f->big_gaps);
  out->missing_unassigned = count(f->missing_unassigned);
  out->media_pause_ms = ms(f->media_pause_us);
  out->stream_outage_ms = ms(f->outage_us);
  out->loss_pct = ratio(100.0 * (double)missing, (double)f->expected_frames, no_media);
  out->loss_ci_low_pct = out->loss_ci_high_pct = absent(no_media);
  if (f->expected_frames > 0) {
    double low, high;
    wilson_interval(missing, f->expected_frames, &low, &high);
    out->loss_ci_low_pct = number(100.0 * low);
    out->loss_ci_high_pct = number(100.0 * high);
  }
}

/* Effective loss (3.6): each frame once, by the consumer's own terms. */
static void loss_figures(const struct delivery_facts *f, enum quality_consumer consumer,
                         struct delivery_figures *out) {
  uint64_t lost = f->expected_frames - f->received_frames;
  out->discarded_f60 = count(f->discarded_f60);
  out->discarded_f120 = count(f->discarded_f120);
  out->discarded_f200 = count(f->discarded_f200);
  if (consumer == CONSUMER_PLAYOUT) {
    out->discarded_adaptive = count(f->discarded_adaptive);
    out->concealed_frames = count(f->concealed_frames);
    out->upstream_bad_frames = count(f->upstream_bad_counted);
    lost += f->discarded_adaptive + f->concealed_frames + f->upstream_bad_counted;
  } else {
    out->discarded_adaptive = out->concealed_frames = absent(consumer_asr_stream);
    out->upstream_bad_frames = count(f->upstream_bad_frames);
    lost += f->upstream_bad_frames;
  }
  out->inserted_silence_frames = count(f->inserted_silence_frames);
  lost += f->inserted_silence_frames;
  out->ppl_pct = ratio(100.0 * (double)lost, (double)f->expected_frames, no_media);
  if (out->ppl_pct.absent == NULL) out->ppl_pct.value = fmin(100.0, out->ppl_pct.value);
}

/* Of emulator A, so of its bursts only (3.10). */
static struct figure recovery_figure(const struct delivery_facts *f, enum quality_consumer consumer) {
  if (consumer != CONSUMER_PLAYOUT) return absent(consumer_asr_stream);
  if (f->burst_count[consumer] == 0) return absent(f->received_frames == 0 ? no_media : no_burst);
  return f->recovery_count > 0 ? ms(f->recovery_max_us) : absent("not_recovered");
}

static void burst_figures(const struct delivery_facts *f, enum quality_consumer consumer,
                          struct delivery_figures *out) {
  static const char no_gap[] = "no_gap";
  const char *none = f->received_frames == 0 ? no_media : no_burst;
  out->burst_count = count(f->burst_count[consumer]);
  out->burst_mean_ms = ratio((double)f->burst_us[consumer] / 1000.0, (double)f->burst_count[consumer], none);
  out->burst_density = ratio((double)f->burst_bad[consumer], (double)f->burst_frames[consumer], none);
  out->burst_longest_frames = count(f->longest_run[consumer]);
  none = f->received_frames == 0 ? no_media : no_gap;
  out->gap_mean_ms = ratio((double)f->gap_us[consumer] / 1000.0, (double)f->gap_count[consumer], none);
  out->gap_density = ratio((double)f->gap_bad[consumer], (double)f->gap_frames[consumer], none);

  bool enough = f->bad_runs[consumer] >= BURST_RUNS_MIN;
  uint64_t n = f->burst_frames[consumer] + f->gap_frames[consumer];
  out->burst_ratio_basis = enough ? "measured" : "insufficient";
  out->burst_ratio = f->received_frames == 0
                         ? absent(no_media)
                         : number(burst_ratio(n, f->bad_frames[consumer], f->bad_runs[consumer]));
  out->recovery_ms = recovery_figure(f, consumer);
}

static void arrival_figures(const struct delivery_facts *f, struct delivery_figures *out) {
  static const char one_frame[] = "no_predecessor";
  const char *none = f->received_frames == 0 ? no_media : one_frame;
  bool has_jitter = f->jitter_count > 0;
  out->jitter_last_ms = has_jitter ? number(f->jitter_last_ms) : absent(none);
  out->jitter_max_ms = has_jitter ? number(f->jitter_max_ms) : absent(none);
  out->jitter_mean_ms = ratio(f->jitter_sum_ms, (double)f->jitter_count, none);
  out->ipdv_abs_mean_ms = ratio(f->ipdv_abs_sum_ms, (double)f->jitter_count, none);

  const struct {
    struct figure *figure;
    double share;
  } percentile[] = {{&out->pdv_p50_ms, 0.5},
                    {&out->pdv_p95_ms, 0.95},
                    {&out->pdv_p99_ms, 0.99},
                    {&out->pdv_p999_ms, 0.999},
                    {&out->pdv_max_ms, 1.0}};
  uint64_t measured = 0;
  for (size_t i = 0; i < PDV_BUCKETS; i++) measured += f->pdv[i];
  for (size_t i = 0; i < sizeof(percentile) / sizeof(percentile[0]); i++) {
    *percentile[i].figure = measured == 0
                                ? absent(no_media)
                                : number(pdv_percentile_ms(f->pdv, percentile[i].share, f->pdv_max_us));
  }
  out->stall_count = count(f->stall_count);
  out->stall_longest_ms = ms(f->stall_longest_us);
  out->stall_total_ms = ms(f->stall_total_us);
  out->bunching_mean_frames = ratio((double)f->read_frames, (double)f->reads, no_media);
  out->bunching_share = ratio((double)f->reads_of_many, (double)f->reads, no_media);
  out->skew_ppm = ratio(f->skew_ppm_us, (double)f->skew_us, "not_fitted");
  out->playout_delay_ms = ratio((double)f->playout_sum_us / 1000.0, (double)f->playout_count, no_media);
}

/* Why no verdict of the model is given at all, or NULL. */
static const char *why_no_mos(const struct delivery_facts *f, const struct codec *codec) {
  if (codec == NULL) return "no_codec";
  if (codec->absent_reason != NULL) return codec->absent_reason;
  if (f->received_frames == 0) return no_media;
  if (f->expected_us < f->sid_us + SOUND_MIN_US) return too_short;
  return NULL;
}

static struct figure mean_r(const struct delivery_facts *f, const char *why, size_t model) {
  if (why != NULL) return absent(why);
  return ratio(f->r_sum[model], (double)f->r_us[model], no_bpl);
}

static void model_figures(const struct delivery_facts *f, const struct codec *codec, bool plc,
                          enum quality_consumer consumer, struct delivery_figures *out) {
  static const char no_ta[] = "no_ta";
  const char *why = why_no_mos(f, codec);
  size_t model = delivery_model(consumer, plc);
  out->r_plc = mean_r(f, why, delivery_model(consumer, true));
  out->r_noplc = mean_r(f, why, delivery_model(consumer, false));
  out->r_lq = plc ? out->r_plc : out->r_noplc;
  out->mos_lqe = r_to_mos(out->r_lq, 1.0);
  out->mos_fb = r_to_mos(out->r_lq, fullband_per_narrowband);
  out->ta_ms = out->r_cq = out->mos_cqe = absent(no_ta);
  out->network_jitter_ms = absent("not_rtp");

  out->ie = out->bpl = out->ie_eff = absent(why);
  if (codec != NULL && codec->absent_reason == NULL) {
    double bpl = plc ? codec->bpl_plc : codec->bpl;
    out->ie = number(codec->ie);
    out->bpl = bpl > 0 ? number(bpl) : absent(no_bpl);
    if (why == NULL) {
      double ie_eff =
          emodel_ie_eff(codec->ie, bpl, out->ppl_pct.value, out->burst_ratio.value, EMODEL_LOSS_CONSTANT_NB);
      out->ie_eff = isnan(ie_eff) ? absent(no_bpl) : number(ie_eff);
    }
  }
  out->worst_start_ms = out->worst_r = out->worst_mos = out->below_r70_share = absent(why);
  if (why != NULL) return;
  if (f->r_us[model] == 0) {
    out->worst_start_ms = out->worst_r = out->worst_mos = out->below_r70_share = absent(no_bpl);
    return;
  }
  out->worst_start_ms = number((double)f->worst_start_us[model] / 1000.0);
  out->worst_r = number(f->worst_r[model]);
  out->worst_mos = r_to_mos(out->worst_r, 1.0);
  out->below_r70_share = ratio((double)f->below_r70_us[model], (double)f->r_us[model], no_bpl);
}

static void flag(struct delivery_figures *out, bool raised, const char *name) {
  if (raised && out->flag_count < DELIVERY_FLAGS_MAX) out->flags[out->flag_count++] = name;
}

void delivery_figures(const struct delivery_facts *facts, const struct codec *codec, bool plc,
                      enum quality_consumer consumer, struct delivery_figures *out) {
  memset(out, 0, sizeof(*out));
  ledger_figures(facts, out);
  loss_figures(facts, consumer, out);
  burst_figures(facts, consumer, out);
  arrival_figures(facts, out);
  model_figures(facts, codec, plc, consumer, out);
  out->ptime_ms = facts->ptime_us > 0 ? ms(facts->ptime_us) : absent(no_media);
  out->window_ms = facts->window_us > 0 ? ms(facts->window_us) : absent(no_media);

  flag(out, facts->big_gaps > 0, "big_gap");
  flag(out, facts->media_clock_suspect > 0, "media_clock_suspect");
  flag(out, out->ppl_pct.value > ppl_range_pct || facts->clamped > 0, "out_of_range");
  flag(out, facts->self_delayed_frames > 0, "self_delayed");
  flag(out, facts->missing_unassigned > 0, "missing_unassigned");
}

void delivery_window_figures(const struct delivery_facts *facts, size_t index, const struct codec *codec,
                             bool plc, enum quality_consumer consumer, struct delivery_window_figures *out) {
  const struct delivery_window *w = &facts->windows[index];
  const char *why = why_no_mos(facts, codec);
  double r = w->r[delivery_model(consumer, plc)];
  out->start_ms = number((double)w->start_us / 1000.0);
  out->r = why != NULL ? absent(why) : r == DELIVERY_R_ABSENT ? absent(no_bpl) : number(r);
  out->mos = r_to_mos(out->r, 1.0);
  out->loss_pct = ratio(100.0 * (double)w->missing_frames, (double)w->expected_frames, no_media);
  out->jitter_ms = ratio(w->jitter_sum_ms, (double)w->jitter_count, "no_predecessor");
}
