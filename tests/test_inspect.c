/* What payloads tell without being decoded: voice-quality.md 2.3, 2.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/impairment.h"
#include "dsp/inspect.h"

enum { PAYLOAD_MAX = 2048 };

/* Bits and sizes of the table in 2.3, typed again. */
static const int speech_bits[AMR_WB_MODES] = {132, 177, 253, 285, 317, 365, 397, 461, 477};
static const size_t efficient_bytes[AMR_WB_MODES] = {18, 24, 33, 37, 41, 47, 51, 59, 61};
static const size_t aligned_bytes[AMR_WB_MODES] = {19, 25, 34, 38, 42, 48, 52, 60, 62};

static uint8_t payload[PAYLOAD_MAX];
static size_t bit_count;

static void put_bits(unsigned value, int count) {
  for (int i = count - 1; i >= 0; i--, bit_count++)
    if (value >> i & 1) payload[bit_count / 8] |= (uint8_t)(0x80 >> bit_count % 8);
}

static int bits_of(int type) {
  return type < AMR_WB_MODES ? speech_bits[type] : type == 9 ? 40 : 0;
}

/* A payload of frames of these types, their sound all ones; returns its bytes. */
static size_t pack(bool aligned, const int *types, const int *good, int count) {
  memset(payload, 0, sizeof payload);
  bit_count = 0;
  put_bits(15, aligned ? 4 : 4);
  if (aligned) put_bits(0, 4);
  for (int i = 0; i < count; i++) {
    put_bits(i + 1 < count, 1);
    put_bits((unsigned)types[i], 4);
    put_bits((unsigned)good[i], 1);
    if (aligned) put_bits(0, 2);
  }
  for (int i = 0; i < count; i++) {
    for (int b = 0; b < bits_of(types[i]); b++) put_bits(1, 1);
    if (aligned) bit_count = (bit_count + 7) / 8 * 8;
  }
  return (bit_count + 7) / 8;
}

static struct codec_frame look(enum codec_id codec, size_t bytes) {
  struct codec_frame frame;
  codec_inspect(codec_row(codec), payload, bytes, &frame);
  return frame;
}

static void amr_wb_modes_in_both_packings(void **state) {
  (void)state;
  for (int mode = 0; mode < AMR_WB_MODES; mode++) {
    for (int aligned = 0; aligned < 2; aligned++) {
      for (int good = 0; good < 2; good++) {
        size_t bytes = pack(aligned, &mode, &good, 1);
        assert_int_equal(bytes, aligned ? aligned_bytes[mode] : efficient_bytes[mode]);
        struct codec_frame frame = look(CODEC_AMR_WB, bytes);
        assert_true(frame.coded && !frame.sid);
        assert_int_equal(frame.mode, mode);
        assert_int_equal(frame.duration_us, 20000);
        assert_int_equal(frame.upstream_bad, !good);
      }
    }
  }
}

static void amr_wb_silence_and_frames_lost_upstream(void **state) {
  (void)state;
  for (int aligned = 0; aligned < 2; aligned++) {
    const int sid = 9, lost = 14, no_data = 15, good = 1;
    struct codec_frame frame = look(CODEC_AMR_WB, pack(aligned, &sid, &good, 1));
    assert_true(frame.sid && !frame.coded && !frame.upstream_bad && frame.duration_us == 20000);
    frame = look(CODEC_AMR_WB, pack(aligned, &lost, &good, 1));
    assert_true(frame.upstream_bad && !frame.sid && !frame.coded);
    frame = look(CODEC_AMR_WB, pack(aligned, &no_data, &good, 1));
    assert_true(frame.upstream_bad && !frame.sid && !frame.coded);
  }
}

static void amr_wb_several_frames(void **state) {
  (void)state;
  static const int types[] = {2, 4, 9}, good[] = {1, 1, 1}, one_bad[] = {1, 0, 1};
  for (int aligned = 0; aligned < 2; aligned++) {
    struct codec_frame frame = look(CODEC_AMR_WB, pack(aligned, types, good, 3));
    assert_true(frame.coded && !frame.sid && !frame.upstream_bad);
    assert_int_equal(frame.mode, 2);
    assert_int_equal(frame.duration_us, 60000);
    assert_true(look(CODEC_AMR_WB, pack(aligned, types, one_bad, 3)).upstream_bad);
  }
}

/* 24 bytes that are a tight frame of 8.85, and in octets five lost frames and one of 6.60. And bits that pad
 * are ignored (RFC 4867 4.4). */
static void amr_wb_in_doubt(void **state) {
  (void)state;
  memset(payload, 0, sizeof payload);
  memset(payload + 1, 0xfc, 5);
  payload[6] = 0x04;
  struct codec_frame frame = look(CODEC_AMR_WB, 24);
  assert_true(frame.coded && !frame.upstream_bad && frame.mode == 1 && frame.duration_us == 20000);
  const int mode = 2, good = 1;
  size_t bytes = pack(true, &mode, &good, 1);
  payload[0] |= 0x05;
  payload[1] |= 0x03;
  frame = look(CODEC_AMR_WB, bytes);
  assert_true(frame.coded && !frame.upstream_bad && frame.mode == 2);
}

/* A header that fits neither packing: the size still tells the mode, and nothing is said of damage. */
static void amr_wb_by_size_alone(void **state) {
  (void)state;
  for (int mode = 0; mode < AMR_WB_MODES; mode++) {
    memset(payload, 0x55, sizeof payload);
    struct codec_frame frame = look(CODEC_AMR_WB, efficient_bytes[mode]);
    assert_true(frame.coded && !frame.upstream_bad && frame.mode == mode && frame.duration_us == 20000);
    frame = look(CODEC_AMR_WB, aligned_bytes[mode]);
    assert_true(frame.coded && frame.mode == mode);
  }
  struct codec_frame frame = look(CODEC_AMR_WB, 100);
  assert_true(!frame.coded && !frame.sid && !frame.upstream_bad && frame.duration_us == 0);
}

static struct codec_frame look_opus(unsigned config, unsigned code, unsigned count, size_t bytes) {
  memset(payload, 0x5a, sizeof payload);
  payload[0] = (uint8_t)(config << 3 | code);
  payload[1] = (uint8_t)count;
  return look(CODEC_OPUS, bytes);
}

static void opus_bands_and_lengths(void **state) {
  (void)state;
  static const struct {
    unsigned first, last;
    enum opus_band band;
    uint32_t us[4];
  } groups[] = {
      {0, 3, OPUS_NB, {10000, 20000, 40000, 60000}},
      {4, 7, OPUS_MB, {10000, 20000, 40000, 60000}},
      {8, 11, OPUS_WB, {10000, 20000, 40000, 60000}},
      {12, 13, OPUS_SWB, {10000, 20000}},
      {14, 15, OPUS_FB, {10000, 20000}},
      {16, 19, OPUS_NB, {2500, 5000, 10000, 20000}},
      {20, 23, OPUS_WB, {2500, 5000, 10000, 20000}},
      {24, 27, OPUS_SWB, {2500, 5000, 10000, 20000}},
      {28, 31, OPUS_FB, {2500, 5000, 10000, 20000}},
  };
  unsigned next = 0;
  for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
    for (unsigned config = groups[g].first; config <= groups[g].last; config++, next++) {
      assert_int_equal(config, next);
      uint32_t us = groups[g].us[config - groups[g].first];
      struct codec_frame frame = look_opus(config, 0, 0, 60);
      assert_true(frame.coded && !frame.sid && !frame.upstream_bad);
      assert_int_equal(frame.mode, groups[g].band);
      assert_int_equal(frame.duration_us, us);
      assert_int_equal(look_opus(config, 1, 0, 60).duration_us, 2 * us);
      assert_int_equal(look_opus(config, 2 | 0, 0, 60).duration_us, 2 * us);
      uint32_t three = 3 * us;
      assert_int_equal(look_opus(config, 3, 0xc0 | 3, 60).duration_us, three <= 120000 ? three : 0);
    }
  }
  assert_int_equal(next, 32);
}

static void opus_silence(void **state) {
  (void)state;
  for (size_t bytes = 1; bytes <= 2; bytes++) {
    struct codec_frame frame = look_opus(1, 0, 0, bytes);
    assert_true(frame.sid && !frame.coded && frame.duration_us == 20000);
  }
  assert_false(look_opus(1, 0, 0, 3).sid);
  assert_false(look_opus(1, 3, 0, 60).coded); /* no frames at all */
  assert_false(look_opus(3, 3, 3, 60).coded); /* 180 ms: no packet of Opus */
}

static void others_by_their_size(void **state) {
  (void)state;
  struct codec_frame frame = look(CODEC_G722, 160);
  assert_true(frame.coded && frame.mode == 0 && frame.duration_us == 20000 && !frame.sid);
  frame = look(CODEC_PCMU, 0);
  assert_true(!frame.coded && frame.duration_us == 0);
}

/* Any bytes of any length: nothing is read beyond them (the sanitizers look), lengths stay sane. */
static void any_bytes(void **state) {
  (void)state;
  uint32_t x = 1;
  for (int i = 0; i < 200000; i++) {
    size_t bytes = (x >> 8) % 90;
    uint8_t *exact = malloc(bytes + (bytes == 0));
    for (size_t b = 0; b < bytes; b++) exact[b] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    x = x * 1664525 + 1013904223;
    for (int codec = 0; codec < CODEC_COUNT; codec++) {
      struct codec_frame frame;
      codec_inspect(codec_row((enum codec_id)codec), exact, bytes, &frame);
      if (codec_row((enum codec_id)codec)->has_modes && frame.duration_us > 240000) fail_msg("round %d", i);
      if (frame.coded && (frame.sid || frame.duration_us == 0) && bytes > 1) fail_msg("round %d", i);
      if (frame.mode >= AMR_WB_MODES) fail_msg("round %d", i);
    }
    free(exact);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(amr_wb_modes_in_both_packings),
      cmocka_unit_test(amr_wb_silence_and_frames_lost_upstream),
      cmocka_unit_test(amr_wb_several_frames),
      cmocka_unit_test(amr_wb_in_doubt),
      cmocka_unit_test(amr_wb_by_size_alone),
      cmocka_unit_test(opus_bands_and_lengths),
      cmocka_unit_test(opus_silence),
      cmocka_unit_test(others_by_their_size),
      cmocka_unit_test(any_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
