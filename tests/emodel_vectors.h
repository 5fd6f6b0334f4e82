/* data/emodel-vectors.csv (voice-quality.md 1.9): rows, expectations, and a walk that no row escapes. */
#ifndef TESTS_EMODEL_VECTORS_H
#define TESTS_EMODEL_VECTORS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/emodel.h"

enum { COLUMNS_MAX = 48, LINE_MAX_BYTES = 1024 };

struct row {
  char line[LINE_MAX_BYTES];
  const char *cell[COLUMNS_MAX];
  int cells;
};

/* Splits in place; a quoted cell may hold commas. */
static inline void split(struct row *row) {
  row->cells = 0;
  bool quoted = false;
  char *start = row->line;
  for (char *c = row->line;; c++) {
    if (*c == '"') quoted = !quoted;
    bool end = *c == 0 || *c == '\n';
    if (end || (*c == ',' && !quoted)) {
      *c = 0;
      assert_true(row->cells < COLUMNS_MAX);
      row->cell[row->cells++] = start;
      start = c + 1;
    }
    if (end) return;
  }
}

static struct row head;

static inline const char *cell(const struct row *row, const char *column) {
  for (int i = 0; i < head.cells; i++)
    if (strcmp(head.cell[i], column) == 0) return i < row->cells ? row->cell[i] : "";
  fail_msg("emodel-vectors.csv has no column %s", column);
  return "";
}

static inline bool has(const struct row *row, const char *column) {
  return *cell(row, column) != 0;
}

static inline double number(const struct row *row, const char *column) {
  char *end;
  const char *text = cell(row, column);
  double value = strtod(text, &end);
  if (end == text || *end) fail_msg("%s: %s is not a number: '%s'", cell(row, "id"), column, text);
  return value;
}

static inline void near(const char *what, const char *name, double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance))
    fail_msg("%s: %s is %.12g, wanted %.12g within %g", what, name, got, want, tolerance);
}

/* An empty cell is no expectation. */
static inline int expect(const struct row *row, const char *column, double got, double tolerance) {
  if (!has(row, column)) return 0;
  near(cell(row, "id"), column, got, number(row, column), tolerance);
  return 1;
}

static inline double input(const struct row *row, const char *column, double otherwise) {
  return has(row, column) ? number(row, column) : otherwise;
}

static inline struct emodel_inputs inputs_of(const struct row *row) {
  const struct emodel_inputs *d = &emodel_defaults;
  return (struct emodel_inputs){
      .slr_db = input(row, "SLR_dB", d->slr_db),
      .rlr_db = input(row, "RLR_dB", d->rlr_db),
      .stmr_db = input(row, "STMR_dB", d->stmr_db),
      .ds_db = input(row, "Ds_dB", d->ds_db),
      .dr_db = input(row, "Dr_dB", d->dr_db),
      .telr_db = input(row, "TELR_dB", d->telr_db),
      .wepl_db = input(row, "WEPL_dB", d->wepl_db),
      .t_ms = input(row, "T_ms", d->t_ms),
      .tr_ms = input(row, "Tr_ms", d->tr_ms),
      .ta_ms = input(row, "Ta_ms", d->ta_ms),
      .qdu = input(row, "qdu", d->qdu),
      .ie = input(row, "Ie", d->ie),
      .bpl = input(row, "Bpl", d->bpl),
      .ppl_pct = input(row, "Ppl_pct", d->ppl_pct),
      .burst_ratio = input(row, "BurstR", d->burst_ratio),
      .nc_dbm0p = input(row, "Nc_dBm0p", d->nc_dbm0p),
      .nfor_dbmp = input(row, "Nfor_dBmp", d->nfor_dbmp),
      .ps_dba = input(row, "Ps_dBA", d->ps_dba),
      .pr_dba = input(row, "Pr_dBA", d->pr_dba),
      .advantage = input(row, "A", d->advantage),
      .mt_ms = input(row, "mT_ms", d->mt_ms),
      .st = input(row, "sT", d->st),
  };
}

static inline int expect_result(const struct row *row, const struct emodel_result *got) {
  return expect(row, "Ro", got->ro, 1e-6) + expect(row, "Is", got->is, 1e-6) +
         expect(row, "Id", got->id, 1e-6) + expect(row, "Idd", got->idd, 1e-6) +
         expect(row, "Ie_eff", got->ie_eff, 1e-6) + expect(row, "R", got->r, 1e-6) +
         expect(row, "MOS", got->mos, 1e-7) + expect(row, "GoB_pct", emodel_gob_pct(got->r), 1e-6) +
         expect(row, "PoW_pct", emodel_pow_pct(got->r), 1e-6);
}

struct block {
  const char *name;
  int (*check)(const struct row *row); /* expectations met */
  int rows, expectations;              /* that the file has, so that none goes by unread */
};

static inline FILE *open_vectors(void) {
  const char *shared = getenv("SIDETONE_SHARED");
  char path[4096];
  snprintf(path, sizeof path, "%s/data/emodel-vectors.csv", shared ? shared : "../shared");
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("no %s: set SIDETONE_SHARED to the folder of shared test data", path);
  assert_non_null(fgets(head.line, sizeof head.line, file));
  split(&head);
  return file;
}

/* Every row of the blocks; fails when a block has more or fewer than it says. */
static inline void run_blocks(const struct block *blocks, int count) {
  enum { BLOCKS_MAX = 16 };
  int rows[BLOCKS_MAX] = {0}, expectations[BLOCKS_MAX] = {0};
  struct row row;
  assert_true(count <= BLOCKS_MAX);
  FILE *file = open_vectors();
  while (fgets(row.line, sizeof row.line, file)) {
    split(&row);
    for (int b = 0; b < count; b++) {
      if (strcmp(cell(&row, "block"), blocks[b].name) != 0) continue;
      rows[b]++;
      expectations[b] += blocks[b].check(&row);
    }
  }
  fclose(file);
  for (int b = 0; b < count; b++) {
    if (rows[b] != blocks[b].rows || expectations[b] != blocks[b].expectations)
      fail_msg("%s: %d rows and %d expectations, wanted %d and %d", blocks[b].name, rows[b], expectations[b],
               blocks[b].rows, blocks[b].expectations);
  }
}

#endif
