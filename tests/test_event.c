#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "telnyx/event.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* telnyx-protocol.md, from the folder of the specifications. Caller frees. */
static char *read_protocol(void) {
  const char *folder = getenv("SIDETONE_SHARED");
  char path[4096];
  snprintf(path, sizeof path, "%s/telnyx-protocol.md", folder ? folder : "../shared");
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("cannot open %s: set SIDETONE_SHARED", path);
  char *text = malloc(1 << 20);
  text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
  fclose(file);
  return text;
}

/* ---- the table ---- */

static bool has_field(const struct event_row *row, const char *name) {
  for (const char *const *field = row->fields; *field; field++) {
    if (strcmp(*field, name) == 0) return true;
  }
  return false;
}

static void test_rows(void **unused) {
  (void)unused;
  static const char *const words[] = {"initiated", "answered", "bridged",           "hold",   "unhold",
                                      "transfer",  "dtmf",     "recording-stopped", "hangup", "error"};
  int of_kind[EVENT_UNKNOWN + 1] = {0};
  size_t count;
  const struct event_row *rows = event_rows(&count);
  assert_int_equal(count, 58 + 1); /* those of 2.5, and ours */
  for (size_t i = 0; i < count; i++) {
    of_kind[rows[i].kind]++;
    assert_ptr_equal(event_row(rows[i].type), &rows[i]);
    assert_ptr_equal(event_fields(&rows[i]), rows[i].fields);
    assert_true(has_field(&rows[i], "connection_id"));
    bool known = rows[i].call_event == NULL;
    for (size_t w = 0; w < COUNT(words) && !known; w++) known = strcmp(words[w], rows[i].call_event) == 0;
    if (!known) fail_msg("%s: \"%s\" is no word of events[]", rows[i].type, rows[i].call_event);
    assert_int_equal(rows[i].secret, strncmp(rows[i].type, "call.payment.", 13) == 0);
  }
  for (int kind = 0; kind < EVENT_OTHER; kind++) assert_int_equal(of_kind[kind], 1);
  assert_int_equal(of_kind[EVENT_UNKNOWN], 0);
  assert_null(event_row("call.new"));
  assert_null(event_row("call_initiated"));
  assert_true(event_row("call.payment.refunded")->secret);
  assert_int_equal(event_row("call.payment.refunded")->kind, EVENT_UNKNOWN);
  assert_string_equal(event_fields(NULL)[0], "call_control_id");
}

/* Reads `x` at `at`; false when there is none before the end of the line. */
static bool quoted(const char **at, const char *end, char *out, size_t room) {
  const char *open = memchr(*at, '`', (size_t)(end - *at));
  const char *close = open ? memchr(open + 1, '`', (size_t)(end - open - 1)) : NULL;
  if (!close) return false;
  snprintf(out, room, "%.*s", (int)(close - open - 1), open + 1);
  *at = close + 1;
  return true;
}

enum { NAME_BYTES = 128 };

/* The first `head` characters of `last` followed by `tail`, into `last`. */
static void replace_tail(char last[NAME_BYTES], size_t head, const char *tail, size_t tail_bytes) {
  assert_true(head + tail_bytes < NAME_BYTES);
  memcpy(last + head, tail, tail_bytes);
  last[head + tail_bytes] = '\0';
}

/* "call.refer.started" then ".completed"; "conference.speak.started/ended". `last` is the name before. */
static void expand(const char *name, char last[NAME_BYTES], void (*each)(const char *type)) {
  const char *slash = strchr(name, '/');
  size_t head = name[0] == '.' ? (size_t)(strrchr(last, '.') - last) : 0;
  replace_tail(last, head, name, slash ? (size_t)(slash - name) : strlen(name));
  each(last);
  if (!slash) return;
  replace_tail(last, (size_t)(strrchr(last, '.') - last) + 1, slash + 1, strlen(slash + 1));
  each(last);
}

static size_t documented;
static void must_have_row(const char *type) {
  documented++;
  if (!event_row(type)) fail_msg("no row for %s", type);
}

/* The specification's own tables: every event they name has a row. */
static void test_every_documented_event(void **unused) {
  (void)unused;
  char *text = read_protocol();
  const char *at = strstr(text, "### 2.5 "), *stop = at ? strstr(at, "#### Expected sequence") : NULL;
  assert_non_null(stop);
  documented = 0;
  for (const char *line = at; line < stop; line = strchr(line, '\n') + 1) {
    const char *cell = line + 2, *end = strncmp(line, "| `", 3) == 0 ? strchr(cell, '|') : NULL;
    char name[NAME_BYTES], last[NAME_BYTES] = "";
    while (end && quoted(&cell, end, name, sizeof name)) expand(name, last, must_have_row);
  }
  free(text);
  assert_int_equal(documented, 58);
}

/* The example bodies of the specification. */
static void test_examples(void **unused) {
  (void)unused;
  char *text = read_protocol(), why[200];
  const char *at = strstr(text, "## 2. Webhooks");
  int found = 0;
  while ((at = strstr(at, "```json\n{\"data\":{\"event_type\"")) != NULL) {
    at += 8;
    const char *end = strstr(at, "```");
    struct event e;
    if (event_parse(at, (size_t)(end - at), &e, why, sizeof why) != 0) fail_msg("%s", why);
    assert_string_equal(e.call_control_id, "v3:EXAMPLE-leg-A");
    assert_string_equal(e.connection_id, "2900000000000000001");
    assert_int_equal(e.attempt, 1);
    const char *key;
    json_t *value;
    json_object_foreach(e.payload, key, value) {
      if (!has_field(e.row, key)) fail_msg("%s: the field %s would be cut", e.type, key);
    }
    event_release(&e);
    found++;
  }
  free(text);
  assert_int_equal(found, 2);
}

/* ---- bodies ---- */

static void parse(const char *body, struct event *e) {
  char why[200] = "";
  if (event_parse(body, strlen(body), e, why, sizeof why) != 0) fail_msg("%s: %s", body, why);
}

static void test_envelope(void **unused) {
  (void)unused;
  struct event e;
  parse(
      "{\"data\":{\"event_type\":\"call.hangup\",\"id\":\"e1\",\"occurred_at\":\"2026-09-14T08:16:30."
      "640188Z\","
      "\"payload\":{\"call_control_id\":\"c\",\"call_leg_id\":\"l\",\"call_session_id\":\"s\",\"connection_"
      "id\":\"2\","
      "\"client_state\":null,\"big\":123456789012345678901234567890},\"record_type\":\"event\"},"
      "\"meta\":{\"attempt\":\"3\"}}",
      &e);
  assert_int_equal(e.kind, EVENT_CALL_HANGUP);
  assert_string_equal(e.row->type, "call.hangup");
  assert_string_equal(e.id, "e1");
  assert_string_equal(e.type, "call.hangup");
  assert_string_equal(e.call_control_id, "c");
  assert_string_equal(e.call_leg_id, "l");
  assert_string_equal(e.call_session_id, "s");
  assert_string_equal(e.connection_id, "2");
  assert_null(e.client_state);
  assert_true(e.has_occurred_at);
  assert_true(e.occurred_at_us == 1789373790640188);
  assert_int_equal(e.attempt, 3);
  assert_string_equal(json_string_value(json_object_get(e.payload, "big")), "123456789012345678901234567890");
  event_release(&e);
  assert_null(e.root);
}

static void test_little_said(void **unused) {
  (void)unused;
  struct event e;
  parse("{\"data\":{\"event_type\":\"call.new\",\"id\":\"e\"}}", &e);
  assert_int_equal(e.kind, EVENT_UNKNOWN);
  assert_null(e.row);
  assert_false(e.has_occurred_at);
  assert_int_equal(e.attempt, 1);
  assert_int_equal(json_object_size(e.payload), 0);
  assert_null(e.call_control_id);
  event_release(&e);
  parse(
      "{\"data\":{\"event_type\":\"conference.ended\",\"id\":\"e\",\"occurred_at\":null,\"payload\":{"
      "\"occurred_at\":"
      "\"1970-01-01T00:00:01Z\"}},\"meta\":{\"attempt\":0}}",
      &e);
  assert_int_equal(e.kind, EVENT_OTHER);
  assert_true(e.has_occurred_at && e.occurred_at_us == 1000000);
  assert_int_equal(e.attempt, 1);
  event_release(&e);
  parse("{\"data\":{\"event_type\":\"call.cost\",\"id\":\"e\",\"payload\":[1]}}", &e);
  assert_int_equal(json_array_size(json_object_get(e.payload, "value")), 1);
  event_release(&e);
  parse("{\"data\":{\"event_type\":\"call.cost\",\"id\":\"e\",\"payload\":null}}", &e);
  assert_int_equal(json_object_size(e.payload), 0);
  event_release(&e);
  parse("{\"data\":{\"event_type\":\"call.cost\",\"id\":4711}}", &e);
  assert_string_equal(e.id, "4711");
  event_release(&e);
}

static void test_floor_changed(void **unused) {
  (void)unused;
  struct event e, again;
  parse(
      "{\"record_type\":\"event\",\"event_type\":\"conference.floor.changed\",\"id\":\"f1\",\"payload\":"
      "{\"call_control_id\":\"c\",\"occurred_at\":\"1970-01-01T00:00:01Z\"}}",
      &e);
  assert_string_equal(e.id, "f1");
  assert_string_equal(e.call_control_id, "c");
  assert_true(e.has_occurred_at);
  event_release(&e);
  static const char without_id[] = "{\"event_type\":\"conference.floor.changed\",\"payload\":{}}";
  parse(without_id, &e);
  parse(without_id, &again);
  /* echo -n '<the body>' | sha256sum | cut -c1-32 */
  assert_string_equal(e.id, "5675f0592ec28e09027d33aa9121a212");
  assert_string_equal(e.id, again.id);
  event_release(&e);
  event_release(&again);
  parse("{\"event_type\":\"conference.floor.changed\",\"payload\":{} }", &e);
  assert_string_not_equal(e.id, "5675f0592ec28e09027d33aa9121a212");
  event_release(&e);
  parse("{\"data\":{\"event_type\":\"conference.floor.changed\",\"id\":\"f2\"}}", &e);
  assert_string_equal(e.id, "f2");
  event_release(&e);
}

static void test_refused(void **unused) {
  (void)unused;
  static const struct {
    const char *body, *why; /* part of the message */
  } rows[] = {
      {"", "empty"},
      {"call_control_id=v3%3A", "not JSON at byte 0"},
      {"{\"data\":{\"event_type\":\"call.hangup\",\"id\":\"e\"}", "not JSON"},
      {"[]", "the body is an array"},
      {"null", "the body is null"},
      {"{}", "data is absent"},
      {"{\"data\":[]}", "data is an array"},
      {"{\"data\":{}}", "data.event_type is absent"},
      {"{\"data\":{\"event_type\":7,\"id\":\"e\"}}", "data.event_type is a number"},
      {"{\"data\":{\"event_type\":\"\",\"id\":\"e\"}}", "data.event_type is empty"},
      {"{\"data\":{\"event_type\":\"call.hangup\"}}", "data.id of call.hangup is absent"},
      {"{\"data\":{\"event_type\":\"call.hangup\",\"id\":null}}", "data.id of call.hangup is null"},
      {"{\"data\":{\"event_type\":\"call.hangup\",\"id\":true}}", "data.id of call.hangup is true or false"},
      {"{\"data\":{\"event_type\":\"conference.floor.changed\"}}",
       "data.id of conference.floor.changed is absent"},
      {"{\"record_type\":\"event\",\"id\":\"e\",\"event_type\":\"call_initiated\",\"created_at\":\"x\","
       "\"payload\":{}}",
       "set webhook_api_version to \"2\""},
      {"{\"event_type\":\"call.hangup\",\"id\":\"e\",\"payload\":{}}", "webhook_api_version"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct event e;
    char why[256] = "";
    assert_int_equal(event_parse(rows[i].body, strlen(rows[i].body), &e, why, sizeof why), -1);
    if (!strstr(why, rows[i].why)) fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].body, why, rows[i].why);
    assert_null(e.root);
    event_release(&e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),        cmocka_unit_test(test_every_documented_event),
      cmocka_unit_test(test_examples),    cmocka_unit_test(test_envelope),
      cmocka_unit_test(test_little_said), cmocka_unit_test(test_floor_changed),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
