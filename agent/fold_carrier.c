/* What the carrier says of its own leg, beside ours and apart from it (voice-quality.md 4.4). Its numbers are
 * FreeSWITCH channel statistics: text, a MOS that is 4.50 when nothing was counted, periods without a packet
 * under the name of loss. So they are kept as they came, they change no figure of ours, and what is
 * derived from them says no more than they do. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/fold_context.h"
#include "dsp/emodel.h"
#include "telnyx/json.h"

enum {
  STATS_LEVELS = 2,           /* inbound and outbound, each flat */
  PACKETS_TO_DISPUTE = 250,   /* 5 s of them */
  HUNDREDTHS_OF_NOTHING = 450 /* MOS 4.50: no flaw was counted, or there was no data */
};
#define MOS_APART 0.5

/* ---- reading --------------------------------------------------------------------------------- */

/* TeXML sends its object as JSON text. What is none stays the text that it is. New reference. */
static json_t *object_in_text(const json_t *text) {
  json_t *inner = json_read(json_string_value(text), json_string_length(text), NULL, 0), *escaped = NULL;
  if (json_is_object(inner) && json_levels(inner) <= STATS_LEVELS) escaped = fold_escaped(inner);
  json_decref(inner);
  return escaped;
}

/* A copy of the statistics as they came, or NULL; `source` says where they stood. New reference. */
static json_t *stats_of(const struct fold_context *c, const char **source) {
  static const struct {
    const char *key, *source;
  } places[] = {{"call_quality_stats", "telnyx.call_quality_stats"},
                {"CallQualityStats", "telnyx.CallQualityStats"}};
  const json_t *payload = c->state.hangup ? c->state.hangup->payload : NULL;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const json_t *stats = json_object_get(payload, places[i].key);
    if (!stats || json_is_null(stats)) continue;
    *source = places[i].source;
    json_t *copy = json_is_string(stats) ? object_in_text(stats) : NULL;
    return copy ? copy : json_deep_copy(stats);
  }
  return NULL;
}

/* What was received of the leg: TeXML has it at the top, without a direction. */
static json_t *inbound_of(json_t *stats) {
  json_t *inbound = json_object_get(stats, "inbound");
  return json_is_object(inbound) ? inbound : stats;
}

static bool amount(const json_t *object, const char *key, double *out) {
  return json_number(json_object_get(object, key), out) && *out >= 0;
}

/* ---- what may be derived --------------------------------------------------------------------- */

static void put_derived(json_t *carrier, const json_t *inbound, json_t *absent) {
  double variance, packets, skipped;
  if (amount(inbound, "jitter_max_variance", &variance))
    document_put_real(carrier, "spacing_std_ms", sqrt(variance), DECIMALS_MS);
  else
    document_put_text(absent, "spacing_std_ms", "no_variance");
  /* An upper bound: late packets and pauses are in it. */
  if (!amount(inbound, "packet_count", &packets) || !amount(inbound, "skip_packet_count", &skipped))
    document_put_text(absent, "empty_period_share", "no_counts");
  else if (packets + skipped > 0)
    document_put_real(carrier, "empty_period_share", skipped / (packets + skipped), DECIMALS_R);
  else
    document_put_text(absent, "empty_period_share", "no_packets");
}

/* 4.50 of a call without a packet is no MOS. */
static void drop_mos_of_nothing(json_t *inbound) {
  double packets;
  if (!amount(inbound, "packet_count", &packets) || packets > 0 || !json_object_get(inbound, "mos")) return;
  json_object_del(inbound, "mos");
  json_object_set_new(inbound, "absent", json_pack("{s:s}", "mos", "no_packets"));
}

/* ---- against ours ---------------------------------------------------------------------------- */

struct dispute {
  double theirs, ours, packets;
};

static bool is_disputed(const json_t *inbound, const struct fold_inbound *our, struct dispute *d) {
  if (!our || our->r_lq->absent || our->scale != SCALE_NB) return false;
  if (!json_number(json_object_get(inbound, "mos"), &d->theirs) ||
      !amount(inbound, "packet_count", &d->packets))
    return false;
  if (d->theirs < 1 || d->theirs > 5 || d->packets < PACKETS_TO_DISPUTE) return false;
  if (lround(d->theirs * 100) == HUNDREDTHS_OF_NOTHING) return false;
  d->ours = emodel_mos(our->r_lq->value);
  return fabs(d->ours - d->theirs) > MOS_APART;
}

static void add_issue(const struct fold_context *c, const struct fold_inbound *our, const struct dispute *d,
                      json_t *issues) {
  char words[256];
  snprintf(words, sizeof words,
           "disputed: MOS %.2f by the carrier, %.2f by us: %s; it counted %.0f packets, %" PRIu64
           " frames came here",
           d->theirs, d->ours,
           d->theirs < d->ours ? "the caller's leg, concealed upstream" : "the stream from the carrier to us",
           d->packets, our->received_frames);
  const struct fold_issue issue = {.finding = "disputed",
                                   .type = "other",
                                   .severity = "medium",
                                   .description = words,
                                   .start_ms = c->state.hangup->at_ms};
  fold_add_issue(c, &issue, issues);
}

void fold_carrier(const struct fold_context *c, const struct fold_inbound *our, json_t *measured,
                  json_t *issues) {
  const char *source = NULL;
  json_t *carrier = stats_of(c, &source), *absent = json_object();
  if (json_is_object(carrier) && json_object_size(carrier)) {
    json_t *inbound = inbound_of(carrier);
    struct dispute dispute;
    drop_mos_of_nothing(inbound);
    put_derived(carrier, inbound, absent);
    json_object_set_new(carrier, "source", json_string(source));
    if (json_object_size(absent)) {
      json_t *reasons = json_object_get(carrier, "absent"); /* of a flat one, its mos */
      if (reasons)
        json_object_update(reasons, absent);
      else
        json_object_set(carrier, "absent", absent);
    }
    if (is_disputed(inbound, our, &dispute)) {
      json_object_set_new(measured, "disputed", json_true());
      add_issue(c, our, &dispute, issues);
    }
  }
  if (carrier) json_object_set(measured, "carrier", carrier);
  json_decref(carrier);
  json_decref(absent);
}
