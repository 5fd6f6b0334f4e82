/* What tshark 4.0 prints of the same packets, taken from it by hand; tests/e2e/test_captures.py asks it
 * anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/rtp_peer.h"

static struct rtp_peer_packet packet(int n, double time_ms) {
  return (struct rtp_peer_packet){.time_ms = time_ms,
                                  .sequence = (uint16_t)(1000 + n),
                                  .timestamp = 16000 + 160 * (uint32_t)n,
                                  .clock_hz = 8000};
}

static void add(struct rtp_peer *p, struct rtp_peer_packet packet) {
  rtp_peer_add(p, &packet);
}

static void expect_ms(double got, double expected) {
  if (got < expected - 0.0005 || got > expected + 0.0005) fail_msg("%.4f ms, tshark has %.3f", got, expected);
}

/* 30 packets; number 15 is late by `late_ms` and comes after those it should have preceded. */
static struct rtp_peer reordered(int late_ms) {
  struct rtp_peer p = {0};
  int overtaken = late_ms / 20;
  for (int n = 0; n < 30; n++) {
    if (n != 15) {
      struct rtp_peer_packet in = packet(n, n * 20);
      in.marker = n == 0;
      add(&p, in);
    }
    if (n == 15 + overtaken) add(&p, packet(15, 15 * 20 + late_ms));
  }
  return p;
}

static void reordering(void **state) {
  (void)state;
  static const struct {
    int late_ms;
    double mean_ms, max_ms;
  } rows[] = {{25, 1.002, 3.027}, {45, 1.718, 5.449}, {65, 2.348, 7.871}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct rtp_peer p = reordered(rows[i].late_ms);
    assert_int_equal(rtp_peer_lost(&p), 0);
    expect_ms(p.jitter_mean_ms, rows[i].mean_ms);
    expect_ms(p.jitter_max_ms, rows[i].max_ms);
  }
}

static void duplicates_hide_loss(void **state) {
  (void)state;
  struct rtp_peer p = {0};
  static const int numbers[] = {0, 1, 1, 1, 4};
  for (size_t i = 0; i < 5; i++) add(&p, packet(numbers[i], numbers[i] * 20));
  assert_int_equal(rtp_peer_lost(&p), 0);
  add(&p, packet(4, 80));
  assert_int_equal(rtp_peer_lost(&p), -1);
}

static void rounds_and_restarts(void **state) {
  (void)state;
  struct rtp_peer p = {0};
  struct rtp_peer_packet in = packet(0, 0);
  assert_int_equal(rtp_peer_lost(&p), 0);
  for (int round = 0; round < 3; round++) {
    for (unsigned number = round == 0 ? 65530 : 0; number < 65536; number++) {
      in.sequence = (uint16_t)number;
      add(&p, in);
    }
  }
  assert_int_equal(rtp_peer_lost(&p), 0);
  /* The numbers begin anew, as if a whole round were lost but for what came. */
  struct rtp_peer q = {0};
  for (int n = 0; n < 10; n++) add(&q, packet(n, n * 20));
  for (int n = 500; n < 510; n++) add(&q, packet(n, n * 20));
  assert_int_equal(rtp_peer_lost(&q), 490);
}

static void first_number_zero(void **state) {
  (void)state;
  struct rtp_peer p = {0};
  struct rtp_peer_packet in = packet(0, 0);
  for (unsigned n = 0; n < 65536 + 100; n++) {
    in.sequence = (uint16_t)n;
    add(&p, in);
  }
  assert_int_equal(rtp_peer_lost(&p), 0);
}

/* Events: their time is the predecessor's, their timestamp is not. Eight of them at one timestamp, then
 * sound. */
static void events(void **state) {
  (void)state;
  struct rtp_peer p = {0};
  for (int n = 0; n < 10; n++) add(&p, packet(n, n * 20));
  assert_true(p.jitter_ms == 0);
  for (int n = 10; n < 18; n++) {
    struct rtp_peer_packet in = packet(n, n * 20);
    in.timestamp = packet(10, 0).timestamp;
    in.clock_hz = 0;
    add(&p, in);
  }
  assert_true(p.jitter_ms == 0);
  add(&p, packet(18, 18 * 20)); /* 20 ms after the last event, 180 ms of media after the last sound */
  expect_ms(p.jitter_ms, 160.0 / 16);
  expect_ms(p.jitter_mean_ms, 10.0 / 18);
}

static void what_counts_for_the_mean(void **state) {
  (void)state;
  for (int which = 0; which < 4; which++) {
    struct rtp_peer p = {0};
    for (int n = 0; n < 10; n++) add(&p, packet(n, n * 20));
    struct rtp_peer_packet late = packet(10, 10 * 20 + 16);
    if (which == 1) late.marker = true;
    if (which == 2) late.noise = true;
    if (which == 3) late.timestamp -= 200000; /* before the first: passed over altogether */
    add(&p, late);
    expect_ms(p.jitter_ms, which == 3 ? 0 : 1);
    expect_ms(p.jitter_max_ms, which == 0 ? 1 : 0);
    expect_ms(p.jitter_mean_ms, which == 0 ? 0.1 : 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reordering),
      cmocka_unit_test(duplicates_hide_loss),
      cmocka_unit_test(rounds_and_restarts),
      cmocka_unit_test(first_number_zero),
      cmocka_unit_test(events),
      cmocka_unit_test(what_counts_for_the_mean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
