/* agent/engine_socket.c: what becomes of a socket's frames, and that a media frame costs no memory. */
#include <stdatomic.h>

#include "tests/engine_helpers.h"

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
  /* No frame any more: the rest once, then that there are none, then nothing. */
  size_t parts = count_effects(w, PUT_PART), calllogs = count_effects(w, PUT_CALLLOG);
  ticks_until(w, 30000);
  assert_int_equal(count_effects(w, PUT_PART), parts + 2);
  assert_int_equal(count_effects(w, PUT_CALLLOG), calllogs + 2);
  ticks_until(w, 60000);
  assert_int_equal(count_effects(w, PUT_PART), parts + 2);
  assert_int_equal(count_effects(w, PUT_CALLLOG), calllogs + 2);
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
