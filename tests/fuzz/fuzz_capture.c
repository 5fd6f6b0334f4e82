/* Input: a byte that chooses the link layer, then a captured packet; the same bytes also as a UDP payload,
 * cut by as many bytes as the first one says. Nothing that is read may lie outside of it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/packet.h"
#include "telnyx/rtcp.h"
#include "telnyx/rtp.h"
#include "telnyx/sdp.h"

static void must(bool fine) {
  if (!fine) abort();
}

static bool inside(const void *part, size_t part_bytes, const void *whole, size_t bytes) {
  uintptr_t from = (uintptr_t)part, start = (uintptr_t)whole;
  return from >= start && part_bytes <= bytes && from - start <= bytes - part_bytes;
}

static void check_rtp(const uint8_t *data, size_t bytes, size_t sent_bytes) {
  struct rtp rtp;
  struct rtp_event event;
  if (!rtp_read(data, bytes, sent_bytes, &rtp)) return;
  must(rtp.payload_type < RTP_PAYLOAD_TYPES && (rtp.payload_type < 72 || rtp.payload_type > 76));
  must(inside(rtp.payload, rtp.bytes, data, bytes) && rtp.bytes <= rtp.sent_bytes);
  must(rtp_event_read(rtp.payload, rtp.bytes, &event) == (rtp.bytes >= 4));
  rtp_static_type(rtp.payload_type);
}

static void check_rtcp(const uint8_t *data, size_t bytes, size_t sent_bytes) {
  struct rtcp_scan scan = {data, bytes};
  struct rtcp_packet packet;
  size_t whole = 0;
  while (rtcp_next(&scan, &packet)) {
    struct rtcp_sender sender;
    struct rtcp_report report;
    struct rtcp_voip voip;
    uint32_t round_trip;
    must(inside(packet.at, packet.bytes, data, bytes));
    whole += packet.bytes;
    rtcp_sender(&packet, &sender);
    unsigned blocks = 0;
    for (; rtcp_report(&packet, blocks, &report); blocks++)
      if (rtcp_round_trip(report.highest, report.lsr, report.dlsr, &round_trip)) must(round_trip >> 31 == 0);
    must(blocks <= packet.count);
    for (unsigned i = 0; rtcp_voip(&packet, i, &voip); i++) continue;
  }
  bool is_rtcp = rtcp_is(data, bytes, sent_bytes);
  if (bytes == sent_bytes) must(is_rtcp == (bytes > 0 && whole == bytes));
}

static void check_sdp(const char *text, size_t bytes) {
  static struct sdp sdp;
  size_t sdp_bytes;
  const char *inner = sdp_in_sip(text, bytes, &sdp_bytes);
  if (inner != NULL) must(inside(inner, sdp_bytes, text, bytes));
  if (!sdp_read(inner != NULL ? inner : text, inner != NULL ? sdp_bytes : bytes, &sdp)) return;
  must(sdp.media_count > 0 && sdp.media_count <= SDP_MEDIA_MAX);
  for (size_t i = 0; i < sdp.media_count; i++) {
    must(sdp.media[i].port > 0 && sdp.media[i].format_count <= SDP_FORMATS_MAX);
    for (size_t j = 0; j < sdp.media[i].format_count; j++) {
      const struct sdp_format *format = &sdp.media[i].format[j];
      must(memchr(format->name, '\0', sizeof format->name) != NULL);
      must((format->clock_hz == 0) == (format->name[0] == '\0'));
    }
  }
}

static void check_payload(const uint8_t *data, size_t bytes, size_t sent_bytes) {
  check_rtp(data, bytes, sent_bytes);
  check_rtcp(data, bytes, sent_bytes);
  check_sdp((const char *)data, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  size_t bytes = size - 1;
  uint8_t *exact = malloc(bytes + 1);
  memcpy(exact, data + 1, bytes);
  struct packet packet;
  enum packet_kind kind =
      packet_read((enum packet_link)(data[0] % (PACKET_RAW_IP + 1)), exact, bytes, &packet);
  if (kind == PACKET_UDP || kind == PACKET_TCP) {
    char address[PACKET_ADDRESS_BYTES];
    must(inside(packet.payload, packet.bytes, exact, bytes) && packet.bytes <= packet.sent_bytes);
    packet_address_text(&packet.src, address);
    must(strchr(address, ':') != NULL);
    check_payload(packet.payload, packet.bytes, packet.sent_bytes);
  }
  check_payload(exact, bytes, bytes + data[0] % 64);
  free(exact);
  return 0;
}
