#include "agent/net_http.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "telnyx/signature.h"

enum { CONNECT_MS = 10000, ANSWER_MS = 30000, SIGNATURE_TEXT_BYTES = 89 };

static const char TIMESTAMP[] = "telnyx-timestamp", SIGNATURE[] = "telnyx-signature-ed25519";

struct post {
  struct post *next;
  char *url, *body, *note;
  size_t bytes;
  int tag;
  struct curl_slist *headers; /* all but the two of the signature, unless the fixture has them */
  char *timestamp;            /* the fixture's own, or NULL */
  bool own_timestamp, own_signature;
  int status;
  char why[CURL_ERROR_SIZE];
};

struct queue {
  struct post *first, **end;
};

struct net_http {
  struct net_http_options options;
  uv_async_t wake;
  uv_thread_t thread;
  size_t pending;
  bool closed; /* the handle */
  atomic_bool stop;
  /* Under the mutex. */
  uv_mutex_t mutex;
  uv_cond_t filled;
  struct queue waiting, done;
};

/* ---- posts ---- */

static void push(struct queue *q, struct post *p) {
  p->next = NULL;
  *q->end = p;
  q->end = &p->next;
}

static struct post *pop(struct queue *q) {
  struct post *p = q->first;
  if (p == NULL) return NULL;
  q->first = p->next;
  if (q->first == NULL) q->end = &q->first;
  return p;
}

static void post_free(struct post *p) {
  if (p == NULL) return;
  curl_slist_free_all(p->headers);
  free(p->timestamp);
  free(p->url);
  free(p->body);
  free(p->note);
  free(p);
}

static bool add_line(struct post *p, const char *line) {
  struct curl_slist *longer = curl_slist_append(p->headers, line);
  if (longer == NULL) return false;
  p->headers = longer;
  return true;
}

/* curl's forms: "Name: value", "Name;" for an empty value, "Name:" for a header that is left out. */
static bool add_header(struct post *p, const char *name, const char *value) {
  char *line = NULL;
  int length = value == NULL    ? asprintf(&line, "%s:", name)
               : *value == '\0' ? asprintf(&line, "%s;", name)
                                : asprintf(&line, "%s: %s", name, value);
  bool fine = length > 0 && add_line(p, line);
  if (length > 0) free(line);
  return fine;
}

static bool has_header(json_t *headers, const char *name) {
  const char *key;
  json_t *value;
  json_object_foreach(headers, key, value) {
    if (strcasecmp(key, name) == 0) return true;
  }
  return false;
}

static bool add_own(struct post *p, const char *name, const json_t *value) {
  bool fine = true;
  for (size_t i = 0; i < json_array_size(value); i++)
    fine = fine && add_own(p, name, json_array_get(value, i));
  if (json_is_array(value)) return fine;
  if (strcasecmp(name, TIMESTAMP) == 0 && json_is_string(value) && p->timestamp == NULL) {
    p->timestamp = strdup(json_string_value(value));
  }
  return add_header(p, name, json_string_value(value));
}

static bool add_headers(struct post *p, json_t *headers) {
  static const char *const usual[][2] = {
      {"Content-Type", "application/json"}, {"User-Agent", "telnyx-webhooks"}, {"Expect", NULL}};
  const char *key;
  json_t *value;
  bool fine = true;
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
    if (!has_header(headers, usual[i][0])) fine = fine && add_header(p, usual[i][0], usual[i][1]);
  }
  p->own_timestamp = has_header(headers, TIMESTAMP);
  p->own_signature = has_header(headers, SIGNATURE);
  json_object_foreach(headers, key, value) fine = fine && add_own(p, key, value);
  return fine;
}

static char *url_of(const struct net_target *t, const char *path) {
  char *url;
  int length =
      asprintf(&url, "%s://%s%s%s%s", t->scheme, t->authority, t->prefix, *path == '/' ? "" : "/", path);
  return length > 0 ? url : NULL;
}

static struct post *post_make(const struct net_http *h, const struct net_http_post *from) {
  struct post *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->url = url_of(h->options.target, from->path);
  p->note = strdup(from->note);
  p->body = malloc(from->bytes + 1);
  p->tag = from->tag;
  if (p->url == NULL || p->note == NULL || p->body == NULL ||
      !add_headers(p, (json_t *)(uintptr_t)from->headers)) {
    post_free(p);
    return NULL;
  }
  memcpy(p->body, from->body, from->bytes);
  p->body[from->bytes] = '\0';
  p->bytes = from->bytes;
  return p;
}

/* ---- the thread ---- */

/* A timestamp of the fixture's is signed as well: a stale event has a good signature. */
static bool sign(struct post *p, const unsigned char *seed) {
  char now[24], signature[SIGNATURE_TEXT_BYTES];
  snprintf(now, sizeof now, "%lld", (long long)time(NULL));
  if (!p->own_timestamp && !add_header(p, TIMESTAMP, now)) return false;
  if (seed == NULL || p->own_signature) return true;
  const char *timestamp = p->own_timestamp ? p->timestamp : now;
  if (timestamp == NULL) return true;
  return signature_sign(seed, timestamp, p->body, p->bytes, signature) == 0 &&
         add_header(p, SIGNATURE, signature);
}

static size_t ignore_body(char *data, size_t size, size_t count, void *arg) {
  (void)data;
  (void)arg;
  return size * count;
}

static int stop_wanted(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total, curl_off_t ul) {
  struct net_http *h = arg;
  (void)dl_total;
  (void)dl;
  (void)ul_total;
  (void)ul;
  return atomic_load(&h->stop);
}

static void deliver(struct net_http *h, CURL *curl, struct post *p) {
  long status = 0;
  const char *authorities = getenv("SSL_CERT_FILE"); /* as OpenSSL takes it for the media */
  if (!sign(p, h->options.seed)) {
    snprintf(p->why, sizeof p->why, "not signed: no memory");
    return;
  }
  curl_easy_reset(curl); /* keeps the connection */
  curl_easy_setopt(curl, CURLOPT_URL, p->url);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->bytes);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, p->body);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, p->headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_body);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->why);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_wanted);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, h);
  if (authorities != NULL) curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
  if (!h->options.target->verify) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK && p->why[0] == '\0') snprintf(p->why, sizeof p->why, "%s", curl_easy_strerror(code));
  p->status = (int)status;
}

static struct post *next_post(struct net_http *h) {
  uv_mutex_lock(&h->mutex);
  while (h->waiting.first == NULL && !atomic_load(&h->stop)) uv_cond_wait(&h->filled, &h->mutex);
  struct post *p = atomic_load(&h->stop) ? NULL : pop(&h->waiting);
  uv_mutex_unlock(&h->mutex);
  return p;
}

static void run(void *arg) {
  struct net_http *h = arg;
  struct post *p;
  CURL *curl = curl_easy_init();
  while ((p = next_post(h)) != NULL) {
    if (curl != NULL) {
      deliver(h, curl, p);
    } else {
      snprintf(p->why, sizeof p->why, "no memory");
    }
    uv_mutex_lock(&h->mutex);
    push(&h->done, p);
    uv_mutex_unlock(&h->mutex);
    uv_async_send(&h->wake);
  }
  curl_easy_cleanup(curl);
}

/* ---- the loop's side ---- */

static void on_wake(uv_async_t *wake) {
  struct net_http *h = wake->data;
  for (;;) {
    uv_mutex_lock(&h->mutex);
    struct post *p = pop(&h->done);
    uv_mutex_unlock(&h->mutex);
    if (p == NULL) return;
    h->pending--;
    const struct net_http_answer answer = {p->url, p->note, p->status, p->why, p->tag};
    h->options.answered(h->options.arg, &answer);
    post_free(p);
  }
}

struct net_http *net_http_create(const struct net_http_options *options) {
  struct net_http *h = calloc(1, sizeof *h);
  if (h == NULL) return NULL;
  h->options = *options;
  h->waiting.end = &h->waiting.first;
  h->done.end = &h->done.first;
  h->wake.data = h;
  if (uv_mutex_init(&h->mutex) != 0) goto no_mutex;
  if (uv_cond_init(&h->filled) != 0) goto no_cond;
  if (uv_async_init(options->loop, &h->wake, on_wake) != 0) goto no_async;
  if (uv_thread_create(&h->thread, run, h) == 0) return h;
  uv_close((uv_handle_t *)&h->wake, NULL);
  uv_run(options->loop, UV_RUN_NOWAIT);
no_async:
  uv_cond_destroy(&h->filled);
no_cond:
  uv_mutex_destroy(&h->mutex);
no_mutex:
  free(h);
  return NULL;
}

int net_http_post(struct net_http *h, const struct net_http_post *post) {
  struct post *p = post_make(h, post);
  if (p == NULL) return -1;
  h->pending++;
  uv_mutex_lock(&h->mutex);
  push(&h->waiting, p);
  uv_cond_signal(&h->filled);
  uv_mutex_unlock(&h->mutex);
  return 0;
}

size_t net_http_pending(const struct net_http *h) {
  return h->pending;
}

static void on_closed(uv_handle_t *handle) {
  struct net_http *h = handle->data;
  h->closed = true;
}

void net_http_destroy(struct net_http *h) {
  if (h == NULL) return;
  uv_mutex_lock(&h->mutex);
  atomic_store(&h->stop, true);
  uv_cond_signal(&h->filled);
  uv_mutex_unlock(&h->mutex);
  uv_thread_join(&h->thread);
  uv_close((uv_handle_t *)&h->wake, on_closed);
  while (!h->closed) uv_run(h->options.loop, UV_RUN_NOWAIT);
  struct post *p;
  while ((p = pop(&h->waiting)) != NULL) post_free(p);
  while ((p = pop(&h->done)) != NULL) post_free(p);
  uv_cond_destroy(&h->filled);
  uv_mutex_destroy(&h->mutex);
  free(h);
}
