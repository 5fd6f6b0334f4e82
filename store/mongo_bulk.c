#include "store/mongo_internal.h"

#include <stdio.h>
#include <string.h>

#include "store/clock.h"
#include "store/mongo_error.h"

/* One bulk is one command; MongoDB's messages end at 48 MB. */
enum { BULK_BYTES = 8 << 20, DOCUMENT_BYTES_MAX = 16 << 20, PING_AFTER_MS = 5000 };

static uint32_t length_of(const uint8_t *bson) {
  uint32_t le;
  memcpy(&le, bson, sizeof le);
  return BSON_UINT32_FROM_LE(le);
}

static bool view_of(bson_t *view, const uint8_t *bson) {
  return bson_init_static(view, bson, length_of(bson));
}

static size_t bytes_of(const struct mongo_write *w) {
  return (size_t)length_of(w->op->filter) + length_of(w->op->update);
}

/* `reason` NULL: it has answered. */
static void note_away(struct mongo *m, const char *reason) {
  m->answered_ms = monotonic_ms();
  pthread_mutex_lock(&m->stats_lock);
  if (reason != NULL && !m->stats.away) m->stats.away_since_ms = wall_ms();
  if (reason == NULL) m->stats.away_since_ms = 0;
  m->stats.away = reason != NULL;
  snprintf(m->stats.reason, sizeof m->stats.reason, "%s", reason != NULL ? reason : "");
  pthread_mutex_unlock(&m->stats_lock);
}

void mongo_note_failure(struct mongo *m, const struct sink_outcome *outcome) {
  if (outcome->result != SINK_AWAY) return;
  m->failure = *outcome;
  if (strcmp(outcome->kind, "stopping") != 0) note_away(m, outcome->reason);
  mongo_index_doubt(m);
  /* A server too slow for a step of this size would be too slow every time. */
  if (strcmp(outcome->kind, "timeout") == 0 || strcmp(outcome->kind, "write_concern") == 0)
    m->step_max = m->step_max > 4 ? m->step_max / 4 : 1;
}

void mongo_answered(struct mongo *m, int64_t began_ms) {
  note_away(m, NULL);
  if (monotonic_ms() - began_ms < m->link.socket_ms / 8)
    m->step_max = m->step_max < MONGO_STEP_MAX / 2 ? m->step_max * 2 : MONGO_STEP_MAX;
}

void mongo_failed(struct mongo *m, const bson_error_t *error, const bson_t *reply, int64_t began_ms,
                  struct sink_outcome *out) {
  mongo_link_failed(&m->link, error, reply, began_ms, out);
  mongo_note_failure(m, out);
}

bool mongo_may_go_on(struct mongo *m) {
  if (m->failure.result == SINK_DONE && atomic_load(&m->stopping))
    mongo_outcome(&m->failure, SINK_AWAY, "stopping", "the agent stops");
  struct sink_outcome outcome;
  if (m->failure.result == SINK_DONE && m->link.client == NULL && mongo_link_open(&m->link, &outcome) != 0)
    mongo_note_failure(m, &outcome);
  return m->failure.result == SINK_DONE;
}

void mongo_ping(struct mongo *m) {
  bson_error_t error;
  bson_t reply;
  struct sink_outcome outcome;
  if (monotonic_ms() - m->answered_ms < PING_AFTER_MS || !mongo_may_go_on(m)) return;
  bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
  const int64_t began_ms = monotonic_ms();
  if (mongoc_client_command_simple(m->link.client, "admin", ping, NULL, &reply, &error))
    mongo_answered(m, began_ms);
  else
    mongo_failed(m, &error, &reply, began_ms, &outcome);
  bson_destroy(&reply);
  bson_destroy(ping);
}

/* ---- one bulk ---- */

static mongoc_bulk_operation_t *new_bulk(struct mongo *m) {
  bson_t opts = BSON_INITIALIZER;
  bson_append_bool(&opts, "ordered", -1, false);
  mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(m->link.calls, &opts);
  bson_destroy(&opts);
  return bulk;
}

/* False: the driver refuses the operation itself. */
static bool append(mongoc_bulk_operation_t *bulk, struct mongo_write *w, const bson_t opts[2]) {
  bson_t filter, update;
  bson_error_t error = {.message = "not BSON"};
  struct sink_outcome refused;
  if (view_of(&filter, w->op->filter) && view_of(&update, w->op->update) &&
      mongoc_bulk_operation_update_one_with_opts(bulk, &filter, &update, &opts[w->upsert], &error))
    return true;
  mongo_outcome(&refused, SINK_DEAD, "invalid", error.message);
  mongo_write_fail(w, &refused);
  return false;
}

static int64_t number_of(const bson_t *reply, const char *key) {
  bson_iter_t at;
  return bson_iter_init_find(&at, reply, key) ? bson_iter_as_int64(&at) : 0;
}

/* Reads what the server said of `sent`. Nothing is done that a majority has not. */
static void take_reply(struct mongo *m, const bson_t *reply, const bson_error_t *error, int64_t began_ms,
                       struct mongo_write *const *sent, size_t count) {
  struct sink_outcome whole;
  if (!mongo_reply_read(reply, sent, count, &whole)) {
    mongo_link_failed(&m->link, error, reply, began_ms, &whole);
    for (size_t i = 0; i < count; i++) mongo_write_fail(sent[i], &whole);
  }
  if (whole.result == SINK_AWAY)
    mongo_note_failure(m, &whole);
  else
    mongo_answered(m, began_ms);
}

/* Sends sent[0..count). */
static int64_t execute(struct mongo *m, mongoc_bulk_operation_t *bulk, struct mongo_write *const *sent,
                       size_t count) {
  bson_t reply;
  bson_error_t error = {0};
  const int64_t began_ms = monotonic_ms();
  const bool all_well = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
  const int64_t matched = number_of(&reply, "nMatched") + number_of(&reply, "nUpserted");
  mongoc_bulk_operation_destroy(bulk); /* before the client may go */
  if (all_well)
    mongo_answered(m, began_ms);
  else
    take_reply(m, &reply, &error, began_ms, sent, count);
  bson_destroy(&reply);
  return matched;
}

/* Sends as many of the writes as one bulk takes; returns how many it looked at. */
static size_t send_some(struct mongo *m, struct mongo_write *writes, size_t count, const bson_t opts[2],
                        int64_t *matched) {
  struct mongo_write *sent[MONGO_STEP_MAX];
  mongoc_bulk_operation_t *bulk = new_bulk(m);
  size_t i = 0, taken = 0, bytes = 0;
  for (; i < count && taken < m->step_max; i++) {
    struct mongo_write *w = &writes[i];
    const size_t more = bytes_of(w);
    if (more > DOCUMENT_BYTES_MAX) {
      struct sink_outcome outcome;
      mongo_outcome(&outcome, SINK_DEAD, "too_large", "document too large: MongoDB takes 16 MiB");
      mongo_write_fail(w, &outcome);
      continue;
    }
    if (taken > 0 && bytes + more > BULK_BYTES) break;
    if (!append(bulk, w, opts)) continue;
    w->answer = WRITE_ACKNOWLEDGED;
    sent[taken++] = w;
    bytes += more;
  }
  if (taken > 0)
    *matched += execute(m, bulk, sent, taken);
  else
    mongoc_bulk_operation_destroy(bulk);
  return i;
}

int64_t mongo_bulk(struct mongo *m, struct mongo_write *writes, size_t count) {
  bson_t opts[2] = {BSON_INITIALIZER, BSON_INITIALIZER};
  int64_t matched = 0;
  size_t done = 0;
  /* The driver's own validation refuses empty keys, which JSON and MongoDB allow; ours is the folder's. */
  for (int upsert = 0; upsert < 2; upsert++) {
    bson_append_bool(&opts[upsert], "validate", -1, false);
    bson_append_bool(&opts[upsert], "upsert", -1, upsert == 1);
  }
  while (done < count && mongo_may_go_on(m))
    done += send_some(m, &writes[done], count - done, opts, &matched);
  for (; done < count; done++) mongo_write_fail(&writes[done], &m->failure);
  bson_destroy(&opts[0]);
  bson_destroy(&opts[1]);
  return matched;
}
