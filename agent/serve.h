/* The agent at work: listeners, engine and store on one loop. Split by who is talked to:
 * serve.c starts and stops, serve_store.c is the way to the disk and back, serve_telnyx.c is Telnyx's
 * side (webhooks and media), serve_admin.c your people's. All on the loop's thread. */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include <stdlib.h>

#include "agent/memory.h"
#include <uthash.h>
#include <uv.h>

#include "agent/cli.h"
#include "agent/engine.h"
#include "agent/metrics.h"
#include "agent/server.h"
#include "config/config.h"
#include "store/store.h"
#include "telnyx/signature.h"

struct owed;   /* serve_store.c: what the store has refused and gets again */
struct ticket; /* serve_store.c: what waits for the store's answer */

struct serve {
  struct cli *cli; /* to load the configuration again on SIGHUP */
  struct config config;
  char agent_id[65];
  uv_loop_t loop;
  uv_async_t wake; /* from the store's thread */
  uv_timer_t tick;
  uv_signal_t term, interrupt, hangup;
  uv_timer_t deadline; /* of the end */
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
  bool draining;
  int64_t store_away_since_ms, store_short_since_ms, draining_since_ms; /* epoch; 0: it is not so */
};

struct moment serve_now(void);
/* Asks the store how it is, and notes since when it cannot write: once a second, and when somebody asks. */
void serve_watch_store(struct serve *s, struct store_stats *stats);

/* serve_store.c */
struct engine_effects serve_store_effects(struct serve *s);
/* A verified event goes to disk; its webhook is answered after the commit. Takes the event over. */
void serve_store_event(struct serve *s, conn_id conn, const struct moment *at, struct event *event);
void serve_store_answers(struct serve *s);
void serve_store_again(struct serve *s); /* once a tick: what was refused */
bool serve_store_idle(const struct serve *s);
void serve_store_recover(struct serve *s); /* legs that were open when the last process ended */
void serve_store_forget(struct serve *s);

struct server_handlers serve_webhook_and_media(struct serve *s);
void serve_webhook_reply(struct serve *s, conn_id conn, int status, enum webhook_result result,
                         int64_t arrived_us);
struct server_handlers serve_admin(struct serve *s);

#endif
