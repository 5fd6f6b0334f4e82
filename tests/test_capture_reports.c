/* RTCP and the streams it is about: directions, ports, round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/capture_reports.h"

enum { SSRC = 0x0a, PEER = 0x0b };

static struct capture_key stream_key(uint16_t src_port, uint16_t dst_port) {
  struct capture_key key;
  memset(&key, 0, sizeof key);
  key.ssrc = SSRC;
  key.src = (struct packet_address){.ip = {192, 0, 2, 1}, .port = src_port, .version = 4};
  key.dst = (struct packet_address){.ip = {192, 0, 2, 2}, .port = dst_port, .version = 4};
  return key;
}

static void take(struct capture_reports *r, const struct capture_key *way, bool back, const uint8_t *data,
                 size_t bytes, int64_t ms) {
  struct packet packet;
  memset(&packet, 0, sizeof packet);
  packet.src = back ? way->dst : way->src;
  packet.dst = back ? way->src : way->dst;
  packet.payload = data;
  packet.bytes = packet.sent_bytes = bytes;
  assert_true(rtcp_is(data, bytes, bytes));
  capture_reports_take(r, &packet, ms * 1000000);
}

/* A sender report of `seconds` on the sender's clock. */
static void sent(struct capture_reports *r, const struct capture_key *way, uint8_t seconds, int64_t ms) {
  const uint8_t data[28] = {0x80, 200, 0, 6, 0, 0, 0, SSRC, 0, 0, 0, seconds};
  take(r, way, false, data, sizeof data, ms);
}

/* A receiver's report that echoes it, held for `dlsr` 1/65536 s. */
static void echoed(struct capture_reports *r, const struct capture_key *way, uint8_t seconds, uint16_t dlsr,
                   int64_t ms) {
  const uint8_t data[32] = {0x81,
                            201,
                            0,
                            7,
                            0,
                            0,
                            0,
                            PEER,
                            0,
                            0,
                            0,
                            SSRC,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            seconds,
                            0,
                            0,
                            0,
                            0,
                            (uint8_t)(dlsr >> 8),
                            (uint8_t)dlsr};
  take(r, way, true, data, sizeof data, ms);
}

static void round_trips(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  const struct capture_key key = stream_key(5004, 5006), way = stream_key(5005, 5007);
  struct capture_report got;
  assert_false(capture_reports_find(r, &key, &got));
  sent(r, &way, 7, 1000);
  echoed(r, &way, 7, 0x8000, 1540); /* held for 500 ms */
  echoed(r, &way, 0, 0, 1600);      /* nothing to echo */
  echoed(r, &way, 9, 0, 1700);      /* one that was never seen */
  sent(r, &way, 8, 2000);
  echoed(r, &way, 8, 0x8000, 2400); /* held longer than it was away */
  echoed(r, &way, 8, 0x8000, 2520); /* once more, 20 ms */
  assert_true(capture_reports_find(r, &key, &got));
  assert_int_equal(got.sr, 2);
  assert_int_equal(got.rr, 5);
  assert_int_equal(got.rtt_count, 2);
  assert_in_range(got.rtt_sum_us, 59900, 60000);
  capture_reports_free(r);
}

static void only_the_newest_are_remembered(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  const struct capture_key key = stream_key(5004, 5006);
  struct capture_report got;
  for (uint8_t i = 1; i <= 20; i++) sent(r, &key, i, 1000 * i); /* on the media's own ports */
  for (uint8_t i = 1; i <= 20; i++) echoed(r, &key, i, 0, 20500);
  assert_true(capture_reports_find(r, &key, &got));
  assert_int_equal(got.sr, 20);
  assert_int_equal(got.rtt_count, 8);
  capture_reports_free(r);
}

/* The same SSRC between the same hosts: ports tell; and RTCP on ports of its own is the only stream's. */
static void ports(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  const struct capture_key first = stream_key(5004, 5006), second = stream_key(6004, 6006);
  const struct capture_key of_first = stream_key(5005, 5007), of_second = stream_key(6005, 6007),
                           elsewhere = stream_key(9001, 9001);
  struct capture_report got;
  sent(r, &elsewhere, 1, 0);
  assert_true(capture_reports_find(r, &first, &got));
  assert_int_equal(got.sr, 1);
  sent(r, &of_first, 1, 0);
  sent(r, &of_first, 2, 0);
  sent(r, &of_second, 1, 0);
  assert_true(capture_reports_find(r, &first, &got));
  assert_int_equal(got.sr, 2);
  assert_true(capture_reports_find(r, &second, &got));
  assert_int_equal(got.sr, 1);
  struct capture_key third = stream_key(7004, 7006); /* none beside it: all that there are */
  assert_true(capture_reports_find(r, &third, &got));
  assert_int_equal(got.sr, 4);
  struct capture_key back = first; /* the other direction has none */
  back.src = first.dst;
  back.dst = first.src;
  assert_false(capture_reports_find(r, &back, &got));
  capture_reports_free(r);
}

static void extended_reports(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  const struct capture_key key = stream_key(5004, 5006);
  struct capture_report got;
  uint8_t voip[44] = {0x80, 207, 0, 10, 0, 0, 0, PEER, 7, 0, 0, 8, 0, 0, 0, SSRC, [28] = 99, [32] = 127};
  take(r, &key, true, voip, sizeof voip, 0);
  static const uint8_t reference_time[20] = {0x80, 207, 0, 4, 0, 0, 0, SSRC, 4, 0, 0, 2};
  take(r, &key, false, reference_time, sizeof reference_time, 0);
  assert_true(capture_reports_find(r, &key, &got));
  assert_int_equal(got.xr, 2);
  assert_true(got.has_voip);
  assert_int_equal(got.voip.signal_dbm, 99);
  assert_int_equal(got.voip.r_factor, 127);
  capture_reports_free(r);
}

static void an_end_of_rows(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  struct capture_key key = stream_key(5004, 5006);
  uint8_t data[8] = {0x81, 203, 0, 1};
  for (uint32_t i = 0; i < 70000; i++) {
    data[5] = (uint8_t)(i >> 16);
    data[6] = (uint8_t)(i >> 8);
    data[7] = (uint8_t)i;
    take(r, &key, false, data, sizeof data, 0);
  }
  struct capture_report got;
  key.ssrc = 65535;
  assert_true(capture_reports_find(r, &key, &got));
  assert_int_equal(got.bye, 1);
  key.ssrc = 65536;
  assert_false(capture_reports_find(r, &key, &got));
  capture_reports_free(r);
}

/* One SSRC on ever new ports: each report, and each stream that looks for its own, must find its row at once. */
static void many_ports(void **state) {
  (void)state;
  struct capture_reports *r = capture_reports_new();
  struct capture_report got;
  for (uint32_t i = 0; i < 200000; i++) {
    struct capture_key key = stream_key((uint16_t)i, (uint16_t)(i >> 16));
    sent(r, &key, 1, 0);
  }
  uint64_t found = 0;
  for (uint32_t i = 0; i < 65536; i++) {
    struct capture_key key = stream_key((uint16_t)i, i % 2 ? 0 : 9);
    assert_true(capture_reports_find(r, &key, &got));
    if (i % 2 == 0) assert_int_equal(got.sr, 65536); /* none beside it: all that there are */
    found += i % 2 ? got.sr : 0;
  }
  assert_int_equal(found, 2 * 32768); /* its own, and the next */
  capture_reports_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trips),    cmocka_unit_test(only_the_newest_are_remembered),
      cmocka_unit_test(ports),          cmocka_unit_test(extended_reports),
      cmocka_unit_test(an_end_of_rows), cmocka_unit_test(many_ports),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
