/* Captured packets, layer by layer, and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "telnyx/packet.h"

struct bytes {
  uint8_t at[256];
  size_t count;
};

static void put(struct bytes *b, const void *data, size_t count) {
  memcpy(b->at + b->count, data, count);
  b->count += count;
}

#define PUT(b, ...) put(b, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_udp(struct bytes *b) {
  PUT(b, 0x13, 0x8c, 0x13, 0x8e, 0, 12, 0, 0, 'r', 't', 'p', '!');
}

enum { IPV4_BYTES = 20, UDP_BYTES = 12 };

static void put_ipv4(struct bytes *b, uint8_t offset_high, uint8_t offset_low) {
  PUT(b, 0x45, 0, 0, IPV4_BYTES + UDP_BYTES, 0, 1, offset_high, offset_low, 64, 17, 0, 0, 192, 0, 2, 10, 198,
      51, 100, 20);
  put_udp(b);
}

static void put_ipv6(struct bytes *b, uint8_t next, uint8_t extension_bytes) {
  PUT(b, 0x60, 0, 0, 0, 0, (uint8_t)(extension_bytes + UDP_BYTES), next, 64);
  PUT(b, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10);
  PUT(b, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20);
}

static void put_macs(struct bytes *b) {
  PUT(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1);
}

static void expect_udp(enum packet_link link, const struct bytes *b, const char *src, const char *dst) {
  char text[PACKET_ADDRESS_BYTES];
  struct packet packet;
  assert_int_equal(packet_read(link, b->at, b->count, &packet), PACKET_UDP);
  packet_address_text(&packet.src, text);
  assert_string_equal(text, src);
  packet_address_text(&packet.dst, text);
  assert_string_equal(text, dst);
  assert_int_equal(packet.bytes, 4);
  assert_int_equal(packet.sent_bytes, 4);
  assert_memory_equal(packet.payload, "rtp!", 4);
}

static const char src4[] = "192.0.2.10:5004", dst4[] = "198.51.100.20:5006";
static const char src6[] = "[2001:db8::10]:5004", dst6[] = "[2001:db8::20]:5006";

static void links(void **state) {
  (void)state;
  struct bytes b = {.count = 0};
  put_ipv4(&b, 0, 0);
  expect_udp(PACKET_RAW_IP, &b, src4, dst4);

  b.count = 0;
  put_macs(&b);
  PUT(&b, 8, 0);
  put_ipv4(&b, 0, 0);
  PUT(&b, 0, 0, 0, 0, 0); /* padding of a short Ethernet frame */
  expect_udp(PACKET_ETHERNET, &b, src4, dst4);

  b.count = 0;
  put_macs(&b);
  PUT(&b, 0x88, 0xa8, 0, 100, 0x81, 0, 0, 200, 8, 0);
  put_ipv4(&b, 0, 0);
  expect_udp(PACKET_ETHERNET, &b, src4, dst4);

  b.count = 0;
  PUT(&b, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0);
  put_ipv4(&b, 0, 0);
  expect_udp(PACKET_COOKED, &b, src4, dst4);

  b.count = 0;
  PUT(&b, 8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0);
  put_ipv4(&b, 0, 0);
  expect_udp(PACKET_COOKED2, &b, src4, dst4);

  b.count = 0;
  PUT(&b, 2, 0, 0, 0);
  put_ipv4(&b, 0, 0);
  expect_udp(PACKET_LOOPBACK, &b, src4, dst4);
}

static void ipv4_options(void **state) {
  (void)state;
  struct bytes b = {.count = 0};
  PUT(&b, 0x47, 0, 0, 40, 0, 1, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 10, 198, 51, 100, 20, 1, 1, 1, 1, 1, 1, 1,
      0);
  put_udp(&b);
  expect_udp(PACKET_RAW_IP, &b, src4, dst4);
  b.at[0] = 0x44; /* shorter than a header */
  struct packet packet;
  assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_OTHER);
}

static void ipv6_extensions(void **state) {
  (void)state;
  struct bytes b = {.count = 0};
  put_ipv6(&b, 17, 0);
  put_udp(&b);
  expect_udp(PACKET_RAW_IP, &b, src6, dst6);

  b.count = 0;
  put_ipv6(&b, 0, 8 + 16 + 8 + 12);
  PUT(&b, 60, 0, 1, 4, 0, 0, 0, 0);                          /* hop by hop */
  PUT(&b, 44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* destination, 16 bytes */
  PUT(&b, 51, 0, 0, 0, 0, 0, 0, 9);                          /* a fragment that is all there is */
  PUT(&b, 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);              /* authentication: words, not eights */
  put_udp(&b);
  expect_udp(PACKET_RAW_IP, &b, src6, dst6);
}

static void fragments(void **state) {
  (void)state;
  static const struct {
    uint8_t high, low;
    enum packet_kind kind;
  } offsets[] = {{0x20, 0, PACKET_FRAGMENT},
                 {0, 0xb9, PACKET_FRAGMENT},
                 {0x20, 0xb9, PACKET_FRAGMENT},
                 {0x40, 0, PACKET_UDP}};
  struct packet packet;
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    struct bytes b = {.count = 0};
    put_ipv4(&b, offsets[i].high, offsets[i].low);
    assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), offsets[i].kind);
  }
  for (uint8_t more = 0; more < 2; more++) {
    struct bytes b = {.count = 0};
    put_ipv6(&b, 44, 8);
    PUT(&b, 17, 0, more ? 0 : 1, more, 0, 0, 0, 9);
    put_udp(&b);
    assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_FRAGMENT);
  }
}

static void what_is_not_udp(void **state) {
  (void)state;
  struct packet packet;
  struct bytes b = {.count = 0};
  put_ipv4(&b, 0, 0);
  b.at[9] = 132; /* SCTP */
  assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_OTHER);
  b.at[9] = 17;
  b.at[IPV4_BYTES + 5] = 7; /* a UDP length below its own header */
  assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_OTHER);
  b.at[0] = 0x55;
  assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_OTHER);
  static const uint8_t arp[60] = {[12] = 8, [13] = 6};
  assert_int_equal(packet_read(PACKET_ETHERNET, arp, sizeof arp, &packet), PACKET_OTHER);
}

static void segments(void **state) {
  (void)state;
  struct packet packet;
  for (uint8_t options = 0; options < 2; options++) {
    struct bytes b = {.count = 0};
    uint8_t header_bytes = (uint8_t)(20 + options * 4);
    PUT(&b, 0x45, 0, 0, (uint8_t)(20 + header_bytes + 3), 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 10, 198, 51,
        100, 20);
    PUT(&b, 0x13, 0xc4, 0x13, 0xc5, 0, 0, 0, 1, 0, 0, 0, 2, (uint8_t)(header_bytes * 4), 0x18, 0, 0, 0, 0, 0,
        0);
    if (options) PUT(&b, 1, 1, 1, 0);
    PUT(&b, 'S', 'I', 'P', 'x');
    assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_TCP);
    assert_int_equal(packet.src.port, 5060);
    assert_int_equal(packet.dst.port, 5061);
    assert_int_equal(packet.bytes, 3);
    assert_memory_equal(packet.payload, "SIP", 3);
    for (size_t cut = 21; cut < 20u + header_bytes; cut++)
      assert_int_equal(packet_read(PACKET_RAW_IP, b.at, cut, &packet), PACKET_CUT);
    b.at[20 + 12] = 0x40; /* shorter than a header */
    assert_int_equal(packet_read(PACKET_RAW_IP, b.at, b.count, &packet), PACKET_OTHER);
  }
}

/* A capture of the first bytes of each packet: the lengths on the wire stay known. */
static void cut(void **state) {
  (void)state;
  struct bytes b = {.count = 0};
  put_macs(&b);
  PUT(&b, 0x81, 0, 0, 1, 8, 0);
  size_t headers = b.count + IPV4_BYTES + 8;
  put_ipv4(&b, 0, 0);
  for (size_t count = 0; count < b.count; count++) {
    uint8_t *exact = malloc(count + 1); /* what lies behind is an error that a sanitizer sees */
    memcpy(exact, b.at, count);
    struct packet packet;
    enum packet_kind kind = packet_read(PACKET_ETHERNET, exact, count, &packet);
    assert_int_equal(kind, count < headers ? PACKET_CUT : PACKET_UDP);
    if (kind == PACKET_UDP) {
      assert_int_equal(packet.bytes, count - headers);
      assert_int_equal(packet.sent_bytes, 4);
    }
    free(exact);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(links),     cmocka_unit_test(ipv4_options),    cmocka_unit_test(ipv6_extensions),
      cmocka_unit_test(fragments), cmocka_unit_test(what_is_not_udp), cmocka_unit_test(segments),
      cmocka_unit_test(cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
