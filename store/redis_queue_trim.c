/* Trimming: only below what every group has acknowledged; a group that has read nothing for group_timeout_h is named
 * and no longer holds it. All of it is read from Redis (ids carry their time, consumers their idle time), so an
 * agent's restart changes nothing. Ids are times of Redis' clock; hours stand between it and ours before it matters. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/redis_internal.h"
#include "store/redis_queue_internal.h"

enum { GROUPS_MAX = 64, TRIM_AT_A_TIME_ROUNDS = 1000 };
static const char trim_at_a_time[] = "10000"; /* entries: Redis serves nobody else meanwhile */

struct stream_id {
  uint64_t ms, sequence;
};

struct group {
  char name[128];
  size_t name_bytes;
  int64_t pending;
  struct stream_id last_delivered, acknowledged; /* all entries below the latter are */
  bool idle;
};

static bool read_id(const struct redis_reply *reply, struct stream_id *out) {
  char *end;
  if (reply->kind != REDIS_TEXT) return false;
  out->ms = strtoull(reply->text, &end, 10);
  if (*end != '-') return false;
  out->sequence = strtoull(end + 1, &end, 10);
  return *end == '\0';
}

static bool id_less(struct stream_id a, struct stream_id b) {
  return a.ms != b.ms ? a.ms < b.ms : a.sequence < b.sequence;
}

static struct stream_id id_after(struct stream_id id) {
  if (id.sequence == UINT64_MAX) return (struct stream_id){id.ms + 1, 0};
  return (struct stream_id){id.ms, id.sequence + 1};
}

/* The value behind a name in XINFO's flat lists; NULL when it is not there. */
static const struct redis_reply *member(const struct redis_reply *list, const char *name) {
  for (size_t i = 0; list->kind == REDIS_ARRAY && i + 1 < list->count; i += 2)
    if (list->items[i].kind == REDIS_TEXT && strcmp(list->items[i].text, name) == 0)
      return &list->items[i + 1];
  return NULL;
}

/* How many, or -1: they cannot be known, and nothing may be trimmed. */
static int read_groups(struct redis_queue *q, struct group *groups) {
  const char *const argv[] = {"XINFO", "GROUPS", q->stream};
  const struct redis_reply *reply = redis_ask(q->redis, 3, argv, NULL);
  if (reply == NULL || reply->kind != REDIS_ARRAY || reply->count > GROUPS_MAX) {
    redis_queue_trouble(q, "groups", reply);
    return -1;
  }
  for (size_t i = 0; i < reply->count; i++) {
    const struct redis_reply *name = member(&reply->items[i], "name"),
                             *pending = member(&reply->items[i], "pending"),
                             *last = member(&reply->items[i], "last-delivered-id");
    struct group *g = &groups[i];
    *g = (struct group){0};
    if (name == NULL || name->bytes >= sizeof g->name || pending == NULL || last == NULL ||
        !read_id(last, &g->last_delivered)) {
      return -1;
    }
    memcpy(g->name, name->text, name->bytes);
    g->name_bytes = name->bytes;
    g->pending = pending->integer;
    g->acknowledged = id_after(g->last_delivered);
  }
  return (int)reply->count;
}

/* What is delivered but not acknowledged holds the trimming at its oldest entry. */
static bool read_pending(struct redis_queue *q, struct group *g) {
  const char *const argv[] = {"XPENDING", q->stream, g->name};
  const size_t bytes[] = {8, strlen(q->stream), g->name_bytes};
  if (g->pending == 0) return true;
  const struct redis_reply *reply = redis_ask(q->redis, 3, argv, bytes);
  if (reply == NULL || reply->kind != REDIS_ARRAY || reply->count < 2) {
    redis_queue_trouble(q, "pending entries", reply);
    return false;
  }
  if (reply->items[0].integer == 0) return true; /* acknowledged meanwhile */
  return read_id(&reply->items[1], &g->acknowledged);
}

/* The oldest entry that the group has still to read or to acknowledge; false: none. */
static bool oldest_owed(struct redis_queue *q, const struct group *g, struct stream_id *out, bool *good) {
  char from[48];
  snprintf(from, sizeof from, "(%" PRIu64 "-%" PRIu64, g->last_delivered.ms, g->last_delivered.sequence);
  const char *const argv[] = {"XRANGE", q->stream, from, "+", "COUNT", "1"};
  const struct redis_reply *reply = redis_ask(q->redis, 6, argv, NULL);
  *good = reply != NULL && reply->kind == REDIS_ARRAY;
  if (!*good) {
    redis_queue_trouble(q, "oldest entry", reply);
    return false;
  }
  if (reply->count > 0 && reply->items[0].count > 0) return read_id(&reply->items[0].items[0], out);
  *out = g->acknowledged;
  return g->pending > 0;
}

/* Somebody has asked for entries of the group within the time. */
static bool has_reader(struct redis_queue *q, const struct group *g, int64_t within_ms, bool *good) {
  const char *const argv[] = {"XINFO", "CONSUMERS", q->stream, g->name};
  const size_t bytes[] = {5, 9, strlen(q->stream), g->name_bytes};
  const struct redis_reply *reply = redis_ask(q->redis, 4, argv, bytes);
  *good = reply != NULL && reply->kind == REDIS_ARRAY;
  if (!*good) {
    redis_queue_trouble(q, "consumers", reply);
    return true;
  }
  for (size_t i = 0; i < reply->count; i++) {
    const struct redis_reply *idle = member(&reply->items[i], "idle");
    if (idle != NULL && idle->integer < within_ms) return true;
  }
  return false;
}

static bool judge(struct redis_queue *q, struct group *g, int64_t now_ms) {
  int64_t timeout_ms = q->options.group_timeout_h * 3600 * 1000;
  struct stream_id oldest;
  bool good;
  if (!read_pending(q, g)) return false;
  if (!oldest_owed(q, g, &oldest, &good)) return good;
  if ((int64_t)oldest.ms > now_ms - timeout_ms) return true;
  g->idle = !has_reader(q, g, timeout_ms, &good);
  return good;
}

static void name_idle(struct redis_queue *q, const struct group *groups, int count, int64_t now_ms) {
  char names[sizeof q->stats.idle_groups] = "";
  size_t length = 0;
  for (int i = 0; i < count; i++) {
    if (!groups[i].idle) continue;
    int n = snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "", groups[i].name);
    if (n > 0) length += (size_t)n;
    if (length >= sizeof names) length = sizeof names - 1;
  }
  pthread_mutex_lock(&q->lock);
  if (names[0] == '\0') q->stats.idle_since_ms = 0;
  if (names[0] != '\0' && q->stats.idle_groups[0] == '\0') q->stats.idle_since_ms = now_ms;
  memcpy(q->stats.idle_groups, names, sizeof names);
  pthread_mutex_unlock(&q->lock);
}

static int64_t trim_once(struct redis_queue *q, const char *below, bool exact) {
  const char *const all[] = {"XTRIM", q->stream, "MINID", "=", below};
  const char *const some[] = {"XTRIM", q->stream, "MINID", "~", below, "LIMIT", trim_at_a_time};
  const struct redis_reply *reply = redis_ask(q->redis, exact ? 5 : 7, exact ? all : some, NULL);
  redis_queue_trouble(q, "trimming", reply);
  return reply != NULL && reply->kind == REDIS_INTEGER ? reply->integer : -1;
}

/* Whole blocks first, in steps that Redis' other users do not feel; then to the entry. */
static void trim_below(struct redis_queue *q, struct stream_id id) {
  char below[48];
  int64_t trimmed = 0, now;
  snprintf(below, sizeof below, "%" PRIu64 "-%" PRIu64, id.ms, id.sequence);
  for (int i = 0; i < TRIM_AT_A_TIME_ROUNDS && (now = trim_once(q, below, false)) > 0; i++) trimmed += now;
  now = trim_once(q, below, true);
  if (now > 0) trimmed += now;
  pthread_mutex_lock(&q->lock);
  q->stats.trimmed += (uint64_t)trimmed;
  pthread_mutex_unlock(&q->lock);
}

void redis_queue_trim(struct redis_queue *q) {
  struct group groups[GROUPS_MAX];
  int64_t now_ms = wall_ms();
  int count = read_groups(q, groups);
  bool held = false;
  struct stream_id below = {0};
  for (int i = 0; i < count; i++) {
    if (!judge(q, &groups[i], now_ms)) return;
    if (groups[i].idle || (held && !id_less(groups[i].acknowledged, below))) continue;
    below = groups[i].acknowledged;
    held = true;
  }
  if (count <= 0) return;
  name_idle(q, groups, count, now_ms);
  /* Nobody reads at all: what is older than the timeout goes, the rest waits for whoever comes. */
  int64_t given_up_ms = now_ms - q->options.group_timeout_h * 3600 * 1000;
  if (!held && given_up_ms > 0) below = (struct stream_id){(uint64_t)given_up_ms, 0};
  trim_below(q, below);
}
