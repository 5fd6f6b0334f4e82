/* Your people's side: health, metrics and the live calls (contract 3). */
#include <stdio.h>
#include <string.h>

#include "agent/fold.h"
#include "agent/log.h"
#include "agent/serve.h"
#include "agent/serve_live.h"
#include "config/options.h"
#include "store/outbox.h"
#include "telnyx/stream_key.h"
#include "telnyx/timestamp.h"
#include "telnyx/utf8.h"

static const char json_media_type[] = "application/json", text_media_type[] = "text/plain; charset=utf-8";
static const char calls_path[] = "/api/v1/calls";

static void reply_text(struct serve *s, conn_id conn, int status, const char *type, const char *text) {
  server_reply(s->server, conn, status, type, text, strlen(text));
}

void serve_reply_json(struct serve *s, conn_id conn, int status, const json_t *json) {
  size_t bytes = 0;
  char *text = document_text(json, false, &bytes);
  if (text != NULL) {
    server_reply(s->server, conn, status, json_media_type, text, bytes);
  } else {
    server_reply(s->server, conn, 500, NULL, NULL, 0);
  }
  free(text);
}

/* /api/v1/calls/<callLogId>/actions/<command>. False: the path is another one. */
static bool is_action(const char *path, char *id, size_t id_bytes, const char **command) {
  static const char actions[] = "/actions/";
  if (strncmp(path, calls_path, sizeof calls_path - 1) != 0 || path[sizeof calls_path - 1] != '/')
    return false;
  const char *begin = path + sizeof calls_path, *end = strstr(begin, actions);
  if (end == NULL || end == begin || (size_t)(end - begin) >= id_bytes) return false;
  snprintf(id, id_bytes, "%.*s", (int)(end - begin), begin);
  *command = end + sizeof actions - 1;
  return true;
}

/* A form or a script of a foreign page cannot name this type without being asked first. */
/* A page of a foreign site can have its name mean this machine (DNS rebinding), and then asks as a neighbour; it cannot
 * change the name that the browser says. With a token it has nothing to show. */
static bool is_named_as_here(const struct serve *s, const struct http_request *request) {
  char name[256];
  const char *host = http_header(request, "host", NULL);
  if (s->config.admin_token[0] != '\0') return true;
  if (host == NULL || snprintf(name, sizeof name, "%s", host) >= (int)sizeof name) return false;
  char *port = strrchr(name, ':'), *bracket = strrchr(name, ']');
  if (port != NULL && (bracket == NULL || port > bracket)) *port = '\0';
  size_t length = strlen(name);
  if (name[0] == '[' && name[length - 1] == ']') {
    name[length - 1] = '\0';
    return form_host_is_loopback(name + 1);
  }
  return form_host_is_loopback(name);
}

static int action_headers(const struct serve *s, const struct http_request *request, const char **allow) {
  if (strcmp(request->method, "POST") != 0) {
    *allow = "POST";
    return 405;
  }
  if (!is_named_as_here(s, request)) return 403;
  const char *type = http_header(request, "content-type", NULL);
  return type != NULL && strncasecmp(type, json_media_type, sizeof json_media_type - 1) == 0 ? 0 : 415;
}

static int admin_headers(void *arg, const struct http_request *request, const char **allow) {
  struct serve *s = arg;
  bool probe = strcmp(request->path, "/livez") == 0 || strcmp(request->path, "/readyz") == 0;
  bool known = probe || strcmp(request->path, "/metrics") == 0 || strcmp(request->path, calls_path) == 0 ||
               strncmp(request->path, "/api/v1/calls/", sizeof calls_path) == 0;
  if (!probe && s->config.admin_token[0] != '\0') {
    const char *given = http_header(request, "authorization", NULL);
    static const char scheme[] = "Bearer ";
    bool good = given != NULL && strncasecmp(given, scheme, sizeof scheme - 1) == 0 &&
                stream_token_equal(s->config.admin_token, given + sizeof scheme - 1);
    if (!good) return 401;
  }
  char id[160];
  const char *action;
  if (is_action(request->path, id, sizeof id, &action)) return action_headers(s, request, allow);
  if (!known) return 404;
  if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) return 0;
  *allow = "GET, HEAD";
  return 405;
}

/* ---- /readyz --------------------------------------------------------------------------------- */

/* Texts of servers and names of their groups may be any bytes, or cut in the middle of a character. */
static json_t *readable(const char *text) {
  static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
  struct buffer clean = {0};
  for (size_t left = strlen(text), bytes; left > 0; text += bytes, left -= bytes) {
    bytes = utf8_character(text, left);
    buffer_put_text(&clean, bytes == 0 ? unknown : "");
    buffer_put(&clean, text, bytes);
    if (bytes == 0) bytes = 1;
  }
  json_t *value = json_stringn(clean.data != NULL ? clean.data : "", clean.bytes);
  free(clean.data);
  return value;
}

void serve_add_reason(json_t *reasons, const char *part, int64_t since_ms, const char *text) {
  char since[TIMESTAMP_BYTES];
  timestamp_format_ms(since_ms, since);
  json_array_append_new(reasons,
                        json_pack("{s:s, s:s, s:o}", "part", part, "since", since, "text", readable(text)));
}

static void ready(struct serve *s, conn_id conn) {
  struct store_stats stats;
  serve_watch_store(s, &stats);
  json_t *reasons = json_array();
  bool unready = !stats.writable || stats.used_percent >= 95 || s->draining;
  if (!stats.writable) serve_add_reason(reasons, "store", s->store_away_since_ms, stats.reason);
  if (stats.used_percent >= 80) {
    char text[64];
    snprintf(text, sizeof text, "%d %% of store.max_bytes used", stats.used_percent);
    serve_add_reason(reasons, "store", s->store_short_since_ms, text);
  }
  if (s->draining) serve_add_reason(reasons, "agent", s->draining_since_ms, "draining: it is about to stop");
  serve_sinks_ready(s, reasons);
  serve_live_ready(s, reasons);
  const char *status = unready ? "unready" : json_array_size(reasons) > 0 ? "degraded" : "ready";
  json_t *body = json_pack("{s:s, s:o}", "status", status, "reasons", reasons);
  serve_reply_json(s, conn, unready ? 503 : 200, body);
  json_decref(body);
}

static void fill_outbox(struct metrics *m, struct store *store) {
  struct outbox_depth depth[SINK_COUNT];
  int64_t now_ms = serve_now().wall_us / 1000;
  outbox_depth(store, depth);
  for (int i = 0; i < SINK_COUNT; i++) {
    int64_t oldest_ms = depth[i].oldest_pending_at_ms;
    m->outbox_pending[i] = depth[i].pending;
    m->outbox_dead[i] = depth[i].dead;
    /* The clock may have been set back since. */
    m->outbox_oldest_seconds[i] =
        oldest_ms > 0 && oldest_ms < now_ms ? (double)(now_ms - oldest_ms) / 1e3 : 0;
  }
}

static void metrics(struct serve *s, conn_id conn) {
  struct store_stats stats;
  store_stats(s->store, &stats);
  s->metrics.loop_lag_seconds = server_loop_lag_seconds(s->server);
  serve_live_metrics(s);
  s->metrics.calls_live = engine_calls_live(s->engine);
  s->metrics.store_commits = stats.commits;
  s->metrics.store_fsync_seconds_sum = stats.fsync_seconds_sum;
  s->metrics.store_fsync_count = stats.fsync_count;
  fill_outbox(&s->metrics, s->store);
  size_t bytes = 0;
  struct buffer all = {0};
  char *text = metrics_text(&s->metrics, &bytes);
  buffer_put(&all, text, bytes);
  serve_sinks_metrics(s, &all);
  bool whole = text != NULL && !all.failed;
  server_reply(s->server, conn, whole ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", all.data,
               whole ? all.bytes : 0);
  free(all.data);
  free(text);
}

/* ---- one call -------------------------------------------------------------------------------- */

/* Read from the disk on libuv's pool, so the loop does not wait for it. */
struct look_up {
  uv_work_t work;
  struct serve *serve;
  conn_id conn;
  char *directory, *id, *text;
  char *damaged; /* the leg of a CallLog with this id and a bad checksum */
};

static void look(uv_work_t *work) {
  struct look_up *l = work->data;
  char why[256];
  struct store_reader *reader;
  if (store_reader_open(&reader, l->directory, why, sizeof why) != 0) return;
  l->text = store_reader_get(reader, l->id);
  const char *damaged = store_reader_damaged(reader);
  if (damaged != NULL) l->damaged = strdup(damaged);
  store_reader_close(reader);
}

static void looked(uv_work_t *work, int status) {
  struct look_up *l = work->data;
  if (l->serve->server == NULL) { /* it ended meanwhile: nobody is left to be answered */
  } else if (status == 0 && l->text != NULL) {
    reply_text(l->serve, l->conn, 200, json_media_type, l->text);
  } else {
    reply_text(l->serve, l->conn, 404, json_media_type, "{\"error\":\"no such call\"}");
  }
  if (l->serve->server != NULL && l->damaged != NULL) serve_store_load(l->serve, l->damaged);
  free(l->directory);
  free(l->id);
  free(l->text);
  free(l->damaged);
  free(l);
}

static void one_call(struct serve *s, conn_id conn, const char *id) {
  json_t *document = engine_document(s->engine, id);
  if (document != NULL) {
    serve_reply_json(s, conn, 200, document);
    json_decref(document);
    return;
  }
  struct look_up *l = calloc(1, sizeof *l);
  if (l != NULL) {
    *l = (struct look_up){
        .serve = s, .conn = conn, .directory = strdup(s->config.store_dir), .id = strdup(id)};
    l->work.data = l;
    if (l->directory != NULL && l->id != NULL && uv_queue_work(&s->loop, &l->work, look, looked) == 0) return;
    free(l->directory);
    free(l->id);
    free(l);
  }
  server_reply(s->server, conn, 500, NULL, NULL, 0);
}

static void no_such_command(struct serve *s, conn_id conn) {
  char text[256] = "{\"error\":\"no such command; there are";
  for (enum command c = COMMAND_ANSWER; c < COMMANDS; c++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s", c > COMMAND_ANSWER ? "," : "",
             command_name(c));
  snprintf(text + strlen(text), sizeof text - strlen(text), "\"}");
  reply_text(s, conn, 404, json_media_type, text);
}

static void order(struct serve *s, conn_id conn, const char *id, const char *name) {
  enum command command;
  const char *leg = engine_leg_of(s->engine, id);
  if (!serve_commands_ready(s)) {
    reply_text(s, conn, 404, json_media_type, "{\"error\":\"without telnyx.api_key there are no commands\"}");
  } else if (!command_find(name, &command)) {
    no_such_command(s, conn);
  } else if (leg == NULL) {
    reply_text(s, conn, 404, json_media_type, "{\"error\":\"no such call is up here\"}");
  } else if (!serve_commands_order(s, conn, leg, command)) {
    reply_text(s, conn, 503, json_media_type, "{\"error\":\"the command could not be queued\"}");
  }
}

static void admin_request(void *arg, conn_id conn, const struct moment *at,
                          const struct http_request *request) {
  struct serve *s = arg;
  const char *path = request->path, *action;
  char id[160];
  if (is_action(path, id, sizeof id, &action)) {
    order(s, conn, id, action);
  } else if (strcmp(path, "/livez") == 0) {
    reply_text(s, conn, 200, text_media_type, "live\n");
  } else if (strcmp(path, "/readyz") == 0) {
    ready(s, conn);
  } else if (strcmp(path, "/metrics") == 0) {
    metrics(s, conn);
  } else if (strcmp(path, calls_path) == 0) {
    json_t *calls = engine_live(s->engine, at);
    serve_reply_json(s, conn, 200, calls);
    json_decref(calls);
  } else {
    one_call(s, conn, path + sizeof calls_path);
  }
}

struct server_handlers serve_admin(struct serve *s) {
  return (struct server_handlers){.headers = admin_headers, .request = admin_request, .arg = s};
}
