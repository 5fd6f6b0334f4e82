#include "telnyx/frame.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "telnyx/base64.h"
#include "telnyx/json.h"

static const char *const fault_names[] = {
    [FRAME_FINE] = "fine",
    [FRAME_NOT_JSON] = "not_json",
    [FRAME_NOT_OBJECT] = "not_object",
    [FRAME_NO_TRACK] = "no_track",
    [FRAME_NO_PAYLOAD] = "no_payload",
    [FRAME_BAD_NUMBER] = "bad_number",
    [FRAME_BAD_BASE64] = "bad_base64",
    [FRAME_TOO_LARGE] = "too_large",
    [FRAME_BAD_START] = "bad_start",
};
static_assert(sizeof fault_names / sizeof *fault_names == FRAME_FAULTS, "each fault has a name");

const char *frame_fault_name(enum frame_fault fault) {
  return fault_names[fault];
}

size_t frame_payload_bytes(struct frame_slice payload) {
  size_t padding = 0;
  while (padding < 2 && padding < payload.bytes && payload.data[payload.bytes - 1 - padding] == '=')
    padding++;
  return base64_decoded_bytes(payload.bytes, padding);
}

/* Text of a string that is not empty, else an empty slice. */
static struct frame_slice slice_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  size_t bytes = json_string_length(value);
  return (struct frame_slice){.data = bytes > 0 ? json_string_value(value) : NULL, .bytes = bytes};
}

/* True with the value; a value that is there, is not empty and is no such number raises `bad`. */
static bool number_of(const json_t *object, const char *key, uint64_t *out, uint8_t *bad) {
  const json_t *value = json_object_get(object, key);
  if (json_unsigned(value, out)) return true;
  bool none = !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
  if (!none) (*bad)++;
  return false;
}

static uint32_t small_number_of(const json_t *object, const char *key) {
  uint64_t value;
  return json_unsigned(json_object_get(object, key), &value) && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static enum frame_fault parse_media(struct frame *frame) {
  struct media_frame *media = &frame->media;
  const json_t *object = json_object_get(frame->root, "media");
  media->has_sequence = number_of(frame->root, "sequence_number", &media->sequence, &media->bad_numbers);
  media->has_chunk = number_of(object, "chunk", &media->chunk, &media->bad_numbers);
  media->has_timestamp = number_of(object, "timestamp", &media->timestamp, &media->bad_numbers);
  media->stream_id = slice_of(frame->root, "stream_id");
  media->payload = slice_of(object, "payload");

  const char *track = json_text(object, "track");
  if (!track || (strcmp(track, "inbound") != 0 && strcmp(track, "outbound") != 0)) return FRAME_NO_TRACK;
  media->track = strcmp(track, "outbound") == 0;
  if (media->payload.bytes == 0) return FRAME_NO_PAYLOAD;
  return frame_payload_bytes(media->payload) > FRAME_PAYLOAD_MAX ? FRAME_TOO_LARGE : FRAME_FINE;
}

static enum frame_fault parse_connected(struct frame *frame) {
  static const char key[] = "x-telnyx-streaming-auth-token";
  frame->token = json_text(json_object_get(frame->root, "connected"), key);
  if (!frame->token) frame->token = json_text(frame->root, key);
  return FRAME_FINE;
}

static enum frame_fault parse_start(struct frame *frame) {
  const json_t *start = json_object_get(frame->root, "start");
  const json_t *format = json_object_get(start, "media_format");
  frame->call_control_id = json_text(start, "call_control_id");
  frame->call_session_id = json_text(start, "call_session_id");
  frame->call_leg_id = json_text(start, "call_leg_id");
  frame->from = json_text(start, "from");
  frame->to = json_text(start, "to");
  frame->client_state = json_text(start, "client_state");
  frame->encoding = json_text(format, "encoding");
  frame->sample_rate_hz = small_number_of(format, "sample_rate");
  frame->channels = small_number_of(format, "channels");
  return frame->call_control_id && frame->encoding ? FRAME_FINE : FRAME_BAD_START;
}

static enum frame_fault parse_dtmf(struct frame *frame) {
  frame->digit = json_text(json_object_get(frame->root, "dtmf"), "digit");
  frame->occurred_at = json_text(frame->root, "occurred_at");
  return FRAME_FINE;
}

static enum frame_fault parse_mark(struct frame *frame) {
  frame->mark_name = json_text(json_object_get(frame->root, "mark"), "name");
  return FRAME_FINE;
}

/* The details are under `payload`, not under `error` (telnyx-protocol.md 1.4.6). */
static enum frame_fault parse_error(struct frame *frame) {
  const json_t *payload = json_object_get(frame->root, "payload");
  uint64_t code;
  if (json_unsigned(json_object_get(payload, "code"), &code) && code <= LLONG_MAX) {
    frame->error_code = (long long)code;
  }
  frame->error_title = json_text(payload, "title");
  frame->error_detail = json_text(payload, "detail");
  return FRAME_FINE;
}

static enum frame_fault parse_stop(struct frame *frame) {
  frame->call_control_id = json_text(json_object_get(frame->root, "stop"), "call_control_id");
  return FRAME_FINE;
}

static enum frame_fault parse_unknown(struct frame *frame) {
  (void)frame;
  return FRAME_FINE;
}

static const struct {
  const char *event;
  enum frame_fault (*parse)(struct frame *frame);
} kinds[] = {
    [FRAME_CONNECTED] = {"connected", parse_connected},
    [FRAME_START] = {"start", parse_start},
    [FRAME_MEDIA] = {"media", parse_media},
    [FRAME_DTMF] = {"dtmf", parse_dtmf},
    [FRAME_MARK] = {"mark", parse_mark},
    [FRAME_ERROR] = {"error", parse_error},
    [FRAME_STOP] = {"stop", parse_stop},
    [FRAME_UNKNOWN] = {"", parse_unknown},
};
static_assert(sizeof kinds / sizeof *kinds == FRAME_UNKNOWN + 1, "each kind has a row");

static enum frame_kind kind_of(const char *event) {
  int kind = FRAME_CONNECTED;
  while (kind < FRAME_UNKNOWN && (!event || strcmp(event, kinds[kind].event) != 0)) kind++;
  return (enum frame_kind)kind;
}

enum frame_fault frame_parse(const char *text, size_t bytes, struct frame *out) {
  *out = (struct frame){.kind = FRAME_UNKNOWN};
  out->root = json_read(text, bytes, NULL, 0);
  if (!out->root) return FRAME_NOT_JSON;
  if (!json_is_object(out->root)) return FRAME_NOT_OBJECT;
  uint8_t unused = 0;
  out->has_sequence = number_of(out->root, "sequence_number", &out->sequence, &unused);
  out->stream_id = json_text(out->root, "stream_id");
  out->kind = kind_of(json_text(out->root, "event"));
  return kinds[out->kind].parse(out);
}

void frame_release(struct frame *frame) {
  json_decref(frame->root);
  *frame = (struct frame){.kind = FRAME_UNKNOWN};
}
