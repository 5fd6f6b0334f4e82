/* Text frames of a Telnyx media stream (telnyx-protocol.md 1.4): bytes to structs.
 *
 * frame_scan_media() is for the thousands of `media` frames a second: one pass, no heap, slices of the
 * caller's bytes. What it does not take (another event, an escape in a value it needs, anything
 * unusual) goes to frame_parse(), which reads every kind with jansson and gives the same answer.
 * Thread: any; no state. */
#ifndef TELNYX_FRAME_H
#define TELNYX_FRAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_kind {
  FRAME_CONNECTED,
  FRAME_START,
  FRAME_MEDIA,
  FRAME_DTMF,
  FRAME_MARK,
  FRAME_ERROR,
  FRAME_STOP,
  FRAME_UNKNOWN /* valid JSON object with another or no `event` */
};

/* Kinds of refusal: the `kind` label of sidetone_media_parse_errors_total. */
enum frame_fault {
  FRAME_FINE = 0,
  FRAME_NOT_JSON,
  FRAME_NOT_OBJECT,
  FRAME_NO_TRACK,   /* media without a track of ours */
  FRAME_NO_PAYLOAD, /* absent, not text, empty */
  FRAME_BAD_NUMBER, /* media_frame.bad_numbers > 0: counted by the caller, frame_parse() never returns it */
  FRAME_BAD_BASE64, /* found by the caller in base64_decode(), which reads the payload anyway */
  FRAME_TOO_LARGE,  /* payload over FRAME_PAYLOAD_MAX bytes when decoded */
  FRAME_BAD_START,  /* start without call_control_id or media_format.encoding */
  FRAME_FAULTS
};
const char *frame_fault_name(enum frame_fault fault); /* "not_json", "bad_base64", ... */

struct frame_slice {
  const char *data;
  size_t bytes;
};

struct media_frame {
  int track; /* 0 inbound, 1 outbound */
  bool has_sequence, has_chunk, has_timestamp;
  uint8_t bad_numbers; /* how many of the three were present, not empty, and not a whole number 0..2^64-1: the
                          frame is used all the same */
  uint64_t sequence, chunk, timestamp;
  struct frame_slice stream_id;
  struct frame_slice payload; /* base64 as sent */
};

enum { FRAME_PAYLOAD_MAX = 64 * 1024 }; /* bytes of sound in one frame (telnyx-protocol.md 1.4.3) */
/* Bytes that the payload decodes to, if it is base64. */
size_t frame_payload_bytes(struct frame_slice payload);

/* True: `out` is filled, the text is valid JSON and a media frame, and frame_parse() would say the same.
 * False: ask frame_parse(); `out` is unspecified. Slices point into `text`; an absent or empty one has 0
 * bytes. */
bool frame_scan_media(const char *text, size_t bytes, struct media_frame *out);

struct frame {
  enum frame_kind kind;
  struct media_frame media; /* slices point into `root` */
  bool has_sequence;
  uint64_t sequence;
  /* Borrowed from root; NULL when absent, null or not text. */
  const char *stream_id;
  const char *token; /* connected: x-telnyx-streaming-auth-token, nested or top level */
  const char *call_control_id, *call_session_id, *call_leg_id, *from, *to, *client_state;
  const char *encoding;
  uint32_t sample_rate_hz, channels; /* 0 when absent */
  const char *digit, *occurred_at, *mark_name;
  long long error_code;
  const char *error_title, *error_detail;
  json_t *root; /* owned by the frame */
};

/* Every kind. After a refusal for what the frame says (not for its JSON) `out` holds the kind and whatever
 * could be read. `out` needs frame_release() in every case. */
enum frame_fault frame_parse(const char *text, size_t bytes, struct frame *out);
/* Safe on a refused frame too. */
void frame_release(struct frame *frame);

#endif
