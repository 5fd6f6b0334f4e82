#include "dsp/codec.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "dsp/g711.h"
#include "dsp/l16.h"

/* Rows known by sizes, clocks and headers only. */

/* A container: wideband only if the leg is wideband too. */
static const struct codec l16_16k = {
    .id = CODEC_L16_16K,
    .encoding = "L16",
    .sample_rate_hz = 16000,
    .announced_hz = {16000},
    .rtp_clock_hz = 16000,
    .pcm_ceiling = 32767,
    .bytes_per_ms = 32,
    .scale = SCALE_WB,
};

/* 16 kHz sound whose clock is told as 8 kHz (RFC 3551). */
static const struct codec g722 = {
    .id = CODEC_G722,
    .encoding = "G722",
    .sample_rate_hz = 16000,
    .announced_hz = {8000, 16000},
    .rtp_clock_hz = 8000,
    .pcm_ceiling = 32767,
    .bytes_per_ms = 8,
    .scale = SCALE_WB,
};

static const struct codec opus = {
    .id = CODEC_OPUS,
    .encoding = "OPUS",
    .sample_rate_hz = 48000,
    .announced_hz = {48000, 24000, 16000, 12000, 8000},
    .rtp_clock_hz = 48000,
    .pcm_ceiling = 32767,
    .scale = SCALE_FB,
    .has_modes = true,
    .look_ahead_us = 6500,
};

static const struct codec amr_wb = {
    .id = CODEC_AMR_WB,
    .encoding = "AMR-WB",
    .sample_rate_hz = 16000,
    .announced_hz = {16000, 8000},
    .rtp_clock_hz = 16000,
    .pcm_ceiling = 32767,
    .scale = SCALE_WB,
    .has_modes = true,
    .look_ahead_us = 5000,
};

static const struct codec *const rows[] = {
    [CODEC_PCMU] = &g711_pcmu,  [CODEC_PCMA] = &g711_pcma, [CODEC_L16_8K] = &l16_8k,
    [CODEC_L16_16K] = &l16_16k, [CODEC_G722] = &g722,      [CODEC_OPUS] = &opus,
    [CODEC_AMR_WB] = &amr_wb,
};

static_assert(sizeof rows / sizeof rows[0] == CODEC_COUNT, "a row for each codec");

const struct codec *codec_row(enum codec_id id) {
  return rows[id];
}

static bool announces(const struct codec *codec, uint32_t sample_rate_hz) {
  for (size_t i = 0; i < CODEC_ANNOUNCED_MAX; i++)
    if (codec->announced_hz[i] == sample_rate_hz) return true;
  return false;
}

const struct codec *codec_find(const char *encoding, size_t bytes, uint32_t sample_rate_hz) {
  const struct codec *found = NULL;
  for (size_t i = 0; i < CODEC_COUNT; i++) {
    const struct codec *row = rows[i];
    if (strlen(row->encoding) != bytes || strncasecmp(row->encoding, encoding, bytes) != 0) continue;
    if (sample_rate_hz == 0) {
      found = row; /* the last one: L16 is 16 kHz in the guide */
    } else if (announces(row, sample_rate_hz)) {
      return row;
    }
  }
  return found;
}

void codec_decoder_init(struct codec_decoder *d, const struct codec *codec) {
  *d = (struct codec_decoder){.codec = codec};
}

size_t codec_decode(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                    size_t capacity_samples) {
  if (d->codec->decode == NULL) return 0;
  return d->codec->decode(d, payload, bytes, pcm, capacity_samples);
}

uint32_t codec_duration_us(const struct codec *codec, size_t payload_bytes) {
  if (codec->bytes_per_ms == 0) return 0;
  uint64_t samples = (uint64_t)payload_bytes * (codec->sample_rate_hz / 1000) / codec->bytes_per_ms;
  uint64_t us = samples * 1000000 / codec->sample_rate_hz;
  return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}
