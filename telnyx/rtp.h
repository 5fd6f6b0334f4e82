/* One RTP packet (RFC 3550 5.1), the payload of telephone events in it (RFC 4733, before it RFC 2833), and
 * the payload types that have a codec without being told (RFC 3551 table 4). Bytes in, structs out: no
 * socket, no heap, no clock. Thread: any. */
#ifndef TELNYX_RTP_H
#define TELNYX_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RTP_PAYLOAD_TYPES = 128,
  RTP_DYNAMIC_FIRST = 96,
  RTP_RTCP_FIRST = 72, /* 72 to 76 are RTCP's types in the same place, and no payload's */
  RTP_RTCP_LAST = 76,
  RTP_COMFORT_NOISE = 13,
  RTP_COMFORT_NOISE_OLD = 19 /* of drafts, still sent */
};

struct rtp {
  bool marker;
  uint8_t payload_type;
  uint16_t sequence;
  uint32_t timestamp, ssrc;
  const uint8_t *payload; /* behind contributing sources and extension, padding taken off */
  size_t bytes;           /* of it that were captured, at most: */
  size_t sent_bytes;      /* its length on the wire */
};

/* What a datagram must have to be taken for RTP: version 2, a payload type that is none of RTCP's, lengths
 * that agree. `bytes` of `sent_bytes` were captured. */
bool rtp_read(const uint8_t *data, size_t bytes, size_t sent_bytes, struct rtp *out);

struct rtp_event {
  uint8_t event, volume;
  bool end;
  uint16_t duration; /* so far, in units of the RTP timestamp */
};

/* False when it is shorter than one event. */
bool rtp_event_read(const uint8_t *payload, size_t bytes, struct rtp_event *out);
/* "0" to "9", "*", "#", "A" to "D"; NULL for events that are no digit. */
const char *rtp_event_digit(uint8_t event);

struct rtp_type {
  const char *name;
  uint32_t clock_hz;
};

/* Of an audio type of RFC 3551; NULL for all others. */
const struct rtp_type *rtp_static_type(uint8_t payload_type);

#endif
