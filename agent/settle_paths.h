/* The paths of a CallLog that the fold can write, each with what a settle does to it (data-model.md 8.4, 10). One
 * table: what is not in it is not ours. */
#ifndef AGENT_SETTLE_PATHS_H
#define AGENT_SETTLE_PATHS_H

#include <stdbool.h>
#include <stddef.h>

enum settle_kind {
  SETTLE_OURS,   /* set; unset when the fold leaves it out: more facts can take it away */
  SETTLE_STAYS,  /* set, never unset: what the facts once say, no further fact takes away. So an older settle
                    leaves nothing behind, and what the application wrote before it dialled stays when
                    the facts name nothing. An empty array counts as left out */
  SETTLE_LONG,   /* as SETTLE_OURS, always int64 (calllog-fields.csv) */
  SETTLE_ID,     /* callLogId: by the rules of settle.c */
  SETTLE_PEOPLE, /* people and AI may write it: by the rules of settle_people.c */
  SETTLE_PEOPLE_TOO, /* says one thing with the row before: whose one of them is, his are all of them */
  SETTLE_ROWS,       /* an array or set of which only some elements are ours: by operators on elements */
  SETTLE_FACT,       /* a fact: read, never written */
  SETTLE_MADE        /* written when the document is made, then left alone */
};

struct settle_path {
  const char *path; /* dotted; whatever lies below it belongs to it */
  enum settle_kind kind;
  bool array; /* an empty one when the document is made (1.1) */
};
extern const struct settle_path settle_paths[];
extern const size_t settle_path_count;

enum { SETTLE_PATH_BYTES = 160 }; /* of any path that is built */

/* NULL when the path itself is not in the table. */
const struct settle_path *settle_path_find(const char *path);

#endif
