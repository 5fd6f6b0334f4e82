/* Parts whose tracks have been measured, for the tests of what the fold makes of quality. */
#ifndef TESTS_FOLD_MEASURED_H
#define TESTS_FOLD_MEASURED_H

#include "dsp/codec.h"
#include "tests/fold_case.h"

enum { PTIME_MS = 20 };

/* A track of `frames` frames of 20 ms, on time; every `lose_each`-th is missing (0: none). */
static inline struct delivery_facts *measured(const struct codec *codec, size_t frames, size_t lose_each) {
  struct delivery *d = malloc(delivery_bytes());
  struct delivery_facts *facts = malloc(sizeof *facts);
  delivery_init(d);
  delivery_begin(d, codec, PTIME_MS * 1000);
  for (size_t i = 0; i < frames; i++) {
    if (lose_each && i % lose_each == lose_each - 1) continue;
    int64_t at_us = (int64_t)i * PTIME_MS * 1000;
    struct delivery_input in = {.number = i + 1,
                                .media_us = at_us,
                                .arrival_us = 5000000 + at_us,
                                .read_ordinal = i,
                                .duration_us = PTIME_MS * 1000};
    delivery_frame(d, &in);
  }
  delivery_facts(d, facts);
  free(d);
  return facts;
}

static inline void measure_as(enum codec_id id, struct part *part, int track, size_t frames,
                              size_t lose_each) {
  const struct codec *codec = codec_row(id);
  part->track[track].seen = true;
  strcpy(part->track[track].encoding, codec->encoding);
  part->track[track].sample_rate_hz = codec->sample_rate_hz;
  part->track[track].ptime_us = PTIME_MS * 1000;
  part->track[track].chunk_scope = CHUNK_PER_TRACK;
  part->track[track].ts_unit = TS_MS;
  part->track[track].delivery = measured(codec, frames, lose_each);
  part->track[track].payload_bytes = part->track[track].delivery->received_frames * 160;
}

static inline void measure(struct part *part, int track, size_t frames, size_t lose_each) {
  measure_as(CODEC_PCMU, part, track, frames, lose_each);
}

#endif
