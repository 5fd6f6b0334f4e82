/* Quality of a leg: the parts' delivery facts put together per track, under the names of
 * voice-quality.md 8, and the headline. A figure that could not be computed is left out; its name and
 * the reason are in `absent` of the object it belongs to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold_context.h"
#include "dsp/codec.h"
#include "telnyx/json.h"

enum { INTEGER = -2 }; /* in place of decimals */

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
    OWN(expected_frames, INTEGER),
    OWN(received_frames, INTEGER),
    OWN(missing_frames, INTEGER),
    PART(discarded_frames, f60, discarded_f60, INTEGER),
    PART(discarded_frames, f120, discarded_f120, INTEGER),
    PART(discarded_frames, f200, discarded_f200, INTEGER),
    PART(discarded_frames, adaptive, discarded_adaptive, INTEGER),
    OWN(concealed_frames, INTEGER),
    OWN(upstream_bad_frames, INTEGER),
    OWN(inserted_silence_frames, INTEGER),
    OWN(reordered_frames, INTEGER),
    OWN(max_reorder_frames, INTEGER),
    OWN(duplicate_frames, INTEGER),
    OWN(late_frames, INTEGER),
    OWN(restarts, INTEGER),
    OWN(outliers, INTEGER),
    OWN(clock_jumps, INTEGER),
    OWN(numbering_jumps, INTEGER),
    OWN(big_gaps, INTEGER),
    OWN(missing_unassigned, INTEGER),
    OWN(media_pause_ms, DECIMALS_MS),
    OWN(stream_outage_ms, DECIMALS_MS),
    OWN(loss_pct, DECIMALS_R),
    SPECIAL(loss_ci_pct, LOSS_INTERVAL),
    OWN(ppl_pct, DECIMALS_R),
    PART(burst, count, burst_count, INTEGER),
    PART(burst, mean_ms, burst_mean_ms, DECIMALS_MS),
    PART(burst, density, burst_density, DECIMALS_R),
    PART(burst, longest_frames, burst_longest_frames, INTEGER),
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
    PART(stall, count, stall_count, INTEGER),
    PART(stall, longest_ms, stall_longest_ms, DECIMALS_MS),
    PART(stall, total_ms, stall_total_ms, DECIMALS_MS),
    PART(bunching, mean_frames, bunching_mean_frames, DECIMALS_R),
    PART(bunching, share, bunching_share, DECIMALS_R),
    OWN(skew_ppm, DECIMALS_MS),
    OWN(playout_delay_ms, DECIMALS_MS),
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
    SPECIAL(chunk_scope, CHUNK_SCOPE),
    SPECIAL(ts_unit, TS_UNIT),
    OWN(ptime_ms, DECIMALS_MS),
};
enum { MEMBERS = sizeof members / sizeof *members };

/* One track of a leg, all parts together. */
struct track_quality {
  const struct codec *codec;
  const struct delivery_facts *facts; /* of the only part, or `merged` */
  struct delivery_facts *merged;      /* owned, NULL for one part */
  struct delivery_figures figures;
  uint64_t payload_bytes;
  int64_t last_frame_ms;        /* of the parts so far, wall clock */
  double outage_ms;             /* without a part, between parts */
  uint8_t chunk_scope, ts_unit; /* of the newest part that found them out */
};

/* ---- one figure ---- */

static void put_figure(json_t *object, json_t *absent, const char *name, const struct figure *figure,
                       int decimals) {
  if (figure->absent)
    document_put_text(absent, name, figure->absent);
  else if (decimals == INTEGER && isfinite(figure->value))
    document_put_int(object, name, (int64_t)llround(figure->value));
  else
    document_put_real(object, name, figure->value, decimals);
}

static const struct figure *figure_of(const struct delivery_figures *figures, const struct member *member) {
  return (const struct figure *)((const char *)figures + member->figure);
}

/* The members of one group, from `i` on; returns the index behind it. All absent for one reason: the
 * group itself is. */
static size_t put_group(json_t *object, json_t *absent, const struct delivery_figures *figures, size_t i) {
  const char *group = members[i].group, *reason = figure_of(figures, &members[i])->absent;
  json_t *values = json_object(), *missing = json_object();
  for (; i < MEMBERS && members[i].group && !strcmp(members[i].group, group); i++)
    put_figure(values, missing, members[i].name, figure_of(figures, &members[i]), members[i].decimals);
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

static json_t *windows_of(const struct track_quality *track, const struct fold_options *options) {
  json_t *rows = json_array();
  for (size_t i = 0; i < track->facts->window_count; i++) {
    struct delivery_window_figures w;
    delivery_window_figures(track->facts, i, track->codec, options->plc,
                            options->asr_stream ? CONSUMER_ASR_STREAM : CONSUMER_PLAYOUT, &w);
    json_t *row = json_object(), *absent = json_object();
    put_figure(row, absent, "start_ms", &w.start_ms, DECIMALS_MS);
    put_figure(row, absent, "r", &w.r, DECIMALS_R);
    put_figure(row, absent, "mos", &w.mos, DECIMALS_MOS);
    put_figure(row, absent, "loss_pct", &w.loss_pct, DECIMALS_R);
    put_figure(row, absent, "jitter_ms", &w.jitter_ms, DECIMALS_MS);
    document_put_some(row, "absent", absent);
    json_array_append_new(rows, row);
  }
  return rows;
}

/* The codec of the leg itself, which the stream's need not be (voice-quality.md 1.7). */
static const char *leg_codec(const struct fold_context *c) {
  const struct fold_event *answered = fold_last(c, EVENT_CALL_ANSWERED);
  const char *codec = answered ? json_text(answered->payload, "codec") : NULL;
  return codec ? codec : "unknown";
}

static json_t *head_of(const struct fold_context *c, const struct track_quality *track) {
  static const struct {
    const char *name, *mos;
  } scales[] = {
      [SCALE_NB] = {"nb", "MOS-LQEN"}, [SCALE_WB] = {"wb", "MOS-LQEW"}, [SCALE_FB] = {"fb", "MOS-LQEF"}};
  json_t *object = json_object();
  document_put_text(object, "codec", track->codec->encoding);
  document_put_text(object, "leg_codec", leg_codec(c));
  document_put_text(object, "model", track->codec->model);
  document_put_text(object, "scale", scales[track->codec->scale].name);
  document_put_text(object, "algorithm", scales[track->codec->scale].mos);
  json_object_set_new(object, "plc", json_boolean(c->options->plc));
  document_put_text(object, "consumer", c->options->asr_stream ? "asr_stream" : "playout");
  return object;
}

static json_t *track_members(const struct fold_context *c, const struct track_quality *track) {
  const char *texts[SPECIALS] = {
      [BURST_RATIO_BASIS] = track->figures.burst_ratio_basis,
      [IE_BASIS] = track->codec->ie_basis,
      [CHUNK_SCOPE] = track->chunk_scope ? chunk_scope_name((enum chunk_scope)track->chunk_scope) : NULL,
      [TS_UNIT] = track->ts_unit ? ts_unit_name((enum ts_unit)track->ts_unit) : NULL,
  };
  const char *reasons[SPECIALS] = {
      [TA_BASIS] = track->figures.ta_ms.absent, [CHUNK_SCOPE] = "no_media", [TS_UNIT] = "no_media"};
  json_t *object = head_of(c, track), *absent = json_object(), *flags = json_array();
  for (size_t i = 0; i < MEMBERS;) {
    if (members[i].group) {
      i = put_group(object, absent, &track->figures, i);
      continue;
    }
    if (members[i].special == LOSS_INTERVAL)
      put_loss_interval(object, absent, &track->figures);
    else if (members[i].special && texts[members[i].special])
      document_put_text(object, members[i].name, texts[members[i].special]);
    else if (members[i].special)
      document_put_text(absent, members[i].name, reasons[members[i].special]);
    else
      put_figure(object, absent, members[i].name, figure_of(&track->figures, &members[i]),
                 members[i].decimals);
    i++;
  }
  for (size_t i = 0; i < track->figures.flag_count; i++)
    json_array_append_new(flags, json_string(track->figures.flags[i]));
  document_put_text(absent, "rtt_ms", "not_measured");
  json_object_set_new(object, "flags", flags);
  put_figure(object, absent, "window_ms", &track->figures.window_ms, DECIMALS_MS);
  json_object_set_new(object, "windows", windows_of(track, c->options));
  document_put_some(object, "absent", absent);
  return object;
}

/* ---- parts together ---- */

static void note_part(struct track_quality *track, const struct part *part, int t) {
  track->payload_bytes += part->track[t].payload_bytes;
  if (part->track[t].chunk_scope) track->chunk_scope = part->track[t].chunk_scope;
  if (part->track[t].ts_unit) track->ts_unit = part->track[t].ts_unit;
  if (track->last_frame_ms && part->first_frame_ms > track->last_frame_ms)
    track->outage_ms += (double)(part->first_frame_ms - track->last_frame_ms);
  if (part->last_frame_ms > track->last_frame_ms) track->last_frame_ms = part->last_frame_ms;
}

/* False when no part measured this track, or there is no memory. */
static bool read_track(const struct fold_context *c, int t, struct track_quality *track) {
  *track = (struct track_quality){0};
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    const struct delivery_facts *facts = part->track[t].delivery;
    const char *encoding = part->track[t].encoding;
    const struct codec *codec = codec_find(encoding, strlen(encoding), part->track[t].sample_rate_hz);
    if (!facts || !codec) continue;
    track->codec = codec;
    note_part(track, part, t);
    if (!track->facts) {
      track->facts = facts;
      continue;
    }
    if (!track->merged) {
      track->merged = malloc(sizeof *track->merged);
      if (!track->merged) return false;
      delivery_facts_copy(track->merged, track->facts);
      track->facts = track->merged;
    }
    delivery_merge(track->merged, facts);
  }
  if (!track->facts) return false;
  delivery_figures(track->facts, track->codec, c->options->plc,
                   c->options->asr_stream ? CONSUMER_ASR_STREAM : CONSUMER_PLAYOUT, &track->figures);
  track->figures.stream_outage_ms.value += track->outage_ms;
  return true;
}

/* ---- the headline ---- */

static void put_known(json_t *object, const char *name, const struct figure *figure, int decimals) {
  json_t *reasons = json_object(); /* told in metadata.sidetone.quality */
  put_figure(object, reasons, name, figure, decimals);
  json_decref(reasons);
}

static void put_headline(const struct fold_context *c, json_t *quality, const struct track_quality *inbound) {
  const struct delivery_figures *f = &inbound->figures;
  const struct figure *mos = f->ta_ms.absent ? &f->mos_lqe : &f->mos_cqe;
  json_t *audio = json_object(), *network = json_object();
  put_known(quality, "mos", mos, DECIMALS_MOS);
  if (c->summary && !mos->absent) c->summary->mos = document_round(mos->value, DECIMALS_MOS);
  document_put_text(audio, "codec", inbound->codec->encoding);
  document_put_int(audio, "sampleRate", inbound->codec->sample_rate_hz);
  if (inbound->codec->bytes_per_ms)
    document_put_real(audio, "bitrate", inbound->codec->bytes_per_ms * 8.0, -1);
  put_known(audio, "packetLoss", &f->loss_pct, DECIMALS_R);
  put_known(audio, "jitter", &f->jitter_mean_ms, DECIMALS_MS);
  put_known(network, "packetsReceived", &f->received_frames, INTEGER);
  put_known(network, "packetsLost", &f->missing_frames, INTEGER);
  if (inbound->payload_bytes) document_put_int(network, "bytesReceived", (int64_t)inbound->payload_bytes);
  json_object_set_new(quality, "audio", audio);
  json_object_set_new(quality, "network", network);
}

json_t *fold_quality(struct fold_context *c, json_t *sidetone) {
  json_t *quality = json_object(), *measured = json_object(), *delivery = json_object();
  for (int t = 0; t < TRACK_COUNT; t++) {
    struct track_quality track;
    if (read_track(c, t, &track)) {
      if (!c->options->figures_only) json_object_set_new(delivery, track_name(t), track_members(c, &track));
      if (t == TRACK_INBOUND) put_headline(c, quality, &track);
    }
    free(track.merged);
  }
  document_put_some(measured, "delivery", delivery);
  json_t *carrier = c->state.hangup ? json_object_get(c->state.hangup->payload, "call_quality_stats") : NULL;
  if (carrier && !json_is_null(carrier)) json_object_set(measured, "carrier", carrier);
  document_put_some(sidetone, "quality", measured);
  json_object_set_new(quality, "issues", json_array());
  return quality;
}
