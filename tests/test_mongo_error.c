/* store/mongo_error.c: what each error means for a row (contract.md 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "store/mongo_error.h"

static void expect(const struct sink_outcome *o, enum sink_result result, const char *kind) {
  if (o->result != result || strcmp(o->kind, kind) != 0)
    fail_msg("got %d %s (%s), expected %d %s", o->result, o->kind, o->reason, result, kind);
}

static void codes_of_the_server(void **state) {
  (void)state;
  static const struct {
    int32_t code;
    enum sink_result result;
    const char *kind;
  } rows[] = {
      {6, SINK_AWAY, "network"},        {89, SINK_AWAY, "timeout"},        {50, SINK_AWAY, "timeout"},
      {262, SINK_AWAY, "timeout"},      {18, SINK_AWAY, "auth"},           {13, SINK_AWAY, "auth"},
      {10107, SINK_AWAY, "primary"},    {13435, SINK_AWAY, "primary"},     {11602, SINK_AWAY, "primary"},
      {189, SINK_AWAY, "primary"},      {91, SINK_AWAY, "primary"},        {11600, SINK_AWAY, "primary"},
      {43, SINK_AWAY, "interrupted"},   {237, SINK_AWAY, "interrupted"},   {11601, SINK_AWAY, "interrupted"},
      {64, SINK_AWAY, "write_concern"}, {100, SINK_AWAY, "write_concern"}, {14031, SINK_AWAY, "disk"},
      {13388, SINK_AWAY, "sharding"},   {10334, SINK_DEAD, "too_large"},   {17419, SINK_DEAD, "too_large"},
      {17420, SINK_DEAD, "too_large"},  {121, SINK_DEAD, "validation"},    {28, SINK_DEAD, "invalid"},
      {11000, SINK_RETRY, "duplicate"}, {17262, SINK_RETRY, "index"},      {2, SINK_RETRY, "other"},
      {0, SINK_RETRY, "other"},         {999999, SINK_RETRY, "other"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct sink_outcome o;
    char with_code[64];
    mongo_outcome_of_code(rows[i].code, "words of the server", &o);
    expect(&o, rows[i].result, rows[i].kind);
    snprintf(with_code, sizeof with_code, "words of the server (code %d)", (int)rows[i].code);
    assert_string_equal(o.reason, with_code);
  }
}

static void words_that_say_too_large(void **state) {
  (void)state;
  struct sink_outcome o;
  mongo_outcome_of_code(0, "Document too large: 17 MB", &o);
  expect(&o, SINK_DEAD, "too_large");
  mongo_outcome_of_code(2, NULL, &o);
  expect(&o, SINK_RETRY, "other");
}

static void errors_of_the_driver(void **state) {
  (void)state;
  static const struct {
    uint32_t domain, code;
    bool late;
    enum sink_result result;
    const char *kind;
  } rows[] = {
      {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, false, SINK_AWAY, "network"},
      {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, true, SINK_AWAY, "timeout"},
      {MONGOC_ERROR_SERVER_SELECTION, MONGOC_ERROR_SERVER_SELECTION_FAILURE, true, SINK_AWAY, "selection"},
      {MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, false, SINK_AWAY, "auth"},
      {MONGOC_ERROR_SCRAM, MONGOC_ERROR_SCRAM_PROTOCOL_ERROR, false, SINK_AWAY, "auth"},
      {MONGOC_ERROR_PROTOCOL, MONGOC_ERROR_PROTOCOL_BAD_WIRE_VERSION, false, SINK_AWAY, "version"},
      {MONGOC_ERROR_PROTOCOL, MONGOC_ERROR_PROTOCOL_INVALID_REPLY, false, SINK_AWAY, "network"},
      {MONGOC_ERROR_CURSOR, MONGOC_ERROR_CURSOR_INVALID_CURSOR, false, SINK_AWAY, "interrupted"},
      {MONGOC_ERROR_SERVER, 10107, false, SINK_AWAY, "primary"},
      {MONGOC_ERROR_SERVER, 10334, false, SINK_DEAD, "too_large"},
      {MONGOC_ERROR_WRITE_CONCERN, 64, false, SINK_AWAY, "write_concern"},
      {MONGOC_ERROR_SERVER, 424242, false, SINK_RETRY, "other"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct sink_outcome o;
    const bson_error_t error = {.domain = rows[i].domain, .code = rows[i].code, .message = "words"};
    mongo_outcome_of_error(&error, NULL, rows[i].late, &o);
    expect(&o, rows[i].result, rows[i].kind);
  }
}

/* A code we do not know, which the server itself calls passing. */
static void a_label_of_the_server_counts(void **state) {
  (void)state;
  struct sink_outcome o;
  const bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .code = 424242, .message = "words"};
  bson_t *reply = BCON_NEW("errorLabels", "[", BCON_UTF8("RetryableWriteError"), "]");
  mongo_outcome_of_error(&error, reply, false, &o);
  expect(&o, SINK_AWAY, "interrupted");
  bson_destroy(reply);
}

/* Letters of two bytes must not be cut in the middle: the reason goes into JSON. */
static void a_long_reason_is_cut_between_characters(void **state) {
  (void)state;
  struct sink_outcome o;
  char words[600];
  for (size_t shift = 0; shift < 2; shift++) {
    memset(words, 'x', shift);
    for (size_t i = shift; i + 2 < sizeof words; i += 2) memcpy(words + i, "\xc3\xa9", 3);
    mongo_outcome_of_code(1, words, &o);
    assert_in_range(strlen(o.reason), sizeof o.reason - 2, sizeof o.reason - 1);
    assert_true(bson_utf8_validate(o.reason, strlen(o.reason), false));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_of_the_server),
      cmocka_unit_test(words_that_say_too_large),
      cmocka_unit_test(errors_of_the_driver),
      cmocka_unit_test(a_label_of_the_server_counts),
      cmocka_unit_test(a_long_reason_is_cut_between_characters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
