/* The sound of one track in, its speech out: cuts what an assembler hands on into frames of 10 ms and
 * asks the detector. The one place where a further stage of the sound path is hung in.
 *
 * Use: hearing_create() once a track, hearing_pcm() in rising position (it has an assembler_sink's
 * shape), hearing_flush() at the end, hearing_free(). The sink gets an unbroken row of settled decisions,
 * in ms from the track's first frame. Only hearing_create() allocates; no clock; one thread. */
#ifndef DSP_HEARING_H
#define DSP_HEARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hearing;

/* [from_ms, to_ms) is speech or not; score 0 to 1 is the detector's (0 over a hole it never saw). */
typedef void (*hearing_sink)(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score);

/* What hearing_create() allocates. */
size_t hearing_bytes(void);
/* NULL when there is no memory. */
struct hearing *hearing_create(hearing_sink sink, void *arg);
void hearing_free(struct hearing *l);
/* 8 kHz samples at their position in samples; pcm NULL: they never came. */
void hearing_pcm(void *l, int64_t position_samples, const int16_t *pcm, size_t samples);
/* The decisions still owed; the last incomplete 10 ms count as silence and are not decided. */
void hearing_flush(struct hearing *l);
/* Whether the newest sound is speech (no look-ahead). */
bool hearing_instant(const struct hearing *l);

#endif
