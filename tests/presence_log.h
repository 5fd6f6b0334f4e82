/* One dsp/presence and what it told, for its tests. */
#ifndef TESTS_PRESENCE_LOG_H
#define TESTS_PRESENCE_LOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dsp/presence.h"

enum { NOTES_MAX = 2048, FRAME_MS = 20 };

static struct presence p;
static struct presence_note notes[NOTES_MAX];
static int note_count;

static inline void note(void *arg, const struct presence_note *n) {
  (void)arg;
  assert_true(note_count < NOTES_MAX);
  notes[note_count++] = *n;
}

static inline void begin(void) {
  note_count = 0;
  presence_init(&p, note, NULL);
}

#endif
