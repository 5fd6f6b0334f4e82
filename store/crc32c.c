/* Polynomial 0x1EDC6F41 (RFC 3720 12.1), reflected 0x82F63B78. Four bytes a step with four tables:
 * table[k][b] is the effect of byte b followed by k zero bytes. */
#include "store/crc32c.h"

#include <pthread.h>

static uint32_t table[4][256];

static void fill_tables(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82F63B78u & -(crc & 1));
    table[0][b] = crc;
  }
  for (int k = 1; k < 4; k++)
    for (uint32_t b = 0; b < 256; b++) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t count) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const uint8_t *p = bytes;
  pthread_once(&once, fill_tables);
  crc = ~crc;
  for (; count >= 4; p += 4, count -= 4) {
    crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^ table[1][crc >> 16 & 0xff] ^ table[0][crc >> 24];
  }
  for (; count > 0; p++, count--) crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
  return ~crc;
}
