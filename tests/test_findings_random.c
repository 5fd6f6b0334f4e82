/* Random parts through dsp/findings.c: against a model that sees all windows at once, and what must hold
 * whatever comes. The seed of a failing part is printed; RANDOM_SEED starts from another one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/findings_table.h"

static struct findings f;
static struct finding_facts facts;

static const struct finding_facts *now(void) {
  memset(&facts, 0x5a, sizeof facts);
  findings_facts(&f, &facts);
  return &facts;
}

static uint64_t random_state, seed;
static uint64_t random_bits(void) {
  uint64_t x = random_state += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
static int below(int n) {
  return (int)(random_bits() % (uint64_t)n);
}
static void start_random(uint64_t number) {
  const char *from = getenv("RANDOM_SEED");
  seed = (from ? strtoull(from, NULL, 10) : 1) + number;
  random_state = seed * 0x2545F4914F6CDD1Du;
}

enum { WINDOW_MS = 10000, RANDOM_PARTS = 3000, RANDOM_WINDOWS = 60 };

/* The rows of one measure, from all its windows at once: each window's held figure, then the spans. */
static size_t model(const struct finding_kind_row *of, const double *value, size_t count,
                    struct finding_row *rows) {
  const struct finding_criterion *c = &of->criterion[0];
  double known[RANDOM_WINDOWS];
  size_t at[RANDOM_WINDOWS], n = 0, row_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (isnan(value[i])) continue;
    known[n] = value[i];
    at[n++] = i;
  }
  for (size_t first = 0; first + c->open_windows <= n;) {
    /* The first run of bad windows from here on. */
    bool opens = true;
    for (size_t i = first; i < first + c->open_windows; i++) opens = opens && finding_grade(c, known[i]) > 0;
    if (!opens) {
      first++;
      continue;
    }
    size_t end = first;
    for (size_t good = 0; end < n && good < c->close_windows; end++)
      good = finding_is_clear(c, known[end]) ? good + 1 : 0;
    bool closed = end >= first + c->close_windows;
    for (size_t i = end - c->close_windows; closed && i < end; i++) closed = finding_is_clear(c, known[i]);
    struct finding_row row = {.start_ms = (int64_t)at[first] * WINDOW_MS, .end_ms = -1, .value = NAN};
    if (closed) row.end_ms = (int64_t)at[end - c->close_windows] * WINDOW_MS;
    for (size_t i = first + c->open_windows - 1; i < end; i++) {
      double mildest = known[i];
      for (size_t k = 1; k < c->open_windows; k++)
        if (finding_is_worse(c, mildest, known[i - k])) mildest = known[i - k];
      if (finding_grade(c, mildest) > 0 && finding_is_worse(c, mildest, row.value)) row.value = mildest;
    }
    row.severity = finding_grade(c, row.value) == 2 ? of->bad : of->warn;
    rows[row_count++] = row;
    first = end;
  }
  return row_count;
}

static void random_windows_against_the_model(void **state) {
  (void)state;
  static const struct {
    enum finding_kind kind;
    size_t offset;
    double from, to;
  } measures[] = {
      {FINDING_LOSS, offsetof(struct finding_values, r), 40, 95},
      {FINDING_CLIPPING, offsetof(struct finding_values, clip_pct), 0, 1.6},
      {FINDING_HUM, offsetof(struct finding_values, hum_dbov), -62, -50},
      {FINDING_LEVEL_HIGH, offsetof(struct finding_values, active_level_dbov), -22, -12},
      {FINDING_DC_OFFSET, offsetof(struct finding_values, dc), -0.014, 0.014},
  };
  unsigned opened = 0;
  for (unsigned part = 0; part < RANDOM_PARTS; part++) {
    start_random(part);
    unsigned m = part % 5;
    double value[RANDOM_WINDOWS];
    struct finding_row rows[RANDOM_WINDOWS];
    findings_init(&f);
    for (int i = 0; i < RANDOM_WINDOWS; i++) {
      struct finding_values values = finding_values_unknown();
      value[i] =
          below(5) == 0 ? NAN : measures[m].from + (measures[m].to - measures[m].from) * below(1000) / 999;
      memcpy((char *)&values + measures[m].offset, &value[i], sizeof value[i]);
      findings_window(&f, 1, i * WINDOW_MS, &values);
      if (below(3) == 0) findings_tick(&f, i * WINDOW_MS);
    }
    size_t expected = model(&finding_table[measures[m].kind], value, RANDOM_WINDOWS, rows);
    now();
    size_t seen = 0;
    for (uint64_t i = 0; i < facts.row_count; i++) {
      const struct finding_row *a = &facts.rows[i], *b = &rows[seen];
      if (a->kind != measures[m].kind) continue; /* level low beside level high */
      if (seen++ >= expected || a->start_ms != b->start_ms || a->end_ms != b->end_ms ||
          a->severity != b->severity || a->value != b->value)
        fail_msg("seed %llu: row %zu", (unsigned long long)seed, seen - 1);
    }
    if (seen != expected)
      fail_msg("seed %llu: %zu rows, expected %zu", (unsigned long long)seed, seen, expected);
    opened += (unsigned)seen;
  }
  assert_true(opened > RANDOM_PARTS);
}

/* Something happens to some finding at t. */
static void random_call(int64_t t) {
  enum finding_kind kind = (enum finding_kind)below(FINDING_KINDS);
  int track = below(3) - 1;
  switch (below(6)) {
    case 0:
      findings_open(&f, kind, track, t, below(5000), NAN);
      break;
    case 1:
      findings_close(&f, kind, track, t);
      break;
    case 2:
      findings_retract(&f, kind, track);
      break;
    case 3:
      findings_span(&f, kind, track, t - below(3000), t, below(5000), NAN);
      break;
    case 4:
      findings_value(&f, kind, track, t, below(3) ? below(200) - 100 : NAN, 1);
      break;
    default:
      findings_tick(&f, t);
  }
}

/* Rows of a finding and track are apart, start before they end, and are ones that are known. */
static void check_rows(const struct finding_facts *seen) {
  for (uint64_t i = 0; i < seen->row_count; i++) {
    const struct finding_row *a = &seen->rows[i];
    if (!finding_is_known(a) || (a->end_ms != -1 && a->end_ms < a->start_ms))
      fail_msg("seed %llu: row %llu", (unsigned long long)seed, (unsigned long long)i);
    for (uint64_t k = i + 1; k < seen->row_count; k++) {
      const struct finding_row *b = &seen->rows[k];
      if (a->kind != b->kind || a->track != b->track) continue;
      bool a_first = a->end_ms != -1 && a->end_ms <= b->start_ms;
      bool b_first = b->end_ms != -1 && b->end_ms <= a->start_ms;
      if (!a_first && !b_first)
        fail_msg("seed %llu: rows %llu and %llu overlap", (unsigned long long)seed, (unsigned long long)i,
                 (unsigned long long)k);
    }
  }
}

static void expect_same(const struct finding_facts *a, const struct finding_facts *b, const char *what) {
  if (a->row_count != b->row_count || a->cut != b->cut ||
      memcmp(a->rows, b->rows, a->row_count * sizeof a->rows[0]))
    fail_msg("seed %llu: %s", (unsigned long long)seed, what);
}

/* A finding that is not there opens, gets worse and is taken back: as if nothing had been. */
static void open_and_take_back(int64_t t) {
  enum finding_kind kind = (enum finding_kind)below(FINDING_KINDS);
  int track = below(3) - 1;
  const struct finding_state *s = &f.state[kind][track < 0 ? FINDING_LANES - 1 : track];
  findings_tick(&f, t);
  if (s->open && !s->ending) return;
  struct finding_facts before = *now();
  findings_open(&f, kind, track, t, below(5000), NAN);
  findings_open(&f, kind, track, t, below(9000), NAN);
  findings_retract(&f, kind, track);
  expect_same(&before, now(), "taken back");
}

/* Any calls in any order; looking changes nothing; everything is a row or counted. */
static void random_calls_keep_the_promises(void **state) {
  (void)state;
  for (unsigned part = 0; part < RANDOM_PARTS; part++) {
    start_random(part + 100000);
    findings_init(&f);
    int64_t t = 0;
    for (int i = 0; i < 200; i++) {
      t += below(4000);
      random_call(t);
      if (below(3) == 0) open_and_take_back(t);
    }
    if (below(2)) findings_end(&f);
    struct finding_facts before = *now();
    expect_same(&before, now(), "looked at");
    assert_true(facts.cut < 1000 && facts.row_count <= FINDING_ROWS_MAX);
    check_rows(&facts);
  }
}

/* Telling a state's growth in pieces, and ticking as often as one likes, changes nothing. */
static void pieces_change_nothing(void **state) {
  (void)state;
  for (unsigned part = 0; part < RANDOM_PARTS; part++) {
    struct finding_facts whole;
    for (int pieces = 0; pieces < 2; pieces++) {
      start_random(part + 200000);
      uint64_t own = random_state + 1; /* for what must not matter */
      findings_init(&f);
      int64_t t = 0;
      for (int i = 0; i < 30; i++) {
        enum finding_kind kind = below(2) ? FINDING_NO_MEDIA : FINDING_STALL;
        int64_t start = t + below(15000), length = 2000 + below(5000);
        bool retracted = kind == FINDING_NO_MEDIA && below(3) == 0;
        t = start + length;
        uint64_t kept = random_state;
        random_state = own;
        if (pieces && below(2)) findings_tick(&f, start - below(3000));
        for (int64_t grown = 1500; pieces && grown < length; grown += below(2000) + 1)
          findings_open(&f, kind, 0, start, (double)grown, NAN);
        if (pieces) findings_tick(&f, start);
        own = random_state;
        random_state = kept;
        findings_open(&f, kind, 0, start, (double)length, NAN);
        if (retracted)
          findings_retract(&f, kind, 0);
        else
          findings_close(&f, kind, 0, t);
      }
      findings_end(&f);
      now();
      if (pieces == 0) {
        whole = facts;
        continue;
      }
      if (whole.row_count != facts.row_count || whole.cut != facts.cut)
        fail_msg("seed %llu: %llu rows, %llu rows", (unsigned long long)seed,
                 (unsigned long long)whole.row_count, (unsigned long long)facts.row_count);
      for (uint64_t i = 0; i < facts.row_count; i++) {
        const struct finding_row *a = &whole.rows[i], *b = &facts.rows[i];
        if (a->kind != b->kind || a->start_ms != b->start_ms || a->end_ms != b->end_ms ||
            a->value != b->value || a->severity != b->severity)
          fail_msg("seed %llu: row %llu", (unsigned long long)seed, (unsigned long long)i);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_windows_against_the_model),
      cmocka_unit_test(random_calls_keep_the_promises),
      cmocka_unit_test(pieces_change_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
