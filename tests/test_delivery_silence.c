/* dsp/delivery: silence that somebody put into the sound (voice-quality.md 3.6, 3.9). */
#include "dsp/ledger.h"
#include "tests/delivery_track.h"

/* Silence that somebody put in is bad as a missing frame is: in loss, in bursts and in windows. */
static void inserted_silence_is_bad(void **state) {
  (void)state;
  static struct feed gone;
  static struct delivery_facts without;
  feed_clear(&gone);
  feed_even(&feed, 0, 1499);
  for (size_t i = 0; i < 1500; i++) {
    bool bad = i >= 700 && i < 720 && i % 5 != 4; /* runs of four, one burst */
    feed.silent[i] = bad;
    if (!bad) feed_add(&gone, i, (int64_t)i * FRAME_US, (int64_t)i * FRAME_US + 30000);
  }
  run();
  feed_facts(&gone, 0, &without);
  assert_int_equal(facts.inserted_silence_frames, 16);
  assert_int_equal(facts.inserted_silence_discarded, 0);
  assert_int_equal(facts.received_frames, 1500);
  for (int i = 0; i < DELIVERY_CONSUMERS; i++) {
    assert_int_equal(facts.bad_frames[i], 16);
    assert_int_equal(facts.bad_runs[i], 4);
    assert_int_equal(facts.longest_run[i], 4);
    assert_int_equal(facts.burst_count[i], 1);
    assert_int_equal(facts.burst_frames[i], 19);
    for (int plc = 0; plc < 2; plc++) {
      size_t model = delivery_model((enum quality_consumer)i, plc);
      near(facts.worst_r[model], without.worst_r[model], 1e-9);
      near(facts.r_sum[model], without.r_sum[model], 1e-3);
    }
  }
}

/* Half of a frame is one; sound before it is no part of it; what the ledger has settled stays as it was. */
static void what_of_a_frame_is_inserted_silence(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  feed_even(&feed, 0, 199);
  for (size_t i = 0; i < feed.count; i++) {
    delivery_frame(d, &feed.frame[i]);
    int64_t us = (int64_t)i * FRAME_US;
    if (i == 90) delivery_inserted_silence(d, us - 3 * FRAME_US / 2, us + FRAME_US / 2 - 1); /* 88, 89 */
    if (i == 120) delivery_inserted_silence(d, us, us);
    if (i == 150) delivery_inserted_silence(d, 0, (int64_t)(i - LEDGER_DEPTH + 1) * FRAME_US); /* 100 */
  }
  delivery_inserted_silence(d, INT64_MIN / 4, 0);
  delivery_inserted_silence(d, 200 * FRAME_US, INT64_MAX / 4);
  delivery_facts(d, &facts);
  assert_int_equal(facts.inserted_silence_frames, 3);
  assert_int_equal(facts.longest_run[CONSUMER_PLAYOUT], 2);
  delivery_init(d);
  delivery_inserted_silence(d, 0, 1000000); /* before anything came */
  free(d);
}

/* Payloads of two frames one frame apart: each place is somebody's, once. */
static void a_long_payload_is_one_place(void **state) {
  (void)state;
  feed_even(&feed, 0, 199);
  for (size_t i = 0; i < feed.count; i++) feed.frame[i].duration_us = 2 * FRAME_US;
  struct delivery *d = delivery_new();
  for (size_t i = 0; i < feed.count; i++) {
    delivery_frame(d, &feed.frame[i]);
    if (i == 100) delivery_inserted_silence(d, 95 * FRAME_US, 96 * FRAME_US);
  }
  delivery_facts(d, &facts);
  assert_int_equal(facts.inserted_silence_frames, 1);
  free(d);
}

/* Nothing that was read from somewhere makes it less than none. */
static void more_discarded_than_there_are(void **state) {
  (void)state;
  feed_even(&feed, 0, 199);
  run();
  facts.inserted_silence_frames = 2;
  facts.inserted_silence_discarded = 3;
  struct delivery_figures figures;
  delivery_figures(&facts, codec_row(CODEC_PCMU), &(struct delivery_view){.consumer = CONSUMER_PLAYOUT},
                   &figures);
  near(figures.inserted_silence_frames.value, 0, 0);
  near(figures.ppl_pct.value, 0, 0);
}

/* A late frame's sound was not heard, so nothing in it can have been silence. */
static void a_late_frame_is_no_inserted_silence(void **state) {
  (void)state;
  struct delivery *d = delivery_new();
  feed_even(&feed, 1, 19);
  feed_even(&feed, 21, 40);
  feed_add(&feed, 20, 20 * FRAME_US, 40 * FRAME_US + 1100000);
  for (size_t i = 0; i < feed.count; i++) delivery_frame(d, &feed.frame[i]);
  delivery_inserted_silence(d, 18 * FRAME_US, 22 * FRAME_US); /* of the numbers 19 to 22, from 1 */
  delivery_facts(d, &facts);
  assert_int_equal(facts.late_frames, 1);
  assert_int_equal(facts.inserted_silence_frames, 3);
  free(d);
}

/* Discarded before upstream bad before silence (3.6), for each consumer by its own terms. */
static void inserted_silence_is_counted_once(void **state) {
  (void)state;
  feed_even(&feed, 0, 999);
  for (size_t i = 400; i < 450; i++) feed.frame[i].arrival_us = 450 * FRAME_US; /* a stall */
  run();
  uint64_t discarded = facts.discarded_adaptive, bad = facts.bad_frames[CONSUMER_PLAYOUT];
  assert_true(discarded > 10 && bad > discarded);
  for (size_t i = 390; i < 460; i++) feed.silent[i] = true;
  for (size_t i = 392; i < 396; i++) feed.frame[i].upstream_bad = true;
  run();
  assert_int_equal(facts.inserted_silence_frames, 66);
  assert_int_equal(facts.inserted_silence_discarded, bad); /* the one that made it conceal as well */
  assert_int_equal(facts.bad_frames[CONSUMER_PLAYOUT], 70);
  assert_int_equal(facts.bad_frames[CONSUMER_ASR_STREAM], 70);
  struct delivery_figures figures;
  delivery_figures(&facts, codec_row(CODEC_PCMU), &(struct delivery_view){.consumer = CONSUMER_PLAYOUT},
                   &figures);
  near(figures.inserted_silence_frames.value, 66 - (double)bad, 0);
  near(figures.ppl_pct.value,
       100.0 * (70 - (double)bad + (double)(discarded + facts.concealed_frames)) / 1000, 1e-9);
  delivery_figures(&facts, codec_row(CODEC_PCMU), &(struct delivery_view){.consumer = CONSUMER_ASR_STREAM},
                   &figures);
  near(figures.inserted_silence_frames.value, 66, 0);
  near(figures.ppl_pct.value, 7.0, 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(inserted_silence_is_bad, setup),
      cmocka_unit_test_setup(what_of_a_frame_is_inserted_silence, setup),
      cmocka_unit_test_setup(a_long_payload_is_one_place, setup),
      cmocka_unit_test_setup(more_discarded_than_there_are, setup),
      cmocka_unit_test_setup(a_late_frame_is_no_inserted_silence, setup),
      cmocka_unit_test_setup(inserted_silence_is_counted_once, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
