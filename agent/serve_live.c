#include "agent/serve_live.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/fold.h"
#include "agent/log.h"
#include "agent/serve.h"
#include "store/redis_sinks.h"

enum { SLICES = 20, FIELDS_MAX = 32, TOLD_MAX = 65536 };

struct serve_live {
  struct serve *serve;
  struct redis_live *sink;
  uv_timer_t timer;
  bool running, away;
  int loop;             /* of the sink's thread, in agent/supervise.h */
  int64_t sliced_us;    /* monotonic: the newest slice */
  pthread_mutex_t lock; /* of what the sink's thread tells: */
  struct histogram frame_to_metric;
  char **told; /* callLogIds of calls that have ended elsewhere */
  size_t told_count, told_size;
};

/* ---- on the sink's thread -------------------------------------------------------------------- */

static void on_published(void *arg, int64_t ticked_us, int64_t frame_us, int64_t answered_us) {
  (void)ticked_us;
  struct serve_live *l = arg;
  if (frame_us == 0) return;
  pthread_mutex_lock(&l->lock);
  histogram_add(&l->frame_to_metric, (double)(answered_us - frame_us) * 1e-6);
  pthread_mutex_unlock(&l->lock);
}

static bool have_room(struct serve_live *l) {
  if (l->told_count < l->told_size) return true;
  size_t size = l->told_size * 2 + 64;
  char **grown = size <= TOLD_MAX ? realloc(l->told, size * sizeof *grown) : NULL;
  if (grown == NULL) return false; /* Redis says it again at the next row */
  l->told = grown;
  l->told_size = size;
  return true;
}

static void on_passed(void *arg, const char *call_log_id, bool ended) {
  struct serve_live *l = arg;
  if (!ended) return; /* another agent publishes it: ours goes on asking, in case that one dies */
  pthread_mutex_lock(&l->lock);
  char *copy = have_room(l) ? strdup(call_log_id) : NULL;
  if (copy != NULL) l->told[l->told_count++] = copy;
  pthread_mutex_unlock(&l->lock);
}

/* ---- on the loop's --------------------------------------------------------------------------- */

static void take_told(struct serve_live *l, const struct moment *at) {
  pthread_mutex_lock(&l->lock);
  char **told = l->told;
  size_t count = l->told_count;
  l->told = NULL;
  l->told_count = l->told_size = 0;
  pthread_mutex_unlock(&l->lock);
  for (size_t i = 0; i < count; i++) {
    log_event(LOG_INFO, told[i], "the call has ended elsewhere: its live figures stop here");
    engine_live_stop(l->serve->engine, told[i]);
    engine_ask(l->serve->engine, at, told[i]);
    free(told[i]);
  }
  free(told);
}

/* The hash has every figure of the message but the callLogId, as text. */
static size_t make_fields(const json_t *figures, struct redis_field *fields, char **made) {
  json_t *reader = document_reader(figures);
  size_t count = 0, made_count = 0;
  for (void *i = json_object_iter(reader); i != NULL && count < FIELDS_MAX;
       i = json_object_iter_next(reader, i)) {
    const json_t *value = json_object_iter_value(i);
    const char *text = json_string_value(value);
    if (strcmp(json_object_iter_key(i), "callLogId") == 0) continue;
    if (text == NULL) text = made[made_count++] = document_text(value, false, NULL);
    if (text != NULL) fields[count++] = (struct redis_field){json_object_iter_key(i), text};
  }
  return count;
}

static void put_row(void *arg, const struct engine_live_row *row) {
  struct serve_live *l = arg;
  struct redis_field fields[FIELDS_MAX];
  char *made[FIELDS_MAX] = {NULL}, *message = document_text(row->figures, false, NULL);
  struct redis_live_row out = {.call_log_id = row->call_log_id,
                               .start_ms = row->start_ms,
                               .has_socket = row->has_socket,
                               .claim_ms = row->claim_ms,
                               .fields = fields,
                               .field_count = make_fields(row->figures, fields, made),
                               .message = message,
                               .ticked_us = uv_hrtime() / 1000,
                               .frame_us = row->frame_us};
  if (message != NULL) redis_live_put(l->sink, &out);
  for (size_t i = 0; i < FIELDS_MAX; i++) free(made[i]);
  free(message);
}

static void say_away(struct serve_live *l) {
  struct redis_live_stats stats;
  redis_live_stats(l->sink, &stats);
  if (stats.away == l->away) return;
  l->away = stats.away;
  log_event(stats.away ? LOG_WARN : LOG_INFO, NULL,
            stats.away ? "redis is away: no live figures" : "redis is back",
            LOG_TEXT("reason", stats.away ? stats.reason : NULL));
}

static void on_timer(uv_timer_t *timer) {
  struct serve_live *l = timer->data;
  struct moment at = serve_now();
  int64_t interval_us = l->serve->config.redis_live_interval_ms * 1000;
  take_told(l, &at);
  say_away(l);
  /* As many as the time since the last slice asks for, and a few: whoever is late catches up, in hash order or not. */
  int64_t since_us = l->sliced_us != 0 ? at.mono_us - l->sliced_us : interval_us / SLICES;
  if (since_us > interval_us) since_us = interval_us;
  size_t live = engine_calls(l->serve->engine);
  size_t most = (size_t)((double)live * (double)since_us / (double)interval_us) + 4;
  l->sliced_us = at.mono_us;
  engine_live_slice(l->serve->engine, &at, interval_us, most, put_row, l);
}

static void tell_end(struct serve *s, const char *leg, const char *call_log_id) {
  if (!redis_live_end(s->live->sink, call_log_id))
    log_event(LOG_ERROR, call_log_id, "no memory to tell redis of the end", LOG_TEXT("leg", leg));
}

/* An agent that has heard no webhook of the leg, only its stream, knows it by the derived id. */
static void on_ended(void *arg, const char *leg, const char *call_log_id) {
  char derived[FOLD_DERIVED_ID_BYTES];
  fold_derived_call_log_id(leg, derived);
  tell_end(arg, leg, call_log_id);
  if (strcmp(derived, call_log_id) != 0) tell_end(arg, leg, derived);
}

/* ---- life ------------------------------------------------------------------------------------ */

int serve_live_start(struct serve *s) {
  char why[300];
  if (s->config.redis_url[0] == '\0') return EXIT_DONE;
  struct serve_live *l = calloc(1, sizeof *l);
  if (l == NULL) return cli_failed("serve", "no memory");
  const struct redis_live_options options = {.redis = serve_redis_options(&s->config),
                                             .agent_id = s->agent_id,
                                             .interval_ms = s->config.redis_live_interval_ms,
                                             .pulse = {supervise_pulse, &l->loop},
                                             .passed = on_passed,
                                             .published = on_published,
                                             .arg = l};
  l->serve = s;
  l->loop = supervise_loop("redis live");
  pthread_mutex_init(&l->lock, NULL);
  if (redis_live_start(&l->sink, &options, why, sizeof why) != 0) {
    supervise_leave(l->loop);
    pthread_mutex_destroy(&l->lock);
    free(l);
    fprintf(stderr, "sidetone serve: redis.url: %s\n", why);
    return EXIT_USAGE;
  }
  s->live = l;
  return EXIT_DONE;
}

void serve_live_effects(struct serve *s, struct engine_effects *effects) {
  if (s->live != NULL) effects->ended = on_ended;
}

void serve_live_run(struct serve *s) {
  if (s->live == NULL) return;
  uint64_t slice_ms = (uint64_t)s->config.redis_live_interval_ms / SLICES;
  uv_timer_init(&s->loop, &s->live->timer);
  s->live->timer.data = s->live;
  s->live->running = true;
  uv_timer_start(&s->live->timer, on_timer, slice_ms, slice_ms);
}

void serve_live_finish(struct serve *s) {
  if (s->live == NULL || !s->live->running) return;
  uv_timer_stop(&s->live->timer);
  redis_live_finish(s->live->sink);
}

static void on_closed(uv_handle_t *timer) {
  free(timer->data);
}

void serve_live_stop(struct serve *s) {
  struct serve_live *l = s->live;
  if (l == NULL) return;
  redis_live_stop(l->sink);
  supervise_leave(l->loop);
  for (size_t i = 0; i < l->told_count; i++) free(l->told[i]);
  free(l->told);
  pthread_mutex_destroy(&l->lock);
  s->live = NULL;
  if (l->running) {
    uv_close((uv_handle_t *)&l->timer, on_closed);
  } else {
    free(l);
  }
}

/* ---- for your people ------------------------------------------------------------------------- */

void serve_live_ready(struct serve *s, json_t *reasons) {
  struct redis_live_stats stats;
  if (s->live == NULL) return;
  redis_live_stats(s->live->sink, &stats);
  if (stats.away) serve_add_reason(reasons, "redis", stats.away_since_ms, stats.reason);
  if (stats.eviction[0] != '\0') {
    char text[200];
    snprintf(text, sizeof text,
             "maxmemory-policy %s may drop the queue: noeviction or a volatile- policy keeps it",
             stats.eviction);
    serve_add_reason(reasons, "redis", stats.eviction_since_ms, text);
  }
}

void serve_live_metrics(struct serve *s) {
  if (s->live == NULL) return;
  pthread_mutex_lock(&s->live->lock);
  s->metrics.frame_to_metric = s->live->frame_to_metric;
  pthread_mutex_unlock(&s->live->lock);
}
