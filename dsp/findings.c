#include "dsp/findings.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "dsp/findings_table.h"

enum { NO_ROW = -1 };

struct finding_values finding_values_unknown(void) {
  return (struct finding_values){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

void findings_init(struct findings *f) {
  memset(f, 0, sizeof *f);
}

static struct finding_state *state_of(struct findings *f, enum finding_kind kind, int track) {
  assert(kind < FINDING_KINDS && track >= FINDING_BOTH_TRACKS && track < FINDING_LANES - 1);
  return &f->state[kind][track < 0 ? FINDING_LANES - 1 : track];
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A finding that found no row gets one when its severity may take one after all. */
static void write_row(struct findings *f, struct finding_state *s) {
  struct finding_facts *facts = &f->facts;
  if (s->row == NO_ROW) {
    uint64_t room = s->now.severity > FINDING_MEDIUM ? FINDING_ROWS_MAX : FINDING_ROWS_MEDIUM;
    if (facts->row_count >= room) return;
    s->row = (int8_t)facts->row_count++;
    facts->cut--;
  }
  facts->rows[s->row] = s->now;
}

static void remove_row(struct findings *f, int row) {
  struct finding_facts *facts = &f->facts;
  facts->row_count--;
  memmove(&facts->rows[row], &facts->rows[row + 1],
          (facts->row_count - (uint64_t)row) * sizeof facts->rows[0]);
  for (int k = 0; k < FINDING_KINDS; k++)
    for (int lane = 0; lane < FINDING_LANES; lane++) {
      struct finding_state *s = &f->state[k][lane];
      if (s->row > row) s->row--;
      if (s->before_row > row) s->before_row--;
    }
}

/* ---- one finding opens, gets worse, closes ---------------------------------------------------- */

static void close_at(struct findings *f, struct finding_state *s, int64_t end_ms) {
  s->now.end_ms = end_ms < s->now.start_ms ? s->now.start_ms : end_ms;
  s->free_ms = s->now.end_ms;
  s->open = s->ending = false;
  if (s->row != NO_ROW) write_row(f, s);
}

/* Nothing new when it is open and not ending. */
static void begin(struct findings *f, struct finding_state *s, enum finding_kind kind, int track,
                  int64_t start_ms) {
  if (s->open && !s->ending) return;
  s->before_ending = s->ending; /* what findings_retract() goes back to */
  s->before = s->now;
  s->before_row = s->row;
  s->before_end_ms = s->end_ms;
  s->ending = false;
  if (s->open) return; /* joined */
  s->open = true;
  s->row = NO_ROW;
  s->now = (struct finding_row){.kind = kind,
                                .track = track,
                                .severity = finding_table[kind].warn,
                                .start_ms = start_ms > s->free_ms ? start_ms : s->free_ms,
                                .end_ms = -1,
                                .value = NAN,
                                .detail = NAN};
  f->facts.cut++; /* until write_row() finds room */
}

/* Keeps the worst: a graver grade first, then the worse figure of the measure that made the grade. */
static void worsen(struct findings *f, struct finding_state *s, unsigned criterion, double value,
                   double detail) {
  const struct finding_kind_row *of = &finding_table[s->now.kind];
  const struct finding_criterion *c = &of->criterion[criterion];
  enum finding_severity severity = finding_grade(c, value) == 2 ? of->bad : of->warn;
  bool same = criterion == s->now.criterion || isnan(s->now.value);
  if (severity > s->now.severity || (same && finding_is_worse(c, value, s->now.value))) {
    s->now.criterion = criterion;
    s->now.value = value;
    s->now.detail = detail;
    s->now.severity = severity;
  }
  write_row(f, s);
}

static void settle(struct findings *f, struct finding_state *s, int64_t until_ms) {
  if (s->ending && until_ms - s->end_ms > finding_table[s->now.kind].join_ms) close_at(f, s, s->end_ms);
}

void findings_open(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, double value,
                   double detail) {
  struct finding_state *s = state_of(f, kind, track);
  settle(f, s, start_ms);
  begin(f, s, kind, track, start_ms);
  worsen(f, s, 0, value, detail);
}

void findings_close(struct findings *f, enum finding_kind kind, int track, int64_t end_ms) {
  struct finding_state *s = state_of(f, kind, track);
  if (!s->open || s->ending) return;
  s->ending = true;
  s->end_ms = end_ms;
  if (finding_table[kind].join_ms == 0) close_at(f, s, end_ms);
}

void findings_retract(struct findings *f, enum finding_kind kind, int track) {
  struct finding_state *s = state_of(f, kind, track);
  if (!s->open || s->ending) return;
  if (s->before_ending) {
    bool had_row = s->before_row != NO_ROW;
    if (s->row != NO_ROW && !had_row) {
      remove_row(f, s->row);
      f->facts.cut++;
    }
    s->now = s->before;
    s->row = s->before_row;
    s->end_ms = s->before_end_ms;
    s->ending = true;
    if (had_row) write_row(f, s);
    return;
  }
  if (s->row == NO_ROW)
    f->facts.cut--;
  else
    remove_row(f, s->row);
  s->row = NO_ROW;
  s->open = false;
}

void findings_span(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, int64_t end_ms,
                   double value, double detail) {
  if (finding_grade(&finding_table[kind].criterion[0], value) == 0) return;
  findings_open(f, kind, track, start_ms, value, detail);
  findings_close(f, kind, track, end_ms);
}

void findings_tick(struct findings *f, int64_t until_ms) {
  for (int k = 0; k < FINDING_KINDS; k++)
    for (int lane = 0; lane < FINDING_LANES; lane++) settle(f, &f->state[k][lane], until_ms);
}

void findings_end(struct findings *f) {
  findings_tick(f, INT64_MAX);
}

void findings_facts(const struct findings *f, struct finding_facts *out) {
  out->cut = f->facts.cut;
  out->row_count = f->facts.row_count;
  memcpy(out->rows, f->facts.rows, f->facts.row_count * sizeof out->rows[0]);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void push(struct finding_criterion_state *c, int64_t start_ms, double value, double detail) {
  for (int i = FINDING_RUN_MAX - 1; i > 0; i--) {
    c->value[i] = c->value[i - 1];
    c->detail[i] = c->detail[i - 1];
    c->start_ms[i] = c->start_ms[i - 1];
  }
  c->value[0] = value;
  c->detail[0] = detail;
  c->start_ms[0] = start_ms;
  if (c->count < FINDING_RUN_MAX) c->count++;
}

/* The window that was the least bad of the newest ones: what all of them were at least. */
static int held(const struct finding_criterion *limits, const struct finding_criterion_state *c) {
  int least = 0;
  for (int i = 1; i < limits->open_windows; i++)
    if (finding_is_worse(limits, c->value[least], c->value[i])) least = i;
  return least;
}

static bool is_clear(const struct finding_criterion *limits, const struct finding_criterion_state *c) {
  if (c->count < limits->close_windows) return false;
  for (int i = 0; i < limits->close_windows; i++)
    if (!finding_is_clear(limits, c->value[i])) return false;
  return true;
}

static void judge(struct findings *f, enum finding_kind kind, int track, unsigned criterion) {
  struct finding_state *s = state_of(f, kind, track);
  const struct finding_criterion *limits = &finding_table[kind].criterion[criterion];
  struct finding_criterion_state *c = &s->criterion[criterion];
  if (c->count >= limits->open_windows) {
    int at = held(limits, c);
    if (finding_grade(limits, c->value[at]) > 0) {
      c->bad = true;
      begin(f, s, kind, track, c->start_ms[limits->open_windows - 1]);
      worsen(f, s, criterion, c->value[at], c->detail[at]);
      return;
    }
  }
  if (!c->bad || !is_clear(limits, c)) return;
  c->bad = false;
  if (!s->open || s->criterion[1 - criterion].bad) return;
  close_at(f, s, c->start_ms[limits->close_windows - 1]);
}

static void take(struct findings *f, enum finding_kind kind, int track, unsigned criterion, int64_t start_ms,
                 double value, double detail) {
  if (isnan(value)) return;
  push(&state_of(f, kind, track)->criterion[criterion], start_ms, value, detail);
  judge(f, kind, track, criterion);
}

static double figure_of(const struct finding_values *values, int offset) {
  double figure;
  memcpy(&figure, (const char *)values + offset, sizeof figure);
  return figure;
}

void findings_window(struct findings *f, int track, int64_t start_ms, const struct finding_values *values) {
  for (unsigned k = 0; k < FINDING_KINDS; k++)
    for (unsigned i = 0; i < FINDING_CRITERIA_MAX; i++) {
      const struct finding_criterion *c = &finding_table[k].criterion[i];
      if (c->sign == 0 || c->measure == FINDING_NO_MEASURE) continue;
      double detail = c->detail == FINDING_NO_MEASURE ? NAN : figure_of(values, c->detail);
      take(f, k, track, i, start_ms, figure_of(values, c->measure), detail);
    }
}

void findings_value(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, double value,
                    double detail) {
  take(f, kind, track, 0, start_ms, value, detail);
}
