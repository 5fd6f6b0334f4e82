/* agent/quality_signal.c and what the fold makes of several parts: signal.<track> of voice-quality.md 8. */
#include "dsp/signal.h"
#include "tests/fold_measured.h"
#include "tests/tones.h"

#define SIGNAL "metadata.sidetone.quality.signal."

static int16_t pcm[SOUND_MAX];

/* Seconds of a tone, the detector's word for it given. */
static struct signal_facts *heard(double seconds, double amplitude, bool speech) {
  struct signal *s = malloc(signal_bytes());
  struct signal_facts *facts = malloc(sizeof *facts);
  size_t samples = (size_t)(seconds * 8000);
  tone(pcm, 0, samples, 1000, amplitude);
  signal_init(s);
  signal_begin(s, 8000, 32124, 0);
  for (size_t n = 0; n < samples; n += 160) {
    signal_pcm(s, (int64_t)n, pcm + n, 160);
    signal_speech(s, (int64_t)n / 8, (int64_t)n / 8 + 20, speech);
  }
  signal_flush(s);
  signal_facts(s, facts);
  free(s);
  return facts;
}

static struct part *part_with(struct facts *facts, const char *id, int64_t at_ms, double seconds,
                              double amplitude) {
  struct part *part = add_part(facts, id, at_ms, PART_CLOSED, at_ms, at_ms + (int64_t)(seconds * 1000));
  measure(part, TRACK_INBOUND, (size_t)(seconds * 50), 0);
  part->track[TRACK_INBOUND].signal = heard(seconds, amplitude, true);
  return part;
}

static void names_and_reasons(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = part_with(facts, "a_1", 0, 8, 0.1);
  part->echo = (struct echo_facts){
      .verdicts = 3, .found = 2, .delay_sum_ms = 81, .erl_sum_db = 40.5, .erl_min_db = 19};
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SIGNAL "outbound", "absent"); /* it never came */
  EXPECT(document, SIGNAL "inbound.clip_share", "0.0");
  EXPECT(document, SIGNAL "inbound.clip_events", "0");
  EXPECT(document, SIGNAL "inbound.dc", "0.0");
  EXPECT(document, SIGNAL "inbound.inserted_silence_frames", "0");
  EXPECT(document, SIGNAL "inbound.bandwidth", "'nb'");
  EXPECT(document, SIGNAL "inbound.echo", "{'delay_ms':40.5,'erl_db':20.25}");
  EXPECT(document, SIGNAL "inbound.absent.noise_dbov", "'too_little_silence'");
  EXPECT(document, SIGNAL "inbound.absent.hum_hz", "'too_little_silence'");
  double level = json_number_value(at_path(document, SIGNAL "inbound.active_level_dbov"));
  assert_true(fabs(level + 23.0) < 0.1);
  assert_true(fabs(level * 100 - round(level * 100)) < 1e-9); /* dB have two decimals */
  json_decref(document);
  facts_free(facts);
}

static void echo_belongs_to_the_track_that_can_hold_one(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = part_with(facts, "a_1", 0, 8, 0.1);
  measure(part, TRACK_OUTBOUND, 400, 0);
  part->track[TRACK_OUTBOUND].signal = heard(8, 0.1, true);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SIGNAL "inbound.absent.echo", "'too_little_outbound'");
  EXPECT(document, SIGNAL "outbound.echo", "absent");
  EXPECT(document, SIGNAL "outbound.absent.echo", "absent");
  json_decref(document);
  part->echo.verdicts = 1;
  document = fold_plain(facts, NULL);
  EXPECT(document, SIGNAL "inbound.absent.echo", "'no_echo'");
  json_decref(document);
  facts_free(facts);
}

static void parts_are_one_track(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  part_with(facts, "a_1", 0, 8, 0.1)->echo =
      (struct echo_facts){.verdicts = 1, .found = 1, .delay_sum_ms = 40, .erl_sum_db = 20, .erl_min_db = 20};
  part_with(facts, "b_1", 9000, 8, 0.2)->echo =
      (struct echo_facts){.verdicts = 1, .found = 1, .delay_sum_ms = 60, .erl_sum_db = 30, .erl_min_db = 30};
  json_t *document = fold_plain(facts, NULL);
  double level = json_number_value(at_path(document, SIGNAL "inbound.active_level_dbov")),
         power = (0.1 * 0.1 + 0.2 * 0.2) / 4;
  assert_true(fabs(level - 10 * log10(power)) < 0.1);
  EXPECT(document, SIGNAL "inbound.echo", "{'delay_ms':50.0,'erl_db':25.0}");
  json_decref(document);
  facts_free(facts);
}

/* A codec that is not decoded, and a part from before there was such a thing. */
static void sound_that_was_not_heard(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 20100);
  measure_as(CODEC_G722, part, TRACK_INBOUND, 1000, 0);
  measure(part, TRACK_OUTBOUND, 1000, 0);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, SIGNAL "outbound", "absent");
  EXPECT(document, SIGNAL "inbound.flags", "[]");
  EXPECT(document, SIGNAL "inbound.active_level_dbov", "absent");
  EXPECT(document, SIGNAL "inbound.absent.active_level_dbov", "'no_decoder'");
  EXPECT(document, SIGNAL "inbound.absent.echo", "'no_decoder'");
  EXPECT(document, SIGNAL "inbound.absent.bandwidth", "'no_decoder'");
  assert_int_equal(json_object_size(at_path(document, SIGNAL "inbound.absent")), 15);
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_reasons),
      cmocka_unit_test(echo_belongs_to_the_track_that_can_hold_one),
      cmocka_unit_test(parts_are_one_track),
      cmocka_unit_test(sound_that_was_not_heard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
