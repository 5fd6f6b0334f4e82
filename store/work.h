/* One request on its way: queue, batch, answer. Private to store/. */
#ifndef STORE_WORK_H
#define STORE_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

struct outbox_job;

struct work {
  struct work *next;
  struct store_request request; /* its texts are copies, owned by the work */
  struct outbox_job *job;       /* of a sink, who waits for it; NULL: a request */
  size_t bytes;                 /* of memory, about */
  enum store_status status;
  char error[256];
  struct store_fact *facts; /* each one block that begins at its id */
  size_t fact_count, fact_capacity;
  char *calllog;
  size_t calllog_bytes;
};

/* Copies the request and its texts. NULL: out of memory. */
struct work *work_new(const struct store_request *request);
void work_free(struct work *work);
void work_free_list(struct work *first);
/* Copies a fact. False: out of memory. */
bool work_add_fact(struct work *work, bool is_part, const char *id, size_t id_bytes, const char *body,
                   size_t body_bytes);
/* Back to what it was before a try. */
void work_reset(struct work *work);

#endif
