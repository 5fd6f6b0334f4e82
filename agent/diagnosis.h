/* What is wrong with a stream while it runs: hangs the meters of dsp together and turns what they say into
 * findings (voice-quality.md 5, 8).
 *
 *   sound of a track ────> signal ──window of 10 s──┬──────────────────> findings
 *                    └───> echo ───verdict──────────┼─────────────────────^ ^
 *   decisions of the detector ─> signal, presence <─┘ (level) ──note──────┘ │
 *   frames, stalls, windows of the delivery ──> presence ───────────────────┘
 *
 * Use: diagnosis_create(); diagnosis_begin() at each format of a track and diagnosis_origin() once before its
 * first sound; then what comes, in the order it comes; diagnosis_tick() about once a second,
 * diagnosis_end() with the part. Times are ms on the part's clock unless said otherwise. Only
 * diagnosis_create() allocates; no clock, no lock; one thread. */
#ifndef AGENT_DIAGNOSIS_H
#define AGENT_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/echo.h"
#include "dsp/findings.h"
#include "dsp/signal.h"

struct diagnosis;

/* Silence that somebody put into a track's sound, as signal_on_silence() tells it. */
typedef void (*diagnosis_sink)(void *arg, int track, int64_t start_us, int64_t end_us);

/* What diagnosis_create() allocates. */
size_t diagnosis_bytes(void);
/* `sink` may be NULL. NULL when there is no memory. */
struct diagnosis *diagnosis_create(diagnosis_sink sink, void *arg);
void diagnosis_free(struct diagnosis *d);

/* The sound that follows on a track: its rate, the length of its frames (0: sound that never was in any), and
 * what its codec can give (dsp/signal.h). */
void diagnosis_begin(struct diagnosis *d, int track, uint32_t rate_hz, uint32_t ptime_ms, int16_t ceiling,
                     int16_t idle);
/* Where the track's first sample lies. */
void diagnosis_origin(struct diagnosis *d, int track, int64_t origin_ms);
/* As an assembler's sink gets it: position in samples from the track's first; pcm NULL: it never came. Before
 * the detector gets the same. */
void diagnosis_pcm(struct diagnosis *d, int track, int64_t position_samples, const int16_t *pcm,
                   size_t samples);
/* Where diagnosis_pcm() gets another rate: the same sound at 8 kHz, in which echo is looked for. */
void diagnosis_pcm_8k(struct diagnosis *d, int track, int64_t position_samples, const int16_t *pcm,
                      size_t samples);
/* The detector's settled decisions, in ms from the track's first frame. */
void diagnosis_speech(struct diagnosis *d, int track, int64_t from_ms, int64_t to_ms, bool speech);
/* The track is to come, if it has not: from at_ms on. */
void diagnosis_expect(struct diagnosis *d, int track, int64_t at_ms);
/* A frame that was used: its place, when it came, and for how long nothing had (0: no stall). */
void diagnosis_frame(struct diagnosis *d, int track, int64_t place_ms, int64_t duration_ms,
                     int64_t arrival_ms, int64_t stall_ms);
/* A window of 10 s of the delivery is full; NaN for what is not known. */
void diagnosis_delivery(struct diagnosis *d, int track, int64_t start_ms, double r, double loss_pct,
                        double ta_ms);
/* As presence_hold(). */
void diagnosis_hold(struct diagnosis *d, int64_t at_ms, bool on);
/* The call is over, though the stream is not: that nothing comes any more is right. */
void diagnosis_over(struct diagnosis *d, int64_t at_ms);
/* Tells holes that last, and closes what has waited long enough to be joined. */
void diagnosis_tick(struct diagnosis *d, int64_t now_ms);
/* Nothing more comes, and the detector has said all: what waits is decided. */
void diagnosis_end(struct diagnosis *d, int64_t end_ms);

/* As they stand now. */
void diagnosis_signal(const struct diagnosis *d, int track, struct signal_facts *out);
void diagnosis_echo(const struct diagnosis *d, struct echo_facts *out);
void diagnosis_findings(const struct diagnosis *d, struct finding_facts *out);
/* Another number than before when a finding has opened, closed or been taken back. */
uint64_t diagnosis_changes(const struct diagnosis *d);

#endif
