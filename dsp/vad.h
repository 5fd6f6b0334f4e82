/* Is this 10 ms speech? A first detector for 8 kHz telephone sound (speech-metrics.md 6, 7; how it was
 * made and measured: docs/voice-detector.md).
 *
 * Use: vad_init() a track, vad_frame() every 10 ms in order, vad_flush() at the end until it returns
 * false. The settled answer comes VAD_DELAY_FRAMES later than its frame, the instant one at once.
 * No heap, no clock; a struct vad belongs to one thread and can be copied. The same frames give the
 * same answers, bit for bit, on every machine. */
#ifndef DSP_VAD_H
#define DSP_VAD_H

#include <stdbool.h>
#include <stdint.h>

#include "dsp/vad_features.h"
#include "dsp/vad_model.h"

enum {
  VAD_RATE_HZ = 8000,
  VAD_FRAME_SAMPLES = 80,
  VAD_DELAY_FRAMES = 12,
  VAD_KEEP_FRAMES = 6,    /* missing sound keeps the state that long, then it is not speech */
  VAD_START_FRAMES = 10,  /* the instant answer says nothing before 100 ms */
  VAD_BACKDATE_FRAMES = 2 /* an onset is moved back at most that far */
};

struct vad_out {
  bool instant;           /* speech now, no look-ahead: the second frame in a row that sounds like it */
  bool settled_valid;     /* the next three are set */
  uint64_t settled_frame; /* which frame, from 0 */
  bool settled;
  float score; /* 0 to 1: smoothed probability; 0 where nothing can be said */
};

enum vad_heard { VAD_SOUND, VAD_SILENT, VAD_MISSING_BRIEF, VAD_MISSING_LONG };

/* Public so that it can be embedded; its members are the detector's own. */
struct vad {
  struct vad_front front;
  struct vad_model model;
  uint64_t frames;  /* taken */
  uint64_t decided; /* settled answers given */
  uint64_t flushed; /* frames made up at the end */
  uint32_t missing_run;
  uint8_t heard[VAD_DELAY_FRAMES + 1];   /* enum vad_heard of the last frames, by frame modulo length */
  float raw[3];                          /* log-odds of three neighbouring frames, newest last */
  float smooth[VAD_BACKDATE_FRAMES + 1]; /* their means, for the frame to be decided and the next ones */
  bool settled, instant, instant_before; /* states; `before`: the newest frame sounded like speech */
};

unsigned long vad_bytes(void);
void vad_init(struct vad *v);
/* `pcm` is VAD_FRAME_SAMPLES 16-bit samples, or NULL for a frame that never came. A frame whose samples
 * are all equal is not speech. Missing frames keep the state for 60 ms, later ones are not speech, and
 * neither moves the noise floors. */
void vad_frame(struct vad *v, const int16_t *pcm, struct vad_out *out);
/* The settled answers still owed, one a call; false when there are none left. No vad_frame() after. */
bool vad_flush(struct vad *v, struct vad_out *out);

#endif
