/* RTCP (RFC 3550 6) as it comes in one datagram: several packets in a row, of which sender reports, receiver
 * reports, BYE and the VoIP metrics block of extended reports (RFC 3611 4.7) are read, others passed over.
 *
 * Use: rtcp_is() for a datagram, then rtcp_next() until it says no; of each packet rtcp_sender(), then
 * rtcp_report() for index 0, 1, ... until it says no, or rtcp_voip() likewise. Bytes in, structs out: no
 * socket, no heap, no clock. Thread: any. */
#ifndef TELNYX_RTCP_H
#define TELNYX_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rtcp_type {
  RTCP_SENDER = 200,
  RTCP_RECEIVER = 201,
  RTCP_DESCRIPTION = 202,
  RTCP_BYE = 203,
  RTCP_APPLICATION = 204,
  RTCP_FEEDBACK = 205,
  RTCP_PAYLOAD_FEEDBACK = 206,
  RTCP_EXTENDED = 207
};

struct rtcp_packet {
  uint8_t type;      /* enum rtcp_type, or another of 192 to 223 */
  uint8_t count;     /* of its blocks, as its header says */
  const uint8_t *at; /* its header */
  size_t bytes;      /* all of it that was captured */
  uint32_t ssrc;     /* of its sender; 0 when it names none */
};

struct rtcp_scan {
  const uint8_t *at;
  size_t bytes;
};

/* Version 2, a type of RTCP, and lengths that fill the datagram exactly. Of a datagram that was not captured
 * whole (`bytes` < `sent_bytes`) only the first packet's type tells: it must be a report, a description, a
 * BYE or an application's. */
bool rtcp_is(const uint8_t *data, size_t bytes, size_t sent_bytes);
/* The next packet of it that is there as a whole. */
bool rtcp_next(struct rtcp_scan *scan, struct rtcp_packet *packet);

struct rtcp_sender {
  uint64_t ntp; /* 32 bits of seconds since 1900, 32 bits of fraction */
  uint32_t rtp_timestamp, packets, octets;
};
/* False for any other packet than a sender report. */
bool rtcp_sender(const struct rtcp_packet *packet, struct rtcp_sender *out);
/* What a `lsr` echoes of it. */
static inline uint32_t rtcp_ntp_middle(uint64_t ntp) {
  return (uint32_t)(ntp >> 16);
}

struct rtcp_report {
  uint32_t ssrc;         /* of the stream it is about */
  uint8_t fraction_lost; /* of 256, since the report before */
  int32_t lost;          /* since the beginning; duplicates make it smaller, even negative */
  uint32_t highest;      /* sequence number, with its cycles above */
  uint32_t jitter_ticks;
  uint32_t lsr, dlsr; /* 1/65536 s; lsr 0: no sender report had come */
};
/* Of a sender's or a receiver's report; false behind the last one. */
bool rtcp_report(const struct rtcp_packet *packet, unsigned index, struct rtcp_report *out);

/* Round trip in 1/65536 s: at `now` (middle bits of the sender's clock) a report came back that echoes `lsr`
 * (voice-quality.md 4.2). False when there was nothing to echo, or the result would be negative. */
bool rtcp_round_trip(uint32_t now, uint32_t lsr, uint32_t dlsr, uint32_t *out);

enum { RTCP_LEVEL_UNKNOWN = 127 };

struct rtcp_voip {
  uint32_t ssrc;                                               /* of the stream it is about */
  uint8_t loss_rate, discard_rate, burst_density, gap_density; /* of 256 */
  uint16_t burst_ms, gap_ms, round_trip_ms, end_system_delay_ms;
  int8_t signal_dbm, noise_dbm; /* RTCP_LEVEL_UNKNOWN: unknown, like the next six */
  uint8_t rerl_db, gmin;
  uint8_t r_factor, external_r, mos_lq, mos_cq; /* MOS times 10 */
  uint8_t rx_config;
  uint16_t jb_nominal_ms, jb_maximum_ms, jb_absolute_maximum_ms;
};
/* The VoIP metrics blocks of an extended report; false behind the last one. */
bool rtcp_voip(const struct rtcp_packet *packet, unsigned index, struct rtcp_voip *out);

#endif
