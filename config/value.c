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
