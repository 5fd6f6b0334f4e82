/* The thread, its queue, and libcurl. A request is a job: it waits for its time, is under way, and is judged. */
#include "store/rest.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/rest_wait.h"

enum {
  UNDER_WAY_MAX = 32,
  BODY_MAX_BYTES = 256 * 1024,
  IDLE_MS = 60000,
  TURN_QUIET_MS = 90000,
  WAIT_DEFAULT_MS = 1000
};

struct job {
  struct job *next;
  struct rest_request request; /* its texts are owned */
  CURL *easy;                  /* while it is under way */
  int64_t due_ms, deadline_ms; /* monotonic */
  unsigned tries;
  char *body; /* of the newest answer, ends in NUL */
  size_t body_bytes;
  int64_t wait_ms; /* by its headers, -1: silent */
  int status;
  enum rest_verdict verdict;
  char error[CURL_ERROR_SIZE];
};

struct job_list {
  struct job *first, *last;
};

struct rest {
  struct rest_options options;
  char *bearer, *user_agent;
  pthread_t thread;
  CURLM *multi;
  struct curl_slist *headers;
  uint64_t random;
  /* The thread's own. */
  struct job_list waiting;
  struct job *under_way[UNDER_WAY_MAX];
  size_t under_way_count;
  int64_t held_until_ms; /* a rate limit */
  /* Shared. */
  pthread_mutex_t mutex;
  struct job_list submitted, answered;
  size_t pending;
  bool stopping;
};

/* xorshift64*: spreads retries of many agents, nothing more. */
static uint32_t draw(struct rest *r) {
  r->random ^= r->random >> 12;
  r->random ^= r->random << 25;
  r->random ^= r->random >> 27;
  return (uint32_t)((r->random * 2685821657736338717ULL) >> 32);
}

/* ---- jobs ---- */

static void append(struct job_list *list, struct job *job) {
  job->next = NULL;
  if (list->first == NULL)
    list->first = job;
  else
    list->last->next = job;
  list->last = job;
}

static void job_free(struct job *job) {
  if (job == NULL) return;
  const char *texts[] = {job->request.method, job->request.url, job->request.body};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free((void *)(uintptr_t)texts[i]);
  free(job->body);
  if (job->easy != NULL) curl_easy_cleanup(job->easy);
  free(job);
}

static void free_list(struct job *job) {
  while (job != NULL) {
    struct job *next = job->next;
    job_free(job);
    job = next;
  }
}

static struct job *job_new(const struct rest_request *request) {
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->request = *request;
  job->request.method = strdup(request->method);
  job->request.url = strdup(request->url);
  job->request.body = request->body != NULL ? strdup(request->body) : NULL;
  int64_t now = monotonic_ms();
  job->due_ms = now + request->first_after_ms;
  job->deadline_ms = now + request->give_up_after_ms;
  if (job->request.method != NULL && job->request.url != NULL &&
      (request->body == NULL || job->request.body != NULL))
    return job;
  job_free(job);
  return NULL;
}

/* ---- libcurl's callbacks ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
  struct job *job = arg;
  size_t bytes = size * count;
  if (job->body_bytes + bytes > BODY_MAX_BYTES) return 0;
  char *grown = realloc(job->body, job->body_bytes + bytes + 1);
  if (grown == NULL) return 0;
  job->body = grown;
  memcpy(job->body + job->body_bytes, data, bytes);
  job->body_bytes += bytes;
  job->body[job->body_bytes] = '\0';
  return bytes;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg) {
  struct job *job = arg;
  int64_t wait = rest_wait_of_header(data, size * count, wall_ms() / 1000);
  if (wait > job->wait_ms) job->wait_ms = wait;
  return size * count;
}

/* ---- the thread: sending ---- */

static void set_up(struct rest *r, struct job *job) {
  CURL *easy = job->easy;
  curl_easy_setopt(easy, CURLOPT_URL, job->request.url);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->request.method);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, r->user_agent);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->error);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
  if (job->request.body != NULL) curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->request.body);
  if (*r->bearer != '\0') {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, r->bearer);
  }
  int64_t reply_ms = job->tries == 0 ? r->options.first_reply_ms : r->options.reply_ms;
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->options.connect_ms);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(r->options.connect_ms + reply_ms));
}

static void finish(struct rest *r, struct job *job, enum rest_verdict verdict) {
  job->verdict = verdict;
  pthread_mutex_lock(&r->mutex);
  append(&r->answered, job);
  pthread_mutex_unlock(&r->mutex);
  if (r->options.wake != NULL) r->options.wake(r->options.arg);
}

static void send_job(struct rest *r, struct job *job) {
  free(job->body);
  job->body = NULL;
  job->body_bytes = 0;
  job->wait_ms = -1;
  job->status = 0;
  *job->error = '\0';
  job->easy = curl_easy_init();
  if (job->easy != NULL) set_up(r, job);
  job->tries++;
  if (job->easy != NULL && curl_multi_add_handle(r->multi, job->easy) == CURLM_OK) {
    r->under_way[r->under_way_count++] = job;
    return;
  }
  snprintf(job->error, sizeof job->error, "out of memory");
  finish(r, job, REST_GIVE_UP);
}

/* A limit that lasts an hour must not keep those who ask waiting as long. */
static bool comes_too_late(struct job *job, int64_t due, int64_t now) {
  if (due <= job->deadline_ms && now <= job->deadline_ms) return false;
  if (*job->error == '\0')
    snprintf(job->error, sizeof job->error, "%s",
             due > job->deadline_ms ? "held back by a rate limit for longer than it may wait"
                                    : "too many requests are under way");
  return true;
}

/* Those whose time has come, as many as may be under way. */
static void send_due(struct rest *r, int64_t now) {
  struct job_list all = r->waiting;
  r->waiting = (struct job_list){0};
  while (all.first != NULL) {
    struct job *job = all.first;
    all.first = job->next;
    int64_t due = job->due_ms > r->held_until_ms ? job->due_ms : r->held_until_ms;
    if (comes_too_late(job, due, now))
      finish(r, job, REST_GIVE_UP);
    else if (due <= now && r->under_way_count < UNDER_WAY_MAX)
      send_job(r, job);
    else
      append(&r->waiting, job);
  }
}

static int64_t next_due_in_ms(const struct rest *r, int64_t now) {
  int64_t in = IDLE_MS;
  if (r->under_way_count >= UNDER_WAY_MAX) return in; /* an end wakes it */
  for (const struct job *job = r->waiting.first; job != NULL; job = job->next) {
    int64_t due = job->due_ms > r->held_until_ms ? job->due_ms : r->held_until_ms;
    if (due - now < in) in = due - now;
  }
  return in < 0 ? 0 : in;
}

/* ---- the thread: answers ---- */

static void try_again(struct rest *r, struct job *job, int64_t wait_ms) {
  int64_t now = monotonic_ms();
  job->due_ms = now + wait_ms;
  if (job->due_ms > job->deadline_ms)
    finish(r, job, REST_GIVE_UP);
  else
    append(&r->waiting, job);
}

static void judge(struct rest *r, struct job *job) {
  int64_t wait_ms = job->wait_ms > 0 ? job->wait_ms : 0;
  enum rest_verdict verdict = r->options.judge(r->options.arg, &job->request, job->status,
                                               job->body != NULL ? job->body : "", job->body_bytes, &wait_ms);
  if (verdict == REST_AGAIN && job->tries >= job->request.tries) verdict = REST_GIVE_UP;
  if (verdict == REST_AGAIN) {
    try_again(r, job, rest_backoff_ms(job->tries + 1, draw(r)));
  } else if (verdict == REST_AGAIN_LATER) {
    job->tries--;
    if (wait_ms <= 0) wait_ms = WAIT_DEFAULT_MS;
    if (job->status == 429) r->held_until_ms = monotonic_ms() + wait_ms;
    try_again(r, job, wait_ms);
  } else {
    finish(r, job, verdict);
  }
}

static void forget_under_way(struct rest *r, struct job *job) {
  size_t i = 0;
  while (r->under_way[i] != job) i++;
  r->under_way[i] = r->under_way[--r->under_way_count];
  curl_multi_remove_handle(r->multi, job->easy);
  curl_easy_cleanup(job->easy);
  job->easy = NULL;
}

static void take_ended(struct rest *r) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(r->multi, &left)) != NULL) {
    struct job *job = NULL;
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result;
    long status = 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
    if (result == CURLE_OK) curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK && *job->error == '\0')
      snprintf(job->error, sizeof job->error, "%s", curl_easy_strerror(result));
    job->status = (int)status;
    forget_under_way(r, job);
    judge(r, job);
  }
}

/* False: it is to stop. */
static bool take_submitted(struct rest *r) {
  pthread_mutex_lock(&r->mutex);
  struct job *job = r->submitted.first;
  r->submitted = (struct job_list){0};
  bool go_on = !r->stopping;
  pthread_mutex_unlock(&r->mutex);
  while (job != NULL) {
    struct job *next = job->next;
    append(&r->waiting, job);
    job = next;
  }
  return go_on;
}

static void *run(void *arg) {
  struct rest *r = arg;
  int running;
  while (take_submitted(r)) {
    pulse_expect(&r->options.pulse, TURN_QUIET_MS);
    int64_t now = monotonic_ms();
    send_due(r, now);
    curl_multi_perform(r->multi, &running);
    take_ended(r);
    curl_multi_poll(r->multi, NULL, 0, (int)next_due_in_ms(r, monotonic_ms()), NULL);
  }
  pulse_expect(&r->options.pulse, 0);
  while (r->under_way_count > 0) {
    struct job *job = r->under_way[0];
    forget_under_way(r, job);
    job_free(job);
  }
  return NULL;
}

/* ---- everybody else ---- */

static void free_rest(struct rest *r) {
  free_list(r->waiting.first);
  free_list(r->submitted.first);
  free_list(r->answered.first);
  curl_slist_free_all(r->headers);
  if (r->multi != NULL) curl_multi_cleanup(r->multi);
  pthread_mutex_destroy(&r->mutex);
  free(r->bearer);
  free(r->user_agent);
  free(r);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

int rest_start(struct rest **out, const struct rest_options *options, char *why, size_t why_bytes) {
  struct rest *r = calloc(1, sizeof *r);
  snprintf(why, why_bytes, "out of memory");
  if (r == NULL) return -1;
  pthread_once(&curl_once, init_curl);
  pthread_mutex_init(&r->mutex, NULL);
  r->options = *options;
  r->bearer = strdup(options->bearer_token);
  r->user_agent = strdup(options->user_agent);
  r->headers = curl_slist_append(NULL, "Content-Type: application/json");
  r->multi = curl_multi_init();
  r->random = (uint64_t)wall_ms() << 16 ^ (uintptr_t)r;
  if (r->bearer != NULL && r->user_agent != NULL && r->headers != NULL && r->multi != NULL) {
    int error = pthread_create(&r->thread, NULL, run, r);
    if (error == 0) {
      *out = r;
      return 0;
    }
    snprintf(why, why_bytes, "its thread cannot be started: %s", strerror(error));
  }
  free_rest(r);
  return -1;
}

int rest_submit(struct rest *r, const struct rest_request *request) {
  struct job *job = job_new(request);
  if (job == NULL) return -ENOMEM;
  pthread_mutex_lock(&r->mutex);
  bool full = r->pending >= r->options.queue_max;
  if (!full) {
    append(&r->submitted, job);
    r->pending++;
  }
  pthread_mutex_unlock(&r->mutex);
  if (!full) {
    curl_multi_wakeup(r->multi);
    return 0;
  }
  job_free(job);
  return -EAGAIN;
}

void rest_collect(struct rest *r, void (*answer)(void *arg, const struct rest_answer *), void *arg) {
  pthread_mutex_lock(&r->mutex);
  struct job *first = r->answered.first;
  r->answered = (struct job_list){0};
  for (const struct job *job = first; job != NULL; job = job->next) r->pending--;
  pthread_mutex_unlock(&r->mutex);
  for (const struct job *job = first; job != NULL; job = job->next) {
    const struct rest_answer a = {.ticket = job->request.ticket,
                                  .verdict = job->verdict,
                                  .status = job->status,
                                  .tries = job->tries,
                                  .body = job->body != NULL ? job->body : "",
                                  .body_bytes = job->body_bytes,
                                  .error = *job->error != '\0' ? job->error : NULL};
    answer(arg, &a);
  }
  free_list(first);
}

void rest_stop(struct rest *r) {
  if (r == NULL) return;
  pthread_mutex_lock(&r->mutex);
  r->stopping = true;
  pthread_mutex_unlock(&r->mutex);
  curl_multi_wakeup(r->multi);
  pthread_join(r->thread, NULL);
  free_rest(r);
}
