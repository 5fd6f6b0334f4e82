/* The system's two clocks in microseconds. Only who meets the world reads them (server, serve, replay --to,
 * log); everybody else is given a time. Thread: any. */
#ifndef AGENT_CLOCK_H
#define AGENT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(clockid_t which) {
  struct timespec now;
  clock_gettime(which, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Since some start; never set back. */
static inline int64_t clock_mono_us(void) {
  return clock_us(CLOCK_MONOTONIC);
}

/* Since 1970; may jump. */
static inline int64_t clock_wall_us(void) {
  return clock_us(CLOCK_REALTIME);
}

#endif
