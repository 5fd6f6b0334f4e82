/* An engine whose effects are written down, on a clock the test moves. Each effect is checked against
 * what agent/engine.h promises: a CallLog never tells of facts that the store does not have. */
#ifndef TESTS_ENGINE_HELPERS_H
#define TESTS_ENGINE_HELPERS_H

#include "tests/fold_case.h"

#include "agent/engine.h"
#include "telnyx/base64.h"
#include "telnyx/timestamp.h"

#define LEG_B "v3:leg-B"

enum { EFFECTS_MAX = 4000, LEGS_MAX = 8, PARTS_MAX = 32 };

enum effect_kind {
  PUT_EVENT,
  PUT_PART,
  PUT_CALLLOG,
  LOAD_LEG,
  CLOSE_SOCKET,
  ASK_ELSEWHERE,
  STREAM_MISSING,
  PUT_ALERT,
  ENDED
};

struct effect {
  enum effect_kind kind;
  int64_t at_us; /* monotonic, by the test's clock */
  char leg[64], text[128];
  uint64_t number; /* n of a part, revision, socket */
  int code;        /* close code, state of a part */
  bool flag;       /* a part is delivered; a question is due */
};

/* What a store would hold of a leg. */
struct stored {
  char leg[64];
  uint64_t events, revision;
  struct {
    char id[96];
    uint64_t n;
    enum part_state state;
    int64_t last_frame_ms;
  } part[PARTS_MAX];
  size_t parts;
  json_t *document;
};

struct world {
  struct engine *e;
  struct metrics metrics;
  struct moment at;
  struct effect effect[EFFECTS_MAX];
  size_t effects;
  struct stored leg[LEGS_MAX];
  size_t legs;
};

static const int64_t mono_zero_us = 5000000000; /* of second 0 of a test */

static inline struct stored *stored(struct world *w, const char *leg) {
  for (size_t i = 0; i < w->legs; i++)
    if (strcmp(w->leg[i].leg, leg) == 0) return &w->leg[i];
  assert_true(w->legs < LEGS_MAX);
  struct stored *s = &w->leg[w->legs++];
  snprintf(s->leg, sizeof s->leg, "%s", leg);
  return s;
}

static inline void store_part(struct world *w, const char *leg, const struct part *part) {
  struct stored *s = stored(w, leg);
  size_t i = 0;
  while (i < s->parts && strcmp(s->part[i].id, part->id) != 0) i++;
  assert_true(i < PARTS_MAX);
  if (i == s->parts) s->parts++;
  assert_true(part->n > s->part[i].n); /* n grows at each write */
  snprintf(s->part[i].id, sizeof s->part[i].id, "%s", part->id);
  s->part[i].n = part->n;
  s->part[i].state = part->state;
  s->part[i].last_frame_ms = part->last_frame_ms;
}

static inline struct effect *note_effect(struct world *w, enum effect_kind kind, const char *leg) {
  assert_true(w->effects < EFFECTS_MAX);
  struct effect *f = &w->effect[w->effects++];
  *f = (struct effect){.kind = kind, .at_us = w->at.mono_us};
  snprintf(f->leg, sizeof f->leg, "%s", leg);
  return f;
}

static inline void on_put_event(void *arg, const char *leg, const char *id, int64_t at_ms,
                                const json_t *element) {
  struct world *w = arg;
  struct effect *f = note_effect(w, PUT_EVENT, leg);
  snprintf(f->text, sizeof f->text, "%s", id);
  assert_int_equal(at_ms, w->at.wall_us / 1000);
  assert_true(json_is_string(json_object_get(element, "eventType")));
  stored(w, leg)->events++;
}

static inline void on_put_part(void *arg, const char *leg, const struct part *part, bool deliver) {
  struct world *w = arg;
  struct effect *f = note_effect(w, PUT_PART, leg);
  snprintf(f->text, sizeof f->text, "%s", part->id);
  f->number = part->n;
  f->code = part->state;
  f->flag = deliver;
  store_part(w, leg, part);
}

static inline void on_put_alert(void *arg, const char *leg, const char *call_log_id,
                                const struct alert *alert) {
  struct world *w = arg;
  struct effect *f = note_effect(w, PUT_ALERT, leg);
  assert_true(call_log_id[0] != '\0');
  assert_int_equal(alert->at_ms, w->at.wall_us / 1000);
  snprintf(f->text, sizeof f->text, "%s %s %s", alert_rule_names[alert->rule],
           alert->opened ? "opened" : "closed", alert->severity);
}

static inline void on_ended(void *arg, const char *leg, const char *call_log_id) {
  struct effect *f = note_effect(arg, ENDED, leg);
  snprintf(f->text, sizeof f->text, "%s", call_log_id);
}

static inline void on_put_calllog(void *arg, const struct engine_calllog *calllog) {
  struct world *w = arg;
  struct effect *f = note_effect(w, PUT_CALLLOG, calllog->leg);
  struct stored *s = stored(w, calllog->leg);
  uint64_t facts = s->events;
  for (size_t i = 0; i < s->parts; i++) facts += s->part[i].n;
  if (calllog->revision != facts)
    fail_msg("the CallLog of %s has revision %llu, the store has facts for %llu", calllog->leg,
             (unsigned long long)calllog->revision, (unsigned long long)facts);
  assert_true(calllog->revision > s->revision);
  assert_non_null(calllog->summary);
  f->number = s->revision = calllog->revision;
  snprintf(f->text, sizeof f->text, "%s", calllog->summary->status);
  json_decref(s->document);
  s->document = json_deep_copy(calllog->document);
  EXPECT(s->document, "telnyx.callControlId", strcmp(s->leg, LEG) == 0 ? "'" LEG "'" : "'" LEG_B "'");
}

static inline void on_load_leg(void *arg, const char *leg) {
  note_effect(arg, LOAD_LEG, leg);
}

static inline void on_close_socket(void *arg, conn_id socket, int code, const char *reason) {
  struct effect *f = note_effect(arg, CLOSE_SOCKET, "");
  f->number = socket;
  f->code = code;
  assert_true(reason != NULL && strlen(reason) <= 123); /* a control frame's room */
  snprintf(f->text, sizeof f->text, "%s", reason);
}

static inline void on_ask_elsewhere(void *arg, const char *leg, bool due) {
  note_effect(arg, ASK_ELSEWHERE, leg)->flag = due;
}

static inline void on_stream_missing(void *arg, const char *leg, const char *cause) {
  struct effect *f = note_effect(arg, STREAM_MISSING, leg);
  snprintf(f->text, sizeof f->text, "%s", cause);
}

/* `token` as telnyx.stream_token, "" for none; `asks`: there is somebody to ask for a quiet leg. */
static inline struct world *world_of(const char *token, bool keep_finished, bool asks) {
  struct world *w = calloc(1, sizeof *w);
  const struct engine_options options = {.fold = {.agent_id = "a", .version = "0.1.0"},
                                         .agent_id = "a",
                                         .first_part = 7,
                                         .stream_token = token,
                                         .interim_us = 60000000,
                                         .keep_finished = keep_finished};
  const struct engine_effects effects = {.put_event = on_put_event,
                                         .put_part = on_put_part,
                                         .put_calllog = on_put_calllog,
                                         .put_alert = on_put_alert,
                                         .ended = on_ended,
                                         .load_leg = on_load_leg,
                                         .ask_elsewhere = asks ? on_ask_elsewhere : NULL,
                                         .stream_missing = on_stream_missing,
                                         .close_socket = on_close_socket,
                                         .arg = w};
  w->e = engine_create(&options, &effects, &w->metrics);
  assert_non_null(w->e);
  w->at = (struct moment){.mono_us = mono_zero_us, .wall_us = start_ms * 1000};
  return w;
}

static inline struct world *world_new(const char *token, bool keep_finished) {
  return world_of(token, keep_finished, false);
}

static inline void world_free(struct world *w) {
  engine_free(w->e);
  for (size_t i = 0; i < w->legs; i++) json_decref(w->leg[i].document);
  free(w);
}

/* ---- time ---- */

static inline const struct moment *moment_ms(struct world *w, int64_t ms) {
  w->at.mono_us = mono_zero_us + ms * 1000;
  w->at.wall_us = (start_ms + ms) * 1000;
  w->at.read_ordinal++;
  return &w->at;
}

static inline int64_t now_ms(const struct world *w) {
  return (w->at.mono_us - mono_zero_us) / 1000;
}

/* A tick each second, the last one at `ms`. */
static inline void ticks_until(struct world *w, int64_t ms) {
  for (int64_t at = now_ms(w) + 1000; at < ms; at += 1000) engine_tick(w->e, moment_ms(w, at));
  engine_tick(w->e, moment_ms(w, ms));
}

/* ---- what went in ---- */

/* An event of a leg that happened and came at `at_ms`; `more` continues the payload: ", 'from': ...". */
static inline bool hook_late(struct world *w, const char *leg, const char *type, int64_t at_ms,
                             int64_t came_ms, const char *more) {
  char body[2048], when[TIMESTAMP_BYTES], why[256];
  timestamp_format_ms(start_ms + at_ms, when);
  int length = snprintf(body, sizeof body,
                        "{'data': {'event_type': '%s', 'id': '%s-%s-%lld', 'occurred_at': '%s', 'payload': "
                        "{'call_control_id': '%s'%s}}, 'meta': {'attempt': 1}}",
                        type, leg, type, (long long)at_ms, when, leg, more);
  for (char *c = body; *c != '\0'; c++)
    if (*c == '\'') *c = '"';
  struct event event;
  if (event_parse(body, (size_t)length, &event, why, sizeof why) != 0) fail_msg("%s: %s", body, why);
  /* A verified webhook is on disk before the engine sees it. */
  struct stored *s = stored(w, leg);
  s->events++;
  bool added = engine_event(w->e, moment_ms(w, came_ms), &event);
  if (!added) s->events--;
  event_release(&event);
  return added;
}

static inline bool hook(struct world *w, const char *leg, const char *type, int64_t at_ms, const char *more) {
  return hook_late(w, leg, type, at_ms, at_ms, more);
}

static inline void message(struct world *w, conn_id socket, int64_t ms, const char *text) {
  char copy[4096];
  size_t length = strlen(text);
  assert_true(length < sizeof copy);
  for (size_t i = 0; i <= length; i++) copy[i] = text[i] == '\'' ? '"' : text[i];
  engine_socket_message(w->e, socket, moment_ms(w, ms), true, true, copy, length);
}

static inline void start_frame(struct world *w, conn_id socket, int64_t ms, const char *leg,
                               const char *encoding) {
  char text[1024];
  snprintf(text, sizeof text,
           "{'event':'start','sequence_number':'1','stream_id':'s-%llu','start':{'call_control_id':'%s',"
           "'call_session_id':'session','from':'+15550100001','to':'+15550100002',"
           "'media_format':{'encoding':'%s','sample_rate':8000,'channels':1}}}",
           (unsigned long long)socket, leg, encoding);
  message(w, socket, ms, text);
}

/* A frame of 160 bytes of PCMU; `number` from 1, sequence after a start. */
static inline void media_payload(struct world *w, conn_id socket, int64_t ms, int track, int number,
                                 const uint8_t sound[160]) {
  char text[1024], payload[256];
  base64_encode(sound, 160, payload);
  snprintf(text, sizeof text,
           "{'event':'media','sequence_number':'%d','stream_id':'s','media':{'track':'%s','chunk':'%d',"
           "'timestamp':'%d','payload':'%s'}}",
           number + 1, track == 0 ? "inbound" : "outbound", number, (number - 1) * 20, payload);
  message(w, socket, ms, text);
}

/* 20 ms of silence. */
static inline void media_frame(struct world *w, conn_id socket, int64_t ms, int track, int number) {
  uint8_t silence[160];
  memset(silence, 0xff, sizeof silence);
  media_payload(w, socket, ms, track, number, silence);
}

/* Frames of the inbound track from `from_ms` to `to_ms`, a tick each second among them. */
static inline void media_between(struct world *w, conn_id socket, int64_t from_ms, int64_t to_ms,
                                 int number) {
  for (int64_t ms = from_ms; ms < to_ms; ms += 20) {
    if (ms % 1000 == 0) engine_tick(w->e, moment_ms(w, ms));
    media_frame(w, socket, ms, 0, number++);
  }
}

static inline void open_socket(struct world *w, conn_id socket, int64_t ms) {
  engine_socket_opened(w->e, socket, moment_ms(w, ms), PROOF_DONE, NULL);
}

static inline void close_by_peer(struct world *w, conn_id socket, int64_t ms) {
  engine_socket_closed(w->e, socket, moment_ms(w, ms), 1006);
}

/* ---- what came out ---- */

static inline size_t count_effects(const struct world *w, enum effect_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < w->effects; i++) count += w->effect[i].kind == kind;
  return count;
}

static inline const struct effect *last_effect(const struct world *w, enum effect_kind kind) {
  for (size_t i = w->effects; i-- > 0;)
    if (w->effect[i].kind == kind) return &w->effect[i];
  return NULL;
}

/* The close the engine asked for a socket; NULL when none. */
static inline const struct effect *close_of(const struct world *w, conn_id socket) {
  const struct effect *found = NULL;
  for (size_t i = 0; i < w->effects; i++) {
    if (w->effect[i].kind != CLOSE_SOCKET || w->effect[i].number != socket) continue;
    assert_null(found); /* once */
    found = &w->effect[i];
  }
  return found;
}

static inline void expect_close(const struct world *w, conn_id socket, int code) {
  const struct effect *f = close_of(w, socket);
  assert_non_null(f);
  assert_int_equal(f->code, code);
}

/* The document as the store has it, once what waits for the next tick is there. */
static inline const json_t *stored_document(struct world *w, const char *leg) {
  engine_tick(w->e, &w->at);
  const json_t *document = stored(w, leg)->document;
  assert_non_null(document);
  return document;
}

#endif
