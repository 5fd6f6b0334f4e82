/* The sinks: MongoDB, the loader's queue and the alerts in Redis, each a runner of its own on the outbox. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "agent/queue_entry.h"
#include "agent/serve.h"
#include "agent/settle.h"
#include "store/redis_sinks.h"

enum { STOP_WITHIN_S = 2 };

struct serve_sinks {
  struct serve *serve;
  struct fold_options fold;
  struct mongo *mongo;
  struct mongo_reader *queue_reader; /* the queue's thread reads back with it */
  struct redis_queue *queue;
  struct redis_alerts *alerts;
  struct store_reader *local; /* without MongoDB: the queue's thread reads the local CallLogs with it */
  struct sink *runner[SINK_COUNT];
  int loop[SINK_COUNT];       /* of the runners' threads, in agent/supervise.h */
  bool told_away[SINK_COUNT]; /* what the log has said last */
  char told_refusal[256];
};

static bool has_mongo(const struct serve *s) {
  return s->config.mongo_uri[0] != '\0';
}

static bool has_redis(const struct serve *s) {
  return s->config.redis_url[0] != '\0';
}

void serve_sinks_configured(const struct serve *s, bool sinks[SINK_COUNT]) {
  sinks[SINK_MONGO] = has_mongo(s);
  sinks[SINK_REDIS_QUEUE] = sinks[SINK_REDIS_ALERTS] = has_redis(s);
}

struct fold_options serve_fold_options(const struct serve *s) {
  return (struct fold_options){.agent_id = s->agent_id,
                               .version = SIDETONE_VERSION,
                               .inbound_is_agent = s->config.calls_party_inbound_is_agent,
                               .plc = s->config.quality_plc,
                               .asr_stream = s->config.quality_consumer_asr_stream};
}

struct mongo_options serve_mongo_options(const struct config *config, const struct fold_options *fold) {
  return (struct mongo_options){.uri = config->mongo_uri,
                                .database = config->mongo_database,
                                .collection = config->mongo_collection,
                                .server_selection_ms = config->mongo_server_selection_ms,
                                .socket_ms = config->mongo_socket_ms,
                                .lead_lookup = config->mongo_lead_lookup,
                                .folder = settle_folder(fold, config->mongo_lead_lookup)};
}

struct redis_options serve_redis_options(const struct config *config) {
  return (struct redis_options){
      .url = config->redis_url, .prefix = config->redis_prefix, .timeout_ms = config->redis_timeout_ms};
}

/* ---- start ---- */

static int start_runner(struct serve *s, struct sink_driver driver, bool after_mongo) {
  char why[256];
  int *loop = &s->sinks->loop[driver.id];
  const struct sink_options options = {
      .store = s->store, .driver = driver, .pulse = {supervise_pulse, loop}, .after_mongo = after_mongo};
  *loop = supervise_loop(sink_names[driver.id]);
  if (sink_start(&s->sinks->runner[driver.id], &options, why, sizeof why) == 0) return EXIT_DONE;
  return cli_failed("serve", "sink %s: %s", sink_names[driver.id], why);
}

static int start_mongo(struct serve *s) {
  struct serve_sinks *k = s->sinks;
  char why[256];
  const struct mongo_options options = serve_mongo_options(&s->config, &k->fold);
  if (mongo_create(&k->mongo, &options, why, sizeof why) != 0 ||
      mongo_reader_create(&k->queue_reader, &options, why, sizeof why) != 0)
    return cli_failed("serve", "mongo.uri: %s", why);
  int status = serve_look_start(s, &options);
  return status == EXIT_DONE ? start_runner(s, mongo_driver(k->mongo), false) : status;
}

/* On the queue's thread. */
static char *local_calllog(void *arg, const char *leg, size_t *bytes) {
  struct serve_sinks *k = arg;
  char why[256];
  if (k->local == NULL && store_reader_open(&k->local, k->serve->config.store_dir, why, sizeof why) != 0)
    return NULL;
  char *text = store_reader_get_leg(k->local, leg);
  *bytes = text != NULL ? strlen(text) : 0;
  return text;
}

static int start_redis(struct serve *s) {
  struct serve_sinks *k = s->sinks;
  char why[256];
  const struct redis_queue_options queue = {.redis = serve_redis_options(&s->config),
                                            .agent_id = s->agent_id,
                                            .queue_max = s->config.redis_queue_max,
                                            .group_timeout_h = s->config.redis_group_timeout_h,
                                            .mongo = k->queue_reader,
                                            .entry = queue_entry,
                                            .local = local_calllog,
                                            .arg = k};
  if (redis_queue_create(&k->queue, &queue, why, sizeof why) != 0 ||
      redis_alerts_create(&k->alerts, &queue.redis, why, sizeof why) != 0)
    return cli_failed("serve", "redis.url: %s", why);
  int status = start_runner(s, redis_queue_driver(k->queue), has_mongo(s));
  return status == EXIT_DONE ? start_runner(s, redis_alerts_driver(k->alerts), false) : status;
}

int serve_sinks_start(struct serve *s) {
  if (!has_mongo(s) && !has_redis(s)) return EXIT_DONE;
  s->sinks = calloc(1, sizeof *s->sinks);
  if (s->sinks == NULL) return cli_failed("serve", "no memory");
  s->sinks->serve = s;
  s->sinks->fold = serve_fold_options(s);
  int status = has_mongo(s) ? start_mongo(s) : EXIT_DONE;
  return status == EXIT_DONE && has_redis(s) ? start_redis(s) : status;
}

/* ---- stop ---- */

static void *stop_all(void *arg) {
  struct serve_sinks *k = arg;
  for (int i = SINK_COUNT; i-- > 0;) sink_stop(k->runner[i]);
  serve_look_finish(k->serve); /* a question may be under way to the same server */
  return NULL;
}

static void free_sinks(struct serve_sinks *k) {
  for (int i = 0; i < SINK_COUNT; i++)
    if (k->runner[i] != NULL) supervise_leave(k->loop[i]);
  redis_queue_free(k->queue);
  redis_alerts_free(k->alerts);
  mongo_reader_free(k->queue_reader);
  mongo_free(k->mongo);
  if (k->local != NULL) store_reader_close(k->local);
  free(k);
}

/* A driver may be in a call to a server that has gone silent, as long as its timeouts allow; the process shall end
 * sooner, and what was not delivered is on disk. */
bool serve_sinks_stop(struct serve *s) {
  struct serve_sinks *k = s->sinks;
  struct timespec until;
  pthread_t thread;
  if (k == NULL) return true;
  s->sinks = NULL;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += STOP_WITHIN_S;
  if (pthread_create(&thread, NULL, stop_all, k) != 0) return false;
  if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0) return false;
  free_sinks(k);
  return true;
}

void serve_sinks_nudge(struct serve *s) {
  for (int i = 0; s->sinks != NULL && i < SINK_COUNT; i++)
    if (s->sinks->runner[i] != NULL) sink_nudge(s->sinks->runner[i]);
}

/* ---- how they are ---- */

/* As its deliveries found it; MongoDB also as the looks between them did. */
static void state_of(struct serve_sinks *k, enum sink_id id, struct sink_stats *stats) {
  struct mongo_stats mongo;
  sink_stats(k->runner[id], stats);
  if (id != SINK_MONGO || stats->away) return;
  mongo_stats(k->mongo, &mongo);
  stats->away = mongo.away;
  stats->away_since_ms = mongo.away_since_ms;
  memcpy(stats->reason, mongo.reason, sizeof stats->reason);
}

static void add_runner(struct serve_sinks *k, json_t *reasons, enum sink_id id) {
  struct sink_stats stats;
  if (k->runner[id] == NULL) return;
  state_of(k, id, &stats);
  if (stats.away) serve_add_reason(reasons, sink_names[id], stats.away_since_ms, stats.reason);
}

static void tell_runner(struct serve_sinks *k, enum sink_id id) {
  struct sink_stats stats;
  state_of(k, id, &stats);
  if (stats.away == k->told_away[id]) return;
  k->told_away[id] = stats.away;
  if (stats.away)
    log_event(LOG_WARN, NULL, "a sink is away: its rows wait on disk", LOG_TEXT("sink", sink_names[id]),
              LOG_TEXT("why", stats.reason));
  else
    log_event(LOG_INFO, NULL, "a sink is back", LOG_TEXT("sink", sink_names[id]));
}

void serve_sinks_watch(struct serve *s) {
  struct serve_sinks *k = s->sinks;
  struct mongo_stats stats;
  if (k == NULL) return;
  for (int i = 0; i < SINK_COUNT; i++)
    if (k->runner[i] != NULL) tell_runner(k, (enum sink_id)i);
  if (k->mongo == NULL) return;
  mongo_stats(k->mongo, &stats);
  if (strcmp(stats.index_refusal, k->told_refusal) == 0) return;
  memcpy(k->told_refusal, stats.index_refusal, sizeof k->told_refusal);
  if (stats.index_refusal[0] != '\0')
    log_event(LOG_WARN, NULL, "an index is not as it must be", LOG_TEXT("why", stats.index_refusal));
}

static void add_mongo(struct serve_sinks *k, json_t *reasons) {
  struct mongo_stats stats;
  mongo_stats(k->mongo, &stats);
  if (stats.index_refusal[0] != '\0')
    serve_add_reason(reasons, "mongo", stats.refused_since_ms, stats.index_refusal);
}

static void add_queue(struct serve_sinks *k, json_t *reasons) {
  struct redis_queue_stats stats;
  char text[512];
  redis_queue_stats(k->queue, &stats);
  if (stats.trouble[0] != '\0')
    serve_add_reason(reasons, sink_names[SINK_REDIS_QUEUE], stats.trouble_since_ms, stats.trouble);
  if (stats.idle_groups[0] == '\0') return;
  snprintf(text, sizeof text,
           "groups that read nothing for redis.group_timeout_h no longer hold the trimming: %s",
           stats.idle_groups);
  serve_add_reason(reasons, sink_names[SINK_REDIS_QUEUE], stats.idle_since_ms, text);
}

void serve_sinks_ready(struct serve *s, json_t *reasons) {
  struct serve_sinks *k = s->sinks;
  if (k == NULL) return;
  for (int i = 0; i < SINK_COUNT; i++) add_runner(k, reasons, (enum sink_id)i);
  if (k->mongo != NULL) add_mongo(k, reasons);
  if (k->queue != NULL) add_queue(k, reasons);
}

struct error_text {
  struct buffer *text;
  const char *sink;
};

static void add_error(void *arg, const char *kind, uint64_t count) {
  struct error_text *e = arg;
  buffer_printf(e->text, "sidetone_sink_errors_total{sink=\"%s\",kind=\"%s\"} %llu\n", e->sink, kind,
                (unsigned long long)count);
}

void serve_sinks_metrics(struct serve *s, struct buffer *text) {
  if (s->sinks == NULL) return;
  buffer_put_text(text,
                  "# HELP sidetone_sink_errors_total What sinks answered, or did not, by kind.\n"
                  "# TYPE sidetone_sink_errors_total counter\n");
  for (int i = 0; i < SINK_COUNT; i++) {
    struct error_text e = {.text = text, .sink = sink_names[i]};
    if (s->sinks->runner[i] != NULL) sink_error_kinds(s->sinks->runner[i], add_error, &e);
  }
}
