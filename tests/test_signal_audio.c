/* dsp/signal on recordings of $SIDETONE_SHARED/data/audio as 8 kHz mu-law, with the real voice detector:
 * no false alarms on clean speech, and what is there is found. Prints a row a clip. */
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdio.h>

#include "dsp/codec.h"
#include "tests/signal_rig.h"
#include "tests/tones.h"

enum { SECONDS_MAX = 250, RATE_HZ = 8000, PCMU_CEILING = 32124 };

static int16_t pcm[SECONDS_MAX * RATE_HZ];
static uint8_t coded[SECONDS_MAX * RATE_HZ];
static struct rig rig;

/* The first channel. 0 when the file cannot be read. */
static size_t load(const char *path) {
  SF_INFO info = {0};
  SNDFILE *f = sf_open(path, SFM_READ, &info);
  if (f == NULL) return 0;
  float *all = malloc((size_t)info.frames * (size_t)info.channels * sizeof *all);
  sf_count_t frames = sf_readf_float(f, all, info.frames);
  sf_close(f);
  for (sf_count_t i = 0; i < frames; i++) all[i] = all[i * info.channels];
  size_t room = SECONDS_MAX * RATE_HZ;
  float *low = malloc(room * sizeof *low);
  SRC_DATA d = {.data_in = all,
                .data_out = low,
                .input_frames = frames,
                .output_frames = (long)room,
                .src_ratio = (double)RATE_HZ / info.samplerate};
  int error = src_simple(&d, SRC_SINC_MEDIUM_QUALITY, 1);
  size_t n = error == 0 ? (size_t)d.output_frames_gen : 0;
  for (size_t i = 0; i < n; i++) {
    double x = round((double)low[i] * 32768);
    pcm[i] = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
  }
  free(all);
  free(low);
  return n;
}

static void measure(const char *folder, const char *clip) {
  char path[1024];
  struct codec_decoder decoder;
  const struct codec *pcmu = codec_row(CODEC_PCMU);
  shared_audio(path, sizeof path, folder, clip);
  size_t n = load(path);
  if (n == 0) fail_msg("%s cannot be read", path);
  codec_decoder_init(&decoder, pcmu);
  pcmu->encode(pcm, n, coded, sizeof coded);
  codec_decode(&decoder, coded, n, pcm, n);
  rig_free(&rig);
  rig_open(&rig, RATE_HZ, PCMU_CEILING, 0, true);
  rig_feed(&rig, pcm, n);
  rig_close(&rig);
  const struct signal_figures *f = &rig.figures;
  print_message(
      "%-30s %5.1f s: %6.1f dBov active, %5.1f rms, noise %6.1f, %5.2f %% clipped, %llu mute gaps\n", clip,
      (double)n / RATE_HZ, f->active_level_dbov.value, f->rms_dbov.value, f->noise_dbov.value,
      100 * f->clip_share.value, (unsigned long long)rig.facts.mute_gaps);
}

static const char *const clean[][2] = {
    {"sppas-read", "DEU_M12_DEU_T33.wav"}, {"sppas-read", "F_F_B003-P9.wav"},
    {"sppas-read", "F_F_C006-P6.wav"},     {"sppas-read", "JPA_M16_JPA_T02.wav"},
    {"sppas-read", "POR_F25_POR_T02.wav"}, {"sppas-read", "f2_P7.wav"},
    {"mfa-corpus", "cold_corpus.wav"},     {"mfa-corpus", "cold_corpus3.wav"},
    {"ami-excerpts", "trn00.wav"},         {"ami-excerpts", "trn03.wav"},
    {"ami-excerpts", "trn09.wav"},         {"telephone-sample", "sample.wav"},
};

static void nothing_is_wrong_with_clean_speech(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++) {
    measure(clean[i][0], clean[i][1]);
    const struct signal_figures *f = &rig.figures;
    assert_null(f->active_level_dbov.absent);
    assert_true(f->active_level_dbov.value >= f->rms_dbov.value);
    assert_true(f->clip_events.value == 0);
    assert_non_null(f->hum_hz.absent);
    assert_true(f->inserted_silence_frames.value == 0);
    assert_true(f->repeated_frames.value == 0);
    assert_int_equal(rig.facts.mute_gaps, 0);
    assert_int_equal(rig.facts.other_us, 0);
    assert_true(fabs(f->dc.value) < 0.01);
    if (f->snr_db.absent == NULL) assert_true(f->snr_db.value > 5);
  }
}

static void other_sounds_have_no_hum(void **state) {
  (void)state;
  static const char *const clips[] = {"chainsaw/2-50667-A.ogg", "helicopter/1-181071-A.ogg",
                                      "rain/2-73027-A.ogg", "sea_waves/3-144827-A.ogg",
                                      "baby_cry/1-60997-A.ogg"};
  for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++) {
    measure("esc10-noise", clips[i]);
    assert_non_null(rig.figures.hum_hz.absent);
    assert_true(rig.figures.inserted_silence_frames.value == 0);
  }
}

static void hold_music_is_no_speech(void **state) {
  (void)state;
  measure("music-on-hold", "qMOH-cable_company.wav");
  assert_true(has_flag(&rig.figures, "non_speech_likely"));
  assert_int_equal(rig.facts.other_us, 10000000); /* its first 10 s; the rest is a shorter window */
}

/* A call over the internet that lost packets on its way: the gaps are 20, 40 or 80 ms long and lie on
 * one grid of 20 ms. The agent's side is gated. */
static void the_acted_call_has_gaps(void **state) {
  (void)state;
  measure("dual-track-calls", "Auto_Repairs_40_UTC_caller.wav");
  assert_in_range(rig.facts.mute_gaps, 60, 90);
  assert_true(rig.figures.repeated_frames.value == 0);
  measure("dual-track-calls", "Auto_Repairs_40_UTC_agent.wav");
  assert_in_range(rig.facts.mute_gaps, 0, 12);
  assert_true(rig.figures.repeated_frames.value == 0);
  assert_true(has_flag(&rig.figures, "digital_silence"));
  rig_free(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_wrong_with_clean_speech),
      cmocka_unit_test(other_sounds_have_no_hum),
      cmocka_unit_test(hold_music_is_no_speech),
      cmocka_unit_test(the_acted_call_has_gaps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
