#include "dsp/delivery_state.h"

/* After a change of frame length a frame stands for their mean. */
static uint64_t length_us(const struct delivery_facts *f, uint64_t frames) {
  if (f->expected_frames == 0) return 0;
  return (uint64_t)((double)frames * ((double)f->expected_us / (double)f->expected_frames) + 0.5);
}

static void collect_bursts(const struct delivery_state *s, struct delivery_facts *f) {
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

void delivery_collect(const struct delivery_state *s, struct delivery_facts *f) {
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
