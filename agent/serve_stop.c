/* The end, and what the service manager hears on the way there.
 *
 *   SIGTERM ──> draining: new legs are refused, known ones go on     (agent.drain_s; 0: none of this)
 *           ──> ending:   what is open is stored as it stands, the store has 4 s
 *           ──> finish */
#include <inttypes.h>
#include <stdio.h>

#include "agent/log.h"
#include "agent/serve_live.h"
#include "agent/serve.h"

enum {
  STOP_WITHIN_MS = 4000,
  PATIENCE_MS = 10000, /* of the manager, from tick to tick: a busy machine's tick is not late by that */
  STATUS_EVERY_TICKS = 5
};

/* ---- what the manager hears ------------------------------------------------------------------ */

static void describe(const struct serve *s, char *out, size_t out_bytes) {
  int length = snprintf(out, out_bytes, "%zu calls live, %" PRIu64 " streams open",
                        engine_calls_live(s->engine), s->metrics.streams_open);
  if (length < 0 || (size_t)length >= out_bytes) return;
  if (s->ending) {
    snprintf(out + length, out_bytes - (size_t)length, "; stopping");
  } else if (s->draining) {
    int64_t left_s = (s->cut_at_us - serve_now().mono_us) / 1000000;
    snprintf(out + length, out_bytes - (size_t)length, "; draining, %" PRId64 " s left",
             left_s > 0 ? left_s : 0);
  } else if (s->store_away_since_ms != 0) {
    snprintf(out + length, out_bytes - (size_t)length, "; the store cannot write");
  }
}

void serve_ready(struct serve *s) {
  char status[128];
  describe(s, status, sizeof status);
  supervisor_ready(s->supervisor, status);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Everything is on disk, or the time is up. */
static void finish(struct serve *s) {
  uv_stop(&s->loop);
}

void serve_stop_when_stored(struct serve *s) {
  if (s->ending && serve_store_idle(s)) finish(s);
}

static void on_end_deadline(uv_timer_t *timer) {
  log_event(LOG_WARN, NULL, "stopped before everything was stored");
  finish(timer->data);
}

static void end(struct serve *s) {
  struct moment at = serve_now();
  s->ending = true;
  server_stop_listening(s->server);
  size_t cut = engine_shutdown(s->engine, &at);
  serve_live_finish(s);
  log_event(LOG_INFO, NULL, "drained",
            LOG_INT("calls_ended", engine_calls_ended(s->engine) - s->ended_before),
            LOG_INT("calls_cut", cut));
  supervisor_extend(s->supervisor, PATIENCE_MS);
  uv_timer_start(&s->deadline, on_end_deadline, STOP_WITHIN_MS, 0);
  serve_stop_when_stored(s);
}

/* ---- the drain ------------------------------------------------------------------------------- */

static void on_drain_deadline(uv_timer_t *timer) {
  end(timer->data);
}

/* What the store still has may be the first event of a call. */
static bool nothing_is_up(const struct serve *s) {
  return engine_all_ended(s->engine) && serve_store_idle(s);
}

void serve_stop(struct serve *s, const char *signal) {
  if (s->ending) return;
  struct moment at = serve_now();
  int64_t drain_ms = s->draining ? 0 : s->config.agent_drain_s * 1000;
  log_event(LOG_INFO, NULL, s->draining ? "stopping at once" : "stopping", LOG_TEXT("signal", signal),
            LOG_INT("calls", engine_calls_live(s->engine)), LOG_INT("drain_s", drain_ms / 1000));
  if (!s->draining) {
    s->draining = true;
    s->draining_since_ms = at.wall_us / 1000;
    s->ended_before = engine_calls_ended(s->engine);
  }
  s->cut_at_us = at.mono_us + drain_ms * 1000;
  char status[128];
  describe(s, status, sizeof status);
  supervisor_stopping(s->supervisor, status);
  if (drain_ms == 0 || nothing_is_up(s)) {
    end(s);
    return;
  }
  engine_take_no_new(s->engine);
  supervisor_extend(s->supervisor, PATIENCE_MS);
  uv_timer_start(&s->deadline, on_drain_deadline, (uint64_t)drain_ms, 0);
}

void serve_tell_manager(struct serve *s) {
  if (s->draining && !s->ending) {
    if (nothing_is_up(s)) {
      end(s);
      return;
    }
    supervisor_extend(s->supervisor, PATIENCE_MS);
  }
  if (++s->status_ticks % STATUS_EVERY_TICKS != 0 && !s->draining) return;
  char status[128];
  describe(s, status, sizeof status);
  supervisor_status(s->supervisor, status);
}

bool serve_stop_refuses_event(const struct serve *s, const struct event *event) {
  if (s->ending || !s->draining) return s->ending;
  return event->call_control_id != NULL && !engine_knows(s->engine, event->call_control_id);
}

bool serve_stop_refuses_socket(const struct serve *s, const struct moment *at, const char *key) {
  if (s->ending || !s->draining) return s->ending;
  return key != NULL && !engine_knows_key(s->engine, key, at->wall_us / 1000000);
}
