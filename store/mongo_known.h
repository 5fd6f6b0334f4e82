/* Legs that are known to have a document: a bounded memory that forgets the ones unused longest. To have forgotten a
 * leg costs two needless updates. Private to store/mongo*.c. */
#ifndef STORE_MONGO_KNOWN_H
#define STORE_MONGO_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

enum { MONGO_KNOWN_SETS = 4096, MONGO_KNOWN_WAYS = 4 };
struct mongo_known {
  uint64_t hashes[MONGO_KNOWN_SETS][MONGO_KNOWN_WAYS]; /* newest use first; 0: free */
};
/* A leg found is a leg used. */
bool mongo_known_has(struct mongo_known *k, const char *leg);
void mongo_known_add(struct mongo_known *k, const char *leg);
void mongo_known_forget(struct mongo_known *k, const char *leg);

#endif
