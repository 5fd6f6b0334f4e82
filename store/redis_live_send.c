/* What the live sink says to Redis. Each row is one script: whether the leg is ours, the hash as a whole, its expiry,
 * the sorted set and the message happen together or not at all, so that no late row brings back the keys of a call
 * that has ended. All keys share the prefix's hash tag and are named to the script. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "store/clock.h"
#include "store/redis_internal.h"
#include "store/redis_live_internal.h"

enum { EXPIRY_MIN_MS = 5000, ARGUMENTS_MAX = 192, SWEEP_BATCH = 256 };

enum verdict { PUBLISHED = 1, ENDED = 2, PASSED = 3 };

/* KEYS: ended, owner, hash, calls. ARGV: has_socket, claim_ms, agent.id, expiry ms, start_ms, channel, message,
 * callLogId, then the hash. The owner's value is "<has_socket> <claim_ms> <agent.id>". */
static const char publish_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 1 then return 2 end\n"
    "local held = redis.call('GET', KEYS[2])\n"
    "if held then\n"
    "  local socket, ms, agent = string.match(held, '^(%d) (%d+) (.+)$')\n"
    "  if agent and agent ~= ARGV[3] then\n"
    "    local s, m = tonumber(ARGV[1]) - tonumber(socket), tonumber(ARGV[2]) - tonumber(ms)\n"
    "    if s < 0 or (s == 0 and (m < 0 or (m == 0 and ARGV[3] < agent))) then return 3 end\n"
    "  end\n"
    "end\n"
    "redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])\n"
    "redis.call('DEL', KEYS[3])\n"
    "redis.call('HSET', KEYS[3], unpack(ARGV, 9))\n"
    "redis.call('PEXPIRE', KEYS[3], ARGV[4])\n"
    "redis.call('ZADD', KEYS[4], ARGV[5], ARGV[8])\n"
    "redis.call('PUBLISH', ARGV[6], ARGV[7])\n"
    "return 1\n";

/* KEYS: calls, then the hash of each member; ARGV: the members. */
static const char sweep_script[] =
    "local gone = 0\n"
    "for i, member in ipairs(ARGV) do\n"
    "  if redis.call('EXISTS', KEYS[i + 1]) == 0 then gone = gone + redis.call('ZREM', KEYS[1], member) end\n"
    "end\n"
    "return gone\n";

struct key {
  char text[512];
};

static const char *key_of(const struct redis_live *l, const char *kind, const char *id, struct key *k) {
  snprintf(k->text, sizeof k->text, "%s%s%s", l->prefix, kind, id);
  return k->text;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void add_row(struct redis_live *l, const struct live_row *r) {
  struct key ended, owner, hash, calls, channel;
  char claim[24], expiry[24], start[24];
  int64_t expiry_ms = 3 * l->options.interval_ms;
  const char *argv[ARGUMENTS_MAX];
  size_t bytes[ARGUMENTS_MAX];
  snprintf(claim, sizeof claim, "%" PRId64, r->claim_ms > 0 ? r->claim_ms : 0);
  snprintf(expiry, sizeof expiry, "%" PRId64, expiry_ms > EXPIRY_MIN_MS ? expiry_ms : EXPIRY_MIN_MS);
  snprintf(start, sizeof start, "%" PRId64, r->start_ms);
  const char *const fixed[] = {r->again ? "EVAL" : "EVALSHA",
                               r->again ? publish_script : l->publish_sha,
                               "4",
                               key_of(l, "ended:", r->call_log_id, &ended),
                               key_of(l, "owner:", r->call_log_id, &owner),
                               key_of(l, "call:", r->call_log_id, &hash),
                               key_of(l, "calls", "", &calls),
                               r->has_socket ? "1" : "0",
                               claim,
                               l->options.agent_id,
                               expiry,
                               start,
                               key_of(l, "live", "", &channel),
                               r->message,
                               r->call_log_id};
  size_t count = sizeof fixed / sizeof *fixed;
  memcpy(argv, fixed, sizeof fixed);
  for (size_t i = 0; i < r->text_count && count < ARGUMENTS_MAX; i++) argv[count++] = r->texts[i];
  for (size_t i = 0; i < count; i++) bytes[i] = strlen(argv[i]);
  redis_add(l->redis, (int)count, argv, bytes);
}

void live_name_script(struct redis_live *l) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  EVP_Digest(publish_script, sizeof publish_script - 1, digest, &bytes, EVP_sha1(), NULL);
  for (unsigned i = 0; i < bytes && i < 20; i++)
    snprintf(&l->publish_sha[(size_t)2 * i], 3, "%02x", (unsigned)digest[i]);
}

struct publishing {
  struct redis_live *l;
  struct live_row **rows;
  int64_t answered_us;
  size_t unknown; /* the server has not met the script yet */
};

static void count_published(struct redis_live *l, const struct live_row *r, int64_t answered_us) {
  pthread_mutex_lock(&l->lock);
  l->stats.published++;
  l->stats.tick_to_redis_seconds_last = (double)(answered_us - r->ticked_us) * 1e-6;
  pthread_mutex_unlock(&l->lock);
  if (l->options.published != NULL)
    l->options.published(l->options.arg, r->ticked_us, r->frame_us, answered_us);
}

static void on_row_answer(void *arg, size_t index, const struct redis_reply *reply) {
  struct publishing *p = arg;
  struct redis_live *l = p->l;
  struct live_row *r = p->rows[index];
  if (p->answered_us == 0) p->answered_us = monotonic_us();
  if (reply->kind == REDIS_ERROR && strncmp(reply->text, "NOSCRIPT", 8) == 0) {
    r->again = true;
    p->unknown++;
  } else if (reply->kind != REDIS_INTEGER) {
    live_away(l, reply);
    pthread_mutex_lock(&l->lock);
    l->stats.errors++;
    pthread_mutex_unlock(&l->lock);
  } else if (reply->integer == PUBLISHED) {
    count_published(l, r, p->answered_us);
  } else if (l->options.passed != NULL) {
    l->options.passed(l->options.arg, r->call_log_id, reply->integer == ENDED);
  }
}

static bool send_rows(struct publishing *p, size_t count) {
  for (size_t i = 0; i < count; i++) add_row(p->l, p->rows[i]);
  p->unknown = 0;
  p->answered_us = 0;
  return redis_flush(p->l->redis, on_row_answer, p);
}

bool live_publish(struct redis_live *l, struct live_row **rows, size_t count) {
  struct publishing p = {.l = l, .rows = rows};
  struct live_row *unknown[LIVE_BATCH];
  if (!send_rows(&p, count)) return false;
  if (p.unknown > 0) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
      if (rows[i]->again) unknown[left++] = rows[i];
    p.rows = unknown;
    if (!send_rows(&p, left)) return false;
  }
  return true;
}

/* ---- ends ------------------------------------------------------------------------------------ */

enum { END_COMMANDS = 5 };

static void add_end(struct redis_live *l, const char *id) {
  struct key owner, hash, calls, ended;
  const char *const multi[] = {"MULTI"}, *const exec[] = {"EXEC"};
  const char *const delete[] = {"DEL", key_of(l, "call:", id, &hash), key_of(l, "owner:", id, &owner)};
  const char *const remove[] = {"ZREM", key_of(l, "calls", "", &calls), id};
  const char *const set[] = {"SET", key_of(l, "ended:", id, &ended), l->options.agent_id, "EX", "300"};
  redis_add(l->redis, 1, multi, NULL);
  redis_add(l->redis, 3, delete, NULL);
  redis_add(l->redis, 3, remove, NULL);
  redis_add(l->redis, 5, set, NULL);
  redis_add(l->redis, 1, exec, NULL);
}

struct ending {
  struct redis_live *l;
  bool *refused; /* of each end */
};

static void on_end_answer(void *arg, size_t index, const struct redis_reply *reply) {
  struct ending *e = arg;
  if (reply->kind != REDIS_ERROR) return;
  if (!e->refused[index / END_COMMANDS]) live_away(e->l, reply); /* the first refusal is the cause */
  e->refused[index / END_COMMANDS] = true;
}

bool live_send_ends(struct redis_live *l, struct live_end **ends) {
  struct live_end *kept = NULL;
  while (*ends != NULL) {
    struct live_end *batch = *ends;
    bool refused[LIVE_BATCH] = {false};
    size_t count = 0;
    struct live_end *e = batch;
    for (; e != NULL && count < LIVE_BATCH; e = e->next, count++) add_end(l, e->call_log_id);
    if (!redis_flush(l->redis, on_end_answer, &(struct ending){l, refused})) break;
    for (size_t i = 0; i < count; i++) {
      struct live_end *one = *ends;
      *ends = one->next;
      if (refused[i]) {
        one->next = kept;
        kept = one;
      } else {
        free(one);
      }
    }
  }
  while (kept != NULL) {
    struct live_end *e = kept;
    kept = e->next;
    e->next = *ends;
    *ends = e;
  }
  return redis_ready(l->redis, NULL);
}

/* ---- members without a hash ------------------------------------------------------------------ */

/* The members of `calls` that are looked at now, as the arguments of the script. Texts are the reply's. */
static size_t sweep_arguments(struct redis_live *l, const struct redis_reply *members, struct key *keys,
                              const char **argv) {
  size_t count = members->count < SWEEP_BATCH ? members->count : SWEEP_BATCH, n = 3;
  static const char *const begin[] = {"EVAL", sweep_script};
  memcpy(argv, begin, sizeof begin);
  argv[n++] = key_of(l, "calls", "", &keys[0]);
  for (size_t i = 0; i < count; i++) argv[n++] = key_of(l, "call:", members->items[i].text, &keys[i + 1]);
  for (size_t i = 0; i < count; i++) argv[n++] = members->items[i].text;
  return n;
}

static bool remove_gone(struct redis_live *l, const struct redis_reply *members) {
  size_t count = members->count;
  struct key *keys = calloc(count + 1, sizeof *keys);
  const char **argv = calloc(2 * count + 4, sizeof *argv);
  char key_count[24];
  bool good = true;
  if (keys != NULL && argv != NULL) {
    size_t argc = sweep_arguments(l, members, keys, argv);
    snprintf(key_count, sizeof key_count, "%zu", count + 1);
    argv[2] = key_count;
    /* The arguments are copied before the reply that they point into is freed. */
    const struct redis_reply *gone = redis_ask(l->redis, (int)argc, argv, NULL);
    good = gone != NULL;
    if (good && gone->kind == REDIS_INTEGER) l->sweep_from -= (long)gone->integer;
    if (good && gone->kind == REDIS_ERROR) live_away(l, gone);
  }
  free(keys);
  free(argv);
  return good;
}

bool live_sweep(struct redis_live *l) {
  struct key calls;
  char from[24], to[24];
  snprintf(from, sizeof from, "%ld", l->sweep_from);
  snprintf(to, sizeof to, "%ld", l->sweep_from + SWEEP_BATCH - 1);
  const char *const argv[] = {"ZRANGE", key_of(l, "calls", "", &calls), from, to};
  const struct redis_reply *members = redis_ask(l->redis, 4, argv, NULL);
  if (members == NULL) return false;
  if (members->kind == REDIS_ERROR) live_away(l, members);
  size_t count = members->kind == REDIS_ARRAY ? members->count : 0;
  l->sweeping = count == SWEEP_BATCH;
  l->sweep_from += (long)count;
  return count == 0 || remove_gone(l, members);
}

bool live_look_at_policy(struct redis_live *l) {
  static const char *const argv[] = {"INFO", "memory"};
  char policy[sizeof l->stats.eviction];
  const struct redis_reply *reply = redis_ask(l->redis, 2, argv, NULL);
  if (reply == NULL) return false;
  redis_info_field(reply, "maxmemory_policy", policy, sizeof policy);
  bool loses = redis_policy_loses(policy);
  pthread_mutex_lock(&l->lock);
  if (loses != (l->stats.eviction[0] != '\0')) l->stats.eviction_since_ms = loses ? wall_ms() : 0;
  snprintf(l->stats.eviction, sizeof l->stats.eviction, "%s", loses ? policy : "");
  pthread_mutex_unlock(&l->lock);
  return true;
}
