/* The way to the disk and back. A fact is applied to its call after it is on disk; what the store
 * refuses (full queue, full disk) is kept, the newest of each row, and offered again every second. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/serve.h"
#include "telnyx/json.h"

struct ticket {
  UT_hash_handle hh;
  uint64_t number;
  bool webhook; /* else a write that must arrive, or a load */
  conn_id conn;
  int64_t arrived_us;
  struct event event;
  char *leg;
  struct owed *write; /* its copy, to be offered again */
};

struct owed {
  UT_hash_handle hh;
  char *row;                    /* kind, leg, id: one entry a row */
  struct store_request request; /* its texts are owned */
};

/* ---- writes that must arrive ----------------------------------------------------------------- */

static char *copy(const char *text) {
  return text != NULL ? strdup(text) : NULL;
}

static void owed_free(struct owed *o) {
  if (o == NULL) return;
  const void *texts[] = {o->request.leg,  o->request.id, o->request.status, o->request.direction,
                         o->request.from, o->request.to, o->request.body};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free((void *)(uintptr_t)texts[i]);
  free(o->row);
  free(o);
}

static struct owed *owed_copy(const struct store_request *r) {
  struct owed *o = calloc(1, sizeof *o);
  if (o == NULL) return NULL;
  o->request = *r;
  o->request.leg = copy(r->leg);
  o->request.id = copy(r->id);
  o->request.status = copy(r->status);
  o->request.direction = copy(r->direction);
  o->request.from = copy(r->from);
  o->request.to = copy(r->to);
  char *body = malloc(r->body_bytes + 1);
  if (body != NULL) {
    memcpy(body, r->body, r->body_bytes);
    body[r->body_bytes] = '\0';
  }
  o->request.body = body;
  /* A calllog is one row a leg whatever its id. */
  const char *id = r->kind == STORE_PUT_CALLLOG ? "" : r->id;
  if (asprintf(&o->row, "%d\n%s\n%s", (int)r->kind, r->leg, id) < 0) o->row = NULL;
  if (o->request.body != NULL && o->row != NULL) return o;
  owed_free(o);
  return NULL;
}

static bool newer_owed(const struct serve *s, const struct owed *o) {
  struct owed *there;
  HASH_FIND_STR(s->owed, o->row, there);
  return there != NULL && there->request.n > o->request.n;
}

static void owe(struct serve *s, struct owed *o) {
  struct owed *there;
  if (newer_owed(s, o)) {
    owed_free(o);
    return;
  }
  HASH_FIND_STR(s->owed, o->row, there);
  if (there != NULL) {
    HASH_DEL(s->owed, there);
    owed_free(there);
  }
  HASH_ADD_KEYPTR(hh, s->owed, o->row, strlen(o->row), o);
  if (is_added(o)) return;
  log_event(LOG_ERROR, o->request.leg, "no memory to keep a fact that the store has refused");
  owed_free(o);
}

static struct ticket *new_ticket(struct serve *s) {
  struct ticket *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->number = ++s->last_ticket;
  HASH_ADD(hh, s->tickets, number, sizeof t->number, t);
  if (is_added(t)) return t;
  free(t);
  return NULL;
}

static void ticket_free(struct serve *s, struct ticket *t) {
  HASH_DEL(s->tickets, t);
  if (t->webhook) event_release(&t->event);
  owed_free(t->write);
  free(t->leg);
  free(t);
}

static void offer(struct serve *s, struct owed *o) {
  struct ticket *t = new_ticket(s);
  if (t == NULL) {
    owe(s, o);
    return;
  }
  o->request.ticket = t->number;
  if (store_submit(s->store, &o->request) == 0) {
    t->write = o;
  } else {
    owe(s, o);
    ticket_free(s, t);
  }
}

static void put(struct serve *s, const struct store_request *request) {
  struct owed *o = owed_copy(request);
  if (o == NULL) {
    log_event(LOG_ERROR, request->leg, "no memory to store a fact");
    return;
  }
  offer(s, o);
}

/* Each once: what is refused again joins a new table, not the one that is walked through. */
void serve_store_again(struct serve *s) {
  struct owed *all = s->owed, *o, *next;
  s->owed = NULL;
  HASH_ITER(hh, all, o, next) {
    HASH_DEL(all, o);
    offer(s, o);
  }
}

/* ---- effects of the engine ------------------------------------------------------------------- */

static void put_event(void *arg, const char *leg, const char *id, int64_t at_ms, const json_t *element) {
  size_t bytes;
  char *text = document_text(element, false, &bytes);
  if (text == NULL) return;
  put(arg, &(struct store_request){.kind = STORE_PUT_EVENT,
                                   .leg = leg,
                                   .id = id,
                                   .deliver = leg != NULL,
                                   .at_ms = at_ms,
                                   .body = text,
                                   .body_bytes = bytes});
  free(text);
}

static void put_part(void *arg, const char *leg, const struct part *part, bool deliver) {
  json_t *json = part_to_json(part);
  size_t bytes;
  char *text = json != NULL ? document_text(json, false, &bytes) : NULL;
  json_decref(json);
  if (text == NULL) return;
  put(arg, &(struct store_request){.kind = STORE_PUT_PART,
                                   .leg = leg,
                                   .id = part->id,
                                   .n = part->n,
                                   .open = part->state == PART_OPEN,
                                   .deliver = deliver,
                                   .body = text,
                                   .body_bytes = bytes});
  free(text);
}

static void put_calllog(void *arg, const struct engine_calllog *calllog) {
  const struct fold_summary *f = calllog->summary;
  size_t bytes;
  char *text = document_text(calllog->document, false, &bytes);
  if (text == NULL) return;
  put(arg, &(struct store_request){.kind = STORE_PUT_CALLLOG,
                                   .leg = calllog->leg,
                                   .id = f->call_log_id,
                                   .n = calllog->revision,
                                   .open = !f->complete,
                                   .ended = f->ended,
                                   .at_ms = f->initiated_at_ms,
                                   .status = f->status,
                                   .direction = f->direction,
                                   .from = f->from,
                                   .to = f->to,
                                   .total_s = f->total_s,
                                   .mos = f->mos,
                                   .body = text,
                                   .body_bytes = bytes});
  free(text);
}

static void put_alert(void *arg, const char *leg, const char *call_log_id, const struct alert *alert) {
  json_t *body = alert_body(alert, call_log_id);
  size_t bytes = 0;
  char *key = alert_key(alert, call_log_id), *text = document_text(body, false, &bytes);
  if (key != NULL && text != NULL) {
    put(arg, &(struct store_request){.kind = STORE_PUT_ALERT,
                                     .leg = leg,
                                     .id = key,
                                     .at_ms = alert->at_ms,
                                     .body = text,
                                     .body_bytes = bytes});
  }
  log_event(LOG_INFO, call_log_id, alert->opened ? "alert opened" : "alert closed",
            LOG_TEXT("rule", alert_rule_names[alert->rule]), LOG_TEXT("severity", alert->severity),
            LOG_FLOAT("value", alert->value));
  json_decref(body);
  free(key);
  free(text);
}

void serve_store_load(struct serve *s, const char *leg) {
  struct ticket *t = new_ticket(s);
  if (t == NULL) {
    log_event(LOG_WARN, leg, "no memory to ask for what is stored of a leg");
    return;
  }
  t->leg = strdup(leg);
  const struct store_request request = {
      .kind = STORE_LOAD_LEG, .ticket = t->number, .leg = leg, .want_facts = true};
  if (t->leg != NULL && store_submit(s->store, &request) == 0) return;
  log_event(LOG_WARN, leg, "what is stored of a leg could not be asked for");
  ticket_free(s, t);
}

static void ask_elsewhere(void *arg, const char *leg, bool due) {
  serve_look_quiet(arg, leg, due);
}

static void stream_missing(void *arg, const char *leg, const char *cause) {
  serve_look_missing(arg, leg, cause);
}

static void load_leg(void *arg, const char *leg) {
  serve_store_load(arg, leg);
}

static void close_socket(void *arg, conn_id socket, int code, const char *reason) {
  struct serve *s = arg;
  server_ws_close(s->server, socket, code, reason);
}

static bool look_at_socket(void *arg, conn_id socket, struct socket_evidence *out) {
  struct serve *s = arg;
  return server_ws_look(s->server, socket, out);
}

struct engine_effects serve_store_effects(struct serve *s) {
  return (struct engine_effects){.put_event = put_event,
                                 .put_part = put_part,
                                 .put_calllog = put_calllog,
                                 .put_alert = put_alert,
                                 .load_leg = load_leg,
                                 .ask_elsewhere = ask_elsewhere,
                                 .stream_missing = stream_missing,
                                 .close_socket = close_socket,
                                 .look_at_socket = look_at_socket,
                                 .arg = s};
}

/* ---- webhooks -------------------------------------------------------------------------------- */

/* The element of an event. Past the leg's limit its payload is cut before it is stored, so that every store has the
 * same; the limit is counted by what each agent took (data-model.md 8.4). */
static json_t *element_of(const struct serve *s, const struct event *event) {
  json_t *element = facts_event_element(event);
  const json_t *payload = json_object_get(element, "payload");
  size_t bytes = payload != NULL ? json_dumpb(payload, NULL, 0, JSON_COMPACT) : 0;
  if (bytes > 0 && event->call_control_id != NULL &&
      !engine_has_room(s->engine, event->call_control_id, bytes))
    json_object_set_new(element, "payload", json_pack("{s:b}", "truncated", 1));
  return element;
}

void serve_store_event(struct serve *s, conn_id conn, const struct moment *at, struct event *event) {
  struct ticket *t = new_ticket(s);
  uint64_t refused = memory_refusals();
  json_t *element = element_of(s, event);
  size_t bytes = 0;
  char *text = element != NULL ? document_text(element, false, &bytes) : NULL;
  json_decref(element);
  bool taken = false;
  if (t != NULL) {
    t->webhook = true;
    t->conn = conn;
    t->arrived_us = at->mono_us;
    t->event = *event;
    const char *leg = event->call_control_id;
    const struct store_request request = {.kind = STORE_PUT_EVENT,
                                          .ticket = t->number,
                                          .leg = leg,
                                          .id = event->id,
                                          .deliver = leg != NULL,
                                          .want_facts = leg != NULL && !engine_knows(s->engine, leg),
                                          .at_ms = at->wall_us / 1000,
                                          .body = text,
                                          .body_bytes = bytes};
    bool whole = text != NULL && memory_refusals() == refused;
    taken = whole && store_submit(s->store, &request) == 0;
    if (!taken) ticket_free(s, t);
  } else {
    event_release(event);
  }
  free(text);
  if (!taken) serve_webhook_reply(s, conn, 503, WEBHOOK_UNAVAILABLE, at->mono_us);
}

/* All that were committed together are answered before any of them is applied: folding a call takes longer than
 * answering a hundred. Nobody sees the difference: what is asked next is read after both. */
static void answer_webhook(void *arg, const struct store_answer *answer) {
  struct serve *s = arg;
  struct ticket *t;
  HASH_FIND(hh, s->tickets, &answer->ticket, sizeof answer->ticket, t);
  if (t == NULL || !t->webhook) return;
  if (answer->status == STORE_FAILED) {
    log_event(LOG_ERROR, engine_call_name(s->engine, t->event.call_control_id), "webhook could not be stored",
              LOG_TEXT("reason", answer->error));
    serve_webhook_reply(s, t->conn, 503, WEBHOOK_UNAVAILABLE, t->arrived_us);
  } else {
    serve_webhook_reply(s, t->conn, 200,
                        answer->status == STORE_DUPLICATE ? WEBHOOK_DUPLICATE : WEBHOOK_ACCEPTED,
                        t->arrived_us);
  }
}

static void apply_webhook(struct serve *s, struct ticket *t, const struct store_answer *answer,
                          const struct moment *at) {
  if (answer->status != STORE_DONE) return;
  const char *leg = t->event.call_control_id;
  if (leg != NULL && !engine_knows(s->engine, leg)) serve_give_facts(s, at, leg, answer, t->event.id, false);
  uint64_t refused = memory_refusals();
  bool fresh = engine_event(s->engine, at, &t->event);
  if (!fresh && memory_refusals() != refused) {
    log_event(LOG_WARN, leg, "no memory to apply an event that is stored: it is read again");
    serve_store_load(s, leg);
  }
  if (fresh && t->event.kind == EVENT_CALL_ANSWERED) serve_commands_answered(s, leg, t->event.id);
  if (t->event.kind != EVENT_UNKNOWN) return;
  s->metrics.webhooks[WEBHOOK_UNKNOWN_EVENT]++;
  log_event(LOG_INFO, engine_call_name(s->engine, leg), "unknown event kept",
            LOG_TEXT("event", t->event.type));
}

static void on_answer(void *arg, const struct store_answer *answer) {
  struct serve *s = arg;
  struct moment at = serve_now();
  struct ticket *t;
  HASH_FIND(hh, s->tickets, &answer->ticket, sizeof answer->ticket, t);
  if (t == NULL) return;
  if (t->webhook) {
    apply_webhook(s, t, answer, &at);
  } else if (t->leg != NULL) {
    serve_give_facts(s, &at, t->leg, answer, NULL, false);
  } else if (answer->status == STORE_FAILED && t->write != NULL) {
    owe(s, t->write);
    t->write = NULL;
  }
  ticket_free(s, t);
}

void serve_store_answers(struct serve *s) {
  store_collect_twice(s->store, answer_webhook, on_answer, s);
  serve_sinks_nudge(s); /* what was committed may hold rows for them */
}

bool serve_store_idle(const struct serve *s) {
  return HASH_COUNT(s->tickets) == 0 && HASH_COUNT(s->owed) == 0;
}

/* ---- after a crash --------------------------------------------------------------------------- */

/* Tickets of the recovery, apart from those of the writes that it causes. */
#define RECOVERY_TICKET (1ULL << 63)

struct recovery {
  struct serve *serve;
  char **leg;
  size_t count, size, awaited;
  bool failed;
};

static void note_leg(void *arg, const char *leg) {
  struct recovery *r = arg;
  if (r->count == r->size) {
    size_t size = r->size * 2 + 64;
    char **grown = realloc(r->leg, size * sizeof *grown);
    if (grown == NULL) {
      r->failed = true;
      return;
    }
    r->leg = grown;
    r->size = size;
  }
  r->leg[r->count] = strdup(leg);
  if (r->leg[r->count] != NULL)
    r->count++;
  else
    r->failed = true;
}

static void on_recovered(void *arg, const struct store_answer *answer) {
  struct recovery *r = arg;
  if ((answer->ticket & RECOVERY_TICKET) == 0) {
    on_answer(r->serve, answer);
    return;
  }
  struct moment at = serve_now();
  serve_give_facts(r->serve, &at, r->leg[answer->ticket & ~RECOVERY_TICKET], answer, NULL, true);
  r->awaited--;
}

/* Before the listeners open, so waiting holds nobody up. */
void serve_store_recover(struct serve *s) {
  struct recovery r = {.serve = s};
  if (store_each_open_leg(s->store, note_leg, &r) != 0 || r.failed) {
    log_event(LOG_ERROR, NULL, "the legs that were open could not be read");
  }
  for (size_t i = 0; i < r.count; i++) {
    const struct store_request request = {
        .kind = STORE_LOAD_LEG, .ticket = RECOVERY_TICKET | i, .leg = r.leg[i], .want_facts = true};
    int error;
    while ((error = store_submit(s->store, &request)) == -EAGAIN) {
      uv_sleep(1); /* full: the store's thread is at work */
      store_collect(s->store, on_recovered, &r);
    }
    if (error == 0) {
      r.awaited++;
    } else {
      log_event(LOG_ERROR, r.leg[i], "what is stored of a leg could not be asked for");
    }
  }
  while (r.awaited > 0) {
    uv_sleep(1); /* the store's thread is at work; its wake goes to a loop that does not run yet */
    store_collect(s->store, on_recovered, &r);
  }
  if (r.count > 0) log_event(LOG_INFO, NULL, "legs taken up again", LOG_INT("legs", r.count));
  for (size_t i = 0; i < r.count; i++) free(r.leg[i]);
  free(r.leg);
}

void serve_store_forget(struct serve *s) {
  struct ticket *t, *next_ticket;
  HASH_ITER(hh, s->tickets, t, next_ticket) ticket_free(s, t);
  struct owed *o, *next_owed;
  HASH_ITER(hh, s->owed, o, next_owed) {
    HASH_DEL(s->owed, o);
    owed_free(o);
  }
}
