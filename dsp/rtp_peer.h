/* Loss and jitter of an RTP stream as tshark counts them (`-z rtp,streams` of 4.0), so that ours can be laid
 * beside the figures of a tool that people know. Its rules, found by experiment:
 * - lost = expected - packets, expected from the first number to the last one that came, with the rounds of
 *   16 bits between: duplicates hide loss, a restart is loss or a negative number; nothing is ever reset;
 * - J is RFC 3550's in order of arrival, duplicates and reordered packets included; a packet whose clock is
 *   not known (a telephone event) leaves J alone, but its time is what the next arrival is compared with,
 *   its timestamp is not; timestamps are taken from the first one, and what is half of all behind it is
 *   passed over;
 * - mean and maximum are of J over packets without the marker that are not comfort noise or right behind it;
 *   the mean goes on as mean * (n - 2) / (n - 1) + J / (n - 1), n the packets of any kind.
 * Ours are in dsp/delivery.h. No heap, no clock; belongs to one thread. */
#ifndef DSP_RTP_PEER_H
#define DSP_RTP_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct rtp_peer_packet {
  double time_ms; /* of arrival, from the capture's first packet */
  uint16_t sequence;
  uint32_t timestamp;
  uint32_t clock_hz; /* 0: not known, or an event */
  bool marker, noise;
};

/* A zeroed struct has seen nothing. */
struct rtp_peer {
  uint64_t packets;
  uint16_t first_number, last_number;
  uint64_t rounds;
  bool below_first;
  uint32_t first_timestamp;
  double ticks;   /* from it, of the newest packet with a clock */
  double time_ms; /* of the packet before */
  double jitter_ms, jitter_mean_ms, jitter_max_ms;
  bool noise; /* the packet before was comfort noise */
};

void rtp_peer_add(struct rtp_peer *p, const struct rtp_peer_packet *packet);
int64_t rtp_peer_lost(const struct rtp_peer *p);

#endif
