/* agent/engine_socket.c: who a socket is, and which one measures a leg. */
#include "tests/engine_helpers.h"

#include "telnyx/stream_key.h"

/* ---- one socket ---- */

static void a_stream_makes_a_part_of_its_leg(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  assert_int_equal(engine_calls(w->e), 0);
  message(w, 1, 5, "{'event':'connected','version':'1.0.0'}");
  start_frame(w, 1, 10, LEG, "PCMU");
  assert_int_equal(engine_calls(w->e), 1);
  assert_int_equal(w->metrics.streams_open, 1);
  assert_string_equal(last_effect(w, LOAD_LEG)->leg, LEG);
  assert_string_equal(last_effect(w, PUT_PART)->text, "a_7");
  EXPECT(stored_document(w, LEG), "status", "'active'");
  media_between(w, 1, 20, 2020, 1);
  message(w, 1, 2020, "{'event':'stop','sequence_number':'102','stop':{'call_control_id':'" LEG "'}}");
  assert_int_equal(w->metrics.streams_open, 0);
  assert_int_equal(last_effect(w, PUT_PART)->code, PART_CLOSED);
  assert_int_equal(w->metrics.media_frames[MEDIA_OK], 100);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.state", "'closed'");
  EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "100");
  close_by_peer(w, 1, 2030);
  assert_int_equal(count_effects(w, CLOSE_SOCKET), 0); /* it went by itself */
  world_free(w);
}

static void a_socket_that_dies_without_stop_closes_its_part(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 1500, 1);
  close_by_peer(w, 1, 1600);
  assert_int_equal(last_effect(w, PUT_PART)->code, PART_CLOSED);
  assert_int_equal(w->metrics.streams_open, 0);
  assert_int_equal(w->metrics.media_frames[MEDIA_OK], 74);
  EXPECT(stored_document(w, LEG), "status", "'active'"); /* the leg may come back */
  EXPECT(stored_document(w, LEG), "endedAt", "absent");
  world_free(w);
}

static void a_stream_after_stop_is_a_part_of_its_own(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 1020, 1);
  message(w, 1, 1020, "{'event':'stop','sequence_number':'52','stop':{}}");
  media_frame(w, 1, 1040, 0, 51); /* belongs to nobody now */
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 1);
  start_frame(w, 1, 3000, LEG, "PCMU");
  assert_string_equal(last_effect(w, PUT_PART)->text, "a_8");
  assert_int_equal(w->metrics.streams_open, 1);
  media_between(w, 1, 3020, 4020, 1);
  close_by_peer(w, 1, 4020);
  assert_int_equal(w->metrics.media_frames[MEDIA_OK], 100);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.state", "'closed'");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_8.state", "'closed'");
  EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "100");
  world_free(w);
}

static void frames_of_a_socket_that_never_starts_are_counted(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  for (int i = 0; i < 150; i++) media_frame(w, 1, i * 20, 0, i + 1);
  close_by_peer(w, 1, 3000);
  assert_int_equal(w->metrics.media_frames[MEDIA_BEFORE_START], 150);
  assert_int_equal(engine_calls(w->e), 0);
  assert_int_equal(w->effects, 0);
  world_free(w);
}

/* ---- several sockets ---- */

static void the_newest_socket_of_a_leg_wins(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 1020, 1);
  open_socket(w, 2, 1020);
  assert_null(close_of(w, 1)); /* not before it says whose it is */
  start_frame(w, 2, 1030, LEG, "PCMU");
  expect_close(w, 1, 1000);
  assert_int_equal(w->metrics.streams_open, 1);
  for (int i = 0; i < 5; i++) media_frame(w, 1, 1040 + i * 20, 0, 51 + i);
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 5);
  media_between(w, 2, 1200, 2200, 1);
  close_by_peer(w, 1, 2200); /* the late end of the older one disturbs nothing */
  assert_int_equal(w->metrics.streams_open, 1);
  media_between(w, 2, 2220, 2320, 51);
  close_by_peer(w, 2, 2400);
  assert_int_equal(w->metrics.streams_open, 0);
  assert_int_equal(w->metrics.media_frames[MEDIA_OK], 50 + 55);
  assert_null(close_of(w, 2));
  EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "105");
  assert_int_equal(stored(w, LEG)->parts, 2);
  world_free(w);
}

static void two_legs_of_a_session_are_two_calls(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  open_socket(w, 2, 0);
  start_frame(w, 1, 10, LEG, "PCMU");
  start_frame(w, 2, 10, LEG_B, "PCMU");
  for (int i = 0; i < 100; i++) {
    media_frame(w, 1, 20 + i * 20, 0, i + 1);
    if (i < 60) media_frame(w, 2, 20 + i * 20, 0, i + 1);
  }
  assert_int_equal(engine_calls_live(w->e), 2);
  assert_int_equal(w->metrics.streams_open, 2);
  hook(w, LEG_B, "call.hangup", 3000, ", 'hangup_cause': 'normal_clearing'");
  assert_int_equal(engine_calls_live(w->e), 1);
  ticks_until(w, 8000);
  expect_close(w, 2, 1000);
  assert_null(close_of(w, 1)); /* the other leg goes on */
  media_between(w, 1, 8020, 8220, 101);
  close_by_peer(w, 1, 9000);
  EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "110");
  EXPECT(stored_document(w, LEG_B), "quality.network.packetsReceived", "60");
  EXPECT(stored_document(w, LEG), "telnyx.callSessionId", "'session'");
  EXPECT(stored_document(w, LEG_B), "telnyx.callSessionId", "'session'");
  world_free(w);
}

static void a_start_for_another_leg_closes_1008(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 1020, 1);
  start_frame(w, 1, 1020, LEG_B, "PCMU");
  expect_close(w, 1, 1008);
  assert_int_equal(w->metrics.media_faults[FAULT_OTHER_LEG], 1);
  assert_int_equal(engine_calls(w->e), 1);
  media_frame(w, 1, 1040, 0, 51);
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 1);
  close_by_peer(w, 1, 1100);
  EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "50");
  world_free(w);
}

/* ---- the end of a leg ---- */

static void a_hangup_leaves_sockets_5_s(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 2000, 1);
  hook(w, LEG, "call.hangup", 2000, ", 'hangup_cause': 'normal_clearing'");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.complete", "false");
  media_between(w, 1, 2020, 6980, 100); /* still taken */
  engine_tick(w->e, moment_ms(w, 6999));
  assert_null(close_of(w, 1));
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 0);
  engine_tick(w->e, moment_ms(w, 7000));
  expect_close(w, 1, 1000);
  assert_int_equal(last_effect(w, PUT_PART)->code, PART_CLOSED);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.complete", "true");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.partial", "false");
  media_frame(w, 1, 7020, 0, 400);
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 1);
  close_by_peer(w, 1, 7100);
  world_free(w);
}

static void a_socket_that_closes_within_the_5_s_is_left_alone(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 1000, 1);
  hook(w, LEG, "call.hangup", 1000, "");
  message(w, 1, 1500, "{'event':'stop','sequence_number':'60','stop':{}}");
  close_by_peer(w, 1, 1600);
  ticks_until(w, 9000);
  assert_int_equal(count_effects(w, CLOSE_SOCKET), 0);
  world_free(w);
}

/* ---- proofs ---- */

#define TOKEN_NESTED "{'event':'connected','connected':{'x-telnyx-streaming-auth-token':'%s'}}"
#define TOKEN_TOP    "{'event':'connected','x-telnyx-streaming-auth-token':'%s'}"

static void say_token(struct world *w, conn_id socket, int64_t ms, const char *form, const char *token) {
  char text[256];
  size_t split = (size_t)(strstr(form, "%s") - form);
  snprintf(text, sizeof text, "%.*s%s%s", (int)split, form, token, form + split + 2);
  message(w, socket, ms, text);
}

static void owed_opened(struct world *w, conn_id socket, int64_t ms) {
  engine_socket_opened(w->e, socket, moment_ms(w, ms), PROOF_OWED, NULL);
}

static void an_owed_token_has_5_s(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  owed_opened(w, 1, 0);
  owed_opened(w, 2, 0);
  message(w, 2, 10, "{'event':'connected','version':'1.0.0'}"); /* without one */
  engine_tick(w->e, moment_ms(w, 4999));
  assert_int_equal(count_effects(w, CLOSE_SOCKET), 0);
  engine_tick(w->e, moment_ms(w, 5000));
  expect_close(w, 1, 1008);
  expect_close(w, 2, 1008);
  say_token(w, 1, 5100, TOKEN_NESTED, "secret"); /* too late */
  start_frame(w, 1, 5200, LEG, "PCMU");
  ticks_until(w, 9000);
  assert_int_equal(engine_calls(w->e), 0);
  world_free(w);
}

static void an_owed_token_may_be_nested_or_on_top(void **state) {
  (void)state;
  static const char *const forms[] = {TOKEN_NESTED, TOKEN_TOP};
  for (size_t i = 0; i < 2; i++) {
    struct world *w = world_new("secret", false);
    owed_opened(w, 1, 0);
    for (int k = 0; k < 10; k++) media_frame(w, 1, 10 + k * 20, 0, k + 1);
    assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 10); /* nothing before the proof */
    say_token(w, 1, 400, forms[i], "secret");
    start_frame(w, 1, 410, LEG, "PCMU");
    media_between(w, 1, 420, 8420, 11);
    assert_int_equal(count_effects(w, CLOSE_SOCKET), 0);
    close_by_peer(w, 1, 8500);
    assert_int_equal(w->metrics.media_frames[MEDIA_OK], 400);
    EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "400");
    world_free(w);
  }
}

static void a_wrong_token_is_refused_at_once(void **state) {
  (void)state;
  for (int proof = PROOF_DONE; proof <= PROOF_OWED; proof++) {
    struct world *w = world_new("secret", false);
    engine_socket_opened(w->e, 1, moment_ms(w, 0), (enum socket_proof)proof,
                         proof == PROOF_DERIVED ? "key" : NULL);
    say_token(w, 1, 10, TOKEN_TOP, "Secret");
    expect_close(w, 1, 1008);
    start_frame(w, 1, 20, LEG, "PCMU");
    assert_int_equal(engine_calls(w->e), 0);
    ticks_until(w, 9000);
    close_by_peer(w, 1, 9000);
    world_free(w);
  }
}

static void a_start_without_the_owed_token_begins_nothing(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  owed_opened(w, 1, 0);
  start_frame(w, 1, 10, LEG, "PCMU");
  media_frame(w, 1, 20, 0, 1);
  assert_int_equal(engine_calls(w->e), 0);
  assert_int_equal(w->metrics.streams_open, 0);
  world_free(w);
}

/* A `stop` must not stop the clock of who never proved itself. */
static void a_stop_does_not_spare_the_owed_token(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  owed_opened(w, 1, 0);
  message(w, 1, 10, "{'event':'stop','stop':{}}");
  ticks_until(w, 6000);
  expect_close(w, 1, 1008);
  world_free(w);
}

static void a_derived_key_is_for_one_leg_and_a_time(void **state) {
  (void)state;
  static const struct {
    const char *leg;
    int64_t expiry_s; /* from the start of the test */
    bool good;
  } cases[] = {{LEG, 60, true}, {LEG_B, 60, false}, {LEG, -60, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct world *w = world_new("secret", false);
    char key[STREAM_KEY_BYTES_MAX];
    assert_int_equal(
        stream_key_make("secret", cases[i].leg, start_ms / 1000 + cases[i].expiry_s, key, sizeof key), 0);
    engine_socket_opened(w->e, 1, moment_ms(w, 0), PROOF_DERIVED, key);
    media_frame(w, 1, 5, 0, 1); /* held: it may become the leg's */
    start_frame(w, 1, 10, LEG, "PCMU");
    media_between(w, 1, 25, 1005, 2);
    start_frame(w, 1, 70000, LEG, "PCMU"); /* who is known needs no key again */
    close_by_peer(w, 1, 70100);
    assert_int_equal(engine_calls(w->e), cases[i].good);
    if (cases[i].good) {
      assert_int_equal(count_effects(w, CLOSE_SOCKET), 0);
      EXPECT(stored_document(w, LEG), "quality.network.packetsReceived", "50");
    } else {
      expect_close(w, 1, 1008);
      assert_int_equal(w->metrics.media_frames[MEDIA_OK], 0);
    }
    world_free(w);
  }
}

static void what_only_looks_like_a_derived_key_has_5_s(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  engine_socket_opened(w->e, 1, moment_ms(w, 0), PROOF_DERIVED, "anything");
  ticks_until(w, 4900);
  assert_null(close_of(w, 1));
  ticks_until(w, 6000);
  expect_close(w, 1, 1008);
  assert_int_equal(engine_calls(w->e), 0);
  world_free(w);
}

static void a_stop_does_not_open_a_derived_key_for_other_legs(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  char key[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make("secret", LEG, start_ms / 1000 + 60, key, sizeof key), 0);
  engine_socket_opened(w->e, 1, moment_ms(w, 0), PROOF_DERIVED, key);
  start_frame(w, 1, 10, LEG, "PCMU");
  message(w, 1, 20, "{'event':'stop'}");
  start_frame(w, 1, 30, LEG, "PCMU"); /* its own leg may come again */
  assert_null(close_of(w, 1));
  message(w, 1, 40, "{'event':'stop'}");
  start_frame(w, 1, 50, LEG_B, "PCMU");
  expect_close(w, 1, 1008);
  assert_int_equal(engine_calls(w->e), 1);
  world_free(w);
}

static void without_new_legs_the_known_ones_go_on(void **state) {
  (void)state;
  struct world *w = world_new("secret", false);
  char key[STREAM_KEY_BYTES_MAX], other[STREAM_KEY_BYTES_MAX];
  assert_int_equal(stream_key_make("secret", LEG, start_ms / 1000 + 60, key, sizeof key), 0);
  assert_int_equal(stream_key_make("secret", LEG_B, start_ms / 1000 + 60, other, sizeof other), 0);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  engine_take_no_new(w->e);
  open_socket(w, 2, 100);
  start_frame(w, 2, 100, LEG_B, "PCMU");
  expect_close(w, 2, 1001);
  assert_int_equal(engine_calls(w->e), 1);
  open_socket(w, 3, 200);
  start_frame(w, 3, 200, LEG, "PCMU"); /* Telnyx connects again */
  assert_null(close_of(w, 3));
  assert_true(engine_knows_key(w->e, key, start_ms / 1000));
  assert_false(engine_knows_key(w->e, key, start_ms / 1000 + 61));
  assert_false(engine_knows_key(w->e, other, start_ms / 1000));
  engine_stream_token(w->e, "another");
  assert_false(engine_knows_key(w->e, key, start_ms / 1000));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_makes_a_part_of_its_leg),
      cmocka_unit_test(a_socket_that_dies_without_stop_closes_its_part),
      cmocka_unit_test(a_stream_after_stop_is_a_part_of_its_own),
      cmocka_unit_test(frames_of_a_socket_that_never_starts_are_counted),
      cmocka_unit_test(the_newest_socket_of_a_leg_wins),
      cmocka_unit_test(two_legs_of_a_session_are_two_calls),
      cmocka_unit_test(a_start_for_another_leg_closes_1008),
      cmocka_unit_test(a_hangup_leaves_sockets_5_s),
      cmocka_unit_test(a_socket_that_closes_within_the_5_s_is_left_alone),
      cmocka_unit_test(an_owed_token_has_5_s),
      cmocka_unit_test(an_owed_token_may_be_nested_or_on_top),
      cmocka_unit_test(a_wrong_token_is_refused_at_once),
      cmocka_unit_test(a_start_without_the_owed_token_begins_nothing),
      cmocka_unit_test(a_stop_does_not_spare_the_owed_token),
      cmocka_unit_test(a_derived_key_is_for_one_leg_and_a_time),
      cmocka_unit_test(what_only_looks_like_a_derived_key_has_5_s),
      cmocka_unit_test(a_stop_does_not_open_a_derived_key_for_other_legs),
      cmocka_unit_test(without_new_legs_the_known_ones_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
