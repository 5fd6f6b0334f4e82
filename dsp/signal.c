#include "dsp/signal.h"

#include <string.h>

#include "dsp/signal_state.h"

enum { STEADY_EVERY = 8 /* frames: 160 ms */, BAND_EVERY = 4 /* 80 ms */ };

size_t signal_bytes(void) {
  return sizeof(struct signal);
}

void signal_init(struct signal *s) {
  memset(s, 0, sizeof *s);
  s->kernels = kernels_best();
  hum_init(&s->hum);
}

void signal_use(struct signal *s, const struct kernels *kernels) {
  s->kernels = kernels;
}

void signal_on_silence(struct signal *s, signal_silence_sink sink, void *arg) {
  s->silence_sink = sink;
  s->silence_arg = arg;
}

static bool measured(uint32_t rate_hz) {
  return rate_hz >= 8000 && rate_hz <= SIGNAL_RATE_MAX_HZ && rate_hz % 4000 == 0;
}

void signal_begin(struct signal *s, uint32_t rate_hz, int16_t ceiling, int16_t idle) {
  if (s->rate_hz != 0) {
    signal_flush(s);
    signal_facts(s, &s->facts);
  }
  s->rate_hz = measured(rate_hz) ? rate_hz : 0;
  s->idle = idle;
  s->placed = s->adjoined = false;
  s->filled = 0;
  s->frames = s->missing_samples = 0;
  s->dc_sum = 0;
  if (s->rate_hz == 0) return;
  s->frame_samples = rate_hz / 1000 * SIGNAL_FRAME_MS;
  p56_init(&s->meter, rate_hz, true);
  clip_init(&s->clip, ceiling);
  dropouts_init(&s->dropouts, rate_hz, idle);
  gaps_init(&s->gaps, rate_hz);
  hum_decimate_init(&s->decimator, rate_hz);
  steady_init(&s->steady, rate_hz);
}

void signal_ptime(struct signal *s, uint32_t ptime_ms) {
  dropouts_ptime(&s->dropouts, ptime_ms);
}

/* ---- a whole frame ---- */

/* The newest `count` samples up to the end of `pcm`; false when they reach into a hole. */
static bool newest(const struct signal *s, const int16_t *pcm, const int16_t *before, int16_t *out,
                   size_t count) {
  size_t here = count < s->frame_samples ? count : s->frame_samples, there = count - here;
  if (there > 0 && (before == NULL || there > s->frame_samples)) return false;
  if (there > 0) memcpy(out, before + s->frame_samples - there, there * sizeof *out);
  memcpy(out + there, pcm + s->frame_samples - here, here * sizeof *out);
  return true;
}

/* The stages that look at a part of the frames only. */
static void measure_spectra(struct signal *s, struct signal_frame *frame, const int16_t *pcm,
                            const int16_t *before) {
  int16_t sound[BAND_SAMPLES];
  if (s->frames % STEADY_EVERY == 0 && newest(s, pcm, before, sound, FFT_POINTS))
    steady_spectrum(&s->steady, sound);
  frame->has_band = s->rate_hz == BAND_RATE_HZ && s->frames % BAND_EVERY == BAND_EVERY - 1 &&
                    newest(s, pcm, before, sound, BAND_SAMPLES);
  if (frame->has_band) frame->band = band_measure(sound);
}

/* Whole seconds apart: the numbers of a sender may leap for years. */
static int64_t us_of(int64_t samples, int64_t rate_hz) {
  return samples / rate_hz * 1000000 + samples % rate_hz * 1000000 / rate_hz;
}

static void tell_silence(const struct signal *s, const struct dropouts_silence *silence,
                         int64_t end_samples) {
  if (silence->samples == 0 || s->silence_sink == NULL) return;
  int64_t start_samples = end_samples - silence->ago_samples;
  s->silence_sink(s->silence_arg, us_of(start_samples, s->rate_hz),
                  us_of(start_samples + silence->samples, s->rate_hz));
}

static void frame_done(struct signal *s, const int16_t *pcm, int64_t position_samples) {
  const int16_t *before = s->adjoined ? s->pcm[1 - s->current] : NULL;
  int64_t start_ms = position_samples * 1000 / s->rate_hz;
  struct block_sum block[SIGNAL_BLOCKS];
  signal_enter(s, start_ms);
  uint32_t peak = s->kernels->block_sums(pcm, s->frame_samples / SIGNAL_BLOCKS, SIGNAL_BLOCKS, block);
  for (int i = 0; i < SIGNAL_BLOCKS; i++) s->dc_sum += block[i].sum;
  clip_feed(&s->clip, pcm, s->frame_samples, peak);
  double mean_square = p56_feed(&s->meter, pcm, s->frame_samples) / (double)s->frame_samples;
  struct dropouts_silence silence = dropouts_frame(&s->dropouts, pcm, before, peak, mean_square);
  tell_silence(s, &silence, position_samples + (int64_t)s->frame_samples);
  gaps_feed(&s->gaps, block, SIGNAL_BLOCKS);

  struct signal_frame *frame = signal_wait(s, start_ms);
  /* Idle code is digital silence, whatever DC A-law's has and whatever the filter still gives back. */
  frame->mean_square = peak <= (uint32_t)s->idle ? 0 : mean_square;
  hum_decimate(&s->decimator, pcm, frame->low);
  steady_frame(&s->steady, mean_square);
  measure_spectra(s, frame, pcm, before);
  s->frames++;
}

/* ---- frames from sound in any pieces ---- */

static void fill(struct signal *s, const int16_t *pcm, size_t samples) {
  while (samples > 0) {
    size_t room = s->frame_samples - s->filled, count = samples < room ? samples : room;
    int16_t *frame = s->pcm[s->current];
    memcpy(frame + s->filled, pcm, count * sizeof *pcm);
    s->filled += count;
    s->next_samples += (int64_t)count;
    pcm += count;
    samples -= count;
    if (s->filled < s->frame_samples) return;
    frame_done(s, frame, s->next_samples - (int64_t)s->frame_samples);
    s->current = 1 - s->current;
    s->adjoined = true;
    s->filled = 0;
  }
}

/* What was begun is not measured, and nothing is compared over the hole. */
static void break_off(struct signal *s) {
  s->filled = 0;
  s->adjoined = false;
  clip_break(&s->clip);
  dropouts_break(&s->dropouts);
  gaps_break(&s->gaps);
  steady_break(&s->steady);
}

static void hole(struct signal *s, int64_t samples) {
  if (samples <= 0) return;
  break_off(s);
  s->missing_samples += (uint64_t)samples;
  s->next_samples += samples;
}

void signal_pcm(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples) {
  struct signal *s = arg;
  if (s->rate_hz == 0 || samples == 0) return;
  if (!s->placed) {
    s->placed = true;
    s->next_samples = position_samples;
  }
  hole(s, position_samples - s->next_samples);
  if (position_samples < s->next_samples) { /* heard already */
    uint64_t old = (uint64_t)(s->next_samples - position_samples);
    if (old >= samples) return;
    samples -= old;
    if (pcm != NULL) pcm += old;
  }
  if (pcm == NULL) {
    hole(s, (int64_t)samples);
  } else {
    fill(s, pcm, samples);
  }
}

void signal_flush(struct signal *s) {
  if (s->rate_hz == 0) return;
  break_off(s);
  signal_settle_all(s);
  signal_close_window(s);
}

void signal_facts(const struct signal *s, struct signal_facts *out) {
  struct signal_counts c;
  if (out != &s->facts) *out = s->facts;
  out->hum_blocks = s->hum.blocks;
  out->hum_50_blocks = s->hum.hum_blocks[HUM_50];
  out->hum_60_blocks = s->hum.hum_blocks[HUM_60];
  out->hum_50_power = s->hum.hum_power[HUM_50];
  out->hum_60_power = s->hum.hum_power[HUM_60];
  if (s->rate_hz == 0) return;
  signal_read(s, &c);
  uint64_t us = c.frames * SIGNAL_FRAME_MS * 1000;
  out->measured_us += us;
  out->missing_us += (uint64_t)us_of((int64_t)c.missing_samples, s->rate_hz);
  if (s->rate_hz == 8000) out->narrow_us += us;
  out->samples += c.level.samples;
  out->power += c.level.power;
  for (int j = 0; j < P56_THRESHOLDS; j++) out->active[j] += c.level.active[j];
  out->dc_sum += c.dc_sum;
  out->clip_samples += c.clip_samples;
  out->clip_events += c.clip_events;
  out->inserted_silence_frames += c.inserted_frames;
  out->repeated_frames += c.repeated_frames;
  out->repeating_frames += c.repeating_frames;
  out->mute_gaps += c.mute_gaps;
}
