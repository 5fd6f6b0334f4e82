/* The result of a capture as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/capture.h"
#include "agent/document.h"
#include "agent/quality_figures.h"
#include "agent/quality_signal.h"
#include "dsp/delivery_facts.h"
#include "dsp/timebase.h"

/* ---- delivery -------------------------------------------------------------------------------- */

/* Without a clock only the numbers of packets tell anything. */
static void put_numbers(json_t *object, const struct delivery_figures *f) {
  static const char *const names[] = {
      "expected_frames",  "received_frames", "missing_frames", "reordered_frames", "max_reorder_frames",
      "duplicate_frames", "late_frames",     "restarts",       "outliers",         "loss_pct"};
  json_t *absent = json_object();
  quality_put_named(object, absent, f, names, sizeof names / sizeof *names);
  document_put_text(absent, "codec", "not_named");
  document_put_text(absent, "network_jitter_ms", "no_clock");
  document_put_text(absent, "mos_lqe", "no_codec");
  json_object_set_new(object, "absent", absent);
}

/* From one address to another, and the round trip of the first stream there that has one. */
struct way {
  UT_hash_handle hh;
  struct packet_address ends[2]; /* the key */
  uint64_t us;
};

struct job {
  const struct capture *c;
  const struct capture_options *options;
  struct way *ways; /* a uthash */
};

static bool mean_round_trip(const struct capture *c, const struct capture_stream *s, uint64_t *us) {
  struct capture_report report;
  if (!capture_reports_find(c->reports, &s->key, &report) || report.rtt_count == 0) return false;
  *us = report.rtt_sum_us / report.rtt_count;
  return true;
}

static struct way *find_way(const struct job *job, const struct packet_address *src,
                            const struct packet_address *dst) {
  const struct packet_address ends[2] = {*src, *dst};
  struct way *way;
  HASH_FIND(hh, job->ways, ends, sizeof ends, way);
  return way;
}

static void note_way(struct job *job, const struct capture_stream *s) {
  uint64_t us;
  if (!mean_round_trip(job->c, s, &us) || find_way(job, &s->key.src, &s->key.dst) != NULL) return;
  struct way *way = calloc(1, sizeof *way);
  if (way == NULL) return;
  way->ends[0] = s->key.src;
  way->ends[1] = s->key.dst;
  way->us = us;
  HASH_ADD(hh, job->ways, ends, sizeof way->ends, way);
  if (!is_added(way)) free(way);
}

static void free_ways(struct job *job) {
  struct way *way, *next;
  HASH_ITER(hh, job->ways, way, next) {
    HASH_DEL(job->ways, way);
    free(way);
  }
}

/* The round trip by the stream's own reports is the one between the capture and the receiver; with that of a
 * stream in the other direction between the same two addresses it is the one between the ends. */
struct round_trip {
  uint64_t us; /* 0: none */
  bool whole;
};

static struct round_trip round_trip_of(const struct job *job, const struct capture_stream *s) {
  struct round_trip trip = {.us = 0};
  if (!mean_round_trip(job->c, s, &trip.us)) return trip;
  const struct way *back = find_way(job, &s->key.dst, &s->key.src);
  trip.whole = back != NULL;
  if (trip.whole) trip.us += back->us;
  return trip;
}

/* Of sources a capture does not have nothing is said. */
static void put_round_trip(json_t *object, const struct round_trip *trip) {
  json_t *absent = json_object_get(object, "absent");
  json_object_del(json_object_get(object, "rtt_ms"), "absent");
  if (trip->us == 0) document_put_text(absent, "rtt_ms", "no_rtcp");
  if (trip->us == 0 || trip->whole) return;
  json_t *rtt = json_object();
  document_put_real(rtt, "rtcp", (double)trip->us / 1000, DECIMALS_MS);
  json_object_set_new(object, "rtt_ms", rtt);
  json_object_del(absent, "rtt_ms");
  document_put_text(absent, "ta_ms", "rtt_of_one_side");
  document_put_text(absent, "ta_basis", "rtt_of_one_side");
}

/* NULL: nothing was heard, or no memory. */
static struct signal_facts *sound_of(const struct capture_stream *s) {
  struct signal_facts *facts = s->sound != NULL ? malloc(sizeof *facts) : NULL;
  if (facts == NULL || !capture_sound_facts(s->sound, facts)) {
    free(facts);
    return NULL;
  }
  return facts;
}

/* False: no memory. */
static bool put_delivery(json_t *object, const struct job *job, const struct capture_stream *s) {
  struct delivery_facts *facts = malloc(sizeof *facts);
  if (facts == NULL) return false;
  const struct delivery_view view = {
      .plc = job->options->plc, .consumer = job->options->consumer, .leg = {.known = LEG_SAME}};
  struct round_trip trip = round_trip_of(job, s);
  struct delivery_figures figures;
  delivery_facts(s->delivery, facts);
  facts->restarts -= s->format_changes;
  struct signal_facts *sound = sound_of(s);
  if (trip.whole) delivery_add_rtt(facts, RTT_RTCP, trip.us);
  delivery_figures(facts, s->begun->codec, &view, &figures);
  figures.network_jitter_ms = figures.jitter_mean_ms;
  if (s->begun->kind == CAPTURE_UNNAMED) {
    put_numbers(object, &figures);
  } else {
    const struct quality_track track = {.codec = s->begun->codec,
                                        .leg_codec = s->begun->codec->encoding,
                                        .view = view,
                                        .chunk_scope = CHUNK_PER_TRACK,
                                        .ts_unit = TS_RTP_TICKS,
                                        .facts = facts,
                                        .figures = &figures};
    json_t *quality = quality_track_object(&track);
    json_object_update(object, quality);
    json_decref(quality);
    put_round_trip(object, &trip);
  }
  if (sound != NULL) json_object_set_new(object, "signal", quality_signal_object(sound, NULL));
  free(sound);
  free(facts);
  return true;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_peer(json_t *object, const struct capture_stream *s) {
  json_t *peer = json_object();
  document_put_int(peer, "lost", rtp_peer_lost(&s->peer));
  if (s->begun != NULL && s->begun->kind != CAPTURE_UNNAMED) {
    document_put_real(peer, "jitter_mean_ms", s->peer.jitter_mean_ms, DECIMALS_MS);
    document_put_real(peer, "jitter_max_ms", s->peer.jitter_max_ms, DECIMALS_MS);
  }
  json_object_set_new(object, "rfc3550", peer);
}

static void put_known(json_t *object, const char *name, int value, int unknown, double unit, int decimals) {
  if (value != unknown) document_put_real(object, name, value * unit, decimals);
}

static json_t *voip_object(const struct rtcp_voip *voip) {
  json_t *object = json_object();
  document_put_real(object, "loss_pct", voip->loss_rate * 100.0 / 256, DECIMALS_R);
  document_put_real(object, "discard_pct", voip->discard_rate * 100.0 / 256, DECIMALS_R);
  document_put_real(object, "burst_density", voip->burst_density / 256.0, DECIMALS_R);
  document_put_real(object, "gap_density", voip->gap_density / 256.0, DECIMALS_R);
  document_put_int(object, "burst_ms", voip->burst_ms);
  document_put_int(object, "gap_ms", voip->gap_ms);
  document_put_int(object, "round_trip_ms", voip->round_trip_ms);
  document_put_int(object, "end_system_delay_ms", voip->end_system_delay_ms);
  put_known(object, "signal_dbm", voip->signal_dbm, RTCP_LEVEL_UNKNOWN, 1, DECIMALS_DB);
  put_known(object, "noise_dbm", voip->noise_dbm, RTCP_LEVEL_UNKNOWN, 1, DECIMALS_DB);
  put_known(object, "rerl_db", voip->rerl_db, RTCP_LEVEL_UNKNOWN, 1, DECIMALS_DB);
  put_known(object, "r", voip->r_factor, RTCP_LEVEL_UNKNOWN, 1, DECIMALS_R);
  put_known(object, "mos_lq", voip->mos_lq, RTCP_LEVEL_UNKNOWN, 0.1, DECIMALS_MOS);
  put_known(object, "mos_cq", voip->mos_cq, RTCP_LEVEL_UNKNOWN, 0.1, DECIMALS_MOS);
  document_put_int(object, "jitter_buffer_nominal_ms", voip->jb_nominal_ms);
  document_put_int(object, "jitter_buffer_max_ms", voip->jb_maximum_ms);
  return object;
}

/* Counts, and what the receiver said last: its figures, not ours. */
static void put_reports(json_t *object, const struct capture_stream *s, const struct capture_report *report) {
  json_t *rtcp = json_object();
  document_put_int(rtcp, "sr", (int64_t)report->sr);
  document_put_int(rtcp, "rr", (int64_t)report->rr);
  document_put_int(rtcp, "xr", (int64_t)report->xr);
  if (report->bye > 0) document_put_int(rtcp, "bye", (int64_t)report->bye);
  if (report->has_block) {
    json_t *last = json_object();
    document_put_real(last, "fraction_lost_pct", report->block.fraction_lost * 100.0 / 256, DECIMALS_R);
    document_put_int(last, "lost", report->block.lost);
    uint32_t clock_hz = s->begun != NULL ? s->begun->name.clock_hz : 0;
    if (clock_hz > 0)
      document_put_real(last, "jitter_ms", report->block.jitter_ticks * 1000.0 / clock_hz, DECIMALS_MS);
    json_object_set_new(rtcp, "last_rr", last);
  }
  if (report->has_voip) json_object_set_new(rtcp, "last_voip", voip_object(&report->voip));
  json_object_set_new(object, "rtcp", rtcp);
}

static void put_digits(json_t *object, const struct capture_stream *s) {
  if (s->digits.count == 0) return;
  json_t *digits = json_array();
  for (size_t i = 0; i < s->digits.count; i++) {
    const struct capture_digit *d = &s->digits.digit[i];
    json_t *row = json_object();
    document_put_text(row, "digit", d->digit);
    document_put_real(row, "start_ms", (double)d->start_us / 1000, DECIMALS_MS);
    document_put_real(row, "duration_ms", (double)(d->ticks + d->duration) * 1000 / d->clock_hz, DECIMALS_MS);
    json_array_append_new(digits, row);
  }
  json_object_set_new(object, "dtmf", digits);
}

/* NULL: no memory. */
static json_t *stream_object(const struct job *job, const struct capture_stream *s) {
  char text[PACKET_ADDRESS_BYTES];
  json_t *object = json_object(), *types = json_array();
  document_put_int(object, "ssrc", s->key.ssrc);
  packet_address_text(&s->key.src, text);
  document_put_text(object, "src", text);
  packet_address_text(&s->key.dst, text);
  document_put_text(object, "dst", text);
  for (int i = 0; i < RTP_PAYLOAD_TYPES; i++)
    if (s->type[i] != NULL) json_array_append_new(types, json_integer(i));
  json_object_set_new(object, "payload_types", types);
  document_put_int(object, "packets", (int64_t)s->packets);
  if (s->delivery != NULL && !put_delivery(object, job, s)) {
    json_decref(object);
    return NULL;
  }
  put_peer(object, s);
  struct capture_report report;
  if (capture_reports_find(job->c->reports, &s->key, &report)) put_reports(object, s, &report);
  put_digits(object, s);
  return object;
}

json_t *capture_document(const struct capture *c, const struct capture_options *options) {
  struct job job = {.c = c, .options = options};
  json_t *document = json_object(), *streams = json_array();
  json_object_set_new(document, "streams", streams);
  for (const struct capture_stream *s = c->streams; s != NULL; s = s->hh.next) note_way(&job, s);
  for (const struct capture_stream *s = c->streams; s != NULL; s = s->hh.next) {
    json_t *object = stream_object(&job, s);
    if (object == NULL) {
      json_decref(document);
      document = NULL;
      break;
    }
    json_array_append_new(streams, object);
  }
  free_ways(&job);
  return document;
}
