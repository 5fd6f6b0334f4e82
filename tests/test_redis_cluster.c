/* What error replies of Redis mean: where a redirection leads, and what becomes of the row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/redis_internal.h"

static struct redis_reply error(const char *text) {
  return (struct redis_reply){.kind = REDIS_ERROR, .text = text, .bytes = strlen(text)};
}

static void redirections(void **state) {
  (void)state;
  static const struct {
    const char *text, *host;
    enum redirect expected;
    int port;
  } cases[] = {
      {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", REDIRECT_MOVED, 6381},
      {"MOVED 3999 fe80::1:6381", "fe80::1", REDIRECT_MOVED, 6381},
      {"MOVED 3999 :6381", "", REDIRECT_MOVED, 6381}, /* the same host */
      {"ASK 3999 node-2.example.net:7000", "node-2.example.net", REDIRECT_ASK, 7000},
      {"TRYAGAIN Multiple keys request during rehashing of slot", NULL, REDIRECT_LATER, 0},
      {"CLUSTERDOWN The cluster is down", NULL, REDIRECT_LATER, 0},
      {"MOVED nonsense", NULL, REDIRECT_NONE, 0},
      {"MOVEDNOT 1 h:1", NULL, REDIRECT_NONE, 0},
      {"ERR no", NULL, REDIRECT_NONE, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char host[256] = "untouched";
    int port = 0;
    struct redis_reply reply = error(cases[i].text);
    assert_int_equal(redirect_of(&reply, host, sizeof host, &port), cases[i].expected);
    assert_int_equal(port, cases[i].port);
    assert_string_equal(host, cases[i].host != NULL ? cases[i].host : "untouched");
  }
  struct redis_reply text = {.kind = REDIS_TEXT, .text = "MOVED 1 h:1"};
  char host[8];
  int port;
  assert_int_equal(redirect_of(&text, host, sizeof host, &port), REDIRECT_NONE);
  struct redis_reply long_host = error("MOVED 1 a-host-name-without-room:1");
  assert_int_equal(redirect_of(&long_host, host, sizeof host, &port), REDIRECT_NONE);
}

static void what_becomes_of_the_row(void **state) {
  (void)state;
  static const struct {
    const char *text, *kind;
    enum sink_result result;
  } cases[] = {
      {"NOPERM this user has no permissions", "noperm", SINK_AWAY},
      {"NOAUTH Authentication required.", "auth", SINK_AWAY},
      {"WRONGPASS invalid username-password pair", "auth", SINK_AWAY},
      {"READONLY You can't write against a read only replica.", "readonly", SINK_AWAY},
      {"LOADING Redis is loading the dataset in memory", "loading", SINK_AWAY},
      {"OOM command not allowed when used memory > 'maxmemory'.", "oom", SINK_AWAY},
      {"MISCONF Redis is configured to save RDB snapshots", "misconf", SINK_AWAY},
      {"CLUSTERDOWN The cluster is down", "clusterdown", SINK_AWAY},
      {"MASTERDOWN Link with MASTER is down", "masterdown", SINK_AWAY},
      {"CROSSSLOT Keys in request don't hash to the same slot", "crossslot", SINK_AWAY},
      {"EXECABORT Transaction discarded because of previous errors.", "execabort", SINK_AWAY},
      {"WRONGTYPE Operation against a key holding the wrong kind of value", "error", SINK_RETRY},
      {"ERR something new", "error", SINK_RETRY},
      {"ERR string exceeds maximum allowed size (proto-max-bulk-len)", "too_large", SINK_DEAD},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct redis_reply reply = error(cases[i].text);
    struct sink_outcome outcome;
    redis_classify(&reply, &outcome);
    assert_int_equal(outcome.result, cases[i].result);
    assert_string_equal(outcome.kind, cases[i].kind);
    assert_true(outcome.reason[0] != '\0');
  }
  struct redis_reply fine = {.kind = REDIS_STATUS, .text = "OK"};
  struct sink_outcome outcome;
  redis_classify(&fine, &outcome);
  assert_int_equal(outcome.result, SINK_DONE);
  assert_string_equal(outcome.kind, "");
}

static void a_missing_hash_tag_is_named(void **state) {
  (void)state;
  struct redis_reply reply = error("CROSSSLOT Keys in request don't hash to the same slot");
  struct sink_outcome outcome;
  redis_classify(&reply, &outcome);
  assert_non_null(strstr(outcome.reason, "{sidetone}:"));
}

static void fields_of_info(void **state) {
  (void)state;
  struct redis_reply info = {.kind = REDIS_TEXT,
                             .text =
                                 "# Server\r\nredis_version:7.0.15\r\nx_redis_version:1\r\n# Memory\r\n"
                                 "maxmemory_policy:noeviction\r\nlast:"};
  char out[32];
  redis_info_field(&info, "redis_version", out, sizeof out);
  assert_string_equal(out, "7.0.15");
  redis_info_field(&info, "maxmemory_policy", out, sizeof out);
  assert_string_equal(out, "noeviction");
  redis_info_field(&info, "last", out, sizeof out);
  assert_string_equal(out, "");
  redis_info_field(&info, "policy", out, sizeof out);
  assert_string_equal(out, "");
  assert_true(redis_policy_loses("allkeys-lru"));
  assert_false(redis_policy_loses("volatile-lru"));
  assert_false(redis_policy_loses("noeviction"));
  assert_false(redis_policy_loses(""));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(redirections),
      cmocka_unit_test(what_becomes_of_the_row),
      cmocka_unit_test(a_missing_hash_tag_is_named),
      cmocka_unit_test(fields_of_info),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
