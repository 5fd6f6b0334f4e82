/* Fixtures: recorded or written sessions as files (contract 6). A reader that gives one event after
 * the other, `audio` lines unfolded into the media frames they stand for. The same events feed
 * `replay` and `replay --to`. */
#ifndef AGENT_FIXTURE_H
#define AGENT_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fixture;

enum fixture_kind { FIXTURE_HTTP, FIXTURE_WS_OPEN, FIXTURE_WS_TEXT, FIXTURE_WS_CLOSE };

struct fixture_event {
  enum fixture_kind kind;
  int64_t t_us;          /* from the start of the fixture */
  const char *socket;    /* of the ws kinds */
  const char *path;      /* http, open */
  const json_t *headers; /* object or NULL */
  const char *text;      /* http: the body; text: the frame */
  size_t bytes;
  int close_code;
};

/* A file or a folder. NULL with `why` (file, line, what is allowed) when it is no fixture. */
struct fixture *fixture_open(const char *path, char *why, size_t why_bytes);
void fixture_free(struct fixture *f);
int64_t fixture_epoch_us(const struct fixture *f);
int64_t fixture_end_us(const struct fixture *f); /* t of the last event */
/* In order of time, equal times in order of the lines. False at the end. What `event` points to lives
 * until the next call. */
bool fixture_next(struct fixture *f, struct fixture_event *event);
void fixture_rewind(struct fixture *f);

#endif
