#include "dsp/windows.h"

#include <math.h>
#include <string.h>

#include "dsp/burst.h"
#include "dsp/emodel.h"

void windows_init(struct windows *w) {
  memset(w, 0, sizeof(*w));
}

double window_ppl_pct(uint64_t lost, uint64_t expected_frames) {
  return fmin(100.0, 100.0 * (double)lost / (double)expected_frames);
}

/* R begins at 0: of long bursts the formula goes down to -400, where no MOS tells it from 0 (1.1); in a mean over
 * windows (3.10) it would outweigh minutes without a fault, and half a window lost would be worse than all. */
bool window_rating(const struct window_counts *c, enum quality_consumer consumer, bool plc,
                   struct coded_rating *out) {
  if (c->expected_frames == 0) return false;
  double ppl_pct = window_ppl_pct(c->lost[consumer], c->expected_frames);
  double bursts = burst_ratio(c->expected_frames, c->bad[consumer], c->runs[consumer]);
  if (!coded_rate(&c->coded, ppl_pct, bursts, plc, out)) return false;
  if (out->r < 0) out->r = 0;
  return true;
}

/* What the codec costs without loss is the same for every consumer. */
static void add_coding(struct delivery_facts *facts, const struct coded_rating *rating, uint64_t weight_us) {
  facts->clean_r_sum += rating->clean * (double)weight_us;
  facts->clean_r_us += weight_us;
  for (int i = 0; i < MOS_SCALES; i++)
    facts->coded_us[i] += (uint64_t)(rating->share[i] * (double)weight_us + 0.5);
  if ((uint64_t)rating->basis > facts->ie_basis) facts->ie_basis = rating->basis;
  if (rating->diotic) facts->diotic = 1;
}

static bool rates_alike(const struct window_counts *a, const struct window_counts *b) {
  return a->expected_frames == b->expected_frames && memcmp(a->lost, b->lost, sizeof a->lost) == 0 &&
         memcmp(a->bad, b->bad, sizeof a->bad) == 0 && memcmp(a->runs, b->runs, sizeof a->runs) == 0;
}

static void remember(struct window_memo *memo, const struct window_counts *c) {
  for (int i = 0; i < DELIVERY_MODELS; i++) {
    enum quality_consumer consumer = (enum quality_consumer)(i / 2);
    memo->rated[i] = window_rating(c, consumer, i % 2, &memo->rating[i]);
  }
  memo->of = *c;
  memo->known = true;
}

static void rate(const struct window_memo *memo, const struct window_counts *c,
                 struct delivery_window *window, struct delivery_facts *facts) {
  for (int i = 0; i < DELIVERY_MODELS; i++) {
    enum quality_consumer consumer = (enum quality_consumer)(i / 2);
    bool plc = i % 2;
    size_t model = delivery_model(consumer, plc);
    struct coded_rating rating = memo->rating[i];
    window->r[model] = DELIVERY_R_ABSENT;
    if (c->coded.count == 0) continue; /* silence from the start on: no word on its coding yet */
    if (!memo->rated[i]) {
      facts->unrated_us[model] += c->expected_us;
      continue;
    }
    if (i == 0) add_coding(facts, &rating, c->expected_us);
    if (rating.bpl > 0) {
      facts->bpl_sum[model] += rating.bpl * (double)c->expected_us;
      facts->bpl_us[model] += c->expected_us;
    }
    facts->out_of_range[model] += rating.out_of_range;
    if (rating.no_bpl)
      facts->no_bpl_us[model] += c->expected_us;
    else
      window->r[model] = rating.r;
  }
}

/* A window in which nothing came to be looked at is coded as the one before. */
static void hand_on(struct windows *w, struct window_counts *c, struct delivery_facts *facts) {
  bool own = c->coded.count > 0;
  if (own)
    w->newest = c->coded;
  else
    c->coded = w->newest;
  if (own || !w->memo.known || !rates_alike(&w->memo.of, c)) remember(&w->memo, c);
  struct delivery_window window = {.start_us = c->index * WINDOW_US,
                                   .weight_us = c->expected_us,
                                   .expected_frames = c->expected_frames,
                                   .missing_frames = c->missing_frames,
                                   .jitter_count = c->jitter_count,
                                   .jitter_sum_ms = c->jitter_sum_ms};
  memcpy(window.lost_frames, c->lost, sizeof window.lost_frames);
  rate(&w->memo, c, &window, facts);
  delivery_add_window(facts, &window, WINDOW_US);
}

static void open_window(struct windows *w, struct delivery_facts *facts, int64_t index) {
  if (w->has_current && w->current.index >= index) return;
  if (w->has_current) {
    if (w->has_previous) hand_on(w, &w->previous, facts);
    w->previous = w->current;
    w->has_previous = true;
  }
  w->has_current = true;
  w->current = (struct window_counts){.index = index};
  /* A run of bad frames that goes on is counted in each window: a window stands for itself. */
  memset(w->bad_before, 0, sizeof(w->bad_before));
}

static void count(struct windows *w, const struct window_frame *frame, uint64_t n) {
  struct window_counts *c = &w->current;
  c->expected_frames += n;
  c->expected_us += n * w->ptime_us;
  if (frame->missing) c->missing_frames += n;
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) {
    c->lost[i] += n * frame->lost[i];
    if (frame->bad[i]) {
      c->bad[i] += n;
      c->runs[i] += !w->bad_before[i];
    }
    w->bad_before[i] = frame->bad[i];
  }
  if (frame->codec != NULL)
    coded_add(&c->coded, frame->codec, frame->mode, n, frame->duration_us, frame->payload_bytes);
  if (frame->has_jitter) {
    c->jitter_count += n;
    c->jitter_sum_ms += (double)n * frame->jitter_ms;
  }
}

void windows_add(struct windows *w, struct delivery_facts *facts, int64_t place_us,
                 const struct window_frame *frame, uint64_t n) {
  int64_t ptime = w->ptime_us > 0 ? w->ptime_us : 1;
  while (n > 0) {
    int64_t index = place_us > 0 ? place_us / WINDOW_US : 0;
    uint64_t fit = (uint64_t)(((index + 1) * WINDOW_US - place_us + ptime - 1) / ptime);
    if (fit > n) fit = n;
    open_window(w, facts, index);
    count(w, frame, fit);
    n -= fit;
    place_us += (int64_t)fit * ptime;
  }
}

void windows_found(struct windows *w, int64_t place_us) {
  struct window_counts *c = &w->current;
  if (w->has_previous && place_us < w->current.index * WINDOW_US) c = &w->previous;
  if (!w->has_current || place_us / WINDOW_US != c->index || c->missing_frames == 0) return;
  c->missing_frames--;
  if (c->lost[CONSUMER_ASR_STREAM] > 0) c->lost[CONSUMER_ASR_STREAM]--;
}

double windows_newest_r(const struct windows *w, const struct delivery_view *view) {
  struct coded_rating rating;
  if (!w->has_previous || w->previous.expected_us < WINDOW_EXPECTED_MIN_US) return DELIVERY_R_ABSENT;
  struct window_counts c = w->previous;
  if (c.coded.count == 0) c.coded = w->newest;
  if (!window_rating(&c, view->consumer, view->plc, &rating) || rating.no_bpl) return DELIVERY_R_ABSENT;
  double r = rating.r;
  for (int i = 0; i < MOS_SCALES; i++) r -= rating.share[i] * leg_impairment(&view->leg, (enum mos_scale)i);
  return r;
}

static void join(struct window_counts *into, const struct window_counts *from) {
  into->expected_frames += from->expected_frames;
  into->expected_us += from->expected_us;
  into->missing_frames += from->missing_frames;
  into->jitter_count += from->jitter_count;
  into->jitter_sum_ms += from->jitter_sum_ms;
  coded_join(&into->coded, &from->coded);
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) {
    into->lost[i] += from->lost[i];
    into->bad[i] += from->bad[i];
    into->runs[i] += from->runs[i];
  }
}

void windows_finish(struct windows *w, struct delivery_facts *facts) {
  if (!w->has_current) return;
  if (w->has_previous && w->current.expected_us < WINDOW_EXPECTED_MIN_US) {
    join(&w->previous, &w->current);
  } else {
    if (w->has_previous) hand_on(w, &w->previous, facts);
    w->previous = w->current;
  }
  hand_on(w, &w->previous, facts);
  windows_init(w);
}
