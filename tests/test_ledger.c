/* Vectors SQ1 to SQ7 of voice-quality.md 7.6 and what 3.5 says besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/ledger.h"
#include "dsp/rtcp_ledger.h"
#include "tests/seed.h"

enum { FRAME_US = 20000 };

struct book {
  struct ledger ours;
  struct rtcp_ledger rtcp;
  int64_t now_us;
};

static void take(struct book *b, uint64_t number) {
  ledger_take(&b->ours, number, b->now_us);
  rtcp_ledger_add(&b->rtcp, (uint16_t)number);
  b->now_us += FRAME_US;
}

static void take_range(struct book *b, uint64_t first, uint64_t last) {
  for (uint64_t n = first; n != last + 1; n++) take(b, n);
}

static void expect(const struct book *b, uint64_t expected, uint64_t received) {
  assert_int_equal(ledger_expected(&b->ours), expected);
  assert_int_equal(b->ours.received, received);
}

static struct book book(void) {
  struct book b = {.now_us = 1000};
  ledger_init(&b.ours);
  return b;
}

static void sq1_nothing_happens(void **state) {
  (void)state;
  struct book b = book();
  expect(&b, 0, 0);
  take_range(&b, 1, 100);
  expect(&b, 100, 100);
}

static void sq2_lost_twice_and_swapped(void **state) {
  (void)state;
  static const uint64_t numbers[] = {1, 2, 3, 5, 4, 6, 6, 9, 10};
  struct book b = book();
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) take(&b, numbers[i]);
  expect(&b, 10, 8);
  assert_int_equal(b.ours.duplicates, 1);
  assert_int_equal(b.ours.reordered, 1);
  assert_int_equal(b.ours.max_reorder, 1);
  assert_int_equal(rtcp_ledger_lost(&b.rtcp), 1);
}

static void sq3_sixteen_bits_wrap(void **state) {
  (void)state;
  static const uint16_t numbers[] = {65533, 65534, 65535, 0, 1, 3};
  struct book b = book();
  uint64_t extended = numbers[0];
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    extended = sequence_extend(extended, numbers[i]);
    take(&b, extended);
  }
  expect(&b, 7, 6);
  assert_int_equal(b.ours.highest, 65539);
  assert_int_equal(rtcp_ledger_expected(&b.rtcp), 7);
  assert_int_equal(rtcp_ledger_lost(&b.rtcp), 1);
}

static void sq4_counter_begins_anew(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 100, 149);
  take_range(&b, 1, 50);
  assert_int_equal(b.ours.restarts, 1);
  expect(&b, 100, 100);
  assert_int_equal(b.rtcp.base, 2);
  assert_int_equal(rtcp_ledger_expected(&b.rtcp), 49);
  assert_int_equal(rtcp_ledger_lost(&b.rtcp), 0);
}

static void sq5_late_after_it_was_missing(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 1, 6);
  take_range(&b, 8, 60);
  struct ledger at_58 = b.ours;
  expect(&b, 60, 59);
  take(&b, 7);
  take(&b, 61);
  expect(&b, 61, 61);
  assert_int_equal(b.ours.late, 1);
  assert_int_equal(b.ours.reordered, 0);
  assert_true(at_58.next > 7);
}

static void sq6_hole_below_the_leap(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 100, 149);
  assert_int_equal(ledger_hole(&b.ours, 2150), 2000);
  take_range(&b, 2150, 2199);
  expect(&b, 2100, 100);
  assert_int_equal(b.ours.restarts, 0);
}

static void sq7_leap_is_a_restart(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 100, 149);
  take_range(&b, 5150, 5199);
  expect(&b, 100, 100);
  assert_int_equal(b.ours.restarts, 1);
  assert_int_equal(rtcp_ledger_expected(&b.rtcp), 49);
  assert_int_equal(rtcp_ledger_lost(&b.rtcp), 0);
}

static void one_second_makes_missing(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 1, 6);
  b.now_us = 10000000;
  take(&b, 8);
  b.now_us = 10000000 + LEDGER_WAIT_US - 1;
  struct book sooner = b;
  take(&sooner, 7);
  assert_int_equal(sooner.ours.reordered, 1);
  b.now_us = 10000000 + LEDGER_WAIT_US;
  take(&b, 7);
  assert_int_equal(b.ours.reordered, 0);
  assert_int_equal(b.ours.late, 1);
  expect(&b, 8, 8);
}

static void lone_numbers_change_nothing(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 1000, 1100);
  take(&b, 900000);
  take(&b, 1101);
  assert_int_equal(b.ours.outliers, 1);
  take(&b, 1020); /* came before */
  take(&b, 1102);
  assert_int_equal(b.ours.duplicates, 1);
  take(&b, 900000);
  assert_int_equal(ledger_give_up(&b.ours, b.now_us + 1, false), HELD_NONE);
  assert_int_equal(ledger_give_up(&b.ours, b.now_us + LEDGER_WAIT_US, false), HELD_OUTLIER);
  expect(&b, 103, 103);
  assert_int_equal(b.ours.restarts, 0);
}

static void first_frames_out_of_order(void **state) {
  (void)state;
  struct book b = book();
  take(&b, 3);
  take(&b, 1);
  take(&b, 4);
  take_range(&b, 5, 100);
  expect(&b, 100, 99);
  assert_int_equal(b.ours.reordered, 1);
  assert_int_equal(b.ours.max_reorder, 2);
}

static void the_end_of_sixty_four_bits(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, UINT64_MAX - 99, UINT64_MAX);
  take_range(&b, 0, 9);
  expect(&b, 110, 110);
  assert_int_equal(b.ours.restarts, 0);
}

static void numbering_jump_is_taken_out(void **state) {
  (void)state;
  struct book b = book();
  take_range(&b, 1, 10);
  ledger_numbering_jump(&b.ours, 511);
  take_range(&b, 511, 520);
  take(&b, 10); /* a number of before the jump keeps its own place */
  expect(&b, 20, 20);
  assert_int_equal(b.ours.duplicates, 1);
  assert_int_equal(b.ours.numbering_jumps, 1);
  /* A jump told by a number of before the last jump. */
  uint64_t low = 490;
  ledger_numbering_jump(&b.ours, low);
  assert_int_equal(ledger_hole(&b.ours, low), 0);
  assert_int_equal(ledger_take(&b.ours, low, b.now_us), LEDGER_NEW);
  assert_int_equal(ledger_expected(&b.ours), 21);
}

static void numbers_come_back_in_order_once(void **state) {
  (void)state;
  static const uint64_t numbers[] = {1, 2, 5, 4, 700, 698, 701};
  struct ledger l;
  struct ledger_run run;
  uint64_t received = 0, missing = 0, before = 0;
  ledger_init(&l);
  for (size_t i = 0; i <= sizeof(numbers) / sizeof(numbers[0]); i++) {
    bool end = i == sizeof(numbers) / sizeof(numbers[0]);
    while (ledger_pop(&l, end ? 0 : numbers[i], end, &run)) {
      if (run.missing) {
        missing += run.count;
        continue;
      }
      assert_true((uint64_t)run.note.place_us > before);
      before = (uint64_t)run.note.place_us;
      received++;
    }
    if (end) break;
    ledger_add(&l, numbers[i], 0);
    assert_non_null(ledger_note(&l, numbers[i]));
    ledger_note(&l, numbers[i])->place_us = (int64_t)numbers[i];
  }
  assert_int_equal(received, 7);
  assert_int_equal(missing, 701 - 7);
  assert_int_equal(ledger_expected(&l), 701);
}

/* Property 9 of 7.8: received + missing = expected, whatever comes. */
static void random_numbers_balance(void **state) {
  (void)state;
  uint32_t seed = (uint32_t)seed_value;
  for (int round = 0; round < 200; round++) {
    struct book b = book();
    uint32_t x = seed + (uint32_t)round;
    uint64_t n = 1000, accepted = 0;
    for (int i = 0; i < 2000; i++) {
      x = x * 1664525 + 1013904223;
      uint32_t kind = x >> 24;
      uint64_t number = kind < 4     ? n - (x >> 8) % 200
                        : kind < 6   ? n + (x >> 8) % 10000
                        : kind < 12  ? n + (x >> 8) % 8
                        : kind == 12 ? x
                                     : n + 1;
      if (kind >= 6) n = number;
      take(&b, number);
      accepted++;
    }
    ledger_give_up(&b.ours, 0, true);
    if (accepted != b.ours.received + b.ours.duplicates + b.ours.outliers ||
        ledger_expected(&b.ours) < b.ours.received) {
      fail_msg("seed %u: %llu accepted, %llu received, %llu expected", seed + (uint32_t)round,
               (unsigned long long)accepted, (unsigned long long)b.ours.received,
               (unsigned long long)ledger_expected(&b.ours));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sq1_nothing_happens),
      cmocka_unit_test(sq2_lost_twice_and_swapped),
      cmocka_unit_test(sq3_sixteen_bits_wrap),
      cmocka_unit_test(sq4_counter_begins_anew),
      cmocka_unit_test(sq5_late_after_it_was_missing),
      cmocka_unit_test(sq6_hole_below_the_leap),
      cmocka_unit_test(sq7_leap_is_a_restart),
      cmocka_unit_test(one_second_makes_missing),
      cmocka_unit_test(lone_numbers_change_nothing),
      cmocka_unit_test(first_frames_out_of_order),
      cmocka_unit_test(the_end_of_sixty_four_bits),
      cmocka_unit_test(numbering_jump_is_taken_out),
      cmocka_unit_test(numbers_come_back_in_order_once),
      cmocka_unit_test_setup(random_numbers_balance, seed_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
