/* Webhooks, facts and time; sockets are in engine_socket.c, single calls in engine_call.c. */
#include "agent/engine.h"

#include <stdio.h>
#include <string.h>

#include "agent/engine_internal.h"
#include "agent/log.h"
#include "agent/rfc6455.h"

struct engine *engine_create(const struct engine_options *options, const struct engine_effects *effects,
                             struct metrics *metrics) {
  struct engine *e = calloc(1, sizeof *e);
  if (e == NULL) return NULL;
  e->options = *options;
  e->effects = *effects;
  e->metrics = metrics;
  metrics->memory_per_call_bytes = stream_bytes();
  e->next_part = options->first_part;
  e->scratch = malloc(STREAM_PAYLOAD_MAX);
  if (e->scratch == NULL) {
    free(e);
    return NULL;
  }
  return e;
}

void engine_free(struct engine *e) {
  if (e == NULL) return;
  struct socket *s, *next_socket;
  HASH_ITER(hh, e->sockets, s, next_socket) socket_free(e, s);
  struct call *c, *next_call;
  HASH_ITER(hh, e->calls, c, next_call) call_free(e, c);
  free(e->scratch);
  free(e);
}

/* ---- facts ----------------------------------------------------------------------------------- */

bool engine_event(struct engine *e, const struct moment *at, const struct event *event) {
  if (event->call_control_id == NULL) {
    e->metrics->legless_events++;
    return true;
  }
  struct call *c = call_get(e, at, event->call_control_id, true);
  uint64_t refused = memory_refusals();
  json_t *element = c != NULL ? facts_event_element(event) : NULL;
  bool whole = element != NULL && memory_refusals() == refused;
  bool added = whole && facts_add_element(c->facts, element);
  json_decref(element);
  if (!added) return false;
  c->dirty = true;
  if (c->socket == NULL && !c->had_socket) c->quiet_since_us = at->mono_us;
  call_settle_soon(e, at, c, event->kind == EVENT_CALL_HANGUP);
  if (e->options.verbose) {
    log_event(LOG_INFO, c->summary.call_log_id, "webhook", LOG_TEXT("event", event->type),
              LOG_TEXT("leg", c->facts->leg), LOG_TEXT("status", c->summary.status));
  }
  return true;
}

bool engine_knows(const struct engine *e, const char *leg) {
  return call_find(e, leg) != NULL;
}

bool engine_has_room(const struct engine *e, const char *leg, size_t payload_bytes) {
  const struct call *c = call_find(e, leg);
  return c == NULL || c->facts->payload_bytes + payload_bytes <= FACTS_PAYLOADS_MAX_BYTES;
}

const char *engine_call_name(const struct engine *e, const char *leg) {
  const struct call *c = leg != NULL ? call_find(e, leg) : NULL;
  return c != NULL && *c->summary.call_log_id != '\0' ? c->summary.call_log_id : leg;
}

/* A part of ours that is open though this process has just begun: its socket died with the last one. */
static bool cut_here(const struct engine *e, const struct part *part) {
  size_t length = strlen(e->options.agent_id);
  return part->state == PART_OPEN && strncmp(part->id, e->options.agent_id, length) == 0 &&
         part->id[length] == '_';
}

void engine_facts(struct engine *e, const struct moment *at, const char *leg, json_t **elements,
                  size_t element_count, struct part **parts, size_t part_count, bool restart) {
  struct call *c = call_get(e, at, leg, false);
  if (c == NULL) {
    for (size_t i = 0; i < part_count; i++) part_free(parts[i]);
    return;
  }
  for (size_t i = 0; i < element_count; i++) {
    if (facts_add_element(c->facts, elements[i])) c->dirty = true;
  }
  char cut[sizeof c->missing] = "";
  for (size_t i = 0; i < part_count; i++) {
    c->had_socket = true;
    if (restart && cut_here(e, parts[i])) {
      parts[i]->state = PART_CUT;
      parts[i]->n++;
      snprintf(cut, sizeof cut, "%s", parts[i]->id);
      if (e->effects.put_part != NULL) e->effects.put_part(e->effects.arg, leg, parts[i], true);
    }
    if (facts_put_part(c->facts, parts[i])) c->dirty = true;
  }
  bool counted = c->finished_counted;
  c->finished_counted = true; /* an end that was stored before is no new end */
  call_settle(e, at, c);
  c->finished_counted = counted || c->summary.ended;
  if (restart) call_miss_at_start(c, at, *cut != '\0' ? cut : NULL);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void tick_socket(struct engine *e, const struct moment *at, struct socket *s) {
  if (s->proof != PROOF_DONE && at->mono_us - s->opened.mono_us >= PROOF_WITHIN_US && !s->closing) {
    socket_refuse(e, s, RFC6455_POLICY,
                  s->proof == PROOF_OWED ? "no token in the connected frame" : "no start for the key");
  }
  if (s->stream == NULL) return;
  if (at->mono_us - s->looked_us >= LOOK_EVERY_US) socket_look(e, at, s);
  stream_tick(s->stream, at);
  if (s->unpublished_us != 0 && !e->options.published) {
    histogram_add(&e->metrics->frame_to_metric, (double)(at->mono_us - s->unpublished_us) * 1e-6);
    s->unpublished_us = 0;
  }
}

static void tick_call(struct engine *e, const struct moment *at, struct call *c) {
  call_tick_told(e, at, c);
  if (c->socket != NULL) {
    call_tick_unheard(e, at, c);
    if (c->hangup_us != 0 && at->mono_us - c->hangup_us >= AFTER_HANGUP_US) {
      struct socket *s = c->socket;
      call_end_stream(e, at, c, PART_CLOSED);
      socket_refuse(e, s, RFC6455_NORMAL, "the leg has ended");
    } else if ((stream_changed(c->socket->stream) || c->ahead) &&
               at->mono_us - c->part_stored_us >= PART_EVERY_US) {
      call_store_part(e, at, c);
    }
  } else if (!c->summary.ended) {
    call_tick_quiet(e, at, c);
  }
  call_settle(e, at, c);
  call_tick_alerts(e, at, c);
  if (c->ended_us != 0 && at->mono_us - c->ended_us >= COUNT_AFTER_US) call_count_finish(e, c);
}

void engine_tick(struct engine *e, const struct moment *at) {
  struct socket *s, *next_socket;
  HASH_ITER(hh, e->sockets, s, next_socket) tick_socket(e, at, s);
  struct call *c, *next_call;
  HASH_ITER(hh, e->calls, c, next_call) {
    tick_call(e, at, c);
    if (!e->options.keep_finished && c->summary.complete && c->socket == NULL && !c->dirty &&
        at->mono_us - c->settled_us >= FORGET_AFTER_US) {
      call_free(e, c);
    }
  }
}

void engine_take_no_new(struct engine *e) {
  e->no_new = true;
}

size_t engine_shutdown(struct engine *e, const struct moment *at) {
  struct call *c, *next;
  size_t cut = 0;
  HASH_ITER(hh, e->calls, c, next) {
    bool open = !c->summary.ended || c->socket != NULL;
    if (c->socket != NULL) {
      struct socket *s = c->socket;
      call_end_stream(e, at, c, PART_CUT);
      socket_refuse(e, s, RFC6455_GOING_AWAY, "going away");
    }
    call_settle(e, at, c);
    call_close_alerts(e, at, c);
    call_count_finish(e, c);
    cut += open;
    if (open && e->options.verbose) {
      log_event(LOG_INFO, c->summary.call_log_id, "call cut", LOG_TEXT("leg", c->facts->leg));
    }
  }
  return cut;
}

/* ---- looking --------------------------------------------------------------------------------- */

size_t engine_calls(const struct engine *e) {
  return HASH_COUNT(e->calls);
}

size_t engine_calls_live(const struct engine *e) {
  size_t live = 0;
  for (const struct call *c = e->calls; c != NULL; c = c->hh.next) live += !c->summary.ended;
  return live;
}

uint64_t engine_calls_ended(const struct engine *e) {
  return e->calls_ended;
}

bool engine_all_ended(const struct engine *e) {
  for (const struct call *c = e->calls; c != NULL; c = c->hh.next) {
    if (!c->summary.ended || c->socket != NULL || c->dirty) return false;
  }
  return true;
}

const char *engine_leg_of(struct engine *e, const char *call_log_id) {
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    if (strcmp(c->summary.call_log_id, call_log_id) == 0) return c->facts->leg;
  }
  return NULL;
}

json_t *engine_document(struct engine *e, const char *call_log_id) {
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    if (strcmp(c->summary.call_log_id, call_log_id) == 0) return call_document(e, c);
  }
  return NULL;
}

void engine_each(struct engine *e,
                 void (*call)(void *arg, const char *leg, const json_t *document,
                              const struct fold_summary *summary),
                 void *arg) {
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    json_t *document = call_document(e, c);
    if (document != NULL) call(arg, c->facts->leg, document, &c->summary);
    json_decref(document);
  }
}
