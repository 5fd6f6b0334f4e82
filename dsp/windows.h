/* Windows of 10 s of a track's own time, each with its loss, jitter and R (voice-quality.md 3.10).
 *
 * Use: windows_add() for each frame or run of missing frames, in order of their numbers; finished
 * windows go to delivery_add_window(). windows_finish() on copies whenever somebody looks: a last window
 * with under 5 s of expected sound joins the one before, so one finished window is kept back.
 * No heap, no clock; belongs to one thread. */
#ifndef DSP_WINDOWS_H
#define DSP_WINDOWS_H

#include "dsp/coded.h"
#include "dsp/delivery_facts.h"

enum { WINDOW_US = 10000000, WINDOW_EXPECTED_MIN_US = 5000000 };

/* What is added up of a window; the arrays are indexed by enum quality_consumer. */
struct window_counts {
  int64_t index; /* start / WINDOW_US */
  uint64_t expected_frames, expected_us, missing_frames;
  uint64_t lost[DELIVERY_CONSUMERS]; /* numerator of Ppl: slots without their sound */
  uint64_t bad[DELIVERY_CONSUMERS], runs[DELIVERY_CONSUMERS];
  uint64_t jitter_count;
  double jitter_sum_ms;
  struct coded_mix coded; /* of the frames that came with sound */
};

struct window_frame {
  bool missing;
  bool bad[DELIVERY_CONSUMERS];
  uint32_t lost[DELIVERY_CONSUMERS];
  bool has_jitter;
  double jitter_ms;
  const struct codec *codec; /* NULL: no sound, or in no known mode */
  uint8_t mode;
  uint32_t duration_us, payload_bytes;
};

/* A long hole with long frames is thousands of windows that all say the same: they are rated once. */
struct window_memo {
  bool known;
  struct window_counts of; /* without any coding of their own */
  bool rated[DELIVERY_MODELS];
  struct coded_rating rating[DELIVERY_MODELS];
};

struct windows {
  uint32_t ptime_us;
  struct coded_mix newest; /* of the newest window with sound: one without any goes by it */
  bool has_current, has_previous;
  bool bad_before[DELIVERY_CONSUMERS];
  struct window_counts current, previous;
  struct window_memo memo;
};

void windows_init(struct windows *w);
/* `count` equal frames, the first at place_us. */
void windows_add(struct windows *w, struct delivery_facts *facts, int64_t place_us,
                 const struct window_frame *frame, uint64_t count);
/* A frame that was added as missing came after all, of no use to playout. Windows already handed on
 * keep their count. */
void windows_found(struct windows *w, int64_t place_us);
/* R, the leg's codec taken off, of the newest window that is over and had 5 s of expected sound, or
 * DELIVERY_R_ABSENT. */
double windows_newest_r(const struct windows *w, const struct delivery_view *view);
void windows_finish(struct windows *w, struct delivery_facts *facts);

/* Effective loss (3.6), 0 to 100; expected_frames is not 0. */
double window_ppl_pct(uint64_t lost, uint64_t expected_frames);
/* The model's verdict (LQ) on the counts, `out->r` NaN for none, else at least 0; false when the coding is not
 * known. */
bool window_rating(const struct window_counts *c, enum quality_consumer consumer, bool plc,
                   struct coded_rating *out);

#endif
