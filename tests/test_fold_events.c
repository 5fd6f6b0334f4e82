#include "tests/fold_case.h"

static json_t *fold_one(const char *type, const char *payload) {
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", type, 0, payload);
  json_t *document = fold_plain(facts, NULL);
  facts_free(facts);
  return document;
}

/* Each event of the table makes one row where it has a word, and none else. */
static void a_row_for_each_event_with_a_word(void **state) {
  (void)state;
  size_t count;
  const struct event_row *rows = event_rows(&count);
  for (size_t i = 0; i < count; i++) {
    char expected[256];
    snprintf(expected, sizeof expected,
             "[{'eventType':'%s','timestamp':{'$date':'2026-09-14T08:14:58.120Z'},'description':'%s'}]",
             rows[i].call_event ? rows[i].call_event : "", rows[i].type);
    json_t *document = fold_one(rows[i].type, "{}");
    EXPECT(document, "events", rows[i].call_event ? expected : "[]");
    EXPECT(document, "telnyx.webhookEvents.1", "absent");
    json_decref(document);
  }
  json_t *document = fold_one("call.some.day", "{'x':1}");
  EXPECT(document, "events", "[]");
  EXPECT(document, "telnyx.webhookEvents.0.payload", "{'x':1}");
  json_decref(document);
}

static void add_press(struct part *part, const char *digit, int64_t at_ms) {
  json_array_append_new(part->dtmf,
                        json_pack("{s:s, s:I}", "digit", digit, "at_ms", (json_int_t)(start_ms + at_ms)));
}

static void a_press_is_counted_once(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 900);
  add_press(part, "2", 20);
  add_press(part, "1", 10);
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "dtmfInputs",
         "[{'digit':'1','timestamp':{'$date':'2026-09-14T08:14:58.130Z'}},"
         "{'digit':'2','timestamp':{'$date':'2026-09-14T08:14:58.140Z'}}]");
  EXPECT(document, "events", "[]");
  json_decref(document);
  add_event(facts, "1", "call.dtmf.received", 12, "{'digit':'1'}");
  document = fold_plain(facts, NULL);
  EXPECT(document, "dtmfInputs", "[{'digit':'1','timestamp':{'$date':'2026-09-14T08:14:58.132Z'}}]");
  json_decref(document);
  facts_free(facts);
}

static void the_same_event_under_two_ids_is_one(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.dtmf.received", 0, "{'digit':'1'}");
  add_event(facts, "2", "call.dtmf.received", 0, "{'digit':'1'}");
  add_event(facts, "3", "call.dtmf.received", 0, "{'digit':'2'}");
  add_event(facts, "4", "call.dtmf.received", 1, "{'digit':'1'}");
  json_t *document = fold_plain(facts, NULL);
  assert_int_equal(json_array_size(at_path(document, "dtmfInputs")), 3);
  assert_int_equal(json_array_size(at_path(document, "events")), 3);
  assert_int_equal(json_array_size(at_path(document, "telnyx.webhookEvents")), 4);
  EXPECT(document, "metadata.sidetone.revision", "4");
  json_decref(document);
  facts_free(facts);
}

static void recordings(void **state) {
  (void)state;
  json_t *document =
      fold_one("call.recording.saved",
               "{'recording_started_at':'2026-09-14T08:15:00.000000Z',"
               "'recording_ended_at':'2026-09-14T08:15:10.999Z','format':'wav',"
               "'recording_urls':{'mp3':null,'wav':'https://r/1.wav'},'public_recording_urls':{}}");
  EXPECT(document, "recording",
         "{'enabled':true,'recordingUrl':'https://r/1.wav','recordingDuration':10,'recordingFormat':'wav',"
         "'status':'available'}");
  json_decref(document);
  document = fold_one("call.recording.saved",
                      "{'recording_urls':{'mp3':'https://r/1.mp3','wav':'https://r/1.wav'},"
                      "'public_recording_urls':{'mp3':'https://p/1.mp3'}}");
  EXPECT(document, "recording",
         "{'enabled':true,'recordingUrl':'https://r/1.mp3','downloadUrl':'https://p/1.mp3',"
         "'recordingFormat':'mp3','status':'available'}");
  json_decref(document);
  document = fold_one("call.recording.saved", "{'recording_urls':[],'recording_started_at':7}");
  EXPECT(document, "recording", "{'enabled':true,'status':'available'}");
  json_decref(document);
  document = fold_one("call.answered", "{}");
  EXPECT(document, "recording", "absent");
  json_decref(document);
}

static void the_last_recording_counts(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.recording.saved", 20, "{'recording_urls':{'mp3':'https://r/2.mp3'}}");
  add_event(facts, "2", "call.recording.saved", 10, "{'recording_urls':{'mp3':'https://r/1.mp3'}}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "recording.recordingUrl", "'https://r/2.mp3'");
  json_decref(document);
  facts_free(facts);
}

static void transcriptions(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(
      facts, "1", "call.transcription", 10,
      "{'transcription_data':{'confidence':0.9,'is_final':true,'transcript':'hello','transcription_track':"
      "'outbound'}}");
  add_event(facts, "2", "call.transcription", 20,
            "{'transcription_data':{'confidence':0.5,'is_final':false,'transcript':'hel'}}");
  add_event(facts, "3", "call.transcription", 30,
            "{'transcription_data':{'confidence':'0.8','is_final':true,'transcript':'who is "
            "it','transcription_track':"
            "'inbound'}}");
  add_event(facts, "4", "call.transcription", 40,
            "{'transcription_data':{'confidence':80,'is_final':true,'transcript':'me'}}");
  add_event(facts, "5", "call.transcription", 50, "{'transcription_data':{'is_final':true,'transcript':''}}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "transcription",
         "{'enabled':true,'provider':'telnyx','status':'processing','fullText':'hello\\nwho is it\\nme',"
         "'confidence':0.85,'turns':[{'speaker':'agent','text':'hello','confidence':0.9},"
         "{'speaker':'lead','text':'who is it','confidence':0.8},{'speaker':'unknown','text':'me'}],"
         "'keywords':[],'entities':[]}");
  json_decref(document);
  add_event(facts, "6", "call.hangup", 60, NULL);
  document = fold_plain(facts, NULL);
  EXPECT(document, "transcription.status", "'completed'");
  json_decref(document);
  facts_free(facts);
}

static void costs(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"{'status':'success','total_cost':'0.0123','billed_duration_secs':90}",
       "{'cost':1.23,'currency':'USD','billingDuration':1.5,'billingStatus':'billed'}"},
      {"{'status':'success','total_cost':'0.00000700','billed_duration_secs':6}",
       "{'cost':0.0007,'currency':'USD','billingDuration':0.1,'billingStatus':'billed'}"},
      {"{'status':'error','total_cost':null,'billed_duration_secs':null}", "{'billingStatus':'error'}"},
      {"{'total_cost':0.5}", "{'cost':50.0,'currency':'USD'}"},
      {"{'total_cost':'nan','billed_duration_secs':'much'}", "absent"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *document = fold_one("call.cost", rows[i][0]);
    EXPECT(document, "billing", rows[i][1]);
    json_decref(document);
  }
}

static void the_last_cost_counts(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  add_event(facts, "1", "call.cost", 20, "{'total_cost':'0.02'}");
  add_event(facts, "2", "call.cost", 10, "{'total_cost':'0.01'}");
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "billing.cost", "2.0");
  json_decref(document);
  facts_free(facts);
}

static void errors_in_order_of_time(void **state) {
  (void)state;
  struct facts *facts = facts_new(LEG);
  struct part *part = add_part(facts, "a_1", 0, PART_CLOSED, 100, 900);
  add_event(facts, "1", "streaming.failed", 30, "{'failure_reason':'connection_failed'}");
  add_event(facts, "2", "call.recording.error", 10, "{'reason':'Unsupported backend'}");
  json_array_append_new(part->errors,
                        json_pack("{s:i, s:s, s:s, s:I}", "code", 100004, "title", "invalid_media", "detail",
                                  "not base64", "at_ms", (json_int_t)(start_ms + 20)));
  json_array_append_new(part->errors, json_pack("{s:i, s:s, s:s}", "code", 0, "title", "", "detail", ""));
  json_t *document = fold_plain(facts, NULL);
  EXPECT(document, "errors",
         "[{'errorType':'stream.error','severity':'medium'},"
         "{'errorType':'call.recording.error','errorMessage':'Unsupported backend','severity':'medium',"
         "'timestamp':{'$date':'2026-09-14T08:14:58.130Z'}},"
         "{'errorType':'stream.error','errorCode':'100004','errorMessage':'invalid_media: not base64',"
         "'severity':'medium','timestamp':{'$date':'2026-09-14T08:14:58.140Z'}},"
         "{'errorType':'streaming.failed','errorMessage':'connection_failed','severity':'high',"
         "'timestamp':{'$date':'2026-09-14T08:14:58.150Z'}}]");
  json_decref(document);
  facts_free(facts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_row_for_each_event_with_a_word),
      cmocka_unit_test(a_press_is_counted_once),
      cmocka_unit_test(the_same_event_under_two_ids_is_one),
      cmocka_unit_test(recordings),
      cmocka_unit_test(the_last_recording_counts),
      cmocka_unit_test(transcriptions),
      cmocka_unit_test(costs),
      cmocka_unit_test(the_last_cost_counts),
      cmocka_unit_test(errors_in_order_of_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
