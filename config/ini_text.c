#include "config/ini_text.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

enum {
  LINE_BUFFER_BYTES = INI_LINE_MAX_BYTES + 2, /* with "\n" and NUL */
  NAME_MAX_BYTES = 48                         /* inih cuts names at 49 */
};

struct cursor {
  const char *at, *end;
  unsigned line;
  const char *problem; /* set: the text is wrong */
  bool stopped;        /* a handler had enough */
  const struct ini_handler_set *handlers;
};

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Takes the next line, without its end. False when there is none. */
static bool take_line(struct cursor *c, const char **line, size_t *length) {
  if (c->at == c->end) return false;
  const char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
  const char *end = newline != NULL ? newline : c->end;
  *line = c->at;
  *length = (size_t)(end - c->at);
  if (*length > 0 && end[-1] == '\r') --*length;
  c->at = newline != NULL ? newline + 1 : c->end;
  c->line++;
  return true;
}

static const char *line_problem(const char *line, size_t length) {
  if (length > INI_LINE_MAX_BYTES) return "the line is longer than 4096 bytes";
  for (size_t i = 0; i < length; i++)
    if ((line[i] >= 0 && line[i] < ' ' && line[i] != '\t') || line[i] == 127)
      return "the line holds a control character; is this a text file?";
  return NULL;
}

static const char *header_problem(const char *start, const char *end) {
  while (end > start && is_blank(end[-1])) end--;
  const char *close = memchr(start, ']', (size_t)(end - start));
  if (close == NULL) return "a section header needs its ]";
  if (close != end - 1) return "nothing may follow the ] of a section header";
  if (close - start - 1 > NAME_MAX_BYTES) return "no section name is that long";
  return NULL;
}

static const char *entry_problem(const char *start, const char *end) {
  const char *equals = memchr(start, '=', (size_t)(end - start));
  if (equals == NULL) return "neither [section] nor key = value";
  if (memchr(start, ':', (size_t)(equals - start)) != NULL) return "a key ends with =, not with :";
  while (equals > start && is_blank(equals[-1])) equals--;
  if (equals - start > NAME_MAX_BYTES) return "no key is that long";
  return NULL;
}

/* inih calls no handler for a header, so it is announced here. */
static void announce_section(struct cursor *c, const char *header) {
  char name[NAME_MAX_BYTES + 1];
  const char *close = strchr(header, ']');
  size_t length = (size_t)(close - header - 1);
  memcpy(name, header + 1, length);
  name[length] = 0;
  if (c->handlers->section(c->handlers->arg, c->line, name) != 0) c->stopped = true;
}

/* inih's fgets. A NULL ends its work; the cursor remembers why. */
static char *next_line(char *out, int capacity, void *arg) {
  struct cursor *c = arg;
  const char *line;
  size_t length;
  if (c->stopped || c->problem != NULL || !take_line(c, &line, &length)) return NULL;
  const char *end = line + length, *start = line;
  c->problem = line_problem(line, length);
  if (c->problem == NULL && capacity < LINE_BUFFER_BYTES) c->problem = "inih's line buffer cannot be set";
  if (c->problem != NULL) return NULL;
  while (start < end && is_blank(*start)) start++;
  bool comment = start == end || *start == '#' || *start == ';';
  if (!comment) c->problem = *start == '[' ? header_problem(start, end) : entry_problem(start, end);
  if (c->problem != NULL) return NULL;
  length = comment ? 0 : (size_t)(end - start);
  memcpy(out, start, length);
  memcpy(out + length, "\n", 2);
  if (*out == '[') announce_section(c, out);
  return c->stopped ? NULL : out;
}

static int take_entry(void *arg, const char *section, const char *key, const char *value) {
  struct cursor *c = arg;
  if (c->handlers->entry(c->handlers->arg, c->line, section, key, value) == 0) return 1;
  c->stopped = true;
  return 0;
}

int ini_text_read(const char *text, size_t bytes, const struct ini_handler_set *handlers, unsigned *line,
                  const char **problem) {
  struct cursor c = {.at = text, .end = text + bytes, .handlers = handlers};
  if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) c.at += 3;
  ini_allow_bom = false;
  ini_allow_multiline = false;
  ini_allow_inline_comments = false;
  ini_allow_no_value = false;
  ini_stop_on_first_error = true;
  ini_use_stack = false; /* the stack buffer has the 200 bytes of the build */
  ini_allow_realloc = false;
  ini_max_line = ini_initial_alloc = LINE_BUFFER_BYTES;
  int rc = ini_parse_stream(next_line, &c, take_entry, &c);
  if (c.stopped) return 1;
  *line = c.line;
  *problem = c.problem;
  if (c.problem != NULL) return -1;
  if (rc == 0) return 0;
  *problem = rc == -2 ? "out of memory" : "the line cannot be read";
  return -1;
}
