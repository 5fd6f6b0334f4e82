#include "agent/part_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool word_is_zero(const char *word) {
  static const char zero[FIELD_BYTES];
  return memcmp(word, zero, FIELD_BYTES) == 0;
}

static json_t *word_to_json(enum field_type type, const char *word) {
  char text[32];
  uint64_t u;
  int64_t i;
  double f;
  switch (type) {
    case FIELD_U64:
      memcpy(&u, word, sizeof u);
      if (u <= INT64_MAX) return json_integer((json_int_t)u);
      snprintf(text, sizeof text, "%" PRIu64, u);
      return json_string(text);
    case FIELD_I64:
      memcpy(&i, word, sizeof i);
      return json_integer(i);
    case FIELD_F64:
      memcpy(&f, word, sizeof f);
      if (isfinite(f)) return json_real(f);
      return json_string(isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
  }
  return NULL;
}

static bool text_to_u64(const char *text, uint64_t *out) {
  char *end;
  errno = 0;
  if (*text < '0' || *text > '9') return false;
  *out = strtoull(text, &end, 10);
  return !*end && !errno;
}

static bool text_to_double(const char *text, double *out) {
  if (!strcmp(text, "nan"))
    *out = NAN;
  else if (!strcmp(text, "inf"))
    *out = INFINITY;
  else if (!strcmp(text, "-inf"))
    *out = -INFINITY;
  else
    return false;
  return true;
}

static bool word_from_json(enum field_type type, const json_t *value, char *word) {
  uint64_t u = 0;
  int64_t i = 0;
  double f = 0;
  switch (type) {
    case FIELD_U64:
      if (json_is_integer(value) && json_integer_value(value) >= 0)
        u = (uint64_t)json_integer_value(value);
      else if (!json_is_string(value) || !text_to_u64(json_string_value(value), &u))
        return false;
      memcpy(word, &u, sizeof u);
      return true;
    case FIELD_I64:
      if (!json_is_integer(value)) return false;
      i = json_integer_value(value);
      memcpy(word, &i, sizeof i);
      return true;
    case FIELD_F64:
      if (json_is_number(value))
        f = json_number_value(value);
      else if (!json_is_string(value) || !text_to_double(json_string_value(value), &f))
        return false;
      memcpy(word, &f, sizeof f);
      return true;
  }
  return false;
}

/* A member of one struct; NULL when it is an array of zeros that may be left out. */
static json_t *member_to_json(const struct field *field, const char *member) {
  if (field->count == 1) return word_to_json(field->type, member);
  json_t *array = json_array();
  bool dense = field->count <= FIELDS_DENSE_MAX;
  for (size_t i = 0; i < field->count; i++) {
    const char *word = member + i * FIELD_BYTES;
    if (dense) {
      json_array_append_new(array, word_to_json(field->type, word));
    } else if (!word_is_zero(word)) {
      json_t *pair = json_array();
      json_array_append_new(pair, json_integer((json_int_t)i));
      json_array_append_new(pair, word_to_json(field->type, word));
      json_array_append_new(array, pair);
    }
  }
  return array;
}

static bool member_from_json(const struct field *field, const json_t *value, char *member) {
  memset(member, 0, field->count * FIELD_BYTES);
  if (!value) return true;
  if (field->count == 1) return word_from_json(field->type, value, member);
  if (!json_is_array(value)) return false;
  bool dense = field->count <= FIELDS_DENSE_MAX;
  for (size_t i = 0; i < json_array_size(value); i++) {
    const json_t *element = json_array_get(value, i);
    json_int_t index = (json_int_t)i;
    if (!dense) {
      if (!json_is_integer(json_array_get(element, 0))) return false;
      index = json_integer_value(json_array_get(element, 0));
      element = json_array_get(element, 1);
    }
    if (index < 0 || (uint64_t)index >= field->count) return false;
    if (!word_from_json(field->type, element, member + (size_t)index * FIELD_BYTES)) return false;
  }
  return true;
}

static bool member_is_zero(const struct field *field, const char *member) {
  for (size_t i = 0; i < field->count; i++)
    if (!word_is_zero(member + i * FIELD_BYTES)) return false;
  return true;
}

json_t *fields_to_json(const struct field *fields, size_t field_count, const void *base) {
  json_t *object = json_object();
  for (size_t i = 0; i < field_count; i++) {
    const char *member = (const char *)base + fields[i].offset;
    if (!member_is_zero(&fields[i], member))
      json_object_set_new(object, fields[i].name, member_to_json(&fields[i], member));
  }
  return object;
}

bool fields_from_json(const struct field *fields, size_t field_count, const json_t *object, void *base) {
  if (!json_is_object(object)) return false;
  for (size_t i = 0; i < field_count; i++)
    if (!member_from_json(&fields[i], json_object_get(object, fields[i].name),
                          (char *)base + fields[i].offset))
      return false;
  return true;
}

json_t *columns_to_json(const struct field *fields, size_t field_count, const void *base, size_t stride,
                        size_t count) {
  json_t *object = json_object();
  for (size_t f = 0; f < field_count; f++) {
    json_t *column = json_array();
    for (size_t i = 0; i < count; i++)
      json_array_append_new(column,
                            member_to_json(&fields[f], (const char *)base + i * stride + fields[f].offset));
    json_object_set_new(object, fields[f].name, column);
  }
  return object;
}

bool columns_from_json(const struct field *fields, size_t field_count, const json_t *object, void *base,
                       size_t stride, size_t capacity, size_t *count) {
  *count = 0;
  if (!json_is_object(object)) return false;
  bool found = false;
  for (size_t f = 0; f < field_count; f++) {
    const json_t *column = json_object_get(object, fields[f].name);
    if (!column) continue; /* a row newer than this text: zeros */
    size_t length = json_array_size(column);
    if (!json_is_array(column) || length > capacity || (found && length != *count)) return false;
    found = true;
    *count = length;
    for (size_t i = 0; i < length; i++)
      if (!member_from_json(&fields[f], json_array_get(column, i),
                            (char *)base + i * stride + fields[f].offset))
        return false;
  }
  return true;
}
