/* Commands to Telnyx (telnyx-protocol.md 3): streams that are to be measured (telnyx.auto_stream), questions whether a
 * leg is alive, and what your people order on the admin listener. Without telnyx.api_key the agent only listens. */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/serve.h"
#include "store/rest.h"
#include "telnyx/hex.h"

enum {
  CONNECT_MS = 2000,
  FIRST_REPLY_MS = 1000,
  REPLY_MS = 3000,
  TRIES = 5,
  GIVE_UP_MS = 30000,
  NOT_YET_MS = 500,
  QUEUE_MAX = 65536,
  KEY_LIFE_S = 300 /* between the command and `start`; a stream that comes again later gets a new one */
};

enum order_kind { ORDER_STREAM, ORDER_ADMIN, ORDER_ALIVE, ORDER_ALIVE_THEN_STREAM };

struct order {
  UT_hash_handle hh; /* by ticket */
  uint64_t ticket;
  enum order_kind kind;
  enum command command;
  char *leg, *cause;
  conn_id conn; /* of ORDER_ADMIN */
};

struct serve_commands {
  struct serve *serve;
  struct rest *rest;
  int loop; /* of its thread, in agent/supervise.h */
  uv_async_t wake;
  struct order *orders;
  uint64_t last_ticket;
};

/* ---- on the thread of rest ---- */

static enum rest_verdict judge(void *arg, const struct rest_request *request, int status, const char *body,
                               size_t bytes, int64_t *wait_ms) {
  (void)arg;
  char why[8];
  if (strcmp(request->method, "GET") == 0 && command_life(status, body, bytes) != LIFE_UNKNOWN)
    return REST_DONE;
  switch (command_judge(status, body, bytes, why, sizeof why)) {
    case COMMAND_TAKEN:
    case COMMAND_ENDED:
      return REST_DONE;
    case COMMAND_AGAIN:
      return REST_AGAIN;
    case COMMAND_SLOWER:
      return REST_AGAIN_LATER;
    case COMMAND_NOT_YET:
      *wait_ms = NOT_YET_MS;
      return REST_AGAIN_LATER;
    case COMMAND_UNAUTHORIZED:
    case COMMAND_REFUSED:
      break;
  }
  return REST_GIVE_UP;
}

static void wake(void *arg) {
  struct serve_commands *c = arg;
  uv_async_send(&c->wake);
}

/* ---- orders ---- */

static void order_free(struct serve_commands *c, struct order *o) {
  if (is_added(o)) HASH_DEL(c->orders, o);
  free(o->leg);
  free(o->cause);
  free(o);
}

static struct order *order_new(struct serve_commands *c, enum order_kind kind, enum command command,
                               const char *leg, const char *cause) {
  struct order *o = calloc(1, sizeof *o);
  if (o == NULL) return NULL;
  *o = (struct order){.ticket = ++c->last_ticket,
                      .kind = kind,
                      .command = command,
                      .leg = strdup(leg),
                      .cause = strdup(cause)};
  HASH_ADD(hh, c->orders, ticket, sizeof o->ticket, o);
  if (is_added(o) && o->leg != NULL && o->cause != NULL) return o;
  order_free(c, o);
  return NULL;
}

static bool submit(struct serve_commands *c, const struct order *o, const char *method, const char *url,
                   const char *body, unsigned tries) {
  const struct rest_request request = {.ticket = o->ticket,
                                       .method = method,
                                       .url = url,
                                       .body = body,
                                       .tries = tries,
                                       .give_up_after_ms = GIVE_UP_MS};
  return url != NULL && rest_submit(c->rest, &request) == 0;
}

static bool send_command(struct serve_commands *c, const struct order *o) {
  const struct config *config = &c->serve->config;
  char id[COMMAND_ID_BYTES];
  command_id(o->leg, o->command, o->cause, id);
  char *stream_url = NULL;
  if (o->command == COMMAND_STREAMING_START)
    stream_url = command_stream_url(config->telnyx_stream_url, config->telnyx_stream_token, o->leg,
                                    serve_now().wall_us / 1000000 + KEY_LIFE_S);
  char *url = command_url(config->telnyx_api_base, o->leg, o->command);
  char *body = o->command == COMMAND_STREAMING_START && stream_url == NULL
                   ? NULL
                   : command_body(o->command, id, stream_url);
  bool sent = body != NULL && submit(c, o, "POST", url, body, TRIES);
  free(stream_url);
  free(url);
  free(body);
  return sent;
}

static bool send_question(struct serve_commands *c, const struct order *o) {
  char *url = command_call_url(c->serve->config.telnyx_api_base, o->leg);
  bool sent = submit(c, o, "GET", url, NULL, TRIES);
  free(url);
  return sent;
}

/* False: it could not be queued. */
static bool give(struct serve_commands *c, enum order_kind kind, enum command command, const char *leg,
                 const char *cause, conn_id conn) {
  struct order *o = order_new(c, kind, command, leg, cause);
  if (o == NULL) return false;
  o->conn = conn;
  bool question = kind == ORDER_ALIVE || kind == ORDER_ALIVE_THEN_STREAM;
  if (question ? send_question(c, o) : send_command(c, o)) return true;
  log_event(LOG_ERROR, leg, "a command to Telnyx could not be queued",
            LOG_TEXT("command", command_name(command)));
  order_free(c, o);
  return false;
}

/* ---- answers ---- */

static void count(struct serve_commands *c, const struct order *o, bool done) {
  c->serve->metrics.commands[done ? COMMAND_RESULT_OK : COMMAND_RESULT_FAILED]++;
  (void)o;
}

static void answer_admin(struct serve_commands *c, const struct order *o, const struct rest_answer *a,
                         bool done, const char *why) {
  json_t *body = json_pack("{s:s, s:s, s:b, s:i}", "command", command_name(o->command), "callControlId",
                           o->leg, "accepted", done, "status", a->status);
  if (!done) json_object_set_new(body, "error", json_string(why));
  serve_reply_json(c->serve, o->conn, done ? 200 : 502, body);
  json_decref(body);
}

static void on_command_answer(struct serve_commands *c, const struct order *o, const struct rest_answer *a) {
  char why[256];
  enum command_verdict verdict = command_judge(a->status, a->body, a->body_bytes, why, sizeof why);
  bool done = verdict == COMMAND_TAKEN || (verdict == COMMAND_ENDED && command_is_done_by_end(o->command));
  if (a->error != NULL && a->status == 0) snprintf(why, sizeof why, "%s", a->error);
  count(c, o, done);
  log_event(done ? LOG_INFO : LOG_ERROR, engine_call_name(c->serve->engine, o->leg),
            done ? "command taken by Telnyx" : "command failed",
            LOG_TEXT("command", command_name(o->command)), LOG_TEXT("leg", o->leg),
            LOG_INT("tries", a->tries), LOG_TEXT("why", verdict == COMMAND_TAKEN ? NULL : why));
  if (o->kind == ORDER_ADMIN) answer_admin(c, o, a, done, why);
}

static void on_life_answer(struct serve_commands *c, const struct order *o, const struct rest_answer *a) {
  struct moment at = serve_now();
  enum command_life life = command_life(a->status, a->body, a->body_bytes);
  if (life == LIFE_UNKNOWN)
    log_event(LOG_WARN, engine_call_name(c->serve->engine, o->leg), "Telnyx does not say whether a leg is up",
              LOG_TEXT("leg", o->leg), LOG_INT("status", a->status), LOG_TEXT("error", a->error));
  if (o->kind == ORDER_ALIVE) {
    engine_elsewhere(c->serve->engine, &at, o->leg,
                     life == LIFE_ALIVE  ? ELSEWHERE_UP
                     : life == LIFE_OVER ? ELSEWHERE_GONE
                                         : ELSEWHERE_UNKNOWN);
  } else if (life == LIFE_ALIVE && engine_lacks_stream(c->serve->engine, o->leg)) {
    give(c, ORDER_STREAM, COMMAND_STREAMING_START, o->leg, o->cause, 0);
  }
}

static void on_answer(void *arg, const struct rest_answer *a) {
  struct serve_commands *c = arg;
  struct order *o;
  HASH_FIND(hh, c->orders, &a->ticket, sizeof a->ticket, o);
  if (o == NULL) return;
  if (o->kind == ORDER_STREAM || o->kind == ORDER_ADMIN) {
    on_command_answer(c, o, a);
  } else {
    on_life_answer(c, o, a);
  }
  order_free(c, o);
}

static void on_wake(uv_async_t *async) {
  struct serve_commands *c = async->data;
  if (c->rest != NULL) rest_collect(c->rest, on_answer, c);
}

/* ---- what the agent asks for ---- */

bool serve_commands_ready(const struct serve *s) {
  return s->commands != NULL;
}

/* The cause is the `_id` of the event's element: after a restart it is known from the facts too. */
void serve_commands_answered(struct serve *s, const char *leg, const char *event_id) {
  char cause[25];
  if (s->commands == NULL || !s->config.telnyx_auto_stream || s->ending) return;
  hex_of_sha256(event_id, strlen(event_id), 12, cause);
  if (engine_lacks_stream(s->engine, leg))
    give(s->commands, ORDER_STREAM, COMMAND_STREAMING_START, leg, cause, 0);
}

void serve_commands_stream_again(struct serve *s, const char *leg, const char *cause) {
  if (s->commands == NULL || !s->config.telnyx_auto_stream || s->ending) return;
  give(s->commands, ORDER_ALIVE_THEN_STREAM, COMMAND_STREAMING_START, leg, cause, 0);
}

bool serve_commands_is_alive(struct serve *s, const char *leg) {
  return s->commands != NULL && give(s->commands, ORDER_ALIVE, COMMAND_HANGUP, leg, "", 0);
}

bool serve_commands_order(struct serve *s, conn_id conn, const char *leg, enum command command) {
  unsigned char random[12];
  char cause[2 * sizeof random + 1];
  if (RAND_bytes(random, sizeof random) != 1) return false;
  hex_encode(random, sizeof random, cause);
  return give(s->commands, ORDER_ADMIN, command, leg, cause, conn);
}

/* ---- start and stop ---- */

int serve_commands_start(struct serve *s) {
  char why[256];
  if (s->config.telnyx_api_key[0] == '\0') return EXIT_DONE;
  struct serve_commands *c = calloc(1, sizeof *c);
  if (c == NULL) return cli_failed("serve", "no memory");
  const struct rest_options options = {.bearer_token = s->config.telnyx_api_key,
                                       .user_agent = "sidetone/" SIDETONE_VERSION,
                                       .connect_ms = CONNECT_MS,
                                       .first_reply_ms = FIRST_REPLY_MS,
                                       .reply_ms = REPLY_MS,
                                       .queue_max = QUEUE_MAX,
                                       .judge = judge,
                                       .wake = wake,
                                       .arg = c,
                                       .pulse = {supervise_pulse, &c->loop}};
  c->serve = s;
  c->wake.data = c;
  c->loop = supervise_loop("commands");
  int error = uv_async_init(&s->loop, &c->wake, on_wake);
  if (error != 0) {
    supervise_leave(c->loop);
    free(c);
    return cli_failed("serve", "no event loop: %s", uv_strerror(error));
  }
  s->commands = c;
  if (rest_start(&c->rest, &options, why, sizeof why) != 0)
    return cli_failed("serve", "commands to Telnyx: %s", why);
  return EXIT_DONE;
}

static void on_closed(uv_handle_t *handle) {
  free(handle->data);
}

void serve_commands_stop(struct serve *s) {
  struct serve_commands *c = s->commands;
  if (c == NULL) return;
  s->commands = NULL;
  rest_stop(c->rest);
  c->rest = NULL;
  supervise_leave(c->loop);
  struct order *o, *next;
  HASH_ITER(hh, c->orders, o, next) order_free(c, o);
  uv_close((uv_handle_t *)&c->wake, on_closed);
}
