/* The queue of the analytics loader (contract.md 5): rows -> legs -> documents read back -> entries of ended legs.
 *
 * One transaction a batch, several when it is large, one after the other:
 *   MULTI
 *     HGET outbox agent.id          what it was: tells a tail that was lost while we were connected
 *     XADD calllogs * ...           one a leg that has ended
 *     EVAL: HSET outbox agent.id row   in the last one of the batch: until then rows of it are not in the queue;
 *                                   and only if nothing is lost of what was sent: a row that is set behind a hole
 *                                   would hide it from a process that dies before it has gone back
 *     HINCRBY outbox agent.id:additions 1
 *   EXEC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_queue_internal.h"

enum { BATCH_MAX = 256, TRANSACTION_BYTES = 4 * 1024 * 1024 };

struct leg {
  const char *leg;
  bool has_entry;
  struct redis_queue_entry entry;
  struct sink_outcome outcome; /* of all its rows in the batch */
};

struct batch {
  struct redis_queue *q;
  struct leg *legs;
  size_t count;
};

static void away(struct sink_outcome *out, const char *kind, const char *reason) {
  *out = (struct sink_outcome){.result = SINK_AWAY};
  snprintf(out->kind, sizeof out->kind, "%s", kind);
  snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static void redis_away(struct redis_queue *q, struct sink_outcome *out) {
  const char *kind, *text = redis_error(q->redis, &kind);
  away(out, kind, text);
}

static void entry_free(struct redis_queue_entry *e) {
  free(e->call_log_id);
  free(e->id);
  free(e->updated_at);
  free(e->document);
  *e = (struct redis_queue_entry){0};
}

/* ---- documents ------------------------------------------------------------------------------- */

static struct leg *find_leg(struct batch *b, const char *leg) {
  for (size_t i = 0; i < b->count; i++)
    if (strcmp(b->legs[i].leg, leg) == 0) return &b->legs[i];
  return NULL;
}

static void take_document(struct batch *b, const char *leg, const void *document, size_t bytes,
                          bool is_bson) {
  struct leg *l = find_leg(b, leg);
  if (l == NULL || l->has_entry) return;
  const struct redis_queue_options *o = &b->q->options;
  int made = o->entry(o->arg, leg, document, bytes, is_bson, &l->entry);
  if (made < 0) away(&l->outcome, "memory", "no memory for the entry");
  l->has_entry = made > 0;
}

static void on_bson(void *arg, const char *leg, const uint8_t *bson, size_t bytes) {
  take_document(arg, leg, bson, bytes, true);
}

static bool read_documents(struct batch *b, struct sink_outcome *fault) {
  const struct redis_queue_options *o = &b->q->options;
  if (o->mongo != NULL) {
    const char *names[BATCH_MAX];
    for (size_t i = 0; i < b->count; i++) names[i] = b->legs[i].leg;
    return mongo_reader_get(o->mongo, names, b->count, false, on_bson, b, fault) == 0;
  }
  for (size_t i = 0; i < b->count; i++) {
    size_t bytes = 0;
    char *text = o->local(o->arg, b->legs[i].leg, &bytes);
    if (text != NULL) take_document(b, b->legs[i].leg, text, bytes, false);
    free(text);
  }
  return true;
}

/* ---- one transaction ------------------------------------------------------------------------- */

static void add_entry(struct redis_queue *q, const struct leg *l) {
  char revision[24];
  const char *argv[15] = {"XADD", q->stream, "*", "callLogId", l->entry.call_log_id, "callControlId", l->leg};
  int argc = 7;
  snprintf(revision, sizeof revision, "%" PRIu64, l->entry.revision);
  if (l->entry.id != NULL) {
    argv[argc++] = "id";
    argv[argc++] = l->entry.id;
  }
  argv[argc++] = "revision";
  argv[argc++] = revision;
  if (l->entry.updated_at != NULL) {
    argv[argc++] = "updatedAt";
    argv[argc++] = l->entry.updated_at;
  }
  argv[argc++] = "document";
  argv[argc++] = l->entry.document;
  redis_add(q->redis, argc, argv, NULL);
}

struct transaction {
  struct redis_queue *q;
  struct sink_outcome outcome;
  bool has_before;
  int64_t before, additions; /* the agent's row before it, the counter after it */
};

/* The first refusal is the cause: what stands behind it is EXECABORT. */
static void on_answer(void *arg, size_t index, const struct redis_reply *reply) {
  (void)index;
  struct transaction *t = arg;
  if (reply->kind == REDIS_ERROR && t->outcome.result == SINK_DONE) redis_classify(reply, &t->outcome);
  if (reply->kind != REDIS_ARRAY) return;
  for (size_t i = 0; i < reply->count; i++) {
    const struct redis_reply *item = &reply->items[i];
    if (item->kind == REDIS_ERROR && t->outcome.result == SINK_DONE) redis_classify(item, &t->outcome);
  }
  if (reply->count == 0) return;
  const struct redis_reply *first = &reply->items[0], *last = &reply->items[reply->count - 1];
  t->has_before = first->kind == REDIS_TEXT;
  t->before = t->has_before ? atoll(first->text) : 0;
  t->additions = last->kind == REDIS_INTEGER ? last->integer : 0;
}

/* KEYS: outbox; ARGV: agent.id, its row, as last confirmed, its counter and how often it was sent. */
static const char set_row_script[] =
    "local row = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')\n"
    "local additions = tonumber(redis.call('HGET', KEYS[1], ARGV[4]) or '0')\n"
    "if row < tonumber(ARGV[3]) or additions < tonumber(ARGV[5]) then return 0 end\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
    "return 1\n";

static void add_row(struct redis_queue *q, int64_t row) {
  char number[24], confirmed[24], sent[24];
  const char *const set[] = {"EVAL", set_row_script, "1",          q->outbox, q->options.agent_id,
                             number, confirmed,      q->additions, sent};
  snprintf(number, sizeof number, "%" PRId64, row);
  snprintf(confirmed, sizeof confirmed, "%" PRId64, q->row);
  snprintf(sent, sizeof sent, "%" PRId64, q->additions_sent);
  redis_add(q->redis, sizeof set / sizeof *set, set, NULL);
}

/* Legs [from, to) of the batch; `row` -1: more of the batch follows. */
static bool run_transaction(struct batch *b, size_t from, size_t to, int64_t row, struct sink_outcome *out) {
  struct redis_queue *q = b->q;
  const char *agent = q->options.agent_id;
  const char *const multi[] = {"MULTI"}, *const before[] = {"HGET", q->outbox, agent},
                    *const exec[] = {"EXEC"};
  const char *const count[] = {"HINCRBY", q->outbox, q->additions, "1"};
  uint64_t added = 0;
  redis_add(q->redis, 1, multi, NULL);
  redis_add(q->redis, 3, before, NULL);
  for (size_t i = from; i < to; i++) {
    if (!b->legs[i].has_entry) continue;
    add_entry(q, &b->legs[i]);
    added++;
  }
  if (row >= 0) add_row(q, row);
  redis_add(q->redis, 4, count, NULL);
  redis_add(q->redis, 1, exec, NULL);
  struct transaction t = {.q = q};
  if (!redis_flush(q->redis, on_answer, &t)) {
    redis_away(q, out);
    return false;
  }
  *out = t.outcome;
  if (t.outcome.result != SINK_DONE) return false;
  bool whole = redis_queue_compare(q, t.has_before, t.before, t.additions - 1);
  q->additions_sent = t.additions;
  if (row >= 0 && whole) q->row = row;
  pthread_mutex_lock(&q->lock);
  q->stats.added += added;
  q->stats.length += (int64_t)added;
  pthread_mutex_unlock(&q->lock);
  return true;
}

static size_t entry_bytes(const struct leg *l) {
  return l->has_entry ? strlen(l->entry.document) + 512 : 0;
}

/* Stops at the first transaction that fails: a later one must not say that the batch is in the queue. */
static void add_all(struct batch *b, int64_t low_water) {
  struct sink_outcome outcome = {0};
  bool good = true, held = false;
  for (size_t i = 0; i < b->count; i++) held = held || b->legs[i].outcome.result != SINK_DONE;
  for (size_t from = 0, to; from < b->count; from = to) {
    size_t bytes = 0;
    bool any = false;
    for (to = from; to < b->count && (to == from || bytes + entry_bytes(&b->legs[to]) <= TRANSACTION_BYTES);
         to++) {
      bytes += entry_bytes(&b->legs[to]);
      any = any || b->legs[to].has_entry;
    }
    int64_t row = to == b->count && !held && low_water >= 0 && low_water != b->q->row ? low_water : -1;
    if (good && (any || row >= 0)) good = run_transaction(b, from, to, row, &outcome);
    for (size_t i = from; !good && i < to; i++) b->legs[i].outcome = outcome;
  }
}

/* ---- the driver ------------------------------------------------------------------------------ */

/* How many entries the stream takes; -1: `out`. */
static int64_t room_in_stream(struct redis_queue *q, struct sink_outcome *out) {
  const char *const argv[] = {"XLEN", q->stream};
  const struct redis_reply *reply = redis_ask(q->redis, 2, argv, NULL);
  if (reply == NULL) {
    redis_away(q, out);
    return -1;
  }
  redis_classify(reply, out);
  if (out->result != SINK_DONE) return -1;
  pthread_mutex_lock(&q->lock);
  q->stats.length = reply->integer;
  pthread_mutex_unlock(&q->lock);
  return reply->integer < q->options.queue_max ? q->options.queue_max - reply->integer : 0;
}

/* Entries that the stream has no room for wait, and the field with them. */
static bool keep_to_room(struct batch *b, struct sink_outcome *fault) {
  size_t wanted = 0;
  for (size_t i = 0; i < b->count; i++) wanted += b->legs[i].has_entry;
  if (wanted == 0) return true;
  int64_t room = room_in_stream(b->q, fault);
  if (room < 0) return false;
  for (size_t i = 0; i < b->count; i++) {
    struct leg *l = &b->legs[i];
    if (!l->has_entry || room-- > 0) continue;
    away(&l->outcome, "queue_full", "the queue has redis.queue_max entries: rows wait on disk");
    entry_free(&l->entry);
    l->has_entry = false;
  }
  pthread_mutex_lock(&b->q->lock);
  b->q->stats.full = room < 0;
  pthread_mutex_unlock(&b->q->lock);
  return true;
}

static size_t collect_legs(struct batch *b, const struct sink_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (rows[i].leg != NULL && find_leg(b, rows[i].leg) == NULL)
      b->legs[b->count++] = (struct leg){.leg = rows[i].leg};
  return b->count;
}

static bool deliver_batch(struct batch *b, int64_t low_water, struct sink_outcome *fault) {
  struct redis_queue *q = b->q;
  if (!redis_ready(q->redis, NULL)) {
    redis_away(q, fault);
    return false;
  }
  if (!q->known) { /* the first look must come before the first word: it compares what is there */
    *fault = q->look_fault;
    if (fault->result == SINK_DONE) away(fault, "network", "Redis has not been looked at yet");
    return false;
  }
  if (q->go_back >= 0) { /* the rows behind the hole first: the runner goes back at the next look */
    away(fault, "lost_tail", "Redis has lost the queue's tail: the agent goes back");
    return false;
  }
  if (!read_documents(b, fault)) return false;
  if (!keep_to_room(b, fault)) return false;
  add_all(b, low_water);
  return true;
}

static void deliver(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
                    struct sink_outcome *outcomes) {
  struct batch b = {.q = self, .legs = calloc(count + 1, sizeof *b.legs)};
  struct sink_outcome fault = {0};
  if (b.legs == NULL) {
    away(&fault, "memory", "no memory");
  } else {
    collect_legs(&b, rows, count);
    deliver_batch(&b, low_water, &fault);
  }
  for (size_t i = 0; i < count; i++) {
    const struct leg *l = b.legs != NULL && rows[i].leg != NULL ? find_leg(&b, rows[i].leg) : NULL;
    outcomes[i] = fault.result != SINK_DONE || l == NULL ? fault : l->outcome;
  }
  for (size_t i = 0; i < b.count; i++) entry_free(&b.legs[i].entry);
  free(b.legs);
}

static int64_t look_after(void *self, int64_t cursor) {
  return redis_queue_look_after(self, cursor);
}

static void interrupt(void *self) {
  struct redis_queue *q = self;
  redis_interrupt(q->redis);
}

struct sink_driver redis_queue_driver(struct redis_queue *q) {
  return (struct sink_driver){.id = SINK_REDIS_QUEUE,
                              .batch_max = BATCH_MAX,
                              .deliver = deliver,
                              .look_after = look_after,
                              .interrupt = interrupt,
                              .self = q};
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool name_keys(struct redis_queue *q, const struct redis_queue_options *o) {
  char *agent = strdup(o->agent_id);
  q->options.agent_id = agent;
  if (asprintf(&q->stream, "%scalllogs", o->redis.prefix) < 0) q->stream = NULL;
  if (asprintf(&q->outbox, "%soutbox", o->redis.prefix) < 0) q->outbox = NULL;
  if (asprintf(&q->additions, "%s:additions", o->agent_id) < 0) q->additions = NULL;
  return agent != NULL && q->stream != NULL && q->outbox != NULL && q->additions != NULL;
}

int redis_queue_create(struct redis_queue **out, const struct redis_queue_options *options, char *why,
                       size_t why_bytes) {
  struct redis_queue *q = calloc(1, sizeof *q);
  *out = NULL;
  snprintf(why, why_bytes, "no memory");
  if (q == NULL) return -1;
  pthread_mutex_init(&q->lock, NULL);
  q->options = *options;
  q->go_back = -1;
  if (!name_keys(q, options) || redis_create(&q->redis, &options->redis, why, why_bytes) != 0) {
    redis_queue_free(q);
    return -1;
  }
  *out = q;
  return 0;
}

void redis_queue_free(struct redis_queue *q) {
  if (q == NULL) return;
  redis_free(q->redis);
  pthread_mutex_destroy(&q->lock);
  free((void *)(uintptr_t)q->options.agent_id);
  free(q->stream);
  free(q->outbox);
  free(q->additions);
  free(q);
}

void redis_queue_stats(struct redis_queue *q, struct redis_queue_stats *out) {
  pthread_mutex_lock(&q->lock);
  *out = q->stats;
  pthread_mutex_unlock(&q->lock);
}
