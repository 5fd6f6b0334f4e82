#include "telnyx/packet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "telnyx/big_endian.h"

enum {
  TYPE_IPV4 = 0x0800,
  TYPE_IPV6 = 0x86dd,
  TYPE_VLAN = 0x8100,
  TYPE_PROVIDER_VLAN = 0x88a8, /* QinQ; 0x9100 before it had a standard */
  TYPE_OLD_PROVIDER_VLAN = 0x9100,
  NEXT_HOP_BY_HOP = 0,
  NEXT_TCP = 6,
  NEXT_UDP = 17,
  NEXT_ROUTING = 43,
  NEXT_FRAGMENT = 44,
  NEXT_AUTHENTICATION = 51,
  NEXT_DESTINATION = 60,
  NEXT_MOBILITY = 135,
  NEXT_HOST_IDENTITY = 139,
  NEXT_SHIM6 = 140,
  IPV4_HEADER_BYTES = 20,
  IPV6_HEADER_BYTES = 40,
  UDP_HEADER_BYTES = 8,
  TCP_HEADER_BYTES = 20
};

/* What is left of the packet. */
struct rest {
  const uint8_t *at;
  size_t bytes;
};

static bool skip(struct rest *r, size_t bytes) {
  if (r->bytes < bytes) return false;
  r->at += bytes;
  r->bytes -= bytes;
  return true;
}

/* Padding of the link layer is not the packet's. */
static void keep(struct rest *r, size_t length) {
  if (r->bytes > length) r->bytes = length;
}

static enum packet_kind read_udp(struct rest r, struct packet *out) {
  if (r.bytes < UDP_HEADER_BYTES) return PACKET_CUT;
  size_t length = read_16(r.at + 4);
  if (length < UDP_HEADER_BYTES) return PACKET_OTHER;
  out->src.port = read_16(r.at);
  out->dst.port = read_16(r.at + 2);
  keep(&r, length);
  out->payload = r.at + UDP_HEADER_BYTES;
  out->bytes = r.bytes - UDP_HEADER_BYTES;
  out->sent_bytes = length - UDP_HEADER_BYTES;
  return PACKET_UDP;
}

static enum packet_kind read_tcp(struct rest r, struct packet *out) {
  if (r.bytes < TCP_HEADER_BYTES) return PACKET_CUT;
  size_t header_bytes = (size_t)(r.at[12] >> 4) * 4;
  if (header_bytes < TCP_HEADER_BYTES) return PACKET_OTHER;
  out->src.port = read_16(r.at);
  out->dst.port = read_16(r.at + 2);
  if (!skip(&r, header_bytes)) return PACKET_CUT;
  out->payload = r.at;
  out->bytes = out->sent_bytes = r.bytes;
  return PACKET_TCP;
}

static enum packet_kind read_ipv4(struct rest r, struct packet *out) {
  if (r.bytes < IPV4_HEADER_BYTES) return PACKET_CUT;
  size_t header_bytes = (size_t)(r.at[0] & 15) * 4, length = read_16(r.at + 2);
  uint16_t offset = read_16(r.at + 6) & 0x1fff, more = read_16(r.at + 6) & 0x2000;
  uint8_t next = r.at[9];
  if (header_bytes < IPV4_HEADER_BYTES) return PACKET_OTHER;
  /* 0: the sender's network card was to cut it into segments. */
  if (length != 0 && length < header_bytes) return PACKET_OTHER;
  if (next == NEXT_TCP && (offset != 0 || more != 0)) return PACKET_OTHER; /* of no use anyway */
  if (next != NEXT_UDP && next != NEXT_TCP) return PACKET_OTHER;
  if (offset != 0 || more != 0) return PACKET_FRAGMENT;
  out->src.version = out->dst.version = 4;
  memcpy(out->src.ip, r.at + 12, 4);
  memcpy(out->dst.ip, r.at + 16, 4);
  if (length != 0) keep(&r, length);
  if (!skip(&r, header_bytes)) return PACKET_CUT;
  return next == NEXT_UDP ? read_udp(r, out) : read_tcp(r, out);
}

static bool is_extension(uint8_t kind) {
  return kind == NEXT_HOP_BY_HOP || kind == NEXT_ROUTING || kind == NEXT_FRAGMENT ||
         kind == NEXT_AUTHENTICATION || kind == NEXT_DESTINATION || kind == NEXT_MOBILITY ||
         kind == NEXT_HOST_IDENTITY || kind == NEXT_SHIM6;
}

/* Of the extension header at `at`: they count in different units. */
static size_t extension_bytes(uint8_t kind, const uint8_t *at) {
  if (kind == NEXT_FRAGMENT) return 8;
  if (kind == NEXT_AUTHENTICATION) return ((size_t)at[1] + 2) * 4;
  return ((size_t)at[1] + 1) * 8;
}

static enum packet_kind read_ipv6(struct rest r, struct packet *out) {
  if (r.bytes < IPV6_HEADER_BYTES) return PACKET_CUT;
  size_t length = read_16(r.at + 4);
  uint8_t next = r.at[6];
  out->src.version = out->dst.version = 6;
  memcpy(out->src.ip, r.at + 8, 16);
  memcpy(out->dst.ip, r.at + 24, 16);
  skip(&r, IPV6_HEADER_BYTES);
  if (length != 0) keep(&r, length);
  while (next != NEXT_UDP && next != NEXT_TCP) {
    if (!is_extension(next)) return PACKET_OTHER;
    if (r.bytes < 8) return PACKET_CUT;
    size_t bytes = extension_bytes(next, r.at);
    /* One that is the whole datagram (RFC 6946) is none. */
    if (next == NEXT_FRAGMENT && (read_16(r.at + 2) & 0xfff9) != 0) return PACKET_FRAGMENT;
    next = r.at[0];
    if (!skip(&r, bytes)) return PACKET_CUT;
  }
  return next == NEXT_UDP ? read_udp(r, out) : read_tcp(r, out);
}

static enum packet_kind read_ip(struct rest r, struct packet *out) {
  if (r.bytes == 0) return PACKET_CUT;
  if (r.at[0] >> 4 == 4) return read_ipv4(r, out);
  return r.at[0] >> 4 == 6 ? read_ipv6(r, out) : PACKET_OTHER;
}

/* `type` is an EtherType; tags of VLANs stand before what they carry. */
static enum packet_kind read_typed(uint16_t type, struct rest r, struct packet *out) {
  while (type == TYPE_VLAN || type == TYPE_PROVIDER_VLAN || type == TYPE_OLD_PROVIDER_VLAN) {
    if (r.bytes < 4) return PACKET_CUT;
    type = read_16(r.at + 2);
    skip(&r, 4);
  }
  if (type == TYPE_IPV4 || type == TYPE_IPV6) return read_ip(r, out);
  return PACKET_OTHER;
}

enum packet_kind packet_read(enum packet_link link, const uint8_t *data, size_t bytes, struct packet *out) {
  static const struct {
    size_t header_bytes, type_at;
  } links[] = {[PACKET_ETHERNET] = {14, 12}, [PACKET_COOKED] = {16, 14}, [PACKET_COOKED2] = {20, 0}};
  struct rest r = {data, bytes};
  struct packet packet;
  memset(&packet, 0, sizeof packet);
  enum packet_kind kind;
  if (link == PACKET_RAW_IP) {
    kind = read_ip(r, &packet);
  } else if (link == PACKET_LOOPBACK) {
    /* The address family, in the byte order and by the numbers of whoever captured: IP tells itself. */
    kind = skip(&r, 4) ? read_ip(r, &packet) : PACKET_CUT;
  } else if (!skip(&r, links[link].header_bytes)) {
    kind = PACKET_CUT;
  } else {
    kind = read_typed(read_16(data + links[link].type_at), r, &packet);
  }
  if (kind == PACKET_UDP || kind == PACKET_TCP) *out = packet;
  return kind;
}

void packet_address_text(const struct packet_address *address, char out[PACKET_ADDRESS_BYTES]) {
  char ip[INET6_ADDRSTRLEN] = "";
  bool six = address->version == 6;
  inet_ntop(six ? AF_INET6 : AF_INET, address->ip, ip, sizeof ip);
  snprintf(out, PACKET_ADDRESS_BYTES, six ? "[%s]:%u" : "%s:%u", ip, (unsigned)address->port);
}
