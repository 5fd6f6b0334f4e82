/* agent/stream_sound.c: what is heard on a stream, and what is found wrong with it. */
#include <math.h>

#include "tests/stream_rig.h"
#include "tests/tones.h"

enum { FRAMES = SECONDS * 50 };
static int16_t far_sound[SAMPLES], near_sound[SAMPLES];

static void send_frame(struct rig *r, int track, int frame, const int16_t *pcm) {
  uint8_t payload[320];
  size_t bytes = codec_row(CODEC_PCMU)->encode(pcm + frame * 160, 160, payload, sizeof payload);
  assert_int_equal(
      send_bytes(r, frame * 20, track, (uint64_t)frame + 1, (uint64_t)frame * 20, payload, bytes, AS_TEXT),
      FRAME_FINE);
}

/* Both tracks; of inbound, frames for which `lost` says so do not come. */
static void send_call(struct rig *r, int first, int end, bool (*lost)(int frame)) {
  for (int i = first; i < end; i++) {
    if (!lost || !lost(i)) send_frame(r, 0, i, near_sound);
    send_frame(r, 1, i, far_sound);
    if (i % 50 == 49) stream_tick(r->s, at_ms(r, i * 20 + 19));
  }
}

/* Speech-like: three seconds of noise on, one and a half off. */
static void talk(int16_t *pcm, uint64_t seed) {
  memset(pcm, 0, SAMPLES * sizeof *pcm);
  for (size_t at = 0; at < SAMPLES; at += 4000)
    mix_noise(pcm, at, at + 4000, at / 4000 % 9 >= 3 ? 0.05 : 0.0003, seed + at);
}

static size_t rows_of(const struct part *part, enum finding_kind kind) {
  size_t rows = 0;
  for (size_t i = 0; i < part->findings->row_count; i++) rows += part->findings->rows[i].kind == kind;
  return rows;
}

static const struct finding_row *row_of(const struct part *part, enum finding_kind kind) {
  for (size_t i = 0; i < part->findings->row_count; i++)
    if (part->findings->rows[i].kind == kind) return &part->findings->rows[i];
  fail_msg("no such finding");
  return NULL;
}

static void sound_and_its_echo_are_facts_of_the_part(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  talk(far_sound, 1);
  for (int k = 800; k < SAMPLES; k++) near_sound[k] = (int16_t)(far_sound[k - 800] / 4);
  start(&r, 0, "PCMU", 8000);
  send_call(&r, 0, 30 * 50, NULL);
  struct part *part = finish(&r, 30000);
  for (int t = 0; t < TRACK_COUNT; t++) {
    assert_non_null(part->track[t].signal);
    assert_int_equal(part->track[t].signal->measured_us, 30000000);
    assert_int_equal(part->track[t].signal->missing_us, 0);
  }
  double delay_ms, erl_db;
  assert_true(echo_figures(&part->echo, &delay_ms, &erl_db));
  assert_true(fabs(delay_ms - 100) < 2);
  assert_true(fabs(erl_db - 12) < 1);
  assert_int_equal(rows_of(part, FINDING_ECHO), 1);
  part_free(part);
}

static bool every_tenth(int frame) {
  return frame % 10 == 9;
}

static void windows_with_loss_are_a_finding_at_last(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  talk(far_sound, 1);
  talk(near_sound, 2);
  start(&r, 0, "PCMU", 8000);
  send_call(&r, 0, 32 * 50, every_tenth);
  /* The third window is not over for the ledger, the first two are. */
  struct part *live = stream_part(r.s), *part;
  assert_int_equal(rows_of(live, FINDING_LOSS), 1);
  const struct finding_row *row = row_of(live, FINDING_LOSS);
  assert_int_equal(row->end_ms, -1);
  assert_int_equal(row->severity, FINDING_HIGH);
  assert_true(fabs(row->detail - 10) < 1); /* % of frames */
  part_free(live);
  part = finish(&r, 32000);
  assert_int_equal(rows_of(part, FINDING_LOSS), 1);
  part_free(part);
}

/* Both windows end with the stream: no tick has seen the second. */
static void the_last_windows_are_judged_at_the_end(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  talk(far_sound, 1);
  talk(near_sound, 2);
  start(&r, 0, "PCMU", 8000);
  send_call(&r, 0, 20 * 50, every_tenth);
  struct part *live = stream_part(r.s);
  assert_int_equal(rows_of(live, FINDING_LOSS), 0);
  part_free(live);
  struct part *part = finish(&r, 20000);
  assert_true(fabs(row_of(part, FINDING_LOSS)->detail - 10) < 1);
  assert_int_equal(rows_of(part, FINDING_LOSS), 1);
  part_free(part);
}

static bool half_a_minute(int frame) {
  return frame >= 10 * 50 && frame < 40 * 50;
}

/* The windows of a long hole are all over with the frame behind it. */
static void every_window_of_a_hole_is_judged(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  talk(far_sound, 1);
  talk(near_sound, 2);
  start(&r, 0, "PCMU", 8000);
  send_call(&r, 0, 60 * 50, half_a_minute);
  struct part *part = finish(&r, 60000);
  const struct finding_row *row = row_of(part, FINDING_LOSS);
  assert_int_equal(row->start_ms, 10000);
  assert_int_equal(row->end_ms, 40000);
  assert_true(row->value < 20 && row->detail == 100);
  part_free(part);
}

/* Opus at 6 kbit/s without variation has R 47 of its own: without loss that is none, at the end neither. */
static void a_poor_codec_is_no_loss(void **state) {
  (void)state;
  for (int lost = 0; lost < 2; lost++) {
    struct rig r;
    uint8_t payload[15] = {1 << 3}; /* SILK, narrowband, 20 ms */
    rig_begin(&r);
    start(&r, 0, "OPUS", 48000);
    for (int i = 0; i < 30 * 50; i++) {
      if (lost && i % 10 == 9) continue;
      send_bytes(&r, i * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, sizeof payload, AS_TEXT);
      if (i % 50 == 49) stream_tick(r.s, at_ms(&r, i * 20 + 19));
    }
    struct part *part = finish(&r, 30000);
    const struct delivery_facts *f = delivery_of(part, 0);
    assert_true(f->worst_r[delivery_model(CONSUMER_PLAYOUT, false)] < (lost ? 45 : 60));
    assert_int_equal(rows_of(part, FINDING_LOSS), lost);
    part_free(part);
  }
}

static void silence_put_in_before_us_is_lost_sound(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  memset(far_sound, 0, sizeof far_sound);
  mix_noise(far_sound, 0, SAMPLES, 0.1, 1);
  memset(far_sound + 300 * 160, 0, 3 * 160 * sizeof *far_sound);
  memset(near_sound, 0, sizeof near_sound);
  mix_noise(near_sound, 0, SAMPLES, 0.1, 3);
  for (int f = 50; f < 1450; f += 25) memset(near_sound + f * 160, 0, 160 * sizeof *near_sound);
  start(&r, 0, "PCMU", 8000);
  send_call(&r, 0, 30 * 50, NULL);
  struct part *part = finish(&r, 30000);
  const struct delivery_facts *f = delivery_of(part, 0);
  assert_int_equal(part->track[0].signal->inserted_silence_frames, 56);
  assert_int_equal(f->inserted_silence_frames, 56);
  assert_int_equal(delivery_of(part, 1)->inserted_silence_frames, 3);
  /* And in R: windows of 4 % against windows of none. */
  size_t model = delivery_model(CONSUMER_PLAYOUT, false);
  assert_int_equal(f->window_count, 3);
  assert_true(f->windows[1].r[model] < 60);
  assert_true(delivery_of(part, 1)->windows[1].r[model] > 93);
  struct delivery_figures figures;
  const struct delivery_view view = {.consumer = CONSUMER_PLAYOUT};
  delivery_figures(f, codec_row(CODEC_PCMU), &view, &figures);
  assert_true(fabs(figures.ppl_pct.value - 100.0 * 56 / 1500) < 1e-9);
  assert_true(figures.loss_pct.value == 0);
  assert_int_equal(f->bad_frames[CONSUMER_PLAYOUT], 56);
  assert_int_equal(f->bad_runs[CONSUMER_PLAYOUT], 56);
  assert_int_equal(rows_of(part, FINDING_INSERTED_SILENCE), 1);
  part_free(part);
}

/* Long runs, each in one piece although a number is missing before it and the decoder waits for that; and what
 * comes half a second late was lost to playout anyway. */
static void silence_is_bursts(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  memset(near_sound, 0, sizeof near_sound);
  mix_noise(near_sound, 0, SAMPLES, 0.1, 3);
  for (int f = 100; f < 1400; f += 100) memset(near_sound + f * 160, 0, 10 * 160 * sizeof *near_sound);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 1500; i++) {
    uint8_t payload[160];
    if (i % 200 == 97) continue; /* before 6 of the 13 runs */
    bool held = i >= 1300 && i < 1330;
    size_t bytes = codec_row(CODEC_PCMU)->encode(near_sound + i * 160, 160, payload, sizeof payload);
    send_bytes(&r, (held ? 1330 : i) * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, bytes, AS_TEXT);
  }
  struct part *part = finish(&r, 30000);
  const struct delivery_facts *f = delivery_of(part, 0);
  assert_int_equal(part->track[0].signal->inserted_silence_frames, 130);
  assert_int_equal(f->inserted_silence_frames, 130);
  assert_int_equal(f->longest_run[CONSUMER_ASR_STREAM], 10);
  assert_int_equal(f->bad_frames[CONSUMER_ASR_STREAM], 130 + 8);
  assert_int_equal(f->burst_count[CONSUMER_ASR_STREAM], 13);
  assert_int_equal(f->inserted_silence_discarded, 10);
  assert_int_equal(f->bad_frames[CONSUMER_PLAYOUT], 130 + 8 + 1); /* and the one that made it conceal */
  part_free(part);
}

/* A number is missing, so what is behind it waits in the decoder; then something moves the ledger on. */
static void silence_is_found_before_its_frames_are_settled(void **state) {
  (void)state;
  enum { ONE_LOST, HOLE, HOLE_AT_ONCE, RESTART, OTHER_FORMAT, CASES };
  for (int how = 0; how < CASES; how++) {
    struct rig r;
    rig_begin(&r);
    memset(near_sound, 0, sizeof near_sound);
    mix_noise(near_sound, 0, SAMPLES, 0.1, 3);
    memset(near_sound + 302 * 160, 0, 160 * sizeof *near_sound);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < 500; i++) {
      bool hole = (how == HOLE || how == HOLE_AT_ONCE) && i >= 305 && i < 370;
      bool other = how == OTHER_FORMAT && i >= 305;
      int ms = how == HOLE_AT_ONCE && i >= 301 && i < 380 ? 380 * 20 : i * 20; /* all in one reading */
      int number = how == RESTART && i >= 304 ? i + 100000 : i + 1;
      if (other && i == 305) assert_true(start(&r, i * 20, "PCMA", 8000));
      uint8_t payload[160];
      if (i == 300 || hole) continue;
      size_t bytes = codec_row(other ? CODEC_PCMA : CODEC_PCMU)
                         ->encode(near_sound + i * 160, 160, payload, sizeof payload);
      send_bytes(&r, ms, 0, (uint64_t)number, (uint64_t)i * 20, payload, bytes, AS_TEXT);
    }
    struct part *part = finish(&r, 10000);
    assert_int_equal(part->track[0].signal->inserted_silence_frames, 1);
    assert_int_equal(delivery_of(part, 0)->inserted_silence_frames, 1);
    part_free(part);
  }
}

/* A gap of one frame is whole frames of that stream: 10 ms here, which no frame of 20 ms would be. */
static void silence_is_of_the_streams_own_frames(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  memset(near_sound, 0, sizeof near_sound);
  mix_noise(near_sound, 0, SAMPLES, 0.1, 3);
  for (int f = 100; f < 2900; f += 51) memset(near_sound + f * 80, 0, 80 * sizeof *near_sound);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 3000; i++) {
    uint8_t payload[160];
    size_t bytes = codec_row(CODEC_PCMU)->encode(near_sound + i * 80, 80, payload, sizeof payload);
    assert_int_equal(send_bytes(&r, i * 10, 0, (uint64_t)i + 1, (uint64_t)i * 10, payload, bytes, AS_TEXT),
                     FRAME_FINE);
  }
  struct part *part = finish(&r, 30000);
  assert_int_equal(delivery_of(part, 0)->inserted_silence_frames, 55);
  assert_int_equal(delivery_of(part, 0)->bad_frames[CONSUMER_ASR_STREAM], 55);
  part_free(part);
}

static bool first_minute_only(int frame) {
  return frame >= 20 * 50 && frame < 40 * 50;
}

static void nothing_is_missed_on_hold(void **state) {
  (void)state;
  for (int held = 0; held < 2; held++) {
    struct rig r;
    rig_begin(&r);
    talk(far_sound, 1);
    talk(near_sound, 2);
    start(&r, 0, "PCMU", 8000);
    send_call(&r, 0, 20 * 50, NULL);
    stream_hold(r.s, at_ms(&r, 20000), held);
    send_call(&r, 20 * 50, 40 * 50, first_minute_only);
    stream_hold(r.s, at_ms(&r, 40000), false);
    send_call(&r, 40 * 50, 60 * 50, NULL);
    struct part *part = finish(&r, 60000);
    assert_int_equal(rows_of(part, FINDING_NO_MEDIA), !held);
    part_free(part);
  }
}

/* Only what we asked for is missed. */
static void a_track_that_never_comes(void **state) {
  (void)state;
  for (int asked = 0; asked < 2; asked++) {
    struct rig r;
    rig_begin_with(&r, &(struct stream_options){.expects_inbound = asked});
    talk(far_sound, 1);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < 10 * 50; i++) {
      send_frame(&r, 1, i, far_sound);
      if (i % 50 == 49) stream_tick(r.s, at_ms(&r, i * 20 + 19));
    }
    struct part *part = finish(&r, 10000);
    assert_int_equal(rows_of(part, FINDING_NO_MEDIA), asked);
    if (asked) {
      const struct finding_row *row = row_of(part, FINDING_NO_MEDIA);
      assert_int_equal(row->track, TRACK_INBOUND);
      assert_int_equal(row->severity, FINDING_CRITICAL);
      assert_true(row->value >= 9000);
    }
    part_free(part);
  }
}

/* Of a codec without a decoder there is delivery, and no sound. */
static void what_cannot_be_decoded_is_not_heard(void **state) {
  (void)state;
  struct rig r;
  uint8_t payload[160] = {0};
  rig_begin(&r);
  start(&r, 0, "G722", 8000);
  for (int i = 0; i < 1000; i++)
    send_bytes(&r, i * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, 160, AS_TEXT);
  struct part *part = finish(&r, 20000);
  assert_int_equal(delivery_of(part, 0)->received_frames, 1000);
  assert_null(part->track[0].signal);
  assert_int_equal(part->echo.verdicts, 0);
  assert_non_null(part->findings);
  part_free(part);
}

/* mu-law's greatest sample lies below 99 % of what 16 bits hold. */
static uint64_t clipped_samples(const char *leg, const char *encoding) {
  struct rig r;
  int16_t loud[160];
  for (int i = 0; i < 160; i++) loud[i] = i % 40 < 20 ? 32124 : -32124;
  rig_begin(&r);
  if (leg != NULL) stream_leg_codec(r.s, leg);
  start(&r, 0, encoding, 8000);
  for (int i = 0; i < 200; i++) {
    uint8_t payload[320];
    size_t bytes = codec_find(encoding, strlen(encoding), 8000)->encode(loud, 160, payload, sizeof payload);
    send_bytes(&r, i * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, bytes, AS_TEXT);
  }
  struct part *part = finish(&r, 4000);
  uint64_t samples = part->track[0].signal->clip_samples;
  part_free(part);
  return samples;
}

static void linear_sound_clips_where_its_leg_does(void **state) {
  (void)state;
  assert_int_equal(clipped_samples(NULL, "PCMU"), 200 * 160);
  assert_int_equal(clipped_samples("PCMU", "L16"), 200 * 160);
  assert_int_equal(clipped_samples("", "L16"), 0);
  assert_int_equal(clipped_samples("G722", "L16"), 0);
  assert_int_equal(clipped_samples("OPUS", "PCMU"), 200 * 160); /* the stream's own coding came last */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sound_and_its_echo_are_facts_of_the_part),
      cmocka_unit_test(windows_with_loss_are_a_finding_at_last),
      cmocka_unit_test(the_last_windows_are_judged_at_the_end),
      cmocka_unit_test(every_window_of_a_hole_is_judged),
      cmocka_unit_test(a_poor_codec_is_no_loss),
      cmocka_unit_test(silence_put_in_before_us_is_lost_sound),
      cmocka_unit_test(silence_is_bursts),
      cmocka_unit_test(silence_is_found_before_its_frames_are_settled),
      cmocka_unit_test(silence_is_of_the_streams_own_frames),
      cmocka_unit_test(nothing_is_missed_on_hold),
      cmocka_unit_test(a_track_that_never_comes),
      cmocka_unit_test(what_cannot_be_decoded_is_not_heard),
      cmocka_unit_test(linear_sound_clips_where_its_leg_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
