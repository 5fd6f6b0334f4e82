#include "dsp/delivery_facts.h"

#include <math.h>
#include <string.h>

#include "dsp/burst.h"
#include "dsp/pdv.h"
#include "dsp/skew.h"

static const char no_media[] = "no_media", no_burst[] = "no_burst",
                  consumer_asr_stream[] = "consumer_asr_stream";

static void ledger_figures(const struct delivery_facts *f, struct delivery_figures *out) {
  uint64_t missing = f->expected_frames - f->received_frames;
  out->expected_frames = figure_count(f->expected_frames);
  out->received_frames = figure_count(f->received_frames);
  out->missing_frames = figure_count(missing);
  out->reordered_frames = figure_count(f->reordered_frames);
  out->max_reorder_frames = figure_count(f->max_reorder_frames);
  out->duplicate_frames = figure_count(f->duplicate_frames);
  out->late_frames = figure_count(f->late_frames);
  out->restarts = figure_count(f->restarts);
  out->outliers = figure_count(f->outliers);
  out->clock_jumps = figure_count(f->clock_jumps);
  out->numbering_jumps = figure_count(f->numbering_jumps);
  out->big_gaps = figure_count(f->big_gaps);
  out->missing_unassigned = figure_count(f->missing_unassigned);
  out->media_pause_ms = figure_ms(f->media_pause_us);
  out->stream_outage_ms = figure_ms(f->outage_us);
  out->loss_pct = figure_ratio(100.0 * (double)missing, (double)f->expected_frames, no_media);
  out->loss_ci_low_pct = out->loss_ci_high_pct = figure_absent(no_media);
  if (f->expected_frames > 0) {
    double low, high;
    wilson_interval(missing, f->expected_frames, &low, &high);
    out->loss_ci_low_pct = figure_number(100.0 * low);
    out->loss_ci_high_pct = figure_number(100.0 * high);
  }
}

/* Effective loss (3.6): each frame once, by the consumer's own terms. */
static void loss_figures(const struct delivery_facts *f, enum quality_consumer consumer,
                         struct delivery_figures *out) {
  uint64_t lost = f->expected_frames - f->received_frames, silence = f->inserted_silence_frames;
  out->discarded_f60 = figure_count(f->discarded_f60);
  out->discarded_f120 = figure_count(f->discarded_f120);
  out->discarded_f200 = figure_count(f->discarded_f200);
  if (consumer == CONSUMER_PLAYOUT) {
    out->discarded_adaptive = figure_count(f->discarded_adaptive);
    out->concealed_frames = figure_count(f->concealed_frames);
    out->upstream_bad_frames = figure_count(f->upstream_bad_counted);
    lost += f->discarded_adaptive + f->concealed_frames + f->upstream_bad_counted;
    silence -= f->inserted_silence_discarded < silence ? f->inserted_silence_discarded : silence;
  } else {
    out->discarded_adaptive = out->concealed_frames = figure_absent(consumer_asr_stream);
    out->upstream_bad_frames = figure_count(f->upstream_bad_frames);
    lost += f->upstream_bad_frames;
  }
  out->inserted_silence_frames = figure_count(silence);
  lost += silence;
  out->ppl_pct = figure_ratio(100.0 * (double)lost, (double)f->expected_frames, no_media);
  if (out->ppl_pct.absent == NULL) out->ppl_pct.value = fmin(100.0, out->ppl_pct.value);
}

/* Of emulator A, so of its bursts only (3.10). */
static struct figure recovery_figure(const struct delivery_facts *f, enum quality_consumer consumer) {
  if (consumer != CONSUMER_PLAYOUT) return figure_absent(consumer_asr_stream);
  if (f->burst_count[consumer] == 0) return figure_absent(f->received_frames == 0 ? no_media : no_burst);
  return f->recovery_count > 0 ? figure_ms(f->recovery_max_us) : figure_absent("not_recovered");
}

static void burst_figures(const struct delivery_facts *f, enum quality_consumer consumer,
                          struct delivery_figures *out) {
  static const char no_gap[] = "no_gap";
  const char *none = f->received_frames == 0 ? no_media : no_burst;
  out->burst_count = figure_count(f->burst_count[consumer]);
  out->burst_mean_ms =
      figure_ratio((double)f->burst_us[consumer] / 1000.0, (double)f->burst_count[consumer], none);
  out->burst_density = figure_ratio((double)f->burst_bad[consumer], (double)f->burst_frames[consumer], none);
  out->burst_longest_frames = figure_count(f->longest_run[consumer]);
  none = f->received_frames == 0 ? no_media : no_gap;
  out->gap_mean_ms = figure_ratio((double)f->gap_us[consumer] / 1000.0, (double)f->gap_count[consumer], none);
  out->gap_density = figure_ratio((double)f->gap_bad[consumer], (double)f->gap_frames[consumer], none);

  bool enough = f->bad_runs[consumer] >= BURST_RUNS_MIN;
  uint64_t n = f->burst_frames[consumer] + f->gap_frames[consumer];
  out->burst_ratio_basis = enough ? "measured" : "insufficient";
  out->burst_ratio = f->received_frames == 0
                         ? figure_absent(no_media)
                         : figure_number(burst_ratio(n, f->bad_frames[consumer], f->bad_runs[consumer]));
  out->recovery_ms = recovery_figure(f, consumer);
}

static void arrival_figures(const struct delivery_facts *f, struct delivery_figures *out) {
  static const char one_frame[] = "no_predecessor";
  const char *none = f->received_frames == 0 ? no_media : one_frame;
  bool has_jitter = f->jitter_count > 0;
  out->jitter_last_ms = has_jitter ? figure_number(f->jitter_last_ms) : figure_absent(none);
  out->jitter_max_ms = has_jitter ? figure_number(f->jitter_max_ms) : figure_absent(none);
  out->jitter_mean_ms = figure_ratio(f->jitter_sum_ms, (double)f->jitter_count, none);
  out->ipdv_abs_mean_ms = figure_ratio(f->ipdv_abs_sum_ms, (double)f->jitter_count, none);

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
    *percentile[i].figure =
        measured == 0 ? figure_absent(no_media)
                      : figure_number(pdv_percentile_ms(f->pdv, percentile[i].share, f->pdv_max_us));
  }
  out->stall_count = figure_count(f->stall_count);
  out->stall_longest_ms = figure_ms(f->stall_longest_us);
  out->stall_total_ms = figure_ms(f->stall_total_us);
  out->bunching_mean_frames = figure_ratio((double)f->read_frames, (double)f->reads, no_media);
  out->bunching_share = figure_ratio((double)f->reads_of_many, (double)f->reads, no_media);
  out->skew_ppm = figure_ratio(f->skew_ppm_us, (double)f->skew_us, "not_fitted");
  out->playout_delay_ms =
      figure_ratio((double)f->playout_sum_us / 1000.0, (double)f->playout_count, no_media);
}

static void flag(struct delivery_figures *out, bool raised, const char *name) {
  if (raised && out->flag_count < DELIVERY_FLAGS_MAX) out->flags[out->flag_count++] = name;
}

static struct figure mean_rtt(const struct delivery_facts *f, enum rtt_source source, const char *none) {
  return figure_ratio((double)f->rtt_sum_us[source] / 1000.0, (double)f->rtt_count[source], none);
}

void delivery_figures(const struct delivery_facts *facts, const struct codec *codec,
                      const struct delivery_view *view, struct delivery_figures *out) {
  memset(out, 0, sizeof(*out));
  ledger_figures(facts, out);
  loss_figures(facts, view->consumer, out);
  burst_figures(facts, view->consumer, out);
  arrival_figures(facts, out);
  out->rtt_tcp_ms = mean_rtt(facts, RTT_TCP, "no_tcp_info");
  out->rtt_ws_ms = mean_rtt(facts, RTT_WS, "no_pong");
  out->rtt_rtcp_ms = mean_rtt(facts, RTT_RTCP, "no_rtcp");
  out->network_jitter_ms = figure_absent("not_rtp");
  out->ptime_ms = facts->ptime_us > 0 ? figure_ms(facts->ptime_us) : figure_absent(no_media);
  out->window_ms = facts->window_us > 0 ? figure_ms(facts->window_us) : figure_absent(no_media);
  delivery_model_figures(facts, codec, view, out);

  flag(out, facts->big_gaps > 0, "big_gap");
  flag(out, facts->media_clock_suspect > 0, "media_clock_suspect");
  flag(out, out->out_of_range, "out_of_range");
  flag(out, facts->self_delayed_frames > 0, "self_delayed");
  flag(out, facts->missing_unassigned > 0, "missing_unassigned");
  flag(out, view->leg.known == LEG_UNRATED, "leg_codec_unrated");
  /* Choices behind the numbers that voice-quality.md 1.2 and 2.2 want named. */
  flag(out, facts->diotic > 0, "context=diotic");
  flag(out, out->r_cq.absent == NULL, "id=absolute");
}
