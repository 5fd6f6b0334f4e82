/* A published number or, when `absent` is not NULL, the reason why there is none. */
#ifndef DSP_FIGURE_H
#define DSP_FIGURE_H

#include <stddef.h>
#include <stdint.h>

struct figure {
  double value;
  const char *absent;
};

static inline struct figure figure_number(double value) {
  return (struct figure){.value = value};
}

static inline struct figure figure_absent(const char *reason) {
  return (struct figure){.absent = reason};
}

static inline struct figure figure_count(uint64_t value) {
  return figure_number((double)value);
}

static inline struct figure figure_ms(uint64_t us) {
  return figure_number((double)us / 1000.0);
}

/* Absent when there is nothing to divide by. */
static inline struct figure figure_ratio(double dividend, double divisor, const char *reason) {
  return divisor > 0 ? figure_number(dividend / divisor) : figure_absent(reason);
}

#endif
