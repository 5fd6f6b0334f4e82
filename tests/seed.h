/* Random numbers for properties: another seed each run, printed, and taken from SIDETONE_SEED to repeat. */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static uint64_t seed_value, seed_state;

/* A setup function: every test begins with the same numbers, so each can be repeated alone. */
static inline int seed_start(void **state) {
  (void)state;
  static bool started;
  if (!started) {
    const char *given = getenv("SIDETONE_SEED");
    seed_value = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("SIDETONE_SEED=%" PRIu64 "\n", seed_value);
    started = true;
  }
  seed_state = seed_value;
  return 0;
}

/* splitmix64 */
static inline uint64_t seed_draw(void) {
  uint64_t z = seed_state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline double seed_between(double low, double high) {
  return low + (high - low) * ((double)(seed_draw() >> 11) / 9007199254740992.0);
}

#define SEED_FAIL(...)                                           \
  do {                                                           \
    print_error(__VA_ARGS__);                                    \
    fail_msg(" repeat with SIDETONE_SEED=%" PRIu64, seed_value); \
  } while (0)

#endif
