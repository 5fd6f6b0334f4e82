/* Loading: the layers one after another, each value through set(). */
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/ini_text.h"
#include "config/options.h"
#include "config/secret.h"

enum { FILE_MAX_BYTES = 1 << 20, SHOWN_MAX = 120 };

enum layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_OVERRIDE };

struct loader {
  struct config *out;
  char *why;
  size_t why_bytes;
  void (*warning)(void *arg, const char *text);
  void *arg;
  const char *file;
  struct {
    enum layer layer; /* the highest that gave a value */
    bool from_file;   /* by its <key>_file form */
    unsigned line[2]; /* where the file has the key, and its <key>_file form; 0: nowhere */
  } given[OPTION_ROWS_MAX];
};

static int fail(struct loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct loader *l, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(l->why, l->why_bytes, format, args);
  va_end(args);
  return -1;
}

static void warn(struct loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct loader *l, const char *format, ...) {
  char text[512];
  va_list args;
  if (l->warning == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  l->warning(l->arg, text);
}

/* A value as messages may show it: cut, without control characters. */
static const char *shown(const char *value, char out[SHOWN_MAX + 4]) {
  size_t length = strnlen(value, SHOWN_MAX + 1), kept = length > SHOWN_MAX ? SHOWN_MAX : length;
  for (size_t i = 0; i < kept; i++)
    out[i] = (unsigned char)value[i] < ' ' || value[i] == 127 ? '?' : value[i];
  snprintf(out + kept, 4, "%s", length > SHOWN_MAX ? "..." : "");
  return out;
}

static int refuse_value(struct loader *l, const char *where, const struct option *row, const char *value) {
  char text[SHOWN_MAX + 4], allowed[256];
  option_allowed(row, allowed, sizeof allowed);
  if (row->secret)
    return fail(l, "%s: %s.%s: the value (secret, not shown) is not allowed; allowed: %s", where,
                row->section, row->key, allowed);
  return fail(l, "%s: %s.%s = \"%s\" is not allowed; allowed: %s", where, row->section, row->key,
              shown(value, text), allowed);
}

static int set_later(struct loader *l, enum layer layer, const char *where, const struct option *row,
                     const char *value, bool from_file) {
  if (!from_file && option_is_initial(row, value)) return 0;
  if (layer != LAYER_ENVIRONMENT)
    return fail(l, "%s: %s.%s: this version cannot do that yet", where, row->section, row->key);
  warn(l, "%s is set, but %s.%s is not used: this version cannot do that yet", where, row->section, row->key);
  return 0;
}

/* One value from one place. `where` begins its messages. */
static int set(struct loader *l, enum layer layer, const char *where, const struct option *row,
               const char *value, bool from_file) {
  size_t index = (size_t)(row - option_rows);
  char secret[SECRET_MAX_BYTES + 1], problem[256];
  struct option_value parsed;
  if (row->later) return set_later(l, layer, where, row, value, from_file);
  if (layer != LAYER_DEFAULT && l->given[index].layer == layer && l->given[index].from_file != from_file)
    return fail(l, "%s: %s.%s and %s.%s_file: give one of them", where, row->section, row->key, row->section,
                row->key);
  l->given[index].layer = layer;
  l->given[index].from_file = from_file;
  if (from_file && *value != 0) {
    if (secret_read(value, secret, problem, sizeof problem) != 0)
      return fail(l, "%s: %s.%s_file: %s", where, row->section, row->key, problem);
    value = secret;
  }
  if (!option_parse(row, value, &parsed)) return refuse_value(l, where, row, value);
  if (option_store(row, &parsed, l->out) != 0) return fail(l, "out of memory");
  return 0;
}

static int set_defaults(struct loader *l) {
  for (size_t i = 0; i < option_count; i++)
    if (set(l, LAYER_DEFAULT, "default", &option_rows[i], option_rows[i].initial, false) != 0) return -1;
  return 0;
}

/* "a, b, c": the keys of a section, or the sections when it is NULL. */
static const char *names_of(const char *section, char *out, size_t out_bytes) {
  const char *last = "";
  size_t length = 0;
  *out = 0;
  for (size_t i = 0; i < option_count && length < out_bytes; i++) {
    const struct option *row = &option_rows[i];
    const char *name = section == NULL ? row->section : row->key;
    if (section != NULL && strcmp(row->section, section) != 0) continue;
    if (strcmp(name, last) == 0) continue;
    length += (size_t)snprintf(out + length, out_bytes - length, "%s%s", *out == 0 ? "" : ", ", name);
    last = name;
  }
  return out;
}

static int unknown_key(struct loader *l, const char *where, const char *section, const char *key) {
  char names[512], section_text[SHOWN_MAX + 4], key_text[SHOWN_MAX + 4];
  shown(section, section_text);
  shown(key, key_text);
  if (!option_section_exists(section))
    return fail(l, "%s: unknown section [%s]; there are: %s", where, section_text,
                names_of(NULL, names, sizeof names));
  return fail(l, "%s: unknown key %s.%s; [%s] has: %s", where, section_text, key_text, section_text,
              names_of(section, names, sizeof names));
}

static int file_section(void *arg, unsigned line, const char *section) {
  struct loader *l = arg;
  char where[512];
  if (option_section_exists(section)) return 0;
  snprintf(where, sizeof where, "%s:%u", l->file, line);
  return unknown_key(l, where, section, "");
}

static int file_entry(void *arg, unsigned line, const char *section, const char *key, const char *value) {
  struct loader *l = arg;
  char where[512], key_text[SHOWN_MAX + 4];
  bool from_file;
  snprintf(where, sizeof where, "%s:%u", l->file, line);
  if (*section == 0) return fail(l, "%s: %s stands before the first [section]", where, shown(key, key_text));
  const struct option *row = option_find(section, key, &from_file);
  if (row == NULL) return unknown_key(l, where, section, key);
  unsigned *first = &l->given[row - option_rows].line[from_file];
  if (*first != 0) return fail(l, "%s: %s.%s is given twice, first in line %u", where, section, key, *first);
  *first = line;
  return set(l, LAYER_FILE, where, row, value, from_file);
}

static int load_text(struct loader *l, const char *name, const char *text, size_t bytes) {
  struct ini_handler_set handlers = {.section = file_section, .entry = file_entry, .arg = l};
  unsigned line = 0;
  const char *problem = NULL;
  l->file = name;
  int rc = ini_text_read(text, bytes, &handlers, &line, &problem);
  if (rc < 0) return fail(l, "%s:%u: %s", name, line, problem);
  return rc == 0 ? 0 : -1;
}

static int load_file(struct loader *l, const char *path) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return fail(l, "%s: cannot be opened: %s", path, strerror(errno));
  char *text = malloc(FILE_MAX_BYTES + 1);
  size_t bytes = text == NULL ? 0 : fread(text, 1, FILE_MAX_BYTES + 1, file);
  int rc = 0;
  if (text == NULL)
    rc = fail(l, "out of memory");
  else if (ferror(file))
    rc = fail(l, "%s: cannot be read: %s", path, strerror(errno));
  else if (bytes > FILE_MAX_BYTES)
    rc = fail(l, "%s: is larger than 1 MiB; is it a configuration file?", path);
  else
    rc = load_text(l, path, text, bytes);
  free(text);
  fclose(file);
  return rc;
}

static int load_environment(struct loader *l) {
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    for (int form = 0; form <= row->secret; form++) {
      char name[128], where[192];
      environment_name(row, form == 1, name, sizeof name);
      const char *value = getenv(name);
      const char *own_file_form = NULL;
      if ((value == NULL || *value == 0) && form == 0 && row->alias != NULL) {
        /* Our own names, in either form, go before a name that the stack shares. */
        char file_name[128];
        environment_name(row, true, file_name, sizeof file_name);
        own_file_form = row->secret ? getenv(file_name) : NULL;
        snprintf(name, sizeof name, "%s", row->alias);
        value = own_file_form == NULL || *own_file_form == 0 ? getenv(name) : NULL;
      }
      if (value == NULL || *value == 0) continue;
      snprintf(where, sizeof where, "environment %s", name);
      if (set(l, LAYER_ENVIRONMENT, where, row, value, form == 1) != 0) return -1;
    }
  }
  return 0;
}

static bool names_an_option(const char *name, size_t length) {
  for (size_t i = 0; i < option_count; i++) {
    for (int form = 0; form <= option_rows[i].secret; form++) {
      char known[128];
      environment_name(&option_rows[i], form == 1, known, sizeof known);
      if (strlen(known) == length && strncmp(known, name, length) == 0) return true;
    }
  }
  return false;
}

/* A misspelt key of a section of ours; other SIDETONE_ names may be somebody's who tests or packages. */
static void warn_of_unknown_names(struct loader *l) {
  for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
    char section[64];
    size_t length = strcspn(*entry, "="), prefix = sizeof "SIDETONE_" - 1;
    if (strncmp(*entry, "SIDETONE_", prefix) != 0 || names_an_option(*entry, length)) continue;
    snprintf(section, sizeof section, "%.*s", (int)strcspn(*entry + prefix, "_="), *entry + prefix);
    for (char *c = section; *c != 0; c++) *c = (char)tolower((unsigned char)*c);
    if (length > prefix + strlen(section) && option_section_exists(section))
      warn(l, "environment %.*s: no option has that name", (int)length, *entry);
  }
}

static int load_override(struct loader *l, const char *text) {
  char section[64], key[64], shown_text[SHOWN_MAX + 4];
  const char *equals = strchr(text, '='), *dot = strchr(text, '.');
  bool from_file;
  if (equals == NULL || dot == NULL || dot > equals || dot - text >= (ptrdiff_t)sizeof section ||
      equals - dot - 1 >= (ptrdiff_t)sizeof key) {
    /* Only the part before `=` is shown: behind it may be a secret. */
    if (equals == NULL || equals == text)
      return fail(l, "-o: must be section.key=value, as in -o log.level=debug");
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    return fail(l, "-o %s: must be section.key=value, as in -o log.level=debug", shown(key, shown_text));
  }
  snprintf(section, sizeof section, "%.*s", (int)(dot - text), text);
  snprintf(key, sizeof key, "%.*s", (int)(equals - dot - 1), dot + 1);
  const struct option *row = option_find(section, key, &from_file);
  if (row == NULL) return unknown_key(l, "-o", section, key);
  return set(l, LAYER_OVERRIDE, "-o", row, equals + 1, from_file);
}

static int load_credentials(struct loader *l) {
  const char *directory = getenv("CREDENTIALS_DIRECTORY");
  if (directory == NULL || *directory == 0) return 0;
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    char path[4096], where[512];
    if (!row->secret || l->given[i].layer != LAYER_DEFAULT) continue;
    snprintf(path, sizeof path, "%s/%s.%s", directory, row->section, row->key);
    if (!secret_exists(path)) continue;
    snprintf(where, sizeof where, "credential %s.%s", row->section, row->key);
    if (set(l, LAYER_ENVIRONMENT, where, row, path, true) != 0) return -1;
  }
  return 0;
}

static int check_together(struct loader *l) {
  const struct config *c = l->out;
  if ((*c->listen_tls_certificate == 0) != (*c->listen_tls_private_key == 0))
    return fail(l, "listen.tls_certificate and listen.tls_private_key: set both or none");
  if (c->telnyx_auto_stream && (*c->telnyx_stream_url == 0 || *c->telnyx_api_key == 0))
    return fail(l, "telnyx.auto_stream = yes: needs telnyx.stream_url and telnyx.api_key");
  if (!form_address_is_loopback(c->listen_admin) && *c->admin_token == 0)
    return fail(l, "listen.admin = \"%s\" can be reached from other machines: allowed only with admin.token",
                c->listen_admin);
  return 0;
}

static int load_layers(struct loader *l, const struct config_source *source) {
  if (set_defaults(l) != 0) return -1;
  if (source->file != NULL && load_file(l, source->file) != 0) return -1;
  if (load_environment(l) != 0) return -1;
  warn_of_unknown_names(l);
  for (size_t i = 0; i < source->override_count; i++)
    if (load_override(l, source->overrides[i]) != 0) return -1;
  if (load_credentials(l) != 0) return -1;
  return check_together(l);
}

int config_load(struct config *out, const struct config_source *source, char *why, size_t why_bytes,
                void (*warning)(void *arg, const char *text), void *arg) {
  struct loader l = {.out = out, .why = why, .why_bytes = why_bytes, .warning = warning, .arg = arg};
  memset(out, 0, sizeof *out);
  if (load_layers(&l, source) == 0) return 0;
  config_free(out);
  return -1;
}

int config_load_text(struct config *out, const char *name, const char *text, size_t bytes, char *why,
                     size_t why_bytes) {
  struct loader l = {.out = out, .why = why, .why_bytes = why_bytes};
  memset(out, 0, sizeof *out);
  if (set_defaults(&l) == 0 && load_text(&l, name, text, bytes) == 0) return 0;
  config_free(out);
  return -1;
}

void config_free(struct config *config) {
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    if (row->type == OPTION_TEXT && !row->later) free(*(char **)((char *)config + row->offset));
  }
  memset(config, 0, sizeof *config);
}

static bool members_equal(const struct option *row, const char *a, const char *b) {
  switch (row->type) {
    case OPTION_TEXT:
      return strcmp(*(char *const *)(const void *)a, *(char *const *)(const void *)b) == 0;
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_DURATION:
      return memcmp(a, b, sizeof(int64_t)) == 0;
    case OPTION_CHOICE:
      return memcmp(a, b, sizeof(int)) == 0;
    case OPTION_BOOL:
    case OPTION_CHOICE_BOOL:
      return *(const bool *)a == *(const bool *)b;
  }
  return true;
}

void config_each_change(const struct config *a, const struct config *b,
                        void (*changed)(void *arg, const char *name), void *arg) {
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    char name[128];
    if (row->later || members_equal(row, (const char *)a + row->offset, (const char *)b + row->offset))
      continue;
    snprintf(name, sizeof name, "%s.%s", row->section, row->key);
    changed(arg, name);
  }
}
