/* Random numbers for numbered cases, the same on every machine: the seed of a case that fails is printed, and
 * RANDOM_SEED in the environment starts from it. (tests/seed.h has other cases each run.) */
#ifndef TESTS_RANDOM_CASE_H
#define TESTS_RANDOM_CASE_H

#include <stdint.h>
#include <stdlib.h>

static uint64_t random_state, seed; /* seed: of the case at work */

/* Case `number` from here on. */
static inline void start_random(uint64_t number) {
  const char *from = getenv("RANDOM_SEED");
  seed = (from ? strtoull(from, NULL, 10) : 1) + number;
  random_state = seed * 0x2545F4914F6CDD1Du;
}

/* splitmix64 */
static inline uint64_t random_bits(void) {
  uint64_t x = random_state += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static inline int below(int n) {
  return (int)(random_bits() % (uint64_t)n);
}

#endif
