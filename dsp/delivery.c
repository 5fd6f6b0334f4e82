#include "dsp/delivery.h"

#include <string.h>

#include "dsp/burst.h"
#include "dsp/delivery_facts.h"
#include "dsp/jitter.h"
#include "dsp/ledger.h"
#include "dsp/pdv.h"
#include "dsp/playout.h"
#include "dsp/recovery.h"
#include "dsp/skew.h"
#include "dsp/timeline.h"
#include "dsp/windows.h"

enum { DEFAULT_PTIME_US = 20000, BIG_GAP_FRAMES = 250 };

/* Of a frame's ledger note. */
enum note_flag { NOTE_HAS_JITTER = 1, NOTE_DISCARDED = 2, NOTE_UPSTREAM_BAD = 4, NOTE_CODED = 8 };

struct state {
  uint32_t ptime_us;
  const struct codec *codec;
  uint32_t last_ptime_us;     /* in force when `last` came */
  bool has_last;              /* some frame came */
  struct timeline_point last; /* the highest frame of the segment */
  int64_t feed_us;            /* place of the next number the ledger hands back, if it is missing */
  int64_t stall_us;           /* before the frame at hand */
  uint64_t read_ordinal, read_frames;
  struct delivery_input held; /* the frame of the number the ledger has set aside */
  struct recovery recovery;
  struct ledger ledger;
  struct jitter jitter;
  struct pdv pdv;
  struct skew skew;
  struct playout playout;
  struct burst burst[DELIVERY_CONSUMERS];
  struct windows windows;
};

/* delivery_facts() ends a copy of `state` and leaves this one as it is. What the parts of `state` count
 * themselves is in `facts` only after that. */
struct delivery {
  struct state state;
  struct delivery_facts facts; /* last: its unused windows are never touched */
};

size_t delivery_bytes(void) {
  return sizeof(struct delivery);
}

void delivery_init(struct delivery *d) {
  struct state *s = &d->state;
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

static void settle_run(struct state *s, struct delivery_facts *f, const struct ledger_run *run) {
  const struct ledger_note *note = &run->note;
  bool discarded = note->flags & NOTE_DISCARDED, upstream = note->flags & NOTE_UPSTREAM_BAD;
  bool playout_bad = run->missing || discarded || note->concealed_frames > 0 || upstream;
  /* To a reader of the stream as it comes, a frame the ledger gave up is bad (3.9), but its sound came. */
  bool asr_bad = run->missing || run->late || upstream;
  uint32_t playout_lost = note->concealed_frames > 0 ? note->concealed_frames : playout_bad;
  struct window_frame frame = {
      .missing = run->missing,
      .bad = {[CONSUMER_PLAYOUT] = playout_bad, [CONSUMER_ASR_STREAM] = asr_bad},
      .lost = {[CONSUMER_PLAYOUT] = playout_lost, [CONSUMER_ASR_STREAM] = run->missing || upstream},
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

static void settle_before(struct state *s, struct delivery_facts *f, uint64_t number) {
  struct ledger_run run;
  while (ledger_pop(&s->ledger, number, false, &run)) settle_run(s, f, &run);
}

static void settle_all(struct state *s, struct delivery_facts *f) {
  struct ledger_run run;
  while (ledger_pop(&s->ledger, 0, true, &run)) settle_run(s, f, &run);
}

/* ---- the parts of one frame ---- */

static void count_read(struct state *s, struct delivery_facts *f, const struct delivery_input *in) {
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

static void bank_skew(const struct state *s, struct delivery_facts *f) {
  if (!s->skew.known) return;
  f->skew_ppm_us += s->skew.ppm * (double)s->skew.span_us;
  f->skew_us += (uint64_t)s->skew.span_us;
}

/* Transits before and after cannot be compared. */
static void forget_transits(struct state *s, struct delivery_facts *f) {
  bank_skew(s, f);
  jitter_unanchor(&s->jitter);
  pdv_reset(&s->pdv);
  skew_reset(&s->skew);
}

static int64_t measure_lateness(struct state *s, struct delivery_facts *f, const struct delivery_input *in) {
  if (in->self_delayed) return pdv_peek(&s->pdv, in->arrival_us, in->media_us);
  int64_t late_us = pdv_add(&s->pdv, in->arrival_us, in->media_us);
  f->pdv[pdv_bucket(late_us)]++;
  if ((uint64_t)late_us > f->pdv_max_us) f->pdv_max_us = (uint64_t)late_us;
  return late_us;
}

/* What all frames do that are of use: lateness, emulated playout, the note for their turn. */
static void take_sound(struct state *s, struct delivery_facts *f, const struct delivery_input *in,
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
static void take_late(struct state *s, const struct delivery_input *in, int64_t place_us) {
  playout_add_late(&s->playout, pdv_peek(&s->pdv, in->arrival_us, in->media_us));
  struct ledger_note *note = ledger_note(&s->ledger, in->number);
  if (note != NULL) {
    *note = (struct ledger_note){
        .place_us = place_us, .playout_delay_us = (uint32_t)s->playout.delay_us, .flags = NOTE_DISCARDED};
  } else {
    windows_found(&s->windows, place_us);
  }
}

static void count_received(struct state *s, struct delivery_facts *f, const struct delivery_input *in,
                           int64_t place_us) {
  int64_t end_us = place_us + in->duration_us;
  if (end_us > f->end_us) f->end_us = end_us;
  if (in->sid) {
    f->sid_frames++;
    f->sid_us += s->ptime_us;
  }
}

static int64_t place_by_neighbour(struct state *s, uint64_t number) {
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
static int64_t begin_segment(struct state *s, struct delivery_facts *f, const struct delivery_input *in) {
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

static int64_t follow_last(struct state *s, struct delivery_facts *f, const struct delivery_input *in,
                           uint64_t hole) {
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

static void fit_skew(struct state *s, struct delivery_facts *f, const struct delivery_input *in) {
  if (!skew_add(&s->skew, in->arrival_us, in->media_us)) return;
  pdv_set_skew(&s->pdv, in->arrival_us, s->skew.ppm);
  if (s->skew.ppm >= SKEW_SUSPECT_PPM || s->skew.ppm <= -SKEW_SUSPECT_PPM) f->media_clock_suspect = 1;
}

static struct delivery_result take_in_order(struct state *s, struct delivery_facts *f,
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

static struct delivery_result take_other(struct state *s, struct delivery_facts *f,
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

static struct delivery_result take(struct state *s, struct delivery_facts *f,
                                   const struct delivery_input *in) {
  if (!s->ledger.open || ledger_is_next(&s->ledger, in->number)) return take_in_order(s, f, in);
  return take_other(s, f, in);
}

static void open_segment(struct state *s, struct delivery_facts *f) {
  settle_all(s, f);
  ledger_open(&s->ledger);
  forget_transits(s, f);
}

static void resolve_held(struct state *s, struct delivery_facts *f, enum ledger_held held) {
  if (held != HELD_LATE) return;
  int64_t place_us = place_by_neighbour(s, s->held.number);
  take_late(s, &s->held, place_us);
  count_received(s, f, &s->held, place_us);
}

void delivery_begin(struct delivery *d, const struct codec *codec, uint32_t ptime_us) {
  struct state *s = &d->state;
  resolve_held(s, &d->facts, ledger_give_up(&s->ledger, 0, true));
  if (s->ledger.open) open_segment(s, &d->facts);
  s->ptime_us = ptime_us > 0 ? ptime_us : DEFAULT_PTIME_US;
  s->codec = codec;
  s->windows.ptime_us = s->ptime_us;
  playout_set_ptime(&s->playout, s->ptime_us);
}

struct delivery_result delivery_frame(struct delivery *d, const struct delivery_input *in) {
  struct state *s = &d->state;
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

/* After a change of frame length a frame stands for their mean. */
static uint64_t length_us(const struct delivery_facts *f, uint64_t frames) {
  if (f->expected_frames == 0) return 0;
  return (uint64_t)((double)frames * ((double)f->expected_us / (double)f->expected_frames) + 0.5);
}

static void collect_bursts(const struct state *s, struct delivery_facts *f) {
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) {
    struct burst b = s->burst[i];
    burst_finish(&b);
    f->bad_frames[i] = b.bad;
    f->bad_runs[i] = b.runs;
    f->longest_run[i] = b.longest_run;
    f->burst_count[i] = b.bursts;
    f->burst_frames[i] = b.burst_frames;
    f->burst_bad[i] = b.burst_bad;
    f->gap_count[i] = b.gaps;
    f->gap_frames[i] = b.gap_frames;
    f->gap_bad[i] = b.gap_bad;
    f->burst_us[i] = length_us(f, b.burst_frames);
    f->gap_us[i] = length_us(f, b.gap_frames);
    f->since_burst_us[i] = length_us(f, b.frames - b.last_burst_end);
  }
}

static void collect(const struct state *s, struct delivery_facts *f) {
  f->expected_frames = ledger_expected(&s->ledger);
  f->received_frames = s->ledger.received;
  f->duplicate_frames = s->ledger.duplicates;
  f->reordered_frames = s->ledger.reordered;
  f->max_reorder_frames = s->ledger.max_reorder;
  f->late_frames = s->ledger.late;
  f->restarts = s->ledger.restarts;
  f->outliers = s->ledger.outliers;
  f->numbering_jumps = s->ledger.numbering_jumps;
  f->ptime_us = s->ptime_us;
  f->discarded_f60 = s->playout.fixed_discarded[0];
  f->discarded_f120 = s->playout.fixed_discarded[1];
  f->discarded_f200 = s->playout.fixed_discarded[2];
  f->discarded_adaptive = s->playout.discarded;
  f->concealed_frames = s->playout.concealed;
  f->playout_count = s->playout.count;
  f->playout_sum_us = s->playout.delay_sum_us;
  f->recovery_count = s->recovery.count;
  f->recovery_sum_us = s->recovery.sum_us;
  f->recovery_max_us = s->recovery.max_us;
  f->recovery_open = s->recovery.waiting_count;
  f->jitter_count = s->jitter.count;
  f->jitter_last_ms = s->jitter.j_ms;
  f->jitter_max_ms = s->jitter.max_ms;
  f->jitter_sum_ms = s->jitter.sum_ms;
  f->ipdv_abs_sum_ms = s->jitter.abs_d_sum_ms;
  collect_bursts(s, f);
}

void delivery_facts(const struct delivery *d, struct delivery_facts *out) {
  struct state s = d->state;
  delivery_facts_copy(out, &d->facts);
  resolve_held(&s, out, ledger_give_up(&s.ledger, 0, true));
  settle_all(&s, out);
  recovery_finish(&s.recovery);
  windows_finish(&s.windows, out);
  bank_skew(&s, out);
  collect(&s, out);
}

double delivery_newest_r(const struct delivery *d, const struct delivery_view *view) {
  return windows_newest_r(&d->state.windows, view);
}

bool delivery_newest_window(const struct delivery *d, const struct delivery_view *view,
                            struct delivery_newest *out) {
  const struct windows *w = &d->state.windows;
  const struct window_counts *c = &w->previous;
  if (!w->has_previous || c->expected_us < WINDOW_EXPECTED_MIN_US) return false;
  out->start_us = c->index * WINDOW_US;
  out->r = windows_newest_r(w, view);
  out->ppl_pct = 100.0 * (double)c->lost[view->consumer] / (double)c->expected_frames;
  if (out->ppl_pct > 100) out->ppl_pct = 100;
  return true;
}

void delivery_inserted_silence(struct delivery *d, int64_t start_us, uint64_t frames) {
  windows_spoil(&d->state.windows, start_us, frames);
}
