#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/mongo_error.h"
#include "store/mongo_internal.h"

/* Legs a read, and bytes of updates that are held between a read and its writes. */
enum { LEGS_MAX = MONGO_FIND_MAX, HELD_BYTES = 8 << 20, ROUNDS_MAX = 6 };

struct round { /* legs that are still on their way, in the order of their names */
  struct mongo_leg *legs[LEGS_MAX];
  size_t count;
};

static void fail(struct mongo_leg *leg, enum sink_result result, const char *kind, const char *reason) {
  leg->state = LEG_FAILED;
  mongo_outcome(&leg->outcome, result, kind, reason);
}

static void fail_with(struct mongo_leg *leg, const struct sink_outcome *outcome) {
  leg->state = LEG_FAILED;
  leg->outcome = *outcome;
}

static void drop_settle(struct mongo_leg *leg) {
  if (leg->has_settle) mongo_settle_free(&leg->settle);
  leg->has_settle = false;
}

/* ---- reading ---- */

static mongoc_cursor_t *find_legs(struct mongo *m, const struct round *r, const bson_t *projection) {
  const char *names[LEGS_MAX];
  for (size_t i = 0; i < r->count; i++) names[i] = r->legs[i]->leg;
  return mongo_link_find(&m->link, names, r->count, projection);
}

static int by_name(const void *name, const void *leg) {
  return strcmp(name, (*(struct mongo_leg *const *)leg)->leg);
}

static struct mongo_leg *leg_of(const struct round *r, const bson_t *document) {
  const char *name = mongo_leg_of(document);
  struct mongo_leg *const *leg =
      name == NULL ? NULL : bsearch(name, r->legs, r->count, sizeof *r->legs, by_name);
  return leg == NULL ? NULL : *leg;
}

/* Ends the cursor. 0, or -1 with its error noted. */
static int close_cursor(struct mongo *m, mongoc_cursor_t *cursor, int64_t began_ms,
                        struct sink_outcome *out) {
  if (mongo_link_end(&m->link, cursor, began_ms, out) == 0) {
    mongo_answered(m, began_ms);
    return 0;
  }
  mongo_note_failure(m, out);
  return -1;
}

static size_t bytes_of_op(const struct mongo_op *op) {
  uint32_t filter = 0, update = 0;
  if (op->filter != NULL) memcpy(&filter, op->filter, sizeof filter);
  if (op->update != NULL) memcpy(&update, op->update, sizeof update);
  return (size_t)BSON_UINT32_FROM_LE(filter) + BSON_UINT32_FROM_LE(update);
}

/* Has the leg folded; returns the bytes that its updates hold. */
static size_t fold(struct mongo *m, struct mongo_leg *leg, const bson_t *document) {
  memset(&leg->settle, 0, sizeof leg->settle);
  leg->seen = true;
  leg->rounds++;
  if (m->folder.settle(m->folder.arg, bson_get_data(document), document->len, leg->conflict, &leg->settle) !=
      0) {
    mongo_settle_free(&leg->settle);
    fail(leg, SINK_RETRY, "fold", "the leg's document could not be folded");
    return 0;
  }
  leg->has_settle = true;
  size_t bytes = bytes_of_op(&leg->settle.main);
  for (size_t i = 0; i < leg->settle.second_count; i++) bytes += bytes_of_op(&leg->settle.second[i]);
  return bytes;
}

/* Reads and folds; documents are not held. What does not fit any more stays wanted. */
static void read_and_fold(struct mongo *m, struct round *r) {
  const bson_t *document;
  struct sink_outcome outcome;
  size_t held = 0;
  bool cut = false;
  const int64_t began_ms = monotonic_ms();
  mongoc_cursor_t *cursor = find_legs(m, r, NULL);
  for (size_t i = 0; i < r->count; i++) r->legs[i]->seen = false;
  while (!cut && mongoc_cursor_next(cursor, &document)) {
    struct mongo_leg *leg = leg_of(r, document);
    if (leg == NULL || leg->seen) continue;
    held += fold(m, leg, document);
    cut = held > HELD_BYTES;
  }
  const bool failed = close_cursor(m, cursor, began_ms, &outcome) != 0;
  for (size_t i = 0; i < r->count; i++) {
    struct mongo_leg *leg = r->legs[i];
    if (leg->seen || (cut && !failed)) continue;
    if (failed)
      fail_with(leg, &outcome);
    else
      fail(leg, SINK_RETRY, "missing", "the leg's document is not there after its facts were written");
    mongo_known_forget(&m->known, leg->leg);
  }
}

/* ---- writing ---- */

/* Keeps the legs that have a settle and have not failed. */
static void keep_going(struct round *r) {
  size_t kept = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->legs[i]->state == LEG_WANTED && r->legs[i]->has_settle) r->legs[kept++] = r->legs[i];
  r->count = kept;
}

/* The wanted callLogId is another document's: once more, with the derived one. */
static void take_conflict(struct mongo_leg *leg) {
  if (leg->conflict)
    leg->state = LEG_FAILED; /* with the server's words */
  else
    leg->conflict = true;
  drop_settle(leg);
}

/* The main updates. True: some of the acknowledged ones matched nothing. */
static bool write_mains(struct mongo *m, struct round *r) {
  struct mongo_write writes[LEGS_MAX];
  int64_t acknowledged = 0;
  for (size_t i = 0; i < r->count; i++) {
    r->legs[i]->outcome.result = SINK_DONE;
    writes[i] = (struct mongo_write){.op = &r->legs[i]->settle.main, .outcome = &r->legs[i]->outcome};
  }
  const int64_t matched = mongo_bulk(m, writes, r->count);
  for (size_t i = 0; i < r->count; i++) {
    if (writes[i].answer == WRITE_ACKNOWLEDGED) acknowledged++;
    if (writes[i].answer == WRITE_FAILED) r->legs[i]->state = LEG_FAILED;
    if (writes[i].answer == WRITE_DUPLICATE) take_conflict(r->legs[i]);
  }
  keep_going(r);
  return matched < acknowledged;
}

static uint64_t revision_of(const bson_t *document) {
  bson_iter_t at, found;
  if (!bson_iter_init(&at, document) || !bson_iter_find_descendant(&at, "metadata.sidetone.revision", &found))
    return 0;
  const int64_t revision = bson_iter_as_int64(&found);
  return revision < 0 ? 0 : (uint64_t)revision;
}

/* Which of the mains that matched nothing were late, and which are to be done again. */
static void compare_revisions(struct mongo *m, struct round *r) {
  bson_t *fields =
      BCON_NEW("telnyx.callControlId", BCON_INT32(1), "metadata.sidetone.revision", BCON_INT32(1));
  const bson_t *document;
  struct sink_outcome outcome;
  const int64_t began_ms = monotonic_ms();
  mongoc_cursor_t *cursor = find_legs(m, r, fields);
  bson_destroy(fields);
  for (size_t i = 0; i < r->count; i++) r->legs[i]->seen = false;
  while (mongoc_cursor_next(cursor, &document)) {
    struct mongo_leg *leg = leg_of(r, document);
    if (leg == NULL || leg->seen) continue;
    const uint64_t there = revision_of(document);
    if (there > leg->settle.revision) leg->state = LEG_SETTLED; /* by somebody who saw newer facts */
    leg->seen = there >= leg->settle.revision;
  }
  const bool failed = close_cursor(m, cursor, began_ms, &outcome) != 0;
  for (size_t i = 0; i < r->count; i++) {
    if (failed)
      fail_with(r->legs[i], &outcome);
    else if (!r->legs[i]->seen)
      drop_settle(r->legs[i]); /* still wanted: again from the read */
  }
  keep_going(r);
}

static void look_up_leads(struct mongo *m, struct round *r) {
  for (size_t i = 0; m->lead_lookup && i < r->count; i++) {
    struct mongo_leg *leg = r->legs[i];
    if (leg->settle.lookup_number[0] == '\0' || leg->looked_up) continue;
    leg->looked_up = true;
    if (mongo_look_up_lead(m, leg) != 0) leg->state = LEG_FAILED;
    drop_settle(leg);
  }
  keep_going(r);
}

static void write_seconds(struct mongo *m, struct round *r) {
  size_t count = 0, n = 0;
  for (size_t i = 0; i < r->count; i++) count += r->legs[i]->settle.second_count;
  struct mongo_write *writes = calloc(count + 1, sizeof *writes);
  for (size_t i = 0; i < r->count; i++) {
    struct mongo_leg *leg = r->legs[i];
    leg->outcome.result = SINK_DONE;
    if (writes == NULL) fail(leg, SINK_AWAY, "memory", "out of memory");
    for (size_t k = 0; writes != NULL && k < leg->settle.second_count; k++)
      writes[n++] =
          (struct mongo_write){.op = &leg->settle.second[k], .outcome = &leg->outcome, .owner = leg};
  }
  if (n > 0) mongo_bulk(m, writes, n);
  for (size_t i = 0; i < n; i++)
    if (writes[i].answer != WRITE_ACKNOWLEDGED) ((struct mongo_leg *)writes[i].owner)->state = LEG_FAILED;
  for (size_t i = 0; i < r->count; i++)
    if (r->legs[i]->state == LEG_WANTED) r->legs[i]->state = LEG_SETTLED;
  free(writes);
}

/* ---- rounds ---- */

/* False: the batch ends here, and these legs with it. */
static bool may_go_on(struct mongo *m, struct round *r) {
  if (mongo_may_go_on(m)) return true;
  for (size_t i = 0; i < r->count; i++) fail_with(r->legs[i], &m->failure);
  r->count = 0;
  return false;
}

static void settle_round(struct mongo *m, struct round *r) {
  const struct round all = *r;
  read_and_fold(m, r);
  keep_going(r);
  if (write_mains(m, r) && may_go_on(m, r)) compare_revisions(m, r);
  if (may_go_on(m, r)) look_up_leads(m, r);
  if (may_go_on(m, r)) write_seconds(m, r);
  for (size_t i = 0; i < all.count; i++) {
    struct mongo_leg *leg = all.legs[i];
    drop_settle(leg);
    if (leg->state == LEG_WANTED && leg->rounds >= ROUNDS_MAX)
      fail(leg, SINK_RETRY, "settle", "the settle did not arrive: others wrote every time");
  }
}

static void take_wanted(const struct mongo *m, struct round *r, struct mongo_leg *legs, size_t count) {
  const size_t max = m->step_max < LEGS_MAX ? m->step_max : LEGS_MAX;
  r->count = 0;
  for (size_t i = 0; i < count && r->count < max; i++)
    if (legs[i].state == LEG_WANTED) r->legs[r->count++] = &legs[i];
}

void mongo_settle_legs(struct mongo *m, struct mongo_leg *legs, size_t count) {
  struct round r;
  for (take_wanted(m, &r, legs, count); r.count > 0; take_wanted(m, &r, legs, count))
    if (may_go_on(m, &r)) settle_round(m, &r);
}
