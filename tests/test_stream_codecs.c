/* Codecs that are not decoded: what a stream learns from the heads of their payloads. */
#include "tests/stream_rig.h"

#include <math.h>

#include "dsp/inspect.h"

static struct rig r;
static uint8_t payload[512];

/* `count` payloads of `bytes` each `frame_ms`, numbered from `first`; returns when the next one is due. */
static int64_t send_many(int64_t from_ms, int frame_ms, int first, int count, size_t bytes) {
  for (int i = 0; i < count; i++) {
    uint64_t number = (uint64_t)(first + i);
    int64_t ms = from_ms + (int64_t)i * frame_ms;
    assert_int_equal(
        send_bytes(&r, ms, TRACK_INBOUND, number, number * (uint64_t)frame_ms, payload, bytes, AS_TEXT),
        FRAME_FINE);
  }
  return from_ms + (int64_t)count * frame_ms;
}

/* One frame, bandwidth-efficient. */
static size_t amr_wb(unsigned type, bool good) {
  static const size_t bytes[16] = {18, 24, 33, 37, 41, 47, 51, 59, 61, 7, 0, 0, 0, 0, 2, 2};
  memset(payload, 0x5a, sizeof payload);
  payload[0] = (uint8_t)(0xf0 | type >> 1);
  payload[1] = (uint8_t)((type & 1) << 7 | good << 6 | 0x1a);
  return bytes[type];
}

static void amr_wb_by_its_table_of_contents(void **state) {
  (void)state;
  rig_begin(&r);
  assert_true(start(&r, 0, "AMR-WB", 16000));
  int64_t ms = send_many(100, 20, 1, 500, amr_wb(2, true));
  ms = send_many(ms, 20, 501, 240, amr_wb(8, true));
  ms = send_many(ms, 20, 741, 6, amr_wb(8, false));
  ms = send_many(ms, 20, 747, 4, amr_wb(14, false));
  ms = send_many(ms, 20, 751, 250, amr_wb(9, true));
  struct part *part = finish(&r, ms);
  const struct delivery_facts *f = delivery_of(part, TRACK_INBOUND);
  assert_int_equal(f->received_frames, 1000);
  assert_int_equal(f->upstream_bad_frames, 10);
  assert_int_equal(f->sid_frames, 250);
  assert_int_equal(f->active_us, 746 * 20000);
  assert_int_equal(f->active_bytes, 500 * 33 + 246 * 61);
  assert_int_equal(f->window_count, 2);
  size_t model = delivery_model(CONSUMER_PLAYOUT, false);
  assert_true(fabs(f->windows[0].r[model] - 109) < 1e-9);
  assert_true(fabs(f->windows[1].r[model] - (129 - 10 - 85 * 2 / 6.9)) < 1e-9);
  part_free(part);
}

/* The frame length comes from the TOC byte: the sizes say nothing. */
static void opus_by_its_toc(void **state) {
  (void)state;
  static const struct {
    unsigned config, code;
    int frame_ms;
  } cases[] = {{13, 0, 20}, {11, 0, 60}, {28, 1, 5}, {10, 1, 80}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rig_begin(&r);
    assert_true(start(&r, 0, "OPUS", 48000));
    memset(payload, 0x5a, sizeof payload);
    payload[0] = (uint8_t)(cases[i].config << 3 | cases[i].code);
    int count = 12000 / cases[i].frame_ms;
    int64_t ms = send_many(100, cases[i].frame_ms, 1, count, 90);
    struct part *part = finish(&r, ms);
    const struct delivery_facts *f = delivery_of(part, TRACK_INBOUND);
    assert_int_equal(part->track[TRACK_INBOUND].ptime_us, cases[i].frame_ms * 1000);
    assert_int_equal(part->track[TRACK_INBOUND].ts_unit, TS_MS);
    assert_int_equal(f->expected_us, count * cases[i].frame_ms * 1000);
    assert_int_equal(f->end_us, count * cases[i].frame_ms * 1000);
    assert_int_equal(f->active_bytes, count * 90);
    part_free(part);
  }
}

/* Three frames in a payload: 300 bytes in 60 ms are 40 kbit/s. */
static void opus_of_many_bytes(void **state) {
  (void)state;
  rig_begin(&r);
  assert_true(start(&r, 0, "OPUS", 48000));
  memset(payload, 0x5a, sizeof payload);
  payload[0] = 13 << 3 | 3;
  payload[1] = 3;
  int64_t ms = send_many(100, 60, 1, 200, 300);
  struct part *part = finish(&r, ms);
  assert_true(fabs(delivery_of(part, TRACK_INBOUND)->windows[0].r[0] - (148 - 15.90)) < 1e-9);
  part_free(part);
}

static void opus_silence_is_no_speech(void **state) {
  (void)state;
  rig_begin(&r);
  assert_true(start(&r, 0, "OPUS", 48000));
  memset(payload, 0x5a, sizeof payload);
  payload[0] = 13 << 3;
  int64_t ms = send_many(100, 20, 1, 200, 63); /* 25.2 kbit/s */
  ms = send_many(ms, 20, 201, 300, 1);
  struct part *part = finish(&r, ms);
  const struct delivery_facts *f = delivery_of(part, TRACK_INBOUND);
  struct delivery_figures figures;
  const struct delivery_view view = {.leg = leg_codec_of("OPUS", codec_row(CODEC_OPUS))};
  assert_int_equal(f->sid_us, 6000000);
  assert_int_equal(f->active_us, 4000000);
  delivery_figures(f, codec_row(CODEC_OPUS), &view, &figures);
  assert_string_equal(figures.mos_lqe.absent, "too_short");     /* 4 s of sound */
  assert_true(fabs(f->windows[0].r[0] - (148 - 22.64)) < 1e-9); /* the rate of the active frames */
  part_free(part);
}

/* Held before `start`, when nobody knows the codec yet: looked at once it is known. */
static void held_frames_are_looked_at_too(void **state) {
  (void)state;
  rig_begin(&r);
  memset(payload, 0x5a, sizeof payload);
  payload[0] = 11 << 3;
  int64_t ms = send_many(100, 60, 1, 10, 90);
  assert_true(start(&r, ms, "OPUS", 48000));
  struct part *part = finish(&r, ms);
  assert_int_equal(part->track[TRACK_INBOUND].ptime_us, 60000);
  assert_int_equal(delivery_of(part, TRACK_INBOUND)->active_us, 600000);
  part_free(part);
}

/* A new `start` in mid-window: each codec rates its own part. */
static void windows_of_two_codecs(void **state) {
  (void)state;
  rig_begin(&r);
  assert_true(start(&r, 0, "PCMU", 8000));
  memset(payload, 0xff, sizeof payload);
  int64_t ms = send_many(100, 20, 1, 750, 160);
  assert_true(start(&r, ms, "G722", 8000));
  ms = send_many(ms, 20, 751, 750, 160);
  struct part *part = finish(&r, ms);
  const struct delivery_facts *f = delivery_of(part, TRACK_INBOUND);
  assert_int_equal(f->window_count, 3);
  assert_true(fabs(f->windows[0].r[0] - 93.2) < 1e-9);
  assert_true(fabs(f->windows[1].r[0] - (93.2 + 116) / 2) < 1e-9);
  assert_true(fabs(f->windows[2].r[0] - 116) < 1e-9);
  part_free(part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(amr_wb_by_its_table_of_contents),
      cmocka_unit_test(opus_by_its_toc),
      cmocka_unit_test(opus_of_many_bytes),
      cmocka_unit_test(opus_silence_is_no_speech),
      cmocka_unit_test(held_frames_are_looked_at_too),
      cmocka_unit_test(windows_of_two_codecs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
