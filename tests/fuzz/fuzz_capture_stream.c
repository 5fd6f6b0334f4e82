/* Input: 16 bytes a packet of one RTP stream: steps of time, number and timestamp, payload type, the beginning
 * of the payload. The sound is heard, which takes long, when the first step is of 21 ms. Whatever comes, the
 * books must balance and the document must be one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/capture.h"
#include "agent/document.h"
#include "dsp/delivery_facts.h"

enum { RECORD_BYTES = 16, FIRST = 5 };

static void must(bool fine) {
  if (!fine) abort();
}

static struct capture_rtp next_packet(const uint8_t *at, const struct capture_rtp *before, bool heard) {
  struct capture_rtp p = *before;
  int32_t ms, ticks;
  int16_t step;
  memcpy(&ms, at, 4);
  memcpy(&ticks, at + 4, 4);
  memcpy(&step, at + 8, 2);
  p.wall_ns += (int64_t)ms * 1000000;
  if (p.wall_ns < 0) p.wall_ns = 0;
  if (p.wall_ns > INT64_C(8000000000) * 1000000000) p.wall_ns = 0;
  p.timestamp += (uint32_t)ticks;
  p.sequence = (uint16_t)(p.sequence + step);
  p.payload_type = at[10] & 127;
  p.marker = at[10] >> 7;
  p.payload_bytes = (uint32_t)at[11] * 16;
  p.head_bytes = 4;
  memcpy(p.head, at + 12, 4);
  static uint8_t payload[255 * 16];
  memset(payload, at[12], p.payload_bytes);
  p.payload = heard ? payload : NULL;
  return p;
}

static void check_facts(const struct capture_stream *s) {
  static struct delivery_facts f;
  delivery_facts(s->delivery, &f);
  must(f.received_frames <= f.expected_frames && f.received_frames <= s->packets);
  must(f.received_frames + f.duplicate_frames + f.outliers <= s->packets);
  must(s->format_changes <= f.restarts);
  must(f.jitter_max_ms >= f.jitter_last_ms && f.jitter_last_ms >= 0);
}

static void check_document(struct capture *c) {
  const struct capture_options options = {.plc = false, .consumer = CONSUMER_PLAYOUT};
  json_t *document = capture_document(c, &options);
  must(document != NULL && json_array_size(json_object_get(document, "streams")) == 1);
  char *text = document_text(document, false, NULL);
  must(text != NULL && strstr(text, "nan") == NULL && strstr(text, "inf\"") == NULL);
  free(text);
  json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t count = size / RECORD_BYTES;
  if (count < FIRST) return 0;
  static const char *const options[] = {"96=AMR-WB/16000", "97=opus/48000", "98=odd/1000",
                                        "101=telephone-event/8000", "102=telephone-event/48000"};
  char why[128];
  struct capture_names *names = capture_names_new();
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    must(capture_names_option(names, options[i], why, sizeof why));
  struct capture c = {.reports = capture_reports_new()};
  static const struct capture_key key = {.ssrc = 1};
  struct capture_stream *s = capture_stream_new(&key, names);
  HASH_ADD(hh, c.streams, key, sizeof s->key, s);
  struct capture_rtp kept[FIRST], p = {.wall_ns = INT64_C(1700000000) * 1000000000};
  for (size_t i = 0; i < count; i++) {
    p = next_packet(data + i * RECORD_BYTES, &p, data[0] == 21);
    if (i < FIRST) kept[i] = p;
    if (i == FIRST - 1) capture_stream_begin(s, kept, FIRST, kept[0].wall_ns);
    if (i >= FIRST) capture_stream_take(s, &p, kept[0].wall_ns);
  }
  must(s->packets == count);
  capture_stream_end(s);
  if (s->delivery != NULL) check_facts(s);
  check_document(&c);
  capture_free(&c);
  capture_names_free(names);
  return 0;
}
