/* make bench: what the signal figures cost a frame of 20 ms at 8 kHz, stage by stage, and each kernel
 * in plain C beside its variant. Prints the table of docs/performance.md. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/band.h"
#include "dsp/clip.h"
#include "dsp/dropouts.h"
#include "dsp/gaps.h"
#include "dsp/hum.h"
#include "dsp/p56.h"
#include "dsp/signal.h"
#include "dsp/steady.h"
#include "tests/bench/timing.h"
#include "tests/kernel_cases.h"

enum { FRAMES = 3000, FRAME = 160, RATE_HZ = 8000 };

static int16_t sound[FRAMES * FRAME];
static const struct kernels *kernels;
static uint64_t sink; /* what the steps found, so that none is optimised away */

/* A minute of syllables, pauses and noise: every stage has something to do. */
static void make_sound(void) {
  uint32_t seed = 1;
  for (int i = 0; i < FRAMES * FRAME; i++) {
    double t = (double)i / RATE_HZ, talk = fmod(t, 6) < 3 ? 0.5 - 0.5 * cos(2 * M_PI * 4 * t) : 0;
    double voice = sin(2 * M_PI * 130 * t) + 0.6 * sin(2 * M_PI * 520 * t) + 0.3 * sin(2 * M_PI * 1690 * t);
    double noise = (double)((int32_t)kernel_random(&seed) - 32768) / 32768;
    sound[i] = (int16_t)(6000 * talk * voice + 60 * noise);
  }
}

/* ---- stages ---- */

static void step_sums(void) {
  struct block_sum block[KERNEL_BLOCKS];
  for (int f = 0; f < FRAMES; f++)
    sink +=
        kernels->block_sums(sound + f * FRAME, FRAME / KERNEL_BLOCKS, KERNEL_BLOCKS, block) + block[3].square;
}

static void step_p56(void) {
  static struct p56 m;
  p56_init(&m, RATE_HZ, true);
  for (int f = 0; f < FRAMES; f++) sink += (uint64_t)p56_feed(&m, sound + f * FRAME, FRAME);
}

static void step_clip_quiet(void) {
  struct clip c;
  clip_init(&c, 32124);
  for (int f = 0; f < FRAMES; f++) clip_feed(&c, sound + f * FRAME, FRAME, 12000);
  sink += c.events;
}

static void step_clip_loud(void) {
  struct clip c;
  clip_init(&c, 3000);
  for (int f = 0; f < FRAMES; f++) clip_feed(&c, sound + f * FRAME, FRAME, 12000);
  sink += c.events;
}

static void step_dropouts(void) {
  struct dropouts d;
  dropouts_init(&d, RATE_HZ, 0);
  for (int f = 1; f < FRAMES; f++)
    dropouts_frame(&d, sound + f * FRAME, sound + (f - 1) * FRAME, 12000, 100000);
  sink += d.inserted_samples;
}

static void step_gaps(void) {
  struct gaps g;
  struct block_sum block[KERNEL_BLOCKS] = {{0}};
  gaps_init(&g, RATE_HZ);
  for (int f = 0; f < FRAMES; f++) {
    for (int i = 0; i < KERNEL_BLOCKS; i++)
      block[i].square = (uint64_t)(sound[f * FRAME + i] * sound[f * FRAME + i]) * 16;
    gaps_feed(&g, block, KERNEL_BLOCKS);
  }
  sink += g.count;
}

static void step_decimate(void) {
  static struct hum_decimator d;
  int16_t low[TONE_SAMPLES];
  hum_decimate_init(&d, RATE_HZ);
  for (int f = 0; f < FRAMES; f++) {
    hum_decimate(&d, sound + f * FRAME, low);
    sink += (uint16_t)low[5];
  }
}

static void step_hum(void) {
  static struct hum h;
  hum_init(&h);
  for (int f = 0; f < FRAMES; f++) hum_frame(&h, kernels, sound + f * FRAME);
  sink += h.blocks;
}

static void step_tones(void) {
  int32_t out[TONE_COUNT][2];
  for (int f = 0; f < FRAMES; f++) {
    kernels->tones(sound + f * FRAME, out);
    sink += (uint32_t)out[7][1];
  }
}

static void step_steady(void) {
  static struct steady s;
  steady_init(&s, RATE_HZ);
  for (int f = 2; f < FRAMES; f++) {
    steady_frame(&s, 1000.0 + f % 50);
    if (f % 8 == 0) steady_spectrum(&s, sound + (f - 1) * FRAME);
  }
  sink += steady_take(&s).enough;
}

/* One spectrum; the track takes one in four frames, at 16 kHz. */
static void step_band(void) {
  for (int f = 0; f < FRAMES - 4; f++) sink += (uint64_t)band_measure(sound + f * FRAME).low;
}

static struct signal *track;
static uint32_t track_hz;

static void step_signal(void) {
  signal_init(track);
  signal_use(track, kernels);
  signal_begin(track, track_hz, 32124, 0);
  int samples = (int)track_hz / 50;
  for (int f = 0; f < FRAMES * FRAME / samples; f++) {
    signal_pcm(track, (int64_t)f * samples, sound + f * samples, (size_t)samples);
    if (f >= 6) signal_speech(track, (f - 6) * 20, (f - 5) * 20, (f - 6) % 300 < 150);
  }
}

static void step_facts(void) {
  static struct signal_facts facts;
  static struct signal_figures figures;
  for (int i = 0; i < 100; i++) {
    signal_facts(track, &facts);
    signal_figures(&facts, &figures);
    sink += figures.flag_count;
  }
}

/* ---- kernels, each case ---- */

static const struct kernel_case *kernel_case;
static int16_t kernel_input[KERNEL_SAMPLES_MAX];

static void step_case(void) {
  struct block_sum block[KERNEL_BLOCKS];
  for (int f = 0; f < FRAMES; f++)
    sink +=
        kernels->block_sums(kernel_input, kernel_case->block_samples, KERNEL_BLOCKS, block) + block[3].square;
}

static struct layer_input layer_input;

static void step_layers(void) {
  struct layer_input *on = &layer_input;
  for (int f = 0; f < FRAMES; f++) layer_run(kernels, &layer_cases[0], on);
  sink += on->wide_sums[0] != 0 && on->narrow_sums[0] != 0;
}

static void time_kernels(const struct kernels *k) {
  char what[80];
  uint32_t seed = 3;
  if (k == NULL) return;
  kernels = k;
  for (int c = 0; c < KERNEL_CASES; c++) {
    kernel_case = &kernel_cases[c];
    kernel_fill(kernel_case, &seed, kernel_input);
    snprintf(what, sizeof what, "  block_sums, %s: %s", k->name, kernel_case->name);
    time_step(step_case, what, FRAMES, "frame");
  }
  layer_fill(&layer_input, &seed);
  snprintf(what, sizeof what, "  layers of the voice detector's networks, %s", k->name);
  time_step(step_layers, what, FRAMES, "10 ms");
  snprintf(what, sizeof what, "  tones, %s", k->name);
  time_step(step_tones, what, FRAMES, "frame");
}

int main(void) {
  make_sound();
  track = malloc(signal_bytes());
  kernels = kernels_best();
  printf("frames of 20 ms at 8 kHz, %s; a track is %zu bytes, its facts %zu\n", kernels->name, signal_bytes(),
         sizeof(struct signal_facts));
  time_step(step_sums, "sums, squares and peak of 2 ms blocks", FRAMES, "frame");
  time_step(step_p56, "P.56, every sample, and the DC filter", FRAMES, "frame");
  time_step(step_clip_quiet, "clipping, sound below the ceiling", FRAMES, "frame");
  time_step(step_clip_loud, "clipping, sound at the ceiling", FRAMES, "frame");
  time_step(step_dropouts, "inserted silence and repeated frames", FRAMES, "frame");
  time_step(step_gaps, "mute gaps", FRAMES, "frame");
  time_step(step_decimate, "hum: down to 800 Hz, every frame", FRAMES, "frame");
  time_step(step_hum, "hum: 15 tones, a frame without speech", FRAMES, "frame");
  time_step(step_steady, "music: envelope, and a spectrum every 8 frames", FRAMES, "frame");
  time_step(step_band, "bandwidth: a spectrum at 16 kHz (one in 4 frames)", FRAMES, "spectrum");
  track_hz = 16000;
  time_step(step_signal, "signal_pcm and signal_speech, all of it, 16 kHz", FRAMES / 2, "frame");
  track_hz = RATE_HZ;
  time_step(step_signal, "signal_pcm and signal_speech, all of it", FRAMES, "frame");
  kernels = &kernels_scalar;
  time_step(step_signal, "  the same in plain C", FRAMES, "frame");
  time_step(step_facts, "signal_facts and signal_figures", 100, "look");
  time_kernels(&kernels_scalar);
  time_kernels(kernels_avx2());
  time_kernels(kernels_neon());
  free(track);
  return sink == 0;
}
