/* dsp/g711.c against the ITU-T software tools' own vectors and the definition of the two laws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dsp/g711.h"

enum { SAMPLES = 65536 };

/* Words of 16 bits, the low byte first, without a header. */
static void read_words(const char *name, uint16_t *words) {
  const char *shared = getenv("SIDETONE_SHARED");
  char path[4096];
  snprintf(path, sizeof path, "%s/data/audio/itu-stl/g711/%s", shared ? shared : "../shared", name);
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("no %s: set SIDETONE_SHARED to the folder of shared test data", path);
  static uint8_t bytes[2 * SAMPLES + 1];
  size_t got = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  if (got != 2 * SAMPLES) fail_msg("%s has %zu bytes, wanted %d", path, got, 2 * SAMPLES);
  for (size_t i = 0; i < SAMPLES; i++) words[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
}

/* The source sweeps every sample once; the answers hold a code each, in the low byte of a word. */
static void compare(const char *answers, uint8_t (*encode)(int16_t)) {
  static uint16_t source[SAMPLES], wanted[SAMPLES];
  read_words("sweep.src", source);
  read_words(answers, wanted);
  for (int i = 0; i < SAMPLES; i++) {
    int16_t sample = (int16_t)source[i];
    assert_int_equal(sample, i - 32768);
    if (encode(sample) != wanted[i])
      fail_msg("%s: %d gives 0x%02x, wanted 0x%02x", answers, sample, encode(sample), wanted[i]);
  }
}

static void mu_law_equals_the_tools(void **state) {
  (void)state;
  compare("sweep-r.u", g711_linear_to_mu);
}

static void a_law_equals_the_tools(void **state) {
  (void)state;
  compare("sweep-r.a", g711_linear_to_a);
}

/* G.711 in floating point: the value in the middle of each code's step, on a scale of 2^15. */
static int mu_by_definition(int code) {
  int sent = ~code & 0xff, segment = (sent >> 4) & 7, step = sent & 15;
  double value = ((step + 16.5) * (double)(1 << (segment + 1)) - 33) * 4;
  return (int)(sent & 0x80 ? -value : value);
}

static int a_by_definition(int code) {
  int sent = code ^ 0x55, segment = (sent >> 4) & 7, step = sent & 15;
  double value = segment == 0 ? (step + 0.5) * 16 : (step + 16.5) * (double)(16 << (segment - 1));
  return (int)(sent & 0x80 ? value : -value);
}

static void every_code_decodes_as_defined(void **state) {
  (void)state;
  int mu_top = 0, a_top = 0;
  for (int code = 0; code < 256; code++) {
    int mu = g711_mu_to_linear((uint8_t)code), a = g711_a_to_linear((uint8_t)code);
    assert_int_equal(mu, mu_by_definition(code));
    assert_int_equal(a, a_by_definition(code));
    if (abs(mu) > mu_top) mu_top = abs(mu);
    if (abs(a) > a_top) a_top = abs(a);
  }
  assert_int_equal(mu_top, G711_MU_CEILING);
  assert_int_equal(a_top, G711_A_CEILING);
  assert_int_equal(G711_MU_CEILING, 32124);
  assert_int_equal(G711_A_CEILING, 32256);
}

static void every_code_comes_back(void **state) {
  (void)state;
  for (int code = 0; code < 256; code++) {
    int mu = g711_linear_to_mu(g711_mu_to_linear((uint8_t)code));
    assert_int_equal(mu, code == 0x7f ? 0xff : code); /* mu-law's second zero */
    assert_int_equal(g711_linear_to_a(g711_a_to_linear((uint8_t)code)), code);
  }
}

static void blocks_stop_at_their_capacity(void **state) {
  (void)state;
  struct codec_decoder decoder;
  const uint8_t payload[4] = {0xff, 0x80, 0x00, 0xff};
  int16_t pcm[4] = {1, 1, 1, 1};
  codec_decoder_init(&decoder, &g711_pcmu);
  assert_int_equal(g711_pcmu.decode(&decoder, payload, 4, pcm, 3), 3);
  assert_int_equal(pcm[1], 32124);
  assert_int_equal(pcm[2], -32124);
  assert_int_equal(pcm[3], 1);
  uint8_t back[4] = {9, 9, 9, 9};
  assert_int_equal(g711_pcma.encode(pcm, 3, back, 2), 2);
  assert_int_equal(back[2], 9);
  assert_int_equal(g711_pcmu.encode(pcm, 3, back, 4), 3);
  assert_memory_equal(back, payload, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mu_law_equals_the_tools),       cmocka_unit_test(a_law_equals_the_tools),
      cmocka_unit_test(every_code_decodes_as_defined), cmocka_unit_test(every_code_comes_back),
      cmocka_unit_test(blocks_stop_at_their_capacity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
