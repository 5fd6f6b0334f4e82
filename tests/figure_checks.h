/* What a figure must be. */
#ifndef TESTS_FIGURE_CHECKS_H
#define TESTS_FIGURE_CHECKS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dsp/figure.h"

static inline void is(struct figure f, double expected, double tolerance) {
  if (f.absent != NULL) fail_msg("absent: %s, expected %g", f.absent, expected);
  if (!(fabs(f.value - expected) <= tolerance)) fail_msg("%.10f, expected %.10f", f.value, expected);
}

static inline void is_absent(struct figure f, const char *reason) {
  if (f.absent == NULL) fail_msg("%g, expected none: %s", f.value, reason);
  assert_string_equal(f.absent, reason);
}

#endif
