/* make bench: what echo, presence and findings cost a frame of 20 ms at 8 kHz, and the worst single call.
 * CPU time of this process, median of ROUNDS. The worst call is the slowest of the deterministic sequence,
 * each call taken at its fastest of ROUNDS, so that what the machine did meanwhile drops out. Prints
 * the table of docs/performance.md. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dsp/correlate.h"
#include "dsp/echo.h"
#include "dsp/findings.h"
#include "dsp/presence.h"
#include "tests/talker.h"

enum { ROUNDS = 15, FRAME = 160, FRAMES = 3000, SAMPLES = FRAMES * FRAME, LAGS = 481, HOPS = 2000 };

static int16_t far[SAMPLES], near[SAMPLES];
static struct echo *echo;
static unsigned long sink;

static double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of the processor's time stamp counter; 0 where there is none. */
static double cycles_a_ns(void) {
#if defined(__x86_64__)
  static double known;
  if (known > 0) return known;
  double from = seconds(CLOCK_MONOTONIC), to;
  unsigned long long began = __builtin_ia32_rdtsc();
  while ((to = seconds(CLOCK_MONOTONIC)) - from < 0.05) continue;
  return known = (double)(__builtin_ia32_rdtsc() - began) / ((to - from) * 1e9);
#else
  return 0;
#endif
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void time_step(const char *what, const char *unit, void (*step)(void), size_t units) {
  double ns[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    double from = seconds(CLOCK_PROCESS_CPUTIME_ID);
    step();
    ns[i] = (seconds(CLOCK_PROCESS_CPUTIME_ID) - from) * 1e9 / (double)units;
  }
  qsort(ns, ROUNDS, sizeof *ns, by_value);
  printf("%-60s %9.1f ns/%s %8.0f cycles   (%.1f to %.1f ns)\n", what, ns[ROUNDS / 2], unit,
         ns[ROUNDS / 2] * cycles_a_ns(), ns[0], ns[ROUNDS - 1]);
}

/* ---- echo ------------------------------------------------------------------------------------ */

static correlate_kernel kernel;
static void step_kernel(void) {
  static int64_t sums[LAGS];
  for (int i = 0; i < HOPS; i++) kernel(far + 12000 + i, near + i * 16, LAGS, sums);
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
  kernel = correlate_scalar;
  time_step("echo, fine stage's inner loop, plain C", "hop", step_kernel, HOPS);
  kernel = correlate_avx2() != NULL ? correlate_avx2() : correlate_neon();
  if (kernel != NULL) time_step("echo, fine stage's inner loop, vector", "hop", step_kernel, HOPS);
  make_sound(SILENT, false);
  time_step("echo, a frame of each track, outbound silent", "pair", step_echo, FRAMES);
  make_sound(TALKER, false);
  time_step("echo, outbound talks, none", "pair", step_echo, FRAMES);
  make_sound(NOISE, false);
  time_step("echo, outbound never stops, none: coarse only", "pair", step_echo, FRAMES);
  make_sound(TALKER, true);
  time_step("echo, outbound talks, echo", "pair", step_echo, FRAMES);
  make_sound(NOISE, true);
  time_step("echo, outbound never stops, echo: the most there is", "pair", step_echo, FRAMES);
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
  time_step("presence, a frame of each track and its decisions", "pair", step_presence, FRAMES);
  time_step("findings, a window's figures (every 10 s)", "window", step_windows, FRAMES);
  time_step("findings, a tick (every second)", "tick", step_ticks, FRAMES);
  return sink == 1; /* looked at, so that nothing is optimised away */
}
