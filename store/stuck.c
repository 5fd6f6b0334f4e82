/* The table cannot grow: the new entry is left out, and stuck_hold() says so. */
#define HASH_NONFATAL_OOM 1
#include "store/stuck.h"

#include <stdlib.h>
#include <string.h>

struct stuck {
  struct stuck_leg *legs;
};

struct stuck *stuck_new(void) {
  return calloc(1, sizeof(struct stuck));
}

static void forget(struct stuck *t, struct stuck_leg *l) {
  HASH_DEL(t->legs, l);
  free(l->leg);
  free(l);
}

void stuck_free(struct stuck *t) {
  struct stuck_leg *l, *next;
  if (t == NULL) return;
  HASH_ITER(hh, t->legs, l, next) forget(t, l);
  free(t);
}

size_t stuck_count(const struct stuck *t) {
  return HASH_COUNT(t->legs);
}

struct stuck_leg *stuck_find(struct stuck *t, const char *leg) {
  struct stuck_leg *l;
  HASH_FIND_STR(t->legs, leg, l);
  return l;
}

struct stuck_leg *stuck_next_due(struct stuck *t, struct stuck_leg *after, int64_t now_ms) {
  struct stuck_leg *l = after == NULL ? t->legs : after->hh.next;
  while (l != NULL && l->due_ms > now_ms) l = l->hh.next;
  return l;
}

static struct stuck_leg *add(struct stuck *t, const char *leg) {
  struct stuck_leg *l = calloc(1, sizeof *l);
  if (l != NULL) l->leg = strdup(leg);
  if (l != NULL && l->leg != NULL) {
    HASH_ADD_KEYPTR(hh, t->legs, l->leg, strlen(l->leg), l);
    if (l->hh.tbl != NULL) return l;
  }
  if (l != NULL) free(l->leg);
  free(l);
  return NULL;
}

int stuck_hold(struct stuck *t, const char *leg, int64_t due_ms, bool brief) {
  struct stuck_leg *l = stuck_find(t, leg);
  if (l == NULL) {
    l = add(t, leg);
    if (l == NULL) return -1;
    l->brief = brief;
  }
  l->held = true;
  l->due_ms = due_ms;
  return 0;
}

void stuck_settle(struct stuck *t, bool delivered) {
  struct stuck_leg *l, *next;
  HASH_ITER(hh, t->legs, l, next) {
    bool finished = delivered && l->taken && !l->held && !l->more && !l->skipped;
    if (l->brief || finished) {
      forget(t, l);
      continue;
    }
    if (l->taken && !l->held && delivered) l->due_ms = 0; /* what is left of it goes on at once */
    l->taken = l->more = l->skipped = l->held = false;
  }
}
