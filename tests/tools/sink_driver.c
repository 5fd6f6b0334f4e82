/* Drives the MongoDB sink without an agent: for tests/e2e/test_mongo_sink.py and for measuring.
 *
 *   sink_driver OPTIONS            lines of standard input, each answered by lines on standard output
 *   sink_driver OPTIONS check      mongo_check(): its lines; exit 0 when all is well
 *   sink_driver OPTIONS bench LEGS short legs of three webhooks each, written and settled; figures
 *
 *   OPTIONS: --uri U [--database D] [--collection C] [--selection-ms N] [--socket-ms N] [--lead-lookup] [--agent A]
 *   Lines: a row {"row", "kind": "event"|"part", "leg", "id", "n", "at_ms", "body"}; "deliver": the rows so far go out
 *   as one batch; "look_after"; "interrupt"; {"read": [legs], "whole": bool}. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "agent/bson.h"
#include "agent/settle.h"
#include "store/mongo.h"

enum { ROWS_MAX = 4096 };

static struct {
  struct sink_row rows[ROWS_MAX];
  size_t count;
} batch;

static const char *copy(const char *text) {
  char *made = strdup(text == NULL ? "" : text);
  if (made == NULL) abort();
  return made;
}

static void batch_clear(void) {
  for (size_t i = 0; i < batch.count; i++) {
    const char *texts[] = {batch.rows[i].leg, batch.rows[i].id, batch.rows[i].body};
    for (size_t k = 0; k < 3; k++) free((void *)(uintptr_t)texts[k]);
  }
  batch.count = 0;
}

static const char *const result_names[] = {
    [SINK_DONE] = "done", [SINK_AWAY] = "away", [SINK_RETRY] = "retry", [SINK_DEAD] = "dead"};

static void print(json_t *line) {
  char *text = json_dumps(line, JSON_COMPACT);
  puts(text);
  fflush(stdout);
  free(text);
  json_decref(line);
}

static json_t *outcome_json(const struct sink_outcome *o) {
  return json_pack("{s:s, s:s, s:s}", "result", result_names[o->result], "kind", o->kind, "reason",
                   o->reason);
}

static json_t *stats_json(struct mongo *m) {
  struct mongo_stats s;
  mongo_stats(m, &s);
  return json_pack("{s:b, s:s, s:I}", "indexes_ready", s.indexes_ready, "index_refusal", s.index_refusal,
                   "refused_since_ms", (json_int_t)s.refused_since_ms);
}

static double now_s(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- lines ---- */

static void deliver(struct mongo *m) {
  static struct sink_outcome outcomes[ROWS_MAX];
  const struct sink_driver driver = mongo_driver(m);
  const double began = now_s(CLOCK_MONOTONIC);
  driver.deliver(driver.self, batch.rows, batch.count, 0, outcomes);
  const double took = now_s(CLOCK_MONOTONIC) - began;
  json_t *list = json_array();
  for (size_t i = 0; i < batch.count; i++) json_array_append_new(list, outcome_json(&outcomes[i]));
  print(json_pack("{s:o, s:f}", "outcomes", list, "took_s", took));
  batch_clear();
}

static void add_row(const json_t *line) {
  const char *kind = json_string_value(json_object_get(line, "kind")),
             *body = json_string_value(json_object_get(line, "body"));
  if (batch.count == ROWS_MAX || kind == NULL || body == NULL) abort();
  batch.rows[batch.count++] = (struct sink_row){
      .row = json_integer_value(json_object_get(line, "row")),
      .kind = strcmp(kind, "part") == 0 ? OUTBOX_PART : OUTBOX_EVENT,
      .leg = copy(json_string_value(json_object_get(line, "leg"))),
      .id = copy(json_string_value(json_object_get(line, "id"))),
      .n = (uint64_t)json_integer_value(json_object_get(line, "n")),
      .at_ms = json_integer_value(json_object_get(line, "at_ms")),
      .body = copy(body),
      .body_bytes = strlen(body),
  };
}

static void take_document(void *arg, const char *leg, const uint8_t *bson, size_t bytes) {
  json_object_set_new(arg, leg, bson_to_json(bson, bytes));
}

static void read_back(const struct mongo_options *options, const json_t *line) {
  static struct mongo_reader *reader;
  const json_t *wanted = json_object_get(line, "read");
  const char *legs[ROWS_MAX];
  struct sink_outcome outcome;
  char why[256];
  if (reader == NULL && mongo_reader_create(&reader, options, why, sizeof why) != 0) abort();
  for (size_t i = 0; i < json_array_size(wanted); i++) legs[i] = json_string_value(json_array_get(wanted, i));
  json_t *documents = json_object();
  const int rc =
      mongo_reader_get(reader, legs, json_array_size(wanted), json_is_true(json_object_get(line, "whole")),
                       take_document, documents, &outcome);
  print(json_pack("{s:i, s:o, s:o}", "rc", rc, "documents", documents, "outcome", outcome_json(&outcome)));
  if (json_is_true(json_object_get(line, "last"))) {
    mongo_reader_free(reader);
    reader = NULL;
  }
}

static void take_line(struct mongo *m, const struct mongo_options *options, const char *text) {
  const struct sink_driver driver = mongo_driver(m);
  json_t *line = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  const char *word = json_string_value(line);
  if (word != NULL && strcmp(word, "deliver") == 0) {
    deliver(m);
  } else if (word != NULL && strcmp(word, "look_after") == 0) {
    driver.look_after(driver.self, 0);
    print(stats_json(m));
  } else if (word != NULL && strcmp(word, "interrupt") == 0) {
    driver.interrupt(driver.self);
  } else if (json_object_get(line, "read") != NULL) {
    read_back(options, line);
  } else {
    add_row(line);
  }
  json_decref(line);
}

static int drive(struct mongo *m, const struct mongo_options *options) {
  char *text = NULL;
  size_t room = 0;
  while (getline(&text, &room, stdin) > 0) take_line(m, options, text);
  free(text);
  batch_clear();
  return 0;
}

/* ---- measuring ---- */

static void add_short_leg(size_t number) {
  static const char *const types[] = {"call.initiated", "call.answered", "call.hangup"};
  char leg[64], body[1024], id[64];
  snprintf(leg, sizeof leg, "v3:bench-%zu", number);
  for (size_t i = 0; i < 3; i++) {
    const long long at_ms = 1789000000000LL + (long long)number * 10 + (long long)i * 5000;
    snprintf(id, sizeof id, "%zu-%zu", number, i);
    snprintf(body, sizeof body,
             "{\"_id\":{\"$oid\":\"%016zx%08zx\"},\"eventType\":\"%s\",\"timestamp\":{\"$date\":\"2026-09-"
             "15T09:30:%02zu.000Z\"},"
             "\"payload\":{\"call_control_id\":\"%s\",\"call_leg_id\":\"leg-%zu\",\"call_session_id\":"
             "\"session-%zu\","
             "\"connection_id\":\"2900000000000000001\",\"from\":\"+15550100002\",\"to\":\"+15550100101\","
             "\"direction\":"
             "\"outgoing\",\"client_state\":\"eyJjYWxsVHlwZSI6ImNvbGQtY2FsbCJ9\",\"hangup_cause\":\"normal_"
             "clearing\","
             "\"hangup_source\":\"callee\"}}",
             number, i, types[i], i * 5, leg, number, number);
    batch.rows[batch.count++] = (struct sink_row){.row = (int64_t)(number * 3 + i),
                                                  .leg = copy(leg),
                                                  .id = copy(id),
                                                  .at_ms = at_ms,
                                                  .body = copy(body),
                                                  .body_bytes = strlen(body)};
  }
}

/* Keeps the rows that are not done; returns how many are. Prints the first reason. */
static size_t drop_done(const struct sink_outcome *outcomes) {
  size_t kept = 0, done = 0;
  for (size_t i = 0; i < batch.count; i++) {
    if (outcomes[i].result != SINK_DONE) {
      if (kept == 0) print(outcome_json(&outcomes[i]));
      batch.rows[kept++] = batch.rows[i];
      continue;
    }
    const char *texts[] = {batch.rows[i].leg, batch.rows[i].id, batch.rows[i].body};
    for (size_t k = 0; k < 3; k++) free((void *)(uintptr_t)texts[k]);
    done++;
  }
  batch.count = kept;
  return done;
}

static int bench(struct mongo *m, size_t legs) {
  static struct sink_outcome outcomes[ROWS_MAX];
  const struct sink_driver driver = mongo_driver(m);
  size_t rows = 0, batches = 0;
  double wall_s = 0, cpu_s = 0;
  driver.look_after(driver.self, 0);
  for (size_t leg = 0; leg < legs || batch.count > 0; batches++) {
    while (leg < legs && batch.count + 3 <= driver.batch_max) add_short_leg(leg++);
    const double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    driver.deliver(driver.self, batch.rows, batch.count, 0, outcomes);
    wall_s += now_s(CLOCK_MONOTONIC) - wall;
    cpu_s += now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    rows += drop_done(outcomes);
  }
  print(json_pack("{s:I, s:I, s:f, s:f, s:f}", "rows", (json_int_t)rows, "batches", (json_int_t)batches,
                  "rows_per_s", (double)rows / wall_s, "cpu_us_per_row", cpu_s * 1e6 / (double)rows,
                  "cpu_share", cpu_s / wall_s));
  return 0;
}

static void say(void *arg, const char *line) {
  (void)arg;
  puts(line);
}

static void parse(int argc, char **argv, struct mongo_options *o, struct fold_options *fold) {
  static const struct option names[] = {{"uri", 1, NULL, 'u'},        {"database", 1, NULL, 'd'},
                                        {"collection", 1, NULL, 'c'}, {"selection-ms", 1, NULL, 's'},
                                        {"socket-ms", 1, NULL, 't'},  {"lead-lookup", 0, NULL, 'l'},
                                        {"agent", 1, NULL, 'a'},      {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (c == 'u') o->uri = optarg;
    if (c == 'd') o->database = optarg;
    if (c == 'c') o->collection = optarg;
    if (c == 's') o->server_selection_ms = atoll(optarg);
    if (c == 't') o->socket_ms = atoll(optarg);
    if (c == 'l') o->lead_lookup = true;
    if (c == 'a') fold->agent_id = optarg;
    if (c == '?') exit(2);
  }
}

int main(int argc, char **argv) {
  mongo_leave_no_trace();
  struct fold_options fold = {.agent_id = "driver", .version = SIDETONE_VERSION};
  struct mongo_options options = {
      .database = "sidetone", .collection = "calllogs", .server_selection_ms = 5000, .socket_ms = 10000};
  struct mongo *m = NULL;
  char why[512];
  int status;
  parse(argc, argv, &options, &fold);
  if (options.uri == NULL) return 2;
  options.folder = settle_folder(&fold, options.lead_lookup);
  const char *command = optind < argc ? argv[optind] : "";
  if (strcmp(command, "check") == 0) {
    status = mongo_check(&options, say, NULL) ? 0 : 1;
  } else if (mongo_create(&m, &options, why, sizeof why) != 0) {
    fprintf(stderr, "%s\n", why);
    status = 2;
  } else if (strcmp(command, "bench") == 0) {
    status = bench(m, optind + 1 < argc ? (size_t)atoll(argv[optind + 1]) : 1000);
  } else {
    status = drive(m, &options);
  }
  mongo_free(m);
  mongo_global_cleanup();
  return status;
}
