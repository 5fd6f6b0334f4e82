#include "dsp/speech.h"

#include <string.h>

#include "dsp/ipu.h"
#include "dsp/overlap.h"
#include "dsp/speech_facts.h"
#include "dsp/turns.h"

/* What decides, apart from what is decided, so that a copy of it can look ahead cheaply. */
struct engine {
  struct speech_parameters p;
  struct ipu_lane lanes[SPEECH_TRACKS];
  struct turns turns;
  int64_t covered_ms;                /* the end of what was decided, over both tracks */
  int64_t assumed_ms[SPEECH_TRACKS]; /* silence that nobody fed, up to here */
};

struct speech {
  struct engine engine;
  speech_observe_fn *observe;
  void *observe_arg;
  struct speech_facts facts; /* of what is decided */
};

const struct speech_parameters speech_defaults = {.bridge_ms = 200,
                                                  .discard_ms = 100,
                                                  .group_ms = 1000,
                                                  .turn_ms = 3000,
                                                  .backchannel_ms = 1000,
                                                  .before_ms = 1000,
                                                  .after_ms = 1000,
                                                  .simultaneous_ms = 200,
                                                  .transition_ms = 500,
                                                  .back_ms = 1000,
                                                  .dead_air_ms = 3000};

static const char *const event_names[] = {[SPEECH_BACKCHANNEL] = "backchannel",
                                          [SPEECH_SIMULTANEOUS_START] = "simultaneous_start",
                                          [SPEECH_OVERLAPPED_TRANSITION] = "overlapped_transition",
                                          [SPEECH_INTERRUPTION] = "interruption",
                                          [SPEECH_ATTEMPT] = "attempt"};
_Static_assert(sizeof event_names / sizeof event_names[0] == SPEECH_ATTEMPT + 1, "a name for each kind");

const char *speech_event_name(enum speech_event_kind kind) {
  return event_names[kind];
}

size_t speech_bytes(void) {
  return sizeof(struct speech);
}

void speech_init(struct speech *s, const struct speech_parameters *p) {
  memset(s, 0, sizeof *s);
  s->engine.p = *p;
  turns_init(&s->engine.turns);
}

void speech_set_observer(struct speech *s, speech_observe_fn *observe, void *arg) {
  s->observe = observe;
  s->observe_arg = arg;
}

/* The last decided IPU of a track is complete: its speech is added up by what became of it. */
static void retire_last(struct engine *e, int track, struct speech_facts *facts) {
  const struct ipu_lane *lane = &e->lanes[track];
  if (!lane->has_last) return;
  uint64_t speech_ms = lane->last.end_ms - lane->last.start_ms - lane->last_gap_ms;
  facts->talk_ms[track] += speech_ms;
  switch ((enum ipu_fate)lane->last_fate) {
    case IPU_TURN:
      facts->turn_speech_ms[track] += speech_ms;
      break;
    case IPU_BACKCHANNEL:
      facts->backchannel_ms[track] += speech_ms;
      break;
    case IPU_LOST:
      facts->lost_ms[track] += speech_ms;
      break;
    case IPU_ATTEMPT:
      facts->attempt_ms[track] += speech_ms;
      break;
    case IPU_UNDECIDED:
      break;
  }
}

/* The decided ones may have grown since the last look. */
static void follow_open(struct engine *e, const struct speech_sink *sink) {
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    const struct ipu_lane *lane = &e->lanes[t];
    if (!lane->has_last) continue;
    struct ipu_span last = ipu_last(lane);
    if (last.end_ms > e->covered_ms) e->covered_ms = last.end_ms;
    if (lane->last_fate != IPU_TURN) continue;
    turns_follow(&e->turns, t, last.end_ms);
    if (e->turns.owed && e->turns.owed_to == 1 - t && !last.open) turns_settle(&e->turns, sink);
  }
}

static void add_silence(struct engine *e, int64_t until_ms, struct speech_facts *facts) {
  int64_t length_ms = until_ms - e->covered_ms;
  if (length_ms <= 0) return;
  facts->silence_ms += (uint64_t)length_ms;
  if (length_ms >= e->p.dead_air_ms) {
    facts->dead_airs++;
    facts->dead_air_ms += (uint64_t)length_ms;
  }
  turns_silence(&e->turns, length_ms);
}

/* The oldest undecided IPU of `track` is decided, all but its place in the turns. */
static struct ipu_span commit(struct engine *e, int track, const struct ruling *ruling,
                              const struct speech_sink *sink) {
  struct ipu_lane *lane = &e->lanes[track];
  struct ipu_span z = ipu_at(lane, 0);
  add_silence(e, z.start_ms, sink->facts);
  if (!lane->has_last) sink->facts->first_speech_ms[track] = (uint64_t)z.start_ms;
  if (ruling->has_event) {
    speech_facts_event(sink->facts, ruling->event);
    speech_tell(sink, (struct speech_note){SPEECH_EVENT, .track = ruling->event.by, .event = ruling->event});
  }
  retire_last(e, track, sink->facts);
  ipu_decided(lane, ruling->fate);
  if (z.end_ms > e->covered_ms) e->covered_ms = z.end_ms;
  return z;
}

static bool decide(struct engine *e, int track, const struct speech_sink *sink) {
  struct ruling ruling = overlap_rule(e->lanes, &e->p, track);
  if (ruling.fate == IPU_UNDECIDED || (ruling.fate == IPU_TURN && e->turns.owed)) return false;
  struct ipu_span z = commit(e, track, &ruling, sink);
  if (ruling.fate == IPU_TURN) {
    const struct ipu_lane *other = &e->lanes[1 - track];
    bool other_open = other->last_fate == IPU_TURN && ipu_last(other).open;
    turns_take(&e->turns, &e->p, track, z.start_ms, z.end_ms, other_open, sink);
  }
  return true;
}

/* Two that start and end together, while neither track alone has the turn. */
static bool decide_equal(struct engine *e, const struct speech_sink *sink) {
  struct ruling ruling[SPEECH_TRACKS];
  struct ipu_span z = ipu_at(&e->lanes[0], 0);
  ruling[0] = overlap_rule(e->lanes, &e->p, 0);
  if (ruling[0].fate == IPU_UNDECIDED) return false;
  commit(e, 0, &ruling[0], sink);
  ruling[1] = overlap_rule(e->lanes, &e->p, 1);
  if (ruling[1].fate != IPU_UNDECIDED) commit(e, 1, &ruling[1], sink);
  if (ruling[0].fate == IPU_TURN && ruling[1].fate == IPU_TURN) {
    turns_take_both(&e->turns, &e->p, z.start_ms, z.end_ms, sink);
    return true;
  }
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    if (ruling[t].fate == IPU_TURN) turns_take(&e->turns, &e->p, t, z.start_ms, z.end_ms, false, sink);
  }
  return true;
}

/* Of two IPUs that start together; see dsp/turns.h. */
static bool decide_tied(struct engine *e, const struct speech_sink *sink) {
  if (e->turns.holder == HOLDER_0 || e->turns.holder == HOLDER_1) return decide(e, e->turns.holder, sink);
  struct ipu_span a = ipu_at(&e->lanes[0], 0), b = ipu_at(&e->lanes[1], 0);
  if ((a.open && a.end_ms <= b.end_ms) || (b.open && b.end_ms <= a.end_ms)) return false;
  if (a.end_ms == b.end_ms) return decide_equal(e, sink);
  return decide(e, a.end_ms < b.end_ms ? 0 : 1, sink);
}

/* Decides the IPU that starts first, if that can be done yet. */
static bool step(struct engine *e, const struct speech_sink *sink) {
  follow_open(e, sink);
  int64_t start_ms[SPEECH_TRACKS];
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    start_ms[t] = e->lanes[t].count ? ipu_at(&e->lanes[t], 0).start_ms : INT64_MAX;
  }
  if (start_ms[0] == INT64_MAX && start_ms[1] == INT64_MAX) return false;
  if (start_ms[0] == start_ms[1]) return decide_tied(e, sink);
  int track = start_ms[0] < start_ms[1] ? 0 : 1;
  if (e->lanes[1 - track].count == 0 && ipu_horizon(&e->lanes[1 - track]) <= start_ms[track]) return false;
  return decide(e, track, sink);
}

static void feed(struct engine *e, int track, int64_t from_ms, int64_t to_ms, bool speech,
                 const struct speech_sink *sink) {
  struct ipu closed;
  if (ipu_feed(&e->lanes[track], &e->p, from_ms, to_ms, speech, &closed)) {
    speech_tell(sink, (struct speech_note){SPEECH_IPU, .track = track, .start_ms = closed.start_ms,
                                           .end_ms = closed.end_ms});
  }
  while (step(e, sink)) continue;
}

/* The window of `track` is full. Mostly because the other track lags or never comes: it is taken as
 * silent for half the window. Else (no parameters near the defaults) what is oldest is decided as if
 * nothing came any more. */
static void make_room(struct engine *e, int track, const struct speech_sink *sink) {
  struct ipu_lane *other = &e->lanes[1 - track];
  int64_t until_ms = ipu_at(&e->lanes[track], IPU_WINDOW / 2).start_ms;
  if (other->known_ms < until_ms) {
    bool present = other->present;
    e->assumed_ms[1 - track] = until_ms;
    feed(e, 1 - track, other->known_ms, until_ms, false, sink);
    other->present = present;
  }
  while (e->lanes[track].count == IPU_WINDOW) {
    e->lanes[0].ended = e->lanes[1].ended = true;
    step(e, sink);
    e->lanes[0].ended = e->lanes[1].ended = false;
    sink->facts->forced_cuts++;
  }
}

void speech_feed(struct speech *s, int track, int64_t from_ms, int64_t to_ms, bool speech) {
  struct engine *e = &s->engine;
  struct speech_sink sink = {&s->facts, s->observe, s->observe_arg};
  if (speech && from_ms < e->assumed_ms[track]) {
    s->facts.forced_cuts++;
    e->assumed_ms[track] = 0;
  }
  feed(e, track, from_ms, to_ms, speech, &sink);
  if (e->lanes[track].count == IPU_WINDOW) make_room(e, track, &sink);
}

static void finish(struct engine *e, int64_t duration_ms, const struct speech_sink *sink) {
  struct speech_facts *facts = sink->facts;
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    if (duration_ms < e->lanes[t].known_ms) duration_ms = e->lanes[t].known_ms;
  }
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    struct ipu closed;
    facts->present[t] = e->lanes[t].present;
    if (ipu_end(&e->lanes[t], &closed)) {
      speech_tell(sink, (struct speech_note){SPEECH_IPU, .track = t, .start_ms = closed.start_ms,
                                             .end_ms = closed.end_ms});
    }
  }
  while (step(e, sink)) continue;
  turns_finish(&e->turns, sink);
  add_silence(e, duration_ms, facts);
  for (int t = 0; t < SPEECH_TRACKS; t++) retire_last(e, t, facts);
  facts->duration_ms = (uint64_t)duration_ms;
  /* What both cover is counted twice in the talk times. */
  facts->overlap_ms = facts->talk_ms[0] + facts->talk_ms[1] + facts->silence_ms - facts->duration_ms;
}

void speech_facts(const struct speech *s, int64_t duration_ms, struct speech_facts *out) {
  struct engine ahead = s->engine;
  *out = s->facts;
  finish(&ahead, duration_ms, &(struct speech_sink){.facts = out});
}

void speech_finish(struct speech *s, int64_t duration_ms, struct speech_facts *out) {
  finish(&s->engine, duration_ms, &(struct speech_sink){&s->facts, s->observe, s->observe_arg});
  *out = s->facts;
}
