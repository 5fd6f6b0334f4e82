#include "telnyx/rtp.h"

#include "telnyx/big_endian.h"

enum { HEADER_BYTES = 12, EXTENSION_HEADER_BYTES = 4, EVENT_BYTES = 4 };

/* Bytes before the payload; 0 when they are not all there. */
static size_t header_bytes(const uint8_t *data, size_t bytes) {
  size_t header = HEADER_BYTES + (size_t)(data[0] & 15) * 4;
  bool extended = data[0] & 0x10;
  if (!extended) return header <= bytes ? header : 0;
  if (header + EXTENSION_HEADER_BYTES > bytes) return 0;
  header += EXTENSION_HEADER_BYTES + (size_t)read_16(data + header + 2) * 4;
  return header <= bytes ? header : 0;
}

bool rtp_read(const uint8_t *data, size_t bytes, size_t sent_bytes, struct rtp *out) {
  if (bytes < HEADER_BYTES || bytes > sent_bytes || data[0] >> 6 != 2) return false;
  uint8_t type = data[1] & 0x7f;
  if (type >= RTP_RTCP_FIRST && type <= RTP_RTCP_LAST) return false;
  size_t header = header_bytes(data, bytes);
  if (header == 0) return false;
  size_t padding = 0;
  if ((data[0] & 0x20) != 0 && bytes == sent_bytes) {
    padding = data[bytes - 1]; /* the last byte counts itself; a cut packet does not tell */
    if (padding == 0 || padding > bytes - header) return false;
  }
  *out = (struct rtp){.marker = data[1] >> 7,
                      .payload_type = type,
                      .sequence = read_16(data + 2),
                      .timestamp = read_32(data + 4),
                      .ssrc = read_32(data + 8),
                      .payload = data + header,
                      .bytes = bytes - header - padding,
                      .sent_bytes = sent_bytes - header - padding};
  return true;
}

bool rtp_event_read(const uint8_t *payload, size_t bytes, struct rtp_event *out) {
  if (bytes < EVENT_BYTES) return false;
  *out = (struct rtp_event){.event = payload[0],
                            .end = payload[1] >> 7,
                            .volume = payload[1] & 0x3f,
                            .duration = read_16(payload + 2)};
  return true;
}

const char *rtp_event_digit(uint8_t event) {
  static const char digits[][2] = {"0", "1", "2", "3", "4", "5", "6", "7",
                                   "8", "9", "*", "#", "A", "B", "C", "D"};
  return event < sizeof digits / sizeof *digits ? digits[event] : NULL;
}

const struct rtp_type *rtp_static_type(uint8_t payload_type) {
  static const struct rtp_type types[] = {
      [0] = {"PCMU", 8000},  [3] = {"GSM", 8000},   [4] = {"G723", 8000},   [5] = {"DVI4", 8000},
      [6] = {"DVI4", 16000}, [7] = {"LPC", 8000},   [8] = {"PCMA", 8000},   [9] = {"G722", 8000},
      [10] = {"L16", 44100}, [11] = {"L16", 44100}, [12] = {"QCELP", 8000}, [13] = {"CN", 8000},
      [14] = {"MPA", 90000}, [15] = {"G728", 8000}, [16] = {"DVI4", 11025}, [17] = {"DVI4", 22050},
      [18] = {"G729", 8000}, [19] = {"CN", 8000},
  };
  if (payload_type >= sizeof types / sizeof *types || types[payload_type].name == NULL) return NULL;
  return &types[payload_type];
}
