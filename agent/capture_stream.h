/* One RTP stream of a capture: the packets of one SSRC from one address to another, booked by
 * dsp/delivery.h and, for comparison, as tshark books them. Its size does not depend on its length, save
 * for the list of digits, which ends at CAPTURE_DIGITS_MAX. One thread. */
#ifndef AGENT_CAPTURE_STREAM_H
#define AGENT_CAPTURE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/memory.h" /* before uthash */
#include <uthash.h>

#include "agent/capture_digits.h"
#include "agent/capture_names.h"
#include "agent/capture_sound.h"
#include "dsp/codec.h"
#include "dsp/delivery.h"
#include "dsp/rtp_peer.h"
#include "telnyx/packet.h"
#include "telnyx/rtp.h"

enum { CAPTURE_OUT_MAX = 64, CAPTURE_HEAD_BYTES = 32 };

/* Compared as bytes: no holes. */
struct capture_key {
  uint32_t ssrc;
  struct packet_address src, dst;
};

/* What is kept of a packet until it is known that it belongs to a stream. Of its payload the beginning is
 * enough: digits and the modes of codecs are told there. */
struct capture_rtp {
  int64_t wall_ns;
  uint32_t timestamp;
  uint32_t payload_bytes; /* on the wire */
  uint16_t sequence;
  uint8_t payload_type, head_bytes;
  bool marker;
  uint8_t head[CAPTURE_HEAD_BYTES];
  const uint8_t *payload; /* all of it, borrowed for the call; NULL: not captured, or not kept */
};

enum capture_kind { CAPTURE_UNSEEN, CAPTURE_AUDIO, CAPTURE_NOISE, CAPTURE_EVENT, CAPTURE_UNNAMED };

/* What a payload type of the stream is; found when its first packet comes. */
struct capture_type {
  enum capture_kind kind;
  struct capture_name name;
  const struct codec *codec; /* of sound: a row of dsp/codec.h, or `own` for what is not in its table */
  struct codec own;
};

struct capture_stream {
  UT_hash_handle hh;
  struct capture_key key;
  const struct capture_names *names;
  struct capture_type *type[RTP_PAYLOAD_TYPES]; /* owned; NULL: not seen */
  uint64_t packets;
  struct rtp_peer peer;
  int64_t first_ns; /* capture time of the first packet */
  uint32_t first_timestamp;
  int64_t arrival_us; /* of the newest packet, from first_ns; never falls */

  struct delivery *delivery;        /* owned; NULL: no sound yet */
  struct capture_sound *sound;      /* owned; NULL: it cannot be heard */
  const struct capture_type *begun; /* the sound delivery was told of */
  uint32_t ptime_us;
  uint64_t format_changes; /* each opened a segment, which is no restart of the sender's */
  uint64_t reads;
  int64_t ticked_us, sound_us; /* arrivals: of the newest tick, of the first sound */

  /* Of the newest sound in order, what 16-bit numbers and 32-bit timestamps are extended by. */
  uint64_t sound_high;
  uint32_t timestamp;
  int64_t ticks, base_us; /* its media time: base_us and ticks of the clock in force */
  int64_t place_us, place_arrival_us;

  /* Packets that are no sound have numbers too. They are taken out of the counting: `out` are the newest of
   * them, `out_before` all that were before those. */
  uint64_t high; /* the highest extended number of any kind */
  uint64_t out_before;
  size_t out_count;
  uint64_t out[CAPTURE_OUT_MAX];

  struct capture_digits digits;
};

/* NULL: no memory. `names` is borrowed. */
struct capture_stream *capture_stream_new(const struct capture_key *key, const struct capture_names *names);
void capture_stream_free(struct capture_stream *s);
/* The first packets, which were kept, in order of arrival; then every later one. `base_ns` is the time of
 * the capture's first packet, from which tshark counts. */
void capture_stream_begin(struct capture_stream *s, const struct capture_rtp *kept, size_t count,
                          int64_t base_ns);
void capture_stream_take(struct capture_stream *s, const struct capture_rtp *p, int64_t base_ns);
/* No more will come. */
void capture_stream_end(struct capture_stream *s);

#endif
