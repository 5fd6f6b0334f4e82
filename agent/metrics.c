#include "agent/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/buffer.h"

const double histogram_bounds[HISTOGRAM_BOUNDS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                   0.025,  0.05,    0.1,    0.25,  0.5,    1.0,   2.5};

void histogram_add(struct histogram *h, double seconds) {
  int i = 0;
  while (i < HISTOGRAM_BOUNDS && seconds > histogram_bounds[i]) i++;
  h->bucket[i]++;
  h->sum_seconds += seconds;
}

static const char *const media_results[] = {
    [MEDIA_OK] = "ok",     [MEDIA_DUPLICATE] = "duplicate", [MEDIA_REORDERED] = "reordered",
    [MEDIA_LATE] = "late", [MEDIA_IGNORED] = "ignored",     [MEDIA_BEFORE_START] = "before_start",
};
static const char *const webhook_results[] = {
    [WEBHOOK_ACCEPTED] = "accepted",       [WEBHOOK_DUPLICATE] = "duplicate",
    [WEBHOOK_UNSIGNED] = "unsigned",       [WEBHOOK_BAD_REQUEST] = "bad_request",
    [WEBHOOK_TOO_LARGE] = "too_large",     [WEBHOOK_TIMEOUT] = "timeout",
    [WEBHOOK_UNAVAILABLE] = "unavailable", [WEBHOOK_UNKNOWN_EVENT] = "unknown_event",
};
static const char *const command_results[] = {[COMMAND_RESULT_OK] = "ok", [COMMAND_RESULT_FAILED] = "failed"};
static const char *const media_faults[] = {
    [FAULT_BINARY] = "binary",
    [FAULT_NOT_UTF8] = "not_utf8",
    [FAULT_OTHER_LEG] = "other_leg",
    [FAULT_UNKNOWN_EVENT] = "unknown_event",
    [FAULT_CODEC] = "codec",
    [FAULT_PROTOCOL] = "protocol",
    [FAULT_MESSAGE_TOO_LARGE] = "message_too_large",
    [FAULT_TOO_MANY_STREAMS] = "too_many_streams",
};
static const char *const outcomes[] = {
    [OUTCOME_COMPLETED] = "completed", [OUTCOME_BUSY] = "busy",           [OUTCOME_NO_ANSWER] = "no-answer",
    [OUTCOME_FAILED] = "failed",       [OUTCOME_CANCELLED] = "cancelled", [OUTCOME_REJECTED] = "rejected",
    [OUTCOME_LOST] = "lost",
};
_Static_assert(sizeof media_results / sizeof *media_results == MEDIA_RESULTS, "a name for each result");
_Static_assert(sizeof webhook_results / sizeof *webhook_results == WEBHOOK_RESULTS, "a name for each result");
_Static_assert(sizeof command_results / sizeof *command_results == COMMAND_RESULTS, "a name for each result");
_Static_assert(sizeof media_faults / sizeof *media_faults == MEDIA_FAULTS, "a name for each fault");
_Static_assert(sizeof outcomes / sizeof *outcomes == CALL_OUTCOMES, "a name for each outcome");

const char *media_fault_name(enum media_fault fault) {
  return media_faults[fault];
}

enum call_outcome metrics_outcome(const char *status, int lost) {
  if (lost) return OUTCOME_LOST;
  for (int i = 0; i < CALL_OUTCOMES; i++) {
    if (strcmp(status, outcomes[i]) == 0) return (enum call_outcome)i;
  }
  return OUTCOME_FAILED;
}

enum shape { GAUGE, COUNTER, SECONDS_GAUGE, SECONDS_COUNTER, FAMILY, HISTOGRAM };

/* `label` and `names`: the family's label and its values, `count` of them, at consecutive counters. */
static const struct row {
  const char *name, *help;
  enum shape shape;
  size_t offset;
  const char *label;
  const char *const *names;
  size_t count;
} rows[] = {
    {"sidetone_calls_live", "Calls that have not ended.", GAUGE, offsetof(struct metrics, calls_live), NULL,
     NULL, 0},
    {"sidetone_calls_finished_total", "Calls that have ended, by final status.", FAMILY,
     offsetof(struct metrics, calls_finished), "outcome", outcomes, CALL_OUTCOMES},
    {"sidetone_calls_without_lead_total", "Calls that have ended and name no lead (tag no-lead).", COUNTER,
     offsetof(struct metrics, calls_without_lead), NULL, NULL, 0},
    {"sidetone_memory_per_call_bytes", "Memory that a media stream takes while it is up.", GAUGE,
     offsetof(struct metrics, memory_per_call_bytes), NULL, NULL, 0},
    {"sidetone_streams_open", "Media sockets that measure a leg.", GAUGE,
     offsetof(struct metrics, streams_open), NULL, NULL, 0},
    {"sidetone_media_frames_total", "Media frames, by what became of them.", FAMILY,
     offsetof(struct metrics, media_frames), "result", media_results, MEDIA_RESULTS},
    {"sidetone_media_frames_missing_total", "Frames of ended streams that never came.", COUNTER,
     offsetof(struct metrics, media_frames_missing), NULL, NULL, 0},
    {"sidetone_webhooks_total", "Webhook requests, by answer.", FAMILY, offsetof(struct metrics, webhooks),
     "result", webhook_results, WEBHOOK_RESULTS},
    {"sidetone_commands_total", "Commands to Telnyx, by how they ended.", FAMILY,
     offsetof(struct metrics, commands), "result", command_results, COMMAND_RESULTS},
    {"sidetone_webhooks_legless_total", "Accepted events that belong to no leg.", COUNTER,
     offsetof(struct metrics, legless_events), NULL, NULL, 0},
    {"sidetone_alerts_total", "Alerts that have opened, by rule.", FAMILY, offsetof(struct metrics, alerts),
     "rule", alert_rule_names, ALERT_RULES},
    {"sidetone_webhook_ack_seconds", "From the last byte of a webhook to its answer.", HISTOGRAM,
     offsetof(struct metrics, webhook_ack), NULL, NULL, 0},
    {"sidetone_frame_to_metric_seconds", "From a frame's arrival to the figure that holds it.", HISTOGRAM,
     offsetof(struct metrics, frame_to_metric), NULL, NULL, 0},
    {"sidetone_loop_lag_seconds", "How late the loop's newest timer ran.", SECONDS_GAUGE,
     offsetof(struct metrics, loop_lag_seconds), NULL, NULL, 0},
    {"sidetone_store_commits_total", "Transactions of the local store.", COUNTER,
     offsetof(struct metrics, store_commits), NULL, NULL, 0},
    {"sidetone_store_quarantined_total", "Rows with a bad checksum.", COUNTER,
     offsetof(struct metrics, store_quarantined), NULL, NULL, 0},
};

static void head(struct buffer *t, const char *name, const char *help, const char *type) {
  buffer_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_histogram(struct buffer *t, const char *name, const struct histogram *h) {
  uint64_t total = 0;
  for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
    total += h->bucket[i];
    buffer_printf(t, "%s_bucket{le=\"%g\"} %llu\n", name, histogram_bounds[i], (unsigned long long)total);
  }
  total += h->bucket[HISTOGRAM_BOUNDS];
  buffer_printf(t, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name,
                (unsigned long long)total, name, h->sum_seconds, name, (unsigned long long)total);
}

static void add_row(struct buffer *t, const struct row *r, const char *base) {
  static const char *const types[] = {[GAUGE] = "gauge",         [COUNTER] = "counter",
                                      [SECONDS_GAUGE] = "gauge", [SECONDS_COUNTER] = "counter",
                                      [FAMILY] = "counter",      [HISTOGRAM] = "histogram"};
  const uint64_t *counts = (const uint64_t *)(const void *)(base + r->offset);
  head(t, r->name, r->help, types[r->shape]);
  switch (r->shape) {
    case GAUGE:
    case COUNTER:
      buffer_printf(t, "%s %llu\n", r->name, (unsigned long long)*counts);
      break;
    case SECONDS_GAUGE:
    case SECONDS_COUNTER:
      buffer_printf(t, "%s %.9g\n", r->name, *(const double *)(const void *)(base + r->offset));
      break;
    case FAMILY:
      for (size_t i = 0; i < r->count; i++) {
        buffer_printf(t, "%s{%s=\"%s\"} %llu\n", r->name, r->label, r->names[i],
                      (unsigned long long)counts[i]);
      }
      break;
    case HISTOGRAM:
      add_histogram(t, r->name, (const struct histogram *)(const void *)(base + r->offset));
      break;
  }
}

/* One family, two sources: the parser's refusals and ours. */
static void add_parse_errors(struct buffer *t, const struct metrics *m) {
  static const char name[] = "sidetone_media_parse_errors_total";
  head(t, name, "Media messages that could not be used, by kind.", "counter");
  for (int i = FRAME_FINE + 1; i < FRAME_FAULTS; i++) {
    buffer_printf(t, "%s{kind=\"%s\"} %llu\n", name, frame_fault_name((enum frame_fault)i),
                  (unsigned long long)m->frame_faults[i]);
  }
  for (int i = 0; i < MEDIA_FAULTS; i++) {
    buffer_printf(t, "%s{kind=\"%s\"} %llu\n", name, media_faults[i], (unsigned long long)m->media_faults[i]);
  }
}

static void add_outbox(struct buffer *t, const struct metrics *m) {
  static const char rows_name[] = "sidetone_outbox_rows", oldest_name[] = "sidetone_outbox_oldest_seconds";
  head(t, rows_name, "Rows of the outbox that wait for a sink, and that it has refused.", "gauge");
  for (int i = 0; i < SINK_COUNT; i++) {
    if (!m->sink_configured[i]) continue;
    buffer_printf(t, "%s{sink=\"%s\",state=\"pending\"} %llu\n", rows_name, sink_names[i],
                  (unsigned long long)m->outbox_pending[i]);
    buffer_printf(t, "%s{sink=\"%s\",state=\"dead\"} %llu\n", rows_name, sink_names[i],
                  (unsigned long long)m->outbox_dead[i]);
  }
  head(t, oldest_name, "Since when the oldest row waits for a sink.", "gauge");
  for (int i = 0; i < SINK_COUNT; i++) {
    if (m->sink_configured[i])
      buffer_printf(t, "%s{sink=\"%s\"} %.9g\n", oldest_name, sink_names[i], m->outbox_oldest_seconds[i]);
  }
}

static void add_process_figure(struct buffer *t, const char *name, const char *type, const char *help,
                               double value) {
  head(t, name, help, type);
  buffer_printf(t, "%s %.15g\n", name, value);
}

static size_t open_files(void) {
  size_t count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count - 3; /* ".", ".." and the directory itself */
}

/* Field 22 of /proc/self/stat: clock ticks from the boot to our start. */
static double start_time_s(void) {
  char stat[1024] = "";
  unsigned long long ticks = 0;
  struct timespec up, now;
  FILE *file = fopen("/proc/self/stat", "r");
  if (file == NULL) return 0;
  stat[fread(stat, 1, sizeof stat - 1, file)] = '\0';
  fclose(file);
  const char *behind_name = strrchr(stat, ')'); /* a name may hold blanks */
  if (behind_name == NULL ||
      sscanf(behind_name,
             ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
             &ticks) != 1)
    return 0;
  clock_gettime(CLOCK_BOOTTIME, &up);
  clock_gettime(CLOCK_REALTIME, &now);
  double booted_s = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) * 1e-9;
  return floor(booted_s + (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

/* Under the names that Prometheus' own clients use. */
static void add_process(struct buffer *t) {
  struct timespec cpu;
  struct rlimit files = {0};
  unsigned long long pages = 0, resident = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (statm != NULL) {
    if (fscanf(statm, "%llu %llu", &pages, &resident) != 2) pages = resident = 0;
    fclose(statm);
  }
  double page_bytes = (double)sysconf(_SC_PAGESIZE);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  getrlimit(RLIMIT_NOFILE, &files);
  add_process_figure(t, "process_cpu_seconds_total", "counter", "CPU time used.",
                     (double)(cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000) / 1000);
  add_process_figure(t, "process_resident_memory_bytes", "gauge", "Resident memory.",
                     (double)resident * page_bytes);
  add_process_figure(t, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
                     (double)pages * page_bytes);
  add_process_figure(t, "process_open_fds", "gauge", "Open files and sockets.", (double)open_files());
  add_process_figure(t, "process_max_fds", "gauge", "How many may be open.", (double)files.rlim_cur);
  add_process_figure(t, "process_start_time_seconds", "gauge", "When it started, Unix time.", start_time_s());
}

char *metrics_text(const struct metrics *m, size_t *bytes) {
  struct buffer t = {0};
  head(&t, "sidetone_build_info", "The version that runs.", "gauge");
  buffer_printf(&t, "sidetone_build_info{version=\"%s\"} 1\n", SIDETONE_VERSION);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) add_row(&t, &rows[i], (const char *)m);
  add_parse_errors(&t, m);
  head(&t, "sidetone_store_fsync_seconds", "Time of the store's commits.", "summary");
  buffer_printf(&t, "sidetone_store_fsync_seconds_sum %.9g\nsidetone_store_fsync_seconds_count %llu\n",
                m->store_fsync_seconds_sum, (unsigned long long)m->store_fsync_count);
  add_outbox(&t, m);
  add_process(&t);
  return buffer_take(&t, bytes);
}
