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
  bool silent[6000]; /* its sound is silence that somebody put in: found with the sound behind it */
};
enum { FOUND_BEHIND = 14 };

static inline void feed_clear(struct feed *f) {
  f->count = 0;
  memset(f->silent, 0, sizeof f->silent);
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

/* What a decoder finds with frame `at`; only sound that is of use is decoded. */
static inline void feed_silence(struct delivery *d, const struct feed *f,
                                const struct delivery_result *result, size_t at) {
  if (at < FOUND_BEHIND || !f->silent[at - FOUND_BEHIND]) return;
  const struct delivery_result *r = &result[at - FOUND_BEHIND];
  if (r->verdict != DELIVERY_OK && r->verdict != DELIVERY_REORDERED) return;
  delivery_inserted_silence(d, r->place_us, r->place_us + f->frame[at - FOUND_BEHIND].duration_us);
}

/* The facts of a feed; `look_every` > 0 also looks at them in between, which must change nothing. */
static inline void feed_facts(const struct feed *f, size_t look_every, struct delivery_facts *out) {
  struct delivery *d = delivery_new();
  static struct delivery_result result[6000];
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < f->count; i++) {
    result[i] = delivery_frame(d, &f->frame[i]);
    feed_silence(d, f, result, i);
    if (look_every == 0 || i % look_every != 0) continue;
    delivery_tick(d, f->frame[i].arrival_us);
    delivery_facts(d, out);
  }
  delivery_facts(d, out);
  free(d);
}

#endif
