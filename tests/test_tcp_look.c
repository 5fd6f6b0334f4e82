/* agent/tcp_look.c: what the kernel tells of a connection, on a real one over loopback. */
#include "agent/tcp_look.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void connection(int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(ends[0], (struct sockaddr *)&address, sizeof address), 0);
  ends[1] = accept(listener, NULL, NULL);
  assert_true(ends[1] >= 0);
  close(listener);
}

static void bytes_and_queue_and_round_trip(void **state) {
  (void)state;
  char text[5000] = {0};
  int ends[2];
  struct tcp_look look;
  connection(ends);
  assert_int_equal(send(ends[0], text, sizeof text, 0), sizeof text);
  assert_int_equal(recv(ends[1], text, 1000, MSG_WAITALL), 1000);
  do assert_true(tcp_look(ends[1], &look));
  while (look.bytes_received < sizeof text); /* loopback is quick, not immediate */
  assert_int_equal(look.bytes_received, sizeof text);
  assert_int_equal(look.queued_bytes, sizeof text - 1000);
  assert_int_equal(look.out_of_order_segments, 0);
  assert_in_range(look.rtt_us, 1, 1000000); /* of the handshake */
  assert_in_range(look.rtt_min_us, 1, look.rtt_us);
  close(ends[0]);
  close(ends[1]);
}

static void what_is_no_connection_tells_nothing(void **state) {
  (void)state;
  int pipes[2];
  struct tcp_look look;
  assert_int_equal(pipe(pipes), 0);
  assert_false(tcp_look(pipes[0], &look));
  assert_int_equal(look.rtt_us, 0);
  assert_int_equal(look.bytes_received, 0);
  assert_false(tcp_look(-1, &look));
  close(pipes[0]);
  close(pipes[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_and_queue_and_round_trip),
      cmocka_unit_test(what_is_no_connection_tells_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
