/* The MongoDB sink: facts, settles and read-backs (data-model.md 8.4), by plain operators in unordered bulks with
 * write concern majority, reads from the primary. What the updates say comes from the agent as BSON: this knows how
 * to send them, in which order, and what each error means.
 *
 * Third-party: libmongoc in store/mongo*.c, libbson also in agent/bson.c; nowhere else. */
#ifndef STORE_MONGO_H
#define STORE_MONGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sink.h"

/* BSON documents are malloc'ed blocks that begin with their length (BSON itself); NULL: none. */
struct mongo_op {
  uint8_t *filter, *update;
  bool upsert;
};
enum { MONGO_JOINS_MAX = 2, MONGO_SECONDS_MAX = 32 };

struct mongo_fact {      /* one row of the outbox */
  struct mongo_op write; /* `$push` of an element or `$set` of a part; upsert, creation by $setOnInsert */
  struct mongo_op
      join[MONGO_JOINS_MAX]; /* updates that join a document of the application, tried once a leg before
                                            its document is made: E11000 or no match means there is none to join */
  size_t join_count;
};

struct mongo_settle {
  uint64_t revision; /* R */
  /* All folded paths, and what of people's paths is ours; filter: leg, revision not >= R, and what must be as read. */
  struct mongo_op main;
  /* What one update cannot say: an array that gains and loses elements. Each filtered on revision R; mostly none. */
  struct mongo_op second[MONGO_SECONDS_MAX];
  size_t second_count;
  bool ended;
  /* lead look-up wanted (mongo.lead_lookup): the far party's number, "" when not wanted or done already. */
  char lookup_number[64];
};

/* Pure functions of the agent, called on sink threads. 0, or -1 (no memory, or not a document of ours). Blocks they
 * give are freed by the sink with mongo_op_free(). */
struct mongo_folder {
  int (*fact)(void *arg, const struct sink_row *row, struct mongo_fact *out);
  /* `conflict`: the wanted callLogId belongs to another document (E11000). */
  int (*settle)(void *arg, const uint8_t *document, size_t bytes, bool conflict, struct mongo_settle *out);
  /* The fact metadata.sidetone.leadLookup; ids of 24 hex digits or NULL. */
  int (*lead_lookup)(void *arg, const char *leg, const char *lead_id, const char *contact_id,
                     struct mongo_op *out);
  void *arg;
};
void mongo_op_free(struct mongo_op *op);
void mongo_fact_free(struct mongo_fact *fact);
void mongo_settle_free(struct mongo_settle *settle);

struct mongo_options {
  const char *uri, *database, *collection;
  int64_t server_selection_ms, socket_ms;
  bool lead_lookup;
  struct mongo_folder folder;
};

struct mongo; /* the sink's side: used by its runner's thread only, but for mongo_stats() */
/* Reads the URI (credentials, TLS, replica sets, mongodb+srv); connects later. 0, or -1 with `why` (never a password). */
int mongo_create(struct mongo **out, const struct mongo_options *options, char *why, size_t why_bytes);
void mongo_free(struct mongo *m);
struct sink_driver mongo_driver(struct mongo *m);

struct mongo_stats {
  bool away; /* the newest call was not answered, of a delivery or of the looks between them (5 s) */
  int64_t away_since_ms; /* epoch; 0 when it is not */
  char reason[200];
  bool indexes_ready;       /* index 1 and 2 of data-model.md 1.3 are there; else rows are held */
  char index_refusal[256];  /* the newest refusal, "" when none */
  int64_t refused_since_ms; /* epoch */
};
void mongo_stats(struct mongo *m, struct mongo_stats *out);

/* A reader of its own client, for one other thread: the queue's read-back and the loop's questions. */
struct mongo_reader;
int mongo_reader_create(struct mongo_reader **out, const struct mongo_options *options, char *why,
                        size_t why_bytes);
void mongo_reader_free(struct mongo_reader *r);
/* Calls `document` for each leg that has one, in no order; BSON lives during the call. `whole` false: without what
 * the queue leaves out (contract.md 5). 0, or -1 with the outcome that the rows get. */
int mongo_reader_get(struct mongo_reader *r, const char *const *legs, size_t count, bool whole,
                     void (*document)(void *arg, const char *leg, const uint8_t *bson, size_t bytes),
                     void *arg, struct sink_outcome *outcome);

/* Frees what the driver keeps for the process: once, at the end, when every client is gone. May be left out: the
 * system takes it back. */
void mongo_global_cleanup(void);
/* First in main(): the driver, as it is loaded, puts counters for its own tool into shared memory under this process's
 * id, and a process that is killed leaves them there for ever; the next one with that id is warned of it on standard
 * error. Takes the name away; the memory stays while the process lives. */
void mongo_leave_no_trace(void);

/* sidetone check --connect: connects, says what is wrong in words. Lines go to `say`. True: all is well. */
bool mongo_check(const struct mongo_options *options, void (*say)(void *arg, const char *line), void *arg);

#endif
