/* What a repair before us left in the sound (voice-quality.md 5.8): frames of the codec's idle code
 * put in between speech, and frames that are the one before once more.
 *
 * Inserted silence: 1 to 10 whole frames of idle code, beginning and ending on a frame's border (to
 * 1 ms: speech may pass through zero there), with sound above -45 dBov in one of the two frames before
 * and in one of the two after. Counted when that one has come.
 * Repeated: equal to the frame before, and above -60 dBov (DC removed). Runs of more than 10 are
 * a tone generator's (400 and 450 Hz repeat every 20 ms) or a stuck sender's and counted apart.
 * A run is counted when it is over. Frames are 20 ms. Plain state, one thread. */
#ifndef DSP_DROPOUTS_H
#define DSP_DROPOUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dropouts {
  size_t frame_samples, border_samples;
  int32_t idle;           /* samples of idle code are at most so large: A-law's are 8 and -8 */
  uint32_t since_loud;    /* frames that came after the last loud one */
  uint32_t silent_run;    /* idle frames up to now */
  uint32_t waiting, wait; /* frames that count if one of the next `wait` is loud */
  uint32_t repeat_run;
  bool inserted; /* the run began as inserted ones do */
  uint64_t inserted_frames, repeated_frames, repeating_frames;
};

void dropouts_init(struct dropouts *d, uint32_t rate_hz, int16_t idle);
/* A whole frame. `before`: the frame it adjoins, NULL if there is none. `peak`: greatest |sample|;
 * `mean_square` in steps of 16 bits. */
void dropouts_frame(struct dropouts *d, const int16_t *pcm, const int16_t *before, uint32_t peak,
                    double mean_square);
/* What follows does not adjoin what came: a hole, or the end. */
void dropouts_break(struct dropouts *d);

#endif
