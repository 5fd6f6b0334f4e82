/* Quality of a leg: the parts' delivery facts put together per track, and the headline. The names of the
 * figures are agent/quality_figures.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold_context.h"
#include "agent/quality_figures.h"
#include "agent/quality_signal.h"
#include "dsp/codec.h"
#include "telnyx/json.h"

/* One track of a leg, all parts together. */
struct track_quality {
  const struct codec *codec;
  const struct delivery_facts *facts; /* of the only part, or `merged` */
  struct delivery_facts *merged;      /* owned, NULL for one part */
  struct delivery_figures figures;
  uint64_t payload_bytes;
  int64_t last_frame_ms;        /* of the parts so far, wall clock */
  double last_ptime_ms;         /* of the part before */
  double outage_ms;             /* without a part, between parts */
  uint64_t restarts;            /* by a later part */
  uint8_t chunk_scope, ts_unit; /* of the newest part that found them out */
};

/* The codec of the leg itself, which the stream's need not be (voice-quality.md 1.7). */
static const char *leg_codec(const struct fold_context *c) {
  const struct fold_event *answered = fold_last(c, EVENT_CALL_ANSWERED);
  const char *codec = answered ? json_text(answered->payload, "codec") : NULL;
  return codec ? codec : "unknown";
}

static struct delivery_view view_of(const struct fold_context *c, const struct codec *stream) {
  return (struct delivery_view){
      .plc = c->options->plc,
      .consumer = c->options->asr_stream ? CONSUMER_ASR_STREAM : CONSUMER_PLAYOUT,
      .leg = leg_codec_of(leg_codec(c), stream),
  };
}

static json_t *object_of(const struct fold_context *c, const struct track_quality *track) {
  const struct quality_track object = {
      .codec = track->codec,
      .leg_codec = leg_codec(c),
      .view = view_of(c, track->codec),
      .chunk_scope = track->chunk_scope,
      .ts_unit = track->ts_unit,
      .facts = track->facts,
      .figures = &track->figures,
  };
  return quality_track_object(&object);
}

/* ---- parts together ---- */

/* What lies between two parts, as between two segments of one (dsp/delivery.c): the sound of the last frame
 * is none of it, and a gap is what exceeds a frame (voice-quality.md 3.6). */
static void note_hole(struct track_quality *track, const struct part *part) {
  double hole_ms = (double)(part->first_frame_ms - track->last_frame_ms) - track->last_ptime_ms;
  if (hole_ms > track->last_ptime_ms) track->outage_ms += hole_ms;
  track->restarts++; /* no part begins without a `start` (3.5) */
}

static void note_part(struct track_quality *track, const struct part *part, int t) {
  track->payload_bytes += part->track[t].payload_bytes;
  if (part->track[t].chunk_scope) track->chunk_scope = part->track[t].chunk_scope;
  if (part->track[t].ts_unit) track->ts_unit = part->track[t].ts_unit;
  if (track->last_frame_ms) note_hole(track, part);
  if (part->last_frame_ms > track->last_frame_ms) track->last_frame_ms = part->last_frame_ms;
  track->last_ptime_ms = (double)part->track[t].delivery->ptime_us / 1000.0;
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
  const struct delivery_view view = view_of(c, track->codec);
  delivery_figures(track->facts, track->codec, &view, &track->figures);
  track->figures.stream_outage_ms.value += track->outage_ms;
  track->figures.restarts.value += (double)track->restarts;
  return true;
}

/* ---- the sound ---- */

static bool has_decoder(const struct part *part, int t) {
  const char *encoding = part->track[t].encoding;
  const struct codec *codec = codec_find(encoding, strlen(encoding), part->track[t].sample_rate_hz);
  return codec && codec->decode;
}

/* Of all parts that had the track. NULL when none had, or before there were such facts. New reference. */
static json_t *signal_of(const struct fold_context *c, int t) {
  struct signal_facts sound = {0};
  struct echo_facts echo = {0};
  bool heard = false, unheard = false;
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    if (!part->track[t].signal) {
      unheard = unheard || (part->track[t].delivery && !has_decoder(part, t));
      continue;
    }
    heard = true;
    signal_merge(&sound, part->track[t].signal);
    echo_facts_merge(&echo, &part->echo);
  }
  if (!heard && !unheard) return NULL;
  return quality_signal_object(heard ? &sound : NULL, t == TRACK_INBOUND ? &echo : NULL);
}

static json_t *signals_of(const struct fold_context *c) {
  json_t *signals = json_object();
  for (int t = 0; t < TRACK_COUNT; t++) document_put_some(signals, track_name(t), signal_of(c, t));
  return signals;
}

/* ---- the headline ---- */

static void put_known(json_t *object, const char *name, const struct figure *figure, int decimals) {
  json_t *reasons = json_object(); /* told in metadata.sidetone.quality */
  quality_put_figure(object, reasons, name, figure, decimals);
  json_decref(reasons);
}

/* In kbit/s; where frames differ in size, the mean of those with sound. */
static void put_bitrate(json_t *audio, const struct track_quality *track) {
  const struct delivery_facts *f = track->facts;
  if (track->codec->bytes_per_ms)
    document_put_real(audio, "bitrate", track->codec->bytes_per_ms * 8.0, -1);
  else if (f->active_us > 0)
    document_put_real(audio, "bitrate", 8000.0 * (double)f->active_bytes / (double)f->active_us, DECIMALS_MS);
}

static void put_headline(const struct fold_context *c, json_t *quality, const struct track_quality *inbound) {
  const struct delivery_figures *f = &inbound->figures;
  const struct figure *mos = f->mos_cqe.absent ? &f->mos_lqe : &f->mos_cqe;
  json_t *audio = json_object(), *network = json_object();
  put_known(quality, "mos", mos, DECIMALS_MOS);
  if (c->summary && !mos->absent) c->summary->mos = document_round(mos->value, DECIMALS_MOS);
  document_put_text(audio, "codec", inbound->codec->encoding);
  document_put_int(audio, "sampleRate", inbound->codec->sample_rate_hz);
  put_bitrate(audio, inbound);
  put_known(audio, "packetLoss", &f->loss_pct, DECIMALS_R);
  put_known(audio, "jitter", &f->jitter_mean_ms, DECIMALS_MS);
  put_known(network, "packetsReceived", &f->received_frames, QUALITY_INTEGER);
  put_known(network, "packetsLost", &f->missing_frames, QUALITY_INTEGER);
  if (inbound->payload_bytes) document_put_int(network, "bytesReceived", (int64_t)inbound->payload_bytes);
  json_object_set_new(quality, "audio", audio);
  json_object_set_new(quality, "network", network);
}

static void put_carrier(const struct fold_context *c, const struct track_quality *inbound, json_t *measured,
                        json_t *issues) {
  if (!inbound) {
    fold_carrier(c, NULL, measured, issues);
    return;
  }
  const struct fold_inbound our = {.r_lq = &inbound->figures.r_lq,
                                   .scale = inbound->figures.scale,
                                   .received_frames = inbound->facts->received_frames};
  fold_carrier(c, &our, measured, issues);
}

json_t *fold_quality(struct fold_context *c, json_t *sidetone) {
  if (c->summary) snprintf(c->summary->leg_codec, sizeof c->summary->leg_codec, "%s", leg_codec(c));
  json_t *quality = json_object(), *measured = json_object(), *delivery = json_object(),
         *issues = json_array();
  struct track_quality track[TRACK_COUNT];
  bool known[TRACK_COUNT];
  for (int t = 0; t < TRACK_COUNT; t++) {
    known[t] = read_track(c, t, &track[t]);
    if (known[t] && !c->options->figures_only)
      json_object_set_new(delivery, track_name(t), object_of(c, &track[t]));
  }
  const struct track_quality *inbound = &track[TRACK_INBOUND];
  if (known[TRACK_INBOUND]) put_headline(c, quality, inbound);
  document_put_some(measured, "delivery", delivery);
  if (!c->options->figures_only) document_put_some(measured, "signal", signals_of(c));
  put_carrier(c, known[TRACK_INBOUND] ? inbound : NULL, measured, issues);
  if (c->options->open_findings) document_put_some(measured, "open_findings", fold_open_findings(c));
  document_put_some(sidetone, "quality", measured);
  issues = fold_findings(c, issues);
  json_object_set_new(quality, "issues", issues);
  fold_put_rating(c, quality, issues);
  for (int t = 0; t < TRACK_COUNT; t++) free(track[t].merged);
  return quality;
}
