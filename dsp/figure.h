/* A published number, or the reason why there is none (voice-quality.md 8: "A figure that is not
 * computable is left out, and its name with the reason is a member of `absent`"). */
#ifndef DSP_FIGURE_H
#define DSP_FIGURE_H

#include <stddef.h>

/* A number or, when `absent` is not NULL, the reason why there is none. */
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

#endif
