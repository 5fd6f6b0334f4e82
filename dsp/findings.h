/* What was wrong with one media part, when, and how badly: opens and closes the findings that become
 * `quality.issues[]` (voice-quality.md 8) by the limits of its section 5.
 *
 *   figures of a window ──findings_window()──┐
 *   a detector's verdict ─findings_value()───┼─> limits, hysteresis ──> rows
 *   a state with an end ──findings_open(), findings_close(), findings_retract()
 *
 * dsp/findings_table.c has one row a finding: names, type, severities, limits, words. Use:
 * findings_init(), then these in rising time per finding and track, findings_tick() now and then,
 * findings_end() with the part, findings_facts() whenever somebody looks.
 *
 * What the text leaves open was chosen so:
 * - Beyond a limit is strictly beyond it ("over 1 s", "< -36 dBov").
 * - One window never opens a finding: 3.9 gives R of a window with one bad frame as "anywhere in 89.1 to
 *   93.1" and forbids it for loss; a level, a noise or a clipped shout in 10 s of talk is as accidental.
 *   Two windows running open it, dated from the first of them. Its figure, and so its severity, is the
 *   better of the two: what was held for both. Windows without a figure (nobody spoke) are passed over:
 *   they neither make nor break "running". What is itself a verdict over several blocks opens at once: hum (3
 *   blocks, 5.5), echo (3 blocks, 5.7).
 * - It closes behind two windows running on the good side of a closing limit (echo: three verdicts of
 *   none), dated to the start of the first of them. Closing limits: R 75 (as the alert's), levels 2 dB,
 *   noise, SNR and hum 3 dB inside the opening one, clipping, mute gaps and inserted silence half of it,
 *   DC 0.008, Ta 350 ms. 5 gives closing limits to one-way audio alone.
 * - Limits that 5 lacks: mute gaps over 20 an active minute (20 recordings of clean speech have none in any
 *   window, a call behind a noise gate up to 95); inserted silence over 1 % of a window's frames (5 of
 *   500). Hum has one limit, and is medium.
 * - Noise has two measures, level and SNR: open while either is beyond its limit.
 * - A severity rises while the finding is open and never falls; the row keeps the worst figure.
 * - Stalls and holes in the media that follow within 10 s of the one before are one finding, so that a
 *   line that stutters for an hour is one row; its figure is the longest of them. Such a row closes when
 *   the 10 s have passed, dated back, and does not change afterwards.
 *
 * Rows of one finding and track never overlap. FINDING_ROWS_MAX rows a part, the last 16 for what is high
 * or critical; what finds no room is counted in `cut`. Times are ms on the part's clock. Constant memory,
 * no heap, no clock; belongs to one thread. */
#ifndef DSP_FINDINGS_H
#define DSP_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/fields.h"

/* Stored as numbers: new ones go to the end. */
enum finding_kind {
  FINDING_ECHO,
  FINDING_CLIPPING,
  FINDING_HUM,
  FINDING_NOISE,
  FINDING_MUTE_GAPS,
  FINDING_INSERTED_SILENCE,
  FINDING_LOSS,
  FINDING_ONE_WAY,
  FINDING_STALL,
  FINDING_LATENCY,
  FINDING_LEVEL_LOW, /* its graver half is "level very low" */
  FINDING_LEVEL_HIGH,
  FINDING_NO_MEDIA,
  FINDING_STREAM_OUTAGE,
  FINDING_CODEC_MISMATCH,
  FINDING_DEAD_AIR,
  FINDING_DC_OFFSET,
  FINDING_KINDS
};

enum finding_severity { FINDING_LOW, FINDING_MEDIUM, FINDING_HIGH, FINDING_CRITICAL };

enum {
  FINDING_BOTH_TRACKS = -1, /* of the call, not of a track */
  FINDING_LANES = 3,        /* track 0, track 1, the call */
  FINDING_ROWS_MAX = 64,
  FINDING_ROWS_MEDIUM = 48, /* rows that any severity may take */
  FINDING_CRITERIA_MAX = 2,
  FINDING_RUN_MAX = 3, /* windows that a criterion looks back */
  FINDING_JOIN_MS = 10000
};

/* Members are 64 bits wide, for the rows below. */
struct finding_row {
  uint64_t kind;      /* enum finding_kind */
  int64_t track;      /* 0 inbound, 1 outbound, -1 */
  uint64_t severity;  /* enum finding_severity, the worst so far */
  uint64_t criterion; /* which of the finding's measures `value` is of */
  int64_t start_ms;
  int64_t end_ms; /* -1: open */
  double value;   /* the worst, in the table's unit; NaN: the finding has none */
  double detail;  /* a second figure for the words (Hz, ms, %), or NaN */
};

/* Zeros are a part without findings. */
struct finding_facts {
  uint64_t cut; /* findings that found no row */
  uint64_t row_count;
  struct finding_row rows[FINDING_ROWS_MAX]; /* by the time they opened */
};
extern const struct field finding_fields[]; /* of struct finding_facts, rows apart */
extern const size_t finding_field_count;
extern const struct field finding_row_fields[];
extern const size_t finding_row_field_count;

/* Figures of one track over one window; NaN: not known in it. */
struct finding_values {
  double r;        /* 1.6: R (LQ) of the window */
  double loss_pct; /* effective loss of that window: for the words only */
  double active_level_dbov;
  double noise_dbov, snr_db;
  double clip_pct;             /* clipped samples, % of active ones */
  double hum_dbov, hum_hz;     /* hum_dbov -INFINITY: looked for, none */
  double mute_gaps_per_min;    /* of activity */
  double inserted_silence_pct; /* of the window's expected frames */
  double dc;                   /* mean(x), full scale 1; either sign */
  double ta_ms;
};
/* All NaN. */
struct finding_values finding_values_unknown(void);

struct finding_criterion_state {
  bool bad;
  uint8_t count; /* of those below in use, newest first */
  double value[FINDING_RUN_MAX], detail[FINDING_RUN_MAX];
  int64_t start_ms[FINDING_RUN_MAX];
};

struct finding_state {
  bool open;
  bool ending;        /* open, but ended at end_ms unless it goes on within the joining time */
  int8_t row;         /* in the facts, or -1: none was free */
  int8_t before_row;  /* as `row`, of the state that findings_retract() goes back to */
  bool before_ending; /* it was ending, and `before` was what it looked like */
  int64_t end_ms, before_end_ms;
  int64_t free_ms; /* no row may start before */
  struct finding_row now, before;
  struct finding_criterion_state criterion[FINDING_CRITERIA_MAX];
};

struct findings {
  struct finding_state state[FINDING_KINDS][FINDING_LANES];
  struct finding_facts facts;
};

void findings_init(struct findings *f);
/* The figures of a track's window that starts there, in rising time; not all need come in one call. */
void findings_window(struct findings *f, int track, int64_t start_ms, const struct finding_values *values);
/* One figure of one finding, as findings_window() does: FINDING_ECHO takes the ERL in dB with the delay in
 * ms as detail, INFINITY where none was found. */
void findings_value(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, double value,
                    double detail);
/* The finding is there since start_ms, or still is and its figure is now `value` (the worst is kept; NaN:
 * none). Lengths (stall, no media, outage, dead air, one-way) are in ms. */
void findings_open(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, double value,
                   double detail);
/* It ended there; nothing when it is not open. */
void findings_close(struct findings *f, enum finding_kind kind, int track, int64_t end_ms);
/* What the last findings_open() since a close said was not so. */
void findings_retract(struct findings *f, enum finding_kind kind, int track);
/* Both, of what is known only afterwards (a stall): [start_ms, end_ms). */
void findings_span(struct findings *f, enum finding_kind kind, int track, int64_t start_ms, int64_t end_ms,
                   double value, double detail);
/* Nothing that begins before until_ms is still to be told: rows that wait to be joined may close. Who
 * learns of a stall when it ends passes the arrival of the newest frame, the older track's. */
void findings_tick(struct findings *f, int64_t until_ms);
/* The part has ended: what waits to be joined is closed; what is open stays open. */
void findings_end(struct findings *f);
/* As they stand now. */
void findings_facts(const struct findings *f, struct finding_facts *out);

/* Whether a row that was read from somewhere is one of ours; the functions below take no other. */
bool finding_is_known(const struct finding_row *row);
/* Names of the data model: "echo", "static", ...; "low" to "critical". */
const char *finding_type(enum finding_kind kind);
const char *finding_severity_name(enum finding_severity severity);
/* As in the first column of section 8's table. */
const char *finding_name(const struct finding_row *row);
/* "clipping: 1.3 % of active samples"; cut to `size`. Returns `text`. */
const char *finding_describe(const struct finding_row *row, char *text, size_t size);

#endif
