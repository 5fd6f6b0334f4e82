#include "telnyx/event.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "telnyx/hex.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

/* ---- the table ---- */

/* Payload fields that most events share (telnyx-protocol.md 2.1); calling_party_type is in nearly every
 * capture, whatever the schema says. */
#define COMMON \
  "call_control_id", "call_leg_id", "call_session_id", "connection_id", "client_state", "calling_party_type"
#define PARTIES            "from", "to"
#define CONFERENCE         "conference_id", "occurred_at"
#define CREATED_CONFERENCE CONFERENCE, "creator_call_session_id"
#define MEDIA_FILE         "media_url", "media_name"
#define RECORDING                                                                                       \
  "recording_id", "channels", "format", "recording_started_at", "recording_ended_at", "recording_urls", \
      "public_recording_urls"
#define HEADERS "custom_headers", "sip_headers", "tags"
#define FIELDS(...)       \
  (const char *const[]) { \
    __VA_ARGS__, NULL     \
  }

/* In the order of telnyx-protocol.md 2.5. `call_event` is set where the enum of data-model.md 1.2 has a word
 * for what happened to this leg; what happened to a conference, a queue, a file being played or an analysis
 * has none. */
static const struct event_row rows[] = {
    {.type = "call.initiated",
     .kind = EVENT_CALL_INITIATED,
     .call_event = "initiated",
     .fields = FIELDS(COMMON, PARTIES, HEADERS, "direction", "state", "start_time", "caller_id_name",
                      "call_screening_result", "connection_codecs", "offered_codecs",
                      "shaken_stir_attestation", "shaken_stir_validated", "from_sip_uri", "to_sip_uri")},
    {.type = "call.answered",
     .kind = EVENT_CALL_ANSWERED,
     .call_event = "answered",
     .fields = FIELDS(COMMON, PARTIES, HEADERS, "start_time", "state", "codec", "sampling_rate", "stream_url",
                      "stream_track")},
    {.type = "call.bridged",
     .kind = EVENT_CALL_BRIDGED,
     .call_event = "bridged",
     .fields = FIELDS(COMMON, PARTIES, "start_time")},
    {.type = "call.hangup",
     .kind = EVENT_CALL_HANGUP,
     .call_event = "hangup",
     .fields = FIELDS(COMMON, PARTIES, HEADERS, "hangup_cause", "hangup_source", "sip_hangup_cause",
                      "start_time", "end_time", "state", "call_quality_stats", "telnyx_error")},
    {.type = "call.hold", .kind = EVENT_CALL_HOLD, .call_event = "hold", .fields = FIELDS(COMMON, PARTIES)},
    {.type = "call.unhold",
     .kind = EVENT_CALL_UNHOLD,
     .call_event = "unhold",
     .fields = FIELDS(COMMON, PARTIES)},

    {.type = "call.dtmf.received",
     .kind = EVENT_CALL_DTMF_RECEIVED,
     .call_event = "dtmf",
     .fields = FIELDS(COMMON, PARTIES, "digit")},
    {.type = "call.gather.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "digits", "status", "gather_id")},
    {.type = "call.ai_gather.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "message_history", "result", "status")},
    {.type = "call.ai_gather.partial_results",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "message_history", "partial_results")},
    {.type = "call.ai_gather.message_history_updated",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "message_history")},

    {.type = "call.machine.detection.ended",
     .kind = EVENT_CALL_MACHINE_DETECTION_ENDED,
     .fields = FIELDS(COMMON, PARTIES, "result")},
    {.type = "call.machine.greeting.ended",
     .kind = EVENT_CALL_MACHINE_GREETING_ENDED,
     .fields = FIELDS(COMMON, PARTIES, "result")},
    {.type = "call.machine.premium.detection.ended",
     .kind = EVENT_CALL_MACHINE_PREMIUM_DETECTION_ENDED,
     .fields = FIELDS(COMMON, PARTIES, "result")},
    {.type = "call.machine.premium.greeting.ended",
     .kind = EVENT_CALL_MACHINE_PREMIUM_GREETING_ENDED,
     .fields = FIELDS(COMMON, PARTIES, "result")},

    {.type = "call.playback.started", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, MEDIA_FILE, "overlay")},
    {.type = "call.playback.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, MEDIA_FILE, "overlay", "status", "status_detail")},
    {.type = "call.speak.started", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "speak_id")},
    {.type = "call.speak.ended", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "speak_id", "status")},

    /* Telnyx tells of a recording when it has been saved, so its end is what we learn. */
    {.type = "call.recording.saved",
     .kind = EVENT_CALL_RECORDING_SAVED,
     .call_event = "recording-stopped",
     .fields = FIELDS(COMMON, RECORDING, "start_time", "end_time", "flow_destination")},
    {.type = "call.recording.error",
     .kind = EVENT_CALL_RECORDING_ERROR,
     .call_event = "error",
     .fields = FIELDS(COMMON, "reason")},
    {.type = "call.recording.transcription.saved",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, "recording_id", "recording_transcription_id", "status", "transcription_text")},
    {.type = "call.transcription",
     .kind = EVENT_CALL_TRANSCRIPTION,
     .fields = FIELDS(COMMON, "transcription_data")},

    {.type = "streaming.started",
     .kind = EVENT_STREAMING_STARTED,
     .fields = FIELDS(COMMON, "stream_url", "stream_id")},
    {.type = "streaming.stopped",
     .kind = EVENT_STREAMING_STOPPED,
     .fields = FIELDS(COMMON, "stream_url", "stream_id")},
    {.type = "streaming.failed",
     .kind = EVENT_STREAMING_FAILED,
     .call_event = "error",
     .fields = FIELDS(COMMON, "failure_reason", "stream_id", "stream_params", "stream_type")},
    {.type = "call.fork.started", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "stream_type")},
    {.type = "call.fork.stopped", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "stream_type")},
    {.type = "siprec.started", .kind = EVENT_OTHER, .fields = FIELDS(COMMON)},
    {.type = "siprec.stopped", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "hangup_cause")},
    {.type = "siprec.failed",
     .kind = EVENT_OTHER,
     .call_event = "error",
     .fields = FIELDS(COMMON, "failure_cause")},
    /* A REFER is a transfer once the far end has carried it out. */
    {.type = "call.refer.started",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "sip_notify_response")},
    {.type = "call.refer.completed",
     .kind = EVENT_OTHER,
     .call_event = "transfer",
     .fields = FIELDS(COMMON, PARTIES, "sip_notify_response")},
    {.type = "call.refer.failed",
     .kind = EVENT_OTHER,
     .call_event = "error",
     .fields = FIELDS(COMMON, PARTIES, "sip_notify_response")},

    {.type = "call.enqueued",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, "queue", "current_position", "queue_avg_wait_time_secs")},
    {.type = "call.dequeued",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, "queue", "queue_position", "wait_time_secs", "reason")},

    {.type = "conference.created", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, CONFERENCE)},
    {.type = "conference.ended", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, CONFERENCE, "reason")},
    {.type = "conference.participant.joined", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "conference_id")},
    {.type = "conference.participant.left", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, "conference_id")},
    {.type = "conference.floor.changed", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, CONFERENCE)},
    {.type = "conference.participant.playback.started",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, CREATED_CONFERENCE, MEDIA_FILE)},
    {.type = "conference.participant.playback.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, CREATED_CONFERENCE, MEDIA_FILE)},
    {.type = "conference.participant.speak.started",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, CREATED_CONFERENCE)},
    {.type = "conference.participant.speak.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, CREATED_CONFERENCE)},
    {.type = "conference.playback.started",
     .kind = EVENT_OTHER,
     .fields = FIELDS("connection_id", CREATED_CONFERENCE, MEDIA_FILE)},
    {.type = "conference.playback.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS("connection_id", CREATED_CONFERENCE, MEDIA_FILE)},
    {.type = "conference.speak.started",
     .kind = EVENT_OTHER,
     .fields = FIELDS("connection_id", CREATED_CONFERENCE)},
    {.type = "conference.speak.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS("connection_id", CREATED_CONFERENCE)},
    {.type = "conference.recording.saved",
     .kind = EVENT_OTHER,
     .fields = FIELDS("call_control_id", "call_session_id", "client_state", "connection_id", "conference_id",
                      RECORDING)},

    {.type = "call.cost",
     .kind = EVENT_CALL_COST,
     .fields = FIELDS(COMMON, "status", "total_cost", "billed_duration_secs", "billing_group_id",
                      "occurred_at", "cost_parts")},
    {.type = "call.conversation.ended",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, PARTIES, "assistant_id", "conversation_id", "duration_sec", "reason",
                      "llm_model", "stt_model", "tts_provider", "tts_model_id", "tts_voice_id")},
    {.type = "call.conversation_insights.generated",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, "insight_group_id", "results")},
    {.type = "call.deepfake_detection.result",
     .kind = EVENT_OTHER,
     .fields = FIELDS(COMMON, "result", "score", "consistency")},
    {.type = "call.deepfake_detection.error",
     .kind = EVENT_OTHER,
     .call_event = "error",
     .fields = FIELDS(COMMON, "error_message")},
    {.type = "call.payment.progress", .kind = EVENT_OTHER, .secret = true, .fields = FIELDS(COMMON, PARTIES)},
    {.type = "call.payment.completed",
     .kind = EVENT_OTHER,
     .secret = true,
     .fields = FIELDS(COMMON, PARTIES)},
    {.type = "call.sip_info.received", .kind = EVENT_OTHER, .fields = FIELDS(COMMON, PARTIES)},

    {.type = "sidetone.leg_lost", .kind = EVENT_SIDETONE_LEG_LOST, .fields = FIELDS(COMMON)},
};

/* Payment events to come hold what nobody may log, too. */
static const char payment_prefix[] = "call.payment.";
static const struct event_row unknown_payment = {
    .type = "call.payment.*", .kind = EVENT_UNKNOWN, .secret = true, .fields = FIELDS(COMMON, PARTIES)};

static const char *const unknown_fields[] = {COMMON, PARTIES, NULL};

const struct event_row *event_rows(size_t *count) {
  *count = sizeof rows / sizeof *rows;
  return rows;
}

const struct event_row *event_row(const char *type) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strcmp(type, rows[i].type) == 0) return &rows[i];
  }
  return strncmp(type, payment_prefix, sizeof payment_prefix - 1) == 0 ? &unknown_payment : NULL;
}

const char *const *event_fields(const struct event_row *row) {
  return row ? row->fields : unknown_fields;
}

/* ---- one body ---- */

static const char *type_name(const json_t *value) {
  if (!value) return "absent";
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      return "an object";
    case JSON_ARRAY:
      return "an array";
    case JSON_STRING:
      return json_string_length(value) == 0 ? "empty" : "a string";
    case JSON_NULL:
      return "null";
    case JSON_TRUE:
    case JSON_FALSE:
      return "true or false";
    default:
      return "a number";
  }
}

/* The object that holds event_type, id and payload, or NULL with `why`. */
static json_t *find_event(json_t *root, char *why, size_t why_bytes) {
  if (!json_is_object(root)) {
    snprintf(why, why_bytes, "the body is %s, an object with \"data\" is needed", type_name(root));
    return NULL;
  }
  json_t *data = json_object_get(root, "data");
  if (json_is_object(data)) return data;
  const char *type = json_text(root, "event_type");
  if (type && strcmp(type, "conference.floor.changed") == 0) return root;
  if (type) {
    snprintf(
        why, why_bytes,
        "an event of webhook API version 1 (event_type \"%.64s\" outside \"data\"): set webhook_api_version "
        "to \"2\" on the Call Control application",
        type);
  } else {
    snprintf(why, why_bytes, "data is %s, an object is needed", type_name(data));
  }
  return NULL;
}

/* A number as id is kept as its text: ids are opaque. */
static bool number_to_text(json_t *event) {
  const json_t *id = json_object_get(event, "id");
  char text[64];
  if (!json_is_number(id)) return false;
  size_t bytes = json_dumpb(id, text, sizeof text, JSON_ENCODE_ANY);
  return bytes <= sizeof text && json_object_set_new(event, "id", json_stringn(text, bytes)) == 0;
}

/* Equal bodies are one event: hex of the first 16 bytes of SHA-256. */
static bool derive_id(json_t *event, const char *body, size_t bytes) {
  enum { ID_BYTES = 16 };
  char hex[ID_BYTES * 2 + 1];
  hex_of_sha256(body, bytes, ID_BYTES, hex);
  return json_object_set_new(event, "id", json_string(hex)) == 0;
}

/* An object in every case: none gives an empty one, anything else is put under "value" so that it is kept. */
static json_t *payload_of(json_t *event) {
  json_t *payload = json_object_get(event, "payload");
  if (json_is_object(payload)) return payload;
  json_t *made = json_object();
  if (payload && !json_is_null(payload) && json_object_set(made, "value", payload) != 0) {
    json_decref(made);
    return NULL;
  }
  return json_object_set_new(event, "payload", made) == 0 ? made : NULL;
}

static int attempt_of(const json_t *root) {
  uint64_t attempt;
  bool fine = json_unsigned(json_object_get(json_object_get(root, "meta"), "attempt"), &attempt);
  return fine && attempt >= 1 && attempt <= INT_MAX ? (int)attempt : 1;
}

static int fill(json_t *event, const char *body, size_t bytes, struct event *out, char *why,
                size_t why_bytes) {
  out->type = json_text(event, "event_type");
  if (!out->type) {
    snprintf(why, why_bytes, "data.event_type is %s, a text is needed",
             type_name(json_object_get(event, "event_type")));
    return -1;
  }
  bool wrapped = event != out->root;
  bool has_id =
      json_text(event, "id") || number_to_text(event) || (!wrapped && derive_id(event, body, bytes));
  if (!has_id) {
    snprintf(why, why_bytes, "data.id of %.64s is %s, a text is needed", out->type,
             type_name(json_object_get(event, "id")));
    return -1;
  }
  out->payload = payload_of(event);
  if (!out->payload) {
    snprintf(why, why_bytes, "no memory for the payload of %.64s", out->type);
    return -1;
  }
  out->id = json_text(event, "id");
  out->row = event_row(out->type);
  out->kind = out->row ? out->row->kind : EVENT_UNKNOWN;
  out->call_control_id = json_text(out->payload, "call_control_id");
  out->call_leg_id = json_text(out->payload, "call_leg_id");
  out->call_session_id = json_text(out->payload, "call_session_id");
  out->connection_id = json_text(out->payload, "connection_id");
  out->client_state = json_text(out->payload, "client_state");
  out->has_occurred_at = timestamp_parse(json_text(event, "occurred_at"), &out->occurred_at_us) ||
                         timestamp_parse(json_text(out->payload, "occurred_at"), &out->occurred_at_us);
  out->attempt = attempt_of(out->root);
  return 0;
}

int event_parse(const char *body, size_t bytes, struct event *out, char *why, size_t why_bytes) {
  *out = (struct event){.kind = EVENT_UNKNOWN};
  out->root = json_read(body, bytes, why, why_bytes);
  json_t *event = out->root ? find_event(out->root, why, why_bytes) : NULL;
  if (event && fill(event, body, bytes, out, why, why_bytes) == 0) return 0;
  event_release(out);
  return -1;
}

void event_release(struct event *event) {
  json_decref(event->root);
  *event = (struct event){.kind = EVENT_UNKNOWN};
}
