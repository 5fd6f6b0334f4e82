/* From the text of a value to its member, by type. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/options.h"

static bool parse_integer(const char *text, int64_t min, int64_t max, int64_t *out) {
  const char *digits = text + (*text == '-');
  if (*digits == 0 || strspn(digits, "0123456789") != strlen(digits)) return false;
  errno = 0;
  long long number = strtoll(text, NULL, 10);
  if (errno != 0 || number < min || number > max) return false;
  *out = number;
  return true;
}

struct scale {
  const char *name;
  int64_t factor;
};

static const struct scale byte_units[] = {{"TiB", 1LL << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20},
                                          {"KiB", 1 << 10},   {"", 1},          {NULL, 0}};
static const struct scale time_units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}, {NULL, 0}};

/* A number, blanks if one likes, a unit. */
static bool parse_scaled(const char *text, const struct scale *units, int64_t min, int64_t max,
                         int64_t *out) {
  char digits[20];
  size_t length = strspn(text, "0123456789");
  if (length == 0 || length >= sizeof digits) return false;
  memcpy(digits, text, length);
  digits[length] = 0;
  text += length;
  text += strspn(text, " ");
  for (; units->name != NULL; units++) {
    int64_t number;
    if (strcmp(text, units->name) != 0) continue;
    if (!parse_integer(digits, 0, max / units->factor, &number) || number * units->factor < min) return false;
    *out = number * units->factor;
    return true;
  }
  return false;
}

/* In the largest unit that leaves a whole number. */
static void print_scaled(int64_t number, const struct scale *units, char *out, size_t out_bytes) {
  while (units[1].name != NULL && (number == 0 || number % units->factor != 0)) units++;
  snprintf(out, out_bytes, "%lld%s%s", (long long)(number / units->factor), *units->name != 0 ? " " : "",
           units->name);
}

static void allowed_scaled(const struct option *row, const char *what, const struct scale *units, char *out,
                           size_t out_bytes) {
  char least[32], most[32];
  print_scaled(row->min, units, least, sizeof least);
  print_scaled(row->max, units, most, sizeof most);
  snprintf(out, out_bytes, "%s, %s to %s", what, least, most);
}

static bool parse_bool(const char *text, int64_t *out) {
  static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    for (int value = 0; value <= 1; value++) {
      if (strcasecmp(text, words[i][value]) != 0) continue;
      *out = value;
      return true;
    }
  }
  return false;
}

static bool parse_choice(const char *text, const char *const *choices, int64_t *out) {
  for (int i = 0; choices[i] != NULL; i++) {
    if (strcmp(text, choices[i]) != 0) continue;
    *out = i;
    return true;
  }
  return false;
}

bool option_parse(const struct option *row, const char *text, struct option_value *out) {
  *out = (struct option_value){.text = text};
  switch (row->type) {
    case OPTION_TEXT:
      if (*text == 0) return *row->initial == 0;
      return row->accepts == NULL || row->accepts(text);
    case OPTION_INTEGER:
      return parse_integer(text, row->min, row->max, &out->number);
    case OPTION_BYTES:
      return parse_scaled(text, byte_units, row->min, row->max, &out->number);
    case OPTION_DURATION:
      return parse_scaled(text, time_units, row->min, row->max, &out->number);
    case OPTION_BOOL:
      return parse_bool(text, &out->number);
    case OPTION_CHOICE:
    case OPTION_CHOICE_BOOL:
      return parse_choice(text, row->choices, &out->number);
  }
  return false;
}

int option_store(const struct option *row, const struct option_value *value, struct config *config) {
  void *member = (char *)config + row->offset;
  if (row->later) return 0;
  switch (row->type) {
    case OPTION_TEXT: {
      char *copy = strdup(value->text);
      if (copy == NULL) return -ENOMEM;
      free(*(char **)member);
      *(char **)member = copy;
      return 0;
    }
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_DURATION:
      *(int64_t *)member = value->number;
      return 0;
    case OPTION_CHOICE:
      *(int *)member = (int)value->number;
      return 0;
    case OPTION_BOOL:
    case OPTION_CHOICE_BOOL:
      *(bool *)member = value->number != 0;
      return 0;
  }
  return 0;
}

bool option_is_initial(const struct option *row, const char *text) {
  struct option_value given, initial;
  if (row->type == OPTION_TEXT) return strcmp(text, row->initial) == 0;
  return option_parse(row, text, &given) && option_parse(row, row->initial, &initial) &&
         given.number == initial.number;
}

void option_allowed(const struct option *row, char *out, size_t out_bytes) {
  size_t length = 0;
  switch (row->type) {
    case OPTION_TEXT:
      snprintf(out, out_bytes, "%s", row->allowed != NULL ? row->allowed : "a text that is not empty");
      return;
    case OPTION_INTEGER:
      snprintf(out, out_bytes, "a whole number, %lld to %lld", (long long)row->min, (long long)row->max);
      return;
    case OPTION_BYTES:
      allowed_scaled(row, "a size in TiB, GiB, MiB, KiB or bytes", byte_units, out, out_bytes);
      return;
    case OPTION_DURATION:
      allowed_scaled(row, "a time in d, h, min or s", time_units, out, out_bytes);
      return;
    case OPTION_BOOL:
      snprintf(out, out_bytes, "yes or no");
      return;
    case OPTION_CHOICE:
    case OPTION_CHOICE_BOOL:
      for (int i = 0; row->choices[i] != NULL && length < out_bytes; i++) {
        const char *between = i == 0 ? "" : row->choices[i + 1] == NULL ? " or " : ", ";
        length += (size_t)snprintf(out + length, out_bytes - length, "%s%s", between, row->choices[i]);
      }
  }
}
