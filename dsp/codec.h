/* The codecs a Telnyx stream can carry: one row each, the only place where one is added.
 *
 * Use: codec_find() the row of a `start` frame's media_format, codec_decoder_init() a decoder a
 * track, codec_decode() each payload. A row without a decoder is known by its sizes and headers only
 * (dsp/inspect.h): its frames are counted, timed and rated, its sound is not heard. What a codec costs is
 * in dsp/impairment.h.
 * No heap, no clock, no lock; a decoder belongs to one thread. */
#ifndef DSP_CODEC_H
#define DSP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/emodel.h"

enum codec_id {
  CODEC_PCMU,
  CODEC_PCMA,
  CODEC_L16_8K,
  CODEC_L16_16K,
  CODEC_G722,
  CODEC_OPUS,
  CODEC_AMR_WB,
  CODEC_COUNT
};

struct codec_decoder;

/* One exchange that a decoder made by codec_decoder_init() must give, checked by the tests. */
struct codec_answer {
  const uint8_t *payload;
  size_t bytes;
  const int16_t *pcm;
  size_t samples;
};

enum { CODEC_ANNOUNCED_MAX = 6 };

struct codec {
  enum codec_id id;
  const char *encoding;                       /* as in media_format.encoding: "PCMU" */
  uint32_t sample_rate_hz;                    /* of the sound, G722: 16000 */
  uint32_t announced_hz[CODEC_ANNOUNCED_MAX]; /* rates media_format may state for it, the rest 0 */
  uint32_t rtp_clock_hz;                      /* G722: 8000 */
  int16_t pcm_ceiling;    /* the greatest |sample| a decoder can give: where its sound clips */
  int16_t pcm_idle;       /* |sample| of its silence: A-law has no 0 */
  uint32_t bytes_per_ms;  /* 0: the size of a frame does not tell its length */
  enum mos_scale scale;   /* the widest its sound can be */
  bool has_modes;         /* its frames differ in what they cost: dsp/inspect.h tells each one's mode */
  uint32_t look_ahead_us; /* what the encoder waits for beyond the frame: voice-quality.md 2.1, 2.4 */
  /* Both NULL when not built. Return samples (bytes) written, 0 for a payload that is not of this codec.
     Where bytes_per_ms is set, a payload may be decoded in pieces of an even number of bytes. */
  size_t (*decode)(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                   size_t capacity_samples);
  size_t (*encode)(const int16_t *pcm, size_t samples, uint8_t *payload, size_t capacity_bytes);
  const struct codec_answer *answers; /* of a row that decodes: one or more; `encode` gives them back */
  size_t answer_count;
};

/* One a track. `l16_*` is the running measure of the byte order (telnyx-protocol.md 1.6). */
struct codec_decoder {
  const struct codec *codec;
  uint64_t l16_rough_le, l16_rough_be; /* sums of |difference of neighbours| read either way */
  uint32_t l16_samples;                /* with signal, until decided */
  bool l16_decided, l16_big_endian;
};

/* The row for an encoding (any case, `bytes` long, no NUL needed) at the announced rate; rate 0 means the
 * encoding's usual one (L16: 16 kHz). NULL when there is no such row. */
const struct codec *codec_find(const char *encoding, size_t bytes, uint32_t sample_rate_hz);
const struct codec *codec_row(enum codec_id id);

/* The decoder keeps `codec`, which may be any row. */
void codec_decoder_init(struct codec_decoder *d, const struct codec *codec);
/* Samples written to `pcm`, at most `capacity_samples`; 0 when the row has no decoder. */
size_t codec_decode(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                    size_t capacity_samples);

/* Length of a payload in microseconds, whole samples only; 0 when the size does not tell it. */
uint32_t codec_duration_us(const struct codec *codec, size_t payload_bytes);

#endif
