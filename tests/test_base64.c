#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "telnyx/base64.h"

/* xorshift64*: the same cases on every machine. */
static uint64_t state = 0x9E3779B97F4A7C15u;
static uint32_t pick(uint32_t below) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % below;
}

static void test_known(void **unused) {
  (void)unused;
  static const char *const pairs[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    char text[16];
    uint8_t bytes[16] = {0};
    size_t length = strlen(pairs[i][0]);
    assert_int_equal(base64_encode((const uint8_t *)pairs[i][0], length, text), strlen(pairs[i][1]));
    assert_string_equal(text, pairs[i][1]);
    assert_int_equal(base64_decode(text, strlen(text), bytes, sizeof bytes), length);
    assert_memory_equal(bytes, pairs[i][0], length);
    base64url_encode((const uint8_t *)pairs[i][0], length, text);
    assert_null(strchr(text, '='));
    assert_int_equal(base64_decode(text, strlen(text), bytes, sizeof bytes), length);
  }
}

static void test_alphabets(void **unused) {
  (void)unused;
  const uint8_t bytes[3] = {0xFB, 0xFF, 0xFE};
  uint8_t out[3];
  char text[8];
  base64_encode(bytes, 3, text);
  assert_string_equal(text, "+//+");
  base64url_encode(bytes, 3, text);
  assert_string_equal(text, "-__-");
  assert_int_equal(base64url_decode("-__-", 4, out, 3), 3);
  assert_memory_equal(out, bytes, 3);
  assert_int_equal(base64_decode("-__-", 4, out, 3), -1);
  assert_int_equal(base64url_decode("+//+", 4, out, 3), -1);
}

static void test_refused(void **unused) {
  (void)unused;
  static const char *const bad[] = {
      "Q",      "QQ=",    "QQ===", "Q===",  "=",     "==",    "====",    "QUI==", "QQ=Q",     "Q=QQ",
      "QQ==QQ", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v=", "Zm9vY", "Zm9\x80", "Zm9%",  "Zm9v====", "\xC3\xA9QQ"};
  uint8_t out[16];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (base64_decode(bad[i], strlen(bad[i]), out, sizeof out) != -1) fail_msg("taken: \"%s\"", bad[i]);
    if (base64url_decode(bad[i], strlen(bad[i]), out, sizeof out) != -1)
      fail_msg("taken (url): \"%s\"", bad[i]);
  }
  assert_int_equal(base64_decode("Zm9v\0Zm9", 8, out, sizeof out), -1);
}

/* One character of the alphabet at a time, at each of the four places. */
static void test_every_character(void **unused) {
  (void)unused;
  const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int c = 0; c < 256; c++) {
    const char *found = c == 0 ? NULL : strchr(digits, c);
    for (int place = 0; place < 4; place++) {
      char text[9] = "AAAAAAAA";
      text[place] = (char)c;
      uint8_t out[6];
      ssize_t bytes = base64_decode(text, 8, out, sizeof out);
      assert_int_equal(bytes, found ? 6 : -1);
      if (!found) continue;
      uint32_t bits = (uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | out[2];
      assert_int_equal(bits >> (18 - 6 * place), found - digits);
    }
  }
}

static void test_spare_bits_ignored(void **unused) {
  (void)unused;
  uint8_t out[4];
  assert_int_equal(base64_decode("QR==", 4, out, 4), 1);
  assert_int_equal(out[0], 'A');
  assert_int_equal(base64_decode("QUJ", 3, out, 4), 2);
  assert_memory_equal(out, "AB", 2);
}

static void test_capacity(void **unused) {
  (void)unused;
  uint8_t out[4] = {1, 1, 1, 1};
  assert_int_equal(base64_decode("Zm9vYg==", 8, out, 3), -1);
  assert_int_equal(base64_decode("Zm9vYg==", 8, out, 4), 4);
  assert_int_equal(base64_decode("", 0, out, 0), 0);
  assert_int_equal(base64_decoded_bytes(216, 2), 160);
  assert_int_equal(base64_decoded_bytes(214, 0), 160);
}

static void test_like_openssl(void **unused) {
  (void)unused;
  for (int round = 0; round < 20000; round++) {
    uint64_t seed = state;
    uint8_t bytes[400], back[400], reference[400];
    char ours[600], theirs[600];
    size_t count = pick(sizeof bytes);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)pick(256);
    size_t length = base64_encode(bytes, count, ours);
    assert_int_equal(EVP_EncodeBlock((unsigned char *)theirs, bytes, (int)count), length);
    assert_string_equal(ours, theirs);
    assert_int_equal(base64_decode(ours, length, back, count), count);
    assert_memory_equal(back, bytes, count);
    base64url_encode(bytes, count, ours);
    assert_int_equal(base64url_decode(ours, strlen(ours), back, count), count);
    assert_memory_equal(back, bytes, count);
    if (length < 8) continue;

    /* One character changed, the padding left alone: both take it or both refuse it, and agree. EVP also
     * takes blanks at the ends and stops at a hyphen; ours never does. */
    theirs[pick((uint32_t)length - 4)] = (char)(32 + pick(95));
    ssize_t got = base64_decode(theirs, length, back, sizeof back);
    int want = EVP_DecodeBlock(reference, (unsigned char *)theirs, (int)length);
    size_t padding = (size_t)(theirs[length - 1] == '=') + (size_t)(theirs[length - 2] == '=');
    bool lenient =
        memchr(theirs, ' ', length) || memchr(theirs, '-', length) || memchr(theirs, '=', length - padding);
    if (lenient) {
      assert_int_equal(got, -1);
    } else if (got != (want < 0 ? -1 : want - (ssize_t)padding) ||
               (got > 0 && memcmp(back, reference, (size_t)got))) {
      fail_msg("differs from EVP: seed %llx, %s: %zd, EVP %d", (unsigned long long)seed, theirs, got, want);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_alphabets),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_every_character),
      cmocka_unit_test(test_spare_bits_ignored),
      cmocka_unit_test(test_capacity),
      cmocka_unit_test(test_like_openssl),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
