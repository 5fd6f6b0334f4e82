/* Times of small steps: CPU time of this process, median of ROUNDS; cycles are those of the time stamp
 * counter in that time. */
#ifndef TESTS_BENCH_TIMING_H
#define TESTS_BENCH_TIMING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15 };

static inline double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of the processor's time stamp counter; 0 where there is none. Counted once, over a spell of wall time:
 * while a step is timed, others may have the processor. */
static inline double cycles_a_ns(void) {
#if defined(__x86_64__)
  static double known;
  if (known > 0) return known;
  double from = seconds(CLOCK_MONOTONIC), to;
  uint64_t began = __builtin_ia32_rdtsc();
  while ((to = seconds(CLOCK_MONOTONIC)) - from < 0.05) continue;
  return known = (double)(__builtin_ia32_rdtsc() - began) / ((to - from) * 1e9);
#else
  return 0;
#endif
}

static inline int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Prints a row: what each of the step's `units` takes. */
static inline void time_step(void (*step)(void), const char *what, size_t units, const char *unit) {
  double ns[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    double from = seconds(CLOCK_PROCESS_CPUTIME_ID);
    step();
    ns[i] = (seconds(CLOCK_PROCESS_CPUTIME_ID) - from) * 1e9 / (double)units;
  }
  qsort(ns, ROUNDS, sizeof *ns, by_value);
  printf("%-60s %9.1f ns/%s %8.0f cycles   (%.1f to %.1f ns)\n", what, ns[ROUNDS / 2], unit,
         ns[ROUNDS / 2] * cycles_a_ns(), ns[0], ns[ROUNDS - 1]);
}

#endif
