#include "store/mongo_internal.h"

#include <stdio.h>
#include <string.h>

#include "store/mongo_error.h"

/* One bulk is one command: 1,000 operations is what old servers take, and MongoDB's messages end at 48 MB. */
enum { BULK_MAX = 1000, BULK_BYTES = 8 << 20, DOCUMENT_BYTES_MAX = 16 << 20 };

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

/* Of several failures that share an outcome the gentlest stays: what may yet succeed is not declared dead. */
static void fail(struct mongo_write *w, const struct sink_outcome *outcome) {
  w->answer = WRITE_FAILED;
  if (w->outcome->result == SINK_DONE || outcome->result < w->outcome->result) *w->outcome = *outcome;
}

void mongo_note_failure(struct mongo *m, const struct sink_outcome *outcome) {
  if (outcome->result != SINK_AWAY) return;
  m->failure = *outcome;
  mongo_index_doubt(m);
}

void mongo_failed(struct mongo *m, const bson_error_t *error, const bson_t *reply, int64_t began_ms,
                  struct sink_outcome *out) {
  mongo_link_failed(&m->link, error, reply, began_ms, out);
  mongo_note_failure(m, out);
}

bool mongo_may_go_on(struct mongo *m) {
  if (m->failure.result == SINK_DONE && atomic_load(&m->stopping))
    mongo_outcome(&m->failure, SINK_AWAY, "stopping", "the agent stops");
  if (m->failure.result == SINK_DONE && m->link.client == NULL && mongo_link_open(&m->link, &m->failure) != 0)
    mongo_index_doubt(m);
  return m->failure.result == SINK_DONE;
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
  fail(w, &refused);
  return false;
}

static int64_t number_of(const bson_t *reply, const char *key) {
  bson_iter_t at;
  return bson_iter_init_find(&at, reply, key) ? bson_iter_as_int64(&at) : 0;
}

/* Opens the documents of an array of the reply; false: absent or empty. */
static bool array_of(const bson_t *reply, const char *key, bson_iter_t *elements) {
  bson_iter_t at, peek;
  if (!bson_iter_init_find(&at, reply, key) || !BSON_ITER_HOLDS_ARRAY(&at)) return false;
  if (!bson_iter_recurse(&at, elements)) return false;
  peek = *elements;
  return bson_iter_next(&peek);
}

static void read_error(const bson_iter_t *element, int64_t *index, int32_t *code, const char **message) {
  bson_iter_t at;
  *index = -1;
  *code = 0;
  *message = NULL;
  if (!BSON_ITER_HOLDS_DOCUMENT(element) || !bson_iter_recurse(element, &at)) return;
  while (bson_iter_next(&at)) {
    if (strcmp(bson_iter_key(&at), "index") == 0) *index = bson_iter_as_int64(&at);
    if (strcmp(bson_iter_key(&at), "code") == 0) *code = (int32_t)bson_iter_as_int64(&at);
    if (strcmp(bson_iter_key(&at), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&at))
      *message = bson_iter_utf8(&at, NULL);
  }
}

/* The refusals of single operations. A server that stepped down amid the bulk may not have tried those after it:
 * `*away` is set then. */
static void take_write_errors(bson_iter_t *errors, struct mongo_write *const *sent, size_t count,
                              struct sink_outcome *away) {
  while (bson_iter_next(errors)) {
    struct sink_outcome outcome;
    int64_t index;
    int32_t code;
    const char *message;
    read_error(errors, &index, &code, &message);
    mongo_outcome_of_code(code, message, &outcome);
    if (index < 0 || index >= (int64_t)count) {
      mongo_outcome(away, SINK_AWAY, "network", "the server's answer names an operation that was not sent");
      continue;
    }
    if (mongo_is_duplicate_key(code)) {
      sent[index]->answer = WRITE_DUPLICATE;
      *sent[index]->outcome = outcome;
      continue;
    }
    fail(sent[index], &outcome);
    if (outcome.result == SINK_AWAY) *away = outcome;
  }
}

static void fail_acknowledged(struct mongo_write *const *sent, size_t count,
                              const struct sink_outcome *outcome) {
  for (size_t i = 0; i < count; i++)
    if (sent[i]->answer == WRITE_ACKNOWLEDGED) fail(sent[i], outcome);
}

/* Reads what the server said of `sent`. Nothing is done that a majority has not. */
static void take_reply(struct mongo *m, const bson_t *reply, const bson_error_t *error, int64_t began_ms,
                       struct mongo_write *const *sent, size_t count) {
  bson_iter_t errors;
  struct sink_outcome outcome = {.result = SINK_DONE};
  const bool refused = array_of(reply, "writeErrors", &errors);
  if (refused) take_write_errors(&errors, sent, count, &outcome);
  if (array_of(reply, "writeConcernErrors", &errors) && bson_iter_next(&errors)) {
    int64_t index;
    int32_t code;
    const char *message;
    read_error(&errors, &index, &code, &message);
    mongo_outcome_of_code(code, message, &outcome);
    outcome.result = SINK_AWAY;
    snprintf(outcome.kind, sizeof outcome.kind, "write_concern");
  } else if (!refused) {
    mongo_failed(m, error, reply, began_ms, &outcome);
  }
  if (outcome.result == SINK_DONE) return;
  fail_acknowledged(sent, count, &outcome);
  if (outcome.result == SINK_AWAY) m->failure = outcome;
}

/* Sends sent[0..count). */
static int64_t execute(struct mongo *m, mongoc_bulk_operation_t *bulk, struct mongo_write *const *sent,
                       size_t count) {
  bson_t reply;
  bson_error_t error = {0};
  const int64_t began_ms = mongo_now_ms();
  const bool all_well = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
  const int64_t matched = number_of(&reply, "nMatched") + number_of(&reply, "nUpserted");
  mongoc_bulk_operation_destroy(bulk); /* before the client may go */
  if (!all_well) take_reply(m, &reply, &error, began_ms, sent, count);
  bson_destroy(&reply);
  return matched;
}

/* Sends as many of the writes as one bulk takes; returns how many it looked at. */
static size_t send_some(struct mongo *m, struct mongo_write *writes, size_t count, const bson_t opts[2],
                        int64_t *matched) {
  struct mongo_write *sent[BULK_MAX];
  mongoc_bulk_operation_t *bulk = new_bulk(m);
  size_t i = 0, taken = 0, bytes = 0;
  for (; i < count && taken < BULK_MAX; i++) {
    struct mongo_write *w = &writes[i];
    const size_t more = bytes_of(w);
    if (more > DOCUMENT_BYTES_MAX) {
      struct sink_outcome outcome;
      mongo_outcome(&outcome, SINK_DEAD, "too_large", "document too large: MongoDB takes 16 MiB");
      fail(w, &outcome);
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
  for (; done < count; done++) fail(&writes[done], &m->failure);
  bson_destroy(&opts[0]);
  bson_destroy(&opts[1]);
  return matched;
}
