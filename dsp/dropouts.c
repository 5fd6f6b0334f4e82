#include "dsp/dropouts.h"

#include <string.h>

enum {
  FRAMES_PER_S = 50,
  RUN_MAX = 10,   /* frames: longer silence is a switched-off sender's */
  NEAR_FRAMES = 2 /* 40 ms */
};
static const double loud = 33954.7;    /* mean square at -45 dBov */
static const double audible = 1073.74; /* at -60: below, quiet codes repeat by themselves */

void dropouts_init(struct dropouts *d, uint32_t rate_hz, int16_t idle) {
  *d = (struct dropouts){.frame_samples = rate_hz / FRAMES_PER_S,
                         .border_samples = rate_hz / 1000,
                         .idle = idle,
                         .since_loud = NEAR_FRAMES};
}

/* Signless: a negative sample is no quieter than a positive one. */
static bool is_idle(const struct dropouts *d, int32_t sample) {
  return (sample < 0 ? -sample : sample) <= d->idle;
}

/* Idle samples at the border of a frame that has others too are at most border_samples. */
static bool ends_at_border(const struct dropouts *d, const int16_t *pcm) {
  size_t n = 0;
  while (n <= d->border_samples && is_idle(d, pcm[n])) n++;
  return n <= d->border_samples;
}

static bool begins_at_border(const struct dropouts *d, const int16_t *before) {
  size_t n = 0;
  while (n <= d->border_samples && is_idle(d, before[d->frame_samples - 1 - n])) n++;
  return n <= d->border_samples;
}

static void silent_frame(struct dropouts *d, const int16_t *before) {
  if (d->silent_run == 0)
    d->inserted = before != NULL && d->since_loud < NEAR_FRAMES && begins_at_border(d, before);
  d->silent_run++;
}

static void other_frame(struct dropouts *d, const int16_t *pcm) {
  if (d->silent_run > 0 && d->silent_run <= RUN_MAX && d->inserted && ends_at_border(d, pcm)) {
    d->waiting = d->silent_run;
    d->wait = NEAR_FRAMES;
  }
  d->silent_run = 0;
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

void dropouts_frame(struct dropouts *d, const int16_t *pcm, const int16_t *before, uint32_t peak,
                    double mean_square) {
  bool idle = peak <= (uint32_t)d->idle, is_loud = !idle && mean_square > loud;
  compare(d, pcm, before, mean_square);
  if (idle) {
    silent_frame(d, before);
  } else {
    other_frame(d, pcm);
  }
  if (d->wait > 0) {
    if (is_loud) d->inserted_frames += d->waiting;
    d->wait = is_loud ? 0 : d->wait - 1;
  }
  if (is_loud) {
    d->since_loud = 0;
  } else if (d->since_loud < NEAR_FRAMES) {
    d->since_loud++;
  }
}

void dropouts_break(struct dropouts *d) {
  end_repeats(d);
  d->since_loud = NEAR_FRAMES;
  d->silent_run = d->wait = 0;
  d->inserted = false;
}
