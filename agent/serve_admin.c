/* Your people's side: health, metrics and the live calls (contract 3). */
#include <stdio.h>
#include <string.h>

#include "agent/fold.h"
#include "agent/log.h"
#include "agent/serve.h"
#include "telnyx/stream_key.h"
#include "telnyx/timestamp.h"

static const char json_media_type[] = "application/json", text_media_type[] = "text/plain; charset=utf-8";
static const char calls_path[] = "/api/v1/calls";

static void reply_text(struct serve *s, conn_id conn, int status, const char *type, const char *text) {
  server_reply(s->server, conn, status, type, text, strlen(text));
}

static void reply_json(struct serve *s, conn_id conn, int status, const json_t *json) {
  size_t bytes = 0;
  char *text = document_text(json, false, &bytes);
  if (text != NULL) {
    server_reply(s->server, conn, status, json_media_type, text, bytes);
  } else {
    server_reply(s->server, conn, 500, NULL, NULL, 0);
  }
  free(text);
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
  if (!known) return 404;
  if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) return 0;
  *allow = "GET, HEAD";
  return 405;
}

/* ---- /readyz --------------------------------------------------------------------------------- */

static void add_reason(json_t *reasons, const char *part, int64_t since_ms, const char *text) {
  char since[TIMESTAMP_BYTES];
  timestamp_format_ms(since_ms, since);
  json_array_append_new(reasons, json_pack("{s:s, s:s, s:s}", "part", part, "since", since, "text", text));
}

static void ready(struct serve *s, conn_id conn) {
  struct store_stats stats;
  serve_watch_store(s, &stats);
  json_t *reasons = json_array();
  bool is_short = stats.used_percent >= 80, no_room = stats.used_percent >= 95;
  bool unready = !stats.writable || no_room || s->draining;
  if (!stats.writable) add_reason(reasons, "store", s->store_away_since_ms, stats.reason);
  if (is_short) {
    char text[64];
    snprintf(text, sizeof text, "%d %% of store.max_bytes used", stats.used_percent);
    add_reason(reasons, "store", s->store_short_since_ms, text);
  }
  if (s->draining) add_reason(reasons, "agent", s->draining_since_ms, "draining: it is about to stop");
  json_t *body = json_pack("{s:s, s:o}", "status",
                           unready    ? "unready"
                           : is_short ? "degraded"
                                      : "ready",
                           "reasons", reasons);
  reply_json(s, conn, unready ? 503 : 200, body);
  json_decref(body);
}

static void metrics(struct serve *s, conn_id conn) {
  struct store_stats stats;
  store_stats(s->store, &stats);
  s->metrics.loop_lag_seconds = server_loop_lag_seconds(s->server);
  s->metrics.calls_live = engine_calls_live(s->engine);
  s->metrics.store_commits = stats.commits;
  s->metrics.store_fsync_seconds_sum = stats.fsync_seconds_sum;
  s->metrics.store_fsync_count = stats.fsync_count;
  size_t bytes = 0;
  char *text = metrics_text(&s->metrics, &bytes);
  server_reply(s->server, conn, text != NULL ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", text,
               bytes);
  free(text);
}

/* ---- one call -------------------------------------------------------------------------------- */

/* Read from the disk on libuv's pool, so the loop does not wait for it. */
struct look_up {
  uv_work_t work;
  struct serve *serve;
  conn_id conn;
  char *directory, *id, *text;
};

static void look(uv_work_t *work) {
  struct look_up *l = work->data;
  char why[256];
  struct store_reader *reader;
  if (store_reader_open(&reader, l->directory, why, sizeof why) != 0) return;
  l->text = store_reader_get(reader, l->id);
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
  free(l->directory);
  free(l->id);
  free(l->text);
  free(l);
}

static void one_call(struct serve *s, conn_id conn, const char *id) {
  json_t *document = engine_document(s->engine, id);
  if (document != NULL) {
    reply_json(s, conn, 200, document);
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

static void admin_request(void *arg, conn_id conn, const struct moment *at,
                          const struct http_request *request) {
  struct serve *s = arg;
  const char *path = request->path;
  if (strcmp(path, "/livez") == 0) {
    reply_text(s, conn, 200, text_media_type, "live\n");
  } else if (strcmp(path, "/readyz") == 0) {
    ready(s, conn);
  } else if (strcmp(path, "/metrics") == 0) {
    metrics(s, conn);
  } else if (strcmp(path, calls_path) == 0) {
    json_t *calls = engine_live(s->engine, at);
    reply_json(s, conn, 200, calls);
    json_decref(calls);
  } else {
    one_call(s, conn, path + sizeof calls_path);
  }
}

struct server_handlers serve_admin(struct serve *s) {
  return (struct server_handlers){.headers = admin_headers, .request = admin_request, .arg = s};
}
