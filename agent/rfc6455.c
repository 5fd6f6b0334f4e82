#include "agent/rfc6455.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/utf8.h"

/* A frame's header (5.2):
 *
 *   byte 0   FIN, RSV1-3, opcode (4)
 *   byte 1   MASK, length (7): 126 and 127 announce 2 and 8 more bytes
 *   then     the longer length, big endian; then the mask's 4 bytes, if MASK
 */
enum { FIN_BIT = 0x80, RSV_BITS = 0x70, OPCODE_BITS = 0x0f, MASK_BIT = 0x80, LENGTH_BITS = 0x7f };
enum { LENGTH_16 = 126, LENGTH_64 = 127, CONTROL_BIT = 0x8 };
/* A buffer grown beyond what media frames need goes when the next message begins. */
enum { MESSAGE_FIRST_BYTES = 4096, MESSAGE_KEEP_BYTES = 128 * 1024 };

void rfc6455_init(struct rfc6455 *ws, enum rfc6455_role role, size_t message_max_bytes) {
  memset(ws, 0, sizeof *ws);
  ws->role = role;
  ws->message_max_bytes = message_max_bytes;
}

void rfc6455_release(struct rfc6455 *ws) {
  free(ws->message);
  ws->message = NULL;
  ws->message_capacity = ws->message_bytes = 0;
}

static enum rfc6455_kind fail(struct rfc6455_item *item, int code, const char *words) {
  item->code = code;
  item->fault = words;
  return RFC6455_FAULT;
}

static size_t header_need(const uint8_t *header) {
  size_t need = 2;
  if ((header[1] & LENGTH_BITS) == LENGTH_16) need += 2;
  if ((header[1] & LENGTH_BITS) == LENGTH_64) need += 8;
  if (header[1] & MASK_BIT) need += 4;
  return need;
}

/* Is the first pair of bytes one that may come now? NULL, or what is wrong with it. */
static const char *first_pair_fault(const struct rfc6455 *ws, const uint8_t *header) {
  uint8_t opcode = header[0] & OPCODE_BITS;
  bool fin = header[0] & FIN_BIT;

  if (header[0] & RSV_BITS) return "reserved bit set";
  if (((header[1] & MASK_BIT) != 0) != (ws->role == RFC6455_SERVER))
    return ws->role == RFC6455_SERVER ? "frame without mask" : "masked frame from a server";
  switch (opcode) {
    case RFC6455_OP_CONTINUATION:
      return ws->in_message ? NULL : "continuation of nothing";
    case RFC6455_OP_TEXT:
    case RFC6455_OP_BINARY:
      return ws->in_message ? "new message inside a fragmented one" : NULL;
    case RFC6455_OP_CLOSE:
    case RFC6455_OP_PING:
    case RFC6455_OP_PONG:
      if (!fin) return "fragmented control frame";
      return (header[1] & LENGTH_BITS) > RFC6455_CONTROL_MAX_BYTES ? "long control frame" : NULL;
    default:
      return "reserved opcode";
  }
}

/* The payload's length; false: not written in the fewest bytes, or over 63 bits (5.2). */
static bool payload_length(const uint8_t *header, uint64_t *length) {
  uint64_t value = 0;
  unsigned extra = 0;

  *length = header[1] & LENGTH_BITS;
  if (*length == LENGTH_16) extra = 2;
  if (*length == LENGTH_64) extra = 8;
  if (extra == 0) return true;
  for (unsigned i = 0; i < extra; i++) value = value << 8 | header[2 + i];
  *length = value;
  if (extra == 2) return value >= LENGTH_16;
  return value > UINT16_MAX && value <= INT64_MAX;
}

/* Reads the header at hand; false with `item` filled when it breaks a rule. */
static bool begin_frame(struct rfc6455 *ws, const uint8_t *header, struct rfc6455_item *item) {
  ws->fin = header[0] & FIN_BIT;
  ws->opcode = header[0] & OPCODE_BITS;
  ws->payload_done = 0;
  if (!payload_length(header, &ws->payload_bytes)) {
    fail(item, RFC6455_PROTOCOL_ERROR, "length not in its shortest form");
    return false;
  }
  if (!(ws->opcode & CONTROL_BIT)) {
    if (ws->payload_bytes > ws->message_max_bytes - ws->message_bytes) {
      fail(item, RFC6455_TOO_BIG, "message over the limit");
      return false;
    }
    if (ws->opcode != RFC6455_OP_CONTINUATION) ws->text = ws->opcode == RFC6455_OP_TEXT;
  }
  if (header[1] & MASK_BIT)
    memcpy(ws->mask, header + header_need(header) - 4, 4);
  else
    memset(ws->mask, 0, 4);
  ws->in_payload = true;
  return true;
}

/* Takes header bytes until it is complete. 1 complete, 0 more needed, -1 fault. */
static int read_header(struct rfc6455 *ws, const char *data, size_t bytes, size_t *used,
                       struct rfc6455_item *item) {
  const uint8_t *header = (const uint8_t *)data;
  size_t need = ws->header_bytes < 2 ? 2 : header_need(ws->header);

  *used = 0;
  if (ws->header_bytes == 0 && bytes >= 2 && bytes >= header_need(header)) {
    need = header_need(header);
    *used = need;
  } else {
    for (; *used < bytes && ws->header_bytes < need; (*used)++) {
      ws->header[ws->header_bytes++] = header[*used];
      if (ws->header_bytes < 2) continue;
      /* The first pair is judged at once: a peer that breaks a rule need not send the rest. */
      if (ws->header_bytes == 2 && first_pair_fault(ws, ws->header)) break;
      need = header_need(ws->header);
    }
    if (ws->header_bytes < 2) return 0;
    header = ws->header;
  }
  const char *fault = first_pair_fault(ws, header);
  if (fault) {
    fail(item, RFC6455_PROTOCOL_ERROR, fault);
    return -1;
  }
  if (header == ws->header && ws->header_bytes < need) return 0;
  ws->header_bytes = 0;
  return begin_frame(ws, header, item) ? 1 : -1;
}

static void mask_word(char *data, size_t bytes, uint64_t mask) {
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    word ^= mask;
    memcpy(data, &word, 8);
  }
  char tail[8];
  memcpy(tail, &mask, 8);
  for (size_t i = 0; i < bytes; i++) data[i] ^= tail[i];
}

void rfc6455_mask(char *data, size_t bytes, const uint8_t mask[4], uint64_t offset) {
  uint8_t turned[8];
  uint64_t word;

  for (unsigned i = 0; i < 8; i++) turned[i] = mask[(offset + i) & 3];
  memcpy(&word, turned, 8);
  mask_word(data, bytes, word);
}

/* Room for `bytes` more of the message; doubles, never over the limit. */
static bool reserve(struct rfc6455 *ws, size_t bytes) {
  size_t need = ws->message_bytes + bytes;
  size_t capacity = ws->message_capacity ? ws->message_capacity : MESSAGE_FIRST_BYTES;

  if (need <= ws->message_capacity) return true;
  while (capacity < need) capacity *= 2;
  if (capacity > ws->message_max_bytes && need <= ws->message_max_bytes) capacity = ws->message_max_bytes;
  char *grown = realloc(ws->message, capacity);
  if (!grown) return false;
  ws->message = grown;
  ws->message_capacity = capacity;
  return true;
}

static enum rfc6455_kind close_item(struct rfc6455_item *item) {
  const uint8_t *payload = (const uint8_t *)item->data;

  item->code = RFC6455_NO_CODE;
  if (item->bytes == 0) return RFC6455_CLOSE;
  if (item->bytes == 1) return fail(item, RFC6455_PROTOCOL_ERROR, "half a close code");
  item->code = payload[0] << 8 | payload[1];
  item->data += 2;
  item->bytes -= 2;
  if (!rfc6455_code_valid(item->code)) return fail(item, RFC6455_PROTOCOL_ERROR, "close code not allowed");
  if (!utf8_valid(item->data, item->bytes)) return fail(item, RFC6455_BAD_DATA, "close reason not UTF-8");
  return RFC6455_CLOSE;
}

static enum rfc6455_kind finish_control(struct rfc6455 *ws, struct rfc6455_item *item) {
  if (ws->opcode == RFC6455_OP_CLOSE) return close_item(item);
  return ws->opcode == RFC6455_OP_PING ? RFC6455_PING : RFC6455_PONG;
}

static enum rfc6455_kind finish_message(struct rfc6455 *ws, struct rfc6455_item *item) {
  ws->in_message = false;
  ws->message_bytes = 0;
  item->text = ws->text;
  item->utf8 = !ws->text || utf8_valid(item->data, item->bytes);
  return RFC6455_MESSAGE;
}

/* The whole payload lies at `data`: no copy, unless it ends a message whose beginning is in the buffer. */
static enum rfc6455_kind whole_frame(struct rfc6455 *ws, char *data, struct rfc6455_item *item) {
  size_t bytes = (size_t)ws->payload_bytes;

  ws->in_payload = false;
  if (ws->role == RFC6455_SERVER) rfc6455_mask(data, bytes, ws->mask, 0);
  item->data = data;
  item->bytes = bytes;
  return ws->opcode & CONTROL_BIT ? finish_control(ws, item) : finish_message(ws, item);
}

/* Takes what there is of the payload into a buffer of ours. */
static enum rfc6455_kind gather(struct rfc6455 *ws, const char *data, size_t bytes,
                                struct rfc6455_item *item) {
  bool control = ws->opcode & CONTROL_BIT;
  if (!control && !reserve(ws, bytes)) return fail(item, RFC6455_INTERNAL, "no memory for the message");
  if (bytes > 0) {
    char *to = control ? ws->control + ws->payload_done : ws->message + ws->message_bytes;
    memcpy(to, data, bytes);
    if (ws->role == RFC6455_SERVER) rfc6455_mask(to, bytes, ws->mask, ws->payload_done);
  }
  ws->payload_done += bytes;
  if (!control) ws->message_bytes += bytes, ws->in_message = true;
  if (ws->payload_done < ws->payload_bytes) return RFC6455_MORE;

  ws->in_payload = false;
  item->data = control || !ws->message ? ws->control : ws->message;
  item->bytes = control ? (size_t)ws->payload_bytes : ws->message_bytes;
  if (control) return finish_control(ws, item);
  return ws->fin ? finish_message(ws, item) : RFC6455_MORE;
}

enum rfc6455_kind rfc6455_next(struct rfc6455 *ws, char *data, size_t bytes, size_t *used,
                               struct rfc6455_item *item) {
  *used = 0;
  memset(item, 0, sizeof *item);
  if (!ws->in_payload && !ws->in_message && ws->message_capacity > MESSAGE_KEEP_BYTES) rfc6455_release(ws);
  while (*used < bytes || (ws->in_payload && ws->payload_bytes == 0)) {
    if (!ws->in_payload) {
      size_t taken;
      int state = read_header(ws, data + *used, bytes - *used, &taken, item);
      *used += taken;
      if (state < 0) return RFC6455_FAULT;
      if (state == 0) return RFC6455_MORE;
    }
    uint64_t wanted = ws->payload_bytes - ws->payload_done;
    size_t taken = wanted < bytes - *used ? (size_t)wanted : bytes - *used;
    bool alone = (ws->opcode & CONTROL_BIT) || (ws->fin && !ws->in_message);
    char *at = data + *used;
    enum rfc6455_kind kind;

    *used += taken;
    kind = alone && taken == ws->payload_bytes ? whole_frame(ws, at, item) : gather(ws, at, taken, item);
    if (kind != RFC6455_MORE) return kind;
  }
  return RFC6455_MORE;
}

size_t rfc6455_header(uint8_t out[RFC6455_HEADER_MAX_BYTES], enum rfc6455_opcode opcode,
                      uint64_t payload_bytes, const uint8_t *mask) {
  unsigned extra = payload_bytes < LENGTH_16 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
  size_t length = 2;

  out[0] = (uint8_t)(FIN_BIT | (unsigned)opcode);
  out[1] = extra == 0 ? (uint8_t)payload_bytes : extra == 2 ? LENGTH_16 : LENGTH_64;
  if (mask) out[1] |= MASK_BIT;
  for (unsigned i = 0; i < extra; i++) out[length++] = (uint8_t)(payload_bytes >> (8 * (extra - 1 - i)));
  if (mask) {
    memcpy(out + length, mask, 4);
    length += 4;
  }
  return length;
}

size_t rfc6455_close_payload(char out[RFC6455_CONTROL_MAX_BYTES], int code, const char *reason) {
  if (code == RFC6455_NO_CODE) return 0;
  size_t bytes = reason ? strlen(reason) : 0;

  if (bytes > RFC6455_CONTROL_MAX_BYTES - 2) bytes = RFC6455_CONTROL_MAX_BYTES - 2;
  while (bytes > 0 && !utf8_valid(reason, bytes)) bytes--; /* never half a character */
  out[0] = (char)(code >> 8);
  out[1] = (char)(code & 0xff);
  if (bytes > 0) memcpy(out + 2, reason, bytes);
  return 2 + bytes;
}

bool rfc6455_code_valid(int code) {
  /* 1012 to 1014 were registered with IANA after the RFC; 3000 up are for frameworks and private use. */
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

bool rfc6455_accept(const char *key, char out[RFC6455_ACCEPT_BYTES]) {
  static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
  enum { KEY_BYTES = 24 };                                           /* base64 of 16 bytes ends in == */
  char text[KEY_BYTES + sizeof GUID];
  unsigned char raw[KEY_BYTES], digest[EVP_MAX_MD_SIZE];
  unsigned digest_bytes;

  if (strlen(key) != KEY_BYTES || strcmp(key + KEY_BYTES - 2, "==") != 0 || key[KEY_BYTES - 3] == '=')
    return false;
  if (EVP_DecodeBlock(raw, (const unsigned char *)key, KEY_BYTES) != 18) return false;
  memcpy(text, key, KEY_BYTES);
  memcpy(text + KEY_BYTES, GUID, sizeof GUID);
  if (!EVP_Digest(text, strlen(text), digest, &digest_bytes, EVP_sha1(), NULL)) return false;
  EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_bytes);
  return true;
}
