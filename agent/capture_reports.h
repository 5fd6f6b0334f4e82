/* What the RTCP of a capture tells of its RTP streams: counts, the newest reports, round trips. Kept apart
 * from the streams, because reports may come first; joined by SSRC and addresses at the end. One thread.
 *
 * A report on a stream is booked under the stream's own direction, whoever sent it. Round trips are those
 * between the place of the capture and the stream's receiver: the time from a sender report to the report
 * that echoes it, less what the receiver held it. So no clock but the capture's is needed. */
#ifndef AGENT_CAPTURE_REPORTS_H
#define AGENT_CAPTURE_REPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/capture_stream.h"
#include "telnyx/packet.h"
#include "telnyx/rtcp.h"

struct capture_reports;

/* Of one stream. */
struct capture_report {
  uint64_t sr, rr, xr, bye; /* its sender's reports; reports on it; extended reports on it; its end */
  bool has_block, has_voip;
  struct rtcp_report block; /* the newest of each */
  struct rtcp_voip voip;
  uint64_t rtt_count, rtt_sum_us;
};

struct capture_reports *capture_reports_new(void); /* NULL: no memory */
void capture_reports_free(struct capture_reports *reports);
/* A datagram that rtcp_is(). */
void capture_reports_take(struct capture_reports *reports, const struct packet *packet, int64_t wall_ns);
/* False: there are none on this stream. */
bool capture_reports_find(const struct capture_reports *reports, const struct capture_key *key,
                          struct capture_report *out);

#endif
