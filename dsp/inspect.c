#include "dsp/inspect.h"

#include <string.h>

#include "dsp/impairment.h"

/* ---- AMR-WB, RFC 4867 ---- */

enum {
  AMR_FRAME_US = 20000,
  AMR_SID = 9,
  AMR_LOST = 14,
  AMR_NO_DATA = 15,
  AMR_CMR_BITS = 4,
  AMR_TOC_BITS = 6,
  AMR_FRAMES_MAX = 12
};

const char *const amr_wb_mode_names[AMR_WB_MODES] = {"6.60",  "8.85",  "12.65", "14.25", "15.85",
                                                     "18.25", "19.85", "23.05", "23.85"};

/* Bits of speech or of comfort noise by frame type; -1: no such type. */
static const int amr_bits[16] = {132, 177, 253, 285, 317, 365, 397, 461, 477, 40, -1, -1, -1, -1, 0, 0};

struct amr_toc {
  size_t count;
  uint8_t type[AMR_FRAMES_MAX];
  bool good[AMR_FRAMES_MAX];
};

static unsigned bits_at(const uint8_t *payload, size_t bit, unsigned count) {
  unsigned value = 0;
  for (unsigned i = 0; i < count; i++, bit++) value = value << 1 | ((payload[bit / 8] >> (7 - bit % 8)) & 1u);
  return value;
}

static bool note_entry(struct amr_toc *toc, unsigned entry) {
  unsigned type = entry >> 1 & 0xf;
  if (amr_bits[type] < 0) return false;
  toc->type[toc->count] = (uint8_t)type;
  toc->good[toc->count++] = entry & 1;
  return true;
}

/* Entries of F, FT, Q without padding behind a CMR of 4 bits; only the payload's end is padded. */
static bool read_bandwidth_efficient(const uint8_t *payload, size_t bytes, struct amr_toc *toc) {
  size_t bit = AMR_CMR_BITS, sound = 0;
  unsigned entry = 1u << (AMR_TOC_BITS - 1);
  toc->count = 0;
  while (entry >> (AMR_TOC_BITS - 1)) {
    if (toc->count == AMR_FRAMES_MAX || bit + AMR_TOC_BITS > bytes * 8) return false;
    entry = bits_at(payload, bit, AMR_TOC_BITS);
    bit += AMR_TOC_BITS;
    if (!note_entry(toc, entry)) return false;
    sound += (size_t)amr_bits[toc->type[toc->count - 1]];
  }
  return (bit + sound + 7) / 8 == bytes;
}

/* A byte each for the CMR and the entries, whole bytes for each frame; what pads them is ignored. */
static bool read_octet_aligned(const uint8_t *payload, size_t bytes, struct amr_toc *toc) {
  size_t at = 1, sound = 0;
  bool follows = true;
  toc->count = 0;
  while (follows) {
    if (toc->count == AMR_FRAMES_MAX || at == bytes) return false;
    follows = payload[at] & 0x80;
    if (!note_entry(toc, payload[at] >> 2 & 0x1f)) return false;
    sound += ((size_t)amr_bits[toc->type[toc->count - 1]] + 7) / 8;
    at++;
  }
  return at + sound == bytes;
}

/* The mode of one frame by the size of its payload, or -1: the sizes of the two packings differ. */
static int amr_mode_of_size(size_t bytes) {
  for (int mode = 0; mode < AMR_WB_MODES; mode++) {
    size_t efficient = ((size_t)amr_bits[mode] + AMR_CMR_BITS + AMR_TOC_BITS + 7) / 8;
    if (bytes == efficient || bytes == efficient + 1) return mode;
  }
  return -1;
}

static void read_entries(const struct amr_toc *toc, struct codec_frame *out) {
  bool silence = false;
  out->duration_us = (uint32_t)toc->count * AMR_FRAME_US;
  for (size_t i = 0; i < toc->count; i++) {
    unsigned type = toc->type[i];
    if (type < AMR_WB_MODES) {
      if (!out->coded) out->mode = (uint8_t)type;
      out->coded = true;
      if (!toc->good[i]) out->upstream_bad = true;
    } else if (type == AMR_SID) {
      silence = true;
    } else {
      out->upstream_bad = true;
    }
  }
  out->sid = silence && !out->coded && !out->upstream_bad;
}

/* What fits both ways is one frame packed tightly: in octets it would be one and many empty ones. */
static void inspect_amr_wb(const uint8_t *payload, size_t bytes, struct codec_frame *out) {
  struct amr_toc toc;
  if (read_bandwidth_efficient(payload, bytes, &toc) || read_octet_aligned(payload, bytes, &toc)) {
    read_entries(&toc, out);
    return;
  }
  int mode = amr_mode_of_size(bytes);
  if (mode < 0) return;
  out->duration_us = AMR_FRAME_US;
  out->coded = true;
  out->mode = (uint8_t)mode;
}

/* ---- OPUS, RFC 6716 ---- */

enum { OPUS_DTX_BYTES = 2, OPUS_LONGEST_US = 120000 };

/* Frame lengths of the four configurations of a group, and how many a group has. */
static uint32_t opus_frame_us(unsigned config) {
  static const uint32_t silk[] = {10000, 20000, 40000, 60000}, hybrid[] = {10000, 20000},
                        celt[] = {2500, 5000, 10000, 20000};
  if (config < 12) return silk[config % 4];
  if (config < 16) return hybrid[config % 2];
  return celt[config % 4];
}

static enum opus_band opus_band_of(unsigned config) {
  static const enum opus_band silk[] = {OPUS_NB, OPUS_MB, OPUS_WB}, hybrid[] = {OPUS_SWB, OPUS_FB},
                              celt[] = {OPUS_NB, OPUS_WB, OPUS_SWB, OPUS_FB};
  if (config < 12) return silk[config / 4];
  if (config < 16) return hybrid[(config - 12) / 2];
  return celt[(config - 16) / 4];
}

static void inspect_opus(const uint8_t *payload, size_t bytes, struct codec_frame *out) {
  unsigned config = payload[0] >> 3, code = payload[0] & 3, frames = code == 0 ? 1 : 2;
  if (code == 3) frames = bytes > 1 ? payload[1] & 0x3f : 0;
  uint32_t us = frames * opus_frame_us(config);
  if (us > OPUS_LONGEST_US) us = 0; /* no Opus packet is longer */
  out->duration_us = us;
  out->sid = bytes <= OPUS_DTX_BYTES;
  out->coded = !out->sid && us > 0;
  out->mode = (uint8_t)opus_band_of(config);
}

void codec_inspect(const struct codec *codec, const uint8_t *payload, size_t bytes, struct codec_frame *out) {
  *out = (struct codec_frame){0};
  if (bytes == 0) return;
  switch (codec->id) {
    case CODEC_AMR_WB:
      inspect_amr_wb(payload, bytes, out);
      return;
    case CODEC_OPUS:
      inspect_opus(payload, bytes, out);
      return;
    default:
      out->duration_us = codec_duration_us(codec, bytes);
      out->coded = true;
  }
}
