/* The system's two clocks in the units that store/ needs. Private to store/; any thread; never fails. */
#ifndef STORE_CLOCK_H
#define STORE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(clockid_t which) {
  struct timespec now;
  clock_gettime(which, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* For waiting and measuring: never steps. */
static inline int64_t monotonic_us(void) {
  return clock_us(CLOCK_MONOTONIC);
}

static inline int64_t monotonic_ms(void) {
  return monotonic_us() / 1000;
}

/* Since the epoch: may step. */
static inline int64_t wall_ms(void) {
  return clock_us(CLOCK_REALTIME) / 1000;
}

/* A time of monotonic_ms() as pthread_cond_timedwait() and pthread_clockjoin_np() want it. */
static inline struct timespec timespec_of_ms(int64_t ms) {
  return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

#endif
