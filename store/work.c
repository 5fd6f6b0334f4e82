#include "store/work.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t text_bytes(const char *text) {
  return text == NULL ? 0 : strlen(text) + 1;
}

static const char *keep(char **room, const char *text) {
  size_t bytes = text_bytes(text);
  char *copy = *room;
  if (text == NULL) return NULL;
  memcpy(copy, text, bytes);
  *room += bytes;
  return copy;
}

struct work *work_new(const struct store_request *r) {
  size_t bytes = text_bytes(r->leg) + text_bytes(r->id) + text_bytes(r->status) + text_bytes(r->direction) +
                 text_bytes(r->from) + text_bytes(r->to) + r->body_bytes + 1;
  struct work *work = calloc(1, sizeof *work + bytes);
  if (work == NULL) return NULL;
  char *room = (char *)(work + 1);
  work->bytes = sizeof *work + bytes;
  work->request = *r;
  work->request.leg = keep(&room, r->leg);
  work->request.id = keep(&room, r->id);
  work->request.status = keep(&room, r->status);
  work->request.direction = keep(&room, r->direction);
  work->request.from = keep(&room, r->from);
  work->request.to = keep(&room, r->to);
  work->request.body = room;
  if (r->body_bytes > 0) memcpy(room, r->body, r->body_bytes);
  return work;
}

/* Id and body of a fact stand in one block that begins with the id. */
bool work_add_fact(struct work *work, bool is_part, const char *id, size_t id_bytes, const char *body,
                   size_t body_bytes) {
  if (work->fact_count == work->fact_capacity) {
    size_t capacity = work->fact_capacity == 0 ? 16 : work->fact_capacity * 2;
    struct store_fact *facts = realloc(work->facts, capacity * sizeof *facts);
    if (facts == NULL) return false;
    work->facts = facts;
    work->fact_capacity = capacity;
  }
  char *block = malloc(id_bytes + 1 + body_bytes + 1);
  if (block == NULL) return false;
  memcpy(block, id, id_bytes);
  block[id_bytes] = 0;
  memcpy(block + id_bytes + 1, body, body_bytes);
  block[id_bytes + 1 + body_bytes] = 0;
  work->facts[work->fact_count++] = (struct store_fact){
      .is_part = is_part, .id = block, .body = block + id_bytes + 1, .body_bytes = body_bytes};
  return true;
}

void work_reset(struct work *work) {
  for (size_t i = 0; i < work->fact_count; i++) free((void *)(uintptr_t)work->facts[i].id);
  work->fact_count = 0;
  free(work->calllog);
  work->calllog = NULL;
  work->status = STORE_DONE;
  *work->error = 0;
}

void work_free(struct work *work) {
  work_reset(work);
  free(work->facts);
  free(work);
}

void work_free_list(struct work *first) {
  while (first != NULL) {
    struct work *next = first->next;
    work_free(first);
    first = next;
  }
}
