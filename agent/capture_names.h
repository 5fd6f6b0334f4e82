/* What the payload types of a capture mean: told by --codec, by session descriptions in the capture, or by
 * RFC 3551, in that order. One thread.
 *
 * Use: capture_names_option() for each --codec, capture_names_learn() for every packet, and only then
 * capture_names_find(): a description may come after the sound it describes. Of 65,536 descriptions on the rest are
 * not learned. */
#ifndef AGENT_CAPTURE_NAMES_H
#define AGENT_CAPTURE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telnyx/packet.h"
#include "telnyx/sdp.h"

struct capture_names;

struct capture_name {
  char name[SDP_NAME_BYTES]; /* "PCMU", "telephone-event"; empty: nobody names it */
  uint32_t clock_hz;         /* 0: nobody names it */
  uint32_t ptime_ms;         /* 0: not said */
  bool encrypted;            /* the payload cannot be read */
};

struct capture_names *capture_names_new(void); /* NULL: no memory */
void capture_names_free(struct capture_names *names);
/* "PT=NAME/CLOCK"; false with `why`. */
bool capture_names_option(struct capture_names *names, const char *text, char *why, size_t why_bytes);
/* `whole`: the packet is all of the message. Of a TCP segment or a packet that was cut, what is behind the
 * last line end may be half a line, and is left out. */
void capture_names_learn(struct capture_names *names, const struct packet *packet, bool whole,
                         int64_t wall_ns);
/* Of a packet from src to dst at that time. What the receiver described counts before what the sender did,
 * and the latest description before that time before the first one after it. */
struct capture_name capture_names_find(const struct capture_names *names, const struct packet_address *src,
                                       const struct packet_address *dst, uint8_t payload_type,
                                       int64_t wall_ns);

#endif
