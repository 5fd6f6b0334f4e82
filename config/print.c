/* The listing and the sample file, from the rows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/options.h"

static const char later_mark[] = "; not built yet";

void environment_name(const struct option *row, bool from_file, char *out, size_t out_bytes) {
  int length = snprintf(out, out_bytes, "SIDETONE_%s_%s%s", row->section, row->key, from_file ? "_file" : "");
  for (int i = 0; i < length && (size_t)i < out_bytes; i++) out[i] = (char)toupper((unsigned char)out[i]);
}

static void type_name(const struct option *row, char *out, size_t out_bytes) {
  size_t length = 0;
  switch (row->type) {
    case OPTION_TEXT:
      snprintf(out, out_bytes, "%s", row->secret ? "secret" : "text");
      return;
    case OPTION_BOOL:
      snprintf(out, out_bytes, "yes|no");
      return;
    case OPTION_INTEGER:
      snprintf(out, out_bytes, "integer %lld..%lld", (long long)row->min, (long long)row->max);
      return;
    case OPTION_BYTES:
      snprintf(out, out_bytes, "size");
      return;
    case OPTION_DURATION:
      snprintf(out, out_bytes, "duration");
      return;
    case OPTION_CHOICE:
    case OPTION_CHOICE_BOOL:
      for (int i = 0; row->choices[i] != NULL && length < out_bytes; i++)
        length +=
            (size_t)snprintf(out + length, out_bytes - length, "%s%s", i == 0 ? "" : "|", row->choices[i]);
  }
}

void config_print_options(void *stream) {
  FILE *file = stream;
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    char type[128];
    type_name(row, type, sizeof type);
    fprintf(file, "%s.%s\t%s\t%s\t%s\t%s%s\n", row->section, row->key, type, row->initial,
            row->unit == NULL ? "" : row->unit, row->meaning, row->later ? later_mark : "");
    if (row->secret)
      fprintf(file, "%s.%s_file\ttext\t\t\tfile that holds %s.%s%s\n", row->section, row->key, row->section,
              row->key, row->later ? later_mark : "");
  }
}

static void print_comment(FILE *file, const struct option *row) {
  char name[128], allowed[256];
  environment_name(row, false, name, sizeof name);
  fprintf(file, "\n# %s%s", row->meaning, row->later ? later_mark : "");
  if (row->type != OPTION_TEXT || row->allowed != NULL) {
    option_allowed(row, allowed, sizeof allowed);
    fprintf(file, ".\n# Allowed: %s", allowed);
  }
  if (row->unit != NULL) fprintf(file, "; in %s", row->unit);
  fprintf(file, ".\n# Environment: %s%s%s\n", name, row->alias != NULL ? " or " : "",
          row->alias != NULL ? row->alias : "");
}

void config_print_sample(void *stream) {
  FILE *file = stream;
  const char *section = "";
  fputs(
      "# sidetone: every option with its default. Remove the # in front of a key to change it.\n"
      "# Low to high: default, this file, environment, -o section.key=value.\n"
      "# A comment is a line that begins with # or ;. A secret may stand in a file of its own: key_file.\n",
      file);
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    if (strcmp(section, row->section) != 0) fprintf(file, "\n[%s]\n", row->section);
    section = row->section;
    print_comment(file, row);
    fprintf(file, "#%s =%s%s\n", row->key, *row->initial == 0 ? "" : " ", row->initial);
    if (row->secret) fprintf(file, "#%s_file =\n", row->key);
  }
}
