/* What supervisors see of the calls that are up: the names of the Redis hash (contract 5). */
#include <math.h>
#include <string.h>

#include "agent/engine_internal.h"
#include "telnyx/timestamp.h"

static const json_t *at_path(const json_t *value, const char *path) {
  char key[64];
  while (value != NULL && *path != '\0') {
    size_t length = strcspn(path, ".");
    if (length >= sizeof key) return NULL;
    memcpy(key, path, length);
    key[length] = '\0';
    value = json_object_get(value, key);
    path += length + (path[length] == '.');
  }
  return value;
}

/* Figures of the document under their live names; what the document leaves out stays out. */
static const struct {
  const char *name, *path;
} figures[] = {
    {"status", "status"},
    {"direction", "direction"},
    {"from", "from.number"},
    {"to", "to.number"},
    {"mos", "quality.mos"},
    {"jitter_ms", "quality.audio.jitter"},
    {"loss_pct", "quality.audio.packetLoss"},
    {"agent_talk_ms", "metadata.sidetone.speech.agent.talk_ms"},
    {"lead_talk_ms", "metadata.sidetone.speech.lead.talk_ms"},
    {"talk_ratio", "aiAnalysis.speech.talkRatio"},
    {"silence_ms", "metadata.sidetone.speech.silence_ms"},
    {"overlap_ms", "metadata.sidetone.speech.overlap_ms"},
    {"interruptions_agent", "metadata.sidetone.speech.agent.interruptions"},
    {"interruptions_lead", "metadata.sidetone.speech.lead.interruptions"},
};

static const char *speaking(const struct call *c) {
  int bits = c->socket != NULL ? stream_speaking(c->socket->stream) : 0;
  if (bits == 0) return "none";
  if (bits == 3) return "both";
  bool inbound = bits == 1;
  return inbound == c->summary.inbound_is_agent ? "agent" : "lead";
}

static json_t *row(const struct call *c, const json_t *document, const struct moment *at) {
  json_t *out = json_object();
  json_object_set_new(out, "callLogId", json_string(c->summary.call_log_id));
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
    const json_t *value = at_path(document, figures[i].path);
    if (value != NULL) json_object_set_new(out, figures[i].name, json_deep_copy(value));
  }
  int64_t now_ms = at->wall_us / 1000;
  if (c->summary.initiated_at_ms > 0 && now_ms >= c->summary.initiated_at_ms) {
    json_object_set_new(out, "duration_ms", json_integer(now_ms - c->summary.initiated_at_ms));
  }
  json_object_set_new(out, "speaking", json_string(speaking(c)));
  json_object_set_new(out, "updated_at", json_integer(now_ms));
  return out;
}

json_t *engine_live(struct engine *e, const struct moment *at) {
  json_t *out = json_array();
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    if (c->summary.ended) continue;
    json_t *document = call_figures(e, c);
    if (document != NULL) json_array_append_new(out, row(c, document, at));
    json_decref(document);
  }
  return out;
}

/* ---- rows for Redis -------------------------------------------------------------------------- */

/* When its newest webhook occurred; the facts are in that order. 0: there is none. */
static int64_t newest_event_ms(const struct call *c) {
  size_t count = json_array_size(c->facts->webhooks);
  const json_t *newest = count > 0 ? json_array_get(c->facts->webhooks, count - 1) : NULL;
  int64_t at_ms = 0;
  if (newest != NULL) document_date_ms(json_object_get(newest, "timestamp"), &at_ms);
  return at_ms;
}

static int64_t claim_ms(const struct call *c) {
  return c->socket != NULL ? c->socket->opened.wall_us / 1000 : newest_event_ms(c);
}

static bool is_due(const struct call *c, const struct moment *at) {
  if (c->summary.ended || c->hangup_us != 0 || at->mono_us < c->live_due_us) return false;
  return c->live_stopped_ms == 0 || claim_ms(c) > c->live_stopped_ms;
}

static void make_row(struct engine *e, const struct moment *at, struct call *c,
                     void (*give)(void *arg, const struct engine_live_row *row), void *arg) {
  json_t *document = call_figures(e, c);
  if (document == NULL) return;
  json_t *object = row(c, document, at);
  struct engine_live_row out = {.leg = c->facts->leg,
                                .call_log_id = c->summary.call_log_id,
                                .start_ms = c->summary.initiated_at_ms,
                                .has_socket = c->socket != NULL,
                                .claim_ms = claim_ms(c),
                                .figures = object};
  if (c->socket != NULL) {
    out.frame_us = c->socket->unpublished_us;
    c->socket->unpublished_us = 0;
  }
  give(arg, &out);
  json_decref(object);
  json_decref(document);
}

size_t engine_live_slice(struct engine *e, const struct moment *at, int64_t interval_us, size_t most,
                         void (*give)(void *arg, const struct engine_live_row *row), void *arg) {
  size_t made = 0;
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    if (made == most) break;
    if (!is_due(c, at)) continue;
    /* On the beat when it kept it; calls that began together drift apart by the bound on a slice. */
    bool late = c->live_due_us == 0 || at->mono_us - c->live_due_us >= interval_us / 2;
    c->live_due_us = (late ? at->mono_us : c->live_due_us) + interval_us;
    make_row(e, at, c, give, arg);
    made++;
  }
  return made;
}

void engine_live_stop(struct engine *e, const char *call_log_id) {
  struct call *c, *next;
  HASH_ITER(hh, e->calls, c, next) {
    if (strcmp(c->summary.call_log_id, call_log_id) == 0) c->live_stopped_ms = claim_ms(c);
  }
}
