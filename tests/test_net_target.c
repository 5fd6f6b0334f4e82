#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/net_target.h"

static void takes_urls_apart(void **state) {
  static const struct {
    const char *url, *scheme, *host, *authority, *prefix;
    int port;
    bool tls, verify;
  } cases[] = {
      {"http://127.0.0.1:8480", "http", "127.0.0.1", "127.0.0.1:8480", "", 8480, false, false},
      {"http://agent.example/", "http", "agent.example", "agent.example", "", 80, false, false},
      {"https://agent.example", "https", "agent.example", "agent.example", "", 443, true, true},
      {"https://agent.example:8443/edge/", "https", "agent.example", "agent.example:8443", "/edge", 8443,
       true, true},
      {"https://[2001:db8::7]:8443", "https", "2001:db8::7", "[2001:db8::7]:8443", "", 8443, true, true},
      /* Certificates of the own machine are taken as they are. */
      {"https://localhost:1", "https", "localhost", "localhost:1", "", 1, true, false},
      {"https://127.8.0.1:1", "https", "127.8.0.1", "127.8.0.1:1", "", 1, true, false},
      {"https://[::1]:1", "https", "::1", "[::1]:1", "", 1, true, false},
      {"https://128.0.0.1:1", "https", "128.0.0.1", "128.0.0.1:1", "", 1, true, true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct net_target t;
    char why[256];
    assert_int_equal(net_target_parse(cases[i].url, &t, why, sizeof why), 0);
    assert_string_equal(t.scheme, cases[i].scheme);
    assert_string_equal(t.host, cases[i].host);
    assert_string_equal(t.authority, cases[i].authority);
    assert_string_equal(t.prefix, cases[i].prefix);
    assert_int_equal(t.port, cases[i].port);
    assert_int_equal(t.tls, cases[i].tls);
    assert_int_equal(t.verify, cases[i].verify);
  }
}

static void refuses_what_is_no_such_url(void **state) {
  static const char *const urls[] = {"", "ftp://host", "http://", "http://host:70000", "ws://host", "//host"};
  (void)state;
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    struct net_target t;
    char why[256] = "";
    if (net_target_parse(urls[i], &t, why, sizeof why) == 0) fail_msg("taken: \"%s\"", urls[i]);
    assert_non_null(strstr(why, "is allowed"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_urls_apart),
      cmocka_unit_test(refuses_what_is_no_such_url),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
