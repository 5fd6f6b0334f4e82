#include "store/mongo_known.h"

#include <string.h>

/* FNV-1a and a final mix: two legs of 16,384 share 64 bits once in 10^11 runs, and then only a join is left out. */
static uint64_t hash_of(const char *leg) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char *c = leg; *c != '\0'; c++) h = (h ^ (uint8_t)*c) * 0x100000001b3u;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  h ^= h >> 32;
  return h == 0 ? 1 : h;
}

static bool take_out(uint64_t *ways, uint64_t hash) {
  for (int i = 0; i < MONGO_KNOWN_WAYS; i++) {
    if (ways[i] != hash) continue;
    memmove(&ways[i], &ways[i + 1], (size_t)(MONGO_KNOWN_WAYS - 1 - i) * sizeof *ways);
    ways[MONGO_KNOWN_WAYS - 1] = 0;
    return true;
  }
  return false;
}

static void put_first(uint64_t *ways, uint64_t hash) {
  memmove(&ways[1], &ways[0], (MONGO_KNOWN_WAYS - 1) * sizeof *ways);
  ways[0] = hash;
}

bool mongo_known_has(struct mongo_known *k, const char *leg) {
  const uint64_t hash = hash_of(leg);
  uint64_t *ways = k->hashes[hash % MONGO_KNOWN_SETS];
  if (!take_out(ways, hash)) return false;
  put_first(ways, hash);
  return true;
}

void mongo_known_add(struct mongo_known *k, const char *leg) {
  const uint64_t hash = hash_of(leg);
  uint64_t *ways = k->hashes[hash % MONGO_KNOWN_SETS];
  take_out(ways, hash);
  put_first(ways, hash);
}

void mongo_known_forget(struct mongo_known *k, const char *leg) {
  const uint64_t hash = hash_of(leg);
  take_out(k->hashes[hash % MONGO_KNOWN_SETS], hash);
}
