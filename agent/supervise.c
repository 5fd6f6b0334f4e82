#include "agent/supervise.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/clock.h"
#include "agent/log.h"
#include "agent/notify.h"

/* ---- the registry ---------------------------------------------------------------------------- */

struct place {
  atomic_bool taken;
  _Atomic(const char *) name;
  atomic_int_least64_t max_quiet_us; /* 0: promises nothing */
  atomic_int_least64_t beat_us;      /* monotonic */
};

static struct place places[SUPERVISED_MAX];

static struct place *place_of(int id) {
  return id >= 0 && id < SUPERVISED_MAX ? &places[id] : NULL;
}

int supervise_loop(const char *name) {
  for (int id = 0; id < SUPERVISED_MAX; id++) {
    bool taken = false;
    if (!atomic_compare_exchange_strong(&places[id].taken, &taken, true)) continue;
    atomic_store(&places[id].name, name);
    return id;
  }
  return -1;
}

/* The beat goes first: who reads the new promise reads the new beat too. */
void supervise_expect(int id, int64_t max_quiet_ms) {
  struct place *p = place_of(id);
  if (p == NULL) return;
  atomic_store(&p->beat_us, clock_mono_us());
  atomic_store(&p->max_quiet_us, max_quiet_ms * 1000);
}

void supervise_pulse(void *id, int64_t max_quiet_ms) {
  supervise_expect(*(const int *)id, max_quiet_ms);
}

void supervise_leave(int id) {
  struct place *p = place_of(id);
  if (p == NULL) return;
  atomic_store(&p->max_quiet_us, 0);
  atomic_store(&p->taken, false);
}

const char *supervise_overdue(int64_t now_us, int64_t *quiet_ms) {
  for (int id = 0; id < SUPERVISED_MAX; id++) {
    struct place *p = &places[id];
    int64_t most_us = atomic_load(&p->max_quiet_us), quiet_us = now_us - atomic_load(&p->beat_us);
    if (most_us == 0 || quiet_us <= most_us) continue;
    if (quiet_ms != NULL) *quiet_ms = quiet_us / 1000;
    return atomic_load(&p->name);
  }
  return NULL;
}

/* ---- the words ------------------------------------------------------------------------------- */

struct supervisor {
  struct notify notify;
  uv_timer_t feed;
  int handles; /* to be closed before it goes */
  bool withheld;
  char status[256]; /* as told last */
};

static void on_feed(uv_timer_t *timer) {
  struct supervisor *s = timer->data;
  int64_t quiet_ms = 0;
  const char *stuck = supervise_overdue(clock_mono_us(), &quiet_ms);
  if (stuck == NULL) {
    notify_say(&s->notify, "WATCHDOG=1");
  } else if (!s->withheld) {
    log_event(LOG_ERROR, NULL, "a loop is stuck: the watchdog is not fed", LOG_TEXT("loop", stuck),
              LOG_INT("quiet_ms", quiet_ms));
  }
  s->withheld = stuck != NULL;
}

struct supervisor *supervisor_create(uv_loop_t *loop) {
  uint64_t interval_us = 0;
  struct supervisor *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  notify_init(&s->notify, loop);
  uv_timer_init(loop, &s->feed);
  s->handles = 2;
  s->feed.data = s;
  if (sd_watchdog_enabled(0, &interval_us) <= 0) return s;
  uint64_t every_ms = interval_us / 2000 > 0 ? interval_us / 2000 : 1;
  uv_timer_start(&s->feed, on_feed, every_ms, every_ms);
  return s;
}

static void keep_status(struct supervisor *s, const char *status) {
  snprintf(s->status, sizeof s->status, "%s", status);
}

void supervisor_ready(struct supervisor *s, const char *status) {
  char words[sizeof s->status + 32];
  keep_status(s, status);
  snprintf(words, sizeof words, "READY=1\nSTATUS=%s", s->status);
  notify_say(&s->notify, words);
}

void supervisor_reloading(struct supervisor *s) {
  char words[128];
  snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
  notify_say(&s->notify, words);
}

void supervisor_stopping(struct supervisor *s, const char *status) {
  char words[sizeof s->status + 32];
  keep_status(s, status);
  snprintf(words, sizeof words, "STOPPING=1\nSTATUS=%s", s->status);
  notify_say(&s->notify, words);
}

void supervisor_extend(struct supervisor *s, int64_t ms) {
  char words[64];
  snprintf(words, sizeof words, "EXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
  notify_say(&s->notify, words);
}

void supervisor_status(struct supervisor *s, const char *status) {
  char words[sizeof s->status + 32];
  if (strncmp(s->status, status, sizeof s->status - 1) == 0) return;
  keep_status(s, status);
  snprintf(words, sizeof words, "STATUS=%s", s->status);
  notify_say(&s->notify, words);
}

static void on_closed(uv_handle_t *handle) {
  struct supervisor *s = handle->data;
  if (--s->handles == 0) free(s);
}

void supervisor_destroy(struct supervisor *s) {
  if (s == NULL) return;
  notify_close(&s->notify, s, on_closed);
  uv_close((uv_handle_t *)&s->feed, on_closed);
}
