/* dsp/codec.c: every row's known answers, sizes and the way a row is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/codec.h"

/* A new codec is tested by its row alone. */
/* All code words of G.711 have been decoded: nothing lies beyond the ceiling or below the idle code. */
static void ceilings_and_idle_codes_are_the_decoder_s(void **state) {
  (void)state;
  static const enum codec_id g711[] = {CODEC_PCMU, CODEC_PCMA};
  for (size_t i = 0; i < 2; i++) {
    const struct codec *row = codec_row(g711[i]);
    int highest = 0, lowest = 32768;
    struct codec_decoder decoder;
    codec_decoder_init(&decoder, row);
    for (int code = 0; code < 256; code++) {
      uint8_t payload = (uint8_t)code;
      int16_t pcm;
      assert_int_equal(codec_decode(&decoder, &payload, 1, &pcm, 1), 1);
      int size = pcm < 0 ? -pcm : pcm;
      highest = size > highest ? size : highest;
      lowest = size < lowest ? size : lowest;
    }
    assert_int_equal(row->pcm_ceiling, highest);
    assert_int_equal(row->pcm_idle, lowest);
  }
  assert_int_equal(codec_row(CODEC_L16_8K)->pcm_ceiling, 32767);
  assert_int_equal(codec_row(CODEC_L16_16K)->pcm_ceiling, 32767);
  assert_int_equal(codec_row(CODEC_L16_8K)->pcm_idle, 0);
}

static void every_decoder_gives_its_known_answers(void **state) {
  (void)state;
  int16_t pcm[6000];
  uint8_t payload[6000];
  int heard = 0;
  for (int id = 0; id < CODEC_COUNT; id++) {
    const struct codec *row = codec_row((enum codec_id)id);
    if (row->decode == NULL) continue;
    heard++;
    assert_true(row->answer_count > 0);
    for (size_t i = 0; i < row->answer_count; i++) {
      const struct codec_answer *a = &row->answers[i];
      struct codec_decoder decoder;
      codec_decoder_init(&decoder, row);
      assert_int_equal(codec_decode(&decoder, a->payload, a->bytes, pcm, 6000), a->samples);
      assert_memory_equal(pcm, a->pcm, a->samples * sizeof *pcm);
      assert_non_null(row->encode);
      assert_int_equal(row->encode(a->pcm, a->samples, payload, sizeof payload), a->bytes);
      assert_memory_equal(payload, a->payload, a->bytes);
    }
  }
  assert_int_equal(heard, 3);
}

static void rows_are_whole(void **state) {
  (void)state;
  for (int id = 0; id < CODEC_COUNT; id++) {
    const struct codec *row = codec_row((enum codec_id)id);
    assert_int_equal(row->id, id);
    assert_non_null(row->encoding);
    assert_true(row->pcm_ceiling > 0);
    assert_true(row->sample_rate_hz > 0 && row->rtp_clock_hz > 0 && row->announced_hz[0] > 0);
    assert_true((row->decode == NULL) == (row->encode == NULL));
    for (size_t i = 0; i < CODEC_ANNOUNCED_MAX && row->announced_hz[i] != 0; i++)
      assert_ptr_equal(codec_find(row->encoding, strlen(row->encoding), row->announced_hz[i]), row);
  }
}

static void found_by_name_and_rate(void **state) {
  (void)state;
  static const struct {
    const char *encoding;
    uint32_t hz;
    int id; /* -1: no such row */
  } cases[] = {
      {"PCMU", 8000, CODEC_PCMU},
      {"pcmu", 8000, CODEC_PCMU},
      {"PCMU", 0, CODEC_PCMU},
      {"PCMU", 16000, -1},
      {"PCMA", 8000, CODEC_PCMA},
      {"L16", 8000, CODEC_L16_8K},
      {"L16", 16000, CODEC_L16_16K},
      {"L16", 0, CODEC_L16_16K},
      {"L16", 44100, -1},
      {"G722", 8000, CODEC_G722},
      {"G722", 16000, CODEC_G722},
      {"G722", 0, CODEC_G722},
      {"OPUS", 16000, CODEC_OPUS},
      {"opus", 48000, CODEC_OPUS},
      {"OPUS", 0, CODEC_OPUS},
      {"AMR-WB", 8000, CODEC_AMR_WB},
      {"Amr-Wb", 16000, CODEC_AMR_WB},
      {"AMR", 8000, -1},
      {"PCM", 8000, -1},
      {"PCMUX", 8000, -1},
      {"", 8000, -1},
      {"SPEEX", 0, -1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct codec *row = codec_find(cases[i].encoding, strlen(cases[i].encoding), cases[i].hz);
    int id = row == NULL ? -1 : (int)row->id;
    if (id != cases[i].id)
      fail_msg("%s at %u is row %d, wanted %d", cases[i].encoding, cases[i].hz, id, cases[i].id);
  }
  assert_ptr_equal(codec_find("PCMA,8000", 4, 8000), codec_row(CODEC_PCMA)); /* no NUL behind it */
}

static void sizes_tell_lengths(void **state) {
  (void)state;
  static const struct {
    enum codec_id id;
    size_t bytes;
    uint32_t us;
  } cases[] = {
      {CODEC_PCMU, 160, 20000},     {CODEC_PCMA, 1, 125},        {CODEC_PCMU, 0, 0},
      {CODEC_PCMU, 792, 99000},     {CODEC_L16_8K, 320, 20000},  {CODEC_L16_8K, 321, 20000},
      {CODEC_L16_8K, 1, 0},         {CODEC_L16_16K, 640, 20000}, {CODEC_G722, 160, 20000},
      {CODEC_G722, 1, 125},         {CODEC_OPUS, 160, 0},        {CODEC_AMR_WB, 61, 0},
      {CODEC_PCMU, 65536, 8192000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(codec_duration_us(codec_row(cases[i].id), cases[i].bytes), cases[i].us);
}

static void unheard_codecs_decode_to_nothing(void **state) {
  (void)state;
  struct codec_decoder decoder;
  const uint8_t payload[160] = {0};
  int16_t pcm[320];
  codec_decoder_init(&decoder, codec_row(CODEC_G722));
  assert_int_equal(codec_decode(&decoder, payload, sizeof payload, pcm, 320), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ceilings_and_idle_codes_are_the_decoder_s),
      cmocka_unit_test(every_decoder_gives_its_known_answers),
      cmocka_unit_test(rows_are_whole),
      cmocka_unit_test(found_by_name_and_rate),
      cmocka_unit_test(sizes_tell_lengths),
      cmocka_unit_test(unheard_codecs_decode_to_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
