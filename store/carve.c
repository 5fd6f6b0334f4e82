#include "store/carve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/wal.h"

enum { PAGE = CARVE_PAGE_BYTES, LEAF_TABLE = 0x0D, LEAF_INDEX = 0x0A, INTERIOR_INDEX = 0x02 };

struct carve {
  int file;
  struct wal log;
  uint32_t page_count;
  uint32_t *frame_of; /* by page number: its newest committed frame, from 1; 0: none */
  bool tables;
  bool (*row)(void *arg, const struct carved_row *);
  void *arg;
  struct carve_result *result;
  uint8_t *payload; /* of a row that overflows its page */
  bool stopped, no_memory;
};

static uint32_t big_endian(const uint8_t *at, int bytes) {
  uint32_t number = 0;
  for (int i = 0; i < bytes; i++) number = number << 8 | at[i];
  return number;
}

/* SQLite's: 1 to 9 bytes, the most significant first. How many, or 0: it reaches beyond `end`. */
static size_t varint(const uint8_t *at, const uint8_t *end, uint64_t *out) {
  uint64_t number = 0;
  for (size_t i = 0; i < 9 && at + i < end; i++) {
    if (i == 8) {
      *out = number << 8 | at[i];
      return 9;
    }
    number = number << 7 | (at[i] & 0x7f);
    if ((at[i] & 0x80) == 0) {
      *out = number;
      return i + 1;
    }
  }
  return 0;
}

/* ---- pages ---- */

static bool read_at(int fd, void *out, size_t bytes, uint64_t offset) {
  return fd >= 0 && pread(fd, out, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool read_page(const struct carve *c, uint32_t number, uint8_t *page) {
  return read_at(c->file, page, PAGE, (uint64_t)(number - 1) * PAGE);
}

/* The newest version: an overflow chain is followed through it. */
static bool read_newest(const struct carve *c, uint32_t number, uint8_t *page) {
  if (number == 0 || number > c->page_count) return false;
  uint32_t frame = c->frame_of[number];
  struct wal_frame newest;
  return frame != 0 ? wal_read(&c->log, frame, &newest, page) : read_page(c, number, page);
}

static uint32_t pages_of(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return 0;
  uint64_t pages = (uint64_t)st.st_size / PAGE;
  return pages < UINT32_MAX / 2 ? (uint32_t)pages : UINT32_MAX / 2;
}

/* Frames of the log's present round, up to the last commit: what stands behind was never acknowledged. Their
 * own checksums are not asked: a frame that is damaged may hold rows that are well. */
static bool index_log(struct carve *c) {
  struct wal_frame frame;
  uint32_t highest = c->page_count;
  for (uint32_t i = 1; i <= c->log.last_commit; i++)
    if (wal_read(&c->log, i, &frame, NULL) && frame.of_this_round && frame.page > highest &&
        frame.page <= c->page_count + c->log.frames)
      highest = frame.page;
  c->page_count = highest;
  c->frame_of = calloc((size_t)highest + 1, sizeof *c->frame_of);
  if (c->frame_of == NULL) return false;
  for (uint32_t i = 1; i <= c->log.last_commit; i++)
    if (wal_read(&c->log, i, &frame, NULL) && frame.of_this_round && frame.page <= highest)
      c->frame_of[frame.page] = i;
  return true;
}

/* ---- a row ---- */

/* The record's head says each column's type; `at` is where its bytes stand. False: it does not fit. */
static bool take_value(uint64_t type, const uint8_t *at, size_t left, struct carved_value *out,
                       size_t *bytes) {
  static const uint8_t widths[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  *out = (struct carved_value){.type = CARVED_NULL};
  if (type == 10 || type == 11) return false;
  *bytes = type < 10 ? widths[type] : type <= 2 * (uint64_t)CARVE_ROW_MAX_BYTES ? (type - 12) / 2 : SIZE_MAX;
  if (*bytes > left) return false;
  if (type >= 12) {
    out->type = CARVED_TEXT;
    out->text = (const char *)at;
    out->bytes = *bytes;
  } else if (type == 7) {
    uint64_t bits = (uint64_t)big_endian(at, 4) << 32 | big_endian(at + 4, 4);
    out->type = CARVED_REAL;
    memcpy(&out->real, &bits, sizeof bits);
  } else if (type != 0) {
    uint64_t number = type == 9;
    if (*bytes > 0) number = at[0] & 0x80 ? UINT64_MAX : 0; /* the sign goes on */
    for (size_t i = 0; i < *bytes; i++) number = number << 8 | at[i];
    out->type = CARVED_INTEGER;
    out->integer = (int64_t)number;
  }
  return true;
}

static bool take_record(const uint8_t *record, size_t bytes, struct carved_row *row) {
  uint64_t head_bytes, type;
  size_t head_at = varint(record, record + bytes, &head_bytes);
  if (head_at == 0 || head_bytes < head_at || head_bytes > bytes) return false;
  size_t body_at = (size_t)head_bytes;
  row->count = 0;
  while (head_at < head_bytes) {
    size_t step = varint(record + head_at, record + head_bytes, &type), width;
    if (step == 0 || row->count == CARVE_COLUMNS_MAX) return false;
    if (!take_value(type, record + body_at, bytes - body_at, &row->value[row->count], &width)) return false;
    row->count++;
    head_at += step;
    body_at += width;
  }
  return row->count > 0;
}

/* The whole payload: what stands in the page, and the chain of pages behind it. NULL: it cannot be had. */
static const uint8_t *whole_payload(struct carve *c, const uint8_t *at, size_t local, size_t bytes) {
  uint8_t page[PAGE];
  uint8_t *grown = realloc(c->payload, bytes);
  if (grown == NULL) {
    c->no_memory = true;
    return NULL;
  }
  c->payload = grown;
  memcpy(grown, at, local);
  uint32_t next = big_endian(at + local, 4);
  for (size_t have = local; have < bytes;) {
    if (!read_newest(c, next, page)) return NULL;
    size_t part = bytes - have < PAGE - 4 ? bytes - have : PAGE - 4;
    memcpy(grown + have, page + 4, part);
    have += part;
    next = big_endian(page, 4);
  }
  return grown;
}

/* How much of a payload stands in its own page. */
static size_t local_bytes(bool table, size_t bytes) {
  size_t most = table ? PAGE - 35 : (PAGE - 12) * 64 / 255 - 23, least = (PAGE - 12) * 32 / 255 - 23;
  if (bytes <= most) return bytes;
  size_t local = least + (bytes - least) % (PAGE - 4);
  return local <= most ? local : least;
}

static bool take_cell(struct carve *c, const uint8_t *page, size_t offset, int kind) {
  const uint8_t *end = page + PAGE, *at = page + offset + (kind == INTERIOR_INDEX ? 4 : 0);
  struct carved_row row = {.of_table = kind == LEAF_TABLE};
  uint64_t bytes, number = 0;
  size_t step = at < end ? varint(at, end, &bytes) : 0;
  if (step == 0 || bytes == 0 || bytes > CARVE_ROW_MAX_BYTES) return false;
  at += step;
  if (row.of_table) {
    step = varint(at, end, &number);
    if (step == 0) return false;
    at += step;
  }
  row.number = (int64_t)number;
  size_t local = local_bytes(row.of_table, (size_t)bytes);
  if ((size_t)(end - at) < local + (local < bytes ? 4 : 0)) return false;
  const uint8_t *payload = local < bytes ? whole_payload(c, at, local, (size_t)bytes) : at;
  if (payload == NULL || !take_record(payload, (size_t)bytes, &row)) return false;
  c->stopped = !c->row(c->arg, &row);
  return true;
}

static bool may_go_on(const struct carve *c) {
  return !c->stopped && !c->no_memory;
}

static void take_page(struct carve *c, const uint8_t *page, size_t head) {
  int kind = page[head];
  if (c->tables ? kind != LEAF_TABLE : kind != LEAF_INDEX && kind != INTERIOR_INDEX) return;
  size_t cells = big_endian(page + head + 3, 2), pointers = head + (kind == INTERIOR_INDEX ? 12 : 8);
  bool sound = pointers + 2 * cells <= PAGE;
  for (size_t i = 0; i < cells && pointers + 2 * i + 2 <= PAGE && may_go_on(c); i++)
    sound &= take_cell(c, page, big_endian(page + pointers + 2 * i, 2), kind);
  if (!sound) c->result->unreadable++;
}

static void take_all(struct carve *c, uint32_t file_pages) {
  uint8_t page[PAGE];
  struct wal_frame frame;
  for (uint32_t i = 1; i <= file_pages && may_go_on(c); i++) {
    c->result->pages++;
    if (read_page(c, i, page))
      take_page(c, page, i == 1 ? 100 : 0);
    else
      c->result->unreadable++;
  }
  for (uint32_t i = 1; i <= c->log.last_commit && may_go_on(c); i++) {
    c->result->pages++;
    if (!wal_read(&c->log, i, &frame, page))
      c->result->unreadable++;
    else if (frame.of_this_round)
      take_page(c, page, frame.page == 1 ? 100 : 0);
  }
}

int carve_file(const char *path, const char *wal_path, bool tables,
               bool (*row)(void *arg, const struct carved_row *), void *arg, struct carve_result *out) {
  struct carve c = {.tables = tables, .row = row, .arg = arg, .result = out};
  c.file = open(path, O_RDONLY | O_CLOEXEC);
  if (c.file < 0) return -errno;
  int error = wal_open(&c.log, wal_path);
  c.page_count = pages_of(c.file);
  uint32_t file_pages = c.page_count;
  c.no_memory = error == 0 && !index_log(&c);
  if (error == 0 && !c.no_memory) take_all(&c, file_pages);
  free(c.payload);
  free(c.frame_of);
  wal_close(&c.log);
  close(c.file);
  return error != 0 ? error : c.no_memory ? -ENOMEM : c.stopped ? -ECANCELED : 0;
}
