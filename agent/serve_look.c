/* Legs that are quiet here (data-model.md 8.4, "Ended"): first what MongoDB has of them, from other agents, then Telnyx.
 *
 *   engine: ask_elsewhere, stream_missing -> look (its thread reads MongoDB) -> facts join, or another part grows
 *                                         -> commands (GET, or the stream once more) -> engine_elsewhere() */
#include <string.h>

#include "agent/bson.h"
#include "agent/log.h"
#include "agent/serve.h"
#include "store/look.h"

enum { QUEUE_MAX = 65536 };

enum question { QUESTION_QUIET, QUESTION_DUE, QUESTION_STREAM };

struct serve_look {
  struct serve *serve;
  struct look *look;
  uv_async_t wake;
  int loop;      /* of its thread, in agent/supervise.h */
  struct cause { /* of QUESTION_STREAM, by leg */
    UT_hash_handle hh;
    char *leg, *cause;
  } * causes;
};

/* ---- what a document tells ---- */

static bool is_ours(const struct serve *s, const struct part *part) {
  size_t length = strlen(s->agent_id);
  return strncmp(part->id, s->agent_id, length) == 0 && part->id[length] == '_';
}

/* A part of somebody else that grew within the last two interims (8.4). One that has just closed counts: its end, or the
 * leg's next stream, is on its way there. */
static bool grows(const struct serve *s, const struct part *part, int64_t now_ms) {
  return now_ms - part_grew_at_ms(part) < 2000 * s->config.mongo_interim_s;
}

struct elsewhere_parts {
  bool grew;    /* a part of another agent, lately */
  bool streams; /* and it is open */
};

/* Facts of others join the call's; ours are newer here than there. */
static struct elsewhere_parts join_facts(struct serve *s, const struct moment *at, const char *leg,
                                         const json_t *document) {
  const json_t *sidetone = json_object_get(json_object_get(document, "metadata"), "sidetone");
  json_t *media = json_object_get(sidetone, "media");
  json_t *webhooks = json_object_get(json_object_get(document, "telnyx"), "webhookEvents");
  size_t count = json_array_size(webhooks), parts = 0;
  json_t **elements = calloc(count + 1, sizeof *elements);
  struct part **part = calloc(json_object_size(media) + 1, sizeof *part);
  struct elsewhere_parts others = {false, false};
  if (elements != NULL && part != NULL) {
    for (size_t i = 0; i < count; i++) elements[i] = json_array_get(webhooks, i);
    for (void *i = json_object_iter(media); i != NULL; i = json_object_iter_next(media, i)) {
      struct part *p = part_from_json(json_object_iter_value(i));
      if (p == NULL || is_ours(s, p)) {
        part_free(p);
        continue;
      }
      bool grew = grows(s, p, at->wall_us / 1000);
      others.grew = others.grew || grew;
      others.streams = others.streams || (grew && p->state == PART_OPEN);
      part[parts++] = p;
    }
    engine_facts(s->engine, at, leg, elements, count, part, parts, false);
  }
  free(elements);
  free(part);
  return others;
}

/* ---- answers ---- */

/* MongoDB knows of nobody who has the leg: what does Telnyx say? */
static void ask_telnyx(struct serve *s, const struct moment *at, const char *leg, enum question question) {
  if (question != QUESTION_DUE)
    engine_elsewhere(s->engine, at, leg, ELSEWHERE_UP);
  else if (!serve_commands_ready(s))
    engine_elsewhere(s->engine, at, leg, ELSEWHERE_GONE);
  else if (!serve_commands_is_alive(s, leg))
    engine_elsewhere(s->engine, at, leg, ELSEWHERE_UNKNOWN);
}

static void forget_cause(struct serve_look *l, struct cause *c) {
  HASH_DEL(l->causes, c);
  free(c->leg);
  free(c->cause);
  free(c);
}

static void stream_again(struct serve_look *l, const char *leg, bool elsewhere) {
  struct cause *c;
  HASH_FIND_STR(l->causes, leg, c);
  if (c == NULL) return;
  if (!elsewhere && engine_lacks_stream(l->serve->engine, leg))
    serve_commands_stream_again(l->serve, leg, c->cause);
  forget_cause(l, c);
}

static void on_answer(void *arg, const struct look_answer *a) {
  struct serve_look *l = arg;
  struct serve *s = l->serve;
  struct moment at = serve_now();
  enum question question = (enum question)a->tag;
  struct elsewhere_parts others = {false, false};
  if (!engine_knows(s->engine, a->leg)) { /* it has gone from memory meanwhile */
    if (question == QUESTION_STREAM) stream_again(l, a->leg, false);
    return;
  }
  if (a->document != NULL) {
    json_t *document = bson_to_json(a->document, a->bytes);
    if (document != NULL) others = join_facts(s, &at, a->leg, document);
    json_decref(document);
  }
  if (question == QUESTION_STREAM)
    stream_again(l, a->leg, others.streams);
  else if (a->away)
    engine_elsewhere(s->engine, &at, a->leg, ELSEWHERE_UNKNOWN);
  else if (others.grew)
    engine_elsewhere(s->engine, &at, a->leg, ELSEWHERE_UP);
  else
    ask_telnyx(s, &at, a->leg, question);
}

static void on_wake(uv_async_t *async) {
  struct serve_look *l = async->data;
  if (l->look != NULL) look_collect(l->look, on_answer, l);
}

static void wake(void *arg) {
  struct serve_look *l = arg;
  uv_async_send(&l->wake);
}

/* ---- questions ---- */

void serve_look_quiet(struct serve *s, const char *leg, bool due) {
  struct moment at = serve_now();
  if (s->look == NULL) {
    ask_telnyx(s, &at, leg, due ? QUESTION_DUE : QUESTION_QUIET);
  } else if (look_ask(s->look->look, leg, due ? QUESTION_DUE : QUESTION_QUIET) != 0) {
    log_event(LOG_WARN, engine_call_name(s->engine, leg), "a quiet leg could not be asked for",
              LOG_TEXT("leg", leg));
  }
}

static bool keep_cause(struct serve_look *l, const char *leg, const char *text) {
  struct cause *c;
  HASH_FIND_STR(l->causes, leg, c);
  if (c != NULL) forget_cause(l, c);
  c = calloc(1, sizeof *c);
  if (c == NULL) return false;
  c->leg = strdup(leg);
  c->cause = strdup(text);
  if (c->leg != NULL && c->cause != NULL) {
    HASH_ADD_KEYPTR(hh, l->causes, c->leg, strlen(c->leg), c);
    if (is_added(c)) return true;
  }
  free(c->leg);
  free(c->cause);
  free(c);
  return false;
}

/* Another agent may have the stream by now: asking for it once more would take it away from there. */
void serve_look_missing(struct serve *s, const char *leg, const char *cause) {
  if (!serve_commands_ready(s)) return;
  if (s->look != NULL && keep_cause(s->look, leg, cause) &&
      look_ask(s->look->look, leg, QUESTION_STREAM) == 0)
    return;
  serve_commands_stream_again(s, leg, cause);
}

/* ---- start and stop ---- */

int serve_look_start(struct serve *s, const struct mongo_options *mongo) {
  char why[256];
  struct serve_look *l = calloc(1, sizeof *l);
  struct look_options options = {.queue_max = QUEUE_MAX, .wake = wake, .wake_arg = l};
  if (l != NULL) options.pulse = (struct pulse){supervise_pulse, &l->loop};
  if (l == NULL) return cli_failed("serve", "no memory");
  l->serve = s;
  l->loop = supervise_loop("mongo look");
  l->wake.data = l;
  int error = uv_async_init(&s->loop, &l->wake, on_wake);
  if (error != 0) {
    supervise_leave(l->loop);
    free(l);
    return cli_failed("serve", "no event loop: %s", uv_strerror(error));
  }
  s->look = l;
  if (mongo_reader_create(&options.reader, mongo, why, sizeof why) != 0)
    return cli_failed("serve", "mongo.uri: %s", why);
  if (look_start(&l->look, &options, why, sizeof why) == 0) return EXIT_DONE;
  mongo_reader_free(options.reader);
  return cli_failed("serve", "questions to MongoDB: %s", why);
}

static void on_closed(uv_handle_t *handle) {
  free(handle->data);
}

void serve_look_finish(struct serve *s) {
  if (s->look == NULL) return;
  look_stop(s->look->look);
  s->look->look = NULL;
}

void serve_look_stop(struct serve *s) {
  struct serve_look *l = s->look;
  if (l == NULL) return;
  serve_look_finish(s);
  s->look = NULL;
  supervise_leave(l->loop);
  struct cause *c, *next;
  HASH_ITER(hh, l->causes, c, next) forget_cause(l, c);
  uv_close((uv_handle_t *)&l->wake, on_closed);
}
