/* What was said when, as plain numbers: the facts of speech-metrics.md 2 and 3 for one media part,
 * and of several parts of a leg put together. Everything is per track (0 inbound, 1 outbound) and
 * symmetric; which track is which party is decided elsewhere.
 *
 * Plain data: may be copied and zeroed; a zeroed struct is "nothing heard, 0 ms long" and
 * the neutral element of speech_facts_merge(). Pure functions, any thread. */
#ifndef DSP_SPEECH_FACTS_H
#define DSP_SPEECH_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/fields.h"
#include "dsp/speech.h"

enum {
  SPEECH_TRACKS = 2,
  RESPONSE_LIMIT_MS = 10000,
  /* Bucket i holds positive FTOs of [10 i, 10 i + 10) ms; the last one everything from the limit on. */
  RESPONSE_BUCKETS = RESPONSE_LIMIT_MS / RESPONSE_BUCKET_MS + 1
};

/* talk_ms[0] + talk_ms[1] - overlap_ms + silence_ms = duration_ms, always. And for each track
 * turn_speech_ms + backchannel_ms + attempt_ms + lost_ms = talk_ms. */
struct speech_facts {
  uint64_t duration_ms; /* T */
  uint64_t overlap_ms;
  uint64_t silence_ms; /* neither speaks */
  uint64_t dead_airs;  /* mutual silences of dead_air_ms (3000) or more, and their sum */
  uint64_t dead_air_ms;
  uint64_t simultaneous_starts;
  uint64_t transitions; /* overlapped ones, for which nobody is charged */
  uint64_t forced_cuts; /* decisions made before all was known; see speech.h */

  uint64_t present[SPEECH_TRACKS]; /* 1: the track had frames */
  uint64_t talk_ms[SPEECH_TRACKS]; /* sum of its IPUs */
  uint64_t turns[SPEECH_TRACKS];
  uint64_t turn_ms[SPEECH_TRACKS]; /* last end - first start, own pauses included, summed */
  uint64_t longest_monologue_ms[SPEECH_TRACKS];
  uint64_t pauses[SPEECH_TRACKS]; /* pieces of mutual silence inside a turn of the track */
  uint64_t pause_ms[SPEECH_TRACKS];
  uint64_t interruptions[SPEECH_TRACKS]; /* successful ones by this track */
  uint64_t attempts[SPEECH_TRACKS];
  uint64_t backchannels[SPEECH_TRACKS];
  uint64_t interruption_overlap_ms[SPEECH_TRACKS];
  uint64_t attempt_overlap_ms[SPEECH_TRACKS];
  /* Where the talk time went: turns, backchannels, attempts, lost simultaneous starts. */
  uint64_t turn_speech_ms[SPEECH_TRACKS];
  uint64_t backchannel_ms[SPEECH_TRACKS];
  uint64_t attempt_ms[SPEECH_TRACKS];
  uint64_t lost_ms[SPEECH_TRACKS];
  /* Start of the track's first IPU from the start of the (first) part; set only where talk_ms is not 0. */
  uint64_t first_speech_ms[SPEECH_TRACKS];
  /* Changes of turn to this track: all with their signed sum, and the positive ones (responses). */
  uint64_t changes[SPEECH_TRACKS];
  int64_t fto_sum_ms[SPEECH_TRACKS];
  uint64_t responses[SPEECH_TRACKS];
  uint64_t response_sum_ms[SPEECH_TRACKS];
  uint64_t response_over_ms[SPEECH_TRACKS]; /* sum of those in the last bucket */
  uint64_t response_buckets[SPEECH_TRACKS][RESPONSE_BUCKETS];

  uint64_t events_total;
  uint64_t event_count; /* stored: the first SPEECH_EVENTS_MAX, in order of start_ms */
  struct speech_event events[SPEECH_EVENTS_MAX];
};

/* All members but the events; response_buckets is one row of both tracks, track 0 first. */
extern const struct field speech_fields[];
extern const size_t speech_field_count;

/* Appends a part: sums and maxima; events of `from` with their start moved by shift_ms, as is the
 * first speech of a track that was silent so far. shift_ms: start of `from` less start of `into`,
 * by the wall clock. Nothing spans two parts: no turn, gap or pause is made between them. */
void speech_facts_merge(struct speech_facts *into, const struct speech_facts *from, int64_t shift_ms);

/* Counts an FTO of the track that took over. */
void speech_facts_fto(struct speech_facts *facts, int track, int64_t fto_ms);
/* Counts an event, and stores it while there is room. */
void speech_facts_event(struct speech_facts *facts, struct speech_event event);

/* Response times of a track: its positive FTOs. n 0: the others are 0. The mean is exact; median
 * (of an even number: mean of the middle two) and p90 (nearest rank) are of the buckets' lower
 * edges, so exact on a 10 ms grid; from RESPONSE_LIMIT_MS on the mean of those beyond it. */
struct speech_response {
  uint64_t n;
  double median_ms, mean_ms, p90_ms;
};
struct speech_response speech_response_ms(const struct speech_facts *facts, int track);

#endif
