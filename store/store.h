/* The local store: SQLite (WAL, synchronous=FULL) behind one thread and a bounded queue.
 *
 * Use: store_open() starts the thread; store_submit() puts a request into the queue and returns at
 * once; the thread commits whatever waits in one transaction (group commit), then calls `wake` (from
 * its own thread; the loop answers by calling store_collect(), which hands each answer to a callback
 * on the caller's thread). store_close() commits what waits. Another process reads with
 * store_reader_*() while serve runs.
 * Requests and answers carry ids and values, never pointers to calls. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/pulse.h"
#include "store/sink.h"

struct store;

enum store_request_kind {
  STORE_PUT_EVENT,   /* a webhook: unique by id; answered `duplicate` when it was there */
  STORE_PUT_PART,    /* a media part's facts: kept when `n` is greater than what is there */
  STORE_PUT_ALERT,   /* a row of the outbox for the alerts' sink: nothing else is kept of it */
  STORE_PUT_CALLLOG, /* the folded document of a leg: replaced when `revision` is not smaller */
  STORE_LOAD_LEG     /* only the facts, please; a CallLog of the leg that is bad goes to quarantine */
};

struct store_request {
  enum store_request_kind kind;
  uint64_t ticket; /* the caller's: comes back in the answer; 0: no answer wanted */
  const char *leg; /* call_control_id; NULL: an event without a leg */
  const char *id;  /* event: its id; part: its name; alert: its key; calllog: callLogId */
  bool deliver;    /* event with a leg, part: the sinks get it: a row of the outbox in the same transaction */
  bool want_facts; /* answer with everything stored of the leg (after this request) */
  uint64_t n;      /* part: n; calllog: revision */
  bool open;       /* part: socket still up; calllog: leg not complete */
  bool ended;      /* calllog: the leg has ended */
  int64_t at_ms;   /* event: received at; calllog: initiatedAt */
  const char *status, *direction, *from, *to; /* calllog: for the list */
  double total_s, mos;                        /* calllog: NaN when unknown */
  const char *body;                           /* JSON text; copied */
  size_t body_bytes;
};

enum store_status {
  STORE_DONE,
  STORE_DUPLICATE, /* nothing written: an event that was there, an older part or CallLog than what is there; what is
                      there with a bad checksum goes to quarantine and counts as not there */
  STORE_FAILED /* nothing of this request is on disk; `error` says why */
};

struct store_fact {
  bool is_part;
  const char *id;
  const char *body;
  size_t body_bytes;
};

struct store_answer {
  uint64_t ticket; /* of the request; answers come in the order of submission */
  enum store_status status;
  const char *error;
  size_t fact_count;
  const struct store_fact *facts; /* events in the order of arrival, then parts; valid during the callback */
  /* The leg's CallLog as it is stored, when some of its facts went (delivered, or lost with a damaged file) and
   * facts were asked for: a finished CallLog holds them. NULL: none went, or there is no CallLog. */
  const char *calllog;
  size_t calllog_bytes;
};

struct store_options {
  const char *directory;   /* made when missing, mode 0700; locked: a second serve is refused */
  size_t queue_max;        /* requests not answered yet; 0: 65536. They hold 256 MiB at most */
  void (*wake)(void *arg); /* from the store's thread */
  void *wake_arg;
  struct pulse pulse;        /* of the store's thread: it promises 300 s for a batch */
  int64_t max_bytes;         /* store.max_bytes; 0: no bound */
  int64_t keep_delivered_ms; /* 0: delivered facts stay until room is short */
  bool sinks[SINK_COUNT];    /* which are configured: rows for the others wait, uncounted, and hold nothing */
};

struct store_stats { /* a snapshot; safe from any thread */
  uint64_t commits, rows, duplicates, failures, quarantined;
  double fsync_seconds_sum;
  uint64_t fsync_count;
  double fsync_seconds_last;
  size_t queued;
  int used_percent;           /* of max_bytes: pages in use and the log */
  bool writable;              /* the last commit worked; while not, the store tries by itself every second */
  char reason[256];           /* why not */
  char quarantined_last[256]; /* the newest row that was moved to quarantine, for the log */
  uint64_t set_aside;         /* malformed database files, with what could be read of them copied */
  char set_aside_last[512];   /* the newest one's new name, and what came out of it */
};

/* 0, or -1 with `why`: what is wrong with which file. */
int store_open(struct store **out, const struct store_options *options, char *why, size_t why_bytes);
/* 0, -EAGAIN when the queue is full, -ENOMEM. Thread: any. */
int store_submit(struct store *s, const struct store_request *request);
void store_collect(struct store *s, void (*answer)(void *arg, const struct store_answer *), void *arg);
/* The same with two looks at each answer: `first` at all of them, then `answer` at all of them. */
void store_collect_twice(struct store *s, void (*first)(void *arg, const struct store_answer *),
                         void (*answer)(void *arg, const struct store_answer *), void *arg);
void store_stats(struct store *s, struct store_stats *out);
/* Commits all that waits, stops the thread. Answers not collected are dropped. */
void store_close(struct store *s);

/* Before the loop runs (it reads what is kept of each leg beside its facts, and so takes no longer for a million of
 * them): every leg that has an open part, whose CallLog is not complete, or whose CallLog
 * lacks facts that are stored (its revision is less than events + sum of n). Blocking. 0, or -1. */
int store_each_open_leg(struct store *s, void (*leg)(void *arg, const char *leg), void *arg);
/* A small value that outlives the process (agent.id). Blocking. 0, -ENOENT when it is absent or its
 * checksum is wrong (`out` is untouched then), -ENOSPC when it does not fit, -EIO. */
int store_get_value(struct store *s, const char *key, char *out, size_t out_bytes);
int store_put_value(struct store *s, const char *key, const char *value);

/* Reading from outside (sidetone calls, the admin listener's stored documents). Read-only connection. */
struct store_reader;
struct store_call_row {
  const char *call_log_id, *status, *direction, *from, *to;
  int64_t initiated_at_ms;
  double total_s, mos; /* NaN when unknown */
};
/* Works while serve runs, and when none does. 0, or -1 with `why`. */
int store_reader_open(struct store_reader **out, const char *directory, char *why, size_t why_bytes);
/* Newest first. Strings live during the callback, "" when unknown. Rows with a bad checksum are left out.
 * 0, or -1. */
int store_reader_list(struct store_reader *r, void (*row)(void *arg, const struct store_call_row *),
                      void *arg);
/* The document's JSON text, malloc'ed, or NULL: there is none, or its checksum is wrong. */
char *store_reader_get(struct store_reader *r, const char *call_log_id);
char *store_reader_get_leg(struct store_reader *r, const char *leg);
/* The leg whose CallLog had a bad checksum at the newest store_reader_get(), or NULL. STORE_LOAD_LEG moves it to
 * quarantine, and its facts, which that gives, make it again. */
const char *store_reader_damaged(const struct store_reader *r);
void store_reader_close(struct store_reader *r);

#endif
