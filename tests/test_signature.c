#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "telnyx/base64.h"
#include "telnyx/signature.h"

/* telnyx-protocol.md, appendix A. */
static const char public_key[] = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
static const char stamp[] = "1789373742";
static const char body[] =
    "{\"data\":{\"event_type\":\"call.hangup\",\"id\":\"5f0c1d2e-3a4b-4c5d-8e6f-708192a3b4c5\",\"occurred_"
    "at\":"
    "\"2026-09-14T08:15:41.902117Z\",\"payload\":{\"call_control_id\":\"v3:EXAMPLE-leg-A\",\"hangup_cause\":"
    "\"normal_clearing\"},\"record_type\":\"event\"},\"meta\":{\"attempt\":1,\"delivered_to\":"
    "\"https://edge.example.net/telnyx\"}}";
static const char signature[] =
    "Y1zd9MXcLh9sFzUPXO2A35vEE0dbxQxaR7/d3disfZlr/TxQWZJZCFdCrcEdz15bF1mcwGvFJpfp3hhgAhXtDA==";
enum { NOW_S = 1789373742, TOLERANCE_S = 300, BODY_BYTES = sizeof body - 1 };

static struct signature_keys keys_of(const char *text) {
  struct signature_keys keys;
  char why[200] = "";
  if (signature_keys_parse(text, &keys, why, sizeof why) != 0) fail_msg("%s", why);
  return keys;
}

static enum signature_verdict check(const char *with_signature, const char *with_stamp, int64_t now_s) {
  struct signature_keys keys = keys_of(public_key);
  return signature_verify(&keys, with_signature, with_stamp, body, BODY_BYTES, now_s, TOLERANCE_S);
}

static void test_vector(void **unused) {
  (void)unused;
  assert_int_equal(BODY_BYTES, 299);
  assert_int_equal(check(signature, stamp, NOW_S), SIGNATURE_GOOD);
}

static void test_any_byte_changed(void **unused) {
  (void)unused;
  struct signature_keys keys = keys_of(public_key);
  char changed[BODY_BYTES + 2];
  for (size_t i = 0; i < BODY_BYTES; i++) {
    memcpy(changed, body, BODY_BYTES);
    changed[i] ^= 1;
    assert_int_equal(signature_verify(&keys, signature, stamp, changed, BODY_BYTES, NOW_S, TOLERANCE_S),
                     SIGNATURE_WRONG);
  }
  memcpy(changed, body, BODY_BYTES);
  changed[BODY_BYTES] = '\n';
  assert_int_equal(signature_verify(&keys, signature, stamp, changed, BODY_BYTES + 1, NOW_S, TOLERANCE_S),
                   SIGNATURE_WRONG);
  assert_int_equal(signature_verify(&keys, signature, stamp, body, BODY_BYTES - 1, NOW_S, TOLERANCE_S),
                   SIGNATURE_WRONG);
  assert_int_equal(signature_verify(&keys, signature, stamp, NULL, 0, NOW_S, TOLERANCE_S), SIGNATURE_WRONG);
}

static void test_any_signature_bit_changed(void **unused) {
  (void)unused;
  uint8_t raw[64];
  char text[89];
  assert_int_equal(base64_decode(signature, strlen(signature), raw, sizeof raw), 64);
  for (int bit = 0; bit < 512; bit++) {
    raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    base64_encode(raw, sizeof raw, text);
    assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_WRONG);
    raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  base64_encode(raw, 63, text);
  assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_MALFORMED);
  memset(raw, 0, sizeof raw);
  base64_encode(raw, sizeof raw, text);
  assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_WRONG);
}

/* A signature by the right key over any bytes. */
static void sign_raw(const char *message, size_t bytes, char *out) {
  uint8_t seed[32], raw[64];
  size_t raw_bytes = sizeof raw;
  for (int i = 0; i < 32; i++) seed[i] = (uint8_t)i;
  EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, pkey), 1);
  assert_int_equal(EVP_DigestSign(context, raw, &raw_bytes, (const uint8_t *)message, bytes), 1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  base64_encode(raw, sizeof raw, out);
}

static void test_separator(void **unused) {
  (void)unused;
  char message[BODY_BYTES + 16], text[89];
  int bytes = snprintf(message, sizeof message, "%s|%s", stamp, body);
  sign_raw(message, (size_t)bytes, text);
  assert_string_equal(text, signature);
  for (const char *other = ".:, "; *other; other++) {
    message[strlen(stamp)] = *other;
    sign_raw(message, (size_t)bytes, text);
    assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_WRONG);
  }
  bytes = snprintf(message, sizeof message, "%s%s", stamp, body);
  sign_raw(message, (size_t)bytes, text);
  assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_WRONG);
  sign_raw(body, BODY_BYTES, text);
  assert_int_equal(check(text, stamp, NOW_S), SIGNATURE_WRONG);
}

static void test_window(void **unused) {
  (void)unused;
  assert_int_equal(check(signature, stamp, 1789374042), SIGNATURE_GOOD);
  assert_int_equal(check(signature, stamp, 1789374043), SIGNATURE_STALE);
  assert_int_equal(check(signature, stamp, NOW_S - 300), SIGNATURE_GOOD);
  assert_int_equal(check(signature, stamp, NOW_S - 301), SIGNATURE_STALE);
  assert_int_equal(check(signature, "1789373743", NOW_S), SIGNATURE_WRONG);
  assert_int_equal(check(signature, "0", INT64_MIN), SIGNATURE_STALE);
  assert_int_equal(check(signature, "999999999999999", INT64_MIN), SIGNATURE_STALE);
}

static void test_headers(void **unused) {
  (void)unused;
  static const char *const bad_stamps[] = {"1789373742 ",
                                           " 1789373742",
                                           "+1789373742",
                                           "-1",
                                           "1789373742.0",
                                           "0x6aa",
                                           "1e9",
                                           "now",
                                           "1789373742|",
                                           "1234567890123456",
                                           "99999999999999999999999999999999"};
  static const char *const bad_signatures[] = {"!", "Y1zd", " ",
                                               "Y1zd9MXcLh9sFzUPXO2A35vEE0dbxQxaR7/d3disfZlr",
                                               "Y1zd9MXcLh9sFzUPXO2A35vEE0dbxQxaR7_d3disfZlr_"
                                               "TxQWZJZCFdCrcEdz15bF1mcwGvFJpfp3hhgAhXtDA=="};
  assert_int_equal(check(NULL, stamp, NOW_S), SIGNATURE_MISSING);
  assert_int_equal(check(signature, NULL, NOW_S), SIGNATURE_MISSING);
  assert_int_equal(check("", stamp, NOW_S), SIGNATURE_MISSING);
  assert_int_equal(check(signature, "", NOW_S), SIGNATURE_MISSING);
  for (size_t i = 0; i < sizeof bad_stamps / sizeof *bad_stamps; i++) {
    assert_int_equal(check(signature, bad_stamps[i], NOW_S), SIGNATURE_BAD_TIMESTAMP);
  }
  for (size_t i = 0; i < sizeof bad_signatures / sizeof *bad_signatures; i++) {
    assert_int_equal(check(bad_signatures[i], stamp, NOW_S), SIGNATURE_MALFORMED);
  }
  char twice[200];
  strcpy(twice, signature);
  strcat(strcat(twice, ", "), signature);
  assert_int_equal(check(twice, stamp, NOW_S), SIGNATURE_MALFORMED);
}

static void test_keys(void **unused) {
  (void)unused;
  static const char other[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  struct signature_keys keys = keys_of(" \t\r\n");
  char why[200] = "", text[500];
  assert_int_equal(keys.count, 0);
  assert_int_equal(signature_verify(&keys, signature, stamp, body, BODY_BYTES, NOW_S, TOLERANCE_S),
                   SIGNATURE_NO_KEY);

  strcat(strcat(strcat(strcpy(text, "\t"), other), "\n "), public_key);
  keys = keys_of(text);
  assert_int_equal(keys.count, 2);
  assert_int_equal(signature_verify(&keys, signature, stamp, body, BODY_BYTES, NOW_S, TOLERANCE_S),
                   SIGNATURE_GOOD);
  keys = keys_of(other);
  assert_int_equal(signature_verify(&keys, signature, stamp, body, BODY_BYTES, NOW_S, TOLERANCE_S),
                   SIGNATURE_WRONG);

  /* 31 bytes, 33 bytes, hex, PEM */
  static const char *const bad[] = {
      "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMQ==", "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbgA",
      "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", "-----BEGIN PUBLIC KEY-----",
      "KEY0123"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    keys.count = 7;
    assert_int_equal(signature_keys_parse(bad[i], &keys, why, sizeof why), -1);
    assert_int_equal(keys.count, 7);
    assert_non_null(strstr(why, "not base64 of 32 bytes"));
    assert_null(strstr(why, bad[i]));
  }
  text[0] = '\0';
  for (int i = 0; i < SIGNATURE_KEYS_MAX; i++) strcat(strcat(text, public_key), " ");
  assert_int_equal(keys_of(text).count, SIGNATURE_KEYS_MAX);
  strcat(text, public_key);
  assert_int_equal(signature_keys_parse(text, &keys, why, sizeof why), -1);
}

static void test_sign(void **unused) {
  (void)unused;
  uint8_t seed[32];
  char key[45], text[89];
  for (int i = 0; i < 32; i++) seed[i] = (uint8_t)i;
  assert_int_equal(signature_public_key(seed, key), 0);
  assert_string_equal(key, public_key);
  assert_int_equal(signature_sign(seed, stamp, body, BODY_BYTES, text), 0);
  assert_string_equal(text, signature);
  assert_int_equal(signature_sign(seed, stamp, NULL, 0, text), 0);
  struct signature_keys keys = keys_of(key);
  assert_int_equal(signature_verify(&keys, text, stamp, "", 0, NOW_S, TOLERANCE_S), SIGNATURE_GOOD);
}

static void test_names(void **unused) {
  (void)unused;
  assert_string_equal(signature_verdict_name(SIGNATURE_GOOD), "good");
  assert_string_equal(signature_verdict_name(SIGNATURE_WRONG), "wrong");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vector),    cmocka_unit_test(test_any_byte_changed),
      cmocka_unit_test(test_separator), cmocka_unit_test(test_any_signature_bit_changed),
      cmocka_unit_test(test_window),    cmocka_unit_test(test_headers),
      cmocka_unit_test(test_keys),      cmocka_unit_test(test_sign),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
