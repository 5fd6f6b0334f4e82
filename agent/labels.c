#include "agent/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
  int track;
  int64_t start_ms, end_ms;
};

struct rows {
  struct row *row;
  size_t count, room;
};

/* Over both tracks: the rules wait for the slower one, and only so long. */
static int by_start(const void *a, const void *b) {
  const struct row *x = a, *y = b;
  if (x->start_ms != y->start_ms) return x->start_ms < y->start_ms ? -1 : 1;
  return x->end_ms < y->end_ms ? -1 : x->end_ms > y->end_ms;
}

/* 1 a row of speech, 0 nothing for the rules, -1 not a row. */
static int parse(const char *line, int64_t duration_ms, struct row *out) {
  char track[16], kind[32], rest;
  long long start, end;
  int fields = sscanf(line, "%15[a-z],%lld,%lld,%31[a-z_]%c", track, &start, &end, kind, &rest);
  if (fields != 4 || start < 0 || end < start || end > duration_ms) return -1;
  if (strcmp(track, "inbound") != 0 && strcmp(track, "outbound") != 0) return -1;
  *out = (struct row){.track = track[0] == 'o', .start_ms = start, .end_ms = end};
  return strcmp(kind, "speech") == 0 && end > start;
}

static bool add(struct rows *rows, const struct row *row) {
  if (rows->count == rows->room) {
    size_t room = rows->room * 2 + 64;
    struct row *grown = realloc(rows->row, room * sizeof *grown);
    if (grown == NULL) return false;
    rows->row = grown;
    rows->room = room;
  }
  rows->row[rows->count++] = *row;
  return true;
}

/* A line, or as much of it as there is room for. A NUL would hide what follows it: it becomes a byte that no
 * row has. */
static bool read_line(FILE *f, char *line, size_t room) {
  size_t bytes = 0;
  int c = 0;
  while (bytes + 1 < room && c != '\n' && (c = getc(f)) != EOF) line[bytes++] = c == '\0' ? '?' : (char)c;
  line[bytes] = '\0';
  return bytes > 0;
}

static bool read_rows(FILE *f, const char *file, int64_t duration_ms, struct rows *rows, char *why,
                      size_t why_bytes) {
  char line[256];
  for (size_t number = 1; read_line(f, line, sizeof line); number++) {
    struct row row;
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0' || (number == 1 && strncmp(line, "track,", 6) == 0)) continue;
    int kind = parse(line, duration_ms, &row);
    if (kind < 0) {
      snprintf(why, why_bytes,
               "%s:%zu: %s: inbound|outbound,start_ms,end_ms,kind with 0 <= start <= end <= %lld is allowed",
               file, number, line, (long long)duration_ms);
      return false;
    }
    if (kind > 0 && !add(rows, &row)) {
      snprintf(why, why_bytes, "%s: no memory", file);
      return false;
    }
  }
  if (ferror(f)) snprintf(why, why_bytes, "%s: %s", file, strerror(errno));
  return !ferror(f);
}

bool labels_feed(const char *file, int64_t duration_ms, struct speech *speech, char *why, size_t why_bytes) {
  struct rows rows = {0};
  FILE *f = fopen(file, "r");
  if (f == NULL) {
    snprintf(why, why_bytes, "%s: %s", file, strerror(errno));
    return false;
  }
  bool good = read_rows(f, file, duration_ms, &rows, why, why_bytes);
  fclose(f);
  if (good && rows.count > 0) {
    qsort(rows.row, rows.count, sizeof *rows.row, by_start);
    int64_t fed_ms[2] = {0, 0};
    for (size_t i = 0; i < rows.count; i++) {
      struct row r = rows.row[i];
      if (r.start_ms < fed_ms[r.track]) r.start_ms = fed_ms[r.track];
      if (r.end_ms <= r.start_ms) continue;
      speech_feed(speech, r.track, r.start_ms, r.end_ms, true);
      fed_ms[r.track] = r.end_ms;
    }
  }
  free(rows.row);
  return good;
}
