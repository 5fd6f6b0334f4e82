/* sidetone serve: starts, runs and stops the agent. */
#include "agent/serve.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/log.h"
#include "agent/serve_live.h"
#include "telnyx/hex.h"

enum {
  TICK_MS = 1000,
  TICK_LATE_US = 100 * 1000, /* the loop stood still; a busy one ticks on, its figures are due */
  TICK_PUT_OFF_MS = 20,      /* so that what came meanwhile is read first */
  PUT_OFFS_MAX = 5
};

struct moment serve_now(void) {
  return (struct moment){.mono_us = clock_mono_us(), .wall_us = clock_wall_us()};
}

/* ---- the loop's events ----------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake) {
  struct serve *s = wake->data;
  serve_store_answers(s);
  serve_stop_when_stored(s);
}

static void wake_loop(void *arg) {
  struct serve *s = arg;
  uv_async_send(&s->wake);
}

void serve_watch_store(struct serve *s, struct store_stats *stats) {
  store_stats(s->store, stats);
  if (stats->used_percent < 80) {
    s->store_short_since_ms = 0;
  } else if (s->store_short_since_ms == 0) {
    s->store_short_since_ms = serve_now().wall_us / 1000;
  }
  if (stats->writable) {
    s->store_away_since_ms = 0;
  } else if (s->store_away_since_ms == 0) {
    s->store_away_since_ms = serve_now().wall_us / 1000;
  }
}

static void watch_store(struct serve *s) {
  struct store_stats stats;
  serve_watch_store(s, &stats);
  if (stats.set_aside != s->store_set_aside) {
    log_event(LOG_ERROR, NULL, "a malformed database was set aside; what can be read of it is in its place",
              LOG_TEXT("file", stats.set_aside_last));
    s->store_set_aside = stats.set_aside;
  }
  if (stats.quarantined == s->metrics.store_quarantined) return;
  log_event(LOG_ERROR, NULL, "a stored row has a bad checksum: quarantine",
            LOG_TEXT("row", stats.quarantined_last), LOG_INT("rows", stats.quarantined));
  s->metrics.store_quarantined = stats.quarantined;
}

static void watch_memory(struct serve *s) {
  uint64_t refusals = memory_refusals_all();
  if (refusals == s->memory_refusals) return;
  log_event(LOG_ERROR, NULL, "memory was refused", LOG_INT("times", refusals - s->memory_refusals));
  s->memory_refusals = refusals;
}

static void on_tick(uv_timer_t *timer);

/* libuv runs timers before it reads. After a loop that stood still, what came in time waits in the sockets: judged now, it
 * would be missing. */
static bool put_off(struct serve *s, const struct moment *at) {
  bool late = at->mono_us - s->tick_due_us > TICK_LATE_US;
  bool wait = late && s->put_offs < PUT_OFFS_MAX;
  s->put_offs = wait ? s->put_offs + 1 : 0;
  uint64_t next_ms = wait ? TICK_PUT_OFF_MS : TICK_MS;
  s->tick_due_us = at->mono_us + (int64_t)next_ms * 1000;
  uv_timer_start(&s->tick, on_tick, next_ms, 0);
  return wait;
}

static void on_tick(uv_timer_t *timer) {
  struct serve *s = timer->data;
  struct moment at = serve_now();
  if (put_off(s, &at)) return;
  watch_store(s);
  serve_sinks_watch(s);
  watch_memory(s);
  if (!s->ending) engine_tick(s->engine, &at);
  serve_store_again(s);
  serve_tell_manager(s);
}

static void on_stop_signal(uv_signal_t *signal, int number) {
  serve_stop(signal->data, strsignal(number));
}

static void on_hangup_signal(uv_signal_t *signal, int number) {
  (void)number;
  serve_reload(signal->data);
}

/* ---- the start ------------------------------------------------------------------------------- */

static int open_store(struct serve *s) {
  char why[512];
  struct store_options options = {.directory = s->config.store_dir,
                                  .wake = wake_loop,
                                  .pulse = {supervise_pulse, &s->store_loop},
                                  .wake_arg = s};
  options.max_bytes = s->config.store_max_bytes;
  options.keep_delivered_ms = s->config.store_keep_delivered_s * 1000;
  if (options.keep_delivered_ms == 0)
    options.keep_delivered_ms = 1; /* 0 is for ever there, and at once here */
  serve_sinks_configured(s, options.sinks);
  memcpy(s->metrics.sink_configured, options.sinks, sizeof options.sinks);
  s->store_loop = supervise_loop("store");
  if (store_open(&s->store, &options, why, sizeof why) != 0) {
    return cli_failed("serve", "store.dir: %s", why);
  }
  snprintf(s->agent_id, sizeof s->agent_id, "%s", s->config.agent_id);
  if (s->agent_id[0] == '\0' && store_get_value(s->store, "agent.id", s->agent_id, sizeof s->agent_id) != 0) {
    s->agent_id[0] = '\0';
  }
  if (s->agent_id[0] == '\0') {
    unsigned char random[6];
    if (RAND_bytes(random, sizeof random) != 1) return cli_failed("serve", "no random bytes for agent.id");
    hex_encode(random, sizeof random, s->agent_id);
    if (store_put_value(s->store, "agent.id", s->agent_id) != 0) {
      return cli_failed("serve", "%s: the agent's id cannot be kept", s->config.store_dir);
    }
  }
  return EXIT_DONE;
}

static int make_engine(struct serve *s) {
  const struct engine_options options = {
      .fold = serve_fold_options(s),
      .agent_id = s->agent_id,
      .first_part = (uint64_t)(clock_wall_us() / 1000), /* later than any part of a former run */
      .stream_token = s->config.telnyx_stream_token,
      .interim_us = s->config.mongo_interim_s * 1000000,
      .asks_for_streams = s->config.telnyx_auto_stream,
      .published = s->live != NULL,
      .verbose = true,
  };
  struct engine_effects effects = serve_store_effects(s);
  serve_live_effects(s, &effects);
  s->engine = engine_create(&options, &effects, &s->metrics);
  return s->engine != NULL ? EXIT_DONE : cli_failed("serve", "no memory");
}

/* telnyx.insecure opens what is not closed by a key or a token of its own. */
void serve_say_what_is_open(const struct serve *s) {
  bool insecure = s->config.telnyx_insecure, no_key = s->keys.count == 0,
       no_token = s->config.telnyx_stream_token[0] == '\0';
  if (no_key) {
    log_event(LOG_WARN, NULL,
              insecure ? "INSECURE: unsigned webhooks are taken" : "no telnyx.public_key: webhooks get 401");
  }
  if (insecure && no_token)
    log_event(LOG_WARN, NULL, "INSECURE: media is taken without a token, from anywhere");
  if (insecure && !no_key && !no_token)
    log_event(LOG_WARN, NULL,
              "telnyx.insecure opens nothing: there are a key and a token, which are asked for");
}

static int open_listeners(struct serve *s) {
  static const struct server_limits limits = {
      .head_max_bytes = 16 * 1024, .body_max_bytes = 1024 * 1024, .request_max_ms = 10000};
  char why[512], public_bound[128], admin_bound[128];
  bool tls = s->config.listen_tls_certificate[0] != '\0';
  const struct server_listener public_listener = {
      .name = "public",
      .address = s->config.listen_public,
      .certificate = tls ? s->config.listen_tls_certificate : NULL,
      .private_key = tls ? s->config.listen_tls_private_key : NULL,
      .message_max_bytes = 2 * 1024 * 1024,
      .handlers = serve_webhook_and_media(s)};
  const struct server_listener admin_listener = {
      .name = "admin", .address = s->config.listen_admin, .handlers = serve_admin(s)};
  if (server_create(&s->server, &s->loop, &limits, why, sizeof why) != 0)
    return cli_failed("serve", "%s", why);
  if (server_listen(s->server, &public_listener, public_bound, sizeof public_bound, why, sizeof why) != 0)
    return cli_failed("serve", "listen.public: %s", why);
  if (server_listen(s->server, &admin_listener, admin_bound, sizeof admin_bound, why, sizeof why) != 0)
    return cli_failed("serve", "listen.admin: %s", why);
  serve_say_what_is_open(s);
  fprintf(stderr, "ready public=%s admin=%s\n", public_bound, admin_bound);
  return EXIT_DONE;
}

static void start_timers(struct serve *s) {
  uv_timer_init(&s->loop, &s->tick);
  uv_timer_init(&s->loop, &s->deadline);
  uv_signal_init(&s->loop, &s->term);
  uv_signal_init(&s->loop, &s->interrupt);
  uv_signal_init(&s->loop, &s->hangup);
  s->tick.data = s->deadline.data = s->term.data = s->interrupt.data = s->hangup.data = s;
  s->tick_due_us = clock_mono_us() + (int64_t)TICK_MS * 1000;
  uv_timer_start(&s->tick, on_tick, TICK_MS, 0);
  uv_signal_start(&s->term, on_stop_signal, SIGTERM);
  uv_signal_start(&s->interrupt, on_stop_signal, SIGINT);
  uv_signal_start(&s->hangup, on_hangup_signal, SIGHUP);
}

/* The loop turns while the server goes, so first everything goes that could still call the engine: the
 * store's thread with its wakes, ticks, signals. Look-ups under way end in the last turns. */
static void stop(struct serve *s, int status) {
  uv_handle_t *own[] = {(uv_handle_t *)&s->wake, (uv_handle_t *)&s->tick,      (uv_handle_t *)&s->deadline,
                        (uv_handle_t *)&s->term, (uv_handle_t *)&s->interrupt, (uv_handle_t *)&s->hangup};
  if (!serve_sinks_stop(s)) {
    log_event(LOG_WARN, NULL, "a server does not answer: what it was to get is in the outbox");
    _exit(status); /* that thread still uses the store; what is committed is safe */
  }
  serve_look_stop(s);
  if (s->store != NULL) store_close(s->store);
  serve_live_stop(s);
  serve_commands_stop(s);
  supervise_leave(s->store_loop);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) uv_close(own[i], NULL);
  server_destroy(s->server);
  s->server = NULL;
  engine_free(s->engine);
  serve_store_forget(s);
  supervisor_destroy(s->supervisor);
  uv_run(&s->loop, UV_RUN_DEFAULT);
  uv_loop_close(&s->loop);
}

static int run(struct serve *s) {
  char why[512];
  if (signature_keys_parse(s->config.telnyx_public_key, &s->keys, why, sizeof why) != 0) {
    fprintf(stderr, "sidetone serve: telnyx.public_key: %s\n", why);
    return EXIT_USAGE;
  }
  int error = uv_loop_init(&s->loop);
  if (error != 0) return cli_failed("serve", "no event loop: %s", uv_strerror(error));
  error = uv_async_init(&s->loop, &s->wake, on_wake);
  if (error != 0) {
    uv_loop_close(&s->loop);
    return cli_failed("serve", "no event loop: %s", uv_strerror(error));
  }
  s->wake.data = s;
  start_timers(s);
  s->supervisor = supervisor_create(&s->loop);
  int status = s->supervisor != NULL ? open_store(s) : cli_failed("serve", "no memory");
  if (status == EXIT_DONE) status = serve_live_start(s);
  if (status == EXIT_DONE) status = make_engine(s);
  if (status == EXIT_DONE) status = serve_commands_start(s);
  if (status == EXIT_DONE) status = serve_sinks_start(s);
  if (status == EXIT_DONE) {
    serve_store_recover(s);
    status = open_listeners(s);
  }
  if (status == EXIT_DONE) {
    serve_live_run(s);
    serve_ready(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
  }
  stop(s, status);
  return status;
}

int command_serve(int argc, char **argv) {
  struct cli cli;
  if (cli_parse(&cli, "serve", 0, argc, argv) != EXIT_DONE) return EXIT_USAGE;
  struct serve *s = calloc(1, sizeof *s);
  if (s == NULL) return cli_failed("serve", "no memory");
  s->cli = &cli;
  int status = cli_config(&cli, &s->config);
  if (status == EXIT_DONE) {
    status = cli_check_tls("serve", &s->config);
    if (status == EXIT_DONE) status = cli_check_servers("serve", &s->config);
    if (status == EXIT_DONE) status = run(s);
    config_free(&s->config);
  }
  free(s);
  return status;
}
