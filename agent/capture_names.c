#include "agent/capture_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/memory.h" /* before uthash */
#include <uthash.h>

#include "telnyx/rtp.h"

enum {
  DESCRIPTIONS_MAX = 16,
  ALL_DESCRIPTIONS_MAX = 65536, /* of all endpoints: a kilobyte each, and a packet can make four */
  PORTS = 65536
};

struct description {
  int64_t wall_ns;
  struct sdp_media media;
};

/* Where somebody wants sound. */
struct endpoint {
  UT_hash_handle hh;
  struct packet_address address; /* the key */
  size_t count;
  struct description *description[DESCRIPTIONS_MAX]; /* different from the one before, by time */
};

struct capture_names {
  struct capture_name option[RTP_PAYLOAD_TYPES];
  struct endpoint *endpoints;
  size_t description_count;
  struct {
    const struct endpoint *first;
    bool several;
  } port[PORTS];
};

struct capture_names *capture_names_new(void) {
  return calloc(1, sizeof(struct capture_names));
}

void capture_names_free(struct capture_names *names) {
  struct endpoint *e, *next;
  if (names == NULL) return;
  HASH_ITER(hh, names->endpoints, e, next) {
    HASH_DEL(names->endpoints, e);
    for (size_t i = 0; i < e->count; i++) free(e->description[i]);
    free(e);
  }
  free(names);
}

/* ---- --codec --------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t bytes) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
  return bytes > 0 && bytes < SDP_NAME_BYTES && strspn(text, allowed) >= bytes;
}

/* Decimal digits and nothing else. */
static bool read_number(const char *text, size_t bytes, unsigned least, unsigned most, unsigned *out) {
  char digits[12], *end;
  if (bytes == 0 || bytes >= sizeof digits || strspn(text, "0123456789") < bytes) return false;
  memcpy(digits, text, bytes);
  digits[bytes] = '\0';
  errno = 0;
  unsigned long value = strtoul(digits, &end, 10);
  *out = (unsigned)value;
  return errno == 0 && value >= least && value <= most;
}

bool capture_names_option(struct capture_names *names, const char *text, char *why, size_t why_bytes) {
  const char *equals = strchr(text, '='), *slash = equals != NULL ? strchr(equals, '/') : NULL;
  unsigned type, clock_hz;
  if (slash == NULL) {
    snprintf(why, why_bytes, "PT=NAME/CLOCK is allowed, as in 111=opus/48000");
  } else if (!read_number(text, (size_t)(equals - text), 0, RTP_PAYLOAD_TYPES - 1, &type) ||
             (type >= RTP_RTCP_FIRST && type <= RTP_RTCP_LAST)) {
    snprintf(why, why_bytes, "payload type: 0 to %d and %d to %d are allowed", RTP_RTCP_FIRST - 1,
             RTP_RTCP_LAST + 1, RTP_PAYLOAD_TYPES - 1);
  } else if (!is_name(equals + 1, (size_t)(slash - equals - 1))) {
    snprintf(why, why_bytes, "name: 1 to %d letters, digits, '-', '.' and '_' are allowed",
             SDP_NAME_BYTES - 1);
  } else if (!read_number(slash + 1, strlen(slash + 1), SDP_CLOCK_MIN_HZ, SDP_CLOCK_MAX_HZ, &clock_hz)) {
    snprintf(why, why_bytes, "clock: %d to %d Hz are allowed, and nothing after it", SDP_CLOCK_MIN_HZ,
             SDP_CLOCK_MAX_HZ);
  } else if (names->option[type].clock_hz != 0) {
    snprintf(why, why_bytes, "payload type %u is named twice", type);
  } else {
    struct capture_name *option = &names->option[type];
    memcpy(option->name, equals + 1, (size_t)(slash - equals - 1));
    option->clock_hz = clock_hz;
    return true;
  }
  return false;
}

/* ---- session descriptions -------------------------------------------------------------------- */

static struct endpoint *find_endpoint(const struct capture_names *names,
                                      const struct packet_address *address) {
  struct endpoint *e;
  HASH_FIND(hh, names->endpoints, address, sizeof *address, e);
  return e;
}

static struct endpoint *add_endpoint(struct capture_names *names, const struct packet_address *address) {
  struct endpoint *e = find_endpoint(names, address);
  if (e != NULL) return e;
  e = calloc(1, sizeof *e);
  if (e == NULL) return NULL;
  e->address = *address;
  HASH_ADD(hh, names->endpoints, address, sizeof e->address, e);
  if (!is_added(e)) {
    free(e);
    return NULL;
  }
  names->port[address->port].several = names->port[address->port].first != NULL;
  names->port[address->port].first = e;
  return e;
}

/* Messages are sent again until they are answered: the same description once. */
static void add_description(struct capture_names *names, struct endpoint *e, const struct sdp_media *media,
                            int64_t wall_ns) {
  if (e->count == DESCRIPTIONS_MAX) return;
  if (e->count > 0 && memcmp(&e->description[e->count - 1]->media, media, sizeof *media) == 0) return;
  struct description *d = malloc(sizeof *d);
  if (d == NULL) return;
  d->wall_ns = wall_ns;
  memcpy(&d->media, media, sizeof *media);
  e->description[e->count++] = d;
  names->description_count++;
}

void capture_names_learn(struct capture_names *names, const struct packet *packet, bool whole,
                         int64_t wall_ns) {
  size_t bytes;
  const char *text = sdp_in_sip((const char *)packet->payload, packet->bytes, &bytes);
  while (text != NULL && !whole && bytes > 0 && text[bytes - 1] != '\n') bytes--;
  struct sdp sdp;
  memset(&sdp, 0, sizeof sdp); /* descriptions are compared as bytes */
  if (text == NULL || !sdp_read(text, bytes, &sdp)) return;
  for (size_t i = 0; i < sdp.media_count; i++) {
    const struct sdp_media *media = &sdp.media[i];
    struct packet_address address;
    memset(&address, 0, sizeof address);
    if (media->version == 0 || names->description_count >= ALL_DESCRIPTIONS_MAX) continue;
    address.version = media->version;
    address.port = media->port;
    memcpy(address.ip, media->ip, sizeof address.ip);
    struct endpoint *e = add_endpoint(names, &address);
    if (e != NULL) add_description(names, e, media, wall_ns);
  }
}

/* ---- looking up ------------------------------------------------------------------------------ */

static bool name_in(const struct sdp_media *media, uint8_t payload_type, struct capture_name *out) {
  for (size_t i = 0; i < media->format_count; i++) {
    const struct sdp_format *format = &media->format[i];
    if (format->payload_type != payload_type) continue;
    out->encrypted = media->encrypted;
    out->ptime_ms = media->ptime_ms;
    if (format->clock_hz == 0) return true; /* a static type: RFC 3551 has its name */
    memcpy(out->name, format->name, sizeof out->name);
    out->clock_hz = format->clock_hz;
    return true;
  }
  return false;
}

static bool name_at(const struct endpoint *e, uint8_t payload_type, int64_t wall_ns,
                    struct capture_name *out) {
  if (e == NULL) return false;
  bool found = false;
  for (size_t i = 0; i < e->count; i++) {
    if (found && e->description[i]->wall_ns > wall_ns) break;
    found |= name_in(&e->description[i]->media, payload_type, out);
  }
  return found;
}

/* Behind a NAT the described address is another one; its port may be the only one of the kind. */
static const struct endpoint *by_port(const struct capture_names *names, uint16_t port) {
  return names->port[port].several ? NULL : names->port[port].first;
}

struct capture_name capture_names_find(const struct capture_names *names, const struct packet_address *src,
                                       const struct packet_address *dst, uint8_t payload_type,
                                       int64_t wall_ns) {
  struct capture_name name = {.clock_hz = 0};
  if (!name_at(find_endpoint(names, dst), payload_type, wall_ns, &name) &&
      !name_at(find_endpoint(names, src), payload_type, wall_ns, &name) &&
      !name_at(by_port(names, dst->port), payload_type, wall_ns, &name)) {
    name_at(by_port(names, src->port), payload_type, wall_ns, &name);
  }
  const struct capture_name *option = &names->option[payload_type];
  const struct rtp_type *type = rtp_static_type(payload_type);
  if (option->clock_hz != 0) {
    memcpy(name.name, option->name, sizeof name.name);
    name.clock_hz = option->clock_hz;
  } else if (name.clock_hz == 0 && type != NULL) {
    snprintf(name.name, sizeof name.name, "%s", type->name);
    name.clock_hz = type->clock_hz;
  }
  return name;
}
