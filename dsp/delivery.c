#include "dsp/delivery.h"

#include <string.h>

#include "dsp/delivery_state.h"

enum { DEFAULT_PTIME_US = 20000, BIG_GAP_FRAMES = 250 };

/* Of a frame's ledger note. */
enum note_flag {
  NOTE_HAS_JITTER = 1,
  NOTE_DISCARDED = 2,
  NOTE_UPSTREAM_BAD = 4,
  NOTE_CODED = 8,
  NOTE_INSERTED_SILENCE = 16
};

/* delivery_facts() ends a copy of `state` and leaves this one as it is. What the parts of `state` count
 * themselves is in `facts` only after that. */
struct delivery {
  struct delivery_state state;
  struct delivery_facts facts; /* last: its unused windows are never touched */
};

size_t delivery_bytes(void) {
  return sizeof(struct delivery);
}

void delivery_init(struct delivery *d) {
  struct delivery_state *s = &d->state;
  memset(s, 0, sizeof(*s));
  delivery_facts_clear(&d->facts);
  s->ptime_us = DEFAULT_PTIME_US;
  ledger_init(&s->ledger);
  pdv_init(&s->pdv, PDV_WINDOW_US);
  playout_init(&s->playout, s->ptime_us, PLAYOUT_START_US);
  recovery_init(&s->recovery, PLAYOUT_START_US);
  windows_init(&s->windows);
  s->windows.ptime_us = s->ptime_us;
}

/* ---- what is handed back in order of numbers ---- */

/* A frame is counted once (3.6): what is upstream bad is no inserted silence, and what playout discards is
 * none to playout. */
static bool settle_silence(struct delivery_facts *f, const struct ledger_note *note, bool discarded) {
  bool silence = note->flags & NOTE_INSERTED_SILENCE && !(note->flags & NOTE_UPSTREAM_BAD);
  f->inserted_silence_frames += silence;
  f->inserted_silence_discarded += silence && discarded;
  return silence;
}

static void settle_run(struct delivery_state *s, struct delivery_facts *f, const struct ledger_run *run) {
  const struct ledger_note *note = &run->note;
  bool discarded = note->flags & NOTE_DISCARDED || note->concealed_frames > 0;
  bool spoilt = settle_silence(f, note, discarded) || note->flags & NOTE_UPSTREAM_BAD;
  bool playout_bad = run->missing || discarded || spoilt;
  /* To a reader of the stream as it comes, a frame the ledger gave up is bad (3.9), but its sound came. */
  bool asr_bad = run->missing || run->late || spoilt;
  uint32_t playout_lost = note->concealed_frames > 0 ? note->concealed_frames : playout_bad;
  struct window_frame frame = {
      .missing = run->missing,
      .bad = {[CONSUMER_PLAYOUT] = playout_bad, [CONSUMER_ASR_STREAM] = asr_bad},
      .lost = {[CONSUMER_PLAYOUT] = playout_lost, [CONSUMER_ASR_STREAM] = run->missing || spoilt},
      .has_jitter = note->flags & NOTE_HAS_JITTER,
      .jitter_ms = note->jitter_ms,
      .codec = note->flags & NOTE_CODED ? s->codec : NULL,
      .mode = note->mode,
      .duration_us = note->duration_us,
      .payload_bytes = note->payload_bytes,
  };
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) burst_add(&s->burst[i], frame.bad[i], run->count);
  int64_t place_us = run->missing ? s->feed_us : note->place_us;
  windows_add(&s->windows, f, place_us, &frame, run->count);
  int64_t delay_us = run->missing ? s->recovery.delay_us : note->playout_delay_us;
  recovery_add(&s->recovery, playout_bad, run->count, place_us, s->ptime_us, delay_us);
  f->expected_us += run->count * s->ptime_us;
  s->feed_us = place_us + (int64_t)run->count * s->ptime_us;
}

static void settle_before(struct delivery_state *s, struct delivery_facts *f, uint64_t number) {
  struct ledger_run run;
  while (ledger_pop(&s->ledger, number, false, &run)) settle_run(s, f, &run);
}

static void settle_all(struct delivery_state *s, struct delivery_facts *f) {
  struct ledger_run run;
  while (ledger_pop(&s->ledger, 0, true, &run)) settle_run(s, f, &run);
}

/* ---- the parts of one frame ---- */

static void count_read(struct delivery_state *s, struct delivery_facts *f, const struct delivery_input *in) {
  if (in->self_delayed) {
    f->self_delayed_frames++;
    return;
  }
  if (f->reads == 0 || in->read_ordinal != s->read_ordinal) {
    s->read_ordinal = in->read_ordinal;
    s->read_frames = 0;
    f->reads++;
  }
  f->read_frames++;
  if (++s->read_frames == 2) f->reads_of_many++;
}

static void bank_skew(const struct delivery_state *s, struct delivery_facts *f) {
  if (!s->skew.known) return;
  f->skew_ppm_us += s->skew.ppm * (double)s->skew.span_us;
  f->skew_us += (uint64_t)s->skew.span_us;
}

/* Transits before and after cannot be compared. */
static void forget_transits(struct delivery_state *s, struct delivery_facts *f) {
  bank_skew(s, f);
  jitter_unanchor(&s->jitter);
  pdv_reset(&s->pdv);
  skew_reset(&s->skew);
}

static int64_t measure_lateness(struct delivery_state *s, struct delivery_facts *f,
                                const struct delivery_input *in) {
  if (in->self_delayed) return pdv_peek(&s->pdv, in->arrival_us, in->media_us);
  int64_t late_us = pdv_add(&s->pdv, in->arrival_us, in->media_us);
  f->pdv[pdv_bucket(late_us)]++;
  if ((uint64_t)late_us > f->pdv_max_us) f->pdv_max_us = (uint64_t)late_us;
  return late_us;
}

/* What all frames do that are of use: lateness, emulated playout, the note for their turn. */
static void take_sound(struct delivery_state *s, struct delivery_facts *f, const struct delivery_input *in,
                       int64_t place_us, uint8_t flags) {
  int64_t late_us = measure_lateness(s, f, in);
  struct playout_outcome outcome = playout_add(&s->playout, late_us);
  bool bad = outcome.discarded || outcome.concealed_frames > 0;
  if (outcome.discarded) flags |= NOTE_DISCARDED;
  if (in->upstream_bad) {
    flags |= NOTE_UPSTREAM_BAD;
    f->upstream_bad_frames++;
    f->upstream_bad_counted += !bad;
  }
  if (s->codec != NULL && (in->coded || !s->codec->has_modes)) {
    flags |= NOTE_CODED;
    f->active_us += in->duration_us;
    f->active_bytes += in->payload_bytes;
  }
  struct ledger_note *note = ledger_note(&s->ledger, in->number);
  if (note == NULL) return;
  *note = (struct ledger_note){
      .place_us = place_us,
      .jitter_ms = s->jitter.j_ms,
      .playout_delay_us = (uint32_t)s->playout.delay_us,
      .duration_us = in->duration_us,
      .concealed_frames = (uint16_t)outcome.concealed_frames,
      .payload_bytes = (uint16_t)(in->payload_bytes < UINT16_MAX ? in->payload_bytes : UINT16_MAX),
      .flags = flags,
      .mode = in->mode};
}

/* The sound of a frame whose number was declared missing before. */
static void take_late(struct delivery_state *s, const struct delivery_input *in, int64_t place_us) {
  playout_add_late(&s->playout, pdv_peek(&s->pdv, in->arrival_us, in->media_us));
  struct ledger_note *note = ledger_note(&s->ledger, in->number);
  if (note != NULL) {
    *note = (struct ledger_note){
        .place_us = place_us, .playout_delay_us = (uint32_t)s->playout.delay_us, .flags = NOTE_DISCARDED};
  } else {
    windows_found(&s->windows, place_us);
  }
}

static void count_received(struct delivery_state *s, struct delivery_facts *f,
                           const struct delivery_input *in, int64_t place_us) {
  int64_t end_us = place_us + in->duration_us;
  if (end_us > f->end_us) f->end_us = end_us;
  if (in->sid) {
    f->sid_frames++;
    f->sid_us += s->ptime_us;
  }
}

static int64_t place_by_neighbour(struct delivery_state *s, uint64_t number) {
  int64_t distance = 0;
  const struct ledger_note *note = ledger_neighbour(&s->ledger, number, &distance);
  if (note == NULL) return s->feed_us;
  /* Further than the ledger remembers is no place at all; it only must not overflow. */
  if (distance > LEDGER_MEMORY) distance = LEDGER_MEMORY;
  if (distance < -LEDGER_MEMORY) distance = -LEDGER_MEMORY;
  int64_t place_us = note->place_us + distance * (int64_t)s->ptime_us;
  return place_us > 0 ? place_us : 0;
}

/* ---- the ways a frame can go ---- */

/* The first of a segment: right behind the one before, or after the silence of an outage. */
static int64_t begin_segment(struct delivery_state *s, struct delivery_facts *f,
                             const struct delivery_input *in) {
  if (!s->has_last) return 0;
  int64_t length_us = s->last_ptime_us;
  int64_t place_us = s->last.place_us + length_us;
  int64_t hole_us = in->arrival_us - s->last.arrival_us - length_us;
  if (hole_us > length_us) {
    f->outage_us += (uint64_t)hole_us;
    place_us += hole_us;
  }
  return place_us;
}

static int64_t follow_last(struct delivery_state *s, struct delivery_facts *f,
                           const struct delivery_input *in, uint64_t hole) {
  struct timeline_step step = timeline_step(&s->last, in->media_us, in->arrival_us, hole, s->ptime_us);
  if (step.numbering_jump) {
    ledger_numbering_jump(&s->ledger, in->number);
  } else if (hole > BIG_GAP_FRAMES) {
    f->big_gaps++;
  }
  if (step.discontinuity) forget_transits(s, f);
  f->clock_jumps += step.clock_jump;
  f->media_pause_us += (uint64_t)step.pause_us;
  if (step.stall_us > 0 && !in->self_delayed) {
    s->stall_us = step.stall_us;
    f->stall_count++;
    f->stall_total_us += (uint64_t)step.stall_us;
    if ((uint64_t)step.stall_us > f->stall_longest_us) f->stall_longest_us = (uint64_t)step.stall_us;
  }
  return step.place_us;
}

static void fit_skew(struct delivery_state *s, struct delivery_facts *f, const struct delivery_input *in) {
  if (!skew_add(&s->skew, in->arrival_us, in->media_us)) return;
  pdv_set_skew(&s->pdv, in->arrival_us, s->skew.ppm);
  if (s->skew.ppm >= SKEW_SUSPECT_PPM || s->skew.ppm <= -SKEW_SUSPECT_PPM) f->media_clock_suspect = 1;
}

static struct delivery_result take_in_order(struct delivery_state *s, struct delivery_facts *f,
                                            const struct delivery_input *in) {
  bool first = !s->ledger.open;
  int64_t place_us =
      first ? begin_segment(s, f, in) : follow_last(s, f, in, ledger_hole(&s->ledger, in->number));
  settle_before(s, f, in->number);
  ledger_add(&s->ledger, in->number, in->arrival_us);
  if (first) s->feed_us = place_us;

  uint8_t flags = 0;
  if (!in->self_delayed) {
    if (jitter_add(&s->jitter, in->arrival_us, in->media_us)) flags = NOTE_HAS_JITTER;
    fit_skew(s, f, in);
  }
  take_sound(s, f, in, place_us, flags);
  count_received(s, f, in, place_us);
  s->has_last = true;
  s->last_ptime_us = s->ptime_us;
  s->last = (struct timeline_point){in->media_us, in->arrival_us, place_us};
  return (struct delivery_result){.verdict = DELIVERY_OK, .place_us = place_us};
}

static struct delivery_result take_other(struct delivery_state *s, struct delivery_facts *f,
                                         const struct delivery_input *in) {
  struct delivery_result result = {.place_us = place_by_neighbour(s, in->number)};
  switch (ledger_add(&s->ledger, in->number, in->arrival_us)) {
    case LEDGER_NEW: /* taken in order before */
    case LEDGER_DUPLICATE:
      result.verdict = DELIVERY_DUPLICATE;
      break;
    case LEDGER_HELD:
      result.verdict = DELIVERY_OUTLIER;
      s->held = *in;
      break;
    case LEDGER_LATE:
      result.verdict = DELIVERY_LATE;
      take_late(s, in, result.place_us);
      count_received(s, f, in, result.place_us);
      break;
    case LEDGER_REORDERED:
      result.verdict = DELIVERY_REORDERED;
      take_sound(s, f, in, result.place_us, 0);
      count_received(s, f, in, result.place_us);
      break;
  }
  return result;
}

static struct delivery_result take(struct delivery_state *s, struct delivery_facts *f,
                                   const struct delivery_input *in) {
  if (!s->ledger.open || ledger_is_next(&s->ledger, in->number)) return take_in_order(s, f, in);
  return take_other(s, f, in);
}

static void open_segment(struct delivery_state *s, struct delivery_facts *f) {
  settle_all(s, f);
  ledger_open(&s->ledger);
  forget_transits(s, f);
}

static void resolve_held(struct delivery_state *s, struct delivery_facts *f, enum ledger_held held) {
  if (held != HELD_LATE) return;
  int64_t place_us = place_by_neighbour(s, s->held.number);
  take_late(s, &s->held, place_us);
  count_received(s, f, &s->held, place_us);
}

void delivery_begin(struct delivery *d, const struct codec *codec, uint32_t ptime_us) {
  struct delivery_state *s = &d->state;
  resolve_held(s, &d->facts, ledger_give_up(&s->ledger, 0, true));
  if (s->ledger.open) open_segment(s, &d->facts);
  s->ptime_us = ptime_us > 0 ? ptime_us : DEFAULT_PTIME_US;
  s->codec = codec;
  s->windows.ptime_us = s->ptime_us;
  playout_set_ptime(&s->playout, s->ptime_us);
}

struct delivery_result delivery_frame(struct delivery *d, const struct delivery_input *in) {
  struct delivery_state *s = &d->state;
  s->stall_us = 0;
  count_read(s, &d->facts, in);
  enum ledger_held held = ledger_settle(&s->ledger, in->number, in->arrival_us);
  if (held == HELD_RESTART) {
    open_segment(s, &d->facts);
    take(s, &d->facts, &s->held);
  } else {
    resolve_held(s, &d->facts, held);
  }
  struct delivery_result result = take(s, &d->facts, in);
  result.restarted = held == HELD_RESTART;
  result.stall_us = s->stall_us;
  return result;
}

void delivery_tick(struct delivery *d, int64_t now_us) {
  resolve_held(&d->state, &d->facts, ledger_give_up(&d->state.ledger, now_us, false));
}

/* ---- facts ---- */

void delivery_facts(const struct delivery *d, struct delivery_facts *out) {
  struct delivery_state s = d->state;
  delivery_facts_copy(out, &d->facts);
  resolve_held(&s, out, ledger_give_up(&s.ledger, 0, true));
  settle_all(&s, out);
  recovery_finish(&s.recovery);
  windows_finish(&s.windows, out);
  bank_skew(&s, out);
  delivery_collect(&s, out);
}

double delivery_newest_r(const struct delivery *d, const struct delivery_view *view) {
  return windows_newest_r(&d->state.windows, view);
}

bool delivery_next_rating(const struct delivery *d, enum quality_consumer consumer, bool plc,
                          int64_t after_us, struct delivery_rating *out) {
  const struct windows *w = &d->state.windows;
  if (delivery_facts_next_rating(&d->facts, consumer, plc, after_us, out)) return true;
  int64_t start_us = w->previous.index * WINDOW_US;
  if (!w->has_previous || start_us <= after_us || w->previous.expected_us < WINDOW_EXPECTED_MIN_US)
    return false;
  const struct delivery_view view = {.plc = plc, .consumer = consumer};
  out->start_us = start_us;
  out->r = windows_newest_r(w, &view);
  out->ppl_pct = window_ppl_pct(w->previous.lost[consumer], w->previous.expected_frames);
  return true;
}

void delivery_inserted_silence(struct delivery *d, int64_t start_us, int64_t end_us) {
  const int64_t ptime_us = d->state.ptime_us;
  for (uint64_t back = 0; back <= LEDGER_DEPTH; back++) {
    struct ledger_note *note = ledger_note_back(&d->state.ledger, back);
    if (note == NULL || note->duration_us == 0) continue; /* a late one's sound was not heard */
    /* Of a payload longer than its place the rest lies in the places of others. */
    int64_t length_us = note->duration_us < ptime_us ? note->duration_us : ptime_us;
    int64_t first_us = note->place_us, last_us = note->place_us + length_us;
    int64_t from_us = start_us > first_us ? start_us : first_us, to_us = end_us < last_us ? end_us : last_us;
    if (2 * (to_us - from_us) >= length_us) note->flags |= NOTE_INSERTED_SILENCE;
  }
}

bool delivery_leaps(const struct delivery *d, uint64_t number) {
  const struct ledger *l = &d->state.ledger;
  return l->holding || ledger_hole(l, number) >= LEDGER_DEPTH / 2;
}
