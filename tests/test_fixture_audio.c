/* agent/fixture_audio.c: the frames of an audio line, and that impairments are what was asked for: losses
 * against the counts of voice-quality.md 7.4, to the frame. */
#include "agent/fixture_audio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dsp/codec.h"
#include "telnyx/base64.h"
#include "telnyx/frame.h"
#include "tests/scratch_file.h"

enum { FRAMES_MAX = 100000, SAMPLES = FRAMES_MAX * 8 };

static int16_t pcm[SAMPLES];

static json_t *line_of(const char *text) {
  char *copy = strdup(text);
  for (char *c = copy; *c != '\0'; c++)
    if (*c == '\'') *c = '"';
  json_error_t error;
  json_t *line = json_loads(copy, 0, &error);
  if (line == NULL) fail_msg("%s: %s", copy, error.text);
  free(copy);
  return line;
}

static struct fixture_audio *open_good(const char *text) {
  char why[512] = "";
  json_t *line = line_of(text);
  struct fixture_audio *a = fixture_audio_open(line, scratch_folder, why, sizeof why);
  if (a == NULL) fail_msg("%s: %s", text, why);
  json_decref(line);
  return a;
}

/* ---- what comes out ---- */

struct delivered {
  int64_t t_us;
  uint64_t chunk, sequence, timestamp;
  int track;
};

/* All frames of the line, by delivery; the caller frees. */
static struct delivered *deliver(struct fixture_audio *a, size_t *count) {
  struct delivered *out = malloc(sizeof *out * FRAMES_MAX * 4);
  struct fixture_numbers numbers = {0};
  int64_t t_us, before_us = 0;
  *count = 0;
  while ((t_us = fixture_audio_next_us(a)) >= 0) {
    struct media_frame m;
    size_t bytes;
    const char *text = fixture_audio_take(a, &numbers, &bytes);
    assert_true(frame_scan_media(text, bytes, &m));
    assert_true(t_us >= before_us); /* TCP keeps the order of sending */
    before_us = t_us;
    out[(*count)++] = (struct delivered){
        .t_us = t_us, .chunk = m.chunk, .sequence = m.sequence, .timestamp = m.timestamp, .track = m.track};
  }
  assert_true(*count == 0 || fixture_audio_end_us(a) == before_us);
  return out;
}

static struct delivered *deliver_line(const char *impair, const char *file, size_t *count) {
  char text[512];
  snprintf(text, sizeof text, "{'audio':{'file':'%s','encoding':'PCMU','frame_ms':1}%s%s}", file,
           *impair ? ",'impair':" : "", impair);
  struct fixture_audio *a = open_good(text);
  struct delivered *out = deliver(a, count);
  fixture_audio_free(a);
  return out;
}

static void an_unimpaired_line_is_every_frame_in_time(void **state) {
  (void)state;
  size_t count;
  struct delivered *d = deliver_line("", "stereo.wav", &count);
  assert_int_equal(count, 2000);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(d[i].track, i % 2);
    assert_int_equal(d[i].chunk, i / 2 + 1);
    assert_int_equal(d[i].timestamp, i / 2);
    assert_int_equal(d[i].sequence, i + 1);
    assert_int_equal(d[i].t_us, i / 2 * 1000);
  }
  free(d);
}

static void the_sound_is_that_of_the_file(void **state) {
  (void)state;
  static const struct {
    const char *line;
    enum codec_id codec;
    size_t channels, frame_samples;
  } cases[] = {
      {"{'audio':{'file':'stereo.wav','encoding':'PCMU','frame_ms':20}}", CODEC_PCMU, 2, 160},
      {"{'audio':{'file':'stereo.wav','encoding':'pcma','frame_ms':30}}", CODEC_PCMA, 2, 240},
      {"{'audio':{'file':'stereo.wav','encoding':'L16','frame_ms':200}}", CODEC_L16_8K, 2, 1600},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'}}", CODEC_PCMU, 1, 160}, /* 20 ms when not said */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct fixture_audio *a = open_good(cases[i].line);
    struct fixture_numbers numbers = {.stream_id = "s-1"};
    const struct codec *codec = codec_row(cases[i].codec);
    for (size_t frame = 0; frame < 4; frame++) {
      for (size_t track = 0; track < cases[i].channels; track++) {
        uint8_t expected[4096], got[4096];
        int16_t sound[1600];
        for (size_t k = 0; k < cases[i].frame_samples; k++)
          sound[k] = pcm[(frame * cases[i].frame_samples + k) * cases[i].channels + track];
        size_t bytes, coded = codec->encode(sound, cases[i].frame_samples, expected, sizeof expected);
        const char *text = fixture_audio_take(a, &numbers, &bytes);
        struct media_frame m;
        assert_true(frame_scan_media(text, bytes, &m));
        assert_int_equal(m.track, track);
        assert_memory_equal(m.stream_id.data, "s-1", 3);
        assert_int_equal(base64_decode(m.payload.data, m.payload.bytes, got, sizeof got), coded);
        assert_memory_equal(got, expected, coded);
      }
    }
    fixture_audio_free(a);
  }
}

static void a_line_can_be_played_again(void **state) {
  (void)state;
  struct fixture_audio *a = open_good(
      "{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'seed':4,'loss':0.1,'jitter_ms':30,'"
      "duplicate':0.1}}");
  size_t first_count, second_count;
  struct delivered *first = deliver(a, &first_count);
  fixture_audio_rewind(a);
  struct delivered *second = deliver(a, &second_count);
  assert_int_equal(first_count, second_count);
  assert_memory_equal(first, second, first_count * sizeof *first);
  free(first);
  free(second);
  fixture_audio_free(a);
}

/* ---- loss ---- */

struct loss {
  size_t lost, runs, longest;
};

static struct loss losses(const struct delivered *d, size_t count, size_t frames) {
  struct loss out = {0};
  bool *came = calloc(frames, sizeof *came);
  for (size_t i = 0; i < count; i++) came[d[i].chunk - 1] = true;
  for (size_t i = 0, run = 0; i < frames; i++) {
    run = came[i] ? 0 : run + 1;
    out.lost += run > 0;
    out.runs += run == 1;
    if (run > out.longest) out.longest = run;
  }
  free(came);
  return out;
}

/* Without a seed the generator begins where the specification's does, so its counts must come out. */
static void losses_are_those_of_the_specification(void **state) {
  (void)state;
  static const struct {
    const char *impair;
    struct loss expected;
  } cases[] = {
      {"{'loss':0.01}", {1012, 1005, 2}},                                                    /* B1 */
      {"{'loss':0.05,'burst':1}", {5124, 4858, 3}},                                          /* B5 */
      {"{'loss':0.0196078431372549,'burst':2}", {1915, 989, 10}},                            /* G1 */
      {"{'loss':0.047619047619047616,'burst':5}", {4675, 963, 30}},                          /* G2 */
      {"{'loss':0.03225806451612903,'burst':1.6666666666666667,'seed':0}", {3284, 1970, 8}}, /* G3 */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t count;
    struct delivered *d = deliver_line(cases[i].impair, "long.wav", &count);
    struct loss got = losses(d, count, FRAMES_MAX);
    if (memcmp(&got, &cases[i].expected, sizeof got) != 0)
      fail_msg("%s: %zu lost in %zu runs, the longest %zu", cases[i].impair, got.lost, got.runs, got.longest);
    free(d);
  }
}

static void share_and_burst_are_as_asked_for_any_seed(void **state) {
  (void)state;
  static const double shares[] = {0.02, 0.2, 0.5}, bursts[] = {1, 3, 8};
  for (int seed = 1; seed <= 3; seed++) {
    for (int i = 0; i < 9; i++) {
      char impair[128];
      size_t count;
      double share = shares[i % 3], burst = bursts[i / 3];
      snprintf(impair, sizeof impair, "{'seed':%d,'loss':%g,'burst':%g}", seed * 7919, share, burst);
      struct delivered *d = deliver_line(impair, "long.wav", &count);
      struct loss got = losses(d, count, FRAMES_MAX);
      double got_share = (double)got.lost / FRAMES_MAX, got_burst = (double)got.lost / (double)got.runs;
      if (burst == 1) burst = 1 / (1 - share); /* independent losses meet by chance */
      if (got_share < share * 0.85 || got_share > share * 1.15 || got_burst < burst * 0.9 ||
          got_burst > burst * 1.1)
        fail_msg("%s: share %f, mean run %f", impair, got_share, got_burst);
      free(d);
    }
  }
}

static void a_seed_means_one_schedule(void **state) {
  (void)state;
  size_t counts[3];
  struct delivered *d[3];
  d[0] = deliver_line("{'seed':5,'loss':0.1}", "long.wav", &counts[0]);
  d[1] = deliver_line("{'seed':5,'loss':0.1}", "long.wav", &counts[1]);
  d[2] = deliver_line("{'seed':6,'loss':0.1}", "long.wav", &counts[2]);
  assert_int_equal(counts[0], counts[1]);
  assert_memory_equal(d[0], d[1], counts[0] * sizeof **d);
  size_t both = counts[0] < counts[2] ? counts[0] : counts[2];
  assert_true(memcmp(d[0], d[2], both * sizeof **d) != 0);
  for (int i = 0; i < 3; i++) free(d[i]);
}

static void everything_or_nothing_can_be_lost(void **state) {
  (void)state;
  size_t count;
  free(deliver_line("{'loss':1,'burst':4}", "long.wav", &count));
  assert_int_equal(count, 0);
  free(deliver_line("{'loss':0,'burst':4,'seed':3}", "long.wav", &count));
  assert_int_equal(count, FRAMES_MAX);
}

/* ---- order and copies ---- */

static void duplicates_follow_their_frame(void **state) {
  (void)state;
  size_t count, twice = 0;
  struct delivered *d = deliver_line("{'seed':2,'duplicate':0.05}", "long.wav", &count);
  for (size_t i = 1; i < count; i++) {
    bool again = d[i].chunk == d[i - 1].chunk;
    if (!again) assert_int_equal(d[i].chunk, d[i - 1].chunk + 1);
    if (again) assert_int_equal(d[i].t_us, d[i - 1].t_us);
    if (again) assert_int_equal(d[i].sequence, d[i - 1].sequence);
    twice += again;
  }
  assert_int_equal(count, FRAMES_MAX + twice);
  assert_in_range(twice, FRAMES_MAX * 0.045, FRAMES_MAX * 0.055);
  free(d);
}

static void a_reordered_frame_comes_behind_its_successor(void **state) {
  (void)state;
  static const char *const files[] = {"long.wav", "stereo-long.wav"};
  for (size_t f = 0; f < 2; f++) {
    size_t count, late = 0;
    struct delivered *d = deliver_line("{'seed':2,'reorder':0.02}", files[f], &count);
    assert_int_equal(count, FRAMES_MAX);
    uint64_t highest[2] = {0, 0};
    for (size_t i = 0; i < count; i++) {
      uint64_t *high = &highest[d[i].track];
      int64_t nominal_us = ((int64_t)d[i].chunk - 1) * 1000;
      assert_true(d[i].t_us >= nominal_us); /* nothing comes before it was said */
      if (d[i].chunk < *high) {
        assert_int_equal(d[i].chunk, *high - 1); /* it was overtaken by one */
        assert_int_equal(d[i].t_us, nominal_us + 1000);
        late++;
      } else {
        assert_int_equal(d[i].t_us, nominal_us); /* the others are not moved */
        *high = d[i].chunk;
      }
    }
    assert_in_range(late, FRAMES_MAX * 0.017, FRAMES_MAX * 0.022);
    free(d);
  }
}

static void reordering_keeps_every_frame_and_every_copy(void **state) {
  (void)state;
  size_t count;
  struct delivered *d =
      deliver_line("{'seed':9,'reorder':1,'duplicate':0.5,'jitter_ms':3}", "stereo.wav", &count);
  size_t seen[2][1001] = {{0}};
  for (size_t i = 0; i < count; i++) seen[d[i].track][d[i].chunk]++;
  for (size_t track = 0; track < 2; track++)
    for (size_t chunk = 1; chunk <= 1000; chunk++) assert_in_range(seen[track][chunk], 1, 2);
  free(d);
}

/* ---- time ---- */

static void jitter_delays_within_its_bound(void **state) {
  (void)state;
  size_t count;
  int64_t most = 0, sum = 0;
  struct delivered *d =
      deliver_line("{'seed':3,'jitter_ms':0.5}", "long.wav", &count); /* below a frame: none meet */
  assert_int_equal(count, FRAMES_MAX);
  for (size_t i = 0; i < count; i++) {
    int64_t delay = d[i].t_us - (int64_t)i * 1000;
    assert_int_equal(d[i].chunk, i + 1);
    assert_in_range(delay, 0, 500);
    if (delay > most) most = delay;
    sum += delay;
  }
  assert_true(most > 490);
  assert_in_range(sum / FRAMES_MAX, 240, 260); /* uniform */
  free(d);
}

static void a_stall_holds_everything_up_to_its_end(void **state) {
  (void)state;
  size_t count;
  struct delivered *d = deliver_line("{'stall':[[0.1,0.05],[0.5,0.3]]}", "stereo.wav", &count);
  assert_int_equal(count, 2000);
  for (size_t i = 0; i < count; i++) {
    int64_t nominal_us = ((int64_t)d[i].chunk - 1) * 1000, expected_us = nominal_us;
    if (nominal_us >= 100000 && nominal_us < 150000) expected_us = 150000;
    if (nominal_us >= 500000 && nominal_us < 800000) expected_us = 800000;
    assert_int_equal(d[i].t_us, expected_us);
    assert_int_equal(d[i].chunk, i / 2 + 1);
  }
  free(d);
}

/* ---- what is refused ---- */

static void a_bad_line_says_what_is_allowed(void **state) {
  (void)state;
  static const struct {
    const char *line, *word;
  } bad[] = {
      {"{'audio':{'encoding':'PCMU'}}", "frame_ms"},
      {"{'audio':{'file':'long.wav'}}", "encoding"},
      {"{'audio':{'file':5,'encoding':'PCMU'}}", "file"},
      {"{'audio':{'file':'long.wav','encoding':'SPEEX'}}", "PCMU"},
      {"{'audio':{'file':'long.wav','encoding':'G722'}}", "PCMU"}, /* known, but we cannot make it */
      {"{'audio':{'file':'long.wav','encoding':'PCMU','frame_ms':0}}", "200"},
      {"{'audio':{'file':'long.wav','encoding':'PCMU','frame_ms':201}}", "200"},
      {"{'audio':{'file':'long.wav','encoding':'PCMU','frame_ms':'20'}}", "200"},
      {"{'audio':{'file':'absent.wav','encoding':'PCMU'}}", "absent.wav: "},
      {"{'audio':{'file':'rate.wav','encoding':'PCMU'}}", "11025 Hz"},
      {"{'audio':{'file':'three.wav','encoding':'PCMU'}}", "3 channels"},
      {"{'audio':{'file':'short.wav','encoding':'PCMU'}}", "shorter than one frame"},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':7}", "impair"},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'seed':'a'}}", "seed"},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'loss':1.01}}", "impair.loss: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'loss':'a'}}", "impair.loss: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'reorder':-0.1}}", "impair.reorder: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'duplicate':2}}", "impair.duplicate: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'burst':-1}}", "impair.burst: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'burst':[]}}", "impair.burst: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'jitter_ms':-1}}", "impair.jitter_ms: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'jitter_ms':1e300}}", "impair.jitter_ms: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':5}}", "impair.stall: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':[1,2]}}", "impair.stall: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':[[1]]}}", "impair.stall: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':[[1,'2']]}}", "impair.stall: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':[[-1,2]]}}", "impair.stall: "},
      {"{'audio':{'file':'long.wav','encoding':'PCMU'},'impair':{'stall':[[1,1e300]]}}", "impair.stall: "},
  };
  scratch_wav("rate.wav", 11025, 1, pcm, 1000);
  scratch_wav("three.wav", 8000, 3, pcm, 1000);
  scratch_wav("short.wav", 8000, 1, pcm, 159);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char why[512] = "";
    json_t *line = line_of(bad[i].line);
    struct fixture_audio *a = fixture_audio_open(line, scratch_folder, why, sizeof why);
    if (a != NULL || strstr(why, bad[i].word) == NULL) fail_msg("%s: %s", bad[i].line, why);
    json_decref(line);
  }
}

static int begin(void **state) {
  if (scratch_begin(state) != 0) return -1;
  uint32_t random = 1;
  for (size_t i = 0; i < SAMPLES; i++) {
    random = random * 1664525u + 1013904223u;
    pcm[i] = (int16_t)(random >> 16);
  }
  scratch_wav("long.wav", 8000, 1, pcm, SAMPLES);
  scratch_wav("stereo-long.wav", 8000, 2, pcm, SAMPLES / 2);
  scratch_wav("stereo.wav", 8000, 2, pcm, 8000);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_unimpaired_line_is_every_frame_in_time),
      cmocka_unit_test(the_sound_is_that_of_the_file),
      cmocka_unit_test(a_line_can_be_played_again),
      cmocka_unit_test(losses_are_those_of_the_specification),
      cmocka_unit_test(share_and_burst_are_as_asked_for_any_seed),
      cmocka_unit_test(a_seed_means_one_schedule),
      cmocka_unit_test(everything_or_nothing_can_be_lost),
      cmocka_unit_test(duplicates_follow_their_frame),
      cmocka_unit_test(a_reordered_frame_comes_behind_its_successor),
      cmocka_unit_test(reordering_keeps_every_frame_and_every_copy),
      cmocka_unit_test(jitter_delays_within_its_bound),
      cmocka_unit_test(a_stall_holds_everything_up_to_its_end),
      cmocka_unit_test(a_bad_line_says_what_is_allowed),
  };
  return cmocka_run_group_tests(tests, begin, scratch_end);
}
