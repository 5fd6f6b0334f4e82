/* The agent at work: listeners, engine and store on one loop. Split by who is talked to:
 * serve.c starts and runs, serve_stop.c drains and stops and speaks to the service manager, serve_reload.c is
 * SIGHUP, serve_store.c the way to the disk and back, serve_telnyx.c Telnyx's side (webhooks and media),
 * serve_admin.c your people's. All on the loop's thread. */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include <stdlib.h>

#include "agent/memory.h"
#include <uthash.h>
#include <uv.h>

#include "agent/buffer.h"
#include "agent/cli.h"
#include "agent/engine.h"
#include "agent/metrics.h"
#include "agent/server.h"
#include "agent/supervise.h"
#include "config/config.h"
#include "store/mongo.h"
#include "store/redis.h"
#include "store/store.h"
#include "telnyx/command.h"
#include "telnyx/signature.h"

struct serve_live;     /* serve_live.c; NULL: no redis.url */
struct serve_commands; /* serve_commands.c; NULL: no telnyx.api_key */
struct serve_sinks;    /* serve_sinks.c; NULL: none is configured */
struct serve_look;     /* serve_look.c; NULL: without MongoDB */
struct owed;           /* serve_store.c: what the store has refused and gets again */
struct ticket;         /* serve_store.c: what waits for the store's answer */

struct serve {
  struct cli *cli; /* to load the configuration again on SIGHUP */
  struct config config;
  char agent_id[65];
  uv_loop_t loop;
  uv_async_t wake; /* from the store's thread */
  uv_timer_t tick;
  int64_t tick_due_us; /* monotonic */
  int put_offs;        /* of the tick, in a row */
  uv_signal_t term, interrupt, hangup;
  uv_timer_t deadline; /* of the drain, then of the end */
  struct server *server;
  struct store *store;
  struct engine *engine;
  struct metrics metrics;
  struct signature_keys keys;
  struct ticket *tickets;
  uint64_t last_ticket;
  struct owed *owed;
  uint64_t memory_refusals; /* as far as the log has told */
  uint64_t store_set_aside; /* of it, as far as the log has told */
  struct serve_commands *commands;
  struct serve_live *live;
  struct serve_sinks *sinks;
  struct serve_look *look;
  struct supervisor *supervisor;
  int store_loop;        /* of the store's thread, in agent/supervise.h */
  bool draining;         /* SIGTERM came: what is new is refused */
  bool ending;           /* what was open is cut: only the store is waited for */
  int64_t cut_at_us;     /* end of the drain, monotonic */
  uint64_t ended_before; /* engine_calls_ended() when SIGTERM came */
  unsigned status_ticks; /* since the manager's line was made */
  int64_t store_away_since_ms, store_short_since_ms, draining_since_ms; /* epoch; 0: it is not so */
};

struct moment serve_now(void);
/* Asks the store how it is, and notes since when it cannot write: once a second, and when somebody asks. */
void serve_watch_store(struct serve *s, struct store_stats *stats);

/* serve_store.c */
struct engine_effects serve_store_effects(struct serve *s);
/* A verified event goes to disk; its webhook is answered after the commit. Takes the event over. */
void serve_store_event(struct serve *s, conn_id conn, const struct moment *at, struct event *event);
/* What is stored of a leg comes to the engine; a CallLog of it that is bad is made again. */
void serve_store_load(struct serve *s, const char *leg);
void serve_store_answers(struct serve *s);
void serve_store_again(struct serve *s); /* once a tick: what was refused */
bool serve_store_idle(const struct serve *s);
void serve_store_recover(struct serve *s); /* legs that were open when the last process ended */
void serve_store_forget(struct serve *s);

/* serve_facts.c: stored facts into the engine, none when they could not be read; `except` is an event that comes by
 * itself right after. */
void serve_give_facts(struct serve *s, const struct moment *at, const char *leg,
                      const struct store_answer *answer, const char *except, bool restart);

/* serve_sinks.c */
void serve_sinks_configured(const struct serve *s, bool sinks[SINK_COUNT]);
int serve_sinks_start(struct serve *s); /* an exit status; nothing to do without mongo.uri and redis.url */
/* The threads of the sinks and of the look. False: one is still in a call to a server that does not answer, and may
 * use the store. */
bool serve_sinks_stop(struct serve *s);
void serve_sinks_nudge(struct serve *s); /* rows may have come */
void serve_sinks_watch(struct serve *s); /* once a tick: the log hears what goes away and comes back */
void serve_sinks_ready(struct serve *s, json_t *reasons);
void serve_sinks_metrics(struct serve *s, struct buffer *text);
struct fold_options serve_fold_options(const struct serve *s);
/* `fold` must outlive what is made with them. */
struct mongo_options serve_mongo_options(const struct config *config, const struct fold_options *fold);
struct redis_options serve_redis_options(const struct config *config);

/* serve_look.c */
int serve_look_start(struct serve *s, const struct mongo_options *mongo);
/* Its thread ends, within MongoDB's time limits. For a thread that may be waited for in vain; the loop stands. */
void serve_look_finish(struct serve *s);
void serve_look_stop(struct serve *s);
/* A leg is quiet here: engine_facts() and engine_elsewhere() hear what others know. */
void serve_look_quiet(struct serve *s, const char *leg, bool due);
/* A leg lost its stream here: asked for again, unless another agent has it. */
void serve_look_missing(struct serve *s, const char *leg, const char *cause);

/* serve_commands.c */
int serve_commands_start(struct serve *s); /* an exit status; nothing to do without telnyx.api_key */
void serve_commands_stop(struct serve *s); /* before the loop's last turns */
bool serve_commands_ready(const struct serve *s);
/* A leg was answered: asks for its stream (telnyx.auto_stream). */
void serve_commands_answered(struct serve *s, const char *leg, const char *event_id);
/* A leg lost its stream: when Telnyx says that it is up, asks for it again. */
void serve_commands_stream_again(struct serve *s, const char *leg, const char *cause);
/* Asks Telnyx whether a leg is up; engine_elsewhere() hears the answer. False: there is nobody to ask. */
bool serve_commands_is_alive(struct serve *s, const char *leg);
/* What one of your people ordered; answers the request when Telnyx has. False: it could not be queued. */
bool serve_commands_order(struct serve *s, conn_id conn, const char *leg, enum command command);

/* serve_stop.c */
/* SIGTERM or SIGINT: drains for agent.drain_s, then stores what is open and stops; the second time at once. */
void serve_stop(struct serve *s, const char *signal);
void serve_stop_when_stored(struct serve *s); /* after answers of the store */
/* Whether a stop under way keeps us from taking it: then 503. */
bool serve_stop_refuses_event(const struct serve *s, const struct event *event);
/* `key` of the derived form in the path, NULL: no such. A socket that only its `start` names a leg for is let
 * in while draining, and closed 1001 by that `start` when the leg is new. */
bool serve_stop_refuses_socket(const struct serve *s, const struct moment *at, const char *key);
void serve_ready(struct serve *s);        /* READY=1: the listeners are open, or a reload is over */
void serve_tell_manager(struct serve *s); /* once a tick */

/* serve_reload.c */
void serve_reload(struct serve *s); /* SIGHUP */
void serve_say_what_is_open(const struct serve *s);

struct server_handlers serve_webhook_and_media(struct serve *s);
void serve_webhook_reply(struct serve *s, conn_id conn, int status, enum webhook_result result,
                         int64_t arrived_us);
struct server_handlers serve_admin(struct serve *s);
/* A member of /readyz's `reasons`. */
void serve_add_reason(json_t *reasons, const char *part, int64_t since_ms, const char *text);
void serve_reply_json(struct serve *s, conn_id conn, int status, const json_t *json);

#endif
