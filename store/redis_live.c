/* Live figures: a bounded queue, and the thread that empties it (contract.md 5). Nothing of it is on disk: of a call
 * only the newest row counts, and while Redis is away rows are replaced by newer ones. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/clock.h"
#include "store/redis_internal.h"
#include "store/redis_live_internal.h"

enum {
  ROWS_MAX = 65536,
  ENDED_FOR_MS = 300000, /* after that nobody asks for `ended` */
  STALE_MIN_MS = 2000,
  AWAY_WAIT_MS = 50,
  DROP_ENDS_EVERY_MS = 1000,
  POLICY_EVERY_MS = 10000,
  TURN_QUIET_MS = 300000,
  REFUSED_FOR_MS = 10000
};

/* ---- the state that others see --------------------------------------------------------------- */

void live_away(struct redis_live *l, const struct redis_reply *reply) {
  struct sink_outcome outcome = {0};
  if (reply != NULL) redis_classify(reply, &outcome);
  pthread_mutex_lock(&l->lock);
  struct redis_live_stats *s = &l->stats;
  if (!s->away) s->away_since_ms = wall_ms();
  s->away = true;
  snprintf(s->reason, sizeof s->reason, "%s", reply != NULL ? outcome.reason : redis_error(l->redis, NULL));
  pthread_mutex_unlock(&l->lock);
  if (reply != NULL) l->refused_ms = monotonic_ms();
}

/* Not at the first turn that had nothing to write: a refusal counts until something is taken, or for a while. */
static void live_back(struct redis_live *l, bool wrote) {
  if (l->refused_ms != 0 && !wrote && monotonic_ms() - l->refused_ms < REFUSED_FOR_MS) return;
  l->refused_ms = 0;
  pthread_mutex_lock(&l->lock);
  l->stats.away = false;
  l->stats.away_since_ms = 0;
  l->stats.reason[0] = '\0';
  pthread_mutex_unlock(&l->lock);
}

void redis_live_stats(struct redis_live *l, struct redis_live_stats *out) {
  pthread_mutex_lock(&l->lock);
  *out = l->stats;
  pthread_mutex_unlock(&l->lock);
}

/* ---- what comes in --------------------------------------------------------------------------- */

static const char *put_text(char **at, const char *text) {
  const char *begin = *at;
  size_t bytes = strlen(text) + 1;
  memcpy(*at, text, bytes);
  *at += bytes;
  return begin;
}

static struct live_row *copy_row(const struct redis_live_row *row) {
  size_t texts = row->field_count * 2, bytes = strlen(row->call_log_id) + strlen(row->message) + 2;
  for (size_t i = 0; i < row->field_count; i++)
    bytes += strlen(row->fields[i].name) + strlen(row->fields[i].value) + 2;
  struct live_row *r = malloc(sizeof *r + texts * sizeof *r->texts + bytes);
  if (r == NULL) return NULL;
  *r = (struct live_row){.start_ms = row->start_ms,
                         .claim_ms = row->claim_ms,
                         .has_socket = row->has_socket,
                         .ticked_us = row->ticked_us,
                         .frame_us = row->frame_us,
                         .text_count = texts};
  char *at = (char *)&r->texts[texts];
  r->call_log_id = put_text(&at, row->call_log_id);
  r->message = put_text(&at, row->message);
  for (size_t i = 0; i < row->field_count; i++) {
    r->texts[2 * i] = put_text(&at, row->fields[i].name);
    r->texts[2 * i + 1] = put_text(&at, row->fields[i].value);
  }
  return r;
}

/* Takes a waiting row of the call out; NULL when there is none. Locked. */
static struct live_row *take_row(struct redis_live *l, const char *call_log_id) {
  struct live_row *r;
  HASH_FIND_STR(l->rows, call_log_id, r);
  if (r != NULL) HASH_DEL(l->rows, r);
  return r;
}

bool redis_live_put(struct redis_live *l, const struct redis_live_row *row) {
  struct live_row *r = copy_row(row);
  pthread_mutex_lock(&l->lock);
  struct live_row *older = take_row(l, row->call_log_id);
  bool room = r != NULL && HASH_COUNT(l->rows) < ROWS_MAX;
  if (older != NULL && r != NULL && older->frame_us != 0)
    r->frame_us = older->frame_us; /* still unpublished */
  if (room) {
    HASH_ADD_KEYPTR(hh, l->rows, r->call_log_id, strlen(r->call_log_id), r);
    room = r->hh.tbl != NULL; /* no memory */
  }
  l->stats.dropped += !room;
  pthread_cond_signal(&l->work);
  pthread_mutex_unlock(&l->lock);
  free(older);
  if (!room) free(r);
  return room;
}

bool redis_live_end(struct redis_live *l, const char *call_log_id) {
  size_t bytes = strlen(call_log_id) + 1;
  struct live_end *e = malloc(sizeof *e + bytes);
  if (e == NULL) return false;
  e->until_ms = monotonic_ms() + ENDED_FOR_MS;
  memcpy(e->call_log_id, call_log_id, bytes);
  pthread_mutex_lock(&l->lock);
  free(take_row(l, call_log_id));
  e->next = l->ends;
  l->ends = e;
  pthread_cond_signal(&l->work);
  pthread_mutex_unlock(&l->lock);
  return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct timespec in_ms(int64_t ms) {
  return timespec_of_ms(monotonic_ms() + ms);
}

/* At most `ms`. Locked, both. */
static void wait_for_work(struct redis_live *l, int64_t ms) {
  struct timespec until = in_ms(ms);
  while (!l->stop && l->rows == NULL && l->ends == NULL)
    if (pthread_cond_timedwait(&l->work, &l->lock, &until) != 0) return;
}

/* Ends that nobody asks for any more must not pile up while Redis is away for days. Locked. */
static void drop_old_ends(struct redis_live *l) {
  int64_t now_ms = monotonic_ms();
  if (now_ms - l->dropped_ends_ms < DROP_ENDS_EVERY_MS) return;
  l->dropped_ends_ms = now_ms;
  for (struct live_end **at = &l->ends; *at != NULL;) {
    struct live_end *e = *at;
    if (e->until_ms > now_ms) {
      at = &e->next;
      continue;
    }
    *at = e->next;
    free(e);
  }
}

static void wait_while_away(struct redis_live *l) {
  struct timespec until = in_ms(AWAY_WAIT_MS);
  drop_old_ends(l);
  while (pthread_cond_timedwait(&l->work, &l->lock, &until) == 0) continue;
}

static size_t take_batch(struct redis_live *l, struct live_row **batch) {
  int64_t oldest_us =
      monotonic_us() -
      1000 * (2 * l->options.interval_ms > STALE_MIN_MS ? 2 * l->options.interval_ms : STALE_MIN_MS);
  size_t count = 0;
  struct live_row *r, *next;
  HASH_ITER(hh, l->rows, r, next) {
    if (count == LIVE_BATCH) break;
    HASH_DEL(l->rows, r);
    if (r->ticked_us >= oldest_us) {
      batch[count++] = r;
    } else {
      l->stats.dropped++; /* Redis was away: figures of then say nothing of now */
      free(r);
    }
  }
  return count;
}

static void put_ends_back(struct redis_live *l, struct live_end *left) {
  int64_t now_ms = monotonic_ms();
  pthread_mutex_lock(&l->lock);
  while (left != NULL) {
    struct live_end *e = left;
    left = e->next;
    if (e->until_ms <= now_ms) {
      free(e);
    } else {
      e->next = l->ends;
      l->ends = e;
    }
  }
  pthread_mutex_unlock(&l->lock);
}

/* What is due besides rows. False: the connection is gone. */
static bool look_around(struct redis_live *l) {
  int64_t now_ms = monotonic_ms();
  if (now_ms - l->policy_ms >= POLICY_EVERY_MS || l->policy_ms == 0) {
    l->policy_ms = now_ms;
    if (!live_look_at_policy(l)) return false;
  }
  if (!l->sweeping && now_ms - l->swept_ms >= l->options.interval_ms) {
    l->sweeping = true;
    l->sweep_from = 0;
    l->swept_ms = now_ms;
  }
  return !l->sweeping || live_sweep(l);
}

/* One turn: ends first, then rows. False: Redis is away. */
static bool turn(struct redis_live *l) {
  struct live_row *batch[LIVE_BATCH];
  bool fresh;
  if (!redis_ready(l->redis, &fresh)) return false;
  if (fresh) l->policy_ms = 0;
  pthread_mutex_lock(&l->lock);
  struct live_end *ends = l->ends;
  l->ends = NULL;
  size_t count = l->stop ? 0 : take_batch(l, batch);
  pthread_mutex_unlock(&l->lock);
  bool wrote = ends != NULL || count > 0;
  int64_t began_ms = monotonic_ms();
  bool good = live_send_ends(l, &ends);
  put_ends_back(l, ends);
  good = good && (count == 0 || live_publish(l, batch, count));
  for (size_t i = 0; i < count; i++) free(batch[i]);
  good = good && look_around(l);
  if (good && (l->refused_ms == 0 || l->refused_ms < began_ms)) live_back(l, wrote);
  return good;
}

static bool go_on(struct redis_live *l) {
  return !l->stop || (l->ends != NULL && monotonic_ms() < l->give_up_ms);
}

static void *run(void *arg) {
  struct redis_live *l = arg;
  pthread_mutex_lock(&l->lock);
  while (go_on(l)) {
    bool refused = l->stats.away;
    pthread_mutex_unlock(&l->lock);
    pulse_expect(&l->options.pulse, TURN_QUIET_MS);
    bool there = turn(l);
    pulse_expect(&l->options.pulse, 0);
    if (!there) live_away(l, NULL);
    pthread_mutex_lock(&l->lock);
    int64_t next_ms = l->sweeping ? 0 : l->swept_ms + l->options.interval_ms - monotonic_ms();
    if (!there || (refused && l->stats.away)) {
      wait_while_away(l);
    } else if (next_ms > 0) {
      wait_for_work(l, next_ms);
    }
  }
  l->ended = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void live_free(struct redis_live *l) {
  struct live_row *r, *next;
  HASH_ITER(hh, l->rows, r, next) {
    HASH_DEL(l->rows, r);
    free(r);
  }
  while (l->ends != NULL) {
    struct live_end *e = l->ends;
    l->ends = e->next;
    free(e);
  }
  redis_free(l->redis);
  pthread_cond_destroy(&l->work);
  pthread_mutex_destroy(&l->lock);
  free((void *)(uintptr_t)l->options.agent_id);
  free(l->prefix);
  free(l);
}

int redis_live_start(struct redis_live **out, const struct redis_live_options *options, char *why,
                     size_t why_bytes) {
  struct redis_live *l = calloc(1, sizeof *l);
  *out = NULL;
  snprintf(why, why_bytes, "no memory");
  if (l == NULL) return -1;
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&l->work, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&l->lock, NULL);
  l->options = *options;
  live_name_script(l);
  l->options.agent_id = strdup(options->agent_id);
  l->prefix = strdup(options->redis.prefix);
  if (l->options.agent_id != NULL && l->prefix != NULL &&
      redis_create(&l->redis, &options->redis, why, why_bytes) == 0) {
    int error = pthread_create(&l->thread, NULL, run, l);
    if (error == 0) {
      *out = l;
      return 0;
    }
    snprintf(why, why_bytes, "no thread: %s", strerror(error));
  }
  live_free(l);
  return -1;
}

static void finish(struct redis_live *l) {
  if (l->stop) return;
  l->stop = true;
  l->give_up_ms = monotonic_ms() + l->options.redis.timeout_ms;
  pthread_cond_broadcast(&l->work);
}

void redis_live_finish(struct redis_live *l) {
  pthread_mutex_lock(&l->lock);
  finish(l);
  pthread_mutex_unlock(&l->lock);
}

void redis_live_stop(struct redis_live *l) {
  if (l == NULL) return;
  pthread_mutex_lock(&l->lock);
  finish(l);
  struct timespec until = timespec_of_ms(l->give_up_ms);
  while (!l->ended && pthread_cond_timedwait(&l->work, &l->lock, &until) == 0) continue;
  pthread_mutex_unlock(&l->lock);
  redis_interrupt(l->redis);
  pthread_join(l->thread, NULL);
  live_free(l);
}
