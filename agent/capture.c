#include "agent/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/capture_file.h"

/* A stream is one whose numbers have gone up by one so many times running. Everything that begins as RTP
 * does is watched until then, within bounds: a capture may hold anything. */
enum { IN_SEQUENCE = 5, CANDIDATES_MAX = 1024, KEPT_MAX = 256 };

struct candidate {
  UT_hash_handle hh;
  struct capture_key key;
  unsigned run;
  size_t count, room;
  struct capture_rtp *kept;
};

static void free_candidate(struct capture *c, struct candidate *candidate) {
  HASH_DEL(c->candidates, candidate);
  free(candidate->kept);
  free(candidate);
}

void capture_free(struct capture *c) {
  struct capture_stream *s, *next_stream;
  struct candidate *candidate, *next;
  HASH_ITER(hh, c->streams, s, next_stream) {
    HASH_DEL(c->streams, s);
    capture_stream_free(s);
  }
  HASH_ITER(hh, c->candidates, candidate, next) free_candidate(c, candidate);
  capture_reports_free(c->reports);
  memset(c, 0, sizeof *c);
}

/* ---- what may become a stream ---------------------------------------------------------------- */

/* NULL: no memory. The one that was heard last stands last. */
static struct candidate *candidate_of(struct capture *c, const struct capture_key *key) {
  struct candidate *candidate;
  HASH_FIND(hh, c->candidates, key, sizeof *key, candidate);
  if (candidate != NULL) {
    HASH_DEL(c->candidates, candidate);
  } else {
    candidate = calloc(1, sizeof *candidate);
    if (candidate == NULL) return NULL;
    candidate->key = *key;
    if (HASH_COUNT(c->candidates) >= CANDIDATES_MAX) free_candidate(c, c->candidates);
  }
  HASH_ADD(hh, c->candidates, key, sizeof candidate->key, candidate);
  if (is_added(candidate)) return candidate;
  free(candidate->kept);
  free(candidate);
  return NULL;
}

static bool keep(struct candidate *candidate, const struct capture_rtp *p) {
  if (candidate->count == KEPT_MAX) {
    candidate->count /= 2;
    memmove(candidate->kept, candidate->kept + candidate->count, candidate->count * sizeof *candidate->kept);
  }
  if (candidate->count == candidate->room) {
    size_t room = candidate->room * 2 + 8;
    struct capture_rtp *grown = realloc(candidate->kept, room * sizeof *grown);
    if (grown == NULL) return false;
    candidate->kept = grown;
    candidate->room = room;
  }
  candidate->kept[candidate->count] = *p;
  candidate->kept[candidate->count++].payload = NULL;
  return true;
}

static void accept(struct capture *c, struct candidate *candidate, const struct capture_names *names) {
  bool full = HASH_COUNT(c->streams) >= CAPTURE_STREAMS_MAX;
  struct capture_stream *s = full ? NULL : capture_stream_new(&candidate->key, names);
  c->full = c->full || full;
  if (s != NULL) {
    HASH_ADD(hh, c->streams, key, sizeof s->key, s);
    if (is_added(s)) {
      capture_stream_begin(s, candidate->kept, candidate->count, c->base_ns);
    } else {
      capture_stream_free(s);
    }
  }
  free_candidate(c, candidate);
}

static void watch(struct capture *c, const struct capture_names *names, const struct capture_key *key,
                  const struct capture_rtp *p) {
  struct candidate *candidate = candidate_of(c, key);
  if (candidate == NULL) return;
  int step = 0;
  if (candidate->count > 0) step = (uint16_t)(p->sequence - candidate->kept[candidate->count - 1].sequence);
  /* The same packet twice, as it is captured on two interfaces, breaks no sequence. */
  if (candidate->count == 0 || step != 0) candidate->run = step == 1 ? candidate->run + 1 : 1;
  if (keep(candidate, p) && candidate->run >= IN_SEQUENCE) accept(c, candidate, names);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void take_rtp(struct capture *c, const struct capture_names *names, const struct packet *packet,
                     int64_t wall_ns) {
  struct rtp rtp;
  if (!rtp_read(packet->payload, packet->bytes, packet->sent_bytes, &rtp)) return;
  struct capture_rtp p = {.wall_ns = wall_ns,
                          .timestamp = rtp.timestamp,
                          .sequence = rtp.sequence,
                          .payload_type = rtp.payload_type,
                          .marker = rtp.marker,
                          .payload_bytes = (uint32_t)rtp.sent_bytes};
  p.head_bytes = rtp.bytes < sizeof p.head ? (uint8_t)rtp.bytes : sizeof p.head;
  memcpy(p.head, rtp.payload, p.head_bytes);
  if (rtp.bytes == rtp.sent_bytes) p.payload = rtp.payload;
  struct capture_key key;
  memset(&key, 0, sizeof key);
  key.ssrc = rtp.ssrc;
  key.src = packet->src;
  key.dst = packet->dst;
  struct capture_stream *s;
  HASH_FIND(hh, c->streams, &key, sizeof key, s);
  if (s != NULL) {
    capture_stream_take(s, &p, c->base_ns);
  } else {
    watch(c, names, &key, &p);
  }
}

static void take_packet(struct capture *c, const struct capture_names *names,
                        const struct capture_packet *captured) {
  struct packet packet;
  if (!c->based) c->base_ns = captured->wall_ns;
  c->based = true;
  switch (packet_read(captured->link, captured->data, captured->bytes, &packet)) {
    case PACKET_UDP:
      if (rtcp_is(packet.payload, packet.bytes, packet.sent_bytes)) {
        capture_reports_take(c->reports, &packet, captured->wall_ns);
      } else {
        take_rtp(c, names, &packet, captured->wall_ns);
      }
      break;
    case PACKET_FRAGMENT:
      c->fragments++;
      break;
    case PACKET_CUT:
      c->cut++;
      break;
    case PACKET_TCP:
    case PACKET_OTHER:
      break;
  }
}

static void learn(struct capture_names *names, const struct capture_packet *captured) {
  struct packet packet;
  enum packet_kind kind = packet_read(captured->link, captured->data, captured->bytes, &packet);
  if (kind != PACKET_UDP && kind != PACKET_TCP) return;
  bool whole = kind == PACKET_UDP && packet.bytes == packet.sent_bytes;
  capture_names_learn(names, &packet, whole, captured->wall_ns);
}

/* One pass: for the names, or for the sound when `c` is given. */
static bool pass(struct capture *c, struct capture_names *names, const char *path, char *why,
                 size_t why_bytes) {
  struct capture_file *file = capture_file_open(path, why, why_bytes);
  if (file == NULL) return false;
  struct capture_packet captured;
  char broken[512] = "";
  while (capture_file_next(file, &captured, broken, sizeof broken) == 1) {
    if (c == NULL) {
      learn(names, &captured);
    } else {
      take_packet(c, names, &captured);
    }
  }
  capture_file_close(file);
  if (c != NULL) memcpy(c->broken, broken, sizeof c->broken);
  return true;
}

static int by_start(const struct capture_stream *a, const struct capture_stream *b) {
  return a->first_ns < b->first_ns ? -1 : a->first_ns > b->first_ns;
}

bool capture_read(struct capture *out, struct capture_names *names, const char *path, char *why,
                  size_t why_bytes) {
  memset(out, 0, sizeof *out);
  out->reports = capture_reports_new();
  if (out->reports == NULL) {
    snprintf(why, why_bytes, "no memory");
    return false;
  }
  if (!pass(NULL, names, path, why, why_bytes) || !pass(out, names, path, why, why_bytes)) return false;
  HASH_SORT(out->streams, by_start);
  for (struct capture_stream *s = out->streams; s != NULL; s = s->hh.next) capture_stream_end(s);
  return true;
}
