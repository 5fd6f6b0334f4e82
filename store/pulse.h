/* How a thread of ours says that it is alive: for a watchdog that the agent feeds (agent/supervise.h). A thread that
 * goes to work promises to be heard of again within a time, one that waits for work promises nothing. What to promise:
 * more than the sum of the time limits of what the work waits for, so that a slow disk or server never breaks it. */
#ifndef STORE_PULSE_H
#define STORE_PULSE_H

#include <stddef.h>
#include <stdint.h>

struct pulse {
  void (*expect)(void *arg, int64_t max_quiet_ms); /* on the thread that speaks; NULL: nobody listens */
  void *arg;
};

/* From now on never quiet for longer than that; 0: waits for work. */
static inline void pulse_expect(const struct pulse *p, int64_t max_quiet_ms) {
  if (p->expect != NULL) p->expect(p->arg, max_quiet_ms);
}

#endif
