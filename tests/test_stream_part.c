/* agent/stream_part.c: what a stream knows besides sound, and that looking at it changes nothing. */
#include "tests/stream_rig.h"

static void expect_json(const json_t *value, const char *expected) {
  json_t *wanted = json_loads(expected, 0, NULL);
  assert_non_null(wanted);
  assert_true(json_equal(document_reader(value), wanted));
  json_decref(wanted);
}

static void looking_changes_nothing(void **state) {
  (void)state;
  struct rig quiet, watched;
  rig_begin(&quiet);
  rig_begin(&watched);
  start(&quiet, 0, "PCMU", 8000);
  start(&watched, 0, "PCMU", 8000);
  uint64_t n = 0;
  for (int i = 0; i < 400; i++) {
    int lost = i % 37 == 36, late = i % 41 == 40 ? 60 : 0;
    if (lost) continue;
    send_voice(&quiet, i * 20 + late, 0, i + 1, i);
    send_voice(&watched, i * 20 + late, 0, i + 1, i);
    send_voice(&quiet, i * 20 + late, 1, i + 1, i + 200);
    send_voice(&watched, i * 20 + late, 1, i + 1, i + 200);
    assert_true(stream_changed(watched.s));
    struct part *look = stream_part(watched.s);
    assert_int_equal(look->n, ++n);
    assert_int_equal(look->state, PART_OPEN);
    part_free(look);
    assert_false(stream_changed(watched.s));
  }
  struct part *a = finish(&quiet, 9000), *b = finish(&watched, 9000);
  assert_int_equal(b->n, n + 1);
  expect_same_measure(a, b, "looked at after every frame");
  part_free(a);
  part_free(b);
}

/* Round trips are facts of both tracks, the rest of the part; all of it is added up. */
static void the_connection_is_evidence(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  static const struct socket_evidence looks[] = {
      {.tcp = true, .tcp_rtt_us = 0, .tcp_bytes = 100}, /* no sample yet */
      {.tcp = true,
       .tcp_rtt_us = 3000,
       .tcp_rtt_min_us = 2500,
       .tcp_rtt_var_us = 700,
       .tcp_bytes = 4000,
       .out_of_order_segments = 2,
       .queued_bytes = 50},
      {.tcp = true,
       .tcp_rtt_us = 5000,
       .tcp_rtt_min_us = 2600,
       .tcp_rtt_var_us = 300,
       .tcp_bytes = 1000,
       .out_of_order_segments = 1,
       .queued_bytes = 10,
       .pongs = 2,
       .pong_sum_us = 9000,
       .pong_min_us = 4000,
       .pong_max_us = 5000},
      {.pongs = 1, .pong_sum_us = 3500, .pong_min_us = 3500, .pong_max_us = 3500},
  };
  start(&r, 0, "PCMU", 8000);
  stream_evidence(r.s, &looks[0]);
  for (int i = 0; i < 100; i++) {
    send_voice(&r, i * 20, 0, i + 1, i);
    send_voice(&r, i * 20, 1, i + 1, i);
  }
  part_free(stream_part(r.s));
  for (size_t i = 1; i < sizeof looks / sizeof *looks; i++) stream_evidence(r.s, &looks[i]);
  assert_false(stream_changed(r.s)); /* a quiet socket is not stored again and again */
  struct part *part = finish(&r, 2000);
  for (int t = 0; t < TRACK_COUNT; t++) {
    const struct delivery_facts *f = part->track[t].delivery;
    assert_int_equal(f->rtt_count[RTT_TCP], 2);
    assert_int_equal(f->rtt_sum_us[RTT_TCP], 8000);
    assert_int_equal(f->rtt_min_us[RTT_TCP], 2500);
    assert_int_equal(f->rtt_count[RTT_WS], 3);
    assert_int_equal(f->rtt_sum_us[RTT_WS], 12500);
    assert_int_equal(f->rtt_min_us[RTT_WS], 3500);
    assert_int_equal(f->rtt_count[RTT_RTCP], 0);
  }
  json_t *json = part_to_json(part);
  expect_json(json_object_get(json, "socket"),
              "{\"looks\":4,\"rtt_var_max_us\":700,\"out_of_order_segments\":3,\"tcp_bytes\":5100,"
              "\"queued_max_bytes\":50,\"pong_max_us\":5000}");
  json_decref(json);
  part_free(part);
}

static void messages_that_never_came_are_counted(void **state) {
  (void)state;
  static const struct {
    uint64_t sequence[8];
    uint64_t missing;
  } cases[] = {
      {{1, 2, 3, 4, 5}, 0},
      {{1, 2, 5, 6}, 2},
      {{1, 2, 5, 4, 3}, 0},       /* in another order */
      {{7, 8, 10}, 1},            /* from where it begins */
      {{5000, 5001, 1, 2, 3}, 0}, /* a new counting */
      {{1, 2, 90000, 90001}, 0},
      {{3000, 1, 2, 6}, 3},
      {{1, 2, 5, 20000, 20002}, 3}, /* those of both countings */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rig r;
    rig_begin(&r);
    for (size_t k = 0; k < 8 && cases[i].sequence[k] != 0; k++) stream_sequence(r.s, cases[i].sequence[k]);
    struct part *part = finish(&r, 0);
    assert_int_equal(part->messages_missing, cases[i].missing);
    part_free(part);
  }
}

static void digits_and_errors_are_bounded(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  struct frame digit = {.digit = "7", .occurred_at = "2026-09-14T08:15:20.004512Z"},
               error = {.error_code = 100002};
  stream_dtmf(r.s, at_ms(&r, 10), &digit);
  digit.occurred_at = "yesterday"; /* then the arrival must do */
  stream_dtmf(r.s, at_ms(&r, 20), &digit);
  digit.digit = "77";
  stream_dtmf(r.s, at_ms(&r, 30), &digit);
  digit.digit = NULL;
  stream_dtmf(r.s, at_ms(&r, 40), &digit);
  for (int i = 0; i < 150; i++) stream_error(r.s, at_ms(&r, 50), &error);
  digit.digit = "#";
  for (int i = 0; i < 5000; i++) stream_dtmf(r.s, at_ms(&r, 60), &digit);
  struct part *part = finish(&r, 100);
  assert_int_equal(json_array_size(part->dtmf), 4096);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(part->dtmf, 0), "at_ms")),
                   1789373720004);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(part->dtmf, 1), "at_ms")),
                   wall_zero_us / 1000 + 20);
  assert_int_equal(json_array_size(part->errors), 100);
  part_free(part);
}

/* Frames have up to 2 MiB: what a part keeps of them is written again every few seconds. */
static void long_texts_are_cut_or_left_out(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  char *text = calloc(1, 100001);
  for (size_t i = 0; i < 100000; i += 2) memcpy(text + i, "\xc3\xa4", 2);
  memcpy(text, "x", 1); /* the limit falls inside a character */
  memmove(text + 1, text + 2, 99999);
  const struct frame error = {.error_code = 1, .error_title = text, .error_detail = "short"};
  stream_error(r.s, at_ms(&r, 10), &error);
  struct frame first = {.call_control_id = "v3:a", .encoding = "PCMU", .sample_rate_hz = 8000};
  first.client_state = text;
  stream_start(r.s, at_ms(&r, 20), &first);
  struct part *part = finish(&r, 100);
  const json_t *kept = json_array_get(part->errors, 0);
  assert_int_equal(json_string_length(json_object_get(kept, "title")), 511);
  assert_string_equal(json_string_value(json_object_get(kept, "detail")), "short");
  assert_null(part->client_state);
  free(text);
  part_free(part);
}

static void the_first_start_names_the_stream(void **state) {
  (void)state;
  struct rig r;
  rig_begin(&r);
  start(&r, 10, "PCMU", 8000);
  const struct frame other = {
      .stream_id = "s-2", .call_control_id = "leg", .from = "+15550100009", .encoding = "PCMU"};
  stream_start(r.s, at_ms(&r, 20), &other);
  struct part *part = finish(&r, 100);
  assert_string_equal(part->stream_id, "s-1");
  assert_string_equal(part->from, "+15550100001");
  assert_string_equal(part->to, "");
  assert_string_equal(part->id, "a_1");
  assert_int_equal(part->start_ms, wall_zero_us / 1000 + 10);
  assert_int_equal(part->state, PART_CLOSED);
  part_free(part);
}

static void a_long_name_is_cut_between_characters(void **state) {
  (void)state;
  struct rig r;
  char from[300];
  rig_begin(&r);
  memset(from, 'x', sizeof from);
  memcpy(from + sizeof((struct part *)0)->from - 3, "\xe2\x82\xac", 4); /* one byte too many */
  const struct frame first = {.stream_id = "s", .call_control_id = "leg", .from = from, .encoding = "PCMU"};
  stream_start(r.s, at_ms(&r, 10), &first);
  struct part *part = finish(&r, 100);
  assert_int_equal(strlen(part->from), sizeof part->from - 3);
  assert_int_equal(strspn(part->from, "x"), strlen(part->from));
  part_free(part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(looking_changes_nothing),
      cmocka_unit_test(the_connection_is_evidence),
      cmocka_unit_test(messages_that_never_came_are_counted),
      cmocka_unit_test(digits_and_errors_are_bounded),
      cmocka_unit_test(long_texts_are_cut_or_left_out),
      cmocka_unit_test(the_first_start_names_the_stream),
      cmocka_unit_test(a_long_name_is_cut_between_characters),
  };
  talker_fill(voice, SAMPLES, 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
