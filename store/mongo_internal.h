/* The MongoDB sink's inside, shared by store/mongo.c, mongo_bulk.c, mongo_settle.c, mongo_leads.c, mongo_index.c. */
#ifndef STORE_MONGO_INTERNAL_H
#define STORE_MONGO_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/mongo.h"
#include "store/mongo_driver.h"
#include "store/mongo_known.h"
#include "store/mongo_link.h"
#include "store/mongo_reply.h"

struct mongo {
  struct mongo_link link;
  struct mongo_folder folder;
  bool lead_lookup;
  struct mongo_known known; /* legs that have a document */
  /* Of one deliver(): once the server is away, nothing more of the batch is tried (else every step would wait out a
   * timeout of its own). SINK_DONE: it is not. */
  struct sink_outcome failure;
  size_t step_max; /* operations a bulk and legs a read: fewer after a timeout, more after a fast answer */
  atomic_bool stopping;

  int64_t answered_ms;          /* monotonic: the newest answer or failure */
  int64_t indexes_looked_at_ms; /* monotonic; 0: look at the next occasion */
  bool indexes_complete;        /* all that we want are there as we want them */
  bool sharded;                 /* the collection is: no joins, callLogId plain */

  pthread_mutex_t stats_lock;
  struct mongo_stats stats;
};

/* ---- mongo_bulk.c ---- */

enum { MONGO_STEP_MAX = 1000 }; /* operations that old servers take in one command */

/* Sends the writes in unordered bulks of bounded size; majority. Returns how many of the acknowledged ones matched or
 * made a document. */
int64_t mongo_bulk(struct mongo *m, struct mongo_write *writes, size_t count);
/* Notes a failure of a call that began at `began_ms`; later steps of this batch see it in m->failure. */
void mongo_failed(struct mongo *m, const bson_error_t *error, const bson_t *reply, int64_t began_ms,
                  struct sink_outcome *out);
/* A call that began at `began_ms` was answered. */
void mongo_answered(struct mongo *m, int64_t began_ms);
/* The same for an outcome that mongo_link.c has given. */
void mongo_note_failure(struct mongo *m, const struct sink_outcome *outcome);
/* Asks the server for a word when nothing was heard of it lately: nobody would notice that it is away while there is
 * nothing to deliver. */
void mongo_ping(struct mongo *m);
/* True: the batch may go on, and there is a client. */
bool mongo_may_go_on(struct mongo *m);

/* ---- mongo_settle.c ---- */

struct mongo_leg { /* a leg of the batch */
  const char *leg;
  enum { LEG_NO_FACTS, LEG_WANTED, LEG_SETTLED, LEG_FAILED } state;
  bool conflict, looked_up, seen;
  int rounds;
  bool has_settle;
  struct mongo_settle settle;
  struct sink_outcome outcome; /* when it failed */
};
/* Settles the legs that are LEG_WANTED: afterwards each is LEG_SETTLED or LEG_FAILED. */
void mongo_settle_legs(struct mongo *m, struct mongo_leg *legs, size_t count);

/* ---- mongo_leads.c ---- */

/* Looks `leg->settle.lookup_number` up and writes the fact. 0: it is written (by us or by another), the leg is to be
 * settled again; -1 with the leg's outcome. */
int mongo_look_up_lead(struct mongo *m, struct mongo_leg *leg);

/* ---- mongo_index.c ---- */

/* Lists the indexes, creates what is missing, fills stats. May be called at any time; asks the server at most every
 * 30 s, or at once after mongo_index_doubt(). */
void mongo_index_look_after(struct mongo *m);
/* The next look asks the server: it was away, and may be another one by now. */
void mongo_index_doubt(struct mongo *m);
bool mongo_index_ready(struct mongo *m);

#endif
