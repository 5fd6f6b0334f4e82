#include "dsp/l16.h"

#include <stdlib.h>

enum {
  FEWEST_SAMPLES = 32, /* changing samples before big-endian is believed at all */
  CLEARLY = 2          /* how many times rougher the other reading must be */
};

static int little(const uint8_t *at) {
  return (int16_t)(uint16_t)(at[0] | at[1] << 8);
}

static int big(const uint8_t *at) {
  return (int16_t)(uint16_t)(at[0] << 8 | at[1]);
}

/* Equal neighbours are equal either way and tell nothing. */
static void measure(struct codec_decoder *d, const uint8_t *payload, size_t samples) {
  for (size_t i = 1; i < samples; i++) {
    const uint8_t *now = payload + 2 * i, *before = now - 2;
    int step = little(now) - little(before);
    if (step == 0) continue;
    d->l16_rough_le += (unsigned)abs(step);
    d->l16_rough_be += (unsigned)abs(big(now) - big(before));
    d->l16_samples++;
  }
  d->l16_big_endian = d->l16_samples >= FEWEST_SAMPLES && d->l16_rough_be * CLEARLY < d->l16_rough_le;
  d->l16_decided = d->l16_samples >= d->codec->sample_rate_hz;
}

/* An odd last byte is half a sample: left out. */
static size_t decode(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                     size_t capacity_samples) {
  size_t samples = bytes / 2 < capacity_samples ? bytes / 2 : capacity_samples;
  if (!d->l16_decided) measure(d, payload, samples);
  if (d->l16_big_endian) {
    for (size_t i = 0; i < samples; i++) pcm[i] = (int16_t)big(payload + 2 * i);
  } else {
    for (size_t i = 0; i < samples; i++) pcm[i] = (int16_t)little(payload + 2 * i);
  }
  return samples;
}

static size_t encode(const int16_t *pcm, size_t samples, uint8_t *payload, size_t capacity_bytes) {
  if (samples > capacity_bytes / 2) samples = capacity_bytes / 2;
  for (size_t i = 0; i < samples; i++) {
    uint16_t word = (uint16_t)pcm[i];
    payload[2 * i] = (uint8_t)word;
    payload[2 * i + 1] = (uint8_t)(word >> 8);
  }
  return samples * 2;
}

static const uint8_t answer_bytes[] = {0, 0, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0x80, 0x34, 0x12};
static const int16_t answer_samples[] = {0, 1, -1, 32767, -32768, 0x1234};
static const struct codec_answer answers[] = {
    {answer_bytes, sizeof answer_bytes, answer_samples, sizeof answer_samples / sizeof answer_samples[0]},
};

/* G.113 has no row for it: G.711's robustness, declared as assumed. */
const struct codec l16_8k = {
    .id = CODEC_L16_8K,
    .encoding = "L16",
    .sample_rate_hz = 8000,
    .announced_hz = {8000},
    .rtp_clock_hz = 8000,
    .pcm_ceiling = 32767,
    .bytes_per_ms = 16,
    .scale = SCALE_NB,
    .decode = decode,
    .encode = encode,
    .answers = answers,
    .answer_count = sizeof answers / sizeof answers[0],
};
