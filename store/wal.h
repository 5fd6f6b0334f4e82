/* SQLite's write-ahead log, read without SQLite: which frames stand in it, and whether it is damaged.
 * SQLite drops everything behind the first frame whose checksum is wrong. That is right for a torn tail, which was
 * never acknowledged, and wrong for a byte that flipped in the middle: commits behind it were.
 * Format: sqlite.org/fileformat2.html, section 4. Private to store/. */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAL_PAGE_BYTES = 4096 };

struct wal {
  int fd; /* -1: there is none */
  bool header_sound;
  uint8_t salts[8];     /* of the present round of writing; frames of an earlier one have others */
  uint32_t frames;      /* that the file has room for */
  uint32_t last_commit; /* the last frame of this round that ends a transaction, from 1; 0: none */
  bool damaged;         /* a wrong checksum stands before it */
};

struct wal_frame {
  uint32_t page;
  bool of_this_round;
};

/* A log that is absent or empty has no frames. 0, or -errno: it is there and cannot be read. */
int wal_open(struct wal *w, const char *path);
void wal_close(struct wal *w);
/* Frames are counted from 1. `page` (WAL_PAGE_BYTES) may be NULL. False: it cannot be read. */
bool wal_read(const struct wal *w, uint32_t frame, struct wal_frame *out, uint8_t *page);

#endif
