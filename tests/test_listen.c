#include "agent/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void test_the_system_chooses_a_port(void **state) {
  (void)state;
  char bound[64], why[128];
  int fd = listen_on("127.0.0.1:0", bound, sizeof bound, why, sizeof why);
  assert_true(fd >= 0);
  struct sockaddr_in address;
  socklen_t bytes = sizeof address;
  char expected[64];
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  assert_int_equal(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
  snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
  assert_string_equal(bound, expected);
  close(fd);
}

static void test_address_in_use_is_said(void **state) {
  (void)state;
  char bound[64], why[128];
  int fd = listen_on("127.0.0.1:0", bound, sizeof bound, why, sizeof why);
  assert_true(fd >= 0);
  assert_int_equal(listen_on(bound, NULL, 0, why, sizeof why), -1);
  assert_non_null(strstr(why, bound));
  assert_non_null(strstr(why, "Address already in use"));
  close(fd);
}

/* Only the configured address: the same port of another loopback address stays free. */
static void test_not_a_wildcard(void **state) {
  (void)state;
  char bound[64], other[64], why[128];
  int fd = listen_on("127.0.0.1:0", bound, sizeof bound, why, sizeof why);
  assert_true(fd >= 0);
  snprintf(other, sizeof other, "127.0.0.2%s", strchr(bound, ':'));
  int second = listen_on(other, NULL, 0, why, sizeof why);
  assert_true(second >= 0);
  close(second);
  close(fd);
}

static void test_wrong_addresses(void **state) {
  (void)state;
  static const char
      *const WRONG[] = {"",       "127.0.0.1",     ":80",        "127.0.0.1:",      "127.0.0.1:x",
                        "::1:80", "[::1]",         "[::1]80",    "127.0.0.1:65536", "127.0.0.1:-1",
                        "[]:80",  "127.0.0.1:8 0", "192.0.2.1:0" /* not an address of ours */};
  for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
    char why[160] = "";
    if (listen_on(WRONG[i], NULL, 0, why, sizeof why) != -1) fail_msg("%s was taken", WRONG[i]);
    if (strncmp(why, WRONG[i], strlen(WRONG[i])) != 0 || strlen(why) < strlen(WRONG[i]) + 5)
      fail_msg("%s", why);
  }
}

static void test_loopback(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool loopback;
  } ROWS[] = {
      {"127.0.0.1", true}, {"127.255.1.2", true}, {"128.0.0.1", false},       {"10.0.0.1", false},
      {"::1", true},       {"::2", false},        {"::ffff:127.0.0.1", true}, {"::ffff:10.0.0.1", false}};
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool four = inet_pton(AF_INET, ROWS[i].text, &v4.sin_addr) == 1;
    if (!four) assert_int_equal(inet_pton(AF_INET6, ROWS[i].text, &v6.sin6_addr), 1);
    const void *address = four ? (const void *)&v4 : (const void *)&v6;
    if (address_is_loopback(address) != ROWS[i].loopback) fail_msg("%s", ROWS[i].text);
  }
  struct sockaddr local = {.sa_family = AF_UNIX};
  assert_false(address_is_loopback(&local));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_system_chooses_a_port),
      cmocka_unit_test(test_address_in_use_is_said),
      cmocka_unit_test(test_not_a_wildcard),
      cmocka_unit_test(test_wrong_addresses),
      cmocka_unit_test(test_loopback),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
