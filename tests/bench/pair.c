/* make bench: what echo, presence and findings cost a frame of 20 ms at 8 kHz, and the worst single call.
 * The worst call is the slowest of the deterministic sequence, each call taken at its fastest of ROUNDS, so
 * that what the machine did meanwhile drops out. Prints the table of docs/performance.md. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/echo.h"
#include "dsp/findings.h"
#include "dsp/kernels.h"
#include "dsp/presence.h"
#include "tests/bench/timing.h"
#include "tests/talker.h"

enum { FRAME = 160, FRAMES = 3000, SAMPLES = FRAMES * FRAME, LAGS = 481, HOPS = 2000 };

static int16_t far[SAMPLES], near[SAMPLES];
static struct echo *echo;
static unsigned long sink;

/* ---- echo ------------------------------------------------------------------------------------ */

static const struct kernels *kernels;
static void step_kernel(void) {
  static int64_t sums[LAGS];
  for (int i = 0; i < HOPS; i++) kernels->correlate(far + 12000 + i, near + i * 16, LAGS, sums);
  sink += (unsigned long)sums[7];
}

/* One frame of each track. */
static void pair_of_frames(int frame) {
  echo_pcm(echo, 0, (int64_t)frame * FRAME, near + frame * FRAME, FRAME);
  echo_pcm(echo, 1, (int64_t)frame * FRAME, far + frame * FRAME, FRAME);
}

static void step_echo(void) {
  struct echo_facts facts;
  echo_init(echo, NULL, NULL);
  for (int i = 0; i < FRAMES; i++) pair_of_frames(i);
  echo_facts(echo, &facts);
  sink += facts.verdicts;
}

static void worst_call(const char *what) {
  static double fastest[FRAMES];
  for (int round = 0; round < ROUNDS; round++) {
    echo_init(echo, NULL, NULL);
    for (int i = 0; i < FRAMES; i++) {
      double from = seconds(CLOCK_MONOTONIC);
      pair_of_frames(i);
      double ns = (seconds(CLOCK_MONOTONIC) - from) * 1e9;
      if (round == 0 || ns < fastest[i]) fastest[i] = ns;
    }
  }
  qsort(fastest, FRAMES, sizeof *fastest, by_value);
  printf("%-60s %9.1f ns     %8.0f cycles\n", what, fastest[FRAMES - 1], fastest[FRAMES - 1] * cycles_a_ns());
}

enum sound { SILENT, TALKER, NOISE };
static void make_sound(enum sound outbound, bool is_echo) {
  uint32_t a = 1, b = 2;
  if (outbound == TALKER) talker_fill(far, SAMPLES, 3);
  for (int i = 0; i < SAMPLES; i++) {
    if (outbound != TALKER) far[i] = (int16_t)talker_noise(&a, outbound == SILENT ? 30 : 8000);
    int32_t y = talker_noise(&b, 30);
    near[i] = (int16_t)(is_echo && i >= 1440 ? y + far[i - 1440] / 10 : y);
  }
}

static void echo_rows(void) {
  echo = malloc(echo_bytes());
  if (echo == NULL) exit(1);
  printf("%-60s %9zu bytes\n", "echo, memory a call", echo_bytes());
  make_sound(NOISE, true);
  kernels = &kernels_scalar;
  time_step(step_kernel, "echo, fine stage's inner loop, plain C", HOPS, "hop");
  kernels = kernels_best();
  if (kernels != &kernels_scalar)
    time_step(step_kernel, "echo, fine stage's inner loop, vector", HOPS, "hop");
  make_sound(SILENT, false);
  time_step(step_echo, "echo, a frame of each track, outbound silent", FRAMES, "pair");
  make_sound(TALKER, false);
  time_step(step_echo, "echo, outbound talks, none", FRAMES, "pair");
  make_sound(NOISE, false);
  time_step(step_echo, "echo, outbound never stops, none: coarse only", FRAMES, "pair");
  make_sound(TALKER, true);
  time_step(step_echo, "echo, outbound talks, echo", FRAMES, "pair");
  make_sound(NOISE, true);
  time_step(step_echo, "echo, outbound never stops, echo: the most there is", FRAMES, "pair");
  worst_call("echo, the worst pair of calls");
  free(echo);
}

/* ---- presence, findings ------------------------------------------------------------------------ */

static void on_note(void *arg, const struct presence_note *note) {
  (void)arg;
  sink += (unsigned long)note->kind;
}

/* Frames, decisions of 10 ms and a level a second of both tracks, in step. */
static void step_presence(void) {
  static struct presence p;
  presence_init(&p, on_note, NULL);
  for (int i = 0; i < FRAMES; i++) {
    int64_t ms = i * 20;
    for (int t = 0; t < 2; t++) {
      presence_frame(&p, t, ms, 20, ms + 40);
      presence_speech(&p, t, ms, ms + 10, i / 60 % 2 == t);
      presence_speech(&p, t, ms + 10, ms + 20, i / 60 % 2 == t);
      if (i % 50 == 49) presence_level(&p, t, ms - 980, ms + 20, -30);
    }
    if (i % 50 == 0) presence_tick(&p, ms);
  }
}

static void step_windows(void) {
  static struct findings f;
  findings_init(&f);
  for (int i = 0; i < FRAMES; i++) {
    struct finding_values v = finding_values_unknown();
    v.r = i % 7 < 3 ? 55 : 90;
    v.active_level_dbov = -26;
    v.snr_db = i % 5 * 8;
    v.clip_pct = i % 3;
    findings_window(&f, i & 1, i * 10000, &v);
  }
  sink += f.facts.row_count;
}

static void step_ticks(void) {
  static struct findings f;
  findings_init(&f);
  for (int i = 0; i < FRAMES; i++) findings_tick(&f, i * 1000);
}

int main(void) {
  echo_rows();
  time_step(step_presence, "presence, a frame of each track and its decisions", FRAMES, "pair");
  time_step(step_windows, "findings, a window's figures (every 10 s)", FRAMES, "window");
  time_step(step_ticks, "findings, a tick (every second)", FRAMES, "tick");
  return sink == 1; /* looked at, so that nothing is optimised away */
}
