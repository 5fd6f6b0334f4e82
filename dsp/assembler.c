#include "dsp/assembler.h"

#include <string.h>

enum {
  US_PER_S = 1000000,
  FIRST_RATE_HZ = 8000,
  SLICE_BYTES = 1024,      /* even: a slice never splits a linear sample */
  SLICE_SAMPLES = 5760,    /* the longest packet a codec makes: Opus, 120 ms at 48 kHz */
  UNTOLD_LENGTH_US = 20000 /* of a payload whose size does not tell its length */
};

void assembler_init(struct assembler *a, assembler_sink sink, void *arg) {
  *a = (struct assembler){.sink = sink, .arg = arg, .sample_rate_hz = FIRST_RATE_HZ};
}

/* To the nearest sample. Whole seconds apart, so that no place overflows. */
static int64_t samples_of_us(int64_t us, uint32_t rate_hz) {
  int64_t seconds = us / US_PER_S, rest = us % US_PER_S;
  if (rest < 0) {
    seconds--;
    rest += US_PER_S;
  }
  return seconds * rate_hz + (rest * rate_hz + US_PER_S / 2) / US_PER_S;
}

static void hand_on(struct assembler *a, const int16_t *pcm, size_t samples) {
  if (samples == 0) return;
  a->sink(a->arg, a->next_samples, pcm, samples);
  a->next_samples += (int64_t)samples;
}

/* Decoded piece by piece, less the first `skip` samples. A codec whose packets are one whole is given
 * them whole. */
static void decode(struct assembler *a, const uint8_t *payload, size_t bytes, size_t skip) {
  int16_t pcm[SLICE_SAMPLES];
  size_t slice = a->decoder.codec->bytes_per_ms > 0 ? SLICE_BYTES : bytes;
  while (bytes > 0) {
    size_t piece = bytes < slice ? bytes : slice;
    size_t samples = codec_decode(&a->decoder, payload, piece, pcm, SLICE_SAMPLES);
    size_t cut = samples < skip ? samples : skip;
    hand_on(a, pcm + cut, samples - cut);
    skip -= cut;
    payload += piece;
    bytes -= piece;
  }
}

/* Hands on a frame now: the hole before it, then as much of it as is new. */
static void emit(struct assembler *a, int64_t place_us, const uint8_t *payload, size_t bytes) {
  const struct codec *codec = a->decoder.codec;
  uint32_t us = codec_duration_us(codec, bytes);
  if (codec->bytes_per_ms == 0) us = UNTOLD_LENGTH_US;
  int64_t length = samples_of_us(us, a->sample_rate_hz);
  int64_t snap = a->sample_rate_hz / 1000;
  int64_t ahead = samples_of_us(place_us, a->sample_rate_hz) - a->next_samples;
  if (ahead > -snap && ahead < snap) ahead = 0;
  if (ahead > 0) hand_on(a, NULL, (size_t)ahead);
  int64_t old = ahead < 0 ? -ahead : 0;
  if (old >= length) return;
  if (codec->decode == NULL) {
    hand_on(a, NULL, (size_t)(length - old));
  } else {
    decode(a, payload, bytes, (size_t)old);
  }
}

static bool adjoins(const struct assembler *a, int64_t place_us) {
  int64_t snap = a->sample_rate_hz / 1000;
  return samples_of_us(place_us, a->sample_rate_hz) - a->next_samples < snap;
}

/* Hands on the first of the held frames and closes the room it leaves. */
static void release_first(struct assembler *a) {
  size_t offset = a->frame[0].offset_bytes, bytes = a->frame[0].payload_bytes;
  emit(a, a->frame[0].place_us, a->payloads + offset, bytes);
  memmove(a->payloads + offset, a->payloads + offset + bytes, a->held_bytes - offset - bytes);
  a->held_bytes -= bytes;
  a->held--;
  memmove(a->frame, a->frame + 1, (size_t)a->held * sizeof a->frame[0]);
  for (int i = 0; i < a->held; i++)
    if (a->frame[i].offset_bytes > offset) a->frame[i].offset_bytes -= bytes;
}

static void release_adjoining(struct assembler *a) {
  while (a->held > 0 && adjoins(a, a->frame[0].place_us)) release_first(a);
}

static bool fits(const struct assembler *a, size_t bytes) {
  return a->held < ASSEMBLER_FRAMES && bytes <= ASSEMBLER_HELD_BYTES - a->held_bytes;
}

static void hold(struct assembler *a, int64_t place_us, int64_t arrival_us, const uint8_t *payload,
                 size_t bytes) {
  int at = a->held;
  while (at > 0 && a->frame[at - 1].place_us > place_us) {
    a->frame[at] = a->frame[at - 1];
    at--;
  }
  a->frame[at].place_us = place_us;
  a->frame[at].arrival_us = arrival_us;
  a->frame[at].offset_bytes = a->held_bytes;
  a->frame[at].payload_bytes = bytes;
  memcpy(a->payloads + a->held_bytes, payload, bytes);
  a->held_bytes += bytes;
  a->held++;
}

/* All held frames wait for the hole before the first of them; when one has waited long enough that hole
 * is given up, and the rest may wait for the next. */
static void release_overdue(struct assembler *a, int64_t now_us) {
  int i = 0;
  while (i < a->held) {
    if (now_us - a->frame[i].arrival_us >= ASSEMBLER_WAIT_US) {
      release_first(a);
      release_adjoining(a);
      i = 0;
    } else {
      i++;
    }
  }
}

void assembler_push(struct assembler *a, int64_t place_us, int64_t arrival_us, const uint8_t *payload,
                    size_t bytes) {
  if (a->decoder.codec == NULL || bytes == 0) return;
  while (!adjoins(a, place_us) && !fits(a, bytes) && a->held > 0 && a->frame[0].place_us <= place_us) {
    release_first(a);
    release_adjoining(a);
  }
  if (adjoins(a, place_us) || !fits(a, bytes)) {
    emit(a, place_us, payload, bytes);
    release_adjoining(a);
  } else {
    hold(a, place_us, arrival_us, payload, bytes);
  }
  release_overdue(a, arrival_us);
}

void assembler_tick(struct assembler *a, int64_t now_us) {
  release_overdue(a, now_us);
}

void assembler_flush(struct assembler *a) {
  while (a->held > 0) release_first(a);
}

void assembler_begin(struct assembler *a, const struct codec *codec) {
  assembler_flush(a);
  codec_decoder_init(&a->decoder, codec);
  if (codec->decode == NULL) return;
  int64_t seconds = a->next_samples / a->sample_rate_hz, rest = a->next_samples % a->sample_rate_hz;
  a->next_samples = seconds * codec->sample_rate_hz +
                    (rest * codec->sample_rate_hz + a->sample_rate_hz / 2) / a->sample_rate_hz;
  a->sample_rate_hz = codec->sample_rate_hz;
}
