#include "agent/capture_reports.h"

#include <stdlib.h>
#include <string.h>

/* Whatever looks like RTCP makes a row; a capture of other things must not fill the memory with them. */
enum { ROWS_MAX = 65536, SENT_KEPT = 8 };

struct row {
  UT_hash_handle hh;
  struct row *next;       /* of the same SSRC and hosts, by other ports */
  struct capture_key key; /* in the media's direction; the ports are the RTCP's */
  struct capture_report report;
  /* The newest sender reports and when they passed. */
  size_t sent_count;
  struct {
    uint32_t ntp_middle;
    int64_t wall_ns;
  } sent[SENT_KEPT];
};

/* All RTCP on one SSRC between two hosts. */
struct source {
  UT_hash_handle hh;
  struct capture_key key;    /* as a row's; ports are 0 */
  struct row *rows;          /* the newest first */
  struct capture_report all; /* of them, as they were at: */
  uint64_t added_at;
};

struct capture_reports {
  struct source *sources;
  struct row *rows;
  uint64_t datagrams;
};

struct capture_reports *capture_reports_new(void) {
  return calloc(1, sizeof(struct capture_reports));
}

void capture_reports_free(struct capture_reports *reports) {
  struct source *source, *next;
  struct row *row, *next_row;
  if (reports == NULL) return;
  HASH_ITER(hh, reports->rows, row, next_row) {
    HASH_DEL(reports->rows, row);
    free(row);
  }
  HASH_ITER(hh, reports->sources, source, next) {
    HASH_DEL(reports->sources, source);
    free(source);
  }
  free(reports);
}

static struct source *find_source(const struct capture_reports *reports, const struct capture_key *key) {
  struct capture_key portless = *key;
  struct source *source;
  portless.src.port = portless.dst.port = 0;
  HASH_FIND(hh, reports->sources, &portless, sizeof portless, source);
  return source;
}

/* NULL: no memory. */
static struct source *source_of(struct capture_reports *reports, const struct capture_key *key) {
  struct source *source = find_source(reports, key);
  if (source != NULL) return source;
  source = calloc(1, sizeof *source);
  if (source == NULL) return NULL;
  source->key = *key;
  source->key.src.port = source->key.dst.port = 0;
  HASH_ADD(hh, reports->sources, key, sizeof source->key, source);
  if (is_added(source)) return source;
  free(source);
  return NULL;
}

static struct row *find_row(const struct capture_reports *reports, const struct capture_key *key) {
  struct row *row;
  HASH_FIND(hh, reports->rows, key, sizeof *key, row);
  return row;
}

/* NULL: no room. */
static struct row *row_of(struct capture_reports *reports, uint32_t ssrc, const struct packet_address *src,
                          const struct packet_address *dst) {
  struct capture_key key;
  memset(&key, 0, sizeof key);
  key.ssrc = ssrc;
  key.src = *src;
  key.dst = *dst;
  struct row *row = find_row(reports, &key);
  if (row != NULL || HASH_COUNT(reports->rows) >= ROWS_MAX) return row;
  struct source *source = source_of(reports, &key);
  row = source != NULL ? calloc(1, sizeof *row) : NULL;
  if (row == NULL) return NULL;
  row->key = key;
  HASH_ADD(hh, reports->rows, key, sizeof row->key, row);
  if (!is_added(row)) {
    free(row);
    return NULL;
  }
  row->next = source->rows;
  source->rows = row;
  return row;
}

static void take_sender(struct row *row, const struct rtcp_sender *sender, int64_t wall_ns) {
  row->report.sr++;
  size_t at = row->sent_count++ % SENT_KEPT;
  row->sent[at].ntp_middle = rtcp_ntp_middle(sender->ntp);
  row->sent[at].wall_ns = wall_ns;
}

/* The sender's clock when the answer passed is what it was in its report, and the time since by ours. */
static void take_round_trip(struct row *row, const struct rtcp_report *block, int64_t wall_ns) {
  size_t kept = row->sent_count < SENT_KEPT ? row->sent_count : SENT_KEPT;
  for (size_t i = 0; i < kept && block->lsr != 0; i++) {
    int64_t since_ns = wall_ns - row->sent[i].wall_ns;
    if (row->sent[i].ntp_middle != block->lsr || since_ns < 0 || since_ns > INT64_C(60000000000)) continue;
    uint32_t since = (uint32_t)(since_ns * 65536 / 1000000000), units;
    if (!rtcp_round_trip(block->lsr + since, block->lsr, block->dlsr, &units)) return;
    uint64_t us = (uint64_t)units * 1000000 / 65536;
    struct capture_report *r = &row->report;
    r->rtt_count++;
    r->rtt_sum_us += us;
    return;
  }
}

static void take_blocks(struct capture_reports *reports, const struct packet *packet,
                        const struct rtcp_packet *part, int64_t wall_ns) {
  struct rtcp_report block;
  for (unsigned i = 0; rtcp_report(part, i, &block); i++) {
    struct row *row = row_of(reports, block.ssrc, &packet->dst, &packet->src);
    if (row == NULL) continue;
    row->report.rr++;
    row->report.has_block = true;
    row->report.block = block;
    take_round_trip(row, &block, wall_ns);
  }
}

static void take_extended(struct capture_reports *reports, const struct packet *packet,
                          const struct rtcp_packet *part) {
  struct rtcp_voip voip;
  unsigned i = 0;
  for (; rtcp_voip(part, i, &voip); i++) {
    struct row *row = row_of(reports, voip.ssrc, &packet->dst, &packet->src);
    if (row == NULL) continue;
    row->report.xr++;
    row->report.has_voip = true;
    row->report.voip = voip;
  }
  if (i > 0) return;
  /* Other blocks: counted with the stream of whoever sent them. */
  struct row *row = row_of(reports, part->ssrc, &packet->src, &packet->dst);
  if (row != NULL) row->report.xr++;
}

void capture_reports_take(struct capture_reports *reports, const struct packet *packet, int64_t wall_ns) {
  struct rtcp_scan scan = {packet->payload, packet->bytes};
  struct rtcp_packet part;
  struct rtcp_sender sender;
  reports->datagrams++;
  while (rtcp_next(&scan, &part)) {
    if (part.type == RTCP_EXTENDED) {
      take_extended(reports, packet, &part);
      continue;
    }
    struct row *row = NULL;
    bool sends = rtcp_sender(&part, &sender), ends = part.type == RTCP_BYE && part.count > 0;
    if (sends || ends) row = row_of(reports, part.ssrc, &packet->src, &packet->dst);
    if (row != NULL && sends) take_sender(row, &sender, wall_ns);
    if (row != NULL && ends) row->report.bye++;
    take_blocks(reports, packet, &part, wall_ns);
  }
}

/* ---- joining --------------------------------------------------------------------------------- */

static void add(struct capture_report *into, const struct capture_report *from) {
  into->sr += from->sr;
  into->rr += from->rr;
  into->xr += from->xr;
  into->bye += from->bye;
  if (from->has_block) into->block = from->block;
  if (from->has_voip) into->voip = from->voip;
  into->has_block |= from->has_block;
  into->has_voip |= from->has_voip;
  into->rtt_count += from->rtt_count;
  into->rtt_sum_us += from->rtt_sum_us;
}

/* Once for all streams that ask: there may be as many of them as rows. */
static const struct capture_report *all_of(const struct capture_reports *reports, struct source *source) {
  if (source->added_at != reports->datagrams) {
    memset(&source->all, 0, sizeof source->all);
    for (const struct row *row = source->rows; row != NULL; row = row->next) add(&source->all, &row->report);
    source->added_at = reports->datagrams;
  }
  return &source->all;
}

bool capture_reports_find(const struct capture_reports *reports, const struct capture_key *key,
                          struct capture_report *out) {
  struct source *source = find_source(reports, key);
  bool by_port = false;
  memset(out, 0, sizeof *out);
  if (source == NULL || source->rows == NULL) return false;
  /* The media's own ports, or the next ones. */
  for (int i = 0; i < 4; i++) {
    struct capture_key beside = *key;
    beside.src.port = (uint16_t)(key->src.port + i / 2);
    beside.dst.port = (uint16_t)(key->dst.port + i % 2);
    const struct row *row = find_row(reports, &beside);
    if (row == NULL) continue;
    by_port = true;
    add(out, &row->report);
  }
  /* RTCP on ports of its own (a=rtcp) counts when none is where it is expected. */
  if (!by_port) *out = *all_of(reports, source);
  return true;
}
