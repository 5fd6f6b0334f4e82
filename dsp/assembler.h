/* Puts payloads back in order and hands on an unbroken run of sound: the decoder's reordering window
 * (telnyx-protocol.md 1.4.3: 10 frames or 100 ms), holes told as missing.
 *
 *   push ──place = next──────────────────────> decode ──> sink
 *     └──place > next──> held, by place ──hole filled, or──^
 *                        given up after 10 frames / 100 ms
 *
 * Use: assembler_init(), assembler_begin() with the codec, then assembler_push() with the place that
 * delivery_frame() gave, assembler_tick() once a second or oftener, assembler_flush() at the end. The
 * sink is called in rising place, without gaps: what begins less than 1 ms off counts as adjoining, what
 * was handed on already is cut off. Frames in order pass through without a copy.
 * No heap, no clock; belongs to one thread. */
#ifndef DSP_ASSEMBLER_H
#define DSP_ASSEMBLER_H

#include <stddef.h>
#include <stdint.h>

#include "dsp/codec.h"

enum {
  ASSEMBLER_FRAMES = 10,
  ASSEMBLER_WAIT_US = 100000,
  ASSEMBLER_HELD_BYTES = 8192 /* payloads that wait; one that does not fit ends the waiting */
};

/* pcm NULL: `samples` samples that never came, or that no decoder hears; one call however long the hole.
 * position_samples counts from the track's first frame. `pcm` is valid during the call only. */
typedef void (*assembler_sink)(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples);

struct assembler {
  struct codec_decoder decoder;
  assembler_sink sink;
  void *arg;
  uint32_t sample_rate_hz; /* of the positions: of the last codec that is heard, 8000 before there was one */
  int64_t next_samples;    /* position of the next sample to hand on */
  int held;
  size_t held_bytes;
  struct {
    int64_t place_us, arrival_us;
    size_t offset_bytes, payload_bytes;
  } frame[ASSEMBLER_FRAMES]; /* in rising place */
  uint8_t payloads[ASSEMBLER_HELD_BYTES];
};

void assembler_init(struct assembler *a, assembler_sink sink, void *arg);
/* Hands on what waits, then the codec of what follows (NULL decode: sound is not heard, its time is told as
 * missing). Positions go on where they were, counted in the new codec's rate if that is heard. */
void assembler_begin(struct assembler *a, const struct codec *codec);
/* A payload of any size that lies at place_us from the track's first frame; arrival_us on the clock of
 * assembler_tick(). Before assembler_begin() it is ignored, and so is an empty one. */
void assembler_push(struct assembler *a, int64_t place_us, int64_t arrival_us, const uint8_t *payload,
                    size_t bytes);
/* Gives up holes that somebody has waited for 100 ms long. */
void assembler_tick(struct assembler *a, int64_t now_us);
void assembler_flush(struct assembler *a);

#endif
