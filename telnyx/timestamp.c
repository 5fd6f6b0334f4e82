#include "telnyx/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Days from 0000-03-01 to 1970-01-01. Years that begin in March end with the leap day. */
enum { DAYS_TO_EPOCH = 719468, DAYS_PER_400_YEARS = 146097 };

/* Days from the first of March to the first of a month; `month` counts from March = 0. Five months hold
 * 153 days. */
static int64_t days_before_month(int64_t month) {
  return (153 * month + 2) / 5;
}

static int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0);
}

/* 0..by-1: what floor_div() leaves. */
static int64_t floor_rest(int64_t value, int64_t by) {
  return (value % by + by) % by;
}

static int64_t days_from_date(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) year--;
  int64_t era = floor_div(year, 400), of_era = year - era * 400;
  int64_t of_year = days_before_month((month + 9) % 12) + day - 1;
  return era * DAYS_PER_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_EPOCH;
}

static int days_in_month(int year, int month) {
  static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

/* Exactly `count` digits within low..high. */
static bool digits(const char **at, int count, int low, int high, int *out) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    char c = (*at)[i];
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  *at += count;
  *out = value;
  return value >= low && value <= high;
}

static bool one_of(const char **at, const char *set) {
  for (; *set != '\0'; set++) {
    if (**at == *set) {
      (*at)++;
      return true;
    }
  }
  return false;
}

/* 0 to 9 digits behind the point, cut to microseconds. */
static bool fraction(const char **at, int64_t *us) {
  int count = 0;
  *us = 0;
  if (!one_of(at, ".")) return true;
  for (; **at >= '0' && **at <= '9'; (*at)++, count++) {
    if (count < 6) *us = *us * 10 + (**at - '0');
  }
  for (int i = count; i < 6; i++) *us *= 10;
  return count >= 1 && count <= 9;
}

static bool offset(const char **at, int *minutes) {
  *minutes = 0;
  if (one_of(at, "Zz")) return true;
  bool west = **at == '-';
  int h, m;
  if (!one_of(at, "+-") || !digits(at, 2, 0, 23, &h) || !one_of(at, ":") || !digits(at, 2, 0, 59, &m)) {
    return false;
  }
  *minutes = (west ? -1 : 1) * (h * 60 + m);
  return true;
}

bool timestamp_parse(const char *text, int64_t *epoch_us) {
  int year, month, day, hour, minute, second, offset_minutes;
  int64_t us;
  const char *at = text;
  if (!text) return false;
  bool fine = digits(&at, 4, 0, 9999, &year) && one_of(&at, "-") && digits(&at, 2, 1, 12, &month) &&
              one_of(&at, "-") && digits(&at, 2, 1, 31, &day) && one_of(&at, "Tt ") &&
              digits(&at, 2, 0, 23, &hour) && one_of(&at, ":") && digits(&at, 2, 0, 59, &minute) &&
              one_of(&at, ":") && digits(&at, 2, 0, 60, &second) && fraction(&at, &us) &&
              offset(&at, &offset_minutes) && *at == '\0';
  if (!fine || day > days_in_month(year, month)) return false;
  int64_t minutes = days_from_date(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
  *epoch_us = (minutes * 60 + second) * 1000000 + us;
  return true;
}

static void format(int64_t epoch_s, int fraction_digits, int fraction_value, char *out) {
  int64_t days = floor_div(epoch_s, 86400), second = floor_rest(epoch_s, 86400);
  int64_t shifted = days + DAYS_TO_EPOCH;
  int64_t era = floor_div(shifted, DAYS_PER_400_YEARS), of_era = shifted - era * DAYS_PER_400_YEARS;
  /* The last day of 4, 100 and 400 years would count as a year of its own; take it out first. */
  int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (years * 365 + years / 4 - years / 100);
  int64_t month = (5 * of_year + 2) / 153;
  int64_t day = of_year - days_before_month(month) + 1;
  int64_t year = era * 400 + years + (month >= 10);
  /* The largest int64 in milliseconds has a year of nine digits: 30 characters. gcc cannot know that. */
  char text[64];
  int length = snprintf(text, sizeof text, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%0*dZ", year,
                        (int)(month + 2) % 12 + 1, (int)day, (int)(second / 3600), (int)(second / 60 % 60),
                        (int)(second % 60), fraction_digits, fraction_value);
  memcpy(out, text, (size_t)length + 1);
}

void timestamp_format_ms(int64_t epoch_ms, char *out) {
  format(floor_div(epoch_ms, 1000), 3, (int)floor_rest(epoch_ms, 1000), out);
}

void timestamp_format_us(int64_t epoch_us, char *out) {
  format(floor_div(epoch_us, 1000000), 6, (int)floor_rest(epoch_us, 1000000), out);
}
