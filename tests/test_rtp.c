/* RTP headers with everything in them, what is refused, telephone events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "telnyx/rtp.h"

static void plain(void **state) {
  (void)state;
  static const uint8_t data[] = {0x80, 0x80, 0xff, 0xfe, 0x80, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3};
  struct rtp rtp;
  assert_true(rtp_read(data, sizeof data, sizeof data, &rtp));
  assert_true(rtp.marker);
  assert_int_equal(rtp.payload_type, 0);
  assert_int_equal(rtp.sequence, 65534);
  assert_int_equal(rtp.timestamp, 0x80000001);
  assert_int_equal(rtp.ssrc, 0xdeadbeef);
  assert_ptr_equal(rtp.payload, data + 12);
  assert_int_equal(rtp.bytes, 3);
}

static void everything(void **state) {
  (void)state;
  static const uint8_t data[] = {
      0xb2, 111, 0, 1, 0, 0, 0, 2, 0,    0,    0, 3,                   /* padding, extension, two sources */
      0,    0,   0, 7, 0, 0, 0, 8, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, /**/
      'x',  'y', 0, 0, 3};
  struct rtp rtp;
  assert_true(rtp_read(data, sizeof data, sizeof data, &rtp));
  assert_false(rtp.marker);
  assert_int_equal(rtp.payload_type, 111);
  assert_int_equal(rtp.bytes, 2);
  assert_memory_equal(rtp.payload, "xy", 2);
  for (size_t cut = 0; cut < sizeof data;
       cut++) { /* never whole: a header is missing, or the padding is unknown */
    bool read = rtp_read(data, cut, sizeof data, &rtp);
    assert_int_equal(read, cut >= 28);
    if (read) assert_int_equal(rtp.sent_bytes, sizeof data - 28);
    assert_false(rtp_read(data, cut, cut, &rtp) && cut < 28);
  }
}

static void refused(void **state) {
  (void)state;
  uint8_t data[16] = {0x80, 0, 0, 1};
  struct rtp rtp;
  for (unsigned version = 0; version < 4; version++) {
    data[0] = (uint8_t)(version << 6);
    assert_int_equal(rtp_read(data, sizeof data, sizeof data, &rtp), version == 2);
  }
  data[0] = 0x80;
  for (unsigned type = 0; type < 256; type++) {
    data[1] = (uint8_t)type;
    bool rtcp = (type & 127) >= 72 && (type & 127) <= 76;
    assert_int_equal(rtp_read(data, sizeof data, sizeof data, &rtp), !rtcp);
  }
  data[1] = 0;
  data[0] = 0xa0; /* padding of 0 bytes, and of more than there is */
  assert_false(rtp_read(data, sizeof data, sizeof data, &rtp));
  data[15] = 5;
  assert_false(rtp_read(data, sizeof data, sizeof data, &rtp));
  data[15] = 4;
  assert_true(rtp_read(data, sizeof data, sizeof data, &rtp));
  assert_int_equal(rtp.bytes, 0);
  data[0] = 0x82; /* two sources, room for one */
  assert_false(rtp_read(data, sizeof data, sizeof data, &rtp));
}

static void events(void **state) {
  (void)state;
  static const uint8_t data[] = {11, 0x8a, 0x03, 0x20};
  struct rtp_event event;
  assert_true(rtp_event_read(data, sizeof data, &event));
  assert_int_equal(event.event, 11);
  assert_true(event.end);
  assert_int_equal(event.volume, 10);
  assert_int_equal(event.duration, 800);
  assert_false(rtp_event_read(data, 3, &event));
  static const char digits[] = "0123456789*#ABCD";
  for (uint8_t i = 0; i < 16; i++) assert_int_equal(rtp_event_digit(i)[0], digits[i]);
  assert_null(rtp_event_digit(16)); /* flash */
  assert_null(rtp_event_digit(255));
}

static void static_types(void **state) {
  (void)state;
  assert_string_equal(rtp_static_type(0)->name, "PCMU");
  assert_string_equal(rtp_static_type(8)->name, "PCMA");
  assert_int_equal(rtp_static_type(9)->clock_hz, 8000); /* G.722, for historic reasons */
  assert_string_equal(rtp_static_type(18)->name, "G729");
  assert_null(rtp_static_type(1));
  assert_null(rtp_static_type(34)); /* video */
  assert_null(rtp_static_type(96));
  assert_null(rtp_static_type(255));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain),  cmocka_unit_test(everything),   cmocka_unit_test(refused),
      cmocka_unit_test(events), cmocka_unit_test(static_types),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
