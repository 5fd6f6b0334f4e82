/* What is kept of a track's delivery, as plain numbers: enough to compute every member of
 * `delivery.<track>` of voice-quality.md 8 later, for one part of a leg or for several put together.
 *
 * Use: delivery_facts() (dsp/delivery.h) fills a struct delivery_facts; it is stored and read back by
 * the rows of delivery_fields (and delivery_window_fields for `windows`); delivery_merge() puts parts
 * of one leg together in time order; delivery_figures() makes the published figures.
 * A struct of zeros is a valid track without a frame. No heap, no clock, no lock. */
#ifndef DSP_DELIVERY_FACTS_H
#define DSP_DELIVERY_FACTS_H

#include "dsp/coded.h"
#include "dsp/delivery.h"
#include "dsp/figure.h"

/* The E-model's verdict depends on two options that are only known when somebody asks, so R is kept
 * for each pair of them: index = delivery_model(consumer, plc). */
enum { DELIVERY_CONSUMERS = 2, DELIVERY_MODELS = 2 * DELIVERY_CONSUMERS };
static inline size_t delivery_model(enum quality_consumer consumer, bool plc) {
  return (size_t)consumer * 2 + (plc ? 1 : 0);
}

#define DELIVERY_R_ABSENT (-1000.0) /* an R that was not computable; that of a window is at least 0 */

/* Where a round trip was measured (voice-quality.md 4.1): by the kernel on the stream's TCP connection
 * (TCP_INFO), by a WebSocket ping and its pong, by RTCP with the other end of the call. */
enum rtt_source { RTT_TCP, RTT_WS, RTT_RTCP, RTT_SOURCES };

/* One window with at least one expected frame (3.10); stretches without any have none. */
struct delivery_window {
  int64_t start_us;   /* from the track's first frame */
  uint64_t weight_us; /* sound that was expected in it: the weight of its R */
  uint64_t expected_frames, missing_frames;
  uint64_t lost_frames[DELIVERY_CONSUMERS]; /* numerator of Ppl */
  uint64_t jitter_count;
  double jitter_sum_ms;      /* of J over its frames that have a predecessor */
  double r[DELIVERY_MODELS]; /* or DELIVERY_R_ABSENT */
};

/* Counts are of the whole track unless said otherwise; `_us` are microseconds. The arrays of
 * DELIVERY_CONSUMERS are indexed by enum quality_consumer. */
struct delivery_facts {
  /* Ledger (3.5, 3.6). received + missing = expected; missing is not stored. */
  uint64_t expected_frames, received_frames; /* received: different numbers, duplicates apart */
  uint64_t duplicate_frames, reordered_frames, max_reorder_frames, late_frames;
  uint64_t restarts, outliers, clock_jumps, numbering_jumps, big_gaps;
  uint64_t missing_unassigned; /* of a shared counter: written by the owner, from timebase_unassigned() */
  uint64_t sid_frames, upstream_bad_frames;
  uint64_t upstream_bad_counted; /* of these, not already counted as discarded or concealed by emulator A */
  uint64_t inserted_silence_frames;    /* in-band evidence (5.8); none is upstream bad */
  uint64_t inserted_silence_discarded; /* of these, discarded or concealed by emulator A, so counted there */
  uint64_t self_delayed_frames;
  uint64_t media_pause_us, outage_us;
  uint64_t expected_us;          /* expected_frames * ptime, ptime of the time */
  uint64_t sid_us;               /* of that, SID frames */
  int64_t origin_us;             /* wall clock of the first frame: written by the owner, 0 unknown */
  int64_t end_us;                /* end of the last frame's place, from the first frame's start */
  uint64_t ptime_us;             /* the last one in force */
  uint64_t chunk_scope, ts_unit; /* enum chunk_scope and ts_unit: written by the owner */

  /* Emulated playout (3.8). */
  uint64_t discarded_f60, discarded_f120, discarded_f200, discarded_adaptive;
  uint64_t concealed_frames;              /* slots, not frames that were late */
  uint64_t playout_count, playout_sum_us; /* P of emulator A after every received frame */
  uint64_t recovery_count, recovery_sum_us, recovery_max_us, recovery_open;

  /* Bad frames (3.9). */
  uint64_t bad_frames[DELIVERY_CONSUMERS], bad_runs[DELIVERY_CONSUMERS], longest_run[DELIVERY_CONSUMERS];
  uint64_t burst_count[DELIVERY_CONSUMERS], burst_frames[DELIVERY_CONSUMERS], burst_bad[DELIVERY_CONSUMERS];
  uint64_t gap_count[DELIVERY_CONSUMERS], gap_frames[DELIVERY_CONSUMERS], gap_bad[DELIVERY_CONSUMERS];
  uint64_t burst_us[DELIVERY_CONSUMERS], gap_us[DELIVERY_CONSUMERS];
  uint64_t since_burst_us[DELIVERY_CONSUMERS]; /* from the end of the last burst; of use when there is one */

  /* Arrival (3.2, 3.3, 3.7). */
  uint64_t jitter_count; /* frames that have a predecessor */
  double jitter_last_ms, jitter_max_ms, jitter_sum_ms, ipdv_abs_sum_ms;
  uint64_t pdv[PDV_BUCKETS]; /* 0; (k-1, k] ms to 1000 ms; 10 ms wide to 10 s; above */
  uint64_t pdv_max_us;
  uint64_t stall_count, stall_longest_us, stall_total_us;
  uint64_t reads, reads_of_many, read_frames; /* socket reads with any / with more than one frame */
  double skew_ppm_us;                         /* sum of skew * skew_us: their quotient is the skew */
  uint64_t skew_us;                           /* track time the skew was fitted over; 0: never published */
  uint64_t media_clock_suspect;

  /* Round trips (4.1, 4.2), indexed by enum rtt_source: written by the owner with delivery_add_rtt(), to
   * both tracks of a socket alike. */
  uint64_t rtt_count[RTT_SOURCES], rtt_sum_us[RTT_SOURCES], rtt_min_us[RTT_SOURCES];

  /* What the sound was coded with (2, dsp/coded.h), window by window, each weighing what was expected in
   * it: R without loss; the scales; Bpl; and, where there was no R, why: no Bpl, or no Ie. */
  uint64_t active_us, active_bytes; /* of the frames with sound in a known mode */
  double clean_r_sum;
  uint64_t clean_r_us, coded_us[MOS_SCALES];
  uint64_t ie_basis; /* enum ie_basis, the weakest */
  uint64_t diotic;   /* 1: some Ie was of listeners with both ears */
  double bpl_sum[DELIVERY_MODELS];
  uint64_t bpl_us[DELIVERY_MODELS], no_bpl_us[DELIVERY_MODELS], unrated_us[DELIVERY_MODELS];

  /* Windows (3.10), before any merging: sums of R * weight, of the weight that has an R, and of the
   * weight with R below 70; the worst window. */
  double r_sum[DELIVERY_MODELS];
  uint64_t r_us[DELIVERY_MODELS], below_r70_us[DELIVERY_MODELS];
  double worst_r[DELIVERY_MODELS]; /* valid when r_us of the model is not 0 */
  int64_t worst_start_us[DELIVERY_MODELS];
  uint64_t out_of_range[DELIVERY_MODELS]; /* windows with inputs outside the E-model's range (1.5) */

  uint64_t window_us;    /* length of a window: 10 s, doubled at each merging; 0 without windows */
  uint64_t window_count; /* of windows[] in use, at most DELIVERY_WINDOWS_MAX */
  struct delivery_window windows[DELIVERY_WINDOWS_MAX]; /* not among delivery_fields */
};

/* Every member of the struct but `windows`, and every member of a window. */
extern const struct field delivery_fields[];
extern const size_t delivery_field_count;
extern const struct field delivery_window_fields[];
extern const size_t delivery_window_field_count;

/* Puts `from`, a later part of the same leg, behind `into`. Sums and maxima; the windows are
 * concatenated (shifted by the origins when both are known, else by end_us) and merged in pairs to at
 * most DELIVERY_WINDOWS_MAX of the larger window_us. */
void delivery_merge(struct delivery_facts *into, const struct delivery_facts *from);

/* Empties `f` without touching the unused windows (they may be large, and are written before read). */
void delivery_facts_clear(struct delivery_facts *f);
/* Copies what is in use. */
void delivery_facts_copy(struct delivery_facts *to, const struct delivery_facts *from);
/* Whether facts that were read from somewhere are such as delivery_merge() can take: windows with a length, one fewer
 * than there is room for, and times whose differences and sums fit. */
bool delivery_facts_are_sound(const struct delivery_facts *f);
/* One measured round trip. */
void delivery_add_rtt(struct delivery_facts *f, enum rtt_source source, uint64_t rtt_us);
/* Adds a finished window, the latest: keeps the sums over windows and the worst one, and merges in
 * pairs when the table is full. `window->start_us` is a multiple of `length_us` from the first frame;
 * `length_us` must be the unmerged length. */
void delivery_add_window(struct delivery_facts *f, const struct delivery_window *window, uint64_t length_us);

enum { DELIVERY_FLAGS_MAX = 16 };

/* Members and units of voice-quality.md 8 (`delivery.<track>`), in its order. */
struct delivery_figures {
  struct figure expected_frames, received_frames, missing_frames;
  struct figure discarded_f60, discarded_f120, discarded_f200, discarded_adaptive;
  struct figure concealed_frames, upstream_bad_frames, inserted_silence_frames;
  struct figure reordered_frames, max_reorder_frames, duplicate_frames, late_frames;
  struct figure restarts, outliers, clock_jumps, numbering_jumps, big_gaps, missing_unassigned;
  struct figure media_pause_ms, stream_outage_ms;
  struct figure loss_pct, loss_ci_low_pct, loss_ci_high_pct, ppl_pct;
  struct figure burst_count, burst_mean_ms, burst_density, burst_longest_frames;
  struct figure gap_mean_ms, gap_density, burst_ratio;
  const char *burst_ratio_basis; /* "measured", "insufficient" */
  struct figure jitter_last_ms, jitter_mean_ms, jitter_max_ms, ipdv_abs_mean_ms; /* delivery_jitter_ms */
  struct figure pdv_p50_ms, pdv_p95_ms, pdv_p99_ms, pdv_p999_ms, pdv_max_ms;     /* delay_variation_ms */
  struct figure stall_count, stall_longest_ms, stall_total_ms;
  struct figure bunching_mean_frames, bunching_share;
  struct figure skew_ppm, playout_delay_ms;
  struct figure rtt_tcp_ms, rtt_ws_ms, rtt_rtcp_ms; /* rtt_ms: means */
  struct figure network_jitter_ms, ta_ms;
  const char *ta_basis; /* "rtcp"; "stream_only": a lower bound, without the caller's leg; NULL: no ta_ms */
  struct figure ie, bpl, ie_eff, r_lq, r_plc, r_noplc, mos_lqe, r_cq, mos_cqe, mos_fb;
  struct figure worst_start_ms, worst_r, worst_mos; /* worst_window */
  struct figure below_r70_share, recovery_ms, ptime_ms;
  struct figure r_av, r_end, mos_end; /* perceptual: dsp/recency.h */
  struct figure window_ms;            /* the windows themselves: delivery_window_figures() */
  enum mos_scale scale;               /* of the content; whose MOS mos_lqe, mos_cqe and the windows' are */
  const char *algorithm;              /* P.800.1 name of the headline's MOS: "MOS-CQEN" */
  const char *ie_basis;
  bool out_of_range; /* some R, or ie_eff, is of inputs outside the model's range (1.5) */
  size_t flag_count;
  const char *flags[DELIVERY_FLAGS_MAX];
};

struct delivery_window_figures {
  struct figure start_ms, r, mos, loss_pct, jitter_ms;
};

/* Whose ears: the options quality.plc and quality.consumer, and what is known of the leg's own codec. */
struct delivery_view {
  bool plc;
  enum quality_consumer consumer;
  struct leg_codec leg;
};

/* `codec` is the track's newest. */
void delivery_figures(const struct delivery_facts *facts, const struct codec *codec,
                      const struct delivery_view *view, struct delivery_figures *out);
/* Of facts->windows[index], index < facts->window_count. */
void delivery_window_figures(const struct delivery_facts *facts, size_t index, const struct codec *codec,
                             const struct delivery_view *view, struct delivery_window_figures *out);

/* The part of delivery_figures() that the E-model makes (dsp/model_figures.c), after all others. */
void delivery_model_figures(const struct delivery_facts *facts, const struct codec *codec,
                            const struct delivery_view *view, struct delivery_figures *out);

#endif
