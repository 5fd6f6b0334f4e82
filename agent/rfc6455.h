/* WebSocket on the wire (RFC 6455): the handshake's answer, frames in, frame headers out.
 *
 * No socket, no clock. The decoder is fed what a read brought and gives back one item after another:
 *
 *   rfc6455_init(&ws, RFC6455_SERVER, max);
 *   while ((kind = rfc6455_next(&ws, data, bytes, &used, &item)) != RFC6455_MORE) {
 *     ... item is good until the next call; after RFC6455_FAULT nothing more may be fed ...
 *     data += used, bytes -= used;
 *   }
 *   rfc6455_release(&ws);
 *
 * A whole frame of an unfragmented message is unmasked where it lies and copied nowhere. */
#ifndef AGENT_RFC6455_H
#define AGENT_RFC6455_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rfc6455_opcode {
  RFC6455_OP_CONTINUATION = 0x0,
  RFC6455_OP_TEXT = 0x1,
  RFC6455_OP_BINARY = 0x2,
  RFC6455_OP_CLOSE = 0x8,
  RFC6455_OP_PING = 0x9,
  RFC6455_OP_PONG = 0xa,
};

/* Status codes of section 7.4.1 that we send or report. */
enum rfc6455_code {
  RFC6455_NORMAL = 1000,
  RFC6455_GOING_AWAY = 1001,
  RFC6455_PROTOCOL_ERROR = 1002,
  RFC6455_NO_CODE = 1005,  /* never on the wire: a close frame without one */
  RFC6455_ABNORMAL = 1006, /* never on the wire: no close frame at all */
  RFC6455_BAD_DATA = 1007,
  RFC6455_POLICY = 1008,
  RFC6455_TOO_BIG = 1009,
  RFC6455_INTERNAL = 1011,
};

enum {
  RFC6455_CONTROL_MAX_BYTES = 125,
  RFC6455_HEADER_MAX_BYTES = 14,
  RFC6455_ACCEPT_BYTES = 28 + 1 /* base64 of a SHA-1, and its NUL */
};

enum rfc6455_role { RFC6455_SERVER, RFC6455_CLIENT }; /* ours: a server wants masks, a client wants none */

enum rfc6455_kind {
  RFC6455_MORE, /* all was taken, nothing is whole yet */
  RFC6455_MESSAGE,
  RFC6455_PING,
  RFC6455_PONG,
  RFC6455_CLOSE,
  RFC6455_FAULT
};

struct rfc6455_item {
  char
      *data; /* message, ping, pong: the payload; close: the reason. In the caller's bytes or the decoder's */
  size_t bytes;
  bool text, utf8;   /* message: utf8 is true for a binary one */
  int code;          /* close: as received, else RFC6455_NO_CODE; fault: what to close with */
  const char *fault; /* fault: a few words for the log */
};

struct rfc6455 {
  enum rfc6455_role role;
  size_t message_max_bytes;
  /* The frame being read. */
  uint8_t header[RFC6455_HEADER_MAX_BYTES];
  size_t header_bytes; /* gathered so far of a header that came in pieces */
  bool in_payload;     /* the header is complete */
  bool fin;
  uint8_t opcode;
  uint8_t mask[4];
  uint64_t payload_bytes, payload_done;
  /* The message being gathered: only what does not lie whole in one read comes here. */
  bool in_message, text;
  char *message;
  size_t message_bytes, message_capacity;
  char control[RFC6455_CONTROL_MAX_BYTES];
};

/* message_max_bytes: a longer message is a fault with RFC6455_TOO_BIG. Allocates nothing. */
void rfc6455_init(struct rfc6455 *ws, enum rfc6455_role role, size_t message_max_bytes);
void rfc6455_release(struct rfc6455 *ws);

/* Takes `*used` of the bytes, up to and with the next item; unmasks in place. RFC6455_MORE takes all. */
enum rfc6455_kind rfc6455_next(struct rfc6455 *ws, char *data, size_t bytes, size_t *used,
                               struct rfc6455_item *item);

/* Header of an unfragmented frame; mask NULL for a server's. Returns its length, at most
 * RFC6455_HEADER_MAX_BYTES. */
size_t rfc6455_header(uint8_t out[RFC6455_HEADER_MAX_BYTES], enum rfc6455_opcode opcode,
                      uint64_t payload_bytes, const uint8_t *mask);
/* Applies the mask to bytes that start `offset` bytes into the payload (its own inverse). */
void rfc6455_mask(char *data, size_t bytes, const uint8_t mask[4], uint64_t offset);
/* Payload of a close frame, reason cut to fit. code RFC6455_NO_CODE: empty. Returns its length. */
size_t rfc6455_close_payload(char out[RFC6455_CONTROL_MAX_BYTES], int code, const char *reason);
/* May this code stand in a close frame (7.4)? */
bool rfc6455_code_valid(int code);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. False when the key is not base64 of 16 bytes. */
bool rfc6455_accept(const char *key, char out[RFC6455_ACCEPT_BYTES]);

#endif
