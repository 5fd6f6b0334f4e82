#include "store/mongo_reply.h"

#include <string.h>

#include "store/mongo_error.h"

void mongo_write_fail(struct mongo_write *w, const struct sink_outcome *outcome) {
  w->answer = WRITE_FAILED;
  if (w->outcome->result == SINK_DONE || outcome->result < w->outcome->result) *w->outcome = *outcome;
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
    mongo_write_fail(sent[index], &outcome);
    if (outcome.result == SINK_AWAY) *away = outcome;
  }
}

/* All writes of a bulk wait for one majority. */
static bool take_concern_error(const bson_t *reply, struct sink_outcome *whole) {
  bson_iter_t errors;
  int64_t index;
  int32_t code;
  const char *message;
  if (!array_of(reply, "writeConcernErrors", &errors) || !bson_iter_next(&errors)) return false;
  read_error(&errors, &index, &code, &message);
  mongo_outcome_of_code(code, message, whole);
  whole->result = SINK_AWAY;
  mongo_copy_text(whole->kind, sizeof whole->kind, "write_concern");
  return true;
}

bool mongo_reply_read(const bson_t *reply, struct mongo_write *const *sent, size_t count,
                      struct sink_outcome *whole) {
  bson_iter_t errors;
  *whole = (struct sink_outcome){.result = SINK_DONE};
  const bool refused = array_of(reply, "writeErrors", &errors);
  if (refused) take_write_errors(&errors, sent, count, whole);
  const bool unconfirmed = take_concern_error(reply, whole);
  for (size_t i = 0; whole->result != SINK_DONE && i < count; i++)
    if (sent[i]->answer == WRITE_ACKNOWLEDGED) mongo_write_fail(sent[i], whole);
  return refused || unconfirmed;
}
