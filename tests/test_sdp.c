/* Session descriptions in SIP messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "telnyx/sdp.h"

#define HEAD    "Content-Type: application/sdp\r\nContent-Length: 1\r\n\r\n"
#define SESSION "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static bool read(const char *message, struct sdp *out) {
  size_t bytes;
  const char *sdp = sdp_in_sip(message, strlen(message), &bytes);
  return sdp != NULL && sdp_read(sdp, bytes, out);
}

static void an_offer(void **state) {
  (void)state;
  struct sdp sdp;
  assert_true(read("INVITE sip:b@example.net SIP/2.0\r\n" HEAD SESSION
                   "m=audio 5004 RTP/AVP 0 111 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\n"
                   "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\n"
                   "m=video 5010 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n",
                   &sdp));
  assert_int_equal(sdp.media_count, 1);
  const struct sdp_media *m = &sdp.media[0];
  assert_int_equal(m->version, 4);
  assert_memory_equal(m->ip, ((const uint8_t[]){192, 0, 2, 1}), 4);
  assert_int_equal(m->port, 5004);
  assert_int_equal(m->ptime_ms, 30);
  assert_false(m->encrypted);
  assert_int_equal(m->format_count, 3);
  assert_string_equal(m->format[1].name, "opus");
  assert_int_equal(m->format[1].clock_hz, 48000);
  assert_int_equal(m->format[2].payload_type, 101);
  assert_string_equal(m->format[2].name, "telephone-event");
}

static void an_answer_of_its_own_address(void **state) {
  (void)state;
  struct sdp sdp;
  /* Bare line ends, a static type without a map, an address of the media itself, SRTP. */
  assert_true(
      read("SIP/2.0 200 OK\nc: application/sdp\n\nv=0\nc=IN IP4 0.0.0.0\nm=audio 6000/2 RTP/SAVPF 8\n"
           "c=IN IP6 2001:db8::7/127\na=ptime:x\n",
           &sdp));
  const struct sdp_media *m = &sdp.media[0];
  assert_int_equal(m->version, 6);
  assert_int_equal(m->ip[15], 7);
  assert_int_equal(m->port, 6000);
  assert_true(m->encrypted);
  assert_int_equal(m->format[0].clock_hz, 0);
  assert_int_equal(m->ptime_ms, 0);
}

static void two_parts_of_a_body(void **state) {
  (void)state;
  struct sdp sdp;
  assert_true(
      read("INVITE sip:b@example.net SIP/2.0\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n"
           "--x\r\nContent-Type: application/sdp\r\n\r\n" SESSION "m=audio 5004 RTP/AVP 0\r\n--x--\r\n",
           &sdp));
  assert_int_equal(sdp.media[0].format_count, 1);
}

static void nothing_in_it(void **state) {
  (void)state;
  struct sdp sdp;
  assert_false(read("OPTIONS sip:b@example.net SIP/2.0\r\n\r\n", &sdp));
  assert_false(read("GET / HTTP/1.1\r\n\r\n" SESSION "m=audio 5004 RTP/AVP 0\r\n", &sdp));
  assert_false(read("SIP/2.0 200 OK\r\n" HEAD SESSION "m=audio 0 RTP/AVP 0\r\n", &sdp)); /* declined */
  assert_false(read("SIP/2.0 200 OK\r\n" HEAD SESSION "m=audio 70000 RTP/AVP 0\r\n", &sdp));
  assert_false(read("v=0\r\n", &sdp));
  assert_false(read("", &sdp));
}

static void broken_attributes(void **state) {
  (void)state;
  struct sdp sdp;
  assert_true(
      read("SIP/2.0 200 OK\r\n" HEAD SESSION
           "m=audio 5004 RTP/AVP 96 97 200 x 98\r\na=rtpmap:96\r\na=rtpmap:97 /8000\r\na=rtpmap:98 a/0\r\n"
           "a=rtpmap:99 unlisted/8000\r\na=rtpmap:97 o\xffo/8000\r\na=rtpmap:96 "
           "a-name-that-is-too-long-for-any-codec/8000\r\n",
           &sdp));
  assert_int_equal(sdp.media[0].format_count, 3);
  for (size_t i = 0; i < 3; i++) assert_int_equal(sdp.media[0].format[i].clock_hz, 0);
}

static void no_more_than_there_is_room_for(void **state) {
  (void)state;
  char text[4096] = "SIP/2.0 200 OK\r\n" HEAD SESSION;
  for (int i = 0; i < SDP_MEDIA_MAX + 2; i++) {
    strcat(text, "m=audio 5004 RTP/AVP");
    for (int j = 0; j < SDP_FORMATS_MAX + 3; j++) strcat(text, " 9");
    strcat(text, "\r\na=rtpmap:9 G722/8000\r\n");
  }
  struct sdp sdp;
  assert_true(read(text, &sdp));
  assert_int_equal(sdp.media_count, SDP_MEDIA_MAX);
  for (int i = 0; i < SDP_MEDIA_MAX; i++) assert_int_equal(sdp.media[i].format_count, SDP_FORMATS_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_offer),
      cmocka_unit_test(an_answer_of_its_own_address),
      cmocka_unit_test(two_parts_of_a_body),
      cmocka_unit_test(nothing_in_it),
      cmocka_unit_test(broken_attributes),
      cmocka_unit_test(no_more_than_there_is_room_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
