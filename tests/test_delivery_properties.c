/* Properties 4 to 7 and 9 to 12 of voice-quality.md 7.8 on random tracks; the seed is in every failure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "dsp/timebase.h"
#include "tests/delivery_feed.h"
#include "tests/seed.h"

enum { ROUNDS = 60 };

/* A round has its own seed, so that it can be told apart; all follow from the printed one. */
#define FOR_EACH_SEED for (uint32_t round = 0, seed = (uint32_t)seed_value; round < ROUNDS; round++, seed++)

static struct feed feed, changed;
static struct delivery_facts facts, other;

static uint32_t next(uint32_t *x) {
  return *x = *x * 1664525 + 1013904223;
}

static uint32_t below(uint32_t *x, uint32_t n) {
  return (next(x) >> 8) % n;
}

/* A track with noise, loss in runs, stalls, pauses, clock jumps, bad and self-delayed frames; with
 * `wild` also duplicates, disorder, leaps and steps back in time. */
static void random_feed(struct feed *f, uint32_t seed, bool wild) {
  uint32_t x = seed;
  int64_t media_us = 0, now_us = 1000000, held_until_us = 0;
  uint64_t number = below(&x, 5000);
  feed_clear(f);
  for (size_t i = 0; i < 1500 + below(&x, 1500); i++) {
    uint32_t kind = below(&x, 400);
    if (kind < 3) held_until_us = now_us + below(&x, 1500000);
    uint32_t lost = kind >= 3 && kind < 8 ? 1 + below(&x, 6) : 0;
    number += 1 + lost;
    media_us += (1 + (int64_t)lost) * FRAME_US;
    now_us += (1 + (int64_t)lost) * FRAME_US;
    int64_t pause_us = kind == 8 ? (int64_t)below(&x, 3000000) : 0;
    media_us += pause_us;
    now_us += pause_us;
    if (kind == 9) media_us += (int64_t)below(&x, 4000000) - 1000000;
    if (wild && kind == 10) number += below(&x, 8000);
    if (wild && kind == 11) number -= below(&x, 400);
    if (wild && kind == 12) now_us -= below(&x, 50000);
    int64_t arrival_us = now_us + below(&x, 8000);
    if (arrival_us < held_until_us) arrival_us = held_until_us;
    if (f->count > 0 && !wild && arrival_us < f->frame[f->count - 1].arrival_us) {
      arrival_us = f->frame[f->count - 1].arrival_us;
    }
    struct delivery_input *in = feed_add(f, number, media_us, arrival_us);
    in->upstream_bad = below(&x, 100) == 0;
    in->self_delayed = below(&x, 150) == 0;
    in->sid = below(&x, 200) == 0;
    if (wild && kind >= 13 && kind < 20) {
      feed_add(f, number - below(&x, 60), media_us, arrival_us)->read_ordinal = in->read_ordinal;
    }
  }
}

/* Some of it is silence that somebody put in, in runs of up to ten frames. */
static void random_silence(struct feed *f, uint32_t seed) {
  uint32_t x = seed * 31 + 7;
  for (size_t i = 0; i < f->count; i += 1 + below(&x, 60))
    for (uint32_t run = below(&x, 11); run > 0 && i < f->count; run--) f->silent[i++] = true;
}

static void fail_where(const char *what, uint32_t seed) {
  for (size_t i = 0; i < delivery_field_count; i++) {
    const struct field *row = &delivery_fields[i];
    if (memcmp((char *)&facts + row->offset, (char *)&other + row->offset, 8 * row->count) != 0) {
      fail_msg("%s, seed %u: %s differs (%lld, %lld)", what, seed, row->name,
               *(long long *)(void *)((char *)&facts + row->offset),
               *(long long *)(void *)((char *)&other + row->offset));
    }
  }
  fail_msg("%s, seed %u: windows differ", what, seed);
}

static void expect_same(const char *what, uint32_t seed) {
  if (memcmp(&facts, &other, sizeof(facts)) != 0) fail_where(what, seed);
}

static void p4_looking_changes_nothing(void **state) {
  (void)state;
  FOR_EACH_SEED {
    random_feed(&feed, seed, true);
    random_silence(&feed, seed);
    feed_facts(&feed, 0, &facts);
    feed_facts(&feed, 1 + seed * 7, &other);
    /* Windows beyond those in use keep what an earlier look has left there. */
    size_t used = sizeof(other.windows[0]) * other.window_count;
    memset((char *)other.windows + used, 0, sizeof(other.windows) - used);
    expect_same("looked at in between", seed);
  }
}

/* Two looks in a row give the same, and looks at random moments change nothing. */
static void p4_snapshot_twice(void **state) {
  (void)state;
  FOR_EACH_SEED {
    random_feed(&feed, seed, true);
    struct delivery *d = delivery_new();
    uint32_t x = seed;
    memset(&facts, 0, sizeof facts);
    memset(&other, 0, sizeof other);
    for (size_t i = 0; i < feed.count; i++) {
      delivery_frame(d, &feed.frame[i]);
      if (below(&x, 100) != 0) continue;
      delivery_facts(d, &facts);
      delivery_facts(d, &other);
      size_t used = sizeof(other.windows[0]) * other.window_count;
      memset((char *)other.windows + used, 0, sizeof(other.windows) - used);
      memset((char *)facts.windows + used, 0, sizeof(facts.windows) - used);
      expect_same("two looks", seed);
    }
    delivery_facts(d, &facts);
    feed_facts(&feed, 0, &other);
    size_t used = sizeof(other.windows[0]) * other.window_count;
    memset((char *)facts.windows + used, 0, sizeof(facts.windows) - used);
    expect_same("random looks", seed);
    free(d);
  }
}

static void p5_only_differences_count(void **state) {
  (void)state;
  static const int64_t shift_us[] = {1, -999999, 4294967296, INT64_C(1) << 40};
  static const uint64_t wrap[] = {UINT64_C(1) << 16, UINT64_C(1) << 32, UINT64_MAX, UINT64_MAX - 1000};
  FOR_EACH_SEED {
    random_feed(&feed, seed, true);
    feed_facts(&feed, 0, &facts);
    for (int what = 0; what < 3; what++) {
      changed = feed;
      for (size_t i = 0; i < changed.count; i++) {
        struct delivery_input *in = &changed.frame[i];
        if (what == 0) in->arrival_us += shift_us[seed % 4];
        if (what == 1) in->media_us += shift_us[seed % 4];
        if (what == 2) in->number += wrap[seed % 4];
      }
      feed_facts(&changed, 0, &other);
      expect_same(what == 0 ? "arrivals shifted" : what == 1 ? "media shifted" : "numbers shifted", seed);
    }
  }
}

static void p6_a_duplicate_changes_its_count(void **state) {
  (void)state;
  FOR_EACH_SEED {
    random_feed(&feed, seed, false);
    feed_facts(&feed, 0, &facts);
    uint32_t x = seed * 77;
    size_t at = below(&x, (uint32_t)feed.count - 1), behind = below(&x, 10);
    changed = feed;
    size_t to = at + 1 + behind < feed.count ? at + 1 + behind : feed.count;
    memmove(&changed.frame[to + 1], &changed.frame[to], (feed.count - to) * sizeof(feed.frame[0]));
    changed.count++;
    changed.frame[to] = feed.frame[at];
    changed.frame[to].arrival_us = feed.frame[to - 1].arrival_us;
    feed_facts(&changed, 0, &other);
    assert_int_equal(other.duplicate_frames, facts.duplicate_frames + 1);
    other.duplicate_frames = facts.duplicate_frames;
    other.reads = facts.reads;
    other.reads_of_many = facts.reads_of_many;
    other.read_frames = facts.read_frames;
    other.self_delayed_frames = facts.self_delayed_frames;
    expect_same("one frame twice", seed);
  }
}

static void p6_one_frame_later(void **state) {
  (void)state;
  FOR_EACH_SEED {
    uint32_t x = seed;
    feed_clear(&feed);
    for (int64_t n = 0; n < 600; n++) feed_add(&feed, (uint64_t)n, n * FRAME_US, n * FRAME_US + 30000);
    feed_facts(&feed, 0, &facts);
    size_t at = 50 + below(&x, 400), behind = 1 + below(&x, 48);
    changed = feed;
    memmove(&changed.frame[at], &changed.frame[at + 1], behind * sizeof(feed.frame[0]));
    changed.frame[at + behind] = feed.frame[at];
    changed.frame[at + behind].arrival_us = feed.frame[at + behind].arrival_us + 1000;
    feed_facts(&changed, 0, &other);
    if (other.received_frames != 600 || other.expected_frames != 600 || other.reordered_frames != 1 ||
        other.max_reorder_frames != behind || other.jitter_sum_ms != 0.0 || other.stall_count != 0 ||
        other.late_frames + other.duplicate_frames + other.clock_jumps + other.numbering_jumps != 0) {
      fail_where("one frame later", seed);
    }
  }
}

/* The same times told in ticks of several clocks. */
static void p7_any_clock(void **state) {
  (void)state;
  static const enum codec_id codec[] = {CODEC_PCMU, CODEC_L16_16K, CODEC_OPUS};
  for (size_t c = 0; c < sizeof(codec) / sizeof(codec[0]); c++) {
    struct timebase timebase;
    const struct codec *row = codec_row(codec[c]);
    uint32_t x = (uint32_t)seed_value;
    timebase_init(&timebase, row);
    struct timebase_event event[400];
    for (uint64_t n = 0; n < 400; n++) {
      event[n] = (struct timebase_event){.has_chunk = true,
                                         .has_timestamp = true,
                                         .chunk = n,
                                         .timestamp = n * row->rtp_clock_hz / 50,
                                         .payload_bytes = 20 * row->bytes_per_ms};
      if (n < TIMEBASE_EVENTS) timebase_observe(&timebase, TRACK_INBOUND, &event[n]);
    }
    timebase_decide(&timebase, TRACK_INBOUND);
    feed_clear(&feed);
    for (uint64_t n = 0; n < 400; n++) {
      struct timebase_place place;
      timebase_place(&timebase, TRACK_INBOUND, &event[n], &place);
      feed_add(&feed, place.number, place.media_us, (int64_t)n * FRAME_US + below(&x, 70000));
    }
    feed_facts(&feed, 0, c == 0 ? &facts : &other);
    if (c > 0) expect_same("another clock", (uint32_t)c);
  }
}

static void p9_p10_sums(void **state) {
  (void)state;
  FOR_EACH_SEED {
    random_feed(&feed, seed, seed % 2);
    if (seed % 4 < 2) random_silence(&feed, seed);
    feed_facts(&feed, 0, &facts);
    struct delivery_figures figures;
    for (int consumer = 0; consumer < DELIVERY_CONSUMERS; consumer++) {
      uint64_t bursts = facts.burst_frames[consumer] + facts.gap_frames[consumer];
      uint64_t bad = facts.burst_bad[consumer] + facts.gap_bad[consumer];
      if (bursts != facts.expected_frames || bad != facts.bad_frames[consumer])
        fail_msg("seed %u: bursts", seed);
      delivery_figures(&facts, codec_row(CODEC_PCMU),
                       &(struct delivery_view){.consumer = (enum quality_consumer)consumer}, &figures);
      double lost = figures.missing_frames.value + figures.discarded_adaptive.value +
                    figures.concealed_frames.value + figures.upstream_bad_frames.value +
                    figures.inserted_silence_frames.value;
      double ppl_pct = fmin(100, 100 * lost / figures.expected_frames.value);
      if (fabs(ppl_pct - figures.ppl_pct.value) > 1e-9) fail_msg("seed %u: the causes are not the sum", seed);
    }
    uint64_t expected = 0, missing = 0, weight_us = 0;
    for (size_t i = 0; i < facts.window_count; i++) {
      expected += facts.windows[i].expected_frames;
      missing += facts.windows[i].missing_frames;
      weight_us += facts.windows[i].weight_us;
    }
    if (facts.expected_frames < facts.received_frames || expected != facts.expected_frames ||
        weight_us != facts.expected_us || missing < facts.expected_frames - facts.received_frames) {
      fail_msg("seed %u: %d expected, %d received, %d in windows", seed, (int)facts.expected_frames,
               (int)facts.received_frames, (int)expected);
    }
  }
}

/* What is silence makes those frames bad that nothing else had made so, and changes nothing that is measured of
 * times and numbers. */
static void silence_adds_what_was_good(void **state) {
  (void)state;
  FOR_EACH_SEED {
    random_feed(&feed, seed, seed % 2);
    feed_facts(&feed, 0, &other);
    random_silence(&feed, seed);
    feed_facts(&feed, 0, &facts);
    uint64_t excused[DELIVERY_CONSUMERS] = {[CONSUMER_PLAYOUT] = facts.inserted_silence_discarded};
    if (facts.inserted_silence_frames < 100) fail_msg("seed %u: hardly any silence", seed);
    for (int i = 0; i < DELIVERY_CONSUMERS; i++)
      if (facts.bad_frames[i] != other.bad_frames[i] + facts.inserted_silence_frames - excused[i])
        fail_msg("seed %u: %d bad frames with silence, %d without", seed, (int)facts.bad_frames[i],
                 (int)other.bad_frames[i]);
    if (facts.received_frames != other.received_frames ||
        facts.discarded_adaptive != other.discarded_adaptive ||
        facts.concealed_frames != other.concealed_frames || facts.jitter_sum_ms != other.jitter_sum_ms ||
        facts.upstream_bad_counted != other.upstream_bad_counted)
      fail_msg("seed %u: silence changed what it must not", seed);
  }
}

/* Whatever modes come: each window is rated or says why not, none above what its codec gives without loss,
 * and the parts of a call weigh together what they weighed alone. */
static void every_window_is_rated_or_says_why(void **state) {
  (void)state;
  static const enum codec_id ids[] = {CODEC_AMR_WB, CODEC_OPUS, CODEC_G722, CODEC_L16_16K, CODEC_PCMU};
  FOR_EACH_SEED {
    uint32_t x = seed;
    random_feed(&feed, seed, seed % 2);
    struct delivery *d = malloc(delivery_bytes());
    delivery_init(d);
    delivery_begin(d, codec_row(ids[seed % 5]), FRAME_US);
    for (size_t i = 0; i < feed.count; i++) {
      feed.frame[i].mode = codec_row(ids[seed % 5])->has_modes ? (uint8_t)below(&x, OPUS_BANDS) : 0;
      feed.frame[i].coded = i == 0 || below(&x, 10) != 0;
      feed.frame[i].payload_bytes = 20 + below(&x, 100);
      delivery_frame(d, &feed.frame[i]);
    }
    memset(&facts, 0, sizeof facts);
    delivery_facts(d, &facts);
    free(d);
    for (size_t m = 0; m < DELIVERY_MODELS; m++) {
      if (facts.r_us[m] + facts.no_bpl_us[m] + facts.unrated_us[m] != facts.expected_us)
        fail_msg("seed %u: %llu us of %llu rated", seed, (unsigned long long)facts.r_us[m],
                 (unsigned long long)facts.expected_us);
      if (facts.r_us[m] > 0 && !(facts.r_sum[m] / (double)facts.r_us[m] <= 148)) fail_msg("seed %u: R", seed);
    }
    uint64_t coded_us = facts.coded_us[0] + facts.coded_us[1] + facts.coded_us[2];
    int64_t off_us = (int64_t)(coded_us - facts.clean_r_us);
    if (off_us > 1000 || off_us < -1000) fail_msg("seed %u: scales are off by %d us", seed, (int)off_us);
    other = facts;
    delivery_merge(&other, &facts);
    if (other.clean_r_us != 2 * facts.clean_r_us || other.active_us != 2 * facts.active_us ||
        other.clean_r_sum != 2 * facts.clean_r_sum || other.ie_basis != facts.ie_basis)
      fail_msg("seed %u: two parts do not weigh together", seed);
  }
}

static void p11_any_input(void **state) {
  (void)state;
  FOR_EACH_SEED {
    uint32_t x = seed;
    feed_clear(&feed);
    for (int i = 0; i < 1000; i++) {
      uint64_t number = (uint64_t)next(&x) << below(&x, 33);
      if (i > 0 && below(&x, 4) > 0) number = feed.frame[i - 1].number + below(&x, 3);
      int64_t media_us = ((int64_t)next(&x) - INT32_MAX) * (INT64_C(1) << below(&x, 20));
      struct delivery_input *in = feed_add(&feed, number, media_us, ((int64_t)next(&x) - INT32_MAX) * 1000);
      in->duration_us = next(&x) >> 4;
    }
    feed_facts(&feed, 50, &facts);
    struct delivery_figures figures;
    delivery_figures(&facts, codec_row(CODEC_PCMU), &(struct delivery_view){.plc = true}, &figures);
    if (figures.mos_lqe.absent == NULL && !(figures.mos_lqe.value >= 1 && figures.mos_lqe.value <= 4.5)) {
      fail_msg("seed %u: MOS %g", seed, figures.mos_lqe.value);
    }
    if (facts.received_frames > facts.expected_frames) fail_msg("seed %u: more received than expected", seed);
  }
}

/* Knowing less of the leg makes the basis weaker and leaves every number alone. */
static void p12_provenance(void **state) {
  (void)state;
  static const char *const less[] = {NULL, "", "unknown", "OPUS", "SPEEX", "AMR"};
  FOR_EACH_SEED {
    random_feed(&feed, seed, seed % 2);
    feed_facts(&feed, 0, &facts);
    struct delivery_view view = {.plc = seed % 3 == 0,
                                 .consumer = seed % 5 ? CONSUMER_PLAYOUT : CONSUMER_ASR_STREAM};
    struct delivery_figures known, figures;
    view.leg = leg_codec_of("PCMU", codec_row(CODEC_PCMU));
    delivery_figures(&facts, codec_row(CODEC_PCMU), &view, &known);
    if (strcmp(known.ie_basis, "published") != 0) fail_msg("seed %u: %s", seed, known.ie_basis);
    for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
      view.leg = leg_codec_of(less[i], codec_row(CODEC_PCMU));
      delivery_figures(&facts, codec_row(CODEC_PCMU), &view, &figures);
      if (strcmp(figures.ie_basis, "assumed") != 0) fail_msg("seed %u: %s", seed, figures.ie_basis);
      const struct figure *a = &known.expected_frames, *b = &figures.expected_frames;
      if (memcmp(a, b, offsetof(struct delivery_figures, burst_ratio_basis)) != 0)
        fail_msg("seed %u: a count differs", seed);
      a = &known.ie;
      b = &figures.ie;
      if (memcmp(a, b, offsetof(struct delivery_figures, scale) - offsetof(struct delivery_figures, ie)) != 0)
        fail_msg("seed %u: a number of the model differs", seed);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(p4_looking_changes_nothing, seed_start),
      cmocka_unit_test_setup(p4_snapshot_twice, seed_start),
      cmocka_unit_test_setup(p5_only_differences_count, seed_start),
      cmocka_unit_test_setup(p6_a_duplicate_changes_its_count, seed_start),
      cmocka_unit_test_setup(p6_one_frame_later, seed_start),
      cmocka_unit_test_setup(p7_any_clock, seed_start),
      cmocka_unit_test_setup(p9_p10_sums, seed_start),
      cmocka_unit_test_setup(silence_adds_what_was_good, seed_start),
      cmocka_unit_test_setup(every_window_is_rated_or_says_why, seed_start),
      cmocka_unit_test_setup(p11_any_input, seed_start),
      cmocka_unit_test_setup(p12_provenance, seed_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
