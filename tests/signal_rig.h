/* A track for the tests of dsp/signal: sound in, with the real voice detector or with labels, cut into
 * calls of any size. */
#ifndef TESTS_SIGNAL_RIG_H
#define TESTS_SIGNAL_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/hearing.h"
#include "dsp/signal.h"

struct rig {
  struct signal *signal;
  struct hearing *hearing; /* NULL: nobody decides, or rig_label() does */
  uint32_t rate_hz;
  int64_t at_samples;
  struct signal_facts facts;
  struct signal_figures figures;
};

static void rig_decided(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  struct rig *rig = arg;
  (void)score;
  signal_speech(rig->signal, from_ms, to_ms, speech);
}

__attribute__((unused)) static void rig_open(struct rig *rig, uint32_t rate_hz, int16_t ceiling, int16_t idle,
                                             bool hearing) {
  memset(rig, 0, sizeof *rig);
  rig->signal = malloc(signal_bytes());
  rig->rate_hz = rate_hz;
  signal_init(rig->signal);
  signal_begin(rig->signal, rate_hz, ceiling, idle);
  if (hearing) rig->hearing = hearing_create(rig_decided, rig);
}

/* 20 ms a call. NULL: they never came. */
__attribute__((unused)) static void rig_feed(struct rig *rig, const int16_t *pcm, size_t samples) {
  size_t frame = rig->rate_hz / 50;
  for (size_t at = 0; at < samples; at += frame) {
    size_t n = samples - at < frame ? samples - at : frame;
    signal_pcm(rig->signal, rig->at_samples, pcm != NULL ? pcm + at : NULL, n);
    if (rig->hearing != NULL) hearing_pcm(rig->hearing, rig->at_samples, pcm != NULL ? pcm + at : NULL, n);
    rig->at_samples += (int64_t)n;
  }
}

/* The same, every frame of it decided at once. */
__attribute__((unused)) static void rig_label(struct rig *rig, const int16_t *pcm, size_t samples,
                                              bool speech) {
  int64_t per_ms = rig->rate_hz / 1000;
  for (size_t at = 0; at < samples; at += rig->rate_hz / 50) {
    size_t left = samples - at, frame = rig->rate_hz / 50, n = left < frame ? left : frame;
    int64_t from_ms = rig->at_samples / per_ms;
    rig_feed(rig, pcm != NULL ? pcm + at : NULL, n);
    signal_speech(rig->signal, from_ms, rig->at_samples / per_ms, speech);
  }
}

__attribute__((unused)) static void rig_figures(struct rig *rig) {
  signal_facts(rig->signal, &rig->facts);
  signal_figures(&rig->facts, &rig->figures);
}

/* Ends the track and takes its figures. */
__attribute__((unused)) static void rig_close(struct rig *rig) {
  if (rig->hearing != NULL) hearing_flush(rig->hearing);
  hearing_free(rig->hearing);
  rig->hearing = NULL;
  signal_flush(rig->signal);
  rig_figures(rig);
}

__attribute__((unused)) static void rig_free(struct rig *rig) {
  free(rig->signal);
  rig->signal = NULL;
}

__attribute__((unused)) static bool has_flag(const struct signal_figures *f, const char *name) {
  for (size_t i = 0; i < f->flag_count; i++)
    if (strcmp(f->flags[i], name) == 0) return true;
  return false;
}

__attribute__((unused)) static void near(struct figure f, double expected, double tolerance) {
  if (f.absent != NULL) fail_msg("absent: %s, expected %.4f", f.absent, expected);
  if (!(fabs(f.value - expected) <= tolerance)) fail_msg("%.6f, expected %.6f", f.value, expected);
}

__attribute__((unused)) static void none(struct figure f, const char *reason) {
  if (f.absent == NULL) fail_msg("%.4f, expected none", f.value);
  assert_string_equal(f.absent, reason);
}

#endif
