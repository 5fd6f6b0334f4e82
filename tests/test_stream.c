/* agent/stream.c: one socket's frames to the facts of a media part. The stages behind it have tests of
 * their own; here is what the stream decides: what waits and when it runs, formats, origins, ends. */
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

static const struct moment *at_ms(struct rig *r, int64_t ms) {
  r->at.mono_us = mono_zero_us + ms * 1000;
  r->at.wall_us = wall_zero_us + ms * 1000;
  r->at.read_ordinal++;
  return &r->at;
}

static void rig_begin(struct rig *r) {
  memset(r, 0, sizeof *r);
  r->s = stream_create("a_1", at_ms(r, 0), scratch, &r->metrics);
  assert_non_null(r->s);
}

static bool start(struct rig *r, int64_t ms, const char *encoding, uint32_t rate_hz) {
  const struct frame f = {.kind = FRAME_START,
                          .stream_id = "s-1",
                          .call_control_id = "leg",
                          .from = "+15550100001",
                          .encoding = encoding,
                          .sample_rate_hz = rate_hz};
  return stream_start(r->s, at_ms(r, ms), &f);
}

static enum frame_fault send_bytes(struct rig *r, int64_t ms, int track, uint64_t number, uint64_t timestamp,
                                   const uint8_t *payload, size_t bytes, enum numbers numbers) {
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
static void send_sound(struct rig *r, int64_t ms, int track, int number, int index, enum codec_id codec,
                       enum numbers numbers) {
  static const int16_t silence[160];
  const struct codec *row = codec_row(codec);
  uint8_t payload[640];
  size_t bytes = row->encode(index < 0 ? silence : voice + index * 160, 160, payload, sizeof payload);
  assert_int_equal(
      send_bytes(r, ms, track, (uint64_t)number, (uint64_t)(number - 1) * 20, payload, bytes, numbers),
      FRAME_FINE);
}

static void send_voice(struct rig *r, int64_t ms, int track, int number, int index) {
  send_sound(r, ms, track, number, index, CODEC_PCMU, AS_TEXT);
}

/* Inbound the talker, outbound the talker 2 s later in its own time, both from `from_ms` on. */
static void send_both(struct rig *r, int64_t from_ms, int first, int count, enum numbers numbers) {
  for (int i = first; i < first + count; i++) {
    int64_t ms = from_ms + (i - first) * 20;
    send_sound(r, ms, 0, i + 1, i, CODEC_PCMU, numbers);
    send_sound(r, ms, 1, i + 1, i + 100, CODEC_PCMU, numbers);
    if (i % 50 == 49) stream_tick(r->s, at_ms(r, ms));
  }
}

static struct part *finish(struct rig *r, int64_t ms) {
  stream_end(r->s, at_ms(r, ms), PART_CLOSED);
  struct part *part = stream_part(r->s);
  assert_non_null(part);
  stream_free(r->s);
  return part;
}

/* What was measured of the media, as text to compare; malloc'ed. */
static char *measured(const struct part *part) {
  json_t *json = part_to_json(part), *kept = json_object();
  json_object_set(kept, "inbound", json_object_get(json, "inbound"));
  json_object_set(kept, "outbound", json_object_get(json, "outbound"));
  json_object_set(kept, "speech", json_object_get(json, "speech"));
  assert_true(json_object_size(kept) >= 2); /* the names above are the part's */
  char *text = document_text(kept, true, NULL);
  json_decref(kept);
  json_decref(json);
  return text;
}

static void expect_same_measure(struct part *a, struct part *b, const char *what) {
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

static const struct delivery_facts *delivery_of(const struct part *part, int track) {
  assert_non_null(part->track[track].delivery);
  return part->track[track].delivery;
}

/* ---- numbers ---- */

static void numbers_come_as_text_as_numbers_or_not_at_all(void **state) {
  (void)state;
  struct part *part[3];
  for (int form = AS_TEXT; form <= ABSENT; form++) {
    struct rig r;
    rig_begin(&r);
    assert_true(start(&r, 0, "PCMU", 8000));
    send_both(&r, 10, 0, 500, (enum numbers)form);
    part[form] = finish(&r, 11000);
    for (int track = 0; track < 2; track++) {
      const struct delivery_facts *d = delivery_of(part[form], track);
      assert_int_equal(d->received_frames, 500);
      assert_int_equal(d->expected_frames, 500);
      assert_int_equal(d->end_us, 10000000);
    }
    assert_int_equal(part[form]->speech->duration_ms, 10000);
    assert_int_equal(r.metrics.media_frames[MEDIA_OK], 1000);
  }
  assert_true(part[0]->speech->talk_ms[0] > 500); /* there is something to compare */
  expect_same_measure(part[AS_TEXT], part[AS_NUMBERS], "text and numbers");
  assert_int_equal(part[ABSENT]->speech->talk_ms[0], part[AS_TEXT]->speech->talk_ms[0]);
  assert_int_equal(part[ABSENT]->speech->talk_ms[1], part[AS_TEXT]->speech->talk_ms[1]);
  assert_int_equal(part[ABSENT]->speech->overlap_ms, part[AS_TEXT]->speech->overlap_ms);
  for (int i = 0; i < 3; i++) part_free(part[i]);
}

/* ---- before the start ---- */

static void media_before_the_start_waits_2_s(void **state) {
  (void)state;
  enum { EARLY = 150, LATER = 400, HELD = 101 }; /* 3 s, of which those of the last 2 s stay */
  struct rig late, whole;
  rig_begin(&late);
  send_both(&late, 0, 0, EARLY, AS_TEXT);
  struct part *meanwhile = stream_part(late.s);
  assert_null(meanwhile->track[0].delivery); /* nothing is known of it yet */
  assert_null(meanwhile->speech);
  assert_int_equal(meanwhile->frames_before_start_dropped, 2 * (EARLY - HELD));
  part_free(meanwhile);
  assert_true(start(&late, EARLY * 20, "PCMU", 8000));
  send_both(&late, EARLY * 20, EARLY, LATER, AS_TEXT);
  struct part *a = finish(&late, 20000);
  assert_int_equal(a->frames_before_start_dropped, 2 * (EARLY - HELD));
  assert_int_equal(late.metrics.media_frames[MEDIA_BEFORE_START], 2 * (EARLY - HELD));
  assert_int_equal(late.metrics.media_frames[MEDIA_OK], 2 * (HELD + LATER));
  assert_int_equal(delivery_of(a, 0)->received_frames, HELD + LATER);
  assert_int_equal(delivery_of(a, 0)->expected_frames, HELD + LATER); /* what was dropped is not loss */
  assert_int_equal(a->first_frame_ms, wall_zero_us / 1000);
  assert_int_equal(a->start_ms, wall_zero_us / 1000 + EARLY * 20);
  /* The same frames behind a start give the same figures. */
  rig_begin(&whole);
  start(&whole, 0, "PCMU", 8000);
  send_both(&whole, (EARLY - HELD) * 20, EARLY - HELD, HELD + LATER, AS_TEXT);
  struct part *b = finish(&whole, 20000);
  for (int track = 0; track < 2; track++) {
    assert_int_equal(delivery_of(a, track)->end_us, delivery_of(b, track)->end_us);
    assert_int_equal(delivery_of(a, track)->jitter_count, delivery_of(b, track)->jitter_count);
    assert_int_equal(a->speech->talk_ms[track], b->speech->talk_ms[track]);
    assert_int_equal(a->speech->turns[track], b->speech->turns[track]);
  }
  assert_int_equal(a->speech->overlap_ms, b->speech->overlap_ms);
  part_free(a);
  part_free(b);
}

static void the_start_says_how_held_frames_are_decoded(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 90; i++) send_sound(&r, i * 20, 0, i + 1, i, CODEC_L16_8K, AS_TEXT);
  assert_true(start(&r, 1800, "L16", 8000));
  for (int i = 90; i < 200; i++) send_sound(&r, i * 20, 0, i + 1, i, CODEC_L16_8K, AS_TEXT);
  struct part *part = finish(&r, 5000);
  assert_int_equal(part->track[0].ptime_us, 20000); /* 320 bytes are 20 ms now, not 40 */
  assert_int_equal(delivery_of(part, 0)->received_frames, 200);
  assert_int_equal(delivery_of(part, 0)->end_us, 4000000);
  assert_string_equal(part->track[0].encoding, "L16");
  part_free(part);
}

/* All there is came before the start, in frames of a length that nobody would guess. */
static void held_frames_alone_tell_the_time_base(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  uint8_t payload[240];
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 60; i++)
    send_bytes(&r, (int64_t)i * 30, 0, i + 1, i * 30, payload, sizeof payload, AS_TEXT);
  start(&r, 1800, "PCMU", 8000);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 60); /* over 50: decided at once */
  struct part *part = finish(&r, 2000);
  assert_int_equal(part->track[0].ptime_us, 30000);
  assert_int_equal(part->track[0].ts_unit, TS_MS);
  assert_int_equal(part->track[0].chunk_scope, CHUNK_PER_TRACK);
  part_free(part);
}

static void without_a_start_everything_is_dropped_and_counted(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 120; i++) send_voice(&r, i * 20, i % 2, i / 2 + 1, i);
  struct part *part = finish(&r, 3000);
  assert_int_equal(part->frames_before_start_dropped, 120);
  assert_int_equal(r.metrics.media_frames[MEDIA_BEFORE_START], 120);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0);
  assert_null(part->track[0].delivery);
  assert_null(part->speech);
  part_free(part);
}

/* ---- origins ---- */

/* The outbound track begins `media_ms` later by its numbers, its first frame arrives at `arrival_ms`, the
 * rest as they should. */
static int64_t origin_apart_us(int64_t media_ms, int64_t arrival_ms, enum numbers numbers) {
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  int skipped = (int)(media_ms / 20);
  for (int i = 0; i < 400; i++) {
    int64_t ms = i * 20;
    send_sound(&r, ms, 0, i + 1, i, CODEC_PCMU, numbers);
    if (ms < arrival_ms) continue;
    if (ms < arrival_ms + 20) /* what was late comes at once */
      for (int k = skipped; k * 20 < ms; k++) send_sound(&r, ms, 1, k + 1, k, CODEC_PCMU, numbers);
    send_sound(&r, ms, 1, i + 1, i, CODEC_PCMU, numbers);
  }
  struct part *part = finish(&r, 9000);
  int64_t apart = delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us;
  assert_int_equal(delivery_of(part, 0)->origin_us, part->first_frame_ms * 1000);
  part_free(part);
  return apart;
}

static void tracks_are_placed_on_one_clock(void **state) {
  (void)state;
  assert_int_equal(origin_apart_us(0, 0, AS_TEXT), 0);
  assert_int_equal(origin_apart_us(1000, 1000, AS_TEXT), 1000000);
  assert_int_equal(origin_apart_us(1000, 1080, AS_TEXT), 1000000); /* by its timestamp, though late */
  assert_int_equal(origin_apart_us(3000, 3140, AS_TEXT), 3000000); /* the other one has long been decided */
  assert_int_equal(origin_apart_us(1000, 1080, ABSENT), 1080000);  /* nothing but the arrival is known */
  assert_int_equal(origin_apart_us(0, 1000, AS_TEXT), 0);          /* a second in one bunch */
}

/* Timestamps that have no zero in common: each track by its arrival. */
static void timestamps_of_two_clocks_are_not_compared(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 300; i++) {
    send_voice(&r, i * 20, 0, i + 1, i);
    if (i >= 50) send_voice(&r, i * 20, 1, i - 50 + 1 + 100000, i); /* 1 s later, from 2,000 s */
  }
  struct part *part = finish(&r, 9000);
  assert_int_equal(delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us, 1000000);
  part_free(part);
}

/* ---- formats ---- */

static void a_second_start_changes_the_format(void **state) {
  (void)state;
  static const enum codec_id then[] = {CODEC_PCMU, CODEC_PCMA, CODEC_L16_8K};
  static const char *const names[] = {"PCMU", "PCMA", "L16"};
  uint64_t talk_ms[3];
  for (int k = 0; k < 3; k++) {
    struct rig r;
    rig_begin(&r);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < 1000; i++) {
      if (i == 475) assert_true(start(&r, i * 20, names[k], 8000));
      send_sound(&r, i * 20, 0, i + 1, i, i < 475 ? CODEC_PCMU : then[k], AS_TEXT);
      send_sound(&r, i * 20, 1, i + 1, -1, i < 475 ? CODEC_PCMU : then[k], AS_TEXT);
    }
    struct part *part = finish(&r, 21000);
    assert_int_equal(part->formats, 2);
    assert_string_equal(part->track[0].encoding, names[k]);
    assert_int_equal(delivery_of(part, 0)->received_frames, 1000);
    assert_int_equal(delivery_of(part, 0)->expected_frames, 1000);
    assert_int_equal(delivery_of(part, 0)->end_us, 20000000);
    assert_int_equal(part->speech->duration_ms, 20000);
    talk_ms[k] = part->speech->talk_ms[0];
    assert_int_equal(part->speech->talk_ms[1], 0);
    part_free(part);
  }
  assert_true(talk_ms[0] > 2000);
  for (int k = 1; k < 3; k++) assert_in_range(talk_ms[k], talk_ms[0] * 9 / 10, talk_ms[0] * 11 / 10);
}

/* Too few for a decision when the second start comes: they are of the first format all the same. */
static void what_waits_at_a_second_start_keeps_its_format(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  uint8_t payload[320];
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 20; i++) /* 40 ms of PCMU, 20 ms of L16 */
    send_bytes(&r, (int64_t)i * 40, 0, i + 1, i * 40, payload, sizeof payload, AS_TEXT);
  start(&r, 800, "L16", 8000);
  for (uint64_t i = 0; i < 100; i++)
    send_bytes(&r, 800 + (int64_t)i * 20, 0, i + 21, 800 + i * 20, payload, sizeof payload, AS_TEXT);
  struct part *part = finish(&r, 3000);
  assert_int_equal(delivery_of(part, 0)->received_frames, 120);
  assert_int_equal(delivery_of(part, 0)->expected_us, 2800000);
  assert_in_range(part->speech->duration_ms, 2780, 2800); /* the seam is one frame of either length */
  part_free(part);
}

static void an_unknown_codec_is_ignored_until_a_known_one_comes(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 10; i++) send_voice(&r, i * 20, 0, i + 1, i); /* held for a start that is of no use */
  assert_false(start(&r, 200, "SPEEX", 8000));
  for (int i = 10; i < 40; i++) send_voice(&r, i * 20, 0, i + 1, i);
  struct part *meanwhile = stream_part(r.s);
  assert_int_equal(meanwhile->frames_ignored, 40);
  assert_string_equal(meanwhile->track[0].encoding, "SPEEX");
  part_free(meanwhile);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0);
  assert_true(start(&r, 800, "PCMU", 8000));
  for (int i = 40; i < 140; i++) send_voice(&r, i * 20, 0, i + 1, i);
  struct part *part = finish(&r, 3000);
  assert_int_equal(part->frames_ignored, 40);
  assert_int_equal(delivery_of(part, 0)->received_frames, 100);
  assert_int_equal(part->formats, 2);
  part_free(part);
}

static void a_codec_without_decoder_is_timed_but_not_heard(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  assert_true(start(&r, 0, "G722", 8000));
  uint8_t payload[160] = {0};
  for (int i = 0; i < 100; i++)
    send_bytes(&r, i * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, 160, AS_TEXT);
  struct part *part = finish(&r, 3000);
  assert_null(part->speech);
  assert_int_equal(delivery_of(part, 0)->received_frames, 100);
  assert_int_equal(delivery_of(part, 0)->end_us, 2000000);
  part_free(part);
}

/* ---- looks ---- */

static void looking_changes_nothing(void **state) {
  (void)state;
  struct rig quiet, watched;
  rig_begin(&quiet);
  rig_begin(&watched);
  start(&quiet, 0, "PCMU", 8000);
  start(&watched, 0, "PCMU", 8000);
  uint64_t n = 0;
  for (int i = 0; i < 400; i++) {
    int lost = i % 37 == 36, late = i % 41 == 40 ? 60 : 0;
    if (lost) continue;
    send_voice(&quiet, i * 20 + late, 0, i + 1, i);
    send_voice(&watched, i * 20 + late, 0, i + 1, i);
    send_voice(&quiet, i * 20 + late, 1, i + 1, i + 200);
    send_voice(&watched, i * 20 + late, 1, i + 1, i + 200);
    assert_true(stream_changed(watched.s));
    struct part *look = stream_part(watched.s);
    assert_int_equal(look->n, ++n);
    assert_int_equal(look->state, PART_OPEN);
    part_free(look);
    assert_false(stream_changed(watched.s));
  }
  struct part *a = finish(&quiet, 9000), *b = finish(&watched, 9000);
  assert_int_equal(b->n, n + 1);
  expect_same_measure(a, b, "looked at after every frame");
  part_free(a);
  part_free(b);
}

/* ---- tracks that are not there ---- */

static struct part *inbound_with(int outbound_frames, int frames) {
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < frames; i++) {
    send_voice(&r, i * 20, 0, i + 1, i);
    if (i < outbound_frames) send_voice(&r, i * 20, 1, i + 1, -1);
    if (i % 50 == 49) stream_tick(r.s, at_ms(&r, i * 20));
  }
  return finish(&r, frames * 20 + 1000);
}

static void a_track_that_stops_or_never_comes_is_silent(void **state) {
  (void)state;
  enum { FRAMES = 3000 }; /* a minute */
  struct part *both = inbound_with(FRAMES, FRAMES), *stops = inbound_with(250, FRAMES),
              *one = inbound_with(0, FRAMES);
  assert_true(both->speech->talk_ms[0] > 5000);
  const struct part *others[] = {stops, one};
  for (int i = 0; i < 2; i++) {
    const struct speech_facts *a = both->speech, *b = others[i]->speech;
    assert_int_equal(b->duration_ms, 60000);
    assert_int_equal(b->talk_ms[0], a->talk_ms[0]);
    assert_int_equal(b->talk_ms[1], 0);
    assert_int_equal(b->pauses[0], a->pauses[0]);
    assert_int_equal(b->turns[0], a->turns[0]);
    assert_int_equal(b->silence_ms, a->silence_ms);
    assert_int_equal(b->forced_cuts, 0);
  }
  assert_int_equal(both->speech->present[1], 1);
  assert_int_equal(stops->speech->present[1], 1);
  assert_int_equal(one->speech->present[1], 0);
  assert_null(one->track[1].delivery);
  assert_false(one->track[1].seen);
  assert_int_equal(delivery_of(stops, 1)->received_frames, 250);
  part_free(both);
  part_free(stops);
  part_free(one);
}

static void a_track_that_joins_late_is_heard(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 2000; i++) {
    send_voice(&r, i * 20, 0, i + 1, -1);
    if (i >= 1500) send_voice(&r, i * 20, 1, i - 1500 + 1, i - 1500); /* counts from its own first frame */
  }
  struct part *part = finish(&r, 41000);
  assert_int_equal(delivery_of(part, 1)->received_frames, 500);
  assert_int_equal(delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us, 30000000);
  assert_true(part->speech->talk_ms[1] > 500);
  assert_true(part->speech->first_speech_ms[1] >= 31000);
  assert_int_equal(part->speech->duration_ms, 40000);
  part_free(part);
}

/* ---- few, large and other frames ---- */

static void a_short_stream_is_decided_at_its_end(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 7; i++) send_voice(&r, i * 20, 0, i + 1, i);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0); /* waits for its time base */
  struct part *part = finish(&r, 200);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 7);
  assert_int_equal(delivery_of(part, 0)->received_frames, 7);
  assert_int_equal(part->speech->duration_ms, 140);
  assert_int_equal(part->closed_ms, wall_zero_us / 1000 + 200);
  part_free(part);
}

static void on_decision(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  (void)score;
  speech_feed(arg, 0, from_ms, to_ms, speech);
}

/* Talk time of the talker's first `frames`, one of them lost, heard without a stream. */
static uint64_t talk_heard_ms(int frames, int lost) {
  const struct codec *pcmu = codec_row(CODEC_PCMU);
  struct codec_decoder decoder;
  struct speech *speech = malloc(speech_bytes());
  struct speech_facts *facts = malloc(sizeof *facts);
  struct hearing *hearing = hearing_create(on_decision, speech);
  speech_init(speech, &speech_defaults);
  codec_decoder_init(&decoder, pcmu);
  for (int i = 0; i < frames; i++) {
    uint8_t payload[160];
    int16_t pcm[160];
    pcmu->encode(voice + i * 160, 160, payload, sizeof payload);
    assert_int_equal(codec_decode(&decoder, payload, 160, pcm, 160), 160);
    hearing_pcm(hearing, i * 160, i == lost ? NULL : pcm, 160);
  }
  hearing_flush(hearing);
  speech_facts(speech, frames * 20, facts);
  uint64_t talk_ms = facts->talk_ms[0];
  hearing_free(hearing);
  free(speech);
  free(facts);
  return talk_ms;
}

/* The end comes in the middle of a word, while frames behind a lost one still wait for it. */
static void a_stream_is_heard_to_its_last_frame(void **state) {
  (void)state;
  for (int frames = 180; frames < 220; frames += 3) {
    struct rig r;
    rig_begin(&r);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < frames; i++)
      if (i != frames - 6) send_voice(&r, i * 20, 0, i + 1, i);
    struct part *part = finish(&r, frames * 20);
    assert_int_equal(part->speech->talk_ms[0], talk_heard_ms(frames, frames - 6));
    part_free(part);
  }
}

static void large_payloads_do_not_wait_for_room(void **state) {
  (void)state;
  static uint8_t payload[70000];
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 5; i++)
    assert_int_equal(send_bytes(&r, (int64_t)i * 8192, 0, i + 1, i * 8192, payload, 65536, AS_TEXT),
                     FRAME_FINE);
  assert_int_equal(send_bytes(&r, 50000, 0, 6, 6 * 8192, payload, 70000, AS_TEXT), FRAME_TOO_LARGE);
  struct part *part = finish(&r, 50000);
  assert_int_equal(delivery_of(part, 0)->received_frames, 5);
  assert_int_equal(part->speech->duration_ms, 5 * 8192);
  assert_int_equal(part->track[0].payload_bytes, 5 * 65536);
  part_free(part);
}

/* Before the start too: the oldest give way. */
static void large_payloads_before_the_start_push_out_older_ones(void **state) {
  (void)state;
  static uint8_t payload[65536];
  struct rig r;
  rig_begin(&r);
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 5; i++)
    send_bytes(&r, (int64_t)i * 10, 0, i + 1, i * 8192, payload, 65536, AS_TEXT);
  start(&r, 100, "PCMU", 8000);
  struct part *part = finish(&r, 200);
  assert_int_equal(part->frames_before_start_dropped, 3);
  assert_int_equal(r.metrics.media_frames[MEDIA_BEFORE_START], 3);
  assert_int_equal(delivery_of(part, 0)->received_frames, 2);
  part_free(part);
}

static void messages_that_never_came_are_counted(void **state) {
  (void)state;
  static const struct {
    uint64_t sequence[8];
    uint64_t missing;
  } cases[] = {
      {{1, 2, 3, 4, 5}, 0},
      {{1, 2, 5, 6}, 2},
      {{1, 2, 5, 4, 3}, 0},       /* in another order */
      {{7, 8, 10}, 1},            /* from where it begins */
      {{5000, 5001, 1, 2, 3}, 0}, /* a new counting */
      {{1, 2, 90000, 90001}, 0},
      {{3000, 1, 2, 6}, 3},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rig r;
    rig_begin(&r);
    for (size_t k = 0; k < 8 && cases[i].sequence[k] != 0; k++) stream_sequence(r.s, cases[i].sequence[k]);
    struct part *part = finish(&r, 0);
    assert_int_equal(part->messages_missing, cases[i].missing);
    part_free(part);
  }
}

static void digits_and_errors_are_bounded(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  struct frame digit = {.digit = "7", .occurred_at = "2026-09-14T08:15:20.004512Z"},
               error = {.error_code = 100002};
  stream_dtmf(r.s, at_ms(&r, 10), &digit);
  digit.occurred_at = "yesterday"; /* then the arrival must do */
  stream_dtmf(r.s, at_ms(&r, 20), &digit);
  digit.digit = "77";
  stream_dtmf(r.s, at_ms(&r, 30), &digit);
  digit.digit = NULL;
  stream_dtmf(r.s, at_ms(&r, 40), &digit);
  for (int i = 0; i < 150; i++) stream_error(r.s, at_ms(&r, 50), &error);
  digit.digit = "#";
  for (int i = 0; i < 5000; i++) stream_dtmf(r.s, at_ms(&r, 60), &digit);
  struct part *part = finish(&r, 100);
  assert_int_equal(json_array_size(part->dtmf), 4096);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(part->dtmf, 0), "at_ms")),
                   1789373720004);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(part->dtmf, 1), "at_ms")),
                   wall_zero_us / 1000 + 20);
  assert_int_equal(json_array_size(part->errors), 100);
  part_free(part);
}

/* Frames have up to 2 MiB: what a part keeps of them is written again every few seconds. */
static void long_texts_are_cut_or_left_out(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  char *text = calloc(1, 100001);
  for (size_t i = 0; i < 100000; i += 2) memcpy(text + i, "\xc3\xa4", 2);
  memcpy(text, "x", 1); /* the limit falls inside a character */
  memmove(text + 1, text + 2, 99999);
  const struct frame error = {.error_code = 1, .error_title = text, .error_detail = "short"};
  stream_error(r.s, at_ms(&r, 10), &error);
  struct frame first = {.call_control_id = "v3:a", .encoding = "PCMU", .sample_rate_hz = 8000};
  first.client_state = text;
  stream_start(r.s, at_ms(&r, 20), &first);
  struct part *part = finish(&r, 100);
  const json_t *kept = json_array_get(part->errors, 0);
  assert_int_equal(json_string_length(json_object_get(kept, "title")), 511);
  assert_string_equal(json_string_value(json_object_get(kept, "detail")), "short");
  assert_null(part->client_state);
  free(text);
  part_free(part);
}

static void the_first_start_names_the_stream(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 10, "PCMU", 8000);
  const struct frame other = {
      .stream_id = "s-2", .call_control_id = "leg", .from = "+15550100009", .encoding = "PCMU"};
  stream_start(r.s, at_ms(&r, 20), &other);
  struct part *part = finish(&r, 100);
  assert_string_equal(part->stream_id, "s-1");
  assert_string_equal(part->from, "+15550100001");
  assert_string_equal(part->to, "");
  assert_string_equal(part->id, "a_1");
  assert_int_equal(part->start_ms, wall_zero_us / 1000 + 10);
  assert_int_equal(part->state, PART_CLOSED);
  part_free(part);
}

static void a_long_name_is_cut_between_characters(void **state) {
  (void)state;
  struct rig r;
  char from[300];
  rig_begin(&r);
  memset(from, 'x', sizeof from);
  memcpy(from + sizeof((struct part *)0)->from - 3, "\xe2\x82\xac", 4); /* one byte too many */
  const struct frame first = {.stream_id = "s", .call_control_id = "leg", .from = from, .encoding = "PCMU"};
  stream_start(r.s, at_ms(&r, 10), &first);
  struct part *part = finish(&r, 100);
  assert_int_equal(strlen(part->from), sizeof part->from - 3);
  assert_int_equal(strspn(part->from, "x"), strlen(part->from));
  part_free(part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_come_as_text_as_numbers_or_not_at_all),
      cmocka_unit_test(media_before_the_start_waits_2_s),
      cmocka_unit_test(the_start_says_how_held_frames_are_decoded),
      cmocka_unit_test(held_frames_alone_tell_the_time_base),
      cmocka_unit_test(without_a_start_everything_is_dropped_and_counted),
      cmocka_unit_test(tracks_are_placed_on_one_clock),
      cmocka_unit_test(timestamps_of_two_clocks_are_not_compared),
      cmocka_unit_test(a_second_start_changes_the_format),
      cmocka_unit_test(what_waits_at_a_second_start_keeps_its_format),
      cmocka_unit_test(an_unknown_codec_is_ignored_until_a_known_one_comes),
      cmocka_unit_test(a_codec_without_decoder_is_timed_but_not_heard),
      cmocka_unit_test(looking_changes_nothing),
      cmocka_unit_test(a_track_that_stops_or_never_comes_is_silent),
      cmocka_unit_test(a_track_that_joins_late_is_heard),
      cmocka_unit_test(a_short_stream_is_decided_at_its_end),
      cmocka_unit_test(a_stream_is_heard_to_its_last_frame),
      cmocka_unit_test(large_payloads_do_not_wait_for_room),
      cmocka_unit_test(large_payloads_before_the_start_push_out_older_ones),
      cmocka_unit_test(messages_that_never_came_are_counted),
      cmocka_unit_test(digits_and_errors_are_bounded),
      cmocka_unit_test(long_texts_are_cut_or_left_out),
      cmocka_unit_test(the_first_start_names_the_stream),
      cmocka_unit_test(a_long_name_is_cut_between_characters),
  };
  talker_fill(voice, SAMPLES, 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
