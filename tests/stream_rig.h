/* One stream and what is sent at it, for tests of agent/stream*.c. */
#ifndef TESTS_STREAM_RIG_H
#define TESTS_STREAM_RIG_H

#include "agent/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/document.h"
#include "dsp/codec.h"
#include "dsp/hearing.h"
#include "telnyx/base64.h"
#include "tests/talker.h"

enum { SECONDS = 70, SAMPLES = SECONDS * 8000, TEXT_MAX = 2 * 70000 };

static const int64_t wall_zero_us = 1789373698120000, mono_zero_us = 5000000;
static int16_t voice[SAMPLES];
static uint8_t scratch[STREAM_PAYLOAD_MAX];

struct rig {
  struct stream *s;
  struct metrics metrics;
  struct moment at;
};

enum numbers { AS_TEXT, AS_NUMBERS, ABSENT };

static inline const struct moment *at_ms(struct rig *r, int64_t ms) {
  r->at.mono_us = mono_zero_us + ms * 1000;
  r->at.wall_us = wall_zero_us + ms * 1000;
  r->at.read_ordinal++;
  return &r->at;
}

static inline void rig_begin_with(struct rig *r, const struct stream_options *options) {
  memset(r, 0, sizeof *r);
  r->s = stream_create("a_1", at_ms(r, 0), scratch, &r->metrics, options);
  assert_non_null(r->s);
}

static inline void rig_begin(struct rig *r) {
  rig_begin_with(r, &(const struct stream_options){.consumer = CONSUMER_PLAYOUT});
}

static inline bool start(struct rig *r, int64_t ms, const char *encoding, uint32_t rate_hz) {
  const struct frame f = {.kind = FRAME_START,
                          .stream_id = "s-1",
                          .call_control_id = "leg",
                          .from = "+15550100001",
                          .encoding = encoding,
                          .sample_rate_hz = rate_hz};
  return stream_start(r->s, at_ms(r, ms), &f);
}

static inline enum frame_fault send_bytes(struct rig *r, int64_t ms, int track, uint64_t number,
                                          uint64_t timestamp, const uint8_t *payload, size_t bytes,
                                          enum numbers numbers) {
  static char text[TEXT_MAX];
  size_t length = (size_t)sprintf(text, "{\"event\":\"media\",\"media\":{\"track\":\"%s\",",
                                  track ? "outbound" : "inbound");
  const char *quote = numbers == AS_TEXT ? "\"" : "";
  if (numbers != ABSENT)
    length += (size_t)sprintf(text + length, "\"chunk\":%s%llu%s,\"timestamp\":%s%llu%s,", quote,
                              (unsigned long long)number, quote, quote, (unsigned long long)timestamp, quote);
  length += (size_t)sprintf(text + length, "\"payload\":\"");
  length += base64_encode(payload, bytes, text + length);
  length += (size_t)sprintf(text + length, "\"}}");
  struct frame frame;
  enum frame_fault fault = frame_parse(text, length, &frame);
  if (fault == FRAME_FINE) fault = stream_media(r->s, at_ms(r, ms), &frame.media);
  frame_release(&frame);
  return fault;
}

/* 20 ms of the talker from its `index`th frame, or silence for index < 0. */
static inline void send_sound(struct rig *r, int64_t ms, int track, int number, int index,
                              enum codec_id codec, enum numbers numbers) {
  static const int16_t silence[160];
  const struct codec *row = codec_row(codec);
  uint8_t payload[640];
  size_t bytes = row->encode(index < 0 ? silence : voice + index * 160, 160, payload, sizeof payload);
  assert_int_equal(
      send_bytes(r, ms, track, (uint64_t)number, (uint64_t)(number - 1) * 20, payload, bytes, numbers),
      FRAME_FINE);
}

static inline void send_voice(struct rig *r, int64_t ms, int track, int number, int index) {
  send_sound(r, ms, track, number, index, CODEC_PCMU, AS_TEXT);
}

/* Inbound the talker, outbound the talker 2 s later in its own time, both from `from_ms` on. */
static inline void send_both(struct rig *r, int64_t from_ms, int first, int count, enum numbers numbers) {
  for (int i = first; i < first + count; i++) {
    int64_t ms = from_ms + (i - first) * 20;
    send_sound(r, ms, 0, i + 1, i, CODEC_PCMU, numbers);
    send_sound(r, ms, 1, i + 1, i + 100, CODEC_PCMU, numbers);
    if (i % 50 == 49) stream_tick(r->s, at_ms(r, ms));
  }
}

static inline struct part *finish(struct rig *r, int64_t ms) {
  stream_end(r->s, at_ms(r, ms), PART_CLOSED);
  struct part *part = stream_part(r->s);
  assert_non_null(part);
  stream_free(r->s);
  return part;
}

/* What was measured of the media, as text to compare; malloc'ed. */
static inline char *measured(const struct part *part) {
  json_t *json = part_to_json(part), *kept = json_object();
  json_object_set(kept, "inbound", json_object_get(json, "inbound"));
  json_object_set(kept, "outbound", json_object_get(json, "outbound"));
  json_object_set(kept, "speech", json_object_get(json, "speech"));
  json_object_set(kept, "findings", json_object_get(json, "findings"));
  json_object_set(kept, "echo", json_object_get(json, "echo"));
  assert_true(json_object_size(kept) >= 2); /* the names above are the part's */
  char *text = document_text(kept, true, NULL);
  json_decref(kept);
  json_decref(json);
  return text;
}

static inline void expect_same_measure(struct part *a, struct part *b, const char *what) {
  char *left = measured(a), *right = measured(b);
  if (strcmp(left, right) != 0) {
    size_t at = 0, line = 0;
    for (; left[at] == right[at]; at++)
      if (left[at] == '\n') line = at + 1;
    fail_msg("%s:\n- %.100s\n+ %.100s", what, left + line, right + line);
  }
  free(left);
  free(right);
}

static inline const struct delivery_facts *delivery_of(const struct part *part, int track) {
  assert_non_null(part->track[track].delivery);
  return part->track[track].delivery;
}

#endif
