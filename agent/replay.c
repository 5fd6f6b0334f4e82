/* A fixture through the same code as `serve`, in one process, on a virtual clock. */
#include "agent/replay.h"

#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "agent/log.h"
#include "agent/rfc6455.h"
#include "telnyx/event.h"

enum { TICK_US = 1000000, SOCKETS_MAX = 256 };
#define RUN_ON_US (300LL * 1000000)

struct player {
  struct engine *engine;
  struct metrics metrics;
  int64_t epoch_us;
  int64_t tick_us; /* t of the next tick */
  uint64_t reads;
  int64_t read_t_us; /* frames of a socket at the same time came with one read */
  conn_id read_socket;
  char *socket[SOCKETS_MAX]; /* names of the open ones; the place is the id less one, kept for ever */
  size_t sockets;
};

static struct moment moment_at(const struct player *p, int64_t t_us) {
  return (struct moment){.mono_us = t_us, .wall_us = p->epoch_us + t_us, .read_ordinal = p->reads};
}

static void run_clock(struct player *p, int64_t until_us) {
  while (p->tick_us <= until_us) {
    struct moment at = moment_at(p, p->tick_us);
    engine_tick(p->engine, &at);
    p->tick_us += TICK_US;
  }
}

static conn_id find_socket(const struct player *p, const char *name) {
  for (size_t i = p->sockets; i > 0; i--) {
    if (p->socket[i - 1] != NULL && strcmp(p->socket[i - 1], name) == 0) return i;
  }
  return 0;
}

static void play_http(struct player *p, const struct fixture_event *e) {
  struct event event;
  char why[256];
  struct moment at = moment_at(p, e->t_us);
  if (event_parse(e->text, e->bytes, &event, why, sizeof why) != 0) {
    log_event(LOG_WARN, "", "webhook refused", LOG_TEXT("why", why));
    p->metrics.webhooks[WEBHOOK_BAD_REQUEST]++;
    return;
  }
  /* As `serve` does it: a word of ours, which nobody says from outside. */
  if (event.kind != EVENT_SIDETONE_LEG_LOST) engine_event(p->engine, &at, &event);
  event_release(&event);
}

static void play_close(struct player *p, conn_id id, int64_t t_us, int code) {
  struct moment at = moment_at(p, t_us);
  engine_socket_closed(p->engine, id, &at, code);
  free(p->socket[id - 1]);
  p->socket[id - 1] = NULL;
}

static void play_ws(struct player *p, const struct fixture_event *e) {
  conn_id id = find_socket(p, e->socket);
  if (e->kind == FIXTURE_WS_OPEN) {
    if (p->sockets == SOCKETS_MAX) {
      log_event(LOG_WARN, "", "fixture opens too many sockets", LOG_INT("most", SOCKETS_MAX));
      return;
    }
    p->socket[p->sockets++] = strdup(e->socket);
    struct moment at = moment_at(p, e->t_us);
    engine_socket_opened(p->engine, p->sockets, &at, PROOF_DONE, NULL);
    return;
  }
  if (id == 0) {
    log_event(LOG_WARN, "", "fixture uses a socket that is not open", LOG_TEXT("ws", e->socket));
    return;
  }
  if (e->kind == FIXTURE_WS_CLOSE) {
    play_close(p, id, e->t_us, e->close_code);
    return;
  }
  if (p->read_t_us != e->t_us || p->read_socket != id) p->reads++;
  p->read_t_us = e->t_us;
  p->read_socket = id;
  struct moment at = moment_at(p, e->t_us);
  engine_socket_message(p->engine, id, &at, true, true, e->text, e->bytes);
}

static void play(struct player *p, struct fixture *fixture) {
  struct fixture_event e;
  int64_t t_us = 0;
  while (fixture_next(fixture, &e)) {
    t_us = e.t_us;
    run_clock(p, t_us);
    if (e.kind == FIXTURE_HTTP) {
      play_http(p, &e);
    } else {
      play_ws(p, &e);
    }
  }
  for (size_t i = 0; i < p->sockets; i++) {
    if (p->socket[i] != NULL) play_close(p, i + 1, t_us, RFC6455_NO_CODE);
  }
  int64_t end_us = t_us + RUN_ON_US;
  while (p->tick_us <= end_us && !engine_all_ended(p->engine)) run_clock(p, p->tick_us);
}

struct found {
  json_t *document;
  int64_t initiated_at_ms;
  char call_log_id[sizeof((struct fold_summary *)0)->call_log_id];
};

struct finds {
  struct found *found;
  size_t count;
};

static void take_document(void *arg, const char *leg, const json_t *document,
                          const struct fold_summary *summary) {
  (void)leg;
  struct finds *finds = arg;
  struct found *f = &finds->found[finds->count++];
  f->document = json_deep_copy(document);
  fold_strip(f->document);
  f->initiated_at_ms = summary->initiated_at_ms;
  memcpy(f->call_log_id, summary->call_log_id, sizeof f->call_log_id);
}

static int by_start(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  if (x->initiated_at_ms != y->initiated_at_ms) return x->initiated_at_ms < y->initiated_at_ms ? -1 : 1;
  return strcmp(x->call_log_id, y->call_log_id);
}

static json_t *documents(struct player *p) {
  struct finds finds = {.found = calloc(engine_calls(p->engine) + 1, sizeof *finds.found)};
  json_t *out = json_array();
  if (finds.found == NULL || out == NULL) {
    free(finds.found);
    json_decref(out);
    return NULL;
  }
  engine_each(p->engine, take_document, &finds);
  qsort(finds.found, finds.count, sizeof *finds.found, by_start);
  for (size_t i = 0; i < finds.count; i++) json_array_append_new(out, finds.found[i].document);
  free(finds.found);
  return out;
}

json_t *replay_offline(struct fixture *fixture, const struct config *config) {
  static const struct engine_effects no_effects;
  struct player p = {.epoch_us = fixture_epoch_us(fixture), .read_t_us = -1};
  const struct engine_options options = {
      .fold = {.agent_id = "replay",
               .version = SIDETONE_VERSION,
               .inbound_is_agent = config->calls_party_inbound_is_agent,
               .plc = config->quality_plc,
               .asr_stream = config->quality_consumer_asr_stream},
      .agent_id = "replay",
      .first_part = 1,
      .stream_token = "",
      .keep_finished = true,
  };
  p.engine = engine_create(&options, &no_effects, &p.metrics);
  if (p.engine == NULL) return NULL;
  fixture_rewind(fixture);
  play(&p, fixture);
  json_t *out = documents(&p);
  engine_free(p.engine);
  return out;
}
