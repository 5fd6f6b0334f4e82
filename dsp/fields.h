/* Rows that describe the members of a plain struct, so that facts can be stored, read back and
 * merged by one walker instead of a hand-written function a struct (agent/part_fields.c stores and
 * reads). A row's member is 64 bits wide, or an array of such. Pure, any thread. */
#ifndef DSP_FIELDS_H
#define DSP_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum field_type { FIELD_U64, FIELD_I64, FIELD_F64 };
enum { FIELD_BYTES = 8 }; /* of a member, or of an element of one, whatever its type */

/* How two parts of one leg are put together. */
enum field_merge {
  MERGE_SUM,
  MERGE_MAX,
  MERGE_MIN,
  MERGE_MIN_KNOWN, /* the smaller one, 0 being none */
  MERGE_FIRST,
  MERGE_LAST
};

/* `count` > 1 is an array of that many equal elements (a histogram); it is stored sparse. */
struct field {
  const char *name;
  enum field_type type;
  enum field_merge merge;
  size_t offset;
  size_t count;
};

#define FIELD(struct_, member_, type_, merge_) \
  { #member_, type_, merge_, offsetof(struct struct_, member_), 1 }
#define FIELD_ARRAY(struct_, member_, type_, merge_, count_) \
  { #member_, type_, merge_, offsetof(struct struct_, member_), count_ }

/* Puts the members of `from`, a later part, behind those of `into` as their rows say. */
void fields_merge(const struct field *fields, size_t field_count, void *into, const void *from);

#endif
