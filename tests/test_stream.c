/* agent/stream.c: the way of one socket's frames. The stages behind it have tests of their own; here is what
 * the stream decides: what waits and when it runs, formats, origins, ends. */
#include "tests/stream_rig.h"

/* ---- numbers ---- */

static void numbers_come_as_text_as_numbers_or_not_at_all(void **state) {
  (void)state;
  struct part *part[3];
  for (int form = AS_TEXT; form <= ABSENT; form++) {
    struct rig r;
    rig_begin(&r);
    assert_true(start(&r, 0, "PCMU", 8000));
    send_both(&r, 10, 0, 500, (enum numbers)form);
    part[form] = finish(&r, 11000);
    for (int track = 0; track < 2; track++) {
      const struct delivery_facts *d = delivery_of(part[form], track);
      assert_int_equal(d->received_frames, 500);
      assert_int_equal(d->expected_frames, 500);
      assert_int_equal(d->end_us, 10000000);
    }
    assert_int_equal(part[form]->speech->duration_ms, 10000);
    assert_int_equal(r.metrics.media_frames[MEDIA_OK], 1000);
  }
  assert_true(part[0]->speech->talk_ms[0] > 500); /* there is something to compare */
  expect_same_measure(part[AS_TEXT], part[AS_NUMBERS], "text and numbers");
  assert_int_equal(part[ABSENT]->speech->talk_ms[0], part[AS_TEXT]->speech->talk_ms[0]);
  assert_int_equal(part[ABSENT]->speech->talk_ms[1], part[AS_TEXT]->speech->talk_ms[1]);
  assert_int_equal(part[ABSENT]->speech->overlap_ms, part[AS_TEXT]->speech->overlap_ms);
  for (int i = 0; i < 3; i++) part_free(part[i]);
}

/* ---- before the start ---- */

static void media_before_the_start_waits_2_s(void **state) {
  (void)state;
  enum { EARLY = 150, LATER = 400, HELD = 101 }; /* 3 s, of which those of the last 2 s stay */
  struct rig late, whole;
  rig_begin(&late);
  send_both(&late, 0, 0, EARLY, AS_TEXT);
  struct part *meanwhile = stream_part(late.s);
  assert_null(meanwhile->track[0].delivery); /* nothing is known of it yet */
  assert_null(meanwhile->speech);
  assert_int_equal(meanwhile->frames_before_start_dropped, 2 * (EARLY - HELD));
  part_free(meanwhile);
  assert_true(start(&late, EARLY * 20, "PCMU", 8000));
  send_both(&late, EARLY * 20, EARLY, LATER, AS_TEXT);
  struct part *a = finish(&late, 20000);
  assert_int_equal(a->frames_before_start_dropped, 2 * (EARLY - HELD));
  assert_int_equal(late.metrics.media_frames[MEDIA_BEFORE_START], 2 * (EARLY - HELD));
  assert_int_equal(late.metrics.media_frames[MEDIA_OK], 2 * (HELD + LATER));
  assert_int_equal(delivery_of(a, 0)->received_frames, HELD + LATER);
  assert_int_equal(delivery_of(a, 0)->expected_frames, HELD + LATER); /* what was dropped is not loss */
  assert_int_equal(a->first_frame_ms, wall_zero_us / 1000);
  assert_int_equal(a->start_ms, wall_zero_us / 1000 + EARLY * 20);
  /* The same frames behind a start give the same figures. */
  rig_begin(&whole);
  start(&whole, 0, "PCMU", 8000);
  send_both(&whole, (EARLY - HELD) * 20, EARLY - HELD, HELD + LATER, AS_TEXT);
  struct part *b = finish(&whole, 20000);
  for (int track = 0; track < 2; track++) {
    assert_int_equal(delivery_of(a, track)->end_us, delivery_of(b, track)->end_us);
    assert_int_equal(delivery_of(a, track)->jitter_count, delivery_of(b, track)->jitter_count);
    assert_int_equal(a->speech->talk_ms[track], b->speech->talk_ms[track]);
    assert_int_equal(a->speech->turns[track], b->speech->turns[track]);
  }
  assert_int_equal(a->speech->overlap_ms, b->speech->overlap_ms);
  part_free(a);
  part_free(b);
}

static void the_start_says_how_held_frames_are_decoded(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 90; i++) send_sound(&r, i * 20, 0, i + 1, i, CODEC_L16_8K, AS_TEXT);
  assert_true(start(&r, 1800, "L16", 8000));
  for (int i = 90; i < 200; i++) send_sound(&r, i * 20, 0, i + 1, i, CODEC_L16_8K, AS_TEXT);
  struct part *part = finish(&r, 5000);
  assert_int_equal(part->track[0].ptime_us, 20000); /* 320 bytes are 20 ms now, not 40 */
  assert_int_equal(delivery_of(part, 0)->received_frames, 200);
  assert_int_equal(delivery_of(part, 0)->end_us, 4000000);
  assert_string_equal(part->track[0].encoding, "L16");
  part_free(part);
}

/* All there is came before the start, in frames of a length that nobody would guess. */
static void held_frames_alone_tell_the_time_base(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  uint8_t payload[240];
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 60; i++)
    send_bytes(&r, (int64_t)i * 30, 0, i + 1, i * 30, payload, sizeof payload, AS_TEXT);
  start(&r, 1800, "PCMU", 8000);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 60); /* over 50: decided at once */
  struct part *part = finish(&r, 2000);
  assert_int_equal(part->track[0].ptime_us, 30000);
  assert_int_equal(part->track[0].ts_unit, TS_MS);
  assert_int_equal(part->track[0].chunk_scope, CHUNK_PER_TRACK);
  part_free(part);
}

static void without_a_start_everything_is_dropped_and_counted(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 120; i++) send_voice(&r, i * 20, i % 2, i / 2 + 1, i);
  struct part *part = finish(&r, 3000);
  assert_int_equal(part->frames_before_start_dropped, 120);
  assert_int_equal(r.metrics.media_frames[MEDIA_BEFORE_START], 120);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0);
  assert_null(part->track[0].delivery);
  assert_null(part->speech);
  part_free(part);
}

/* ---- origins ---- */

/* The outbound track begins `media_ms` later by its numbers, its first frame arrives at `arrival_ms`, the
 * rest as they should. */
static int64_t origin_apart_us(int64_t media_ms, int64_t arrival_ms, enum numbers numbers) {
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  int skipped = (int)(media_ms / 20);
  for (int i = 0; i < 400; i++) {
    int64_t ms = i * 20;
    send_sound(&r, ms, 0, i + 1, i, CODEC_PCMU, numbers);
    if (ms < arrival_ms) continue;
    if (ms < arrival_ms + 20) /* what was late comes at once */
      for (int k = skipped; k * 20 < ms; k++) send_sound(&r, ms, 1, k + 1, k, CODEC_PCMU, numbers);
    send_sound(&r, ms, 1, i + 1, i, CODEC_PCMU, numbers);
  }
  struct part *part = finish(&r, 9000);
  int64_t apart = delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us;
  assert_int_equal(delivery_of(part, 0)->origin_us, part->first_frame_ms * 1000);
  part_free(part);
  return apart;
}

static void tracks_are_placed_on_one_clock(void **state) {
  (void)state;
  assert_int_equal(origin_apart_us(0, 0, AS_TEXT), 0);
  assert_int_equal(origin_apart_us(1000, 1000, AS_TEXT), 1000000);
  assert_int_equal(origin_apart_us(1000, 1080, AS_TEXT), 1000000); /* by its timestamp, though late */
  assert_int_equal(origin_apart_us(3000, 3140, AS_TEXT), 3000000); /* the other one has long been decided */
  assert_int_equal(origin_apart_us(1000, 1080, ABSENT), 1080000);  /* nothing but the arrival is known */
  assert_int_equal(origin_apart_us(0, 1000, AS_TEXT), 0);          /* a second in one bunch */
}

/* Timestamps that have no zero in common: each track by its arrival. */
static void timestamps_of_two_clocks_are_not_compared(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 300; i++) {
    send_voice(&r, i * 20, 0, i + 1, i);
    if (i >= 50) send_voice(&r, i * 20, 1, i - 50 + 1 + 100000, i); /* 1 s later, from 2,000 s */
  }
  struct part *part = finish(&r, 9000);
  assert_int_equal(delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us, 1000000);
  part_free(part);
}

/* ---- formats ---- */

static void a_second_start_changes_the_format(void **state) {
  (void)state;
  static const enum codec_id then[] = {CODEC_PCMU, CODEC_PCMA, CODEC_L16_8K};
  static const char *const names[] = {"PCMU", "PCMA", "L16"};
  uint64_t talk_ms[3];
  for (int k = 0; k < 3; k++) {
    struct rig r;
    rig_begin(&r);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < 1000; i++) {
      if (i == 475) assert_true(start(&r, i * 20, names[k], 8000));
      send_sound(&r, i * 20, 0, i + 1, i, i < 475 ? CODEC_PCMU : then[k], AS_TEXT);
      send_sound(&r, i * 20, 1, i + 1, -1, i < 475 ? CODEC_PCMU : then[k], AS_TEXT);
    }
    struct part *part = finish(&r, 21000);
    assert_int_equal(part->formats, 2);
    assert_string_equal(part->track[0].encoding, names[k]);
    assert_int_equal(delivery_of(part, 0)->received_frames, 1000);
    assert_int_equal(delivery_of(part, 0)->expected_frames, 1000);
    assert_int_equal(delivery_of(part, 0)->end_us, 20000000);
    assert_int_equal(part->speech->duration_ms, 20000);
    talk_ms[k] = part->speech->talk_ms[0];
    assert_int_equal(part->speech->talk_ms[1], 0);
    part_free(part);
  }
  assert_true(talk_ms[0] > 2000);
  for (int k = 1; k < 3; k++) assert_in_range(talk_ms[k], talk_ms[0] * 9 / 10, talk_ms[0] * 11 / 10);
}

/* Too few for a decision when the second start comes: they are of the first format all the same. */
static void what_waits_at_a_second_start_keeps_its_format(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  uint8_t payload[320];
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 20; i++) /* 40 ms of PCMU, 20 ms of L16 */
    send_bytes(&r, (int64_t)i * 40, 0, i + 1, i * 40, payload, sizeof payload, AS_TEXT);
  start(&r, 800, "L16", 8000);
  for (uint64_t i = 0; i < 100; i++)
    send_bytes(&r, 800 + (int64_t)i * 20, 0, i + 21, 800 + i * 20, payload, sizeof payload, AS_TEXT);
  struct part *part = finish(&r, 3000);
  assert_int_equal(delivery_of(part, 0)->received_frames, 120);
  assert_int_equal(delivery_of(part, 0)->expected_us, 2800000);
  assert_in_range(part->speech->duration_ms, 2780, 2800); /* the seam is one frame of either length */
  part_free(part);
}

static void an_unknown_codec_is_ignored_until_a_known_one_comes(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  for (int i = 0; i < 10; i++) send_voice(&r, i * 20, 0, i + 1, i); /* held for a start that is of no use */
  assert_false(start(&r, 200, "SPEEX", 8000));
  for (int i = 10; i < 40; i++) send_voice(&r, i * 20, 0, i + 1, i);
  struct part *meanwhile = stream_part(r.s);
  assert_int_equal(meanwhile->frames_ignored, 40);
  assert_string_equal(meanwhile->track[0].encoding, "SPEEX");
  part_free(meanwhile);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0);
  assert_true(start(&r, 800, "PCMU", 8000));
  for (int i = 40; i < 140; i++) send_voice(&r, i * 20, 0, i + 1, i);
  struct part *part = finish(&r, 3000);
  assert_int_equal(part->frames_ignored, 40);
  assert_int_equal(delivery_of(part, 0)->received_frames, 100);
  assert_int_equal(part->formats, 2);
  part_free(part);
}

static void a_codec_without_decoder_is_timed_but_not_heard(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  assert_true(start(&r, 0, "G722", 8000));
  uint8_t payload[160] = {0};
  for (int i = 0; i < 100; i++)
    send_bytes(&r, i * 20, 0, (uint64_t)i + 1, (uint64_t)i * 20, payload, 160, AS_TEXT);
  struct part *part = finish(&r, 3000);
  assert_null(part->speech);
  assert_int_equal(delivery_of(part, 0)->received_frames, 100);
  assert_int_equal(delivery_of(part, 0)->end_us, 2000000);
  part_free(part);
}

/* ---- tracks that are not there ---- */

static struct part *inbound_with(int outbound_frames, int frames) {
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < frames; i++) {
    send_voice(&r, i * 20, 0, i + 1, i);
    if (i < outbound_frames) send_voice(&r, i * 20, 1, i + 1, -1);
    if (i % 50 == 49) stream_tick(r.s, at_ms(&r, i * 20));
  }
  return finish(&r, frames * 20 + 1000);
}

static void a_track_that_stops_or_never_comes_is_silent(void **state) {
  (void)state;
  enum { FRAMES = 3000 }; /* a minute */
  struct part *both = inbound_with(FRAMES, FRAMES), *stops = inbound_with(250, FRAMES),
              *one = inbound_with(0, FRAMES);
  assert_true(both->speech->talk_ms[0] > 5000);
  const struct part *others[] = {stops, one};
  for (int i = 0; i < 2; i++) {
    const struct speech_facts *a = both->speech, *b = others[i]->speech;
    assert_int_equal(b->duration_ms, 60000);
    assert_int_equal(b->talk_ms[0], a->talk_ms[0]);
    assert_int_equal(b->talk_ms[1], 0);
    assert_int_equal(b->pauses[0], a->pauses[0]);
    assert_int_equal(b->turns[0], a->turns[0]);
    assert_int_equal(b->silence_ms, a->silence_ms);
    assert_int_equal(b->forced_cuts, 0);
  }
  assert_int_equal(both->speech->present[1], 1);
  assert_int_equal(stops->speech->present[1], 1);
  assert_int_equal(one->speech->present[1], 0);
  assert_null(one->track[1].delivery);
  assert_false(one->track[1].seen);
  assert_int_equal(delivery_of(stops, 1)->received_frames, 250);
  part_free(both);
  part_free(stops);
  part_free(one);
}

static void a_track_that_joins_late_is_heard(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 2000; i++) {
    send_voice(&r, i * 20, 0, i + 1, -1);
    if (i >= 1500) send_voice(&r, i * 20, 1, i - 1500 + 1, i - 1500); /* counts from its own first frame */
  }
  struct part *part = finish(&r, 41000);
  assert_int_equal(delivery_of(part, 1)->received_frames, 500);
  assert_int_equal(delivery_of(part, 1)->origin_us - delivery_of(part, 0)->origin_us, 30000000);
  assert_true(part->speech->talk_ms[1] > 500);
  assert_true(part->speech->first_speech_ms[1] >= 31000);
  assert_int_equal(part->speech->duration_ms, 40000);
  part_free(part);
}

/* ---- few and large frames ---- */

static void a_short_stream_is_decided_at_its_end(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  for (int i = 0; i < 7; i++) send_voice(&r, i * 20, 0, i + 1, i);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 0); /* waits for its time base */
  struct part *part = finish(&r, 200);
  assert_int_equal(r.metrics.media_frames[MEDIA_OK], 7);
  assert_int_equal(delivery_of(part, 0)->received_frames, 7);
  assert_int_equal(part->speech->duration_ms, 140);
  assert_int_equal(part->closed_ms, wall_zero_us / 1000 + 200);
  part_free(part);
}

static void on_decision(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  (void)score;
  speech_feed(arg, 0, from_ms, to_ms, speech);
}

/* Talk time of the talker's first `frames`, one of them lost, heard without a stream. */
static uint64_t talk_heard_ms(int frames, int lost) {
  const struct codec *pcmu = codec_row(CODEC_PCMU);
  struct codec_decoder decoder;
  struct speech *speech = malloc(speech_bytes());
  struct speech_facts *facts = malloc(sizeof *facts);
  struct hearing *hearing = hearing_create(on_decision, speech);
  speech_init(speech, &speech_defaults);
  codec_decoder_init(&decoder, pcmu);
  for (int i = 0; i < frames; i++) {
    uint8_t payload[160];
    int16_t pcm[160];
    pcmu->encode(voice + i * 160, 160, payload, sizeof payload);
    assert_int_equal(codec_decode(&decoder, payload, 160, pcm, 160), 160);
    hearing_pcm(hearing, i * 160, i == lost ? NULL : pcm, 160);
  }
  hearing_flush(hearing);
  speech_facts(speech, frames * 20, facts);
  uint64_t talk_ms = facts->talk_ms[0];
  hearing_free(hearing);
  free(speech);
  free(facts);
  return talk_ms;
}

/* The end comes in the middle of a word, while frames behind a lost one still wait for it. */
static void a_stream_is_heard_to_its_last_frame(void **state) {
  (void)state;
  for (int frames = 180; frames < 220; frames += 3) {
    struct rig r;
    rig_begin(&r);
    start(&r, 0, "PCMU", 8000);
    for (int i = 0; i < frames; i++)
      if (i != frames - 6) send_voice(&r, i * 20, 0, i + 1, i);
    struct part *part = finish(&r, frames * 20);
    assert_int_equal(part->speech->talk_ms[0], talk_heard_ms(frames, frames - 6));
    part_free(part);
  }
}

static void large_payloads_do_not_wait_for_room(void **state) {
  (void)state;
  static uint8_t payload[70000];
  struct rig r;
  rig_begin(&r);
  start(&r, 0, "PCMU", 8000);
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 5; i++)
    assert_int_equal(send_bytes(&r, (int64_t)i * 8192, 0, i + 1, i * 8192, payload, 65536, AS_TEXT),
                     FRAME_FINE);
  assert_int_equal(send_bytes(&r, 50000, 0, 6, 6 * 8192, payload, 70000, AS_TEXT), FRAME_TOO_LARGE);
  struct part *part = finish(&r, 50000);
  assert_int_equal(delivery_of(part, 0)->received_frames, 5);
  assert_int_equal(part->speech->duration_ms, 5 * 8192);
  assert_int_equal(part->track[0].payload_bytes, 5 * 65536);
  part_free(part);
}

/* Before the start too: the oldest give way. */
static void large_payloads_before_the_start_push_out_older_ones(void **state) {
  (void)state;
  static uint8_t payload[65536];
  struct rig r;
  rig_begin(&r);
  memset(payload, 0xff, sizeof payload);
  for (uint64_t i = 0; i < 5; i++)
    send_bytes(&r, (int64_t)i * 10, 0, i + 1, i * 8192, payload, 65536, AS_TEXT);
  start(&r, 100, "PCMU", 8000);
  struct part *part = finish(&r, 200);
  assert_int_equal(part->frames_before_start_dropped, 3);
  assert_int_equal(r.metrics.media_frames[MEDIA_BEFORE_START], 3);
  assert_int_equal(delivery_of(part, 0)->received_frames, 2);
  part_free(part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_come_as_text_as_numbers_or_not_at_all),
      cmocka_unit_test(media_before_the_start_waits_2_s),
      cmocka_unit_test(the_start_says_how_held_frames_are_decoded),
      cmocka_unit_test(held_frames_alone_tell_the_time_base),
      cmocka_unit_test(without_a_start_everything_is_dropped_and_counted),
      cmocka_unit_test(tracks_are_placed_on_one_clock),
      cmocka_unit_test(timestamps_of_two_clocks_are_not_compared),
      cmocka_unit_test(a_second_start_changes_the_format),
      cmocka_unit_test(what_waits_at_a_second_start_keeps_its_format),
      cmocka_unit_test(an_unknown_codec_is_ignored_until_a_known_one_comes),
      cmocka_unit_test(a_codec_without_decoder_is_timed_but_not_heard),
      cmocka_unit_test(a_track_that_stops_or_never_comes_is_silent),
      cmocka_unit_test(a_track_that_joins_late_is_heard),
      cmocka_unit_test(a_short_stream_is_decided_at_its_end),
      cmocka_unit_test(a_stream_is_heard_to_its_last_frame),
      cmocka_unit_test(large_payloads_do_not_wait_for_room),
      cmocka_unit_test(large_payloads_before_the_start_push_out_older_ones),
  };
  talker_fill(voice, SAMPLES, 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
