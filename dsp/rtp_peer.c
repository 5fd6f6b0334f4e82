#include "dsp/rtp_peer.h"

#include <math.h>

enum { GAIN = 16, CLOCK_MIN_HZ = 1000 };

static bool has_clock(const struct rtp_peer_packet *packet) {
  return packet->clock_hz >= CLOCK_MIN_HZ;
}

/* J where there is a clock, and what the next packet is compared with: the time of this one, but the
 * timestamp of the newest with a clock. False for one that is back behind the first packet. */
static bool measure(struct rtp_peer *p, const struct rtp_peer_packet *packet) {
  uint32_t ticks = packet->timestamp - p->first_timestamp;
  if (ticks > INT32_MAX) return false;
  if (has_clock(packet)) {
    /* Whole ticks a millisecond: a clock that is no multiple of 1000 is taken for one. */
    double media_ms = ((double)ticks - p->ticks) / (packet->clock_hz / 1000);
    double d_ms = fabs(packet->time_ms - (p->time_ms + media_ms));
    p->jitter_ms = ((GAIN - 1) * p->jitter_ms + d_ms) / GAIN;
    p->ticks = ticks;
  }
  p->time_ms = packet->time_ms;
  return true;
}

/* A number below the first one, or 0 behind 65535, begins a round; the next above the first one is in it. */
static void count_round(struct rtp_peer *p, uint16_t number) {
  if (!p->below_first && (number < p->first_number || (number == 0 && p->last_number == UINT16_MAX))) {
    p->rounds++;
    p->below_first = true;
  } else if (p->below_first && number > p->first_number) {
    p->below_first = false;
  }
}

void rtp_peer_add(struct rtp_peer *p, const struct rtp_peer_packet *packet) {
  if (p->packets++ == 0) {
    p->first_number = p->last_number = packet->sequence;
    p->first_timestamp = packet->timestamp;
    p->time_ms = packet->time_ms;
    p->noise = packet->noise;
    return;
  }
  bool beside_noise = packet->noise || p->noise, measured = measure(p, packet);
  p->noise = packet->noise;
  if (measured) count_round(p, packet->sequence);
  p->last_number = packet->sequence;
  if (!measured || packet->marker || beside_noise || !has_clock(packet)) return;
  double steps = (double)(p->packets - 1);
  p->jitter_mean_ms = (p->jitter_mean_ms * (steps - 1) + p->jitter_ms) / steps;
  if (p->jitter_ms > p->jitter_max_ms) p->jitter_max_ms = p->jitter_ms;
}

int64_t rtp_peer_lost(const struct rtp_peer *p) {
  if (p->packets == 0) return 0;
  int64_t last = (int64_t)p->rounds * 65536 + p->last_number;
  return last - p->first_number + 1 - (int64_t)p->packets;
}
