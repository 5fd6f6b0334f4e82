/* The store itself: its thread (store.c), what sinks ask of it (outbox.c), blocking calls (values.c).
 * Private to store/. */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include <pthread.h>

#include "store/database.h"
#include "store/mend.h"
#include "store/outbox.h"
#include "store/space.h"
#include "store/work.h"

struct work_list {
  struct work *first, *last;
};

struct store {
  pthread_t thread;
  void (*wake)(void *arg);
  void *wake_arg;
  struct pulse pulse;
  size_t queue_max;

  pthread_mutex_t mutex;
  pthread_cond_t arrived; /* work, or closing */
  struct work_list queue, answers;
  size_t pending, pending_bytes; /* submitted and not answered yet */
  bool closing;
  pthread_cond_t job_finished;
  bool sinks[SINK_COUNT];                /* set at the opening */
  struct outbox_depth depth[SINK_COUNT]; /* of all sinks, configured or not */
  uint64_t foreign_changes;
  struct store_stats stats;

  pthread_mutex_t database_mutex; /* the thread's batches against the blocking calls */
  struct database database;
  struct mend mend;
  struct space space;
  bool uncounted;       /* the depth could not be counted: at the next look */
  int64_t data_version; /* SQLite's: another one than ours has written when it changes */
};

/* outbox.c, on the store's thread with the database's mutex held: the depth of the outbox after a batch, and whether
 * somebody else has written. NULL: the start. */
struct batch_result;
void outbox_after_batch(struct store *s, const struct batch_result *r);

/* store.c, with both mutexes held: what mending did, for the figures and for those that read the file. */
void store_count_mended(struct store *s);

#endif
