/* The state behind dsp/signal.h, shared by dsp/signal.c (the sound as it comes) and
 * dsp/signal_settle.c (what waits for the voice detector, windows). Nobody else includes it. */
#ifndef DSP_SIGNAL_STATE_H
#define DSP_SIGNAL_STATE_H

#include "dsp/band.h"
#include "dsp/clip.h"
#include "dsp/dropouts.h"
#include "dsp/gaps.h"
#include "dsp/hum.h"
#include "dsp/signal.h"
#include "dsp/steady.h"

enum {
  SIGNAL_RATE_MAX_HZ = 48000,
  SIGNAL_FRAME_MAX = SIGNAL_RATE_MAX_HZ / 1000 * SIGNAL_FRAME_MS,
  SIGNAL_BLOCKS = SIGNAL_FRAME_MS / GAP_BLOCK_MS
};

/* What is kept of a frame until it is known whether it is speech. */
struct signal_frame {
  int64_t start_ms;
  double mean_square; /* 0: all idle */
  uint32_t decided_ms, speech_ms;
  bool has_band; /* one frame in four at 16 kHz */
  struct band_power band;
  int16_t low[TONE_SAMPLES];
};

/* Counters that only grow, read at the ends of a window: their differences are the window's. */
struct signal_counts {
  struct p56_counters level;
  int64_t dc_sum;
  uint64_t clip_samples, clip_events, inserted_frames, repeated_frames, repeating_frames, mute_gaps;
  uint64_t frames, missing_samples;
};

struct signal {
  const struct kernels *kernels;
  signal_silence_sink silence_sink;
  void *silence_arg;
  uint32_t rate_hz; /* 0: nothing is measured */
  int16_t idle;

  /* Frames. */
  size_t frame_samples, filled;
  bool placed;          /* next_samples is known */
  int64_t next_samples; /* position of the next sample expected */
  int16_t pcm[2][SIGNAL_FRAME_MAX];
  int current;   /* the one being filled; the other one is the frame before */
  bool adjoined; /* there is one */

  /* Of the sound since signal_begin(). */
  struct p56 meter;
  struct clip clip;
  struct dropouts dropouts;
  struct gaps gaps;
  struct hum_decimator decimator;
  struct steady steady;
  int64_t dc_sum;
  uint64_t frames, missing_samples;

  /* The window the newest sound is in, and the one whose sound is complete. */
  int64_t window; /* start / SIGNAL_WINDOW_MS; valid while window_open */
  bool window_open;
  struct signal_counts window_began;
  bool closing;
  struct signal_window closing_window, newest_window;
  struct signal_counts closing_counts;
  struct steady_result closing_steady;
  uint64_t window_noise[NOISE_BUCKETS];
  uint64_t window_speech_us, window_decided_us;

  /* Frames that wait for a decision, oldest first. */
  struct signal_frame ring[SIGNAL_RING_FRAMES];
  uint32_t ring_first, ring_count;
  int64_t settled_ms; /* end of the last settled frame */
  int64_t quiet_since_ms;
  bool any_settled;
  struct hum hum;

  struct signal_facts facts; /* of formats that ended, and of all settled frames */
};

void signal_read(const struct signal *s, struct signal_counts *out);
/* The newest sound is a frame that begins at start_ms: closes the window before it, if that is over. */
void signal_enter(struct signal *s, int64_t start_ms);
void signal_close_window(struct signal *s);
/* The place for a new frame; settles the oldest undecided one when there is none. */
struct signal_frame *signal_wait(struct signal *s, int64_t start_ms);
void signal_settle_all(struct signal *s);

#endif
