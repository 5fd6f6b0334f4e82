/* Does the inbound track contain our outbound sound, how late and how loud (voice-quality.md 5.7)?
 *
 *   samples of both tracks ──> rings, level of 20 ms at each hop of 10 ms
 *     hop with outbound active for 300 ms, inbound 6 dB below it ──> envelope correlation, to 1500 ms
 *       4 s of such hops, best lag hits ──> sample correlation there +-30 ms, in blocks of 1 s
 *         rho^2 > 0.1 and lag within 10 ms in 3 blocks running, of 6 ──> verdict: echo, else none
 *
 * Each round of this ends with one verdict, told to the sink: found, or none (no hit, or no 3 blocks running
 * among 6). Rounds follow each other while outbound is active; nothing is done while it is not. Verdicts
 * make the finding: findings_value() opens it with one found and closes it after three of none.
 *
 * What 5.7 leaves open: active is a level above -50 dBov, held for 200 ms as in P.56 (white noise must
 * count, 7.7, so it is no voice detector); the coarse stage hits at a correlation of 0.5, which only decides
 * whether the fine stage is worth its cost (9 % of rounds without echo); sums are freed of their means, so
 * DC is no echo; both stages look up to 30 ms before zero too, since the tracks' places are known no better
 * than their arrivals, and 0 is told then. A sound whose level never moves (a tone) has no envelope
 * to find, and is none.
 *
 * The tracks come in bursts of their own: a hop is looked at when both know it. Inbound may lag outbound by
 * 500 ms at the longest lag (more at shorter ones) and lead it by 1 s; hops beyond that are left out. A
 * hole is no sound: its hops are left out of inbound and inactive in outbound, and after one of over
 * 100 ms 1500 ms of outbound are gathered first (no level is known for what was not heard).
 *
 * Work: a call of n samples completes at most n / 80 + 1 hops, each of bounded work; a hole costs next to
 * nothing however long. Measured by tests/bench/pair.c, a frame of 20 ms of each track, with AVX2: 0.1 us
 * while outbound is silent, 0.3 us when it talks, 2.5 us in a call that is all echo, 6 us the worst pair
 * of calls; the fine stage costs 3.4 times as much in plain C. Constant memory (68 kB), one thread, no
 * heap, no clock. Sums are exact integers: the same on every machine, however the input is cut. */
#ifndef DSP_ECHO_H
#define DSP_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/fields.h"

enum {
  ECHO_RATE_HZ = 8000,
  ECHO_HOP = 80,          /* samples: 10 ms */
  ECHO_LAG_MAX_HOPS = 150 /* 1500 ms */
};

/* One round's end. delay_ms and erl_db are of an echo that was found, else 0. */
struct echo_verdict {
  int64_t start_ms, end_ms; /* the sound that was looked at, on the part's clock */
  bool found;
  double delay_ms; /* includes the stream's transport both ways */
  double erl_db;
};
typedef void (*echo_sink)(void *arg, const struct echo_verdict *verdict);

/* Mergeable; zeros: nothing was looked at. Members are 64 bits wide. */
struct echo_facts {
  uint64_t verdicts, found;
  double delay_sum_ms, erl_sum_db; /* of those found */
  double erl_min_db;               /* valid when found is not 0 */
};
extern const struct field echo_fields[];
extern const size_t echo_field_count;
void echo_facts_merge(struct echo_facts *into, const struct echo_facts *from);
/* Means over the rounds that found it; false: none did, or none was looked at. */
bool echo_figures(const struct echo_facts *facts, double *delay_ms, double *erl_db);

struct echo;
size_t echo_bytes(void);
/* `e` has echo_bytes(), aligned for any type. `sink` may be NULL. */
void echo_init(struct echo *e, echo_sink sink, void *arg);
/* 8 kHz samples of a track (0 inbound, 1 outbound) at their position on the clock that both share, rising
 * per track; pcm NULL: they never came (assembler_sink). */
void echo_pcm(struct echo *e, int track, int64_t position_samples, const int16_t *pcm, size_t samples);
void echo_facts(const struct echo *e, struct echo_facts *out);

#endif
