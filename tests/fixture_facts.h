/* The facts of a fixture as the agent stores them: every webhook's element, every version of every part. */
#ifndef TESTS_FIXTURE_FACTS_H
#define TESTS_FIXTURE_FACTS_H

#include <dirent.h>

#include "agent/engine.h"
#include "agent/fixture.h"
#include "tests/fold_case.h"

struct told { /* one write of a fact */
  char leg[257];
  bool is_part;
  json_t *json;
};
enum { TOLD_MAX = 4096, TOLD_SOCKETS = 64 };
struct telling {
  struct told told[TOLD_MAX];
  size_t count;
  struct metrics metrics;
  char *socket[TOLD_SOCKETS];
  size_t sockets;
};

static inline void note_told(struct telling *t, const char *leg, bool is_part, json_t *json) {
  assert_true(t->count < TOLD_MAX);
  assert_non_null(json);
  struct told *told = &t->told[t->count++];
  snprintf(told->leg, sizeof told->leg, "%s", leg);
  told->is_part = is_part;
  told->json = json;
}

static inline void told_event(void *arg, const char *leg, const char *id, int64_t at_ms,
                              const json_t *element) {
  (void)id;
  (void)at_ms;
  note_told(arg, leg, false, json_deep_copy(element));
}

static inline void told_part(void *arg, const char *leg, const struct part *part, bool deliver) {
  (void)deliver;
  note_told(arg, leg, true, part_to_json(part));
}

static inline size_t told_socket(const struct telling *t, const char *name) {
  for (size_t i = t->sockets; i > 0; i--)
    if (t->socket[i - 1] && !strcmp(t->socket[i - 1], name)) return i;
  return 0;
}

static inline void tell_one(struct telling *t, struct engine *e, const struct fixture_event *f,
                            const struct moment *at) {
  struct event event;
  char why[256];
  size_t id = f->kind == FIXTURE_HTTP ? 0 : told_socket(t, f->socket);
  if (f->kind == FIXTURE_HTTP) {
    if (event_parse(f->text, f->bytes, &event, why, sizeof why) != 0) return;
    if (event.call_control_id && event.kind != EVENT_SIDETONE_LEG_LOST) {
      note_told(t, event.call_control_id, false, facts_event_element(&event));
      engine_event(e, at, &event);
    }
    event_release(&event);
  } else if (f->kind == FIXTURE_WS_OPEN) {
    assert_true(t->sockets < TOLD_SOCKETS);
    t->socket[t->sockets++] = strdup(f->socket);
    engine_socket_opened(e, t->sockets, at, PROOF_DONE, NULL);
  } else if (id && f->kind == FIXTURE_WS_CLOSE) {
    engine_socket_closed(e, id, at, f->close_code);
    free(t->socket[id - 1]);
    t->socket[id - 1] = NULL;
  } else if (id) {
    engine_socket_message(e, id, at, true, true, f->text, f->bytes);
  }
}

/* Plays a fixture; a second between ticks, as the loop does. NULL when it is no fixture. */
static inline struct telling *tell_fixture(const char *path) {
  char why[256];
  struct fixture *fixture = fixture_open(path, why, sizeof why);
  if (!fixture) return NULL;
  struct telling *t = calloc(1, sizeof *t);
  const struct engine_effects effects = {.put_event = told_event, .put_part = told_part, .arg = t};
  const struct engine_options options = {
      .fold = plain_options, .agent_id = "a", .first_part = 1, .stream_token = "", .keep_finished = true};
  struct engine *e = engine_create(&options, &effects, &t->metrics);
  struct fixture_event f;
  struct moment at = {.mono_us = 0};
  int64_t tick_us = 0, t_us = 0, epoch_us = fixture_epoch_us(fixture);
  while (fixture_next(fixture, &f)) {
    for (t_us = f.t_us; tick_us <= t_us; tick_us += 1000000) {
      at.mono_us = tick_us;
      at.wall_us = epoch_us + tick_us;
      engine_tick(e, &at);
    }
    at = (struct moment){.mono_us = t_us, .wall_us = epoch_us + t_us, .read_ordinal = at.read_ordinal + 1};
    tell_one(t, e, &f, &at);
  }
  for (size_t i = 0; i < t->sockets; i++) {
    if (t->socket[i]) engine_socket_closed(e, i + 1, &at, 1006);
    free(t->socket[i]);
  }
  for (int64_t end_us = t_us + 300000000; tick_us <= end_us && !engine_all_ended(e); tick_us += 1000000) {
    at.mono_us = tick_us;
    at.wall_us = epoch_us + tick_us;
    engine_tick(e, &at);
  }
  engine_free(e);
  fixture_free(fixture);
  return t;
}

static inline void telling_free(struct telling *t) {
  for (size_t i = 0; i < t->count; i++) json_decref(t->told[i].json);
  free(t);
}

/* Calls `use` for each fixture of fixtures/; the tests run in the source folder. */
static inline size_t each_fixture(void (*use)(const char *name, const struct telling *t)) {
  struct dirent **entries;
  int count = scandir("fixtures", &entries, NULL, alphasort);
  size_t used = 0;
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    char path[512];
    snprintf(path, sizeof path, "fixtures/%s/events.jsonl", entries[i]->d_name);
    struct telling *t = tell_fixture(path);
    if (t) {
      use(entries[i]->d_name, t);
      telling_free(t);
      used++;
    }
    free(entries[i]);
  }
  free(entries);
  return used;
}

/* All facts of a leg. */
static inline struct facts *facts_of_leg(const struct telling *t, const char *leg) {
  struct facts *facts = facts_new(leg);
  for (size_t i = 0; i < t->count; i++) {
    if (strcmp(t->told[i].leg, leg)) continue;
    if (t->told[i].is_part)
      facts_put_part(facts, part_from_json(t->told[i].json));
    else
      facts_add_element(facts, t->told[i].json);
  }
  return facts;
}

#endif
