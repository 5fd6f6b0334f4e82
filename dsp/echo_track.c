#include "dsp/echo_track.h"

#include <string.h>

enum {
  ACTIVE_HOPS = 300 / ECHO_HOP_MS,
  HANGOVER_HOPS = 200 / ECHO_HOP_MS,
  HOLD_HOPS = 100 / ECHO_HOP_MS, /* a level is kept over a hole that long: no false edge */
  LEVEL_OCTAVE_BITS = 6,
  LEVEL_MIDDLE = 24 * ECHO_LEVEL_OCTAVE,
  FLOOR_ENERGY = 5433,    /* of a frame at -75 dBov: below it is silence */
  ACTIVE_ENERGY = 1717987 /* at -50 dBov */
};
_Static_assert(ECHO_LEVEL_OCTAVE == 1 << LEVEL_OCTAVE_BITS, "the mantissa's bits are the part");

/* A logarithm by the binary exponent and a straight line between: at most 0.26 dB off, and exact. */
static int level_of(uint64_t energy) {
  if (energy < FLOOR_ENERGY) energy = FLOOR_ENERGY;
  int octave = 63 - __builtin_clzll(energy);
  int part = (int)((energy >> (octave - LEVEL_OCTAVE_BITS)) & (ECHO_LEVEL_OCTAVE - 1));
  return octave * ECHO_LEVEL_OCTAVE + part - LEVEL_MIDDLE;
}

static void forget(struct echo_track *t) {
  memset(t->ring, 0, (size_t)t->ring_samples * sizeof *t->ring);
  t->level_now = level_of(0);
  for (int i = 0; i < ECHO_LEVELS; i++) {
    t->level[i] = (int16_t)t->level_now;
    t->usable[i] = false;
  }
  t->energy = 0;
  t->missing = t->active_run = t->quiet_run = 0;
  t->missing_run = HOLD_HOPS + 1;
}

void echo_track_init(struct echo_track *t, bool outbound, int16_t *ring, int ring_samples) {
  memset(t, 0, sizeof *t);
  t->kernels = kernels_best();
  t->outbound = outbound;
  t->ring = ring;
  t->ring_samples = ring_samples;
  forget(t);
}

/* Whether somebody has been talking for 300 ms, short pauses bridged. */
static bool active_long(struct echo_track *t, bool active) {
  t->quiet_run = active ? 0 : t->quiet_run + 1;
  if (active || (t->quiet_run <= HANGOVER_HOPS && t->active_run > 0))
    t->active_run++;
  else
    t->active_run = 0;
  if (t->active_run > ACTIVE_HOPS) t->active_run = ACTIVE_HOPS + 1;
  return t->active_run > ACTIVE_HOPS;
}

static void end_hop(struct echo_track *t) {
  int64_t hop = t->end / ECHO_HOP - 1;
  int at = (int)(hop % ECHO_LEVELS);
  bool whole = t->missing == 0;
  uint64_t energy = t->energy + (t->missing_run == 0 ? t->energy_before : t->energy);
  if (whole) {
    if (t->missing_run > HOLD_HOPS) t->since_hop = hop;
    t->level_now = level_of(energy);
    t->missing_run = 0;
  } else if (t->missing_run <= HOLD_HOPS && ++t->missing_run > HOLD_HOPS) {
    t->level_now = level_of(0);
  }
  t->level[at] = (int16_t)t->level_now;
  t->frame_energy[at] = energy;
  t->usable[at] = t->outbound ? active_long(t, whole && energy > ACTIVE_ENERGY) : whole;
  t->energy_before = t->energy;
  t->energy = 0;
  t->missing = 0;
}

/* Up to the end of the hop at work; `samples` at most that. */
static void put_piece(struct echo_track *t, const int16_t *pcm, size_t samples) {
  int16_t *to = t->ring + t->end % t->ring_samples;
  if (pcm == NULL) {
    memset(to, 0, samples * sizeof *to);
    t->missing += (int)samples;
  } else {
    struct block_sum sums;
    memcpy(to, pcm, samples * sizeof *to);
    uint32_t peak = t->kernels->block_sums(pcm, samples, 1, &sums);
    t->energy += sums.square;
    for (size_t i = 0; peak > INT16_MAX && i < samples; i++) /* see dsp/correlate.h */
      if (to[i] < -INT16_MAX) to[i] = -INT16_MAX;
  }
  t->end += (int64_t)samples;
}

static void put(struct echo_track *t, const int16_t *pcm, int64_t samples) {
  while (samples > 0) {
    int64_t room = ECHO_HOP - t->end % ECHO_HOP;
    int64_t piece = samples < room ? samples : room;
    put_piece(t, pcm, (size_t)piece);
    if (pcm != NULL) pcm += piece;
    samples -= piece;
    if (piece == room) end_hop(t);
  }
}

/* A hole: what lies before a long one is out of reach behind it. */
static void skip(struct echo_track *t, int64_t samples) {
  if (samples > 2 * t->ring_samples && samples > 2 * ECHO_LEVELS * ECHO_HOP) {
    int64_t whole = samples / ECHO_HOP * ECHO_HOP - ECHO_LEVELS * ECHO_HOP;
    forget(t);
    t->end += whole;
    samples -= whole;
  }
  put(t, NULL, samples);
}

void echo_track_pcm(struct echo_track *t, int64_t position_samples, const int16_t *pcm, size_t samples) {
  int64_t count = (int64_t)samples;
  if (position_samples > t->end) skip(t, position_samples - t->end);
  int64_t old = t->end - position_samples; /* heard already */
  if (old >= count) return;
  if (pcm == NULL)
    skip(t, count - old);
  else
    put(t, pcm + old, count - old);
}

bool echo_track_has(const struct echo_track *t, int64_t from, int64_t to) {
  return from >= 0 && from >= t->end - t->ring_samples && to <= t->end;
}

void echo_track_copy(const struct echo_track *t, int64_t from, int16_t *to, int64_t samples) {
  int64_t at = from % t->ring_samples, first = t->ring_samples - at;
  if (first > samples) first = samples;
  memcpy(to, t->ring + at, (size_t)first * sizeof *to);
  memcpy(to + first, t->ring, (size_t)(samples - first) * sizeof *to);
}
