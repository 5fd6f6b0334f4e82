/* agent/fixture.c: what is a fixture, in which order its events come, where its time begins, how the
 * numbers of audio lines go on. Impairments are in test_fixture_audio.c. */
#include "agent/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "telnyx/frame.h"
#include "telnyx/timestamp.h"
#include "tests/scratch_file.h"

#define HEAD "{'sidetone_fixture':1,'about':'a','source':'s','licence':'l'}\n"

static char *double_quoted(const char *text) {
  char *copy = strdup(text);
  for (char *c = copy; *c != '\0'; c++)
    if (*c == '\'') *c = '"';
  return copy;
}

static const char *write_fixture(const char *text) {
  char *copy = double_quoted(text);
  const char *path = scratch_text("events.jsonl", copy);
  free(copy);
  return path;
}

static struct fixture *open_good(const char *text) {
  char why[1024] = "";
  struct fixture *f = fixture_open(write_fixture(text), why, sizeof why);
  if (f == NULL) fail_msg("%s", why);
  return f;
}

/* ---- what is no fixture ---- */

static void expect_refused(const char *text, const char *line, const char *word) {
  char why[1024] = "", expected[600];
  const char *path = write_fixture(text);
  struct fixture *f = fixture_open(path, why, sizeof why);
  if (f != NULL) fail_msg("taken: %s", text);
  snprintf(expected, sizeof expected, "%s:%s: ", path, line);
  if (strncmp(why, expected, strlen(expected)) != 0 || strstr(why, word) == NULL)
    fail_msg("%s: got %s, expected %s... %s", text, why, expected, word);
}

static void a_path_that_is_none_is_said_whole(void **state) {
  (void)state;
  static const char *const words[] = {"", "x", "nowhere/x"};
  char why[8192] = "", path[5000];
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    assert_null(fixture_open(words[i], why, sizeof why));
    assert_int_equal(strncmp(why, words[i], strlen(words[i])), 0);
  }
  memset(path, 'p', sizeof path - 1); /* longer than any system takes */
  path[sizeof path - 1] = '\0';
  assert_null(fixture_open(path, why, sizeof why));
  assert_int_equal(strncmp(why, path, strlen(path)), 0);
}

static void sockets_have_short_names_and_are_few(void **state) {
  (void)state;
  static char text[16384];
  char name[65];
  memset(name, 'n', sizeof name - 1);
  name[64] = '\0';
  snprintf(text, sizeof text, HEAD "{'t':0,'ws':'%s','close':1000}\n", name);
  expect_refused(text, "2", "63 bytes");
  int length = snprintf(text, sizeof text, HEAD);
  for (int i = 0; i < 65; i++)
    length +=
        snprintf(text + length, sizeof text - (size_t)length, "{'t':%d,'ws':'s%d','close':1000}\n", i, i);
  expect_refused(text, "66", "64 different");
}

static void the_first_line_must_be_a_head(void **state) {
  (void)state;
  expect_refused("", "1", "sidetone_fixture");
  expect_refused("\n \n", "1", "sidetone_fixture");
  expect_refused("{'sidetone_fixture':2}\n", "1", "sidetone_fixture");
  expect_refused("{'sidetone_fixture':'1'}\n", "1", "sidetone_fixture");
  expect_refused("{'t':0,'ws':'a','text':'x'}\n", "1", "sidetone_fixture");
  expect_refused("\n\n[1]\n", "3", "object");
  expect_refused("hello\n", "1", "");
  expect_refused("{'sidetone_fixture':1,'epoch':'yesterday'}\n", "1", "epoch");
  expect_refused("{'sidetone_fixture':1,'epoch':5}\n", "1", "epoch");
}

static void every_bad_line_is_named(void **state) {
  (void)state;
  static const struct {
    const char *line, *word;
  } bad[] = {
      {"{'t':1,'ws':'a','text':'x'", ""},
      {"[]", "object"},
      {"7", "object"},
      {"{'ws':'a','text':'x'}", "\"t\""},
      {"{'t':'1','ws':'a','text':'x'}", "\"t\""},
      {"{'t':-0.1,'ws':'a','text':'x'}", "\"t\""},
      {"{'t':1e300,'ws':'a','text':'x'}", "\"t\""},
      {"{'t':1e999,'ws':'a','text':'x'}", "\"t\""},
      {"{'t':1}", "http or ws"},
      {"{'t':1,'http':'x'}", "http or ws"},
      {"{'t':1,'http':{}}", "body or raw"},
      {"{'t':1,'http':{'path':'/x'}}", "body or raw"},
      {"{'t':1,'http':{'raw':5}}", "body or raw"},
      {"{'t':1,'ws':5,'text':'x'}", "http or ws"},
      {"{'t':1,'ws':'a'}", "open, text, audio or close"},
      {"{'t':1,'ws':'a','open':true}", "open, text, audio or close"},
      {"{'t':1,'ws':'a','text':{}}", "open, text, audio or close"},
      {"{'t':1,'ws':'a','close':'1000'}", "open, text, audio or close"},
      {"{'t':1,'ws':'a','audio':'call.wav'}", "open, text, audio or close"},
      {"{'t':1,'ws':'a','audio':{}}", "audio"},
      {"{'t':1,'ws':'a','audio':{'file':'absent.wav','encoding':'PCMU'}}", "absent.wav"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[1024];
    snprintf(text, sizeof text, HEAD "{'t':0,'ws':'a','open':{}}\n\n%s\n", bad[i].line);
    expect_refused(text, "4", bad[i].word);
  }
}

static void a_path_that_is_none_is_said(void **state) {
  (void)state;
  char why[1024] = "";
  const char *path = scratch_path("absent.jsonl");
  assert_null(fixture_open(path, why, sizeof why));
  assert_memory_equal(why, path, strlen(path));
  assert_non_null(strstr(why, strerror(2)));
  /* A folder without events. */
  const char *folder = scratch_path("folder");
  assert_int_equal(mkdir(folder, 0700), 0);
  assert_null(fixture_open(folder, why, sizeof why));
  assert_non_null(strstr(why, "/events.jsonl: "));
  assert_int_equal(rmdir(folder), 0);
}

/* ---- events ---- */

/* One event as a line of text. */
static void describe(const struct fixture_event *e, char *out, size_t bytes) {
  static const char *const kinds[] = {"http", "open", "text", "close"};
  snprintf(out, bytes, "%lld %s %s %s %.*s %d", (long long)e->t_us, kinds[e->kind],
           e->socket ? e->socket : "-", e->path ? e->path : "-", (int)e->bytes, e->text ? e->text : "",
           e->close_code);
}

static void expect_events(struct fixture *f, const char *const *lines, size_t count) {
  struct fixture_event e;
  char line[4096];
  for (size_t i = 0; i < count; i++) {
    assert_true(fixture_next(f, &e));
    describe(&e, line, sizeof line);
    assert_string_equal(line, lines[i]);
  }
  assert_false(fixture_next(f, &e));
  assert_false(fixture_next(f, &e));
}

static void each_kind_of_event_comes_out(void **state) {
  (void)state;
  struct fixture *f = open_good(HEAD
                                "{'t':0.0,'http':{'body':{'a':[1,'x']}}}\n"
                                "{'t':0.25,'http':{'path':'/other','raw':'not json','headers':{'h':'v'}}}\n"
                                "{'t':1,'ws':'a','open':{}}\n"
                                "{'t':1,'ws':'b','open':{'path':'/telnyx/media/key','headers':{'k':'v'}}}\n"
                                "{'t':1.0000004,'ws':'a','text':'hello'}\n"
                                "{'t':1.21,'ws':'a','text':''}\r\n"
                                "{'t':9,'ws':'a','close':1005}");
  static const char *const lines[] = {
      "0 http - /telnyx/webhooks {\"a\":[1,\"x\"]} 0",
      "250000 http - /other not json 0",
      "1000000 open a /telnyx/media  0",
      "1000000 open b /telnyx/media/key  0",
      "1000000 text a - hello 0",
      "1210000 text a -  0",
      "9000000 close a -  1005",
  };
  expect_events(f, lines, sizeof lines / sizeof *lines);
  assert_int_equal(fixture_end_us(f), 9000000);
  fixture_rewind(f);
  struct fixture_event e;
  assert_true(fixture_next(f, &e));
  assert_null(e.headers);
  assert_true(fixture_next(f, &e));
  assert_string_equal(json_string_value(json_object_get(e.headers, "h")), "v");
  fixture_rewind(f); /* from any place */
  expect_events(f, lines, sizeof lines / sizeof *lines);
  fixture_free(f);
}

static void events_come_by_time_then_by_line(void **state) {
  (void)state;
  struct fixture *f = open_good(HEAD
                                "{'t':2,'ws':'a','text':'third'}\n"
                                "{'t':1,'ws':'a','text':'first'}\n"
                                "{'t':2,'ws':'a','text':'fourth'}\n"
                                "{'t':1,'ws':'b','text':'second'}\n"
                                "{'t':2,'ws':'a','text':'fifth'}\n");
  static const char *const lines[] = {"1000000 text a - first 0", "1000000 text b - second 0",
                                      "2000000 text a - third 0", "2000000 text a - fourth 0",
                                      "2000000 text a - fifth 0"};
  expect_events(f, lines, 5);
  fixture_free(f);
}

/* Many lines, so that no small-array luck of a sort hides an order that is not kept. */
static void equal_times_keep_their_order_in_any_number(void **state) {
  (void)state;
  enum { LINES = 2000 };
  char *text = malloc(LINES * 64 + 256), *at = text;
  at += sprintf(at, "%s", HEAD);
  for (int i = 0; i < LINES; i++) at += sprintf(at, "{'t':%d,'ws':'a','text':'%d'}\n", (LINES - i) / 100, i);
  struct fixture *f = open_good(text);
  struct fixture_event e, before = {.t_us = -1};
  int number_before = -1, count = 0;
  while (fixture_next(f, &e)) {
    int number = atoi(e.text);
    assert_true(e.t_us > before.t_us || (e.t_us == before.t_us && number > number_before));
    before = e;
    number_before = number;
    count++;
  }
  assert_int_equal(count, LINES);
  fixture_free(f);
  free(text);
}

static void a_folder_is_a_fixture(void **state) {
  (void)state;
  char why[1024] = "";
  write_fixture(HEAD "{'t':3,'ws':'a','text':'x'}\n");
  struct fixture *f = fixture_open(scratch_folder, why, sizeof why);
  assert_non_null(f);
  static const char *const lines[] = {"3000000 text a - x 0"};
  expect_events(f, lines, 1);
  fixture_free(f);
}

static void a_fixture_without_events_is_one(void **state) {
  (void)state;
  struct fixture *f = open_good(HEAD);
  expect_events(f, NULL, 0);
  assert_int_equal(fixture_end_us(f), 0);
  fixture_free(f);
}

/* ---- epoch ---- */

static void expect_epoch(const char *text, const char *expected) {
  struct fixture *f = open_good(text);
  char got[TIMESTAMP_BYTES];
  timestamp_format_us(fixture_epoch_us(f), got);
  assert_string_equal(got, expected);
  fixture_free(f);
}

#define EVENT(t, occurred) "{'t':" t ",'http':{'body':{'data':{'occurred_at':'" occurred "'}}}}\n"

static void the_epoch_is_stated_or_derived(void **state) {
  (void)state;
  expect_epoch("{'sidetone_fixture':1,'epoch':'2026-09-14T08:14:58.120044+02:00'}\n" EVENT(
                   "1", "2020-01-01T00:00:00Z"),
               "2026-09-14T06:14:58.120044Z");
  expect_epoch(HEAD, "2026-01-01T00:00:00.000000Z");
  expect_epoch(HEAD "{'t':4,'ws':'a','text':'x'}\n{'t':5,'http':{'raw':'x'}}\n",
               "2026-01-01T00:00:00.000000Z");
  expect_epoch(HEAD EVENT("1.5", "2026-09-14T08:15:00Z") EVENT("3", "2026-09-14T08:15:01.500000Z"),
               "2026-09-14T08:14:58.500000Z");
  /* A webhook that came late says nothing of the start: the event that happened first does. */
  expect_epoch(HEAD EVENT("1.5", "2026-09-14T08:15:00Z") EVENT("60", "2026-09-14T08:15:10Z"),
               "2026-09-14T08:14:58.500000Z");
  /* In any order of the lines; what has no time, or none that can be read, is passed over. */
  expect_epoch(
      HEAD EVENT("7", "soon") EVENT("9", "2026-09-14T08:15:09Z") EVENT(
          "2", "2026-09-14T08:15:00Z") "{'t':0,'http':{'body':{'data':{}}}}\n{'t':0,'http':{'body':[]}}\n",
      "2026-09-14T08:14:58.000000Z");
}

/* ---- numbers of audio lines ---- */

struct seen {
  uint64_t sequence, chunk, timestamp;
  int track;
  int64_t t_us;
  size_t payload_bytes;
  char stream_id[64];
};

/* The next media frame; false at the end. Other events are passed over. */
static bool next_media(struct fixture *f, struct seen *out) {
  struct fixture_event e;
  while (fixture_next(f, &e)) {
    struct media_frame m;
    if (e.kind != FIXTURE_WS_TEXT || !frame_scan_media(e.text, e.bytes, &m)) continue;
    assert_true(m.has_sequence && m.has_chunk && m.has_timestamp && m.bad_numbers == 0);
    assert_int_equal(strlen(e.text), e.bytes);
    *out = (struct seen){.sequence = m.sequence,
                         .chunk = m.chunk,
                         .timestamp = m.timestamp,
                         .track = m.track,
                         .t_us = e.t_us,
                         .payload_bytes = frame_payload_bytes(m.payload)};
    snprintf(out->stream_id, sizeof out->stream_id, "%.*s", (int)m.stream_id.bytes, m.stream_id.data);
    return true;
  }
  return false;
}

static void expect_media(struct fixture *f, int track, uint64_t sequence, uint64_t chunk, uint64_t timestamp,
                         int64_t t_us) {
  struct seen s;
  assert_true(next_media(f, &s));
  assert_int_equal(s.track, track);
  assert_int_equal(s.sequence, sequence);
  assert_int_equal(s.chunk, chunk);
  assert_int_equal(s.timestamp, timestamp);
  assert_int_equal(s.t_us, t_us);
}

static void write_sounds(void) {
  int16_t pcm[160 * 10 * 2] = {0};
  scratch_wav("mono.wav", 8000, 1, pcm, 160 * 4 + 100); /* 4 frames; the rest is no whole one */
  scratch_wav("stereo.wav", 8000, 2, pcm, 160 * 3);
}

#define AUDIO(t, socket, file) "{'t':" t ",'ws':'" socket "','audio':{'file':'" file "','encoding':'PCMU'}}\n"

static void audio_begins_with_chunk_1(void **state) {
  (void)state;
  write_sounds();
  struct fixture *f = open_good(HEAD AUDIO("1.5", "a", "mono.wav"));
  for (uint64_t i = 0; i < 4; i++) expect_media(f, 0, i + 1, i + 1, i * 20, 1500000 + (int64_t)i * 20000);
  struct seen s;
  assert_false(next_media(f, &s));
  assert_int_equal(fixture_end_us(f), 1560000);
  fixture_free(f);
}

static void both_channels_are_two_tracks_of_one_numbering(void **state) {
  (void)state;
  write_sounds();
  struct fixture *f = open_good(HEAD AUDIO("0", "a", "stereo.wav"));
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 0; i < 3; i++) {
      expect_media(f, 0, i * 2 + 1, i + 1, i * 20, (int64_t)i * 20000);
      expect_media(f, 1, i * 2 + 2, i + 1, i * 20, (int64_t)i * 20000);
    }
    fixture_rewind(f); /* the numbers too */
  }
  fixture_free(f);
}

static void numbers_go_on_from_the_last_of_the_socket(void **state) {
  (void)state;
  write_sounds();
  struct fixture *f = open_good(
      HEAD
      "{'t':0,'ws':'a','open':{}}\n"
      "{'t':0,'ws':'a','text':'{\\u0022event\\u0022:\\u0022start\\u0022,\\u0022sequence_number\\u0022:\\u00221\\u0022,"
      "\\u0022stream_id\\u0022:\\u0022s-9\\u0022,\\u0022start\\u0022:{\\u0022call_control_id\\u0022:\\u0022l\\u0022,"
      "\\u0022media_format\\u0022:{\\u0022encoding\\u0022:\\u0022PCMU\\u0022}}}'}\n" AUDIO("0.1", "a", "stereo.wav")
          AUDIO("1", "a", "mono.wav")
      "{'t':2,'ws':'a','text':'{\\u0022event\\u0022:\\u0022media\\u0022,\\u0022sequence_number\\u0022:40,"
      "\\u0022media\\u0022:{\\u0022track\\u0022:\\u0022outbound\\u0022,\\u0022chunk\\u0022:70,"
      "\\u0022timestamp\\u0022:900,\\u0022payload\\u0022:\\u0022////\\u0022}}'}\n" AUDIO("3", "a", "stereo.wav")
          AUDIO("4", "b", "mono.wav"));
  for (uint64_t i = 0; i < 3; i++) { /* behind the start, which was 1 */
    expect_media(f, 0, i * 2 + 2, i + 1, i * 20, 100000 + (int64_t)i * 20000);
    expect_media(f, 1, i * 2 + 3, i + 1, i * 20, 100000 + (int64_t)i * 20000);
  }
  struct seen s;
  for (uint64_t i = 0; i < 4; i++) { /* the inbound track goes on, the sequence too */
    assert_true(next_media(f, &s));
    assert_string_equal(s.stream_id, "s-9");
    assert_int_equal(s.track, 0);
    assert_int_equal(s.sequence, 8 + i);
    assert_int_equal(s.chunk, 4 + i);
    assert_int_equal(s.timestamp, 60 + i * 20);
  }
  expect_media(f, 1, 40, 70, 900, 2000000); /* the verbatim one */
  for (uint64_t i = 0; i < 3; i++) {
    expect_media(f, 0, 41 + i * 2, 8 + i, 140 + i * 20, 3000000 + (int64_t)i * 20000);
    expect_media(f, 1, 42 + i * 2, 71 + i, 920 + i * 20, 3000000 + (int64_t)i * 20000);
  }
  for (uint64_t i = 0; i < 4; i++) expect_media(f, 0, 1 + i, 1 + i, i * 20, 4000000 + (int64_t)i * 20000);
  assert_false(next_media(f, &s));
  fixture_free(f);
}

/* A socket that is opened again is another one, whatever it is called. */
static void a_socket_opened_again_counts_from_1(void **state) {
  (void)state;
  write_sounds();
  struct fixture *f = open_good(HEAD "{'t':0,'ws':'a','open':{}}\n" AUDIO(
      "0", "a", "mono.wav") "{'t':1,'ws':'a','close':1006}\n{'t':2,'ws':'a','open':{}}\n" AUDIO("2", "a",
                                                                                                "mono.wav"));
  for (uint64_t i = 0; i < 4; i++) expect_media(f, 0, i + 1, i + 1, i * 20, (int64_t)i * 20000);
  for (uint64_t i = 0; i < 4; i++) expect_media(f, 0, i + 1, i + 1, i * 20, 2000000 + (int64_t)i * 20000);
  fixture_free(f);
}

static void audio_and_other_events_are_merged_by_time(void **state) {
  (void)state;
  write_sounds();
  struct fixture *f = open_good(HEAD "{'t':0.02,'ws':'a','text':'before'}\n" AUDIO(
      "0", "a",
      "mono.wav") AUDIO("0.02", "b",
                        "mono.wav") "{'t':0.02,'ws':'a','text':'after'}\n"
                                    "{'t':0.05,'ws':'a','close':1000}\n");
  static const struct {
    int64_t t_us;
    const char *what; /* socket and first letter: m of media */
  } order[] = {{0, "am"},     {20000, "ab"}, {20000, "am"}, {20000, "bm"}, {20000, "aa"}, {40000, "am"},
               {40000, "bm"}, {50000, "ac"}, {60000, "am"}, {60000, "bm"}, {80000, "bm"}};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    struct fixture_event e;
    assert_true(fixture_next(f, &e));
    char letter = e.kind == FIXTURE_WS_CLOSE ? 'c' : e.text[0] == '{' ? 'm' : e.text[0];
    assert_int_equal(e.t_us, order[i].t_us);
    assert_int_equal(e.socket[0], order[i].what[0]);
    assert_int_equal(letter, order[i].what[1]);
  }
  struct fixture_event e;
  assert_false(fixture_next(f, &e));
  assert_int_equal(fixture_end_us(f), 80000);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_path_that_is_none_is_said_whole),
      cmocka_unit_test(sockets_have_short_names_and_are_few),
      cmocka_unit_test(the_first_line_must_be_a_head),
      cmocka_unit_test(every_bad_line_is_named),
      cmocka_unit_test(a_path_that_is_none_is_said),
      cmocka_unit_test(each_kind_of_event_comes_out),
      cmocka_unit_test(events_come_by_time_then_by_line),
      cmocka_unit_test(equal_times_keep_their_order_in_any_number),
      cmocka_unit_test(a_folder_is_a_fixture),
      cmocka_unit_test(a_fixture_without_events_is_one),
      cmocka_unit_test(the_epoch_is_stated_or_derived),
      cmocka_unit_test(audio_begins_with_chunk_1),
      cmocka_unit_test(both_channels_are_two_tracks_of_one_numbering),
      cmocka_unit_test(numbers_go_on_from_the_last_of_the_socket),
      cmocka_unit_test(a_socket_opened_again_counts_from_1),
      cmocka_unit_test(audio_and_other_events_are_merged_by_time),
  };
  return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
