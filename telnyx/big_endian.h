/* Numbers as networks send them, the highest byte first. `at` needs no alignment. Pure. */
#ifndef TELNYX_BIG_ENDIAN_H
#define TELNYX_BIG_ENDIAN_H

#include <stdint.h>

static inline uint16_t read_16(const uint8_t *at) {
  return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t read_32(const uint8_t *at) {
  return (uint32_t)read_16(at) << 16 | read_16(at + 2);
}

#endif
