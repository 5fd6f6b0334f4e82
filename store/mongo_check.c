#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "store/mongo_error.h"
#include "store/mongo_link.h"
#include "store/mongo_wanted.h"

/* A person waits. */
static const int64_t selection_ms = 3000;

struct check {
  struct mongo_link link;
  void (*say)(void *arg, const char *line);
  void *arg;
};

static void say(struct check *c, const char *words, const char *detail) {
  char line[900];
  snprintf(line, sizeof line, "mongo: %s%s%.500s", words, detail[0] == '\0' ? "" : ": ", detail);
  c->say(c->arg, line);
}

/* ---- what is wrong, in words ---- */

static bool knows_a_secondary(struct check *c) {
  size_t count = 0;
  bool found = false;
  mongoc_server_description_t **servers =
      c->link.client == NULL ? NULL : mongoc_client_get_server_descriptions(c->link.client, &count);
  for (size_t i = 0; i < count; i++)
    if (strncmp(mongoc_server_description_type(servers[i]), "RS", 2) == 0) found = true;
  if (servers != NULL) mongoc_server_descriptions_destroy_all(servers, count);
  return found;
}

/* The driver puts what each server answered into one message; these are its own words (libmongoc 1.23). */
static const struct phrase {
  const char *in_message, *words;
} phrases[] = {
    {"SRV", "cannot resolve the SRV record of the host's name"},
    {"Failed to resolve", "cannot resolve the host's name"},
    {"TLS handshake failed", "TLS failed"},
    {"TLS", "TLS failed"},
    {"SSL", "TLS failed"},
    {"connection refused", "connection refused"},
    {"connection timeout", "no answer within the time: a firewall between, or one side without TLS"},
    {"socket timeout", "no answer within the time: a firewall between, one side without TLS, or no MongoDB"},
    {"Invalid reply", "what answers there is no MongoDB"},
    {"connection closed", "the server closed the connection: it may want TLS"},
};

static const char *words_for(struct check *c, const bson_error_t *error) {
  struct sink_outcome outcome;
  mongo_outcome_of_error(error, NULL, false, &outcome);
  if (strcmp(outcome.kind, "auth") == 0)
    return error->domain == MONGOC_ERROR_SERVER && error->code == 13 ? "not authorised"
                                                                     : "authentication failed";
  if (strcmp(outcome.kind, "version") == 0 || strstr(error->message, "wire version") != NULL)
    return "the server's version does not fit";
  if (strcmp(outcome.kind, "primary") == 0) return "no primary";
  if (strcmp(outcome.kind, "write_concern") == 0) return "no majority acknowledges writes";
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (strcasestr(error->message, phrases[i].in_message) != NULL) return phrases[i].words;
  if (error->domain == MONGOC_ERROR_SERVER_SELECTION && knows_a_secondary(c)) return "no primary";
  if (error->domain == MONGOC_ERROR_SERVER_SELECTION && mongoc_uri_get_replica_set(c->link.uri) != NULL)
    return "no server of the URI's replicaSet";
  return "cannot be used";
}

static bool failed(struct check *c, const bson_error_t *error) {
  say(c, words_for(c, error), error->message);
  return false;
}

/* ---- steps ---- */

static bool connects(struct check *c) {
  bson_t *build_info = BCON_NEW("buildInfo", BCON_INT32(1));
  bson_t reply;
  bson_error_t error = {0};
  bson_iter_t at;
  const bool ok = mongoc_client_command_simple(c->link.client, "admin", build_info, NULL, &reply, &error);
  char version[128] = "connected";
  if (ok && bson_iter_init_find(&at, &reply, "version") && BSON_ITER_HOLDS_UTF8(&at))
    snprintf(version, sizeof version, "connected, server version %.80s", bson_iter_utf8(&at, NULL));
  if (ok) say(c, version, "");
  bson_destroy(build_info);
  bson_destroy(&reply);
  return ok || failed(c, &error);
}

/* An update that finds nothing: it needs the right to write, and a majority to say so. */
static bool may_write(struct check *c) {
  bson_oid_t nobody;
  bson_t reply, *opts = BCON_NEW("upsert", BCON_BOOL(false));
  bson_error_t error = {0};
  bson_oid_init(&nobody, NULL);
  bson_t *filter = BCON_NEW("_id", BCON_OID(&nobody));
  bson_t *update = BCON_NEW("$set", "{", "isActive", BCON_BOOL(true), "}");
  const bool ok = mongoc_collection_update_one(c->link.calls, filter, update, opts, &reply, &error);
  bson_destroy(filter);
  bson_destroy(update);
  bson_destroy(opts);
  bson_destroy(&reply);
  if (ok) return true;
  if (error.domain == MONGOC_ERROR_SERVER && error.code == 13) {
    say(c, "not authorised to write", error.message);
    return false;
  }
  return failed(c, &error);
}

/* Missing ones are made when the agent starts. An index 1 or 2 that is there otherwise is in the way. */
static bool tell_indexes(struct check *c, const enum mongo_index_fit *fit) {
  size_t missing = 0;
  bool well = true;
  for (size_t i = 0; i < mongo_index_count; i++) {
    char name[256], words[400];
    mongo_index_name(&mongo_indexes[i], name, sizeof name);
    const bool needed = mongo_indexes[i].unique;
    if (fit[i] == MONGO_INDEX_OTHER) missing++;
    snprintf(words, sizeof words, "index %s is missing", name);
    if (fit[i] == MONGO_INDEX_OTHER) say(c, words, "");
    snprintf(words, sizeof words, "index %s is there with other options%s", name,
             needed && fit[i] == MONGO_INDEX_UNFIT ? "; nothing is written until it is unique" : "");
    if (fit[i] == MONGO_INDEX_UNFIT || fit[i] == MONGO_INDEX_ENOUGH) say(c, words, "");
    if (needed && fit[i] == MONGO_INDEX_UNFIT) well = false;
  }
  if (missing > 0) say(c, "missing indexes are made when the agent starts", "");
  return well;
}

static bool has_indexes(struct check *c) {
  enum mongo_index_fit fit[64] = {MONGO_INDEX_OTHER};
  const bson_t *listed;
  bson_error_t error = {0};
  const int sharded = mongo_link_is_sharded(&c->link, &error);
  if (sharded < 0) return failed(c, &error);
  mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(c->link.calls, NULL);
  while (mongoc_cursor_next(cursor, &listed)) mongo_index_see(fit, listed, sharded == 1);
  const bool wrong = mongoc_cursor_error(cursor, &error);
  mongoc_cursor_destroy(cursor);
  return wrong ? failed(c, &error) : tell_indexes(c, fit);
}

bool mongo_check(const struct mongo_options *options, void (*line)(void *arg, const char *line), void *arg) {
  struct check c = {.say = line, .arg = arg};
  struct mongo_options brief = *options;
  struct sink_outcome outcome;
  char why[400];
  if (brief.server_selection_ms > selection_ms) brief.server_selection_ms = selection_ms;
  if (mongo_link_init(&c.link, &brief, true, why, sizeof why) != 0) {
    say(&c, "mongo.uri", why);
    return false;
  }
  bool well = mongo_link_open(&c.link, &outcome) == 0;
  if (!well) {
    bson_error_t error = {.domain = MONGOC_ERROR_SERVER_SELECTION};
    snprintf(error.message, sizeof error.message, "%s", outcome.reason);
    failed(&c, &error);
  }
  well = well && connects(&c) && may_write(&c) && has_indexes(&c);
  if (well) say(&c, "fine", "");
  mongo_link_free(&c.link);
  return well;
}
