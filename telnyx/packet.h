/* A captured packet from its link layer down to the payload of UDP or of a TCP segment: Ethernet with any
 * number of VLAN tags, Linux cooked 1 and 2, BSD loopback, raw IP; IPv4 with options, IPv6 with extension
 * headers (IEEE 802.3, 802.1Q; LINKTYPE_LINUX_SLL and _SLL2 of the pcap registry; RFC 791, RFC 8200, RFC 768,
 * RFC 9293). Fragments are recognised and not put together, nor are segments. Bytes in, structs out: no
 * socket, no heap, no clock. Thread: any. */
#ifndef TELNYX_PACKET_H
#define TELNYX_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_link { PACKET_ETHERNET, PACKET_COOKED, PACKET_COOKED2, PACKET_LOOPBACK, PACKET_RAW_IP };

enum packet_kind {
  PACKET_UDP,
  PACKET_TCP,
  PACKET_FRAGMENT, /* of an IP datagram that may well be UDP */
  PACKET_CUT,      /* a header is not all there */
  PACKET_OTHER     /* not IP, neither UDP nor TCP, or lengths that contradict each other */
};

/* Members in this order have no holes when the rest is zeroed: two of them may be compared as bytes. */
struct packet_address {
  uint8_t ip[16]; /* IPv4: the first four, the rest 0 */
  uint16_t port;
  uint16_t version; /* 4 or 6 */
};

struct packet {
  struct packet_address src, dst;
  const uint8_t *payload; /* of the datagram or segment, inside the captured bytes */
  size_t bytes;           /* of it that were captured, at most: */
  size_t sent_bytes;      /* its length on the wire; of TCP not told, and equal to `bytes` */
};

/* `out` is written for PACKET_UDP and PACKET_TCP only. */
enum packet_kind packet_read(enum packet_link link, const uint8_t *data, size_t bytes, struct packet *out);

enum { PACKET_ADDRESS_BYTES = 64 };
/* "192.0.2.1:5004", "[2001:db8::1]:5004". */
void packet_address_text(const struct packet_address *address, char out[PACKET_ADDRESS_BYTES]);

#endif
