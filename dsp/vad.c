#include "dsp/vad.h"

#include <stddef.h>
#include <string.h>

#include "dsp/vad_math.h"

/*  frame n   features ----> settled network --> mean of three --> hysteresis --> answer
 *  newest    n              for n - 9           for n - 10        for n - 12, with n - 11 and n - 10
 *                 \-------> instant network --> two in a row --> answer for n
 */
_Static_assert(VAD_LOOK_AHEAD + 1 + VAD_BACKDATE_FRAMES == VAD_DELAY_FRAMES, "the delay is its three parts");
_Static_assert((int)VAD_FRAME_SAMPLES == (int)VAD_HOP_SAMPLES, "one hop a frame");
_Static_assert(sizeof(struct vad) < 12 * 1024, "thousands of tracks");

/* Log-odds at which a state changes. */
static const float ON = 0.5f, OFF = -0.5f;

unsigned long vad_bytes(void) {
  return sizeof(struct vad);
}

void vad_init(struct vad *v) {
  memset(v, 0, sizeof *v);
  vad_model_init(&v->model);
}

static float probability(float log_odds) {
  float x = log_odds * -1.44269504f; /* log2 e */
  x = x > 60.0f ? 60.0f : x < -60.0f ? -60.0f : x;
  return 1.0f / (1.0f + vad_exp2(x));
}

/* What came, and the features it gives the model. */
static enum vad_heard hear(struct vad *v, const int16_t *pcm) {
  static const int16_t silence[VAD_FRAME_SAMPLES];
  v->missing_run = pcm == NULL ? v->missing_run + 1 : 0;
  if (pcm == NULL && v->missing_run <= VAD_KEEP_FRAMES) {
    vad_model_repeat(&v->model);
    return VAD_MISSING_BRIEF;
  }
  float features[VAD_FEATURES];
  bool varies = vad_front_frame(&v->front, pcm == NULL ? silence : pcm, features);
  vad_model_take(&v->model, features);
  return pcm == NULL ? VAD_MISSING_LONG : varies ? VAD_SOUND : VAD_SILENT;
}

static bool instant_answer(struct vad *v, enum vad_heard heard, float log_odds) {
  if (heard == VAD_MISSING_BRIEF) return v->instant;
  bool like = false;
  if (heard == VAD_SOUND && v->frames >= VAD_START_FRAMES) like = log_odds > (v->instant ? OFF : 0.0f);
  v->instant = like && (v->instant || v->instant_before);
  v->instant_before = like;
  return v->instant;
}

/* Moves the log-odds on by one frame. `newest` is the frame count the network has seen up to. */
static void take_log_odds(struct vad *v, uint64_t newest, float log_odds) {
  if (newest < VAD_LOOK_AHEAD) return;
  v->raw[0] = v->raw[1];
  v->raw[1] = v->raw[2];
  v->raw[2] = log_odds;
  if (newest == VAD_LOOK_AHEAD) v->raw[1] = v->raw[2]; /* frame 0 has no neighbour before it */
  memmove(v->smooth, v->smooth + 1, VAD_BACKDATE_FRAMES * sizeof *v->smooth);
  v->smooth[VAD_BACKDATE_FRAMES] = (v->raw[0] + v->raw[1] + v->raw[2]) * (1.0f / 3.0f);
}

/* On when this frame and those up to the first above ON are all above 0: the onset moved back. */
static bool begins(const float smooth[VAD_BACKDATE_FRAMES + 1]) {
  for (int i = 0; i <= VAD_BACKDATE_FRAMES && smooth[i] > 0.0f; i++)
    if (smooth[i] > ON) return true;
  return false;
}

static void settle(struct vad *v, struct vad_out *out) {
  enum vad_heard heard = (enum vad_heard)v->heard[v->decided % (VAD_DELAY_FRAMES + 1)];
  if (heard == VAD_SOUND)
    v->settled = v->settled ? v->smooth[0] > OFF : begins(v->smooth);
  else if (heard != VAD_MISSING_BRIEF)
    v->settled = false;
  out->settled_valid = true;
  out->settled_frame = v->decided++;
  out->settled = v->settled;
  out->score = heard == VAD_SOUND || heard == VAD_MISSING_BRIEF ? probability(v->smooth[0]) : 0.0f;
}

void vad_frame(struct vad *v, const int16_t *pcm, struct vad_out *out) {
  memset(out, 0, sizeof *out);
  enum vad_heard heard = hear(v, pcm);
  v->heard[v->frames % (VAD_DELAY_FRAMES + 1)] = (uint8_t)heard;
  struct vad_log_odds log_odds;
  vad_model_log_odds(&v->model, &log_odds);
  out->instant = instant_answer(v, heard, log_odds.instant);
  take_log_odds(v, v->frames, log_odds.settled);
  if (v->frames >= VAD_DELAY_FRAMES) settle(v, out);
  v->frames++;
}

/* The last frame's features stand in for those that will not come. */
bool vad_flush(struct vad *v, struct vad_out *out) {
  memset(out, 0, sizeof *out);
  if (v->decided == v->frames) return false;
  /* A track shorter than the delay has not had its first answer yet: catch up. */
  uint64_t seen = v->decided + VAD_DELAY_FRAMES;
  for (; v->flushed < seen + 1 - v->frames; v->flushed++) {
    struct vad_log_odds log_odds;
    vad_model_repeat(&v->model);
    vad_model_log_odds(&v->model, &log_odds);
    take_log_odds(v, v->frames + v->flushed, log_odds.settled);
  }
  settle(v, out);
  return true;
}
