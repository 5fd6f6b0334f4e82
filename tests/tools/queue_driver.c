/* The queue sink without the agent: queue_driver URL PREFIX AGENT TIMEOUT_MS QUEUE_MAX GROUP_TIMEOUT_H.
 * Lines on standard input, one answer line each (deliver: one a row, then "end"):
 *   document LEG REVISION BYTES|-   what the leg's CallLog is from now on; "-": it has not ended. BYTES: of padding
 *   row N LEG                       joins the next batch
 *   deliver LOW_WATER               "N RESULT KIND REASON"
 *   look CURSOR                     the row to go back to, or -1
 *   stats                           added trimmed length full tails_lost|idle groups|trouble */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_sinks.h"

enum { DOCUMENTS_MAX = 4096, ROWS_MAX = 4096 };

struct document {
  char leg[64];
  uint64_t revision;
  long bytes; /* -1: not ended */
};
static struct document documents[DOCUMENTS_MAX];
static size_t document_count;
static char legs[ROWS_MAX][64];
static struct sink_row rows[ROWS_MAX];
static size_t row_count;

static struct document *find(const char *leg) {
  for (size_t i = 0; i < document_count; i++)
    if (strcmp(documents[i].leg, leg) == 0) return &documents[i];
  return NULL;
}

static char *local(void *arg, const char *leg, size_t *bytes) {
  (void)arg;
  const struct document *d = find(leg);
  char *text = NULL;
  int length = d != NULL ? asprintf(&text, "{\"leg\":\"%s\"}", leg) : -1;
  *bytes = length > 0 ? (size_t)length : 0;
  return length > 0 ? text : NULL;
}

static int entry(void *arg, const char *leg, const void *document, size_t bytes, bool is_bson,
                 struct redis_queue_entry *out) {
  (void)arg, (void)is_bson;
  const struct document *d = find(leg);
  if (d->bytes < 0) return 0;
  size_t padded = bytes + (size_t)d->bytes;
  out->revision = d->revision;
  out->document = malloc(padded + 1);
  memcpy(out->document, document, bytes);
  memset(out->document + bytes, ' ', padded - bytes);
  out->document[padded] = '\0';
  if (asprintf(&out->call_log_id, "CALL_%s", leg) < 0) return -1;
  return 1;
}

static void deliver(const struct sink_driver *driver, int64_t low_water) {
  static const char *const results[] = {"done", "away", "retry", "dead"};
  struct sink_outcome *outcomes = calloc(row_count + 1, sizeof *outcomes);
  for (size_t i = 0; i < row_count; i += driver->batch_max) {
    size_t count = row_count - i < driver->batch_max ? row_count - i : driver->batch_max;
    driver->deliver(driver->self, rows + i, count, low_water, outcomes + i);
  }
  for (size_t i = 0; i < row_count; i++) {
    printf("%" PRId64 " %s %s %s\n", rows[i].row, results[outcomes[i].result],
           outcomes[i].kind[0] != '\0' ? outcomes[i].kind : "-", outcomes[i].reason);
  }
  puts("end");
  free(outcomes);
  row_count = 0;
}

static void stats(struct redis_queue *q) {
  struct redis_queue_stats s;
  redis_queue_stats(q, &s);
  printf("%" PRIu64 " %" PRIu64 " %" PRId64 " %d %" PRIu64 "|%s|%s\n", s.added, s.trimmed, s.length, s.full,
         s.tails_lost, s.idle_groups, s.trouble);
}

static void command(struct redis_queue *q, const struct sink_driver *driver, const char *line) {
  char leg[64], size[32];
  int64_t number;
  uint64_t revision;
  if (sscanf(line, "document %63s %" SCNu64 " %31s", leg, &revision, size) == 3) {
    struct document *d = find(leg);
    if (d == NULL) d = &documents[document_count++];
    *d = (struct document){.revision = revision, .bytes = strcmp(size, "-") == 0 ? -1 : atol(size)};
    snprintf(d->leg, sizeof d->leg, "%s", leg);
    puts("ok");
  } else if (sscanf(line, "row %" SCNd64 " %63s", &number, leg) == 2) {
    memcpy(legs[row_count], leg, sizeof leg);
    rows[row_count] = (struct sink_row){.row = number, .leg = legs[row_count], .id = "", .body = ""};
    row_count++;
    puts("ok");
  } else if (sscanf(line, "deliver %" SCNd64, &number) == 1) {
    deliver(driver, number);
  } else if (sscanf(line, "look %" SCNd64, &number) == 1) {
    printf("%" PRId64 "\n", driver->look_after(driver->self, number));
  } else if (strcmp(line, "stats\n") == 0) {
    stats(q);
  } else {
    puts("what?");
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  char why[300], line[256];
  const struct redis_queue_options options = {
      .redis = {.url = argv[1], .prefix = argv[2], .timeout_ms = atoll(argv[4])},
      .agent_id = argv[3],
      .queue_max = atoll(argv[5]),
      .group_timeout_h = atoll(argv[6]),
      .entry = entry,
      .local = local};
  struct redis_queue *q;
  if (redis_queue_create(&q, &options, why, sizeof why) != 0) {
    fprintf(stderr, "%s\n", why);
    return 1;
  }
  const struct sink_driver driver = redis_queue_driver(q);
  while (fgets(line, sizeof line, stdin) != NULL) command(q, &driver, line);
  redis_queue_free(q);
  return 0;
}
