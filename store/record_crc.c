/* Which fields a row's checksum covers. */
#include <math.h>
#include <string.h>

#include "store/crc32c.h"
#include "store/database.h"

static uint32_t add_number(uint32_t crc, uint64_t number) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
  return crc32c(crc, bytes, sizeof bytes);
}

static uint32_t add_text(uint32_t crc, const char *text, size_t bytes) {
  return crc32c(add_number(crc, bytes), text, bytes);
}

static uint32_t add_string(uint32_t crc, const char *text) {
  return text == NULL ? add_text(crc, "", 0) : add_text(crc, text, strlen(text));
}

/* Every unknown (NaN) counts alike: the file holds NULL for it. */
static uint32_t add_double(uint32_t crc, double number) {
  uint64_t bits = UINT64_MAX;
  if (!isnan(number)) memcpy(&bits, &number, sizeof bits);
  return add_number(crc, bits);
}

uint32_t event_crc(const char *id, size_t id_bytes, const char *leg, size_t leg_bytes, int64_t at_ms,
                   const char *body, size_t body_bytes) {
  uint32_t crc = add_text(add_text(0, id, id_bytes), leg, leg_bytes);
  return add_text(add_number(crc, (uint64_t)at_ms), body, body_bytes);
}

uint32_t part_crc(const char *leg, size_t leg_bytes, const char *id, size_t id_bytes, uint64_t n, bool open,
                  const char *body, size_t body_bytes) {
  uint32_t crc = add_text(add_text(0, leg, leg_bytes), id, id_bytes);
  return add_text(add_number(add_number(crc, n), open), body, body_bytes);
}

uint32_t calllog_crc(const char *leg, size_t leg_bytes, uint64_t revision, bool open, const char *body,
                     size_t body_bytes) {
  uint32_t crc = add_number(add_number(add_text(0, leg, leg_bytes), revision), open);
  return add_text(crc, body, body_bytes);
}

uint32_t list_crc(const struct store_call_row *row) {
  uint32_t crc = add_string(add_string(0, row->call_log_id), row->status);
  crc = add_string(add_string(add_string(crc, row->direction), row->from), row->to);
  crc = add_number(crc, (uint64_t)row->initiated_at_ms);
  return add_double(add_double(crc, row->total_s), row->mos);
}

uint32_t value_crc(const char *key, size_t key_bytes, const char *value, size_t value_bytes) {
  return add_text(add_text(0, key, key_bytes), value, value_bytes);
}
