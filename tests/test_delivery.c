/* A track from its frames to its facts: J-A, J-G, J-H and P-B, P-C of voice-quality.md 7, the meanings
 * of 3.6, the places of speech-metrics.md 1. The random properties are in tests/test_delivery_properties.c. */
#include "tests/delivery_track.h"

static void perfect(void **state) {
  (void)state;
  feed_even(&feed, 1, 500);
  run();
  assert_int_equal(facts.expected_frames, 500);
  assert_int_equal(facts.received_frames, 500);
  assert_int_equal(facts.end_us, 10000000);
  assert_int_equal(facts.expected_us, 10000000);
  assert_int_equal(facts.window_count, 1);
  assert_int_equal(facts.pdv[0], 500);
  assert_int_equal(facts.stall_count + facts.clock_jumps + facts.restarts + facts.media_pause_us, 0);
  near(facts.r_sum[0] / (double)facts.r_us[0], 93.2, 1e-9);
}

static void ja_head_of_line(void **state) {
  (void)state;
  for (int64_t n = 0; n < 16; n++)
    feed_add(&feed, (uint64_t)n, n * FRAME_US, n >= 5 && n < 8 ? 160000 : n * FRAME_US);
  run();
  near(facts.jitter_sum_ms / (double)facts.jitter_count, 3.7924672778, 6e-11);
  near(facts.jitter_max_ms, 6.6104125977, 6e-11);
  near(facts.jitter_last_ms, 4.2075327222, 6e-11);
}

static void jc_counts_no_jitter(void **state) {
  (void)state;
  static const int64_t order[] = {0, 1, 2, 3, 4, 6, 7, 5, 8, 9};
  for (size_t i = 0; i < 10; i++) {
    feed_add(&feed, (uint64_t)order[i], order[i] * FRAME_US, order[i] == 5 ? 155000 : order[i] * FRAME_US);
  }
  run();
  assert_true(facts.jitter_max_ms == 0.0);
  assert_int_equal(facts.reordered_frames, 1);
  assert_int_equal(facts.max_reorder_frames, 2);
}

static void jg_pause_jh_clock_jump(void **state) {
  (void)state;
  for (int clock_only = 0; clock_only < 2; clock_only++) {
    feed_clear(&feed);
    for (int64_t n = 0; n < 400; n++) {
      int64_t jump_us = n >= 100 ? 2000000 : 0;
      feed_add(&feed, (uint64_t)n, n * FRAME_US + jump_us,
               n * FRAME_US + (n % 2) * 1000 + (clock_only ? 0 : jump_us));
    }
    run();
    near(facts.jitter_max_ms, 1.0, 0.1);
    assert_int_equal(facts.clock_jumps, clock_only);
    assert_int_equal(facts.media_pause_us, clock_only ? 0 : 2000000);
    assert_int_equal(facts.end_us, 400 * FRAME_US + (clock_only ? 0 : 2000000));
    assert_int_equal(facts.expected_frames, 400);
    assert_int_equal(facts.jitter_count, clock_only ? 398 : 399);
    assert_true(facts.pdv_max_us <= 1000);
  }
}

static void pb_one_second_stall(void **state) {
  (void)state;
  for (int64_t n = 0; n < 500; n++) {
    feed_add(&feed, (uint64_t)n, n * FRAME_US, 30000 + (n >= 100 && n < 150 ? 3000000 : n * FRAME_US));
  }
  run();
  assert_int_equal(facts.concealed_frames, 19);
  assert_int_equal(facts.discarded_adaptive, 30);
  assert_int_equal(facts.discarded_f60, 47);
  assert_int_equal(facts.discarded_f200, 40);
  assert_int_equal(facts.stall_count, 1);
  assert_int_equal(facts.stall_longest_us, 1000000);
  assert_int_equal(facts.clock_jumps, 0);
  assert_int_equal(facts.reads_of_many, 1);
  assert_int_equal(facts.received_frames, facts.expected_frames);
  assert_int_equal(facts.pdv_max_us, 1000000);
  /* 250 frames keep the late ones in mind; after them P falls by 1 ms a frame and is not down at the end. */
  assert_int_equal(facts.burst_count[CONSUMER_PLAYOUT], 1);
  assert_int_equal(facts.recovery_count, 0);
  assert_int_equal(facts.recovery_open, 1);
}

static void pc_one_bad_frame_fourteen_slots(void **state) {
  (void)state;
  for (int64_t n = 0; n < 500; n++) {
    feed_add(&feed, (uint64_t)n, n * FRAME_US, 30000 + (n >= 100 && n < 115 ? 2300000 : n * FRAME_US));
  }
  run();
  assert_int_equal(facts.concealed_frames, 14);
  assert_int_equal(facts.bad_frames[CONSUMER_PLAYOUT], 1);
  assert_int_equal(facts.bad_frames[CONSUMER_ASR_STREAM], 0);
  assert_int_equal(facts.burst_count[CONSUMER_PLAYOUT], 0); /* alone: no burst, so nothing to get over */
  assert_int_equal(facts.recovery_count, 0);
  assert_int_equal(facts.recovery_open, 0);
}

static void lost_frames(void **state) {
  (void)state;
  feed_even(&feed, 1, 99);
  feed_even(&feed, 105, 400);
  run();
  assert_int_equal(facts.expected_frames, 400);
  assert_int_equal(facts.received_frames, 395);
  assert_int_equal(facts.burst_count[CONSUMER_PLAYOUT], 1);
  assert_int_equal(facts.burst_bad[CONSUMER_ASR_STREAM], 5);
  assert_int_equal(facts.longest_run[CONSUMER_PLAYOUT], 5);
  assert_int_equal(facts.recovery_count, 1); /* P never rose */
  assert_int_equal(facts.recovery_max_us, 0);
  assert_int_equal(facts.end_us, 8000000);
  assert_int_equal(facts.windows[0].missing_frames, 5);
  assert_int_equal(facts.stall_count, 0);
}

static void late_after_declared(void **state) {
  (void)state;
  feed_even(&feed, 1, 6);
  feed_even(&feed, 8, 60);
  feed_add(&feed, 7, 7 * FRAME_US, 60 * FRAME_US + 31000);
  feed_even(&feed, 61, 100);
  run();
  assert_int_equal(facts.late_frames, 1);
  assert_int_equal(facts.received_frames, 100);
  assert_int_equal(facts.expected_frames, 100);
  assert_int_equal(facts.discarded_adaptive, 1);
  assert_int_equal(facts.reordered_frames, 0);
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) assert_int_equal(facts.bad_frames[i], 1);
}

static void big_gap_is_flagged(void **state) {
  (void)state;
  feed_even(&feed, 1, 100);
  feed_even(&feed, 2101, 2200);
  run();
  assert_int_equal(facts.expected_frames, 2200);
  assert_int_equal(facts.big_gaps, 1);
  assert_int_equal(facts.restarts, 0);
  assert_int_equal(facts.window_count, 4); /* the last 4 s join the one before */
}

static void numbering_jump_is_no_loss(void **state) {
  (void)state;
  feed_even(&feed, 1, 100);
  for (int64_t n = 101; n <= 200; n++) feed_add(&feed, (uint64_t)n + 500, n * FRAME_US, n * FRAME_US + 30000);
  run();
  assert_int_equal(facts.expected_frames, 200);
  assert_int_equal(facts.received_frames, 200);
  assert_int_equal(facts.numbering_jumps, 1);
  assert_int_equal(facts.big_gaps, 0);
  assert_int_equal(facts.end_us, 4000000);
}

static void restart_after_an_outage(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  struct delivery_result result = {0};
  for (int64_t n = 0; n < 200; n++) {
    int64_t outage_us = n >= 100 ? 5000000 : 0, number = n >= 100 ? n - 100 : 7000 + n;
    struct delivery_input in = {.number = (uint64_t)number,
                                .media_us = number * FRAME_US,
                                .arrival_us = n * FRAME_US + outage_us,
                                .read_ordinal = (uint64_t)n,
                                .duration_us = FRAME_US};
    result = delivery_frame(d, &in);
    assert_int_equal(result.verdict, n == 100 ? DELIVERY_OUTLIER : DELIVERY_OK);
    assert_int_equal(result.restarted, n == 101);
    if (n != 100) assert_int_equal(result.place_us, n * FRAME_US + outage_us);
  }
  delivery_facts(d, &facts);
  assert_int_equal(facts.restarts, 1);
  assert_int_equal(facts.expected_frames, 200);
  assert_int_equal(facts.outage_us, 5000000);
  assert_int_equal(facts.clock_jumps, 0);
  assert_int_equal(facts.stall_count, 0);
  free(d);
}

static void another_start(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  for (int64_t n = 0; n < 100; n++) {
    if (n == 50) delivery_begin(d, codec_row(CODEC_PCMA), FRAME_US);
    struct delivery_input in = {.number = (uint64_t)(n % 50),
                                .media_us = n % 50 * FRAME_US,
                                .arrival_us = n * FRAME_US,
                                .read_ordinal = (uint64_t)n,
                                .duration_us = FRAME_US};
    assert_int_equal(delivery_frame(d, &in).place_us, n * FRAME_US);
  }
  delivery_facts(d, &facts);
  assert_int_equal(facts.restarts, 1);
  assert_int_equal(facts.received_frames, 100);
  assert_int_equal(facts.outage_us, 0);
  free(d);
}

/* The first new frame follows the last old one, however long either is. */
static void another_frame_length(void **state) {
  (void)state;
  static const uint32_t length_us[][2] = {{20000, 30000}, {30000, 20000}, {60000, 10000}};
  for (size_t i = 0; i < 3; i++) {
    struct delivery *d = delivery_new();
    int64_t now_us = 0;
    for (int64_t n = 0; n < 400; n++) {
      uint32_t frame_us = length_us[i][n >= 200];
      if (n % 200 == 0) delivery_begin(d, codec_row(CODEC_PCMU), frame_us);
      struct delivery_input in = {.number = (uint64_t)(n % 200),
                                  .media_us = n % 200 * frame_us,
                                  .arrival_us = now_us,
                                  .read_ordinal = (uint64_t)n,
                                  .duration_us = frame_us};
      assert_int_equal(delivery_frame(d, &in).place_us, now_us);
      now_us += frame_us;
    }
    delivery_facts(d, &facts);
    assert_int_equal(facts.end_us, now_us);
    assert_int_equal(facts.expected_us, now_us);
    assert_int_equal(facts.outage_us, 0);
    assert_int_equal(facts.gap_us[CONSUMER_PLAYOUT], now_us);
    free(d);
  }
}

static void places_out_of_order(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  static const int64_t order[] = {10, 11, 13, 12, 12, 14, 9};
  static const enum delivery_verdict verdict[] = {DELIVERY_OK,        DELIVERY_OK,        DELIVERY_OK,
                                                  DELIVERY_REORDERED, DELIVERY_DUPLICATE, DELIVERY_OK,
                                                  DELIVERY_REORDERED};
  for (size_t i = 0; i < 7; i++) {
    struct delivery_input in = {.number = (uint64_t)order[i],
                                .media_us = order[i] * FRAME_US,
                                .arrival_us = (int64_t)i * FRAME_US,
                                .read_ordinal = i,
                                .duration_us = FRAME_US};
    struct delivery_result result = delivery_frame(d, &in);
    assert_int_equal(result.verdict, verdict[i]);
    /* Nothing lies before the first frame that was heard. */
    assert_int_equal(result.place_us, order[i] < 10 ? 0 : (order[i] - 10) * FRAME_US);
  }
  free(d);
}

static void own_delay_is_not_theirs(void **state) {
  (void)state;
  feed_even(&feed, 1, 300);
  for (size_t i = 100; i < 120; i++) {
    feed.frame[i].arrival_us += (int64_t)(120 - i) * FRAME_US;
    feed.frame[i].read_ordinal = 1;
    feed.frame[i].self_delayed = true;
  }
  run();
  assert_int_equal(facts.self_delayed_frames, 20);
  assert_true(facts.jitter_max_ms == 0.0);
  assert_int_equal(facts.pdv_max_us, 0);
  assert_int_equal(facts.stall_count, 0);
  assert_int_equal(facts.reads_of_many, 0);
  assert_int_equal(facts.received_frames, 300);
  assert_true(facts.discarded_f60 > 0); /* it was late all the same */
}

/* What findings are made of. */
static void a_stall_is_told_with_the_frame_that_ends_it(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  feed_clear(&feed);
  feed_even(&feed, 0, 199);
  for (size_t i = 100; i < 150; i++) feed.frame[i].arrival_us = feed.frame[150].arrival_us;
  for (size_t i = 0; i < feed.count; i++) {
    struct delivery_result result = delivery_frame(d, &feed.frame[i]);
    assert_int_equal(result.stall_us, i == 100 ? 50 * FRAME_US : 0); /* the gap less one frame */
  }
  free(d);
}

static void windows_that_are_over(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  struct delivery_rating w;
  feed_clear(&feed);
  feed_even(&feed, 0, 5199);
  for (size_t i = 0; i < feed.count; i++) {
    bool known = delivery_next_rating(d, CONSUMER_PLAYOUT, false, -1, &w);
    if (i <= 500) assert_false(known);
    if (i >= 600) assert_true(known); /* the ledger is settled H behind */
    bool hole = i >= 2400 && i < 4100;
    if (i % 50 != 0 && !hole) delivery_frame(d, &feed.frame[i]);
    if (i != 4150) continue; /* the windows of the hole are over at once */
    assert_true(delivery_next_rating(d, CONSUMER_ASR_STREAM, false, 40000000, &w));
    assert_int_equal(w.start_us, 50000000);
    near(w.ppl_pct, 100, 0);
    assert_true(w.r < 20);
  }
  for (int consumer = 0; consumer < DELIVERY_CONSUMERS; consumer++) {
    int64_t after_us = -1;
    for (int i = 0; i < 10; i++) {
      assert_true(delivery_next_rating(d, (enum quality_consumer)consumer, true, after_us, &w));
      assert_int_equal(w.start_us, i * 10000000);
      near(w.ppl_pct, i == 4 ? 21.6 : i == 8 ? 21.6 : i > 4 && i < 8 ? 100 : 2, 1e-9);
      after_us = w.start_us;
    }
    assert_false(delivery_next_rating(d, (enum quality_consumer)consumer, true, 90000000, &w));
  }
  delivery_facts(d, &facts); /* 4 s more are too little for one of its own */
  assert_true(delivery_facts_next_rating(&facts, CONSUMER_PLAYOUT, true, 80000000, &w));
  assert_int_equal(w.start_us, 90000000);
  assert_false(delivery_facts_next_rating(&facts, CONSUMER_PLAYOUT, true, 90000000, &w));
  free(d);
}

/* What playout discards is lost to it alone, and repeated sound hides some of it. */
static void ratings_are_of_their_consumer(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  feed_even(&feed, 0, 1349);
  for (size_t i = 600; i < 650; i++) feed.frame[i].arrival_us = feed.frame[650].arrival_us;
  for (size_t i = 0; i < feed.count; i++)
    if (i != 700) delivery_frame(d, &feed.frame[i]);
  for (int from_facts = 0; from_facts < 2; from_facts++) {
    struct delivery_rating w[DELIVERY_CONSUMERS][2];
    delivery_facts(d, &facts);
    for (int i = 0; i < DELIVERY_CONSUMERS * 2; i++) {
      enum quality_consumer consumer = (enum quality_consumer)(i / 2);
      bool known = from_facts ? delivery_facts_next_rating(&facts, consumer, i % 2, 0, &w[i / 2][i % 2])
                              : delivery_next_rating(d, consumer, i % 2, 0, &w[i / 2][i % 2]);
      assert_true(known);
    }
    near(w[CONSUMER_ASR_STREAM][0].ppl_pct, 0.2, 1e-9);
    assert_true(w[CONSUMER_PLAYOUT][0].ppl_pct > 4);
    for (int plc = 0; plc < 2; plc++)
      assert_true(w[CONSUMER_PLAYOUT][plc].r < w[CONSUMER_ASR_STREAM][plc].r - 5);
    for (int i = 0; i < DELIVERY_CONSUMERS; i++) assert_true(w[i][0].r < w[i][1].r - 1);
  }
  free(d);
}

/* A window with a second of sound before a pause says too little. */
static void a_window_of_little_sound_has_no_rating(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  struct delivery_rating w;
  for (uint64_t n = 0; n < 3000; n++) {
    int64_t us = (int64_t)n * FRAME_US + (n < 550 ? 0 : 29 * 1000000);
    delivery_frame(d, feed_add(&feed, n, us, us));
    if (n != 700 && n != 2999) continue; /* the window is the newest that is over; it is in the facts */
    assert_true(delivery_next_rating(d, CONSUMER_PLAYOUT, false, -1, &w));
    assert_int_equal(w.start_us, 0);
    bool later = delivery_next_rating(d, CONSUMER_PLAYOUT, false, 0, &w);
    assert_int_equal(later, n == 2999);
    if (later) assert_int_equal(w.start_us, 40000000);
  }
  free(d);
}

static void bad_frames_are_counted_once(void **state) {
  (void)state;
  feed_even(&feed, 0, 499);
  for (size_t i = 200; i < 300; i += 10) feed.frame[i].upstream_bad = true;
  feed.frame[210].arrival_us += 450000; /* discarded: not counted again */
  for (size_t i = 211; i < 233; i++) feed.frame[i].arrival_us = feed.frame[210].arrival_us;
  run();
  assert_int_equal(facts.upstream_bad_frames, 10);
  assert_true(facts.upstream_bad_counted < 10);
  assert_int_equal(facts.bad_frames[CONSUMER_ASR_STREAM], 10);
}

static void sid_is_no_sound(void **state) {
  (void)state;
  feed_even(&feed, 0, 399);
  for (size_t i = 0; i < 300; i++) feed.frame[i].sid = true;
  run();
  assert_int_equal(facts.sid_frames, 300);
  assert_int_equal(facts.sid_us, 6000000);
}

static void nothing_and_one(void **state) {
  (void)state;
  run();
  assert_int_equal(facts.expected_frames, 0);
  assert_int_equal(facts.window_count, 0);
  feed_even(&feed, 5, 5);
  run();
  assert_int_equal(facts.expected_frames, 1);
  assert_int_equal(facts.jitter_count, 0);
  assert_int_equal(facts.window_count, 1);
}

static void a_day(void **state) {
  (void)state;
  const int64_t frame_us = 200000, frames = 86400 * 5;
  struct delivery *d = delivery_new();
  delivery_begin(d, codec_row(CODEC_PCMU), (uint32_t)frame_us);
  for (int64_t n = 0; n < frames; n++) {
    struct delivery_input in = {.number = (uint64_t)n,
                                .media_us = n * frame_us,
                                .arrival_us = n * (frame_us + 10),
                                .read_ordinal = (uint64_t)n,
                                .duration_us = (uint32_t)frame_us};
    delivery_frame(d, &in);
  }
  delivery_facts(d, &facts);
  assert_int_equal(facts.expected_frames, frames);
  assert_int_equal(facts.end_us, 86400 * INT64_C(1000000));
  assert_int_equal(facts.window_us, 160000000);
  assert_int_equal(facts.window_count, 540);
  near(facts.skew_ppm_us / (double)facts.skew_us, 50.0, 0.01);
  near(facts.r_sum[0] / (double)facts.r_us[0], 93.2, 1e-9);
  free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(perfect, setup),
      cmocka_unit_test_setup(ja_head_of_line, setup),
      cmocka_unit_test_setup(jc_counts_no_jitter, setup),
      cmocka_unit_test_setup(jg_pause_jh_clock_jump, setup),
      cmocka_unit_test_setup(pb_one_second_stall, setup),
      cmocka_unit_test_setup(pc_one_bad_frame_fourteen_slots, setup),
      cmocka_unit_test_setup(lost_frames, setup),
      cmocka_unit_test_setup(late_after_declared, setup),
      cmocka_unit_test_setup(big_gap_is_flagged, setup),
      cmocka_unit_test_setup(numbering_jump_is_no_loss, setup),
      cmocka_unit_test_setup(restart_after_an_outage, setup),
      cmocka_unit_test_setup(another_start, setup),
      cmocka_unit_test_setup(another_frame_length, setup),
      cmocka_unit_test_setup(places_out_of_order, setup),
      cmocka_unit_test_setup(own_delay_is_not_theirs, setup),
      cmocka_unit_test_setup(a_stall_is_told_with_the_frame_that_ends_it, setup),
      cmocka_unit_test_setup(windows_that_are_over, setup),
      cmocka_unit_test_setup(ratings_are_of_their_consumer, setup),
      cmocka_unit_test_setup(a_window_of_little_sound_has_no_rating, setup),
      cmocka_unit_test_setup(bad_frames_are_counted_once, setup),
      cmocka_unit_test_setup(sid_is_no_sound, setup),
      cmocka_unit_test_setup(nothing_and_one, setup),
      cmocka_unit_test_setup(a_day, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
