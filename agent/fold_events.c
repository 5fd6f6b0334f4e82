/* What happened on a leg, row by row: events, key presses, holds, recording, transcription, billing,
 * errors (data-model.md 8.2). */
#include <math.h>
#include <string.h>

#include "agent/fold_context.h"
#include "telnyx/json.h"

/* ---- events[] ---- */

json_t *fold_events(const struct fold_context *c) {
  json_t *rows = json_array();
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    if (!event->has_at || !event->row || !event->row->call_event) continue;
    json_t *row = json_object();
    document_put_text(row, "eventType", event->row->call_event);
    document_put_date(row, "timestamp", event->at_ms);
    document_put_text(row, "description", event->type);
    json_array_append_new(rows, row);
  }
  return rows;
}

/* ---- rows with a time, in order of it ---- */

/* Keeps rows sorted by `key`; equal times stay in the order they came. */
static void insert_by_time(json_t *rows, json_t *row, const char *key) {
  int64_t at = INT64_MIN;
  document_date_ms(json_object_get(row, key), &at);
  size_t place = json_array_size(rows);
  while (place > 0) {
    int64_t before = INT64_MIN;
    document_date_ms(json_object_get(json_array_get(rows, place - 1), key), &before);
    if (before <= at) break;
    place--;
  }
  json_array_insert_new(rows, place, row);
}

static bool part_time(const json_t *object, int64_t *at_ms) {
  double number;
  if (!json_number(json_object_get(object, "at_ms"), &number) || !(fabs(number) < 1e15)) return false;
  *at_ms = (int64_t)floor(number);
  return true;
}

/* ---- dtmfInputs[] ---- */

static void add_digit(json_t *rows, const char *digit, bool has_at, int64_t at_ms) {
  json_t *row = json_object();
  document_put_text(row, "digit", digit);
  if (has_at) document_put_date(row, "timestamp", at_ms);
  insert_by_time(rows, row, "timestamp");
}

/* A press makes a webhook and a frame of the stream: it is taken from one side only. */
json_t *fold_dtmf(const struct fold_context *c) {
  json_t *rows = json_array();
  bool by_webhook = false;
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    if (event->kind != EVENT_CALL_DTMF_RECEIVED) continue;
    by_webhook = true;
    const char *digit = json_text(event->payload, "digit");
    if (digit) add_digit(rows, digit, event->has_at, event->at_ms);
  }
  for (size_t p = 0; !by_webhook && p < c->part_count; p++)
    for (size_t i = 0; i < json_array_size(c->parts[p]->dtmf); i++) {
      const json_t *press = json_array_get(c->parts[p]->dtmf, i);
      const char *digit = json_text(press, "digit");
      int64_t at_ms = 0;
      bool has_at = part_time(press, &at_ms);
      if (digit) add_digit(rows, digit, has_at, at_ms);
    }
  return rows;
}

/* ---- holds[] ---- */

static void add_hold(json_t *holds, int64_t from_ms, int64_t to_ms, int64_t *hold_s) {
  json_t *row = json_object();
  document_put_date(row, "startedAt", from_ms);
  if (to_ms) {
    int64_t seconds = whole_seconds(from_ms, to_ms);
    document_put_date(row, "endedAt", to_ms);
    document_put_int(row, "duration", seconds);
    *hold_s = (*hold_s < 0 ? 0 : *hold_s) + seconds;
  }
  json_array_append_new(holds, row);
}

/* An interval runs from a hold to the next unhold, at most to the end of the call. A second hold in a
 * row, or an unhold without one, changes nothing. */
json_t *fold_holds(const struct fold_context *c, int64_t *hold_s) {
  json_t *holds = json_array();
  int64_t from = 0, end = c->state.ended_ms;
  *hold_s = -1;
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    if (!event->has_at || (end && event->at_ms > end)) continue;
    if (event->kind == EVENT_CALL_HOLD && !from) {
      from = event->at_ms;
    } else if (event->kind == EVENT_CALL_UNHOLD && from) {
      add_hold(holds, from, event->at_ms, hold_s);
      from = 0;
    }
  }
  if (from) add_hold(holds, from, end, hold_s);
  return holds;
}

/* ---- recording ---- */

json_t *fold_recording(const struct fold_context *c) {
  static const char *const formats[] = {"mp3", "wav"};
  const struct fold_event *saved = fold_last(c, EVENT_CALL_RECORDING_SAVED);
  json_t *recording = json_object();
  if (!saved) return recording;
  const json_t *urls = json_object_get(saved->payload, "recording_urls"),
               *public_urls = json_object_get(saved->payload, "public_recording_urls");
  const char *format = json_text(saved->payload, "format");
  for (size_t i = 0; !format && i < sizeof formats / sizeof *formats; i++)
    if (json_text(urls, formats[i])) format = formats[i];
  json_object_set_new(recording, "enabled", json_true());
  int64_t started, ended;
  if (format) {
    document_put_text(recording, "recordingUrl", json_text(urls, format));
    document_put_text(recording, "downloadUrl", json_text(public_urls, format));
  }
  if (fold_time(saved, "recording_started_at", &started) && fold_time(saved, "recording_ended_at", &ended))
    document_put_int(recording, "recordingDuration", whole_seconds(started, ended));
  document_put_text(recording, "recordingFormat", format);
  document_put_text(recording, "status", "available");
  return recording;
}

/* ---- transcription ---- */

static bool is_true(const json_t *value) {
  return json_is_true(value) || (json_is_string(value) && !strcmp(json_string_value(value), "true"));
}

static const char *speaker_of(const struct fold_context *c, const json_t *data) {
  const char *track = json_text(data, "transcription_track");
  if (track && !strcmp(track, "inbound")) return fold_party(c, TRACK_INBOUND);
  if (track && !strcmp(track, "outbound")) return fold_party(c, TRACK_OUTBOUND);
  return "unknown";
}

static json_t *transcription_turns(const struct fold_context *c, json_t **full_text, double *mean) {
  json_t *turns = json_array();
  double sum = 0, confidence;
  size_t confident = 0;
  *full_text = NULL;
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    if (event->kind != EVENT_CALL_TRANSCRIPTION) continue;
    const json_t *data = json_object_get(event->payload, "transcription_data");
    const char *text = json_text(data, "transcript");
    if (!text || !is_true(json_object_get(data, "is_final"))) continue;
    json_t *turn = json_pack("{s:s, s:s}", "speaker", speaker_of(c, data), "text", text);
    if (json_number(json_object_get(data, "confidence"), &confidence) && confidence >= 0 && confidence <= 1) {
      document_put_real(turn, "confidence", confidence, -1);
      sum += confidence;
      confident++;
    }
    json_array_append_new(turns, turn);
    json_t *joined =
        *full_text ? json_sprintf("%s\n%s", json_string_value(*full_text), text) : json_string(text);
    json_decref(*full_text);
    *full_text = joined;
  }
  *mean = confident ? sum / (double)confident : NAN;
  return turns;
}

/* Its times are left out: a webhook tells when the text was ready, not when it was said. */
json_t *fold_transcription(const struct fold_context *c) {
  json_t *transcription = json_object(), *full_text;
  double confidence;
  json_t *turns = transcription_turns(c, &full_text, &confidence);
  if (fold_last(c, EVENT_CALL_TRANSCRIPTION)) {
    json_object_set_new(transcription, "enabled", json_true());
    document_put_text(transcription, "provider", "telnyx");
    document_put_text(transcription, "status", c->state.ended ? "completed" : "processing");
    document_put_some(transcription, "fullText", full_text);
    document_put_real(transcription, "confidence", confidence, DECIMALS_R);
  }
  json_object_set_new(transcription, "turns", turns);
  json_object_set_new(transcription, "keywords", json_array());
  json_object_set_new(transcription, "entities", json_array());
  return transcription;
}

/* ---- billing ---- */

json_t *fold_billing(const struct fold_context *c) {
  const struct fold_event *cost = fold_last(c, EVENT_CALL_COST);
  json_t *billing = json_object();
  if (!cost) return billing;
  double dollars, seconds;
  const char *status = json_text(cost->payload, "status");
  if (json_number(json_object_get(cost->payload, "total_cost"), &dollars)) {
    /* The text is decimal; a nanocent is far below any price and takes out the binary remainder. */
    document_put_real(billing, "cost", round(dollars * 100 * 1e9) / 1e9, -1);
    document_put_text(billing, "currency", "USD");
  }
  if (json_number(json_object_get(cost->payload, "billed_duration_secs"), &seconds))
    document_put_real(billing, "billingDuration", seconds / 60, -1);
  if (status) document_put_text(billing, "billingStatus", strcmp(status, "success") ? "error" : "billed");
  return billing;
}

/* ---- errors[] ---- */

static json_t *error_row(const char *type, const char *code, const char *message, const char *severity) {
  json_t *row = json_object();
  document_put_text(row, "errorType", type);
  document_put_text(row, "errorCode", code);
  document_put_text(row, "errorMessage", message);
  document_put_text(row, "severity", severity);
  return row;
}

static void add_stream_error(json_t *rows, const json_t *error) {
  const char *title = json_text(error, "title"), *detail = json_text(error, "detail");
  json_t *message = title && detail ? json_sprintf("%s: %s", title, detail) : NULL;
  const char *words = message ? json_string_value(message) : title ? title : detail;
  const json_t *number = json_object_get(error, "code");
  json_t *code =
      json_integer_value(number) ? json_sprintf("%lld", (long long)json_integer_value(number)) : NULL;
  json_t *row =
      error_row("stream.error", code ? json_string_value(code) : json_text(error, "code"), words, "medium");
  int64_t at_ms;
  if (part_time(error, &at_ms)) document_put_date(row, "timestamp", at_ms);
  insert_by_time(rows, row, "timestamp");
  json_decref(code);
  json_decref(message);
}

json_t *fold_errors(const struct fold_context *c) {
  json_t *rows = json_array();
  for (size_t i = 0; i < c->event_count; i++) {
    const struct fold_event *event = &c->events[i];
    bool streaming = event->kind == EVENT_STREAMING_FAILED;
    if (!streaming && event->kind != EVENT_CALL_RECORDING_ERROR) continue;
    json_t *row =
        error_row(event->type, NULL, json_text(event->payload, streaming ? "failure_reason" : "reason"),
                  streaming ? "high" : "medium");
    if (event->has_at) document_put_date(row, "timestamp", event->at_ms);
    insert_by_time(rows, row, "timestamp");
  }
  for (size_t p = 0; p < c->part_count; p++)
    for (size_t i = 0; i < json_array_size(c->parts[p]->errors); i++)
      add_stream_error(rows, json_array_get(c->parts[p]->errors, i));
  return rows;
}
