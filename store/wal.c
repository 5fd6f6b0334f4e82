#include "store/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 32, FRAME_HEADER = 24, FRAME = FRAME_HEADER + WAL_PAGE_BYTES };

static uint32_t word(const uint8_t *at, bool big_endian) {
  return big_endian ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
                    : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add(uint32_t sum[2], const uint8_t *bytes, size_t count, bool big_endian) {
  for (size_t i = 0; i + 8 <= count; i += 8) {
    sum[0] += word(bytes + i, big_endian) + sum[1];
    sum[1] += word(bytes + i + 4, big_endian) + sum[0];
  }
}

static bool sum_is(const uint32_t sum[2], const uint8_t *stored) {
  return word(stored, true) == sum[0] && word(stored + 4, true) == sum[1];
}

static bool read_raw(const struct wal *w, uint32_t frame, uint8_t raw[FRAME]) {
  return frame >= 1 && frame <= w->frames &&
         pread(w->fd, raw, FRAME, HEADER + (off_t)(frame - 1) * FRAME) == FRAME;
}

/* One walk: where the chain of checksums breaks, and where the last transaction ends. */
static void look_through(struct wal *w, uint32_t sum[2], bool big_endian) {
  uint8_t raw[FRAME];
  bool broken = !w->header_sound;
  for (uint32_t i = 1; i <= w->frames; i++) {
    bool read = read_raw(w, i, raw), ours = read && memcmp(raw + 8, w->salts, sizeof w->salts) == 0;
    if (ours && !broken) {
      add(sum, raw, 8, big_endian);
      add(sum, raw + FRAME_HEADER, WAL_PAGE_BYTES, big_endian);
    }
    if (!ours || (!broken && !sum_is(sum, raw + 16))) broken = true;
    if (!ours || word(raw + 4, true) == 0) continue;
    w->last_commit = i;
    w->damaged = broken;
  }
}

int wal_open(struct wal *w, const char *path) {
  uint8_t header[HEADER], first[FRAME];
  struct stat st;
  *w = (struct wal){.fd = open(path, O_RDONLY | O_CLOEXEC)};
  if (w->fd < 0) return errno == ENOENT ? 0 : -errno;
  if (fstat(w->fd, &st) != 0 || st.st_size < HEADER + FRAME || pread(w->fd, header, HEADER, 0) != HEADER)
    return 0;
  uint64_t frames = (uint64_t)(st.st_size - HEADER) / FRAME;
  w->frames = frames < UINT32_MAX / 2 ? (uint32_t)frames : UINT32_MAX / 2;
  uint32_t sum[2] = {0, 0};
  bool big_endian = (header[3] & 1) != 0;
  add(sum, header, 24, big_endian);
  w->header_sound = (word(header, true) & ~1U) == 0x377f0682 && word(header + 8, true) == WAL_PAGE_BYTES &&
                    sum_is(sum, header + 24);
  memcpy(w->salts, header + 16, sizeof w->salts);
  /* Each round begins at the first frame, so that knows the salts when the header does not. */
  if (!w->header_sound && read_raw(w, 1, first)) memcpy(w->salts, first + 8, sizeof w->salts);
  look_through(w, sum, big_endian);
  return 0;
}

void wal_close(struct wal *w) {
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
}

bool wal_read(const struct wal *w, uint32_t frame, struct wal_frame *out, uint8_t *page) {
  uint8_t raw[FRAME];
  if (!read_raw(w, frame, raw)) return false;
  out->page = word(raw, true);
  out->of_this_round = memcmp(raw + 8, w->salts, sizeof w->salts) == 0;
  if (page != NULL) memcpy(page, raw + FRAME_HEADER, WAL_PAGE_BYTES);
  return true;
}
