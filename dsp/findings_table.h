/* The table of findings: one row each, in findings_table.c. Internal to dsp/findings. */
#ifndef DSP_FINDINGS_TABLE_H
#define DSP_FINDINGS_TABLE_H

#include "dsp/findings.h"

enum { FINDING_NO_MEASURE = -1 };

/* A figure, its limits and the words about it. */
struct finding_criterion {
  int measure; /* offset in struct finding_values, or FINDING_NO_MEASURE: findings_value(), findings_open() */
  int detail;  /* likewise */
  int sign;    /* 1: more is worse, -1: less is; 0: no such criterion */
  bool magnitude;   /* the sign of the figure does not count */
  double warn, bad; /* beyond: the first, the second severity */
  double clear;     /* at it or on its good side: good again */
  uint8_t open_windows, close_windows;
  double scale; /* for the words: figure * scale, `decimals` of it */
  const char *before, *unit;
  int decimals;
  const char *detail_before, *detail_unit; /* detail_before NULL: none is told */
  int detail_decimals;
};

struct finding_kind_row {
  const char *name, *bad_name; /* bad_name NULL: as `name` */
  const char *type;
  enum finding_severity warn, bad;
  int64_t join_ms;
  struct finding_criterion criterion[FINDING_CRITERIA_MAX];
};
extern const struct finding_kind_row finding_table[FINDING_KINDS];

/* 0: fine, 1: beyond `warn`, 2: beyond `bad`. NaN is fine. */
int finding_grade(const struct finding_criterion *c, double value);
bool finding_is_clear(const struct finding_criterion *c, double value);
bool finding_is_worse(const struct finding_criterion *c, double a, double b);

#endif
