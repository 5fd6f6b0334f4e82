/* Frames that wait: before `start` up to 2 s a track, then until the time base is decided
 * (contract 3, voice-quality.md 3.1). One queue in order of arrival, because a shared chunk counter is
 * told from the merged row. Allocated once; nothing grows. */
#ifndef AGENT_HOLD_H
#define AGENT_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/timebase.h"

/* 2 s of both tracks: in frames of 10 ms, and in bytes of 16-bit sound at 16 kHz. */
enum { HOLD_FRAMES = 400, HOLD_BYTES = 128 * 1024, HOLD_US = 2000000 };

struct hold_frame {
  int track;
  struct timebase_event event;
  int64_t arrival_us;
  uint64_t read_ordinal;
  bool self_delayed;
  bool done;     /* run already; goes at the next hold_compact() */
  size_t offset; /* hold's own */
};

struct hold {
  size_t count;
  size_t used_bytes;
  struct hold_frame *frame; /* HOLD_FRAMES */
  uint8_t *payloads;        /* HOLD_BYTES */
};

bool hold_create(struct hold *h); /* false: no memory */
void hold_free(struct hold *h);
/* event.payload_bytes of payload are copied; false when there is no room. */
bool hold_put(struct hold *h, const struct hold_frame *f, const uint8_t *payload);
/* In order of arrival; NULL behind the last. */
struct hold_frame *hold_at(struct hold *h, size_t index);
const uint8_t *hold_payload(const struct hold *h, const struct hold_frame *f);
size_t hold_count(const struct hold *h, int track); /* not done */
void hold_compact(struct hold *h);
bool hold_drop_oldest(struct hold *h); /* false when empty */
/* How many of that track arrived before and went. */
uint64_t hold_drop_before(struct hold *h, int track, int64_t arrival_us);
uint64_t hold_clear(struct hold *h);

#endif
