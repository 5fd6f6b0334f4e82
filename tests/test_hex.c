#include "telnyx/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void digits_are_lower_case_and_two_a_byte(void **state) {
  (void)state;
  static const uint8_t bytes[] = {0x00, 0x09, 0x0a, 0x7f, 0x80, 0xf0, 0xff};
  char out[2 * sizeof bytes + 2];
  memset(out, '?', sizeof out);
  hex_encode(bytes, sizeof bytes, out);
  assert_string_equal(out, "00090a7f80f0ff");
  assert_int_equal(out[sizeof out - 1], '?'); /* nothing behind the NUL */
  hex_encode(bytes, 0, out);
  assert_string_equal(out, "");
}

/* FIPS 180-2, appendix B.1, and the digest of nothing. */
static void digests_are_cut_from_the_left(void **state) {
  (void)state;
  char out[65];
  hex_of_sha256("abc", 3, 32, out);
  assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hex_of_sha256("abc", 3, 12, out);
  assert_string_equal(out, "ba7816bf8f01cfea414140de");
  hex_of_sha256("", 0, 4, out);
  assert_string_equal(out, "e3b0c442");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(digits_are_lower_case_and_two_a_byte),
      cmocka_unit_test(digests_are_cut_from_the_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
