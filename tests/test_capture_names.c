/* What a payload type means, and who says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/capture_names.h"

static const struct packet_address a = {.ip = {192, 0, 2, 1}, .port = 5004, .version = 4},
                                   b = {.ip = {192, 0, 2, 2}, .port = 5006, .version = 4},
                                   nat = {.ip = {203, 0, 113, 9}, .port = 5006, .version = 4};

static void learn(struct capture_names *names, int host, unsigned port, const char *media, int64_t ns) {
  char text[512];
  snprintf(text, sizeof text,
           "SIP/2.0 200 OK\r\n\r\nv=0\r\nc=IN IP4 192.0.2.%d\r\nm=audio %u RTP/AVP 0 96 97 101\r\n%s", host,
           port, media);
  const struct packet packet = {.payload = (const uint8_t *)text, .bytes = strlen(text)};
  capture_names_learn(names, &packet, true, ns);
}

static void expect(const struct capture_names *names, const struct packet_address *src,
                   const struct packet_address *dst, uint8_t type, int64_t ns, const char *name,
                   uint32_t hz) {
  struct capture_name found = capture_names_find(names, src, dst, type, ns);
  assert_string_equal(found.name, name);
  assert_int_equal(found.clock_hz, hz);
}

static void who_says_so(void **state) {
  (void)state;
  char why[128];
  struct capture_names *names = capture_names_new();
  expect(names, &a, &b, 0, 0, "PCMU", 8000);
  expect(names, &a, &b, 96, 0, "", 0);
  learn(names, 2, 5006, "a=rtpmap:96 opus/48000/2\r\na=ptime:40\r\n", 100);
  expect(names, &a, &b, 0, 0, "PCMU", 8000);
  expect(names, &a, &b, 96, 0, "opus", 48000);   /* described later */
  expect(names, &b, &a, 96, 500, "opus", 48000); /* only the sender described it */
  assert_int_equal(capture_names_find(names, &a, &b, 96, 0).ptime_ms, 40);
  learn(names, 1, 5004, "a=rtpmap:96 AMR-WB/16000\r\n", 200);
  expect(names, &b, &a, 96, 500, "AMR-WB", 16000); /* what the receiver says counts first */
  assert_true(capture_names_option(names, "96=G722/8000", why, sizeof why));
  expect(names, &b, &a, 96, 500, "G722", 8000);
  capture_names_free(names);
}

static void described_anew(void **state) {
  (void)state;
  struct capture_names *names = capture_names_new();
  learn(names, 2, 5006, "a=rtpmap:97 G726-32/8000\r\n", 100);
  learn(names, 2, 5006, "a=rtpmap:97 G726-32/8000\r\n", 150); /* sent again */
  learn(names, 2, 5006, "a=rtpmap:97 iLBC/8000\r\n", 200);
  expect(names, &a, &b, 97, 0, "G726-32", 8000);
  expect(names, &a, &b, 97, 199, "G726-32", 8000);
  expect(names, &a, &b, 97, 200, "iLBC", 8000);
  for (int i = 0; i < 100; i++) { /* the list has an end */
    learn(names, 2, 5006, i % 2 ? "a=rtpmap:97 X/8000\r\n" : "a=rtpmap:97 Y/8000\r\n", 300 + i);
  }
  expect(names, &a, &b, 97, 150, "G726-32", 8000);
  capture_names_free(names);
}

/* A segment may end anywhere: half a port, half a name. */
static void cut_messages(void **state) {
  (void)state;
  static const char text[] =
      "SIP/2.0 200 OK\r\n\r\nv=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 5006 RTP/AVP 96\r\na=rtpmap:96 "
      "opus/48000\r\n";
  const struct packet_address half_port = {.ip = {192, 0, 2, 2}, .port = 500, .version = 4};
  for (size_t bytes = 0; bytes < sizeof text; bytes++) {
    struct capture_names *names = capture_names_new();
    const struct packet packet = {.payload = (const uint8_t *)text, .bytes = bytes};
    capture_names_learn(names, &packet, false, 0);
    struct capture_name name = capture_names_find(names, &half_port, &half_port, 96, 0);
    assert_int_equal(name.clock_hz, 0);
    name = capture_names_find(names, &a, &b, 96, 0);
    assert_true(name.clock_hz == 0 || (name.clock_hz == 48000 && bytes == sizeof text - 1));
    if (bytes == sizeof text - 1) assert_string_equal(name.name, "opus");
    capture_names_free(names);
  }
}

static void behind_a_nat(void **state) {
  (void)state;
  struct capture_names *names = capture_names_new();
  learn(names, 2, 5006, "a=rtpmap:101 telephone-event/8000\r\n", 100);
  expect(names, &a, &nat, 101, 0, "telephone-event", 8000);
  learn(names, 3, 5006, "a=rtpmap:101 opus/48000\r\n", 100); /* now nobody knows which one it is */
  expect(names, &a, &nat, 101, 0, "", 0);
  capture_names_free(names);
}

/* What a capture can hold of them has an end, and looking one up does not go through all. */
static void many_descriptions(void **state) {
  (void)state;
  struct capture_names *names = capture_names_new();
  char text[256];
  for (int i = 0; i < 70000; i++) {
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\n\r\nv=0\r\nc=IN IP4 10.%d.%d.%d\r\nm=audio 5006 RTP/AVP 96\r\na=rtpmap:96 "
             "opus/48000\r\n",
             i >> 16, i >> 8 & 255, i & 255);
    const struct packet packet = {.payload = (const uint8_t *)text, .bytes = strlen(text)};
    capture_names_learn(names, &packet, true, i);
  }
  struct packet_address last = {.ip = {10, 0, 255, 255}, .port = 5006, .version = 4};
  expect(names, &a, &last, 96, 0, "opus", 48000);
  last.ip[1] = 1;
  last.ip[2] = last.ip[3] = 0;
  for (int i = 0; i < 70000; i++) expect(names, &nat, &last, 96, 0, "", 0); /* one too many */
  capture_names_free(names);
}

static void options(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool good;
  } rows[] = {
      {"111=opus/48000", true},
      {"0=G.711_x/8000", true},
      {"127=a/1000", true},
      {"111=G722/8000", false}, /* named before */
      {"72=x/8000", false},
      {"76=x/8000", false},
      {"77=x/8000", true},
      {"128=x/8000", false},
      {"-1=x/8000", false},
      {"1x=x/8000", false},
      {"=x/8000", false},
      {"96", false},
      {"96=", false},
      {"96=x", false},
      {"96=/8000", false},
      {"96=x/", false},
      {"96=x/999", false},
      {"96=x/1000001", false},
      {"96=x/8000/2", false},
      {"96=x y/8000", false},
      {"96=x/8000 ", false},
      {"", false},
      {"96=0123456789012345678901234567890/8000", true},
      {"97=01234567890123456789012345678901/8000", false},
      {"99999999999999999999=x/8000", false},
  };
  struct capture_names *names = capture_names_new();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char why[128] = "";
    bool good = capture_names_option(names, rows[i].text, why, sizeof why);
    if (good != rows[i].good) fail_msg("%s: %s", rows[i].text, good ? "taken" : why);
    assert_int_equal(good, why[0] == '\0');
  }
  capture_names_free(names);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_says_so),  cmocka_unit_test(described_anew), cmocka_unit_test(behind_a_nat),
      cmocka_unit_test(cut_messages), cmocka_unit_test(options),        cmocka_unit_test(many_descriptions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
