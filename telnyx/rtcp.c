#include "telnyx/rtcp.h"

#include "telnyx/big_endian.h"

enum {
  TYPE_FIRST = 192, /* RFC 5761: in this place of a datagram 192 to 223 are RTCP */
  TYPE_LAST = 223,
  HEADER_BYTES = 4,
  SENDER_BYTES = 28, /* header, SSRC and sender's part */
  RECEIVER_BYTES = 8,
  REPORT_BYTES = 24,
  BLOCK_VOIP = 7,
  BLOCK_VOIP_BYTES = 36
};

static bool has_header(const uint8_t *at, size_t bytes) {
  return bytes >= HEADER_BYTES && at[0] >> 6 == 2 && at[1] >= TYPE_FIRST && at[1] <= TYPE_LAST;
}

static size_t length_of(const uint8_t *at) {
  return ((size_t)read_16(at + 2) + 1) * 4;
}

bool rtcp_is(const uint8_t *data, size_t bytes, size_t sent_bytes) {
  if (bytes < sent_bytes) {
    return has_header(data, bytes) && data[1] >= RTCP_SENDER && data[1] <= RTCP_APPLICATION &&
           length_of(data) <= sent_bytes;
  }
  size_t at = 0;
  while (at < bytes) {
    if (!has_header(data + at, bytes - at) || length_of(data + at) > bytes - at) return false;
    at += length_of(data + at);
  }
  return at > 0;
}

bool rtcp_next(struct rtcp_scan *scan, struct rtcp_packet *packet) {
  if (!has_header(scan->at, scan->bytes)) return false;
  size_t bytes = length_of(scan->at);
  if (bytes > scan->bytes) return false;
  *packet = (struct rtcp_packet){.type = scan->at[1],
                                 .count = scan->at[0] & 31,
                                 .at = scan->at,
                                 .bytes = bytes,
                                 .ssrc = bytes >= RECEIVER_BYTES ? read_32(scan->at + HEADER_BYTES) : 0};
  scan->at += bytes;
  scan->bytes -= bytes;
  return true;
}

bool rtcp_sender(const struct rtcp_packet *packet, struct rtcp_sender *out) {
  if (packet->type != RTCP_SENDER || packet->bytes < SENDER_BYTES) return false;
  const uint8_t *at = packet->at + RECEIVER_BYTES;
  *out = (struct rtcp_sender){.ntp = (uint64_t)read_32(at) << 32 | read_32(at + 4),
                              .rtp_timestamp = read_32(at + 8),
                              .packets = read_32(at + 12),
                              .octets = read_32(at + 16)};
  return true;
}

bool rtcp_report(const struct rtcp_packet *packet, unsigned index, struct rtcp_report *out) {
  if (packet->type != RTCP_SENDER && packet->type != RTCP_RECEIVER) return false;
  size_t from = (packet->type == RTCP_SENDER ? SENDER_BYTES : RECEIVER_BYTES) + (size_t)index * REPORT_BYTES;
  if (index >= packet->count || from + REPORT_BYTES > packet->bytes) return false;
  const uint8_t *at = packet->at + from;
  uint32_t lost = read_32(at + 4) & 0xffffff;
  *out = (struct rtcp_report){.ssrc = read_32(at),
                              .fraction_lost = at[4],
                              .lost = (int32_t)lost - (lost & 0x800000 ? 0x1000000 : 0),
                              .highest = read_32(at + 8),
                              .jitter_ticks = read_32(at + 12),
                              .lsr = read_32(at + 16),
                              .dlsr = read_32(at + 20)};
  return true;
}

bool rtcp_round_trip(uint32_t now, uint32_t lsr, uint32_t dlsr, uint32_t *out) {
  uint32_t round_trip = now - lsr - dlsr;
  if (lsr == 0 || round_trip >> 31 != 0) return false;
  *out = round_trip;
  return true;
}

static struct rtcp_voip read_voip(const uint8_t *at) {
  return (struct rtcp_voip){.ssrc = read_32(at + 4),
                            .loss_rate = at[8],
                            .discard_rate = at[9],
                            .burst_density = at[10],
                            .gap_density = at[11],
                            .burst_ms = read_16(at + 12),
                            .gap_ms = read_16(at + 14),
                            .round_trip_ms = read_16(at + 16),
                            .end_system_delay_ms = read_16(at + 18),
                            .signal_dbm = (int8_t)at[20],
                            .noise_dbm = (int8_t)at[21],
                            .rerl_db = at[22],
                            .gmin = at[23],
                            .r_factor = at[24],
                            .external_r = at[25],
                            .mos_lq = at[26],
                            .mos_cq = at[27],
                            .rx_config = at[28],
                            .jb_nominal_ms = read_16(at + 30),
                            .jb_maximum_ms = read_16(at + 32),
                            .jb_absolute_maximum_ms = read_16(at + 34)};
}

bool rtcp_voip(const struct rtcp_packet *packet, unsigned index, struct rtcp_voip *out) {
  if (packet->type != RTCP_EXTENDED) return false;
  size_t at = RECEIVER_BYTES;
  while (at + HEADER_BYTES <= packet->bytes) {
    size_t bytes = length_of(packet->at + at);
    if (bytes > packet->bytes - at) return false;
    bool is_voip = packet->at[at] == BLOCK_VOIP && bytes >= BLOCK_VOIP_BYTES;
    if (is_voip && index-- == 0) {
      *out = read_voip(packet->at + at);
      return true;
    }
    at += bytes;
  }
  return false;
}
