/* One call: its facts, its document, its stream's part. */
#include <stdio.h>
#include <string.h>

#include "agent/engine_internal.h"
#include "agent/log.h"

struct call *call_find(const struct engine *e, const char *leg) {
  struct call *c;
  HASH_FIND_STR(e->calls, leg, c);
  return c;
}

struct call *call_get(struct engine *e, const struct moment *at, const char *leg, bool load) {
  struct call *c = call_find(e, leg);
  if (c != NULL) return c;
  c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->facts = facts_new(leg);
  if (c->facts == NULL) {
    free(c);
    return NULL;
  }
  c->quiet_since_us = at->mono_us;
  HASH_ADD_KEYPTR(hh, e->calls, c->facts->leg, strlen(c->facts->leg), c);
  if (!is_added(c)) {
    facts_free(c->facts);
    free(c);
    return NULL;
  }
  if (load && e->effects.load_leg != NULL) e->effects.load_leg(e->effects.arg, leg);
  return c;
}

void call_free(struct engine *e, struct call *c) {
  HASH_DEL(e->calls, c);
  facts_free(c->facts);
  free(c);
}

/* What chunk counts and what timestamp is measured in (voice-quality.md 3.1), when it is found and when
 * a later format changes it. */
static void say_time_base(const struct engine *e, struct call *c, const struct part *p) {
  for (int i = 0; e->options.verbose && i < TRACK_COUNT; i++) {
    const struct time_base_said found = {.chunk_scope = p->track[i].chunk_scope,
                                         .ts_unit = p->track[i].ts_unit,
                                         .ptime_us = p->track[i].ptime_us};
    struct time_base_said *said = &c->said[i];
    if (found.ptime_us == 0 || (found.chunk_scope == said->chunk_scope && found.ts_unit == said->ts_unit &&
                                found.ptime_us == said->ptime_us)) {
      continue;
    }
    *said = found;
    log_event(LOG_INFO, c->summary.call_log_id, "time base found", LOG_TEXT("track", track_name(i)),
              LOG_TEXT("chunk_scope", chunk_scope_name((enum chunk_scope)found.chunk_scope)),
              LOG_TEXT("ts_unit", ts_unit_name((enum ts_unit)found.ts_unit)),
              LOG_FLOAT("ptime_ms", found.ptime_us / 1e3));
  }
}

/* What a part has measured, whole. A second try, because the last part of a stream has no later one. */
static struct part *whole_part(struct stream *stream) {
  for (int tries = 0; tries < 2; tries++) {
    uint64_t refused = memory_refusals();
    struct part *part = stream_part(stream);
    if (part != NULL && memory_refusals() == refused) return part;
    part_free(part);
  }
  return NULL;
}

/* The first of a socket, the last, and one an interval between them. */
static bool is_delivered(const struct engine *e, const struct moment *at, struct call *c,
                         const struct part *part) {
  if (part->state == PART_OPEN && c->part_delivered_us != 0 &&
      at->mono_us - c->part_delivered_us < e->options.interim_us)
    return false;
  c->part_delivered_us = at->mono_us;
  return true;
}

void call_store_part(struct engine *e, const struct moment *at, struct call *c) {
  struct part *part = whole_part(c->socket->stream);
  if (part == NULL) {
    log_event(LOG_ERROR, c->summary.call_log_id, "no memory for what a stream has measured");
    return;
  }
  say_time_base(e, c, part);
  bool deliver = is_delivered(e, at, c, part);
  if (e->effects.put_part != NULL) e->effects.put_part(e->effects.arg, c->facts->leg, part, deliver);
  if (facts_put_part(c->facts, part)) c->dirty = true;
  c->part_stored_us = at->mono_us;
  c->ahead = false;
}

void call_count_finish(struct engine *e, struct call *c) {
  if (!c->summary.ended || c->finished_counted) return;
  c->finished_counted = true;
  e->metrics->calls_without_lead += !c->summary.has_lead;
  e->metrics->calls_finished[metrics_outcome(c->summary.status, c->summary.lost)]++;
}

static void note_end(struct engine *e, const struct moment *at, struct call *c) {
  if (!c->summary.ended && c->ended_us != 0) { /* a lost leg that lives */
    c->ended_us = 0;
    e->calls_ended--;
  }
  if (!c->summary.ended || c->finished_counted || c->ended_us != 0) return;
  c->ended_us = at->mono_us;
  e->calls_ended++;
  if (!e->options.verbose) return;
  log_event(LOG_INFO, c->summary.call_log_id, "call ended", LOG_TEXT("leg", c->facts->leg),
            LOG_PHONE("from", c->summary.from), LOG_PHONE("to", c->summary.to),
            LOG_TEXT("status", c->summary.status), LOG_FLOAT("total_s", c->summary.total_s),
            LOG_FLOAT("mos", c->summary.mos));
}

/* What the webhooks say of the leg changes what may be expected of its stream. */
static void tell_stream(const struct moment *at, struct call *c) {
  if (c->socket == NULL) return;
  bool on_hold = strcmp(c->summary.status, "held") == 0;
  if (c->socket->on_hold != on_hold) stream_hold(c->socket->stream, at, on_hold);
  c->socket->on_hold = on_hold;
  if (c->hangup_us != 0) stream_over(c->socket->stream, at);
}

void call_settle(struct engine *e, const struct moment *at, struct call *c) {
  if (!c->dirty) return;
  if (c->ahead) call_store_part(e, at, c); /* a stored CallLog tells of stored facts only */
  uint64_t refused = memory_refusals();
  json_t *document = fold(c->facts, &e->options.fold, &c->summary);
  if (document != NULL && memory_refusals() == refused && e->effects.put_calllog != NULL) {
    const struct engine_calllog calllog = {.leg = c->facts->leg,
                                           .revision = facts_revision(c->facts),
                                           .summary = &c->summary,
                                           .document = document};
    e->effects.put_calllog(e->effects.arg, &calllog);
  }
  json_decref(document);
  if (document == NULL || memory_refusals() != refused) return; /* still dirty: again at the next tick */
  c->dirty = false;
  c->settled_us = at->mono_us;
  if (c->summary.hung_up && c->hangup_us == 0) c->hangup_us = at->mono_us;
  tell_stream(at, c);
  note_end(e, at, c);
  if (c->summary.ended && !c->end_told && e->effects.ended != NULL)
    e->effects.ended(e->effects.arg, c->facts->leg, c->summary.call_log_id);
  c->end_told = c->summary.ended;
}

void call_settle_soon(struct engine *e, const struct moment *at, struct call *c, bool turning_point) {
  size_t facts = json_array_size(c->facts->webhooks) + c->facts->part_count;
  bool lately = c->settled_us != 0 && at->mono_us - c->settled_us < SETTLE_EVERY_US;
  if (facts <= EAGER_FACTS && (turning_point || !lately)) call_settle(e, at, c);
}

static void count_missing(struct engine *e, const struct call *c, const char *part_id) {
  for (size_t i = 0; i < c->facts->part_count; i++) {
    const struct part *p = c->facts->parts[i];
    if (strcmp(p->id, part_id) != 0) continue;
    for (int track = 0; track < TRACK_COUNT; track++) {
      const struct delivery_facts *d = p->track[track].delivery;
      if (d != NULL) e->metrics->media_frames_missing += d->expected_frames - d->received_frames;
    }
  }
}

void call_end_stream(struct engine *e, const struct moment *at, struct call *c, enum part_state state) {
  struct socket *s = c->socket;
  if (s == NULL) return;
  socket_look(e, at, s); /* once at least, however short it was */
  stream_end(s->stream, at, state);
  call_store_part(e, at, c);
  count_missing(e, c, stream_part_id(s->stream));
  stream_free(s->stream);
  s->stream = NULL;
  snprintf(s->name, sizeof s->name, "%s", c->summary.call_log_id);
  s->call = NULL;
  c->socket = NULL;
  c->quiet_since_us = at->mono_us;
  e->metrics->streams_open--;
}

static json_t *fold_now(struct engine *e, struct call *c, bool figures_only) {
  struct fold_options options = e->options.fold;
  options.figures_only = figures_only;
  options.open_findings = !figures_only;
  struct part *part =
      c->socket != NULL && stream_changed(c->socket->stream) ? whole_part(c->socket->stream) : NULL;
  if (part != NULL && facts_put_part(c->facts, part)) c->ahead = true;
  uint64_t refused = memory_refusals();
  json_t *document = fold(c->facts, &options, &c->summary);
  if (memory_refusals() == refused) return document;
  json_decref(document);
  return NULL;
}

json_t *call_document(struct engine *e, struct call *c) {
  return fold_now(e, c, false);
}

json_t *call_figures(struct engine *e, struct call *c) {
  return fold_now(e, c, true);
}
