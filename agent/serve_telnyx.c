/* Telnyx's side: webhooks and media sockets on the public listener (contract 3). */
#include <string.h>

#include "agent/log.h"
#include "agent/serve.h"
#include "telnyx/stream_key.h"

static const char webhooks_path[] = "/telnyx/webhooks", media_path[] = "/telnyx/media";

void serve_webhook_reply(struct serve *s, conn_id conn, int status, enum webhook_result result,
                         int64_t arrived_us) {
  s->metrics.webhooks[result]++;
  struct moment now = serve_now();
  histogram_add(&s->metrics.webhook_ack, (double)(now.mono_us - arrived_us) * 1e-6);
  server_reply(s->server, conn, status, NULL, NULL, 0);
}

static int webhook_headers(void *arg, const struct http_request *request, const char **allow) {
  (void)arg;
  if (strcmp(request->path, webhooks_path) != 0) return 404;
  if (strcmp(request->method, "POST") == 0) return 0;
  *allow = "POST";
  return 405;
}

/* Before anything else is looked at: who signed this? */
static enum signature_verdict check_signature(struct serve *s, const struct moment *at,
                                              const struct http_request *request) {
  size_t signatures = 0, timestamps = 0;
  const char *signature = http_header(request, "telnyx-signature-ed25519", &signatures);
  const char *timestamp = http_header(request, "telnyx-timestamp", &timestamps);
  if (signatures > 1 || timestamps > 1) return SIGNATURE_MALFORMED;
  return signature_verify(&s->keys, signature, timestamp, request->body, request->body_bytes,
                          at->wall_us / 1000000, s->config.telnyx_signature_tolerance_s);
}

static void webhook_request(void *arg, conn_id conn, const struct moment *at,
                            const struct http_request *request) {
  struct serve *s = arg;
  enum signature_verdict verdict = check_signature(s, at, request);
  bool unsigned_taken = s->keys.count == 0 && s->config.telnyx_insecure;
  if (verdict != SIGNATURE_GOOD && !unsigned_taken) {
    log_event(LOG_WARN, NULL, "webhook refused", LOG_TEXT("signature", signature_verdict_name(verdict)));
    serve_webhook_reply(s, conn, 401, WEBHOOK_UNSIGNED, at->mono_us);
    return;
  }
  struct event event;
  char why[256];
  if (event_parse(request->body, request->body_bytes, &event, why, sizeof why) != 0) {
    log_event(LOG_WARN, NULL, "webhook refused", LOG_TEXT("why", why));
    serve_webhook_reply(s, conn, 400, WEBHOOK_BAD_REQUEST, at->mono_us);
  } else if (event.kind == EVENT_SIDETONE_LEG_LOST) { /* a word of ours: nobody says it from outside */
    log_event(LOG_WARN, NULL, "webhook refused",
              LOG_TEXT("why", "sidetone.leg_lost does not come from Telnyx"));
    event_release(&event);
    serve_webhook_reply(s, conn, 400, WEBHOOK_BAD_REQUEST, at->mono_us);
  } else if (serve_stop_refuses_event(s, &event)) {
    event_release(&event);
    serve_webhook_reply(s, conn, 503, WEBHOOK_UNAVAILABLE, at->mono_us);
  } else {
    serve_store_event(s, conn, at, &event);
  }
}

/* Requests that never became one. */
static void webhook_refused(void *arg, int status) {
  struct serve *s = arg;
  switch (status) {
    case 408:
      s->metrics.webhooks[WEBHOOK_TIMEOUT]++;
      break;
    case 413:
      s->metrics.webhooks[WEBHOOK_TOO_LARGE]++;
      break;
    case 400:
    case 431:
      s->metrics.webhooks[WEBHOOK_BAD_REQUEST]++;
      break;
    default:
      break;
  }
  log_event(LOG_INFO, NULL, "request refused", LOG_INT("status", status));
}

/* ---- media ----------------------------------------------------------------------------------- */

static int refuse(const char *why) {
  log_event(LOG_WARN, NULL, "media socket refused", LOG_TEXT("why", why));
  return 401;
}

/* How the socket proves itself, or the status that refuses it. `key` is the path's, NULL: none. */
static int prove(const struct serve *s, const struct moment *at, const struct http_request *request,
                 const char *key, enum socket_proof *proof) {
  const char *token = s->config.telnyx_stream_token;
  if (token[0] == '\0') {
    *proof = PROOF_DONE;
    if (request->loopback || s->config.telnyx_insecure) return 0;
    return refuse("no telnyx.stream_token is configured, so media is taken from loopback only");
  }
  size_t headers = 0;
  const char *shown = http_header(request, "x-telnyx-streaming-auth-token", &headers);
  if (headers > 1) return refuse("the token header is given twice");
  if (shown != NULL && !stream_token_equal(token, shown)) return refuse("wrong token in the header");
  enum stream_key_kind kind =
      key != NULL ? stream_key_kind(token, key, at->wall_us / 1000000) : STREAM_KEY_TOKEN;
  if (kind == STREAM_KEY_WRONG) return refuse("wrong or expired key in the path");
  bool proven = shown != NULL || (key != NULL && kind == STREAM_KEY_TOKEN);
  *proof = kind == STREAM_KEY_DERIVED ? PROOF_DERIVED : proven ? PROOF_DONE : PROOF_OWED;
  return 0;
}

static int media_upgrade(void *arg, conn_id conn, const struct moment *at,
                         const struct http_request *request) {
  struct serve *s = arg;
  size_t length = strlen(media_path);
  if (strncmp(request->path, media_path, length) != 0) return 404;
  const char *rest = request->path + length;
  if (rest[0] != '\0' && rest[0] != '/') return 404;
  const char *key = rest[0] == '/' && rest[1] != '\0' ? rest + 1 : NULL;
  enum socket_proof proof;
  int status = prove(s, at, request, key, &proof);
  if (status != 0) return status;
  const char *derived = proof == PROOF_DERIVED ? key : NULL;
  if (serve_stop_refuses_socket(s, at, derived)) return 503;
  engine_socket_opened(s->engine, conn, at, proof, derived);
  return 0;
}

static void media_message(void *arg, conn_id conn, const struct moment *at, bool text, bool utf8,
                          const char *data, size_t bytes) {
  struct serve *s = arg;
  engine_socket_message(s->engine, conn, at, text, utf8, data, bytes);
}

static void media_closed(void *arg, conn_id conn, const struct moment *at, int code) {
  struct serve *s = arg;
  engine_socket_closed(s->engine, conn, at, code);
}

static void media_failed(void *arg, conn_id conn, const struct moment *at, int code) {
  struct serve *s = arg;
  (void)at;
  engine_socket_failed(s->engine, conn, code);
}

struct server_handlers serve_webhook_and_media(struct serve *s) {
  return (struct server_handlers){.headers = webhook_headers,
                                  .request = webhook_request,
                                  .upgrade = media_upgrade,
                                  .message = media_message,
                                  .closed = media_closed,
                                  .failed = media_failed,
                                  .refused = webhook_refused,
                                  .arg = s};
}
