#include "dsp/dropouts.h"

#include <string.h>

#include "dsp/level.h"

enum {
  FRAMES_PER_S = 50,
  RUN_MAX = 10,   /* longer silence is a switched-off sender's */
  NEAR_FRAMES = 2 /* 40 ms */
};
static const double audible = 1073.74; /* mean square at -60 dBov: below, quiet codes repeat by themselves */

void dropouts_init(struct dropouts *d, uint32_t rate_hz, int16_t idle) {
  *d = (struct dropouts){.frame_samples = rate_hz / FRAMES_PER_S,
                         .border_samples = rate_hz / 1000,
                         .unit_samples = rate_hz / FRAMES_PER_S,
                         .idle = idle,
                         .since_loud = NEAR_FRAMES};
}

void dropouts_ptime(struct dropouts *d, uint32_t ptime_ms) {
  if (ptime_ms >= 10 && ptime_ms <= 60 && ptime_ms % 10 == 0)
    d->unit_samples = (int64_t)d->border_samples * ptime_ms;
}

/* Signless: a negative sample is no quieter than a positive one. */
static bool is_idle(const struct dropouts *d, int32_t sample) {
  return (sample < 0 ? -sample : sample) <= d->idle;
}

/* The idle samples end here: they are inserted frames if whole units of the codec lie in them and hardly
 * anything else. */
static void end_silence(struct dropouts *d, int64_t end) {
  int64_t unit = d->unit_samples, border = (int64_t)d->border_samples, start = end - d->idle_samples;
  int64_t first = (start + unit - 1) / unit * unit, last = end / unit * unit;
  int64_t units = (last - first) / unit;
  if (d->after_loud && first - start <= border && end - last <= border && units >= 1 && units <= RUN_MAX) {
    d->waiting_start_samples = first;
    d->waiting_samples = last - first;
    d->wait = NEAR_FRAMES;
  }
  d->idle_samples = 0;
}

static void find_silence(struct dropouts *d, const int16_t *pcm, bool loud_frame) {
  size_t count = d->frame_samples, lead = 0, trail = 0;
  while (lead < count && is_idle(d, pcm[lead])) lead++;
  if (d->idle_samples == 0) d->after_loud = d->since_loud < NEAR_FRAMES;
  d->idle_samples += (int64_t)lead;
  if (lead == count) return;
  end_silence(d, d->samples + (int64_t)lead);
  while (is_idle(d, pcm[count - 1 - trail])) trail++;
  d->idle_samples = (int64_t)trail;
  d->after_loud = loud_frame || d->since_loud < NEAR_FRAMES - 1;
}

static void end_repeats(struct dropouts *d) {
  if (d->repeat_run <= RUN_MAX) {
    d->repeated_frames += d->repeat_run;
  } else {
    d->repeating_frames += d->repeat_run;
  }
  d->repeat_run = 0;
}

static void compare(struct dropouts *d, const int16_t *pcm, const int16_t *before, double mean_square) {
  bool repeated =
      mean_square > audible && before != NULL && memcmp(pcm, before, d->frame_samples * sizeof *pcm) == 0;
  if (repeated) {
    d->repeat_run++;
  } else if (d->repeat_run > 0) {
    end_repeats(d);
  }
}

/* What waits is counted with the frame at hand, if that one is loud. */
static struct dropouts_silence count_silence(struct dropouts *d, bool loud_frame) {
  if (d->wait == 0) return (struct dropouts_silence){0};
  d->wait = loud_frame ? 0 : d->wait - 1;
  if (!loud_frame) return (struct dropouts_silence){0};
  d->inserted_samples += (uint64_t)d->waiting_samples;
  int64_t end = d->samples + (int64_t)d->frame_samples;
  return (struct dropouts_silence){d->waiting_samples, end - d->waiting_start_samples};
}

struct dropouts_silence dropouts_frame(struct dropouts *d, const int16_t *pcm, const int16_t *before,
                                       uint32_t peak, double mean_square) {
  bool is_loud = peak > (uint32_t)d->idle && mean_square > LEVEL_LOUD_POWER;
  compare(d, pcm, before, mean_square);
  find_silence(d, pcm, is_loud);
  struct dropouts_silence silence = count_silence(d, is_loud);
  if (is_loud) {
    d->since_loud = 0;
  } else if (d->since_loud < NEAR_FRAMES) {
    d->since_loud++;
  }
  d->samples += (int64_t)d->frame_samples;
  return silence;
}

void dropouts_break(struct dropouts *d) {
  end_repeats(d);
  d->since_loud = NEAR_FRAMES;
  d->idle_samples = d->samples = 0;
  d->wait = 0;
}
