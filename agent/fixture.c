#include "agent/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/fixture_audio.h"
#include "telnyx/frame.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

#define DEFAULT_EPOCH "2026-01-01T00:00:00Z"

enum { SOCKETS_MAX = 64, SOCKET_NAME_BYTES = 64, LINE_MAX_BYTES = 16 * 1024 * 1024 };

static const double t_max_s = 1e9; /* microseconds stay whole in a double */

struct item {
  int64_t t_us;
  size_t line;
  json_t *json;
  enum fixture_kind kind;
  struct fixture_audio *audio; /* NULL: not an audio line */
  int64_t audio_us;            /* t of its next frame, -1: none left or not begun */
};

struct socket_numbers {
  char name[SOCKET_NAME_BYTES];
  struct fixture_numbers numbers;
};

struct fixture {
  char *name, *folder;
  json_t *head;
  size_t head_line;
  struct item *item;
  size_t items, items_size, next, playing; /* items before `playing` have no frames left */
  struct socket_numbers socket[SOCKETS_MAX];
  size_t sockets;
  int64_t epoch_us, end_us;
  char *body; /* of the event handed out */
};

/* ---- reading --------------------------------------------------------------------------------- */

static bool fault(const struct fixture *f, size_t line, const char *what, char *why, size_t why_bytes) {
  snprintf(why, why_bytes, "%s:%zu: %s", f->name, line, what);
  return false;
}

/* NULL: the name is too long, or one too many. */
static struct fixture_numbers *numbers_of(struct fixture *f, const char *name) {
  for (size_t i = 0; i < f->sockets; i++) {
    if (strcmp(f->socket[i].name, name) == 0) return &f->socket[i].numbers;
  }
  size_t bytes = strlen(name) + 1;
  if (bytes > SOCKET_NAME_BYTES || f->sockets == SOCKETS_MAX) return NULL;
  struct socket_numbers *s = &f->socket[f->sockets++];
  *s = (struct socket_numbers){.numbers.sequence = 0};
  memcpy(s->name, name, bytes);
  return &s->numbers;
}

static bool classify(struct fixture *f, struct item *it, char *why, size_t why_bytes) {
  const json_t *j = it->json;
  const json_t *t = json_object_get(j, "t"), *http = json_object_get(j, "http");
  double t_s = json_number_value(t);
  if (!json_is_number(t) || t_s < 0 || t_s > t_max_s)
    return fault(f, it->line, "\"t\" must be seconds from 0 to 1e9", why, why_bytes);
  it->t_us = (int64_t)(t_s * 1e6 + 0.5);
  it->audio_us = -1;
  if (json_is_object(http)) {
    it->kind = FIXTURE_HTTP;
    bool body = json_object_get(http, "body") != NULL || json_is_string(json_object_get(http, "raw"));
    return body || fault(f, it->line, "http takes path and body or raw", why, why_bytes);
  }
  const char *socket = json_string_value(json_object_get(j, "ws"));
  if (socket == NULL) return fault(f, it->line, "an event has http or ws", why, why_bytes);
  if (numbers_of(f, socket) == NULL) /* so playing always finds them */
    return fault(f, it->line, "ws takes names of up to 63 bytes, 64 different ones", why, why_bytes);
  if (json_is_object(json_object_get(j, "open"))) {
    it->kind = FIXTURE_WS_OPEN;
  } else if (json_is_string(json_object_get(j, "text"))) {
    it->kind = FIXTURE_WS_TEXT;
  } else if (json_is_integer(json_object_get(j, "close"))) {
    it->kind = FIXTURE_WS_CLOSE;
  } else if (json_is_object(json_object_get(j, "audio"))) {
    char reason[512];
    it->kind = FIXTURE_WS_TEXT;
    it->audio = fixture_audio_open(j, f->folder, reason, sizeof reason);
    if (it->audio == NULL) return fault(f, it->line, reason, why, why_bytes);
  } else {
    return fault(f, it->line, "ws takes open, text, audio or close", why, why_bytes);
  }
  return true;
}

static bool add_line(struct fixture *f, size_t line, const char *text, size_t bytes, char *why,
                     size_t why_bytes) {
  char reason[256];
  json_t *json = json_read(text, bytes, reason, sizeof reason);
  if (!json_is_object(json)) {
    json_decref(json);
    return fault(f, line, json == NULL ? reason : "a line is a JSON object", why, why_bytes);
  }
  if (f->head == NULL) {
    f->head = json;
    f->head_line = line;
    bool version = json_integer_value(json_object_get(json, "sidetone_fixture")) == 1;
    return version || fault(f, line, "the first line must hold \"sidetone_fixture\":1", why, why_bytes);
  }
  if (f->items == f->items_size) {
    size_t size = f->items_size * 2 + 64;
    struct item *grown = realloc(f->item, size * sizeof *grown);
    if (grown == NULL) {
      json_decref(json);
      return fault(f, line, "no memory", why, why_bytes);
    }
    f->item = grown;
    f->items_size = size;
  }
  f->item[f->items] = (struct item){.line = line, .json = json};
  return classify(f, &f->item[f->items++], why, why_bytes);
}

static bool read_lines(struct fixture *f, FILE *file, char *why, size_t why_bytes) {
  char *line = NULL;
  size_t size = 0, number = 0;
  ssize_t length;
  bool good = true;
  while (good && (length = getline(&line, &size, file)) >= 0) {
    number++;
    while (length > 0 && strchr("\r\n \t", line[length - 1]) != NULL) length--;
    if (length == 0) continue;
    good = length <= LINE_MAX_BYTES ? add_line(f, number, line, (size_t)length, why, why_bytes)
                                    : fault(f, number, "longer than 16 MiB", why, why_bytes);
  }
  free(line);
  if (good && f->head == NULL)
    good = fault(f, 1, "empty; the first line must hold \"sidetone_fixture\":1", why, why_bytes);
  return good;
}

static int by_time(const void *a, const void *b) {
  const struct item *x = a, *y = b;
  if (x->t_us != y->t_us) return x->t_us < y->t_us ? -1 : 1;
  return x->line < y->line ? -1 : 1;
}

/* Default: the smallest occurred_at less its t (contract 6). */
static bool find_epoch(struct fixture *f, char *why, size_t why_bytes) {
  const json_t *stated = json_object_get(f->head, "epoch");
  if (stated != NULL) {
    const char *text = json_string_value(stated);
    return (text != NULL && timestamp_parse(text, &f->epoch_us)) ||
           fault(f, f->head_line, "epoch is no RFC 3339 time", why, why_bytes);
  }
  const struct item *first = NULL;
  int64_t first_us = 0;
  for (size_t i = 0; i < f->items; i++) {
    const json_t *body = json_object_get(json_object_get(f->item[i].json, "http"), "body");
    const char *occurred = json_text(json_object_get(body, "data"), "occurred_at");
    int64_t us;
    if (occurred == NULL || !timestamp_parse(occurred, &us) || (first != NULL && us >= first_us)) continue;
    first = &f->item[i];
    first_us = us;
  }
  if (first == NULL) return timestamp_parse(DEFAULT_EPOCH, &f->epoch_us);
  f->epoch_us = first_us - first->t_us;
  return true;
}

static bool load(struct fixture *f, const char *path, char *why, size_t why_bytes) {
  struct stat st;
  bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  if (asprintf(&f->name, "%s%s", path, folder ? "/events.jsonl" : "") < 0) f->name = NULL;
  if (f->name == NULL) return false;
  const char *slash = strrchr(f->name, '/');
  f->folder = slash != NULL ? strndup(f->name, (size_t)(slash - f->name)) : strdup(".");
  if (f->folder == NULL) return false;
  FILE *file = fopen(f->name, "r");
  if (file == NULL) {
    snprintf(why, why_bytes, "%s: %s", f->name, strerror(errno));
    return false;
  }
  bool good = read_lines(f, file, why, why_bytes);
  fclose(file);
  if (!good || !find_epoch(f, why, why_bytes)) return false;
  if (f->items > 0) qsort(f->item, f->items, sizeof *f->item, by_time);
  for (size_t i = 0; i < f->items; i++) {
    const struct item *it = &f->item[i];
    int64_t end = it->t_us + (it->audio != NULL ? fixture_audio_end_us(it->audio) : 0);
    if (end > f->end_us) f->end_us = end;
  }
  return true;
}

struct fixture *fixture_open(const char *path, char *why, size_t why_bytes) {
  struct fixture *f = calloc(1, sizeof *f);
  snprintf(why, why_bytes, "%s: no memory", path);
  if (f == NULL) return NULL;
  if (load(f, path, why, why_bytes)) return f;
  fixture_free(f);
  return NULL;
}

void fixture_free(struct fixture *f) {
  if (f == NULL) return;
  for (size_t i = 0; i < f->items; i++) {
    json_decref(f->item[i].json);
    fixture_audio_free(f->item[i].audio);
  }
  free(f->item);
  json_decref(f->head);
  free(f->name);
  free(f->folder);
  free(f->body);
  free(f);
}

int64_t fixture_epoch_us(const struct fixture *f) {
  return f->epoch_us;
}

int64_t fixture_end_us(const struct fixture *f) {
  return f->end_us;
}

void fixture_rewind(struct fixture *f) {
  f->next = f->playing = f->sockets = 0;
  for (size_t i = 0; i < f->items; i++) {
    f->item[i].audio_us = -1;
    if (f->item[i].audio != NULL) fixture_audio_rewind(f->item[i].audio);
  }
}

/* ---- playing --------------------------------------------------------------------------------- */

/* What an audio line after this verbatim frame goes on from. */
static void follow(struct fixture_numbers *n, const char *text, size_t bytes) {
  struct frame frame;
  if (frame_parse(text, bytes, &frame) == FRAME_FINE) {
    const struct media_frame *m = &frame.media;
    if (frame.kind == FRAME_MEDIA) {
      if (m->has_sequence) n->sequence = m->sequence;
      if (m->has_chunk) n->chunk[m->track] = m->chunk;
      if (m->has_timestamp) n->timestamp[m->track] = m->timestamp + 20;
    } else if (frame.has_sequence) {
      n->sequence = frame.sequence;
    }
    if (frame.kind == FRAME_START && frame.stream_id != NULL) {
      snprintf(n->stream_id, sizeof n->stream_id, "%s", frame.stream_id);
    }
  }
  frame_release(&frame);
}

static void fill(struct fixture *f, const struct item *it, struct fixture_event *e) {
  const json_t *j = it->json;
  *e = (struct fixture_event){
      .kind = it->kind, .t_us = it->t_us, .socket = json_string_value(json_object_get(j, "ws"))};
  if (it->kind == FIXTURE_HTTP) {
    const json_t *http = json_object_get(j, "http"), *raw = json_object_get(http, "raw");
    e->path = json_text(http, "path") != NULL ? json_text(http, "path") : "/telnyx/webhooks";
    e->headers = json_object_get(http, "headers");
    free(f->body);
    f->body = json_is_string(raw) ? strdup(json_string_value(raw))
                                  : json_dumps(json_object_get(http, "body"), JSON_COMPACT | JSON_ENCODE_ANY);
    e->text = f->body != NULL ? f->body : "";
    e->bytes = strlen(e->text);
  } else if (it->kind == FIXTURE_WS_OPEN) {
    const json_t *open = json_object_get(j, "open");
    e->path = json_text(open, "path") != NULL ? json_text(open, "path") : "/telnyx/media";
    e->headers = json_object_get(open, "headers");
    *numbers_of(f, e->socket) = (struct fixture_numbers){0}; /* another socket, though of the same name */
  } else if (it->kind == FIXTURE_WS_TEXT) {
    e->text = json_string_value(json_object_get(j, "text"));
    e->bytes = json_string_length(json_object_get(j, "text"));
    follow(numbers_of(f, e->socket), e->text, e->bytes);
  } else {
    e->close_code = (int)json_integer_value(json_object_get(j, "close"));
  }
}

/* The begun audio line whose next frame is due first; lines before `next` only. */
static struct item *due_audio(struct fixture *f) {
  struct item *due = NULL;
  for (size_t i = f->playing; i < f->next; i++) {
    struct item *it = &f->item[i];
    if (it->audio_us < 0) {
      if (i == f->playing) f->playing++;
      continue;
    }
    if (due == NULL || it->audio_us < due->audio_us) due = it;
  }
  return due;
}

static void begin_audio(struct item *it) {
  int64_t us = fixture_audio_next_us(it->audio);
  it->audio_us = us < 0 ? -1 : it->t_us + us;
}

bool fixture_next(struct fixture *f, struct fixture_event *e) {
  for (;;) {
    struct item *due = due_audio(f), *next = f->next < f->items ? &f->item[f->next] : NULL;
    bool first = due != NULL && (next == NULL || due->audio_us < next->t_us ||
                                 (due->audio_us == next->t_us && due->line < next->line));
    if (first) {
      const char *name = json_string_value(json_object_get(due->json, "ws"));
      *e = (struct fixture_event){.kind = FIXTURE_WS_TEXT, .t_us = due->audio_us, .socket = name};
      e->text = fixture_audio_take(due->audio, numbers_of(f, name), &e->bytes);
      begin_audio(due);
      return true;
    }
    if (next == NULL) return false;
    f->next++;
    if (next->audio == NULL) {
      fill(f, next, e);
      return true;
    }
    begin_audio(next);
  }
}
