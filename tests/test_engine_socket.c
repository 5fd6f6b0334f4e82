/* agent/engine_socket.c: who a socket is, which one measures a leg, what becomes of its frames, and
 * that a media frame costs no memory. */
#include <stdatomic.h>

#include "tests/engine_helpers.h"

#include "telnyx/stream_key.h"

/* ---- counting allocations ---- */

static atomic_ulong allocations;

#ifdef __SANITIZE_ADDRESS__
/* The sanitizer's own way; its header is not everywhere. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *block, size_t bytes) {
  (void)block;
  (void)bytes;
  allocations++;
}
static void on_free(const volatile void *block) {
  (void)block;
}
static void count_allocations(void) {
  __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}
#else
/* These stand in front of the C library's own, which it offers under these names. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);

void *malloc(size_t bytes) {
  allocations++;
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  allocations++;
  return __libc_calloc(count, bytes);
}
void *realloc(void *block, size_t bytes) {
  allocations++;
  return __libc_realloc(block, bytes);
}
static void count_allocations(void) {
}
#endif

/* Both tracks, with everything that happens to frames: lost, doubled, out of order, in bunches. */
static void a_media_frame_allocates_nothing(void **state) {
  (void)state;
  enum { FRAMES = 11000, TEXT_MAX = 512 };
  static char text[TEXT_MAX];
  struct world *w = world_new("", false);
  unsigned long before = allocations;
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  assert_true(allocations > before); /* the counting works */
  uint8_t sound[160];
  char payload[256];
  uint32_t random = 7;
  unsigned long counted = 0, sent = 0;
  for (int i = 0; i < FRAMES; i++) {
    for (size_t k = 0; k < sizeof sound; k++) {
      random = random * 1664525u + 1013904223u;
      sound[k] = (uint8_t)(random >> 24);
    }
    size_t length = base64_encode(sound, sizeof sound, payload);
    random = random * 1664525u + 1013904223u;
    unsigned fate = random >> 24; /* 0 to 255 */
    int frame = i / 2, number = frame + 1, times = 1;
    if (fate < 5) continue;
    if (fate < 10) times = 2;
    if (fate >= 10 && fate < 15 && frame > 3) number -= 2;
    length = (size_t)snprintf(
        text, sizeof text,
        "{\"event\":\"media\",\"sequence_number\":\"%d\",\"stream_id\":\"s\",\"media\":{"
        "\"track\":\"%s\",\"chunk\":\"%d\",\"timestamp\":\"%d\",\"payload\":\"%.*s\"}}",
        i + 2, i % 2 ? "outbound" : "inbound", number, (number - 1) * 20, (int)length, payload);
    int64_t ms = (int64_t)frame * 20 + (fate < 40 ? fate : 0);
    for (; times > 0; times--) {
      before = allocations;
      engine_socket_message(w->e, 1, moment_ms(w, ms), true, true, text, length);
      if (frame * 20 < 1000) continue;
      counted += allocations - before;
      sent++;
    }
    if (i % 100 == 99) engine_tick(w->e, moment_ms(w, ms));
  }
  assert_true(sent > 10000);
  assert_int_equal(counted, 0);
  assert_true(w->metrics.media_frames[MEDIA_OK] > 9000);
  assert_true(w->metrics.media_frames[MEDIA_DUPLICATE] > 0);
  world_free(w);
}

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

/* 16,384 of them may be there. */
static void a_socket_that_has_not_said_who_it_is_costs_little(void **state) {
  (void)state;
  enum { STRANGERS = 200, EACH_MAX = 3 }; /* itself, its key, the table now and then */
  static const enum socket_proof proofs[] = {PROOF_DONE, PROOF_DERIVED, PROOF_OWED};
  for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
    struct world *w = world_new("secret", false);
    engine_socket_opened(w->e, 0, moment_ms(w, 0), PROOF_DONE, NULL); /* makes the table */
    unsigned long before = allocations;
    for (conn_id socket = 1; socket <= STRANGERS; socket++) {
      engine_socket_opened(w->e, socket, moment_ms(w, 0), proofs[i], "key");
      if (proofs[i] == PROOF_OWED) media_frame(w, socket, 0, 0, 1);
    }
    assert_in_range(allocations - before, STRANGERS, STRANGERS * EACH_MAX);
    world_free(w);
  }
}

/* ---- what is stored, and when ---- */

static void parts_are_stored_within_5_s_while_media_flows(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  media_between(w, 1, 20, 20000, 1);
  int64_t last_us = 0;
  size_t stores = 0;
  for (size_t i = 0; i < w->effects; i++) {
    if (w->effect[i].kind != PUT_PART) continue;
    if (stores++ > 0) {
      assert_true(w->effect[i].at_us - last_us >= 4000000);
      assert_true(w->effect[i].at_us - last_us <= 5000000);
    }
    last_us = w->effect[i].at_us;
  }
  assert_true(stores >= 4 && stores <= 6);
  assert_true(w->at.mono_us - last_us <= 5000000);
  /* Nothing new: the rest once, then nothing. */
  size_t before = w->effects;
  ticks_until(w, 26000);
  assert_int_equal(w->effects - before, 2); /* part and CallLog */
  before = w->effects;
  ticks_until(w, 60000);
  assert_int_equal(w->effects, before);
  world_free(w);
}

/* Somebody who looks at the live calls each second must not keep the facts from the store. */
static void looking_does_not_hold_up_the_store(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  int number = 1;
  for (int64_t second = 1; second <= 12; second++) {
    for (int64_t ms = second * 1000 - 980; ms < second * 1000; ms += 20) media_frame(w, 1, ms, 0, number++);
    json_decref(engine_live(w->e, moment_ms(w, second * 1000)));
    engine_tick(w->e, moment_ms(w, second * 1000));
    const struct stored *s = stored(w, LEG);
    int64_t behind_ms = start_ms + second * 1000 - s->part[0].last_frame_ms;
    if (s->part[0].last_frame_ms > 0) assert_true(behind_ms <= 5020);
  }
  assert_true(stored(w, LEG)->part[0].last_frame_ms > 0);
  /* A webhook settles at once; what it tells has to be in the store. */
  media_frame(w, 1, 12020, 0, number++);
  json_decref(engine_live(w->e, moment_ms(w, 12040)));
  hook(w, LEG, "call.answered", 12100, "");
  /* A look at the last frames: they are stored all the same when nothing follows. */
  media_frame(w, 1, 12200, 0, number);
  json_decref(engine_live(w->e, moment_ms(w, 12300)));
  ticks_until(w, 18000);
  assert_int_equal(stored(w, LEG)->part[0].last_frame_ms, start_ms + 12200);
  world_free(w);
}

/* ---- what is no frame ---- */

static void bad_frames_are_counted_and_skipped(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  struct metrics *m = &w->metrics;
  open_socket(w, 1, 0);
  message(w, 1, 1, "{'event':'start','start':{}}");
  assert_int_equal(m->frame_faults[FRAME_BAD_START], 1);
  start_frame(w, 1, 5, LEG, "PCMU");
  media_frame(w, 1, 10, 0, 1);
  message(w, 1, 11, "{'event':'media'");
  message(w, 1, 12, "[1]");
  message(w, 1, 13, "{'event':'media','media':{'track':'both','payload':'AAAA'}}");
  message(w, 1, 14, "{'event':'media','media':{'track':'inbound','payload':''}}");
  message(w, 1, 15, "{'event':'media','media':{'track':'inbound','payload':'A*=='}}");
  message(w, 1, 16,
          "{'event':'media','media':{'track':'inbound','chunk':'-1','timestamp':'x','payload':'////'}}");
  message(w, 1, 17, "{'event':'mystery'}");
  engine_socket_message(w->e, 1, moment_ms(w, 18), false, true, "\x01\x02", 2);
  engine_socket_message(w->e, 1, moment_ms(w, 19), true, false, "{\"event\":\"\xff\"}", 13);
  engine_socket_message(w->e, 99, moment_ms(w, 20), true, true, "{}", 2); /* nobody's */
  engine_socket_failed(w->e, 99, 1002);
  assert_int_equal(m->frame_faults[FRAME_NOT_JSON], 1);
  assert_int_equal(m->frame_faults[FRAME_NOT_OBJECT], 1);
  assert_int_equal(m->frame_faults[FRAME_NO_TRACK], 1);
  assert_int_equal(m->frame_faults[FRAME_NO_PAYLOAD], 1);
  assert_int_equal(m->frame_faults[FRAME_BAD_BASE64], 1);
  assert_int_equal(m->frame_faults[FRAME_BAD_NUMBER], 1); /* its sound is used all the same */
  assert_int_equal(m->media_faults[FAULT_UNKNOWN_EVENT], 1);
  assert_int_equal(m->media_faults[FAULT_BINARY], 1);
  assert_int_equal(m->media_faults[FAULT_NOT_UTF8], 1);
  media_frame(w, 1, 30, 0, 2);
  engine_socket_failed(w->e, 1, 1009);
  engine_socket_failed(w->e, 1, 1002);
  assert_int_equal(m->media_faults[FAULT_MESSAGE_TOO_LARGE], 1);
  assert_int_equal(m->media_faults[FAULT_PROTOCOL], 1);
  close_by_peer(w, 1, 100);
  assert_int_equal(count_effects(w, CLOSE_SOCKET), 0);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.parse_errors", "12");
  world_free(w);
}

/* 64 KiB are media, one byte more is not (contract 3). */
static void payloads_of_1_byte_to_64_KiB_are_media(void **state) {
  (void)state;
  static const struct {
    size_t bytes;
    bool good;
  } sizes[] = {{1, true}, {65536, true}, {65537, false}, {65538, false}, {70000, false}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct world *w = world_new("", false);
    uint8_t *sound = calloc(1, sizes[i].bytes);
    char *text = malloc(sizes[i].bytes * 2 + 200);
    open_socket(w, 1, 0);
    start_frame(w, 1, 0, LEG, "PCMU");
    int head =
        sprintf(text, "{\"event\":\"media\",\"media\":{\"track\":\"inbound\",\"chunk\":\"1\",\"payload\":\"");
    size_t length = (size_t)head + base64_encode(sound, sizes[i].bytes, text + head);
    length += (size_t)sprintf(text + length, "\"}}");
    engine_socket_message(w->e, 1, moment_ms(w, 10), true, true, text, length);
    close_by_peer(w, 1, 20);
    assert_int_equal(w->metrics.media_frames[MEDIA_OK], sizes[i].good);
    assert_int_equal(w->metrics.frame_faults[FRAME_TOO_LARGE], !sizes[i].good);
    free(sound);
    free(text);
    world_free(w);
  }
}

static void an_unknown_codec_is_ignored_and_counted(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "SPEEX");
  assert_int_equal(w->metrics.media_faults[FAULT_CODEC], 1);
  for (int i = 0; i < 10; i++) media_frame(w, 1, 20 + i * 20, 0, i + 1);
  assert_int_equal(w->metrics.media_frames[MEDIA_IGNORED], 10);
  close_by_peer(w, 1, 400);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.frames_ignored", "10");
  world_free(w);
}

static size_t settles;

static void count_settle(void *arg, const struct engine_calllog *calllog) {
  (void)arg;
  (void)calllog;
  settles++;
}

static void count_parts(void *arg, const char *leg, const json_t *document,
                        const struct fold_summary *summary) {
  (void)leg;
  (void)summary;
  *(size_t *)arg = json_object_size(at_path(document, "metadata.sidetone.media"));
}

/* Each start and each stop would otherwise fold all parts again: the square of their number. */
static void a_peer_that_starts_over_and_over_is_bounded(void **state) {
  (void)state;
  enum { LOOPS = 600, ALLOWED = 512 };
  struct world *w = world_new("", false);
  const struct engine_options options = {.agent_id = "a", .stream_token = ""};
  const struct engine_effects effects = {
      .put_calllog = count_settle, .close_socket = on_close_socket, .arg = w};
  engine_free(w->e); /* the world has no room for what is to come */
  w->e = engine_create(&options, &effects, &w->metrics);
  settles = 0;
  open_socket(w, 1, 0);
  for (int i = 0; i < LOOPS; i++) {
    start_frame(w, 1, i, LEG, "PCMU");
    message(w, 1, i, "{'event':'stop'}");
  }
  expect_close(w, 1, 1008);
  assert_int_equal(w->metrics.media_faults[FAULT_TOO_MANY_STREAMS], 1);
  assert_in_range(settles, 32, 140); /* a call of few parts is settled at each */
  close_by_peer(w, 1, LOOPS);
  ticks_until(w, 2000);
  size_t parts = 0;
  engine_each(w->e, count_parts, &parts);
  assert_int_equal(parts, ALLOWED);
  assert_in_range(settles, 33, 142);
  world_free(w);
}

static void starts_on_one_socket_store_its_part_once_a_second(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  for (int i = 0; i < 500; i++) start_frame(w, 1, i, LEG, i % 2 == 0 ? "PCMU" : "PCMA");
  assert_int_equal(count_effects(w, PUT_PART), 1);
  start_frame(w, 1, 1000, LEG, "PCMU");
  assert_int_equal(count_effects(w, PUT_PART), 2);
  close_by_peer(w, 1, 1100);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.formats", "501");
  world_free(w);
}

static void digits_and_errors_are_kept(void **state) {
  (void)state;
  struct world *w = world_new("", false);
  open_socket(w, 1, 0);
  message(w, 1, 5, "{'event':'dtmf','dtmf':{'digit':'1'}}"); /* nobody's yet */
  start_frame(w, 1, 10, LEG, "PCMU");
  message(w, 1, 20,
          "{'event':'dtmf','occurred_at':'2026-09-14T08:15:20.004512Z','sequence_number':'2','dtmf':{'digit':"
          "'5'}}");
  message(w, 1, 30, "{'event':'error','payload':{'code':100004,'title':'invalid_media','detail':'d'}}");
  message(w, 1, 40, "{'event':'mark','mark':{'name':'m'}}");
  close_by_peer(w, 1, 50);
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.dtmf",
         "[{'digit':'5','at_ms':1789373720004}]");
  EXPECT(stored_document(w, LEG), "metadata.sidetone.media.a_7.errors.0.code", "100004");
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_media_frame_allocates_nothing),
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
      cmocka_unit_test(a_socket_that_has_not_said_who_it_is_costs_little),
      cmocka_unit_test(parts_are_stored_within_5_s_while_media_flows),
      cmocka_unit_test(looking_does_not_hold_up_the_store),
      cmocka_unit_test(bad_frames_are_counted_and_skipped),
      cmocka_unit_test(payloads_of_1_byte_to_64_KiB_are_media),
      cmocka_unit_test(an_unknown_codec_is_ignored_and_counted),
      cmocka_unit_test(a_peer_that_starts_over_and_over_is_bounded),
      cmocka_unit_test(starts_on_one_socket_store_its_part_once_a_second),
      cmocka_unit_test(digits_and_errors_are_kept),
  };
  count_allocations();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
