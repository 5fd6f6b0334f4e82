#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "telnyx/base64.h"
#include "telnyx/stream_key.h"

static const char token[] = "k7Vt-one-shot-91c2";
static const char leg[] = "v3:EXAMPLE-leg-A";
enum { EXPIRY_S = 1789373742 };

static void test_token(void **unused) {
  (void)unused;
  assert_true(stream_token_equal(token, "k7Vt-one-shot-91c2"));
  assert_false(stream_token_equal(token, "k7Vt-one-shot-91c3"));
  assert_false(stream_token_equal(token, "k7Vt-one-shot-91c"));
  assert_false(stream_token_equal(token, "k7Vt-one-shot-91c2 "));
  assert_false(stream_token_equal(token, ""));
  assert_false(stream_token_equal(token, NULL));
  assert_false(stream_token_equal(NULL, token));
  assert_false(stream_token_equal("", ""));
  assert_false(stream_token_equal(NULL, NULL));
}

/* Made with Python: base64.urlsafe_b64encode(b"1789373742." + hmac.digest(token, leg + b".1789373742",
 * "sha256")) without its padding. */
static void test_known(void **unused) {
  (void)unused;
  char key[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make(token, leg, EXPIRY_S, key, sizeof key), 0);
  assert_string_equal(key, "MTc4OTM3Mzc0Mi6TKC7ZBmydlRg0N0Z2oJJ62XRaHAmsrhRRv8OZzY9STw");
  assert_int_equal(stream_key_kind(token, key, EXPIRY_S), STREAM_KEY_DERIVED);
  assert_true(stream_key_matches(token, key, leg, EXPIRY_S));
}

static void test_kinds(void **unused) {
  (void)unused;
  char key[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make(token, leg, EXPIRY_S, key, sizeof key), 0);
  assert_int_equal(stream_key_kind(token, token, EXPIRY_S), STREAM_KEY_TOKEN);
  assert_int_equal(stream_key_kind(token, key, EXPIRY_S - 60), STREAM_KEY_DERIVED);
  assert_int_equal(stream_key_kind(token, key, EXPIRY_S + 1), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind(token, "", EXPIRY_S), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind(token, NULL, EXPIRY_S), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind(token, "wrong", EXPIRY_S), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind(NULL, key, EXPIRY_S), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind("", key, EXPIRY_S), STREAM_KEY_WRONG);
  assert_int_equal(stream_key_kind("", "", EXPIRY_S), STREAM_KEY_WRONG);
  key[strlen(key) - 1] = '\0'; /* a byte of the HMAC is gone */
  assert_int_equal(stream_key_kind(token, key, EXPIRY_S), STREAM_KEY_WRONG);
}

/* A bad `expiry` in front of 32 bytes. */
static void test_forms(void **unused) {
  (void)unused;
  static const char *const heads[] = {".",
                                      "",
                                      "99999999999",
                                      "-1.",
                                      "+99999999999.",
                                      "9999999999x.",
                                      " 9999999999.",
                                      "9999999999999999.",
                                      "9999999999..",
                                      "0x7fffffffff."};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    uint8_t raw[64];
    char key[100];
    size_t head = strlen(heads[i]);
    memcpy(raw, heads[i], head);
    memset(raw + head, 0x55, 32);
    base64url_encode(raw, head + 32, key);
    assert_int_equal(stream_key_kind(token, key, EXPIRY_S), STREAM_KEY_WRONG);
    assert_false(stream_key_matches(token, key, leg, EXPIRY_S));
  }
}

static void test_matches(void **unused) {
  (void)unused;
  char key[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make(token, leg, EXPIRY_S, key, sizeof key), 0);
  assert_false(stream_key_matches(token, key, "v3:EXAMPLE-leg-B", EXPIRY_S));
  assert_false(stream_key_matches(token, key, NULL, EXPIRY_S));
  assert_false(stream_key_matches(token, key, leg, EXPIRY_S + 1));
  assert_false(stream_key_matches("another", key, leg, EXPIRY_S));
  assert_false(stream_key_matches("", key, leg, EXPIRY_S));
  assert_false(stream_key_matches(NULL, key, leg, EXPIRY_S));
  assert_false(stream_key_matches(token, token, leg, EXPIRY_S));

  /* Every bit counts: also those of the expiry, which could else be moved. */
  uint8_t raw[64];
  ssize_t bytes = base64url_decode(key, strlen(key), raw, sizeof raw);
  assert_int_equal(bytes, 10 + 1 + 32);
  for (ssize_t bit = 0; bit < bytes * 8; bit++) {
    char changed[100];
    raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    base64url_encode(raw, (size_t)bytes, changed);
    assert_false(stream_key_matches(token, changed, leg, EXPIRY_S - 2000000000));
    raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

static void test_make(void **unused) {
  (void)unused;
  char key[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make(token, leg, 999999999999999, key, sizeof key), 0);
  assert_int_equal(strlen(key), STREAM_KEY_BYTES_MAX - 1);
  assert_true(stream_key_matches(token, key, leg, EXPIRY_S));
  assert_int_equal(stream_key_make(token, leg, 999999999999999, key, sizeof key - 1), -1);
  assert_int_equal(stream_key_make(token, leg, 1000000000000000, key, sizeof key), -1);
  assert_int_equal(stream_key_make(token, leg, -1, key, sizeof key), -1);
  assert_int_equal(stream_key_make("", leg, EXPIRY_S, key, sizeof key), -1);
  assert_int_equal(stream_key_make(NULL, leg, EXPIRY_S, key, sizeof key), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_token), cmocka_unit_test(test_known),   cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_forms), cmocka_unit_test(test_matches), cmocka_unit_test(test_make),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
