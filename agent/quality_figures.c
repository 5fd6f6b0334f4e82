/* One table names the figures. */
#include "agent/quality_figures.h"

#include <math.h>
#include <string.h>

#include "agent/document.h"
#include "dsp/timebase.h"

/* What stands among the figures and is none: a pair, and texts. */
enum special {
  NO_SPECIAL,
  LOSS_INTERVAL,
  BURST_RATIO_BASIS,
  TA_BASIS,
  IE_BASIS,
  CHUNK_SCOPE,
  TS_UNIT,
  SPECIALS
};

struct member {
  const char *group, *name; /* group NULL: of the track's object itself */
  size_t figure;            /* offset in struct delivery_figures */
  int decimals;
  enum special special; /* instead of a figure */
};

#define FIGURE(figure_) offsetof(struct delivery_figures, figure_)
#define OWN(name_, decimals_) \
  { NULL, #name_, FIGURE(name_), decimals_, NO_SPECIAL }
#define PART(group_, name_, figure_, decimals_) \
  { #group_, #name_, FIGURE(figure_), decimals_, NO_SPECIAL }
#define SPECIAL(name_, special_) \
  { NULL, #name_, 0, 0, special_ }

static const struct member members[] = {
    OWN(expected_frames, QUALITY_INTEGER),
    OWN(received_frames, QUALITY_INTEGER),
    OWN(missing_frames, QUALITY_INTEGER),
    PART(discarded_frames, f60, discarded_f60, QUALITY_INTEGER),
    PART(discarded_frames, f120, discarded_f120, QUALITY_INTEGER),
    PART(discarded_frames, f200, discarded_f200, QUALITY_INTEGER),
    PART(discarded_frames, adaptive, discarded_adaptive, QUALITY_INTEGER),
    OWN(concealed_frames, QUALITY_INTEGER),
    OWN(upstream_bad_frames, QUALITY_INTEGER),
    OWN(inserted_silence_frames, QUALITY_INTEGER),
    OWN(reordered_frames, QUALITY_INTEGER),
    OWN(max_reorder_frames, QUALITY_INTEGER),
    OWN(duplicate_frames, QUALITY_INTEGER),
    OWN(late_frames, QUALITY_INTEGER),
    OWN(restarts, QUALITY_INTEGER),
    OWN(outliers, QUALITY_INTEGER),
    OWN(clock_jumps, QUALITY_INTEGER),
    OWN(numbering_jumps, QUALITY_INTEGER),
    OWN(big_gaps, QUALITY_INTEGER),
    OWN(missing_unassigned, QUALITY_INTEGER),
    OWN(media_pause_ms, DECIMALS_MS),
    OWN(stream_outage_ms, DECIMALS_MS),
    OWN(loss_pct, DECIMALS_R),
    SPECIAL(loss_ci_pct, LOSS_INTERVAL),
    OWN(ppl_pct, DECIMALS_R),
    PART(burst, count, burst_count, QUALITY_INTEGER),
    PART(burst, mean_ms, burst_mean_ms, DECIMALS_MS),
    PART(burst, density, burst_density, DECIMALS_R),
    PART(burst, longest_frames, burst_longest_frames, QUALITY_INTEGER),
    PART(gap, mean_ms, gap_mean_ms, DECIMALS_MS),
    PART(gap, density, gap_density, DECIMALS_R),
    OWN(burst_ratio, DECIMALS_R),
    SPECIAL(burst_ratio_basis, BURST_RATIO_BASIS),
    PART(delivery_jitter_ms, last, jitter_last_ms, DECIMALS_MS),
    PART(delivery_jitter_ms, mean, jitter_mean_ms, DECIMALS_MS),
    PART(delivery_jitter_ms, max, jitter_max_ms, DECIMALS_MS),
    OWN(ipdv_abs_mean_ms, DECIMALS_MS),
    PART(delay_variation_ms, p50, pdv_p50_ms, DECIMALS_MS),
    PART(delay_variation_ms, p95, pdv_p95_ms, DECIMALS_MS),
    PART(delay_variation_ms, p99, pdv_p99_ms, DECIMALS_MS),
    PART(delay_variation_ms, p999, pdv_p999_ms, DECIMALS_MS),
    PART(delay_variation_ms, max, pdv_max_ms, DECIMALS_MS),
    PART(stall, count, stall_count, QUALITY_INTEGER),
    PART(stall, longest_ms, stall_longest_ms, DECIMALS_MS),
    PART(stall, total_ms, stall_total_ms, DECIMALS_MS),
    PART(bunching, mean_frames, bunching_mean_frames, DECIMALS_R),
    PART(bunching, share, bunching_share, DECIMALS_R),
    OWN(skew_ppm, DECIMALS_MS),
    OWN(playout_delay_ms, DECIMALS_MS),
    PART(rtt_ms, tcp, rtt_tcp_ms, DECIMALS_MS),
    PART(rtt_ms, ws, rtt_ws_ms, DECIMALS_MS),
    PART(rtt_ms, rtcp, rtt_rtcp_ms, DECIMALS_MS),
    OWN(network_jitter_ms, DECIMALS_MS),
    OWN(ta_ms, DECIMALS_MS),
    SPECIAL(ta_basis, TA_BASIS),
    OWN(ie, DECIMALS_R),
    OWN(bpl, DECIMALS_R),
    SPECIAL(ie_basis, IE_BASIS),
    OWN(ie_eff, DECIMALS_R),
    OWN(r_lq, DECIMALS_R),
    OWN(r_plc, DECIMALS_R),
    OWN(r_noplc, DECIMALS_R),
    OWN(mos_lqe, DECIMALS_MOS),
    OWN(r_cq, DECIMALS_R),
    OWN(mos_cqe, DECIMALS_MOS),
    OWN(mos_fb, DECIMALS_MOS),
    PART(worst_window, start_ms, worst_start_ms, DECIMALS_MS),
    PART(worst_window, r, worst_r, DECIMALS_R),
    PART(worst_window, mos, worst_mos, DECIMALS_MOS),
    OWN(below_r70_share, DECIMALS_R),
    OWN(recovery_ms, DECIMALS_MS),
    PART(perceptual, r_av, r_av, DECIMALS_R),
    PART(perceptual, r_end, r_end, DECIMALS_R),
    PART(perceptual, mos_end, mos_end, DECIMALS_MOS),
    SPECIAL(chunk_scope, CHUNK_SCOPE),
    SPECIAL(ts_unit, TS_UNIT),
    OWN(ptime_ms, DECIMALS_MS),
};
enum { MEMBERS = sizeof members / sizeof *members };

/* ---- one figure ---- */

void quality_put_figure(json_t *object, json_t *absent, const char *name, const struct figure *figure,
                        int decimals) {
  if (figure->absent)
    document_put_text(absent, name, figure->absent);
  else if (decimals == QUALITY_INTEGER && isfinite(figure->value))
    document_put_int(object, name, (int64_t)llround(figure->value));
  else
    document_put_real(object, name, figure->value, decimals);
}

static const struct figure *figure_of(const struct delivery_figures *figures, const struct member *member) {
  return (const struct figure *)((const char *)figures + member->figure);
}

void quality_put_named(json_t *object, json_t *absent, const struct delivery_figures *figures,
                       const char *const *names, size_t count) {
  for (size_t n = 0; n < count; n++)
    for (size_t i = 0; i < MEMBERS; i++)
      if (!members[i].group && !members[i].special && !strcmp(members[i].name, names[n]))
        quality_put_figure(object, absent, names[n], figure_of(figures, &members[i]), members[i].decimals);
}

/* The members of one group, from `i` on; returns the index behind it. All absent for one reason: the
 * group itself is. */
static size_t put_group(json_t *object, json_t *absent, const struct delivery_figures *figures, size_t i) {
  const char *group = members[i].group, *reason = figure_of(figures, &members[i])->absent;
  json_t *values = json_object(), *missing = json_object();
  for (; i < MEMBERS && members[i].group && !strcmp(members[i].group, group); i++)
    quality_put_figure(values, missing, members[i].name, figure_of(figures, &members[i]),
                       members[i].decimals);
  if (!json_object_size(values)) {
    document_put_text(absent, group, reason);
    json_decref(missing);
    json_decref(values);
    return i;
  }
  document_put_some(values, "absent", missing);
  json_object_set_new(object, group, values);
  return i;
}

static void put_loss_interval(json_t *object, json_t *absent, const struct delivery_figures *figures) {
  const struct figure *low = &figures->loss_ci_low_pct, *high = &figures->loss_ci_high_pct;
  if (low->absent || high->absent) {
    document_put_text(absent, "loss_ci_pct", low->absent ? low->absent : high->absent);
    return;
  }
  json_t *interval = json_array();
  json_array_append_new(interval, json_real(document_round(low->value, DECIMALS_R)));
  json_array_append_new(interval, json_real(document_round(high->value, DECIMALS_R)));
  json_object_set_new(object, "loss_ci_pct", interval);
}

/* ---- a track ---- */

static json_t *windows_of(const struct quality_track *track) {
  json_t *rows = json_array();
  for (size_t i = 0; i < track->facts->window_count; i++) {
    struct delivery_window_figures w;
    delivery_window_figures(track->facts, i, track->codec, &track->view, &w);
    json_t *row = json_object(), *absent = json_object();
    quality_put_figure(row, absent, "start_ms", &w.start_ms, DECIMALS_MS);
    quality_put_figure(row, absent, "r", &w.r, DECIMALS_R);
    quality_put_figure(row, absent, "mos", &w.mos, DECIMALS_MOS);
    quality_put_figure(row, absent, "loss_pct", &w.loss_pct, DECIMALS_R);
    quality_put_figure(row, absent, "jitter_ms", &w.jitter_ms, DECIMALS_MS);
    document_put_some(row, "absent", absent);
    json_array_append_new(rows, row);
  }
  return rows;
}

static json_t *head_of(const struct quality_track *track) {
  const struct emodel_scale *scale = emodel_scale(track->figures->scale);
  json_t *object = json_object();
  document_put_text(object, "codec", track->codec->encoding);
  document_put_text(object, "leg_codec", track->leg_codec);
  document_put_text(object, "model", scale->model);
  document_put_text(object, "scale", scale->name);
  document_put_text(object, "algorithm", track->figures->algorithm);
  json_object_set_new(object, "plc", json_boolean(track->view.plc));
  document_put_text(object, "consumer",
                    track->view.consumer == CONSUMER_ASR_STREAM ? "asr_stream" : "playout");
  return object;
}

json_t *quality_track_object(const struct quality_track *track) {
  const struct delivery_figures *figures = track->figures;
  const char *texts[SPECIALS] = {
      [BURST_RATIO_BASIS] = figures->burst_ratio_basis,
      [TA_BASIS] = figures->ta_basis,
      [IE_BASIS] = figures->ie_basis,
      [CHUNK_SCOPE] = track->chunk_scope ? chunk_scope_name((enum chunk_scope)track->chunk_scope) : NULL,
      [TS_UNIT] = track->ts_unit ? ts_unit_name((enum ts_unit)track->ts_unit) : NULL,
  };
  const char *reasons[SPECIALS] = {
      [TA_BASIS] = figures->ta_ms.absent, [CHUNK_SCOPE] = "no_media", [TS_UNIT] = "no_media"};
  json_t *object = head_of(track), *absent = json_object(), *flags = json_array();
  for (size_t i = 0; i < MEMBERS;) {
    if (members[i].group) {
      i = put_group(object, absent, figures, i);
      continue;
    }
    if (members[i].special == LOSS_INTERVAL)
      put_loss_interval(object, absent, figures);
    else if (members[i].special && texts[members[i].special])
      document_put_text(object, members[i].name, texts[members[i].special]);
    else if (members[i].special)
      document_put_text(absent, members[i].name, reasons[members[i].special]);
    else
      quality_put_figure(object, absent, members[i].name, figure_of(figures, &members[i]),
                         members[i].decimals);
    i++;
  }
  for (size_t i = 0; i < figures->flag_count; i++)
    json_array_append_new(flags, json_string(figures->flags[i]));
  json_object_set_new(object, "flags", flags);
  quality_put_figure(object, absent, "window_ms", &figures->window_ms, DECIMALS_MS);
  json_object_set_new(object, "windows", windows_of(track));
  document_put_some(object, "absent", absent);
  return object;
}
