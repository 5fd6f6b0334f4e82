/* agent/replay.c: fixtures through the engine on a virtual clock. */
#include "agent/replay.h"

#include "tests/fold_case.h"
#include "tests/scratch_file.h"
#include "tests/talker.h"

static struct config plain_config(void) {
  struct config config;
  char why[256];
  assert_int_equal(config_load_text(&config, "test", "", 0, why, sizeof why), 0);
  return config;
}

static json_t *replay_with(const char *text, const struct config *config) {
  char why[1024] = "", *copy = strdup(text);
  for (char *c = copy; *c != '\0'; c++)
    if (*c == '\'') *c = '"';
  struct fixture *f = fixture_open(scratch_text("events.jsonl", copy), why, sizeof why);
  if (f == NULL) fail_msg("%s", why);
  json_t *out = replay_offline(f, config);
  assert_non_null(out);
  fixture_free(f);
  free(copy);
  return out;
}

static json_t *replay(const char *text) {
  struct config config = plain_config();
  json_t *out = replay_with(text, &config);
  config_free(&config);
  return out;
}

/* ---- fixtures ---- */

#define HEAD "{'sidetone_fixture':1,'epoch':'2026-09-14T08:15:00Z'}\n"
#define HOOK(t, leg, type, second, more)                                             \
  "{'t':" t ",'http':{'path':'/telnyx/webhooks','body':{'data':{'event_type':'" type \
  "','id':'" leg type second "','occurred_at':'2026-09-14T08:15:" second             \
  "Z','payload':{'call_control_id':'" leg "'" more "}}}}}\n"
#define OPEN(t, socket)        "{'t':" t ",'ws':'" socket "','open':{'path':'/telnyx/media'}}\n"
#define CLOSE(t, socket)       "{'t':" t ",'ws':'" socket "','close':1005}\n"
#define Q                      "\\u0022"
#define TEXT(t, socket, frame) "{'t':" t ",'ws':'" socket "','text':'" frame "'}\n"
#define START(t, socket, leg)                                                                          \
  TEXT(t, socket,                                                                                      \
       "{" Q "event" Q ":" Q "start" Q "," Q "sequence_number" Q ":" Q "1" Q "," Q "start" Q ":{" Q    \
       "call_control_id" Q ":" Q leg Q "," Q "media_format" Q ":{" Q "encoding" Q ":" Q "PCMU" Q "," Q \
       "sample_rate" Q ":8000," Q "channels" Q ":1}}}")
#define AUDIO(t, socket, more) \
  "{'t':" t ",'ws':'" socket "','audio':{'file':'talk.wav','encoding':'PCMU','frame_ms':20}" more "}\n"

#define WHOLE                                                                                 \
  HEAD HOOK("0", "A", "call.initiated", "00",                                                 \
            ",'direction':'incoming','from':'+15550100001','to':'+15550100002'")              \
      HOOK("1", "A", "call.answered", "01", "") OPEN("1", "a") START("1.1", "a", "A")         \
          AUDIO("1.2", "a", ",'impair':{'seed':3,'loss':0.03,'jitter_ms':40,'reorder':0.01}") \
              CLOSE("14", "a") HOOK("14.5", "A", "call.hangup", "14", ",'hangup_cause':'normal_clearing'")

static int begin(void **state) {
  enum { SAMPLES = 12 * 8000 };
  static int16_t inbound[SAMPLES], outbound[SAMPLES], both[SAMPLES * 2];
  if (scratch_begin(state) != 0) return -1;
  talker_fill(inbound, SAMPLES, 1);
  talker_fill(outbound, SAMPLES, 2);
  for (size_t i = 0; i < SAMPLES; i++) {
    both[i * 2] = inbound[i];
    both[i * 2 + 1] = outbound[(i + SAMPLES / 5) % SAMPLES];
  }
  scratch_wav("talk.wav", 8000, 2, both, SAMPLES);
  return 0;
}

/* ---- tests ---- */

static void the_same_fixture_gives_the_same_bytes(void **state) {
  (void)state;
  char *first = NULL;
  for (int i = 0; i < 20; i++) {
    json_t *out = replay(WHOLE);
    char *text = document_text(out, false, NULL);
    assert_int_equal(json_array_size(out), 1);
    if (first == NULL) {
      EXPECT(out, "0.status", "'completed'");
      assert_true(strlen(text) > 3000); /* there is a whole CallLog to compare */
      first = text;
    } else {
      assert_string_equal(text, first);
      free(text);
    }
    json_decref(out);
  }
  free(first);
}

static void a_whole_call_comes_out(void **state) {
  (void)state;
  json_t *out = replay(WHOLE);
  const json_t *call = json_array_get(out, 0);
  EXPECT(call, "telnyx.callControlId", "'A'");
  EXPECT(call, "initiatedAt", "{'$date': '2026-09-14T08:15:00.000Z'}");
  EXPECT(call, "duration.total", "14");
  EXPECT(call, "metadata.sidetone.agents", "['replay']");
  EXPECT(call, "metadata.sidetone.complete", "true");
  EXPECT(call, "metadata.sidetone.partial", "false");
  EXPECT(call, "metadata.sidetone.media", "absent"); /* as replay prints it */
  EXPECT(call, "_id", "absent");
  EXPECT(call, "createdAt", "absent");
  EXPECT(call, "updatedAt", "absent");
  assert_true(json_integer_value(at_path(call, "quality.network.packetsLost")) > 0);
  assert_true(json_integer_value(at_path(call, "metadata.sidetone.speech.lead.talk_ms")) > 1000);
  assert_true(json_integer_value(at_path(call, "metadata.sidetone.speech.agent.talk_ms")) > 1000);
  json_decref(out);
}

static void times_are_epoch_and_t(void **state) {
  (void)state;
  json_t *out = replay(HEAD OPEN("3", "a") START("3.25", "a", "A"));
  EXPECT(out, "0.initiatedAt", "{'$date': '2026-09-14T08:15:03.250Z'}"); /* arrival of start */
  json_decref(out);
}

static void calls_come_in_order_of_their_beginning(void **state) {
  (void)state;
  json_t *out =
      replay(HEAD HOOK("0", "C", "call.initiated", "09", "") HOOK("1", "B", "call.initiated", "05", "")
                 HOOK("2", "A", "call.initiated", "07", "") HOOK("3", "D", "call.initiated", "05", ""));
  assert_int_equal(json_array_size(out), 4);
  EXPECT(out, "2.telnyx.callControlId", "'A'");
  EXPECT(out, "3.telnyx.callControlId", "'C'");
  assert_true(strcmp(json_string_value(at_path(out, "0.callLogId")),
                     json_string_value(at_path(out, "1.callLogId"))) < 0);
  json_decref(out);
}

/* Without a hang-up the clock runs on until the leg is given up, 120 s after its socket. */
static void the_clock_runs_on_until_every_call_has_ended(void **state) {
  (void)state;
  json_t *out = replay(HEAD HOOK("0", "A", "call.initiated", "00", "") OPEN("1", "a") START("1", "a", "A")
                           AUDIO("1", "a", ""));
  EXPECT(out, "0.endedAt", "{'$date': '2026-09-14T08:15:12.980Z'}"); /* the last frame */
  EXPECT(out, "0.metadata.sidetone.partial", "true");
  EXPECT(out, "0.metadata.sidetone.complete", "true");
  json_decref(out);
}

/* ... but not longer than 300 s: a leg that never had a socket has 24 h. */
static void the_clock_runs_on_for_300_s_at_most(void **state) {
  (void)state;
  json_t *out =
      replay(HEAD HOOK("0", "A", "call.initiated", "00", "") HOOK("1", "A", "call.answered", "01", ""));
  EXPECT(out, "0.status", "'answered'"); /* as it stands */
  EXPECT(out, "0.endedAt", "absent");
  json_decref(out);
  /* A leg that ends within them is waited for though another one does not. */
  out = replay(HEAD HOOK("0", "B", "call.initiated", "00", "") OPEN("1", "a") START("1", "a", "A")
                   AUDIO("1", "a", ""));
  assert_int_equal(json_array_size(out), 2);
  EXPECT(out, "1.telnyx.callControlId", "'A'");
  assert_non_null(at_path(out, "1.endedAt"));
  json_decref(out);
}

static void open_sockets_are_closed_behind_the_last_event(void **state) {
  (void)state;
  json_t *out = replay(HEAD OPEN("0", "a") START("0", "a", "A") AUDIO("0", "a", "")
                           HOOK("11.99", "A", "call.hangup", "12", ",'hangup_cause':'normal_clearing'"));
  EXPECT(out, "0.metadata.sidetone.complete", "true");
  EXPECT(out, "0.quality.network.packetsReceived", "600");
  json_decref(out);
}

static void frames_of_a_second_socket_are_its_own(void **state) {
  (void)state;
  json_t *out = replay(HEAD OPEN("0", "a") START("0", "a", "A") AUDIO("0", "a", "") OPEN("6", "b")
                           START("6", "b", "A") AUDIO("6", "b", "")
                               HOOK("19", "A", "call.hangup", "19", ",'hangup_cause':'normal_clearing'"));
  EXPECT(out, "0.quality.network.packetsReceived", "901"); /* the first up to 6 s, the second whole */
  json_decref(out);
}

static void a_name_can_be_used_for_another_socket(void **state) {
  (void)state;
  json_t *out = replay(HEAD OPEN("0", "a") START("0", "a", "A") AUDIO("0", "a", "") CLOSE("12", "a")
                           OPEN("13", "a") START("13", "a", "A") AUDIO("13", "a", "") CLOSE("25", "a")
                               HOOK("26", "A", "call.hangup", "26", ",'hangup_cause':'normal_clearing'"));
  EXPECT(out, "0.quality.network.packetsReceived", "1200");
  EXPECT(out, "0.quality.network.packetsLost", "0");
  json_decref(out);
}

static void what_serve_would_refuse_is_no_call(void **state) {
  (void)state;
  json_t *out = replay(HEAD
                       "{'t':0,'http':{'raw':'not json'}}\n{'t':1,'http':{'body':{'data':{}}}}\n"
                       "{'t':2,'ws':'z','text':'x'}\n{'t':3,'ws':'z','close':1000}\n" OPEN("4", "a")
                           TEXT("5", "a", "not json"));
  assert_int_equal(json_array_size(out), 0);
  json_decref(out);
}

/* A leg is given up by us, never from outside. */
static void a_leg_cannot_be_given_up_by_a_webhook(void **state) {
  (void)state;
  json_t *out =
      replay(HEAD HOOK("0", "A", "call.initiated", "00", "") HOOK("5", "A", "sidetone.leg_lost", "05", ""));
  EXPECT(out, "0.endedAt", "absent");
  EXPECT(out, "0.metadata.sidetone.revision", "1");
  json_decref(out);
}

static void options_of_the_figures_are_used(void **state) {
  (void)state;
  struct config config = plain_config();
  json_t *plain = replay_with(WHOLE, &config);
  config.calls_party_inbound_is_agent = true;
  json_t *swapped = replay_with(WHOLE, &config);
  assert_true(json_equal(at_path(plain, "0.metadata.sidetone.speech.lead") != NULL
                             ? document_reader(at_path(plain, "0.metadata.sidetone.speech.lead.talk_ms"))
                             : NULL,
                         document_reader(at_path(swapped, "0.metadata.sidetone.speech.agent.talk_ms"))));
  config.calls_party_inbound_is_agent = false;
  config.quality_plc = true;
  json_t *concealed = replay_with(WHOLE, &config);
  assert_true(json_number_value(at_path(concealed, "0.quality.mos")) >
              json_number_value(at_path(plain, "0.quality.mos")));
  json_decref(plain);
  json_decref(swapped);
  json_decref(concealed);
  config_free(&config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_fixture_gives_the_same_bytes),
      cmocka_unit_test(a_whole_call_comes_out),
      cmocka_unit_test(times_are_epoch_and_t),
      cmocka_unit_test(calls_come_in_order_of_their_beginning),
      cmocka_unit_test(the_clock_runs_on_until_every_call_has_ended),
      cmocka_unit_test(the_clock_runs_on_for_300_s_at_most),
      cmocka_unit_test(open_sockets_are_closed_behind_the_last_event),
      cmocka_unit_test(frames_of_a_second_socket_are_its_own),
      cmocka_unit_test(a_name_can_be_used_for_another_socket),
      cmocka_unit_test(what_serve_would_refuse_is_no_call),
      cmocka_unit_test(a_leg_cannot_be_given_up_by_a_webhook),
      cmocka_unit_test(options_of_the_figures_are_used),
  };
  return cmocka_run_group_tests(tests, begin, scratch_end);
}
