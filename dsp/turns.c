#include "dsp/turns.h"

void speech_tell(const struct speech_sink *sink, struct speech_note note) {
  if (sink->observe) sink->observe(sink->arg, &note);
}

void turns_init(struct turns *turns) {
  *turns = (struct turns){.holder = HOLDER_NONE};
}

void turns_silence(struct turns *turns, int64_t length_ms) {
  if (turns->silences < TURN_PAUSES_TOLD) {
    /* Longer than a turn can have as a pause: never told. */
    turns->silence_told_ms[turns->silences] = length_ms > UINT16_MAX ? UINT16_MAX : (uint16_t)length_ms;
  }
  turns->silences++;
  turns->silence_ms += (uint64_t)length_ms;
}

static void forget_silences(struct turns *turns) {
  turns->silences = turns->silence_ms = 0;
}

static void pauses_of(const struct turns *turns, int track, const struct speech_sink *sink) {
  sink->facts->pauses[track] += turns->silences;
  sink->facts->pause_ms[track] += turns->silence_ms;
  for (uint64_t i = 0; i < turns->silences && i < TURN_PAUSES_TOLD; i++) {
    speech_tell(sink, (struct speech_note){SPEECH_PAUSE, .track = track, .ms = turns->silence_told_ms[i]});
  }
}

static void close_turn(const struct turns *turns, int track, const struct speech_sink *sink) {
  int64_t start_ms = turns->turn[track].start_ms, end_ms = turns->turn[track].end_ms;
  uint64_t length_ms = (uint64_t)(end_ms - start_ms);
  struct speech_facts *facts = sink->facts;
  facts->turns[track]++;
  facts->turn_ms[track] += length_ms;
  if (length_ms > facts->longest_monologue_ms[track]) facts->longest_monologue_ms[track] = length_ms;
  speech_tell(sink,
              (struct speech_note){SPEECH_TURN, .track = track, .start_ms = start_ms, .end_ms = end_ms});
}

static void hand_over(const struct turns *turns, int to, int64_t start_ms, const struct speech_sink *sink) {
  int from = 1 - to;
  int64_t fto_ms = start_ms - turns->turn[from].end_ms;
  close_turn(turns, from, sink);
  speech_facts_fto(sink->facts, to, fto_ms);
  speech_tell(sink, (struct speech_note){SPEECH_FTO, .track = to, .ms = fto_ms});
}

void turns_take(struct turns *turns, const struct speech_parameters *p, int track, int64_t start_ms,
                int64_t end_ms, bool other_open, const struct speech_sink *sink) {
  int holder = turns->holder;
  if (holder == track && start_ms - turns->turn[track].end_ms < p->turn_ms) {
    pauses_of(turns, track, sink);
  } else {
    if (holder == track || holder == HOLDER_BOTH) close_turn(turns, track, sink);
    if (holder == 1 - track && other_open) {
      turns->owed = true;
      turns->owed_to = track;
    } else if (holder == 1 - track || holder == HOLDER_BOTH) {
      hand_over(turns, track, start_ms, sink);
    }
    turns->turn[track].start_ms = start_ms;
  }
  turns->turn[track].end_ms = end_ms;
  turns->holder = track;
  forget_silences(turns);
}

void turns_take_both(struct turns *turns, const struct speech_parameters *p, int64_t start_ms, int64_t end_ms,
                     const struct speech_sink *sink) {
  bool joins = turns->holder == HOLDER_BOTH && start_ms - turns->turn[0].end_ms < p->turn_ms;
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    if (joins) {
      pauses_of(turns, t, sink);
    } else {
      if (turns->holder == HOLDER_BOTH) close_turn(turns, t, sink);
      turns->turn[t].start_ms = start_ms;
    }
    turns->turn[t].end_ms = end_ms;
  }
  turns->holder = HOLDER_BOTH;
  forget_silences(turns);
}

void turns_follow(struct turns *turns, int track, int64_t end_ms) {
  turns->turn[track].end_ms = end_ms;
}

void turns_settle(struct turns *turns, const struct speech_sink *sink) {
  if (!turns->owed) return;
  hand_over(turns, turns->owed_to, turns->turn[turns->owed_to].start_ms, sink);
  turns->owed = false;
}

void turns_finish(struct turns *turns, const struct speech_sink *sink) {
  turns_settle(turns, sink);
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    if (turns->holder == t || turns->holder == HOLDER_BOTH) close_turn(turns, t, sink);
  }
  turns->holder = HOLDER_NONE;
}
