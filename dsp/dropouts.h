/* What a repair before us left in the sound (voice-quality.md 5.8): frames of the codec's idle code
 * put in between speech, and frames that are the one before once more.
 *
 * Inserted silence: 1 to 10 whole frames of the codec (its ptime) of idle code, beginning and ending on
 * such a frame's border (to 1 ms: speech may pass through zero there), with sound above -45 dBov within
 * 40 ms before and after. Counted when the sound behind it has come.
 * Repeated: 20 ms equal to the 20 ms before, and above -60 dBov (DC removed). Runs of more than 10 are
 * a tone generator's (400 and 450 Hz repeat every 20 ms) or a stuck sender's and counted apart.
 * A run is counted when it is over. Plain state, one thread. */
#ifndef DSP_DROPOUTS_H
#define DSP_DROPOUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dropouts {
  size_t frame_samples, border_samples; /* 20 ms; 1 ms */
  int64_t unit_samples;                 /* the codec's frame */
  int32_t idle;                         /* samples of idle code are at most so large: A-law's are 8 and -8 */
  int64_t samples;                      /* since the last break: a border of the codec's frames */
  uint32_t since_loud;                  /* frames that came after the last loud one */
  int64_t idle_samples;                 /* up to now */
  bool after_loud;                      /* they began within 40 ms of something loud */
  int64_t waiting_start_samples, waiting_samples; /* whole units that count if */
  uint32_t wait;                                  /* one of the next `wait` frames is loud */
  uint32_t repeat_run;
  uint64_t inserted_samples, repeated_frames, repeating_frames;
};

void dropouts_init(struct dropouts *d, uint32_t rate_hz, int16_t idle);
/* The length of the codec's frames: a multiple of 10 ms up to 60, 20 until told. Another one is ignored. */
void dropouts_ptime(struct dropouts *d, uint32_t ptime_ms);
/* Inserted silence that has just been counted: so long, and it began so long before the end of the newest
 * frame. Zeros: none has. */
struct dropouts_silence {
  int64_t samples, ago_samples;
};
/* 20 ms. `before`: the 20 ms it adjoins, NULL if there are none. `peak`: greatest |sample|;
 * `mean_square` in steps of 16 bits. */
struct dropouts_silence dropouts_frame(struct dropouts *d, const int16_t *pcm, const int16_t *before,
                                       uint32_t peak, double mean_square);
/* What follows does not adjoin what came: a hole, or the end. */
void dropouts_break(struct dropouts *d);

#endif
