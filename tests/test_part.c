#include "agent/part.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "agent/document.h"
#include "tests/random_part.h"

static bool same_blocks(const void *a, const void *b, size_t bytes) {
  return (!a && !b) || (a && b && memcmp(a, b, bytes) == 0);
}

/* Member by member, because the structs own memory. */
static const char *difference(const struct part *a, const struct part *b) {
  if (strcmp(a->id, b->id) || a->n != b->n || a->state != b->state) return "id, n or state";
  if (a->opened_ms != b->opened_ms || a->closed_ms != b->closed_ms || a->start_ms != b->start_ms ||
      a->first_frame_ms != b->first_frame_ms || a->last_frame_ms != b->last_frame_ms)
    return "times";
  if (strcmp(a->stream_id, b->stream_id) || strcmp(a->call_control_id, b->call_control_id) ||
      strcmp(a->call_session_id, b->call_session_id) || strcmp(a->call_leg_id, b->call_leg_id) ||
      strcmp(a->from, b->from) || strcmp(a->to, b->to))
    return "texts";
  if (!a->client_state != !b->client_state || (a->client_state && strcmp(a->client_state, b->client_state)))
    return "client_state";
  for (int t = 0; t < TRACK_COUNT; t++) {
    if (a->track[t].seen != b->track[t].seen || strcmp(a->track[t].encoding, b->track[t].encoding) ||
        a->track[t].sample_rate_hz != b->track[t].sample_rate_hz ||
        a->track[t].ptime_us != b->track[t].ptime_us || a->track[t].chunk_scope != b->track[t].chunk_scope ||
        a->track[t].ts_unit != b->track[t].ts_unit || a->track[t].payload_bytes != b->track[t].payload_bytes)
      return "track";
    if (!same_blocks(a->track[t].delivery, b->track[t].delivery, sizeof(struct delivery_facts)))
      return "delivery";
    if (!same_blocks(a->track[t].signal, b->track[t].signal, sizeof(struct signal_facts))) return "signal";
  }
  if (!same_blocks(a->findings, b->findings, sizeof(struct finding_facts))) return "findings";
  if (memcmp(&a->echo, &b->echo, sizeof a->echo)) return "echo";
  if (memcmp(&a->socket, &b->socket, sizeof a->socket)) return "socket";
  if (!same_blocks(a->speech, b->speech, sizeof(struct speech_facts))) return "speech";
  if (a->frames_ignored != b->frames_ignored || a->parse_errors != b->parse_errors ||
      a->messages_missing != b->messages_missing || a->formats != b->formats ||
      a->frames_before_start_dropped != b->frames_before_start_dropped)
    return "counters";
  if (!json_equal(a->dtmf, b->dtmf) || !json_equal(a->errors, b->errors)) return "dtmf or errors";
  return NULL;
}

/* The way of the store: JSON, text, JSON. */
static struct part *through_text(const struct part *part) {
  json_t *json = part_to_json(part);
  char *text = document_text(json, false, NULL);
  json_t *again = json_loads(text, 0, NULL);
  struct part *back = part_from_json(again);
  free(text);
  json_decref(json);
  json_decref(again);
  return back;
}

static void random_parts_come_back(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  srand(seed);
  for (int i = 0; i < 100; i++) {
    struct part *part = random_part("replay_1"), *back = through_text(part);
    const char *what = back ? difference(part, back) : "refused";
    if (what) fail_msg("seed %u, part %d: %s", seed, i, what);
    part_free(part);
    part_free(back);
  }
}

static void a_new_part_is_empty(void **state) {
  (void)state;
  struct part *part = part_new();
  strcpy(part->id, "a_1");
  json_t *json = part_to_json(part), *expected = json_pack("{s:s, s:s}", "id", "a_1", "state", "open");
  assert_true(json_equal(json, expected));
  json_decref(json);
  json_decref(expected);
  part_free(part);
}

static void what_is_no_part_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "[]",
      "{}",
      "{\"id\":\"a_1\"}",
      "{\"id\":\"a_1\",\"state\":\"asleep\"}",
      "{\"state\":\"open\"}",
      "{\"id\":7,\"state\":\"open\"}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"n\":-1}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":3}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"encoding\":\"a name that is far too long\"}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"chunk_scope\":99}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"delivery\":{\"pdv\":[[99999,1]]}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"delivery\":{\"windows\":{\"start_us\":[\"x\"]}}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"speech\":[]}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"speech\":{\"events\":{\"kind\":[0]}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"speech\":{\"events\":{\"kind\":[9],\"by\":[0],\"start_ms\":[0],"
      "\"overlap_ms\":[0]}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"dtmf\":{}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"first_frame_ms\":9223372036854775807}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"closed_ms\":-9223372036854775808}",
      /* Windows without a length, of one that cannot be doubled, and where no time is. */
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"delivery\":{\"windows\":{\"start_us\":[0]}}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"delivery\":{\"window_us\":\"9223372036854775808\"}}"
      "}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"inbound\":{\"delivery\":{\"window_us\":10000000,\"windows\":"
      "{\"start_us\":[9223372036854775807]}}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"outbound\":{\"delivery\":{\"origin_us\":-9223372036854775808}}}",
      "{\"id\":\"a_1\",\"state\":\"open\",\"outbound\":{\"delivery\":{\"worst_start_us\":[0,"
      "9000000000000000000]}}}",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    json_t *json = json_loads(wrong[i], 0, NULL);
    assert_non_null(json);
    if (part_from_json(json)) fail_msg("taken: %s", wrong[i]);
    json_decref(json);
  }
}

static void too_many_rows_are_refused(void **state) {
  (void)state;
  struct part *part = random_part("a_1");
  json_t *column = json_array(), *json;
  for (int i = 0; i <= SPEECH_EVENTS_MAX; i++) json_array_append_new(column, json_integer(0));
  free(part->speech);
  part->speech = NULL;
  json = part_to_json(part);
  json_object_set_new(json, "speech",
                      json_pack("{s:{s:O, s:O, s:O, s:O}}", "events", "kind", column, "by", column,
                                "start_ms", column, "overlap_ms", column));
  assert_null(part_from_json(json));
  json_decref(column);
  json_decref(json);
  part_free(part);
}

/* A damaged row must not take the agent down when parts are put together: a table that is full has no room for the
 * next part's windows, and what lies at the ends of the time there is still ends. */
static void windows_of_rows_can_be_merged(void **state) {
  (void)state;
  struct part *part = random_part("a_1"), *back;
  struct delivery_facts *facts = random_delivery(), *merged = malloc(sizeof *merged);
  int64_t most = INT64_C(1) << 58;
  facts->received_frames = 1;
  facts->window_us = 1;
  facts->window_count = DELIVERY_WINDOWS_MAX;
  for (size_t i = 0; i < facts->window_count; i++)
    facts->windows[i] = (struct delivery_window){.start_us = i % 2 ? most : -most, .weight_us = 1};
  free(part->track[1].delivery);
  part->track[1].seen = true;
  part->track[1].delivery = facts;
  back = through_text(part);
  assert_null(back);
  facts->window_count = DELIVERY_WINDOWS_MAX - 1;
  back = through_text(part);
  assert_non_null(back);
  delivery_facts_copy(merged, back->track[1].delivery);
  for (int i = 0; i < 5; i++) {
    delivery_merge(merged, back->track[1].delivery);
    assert_in_range(merged->window_count, 1, DELIVERY_WINDOWS_MAX - 1);
    assert_true(merged->window_us > 0);
  }
  free(merged);
  part_free(part);
  part_free(back);
}

static void a_part_grew_when_it_was_opened_heard_or_closed(void **state) {
  (void)state;
  struct part part = {.state = PART_OPEN, .opened_ms = 1000};
  assert_int_equal(part_grew_at_ms(&part), 1000);
  part.last_frame_ms = 4000;
  assert_int_equal(part_grew_at_ms(&part), 4000);
  part.state = PART_CLOSED;
  part.closed_ms = 4500;
  assert_int_equal(part_grew_at_ms(&part), 4500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_parts_come_back),
      cmocka_unit_test(a_new_part_is_empty),
      cmocka_unit_test(what_is_no_part_is_refused),
      cmocka_unit_test(too_many_rows_are_refused),
      cmocka_unit_test(windows_of_rows_can_be_merged),
      cmocka_unit_test(a_part_grew_when_it_was_opened_heard_or_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
