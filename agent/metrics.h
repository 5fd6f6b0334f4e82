/* What /metrics shows (contract 7): plain counters, written and read by the loop's thread only.
 * A metric is a member here and its row in metrics.c. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/alerts.h"
#include "store/sink.h"
#include "telnyx/frame.h"

enum media_result {
  MEDIA_OK,
  MEDIA_DUPLICATE,
  MEDIA_REORDERED,
  MEDIA_LATE,
  MEDIA_IGNORED,      /* of a replaced or unproven socket, outliers, after the end */
  MEDIA_BEFORE_START, /* held longer than 2 s, or no `start` ever came */
  MEDIA_RESULTS
};

enum webhook_result {
  WEBHOOK_ACCEPTED,
  WEBHOOK_DUPLICATE,
  WEBHOOK_UNSIGNED,
  WEBHOOK_BAD_REQUEST,
  WEBHOOK_TOO_LARGE,
  WEBHOOK_TIMEOUT,
  WEBHOOK_UNAVAILABLE,
  WEBHOOK_UNKNOWN_EVENT, /* accepted too, counted here beside */
  WEBHOOK_RESULTS
};

/* Frames that are no frames at all; further kinds than enum frame_fault. */
enum media_fault {
  FAULT_BINARY,
  FAULT_NOT_UTF8,
  FAULT_OTHER_LEG,
  FAULT_UNKNOWN_EVENT,
  FAULT_CODEC,
  FAULT_PROTOCOL,          /* a violation of RFC 6455: the socket is closed 1002 */
  FAULT_MESSAGE_TOO_LARGE, /* closed 1009 */
  FAULT_TOO_MANY_STREAMS,  /* of one leg: closed 1008 */
  MEDIA_FAULTS
};
const char *media_fault_name(enum media_fault fault); /* "binary", "not_utf8", ... */

enum command_result { COMMAND_RESULT_OK, COMMAND_RESULT_FAILED, COMMAND_RESULTS };

enum call_outcome {
  OUTCOME_COMPLETED,
  OUTCOME_BUSY,
  OUTCOME_NO_ANSWER,
  OUTCOME_FAILED,
  OUTCOME_CANCELLED,
  OUTCOME_REJECTED,
  OUTCOME_LOST,
  CALL_OUTCOMES
};

enum { HISTOGRAM_BOUNDS = 14 };
struct histogram {
  uint64_t bucket[HISTOGRAM_BOUNDS + 1]; /* the last one: above every bound */
  double sum_seconds;
};
extern const double histogram_bounds[HISTOGRAM_BOUNDS]; /* seconds */
void histogram_add(struct histogram *h, double seconds);

struct metrics {
  uint64_t calls_live, streams_open;
  uint64_t calls_finished[CALL_OUTCOMES];
  uint64_t media_frames[MEDIA_RESULTS];
  uint64_t media_frames_missing;
  uint64_t frame_faults[FRAME_FAULTS], media_faults[MEDIA_FAULTS];
  uint64_t webhooks[WEBHOOK_RESULTS];
  uint64_t commands[COMMAND_RESULTS];
  uint64_t alerts[ALERT_RULES]; /* opened */
  uint64_t legless_events, calls_without_lead;
  uint64_t memory_per_call_bytes; /* stream_bytes() */
  struct histogram webhook_ack, frame_to_metric;
  double loop_lag_seconds;
  /* Of the store, filled before a scrape. */
  uint64_t store_commits, store_quarantined;
  double store_fsync_seconds_sum;
  uint64_t store_fsync_count;
  /* Of the outbox, filled before a scrape; a sink that is not configured has no line. */
  bool sink_configured[SINK_COUNT];
  uint64_t outbox_pending[SINK_COUNT], outbox_dead[SINK_COUNT];
  double outbox_oldest_seconds[SINK_COUNT];
};

/* Which outcome a finished CallLog's status counts as. */
enum call_outcome metrics_outcome(const char *status, int lost);
/* Prometheus text exposition, malloc'ed. NULL when there is no memory. */
char *metrics_text(const struct metrics *m, size_t *bytes);

#endif
