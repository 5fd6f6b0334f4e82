/* The audio of a session description (RFC 8866) in the body of a SIP message: where each side wants its
 * sound, and what its payload types mean (a=rtpmap). Only what an analysis of RTP needs; a message that is
 * broken gives less, never wrong. Bytes in, structs out: no socket, no heap, no clock. Thread: any. */
#ifndef TELNYX_SDP_H
#define TELNYX_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SDP_MEDIA_MAX = 4, SDP_FORMATS_MAX = 24, SDP_NAME_BYTES = 32 };
enum { SDP_CLOCK_MIN_HZ = 1000, SDP_CLOCK_MAX_HZ = 1000000 };

struct sdp_format {
  uint8_t payload_type;
  uint32_t clock_hz; /* within the limits above; 0: no a=rtpmap, the type is a static one */
  char name[SDP_NAME_BYTES];
};

struct sdp_media {
  uint8_t version; /* of the address: 4, 6, or 0 when it is a name or there is none */
  uint8_t ip[16];
  uint16_t port;
  bool encrypted;    /* SRTP: headers can be read, payloads cannot */
  uint32_t ptime_ms; /* 0: not said */
  size_t format_count;
  struct sdp_format format[SDP_FORMATS_MAX];
};

struct sdp {
  size_t media_count; /* m=audio with a port; others are left out */
  struct sdp_media media[SDP_MEDIA_MAX];
};

/* The session description inside a SIP request or answer; NULL when the datagram is none or has none. */
const char *sdp_in_sip(const char *message, size_t bytes, size_t *sdp_bytes);
/* False when it has no audio that can be received. */
bool sdp_read(const char *text, size_t bytes, struct sdp *out);

#endif
