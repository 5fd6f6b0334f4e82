/* The indexes of `calllogs` (data-model.md 1.3), and whether one that a server lists is one of them. Pure. Private to
 * store/mongo*.c. */
#ifndef STORE_MONGO_WANTED_H
#define STORE_MONGO_WANTED_H

#include <stdbool.h>
#include <stddef.h>

#include "store/mongo_driver.h"

enum { MONGO_INDEX_KEYS_MAX = 4, MONGO_INDEX_CALL_LOG_ID = 0, MONGO_INDEX_CALL_CONTROL_ID = 1 };
struct mongo_index {
  struct {
    const char *path; /* NULL: no more */
    int direction;    /* 1, -1; 0: text */
  } keys[MONGO_INDEX_KEYS_MAX];
  bool unique, sparse;
};
/* The first two are those without which rows are held. */
extern const struct mongo_index mongo_indexes[];
extern const size_t mongo_index_count;

/* The driver's convention: a_1_b_-1. */
void mongo_index_name(const struct mongo_index *index, char *out, size_t out_bytes);
/* The one element of createIndexes' `indexes`. `plain`: without unique and sparse. */
void mongo_index_spec(const struct mongo_index *index, bool plain, bson_t *out);

enum mongo_index_fit {
  MONGO_INDEX_OTHER,  /* other keys */
  MONGO_INDEX_UNFIT,  /* the keys are the same, the options are not */
  MONGO_INDEX_ENOUGH, /* unique over every document of ours, but not as we would make it */
  MONGO_INDEX_EXACT
};
/* How far a document of listIndexes is the index. `sharded`: of a collection where a unique index must begin with the
 * shard key. */
enum mongo_index_fit mongo_index_fits(const struct mongo_index *index, const bson_t *listed, bool sharded);
/* Raises fit[0..mongo_index_count) by a document of listIndexes. */
void mongo_index_see(enum mongo_index_fit *fit, const bson_t *listed, bool sharded);

#endif
