/* One track, its frames and its facts, for the tests of dsp/delivery that run a whole feed. */
#ifndef TESTS_DELIVERY_TRACK_H
#define TESTS_DELIVERY_TRACK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/delivery_feed.h"

static struct feed feed;
static struct delivery_facts facts;

static inline void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12f, expected %.12f", value, expected);
}

static inline int setup(void **state) {
  (void)state;
  feed_clear(&feed);
  return 0;
}

static inline void run(void) {
  feed_facts(&feed, 0, &facts);
}

#endif
