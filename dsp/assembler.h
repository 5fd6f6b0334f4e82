/* Puts payloads back in order and hands on an unbroken run of sound: the decoder's reordering window
 * (telnyx-protocol.md 1.4.3: 10 frames or 100 ms), holes told as missing.
 *
 * Use: assembler_push() with the place that delivery_frame() gave, assembler_tick() once a second or
 * oftener, assembler_flush() at the end. The sink is called in rising place, without gaps.
 * Frames in order pass through without a copy. No heap, no clock; belongs to one thread. */
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

/* pcm NULL: `samples` samples that never came. position_samples counts from the track's first frame. */
typedef void (*assembler_sink)(void *arg, int64_t position_samples, const int16_t *pcm,
                               size_t samples);

struct assembler {
  struct codec_decoder decoder;
  assembler_sink sink;
  void *arg;
  int64_t next_samples; /* position of the next sample to hand on */
  int held;
  size_t held_bytes;
  struct {
    int64_t place_us, arrival_us;
    size_t offset_bytes, payload_bytes;
  } frame[ASSEMBLER_FRAMES];
  uint8_t payloads[ASSEMBLER_HELD_BYTES];
};

void assembler_init(struct assembler *a, assembler_sink sink, void *arg);
/* Hands on what waits, then the codec of what follows (NULL decode: sound is not heard). */
void assembler_begin(struct assembler *a, const struct codec *codec);
void assembler_push(struct assembler *a, int64_t place_us, int64_t arrival_us,
                    const uint8_t *payload, size_t bytes);
void assembler_tick(struct assembler *a, int64_t now_us);
void assembler_flush(struct assembler *a);

#endif
