#include "store/mongo_link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/clock.h"
#include "store/mongo_error.h"

static pthread_once_t driver_once = PTHREAD_ONCE_INIT;
static bool driver_ready;

/* The newest warning on this thread while a URI is read: a word that the driver does not know is one, no error. */
static _Thread_local char uri_warning[256];
static _Thread_local bool reading_uri;

static void on_driver_log(mongoc_log_level_t level, const char *domain, const char *message, void *arg) {
  (void)domain;
  (void)arg;
  if (reading_uri && level <= MONGOC_LOG_LEVEL_WARNING)
    snprintf(uri_warning, sizeof uri_warning, "%s", message);
}

static void driver_init(void) {
  /* The driver would write to standard error, in no form of ours; what matters comes as an error too, but for URIs. */
  mongoc_log_set_handler(on_driver_log, NULL);
  mongoc_init();
  driver_ready = true;
}

void mongo_global_cleanup(void) {
  if (driver_ready) mongoc_cleanup();
}

void mongo_leave_no_trace(void) {
  char name[32];
  snprintf(name, sizeof name, "/mongoc-%u", (unsigned)getpid());
  (void)shm_unlink(name);
}

/* ---- messages that may quote the URI ---- */

enum { WINDOW = 4 }; /* as many letters of a password in a row are a leak */

static bool quotes_part_of(const char *message, const char *secret, size_t bytes) {
  const size_t window = bytes < WINDOW ? bytes : WINDOW;
  for (size_t i = 0; window > 0 && i + window <= bytes; i++)
    if (memmem(message, strlen(message), secret + i, window) != NULL) return true;
  return false;
}

/* Everything after the user's name may be a password that was not escaped, up to the last at sign; options too can
 * hold one. */
static bool quotes_secret(const char *message, const char *uri) {
  const char *authority = strstr(uri, "://"), *at = strrchr(uri, '@'), *options = strchr(uri, '?');
  if (authority == NULL) return true;
  authority += 3;
  const char *colon = strchr(authority, ':');
  if (at != NULL && colon != NULL && colon < at &&
      quotes_part_of(message, colon + 1, (size_t)(at - colon - 1)))
    return true;
  for (const char *o = options; o != NULL; o = strchr(o + 1, '&')) {
    const char *value = strchr(o, '='), *end = strchr(o + 1, '&');
    if (value == NULL || (end != NULL && value > end)) continue;
    if (memmem(o, (size_t)(value - o), "assword", 7) == NULL &&
        memmem(o, (size_t)(value - o), "roperties", 9) == NULL)
      continue;
    value++;
    if (quotes_part_of(message, value, end == NULL ? strlen(value) : (size_t)(end - value))) return true;
  }
  return false;
}

/* An at sign or a slash that a password should have encoded moves the rest of it into the host, the port or the
 * database, all of which errors quote; the driver takes such a URI. */
static bool has_stray_at(const char *uri) {
  const char *authority = strstr(uri, "://");
  if (authority == NULL) return false;
  authority += 3;
  const char *end = authority + strcspn(authority, "/?");
  const char *at = memchr(authority, '@', (size_t)(end - authority)), *last = strrchr(uri, '@');
  return last != at;
}

static int malformed(const char *uri, const char *message, char *why, size_t why_bytes) {
  snprintf(why, why_bytes, "malformed: %s",
           quotes_secret(message, uri)
               ? "its user name or password is not percent-encoded, or an option is wrong"
               : message);
  return -1;
}

/* ---- the URI ---- */

static void set_ms_unless_given(mongoc_uri_t *uri, const char *option, int64_t ms) {
  if (!mongoc_uri_has_option(uri, option))
    mongoc_uri_set_option_as_int32(uri, option, ms > INT32_MAX ? INT32_MAX : (int32_t)ms);
}

/* Exactness stands on these: the URI may not weaken them. */
static int fix_concerns(struct mongo_link *l) {
  mongoc_write_concern_t *writes = mongoc_write_concern_new();
  mongoc_read_concern_t *reads = mongoc_read_concern_new();
  mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
  if (writes == NULL || reads == NULL || primary == NULL) return -1;
  /* The server gives up before the socket does, else an answer that is on its way counts as a dead server. */
  const int64_t spare_ms = l->socket_ms > 4000 ? 1000 : l->socket_ms / 4;
  mongoc_write_concern_set_wmajority(writes, (int32_t)(l->socket_ms - spare_ms));
  mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_LOCAL);
  mongoc_uri_set_write_concern(l->uri, writes);
  mongoc_uri_set_read_concern(l->uri, reads);
  mongoc_uri_set_read_prefs_t(l->uri, primary);
  mongoc_write_concern_destroy(writes);
  mongoc_read_concern_destroy(reads);
  mongoc_read_prefs_destroy(primary);
  return 0;
}

static void complete(struct mongo_link *l, const struct mongo_options *options, bool try_once) {
  set_ms_unless_given(l->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, options->server_selection_ms);
  set_ms_unless_given(l->uri, MONGOC_URI_CONNECTTIMEOUTMS, options->server_selection_ms);
  set_ms_unless_given(l->uri, MONGOC_URI_SOCKETTIMEOUTMS, options->socket_ms);
  l->socket_ms =
      mongoc_uri_get_option_as_int32(l->uri, MONGOC_URI_SOCKETTIMEOUTMS, (int32_t)options->socket_ms);
  if (l->socket_ms <= 0) l->socket_ms = options->socket_ms; /* 0 would wait for ever */
  mongoc_uri_set_option_as_int32(l->uri, MONGOC_URI_SOCKETTIMEOUTMS, (int32_t)l->socket_ms);
  if (!mongoc_uri_has_option(l->uri, MONGOC_URI_SERVERSELECTIONTRYONCE))
    mongoc_uri_set_option_as_bool(l->uri, MONGOC_URI_SERVERSELECTIONTRYONCE, try_once);
  /* The runner repeats with a pause; a second wait of a whole timeout inside the driver gains nothing. */
  if (!mongoc_uri_has_option(l->uri, MONGOC_URI_RETRYREADS))
    mongoc_uri_set_option_as_bool(l->uri, MONGOC_URI_RETRYREADS, false);
  if (mongoc_uri_get_appname(l->uri) == NULL) mongoc_uri_set_appname(l->uri, "sidetone");
}

int mongo_link_init(struct mongo_link *l, const struct mongo_options *options, bool try_once, char *why,
                    size_t why_bytes) {
  bson_error_t error = {0};
  memset(l, 0, sizeof *l);
  pthread_once(&driver_once, driver_init);
  if (has_stray_at(options->uri))
    return malformed(options->uri, "an at sign that does not end the user's name and password is written %40",
                     why, why_bytes);
  uri_warning[0] = '\0';
  reading_uri = true;
  l->uri = mongoc_uri_new_with_error(options->uri, &error);
  reading_uri = false;
  if (l->uri == NULL) return malformed(options->uri, error.message, why, why_bytes);
  if (uri_warning[0] != '\0') {
    mongo_link_free(l);
    return malformed(options->uri, uri_warning, why, why_bytes);
  }
  complete(l, options, try_once);
  l->database = strdup(options->database);
  l->name = strdup(options->collection);
  if (l->database != NULL && l->name != NULL && fix_concerns(l) == 0) return 0;
  snprintf(why, why_bytes, "out of memory");
  mongo_link_free(l);
  return -1;
}

void mongo_link_close(struct mongo_link *l) {
  mongoc_collection_destroy(l->calls);
  mongoc_client_destroy(l->client);
  l->calls = NULL;
  l->client = NULL;
}

void mongo_link_free(struct mongo_link *l) {
  mongo_link_close(l);
  mongoc_uri_destroy(l->uri);
  free(l->database);
  free(l->name);
  memset(l, 0, sizeof *l);
}

int mongo_link_open(struct mongo_link *l, struct sink_outcome *out) {
  bson_error_t error = {0};
  if (l->client != NULL) return 0;
  const int64_t began_ms = monotonic_ms();
  l->client = mongoc_client_new_from_uri_with_error(l->uri, &error);
  if (l->client == NULL) { /* an SRV record that is not to be had; TLS files that cannot be read */
    mongo_link_failed(l, &error, NULL, began_ms, out);
    if (out->result != SINK_AWAY) mongo_outcome(out, SINK_AWAY, "selection", error.message);
    return -1;
  }
  mongoc_client_set_error_api(l->client, MONGOC_ERROR_API_VERSION_2);
  l->calls = mongoc_client_get_collection(l->client, l->database, l->name);
  return 0;
}

void mongo_link_failed(struct mongo_link *l, const bson_error_t *error, const bson_t *reply, int64_t began_ms,
                       struct sink_outcome *out) {
  const bool late = monotonic_ms() - began_ms >= l->socket_ms - l->socket_ms / 10;
  mongo_outcome_of_error(error, reply, late, out);
  switch (error->domain) {
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_PROTOCOL:
    case MONGOC_ERROR_CLIENT:
      mongo_link_close(l);
      break;
    default:
      break;
  }
}

/* ---- documents of legs ---- */

mongoc_cursor_t *mongo_link_find(struct mongo_link *l, const char *const *legs, size_t count,
                                 const bson_t *projection) {
  bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER, in, array;
  bson_append_document_begin(&filter, "telnyx.callControlId", -1, &in);
  bson_append_array_begin(&in, "$in", -1, &array);
  for (size_t i = 0; i < count; i++) {
    char room[16];
    const char *key;
    bson_uint32_to_string((uint32_t)i, &key, room, sizeof room);
    bson_append_utf8(&array, key, -1, legs[i], -1);
  }
  bson_append_array_end(&in, &array);
  bson_append_document_end(&filter, &in);
  bson_append_int32(&opts, "batchSize", -1, MONGO_FIND_MAX); /* the answer's 16 MiB bound it as well */
  if (projection != NULL) bson_append_document(&opts, "projection", -1, projection);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(l->calls, &filter, &opts, NULL);
  bson_destroy(&filter);
  bson_destroy(&opts);
  return cursor;
}

int mongo_link_end(struct mongo_link *l, mongoc_cursor_t *cursor, int64_t began_ms,
                   struct sink_outcome *out) {
  bson_error_t error;
  const bson_t *reply;
  bson_t copy = BSON_INITIALIZER;
  const bool failed = mongoc_cursor_error_document(cursor, &error, &reply);
  if (failed && reply != NULL) bson_concat(&copy, reply);
  mongoc_cursor_destroy(cursor); /* before the client may go */
  if (failed) mongo_link_failed(l, &error, &copy, began_ms, out);
  bson_destroy(&copy);
  return failed ? -1 : 0;
}

const char *mongo_leg_of(const bson_t *document) {
  bson_iter_t at, found;
  return bson_iter_init(&at, document) && bson_iter_find_descendant(&at, "telnyx.callControlId", &found) &&
                 BSON_ITER_HOLDS_UTF8(&found)
             ? bson_iter_utf8(&found, NULL)
             : NULL;
}

int mongo_link_is_sharded(struct mongo_link *l, bson_error_t *error) {
  bson_iter_t at;
  bson_t reply;
  mongoc_server_description_t *server = mongoc_client_select_server(l->client, true, NULL, error);
  if (server == NULL) return -1;
  const bool router = strcmp(mongoc_server_description_type(server), "Mongos") == 0;
  mongoc_server_description_destroy(server);
  if (!router) return 0;
  bson_t *command = BCON_NEW("collStats", BCON_UTF8(l->name));
  const bool ok = mongoc_client_command_simple(l->client, l->database, command, NULL, &reply, error);
  const bool sharded = ok && bson_iter_init_find(&at, &reply, "sharded") && bson_iter_as_bool(&at);
  bson_destroy(command);
  bson_destroy(&reply);
  /* A collection that does not exist yet is refused by some versions: it is not sharded. */
  return ok || error->domain == MONGOC_ERROR_SERVER ? sharded : -1;
}
