#include "agent/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/buffer.h"
#include "agent/clock.h"
#include "telnyx/timestamp.h"
#include "telnyx/utf8.h"

enum {
  VALUE_MAX_BYTES = 512, /* of a text, before escaping: call, message and head always fit a line */
  TAIL_BYTES = 24        /* kept free for the mark of a cut line and its end */
};

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
_Static_assert(sizeof level_names / sizeof *level_names == LOG_DEBUG + 1, "a name for each level");

static atomic_int current_level = LOG_INFO;
static atomic_int current_format = LOG_FORMAT_AUTO;
static atomic_bool show_numbers;

void log_configure(enum log_level level, enum log_format format, bool numbers) {
  if (format == LOG_FORMAT_AUTO) format = isatty(STDERR_FILENO) ? LOG_FORMAT_LOGFMT : LOG_FORMAT_JSON;
  atomic_store(&current_level, (int)level);
  atomic_store(&current_format, (int)format);
  atomic_store(&show_numbers, numbers);
}

static bool enabled(enum log_level level) {
  return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

const char *log_phone(const char *number, char *out, size_t out_bytes) {
  size_t length = strnlen(number, out_bytes - 1), digits = 0;
  memcpy(out, number, length);
  out[length] = 0;
  if (atomic_load(&show_numbers)) return out;
  /* Of a SIP address only the user part is a number. */
  for (size_t i = strcspn(number, "@"); i-- > 0;)
    if (number[i] >= '0' && number[i] <= '9' && ++digits > 2 && i < length) out[i] = '*';
  return out;
}

/* ---- one line ---- */

struct line {
  char *out;
  size_t length, limit;
  bool full, json;
};

static void put(struct line *l, const char *bytes, size_t count) {
  if (l->full || count > l->limit - l->length) {
    l->full = true;
    return;
  }
  memcpy(l->out + l->length, bytes, count);
  l->length += count;
}

static void put_string(struct line *l, const char *text) {
  put(l, text, strlen(text));
}

/* The inside of a quoted string, the same in both formats. */
static void put_escaped(struct line *l, const char *text, size_t length) {
  for (size_t i = 0; i < length;) {
    char escape[8];
    size_t count = utf8_character(text + i, length - i);
    unsigned char code = (unsigned char)text[i];
    bool control = code < 0x20 || code == 0x7f;
    if (count == 2 && code == 0xc2 && (unsigned char)text[i + 1] < 0xa0) { /* U+0080 to U+009F */
      code = (unsigned char)text[i + 1];
      control = true;
    }
    if (count == 0) {
      put_string(l, "\xef\xbf\xbd");
      count = 1;
    } else if (code == '"' || code == '\\') {
      put(l, (const char[]){'\\', (char)code}, 2);
    } else if (code == '\n' || code == '\t' || code == '\r') {
      put_string(l, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
    } else if (control) {
      snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
      put_string(l, escape);
    } else {
      put(l, text + i, count);
    }
    i += count;
  }
}

static bool is_bare(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '=' || text[i] == '\\') return false;
  return length > 0;
}

static void put_text(struct line *l, const char *text) {
  size_t length = utf8_fit(text, VALUE_MAX_BYTES);
  if (!l->json && is_bare(text, length)) {
    put(l, text, length);
    return;
  }
  put_string(l, "\"");
  put_escaped(l, text, length);
  put_string(l, "\"");
}

static void put_number(struct line *l, double number) {
  char text[DECIMAL_BYTES];
  put_string(l, decimal_shortest(number, text));
}

static void put_name(struct line *l, const char *name) {
  bool first = l->length == (size_t)l->json;
  if (l->json) {
    put_string(l, first ? "\"" : ",\"");
    put_string(l, name);
    put_string(l, "\":");
  } else {
    put_string(l, first ? "" : " ");
    put_string(l, name);
    put_string(l, "=");
  }
}

static void put_named_text(struct line *l, const char *name, const char *text) {
  put_name(l, name);
  put_text(l, text);
}

static void put_field(struct line *l, const struct log_field *field) {
  char buffer[256];
  bool absent = field->kind == LOG_FIELD_FLOAT ? !isfinite(field->number)
                                               : field->kind != LOG_FIELD_INT && field->text == NULL;
  if (absent) return;
  put_name(l, field->name);
  switch (field->kind) {
    case LOG_FIELD_TEXT:
      put_text(l, field->text);
      break;
    case LOG_FIELD_PHONE:
      put_text(l, log_phone(field->text, buffer, sizeof buffer));
      break;
    case LOG_FIELD_FLOAT:
      put_number(l, field->number);
      break;
    case LOG_FIELD_INT:
      snprintf(buffer, sizeof buffer, "%lld", (long long)field->integer);
      put_string(l, buffer);
      break;
    case LOG_FIELD_END:
      break;
  }
}

size_t log_format_line(char out[LOG_LINE_MAX], bool json, int64_t wall_ms, enum log_level level,
                       const char *call, const char *what, const struct log_field *fields) {
  struct line l = {.out = out, .limit = LOG_LINE_MAX - TAIL_BYTES, .json = json};
  char at[TIMESTAMP_BYTES];
  timestamp_format_ms(wall_ms, at);
  if (json) put_string(&l, "{");
  if (call != NULL && *call != 0) put_named_text(&l, "call", call);
  put_named_text(&l, "ts", at);
  put_named_text(&l, "level", level_names[level]);
  put_named_text(&l, "msg", what);
  for (; fields->kind != LOG_FIELD_END && !l.full; fields++) {
    size_t before = l.length;
    put_field(&l, fields);
    if (l.full) l.length = before;
  }
  bool cut = l.full;
  l.full = false;
  l.limit = LOG_LINE_MAX;
  if (cut) {
    put_name(&l, "cut");
    put_string(&l, "true");
  }
  put_string(&l, json ? "}\n" : "\n");
  return l.length;
}

void log_fields(enum log_level level, const char *call, const char *what, const struct log_field *fields) {
  char line[LOG_LINE_MAX];
  if (!enabled(level)) return;
  if (atomic_load(&current_format) == LOG_FORMAT_AUTO)
    log_configure((enum log_level)atomic_load(&current_level), LOG_FORMAT_AUTO, atomic_load(&show_numbers));
  bool json = atomic_load(&current_format) == LOG_FORMAT_JSON;
  size_t bytes = log_format_line(line, json, clock_wall_us() / 1000, level, call, what, fields);
  /* A log that cannot be written is lost: there is nobody to tell. */
  while (write(STDERR_FILENO, line, bytes) < 0 && errno == EINTR) continue;
}
