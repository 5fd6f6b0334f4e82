/* The URL of a Redis server: what each part becomes, and what is refused without telling the password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/redis_internal.h"

static const struct {
  const char *url;
  struct redis_address expected;
} good[] = {
    {"redis://localhost", {.host = "localhost", .port = 6379}},
    {"redis://127.0.0.1:7000/3", {.host = "127.0.0.1", .port = 7000, .db = 3}},
    {"redis://[::1]:7000", {.host = "::1", .port = 7000}},
    {"redis://[fe80::1]", {.host = "fe80::1", .port = 6379}},
    {"redis://:secret@h/", {.host = "h", .port = 6379, .password = "secret"}},
    {"redis://u@h", {.host = "h", .port = 6379, .user = "u"}},
    {"redis://u:p%40ss%2Fw%3a@h:1/0", {.host = "h", .port = 1, .user = "u", .password = "p@ss/w:"}},
    {"redis://u:a@b:c@h:65535", {.host = "h", .port = 65535, .user = "u", .password = "a@b:c"}},
    {"redis://h?db=7", {.host = "h", .port = 6379, .db = 7}},
    {"rediss://h", {.tls = true, .host = "h", .port = 6379}},
    {"unix:///run/redis.sock", {.path = "/run/redis.sock", .port = 6379}},
    {"redis+unix:///a%20b?db=2", {.path = "/a b", .port = 6379, .db = 2}},
    {"unix://u:p@/r.sock", {.path = "/r.sock", .port = 6379, .user = "u", .password = "p"}},
};

static void each_part_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    struct redis_address got;
    char why[200] = "";
    const struct redis_address *e = &good[i].expected;
    if (redis_url_parse(good[i].url, &got, why, sizeof why) != 0) fail_msg("%s: %s", good[i].url, why);
    assert_string_equal(got.host, e->host);
    assert_string_equal(got.path, e->path);
    assert_string_equal(got.user, e->user);
    assert_string_equal(got.password, e->password);
    assert_int_equal(got.port, e->port);
    assert_int_equal(got.db, e->db);
    assert_int_equal(got.tls, e->tls);
  }
}

static void what_is_no_address_is_refused_without_its_password(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "http://u:hushhush@h",
      "redis://",
      "redis://u:hushhush@",
      "redis://u:hushhush@h:0",
      "redis://u:hushhush@h:65536",
      "redis://u:hushhush@h:6379x",
      "redis://u:hushhush@h:",
      "redis://u:hushhush@h/x",
      "redis://u:hushhush@h/-1",
      "redis://u:hushhush%4@h",
      "redis://u:hushhush%zz@h",
      "redis://u:hushhush%00@h",
      "redis://u:hushhush@[::1",
      "redis://u:hushhush@[::1]6379",
      "redis://u:hushhush@h?timeout=3",
      "redis://u:hushhush@h?db=",
      "unix://u:hushhush@relative",
      "unix://",
      "unix:///a?db=x",
      "unix:///"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "a"
      "aaaa",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct redis_address got;
    char why[200] = "";
    if (redis_url_parse(bad[i], &got, why, sizeof why) == 0) fail_msg("taken: %s", bad[i]);
    assert_true(strlen(why) > 0);
    assert_null(strstr(why, "hushhush"));
  }
}

static void tls_is_refused_in_words_where_hiredis_has_none(void **state) {
  (void)state;
  char why[300] = "";
  int status = redis_check_url("rediss://h", why, sizeof why);
#ifdef SIDETONE_REDIS_TLS
  assert_int_equal(status, 0);
#else
  assert_int_equal(status, -1);
  assert_non_null(strstr(why, "tunnel"));
  assert_non_null(strstr(why, "stunnel"));
#endif
  assert_int_equal(redis_check_url("redis://h", why, sizeof why), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_part_is_read),
      cmocka_unit_test(what_is_no_address_is_refused_without_its_password),
      cmocka_unit_test(tls_is_refused_in_words_where_hiredis_has_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
