#include "dsp/coded.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "dsp/inspect.h"

/* From here on loss is bursty to those who measured both kinds (voice-quality.md 2.4). */
static const double bursty_from = 1.5;

static struct coded_sound *sound_of(struct coded_mix *mix, const struct codec *codec, uint8_t mode) {
  for (size_t i = 0; i < mix->count; i++) {
    struct coded_sound *s = &mix->sound[i];
    if (s->codec == codec && s->mode == mode) return s;
  }
  if (mix->count == CODED_MAX) return NULL;
  struct coded_sound *s = &mix->sound[mix->count++];
  *s = (struct coded_sound){.codec = codec, .mode = mode, .bytes_min = UINT32_MAX};
  return s;
}

void coded_add(struct coded_mix *mix, const struct codec *codec, uint8_t mode, uint64_t count,
               uint32_t frame_us, uint32_t frame_bytes) {
  struct coded_sound *s = sound_of(mix, codec, mode);
  if (s == NULL) return;
  s->us += count * frame_us;
  s->bytes += count * frame_bytes;
  if (frame_bytes < s->bytes_min) s->bytes_min = frame_bytes;
  if (frame_bytes > s->bytes_max) s->bytes_max = frame_bytes;
}

void coded_join(struct coded_mix *into, const struct coded_mix *from) {
  for (size_t i = 0; i < from->count; i++) {
    const struct coded_sound *s = &from->sound[i];
    struct coded_sound *to = sound_of(into, s->codec, s->mode);
    if (to == NULL) continue;
    to->us += s->us;
    to->bytes += s->bytes;
    if (s->bytes_min < to->bytes_min) to->bytes_min = s->bytes_min;
    if (s->bytes_max > to->bytes_max) to->bytes_max = s->bytes_max;
  }
}

/* ---- rows ---- */

static bool take_row(const struct impairment *row, struct impairment *out) {
  if (row != NULL) *out = *row;
  return row != NULL;
}

static bool opus_row(const struct coded_sound *sound, struct impairment *out) {
  enum opus_band band = (enum opus_band)sound->mode;
  double kbps = sound->us > 0 ? 8000.0 * (double)sound->bytes / (double)sound->us : 0;
  const struct opus_impairment *row = impairment_opus(band, sound->bytes_min == sound->bytes_max, kbps);
  if (row == NULL) return false;
  *out = row->impairment;
  if (row->band != band) out->basis = IE_ASSUMED; /* measured in another band */
  return true;
}

static bool amr_wb_row(const struct coded_sound *sound, struct impairment *out) {
  if (sound->mode >= AMR_WB_MODES) return false;
  return take_row(impairment_row("AMR-WB", amr_wb_mode_names[sound->mode], ""), out);
}

bool coded_impairment(const struct coded_sound *sound, bool plc, struct impairment *out) {
  const struct codec *codec = sound->codec;
  if (codec->id == CODEC_OPUS) return opus_row(sound, out);
  if (codec->id == CODEC_AMR_WB) return amr_wb_row(sound, out);
  return codec->rated_as != NULL &&
         take_row(impairment_row(codec->rated_as, codec->rated_modes[plc ? 1 : 0], ""), out);
}

bool coded_takes_bursts(const struct codec *codec) {
  return !codec->has_modes && codec->scale == SCALE_NB;
}

/* ---- rating ---- */

/* A row with a Bpl of bursty loss takes that one in place of the burst ratio. The ratio is left out of random
 * loss too: else R would rise where the ratio passes `bursty_from`. */
static struct emodel_inputs inputs_of(const struct impairment *row, double ppl_pct, double burst_ratio) {
  struct emodel_inputs in = emodel_defaults;
  in.ie = row->ie;
  in.bpl = row->bpl;
  in.ppl_pct = ppl_pct;
  in.burst_ratio = burst_ratio;
  if (row->bpl_bursty > 0) {
    if (burst_ratio > bursty_from) in.bpl = row->bpl_bursty;
    in.burst_ratio = 1;
  }
  return in;
}

bool coded_rate(const struct coded_mix *mix, double ppl_pct, double burst_ratio, bool plc,
                struct coded_rating *out) {
  uint64_t total_us = 0;
  bool all_have_bpl = true;
  *out = (struct coded_rating){0};
  for (size_t i = 0; i < mix->count; i++) total_us += mix->sound[i].us;
  if (total_us == 0) return false;
  for (size_t i = 0; i < mix->count; i++) {
    const struct coded_sound *sound = &mix->sound[i];
    struct impairment row;
    struct emodel_result result;
    if (sound->us == 0) continue;
    if (!coded_impairment(sound, plc, &row)) return false;
    double share = (double)sound->us / (double)total_us;
    struct emodel_inputs in = inputs_of(&row, ppl_pct, burst_ratio);
    emodel_reduced(row.scale, &in, &result);
    out->r += share * result.r;
    out->clean += share * (emodel_scale(row.scale)->ceiling - row.ie);
    out->bpl += share * in.bpl;
    out->share[row.scale] += share;
    all_have_bpl &= in.bpl > 0;
    if (row.basis > out->basis) out->basis = row.basis;
    if (strcmp(row.context, "diotic") == 0) out->diotic = true;
    if (result.flags & EMODEL_NO_BPL) out->no_bpl = true;
    if (result.flags & (EMODEL_CLAMPED | EMODEL_OUT_OF_RANGE)) out->out_of_range = true;
  }
  if (!all_have_bpl) out->bpl = 0;
  return true;
}

/* ---- the leg ---- */

/* Webhooks tell no mode. Of codecs with several it is the usual one, which is assumed whatever its row. */
static const struct leg_row {
  const char *name, *codec, *mode;
  bool one_mode;
} legs[] = {
    {"PCMU", "G.711", "", true},           {"PCMA", "G.711", "", true},
    {"G722", "G.722", "64", true},         {"G729", "G.729", "", true},
    {"G723", "G.723.1", "6.3 VAD", false}, {"GSM", "GSM-FR", "13", true},
    {"GSM-EFR", "GSM-EFR", "12.2", true},  {"AMR-WB", "AMR-WB", "12.65", false},
};

static bool is_name(const char *name, const char *text, size_t bytes) {
  return strlen(name) == bytes && strncasecmp(name, text, bytes) == 0;
}

struct leg_codec leg_codec_of(const char *name, const struct codec *stream) {
  struct leg_codec leg = {.known = LEG_UNKNOWN};
  size_t bytes = name != NULL ? strcspn(name, "~;/,: ") : 0;
  if (bytes == 0 || is_name("unknown", name, bytes)) return leg;
  if (stream != NULL && is_name(stream->encoding, name, bytes)) {
    return (struct leg_codec){.known = LEG_SAME};
  }
  leg.known = LEG_UNRATED;
  for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++) {
    if (!is_name(legs[i].name, name, bytes)) continue;
    leg.known = LEG_OTHER;
    leg.row = impairment_row(legs[i].codec, legs[i].mode, "");
    leg.mode_assumed = !legs[i].one_mode;
  }
  return leg;
}

enum ie_basis leg_basis(const struct leg_codec *leg) {
  if (leg->known == LEG_SAME) return IE_PUBLISHED;
  return leg->known == LEG_OTHER && !leg->mode_assumed ? leg->row->basis : IE_ASSUMED;
}

double leg_impairment(const struct leg_codec *leg, enum mos_scale scale) {
  if (leg->known != LEG_OTHER) return 0;
  double narrower = emodel_scale(scale)->ceiling - emodel_scale(leg->row->scale)->ceiling;
  return leg->row->ie + fmax(0, narrower);
}
