/* store/crc32c.c against published check values, and against itself cut in two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "store/crc32c.h"

/* RFC 3720 B.4, and the check value of the CRC catalogues. */
static void published_values(void **state) {
  (void)state;
  uint8_t bytes[48];
  assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
  assert_int_equal(crc32c(0, "", 0), 0);
  memset(bytes, 0, 32);
  assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aau);
  memset(bytes, 0xff, 32);
  assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43u);
  for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
  assert_int_equal(crc32c(0, bytes, 32), 0x46dd794eu);
  for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
  assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5cu);
  static const uint8_t read_pdu[48] = {
      0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, 0x28, [40] = 0x02};
  assert_int_equal(crc32c(0, read_pdu, 48), 0xd9963a56u);
}

static void it_continues(void **state) {
  (void)state;
  uint8_t bytes[1025]; /* and at every alignment */
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 167 + i / 7);
  for (size_t start = 0; start < 4; start++) {
    uint32_t whole = crc32c(0, bytes + start, 1000);
    for (size_t cut = 0; cut <= 1000; cut++)
      assert_int_equal(crc32c(crc32c(0, bytes + start, cut), bytes + start + cut, 1000 - cut), whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(published_values), cmocka_unit_test(it_continues)};
  return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
