#include "store/mongo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/mongo_error.h"
#include "store/mongo_internal.h"

enum { BATCH_MAX = 1000 };

void mongo_op_free(struct mongo_op *op) {
  free(op->filter);
  free(op->update);
  *op = (struct mongo_op){.filter = NULL};
}

void mongo_fact_free(struct mongo_fact *fact) {
  mongo_op_free(&fact->write);
  for (size_t i = 0; i < fact->join_count; i++) mongo_op_free(&fact->join[i]);
  fact->join_count = 0;
}

void mongo_settle_free(struct mongo_settle *settle) {
  mongo_op_free(&settle->main);
  for (size_t i = 0; i < settle->second_count; i++) mongo_op_free(&settle->second[i]);
  settle->second_count = 0;
}

/* ---- a batch ---- */

struct batch_row {
  const struct sink_row *row;
  struct sink_outcome *outcome;
  struct mongo_fact fact;
  struct mongo_leg *leg;
  bool has_fact; /* the folder made it, and it has not failed */
  bool written;
};

struct batch {
  struct batch_row *rows; /* by leg, those of one leg in order */
  size_t count;
  struct mongo_leg *legs; /* by name */
  size_t leg_count;
  struct mongo_write *writes; /* room for one a row */
};

static int by_leg_and_row(const void *a, const void *b) {
  const struct batch_row *x = a, *y = b;
  const int order = strcmp(x->row->leg, y->row->leg);
  return order != 0 ? order : x->row < y->row ? -1 : x->row > y->row;
}

static void batch_close(struct batch *b) {
  for (size_t i = 0; b->rows != NULL && i < b->count; i++) mongo_fact_free(&b->rows[i].fact);
  free(b->rows);
  free(b->legs);
  free(b->writes);
}

static int batch_open(struct batch *b, const struct sink_row *rows, size_t count,
                      struct sink_outcome *outcomes) {
  memset(b, 0, sizeof *b);
  b->rows = calloc(count + 1, sizeof *b->rows);
  b->legs = calloc(count + 1, sizeof *b->legs);
  b->writes = calloc(count + 1, sizeof *b->writes);
  if (b->rows == NULL || b->legs == NULL || b->writes == NULL) return -1;
  b->count = count;
  for (size_t i = 0; i < count; i++)
    b->rows[i] = (struct batch_row){.row = &rows[i], .outcome = &outcomes[i]};
  qsort(b->rows, count, sizeof *b->rows, by_leg_and_row);
  for (size_t i = 0; i < count; i++) {
    const char *leg = b->rows[i].row->leg;
    if (i == 0 || strcmp(leg, b->rows[i - 1].row->leg) != 0) b->legs[b->leg_count++].leg = leg;
    b->rows[i].leg = &b->legs[b->leg_count - 1];
  }
  return 0;
}

static void give_all(struct sink_outcome *outcomes, size_t count, const struct sink_outcome *outcome) {
  for (size_t i = 0; i < count; i++) outcomes[i] = *outcome;
}

/* ---- facts ---- */

static void ask_facts(struct mongo *m, struct batch *b) {
  for (size_t i = 0; i < b->count; i++) {
    struct batch_row *r = &b->rows[i];
    r->has_fact = m->folder.fact(m->folder.arg, r->row, &r->fact) == 0;
    if (!r->has_fact)
      mongo_outcome(r->outcome, SINK_DEAD, "refused", "the row is not a fact that can be written");
  }
}

/* The first fact of the leg that may name a document of the application. */
static const struct mongo_fact *joining_fact(const struct batch *b, size_t *at, const struct mongo_leg *leg) {
  const struct mongo_fact *fact = NULL;
  for (; *at < b->count && b->rows[*at].leg == leg; ++*at)
    if (fact == NULL && b->rows[*at].has_fact && b->rows[*at].fact.join_count > 0) fact = &b->rows[*at].fact;
  return fact;
}

/* Joins one after the other: the next join of a leg is tried after the one before. A leg that was joined, or has a
 * document, makes it E11000 by index 2: then there is nothing to join. */
static void join_legs(struct mongo *m, struct batch *b) {
  for (size_t turn = 0; turn < MONGO_JOINS_MAX; turn++) {
    size_t at = 0, n = 0;
    for (size_t i = 0; i < b->leg_count; i++) {
      struct mongo_leg *leg = &b->legs[i];
      const struct mongo_fact *fact = joining_fact(b, &at, leg);
      if (fact == NULL || turn >= fact->join_count || mongo_known_has(&m->known, leg->leg)) continue;
      if (leg->state == LEG_FAILED) continue;
      b->writes[n++] = (struct mongo_write){.op = &fact->join[turn], .outcome = &leg->outcome, .owner = leg};
    }
    if (n > 0) mongo_bulk(m, b->writes, n);
    for (size_t i = 0; i < n; i++) {
      struct mongo_leg *leg = b->writes[i].owner;
      /* The application's document cannot take it, and never will: the leg gets one of its own. */
      const bool for_good = leg->outcome.result == SINK_DEAD;
      if (b->writes[i].answer == WRITE_FAILED && !for_good) leg->state = LEG_FAILED;
      if (leg->state != LEG_FAILED) leg->outcome.result = SINK_DONE;
    }
  }
}

static void take_fact_answers(struct mongo *m, struct batch *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct batch_row *r = b->writes[i].owner;
    r->written = b->writes[i].answer == WRITE_ACKNOWLEDGED;
    if (!r->written) continue;
    if (r->leg->state == LEG_NO_FACTS) mongo_known_add(&m->known, r->leg->leg);
    r->leg->state = LEG_WANTED;
  }
}

static void write_facts(struct mongo *m, struct batch *b) {
  size_t n = 0, again = 0;
  for (size_t i = 0; i < b->count; i++) {
    struct batch_row *r = &b->rows[i];
    if (!r->has_fact || r->leg->state == LEG_FAILED) continue;
    b->writes[n++] = (struct mongo_write){
        .op = &r->fact.write, .upsert = r->fact.write.upsert, .outcome = r->outcome, .owner = r};
  }
  mongo_bulk(m, b->writes, n);
  take_fact_answers(m, b, n);
  /* The document was made meanwhile, or holds the fact: without upsert there is nothing to collide with, and no match
   * means that the fact is there. */
  for (size_t i = 0; i < n; i++) {
    if (b->writes[i].answer != WRITE_DUPLICATE) continue;
    struct mongo_write w = b->writes[i];
    w.upsert = false;
    w.outcome->result = SINK_DONE;
    b->writes[again++] = w;
  }
  if (again > 0) mongo_bulk(m, b->writes, again);
  take_fact_answers(m, b, again);
  for (size_t i = 0; i < b->count; i++) mongo_fact_free(&b->rows[i].fact);
}

/* A row is done when its fact and its leg's settle are. */
static void give_outcomes(struct batch *b) {
  static const struct sink_outcome done = {.result = SINK_DONE};
  for (size_t i = 0; i < b->count; i++) {
    struct batch_row *r = &b->rows[i];
    if (r->leg->state == LEG_FAILED && (r->written || r->outcome->result == SINK_DONE))
      *r->outcome = r->leg->outcome;
    else if (r->written)
      *r->outcome = done;
  }
}

/* Unless the unique indexes are there, a document could be made twice. */
static bool may_write(struct mongo *m) {
  m->failure = (struct sink_outcome){.result = SINK_DONE};
  mongo_index_look_after(m);
  if (m->failure.result != SINK_DONE) return false;
  if (mongo_index_ready(m)) return true;
  struct mongo_stats stats;
  mongo_stats(m, &stats);
  mongo_outcome(&m->failure, SINK_AWAY, "index",
                stats.index_refusal[0] != '\0' ? stats.index_refusal : "a unique index is missing");
  return false;
}

static void deliver(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
                    struct sink_outcome *outcomes) {
  struct mongo *m = self;
  struct batch b;
  (void)low_water;
  memset(outcomes, 0, count * sizeof *outcomes);
  if (!may_write(m)) {
    give_all(outcomes, count, &m->failure);
    return;
  }
  if (batch_open(&b, rows, count, outcomes) == 0) {
    ask_facts(m, &b);
    if (!m->sharded) join_legs(m, &b); /* there every update filters on the shard key, a join cannot */
    write_facts(m, &b);
    mongo_settle_legs(m, b.legs, b.leg_count);
    give_outcomes(&b);
  } else {
    struct sink_outcome refused;
    mongo_outcome(&refused, SINK_AWAY, "memory", "out of memory");
    give_all(outcomes, count, &refused);
  }
  batch_close(&b);
}

/* ---- the sink ---- */

static int64_t look_after(void *self, int64_t cursor) {
  struct mongo *m = self;
  (void)cursor;
  m->failure = (struct sink_outcome){.result = SINK_DONE};
  mongo_index_look_after(m);
  mongo_ping(m);
  return -1;
}

/* A call that waits for the server ends by its own timeout; nothing is begun after it. */
static void interrupt(void *self) {
  atomic_store(&((struct mongo *)self)->stopping, true);
}

int mongo_create(struct mongo **out, const struct mongo_options *options, char *why, size_t why_bytes) {
  struct mongo *m = calloc(1, sizeof *m);
  *out = NULL;
  if (m == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  if (mongo_link_init(&m->link, options, false, why, why_bytes) != 0) {
    free(m);
    return -1;
  }
  m->folder = options->folder;
  m->step_max = MONGO_STEP_MAX;
  m->lead_lookup = options->lead_lookup;
  pthread_mutex_init(&m->stats_lock, NULL);
  *out = m;
  return 0;
}

void mongo_free(struct mongo *m) {
  if (m == NULL) return;
  mongo_link_free(&m->link);
  pthread_mutex_destroy(&m->stats_lock);
  free(m);
}

struct sink_driver mongo_driver(struct mongo *m) {
  return (struct sink_driver){.id = SINK_MONGO,
                              .batch_max = BATCH_MAX,
                              .deliver = deliver,
                              .look_after = look_after,
                              .interrupt = interrupt,
                              .self = m};
}

void mongo_stats(struct mongo *m, struct mongo_stats *out) {
  pthread_mutex_lock(&m->stats_lock);
  *out = m->stats;
  pthread_mutex_unlock(&m->stats_lock);
}
