/* Any bytes as a frame. The scanner and the parser read them apart; where the scanner says yes, both must
 * agree in every member. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/base64.h"
#include "telnyx/frame.h"

static void must(bool fine) {
  if (!fine) abort();
}

static bool same_slice(struct frame_slice a, struct frame_slice b) {
  return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static void must_agree(const struct media_frame *scan, const struct media_frame *parse) {
  must(scan->track == parse->track);
  must(scan->has_sequence == parse->has_sequence && scan->sequence == parse->sequence);
  must(scan->has_chunk == parse->has_chunk && scan->chunk == parse->chunk);
  must(scan->has_timestamp == parse->has_timestamp && scan->timestamp == parse->timestamp);
  must(scan->bad_numbers == 0 && parse->bad_numbers == 0);
  must(same_slice(scan->stream_id, parse->stream_id));
  must(same_slice(scan->payload, parse->payload));
}

static void decode(struct frame_slice payload) {
  static uint8_t sound[FRAME_PAYLOAD_MAX];
  ssize_t bytes = base64_decode(payload.data, payload.bytes, sound, sizeof sound);
  must(bytes < 0 || (size_t)bytes == frame_payload_bytes(payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct media_frame media;
  struct frame frame;
  bool taken = frame_scan_media(text, size, &media);
  enum frame_fault fault = frame_parse(text, size, &frame);
  must(frame_fault_name(fault) != NULL);
  must((frame.root == NULL) == (fault == FRAME_NOT_JSON));
  if (taken) {
    must(fault == FRAME_FINE && frame.kind == FRAME_MEDIA);
    must_agree(&media, &frame.media);
  }
  if (fault == FRAME_FINE && frame.kind == FRAME_MEDIA) decode(frame.media.payload);
  if (fault == FRAME_FINE && frame.kind == FRAME_START) must(frame.call_control_id && frame.encoding);
  frame_release(&frame);
  return 0;
}
