/* Fills a store for the start-up measurement: fill_store DIRECTORY LEGS EVENTS OPEN.
 * LEGS legs of EVENTS events and a part each; the last OPEN of them are up still, the others have ended. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

static void put(struct store *s, const struct store_request *r) {
  int error;
  while ((error = store_submit(s, r)) == -11) usleep(1000); /* EAGAIN: the queue is full */
  if (error == 0) return;
  fprintf(stderr, "fill_store: %s\n", strerror(-error));
  exit(1);
}

static void put_leg(struct store *s, int leg, int events, bool open) {
  char name[64], id[64], body[600];
  snprintf(name, sizeof name, "v3:bench-%08d-%020d", leg, leg);
  for (int i = 0; i < events; i++) {
    snprintf(id, sizeof id, "00000000-0000-4000-%04d-%012d", i, leg);
    snprintf(
        body, sizeof body,
        "{\"_id\":{\"$oid\":\"%08x%016x\"},\"eventType\":\"call.dtmf.received\",\"timestamp\":{\"$date\":"
        "\"2026-01-01T00:00:%02d.000Z\"},\"payload\":{\"digit\":\"%d\",\"text\":\"%0300d\"}}",
        (unsigned)leg, (unsigned)i, i % 60, i % 10, leg);
    put(s, &(struct store_request){.kind = STORE_PUT_EVENT,
                                   .leg = name,
                                   .id = id,
                                   .deliver = true,
                                   .at_ms = 1767225600000,
                                   .body = body,
                                   .body_bytes = strlen(body)});
  }
  if (open) return;
  snprintf(id, sizeof id, "CALL_%08d", leg);
  put(s, &(struct store_request){.kind = STORE_PUT_CALLLOG,
                                 .leg = name,
                                 .id = id,
                                 .n = (uint64_t)events,
                                 .ended = true,
                                 .at_ms = 1767225600000,
                                 .status = "completed",
                                 .total_s = NAN,
                                 .mos = NAN,
                                 .body = body,
                                 .body_bytes = strlen(body)});
}

int main(int argc, char **argv) {
  struct store *s;
  char why[512];
  if (argc != 5) {
    fprintf(stderr, "usage: fill_store DIRECTORY LEGS EVENTS OPEN\n");
    return 2;
  }
  int legs = atoi(argv[2]), events = atoi(argv[3]), open = atoi(argv[4]);
  const struct store_options options = {.directory = argv[1]};
  if (store_open(&s, &options, why, sizeof why) != 0) {
    fprintf(stderr, "fill_store: %s\n", why);
    return 1;
  }
  for (int leg = 0; leg < legs; leg++) put_leg(s, leg, events, leg >= legs - open);
  struct store_stats stats;
  do {
    usleep(10000);
    store_stats(s, &stats);
  } while (stats.queued > 0 && stats.failures == 0);
  fprintf(stderr, "fill_store: %llu rows, %llu failures %s\n", (unsigned long long)stats.rows,
          (unsigned long long)stats.failures, stats.reason);
  _exit(stats.failures == 0 ? 0 : 1); /* as kill -9: the log stays as it is */
}
