#include "dsp/hearing.h"

#include <stdlib.h>
#include <string.h>

#include "dsp/vad.h"

enum {
  FRAME_MS = 10,
  /* Longer holes are told as silence at once: nothing of the detector's memory outlives them, and a
   * track that comes back after an hour must not cost the loop an hour's frames. */
  HOLE_FRAMES_MAX = 500
};

struct hearing {
  hearing_sink sink;
  void *arg;
  struct vad *vad;
  int64_t base_frame;    /* number of the detector's frame 0 on the track */
  int64_t decided_frame; /* decisions handed on end here */
  int64_t next_samples;  /* position of the next sample expected */
  int filled_samples;
  int missing_samples; /* of the filled ones */
  bool instant;
  int16_t frame[VAD_FRAME_SAMPLES];
};

size_t hearing_bytes(void) {
  return sizeof(struct hearing) + vad_bytes();
}

struct hearing *hearing_create(hearing_sink sink, void *arg) {
  struct hearing *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->vad = malloc(vad_bytes());
  if (l->vad == NULL) {
    free(l);
    return NULL;
  }
  l->sink = sink;
  l->arg = arg;
  vad_init(l->vad);
  return l;
}

void hearing_free(struct hearing *l) {
  if (l == NULL) return;
  free(l->vad);
  free(l);
}

static void hand_on(struct hearing *l, const struct vad_out *out) {
  if (!out->settled_valid) return;
  int64_t frame = l->base_frame + (int64_t)out->settled_frame;
  l->decided_frame = frame + 1;
  l->sink(l->arg, frame * FRAME_MS, (frame + 1) * FRAME_MS, out->settled, out->score);
}

static void end_frame(struct hearing *l) {
  struct vad_out out = {0};
  /* A frame of which half or more never came says nothing of the sound. */
  bool missing = l->missing_samples * 2 >= VAD_FRAME_SAMPLES;
  vad_frame(l->vad, missing ? NULL : l->frame, &out);
  l->instant = out.instant;
  hand_on(l, &out);
  l->filled_samples = l->missing_samples = 0;
}

static void fill(struct hearing *l, const int16_t *pcm, size_t samples) {
  while (samples > 0) {
    size_t room = (size_t)(VAD_FRAME_SAMPLES - l->filled_samples);
    size_t count = samples < room ? samples : room;
    if (pcm != NULL) {
      memcpy(l->frame + l->filled_samples, pcm, count * sizeof *pcm);
      pcm += count;
    } else {
      memset(l->frame + l->filled_samples, 0, count * sizeof *pcm);
      l->missing_samples += (int)count;
    }
    l->filled_samples += (int)count;
    l->next_samples += (int64_t)count;
    samples -= count;
    if (l->filled_samples == VAD_FRAME_SAMPLES) end_frame(l);
  }
}

/* Ends what was heard, tells the hole as silence and begins anew behind it, on the 10 ms grid. */
static void skip_hole(struct hearing *l, int64_t samples) {
  if (l->filled_samples > 0) {
    int64_t rest = VAD_FRAME_SAMPLES - l->filled_samples;
    fill(l, NULL, (size_t)rest);
    samples -= rest;
  }
  hearing_flush(l);
  int64_t frames = samples / VAD_FRAME_SAMPLES;
  int64_t from = l->decided_frame;
  l->decided_frame += frames;
  l->sink(l->arg, from * FRAME_MS, l->decided_frame * FRAME_MS, false, 0.0f);
  l->next_samples += frames * VAD_FRAME_SAMPLES;
  l->base_frame = l->decided_frame;
  l->instant = false;
  vad_init(l->vad);
  fill(l, NULL, (size_t)(samples - frames * VAD_FRAME_SAMPLES));
}

static void hole(struct hearing *l, int64_t samples) {
  if (samples > (int64_t)HOLE_FRAMES_MAX * VAD_FRAME_SAMPLES) {
    skip_hole(l, samples);
  } else {
    fill(l, NULL, (size_t)samples);
  }
}

void hearing_pcm(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples) {
  struct hearing *l = arg;
  if (position_samples > l->next_samples) hole(l, position_samples - l->next_samples);
  if (position_samples < l->next_samples) { /* heard already */
    uint64_t old = (uint64_t)(l->next_samples - position_samples);
    if (old >= samples) return;
    samples -= old;
    if (pcm != NULL) pcm += old;
  }
  if (pcm == NULL) {
    hole(l, (int64_t)samples);
  } else {
    fill(l, pcm, samples);
  }
}

void hearing_flush(struct hearing *l) {
  struct vad_out out = {0};
  while (vad_flush(l->vad, &out)) hand_on(l, &out);
}

bool hearing_instant(const struct hearing *l) {
  return l->instant;
}
