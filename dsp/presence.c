#include "dsp/presence.h"

#include <math.h>
#include <string.h>

/* Marks of a slot; those of track 1 are four bits up. */
enum { SPEECH = 1, QUIET = 2, LOUD = 4, ARRIVED = 8, TRACK_BITS = 4, NO_TRACK = -1 };

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}
static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static void tell(const struct presence *p, enum presence_kind kind, enum presence_change change, int track,
                 int64_t start_ms, int64_t end_ms, int64_t length_ms) {
  const struct presence_note note = {.kind = kind,
                                     .change = change,
                                     .track = track,
                                     .start_ms = start_ms,
                                     .end_ms = end_ms,
                                     .length_ms = length_ms};
  p->sink(p->arg, &note);
}

void presence_init(struct presence *p, presence_sink sink, void *arg) {
  memset(p, 0, sizeof *p);
  p->sink = sink;
  p->arg = arg;
  p->air_ms = -1;
  for (int t = 0; t < PRESENCE_TRACKS; t++) p->way[t].start_ms = -1;
}

/* ---- holes in the media ---------------------------------------------------------------------- */

void presence_expect(struct presence *p, int track, int64_t at_ms) {
  struct presence_media *m = &p->media[track];
  if (m->expected) return;
  m->expected = true;
  m->expected_ms = at_ms;
  m->end_ms = m->arrival_ms = at_ms;
}

/* Its frames have not come. */
static void confirm_hole(struct presence *p, int track) {
  struct presence_media *m = &p->media[track];
  tell(p, PRESENCE_NO_MEDIA, PRESENCE_ENDED, track, m->from_ms, m->to_ms, m->to_ms - m->from_ms);
  m->pending = m->told = false;
}

static void take_back(struct presence *p, int track, int64_t start_ms) {
  struct presence_media *m = &p->media[track];
  if (m->told) tell(p, PRESENCE_NO_MEDIA, PRESENCE_TAKEN_BACK, track, start_ms, 0, 0);
  m->told = false;
}

/* A frame from inside the hole: if it is the first missing one, those behind it are on their way. */
static void fill_hole(struct presence *p, int track, int64_t place_ms, int64_t duration_ms) {
  struct presence_media *m = &p->media[track];
  if (place_ms > m->from_ms + duration_ms || place_ms + duration_ms <= m->from_ms) return;
  take_back(p, track, m->from_ms);
  m->from_ms = place_ms + duration_ms;
  if (m->to_ms - m->from_ms <= PRESENCE_HOLE_MS) m->pending = false;
}

static void confirm_if_due(struct presence *p, int track, int64_t now_ms) {
  const struct presence_media *m = &p->media[track];
  if (m->pending && now_ms - m->pending_ms > PRESENCE_CONFIRM_MS) confirm_hole(p, track);
}

static void media_frame(struct presence *p, int track, int64_t place_ms, int64_t duration_ms,
                        int64_t arrival_ms) {
  struct presence_media *m = &p->media[track];
  presence_expect(p, track, place_ms);
  confirm_if_due(p, track, arrival_ms);
  if (m->pending && place_ms < m->to_ms) fill_hole(p, track, place_ms, duration_ms);
  if (!p->held && place_ms - m->end_ms > PRESENCE_HOLE_MS) {
    if (m->pending) confirm_hole(p, track);
    m->pending = true;
    m->from_ms = m->end_ms;
    m->to_ms = place_ms;
    m->pending_ms = arrival_ms;
  } else if (!m->pending) {
    take_back(p, track, m->end_ms);
  }
  m->end_ms = larger(m->end_ms, place_ms + duration_ms);
  m->arrival_ms = larger(m->arrival_ms, arrival_ms);
}

/* The hole that still lasts, as of now. */
static bool hole_lasts(const struct presence *p, int track, int64_t now_ms) {
  const struct presence_media *m = &p->media[track];
  return m->expected && !m->pending && !p->held && now_ms - m->arrival_ms > PRESENCE_HOLE_MS;
}

static void media_hold(struct presence *p, int track, int64_t at_ms, bool on) {
  struct presence_media *m = &p->media[track];
  if (on) {
    if (m->pending) confirm_hole(p, track);
    if (hole_lasts(p, track, at_ms))
      tell(p, PRESENCE_NO_MEDIA, PRESENCE_ENDED, track, m->end_ms, at_ms, at_ms - m->end_ms);
    m->told = false;
  } else {
    m->end_ms = larger(m->end_ms, at_ms);
    m->arrival_ms = larger(m->arrival_ms, at_ms);
  }
}

static void media_tick(struct presence *p, int track, int64_t now_ms) {
  struct presence_media *m = &p->media[track];
  confirm_if_due(p, track, now_ms);
  if (!hole_lasts(p, track, now_ms)) return;
  m->told = true;
  tell(p, PRESENCE_NO_MEDIA, PRESENCE_BEGAN, track, m->end_ms, 0, now_ms - m->arrival_ms);
}

/* ---- one-way audio ---------------------------------------------------------------------------- */

static void way_reset(struct presence_way *w) {
  w->open = false;
  w->start_ms = -1;
  w->silent_ms = w->other_ms = w->active_ms = 0;
}

static void way_end(struct presence *p, int track, int64_t end_ms) {
  struct presence_way *w = &p->way[track];
  if (w->open) tell(p, PRESENCE_ONE_WAY, PRESENCE_ENDED, track, w->start_ms, end_ms, w->silent_ms);
  way_reset(w);
}

static void way_active(struct presence *p, int track, int64_t from_ms, int64_t length_ms) {
  struct presence_way *w = &p->way[track];
  int64_t limit_ms = w->open ? PRESENCE_CLEAR_MS : PRESENCE_BREAK_MS;
  int64_t missing_ms = limit_ms - w->active_ms;
  w->heard_ms = smaller(w->heard_ms + length_ms, PRESENCE_CLEAR_MS);
  w->active_ms += length_ms;
  if (length_ms >= missing_ms) way_end(p, track, from_ms + missing_ms);
}

static void way_silent(struct presence *p, int track, int64_t from_ms, int64_t length_ms, bool other_speaks) {
  struct presence_way *w = &p->way[track];
  if (w->start_ms < 0) w->start_ms = from_ms;
  int64_t need_ms = w->heard_ms < PRESENCE_CLEAR_MS ? PRESENCE_SILENT_MS : PRESENCE_SILENT_AGAIN_MS;
  int64_t missing_ms = need_ms - w->silent_ms, other_missing_ms = PRESENCE_OTHER_MS - w->other_ms;
  int64_t silent_before_ms = w->silent_ms;
  w->silent_ms += length_ms;
  if (other_speaks) w->other_ms += length_ms;
  if (w->open || length_ms < missing_ms || w->other_ms < PRESENCE_OTHER_MS) return;
  int64_t after_ms = larger(larger(missing_ms, other_missing_ms), 0);
  w->open = true;
  w->active_ms = 0;
  tell(p, PRESENCE_ONE_WAY, PRESENCE_BEGAN, track, w->start_ms, 0, silent_before_ms + after_ms);
}

/* ---- dead air --------------------------------------------------------------------------------- */

static void air_end(struct presence *p, int64_t end_ms) {
  if (p->air_open)
    tell(p, PRESENCE_DEAD_AIR, PRESENCE_ENDED, NO_TRACK, p->air_ms, end_ms, end_ms - p->air_ms);
  p->air_open = false;
  p->air_ms = -1;
}

static void air_silent(struct presence *p, int64_t from_ms, int64_t length_ms) {
  int64_t to_ms = from_ms + length_ms;
  int64_t both_ms = larger(p->media[0].expected_ms, p->media[1].expected_ms);
  if (p->air_ms < 0) p->air_ms = larger(from_ms, both_ms);
  if (p->air_open || to_ms - p->air_ms < PRESENCE_DEAD_AIR_MS) return;
  p->air_open = true;
  tell(p, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, NO_TRACK, p->air_ms, 0, PRESENCE_DEAD_AIR_MS);
}

/* ---- slots of both tracks --------------------------------------------------------------------- */

static unsigned marks_of(uint8_t slot, int track) {
  return slot >> (TRACK_BITS * track) & ((1u << TRACK_BITS) - 1);
}

/* Equal slots [from, to) of both tracks. */
static void take_run(struct presence *p, int64_t from, int64_t to, uint8_t slot) {
  int64_t from_ms = from * PRESENCE_SLOT_MS, length_ms = (to - from) * PRESENCE_SLOT_MS;
  if (p->slots_held) return;
  bool speech = false;
  for (int t = 0; t < PRESENCE_TRACKS; t++) {
    unsigned own = marks_of(slot, t), other = marks_of(slot, 1 - t);
    speech = speech || (own & SPEECH);
    if (own & (SPEECH | LOUD))
      way_active(p, t, from_ms, length_ms);
    else if ((own & QUIET) && (own & ARRIVED))
      way_silent(p, t, from_ms, length_ms, other & SPEECH);
  }
  if (speech || !p->media[0].expected || !p->media[1].expected)
    air_end(p, from_ms);
  else
    air_silent(p, from_ms, length_ms);
}

static void apply_hold(struct presence *p) {
  int64_t at_ms = p->cursor * PRESENCE_SLOT_MS;
  p->slots_held = p->hold[0].on;
  p->hold_count--;
  memmove(&p->hold[0], &p->hold[1], (size_t)p->hold_count * sizeof p->hold[0]);
  for (int t = 0; t < PRESENCE_TRACKS; t++) way_end(p, t, at_ms);
  air_end(p, at_ms);
}

/* Decides the slots before `to`; beyond the ring nothing is marked. */
static void decide(struct presence *p, int64_t to) {
  while (true) {
    while (p->hold_count > 0 && p->hold[0].slot <= p->cursor) apply_hold(p);
    if (p->cursor >= to) return;
    int64_t end = p->hold_count > 0 ? smaller(to, p->hold[0].slot) : to, run = p->cursor;
    uint8_t *first = &p->slots[run % PRESENCE_SLOTS], slot = *first;
    int64_t scanned = smaller(end, p->cursor + PRESENCE_SLOTS);
    for (; run < scanned && p->slots[run % PRESENCE_SLOTS] == slot; run++) p->slots[run % PRESENCE_SLOTS] = 0;
    if (run == p->cursor + PRESENCE_SLOTS && slot == 0) run = end;
    take_run(p, p->cursor, run, slot);
    p->cursor = run;
  }
}

static void decide_known(struct presence *p) {
  int64_t known = INT64_MAX;
  for (int t = 0; t < PRESENCE_TRACKS; t++) {
    known = smaller(known, p->speech_slot[t]);
    if (p->level_slot[t] > 0)
      known = smaller(known, p->level_slot[t]);
    else if (p->speech_slot[t] - p->first_slot[t] < PRESENCE_LAG_MS / PRESENCE_SLOT_MS)
      known = smaller(known, p->first_slot[t]); /* its first level is on its way */
  }
  decide(p, known);
}

static int64_t slot_of(int64_t ms) {
  return ms <= 0 ? 0 : (ms + PRESENCE_SLOT_MS / 2) / PRESENCE_SLOT_MS;
}

/* What the ring has no room for is not marked: nobody hears, or the track is far ahead of its decisions. */
static void mark(struct presence *p, int track, int64_t from, int64_t to, unsigned marks) {
  int64_t end = smaller(to, p->cursor + PRESENCE_SLOTS);
  for (int64_t i = larger(from, p->cursor); i < end; i++)
    p->slots[i % PRESENCE_SLOTS] |= (uint8_t)(marks << (TRACK_BITS * track));
}

void presence_speech(struct presence *p, int track, int64_t from_ms, int64_t to_ms, bool speech) {
  int64_t from = slot_of(from_ms), to = slot_of(to_ms);
  decide(p, to - PRESENCE_LAG_MS / PRESENCE_SLOT_MS);
  mark(p, track, from, to, speech ? SPEECH : 0);
  if (p->speech_slot[track] == 0) p->first_slot[track] = from;
  p->speech_slot[track] = larger(p->speech_slot[track], to);
  decide_known(p);
}

void presence_level(struct presence *p, int track, int64_t from_ms, int64_t to_ms, double level_dbov) {
  int64_t from = slot_of(from_ms), to = slot_of(to_ms);
  bool quiet = isnan(level_dbov) || level_dbov < PRESENCE_SILENT_DBOV;
  mark(p, track, from, to, quiet ? QUIET : LOUD);
  p->level_slot[track] = larger(p->level_slot[track], to);
  decide_known(p);
}

/* ---- what comes from outside ------------------------------------------------------------------ */

void presence_frame(struct presence *p, int track, int64_t place_ms, int64_t duration_ms,
                    int64_t arrival_ms) {
  media_frame(p, track, place_ms, duration_ms, arrival_ms);
  mark(p, track, slot_of(place_ms), slot_of(place_ms + duration_ms), ARRIVED);
}

void presence_hold(struct presence *p, int64_t at_ms, bool on) {
  if (p->held == on) return;
  for (int t = 0; t < PRESENCE_TRACKS; t++) media_hold(p, t, at_ms, on);
  p->held = on;
  if (p->hold_count == PRESENCE_HOLDS) decide(p, p->hold[0].slot);
  p->hold[p->hold_count].slot = slot_of(at_ms);
  p->hold[p->hold_count++].on = on;
}

void presence_tick(struct presence *p, int64_t now_ms) {
  for (int t = 0; t < PRESENCE_TRACKS; t++) media_tick(p, t, now_ms);
}

void presence_end(struct presence *p, int64_t end_ms) {
  decide(p, larger(p->speech_slot[0], p->speech_slot[1]));
  for (int t = 0; t < PRESENCE_TRACKS; t++) {
    const struct presence_way *w = &p->way[t];
    if (p->media[t].pending) confirm_hole(p, t);
    media_tick(p, t, end_ms);
    if (w->open) tell(p, PRESENCE_ONE_WAY, PRESENCE_BEGAN, t, w->start_ms, 0, w->silent_ms);
  }
  if (p->air_open)
    tell(p, PRESENCE_DEAD_AIR, PRESENCE_BEGAN, NO_TRACK, p->air_ms, 0,
         p->cursor * PRESENCE_SLOT_MS - p->air_ms);
}
