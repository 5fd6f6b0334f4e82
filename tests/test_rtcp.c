/* RTCP as it comes, and the round trip of RFC 3550's figure (voice-quality.md 4.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "telnyx/rtcp.h"

/* A sender report with one block, a description, VoIP metrics behind an unknown block, BYE. */
static const uint8_t compound[] = {
    0x81, 200,  0,    12,   0,    0,    0,    1,    0x11, 0x22, 0xb7, 0x05, 0x20, 0x00, 0x33, 0x44,
    0,    0,    0,    9,    0,    0,    0,    10,   0,    0,    1,    0, /**/
    0,    0,    0,    2,    26,   0xff, 0xff, 0xfe, 0,    1,    0,    7,    0,    0,    0,    48,
    0xb7, 0x05, 0x20, 0x00, 0x00, 0x05, 0x40, 0x00,                                              /**/
    0x81, 202,  0,    3,    0,    0,    0,    1,    1,    4,    't',  'e',  's',  't',  0,    0, /**/
    0x80, 207,  0,    13,   0,    0,    0,    1,    4,    0,    0,    2,    0,    0,    0,    1,
    0,    0,    0,    2, /**/
    7,    0,    0,    8,    0,    0,    0,    2,    5,    6,    7,    8,    0,    120,  1,    0,
    0,    60,   0,    45,   0xec, 127,  50,   16,   93,   127,  44,   43,   0x30, 0,    0,    40,
    0,    80,   0,    120, /**/
    0x81, 203,  0,    1,    0,    0,    0,    1};

static void compound_packet(void **state) {
  (void)state;
  assert_true(rtcp_is(compound, sizeof compound, sizeof compound));
  struct rtcp_scan scan = {compound, sizeof compound};
  struct rtcp_packet packet;
  struct rtcp_sender sender;
  struct rtcp_report report;
  struct rtcp_voip voip;

  assert_true(rtcp_next(&scan, &packet));
  assert_true(rtcp_sender(&packet, &sender));
  assert_int_equal(packet.ssrc, 1);
  assert_int_equal(rtcp_ntp_middle(sender.ntp), 0xb7052000);
  assert_int_equal(sender.rtp_timestamp, 9);
  assert_int_equal(sender.packets, 10);
  assert_int_equal(sender.octets, 256);
  assert_true(rtcp_report(&packet, 0, &report));
  assert_int_equal(report.ssrc, 2);
  assert_int_equal(report.fraction_lost, 26);
  assert_int_equal(report.lost, -2); /* duplicates */
  assert_int_equal(report.highest, 65543);
  assert_int_equal(report.jitter_ticks, 48);
  assert_false(rtcp_report(&packet, 1, &report));
  assert_false(rtcp_voip(&packet, 0, &voip));

  assert_true(rtcp_next(&scan, &packet));
  assert_int_equal(packet.type, RTCP_DESCRIPTION);
  assert_false(rtcp_sender(&packet, &sender));
  assert_false(rtcp_report(&packet, 0, &report));

  assert_true(rtcp_next(&scan, &packet));
  assert_true(rtcp_voip(&packet, 0, &voip));
  assert_false(rtcp_voip(&packet, 1, &voip));
  assert_int_equal(voip.ssrc, 2);
  assert_int_equal(voip.discard_rate, 6);
  assert_int_equal(voip.burst_ms, 120);
  assert_int_equal(voip.round_trip_ms, 60);
  assert_int_equal(voip.end_system_delay_ms, 45);
  assert_int_equal(voip.signal_dbm, -20);
  assert_int_equal(voip.noise_dbm, RTCP_LEVEL_UNKNOWN);
  assert_int_equal(voip.r_factor, 93);
  assert_int_equal(voip.mos_cq, 43);
  assert_int_equal(voip.jb_absolute_maximum_ms, 120);

  assert_true(rtcp_next(&scan, &packet));
  assert_int_equal(packet.type, RTCP_BYE);
  assert_false(rtcp_next(&scan, &packet));
}

static void a_receiver_without_sound(void **state) {
  (void)state;
  static const uint8_t data[] = {0x80, 201, 0, 1, 0, 0, 0, 5};
  struct rtcp_scan scan = {data, sizeof data};
  struct rtcp_packet packet;
  struct rtcp_report report;
  assert_true(rtcp_next(&scan, &packet));
  assert_int_equal(packet.ssrc, 5);
  assert_false(rtcp_report(&packet, 0, &report));
}

/* Its count says more blocks than its length has room for. */
static void counts_that_lie(void **state) {
  (void)state;
  uint8_t data[52];
  memcpy(data, compound, sizeof data);
  data[0] = 0x9f;
  struct rtcp_scan scan = {data, sizeof data};
  struct rtcp_packet packet;
  struct rtcp_report report;
  assert_true(rtcp_next(&scan, &packet));
  assert_true(rtcp_report(&packet, 0, &report));
  for (unsigned i = 1; i < 32; i++) assert_false(rtcp_report(&packet, i, &report));
}

static void what_is_not(void **state) {
  (void)state;
  uint8_t data[sizeof compound];
  memcpy(data, compound, sizeof data);
  assert_false(rtcp_is(data, sizeof data - 4, sizeof data - 4)); /* lengths must fill it */
  assert_false(rtcp_is(data, 0, 0));
  data[0] = 0x41;
  assert_false(rtcp_is(data, sizeof data, sizeof data));
  data[0] = 0x81;
  data[1] = 191; /* RTP of type 63 with the marker */
  assert_false(rtcp_is(data, sizeof data, sizeof data));
  data[1] = 200;
  assert_true(rtcp_is(data, 20, sizeof data)); /* cut by the capture */
  data[1] = 207;
  assert_false(rtcp_is(data, 20, sizeof data)); /* might be RTP of type 79 */
}

static void cut(void **state) {
  (void)state;
  for (size_t count = 0; count < sizeof compound; count++) {
    uint8_t *exact = malloc(count + 1);
    memcpy(exact, compound, count);
    struct rtcp_scan scan = {exact, count};
    struct rtcp_packet packet;
    struct rtcp_report report;
    struct rtcp_voip voip;
    size_t whole = 0;
    while (rtcp_next(&scan, &packet)) {
      for (unsigned i = 0; rtcp_report(&packet, i, &report); i++) continue;
      for (unsigned i = 0; rtcp_voip(&packet, i, &voip); i++) continue;
      whole += packet.bytes;
    }
    assert_true(whole <= count);
    free(exact);
  }
}

static void round_trip(void **state) {
  (void)state;
  uint32_t units;
  assert_true(rtcp_round_trip(0xb7108000, 0xb7052000, 0x00054000, &units));
  assert_int_equal(units, 0x00062000);                                 /* 6.125 s */
  assert_true(rtcp_round_trip(0x00000100, 0xffffff00, 0x100, &units)); /* around the end of 18 hours */
  assert_int_equal(units, 0x100);
  assert_false(rtcp_round_trip(0xb7108000, 0, 0, &units));
  assert_false(rtcp_round_trip(0xb7108000, 0xb7107000, 0x2000, &units)); /* held longer than it was away */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(compound_packet),
      cmocka_unit_test(a_receiver_without_sound),
      cmocka_unit_test(counts_that_lie),
      cmocka_unit_test(what_is_not),
      cmocka_unit_test(cut),
      cmocka_unit_test(round_trip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
