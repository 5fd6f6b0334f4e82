#include "telnyx/sdp.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { TYPES = 128, PORT_MAX = 65535, PTIME_MAX_MS = 1000 };

/* Text that is not ended by a NUL. */
struct slice {
  const char *at;
  size_t bytes;
};

struct address {
  uint8_t version, ip[16];
};

static bool starts(struct slice s, const char *word) {
  size_t bytes = strlen(word);
  return s.bytes >= bytes && strncasecmp(s.at, word, bytes) == 0;
}

static struct slice behind(struct slice s, size_t bytes) {
  return (struct slice){s.at + bytes, s.bytes - bytes};
}

/* Takes a line off `text`, without its end. */
static bool next_line(struct slice *text, struct slice *line) {
  if (text->bytes == 0) return false;
  const char *end = memchr(text->at, '\n', text->bytes);
  size_t bytes = end != NULL ? (size_t)(end - text->at) : text->bytes;
  *line = (struct slice){text->at, bytes};
  *text = behind(*text, end != NULL ? bytes + 1 : bytes);
  if (line->bytes > 0 && line->at[line->bytes - 1] == '\r') line->bytes--;
  return true;
}

/* Takes a word and the blanks around it off `s`; empty when there is none. */
static struct slice next_word(struct slice *s) {
  size_t from = 0;
  while (from < s->bytes && s->at[from] == ' ') from++;
  size_t to = from;
  while (to < s->bytes && s->at[to] != ' ') to++;
  struct slice word = {s->at + from, to - from};
  *s = behind(*s, to);
  return word;
}

/* Digits at the start, taken off; false without any or above `most`. */
static bool next_number(struct slice *s, uint32_t most, uint32_t *out) {
  uint32_t value = 0;
  size_t i = 0;
  for (; i < s->bytes && s->at[i] >= '0' && s->at[i] <= '9'; i++) {
    value = value * 10 + (uint32_t)(s->at[i] - '0');
    if (value > most) return false;
  }
  if (i == 0) return false;
  *s = behind(*s, i);
  *out = value;
  return true;
}

/* "IN IP4 192.0.2.1/127". */
static struct address read_connection(struct slice s) {
  static const struct address nowhere;
  next_word(&s);
  struct slice family = next_word(&s), host = next_word(&s);
  const char *slash = memchr(host.at, '/', host.bytes);
  size_t bytes = slash != NULL ? (size_t)(slash - host.at) : host.bytes;
  char text[INET6_ADDRSTRLEN];
  struct address address = {.version = starts(family, "IP6") ? 6 : 4};
  if (bytes >= sizeof text) return nowhere;
  memcpy(text, host.at, bytes);
  text[bytes] = '\0';
  bool good = inet_pton(address.version == 6 ? AF_INET6 : AF_INET, text, address.ip) == 1;
  /* 0.0.0.0 was how a call was held. */
  return good && memcmp(address.ip, nowhere.ip, sizeof address.ip) != 0 ? address : nowhere;
}

/* "5004 RTP/AVP 0 8 101" behind "m=audio "; NULL when it is not wanted or there is no room. */
static struct sdp_media *begin_media(struct sdp *out, struct slice s, const struct address *session) {
  struct slice word = next_word(&s), type;
  uint32_t port;
  if (out->media_count == SDP_MEDIA_MAX || !next_number(&word, PORT_MAX, &port) || port == 0) return NULL;
  struct slice profile = next_word(&s);
  struct sdp_media *media = &out->media[out->media_count++];
  *media = (struct sdp_media){.version = session->version, .port = (uint16_t)port};
  memcpy(media->ip, session->ip, sizeof media->ip);
  media->encrypted = memmem(profile.at, profile.bytes, "SAVP", 4) != NULL;
  while ((type = next_word(&s)).bytes > 0 && media->format_count < SDP_FORMATS_MAX) {
    uint32_t number;
    if (!next_number(&type, TYPES - 1, &number)) continue;
    media->format[media->format_count++] = (struct sdp_format){.payload_type = (uint8_t)number};
  }
  return media;
}

/* It comes from outside and goes into documents. */
static bool is_printable(const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] <= ' ' || text[i] > '~') return false;
  }
  return true;
}

/* "101 telephone-event/8000" behind "a=rtpmap:". */
static void read_rtpmap(struct sdp_media *media, struct slice s) {
  struct slice word = next_word(&s), name = next_word(&s);
  uint32_t type, clock_hz;
  if (!next_number(&word, TYPES - 1, &type)) return;
  const char *slash = memchr(name.at, '/', name.bytes);
  size_t bytes = slash != NULL ? (size_t)(slash - name.at) : 0;
  if (bytes == 0 || bytes >= SDP_NAME_BYTES || !is_printable(name.at, bytes)) return;
  struct slice clock = behind(name, bytes + 1);
  if (!next_number(&clock, SDP_CLOCK_MAX_HZ, &clock_hz) || clock_hz < SDP_CLOCK_MIN_HZ) return;
  for (size_t i = 0; i < media->format_count; i++) {
    struct sdp_format *format = &media->format[i];
    if (format->payload_type != type) continue;
    memcpy(format->name, name.at, bytes);
    format->name[bytes] = '\0';
    format->clock_hz = clock_hz;
  }
}

static void read_attribute(struct sdp_media *media, struct slice line) {
  static const char rtpmap[] = "a=rtpmap:", ptime[] = "a=ptime:";
  uint32_t ms;
  if (starts(line, rtpmap)) {
    read_rtpmap(media, behind(line, sizeof rtpmap - 1));
  } else if (starts(line, ptime)) {
    struct slice number = behind(line, sizeof ptime - 1);
    if (next_number(&number, PTIME_MAX_MS, &ms)) media->ptime_ms = ms;
  }
}

bool sdp_read(const char *text, size_t bytes, struct sdp *out) {
  static const char audio[] = "m=audio ";
  struct slice rest = {text, bytes}, line;
  struct address session = {0};
  struct sdp_media *media = NULL;
  bool in_media = false;
  out->media_count = 0;
  while (next_line(&rest, &line)) {
    if (starts(line, "m=")) {
      in_media = true;
      media = starts(line, audio) ? begin_media(out, behind(line, sizeof audio - 1), &session) : NULL;
    } else if (starts(line, "c=")) {
      struct address address = read_connection(behind(line, 2));
      if (!in_media) session = address;
      if (media == NULL) continue;
      media->version = address.version;
      memcpy(media->ip, address.ip, sizeof media->ip);
    } else if (media != NULL) {
      read_attribute(media, line);
    }
  }
  return out->media_count > 0;
}

/* "SIP/2.0 200 OK" or "INVITE sip:a@b SIP/2.0". */
static bool is_sip(struct slice line) {
  static const char version[] = "SIP/2.0";
  size_t bytes = sizeof version - 1;
  return starts(line, version) || (line.bytes > bytes && starts(behind(line, line.bytes - bytes), version));
}

const char *sdp_in_sip(const char *message, size_t bytes, size_t *sdp_bytes) {
  struct slice rest = {message, bytes}, line;
  if (!next_line(&rest, &line) || !is_sip(line)) return NULL;
  bool body = false;
  while (next_line(&rest, &line)) {
    if (line.bytes == 0) body = true;
    if (!body || line.bytes != 3 || memcmp(line.at, "v=0", 3) != 0) continue;
    *sdp_bytes = (size_t)(message + bytes - line.at);
    return line.at; /* of several parts of a body too: what follows it is no line of a description */
  }
  return NULL;
}
