/* Frames for the tests of dsp/delivery: a track as a list of frames, and the facts it makes. */
#ifndef TESTS_DELIVERY_FEED_H
#define TESTS_DELIVERY_FEED_H

#include <stdlib.h>
#include <string.h>

#include "dsp/delivery_facts.h"

enum { FRAME_US = 20000 };

struct feed {
  size_t count;
  struct delivery_input frame[6000];
};

static inline void feed_clear(struct feed *f) {
  f->count = 0;
}

static inline struct delivery_input *feed_add(struct feed *f, uint64_t number, int64_t media_us,
                                              int64_t arrival_us) {
  struct delivery_input *in = &f->frame[f->count++];
  *in = (struct delivery_input){.number = number,
                                .media_us = media_us,
                                .arrival_us = arrival_us,
                                .read_ordinal = (uint64_t)arrival_us,
                                .duration_us = FRAME_US,
                                .coded = true,
                                .payload_bytes = 160};
  return in;
}

/* Frames first to last in time, 30 ms after their media time. */
static inline void feed_even(struct feed *f, uint64_t first, uint64_t last) {
  for (uint64_t n = first; n <= last; n++) {
    feed_add(f, n, (int64_t)n * FRAME_US, (int64_t)n * FRAME_US + 30000);
  }
}

static inline struct delivery *delivery_new(void) {
  struct delivery *d = malloc(delivery_bytes());
  delivery_init(d);
  delivery_begin(d, codec_row(CODEC_PCMU), FRAME_US);
  return d;
}

/* The facts of a feed; `look_every` > 0 also looks at them in between, which must change nothing. */
static inline void feed_facts(const struct feed *f, size_t look_every, struct delivery_facts *out) {
  struct delivery *d = delivery_new();
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < f->count; i++) {
    delivery_frame(d, &f->frame[i]);
    if (look_every == 0 || i % look_every != 0) continue;
    delivery_tick(d, f->frame[i].arrival_us);
    delivery_facts(d, out);
  }
  delivery_facts(d, out);
  free(d);
}

#endif
