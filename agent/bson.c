#include "agent/bson.h"

/* The library's own headers cast const away. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <bson/bson.h>
#pragma GCC diagnostic pop
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/buffer.h"
#include "agent/document.h"
#include "telnyx/utf8.h"

static const int64_t year_0_ms = -62167219200000, year_10000_ms = 253402300800000;

/* ---- to BSON ---- */

static bool append_value(bson_t *to, const char *key, int key_bytes, const json_t *value);

static bool append_members(bson_t *to, const json_t *object) {
  json_t *reader = document_reader(object);
  for (void *i = json_object_iter(reader); i; i = json_object_iter_next(reader, i)) {
    const char *key = json_object_iter_key(i);
    size_t key_bytes = json_object_iter_key_len(i);
    if (memchr(key, 0, key_bytes) || key_bytes > INT32_MAX) return false; /* BSON's keys end at a NUL */
    if (!append_value(to, key, (int)key_bytes, json_object_iter_value(i))) return false;
  }
  return true;
}

static bool append_elements(bson_t *to, const json_t *array) {
  for (size_t i = 0; i < json_array_size(array); i++) {
    char room[16];
    const char *key;
    size_t key_bytes = bson_uint32_to_string((uint32_t)i, &key, room, sizeof room);
    if (!append_value(to, key, (int)key_bytes, json_array_get(array, i))) return false;
  }
  return true;
}

/* {"$date"}, {"$oid"}, {"$numberLong"}; false when the object is none of them. */
static bool append_special(bson_t *to, const char *key, int key_bytes, const json_t *object, bool *fine) {
  if (json_object_size(object) != 1) return false;
  int64_t at_ms;
  const char *hex = json_string_value(json_object_get(object, "$oid")),
             *digits = json_string_value(json_object_get(object, "$numberLong"));
  if (document_date_ms(object, &at_ms)) {
    *fine = bson_append_date_time(to, key, key_bytes, at_ms);
  } else if (hex && bson_oid_is_valid(hex, strlen(hex))) {
    bson_oid_t oid;
    bson_oid_init_from_string(&oid, hex);
    *fine = bson_append_oid(to, key, key_bytes, &oid);
  } else if (digits && *digits) {
    char *end;
    long long number = strtoll(digits, &end, 10);
    if (*end) return false;
    *fine = bson_append_int64(to, key, key_bytes, number);
  } else {
    return false;
  }
  return true;
}

static bool append_object(bson_t *to, const char *key, int key_bytes, const json_t *object) {
  bool fine;
  if (append_special(to, key, key_bytes, object, &fine)) return fine;
  bson_t inner;
  if (!bson_append_document_begin(to, key, key_bytes, &inner)) return false;
  fine = append_members(&inner, object);
  return bson_append_document_end(to, &inner) && fine;
}

static bool append_array(bson_t *to, const char *key, int key_bytes, const json_t *array) {
  bson_t inner;
  if (!bson_append_array_begin(to, key, key_bytes, &inner)) return false;
  bool fine = append_elements(&inner, array);
  return bson_append_array_end(to, &inner) && fine;
}

static bool append_value(bson_t *to, const char *key, int key_bytes, const json_t *value) {
  json_int_t number = json_integer_value(value);
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      return append_object(to, key, key_bytes, value);
    case JSON_ARRAY:
      return append_array(to, key, key_bytes, value);
    case JSON_STRING:
      if (json_string_length(value) > INT32_MAX) return false;
      return bson_append_utf8(to, key, key_bytes, json_string_value(value), (int)json_string_length(value));
    case JSON_INTEGER:
      if (number >= INT32_MIN && number <= INT32_MAX)
        return bson_append_int32(to, key, key_bytes, (int32_t)number);
      return bson_append_int64(to, key, key_bytes, number);
    case JSON_REAL:
      return !isfinite(json_real_value(value)) ||
             bson_append_double(to, key, key_bytes, json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
      return bson_append_bool(to, key, key_bytes, json_is_true(value));
    case JSON_NULL:
      return bson_append_null(to, key, key_bytes);
  }
  return false;
}

uint8_t *bson_of_json(const json_t *object, size_t *bytes) {
  if (!json_is_object(object)) return NULL;
  bson_t *document = bson_new();
  uint32_t length = 0;
  bool fine = append_members(document, object);
  uint8_t *block = bson_destroy_with_steal(document, true, &length);
  *bytes = length;
  if (fine) return block;
  bson_free(block);
  return NULL;
}

/* ---- from BSON ---- */

static json_t *read_value(const bson_iter_t *iter);

/* The text with U+FFFD for each byte that begins no character. malloc'ed. */
static char *mended(const char *text, size_t bytes, size_t *mended_bytes) {
  struct buffer b = {0};
  for (size_t i = 0; i < bytes;) {
    size_t character = utf8_character(text + i, bytes - i);
    if (character)
      buffer_put(&b, text + i, character);
    else
      buffer_put_text(&b, "\xef\xbf\xbd");
    i += character ? character : 1;
  }
  return buffer_take(&b, mended_bytes);
}

static json_t *read_text(const char *text, size_t bytes) {
  if (utf8_valid(text, bytes)) return json_stringn(text, bytes);
  char *copy = mended(text, bytes, &bytes);
  json_t *value = copy ? json_stringn(copy, bytes) : NULL;
  free(copy);
  return value;
}

/* Takes `value` over; false when it is NULL or there is no memory. */
static bool put_member(json_t *object, const char *key, size_t key_bytes, json_t *value) {
  if (utf8_valid(key, key_bytes)) return json_object_setn_new(object, key, key_bytes, value) == 0;
  char *copy = mended(key, key_bytes, &key_bytes);
  bool fine = json_object_setn_new(object, copy ? copy : "", key_bytes, value) == 0 && copy;
  free(copy);
  return fine;
}

static json_t *read_members(bson_iter_t *iter) {
  json_t *object = json_object();
  while (object && bson_iter_next(iter))
    if (!put_member(object, bson_iter_key(iter), strlen(bson_iter_key(iter)), read_value(iter))) {
      json_decref(object);
      return NULL;
    }
  return object;
}

static json_t *read_elements(bson_iter_t *iter) {
  json_t *array = json_array();
  while (array && bson_iter_next(iter))
    if (json_array_append_new(array, read_value(iter)) != 0) {
      json_decref(array);
      return NULL;
    }
  return array;
}

/* The library knows the forms of the types that we never write. A text in them that is not UTF-8 makes it fail:
 * then the value is null, so that the document still reads. */
static json_t *read_foreign(const bson_iter_t *iter) {
  bson_t one = BSON_INITIALIZER;
  char *text = bson_append_iter(&one, "v", 1, iter) ? bson_as_relaxed_extended_json(&one, NULL) : NULL;
  json_t *object = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
  json_t *value = json_incref(json_object_get(object, "v"));
  json_decref(object);
  bson_free(text);
  bson_destroy(&one);
  return value ? value : json_null();
}

static json_t *read_date(int64_t at_ms) {
  if (at_ms >= year_0_ms && at_ms < year_10000_ms) return document_date(at_ms);
  char digits[24];
  snprintf(digits, sizeof digits, "%lld", (long long)at_ms);
  return json_pack("{s:{s:s}}", "$date", "$numberLong", digits);
}

static json_t *read_oid(const bson_iter_t *iter) {
  char hex[25];
  bson_oid_to_string(bson_iter_oid(iter), hex);
  return document_oid(hex);
}

static json_t *read_value(const bson_iter_t *iter) {
  bson_iter_t inner;
  uint32_t bytes;
  const char *text;
  switch (bson_iter_type(iter)) {
    case BSON_TYPE_DOCUMENT:
      return bson_iter_recurse(iter, &inner) ? read_members(&inner) : NULL;
    case BSON_TYPE_ARRAY:
      return bson_iter_recurse(iter, &inner) ? read_elements(&inner) : NULL;
    case BSON_TYPE_UTF8:
      text = bson_iter_utf8(iter, &bytes);
      return read_text(text, bytes);
    case BSON_TYPE_INT32:
      return json_integer(bson_iter_int32(iter));
    case BSON_TYPE_INT64:
      return json_integer(bson_iter_int64(iter));
    case BSON_TYPE_DOUBLE:
      return isfinite(bson_iter_double(iter)) ? json_real(bson_iter_double(iter)) : read_foreign(iter);
    case BSON_TYPE_BOOL:
      return json_boolean(bson_iter_bool(iter));
    case BSON_TYPE_NULL:
      return json_null();
    case BSON_TYPE_DATE_TIME:
      return read_date(bson_iter_date_time(iter));
    case BSON_TYPE_OID:
      return read_oid(iter);
    default:
      return read_foreign(iter);
  }
}

json_t *bson_to_json(const uint8_t *document, size_t bytes) {
  bson_t whole;
  bson_iter_t iter;
  if (!document || !bson_init_static(&whole, document, bytes) ||
      !bson_validate(&whole, BSON_VALIDATE_NONE, NULL) || !bson_iter_init(&iter, &whole))
    return NULL;
  return read_members(&iter);
}
