#include "agent/capture_digits.h"

#include <stdlib.h>

static bool goes_on(struct capture_digit *d, uint32_t timestamp, const struct rtp_event *event) {
  if (d->event != event->event) return false;
  if (d->timestamp == timestamp) {
    if (event->duration > d->duration) d->duration = event->duration;
    d->ended |= event->end;
    return true;
  }
  /* Longer than its 16 bits: another part begins where this one ends (RFC 4733 2.5.1.3). */
  if (d->ended || d->duration == 0 || timestamp != d->timestamp + d->duration) return false;
  d->ticks += d->duration;
  d->timestamp = timestamp;
  d->duration = event->duration;
  d->ended = event->end;
  return true;
}

static bool has_room(struct capture_digits *d) {
  if (d->count == CAPTURE_DIGITS_MAX) return false;
  if (d->count < d->room) return true;
  size_t room = d->room * 2 + 8;
  struct capture_digit *grown = realloc(d->digit, room * sizeof *grown);
  if (grown == NULL) return false;
  d->digit = grown;
  d->room = room;
  return true;
}

void capture_digits_take(struct capture_digits *d, const struct rtp_event *event, uint32_t timestamp,
                         uint32_t clock_hz, int64_t start_us) {
  enum { STILL_SENT = 4 }; /* ends are sent three times, and may come after the next digit's start */
  const char *digit = rtp_event_digit(event->event);
  if (digit == NULL) return;
  for (size_t i = d->count; i > 0 && i + STILL_SENT > d->count; i--) {
    if (goes_on(&d->digit[i - 1], timestamp, event)) return;
  }
  if (!has_room(d)) return;
  d->digit[d->count++] = (struct capture_digit){.digit = digit,
                                                .event = event->event,
                                                .ended = event->end,
                                                .start_us = start_us,
                                                .timestamp = timestamp,
                                                .duration = event->duration,
                                                .clock_hz = clock_hz};
}

void capture_digits_free(struct capture_digits *d) {
  free(d->digit);
  *d = (struct capture_digits){0};
}
