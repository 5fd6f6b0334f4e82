/* Legs that are quiet here (data-model.md 8.4): asked for elsewhere, and given up when nobody has them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/engine_internal.h"
#include "telnyx/hex.h"

/* data-model.md 8.4: the leg is given up; a real hang-up later beats it in the fold. */
static void give_up(struct engine *e, const struct moment *at, struct call *c) {
  enum { LOST_ID_BYTES = 16 };
  int64_t last_ms = facts_last_sign_ms(c->facts);
  char *text, id[2 * LOST_ID_BYTES + 1];
  int length = asprintf(&text, "%s|%" PRId64, c->facts->leg, last_ms);
  if (length < 0) return;
  hex_of_sha256(text, (size_t)length, LOST_ID_BYTES, id);
  free(text);
  struct event lost = {.kind = EVENT_SIDETONE_LEG_LOST,
                       .row = event_row("sidetone.leg_lost"),
                       .id = id,
                       .type = "sidetone.leg_lost",
                       .call_control_id = c->facts->leg,
                       .has_occurred_at = true,
                       .occurred_at_us = last_ms * 1000,
                       .attempt = 1};
  lost.payload = json_pack("{s:s}", "call_control_id", c->facts->leg);
  json_t *element = facts_event_element(&lost);
  if (element != NULL && facts_add_element(c->facts, element)) {
    if (e->effects.put_event != NULL)
      e->effects.put_event(e->effects.arg, c->facts->leg, id, at->wall_us / 1000, element);
    c->dirty = true;
  }
  c->quiet_since_us = at->mono_us; /* a frame newer than this makes the leg alive again */
  json_decref(element);
  json_decref(lost.payload);
}

static bool is_due(const struct moment *at, const struct call *c) {
  return at->mono_us - c->quiet_since_us >= (c->had_socket ? LOST_AFTER_US : UNHEARD_LOST_AFTER_US);
}

static void ask(struct engine *e, const struct moment *at, struct call *c) {
  c->asked_us = at->mono_us;
  e->effects.ask_elsewhere(e->effects.arg, c->facts->leg, c->socket == NULL && is_due(at, c));
}

void call_miss_stream(struct call *c, const struct moment *at, const char *cause) {
  snprintf(c->missing, sizeof c->missing, "%s", cause);
  c->missing_us = at->mono_us;
}

void call_miss_at_start(struct call *c, const struct moment *at, const char *cut) {
  if (c->summary.ended || c->socket != NULL) return;
  if (cut != NULL || c->had_socket) {
    if (cut == NULL) return;
    call_miss_stream(c, at, cut);
    c->outage_us = at->mono_us;
    return;
  }
  for (size_t i = json_array_size(c->facts->webhooks); i-- > 0;) {
    const json_t *element = json_array_get(c->facts->webhooks, i);
    if (strcmp(json_string_value(json_object_get(element, "eventType")), "call.answered") != 0) continue;
    call_miss_stream(c, at, json_string_value(json_object_get(json_object_get(element, "_id"), "$oid")));
    return;
  }
}

static void tell_missing(struct engine *e, const struct moment *at, struct call *c) {
  if (*c->missing == '\0' || at->mono_us - c->missing_us < MISSING_AFTER_US) return;
  if (e->effects.stream_missing != NULL) e->effects.stream_missing(e->effects.arg, c->facts->leg, c->missing);
  *c->missing = '\0';
}

/* Its end may have gone to another agent, so the question does not wait until the leg would be given up. */
void call_tick_quiet(struct engine *e, const struct moment *at, struct call *c) {
  tell_missing(e, at, c);
  if (e->effects.ask_elsewhere == NULL) {
    if (is_due(at, c)) give_up(e, at, c);
  } else if (at->mono_us - c->quiet_since_us >= LOST_AFTER_US &&
             (c->asked_us == 0 || at->mono_us - c->asked_us >= ASK_EVERY_US)) {
    ask(e, at, c);
  }
}

/* Asks again at twice the time since `since_us` each, at first after `first_us`, at last every minute. */
static void ask_now_and_then(struct engine *e, const struct moment *at, struct call *c, int64_t since_us,
                             int64_t first_us) {
  int64_t asked_us = c->asked_us > since_us ? c->asked_us : since_us, pause_us = asked_us - since_us;
  if (e->effects.ask_elsewhere == NULL) return;
  if (pause_us < first_us) pause_us = first_us;
  if (pause_us > ASK_EVERY_US) pause_us = ASK_EVERY_US;
  if (at->mono_us - asked_us >= pause_us) ask(e, at, c);
}

/* Redis tells of an end before MongoDB has its hang-up, and a long time before when MongoDB is away. */
void call_tick_told(struct engine *e, const struct moment *at, struct call *c) {
  if (c->told_us != 0 && !c->summary.ended) ask_now_and_then(e, at, c, c->told_us, ASK_AGAIN_US);
}

/* Its webhooks went to other agents. Without them nobody here knows the callLogId that they name, and one leg would be
 * two calls to supervisors. */
void call_tick_unheard(struct engine *e, const struct moment *at, struct call *c) {
  if (json_array_size(c->facts->webhooks) == 0)
    ask_now_and_then(e, at, c, c->socket->opened.mono_us, ASK_FIRST_US);
}

/* A socket or an end may have come meanwhile. */
void engine_elsewhere(struct engine *e, const struct moment *at, const char *leg, enum elsewhere answer) {
  struct call *c = call_find(e, leg);
  if (c == NULL || answer != ELSEWHERE_GONE || c->socket != NULL || c->summary.ended || !is_due(at, c))
    return;
  give_up(e, at, c);
  call_settle(e, at, c);
}

bool engine_lacks_stream(const struct engine *e, const char *leg) {
  const struct call *c = call_find(e, leg);
  return c != NULL && c->socket == NULL && !c->summary.ended;
}

void engine_ask(struct engine *e, const struct moment *at, const char *call_log_id) {
  struct call *c, *next;
  if (e->effects.ask_elsewhere == NULL) return;
  HASH_ITER(hh, e->calls, c, next) {
    if (c->summary.ended || strcmp(c->summary.call_log_id, call_log_id) != 0) continue;
    if (c->told_us == 0) c->told_us = at->mono_us;
    if (c->asked_us == 0 || at->mono_us - c->asked_us >= ASK_AGAIN_US) ask(e, at, c);
  }
}
