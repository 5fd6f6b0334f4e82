/* Rows that describe the members of a plain struct, so that facts can be stored, read back and
 * merged by one walker instead of a hand-written function a struct (agent/part.c walks them). */
#ifndef DSP_FIELDS_H
#define DSP_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum field_type { FIELD_U64, FIELD_I64, FIELD_F64 };

/* How two parts of one leg are put together. */
enum field_merge { MERGE_SUM, MERGE_MAX, MERGE_MIN, MERGE_FIRST, MERGE_LAST };

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

#endif
