/* A fixture played at a server, the way Telnyx does it. One loop: a timer lets events out at their time,
 * agent/net_ws.c and agent/net_http.c carry them. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "agent/clock.h"
#include "agent/freshen.h"
#include "agent/net_http.h"
#include "agent/net_progress.h"
#include "agent/net_target.h"
#include "agent/net_ws.h"
#include "agent/replay.h"
#include "agent/rfc6455.h"
#include "telnyx/event.h"

enum { PULSE_MS = 100, EVENTS_A_TURN = 512 };
#define EARLY_US  50
#define SYNC_US   (5 * 1000000LL)  /* a server that answers no ping is waited for no longer */
#define STALL_US  (30 * 1000000LL) /* nothing moves any more while there is something to send */
#define FINISH_US (5 * 1000000LL)  /* the same, after the last event */

enum { MAY_NOT_FAIL, MAY_FAIL };

struct player {
  struct fixture *fixture;
  const struct replay_net *net;
  struct net_target target;
  struct freshen *freshen;
  struct net_progress progress;
  uv_loop_t loop;
  /* uv's timers count whole milliseconds; media has to be more exact. */
  int timer_fd;
  uv_poll_t timer;
  uv_timer_t pulse;
  size_t handles;
  struct net_ws *ws;
  struct net_http *http;
  int64_t start_us; /* monotonic, of t = 0 */
  struct fixture_event event;
  bool event_waits, all_read, in_frames; /* `event` is to go out; none is left; the last one was a frame */
  int64_t waiting_us;                    /* since when order (speed 0) holds `event` up, 0: it does not */
  uint64_t moves, moves_seen;
  int64_t moved_us;
  bool failed, over;
};

/* ---- time ---- */

static void wake_at(struct player *p, int64_t us) {
  const struct itimerspec at = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
  timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static int64_t due_us(const struct player *p) {
  return p->net->speed > 0 ? p->start_us + (int64_t)((double)p->event.t_us / p->net->speed) : 0;
}

/* ---- what comes back ---- */

static void fail(struct player *p) {
  p->failed = true;
}

/* Before anything got through, going on makes no sense. */
static void fail_to_reach(struct player *p, const char *url, const char *why) {
  net_progress_say(&p->progress, "%s: %s", url, why);
  fail(p);
  if (p->progress.answered == 0 && p->progress.frames == 0) p->over = true;
}

static void on_moved(void *arg) {
  struct player *p = arg;
  p->moves++;
  wake_at(p, 1);
}

static void on_answer(void *arg, const struct net_http_answer *answer) {
  struct player *p = arg;
  on_moved(p);
  if (answer->status == 0) {
    p->progress.unanswered++;
    fail_to_reach(p, answer->url, answer->why);
    return;
  }
  p->progress.answered++;
  if (answer->status >= 200 && answer->status < 300) return;
  p->progress.refused++;
  net_progress_say(&p->progress, "webhook answered %d: %s", answer->status, answer->note);
  if (answer->tag == MAY_NOT_FAIL) fail(p);
}

/* Sockets that ended without our doing are told of at once; what they cost, at the end. */
static void watch_sockets(struct player *p) {
  uint64_t frames = 0;
  for (struct net_ws_socket *s = net_ws_sockets(p->ws); s != NULL; s = s->next) {
    frames += s->sent;
    if (s->state != NET_WS_ENDED || s->why[0] == '\0' || s->noted) continue;
    s->noted = true;
    if (s->was_open || s->status != 0) {
      net_progress_say(&p->progress, "%s: %s", s->url, s->why);
    } else {
      fail_to_reach(p, s->url, s->why);
    }
  }
  if (frames != p->progress.frames) p->moves++;
  p->progress.frames = frames;
}

/* ---- order at speed 0: no pace, but everything behind what came before it ---- */

static bool all_settled(struct player *p) {
  if (net_http_pending(p->http) > 0) return false;
  bool settled = true, waited = p->waiting_us != 0 && clock_mono_us() - p->waiting_us > SYNC_US;
  net_ws_sync(p->ws);
  for (struct net_ws_socket *s = net_ws_sockets(p->ws); s != NULL; s = s->next) {
    bool open = s->state == NET_WS_OPEN && s->close_wanted == 0 && s->queued == 0 && (s->synced || waited);
    settled = settled && (open || s->state == NET_WS_ENDED);
  }
  return settled;
}

static struct net_ws_socket *find_socket(const struct player *p, const char *name) {
  struct net_ws_socket *s = net_ws_sockets(p->ws);
  while (s != NULL && strcmp(s->name, name) != 0) s = s->next;
  return s;
}

static bool ready(struct player *p) {
  bool frame = p->event.kind == FIXTURE_WS_TEXT;
  if (p->net->speed <= 0 && !(frame && p->in_frames) && !all_settled(p)) {
    if (p->waiting_us == 0) p->waiting_us = clock_mono_us();
    return false;
  }
  p->waiting_us = 0;
  struct net_ws_socket *s = frame ? find_socket(p, p->event.socket) : NULL;
  return s == NULL || s->state == NET_WS_ENDED || net_ws_has_room(s);
}

/* ---- events out ---- */

static bool has_signature(const json_t *headers) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)headers, key, value) {
    if (strcasecmp(key, "telnyx-signature-ed25519") == 0 || strcasecmp(key, "telnyx-timestamp") == 0)
      return true;
  }
  return false;
}

/* May the server refuse it? When the fixture signs it itself, when it is no event, and when it was `raw`: the
 * reader hands a `body` out as jansson writes it, so any other text was. Gives the event type too. */
static bool may_fail(const struct fixture_event *e, char *type, size_t type_bytes) {
  struct event event;
  char why[256];
  bool is_event = event_parse(e->text, e->bytes, &event, why, sizeof why) == 0;
  char *text = is_event ? json_dumps(event.root, JSON_COMPACT) : NULL;
  bool body = text != NULL && strlen(text) == e->bytes && memcmp(text, e->text, e->bytes) == 0;
  snprintf(type, type_bytes, "%s", is_event ? event.type : "not an event");
  free(text);
  if (is_event) event_release(&event);
  return !body || has_signature(e->headers);
}

static bool send_webhook(struct player *p, const struct fixture_event *e) {
  char type[128];
  int tag = may_fail(e, type, sizeof type) ? MAY_FAIL : MAY_NOT_FAIL;
  struct net_http_post post = {.path = e->path, .headers = e->headers, .note = type, .tag = tag};
  post.body = freshen_text(p->freshen, e->text, e->bytes, &post.bytes);
  return post.body != NULL && net_http_post(p->http, &post) == 0;
}

static bool send_frame(struct player *p, struct net_ws_socket *s, const struct fixture_event *e) {
  size_t bytes;
  const char *text = freshen_text(p->freshen, e->text, e->bytes, &bytes);
  return text != NULL && net_ws_send(s, text, bytes) == 0;
}

static bool send_event(struct player *p) {
  const struct fixture_event *e = &p->event;
  struct net_ws_socket *s = NULL;
  p->progress.played_us = e->t_us;
  p->in_frames = e->kind == FIXTURE_WS_TEXT;
  if (e->kind == FIXTURE_HTTP) return send_webhook(p, e);
  if (e->kind == FIXTURE_WS_OPEN) return net_ws_open(p->ws, e->socket, e->path, e->headers) != NULL;
  if ((s = find_socket(p, e->socket)) == NULL) {
    net_progress_say(&p->progress, "the fixture uses a socket that is not open: %s", e->socket);
    fail(p);
    return true;
  }
  if (e->kind == FIXTURE_WS_TEXT) return send_frame(p, s, e);
  net_ws_close(s, e->close_code);
  return true;
}

/* ---- the end ---- */

static void report_losses(struct player *p) {
  for (struct net_ws_socket *s = net_ws_sockets(p->ws); s != NULL; s = s->next) {
    uint64_t lost = s->lost + s->queued;
    if (lost == 0) continue;
    net_progress_say(&p->progress, "%s: %llu frames could not be sent", s->url, (unsigned long long)lost);
    /* A normal close is the server's right: a newer socket took over, or the leg has ended. */
    if (s->close_got != RFC6455_NORMAL) fail(p);
  }
  if (net_http_pending(p->http) == 0) return;
  net_progress_say(&p->progress, "%zu webhooks have no answer yet", net_http_pending(p->http));
  p->progress.unanswered += net_http_pending(p->http);
  fail(p);
}

/* Sockets that the fixture leaves open are closed as replay without --to closes them. */
static void close_all(struct player *p) {
  for (struct net_ws_socket *s = net_ws_sockets(p->ws); s != NULL; s = s->next)
    net_ws_close(s, RFC6455_NO_CODE);
}

static bool all_closed(const struct player *p) {
  bool closed = net_http_pending(p->http) == 0;
  for (struct net_ws_socket *s = net_ws_sockets(p->ws); s != NULL; s = s->next) {
    closed = closed && s->state == NET_WS_ENDED;
  }
  return closed;
}

/* ---- the loop ---- */

static bool take_event(struct player *p) {
  if (!p->event_waits && !p->all_read) {
    p->event_waits = fixture_next(p->fixture, &p->event);
    p->all_read = !p->event_waits;
  }
  return p->event_waits;
}

static void no_memory(struct player *p) {
  net_progress_say(&p->progress, "no memory");
  fail(p);
  p->over = true;
}

static void play_on(struct player *p) {
  for (int i = 0; i < EVENTS_A_TURN && !p->over && take_event(p); i++) {
    int64_t due = due_us(p);
    if (due > clock_mono_us() + EARLY_US) {
      wake_at(p, due);
      return;
    }
    if (!ready(p)) return; /* on_moved() or the pulse looks again */
    p->event_waits = false;
    if (!send_event(p)) no_memory(p);
  }
  if (p->event_waits || !p->all_read) {
    wake_at(p, 1);
    return;
  }
  if (p->net->speed > 0 || all_settled(p)) close_all(p);
  if (all_closed(p)) p->over = true;
}

static void on_timer(uv_poll_t *timer, int status, int events) {
  struct player *p = timer->data;
  uint64_t expirations;
  (void)status;
  (void)events;
  if (read(p->timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail(p);
  watch_sockets(p);
  if (!p->over) play_on(p);
}

/* Bar, and an end to waiting for a server that does nothing any more. */
static void on_pulse(uv_timer_t *pulse) {
  struct player *p = pulse->data;
  int64_t now = clock_mono_us();
  watch_sockets(p);
  bool due = p->all_read || (p->event_waits && due_us(p) <= now);
  if (p->moves != p->moves_seen || !due) p->moved_us = now;
  p->moves_seen = p->moves;
  net_progress_show(&p->progress, now - p->start_us);
  if (now - p->moved_us > (p->all_read ? FINISH_US : STALL_US)) {
    if (!p->all_read) {
      net_progress_say(&p->progress, "%s: the server takes nothing any more", p->net->url);
      fail(p);
    }
    p->over = true;
  } else if (due && !p->over) {
    play_on(p);
  }
}

static void on_closed(uv_handle_t *handle) {
  struct player *p = handle->data;
  p->handles--;
}

static int begin(struct player *p, char *why, size_t why_bytes) {
  const struct freshen_rules rules = {fixture_epoch_us(p->fixture), clock_wall_us(), p->net->speed,
                                      p->net->fresh};
  const struct net_http_options http = {&p->loop, &p->target, p->net->seed, on_answer, p};
  snprintf(why, why_bytes, "no memory");
  p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (p->timer_fd < 0) {
    snprintf(why, why_bytes, "timer: %s", strerror(errno));
    return -1;
  }
  if (uv_poll_init(&p->loop, &p->timer, p->timer_fd) != 0) return -1;
  uv_timer_init(&p->loop, &p->pulse);
  p->timer.data = p->pulse.data = p;
  p->handles = 2;
  p->freshen = freshen_create(&rules);
  p->http = net_http_create(&http);
  if (p->freshen == NULL || p->http == NULL) return -1;
  p->ws = net_ws_create(&p->loop, &p->target, on_moved, p, why, why_bytes);
  if (p->ws == NULL) return -1;
  fixture_rewind(p->fixture);
  p->start_us = p->moved_us = clock_mono_us();
  p->progress.end_us = fixture_end_us(p->fixture);
  uv_poll_start(&p->timer, UV_READABLE, on_timer);
  uv_timer_start(&p->pulse, on_pulse, PULSE_MS, PULSE_MS);
  wake_at(p, 1);
  return 0;
}

/* Each runs the loop until its own handles are closed: nothing that plays may be called from there. */
static void end(struct player *p) {
  if (p->handles > 0) {
    uv_close((uv_handle_t *)&p->timer, on_closed);
    uv_close((uv_handle_t *)&p->pulse, on_closed);
  }
  while (p->handles > 0) uv_run(&p->loop, UV_RUN_NOWAIT);
  net_http_destroy(p->http);
  net_ws_destroy(p->ws);
  uv_loop_close(&p->loop);
  if (p->timer_fd >= 0) close(p->timer_fd);
  freshen_free(p->freshen);
  curl_global_cleanup();
}

int replay_over_network(struct fixture *fixture, const struct replay_net *net) {
  char why[256];
  struct player p = {.fixture = fixture, .net = net, .timer_fd = -1, .progress.bar = net->progress};
  if (net_target_parse(net->url, &p.target, why, sizeof why) != 0) {
    net_progress_say(&p.progress, "%s", why);
    return -1;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (uv_loop_init(&p.loop) != 0) {
    net_progress_say(&p.progress, "no event loop");
    curl_global_cleanup();
    return -1;
  }
  if (begin(&p, why, sizeof why) != 0) {
    net_progress_say(&p.progress, "%s", why);
    fail(&p);
  } else {
    while (!p.over) uv_run(&p.loop, UV_RUN_ONCE);
    watch_sockets(&p);
    report_losses(&p);
    net_progress_end(&p.progress);
  }
  end(&p);
  return p.failed ? -1 : 0;
}
