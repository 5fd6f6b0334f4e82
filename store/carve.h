/* Rows out of an SQLite file that SQLite itself cannot read any more: the pages one by one, without their
 * trees, and the pages of its write-ahead log that were committed. What comes out may be damaged or old: the
 * caller checks each row's own checksum.
 * Format: sqlite.org/fileformat2.html. Private to store/. */
#ifndef STORE_CARVE_H
#define STORE_CARVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CARVE_PAGE_BYTES = 4096, /* of every file of ours; what the header says may be damaged */
  CARVE_COLUMNS_MAX = 32,
  CARVE_ROW_MAX_BYTES = 64 << 20
};

enum carved_type { CARVED_NULL, CARVED_INTEGER, CARVED_REAL, CARVED_TEXT };

struct carved_value {
  enum carved_type type; /* a blob counts as text */
  int64_t integer;
  double real;
  const char *text; /* not ended by NUL */
  size_t bytes;
};

struct carved_row {
  bool of_table;  /* else of an index, or of a table WITHOUT ROWID */
  int64_t number; /* of a table: the row's */
  size_t count;
  struct carved_value value[CARVE_COLUMNS_MAX];
};

struct carve_result {
  uint64_t pages, unreadable; /* that could not be read, or hold cells that are none */
};

/* Calls `row` for what stands in leaves of tables (`tables`) or in pages of indexes; first the file's pages,
 * then the log's in the order of writing, so that of two versions the newer comes later. `row` returns false
 * to stop. A log that is absent is no error.
 * 0, or -errno: the file cannot be opened, no memory, -ECANCELED when `row` stopped it. Blocking. */
int carve_file(const char *path, const char *wal_path, bool tables,
               bool (*row)(void *arg, const struct carved_row *), void *arg, struct carve_result *out);

#endif
