/* HTTP requests to a REST API (libcurl multi) on a thread of their own: queued, retried with the identical body,
 * rate limits honoured, answers handed back to the loop. Knows HTTP, not whose API it is: what an answer means is the
 * caller's function. Third-party: libcurl in store/rest.c only. */
#ifndef STORE_REST_H
#define STORE_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/pulse.h"

struct rest;

enum rest_verdict {
  REST_DONE,    /* finished; the answer goes to the caller */
  REST_GIVE_UP, /* finished as failed */
  REST_AGAIN,   /* once more, with backoff, at most rest_request.tries times in all */
  REST_AGAIN_LATER /* after `wait_ms`, does not count as a try; with status 429 nothing else is sent until then */
};

struct rest_request {
  uint64_t ticket;
  const char *method;       /* GET, POST, PUT */
  const char *url;          /* https:// or http:// */
  const char *body;         /* JSON, or NULL */
  unsigned tries;           /* 1 to 10 */
  int64_t give_up_after_ms; /* from the submission, in all */
  int64_t first_after_ms;   /* before the first try; 0: at once */
};

struct rest_answer {
  uint64_t ticket;
  enum rest_verdict verdict; /* REST_DONE or REST_GIVE_UP */
  int status;                /* of the newest try; 0: no answer came */
  unsigned tries;
  const char *body; /* ends in NUL; valid during the callback */
  size_t body_bytes;
  const char *error; /* NULL, or in words; never the key */
};

struct rest_options {
  const char
      *bearer_token; /* "" for none; never logged, never sent to another host: no redirect is followed */
  const char *user_agent;
  int64_t connect_ms, first_reply_ms, reply_ms; /* telnyx-protocol.md 3.2 */
  size_t queue_max;
  /* On the thread of rest: what an answer means; pure. `status` 0: none came. `*wait_ms` comes in as the rate limit's
   * headers say (Retry-After, x-ratelimit-reset), 0 when they are silent. */
  enum rest_verdict (*judge)(void *arg, const struct rest_request *request, int status, const char *body,
                             size_t body_bytes, int64_t *wait_ms);
  void (*wake)(void *arg); /* answers wait: from the thread of rest */
  void *arg;
  struct pulse pulse; /* of the thread of rest, which turns once a minute at least: it promises 90 s */
};

int rest_start(struct rest **out, const struct rest_options *options, char *why, size_t why_bytes);
/* Copies. 0, -EAGAIN (full), -ENOMEM. Any thread. */
int rest_submit(struct rest *r, const struct rest_request *request);
void rest_collect(struct rest *r, void (*answer)(void *arg, const struct rest_answer *), void *arg);
/* Requests under way are dropped, answers not collected too. NULL is fine. */
void rest_stop(struct rest *r);

#endif
