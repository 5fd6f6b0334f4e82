#include "dsp/delivery_facts.h"

#include <string.h>

#include "dsp/windows.h"

#define SUM(member_)                     FIELD(delivery_facts, member_, FIELD_U64, MERGE_SUM)
#define SUM_EACH(member_, type_, count_) FIELD_ARRAY(delivery_facts, member_, type_, MERGE_SUM, count_)

const struct field delivery_fields[] = {
    SUM(expected_frames),
    SUM(received_frames),
    SUM(duplicate_frames),
    SUM(reordered_frames),
    FIELD(delivery_facts, max_reorder_frames, FIELD_U64, MERGE_MAX),
    SUM(late_frames),
    SUM(restarts),
    SUM(outliers),
    SUM(clock_jumps),
    SUM(numbering_jumps),
    SUM(big_gaps),
    SUM(missing_unassigned),
    SUM(sid_frames),
    SUM(upstream_bad_frames),
    SUM(upstream_bad_counted),
    SUM(inserted_silence_frames),
    SUM(inserted_silence_discarded),
    SUM(self_delayed_frames),
    SUM(media_pause_us),
    SUM(outage_us),
    SUM(expected_us),
    SUM(sid_us),
    FIELD(delivery_facts, origin_us, FIELD_I64, MERGE_FIRST),
    FIELD(delivery_facts, end_us, FIELD_I64, MERGE_LAST),
    FIELD(delivery_facts, ptime_us, FIELD_U64, MERGE_LAST),
    FIELD(delivery_facts, chunk_scope, FIELD_U64, MERGE_LAST),
    FIELD(delivery_facts, ts_unit, FIELD_U64, MERGE_LAST),
    SUM(discarded_f60),
    SUM(discarded_f120),
    SUM(discarded_f200),
    SUM(discarded_adaptive),
    SUM(concealed_frames),
    SUM(playout_count),
    SUM(playout_sum_us),
    SUM(recovery_count),
    SUM(recovery_sum_us),
    FIELD(delivery_facts, recovery_max_us, FIELD_U64, MERGE_MAX),
    FIELD(delivery_facts, recovery_open, FIELD_U64, MERGE_LAST),
    SUM_EACH(bad_frames, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(bad_runs, FIELD_U64, DELIVERY_CONSUMERS),
    FIELD_ARRAY(delivery_facts, longest_run, FIELD_U64, MERGE_MAX, DELIVERY_CONSUMERS),
    SUM_EACH(burst_count, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(burst_frames, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(burst_bad, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(gap_count, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(gap_frames, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(gap_bad, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(burst_us, FIELD_U64, DELIVERY_CONSUMERS),
    SUM_EACH(gap_us, FIELD_U64, DELIVERY_CONSUMERS),
    FIELD_ARRAY(delivery_facts, since_burst_us, FIELD_U64, MERGE_LAST, DELIVERY_CONSUMERS),
    SUM(jitter_count),
    FIELD(delivery_facts, jitter_last_ms, FIELD_F64, MERGE_LAST),
    FIELD(delivery_facts, jitter_max_ms, FIELD_F64, MERGE_MAX),
    FIELD(delivery_facts, jitter_sum_ms, FIELD_F64, MERGE_SUM),
    FIELD(delivery_facts, ipdv_abs_sum_ms, FIELD_F64, MERGE_SUM),
    SUM_EACH(pdv, FIELD_U64, PDV_BUCKETS),
    FIELD(delivery_facts, pdv_max_us, FIELD_U64, MERGE_MAX),
    SUM(stall_count),
    FIELD(delivery_facts, stall_longest_us, FIELD_U64, MERGE_MAX),
    SUM(stall_total_us),
    SUM(reads),
    SUM(reads_of_many),
    SUM(read_frames),
    FIELD(delivery_facts, skew_ppm_us, FIELD_F64, MERGE_SUM),
    SUM(skew_us),
    FIELD(delivery_facts, media_clock_suspect, FIELD_U64, MERGE_MAX),
    SUM_EACH(rtt_count, FIELD_U64, RTT_SOURCES),
    SUM_EACH(rtt_sum_us, FIELD_U64, RTT_SOURCES),
    FIELD_ARRAY(delivery_facts, rtt_min_us, FIELD_U64, MERGE_MIN_KNOWN, RTT_SOURCES),
    SUM(active_us),
    SUM(active_bytes),
    FIELD(delivery_facts, clean_r_sum, FIELD_F64, MERGE_SUM),
    SUM(clean_r_us),
    SUM_EACH(coded_us, FIELD_U64, MOS_SCALES),
    FIELD(delivery_facts, ie_basis, FIELD_U64, MERGE_MAX),
    FIELD(delivery_facts, diotic, FIELD_U64, MERGE_MAX),
    SUM_EACH(bpl_sum, FIELD_F64, DELIVERY_MODELS),
    SUM_EACH(bpl_us, FIELD_U64, DELIVERY_MODELS),
    SUM_EACH(no_bpl_us, FIELD_U64, DELIVERY_MODELS),
    SUM_EACH(unrated_us, FIELD_U64, DELIVERY_MODELS),
    SUM_EACH(r_sum, FIELD_F64, DELIVERY_MODELS),
    SUM_EACH(r_us, FIELD_U64, DELIVERY_MODELS),
    SUM_EACH(below_r70_us, FIELD_U64, DELIVERY_MODELS),
    FIELD_ARRAY(delivery_facts, worst_r, FIELD_F64, MERGE_MIN, DELIVERY_MODELS),
    FIELD_ARRAY(delivery_facts, worst_start_us, FIELD_I64, MERGE_FIRST, DELIVERY_MODELS),
    SUM_EACH(out_of_range, FIELD_U64, DELIVERY_MODELS),
    FIELD(delivery_facts, window_us, FIELD_U64, MERGE_MAX),
    FIELD(delivery_facts, window_count, FIELD_U64, MERGE_LAST),
};
const size_t delivery_field_count = sizeof(delivery_fields) / sizeof(delivery_fields[0]);

const struct field delivery_window_fields[] = {
    FIELD(delivery_window, start_us, FIELD_I64, MERGE_FIRST),
    FIELD(delivery_window, weight_us, FIELD_U64, MERGE_SUM),
    FIELD(delivery_window, expected_frames, FIELD_U64, MERGE_SUM),
    FIELD(delivery_window, missing_frames, FIELD_U64, MERGE_SUM),
    FIELD_ARRAY(delivery_window, lost_frames, FIELD_U64, MERGE_SUM, DELIVERY_CONSUMERS),
    FIELD(delivery_window, jitter_count, FIELD_U64, MERGE_SUM),
    FIELD(delivery_window, jitter_sum_ms, FIELD_F64, MERGE_SUM),
    FIELD_ARRAY(delivery_window, r, FIELD_F64, MERGE_LAST, DELIVERY_MODELS),
};
const size_t delivery_window_field_count = sizeof(delivery_window_fields) / sizeof(delivery_window_fields[0]);

void delivery_facts_clear(struct delivery_facts *f) {
  memset(f, 0, offsetof(struct delivery_facts, windows));
}

void delivery_facts_copy(struct delivery_facts *to, const struct delivery_facts *from) {
  memcpy(to, from, offsetof(struct delivery_facts, windows));
  memcpy(to->windows, from->windows, from->window_count * sizeof(from->windows[0]));
}

/* Some 9000 years: beyond any clock and track, and so far from 63 bits that windows can be doubled until all lie
 * in one. */
#define TIME_MAX_US (INT64_C(1) << 58)

static bool is_time(int64_t us) {
  return us >= -TIME_MAX_US && us <= TIME_MAX_US;
}

bool delivery_facts_are_sound(const struct delivery_facts *f) {
  bool sound = is_time(f->origin_us) && is_time(f->end_us) && f->window_us <= TIME_MAX_US &&
               f->window_count < DELIVERY_WINDOWS_MAX && (f->window_us > 0 || f->window_count == 0);
  for (size_t i = 0; i < DELIVERY_MODELS; i++) sound = sound && is_time(f->worst_start_us[i]);
  for (size_t i = 0; sound && i < f->window_count; i++) sound = is_time(f->windows[i].start_us);
  return sound;
}

void delivery_add_rtt(struct delivery_facts *f, enum rtt_source source, uint64_t rtt_us) {
  if (f->rtt_count[source]++ == 0 || rtt_us < f->rtt_min_us[source]) f->rtt_min_us[source] = rtt_us;
  f->rtt_sum_us[source] += rtt_us;
}

static void join_windows(struct delivery_window *into, const struct delivery_window *from) {
  for (size_t i = 0; i < DELIVERY_MODELS; i++) {
    if (from->r[i] == DELIVERY_R_ABSENT) continue;
    if (into->r[i] == DELIVERY_R_ABSENT) {
      into->r[i] = from->r[i];
      continue;
    }
    double a = (double)into->weight_us, b = (double)from->weight_us;
    if (a + b > 0) into->r[i] = (into->r[i] * a + from->r[i] * b) / (a + b);
  }
  into->weight_us += from->weight_us;
  into->expected_frames += from->expected_frames;
  into->missing_frames += from->missing_frames;
  for (size_t i = 0; i < DELIVERY_CONSUMERS; i++) into->lost_frames[i] += from->lost_frames[i];
  into->jitter_count += from->jitter_count;
  into->jitter_sum_ms += from->jitter_sum_ms;
}

/* Doubles the windows' length and joins those that now begin in the same one. */
static void coarsen(struct delivery_facts *f) {
  size_t kept = 0;
  f->window_us *= 2;
  for (size_t i = 0; i < f->window_count; i++) {
    struct delivery_window *last = kept > 0 ? &f->windows[kept - 1] : NULL;
    int64_t length_us = (int64_t)f->window_us;
    if (last != NULL && last->start_us / length_us == f->windows[i].start_us / length_us) {
      join_windows(last, &f->windows[i]);
    } else {
      f->windows[kept++] = f->windows[i];
    }
  }
  f->window_count = kept;
}

/* `window` begins at or after the last one, and in the same length. */
static void append(struct delivery_facts *f, const struct delivery_window *window) {
  int64_t length_us = (int64_t)f->window_us;
  struct delivery_window *last = f->window_count > 0 ? &f->windows[f->window_count - 1] : NULL;
  if (last != NULL && last->start_us / length_us == window->start_us / length_us) {
    join_windows(last, window);
    return;
  }
  f->windows[f->window_count++] = *window;
  /* Windows far apart may not meet at the first doubling. */
  while (f->window_count == DELIVERY_WINDOWS_MAX) coarsen(f);
}

static void keep_worst(struct delivery_facts *f, size_t model, double r, int64_t start_us) {
  if (f->r_us[model] > 0 && r >= f->worst_r[model]) return;
  f->worst_r[model] = r;
  f->worst_start_us[model] = start_us;
}

void delivery_add_window(struct delivery_facts *f, const struct delivery_window *window, uint64_t length_us) {
  for (size_t i = 0; i < DELIVERY_MODELS; i++) {
    double r = window->r[i];
    if (r == DELIVERY_R_ABSENT) continue;
    keep_worst(f, i, r, window->start_us);
    f->r_sum[i] += r * (double)window->weight_us;
    f->r_us[i] += window->weight_us;
    if (r < 70.0) f->below_r70_us[i] += window->weight_us;
  }
  if (f->window_us == 0) f->window_us = length_us;
  append(f, window);
}

bool delivery_facts_next_rating(const struct delivery_facts *f, enum quality_consumer consumer, bool plc,
                                int64_t after_us, struct delivery_rating *out) {
  bool found = false;
  for (size_t i = f->window_us == WINDOW_US ? f->window_count : 0; i > 0; i--) {
    const struct delivery_window *w = &f->windows[i - 1];
    if (w->start_us <= after_us) break;
    if (w->weight_us < WINDOW_EXPECTED_MIN_US) continue;
    found = true;
    out->start_us = w->start_us;
    out->r = w->r[delivery_model(consumer, plc)];
    out->ppl_pct = window_ppl_pct(w->lost_frames[consumer], w->expected_frames);
  }
  return found;
}

static void merge_windows(struct delivery_facts *into, const struct delivery_facts *from, int64_t shift_us) {
  while (into->window_count > 0 && into->window_us < from->window_us) coarsen(into);
  if (into->window_us < from->window_us) into->window_us = from->window_us;
  for (size_t i = 0; i < from->window_count; i++) {
    struct delivery_window window = from->windows[i];
    window.start_us += shift_us;
    append(into, &window);
  }
}

void delivery_merge(struct delivery_facts *into, const struct delivery_facts *from) {
  if (from->received_frames == 0) return;
  if (into->received_frames == 0) {
    delivery_facts_copy(into, from);
    return;
  }
  int64_t shift_us = into->end_us;
  if (into->origin_us != 0 && from->origin_us != 0) shift_us = from->origin_us - into->origin_us;
  if (shift_us < 0) shift_us = 0;

  merge_windows(into, from, shift_us);
  uint64_t window_count = into->window_count, window_us = into->window_us;
  for (size_t i = 0; i < DELIVERY_MODELS; i++) {
    if (from->r_us[i] > 0) keep_worst(into, i, from->worst_r[i], from->worst_start_us[i] + shift_us);
  }
  double worst_r[DELIVERY_MODELS];
  uint64_t since_burst_us[DELIVERY_CONSUMERS];
  memcpy(worst_r, into->worst_r, sizeof(worst_r));
  for (size_t i = 0; i < DELIVERY_CONSUMERS; i++) {
    bool none = from->burst_count[i] == 0;
    since_burst_us[i] = none ? into->since_burst_us[i] + from->expected_us : from->since_burst_us[i];
  }
  fields_merge(delivery_fields, delivery_field_count, into, from);
  memcpy(into->worst_r, worst_r, sizeof(worst_r));
  memcpy(into->since_burst_us, since_burst_us, sizeof(since_burst_us));
  into->window_count = window_count;
  into->window_us = window_us;
  into->end_us = shift_us + from->end_us;
}
