/* The log: one fact a line to standard error, logfmt or JSON, call id first. Never called for a media
 * frame: the frame path counts, and somebody else tells.
 *
 *   log_event(LOG_INFO, leg, "socket closed", LOG_INT("code", 1005), LOG_FLOAT("duration_s", 12.5));
 *   log_event(LOG_WARN, NULL, "store is full", LOG_TEXT("reason", why));
 *
 * A line is written by one write(2), so lines of several threads never mix. Any thread. */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* A name and a value; made by the macros below. Text is borrowed until log_event() returns; a field
 * with a NULL text is left out. Names are plain identifiers with their unit. */
struct log_field {
  const char *name;
  enum log_field_kind { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_FLOAT, LOG_FIELD_PHONE } kind;
  const char *text;
  int64_t integer;
  double number;
};
#define LOG_TEXT(n, v)  ((struct log_field){.name = (n), .kind = LOG_FIELD_TEXT, .text = (v)})
#define LOG_INT(n, v)   ((struct log_field){.name = (n), .kind = LOG_FIELD_INT, .integer = (int64_t)(v)})
#define LOG_FLOAT(n, v) ((struct log_field){.name = (n), .kind = LOG_FIELD_FLOAT, .number = (v)})
/* A phone number or SIP address: all but its last 2 digits masked, unless log.numbers = yes. */
#define LOG_PHONE(n, v) ((struct log_field){.name = (n), .kind = LOG_FIELD_PHONE, .text = (v)})

/* Before the first line; again on reload. Before that: info, auto, numbers masked. */
void log_configure(enum log_level level, enum log_format format, bool numbers);

/* `call` NULL or "": not about a call. At most 16 fields. A line is cut at 8 KiB, between fields. */
#define log_event(level, call, what, ...) \
  log_fields((level), (call), (what),     \
             (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_FIELD_END}})
void log_fields(enum log_level level, const char *call, const char *what, const struct log_field *fields);

/* The number as the log shows it: at most out_bytes - 1 characters. Returns `out`. */
const char *log_phone(const char *number, char *out, size_t out_bytes);

/* What log_fields() writes, with the time given: for tests. Returns its length, newline included; it
 * ends with no NUL. */
enum { LOG_LINE_MAX = 8192 };
size_t log_format_line(char out[LOG_LINE_MAX], bool json, int64_t wall_ms, enum log_level level,
                       const char *call, const char *what, const struct log_field *fields);

#endif
