/* Is this 10 ms speech? A first detector for 8 kHz telephone sound (speech-metrics.md 6, 7).
 *
 * Use: vad_init() a track, vad_frame() every 10 ms in order, vad_flush() at the end until it returns
 * false. The settled answer comes VAD_DELAY_FRAMES later than its frame, the instant one at once.
 * No heap, no clock; a struct vad belongs to one thread and can be copied. */
#ifndef DSP_VAD_H
#define DSP_VAD_H

#include <stdbool.h>
#include <stdint.h>

enum { VAD_RATE_HZ = 8000, VAD_FRAME_SAMPLES = 80, VAD_DELAY_FRAMES = 12 };

struct vad_out {
  bool instant;          /* speech now, no look-ahead */
  bool settled_valid;    /* the next three are set */
  uint64_t settled_frame;/* which frame, from 0 */
  bool settled;
  float score;           /* 0 to 1 */
};

struct vad;             /* sized by vad_bytes() */

unsigned long vad_bytes(void);
void vad_init(struct vad *v);
/* `pcm` is VAD_FRAME_SAMPLES 16-bit samples, or NULL for a frame that never came. */
void vad_frame(struct vad *v, const int16_t *pcm, struct vad_out *out);
/* The settled answers still owed, one a call; false when there are none left. */
bool vad_flush(struct vad *v, struct vad_out *out);

#endif
