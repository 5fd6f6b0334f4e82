#include <stdio.h>
#include <string.h>

#include "store/clock.h"
#include "store/mongo_error.h"
#include "store/mongo_internal.h"
#include "store/mongo_wanted.h"

/* While something is missing; and when all is there, in case somebody drops the collection. */
static const int64_t look_again_ms = 30000, look_again_complete_ms = 60000;
enum { INDEXES_MAX = 64 };

struct sight { /* what a server has */
  enum mongo_index_fit fit[INDEXES_MAX];
};

void mongo_index_doubt(struct mongo *m) {
  m->indexes_looked_at_ms = 0;
}

bool mongo_index_ready(struct mongo *m) {
  struct mongo_stats stats;
  mongo_stats(m, &stats);
  return stats.indexes_ready;
}

static void set_ready(struct mongo *m, bool ready) {
  pthread_mutex_lock(&m->stats_lock);
  m->stats.indexes_ready = ready;
  pthread_mutex_unlock(&m->stats_lock);
}

/* "": all is well. The time is that of the first of equal refusals. */
static void set_refusal(struct mongo *m, const char *text) {
  pthread_mutex_lock(&m->stats_lock);
  struct mongo_stats *s = &m->stats;
  char cut[sizeof s->index_refusal];
  mongo_copy_text(cut, sizeof cut, text);
  if (strcmp(cut, s->index_refusal) != 0) {
    memcpy(s->index_refusal, cut, sizeof cut);
    s->refused_since_ms = cut[0] == '\0' ? 0 : wall_ms();
  }
  pthread_mutex_unlock(&m->stats_lock);
}

/* ---- looking ---- */

/* 0, or -1 with m->failure. */
static int look(struct mongo *m, struct sight *s) {
  const bson_t *listed;
  bson_error_t error = {0};
  memset(s, 0, sizeof *s);
  int64_t began_ms = monotonic_ms();
  const int sharded = mongo_link_is_sharded(&m->link, &error);
  if (sharded < 0) {
    mongo_failed(m, &error, NULL, began_ms, &m->failure);
    m->failure.result = SINK_AWAY;
    return -1;
  }
  m->sharded = sharded == 1;
  began_ms = monotonic_ms();
  mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(m->link.calls, NULL);
  while (mongoc_cursor_next(cursor, &listed)) mongo_index_see(s->fit, listed, m->sharded);
  const bool failed = mongoc_cursor_error(cursor, &error);
  mongoc_cursor_destroy(cursor);
  if (!failed) return 0;
  mongo_failed(m, &error, NULL, began_ms, &m->failure);
  m->failure.result = SINK_AWAY; /* whatever it is: rows are held */
  return -1;
}

/* ---- making ---- */

/* 0: made. 1: refused, in the server's words. -1: m->failure. */
static int create(struct mongo *m, const struct mongo_index *index, bool plain, char *refusal, size_t bytes,
                  uint32_t *code) {
  bson_t command = BSON_INITIALIZER, reply, array, spec;
  bson_error_t error = {0};
  struct sink_outcome outcome;
  bson_append_utf8(&command, "createIndexes", -1, m->link.name, -1);
  bson_append_array_begin(&command, "indexes", -1, &array);
  bson_append_document_begin(&array, "0", -1, &spec);
  mongo_index_spec(index, plain, &spec);
  bson_append_document_end(&array, &spec);
  bson_append_array_end(&command, &array);
  const int64_t began_ms = monotonic_ms();
  const bool ok =
      mongoc_client_write_command_with_opts(m->link.client, m->link.database, &command, NULL, &reply, &error);
  bson_destroy(&command);
  *code = error.code;
  if (!ok) {
    mongo_link_failed(&m->link, &error, &reply, began_ms, &outcome);
    char name[256];
    mongo_index_name(index, name, sizeof name);
    char text[600];
    snprintf(text, sizeof text, "index %s: %s", name, outcome.reason);
    mongo_copy_text(refusal, bytes, text);
    /* Not being allowed to make indexes is a refusal like any other: those that are there may do. */
    if (outcome.result == SINK_AWAY && strcmp(outcome.kind, "auth") != 0) m->failure = outcome;
  }
  bson_destroy(&reply);
  return ok ? 0 : m->failure.result != SINK_DONE ? -1 : 1;
}

/* On a sharded collection callLogId cannot be unique, and the shard key's index comes with the sharding. */
static int make(struct mongo *m, size_t i, char *refusal, size_t bytes) {
  uint32_t code = 0;
  if (m->sharded && i == MONGO_INDEX_CALL_CONTROL_ID) {
    snprintf(refusal, bytes,
             "the collection is sharded, but its shard key is not a unique telnyx.callControlId");
    return 1;
  }
  return create(m, &mongo_indexes[i], m->sharded && mongo_indexes[i].unique, refusal, bytes, &code);
}

/* The refusal that is shown is that of the first index: the two that rows wait for come first. */
static void refuse(char shown[256], const char *text) {
  if (shown[0] == '\0') mongo_copy_text(shown, 256, text);
}

/* Makes what is missing, each by itself. How many were made, or -1. */
static int make_missing(struct mongo *m, const struct sight *s, char shown[256]) {
  int made = 0;
  for (size_t i = 0; i < mongo_index_count; i++) {
    char refusal[256] = "";
    if (s->fit[i] == MONGO_INDEX_EXACT) continue;
    const int rc = mongo_may_go_on(m) ? make(m, i, refusal, sizeof refusal) : -1;
    if (rc < 0) return -1;
    if (rc == 0) made++;
    if (rc == 1) refuse(shown, refusal);
  }
  return made;
}

/* Some servers say that an index is made when one of its name is there; what they list counts. */
static void compare(struct mongo *m, const struct sight *s, char shown[256]) {
  m->indexes_complete = true;
  for (size_t i = 0; i < mongo_index_count; i++) {
    char name[256], text[400];
    if (s->fit[i] == MONGO_INDEX_EXACT) continue;
    m->indexes_complete = false;
    mongo_index_name(&mongo_indexes[i], name, sizeof name);
    snprintf(text, sizeof text, "index %s: the server took it, but lists it with other options", name);
    refuse(shown, text);
  }
  set_refusal(m, shown);
  set_ready(m, s->fit[MONGO_INDEX_CALL_LOG_ID] >= MONGO_INDEX_ENOUGH &&
                   s->fit[MONGO_INDEX_CALL_CONTROL_ID] >= MONGO_INDEX_ENOUGH);
}

void mongo_index_look_after(struct mongo *m) {
  struct sight s;
  char shown[256] = "";
  const int64_t now_ms = monotonic_ms(),
                pause_ms = m->indexes_complete ? look_again_complete_ms : look_again_ms;
  if (m->indexes_looked_at_ms != 0 && now_ms < m->indexes_looked_at_ms + pause_ms) return;
  if (!mongo_may_go_on(m) || look(m, &s) != 0) return;
  const int made = make_missing(m, &s, shown);
  if (made < 0 || (made > 0 && look(m, &s) != 0)) return; /* the rest next time */
  compare(m, &s, shown);
  m->indexes_looked_at_ms = now_ms;
}
