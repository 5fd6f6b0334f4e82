#include "agent/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/document.h"
#include "agent/part_fields.h"

enum { SPEECH_COLUMNS = 4 };

static const char *const state_names[] = {[PART_OPEN] = "open", [PART_CLOSED] = "closed", [PART_CUT] = "cut"};

/* `n` comes first: it is what a filter of the database asks for. */
static const struct field part_rows[] = {
    FIELD(part, n, FIELD_U64, MERGE_SUM),
    FIELD(part, opened_ms, FIELD_I64, MERGE_FIRST),
    FIELD(part, closed_ms, FIELD_I64, MERGE_LAST),
    FIELD(part, start_ms, FIELD_I64, MERGE_FIRST),
    FIELD(part, first_frame_ms, FIELD_I64, MERGE_FIRST),
    FIELD(part, last_frame_ms, FIELD_I64, MERGE_LAST),
    FIELD(part, frames_ignored, FIELD_U64, MERGE_SUM),
    FIELD(part, frames_before_start_dropped, FIELD_U64, MERGE_SUM),
    FIELD(part, parse_errors, FIELD_U64, MERGE_SUM),
    FIELD(part, messages_missing, FIELD_U64, MERGE_SUM),
    FIELD(part, formats, FIELD_U64, MERGE_SUM),
};
enum { PART_ROWS = sizeof part_rows / sizeof *part_rows };

const struct field socket_fields[] = {
    FIELD(socket_facts, looks, FIELD_U64, MERGE_SUM),
    FIELD(socket_facts, rtt_var_max_us, FIELD_U64, MERGE_MAX),
    FIELD(socket_facts, out_of_order_segments, FIELD_U64, MERGE_SUM),
    FIELD(socket_facts, tcp_bytes, FIELD_U64, MERGE_SUM),
    FIELD(socket_facts, queued_max_bytes, FIELD_U64, MERGE_MAX),
    FIELD(socket_facts, pong_max_us, FIELD_U64, MERGE_MAX),
};
const size_t socket_field_count = sizeof socket_fields / sizeof *socket_fields;

struct text_row {
  const char *name;
  size_t offset, bytes;
};
#define TEXT_ROW(member_) \
  { #member_, offsetof(struct part, member_), sizeof(((struct part *)0)->member_) }
static const struct text_row text_rows[] = {
    TEXT_ROW(id),
    TEXT_ROW(stream_id),
    TEXT_ROW(call_control_id),
    TEXT_ROW(call_session_id),
    TEXT_ROW(call_leg_id),
    TEXT_ROW(from),
    TEXT_ROW(to),
};
enum { TEXT_ROWS = sizeof text_rows / sizeof *text_rows };

struct part *part_new(void) {
  struct part *part = calloc(1, sizeof *part);
  if (!part) return NULL;
  part->dtmf = json_array();
  part->errors = json_array();
  if (part->dtmf && part->errors) return part;
  part_free(part);
  return NULL;
}

void part_free(struct part *part) {
  if (!part) return;
  for (int t = 0; t < TRACK_COUNT; t++) {
    free(part->track[t].delivery);
    free(part->track[t].signal);
  }
  free(part->speech);
  free(part->findings);
  free(part->client_state);
  json_decref(part->dtmf);
  json_decref(part->errors);
  free(part);
}

/* ---- to JSON ---- */

static json_t *delivery_to_json(const struct delivery_facts *facts) {
  json_t *object = fields_to_json(delivery_fields, delivery_field_count, facts);
  if (facts->window_count)
    json_object_set_new(object, "windows",
                        columns_to_json(delivery_window_fields, delivery_window_field_count, facts->windows,
                                        sizeof *facts->windows, facts->window_count));
  return object;
}

static json_t *speech_to_json(const struct speech_facts *facts) {
  json_t *object = fields_to_json(speech_fields, speech_field_count, facts);
  if (!facts->event_count) return object;
  json_t *kind = json_array(), *by = json_array(), *start = json_array(), *overlap = json_array();
  for (size_t i = 0; i < facts->event_count; i++) {
    const struct speech_event *event = &facts->events[i];
    json_array_append_new(kind, json_integer(event->kind));
    json_array_append_new(by, json_integer(event->by));
    json_array_append_new(start, json_integer(event->start_ms));
    json_array_append_new(overlap, json_integer(event->overlap_ms));
  }
  json_t *events =
      json_pack("{s:o, s:o, s:o, s:o}", "kind", kind, "by", by, "start_ms", start, "overlap_ms", overlap);
  json_object_set_new(object, "events", events);
  return object;
}

static json_t *findings_to_json(const struct finding_facts *facts) {
  json_t *object = fields_to_json(finding_fields, finding_field_count, facts);
  if (facts->row_count)
    json_object_set_new(object, "rows",
                        columns_to_json(finding_row_fields, finding_row_field_count, facts->rows,
                                        sizeof *facts->rows, facts->row_count));
  return object;
}

static json_t *track_to_json(const struct part *part, int t) {
  json_t *object = json_object();
  document_put_text(object, "encoding", part->track[t].encoding);
  json_object_set_new(object, "sample_rate_hz", json_integer(part->track[t].sample_rate_hz));
  json_object_set_new(object, "ptime_us", json_integer(part->track[t].ptime_us));
  json_object_set_new(object, "chunk_scope", json_integer(part->track[t].chunk_scope));
  json_object_set_new(object, "ts_unit", json_integer(part->track[t].ts_unit));
  json_object_set_new(object, "payload_bytes", json_integer((json_int_t)part->track[t].payload_bytes));
  if (part->track[t].delivery)
    json_object_set_new(object, "delivery", delivery_to_json(part->track[t].delivery));
  if (part->track[t].signal)
    json_object_set_new(object, "signal",
                        fields_to_json(signal_fields, signal_field_count, part->track[t].signal));
  return object;
}

json_t *part_to_json(const struct part *part) {
  json_t *object = fields_to_json(part_rows, PART_ROWS, part);
  for (size_t i = 0; i < TEXT_ROWS; i++)
    document_put_text(object, text_rows[i].name, (const char *)part + text_rows[i].offset);
  if (part->client_state) json_object_set_new(object, "client_state", json_string(part->client_state));
  json_object_set_new(object, "state", json_string(state_names[part->state]));
  document_put_some(object, "echo", fields_to_json(echo_fields, echo_field_count, &part->echo));
  document_put_some(object, "socket", fields_to_json(socket_fields, socket_field_count, &part->socket));
  for (int t = 0; t < TRACK_COUNT; t++)
    if (part->track[t].seen) json_object_set_new(object, track_name(t), track_to_json(part, t));
  if (part->speech) json_object_set_new(object, "speech", speech_to_json(part->speech));
  if (part->findings) json_object_set_new(object, "findings", findings_to_json(part->findings));
  if (json_array_size(part->dtmf)) json_object_set_new(object, "dtmf", json_deep_copy(part->dtmf));
  if (json_array_size(part->errors)) json_object_set_new(object, "errors", json_deep_copy(part->errors));
  return object;
}

/* ---- from JSON ---- */

static bool read_text(const json_t *object, const char *key, char *out, size_t room) {
  const json_t *value = json_object_get(object, key);
  if (!value) return true;
  const char *text = json_string_value(value);
  if (!text || strlen(text) >= room) return false;
  strcpy(out, text);
  return true;
}

static bool read_integer(const json_t *object, const char *key, uint64_t most, uint64_t *out) {
  const json_t *value = json_object_get(object, key);
  *out = 0;
  if (!value) return true;
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *out = (uint64_t)json_integer_value(value);
  return *out <= most;
}

static bool read_delivery(const json_t *object, struct delivery_facts *facts) {
  const json_t *windows = json_object_get(object, "windows");
  size_t count = 0;
  if (!fields_from_json(delivery_fields, delivery_field_count, object, facts)) return false;
  if (windows && !columns_from_json(delivery_window_fields, delivery_window_field_count, windows,
                                    facts->windows, sizeof *facts->windows, DELIVERY_WINDOWS_MAX, &count))
    return false;
  facts->window_count = count;
  if (facts->ie_basis > IE_NONE) facts->ie_basis = IE_NONE; /* of a newer agent */
  return delivery_facts_are_sound(facts);
}

static bool read_speech_events(const json_t *object, struct speech_facts *facts) {
  static const char *const names[SPEECH_COLUMNS] = {"kind", "by", "start_ms", "overlap_ms"};
  static const json_int_t least[SPEECH_COLUMNS] = {0, -1, 0, 0};
  static const json_int_t most[SPEECH_COLUMNS] = {SPEECH_ATTEMPT, SPEECH_TRACKS - 1, UINT32_MAX, UINT32_MAX};
  size_t count = json_array_size(json_object_get(object, names[0]));
  if (count > SPEECH_EVENTS_MAX) return false;
  for (size_t i = 0; i < count; i++) {
    json_int_t value[SPEECH_COLUMNS];
    for (int k = 0; k < SPEECH_COLUMNS; k++) {
      const json_t *number = json_array_get(json_object_get(object, names[k]), i);
      value[k] = json_integer_value(number);
      if (!json_is_integer(number) || value[k] < least[k] || value[k] > most[k]) return false;
    }
    facts->events[i] = (struct speech_event){.kind = (uint8_t)value[0],
                                             .by = (int8_t)value[1],
                                             .start_ms = (uint32_t)value[2],
                                             .overlap_ms = (uint32_t)value[3]};
  }
  facts->event_count = count;
  return true;
}

static bool read_speech(struct part *part, const json_t *object) {
  if (!object) return true;
  part->speech = calloc(1, sizeof *part->speech);
  return part->speech && fields_from_json(speech_fields, speech_field_count, object, part->speech) &&
         read_speech_events(json_object_get(object, "events"), part->speech);
}

/* A newer agent may have findings that have no name here. */
static bool read_findings(struct part *part, const json_t *object) {
  if (!object) return true;
  const json_t *rows = json_object_get(object, "rows");
  size_t count = 0;
  struct finding_facts *facts = part->findings = calloc(1, sizeof *facts);
  if (!facts || !fields_from_json(finding_fields, finding_field_count, object, facts)) return false;
  if (rows && !columns_from_json(finding_row_fields, finding_row_field_count, rows, facts->rows,
                                 sizeof *facts->rows, FINDING_ROWS_MAX, &count))
    return false;
  for (size_t i = 0; i < count; i++)
    if (finding_is_known(&facts->rows[i])) facts->rows[facts->row_count++] = facts->rows[i];
  return true;
}

static bool read_signal(struct part *part, int t, const json_t *object) {
  if (!object) return true;
  part->track[t].signal = calloc(1, sizeof *part->track[t].signal);
  return part->track[t].signal &&
         fields_from_json(signal_fields, signal_field_count, object, part->track[t].signal);
}

static bool read_track(struct part *part, int t, const json_t *object) {
  if (!object) return true;
  uint64_t rate, ptime, scope, unit;
  const json_t *delivery = json_object_get(object, "delivery");
  part->track[t].seen = true;
  if (!json_is_object(object) ||
      !read_text(object, "encoding", part->track[t].encoding, sizeof part->track[t].encoding) ||
      !read_integer(object, "sample_rate_hz", UINT32_MAX, &rate) ||
      !read_integer(object, "ptime_us", UINT32_MAX, &ptime) ||
      !read_integer(object, "chunk_scope", CHUNK_SHARED, &scope) ||
      !read_integer(object, "ts_unit", TS_FRAMES, &unit) ||
      !read_integer(object, "payload_bytes", INT64_MAX, &part->track[t].payload_bytes))
    return false;
  part->track[t].sample_rate_hz = (uint32_t)rate;
  part->track[t].ptime_us = (uint32_t)ptime;
  part->track[t].chunk_scope = (uint8_t)scope;
  part->track[t].ts_unit = (uint8_t)unit;
  if (!read_signal(part, t, json_object_get(object, "signal"))) return false;
  if (!delivery) return true;
  part->track[t].delivery = calloc(1, sizeof *part->track[t].delivery);
  return part->track[t].delivery && read_delivery(delivery, part->track[t].delivery);
}

static bool read_array(const json_t *object, const char *key, json_t *into) {
  const json_t *array = json_object_get(object, key);
  if (!array) return true;
  for (size_t i = 0; i < json_array_size(array); i++)
    json_array_append_new(into, json_deep_copy(json_array_get(array, i)));
  return json_is_array(array);
}

/* A part from before there were such facts has none. */
static bool read_some(const struct field *fields, size_t field_count, const json_t *object, void *base) {
  return !object || fields_from_json(fields, field_count, object, base);
}

/* Of a damaged row they may be anything: sums and differences of these fit, in microseconds too. */
static bool has_times(const struct part *part) {
  const int64_t most_ms = INT64_C(1) << 53;
  const int64_t times_ms[] = {part->opened_ms, part->closed_ms, part->start_ms, part->first_frame_ms,
                              part->last_frame_ms};
  for (size_t i = 0; i < sizeof times_ms / sizeof *times_ms; i++)
    if (times_ms[i] > most_ms || times_ms[i] < -most_ms) return false;
  return true;
}

static bool read_part(struct part *part, const json_t *json) {
  const char *state = json_string_value(json_object_get(json, "state"));
  const char *client_state = json_string_value(json_object_get(json, "client_state"));
  bool known = false;
  for (int i = 0; state && i < (int)(sizeof state_names / sizeof *state_names); i++)
    if (!strcmp(state, state_names[i])) {
      part->state = (enum part_state)i;
      known = true;
    }
  if (!known || !fields_from_json(part_rows, PART_ROWS, json, part) || !has_times(part)) return false;
  for (size_t i = 0; i < TEXT_ROWS; i++)
    if (!read_text(json, text_rows[i].name, (char *)part + text_rows[i].offset, text_rows[i].bytes))
      return false;
  if (client_state && !(part->client_state = strdup(client_state))) return false;
  for (int t = 0; t < TRACK_COUNT; t++)
    if (!read_track(part, t, json_object_get(json, track_name(t)))) return false;
  return *part->id &&
         read_some(socket_fields, socket_field_count, json_object_get(json, "socket"), &part->socket) &&
         read_some(echo_fields, echo_field_count, json_object_get(json, "echo"), &part->echo) &&
         read_speech(part, json_object_get(json, "speech")) &&
         read_findings(part, json_object_get(json, "findings")) && read_array(json, "dtmf", part->dtmf) &&
         read_array(json, "errors", part->errors);
}

struct part *part_from_json(const json_t *json) {
  struct part *part = part_new();
  if (part && read_part(part, json)) return part;
  part_free(part);
  return NULL;
}

const struct codec *part_codec(const struct part *part, int track) {
  const char *encoding = part->track[track].encoding;
  return codec_find(encoding, strlen(encoding), part->track[track].sample_rate_hz);
}

int64_t part_grew_at_ms(const struct part *part) {
  int64_t at_ms = part->opened_ms;
  if (part->last_frame_ms > at_ms) at_ms = part->last_frame_ms;
  return part->closed_ms > at_ms ? part->closed_ms : at_ms;
}
