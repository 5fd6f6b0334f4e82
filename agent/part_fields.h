/* Facts as JSON by their field rows (dsp/fields.h): one walker for every struct. Pure.
 *
 * Written: only what is not zero. A short array (to FIELDS_DENSE_MAX elements) in full, a longer one
 * (a histogram) as [[index, count], ...]. Numbers in full: a u64 beyond int64 as decimal text, a
 * double that JSON has no word for as "nan", "inf", "-inf". Reading gives the same bits back. */
#ifndef AGENT_PART_FIELDS_H
#define AGENT_PART_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "dsp/fields.h"

enum { FIELDS_DENSE_MAX = 8 };

/* One struct at `base` as an object. New reference. */
json_t *fields_to_json(const struct field *fields, size_t field_count, const void *base);
/* Members without a key become zero; false when a value is not a number or an index is out of range. */
bool fields_from_json(const struct field *fields, size_t field_count, const json_t *object, void *base);

/* `count` structs of `stride` bytes as an object of equally long arrays, one a member. New reference. */
json_t *columns_to_json(const struct field *fields, size_t field_count, const void *base, size_t stride,
                        size_t count);
/* Reads at most `capacity`; false when the columns differ in length, are longer, or hold no numbers. */
bool columns_from_json(const struct field *fields, size_t field_count, const json_t *object, void *base,
                       size_t stride, size_t capacity, size_t *count);

#endif
