/* Rule 4 of speech-metrics.md 3: turns of the IPUs that no other rule took out, and what follows from
 * them: FTOs, pauses, monologues. Fed in order of start over both tracks.
 *
 * Where the text leaves the order open (two IPUs that start together): the party that has the turn
 * comes first; when none has it, the shorter; when both are equal too, both have the turn at once, no
 * FTO lies between them, and who speaks next takes over from the other. So swapped tracks give
 * swapped figures. A turn's pauses are all pieces of mutual silence inside it, also those below
 * bridge_ms that the other's backchannel leaves.
 * Internal to dsp/speech; no heap, no clock. */
#ifndef DSP_TURNS_H
#define DSP_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "dsp/speech_facts.h"

/* How many pauses between two IPUs of a turn the observer is told one by one; counted are all. With
 * the default parameters there are at most 11. */
enum { TURN_PAUSES_TOLD = 32 };

enum turn_holder { HOLDER_NONE = -1, HOLDER_0, HOLDER_1, HOLDER_BOTH };

struct turns {
  int holder; /* enum turn_holder */
  struct {
    int64_t start_ms, end_ms;
  } turn[SPEECH_TRACKS]; /* the latest of each track; its end grows while its last IPU speaks */
  /* The turn of the other than owed_to ended by being taken over, but still speaks: its length and the
   * FTO wait for its end. Only after a simultaneous start that neither lost. */
  bool owed;
  int owed_to;
  uint64_t silences, silence_ms; /* since the last IPU of a turn */
  uint16_t silence_told_ms[TURN_PAUSES_TOLD];
};

/* Where results go. */
struct speech_sink {
  struct speech_facts *facts;
  speech_observe_fn *observe; /* NULL: nobody */
  void *arg;
};
void speech_tell(const struct speech_sink *sink, struct speech_note note);

void turns_init(struct turns *turns);
/* A piece of mutual silence; told in order, between the IPUs it lies between. */
void turns_silence(struct turns *turns, int64_t length_ms);
/* The next IPU of a turn. other_open: the latest IPU of the other's turn still speaks; then the end of
 * that turn must be kept up by turns_follow(), and nothing be taken until turns_settle(). */
void turns_take(struct turns *turns, const struct speech_parameters *p, int track, int64_t start_ms,
                int64_t end_ms, bool other_open, const struct speech_sink *sink);
/* Two equal IPUs, one of each track, while none or both have the turn. */
void turns_take_both(struct turns *turns, const struct speech_parameters *p, int64_t start_ms, int64_t end_ms,
                     const struct speech_sink *sink);
/* The latest IPU of the track's turn speaks on to end_ms. */
void turns_follow(struct turns *turns, int track, int64_t end_ms);
/* The end that was owed is final. */
void turns_settle(struct turns *turns, const struct speech_sink *sink);
/* The part ends; nothing is owed any more. */
void turns_finish(struct turns *turns, const struct speech_sink *sink);

#endif
