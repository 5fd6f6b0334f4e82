#include "telnyx/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct known {
  const char *text;
  bool valid;
};

/* The edges of each range, and of what lies between them. */
static const struct known KNOWN[] = {
    {"", true},
    {"plain ASCII that is longer than a word", true},
    {"\x7f", true},
    {"\x80", false},
    {"\xc0\x80", false},
    {"\xc1\xbf", false},
    {"\xc2\x80", true},
    {"\xdf\xbf", true},
    {"\xdf", false},
    {"\xdf\x7f", false},
    {"\xe0\x9f\xbf", false},
    {"\xe0\xa0\x80", true},
    {"\xed\x9f\xbf", true},
    {"\xed\xa0\x80", false}, /* a surrogate */
    {"\xee\x80\x80", true},
    {"\xef\xbf\xbf", true},
    {"\xef\xbf", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\xf0\x90\x80\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"\xf4\x90\x80\x80", false},
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
};

/* Each at every offset from a word's start, with ASCII before and behind. */
static void test_known_sequences(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
    for (size_t before = 0; before < 17; before++) {
      char text[96];
      int bytes =
          snprintf(text, sizeof text, "%.*s%s%s", (int)before, "abcdefghijklmnopq", KNOWN[i].text, "wxyz");
      if (utf8_valid(text, (size_t)bytes) != KNOWN[i].valid) fail_msg("row %zu, %zu bytes before", i, before);
      if (utf8_valid(text, (size_t)bytes - 4) != KNOWN[i].valid) fail_msg("row %zu at the end", i);
    }
  }
}

static void test_one_character(void **state) {
  (void)state;
  for (size_t i = 1; i < sizeof KNOWN / sizeof *KNOWN; i++) {
    size_t bytes = strlen(KNOWN[i].text), expected = !KNOWN[i].valid                  ? 0
                                                     : (uint8_t)*KNOWN[i].text < 0x80 ? 1
                                                                                      : bytes;
    size_t got = utf8_character(KNOWN[i].text, bytes);
    if (got != expected) fail_msg("row %zu: %zu bytes, expected %zu", i, got, expected);
  }
}

static void test_fit_cuts_between_characters(void **state) {
  (void)state;
  static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"; /* 1, 2, 3 and 4 bytes */
  static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (size_t most = 0; most < sizeof kept / sizeof *kept; most++)
    assert_int_equal(utf8_fit(text, most), kept[most]);
}

static void test_nul_is_a_character(void **state) {
  (void)state;
  assert_true(utf8_valid("a\0b", 3));
}

/* Against the definition: encode every code point, and decode by shifting. */
static void test_every_code_point(void **state) {
  (void)state;
  for (uint32_t point = 0x80; point < 0x120000; point++) {
    char text[4];
    size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = bytes; i-- > 1;) text[i] = (char)(0x80 | (point >> (6 * (bytes - 1 - i)) & 0x3f));
    text[0] = (char)((0xf00 >> bytes & 0xff) | point >> (6 * (bytes - 1)));
    bool expected = point < 0x110000 && !(point >= 0xd800 && point < 0xe000);
    if (utf8_valid(text, bytes) != expected) fail_msg("U+%04X", (unsigned)point);
    if (utf8_valid(text, bytes - 1)) fail_msg("U+%04X cut", (unsigned)point);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_sequences),
      cmocka_unit_test(test_one_character),
      cmocka_unit_test(test_fit_cuts_between_characters),
      cmocka_unit_test(test_nul_is_a_character),
      cmocka_unit_test(test_every_code_point),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
