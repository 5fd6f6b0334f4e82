/* agent/supervise.c: the registry of loops, and what a manager hears, by a socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/clock.h"
#include "agent/supervise.h"

enum { SECOND_US = 1000000, INTERVAL_US = 10000 };

/* ---- the registry ---------------------------------------------------------------------------- */

static void a_loop_that_promises_nothing_is_never_late(void **state) {
  (void)state;
  int id = supervise_loop("one");
  assert_int_not_equal(id, -1);
  assert_null(supervise_overdue(clock_mono_us() + 3600LL * SECOND_US, NULL));
  supervise_expect(id, 1000);
  supervise_expect(id, 0);
  assert_null(supervise_overdue(clock_mono_us() + 3600LL * SECOND_US, NULL));
  supervise_leave(id);
}

static void a_promise_is_broken_after_its_time(void **state) {
  (void)state;
  int one = supervise_loop("one"), two = supervise_loop("two");
  int64_t quiet_ms = 0, before_us = clock_mono_us();
  supervise_expect(one, 60000);
  supervise_expect(two, 2000);
  int64_t now_us = clock_mono_us();
  assert_null(supervise_overdue(before_us + SECOND_US, NULL));
  assert_string_equal(supervise_overdue(now_us + 3 * SECOND_US, &quiet_ms), "two");
  assert_in_range(quiet_ms, 3000, 60000);
  supervise_expect(two, 0);
  assert_null(supervise_overdue(now_us + 3 * SECOND_US, NULL));
  assert_string_equal(supervise_overdue(now_us + 61 * SECOND_US, NULL), "one");
  supervise_leave(one);
  supervise_leave(two);
  assert_null(supervise_overdue(now_us + 61 * SECOND_US, NULL));
}

static void a_word_renews_the_promise(void **state) {
  (void)state;
  int id = supervise_loop("one");
  supervise_expect(id, 1);
  while (supervise_overdue(clock_mono_us(), NULL) == NULL) continue;
  int64_t late_us = clock_mono_us();
  supervise_expect(id, 1);
  assert_null(supervise_overdue(late_us, NULL));
  assert_string_equal(supervise_overdue(clock_mono_us() + SECOND_US, NULL), "one");
  supervise_leave(id);
}

static void a_thread_may_speak_by_a_pointer_to_its_place(void **state) {
  (void)state;
  int id = supervise_loop("one");
  supervise_pulse(&id, 1000);
  assert_string_equal(supervise_overdue(clock_mono_us() + 2 * SECOND_US, NULL), "one");
  supervise_pulse(&id, 0);
  assert_null(supervise_overdue(clock_mono_us() + 2 * SECOND_US, NULL));
  supervise_leave(id);
}

static void the_places_are_bounded_and_come_back(void **state) {
  (void)state;
  for (int i = 0; i < SUPERVISED_MAX; i++) assert_int_equal(supervise_loop("many"), i);
  assert_int_equal(supervise_loop("one more"), -1);
  supervise_expect(-1, 1); /* of a loop without a place no notice is taken */
  supervise_leave(-1);
  assert_null(supervise_overdue(clock_mono_us() + SECOND_US, NULL));
  for (int i = 0; i < SUPERVISED_MAX; i++) supervise_leave(i);
}

/* ---- the words ------------------------------------------------------------------------------- */

struct manager {
  int fd;
  uv_loop_t loop;
  struct supervisor *supervisor;
};

static void manager_begin(struct manager *m, const char *watchdog_us) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t bytes = sizeof(sa_family_t); /* the kernel gives an abstract name */
  char name[128] = "@", pid[32];
  m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_not_equal(m->fd, -1);
  assert_int_equal(bind(m->fd, (struct sockaddr *)&address, bytes), 0);
  bytes = sizeof address;
  assert_int_equal(getsockname(m->fd, (struct sockaddr *)&address, &bytes), 0);
  memcpy(name + 1, address.sun_path + 1, bytes - sizeof(sa_family_t) - 1);
  snprintf(pid, sizeof pid, "%d", (int)getpid());
  setenv("NOTIFY_SOCKET", name, 1);
  if (watchdog_us != NULL) {
    setenv("WATCHDOG_USEC", watchdog_us, 1);
    setenv("WATCHDOG_PID", pid, 1);
  }
  uv_loop_init(&m->loop);
  m->supervisor = supervisor_create(&m->loop);
  assert_non_null(m->supervisor);
}

static void manager_end(struct manager *m) {
  supervisor_destroy(m->supervisor);
  uv_run(&m->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&m->loop), 0);
  close(m->fd);
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

/* The next word, "" when none waits. */
static const char *heard(struct manager *m) {
  static char word[512];
  ssize_t got = recv(m->fd, word, sizeof word - 1, 0);
  word[got > 0 ? got : 0] = '\0';
  return word;
}

/* How often the loop feeds in that time, or until `enough`. */
static int feeds(struct manager *m, int64_t for_us, int enough) {
  int count = 0;
  for (int64_t end_us = clock_mono_us() + for_us; count < enough && clock_mono_us() < end_us;) {
    uv_run(&m->loop, UV_RUN_NOWAIT);
    const char *word = heard(m);
    if (*word == '\0') continue;
    assert_string_equal(word, "WATCHDOG=1");
    count++;
  }
  return count;
}

static void assert_fed(struct manager *m) {
  assert_int_equal(feeds(m, 20LL * SECOND_US, 4), 4);
}

static void assert_not_fed(struct manager *m) {
  assert_int_equal(feeds(m, 4LL * INTERVAL_US, 1), 0);
}

static void words_in_their_order(void **state) {
  struct manager m;
  unsigned long long mono_us;
  (void)state;
  manager_begin(&m, NULL);
  supervisor_ready(m.supervisor, "0 calls");
  assert_string_equal(heard(&m), "READY=1\nSTATUS=0 calls");
  supervisor_status(m.supervisor, "0 calls");
  assert_string_equal(heard(&m), "");
  supervisor_status(m.supervisor, "1 calls");
  assert_string_equal(heard(&m), "STATUS=1 calls");
  int64_t before_us = clock_mono_us();
  supervisor_reloading(m.supervisor);
  assert_int_equal(sscanf(heard(&m), "RELOADING=1\nMONOTONIC_USEC=%llu", &mono_us), 1);
  assert_in_range(mono_us, before_us, clock_mono_us());
  supervisor_stopping(m.supervisor, "2 calls");
  assert_string_equal(heard(&m), "STOPPING=1\nSTATUS=2 calls");
  supervisor_extend(m.supervisor, 10000);
  assert_string_equal(heard(&m), "EXTEND_TIMEOUT_USEC=10000000");
  assert_not_fed(&m); /* nobody asked for it */
  manager_end(&m);
}

static void a_broken_promise_withholds_the_feed_until_it_is_mended(void **state) {
  struct manager m;
  (void)state;
  int id = supervise_loop("other");
  int64_t begin_us = clock_mono_us(); /* before the timer's own beginning, however busy the machine is */
  manager_begin(&m, "10000");
  assert_fed(&m);
  assert_true(clock_mono_us() - begin_us >= 4 * 4000); /* half an interval between them, not more often */
  supervise_expect(id, 1);
  while (supervise_overdue(clock_mono_us(), NULL) == NULL) continue;
  assert_not_fed(&m);
  supervise_expect(id, 60000);
  assert_fed(&m);
  supervise_leave(id);
  manager_end(&m);
}

/* More words than net.unix.max_dgram_qlen allows anywhere: whoever waited for room would wait for ever. */
static void fill(struct manager *m) {
  char status[32];
  for (int i = 0; i < 2000; i++) {
    snprintf(status, sizeof status, "%d", i);
    supervisor_status(m->supervisor, status);
  }
}

/* The next word that is none of fill()'s but its last. */
static const char *heard_behind(struct manager *m) {
  const char *word = "";
  for (int64_t end_us = clock_mono_us() + 20LL * SECOND_US; clock_mono_us() < end_us;) {
    uv_run(&m->loop, UV_RUN_NOWAIT);
    word = heard(m);
    if (*word != '\0' && (strncmp(word, "STATUS=", 7) != 0 || strlen(word) > strlen("STATUS=1999"))) break;
  }
  return word;
}

/* Nobody is held up, and what matters comes later, in order; of one kind the newest. */
static void a_manager_that_does_not_read_holds_nobody_up(void **state) {
  struct manager m;
  (void)state;
  manager_begin(&m, NULL);
  fill(&m);
  supervisor_ready(m.supervisor, "ready");
  fill(&m);
  supervisor_stopping(m.supervisor, "end");
  supervisor_status(m.supervisor, "the last one");
  assert_string_equal(heard_behind(&m), "READY=1\nSTATUS=ready");
  assert_string_equal(heard_behind(&m), "STOPPING=1\nSTATUS=end");
  assert_string_equal(heard_behind(&m), "STATUS=the last one");
  manager_end(&m);
}

/* The next feed would come as the manager's patience ends. A busy machine may need more than one attempt. */
static void a_feed_that_met_a_full_queue_goes_before_the_next(void **state) {
  enum { WATCHDOG_US = 400000 };
  bool in_time = false;
  (void)state;
  for (int i = 0; i < 20 && !in_time; i++) {
    struct manager m;
    int64_t begin_us = clock_mono_us();
    manager_begin(&m, "400000");
    fill(&m);
    while (clock_mono_us() < begin_us + WATCHDOG_US / 2 + WATCHDOG_US / 8) uv_run(&m.loop, UV_RUN_NOWAIT);
    assert_string_equal(heard_behind(&m), "WATCHDOG=1");
    in_time = clock_mono_us() < begin_us + WATCHDOG_US;
    manager_end(&m);
  }
  assert_true(in_time);
}

static void a_watchdog_of_another_process_is_not_fed(void **state) {
  struct manager m;
  (void)state;
  setenv("WATCHDOG_PID", "1", 1);
  setenv("WATCHDOG_USEC", "10000", 1);
  manager_begin(&m, NULL);
  assert_not_fed(&m);
  manager_end(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_loop_that_promises_nothing_is_never_late),
      cmocka_unit_test(a_promise_is_broken_after_its_time),
      cmocka_unit_test(a_word_renews_the_promise),
      cmocka_unit_test(a_thread_may_speak_by_a_pointer_to_its_place),
      cmocka_unit_test(the_places_are_bounded_and_come_back),
      cmocka_unit_test(words_in_their_order),
      cmocka_unit_test(a_broken_promise_withholds_the_feed_until_it_is_mended),
      cmocka_unit_test(a_manager_that_does_not_read_holds_nobody_up),
      cmocka_unit_test(a_feed_that_met_a_full_queue_goes_before_the_next),
      cmocka_unit_test(a_watchdog_of_another_process_is_not_fed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
