/* The later half of dsp/signal.h: frames that wait for the voice detector, and windows. */
#include <math.h>
#include <string.h>

#include "dsp/signal_state.h"

enum {
  QUIET_MS = 200,   /* no speech for so long: outside the hangover of 5.3 */
  HOLE_MAX_MS = 60, /* the detector keeps its state that long (dsp/vad.h) */
  DC_MIN_MS = 1000,
  GAPS_MIN_MS = 5000, /* of active sound, before gaps a minute are worth telling */
  MINUTE_MS = 60000,
  OTHER_MIN_MS = 9000 /* of a window, before it is taken for something else than speech */
};

/* 5.6. Unbroken speech has a modulation of 0.75 (dsp/steady.h); 0.3 of it. Below the level of 5.3's
 * "very low" it is background, whatever it is. */
static const double other_activity = 0.95, other_modulation = 0.225, other_lasting = 0.15,
                    other_level_dbov = -46;
/* Rhythmic music moves as speech does (0.55): there the voice detector's word is taken, if any peaks last
 * at all. Rain, sea and hiss have none (below 0.02) and stay what they are: noise. */
static const double unvoiced_speech = 0.1, unvoiced_lasting = 0.05;

/* ---- counters ---- */

void signal_read(const struct signal *s, struct signal_counts *out) {
  p56_counters(&s->meter, &out->level);
  out->dc_sum = s->dc_sum;
  out->clip_samples = s->clip.samples;
  out->clip_events = s->clip.events;
  /* Of 20 ms, whatever the codec's are. */
  out->inserted_frames =
      (s->dropouts.inserted_samples + s->dropouts.frame_samples / 2) / s->dropouts.frame_samples;
  out->repeated_frames = s->dropouts.repeated_frames;
  out->repeating_frames = s->dropouts.repeating_frames;
  out->mute_gaps = s->gaps.count;
  out->frames = s->frames;
  out->missing_samples = s->missing_samples;
}

static void subtract(struct signal_counts *from, const struct signal_counts *part) {
  p56_subtract(&from->level, &part->level);
  from->dc_sum -= part->dc_sum;
  from->clip_samples -= part->clip_samples;
  from->clip_events -= part->clip_events;
  from->inserted_frames -= part->inserted_frames;
  from->repeated_frames -= part->repeated_frames;
  from->repeating_frames -= part->repeating_frames;
  from->mute_gaps -= part->mute_gaps;
  from->frames -= part->frames;
  from->missing_samples -= part->missing_samples;
}

/* ---- windows: first their sound is complete, then their decisions ---- */

/* Music, a tone, a machine. */
static bool is_other(const struct signal *s) {
  const struct signal_window *w = &s->closing_window;
  const struct steady_result *steady = &s->closing_steady;
  if (w->measured_ms < OTHER_MIN_MS || w->active_level_dbov.absent != NULL ||
      w->active_level_dbov.value < other_level_dbov || w->activity_share.value <= other_activity ||
      !steady->enough)
    return false;
  bool unvoiced = s->window_decided_us >= OTHER_MIN_MS * 1000 &&
                  (double)s->window_speech_us < unvoiced_speech * (double)s->window_decided_us;
  return (unvoiced && steady->lasting > unvoiced_lasting) ||
         (steady->modulation < other_modulation && steady->lasting > other_lasting);
}

/* Out of the levels of speech, and out of the noise beneath it. */
static void exclude(struct signal *s) {
  struct signal_facts *f = &s->facts;
  const struct p56_counters *level = &s->closing_counts.level;
  f->other_us += s->closing_counts.frames * SIGNAL_FRAME_MS * 1000;
  f->other_samples += level->samples;
  f->other_power += level->power;
  for (int j = 0; j < P56_THRESHOLDS; j++) f->other_active[j] += level->active[j];
  for (int i = 0; i < NOISE_BUCKETS; i++) f->noise[i] -= s->window_noise[i];
}

static void publish(struct signal *s) {
  struct signal_window *w = &s->closing_window;
  struct noise_result noise = noise_measure(s->window_noise);
  w->noise_dbov = !noise.enough  ? figure_absent("too_little_silence")
                  : noise.silent ? figure_absent("digital_silence")
                                 : figure_number(noise.level_dbov);
  w->snr_db = w->noise_dbov;
  if (w->active_level_dbov.absent != NULL) {
    w->snr_db = w->active_level_dbov;
  } else if (w->noise_dbov.absent == NULL) {
    w->snr_db = figure_number(w->active_level_dbov.value - w->noise_dbov.value);
  }
  w->hum_hz = hum_hz(&s->hum);
  w->hum_dbov =
      w->hum_hz != 0 ? figure_number(10 * log10(s->hum.newest_power / 0x1p30)) : figure_absent("no_hum");
  w->speech_ms = s->window_speech_us / 1000;
  w->non_speech = is_other(s);
  if (w->non_speech) exclude(s);
  w->ordinal = s->newest_window.ordinal + 1;
  s->newest_window = *w;
  s->closing = false;
  s->window_speech_us = s->window_decided_us = 0;
  memset(s->window_noise, 0, sizeof s->window_noise);
}

static void level_figures(struct signal_window *w, const struct signal_counts *c, uint32_t rate_hz) {
  struct p56_result level = p56_measure(&c->level);
  double active_samples = level.activity * (double)c->level.samples;
  double active_ms = active_samples * 1000 / rate_hz;
  static const char silent[] = "silent";
  w->rms_dbov = figure_number(level.rms_dbov);
  w->active_level_dbov = level.active ? figure_number(level.level_dbov) : figure_absent(silent);
  w->activity_share = figure_number(level.activity < 1 ? level.activity : 1);
  w->clip_share =
      level.active ? figure_number((double)c->clip_samples / active_samples) : figure_absent(silent);
  w->mute_gaps_per_min = active_ms >= GAPS_MIN_MS
                             ? figure_number((double)c->mute_gaps * MINUTE_MS / active_ms)
                             : figure_absent("too_little_sound");
  w->dc = c->frames * SIGNAL_FRAME_MS >= DC_MIN_MS
              ? figure_number((double)c->dc_sum / (double)c->level.samples / 32768)
              : figure_absent("too_short");
}

void signal_close_window(struct signal *s) {
  struct signal_counts c;
  if (!s->window_open) return;
  if (s->closing) publish(s);
  signal_read(s, &c);
  subtract(&c, &s->window_began);
  struct signal_window *w = &s->closing_window;
  *w = (struct signal_window){.start_ms = s->window * SIGNAL_WINDOW_MS,
                              .end_ms = (s->window + 1) * SIGNAL_WINDOW_MS,
                              .measured_ms = c.frames * SIGNAL_FRAME_MS,
                              .missing_ms = c.missing_samples * 1000 / s->rate_hz,
                              .clip_events = c.clip_events,
                              .mute_gaps = c.mute_gaps,
                              .inserted_silence_frames = c.inserted_frames,
                              .repeated_frames = c.repeated_frames};
  level_figures(w, &c, s->rate_hz);
  s->closing_counts = c;
  s->closing_steady = steady_take(&s->steady);
  s->closing = true;
  s->window_open = false;
  if (s->ring_count == 0) publish(s);
}

void signal_enter(struct signal *s, int64_t start_ms) {
  int64_t window = start_ms / SIGNAL_WINDOW_MS;
  if (s->window_open && window == s->window) return;
  signal_close_window(s);
  s->window = window;
  s->window_open = true;
  signal_read(s, &s->window_began);
}

const struct signal_window *signal_window(const struct signal *s) {
  return &s->newest_window;
}

/* ---- frames that wait ---- */

static void quiet_frame(struct signal *s, const struct signal_frame *f) {
  if (f->start_ms - s->quiet_since_ms < QUIET_MS) {
    hum_break(&s->hum);
    return;
  }
  size_t bucket = noise_bucket(f->mean_square);
  s->facts.noise[bucket]++;
  s->window_noise[bucket]++;
  hum_frame(&s->hum, s->kernels, f->low);
}

static void speech_frame(struct signal *s, const struct signal_frame *f) {
  uint64_t us = SIGNAL_FRAME_MS * 1000;
  s->facts.speech_us += us;
  s->window_speech_us += us;
  if (!f->has_band) return;
  s->facts.band_spectra++;
  s->facts.band_low += (double)f->band.low;
  s->facts.band_high += (double)f->band.high;
}

static void settle_oldest(struct signal *s) {
  const struct signal_frame *f = &s->ring[s->ring_first];
  int64_t end_ms = f->start_ms + SIGNAL_FRAME_MS;
  uint64_t us = SIGNAL_FRAME_MS * 1000;
  if (s->closing && f->start_ms >= s->closing_window.end_ms) publish(s);
  /* A frame's start is rounded down to a ms. */
  if (!s->any_settled || f->start_ms > s->settled_ms + 1) {
    hum_break(&s->hum);
    if (!s->any_settled || f->start_ms > s->settled_ms + HOLE_MAX_MS) s->quiet_since_ms = f->start_ms;
  }
  bool decided = f->decided_ms > 0, speech = decided && f->speech_ms * 2 >= f->decided_ms;
  if (decided) s->window_decided_us += us;
  if (!decided) s->facts.undecided_us += us;
  if (decided && !speech) {
    quiet_frame(s, f);
  } else {
    s->quiet_since_ms = end_ms;
    hum_break(&s->hum);
  }
  if (speech) speech_frame(s, f);
  s->any_settled = true;
  s->settled_ms = end_ms;
  s->ring_first = (s->ring_first + 1) % SIGNAL_RING_FRAMES;
  s->ring_count--;
}

struct signal_frame *signal_wait(struct signal *s, int64_t start_ms) {
  if (s->ring_count == SIGNAL_RING_FRAMES) settle_oldest(s);
  struct signal_frame *f = &s->ring[(s->ring_first + s->ring_count) % SIGNAL_RING_FRAMES];
  s->ring_count++;
  f->start_ms = start_ms;
  f->decided_ms = f->speech_ms = 0;
  return f;
}

void signal_settle_all(struct signal *s) {
  while (s->ring_count > 0) settle_oldest(s);
}

void signal_speech(struct signal *s, int64_t from_ms, int64_t to_ms, bool speech) {
  while (s->ring_count > 0) {
    struct signal_frame *f = &s->ring[s->ring_first];
    int64_t end_ms = f->start_ms + SIGNAL_FRAME_MS;
    if (to_ms <= f->start_ms) return;
    if (from_ms < end_ms) {
      int64_t from = from_ms > f->start_ms ? from_ms : f->start_ms, to = to_ms < end_ms ? to_ms : end_ms;
      f->decided_ms += (uint32_t)(to - from);
      if (speech) f->speech_ms += (uint32_t)(to - from);
      if (to_ms < end_ms) return;
    }
    settle_oldest(s);
  }
}
