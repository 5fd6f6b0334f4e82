/* What waits for the voice detector in dsp/signal: noise, hum, bandwidth, what is no speech; windows. */
#include <stdio.h>

#include "tests/signal_rig.h"
#include "tests/tones.h"

static int16_t pcm[SOUND_MAX];
static struct rig rig;

static int teardown(void **state) {
  (void)state;
  rig_free(&rig);
  return 0;
}

static void noise_and_snr_of_a_known_mix(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  uint64_t seed = 7;
  for (int i = 0; i < 10; i++) {
    silence(pcm, 0, 24000);
    mix_noise(pcm, 0, 24000, 0.00316, seed++); /* -50 dBov */
    mix_tone(pcm, 0, 16000, 700, 8000, 0.1);   /* -23.01 */
    rig_label(&rig, pcm, 16000, true);
    rig_label(&rig, pcm + 16000, 8000, false);
  }
  rig_close(&rig);
  near(rig.figures.noise_dbov, -50, 0.7);
  near(rig.figures.snr_db, rig.figures.active_level_dbov.value - rig.figures.noise_dbov.value, 1e-9);
  near(rig.figures.active_level_dbov, -23.3, 0.3);
  assert_true(has_flag(&rig.figures, "comfort_noise")); /* steady, and no sound tells the two apart */
  near(signal_window(rig.signal)->noise_dbov, -50, 0.7);
  assert_int_equal(signal_window(rig.signal)->ordinal, 3);
}

static void noise_needs_a_second_and_a_detector(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 24000);
  mix_noise(pcm, 0, 24000, 0.00316, 5);
  rig_label(&rig, pcm, 8000, true);
  rig_label(&rig, pcm, 9440, false); /* 200 ms and 49 frames */
  rig_figures(&rig);
  none(rig.figures.noise_dbov, "too_little_silence");
  rig_label(&rig, pcm, 160, false);
  rig_figures(&rig);
  near(rig.figures.noise_dbov, -50, 1);
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  rig_feed(&rig, pcm, 24000);
  rig_close(&rig);
  none(rig.figures.noise_dbov, "no_voice_detector");
  assert_int_equal(rig.facts.undecided_us, 3000000);
}

/* Decisions of any length, later than the sound; half a frame of speech makes it speech. */
static void decisions_meet_their_frames(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  tone(pcm, 0, 80000, 300, 0.1);
  rig_feed(&rig, pcm, 960); /* 6 frames */
  static const struct {
    int64_t to_ms;
    bool speech;
  } rows[] = {{5, true},  {20, false}, {30, true}, {40, false},
              {49, true}, {65, false}, {80, true}, {120, false}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    signal_speech(rig.signal, i > 0 ? rows[i - 1].to_ms : 0, rows[i].to_ms, rows[i].speech);
  rig_figures(&rig);
  assert_int_equal(rig.facts.speech_us, 40000); /* the second and the fourth */
  assert_int_equal(rig.facts.undecided_us, 0);
  signal_speech(rig.signal, 120, 240, true); /* of sound that is not there */
  rig_feed(&rig, pcm, 100 * 160);
  signal_speech(rig.signal, 240, 120 + 2000, true);
  rig_figures(&rig);
  assert_int_equal(rig.facts.speech_us, 40000 + SIGNAL_RING_FRAMES * 20000);
  assert_int_equal(rig.facts.undecided_us, (100 - SIGNAL_RING_FRAMES) * 20000);
}

static void a_hole_ends_the_quiet(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 80000);
  mix_noise(pcm, 0, 80000, 0.001, 3);
  rig_label(&rig, pcm, 1600, false); /* 200 ms that do not count */
  rig_label(&rig, pcm, 160, false);
  rig_label(&rig, NULL, 320, false); /* 40 ms: the detector went on */
  rig_label(&rig, pcm, 160, false);
  rig_label(&rig, NULL, 640, false);
  rig_label(&rig, pcm, 1600 + 320, false);
  rig_close(&rig);
  uint64_t frames = 0;
  for (int i = 0; i < NOISE_BUCKETS; i++) frames += rig.facts.noise[i];
  assert_int_equal(frames, 4);
}

/* A window is told when its last frame has been decided, and its noise is its own. */
static void a_window_waits_for_its_decisions(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 80000);
  mix_noise(pcm, 0, 80000, 0.001, 3);
  rig_label(&rig, pcm, 72000, false);
  rig_feed(&rig, pcm, 8800); /* to 10.1 s */
  assert_int_equal(signal_window(rig.signal)->ordinal, 0);
  signal_speech(rig.signal, 9000, 9990, true);
  assert_int_equal(signal_window(rig.signal)->ordinal, 0);
  signal_speech(rig.signal, 9990, 10100, true);
  assert_int_equal(signal_window(rig.signal)->ordinal, 1);
  assert_int_equal(signal_window(rig.signal)->speech_ms, 1000);
  near(signal_window(rig.signal)->noise_dbov, -60.3, 0.5);
  rig_label(&rig, pcm, 79200, true);
  rig_label(&rig, pcm, 160, true);
  assert_int_equal(signal_window(rig.signal)->ordinal, 2);
  assert_int_equal(signal_window(rig.signal)->speech_ms, 10000);
  none(signal_window(rig.signal)->noise_dbov, "too_little_silence");
}

static void a_window_is_by_itself(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  assert_int_equal(signal_window(rig.signal)->ordinal, 0);
  for (size_t k = 0; k < 80000; k++) /* its last second is quiet: the filter's tail is over by then */
    pcm[k] = (int16_t)(k > 72000 ? 0 : k / 400 % 2 == 0 ? 32767 : -20000);
  rig_label(&rig, pcm, 80000, true);
  assert_int_equal(signal_window(rig.signal)->ordinal, 0);
  silence(pcm, 0, 80000);
  mix_tone(pcm, 0, 80000, 440, 8000, 0.01);
  rig_label(&rig, pcm, 160, true);
  const struct signal_window *w = signal_window(rig.signal);
  assert_int_equal(w->ordinal, 1);
  assert_int_equal(w->start_ms, 0);
  assert_int_equal(w->end_ms, 10000);
  assert_int_equal(w->measured_ms, 10000);
  assert_int_equal(w->speech_ms, 10000);
  assert_int_equal(w->clip_events, 90);
  assert_true(w->clip_share.value > 0.4);
  rig_label(&rig, pcm + 160, 79840, true);
  rig_label(&rig, pcm, 160, true);
  w = signal_window(rig.signal);
  assert_int_equal(w->ordinal, 2);
  assert_int_equal(w->clip_events, 0);
  near(w->active_level_dbov, -43, 0.2);
  rig_feed(&rig, NULL, 800000);
  rig_label(&rig, pcm, 160, true);
  w = signal_window(rig.signal);
  assert_int_equal(w->ordinal, 3);
  assert_int_equal(w->measured_ms, 20);
  rig_close(&rig);
  assert_int_equal(signal_window(rig.signal)->start_ms, 120000);
}

/* A minute of loud ring-back is no speech level, and speech beside it keeps its own. */
static void tones_and_music_are_left_out_of_levels(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  tone(pcm, 0, 160000, 440, 0.4);
  mix_tone(pcm, 0, 160000, 350, 8000, 0.4);
  rig_feed(&rig, pcm, 160000);
  medley(pcm);
  rig_label(&rig, pcm, 80000, true);
  rig_close(&rig);
  assert_int_equal(rig.facts.other_us, 20000000);
  assert_true(has_flag(&rig.figures, "non_speech_likely"));
  assert_false(signal_window(rig.signal)->non_speech);
  near(rig.figures.active_level_dbov, signal_window(rig.signal)->active_level_dbov.value, 0.1);
  near(rig.figures.rms_dbov, signal_window(rig.signal)->rms_dbov.value, 0.1);
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  for (size_t k = 0; k < 80000; k++) { /* a beat four times a second: only the detector can tell */
    double t = (double)k / 8000;
    pcm[k] = (int16_t)(6000 * (1 + 0.8 * sin(2 * M_PI * 4 * t)) * sin(2 * M_PI * 660 * t));
  }
  rig_label(&rig, pcm, 80000, false);
  rig_close(&rig);
  assert_int_equal(rig.facts.other_us, 10000000);
  none(rig.figures.active_level_dbov, "non_speech");
  none(rig.figures.snr_db, "non_speech");
  none(rig.figures.noise_dbov, "too_little_silence"); /* nor is it noise */
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  rig_feed(&rig, pcm, 80000);
  rig_close(&rig);
  assert_int_equal(rig.facts.other_us, 0);
}

/* Loud hiss is noise, and stays a level. */
static void hiss_is_noise(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 80000);
  mix_noise(pcm, 0, 80000, 0.05, 3);
  rig_label(&rig, pcm, 80000, false);
  rig_close(&rig);
  assert_int_equal(rig.facts.other_us, 0);
  near(rig.figures.noise_dbov, -26.3, 0.5);
  near(rig.figures.active_level_dbov, -26, 0.2);
}

/* A quiet line that somebody listens on is not music. */
static void background_is_no_music(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 160000);
  mix_noise(pcm, 0, 160000, 0.001, 3);
  mix_tone(pcm, 0, 160000, 100, 8000, 0.003);
  rig_label(&rig, pcm, 160000, false);
  rig_close(&rig);
  assert_int_equal(rig.facts.other_us, 0);
  near(rig.figures.hum_hz, 50, 0);
  near(rig.figures.hum_dbov, -53.5, 0.3);
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  mix_tone(pcm, 0, 160000, 1000, 8000, 0.003);
  rig_label(&rig, pcm, 160000, false);
  rig_close(&rig);
  assert_true(rig.figures.activity_share.value > 0.95);
  assert_int_equal(rig.facts.other_us, 0);
}

static void hum_of_the_pauses(void **state) {
  (void)state;
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  silence(pcm, 0, 80000);
  mix_noise(pcm, 0, 80000, 0.001, 3);
  mix_tone(pcm, 0, 80000, 60, 8000, 0.01);
  for (int i = 0; i < 2; i++) {
    rig_label(&rig, pcm, 32000, true); /* not looked for in speech */
    rig_label(&rig, pcm + 32000, 48000, false);
  }
  rig_figures(&rig);
  assert_int_equal(rig.facts.hum_blocks, 10);
  near(rig.figures.hum_hz, 60, 0);
  near(rig.figures.hum_dbov, -43, 0.3);
  rig_close(&rig);
  assert_int_equal(signal_window(rig.signal)->hum_hz, 60);
  near(signal_window(rig.signal)->hum_dbov, -43, 0.3);
  rig_free(&rig);
  rig_open(&rig, 8000, 32767, 0, false);
  rig_label(&rig, pcm, 80000, true);
  rig_close(&rig);
  none(rig.figures.hum_hz, "too_little_silence");
}

/* Speech at 16 kHz: noise in syllables, narrow or wide. */
static void make_band(size_t samples, double top_hz) {
  silence(pcm, 0, samples);
  uint64_t seed = 4;
  for (double hz = 310; hz < top_hz; hz += 37) mix_tone(pcm, 0, samples, hz + uniform(&seed), 16000, 0.004);
}

static void bandwidth_of_16_khz(void **state) {
  (void)state;
  static const struct {
    double top_hz;
    size_t samples;
    const char *expected;
  } rows[] = {{3400, 64000, "nb"}, {7000, 64000, "wb"}, {7000, 47000, NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    rig_free(&rig);
    rig_open(&rig, 16000, 32767, 0, false);
    make_band(rows[i].samples, rows[i].top_hz);
    rig_label(&rig, pcm, rows[i].samples, true);
    rig_label(&rig, pcm, 32000, false); /* pauses say nothing of it */
    rig_close(&rig);
    if (rows[i].expected == NULL) {
      assert_null(rig.figures.bandwidth);
      assert_string_equal(rig.figures.bandwidth_absent, "too_little_speech");
    } else {
      assert_string_equal(rig.figures.bandwidth, rows[i].expected);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(noise_and_snr_of_a_known_mix, teardown),
      cmocka_unit_test_teardown(noise_needs_a_second_and_a_detector, teardown),
      cmocka_unit_test_teardown(decisions_meet_their_frames, teardown),
      cmocka_unit_test_teardown(a_hole_ends_the_quiet, teardown),
      cmocka_unit_test_teardown(a_window_waits_for_its_decisions, teardown),
      cmocka_unit_test_teardown(a_window_is_by_itself, teardown),
      cmocka_unit_test_teardown(tones_and_music_are_left_out_of_levels, teardown),
      cmocka_unit_test_teardown(hiss_is_noise, teardown),
      cmocka_unit_test_teardown(background_is_no_music, teardown),
      cmocka_unit_test_teardown(hum_of_the_pauses, teardown),
      cmocka_unit_test_teardown(bandwidth_of_16_khz, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
