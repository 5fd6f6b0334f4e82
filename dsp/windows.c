#include "dsp/windows.h"

#include <math.h>
#include <string.h>

#include "dsp/burst.h"
#include "dsp/emodel.h"

void windows_init(struct windows *w) {
  memset(w, 0, sizeof(*w));
}

double window_rating(const struct codec *codec, const struct window_counts *c, enum quality_consumer consumer,
                     bool plc, uint64_t *clamped) {
  if (codec == NULL || codec->absent_reason != NULL || codec->scale != SCALE_NB || c->expected_frames == 0) {
    return DELIVERY_R_ABSENT;
  }
  struct emodel_inputs in = emodel_defaults;
  struct emodel_result result;
  in.ie = codec->ie;
  in.bpl = plc ? codec->bpl_plc : codec->bpl;
  in.ppl_pct = fmin(100.0, 100.0 * (double)c->lost[consumer] / (double)c->expected_frames);
  in.burst_ratio = burst_ratio(c->expected_frames, c->bad[consumer], c->runs[consumer]);
  in.ta_ms = 0;
  emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &result);
  if (isnan(result.r)) return DELIVERY_R_ABSENT;
  if (result.flags & (EMODEL_CLAMPED | EMODEL_OUT_OF_RANGE)) ++*clamped;
  return result.r;
}

static void hand_on(const struct windows *w, const struct window_counts *c, struct delivery_facts *facts) {
  struct delivery_window window = {.start_us = c->index * WINDOW_US,
                                   .weight_us = c->expected_us,
                                   .expected_frames = c->expected_frames,
                                   .missing_frames = c->missing_frames,
                                   .jitter_count = c->jitter_count,
                                   .jitter_sum_ms = c->jitter_sum_ms};
  for (int consumer = 0; consumer < DELIVERY_CONSUMERS; consumer++) {
    for (int plc = 0; plc < 2; plc++) {
      enum quality_consumer who = (enum quality_consumer)consumer;
      window.r[delivery_model(who, plc)] = window_rating(w->codec, c, who, plc, &facts->clamped);
    }
  }
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

void windows_spoil(struct windows *w, int64_t start_us, uint64_t frames) {
  struct window_counts *of[] = {w->has_current ? &w->current : NULL, w->has_previous ? &w->previous : NULL};
  for (int i = 0; i < 2; i++) {
    if (of[i] == NULL || of[i]->index != start_us / WINDOW_US) continue;
    for (int consumer = 0; consumer < DELIVERY_CONSUMERS; consumer++) of[i]->lost[consumer] += frames;
  }
}

double windows_newest_r(const struct windows *w, enum quality_consumer consumer, bool plc) {
  uint64_t clamped = 0;
  if (!w->has_previous || w->previous.expected_us < WINDOW_EXPECTED_MIN_US) return DELIVERY_R_ABSENT;
  return window_rating(w->codec, &w->previous, consumer, plc, &clamped);
}

static void join(struct window_counts *into, const struct window_counts *from) {
  into->expected_frames += from->expected_frames;
  into->expected_us += from->expected_us;
  into->missing_frames += from->missing_frames;
  into->jitter_count += from->jitter_count;
  into->jitter_sum_ms += from->jitter_sum_ms;
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
