#include "store/look.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  BATCH_MAX = 32, /* legs a query: a document may have megabytes */
  QUERY_QUIET_MS = 300000
};

struct question {
  struct question *next;
  char *leg;
  int tag;
  bool away;
  uint8_t *document;
  size_t bytes;
};

struct question_list {
  struct question *first, *last;
};

struct look {
  struct look_options options;
  pthread_t thread;
  pthread_mutex_t mutex; /* all below */
  pthread_cond_t arrived;
  struct question_list asked, answered;
  size_t pending;
  bool stopping;
};

static void append(struct question_list *list, struct question *q) {
  q->next = NULL;
  if (list->first == NULL)
    list->first = q;
  else
    list->last->next = q;
  list->last = q;
}

static void free_list(struct question *q) {
  while (q != NULL) {
    struct question *next = q->next;
    free(q->leg);
    free(q->document);
    free(q);
    q = next;
  }
}

/* ---- the thread ---- */

struct batch {
  struct question *items[BATCH_MAX];
  size_t count;
};

static void take_document(void *arg, const char *leg, const uint8_t *bson, size_t bytes) {
  struct batch *batch = arg;
  for (size_t i = 0; i < batch->count; i++) {
    struct question *q = batch->items[i];
    if (q->document != NULL || strcmp(q->leg, leg) != 0) continue;
    q->document = malloc(bytes);
    q->away = q->document == NULL; /* asked again later */
    if (q->document == NULL) continue;
    memcpy(q->document, bson, bytes);
    q->bytes = bytes;
  }
}

static void ask_mongo(struct look *l, struct batch *batch) {
  const char *legs[BATCH_MAX];
  struct sink_outcome outcome;
  for (size_t i = 0; i < batch->count; i++) legs[i] = batch->items[i]->leg;
  if (mongo_reader_get(l->options.reader, legs, batch->count, true, take_document, batch, &outcome) == 0)
    return;
  for (size_t i = 0; i < batch->count; i++) batch->items[i]->away = batch->items[i]->document == NULL;
}

/* With the mutex held. */
static void take_batch(struct look *l, struct batch *batch) {
  batch->count = 0;
  while (batch->count < BATCH_MAX && l->asked.first != NULL) {
    batch->items[batch->count++] = l->asked.first;
    l->asked.first = l->asked.first->next;
  }
}

static void *run(void *arg) {
  struct look *l = arg;
  struct batch batch;
  pthread_mutex_lock(&l->mutex);
  for (;;) {
    while (l->asked.first == NULL && !l->stopping) pthread_cond_wait(&l->arrived, &l->mutex);
    if (l->stopping) break;
    take_batch(l, &batch);
    pthread_mutex_unlock(&l->mutex);
    pulse_expect(&l->options.pulse, QUERY_QUIET_MS);
    ask_mongo(l, &batch);
    pulse_expect(&l->options.pulse, 0);
    pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < batch.count; i++) append(&l->answered, batch.items[i]);
    pthread_mutex_unlock(&l->mutex);
    l->options.wake(l->options.wake_arg);
    pthread_mutex_lock(&l->mutex);
  }
  pthread_mutex_unlock(&l->mutex);
  return NULL;
}

/* ---- everybody else ---- */

static void free_look(struct look *l) {
  pthread_cond_destroy(&l->arrived);
  pthread_mutex_destroy(&l->mutex);
  free_list(l->asked.first);
  free_list(l->answered.first);
  free(l);
}

int look_start(struct look **out, const struct look_options *options, char *why, size_t why_bytes) {
  struct look *l = calloc(1, sizeof *l);
  if (l == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  l->options = *options;
  pthread_mutex_init(&l->mutex, NULL);
  pthread_cond_init(&l->arrived, NULL);
  int error = pthread_create(&l->thread, NULL, run, l);
  if (error == 0) {
    *out = l;
    return 0;
  }
  snprintf(why, why_bytes, "its thread cannot be started: %s", strerror(error));
  free_look(l);
  return -1;
}

int look_ask(struct look *l, const char *leg, int tag) {
  struct question *q = calloc(1, sizeof *q);
  if (q != NULL) q->leg = strdup(leg);
  if (q == NULL || q->leg == NULL) {
    free(q);
    return -ENOMEM;
  }
  q->tag = tag;
  pthread_mutex_lock(&l->mutex);
  bool full = l->pending >= l->options.queue_max;
  if (!full) {
    append(&l->asked, q);
    l->pending++;
    pthread_cond_signal(&l->arrived);
  }
  pthread_mutex_unlock(&l->mutex);
  if (!full) return 0;
  q->next = NULL;
  free_list(q);
  return -EAGAIN;
}

void look_collect(struct look *l, void (*answer)(void *arg, const struct look_answer *), void *arg) {
  pthread_mutex_lock(&l->mutex);
  struct question *first = l->answered.first;
  l->answered = (struct question_list){0};
  for (const struct question *q = first; q != NULL; q = q->next) l->pending--;
  pthread_mutex_unlock(&l->mutex);
  for (const struct question *q = first; q != NULL; q = q->next) {
    const struct look_answer a = {
        .leg = q->leg, .tag = q->tag, .away = q->away, .document = q->document, .bytes = q->bytes};
    answer(arg, &a);
  }
  free_list(first);
}

void look_stop(struct look *l) {
  if (l == NULL) return;
  pthread_mutex_lock(&l->mutex);
  l->stopping = true;
  pthread_cond_signal(&l->arrived);
  pthread_mutex_unlock(&l->mutex);
  pthread_join(l->thread, NULL);
  mongo_reader_free(l->options.reader);
  free_look(l);
}
