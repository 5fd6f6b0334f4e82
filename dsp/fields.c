#include "dsp/fields.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(uint64_t) == FIELD_BYTES && sizeof(double) == FIELD_BYTES, "one size for every type");

static bool is_greater(enum field_type type, const void *a, const void *b) {
  switch (type) {
    case FIELD_U64:
      return *(const uint64_t *)a > *(const uint64_t *)b;
    case FIELD_I64:
      return *(const int64_t *)a > *(const int64_t *)b;
    case FIELD_F64:
      return *(const double *)a > *(const double *)b;
  }
  return false;
}

static bool is_zero(const void *value) {
  static const char zero[FIELD_BYTES];
  return memcmp(value, zero, FIELD_BYTES) == 0;
}

static void add(enum field_type type, void *into, const void *from) {
  if (type == FIELD_F64)
    *(double *)into += *(const double *)from;
  else
    *(uint64_t *)into += *(const uint64_t *)from; /* two's complement: right for FIELD_I64 too */
}

/* Offsets of the rows are offsets of members of that type. */
static void merge_one(const struct field *row, void *into, const void *from) {
  switch (row->merge) {
    case MERGE_SUM:
      add(row->type, into, from);
      return;
    case MERGE_MAX:
      if (is_greater(row->type, from, into)) memcpy(into, from, FIELD_BYTES);
      return;
    case MERGE_MIN:
      if (is_greater(row->type, into, from)) memcpy(into, from, FIELD_BYTES);
      return;
    case MERGE_MIN_KNOWN:
      if (is_zero(into) || (!is_zero(from) && is_greater(row->type, into, from)))
        memcpy(into, from, FIELD_BYTES);
      return;
    case MERGE_LAST:
      memcpy(into, from, FIELD_BYTES);
      return;
    case MERGE_FIRST:
      return;
  }
}

void fields_merge(const struct field *fields, size_t field_count, void *into, const void *from) {
  for (size_t f = 0; f < field_count; f++) {
    char *to = (char *)into + fields[f].offset;
    const char *of = (const char *)from + fields[f].offset;
    for (size_t i = 0; i < fields[f].count; i++)
      merge_one(&fields[f], to + i * FIELD_BYTES, of + i * FIELD_BYTES);
  }
}
