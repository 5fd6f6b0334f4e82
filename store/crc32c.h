/* CRC-32C (Castagnoli): what every record of the store carries. */
#ifndef STORE_CRC32C_H
#define STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues a checksum; start with 0. crc32c(crc32c(0, a), b) is that of a and b in a row. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
