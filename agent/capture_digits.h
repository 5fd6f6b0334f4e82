/* The digits of one RTP stream: telephone events (RFC 4733) put together to key presses. Allocates as
 * they come, up to CAPTURE_DIGITS_MAX. One thread. */
#ifndef AGENT_CAPTURE_DIGITS_H
#define AGENT_CAPTURE_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telnyx/rtp.h"

enum { CAPTURE_DIGITS_MAX = 4096 };

struct capture_digit {
  const char *digit;
  uint8_t event;
  bool ended;
  int64_t start_us; /* from the stream's first packet */
  uint64_t ticks;   /* its length; of one over 65535 ticks this is what the parts before the last had */
  uint32_t timestamp, duration; /* of the last part */
  uint32_t clock_hz;
};

/* Zeros: none yet. */
struct capture_digits {
  struct capture_digit *digit; /* owned */
  size_t count, room;
};

/* A packet of an event, with its RTP timestamp and clock, and where it would begin if it is a new one. What is no
 * digit, is one too many, or finds no memory is ignored. */
void capture_digits_take(struct capture_digits *d, const struct rtp_event *event, uint32_t timestamp,
                         uint32_t clock_hz, int64_t start_us);
void capture_digits_free(struct capture_digits *d);

#endif
