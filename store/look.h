/* Questions of the loop to MongoDB: the document of a leg, read on a thread of its own, answered through a queue.
 * For legs that are quiet here (data-model.md 8.4, "Ended"): rare, so one question at a time a leg is the caller's care. */
#ifndef STORE_LOOK_H
#define STORE_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/mongo.h"
#include "store/pulse.h"

struct look;

struct look_options {
  struct mongo_reader *reader; /* used by this thread alone from now on; freed by look_stop() */
  size_t queue_max;            /* questions not answered yet */
  struct pulse pulse;          /* of its thread: it promises 5 min for a query, nothing while it waits */
  void (*wake)(void *arg);     /* answers wait: from the thread */
  void *wake_arg;
};

struct look_answer {
  const char *leg;
  int tag;                 /* the question's */
  bool away;               /* MongoDB did not answer: nothing is known */
  const uint8_t *document; /* BSON, whole; NULL: there is none */
  size_t bytes;
};

/* 0, or -1 with `why`; the reader is the caller's then. */
int look_start(struct look **out, const struct look_options *options, char *why, size_t why_bytes);
/* 0, -EAGAIN (full), -ENOMEM. Never blocks. */
int look_ask(struct look *l, const char *leg, int tag);
/* Every answer that waits; what it shows lives during the call. */
void look_collect(struct look *l, void (*answer)(void *arg, const struct look_answer *), void *arg);
/* Ends within the reader's timeouts. NULL is fine. */
void look_stop(struct look *l);

#endif
