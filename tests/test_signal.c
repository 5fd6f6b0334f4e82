/* dsp/signal: the cases of voice-quality.md 7.7 through frames, filter and figures; holes, pieces,
 * formats. What waits for the voice detector is in test_signal_settle.c. */
#include <math.h>
#include <stdio.h>

#include "dsp/g711.h"
#include "tests/signal_rig.h"
#include "tests/tones.h"

static int16_t pcm[SOUND_MAX];
static struct rig rig;

enum { PCMU_CEILING = 32124, PCMA_CEILING = 32256, PCMA_IDLE = 8 };

static void run(size_t samples, int16_t ceiling, int16_t idle) {
  rig_free(&rig);
  rig_open(&rig, 8000, ceiling, idle, true);
  rig_feed(&rig, pcm, samples);
  rig_close(&rig);
}

static int teardown(void **state) {
  (void)state;
  rig_free(&rig);
  return 0;
}

/* DC is taken out before levels are measured, and told apart: S8 is the tone alone. */
static void cases_of_7_7(void **state) {
  (void)state;
  run(tone(pcm, 0, 32000, 1000, 0.5), 32767, 0);
  is(rig.figures.active_level_dbov, -9.0047, 0.1);
  is(rig.figures.rms_dbov, -9.0310, 0.1);
  is(rig.figures.activity_share, 0.993968, 0.005);
  is(rig.figures.dc, 0, 1e-5);
  is(rig.figures.clip_events, 0, 0);
  assert_string_equal(rig.figures.bandwidth, "nb");
  run(silence(pcm, tone(pcm, 0, 16000, 1000, 0.5), 16000), 32767, 0);
  is(rig.figures.active_level_dbov, -9.5849, 0.1);
  is(rig.figures.activity_share, 0.568010, 0.005);
  size_t n = 0;
  for (int i = 0; i < 8; i++) n = silence(pcm, tone(pcm, n, 2400, 1000, 0.1), 2400);
  run(n, 32767, 0);
  is(rig.figures.active_level_dbov, -25.9274, 0.1);
  run(silence(pcm, 0, 32000), 32767, 0);
  is_absent(rig.figures.active_level_dbov, "silent");
  is(rig.figures.rms_dbov, -200, 0);
  is(rig.figures.activity_share, 0, 0);
  is_absent(rig.figures.clip_share, "silent");
  run(tone(pcm, 0, 32000, 1000, 0.001), 32767, 0);
  is(rig.figures.active_level_dbov, -62.9854, 0.1);
  for (n = 0; n < 16000; n++) pcm[n] = n % 8 < 4 ? 32767 : -32768;
  run(n, 32767, 0);
  is(rig.figures.active_level_dbov, 0.0452, 0.1);
  is(rig.figures.dc, -0.000015, 1e-6);
  is(rig.figures.clip_events, 1, 0); /* one run, of all samples */
  is(rig.figures.clip_share, 1 / 0.989607, 0.02);
  tone(pcm, 0, 16000, 1000, 0.1);
  for (n = 0; n < 16000; n++) pcm[n] = (int16_t)(pcm[n] + 3277);
  run(n, 32767, 0);
  is(rig.figures.active_level_dbov, -22.9974, 0.1);
  is(rig.figures.dc, 0.100006, 1e-6);
  assert_true(has_flag(&rig.figures, "dc_offset"));
}

static void idle_a_law_is_silence_with_dc(void **state) {
  (void)state;
  uint8_t idle[160];
  memset(idle, 0xd5, sizeof idle);
  struct codec_decoder decoder;
  codec_decoder_init(&decoder, codec_row(CODEC_PCMA));
  for (size_t at = 0; at < 24000; at += 160) codec_decode(&decoder, idle, 160, pcm + at, 160);
  run(24000, PCMA_CEILING, PCMA_IDLE);
  is(rig.figures.dc, 0.00024, 0.00001);
  is_absent(rig.figures.active_level_dbov, "silent");
  is_absent(rig.figures.noise_dbov, "digital_silence");
  for (size_t k = 0; k < 24000; k++) pcm[k] = k % 3 == 0 ? 8 : -8; /* 0xD5 and 0x55: -72 dBov */
  run(24000, PCMA_CEILING, PCMA_IDLE);
  is_absent(rig.figures.noise_dbov, "digital_silence");
  assert_false(has_flag(&rig.figures, "dc_offset"));
}

static void clipping_is_seen_at_the_codec_s_ceiling(void **state) {
  (void)state;
  for (size_t k = 0; k < 16000; k++) {
    double x = 45000 * sin(2 * M_PI * 300 * (double)k / 8000);
    pcm[k] = (int16_t)(x > 32124 ? 32124 : x < -32124 ? -32124 : x);
  }
  run(16000, PCMU_CEILING, 0);
  is(rig.figures.clip_events, 1200, 1); /* both halves of 600 periods */
  assert_true(rig.figures.clip_share.value > 0.4 && rig.figures.clip_share.value < 0.6);
  run(16000, 32767, 0);
  is(rig.figures.clip_events, 0, 0);
  tone(pcm, 0, 16000, 1000, 0.1);
  pcm[4000] = 32124;
  pcm[8000] = pcm[8001] = -32124;
  run(16000, PCMU_CEILING, 0);
  is(rig.figures.clip_events, 0, 0);
}

static void nothing_and_next_to_nothing(void **state) {
  (void)state;
  run(0, 32767, 0);
  is_absent(rig.figures.active_level_dbov, "no_sound");
  is_absent(rig.figures.clip_events, "no_sound");
  is_absent(rig.figures.dc, "no_sound");
  assert_null(rig.figures.bandwidth);
  pcm[0] = 1000;
  run(1, 32767, 0);
  is_absent(rig.figures.rms_dbov, "no_sound");
  run(tone(pcm, 0, 160, 1000, 0.5), 32767, 0);
  is_absent(rig.figures.dc, "too_short");
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, true);
  rig_feed(&rig, NULL, 80000);
  rig_close(&rig);
  assert_int_equal(rig.facts.missing_us, 10000000);
  is_absent(rig.figures.noise_dbov, "no_sound");
  rig_free(&rig);
  rig_open(&rig, 11025, 32767, 0, false);
  signal_pcm(rig.signal, 0, pcm, 160);
  rig_close(&rig);
  assert_int_equal(rig.facts.measured_us, 0);
}

/* Sound that never came is no quiet speech. */
static void holes_do_not_enter_levels(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, true);
  tone(pcm, 0, 8000, 1000, 0.5);
  for (int i = 0; i < 4; i++) {
    rig_feed(&rig, pcm, 8000);
    rig_feed(&rig, NULL, 8000);
  }
  rig_close(&rig);
  is(rig.figures.active_level_dbov, -9.0047, 0.1);
  is(rig.figures.rms_dbov, -9.0310, 0.1);
  assert_int_equal(rig.facts.missing_us, 4000000);
  assert_int_equal(rig.facts.measured_us, 4000000);
}

static void feed_in_pieces(uint32_t *seed, size_t samples) {
  for (size_t at = 0; at < samples;) {
    *seed = *seed * 1664525 + 1013904223;
    size_t piece = 1 + (*seed >> 16) % 700;
    if (piece > samples - at) piece = samples - at;
    bool lost = at / 4000 % 7 == 3;
    if (at / 4000 != (at + piece) / 4000) piece = (at / 4000 + 1) * 4000 - at;
    if (piece > samples - at) piece = samples - at;
    signal_pcm(rig.signal, (int64_t)at, lost ? NULL : pcm + at, piece);
    hearing_pcm(rig.hearing, (int64_t)at, lost ? NULL : pcm + at, piece);
    at += piece;
  }
}

static void pieces_do_not_matter(void **state) {
  (void)state;
  static struct signal_facts first;
  struct signal_window window = {0};
  size_t n = medley(pcm);
  for (uint32_t round = 1; round <= 20; round++) {
    uint32_t seed = round;
    rig_free(&rig);
    rig_open(&rig, 8000, 32767, 0, true);
    if (round % 2 == 0) signal_use(rig.signal, &kernels_scalar);
    feed_in_pieces(&seed, n);
    rig_close(&rig);
    if (round == 1) {
      first = rig.facts;
      window = *signal_window(rig.signal);
    }
    assert_memory_equal(&first, &rig.facts, sizeof first);
    assert_int_equal(window.ordinal, signal_window(rig.signal)->ordinal);
    assert_true(window.noise_dbov.value == signal_window(rig.signal)->noise_dbov.value);
    static struct signal_facts again;
    signal_facts(rig.signal, &again);
    assert_memory_equal(&again, &rig.facts, sizeof again);
  }
  assert_true(first.missing_us > 0 && first.noise[0] < first.samples);
  assert_true(window.ordinal >= 2);
}

static void parts_add_up(void **state) {
  (void)state;
  static struct signal_facts whole, parts, zero;
  size_t n = medley(pcm) / 320 * 320;
  run(n, 32767, 0);
  whole = rig.facts;
  memset(&parts, 0, sizeof parts);
  for (size_t from = 0; from < n; from += n / 2) {
    rig_free(&rig);
    rig_open(&rig, 8000, 32767, 0, true);
    rig_feed(&rig, pcm + from, n / 2);
    rig_close(&rig);
    signal_merge(&parts, &rig.facts);
  }
  assert_int_equal(parts.samples, whole.samples);
  assert_int_equal(parts.dc_sum, whole.dc_sum);
  assert_int_equal(parts.measured_us, whole.measured_us);
  assert_true(fabs(parts.power / whole.power - 1) < 1e-3); /* the filter begins anew */
  struct signal_figures a, b;
  signal_figures(&whole, &a);
  signal_figures(&parts, &b);
  is(b.active_level_dbov, a.active_level_dbov.value, 0.1);
  memset(&zero, 0, sizeof zero);
  signal_merge(&zero, &whole);
  assert_memory_equal(&zero, &whole, sizeof whole);
}

/* A new `start`: what was measured stays. */
static void formats_add_up(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, PCMU_CEILING, 0, false);
  tone(pcm, 0, 16000, 1000, 0.5);
  rig_label(&rig, pcm, 16000, true);
  signal_begin(rig.signal, 16000, 32767, 0);
  rig.rate_hz = 16000;
  rig.at_samples = 32000;
  rig_label(&rig, pcm, 16000, true); /* now 2 kHz */
  rig_close(&rig);
  assert_int_equal(rig.facts.measured_us, 3000000);
  assert_int_equal(rig.facts.speech_us, 3000000);
  assert_int_equal(rig.facts.narrow_us, 2000000);
  assert_int_equal(signal_window(rig.signal)->ordinal, 2);
  is(rig.figures.rms_dbov, -9.03, 0.1);
}

static void rows_cover_the_facts(void **state) {
  (void)state;
  size_t expected = 0;
  for (size_t i = 0; i < signal_field_count; i++) {
    assert_int_equal(signal_fields[i].offset, expected);
    expected += FIELD_BYTES * signal_fields[i].count;
  }
  assert_int_equal(expected, sizeof(struct signal_facts));
}

static void drop_outs_reach_the_figures(void **state) {
  (void)state;
  size_t n = medley(pcm) / 160 * 160;
  for (size_t k = 0; k < n; k++) pcm[k] = (int16_t)(pcm[k] == 0 ? 9 : pcm[k]);
  silence(pcm, 1600, 160); /* each in a tone */
  silence(pcm, 17600, 480);
  memcpy(pcm + 41600, pcm + 41440, 160 * sizeof *pcm);
  run(n, 32767, 0);
  is(rig.figures.inserted_silence_frames, 4, 0);
  is(rig.figures.repeated_frames, 1, 0);
  assert_int_equal(rig.facts.mute_gaps, 2);
  is(rig.figures.mute_gaps_per_min,
     2 * 60e6 / (rig.figures.activity_share.value * (double)rig.facts.measured_us), 0.01);
}

struct stretches {
  size_t count;
  int64_t start_us[8], end_us[8];
};

static void on_silence(void *arg, int64_t start_us, int64_t end_us) {
  struct stretches *s = arg;
  assert_true(s->count < 8);
  s->start_us[s->count] = start_us;
  s->end_us[s->count++] = end_us;
}

/* Told where it lies on the track, behind holes and in any rate; and while the sound still comes. */
static void inserted_silence_is_told_with_its_place(void **state) {
  (void)state;
  for (uint32_t rate_hz = 8000; rate_hz <= 16000; rate_hz += 8000) {
    struct stretches told = {0};
    size_t ms = rate_hz / 1000;
    mix_noise(memset(pcm, 0, sizeof pcm), 0, 2000 * ms, 0.1, 5);
    silence(pcm, 200 * ms, 40 * ms);
    silence(pcm, 1000 * ms, 200 * ms);
    rig_free(&rig);
    rig_open(&rig, rate_hz, 32767, 0, false);
    signal_on_silence(rig.signal, on_silence, &told);
    rig.at_samples = (int64_t)(500 * ms); /* the track did not begin with sound */
    rig_feed(&rig, pcm, 240 * ms);
    assert_int_equal(told.count, 0);
    rig_feed(&rig, pcm + 240 * ms, 20 * ms);
    assert_int_equal(told.count, 1);
    rig_feed(&rig, NULL, 5 * ms); /* frames begin elsewhere behind it */
    rig_feed(&rig, pcm, 1220 * ms);
    assert_int_equal(told.count, 3);
    rig_close(&rig);
    static const int64_t start_ms[] = {700, 500 + 265 + 200, 500 + 265 + 1000}, length_ms[] = {40, 40, 200};
    for (size_t i = 0; i < 3; i++) {
      assert_int_equal(told.start_us[i], start_ms[i] * 1000);
      assert_int_equal(told.end_us[i], (start_ms[i] + length_ms[i]) * 1000);
    }
    assert_int_equal(rig.facts.inserted_silence_frames, 14);
  }
}

/* A hole as long as all numbers that can leap: three thousand years. */
static void places_of_a_far_future(void **state) {
  (void)state;
  struct stretches told = {0};
  int64_t far_s = INT64_C(100000000000);
  mix_noise(memset(pcm, 0, sizeof pcm), 0, 16000, 0.1, 5);
  silence(pcm, 1600, 320);
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  signal_on_silence(rig.signal, on_silence, &told);
  rig_feed(&rig, pcm, 1600);
  rig.at_samples = far_s * 8000;
  rig_feed(&rig, pcm, 16000);
  rig_close(&rig);
  assert_int_equal(told.count, 1);
  assert_int_equal(told.start_us[0], far_s * 1000000 + 200000);
  assert_int_equal(told.end_us[0], far_s * 1000000 + 240000);
  assert_int_equal(rig.facts.missing_us, far_s * 1000000 - 200000);
}

/* A codec's frames of 60 ms: inserted silence lies on their borders, and is told in frames of 20 ms. */
static void longer_frames_of_the_codec(void **state) {
  (void)state;
  static const size_t begins[] = {17280, 17600}; /* at 2.16 s, and between two */
  for (size_t i = 0; i < 2; i++) {
    size_t n = medley(pcm) / 160 * 160;
    silence(pcm, begins[i], 480);
    rig_free(&rig);
    rig_open(&rig, 8000, 32767, 0, false);
    signal_ptime(rig.signal, 60);
    rig_feed(&rig, pcm, n);
    rig_close(&rig);
    is(rig.figures.inserted_silence_frames, i == 0 ? 3 : 0, 0);
  }
}

/* Frames begin anew behind a hole, and what was told already is not told again. */
static void holes_and_repeated_places(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  tone(pcm, 0, 8000, 1013, 0.5);
  signal_pcm(rig.signal, 0, pcm, 100);
  signal_pcm(rig.signal, 200, pcm, 220); /* 100 never came: one frame, not two */
  rig_figures(&rig);
  assert_int_equal(rig.facts.measured_us, 20000);
  assert_int_equal(rig.facts.missing_us, 12500);
  signal_pcm(rig.signal, 200, pcm, 220);
  signal_pcm(rig.signal, 0, pcm, 400);
  signal_pcm(rig.signal, 400, pcm, 120); /* 100 of them are new: the second frame */
  rig_figures(&rig);
  assert_int_equal(rig.facts.measured_us, 40000);
  signal_pcm(rig.signal, 520, pcm, 0);
  signal_pcm(rig.signal, 520, NULL, 8000);
  signal_pcm(rig.signal, 440, NULL, 8000); /* known */
  rig_figures(&rig);
  assert_int_equal(rig.facts.missing_us, 1012500);
  signal_pcm(rig.signal, 8520, pcm, 160);
  signal_pcm(rig.signal, 8680, NULL, 80);
  signal_pcm(rig.signal, 8760, pcm, 160); /* the same 20 ms, but not beside the others */
  rig_close(&rig);
  assert_int_equal(rig.facts.measured_us, 80000);
  is(rig.figures.repeated_frames, 0, 0);
}

static void sane(struct figure f, double low, double high) {
  if (f.absent == NULL && !(f.value >= low && f.value <= high))
    fail_msg("%g, not %g to %g", f.value, low, high);
}

/* Any sound, places, formats and decisions in any order: no figure leaves its range, nothing is counted
 * twice, and a look changes nothing. */
static void whatever_comes(void **state) {
  (void)state;
  static const uint32_t rates[] = {8000, 16000, 8000, 48000, 24000, 11025, 12000};
  static int16_t piece[20000];
  static struct signal_facts again;
  uint32_t seed = 20261127;
  print_message("seed %u\n", seed);
  for (int round = 0; round < 60; round++) {
    int64_t at = 0, decided_ms = 0;
    uint64_t fed_us = 0;
    rig_free(&rig);
    rig_open(&rig, 8000, 32124, 8, false);
    for (int step = 0; step < 300; step++) {
      uint32_t r = seed = seed * 1664525 + 1013904223, what = r >> 28;
      size_t n = (r >> 8) % (what == 0 ? 20000 : 700);
      for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        piece[i] = (int16_t)(what < 4    ? (int32_t)(seed >> 16)
                             : what < 8  ? 0
                             : what < 12 ? -32768
                                         : (int32_t)(seed >> 24));
      }
      if (what == 15 && r % 5 == 0) {
        rig.rate_hz = rates[r / 5 % 7];
        at = at * 8;
        signal_begin(rig.signal, rig.rate_hz, 32767, 0);
      }
      if (what == 14) at += r % 90000;
      if (what == 13) at -= r % 500;
      signal_pcm(rig.signal, at, what == 12 ? NULL : piece, n);
      if (what != 12) fed_us += n * 1000000 / rig.rate_hz + 1;
      at += (int64_t)n;
      int64_t now_ms = at * 1000 / rig.rate_hz - 120;
      if (r % 3 != 0 && now_ms > decided_ms) {
        signal_speech(rig.signal, decided_ms, now_ms, r % 2 == 0);
        decided_ms = now_ms;
      }
      rig_figures(&rig);
      signal_facts(rig.signal, &again);
      assert_memory_equal(&again, &rig.facts, sizeof again);
    }
    rig_close(&rig);
    const struct signal_facts *f = &rig.facts;
    const struct signal_figures *g = &rig.figures;
    uint64_t quiet = 0;
    for (int i = 0; i < NOISE_BUCKETS; i++) quiet += f->noise[i];
    assert_true(f->measured_us > 0 && f->measured_us <= fed_us);
    assert_true(f->speech_us + f->undecided_us + quiet * 20000 <= f->measured_us);
    assert_true(f->clip_samples <= f->samples && f->clip_events * 3 <= f->clip_samples);
    assert_true(f->other_us <= f->measured_us);
    for (int j = 0; j < P56_THRESHOLDS; j++)
      assert_true(f->active[j] <= f->samples && (j == 0 || f->active[j] <= f->active[j - 1]));
    sane(g->active_level_dbov, -100, 3.1);
    sane(g->rms_dbov, -200, 3.1);
    sane(g->activity_share, 0, 1);
    sane(g->noise_dbov, -103, 3.1);
    sane(g->dc, -1, 1);
    sane(g->hum_dbov, -55, 3.1);
    sane(g->mute_gaps_per_min, 0, 3000);
  }
}

/* Sums of a day at the ends of the range, by adding up an hour's facts. */
static void a_day_fits(void **state) {
  (void)state;
  static struct signal_facts day, part;
  for (size_t k = 0; k < 80000; k++) pcm[k] = -32768;
  run(80000, 32767, 0);
  part = rig.facts;
  memset(&day, 0, sizeof day);
  for (int i = 0; i < 8640; i++) signal_merge(&day, &part);
  assert_int_equal(day.measured_us, 86400000000);
  assert_int_equal(day.dc_sum, (int64_t)-32768 * 8000 * 86400);
  struct signal_figures figures;
  signal_figures(&day, &figures);
  is(figures.dc, -1, 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(cases_of_7_7, teardown),
      cmocka_unit_test_teardown(idle_a_law_is_silence_with_dc, teardown),
      cmocka_unit_test_teardown(clipping_is_seen_at_the_codec_s_ceiling, teardown),
      cmocka_unit_test_teardown(nothing_and_next_to_nothing, teardown),
      cmocka_unit_test_teardown(holes_do_not_enter_levels, teardown),
      cmocka_unit_test_teardown(pieces_do_not_matter, teardown),
      cmocka_unit_test_teardown(parts_add_up, teardown),
      cmocka_unit_test_teardown(formats_add_up, teardown),
      cmocka_unit_test(rows_cover_the_facts),
      cmocka_unit_test_teardown(longer_frames_of_the_codec, teardown),
      cmocka_unit_test_teardown(inserted_silence_is_told_with_its_place, teardown),
      cmocka_unit_test_teardown(places_of_a_far_future, teardown),
      cmocka_unit_test_teardown(holes_and_repeated_places, teardown),
      cmocka_unit_test_teardown(drop_outs_reach_the_figures, teardown),
      cmocka_unit_test_teardown(whatever_comes, teardown),
      cmocka_unit_test_teardown(a_day_fits, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
